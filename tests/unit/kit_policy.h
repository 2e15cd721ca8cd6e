/*
 * For tests: policies compiled from text, with plugins that are tables only.
 *
 * The plugins: "alpha" (every type of row), "beta" (reads alpha's facts), "gamma" (in a
 * group of its own, on_failure quarantine), "loopa" and "loopb" (each after the other),
 * "netty" (asks for network), "twin" (needs by a setting), "staged" (stages by settings).
 */
#ifndef PN_KIT_POLICY_H
#define PN_KIT_POLICY_H

#include "compile.h"
#include "decide.h"

struct kit {
    struct pn_pool *pool;
    struct pn_problems problems;
    struct pn_buf image;
    struct pn_policy *policy; /* NULL: it did not compile */
};

/* The main file is called "t.conf" and lies in folder ("" for here). */
void kit_open(struct kit *k, const char *text, const char *folder);
void kit_close(struct kit *k);
/* One more plugin, from now on; borrowed. */
void kit_know(const struct postern_plugin *plugin);
/* All problems, one a line; borrowed until the next call. */
struct pn_str kit_problems(struct kit *k);
/* Its descriptor, or NULL. */
const struct postern_plugin *kit_plugin(void *ctx, struct pn_str name, const char *path,
                                        struct pn_buf *err);

#endif
