/* The event log, as replay scripts ask about it. */
#ifndef PN_RPL_EVENT_H
#define PN_RPL_EVENT_H

#include "buf.h"

struct rpl_event_want {
    const char *kind; /* "message", "refused" */
    size_t skip;      /* so many of them were looked at */
    void *found;      /* owned: rpl_event_free */
};

/* False: it is not there yet. */
bool rpl_event_find(const char *path, struct rpl_event_want *want);
void rpl_event_free(struct rpl_event_want *want);
/* "KEY=VALUE ...", each; false with a sentence in err. */
bool rpl_event_holds(const struct rpl_event_want *want, struct pn_str text, struct pn_buf *err);
/* A line for each plugin that failed in the last message event, and why. */
void rpl_event_plugins(const char *path, struct pn_buf *out);
bool rpl_event_refused(const struct rpl_event_want *want, struct pn_str text, struct pn_buf *err);

#endif
