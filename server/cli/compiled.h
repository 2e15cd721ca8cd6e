/* A configuration compiled here, for commands that look at it: check, config, plugin. */
#ifndef PN_COMPILED_H
#define PN_COMPILED_H

#include "find.h"
#include "policy.h"

struct pn_compiled {
    struct pn_pool *pool;
    struct pn_problems problems;
    struct pn_found plugins; /* loaded; unloaded by fini */
    struct pn_buf image;
    struct pn_policy *policy; /* NULL: there are problems */
    bool unreachable;         /* the main file could not be read */
};

void pn_compiled_init(struct pn_compiled *c, const char *file, const char *root);
void pn_compiled_fini(struct pn_compiled *c);
/* Problems on stderr, with their lines; the command's exit status. */
int pn_compiled_tell(const struct pn_compiled *c);

#endif
