/*
 * The mailbox role: it alone touches mailboxes. Here it takes deliveries (PN_REC_DELIVER)
 * from edges and the queue and answers PN_REC_DELIVERED once they are synced. They run on
 * a pool of threads, so that many syncs are under way at a time. And it serves users who read
 * their mail, once auth and edge have brought them in (pass.h); their commands have threads of
 * their own.
 *
 * A user belongs to one worker, by pn_mailbox_of (handover.h).
 */
#ifndef PN_MAILBOX_H
#define PN_MAILBOX_H

#include "control.h"

pn_role_main pn_mailbox_main;

#endif
