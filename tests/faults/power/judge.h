/*
 * What a start finds on a disk, against what must be there. Beyond the oracle's table: it
 * starts; nothing it finds in the journal, held, or delivered is torn; no mailbox has a
 * message more often than it was delivered; and it raises no alarm, for nothing is damaged
 * but what nobody was answered for.
 */
#ifndef POWER_JUDGE_H
#define POWER_JUDGE_H

#include "server.h"

struct verdict {
    char wrong[400];   /* "": all is well; else the first thing that is not */
    unsigned unheard;  /* found, though nobody was answered for it: its sender sends again */
    unsigned repeated; /* ended, or put elsewhere, but that was not confirmed: done twice */
};

/* A server that was opened (started false: that refused to) below s->root. */
void judge(struct server *s, bool started, const struct oracle *oracle, struct verdict *v);

#endif
