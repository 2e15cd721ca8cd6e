/*
 * Cut-through, between edge and queue: a client's recipients are asked for at the next hop
 * while the client waits, and its message goes there before the client has its reply.
 *
 *   PN_REC_CUT_RCPT     edge -> queue  struct pn_cut_rcpt   one more recipient of message `id`
 *   PN_REC_CUT_ANSWER   queue -> edge  struct pn_delivered  2yz the next hop takes it; 5yz it
 *                                                           does not; 0 nothing is cut through
 *                                                           (any more): take it on our own account
 *   PN_REC_CUT_DROP     edge -> queue  struct pn_cut_drop   nothing goes that way after all
 *
 * One is asked at a time. A TAKE (handover.h) of the same id then has the queue send the
 * message over the open transaction, and its TAKEN says what the next hop said (2yz: it has
 * it; 5yz: nobody has it), or 250 once it is in the journal. queue/cut.h has the states.
 */
#ifndef PN_CUT_RECORD_H
#define PN_CUT_RECORD_H

#include "handover.h"

/* The queue waits so long for each answer of the next hop, and then takes the message itself. */
enum { PN_CUT_WAIT_MS = 20 * 1000 };

struct pn_cut_rcpt {
    uint64_t token; /* of this question; the answer has it */
    uint64_t id;    /* queue id of the message to be */
    uint8_t via;    /* PN_VIA_SMTP or PN_VIA_LMTP */
    uint8_t flags;  /* PN_ENV_SMTPUTF8 or none */
    struct pn_str next_hop;
    struct pn_str reverse_path; /* without brackets; empty: null */
    struct pn_str address;
};
void pn_cut_rcpt_put(struct pn_buf *out, const struct pn_cut_rcpt *rcpt);
bool pn_cut_rcpt_get(struct pn_str body, struct pn_cut_rcpt *rcpt);

struct pn_cut_drop {
    uint64_t id;
};
void pn_cut_drop_put(struct pn_buf *out, const struct pn_cut_drop *drop);
bool pn_cut_drop_get(struct pn_str body, struct pn_cut_drop *drop);

#endif
