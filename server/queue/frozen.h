/*
 * Domains that an operator froze: mail to them is taken and waits, no try is made and none of it
 * is given up, until they are thawed. A domain is a glob as the filters of `postern queue` have
 * it: "example.net", "*.example.net", "*".
 *
 * The list is the file "frozen" in the spool's folder, a line a domain: since when (ms since
 * 1970), a space, the glob. A change is a new list, stored (written apart, synced, renamed, the
 * folder synced) before it counts. Lists don't change; whoever made one frees it.
 */
#ifndef PN_QUEUE_FROZEN_H
#define PN_QUEUE_FROZEN_H

#include "buf.h"

enum { FROZEN_MAX = 1000, FROZEN_GLOB_MAX = 255 };

struct frozen {
    size_t count;
    struct frozen_domain {
        int64_t since_ms;
        char glob[FROZEN_GLOB_MAX + 1];
    } domains[];
};

/* What lies in the folder; no file is an empty list. NULL with a sentence in err. */
struct frozen *frozen_load(int folder, struct pn_buf *err);
/* 0 or errno; then the old one is still there. Blocks. */
int frozen_store(const struct frozen *frozen, int folder);
/* A copy with one more, or without it. NULL: it is there already, or isn't, or too many are. */
struct frozen *frozen_with(const struct frozen *frozen, struct pn_str glob, int64_t now_ms);
struct frozen *frozen_without(const struct frozen *frozen, struct pn_str glob);
bool frozen_glob_ok(struct pn_str glob);
/* Is an address's domain frozen? */
bool frozen_holds(const struct frozen *frozen, struct pn_str address);

#endif
