/*
 * The queue role: what it took, it delivers. It keeps messages in the spool, hands them to
 * mailbox workers or to next hops, tries again, and tells senders when it gives up. It
 * never listens and never sees a Maildir.
 */
#ifndef PN_QUEUE_H
#define PN_QUEUE_H

#include "control.h"

pn_role_main pn_queue_main;

#endif
