/*
 * The verdict on one message: what each recipient's decision comes to in one session,
 * and its JSON, the same in the event line and in `postern scan`.
 *
 * Mixed envelopes. SMTP gives one reply behind the content, for all recipients (RFC 5321,
 * section 4.2.5 has no other). Where all are refused, the message is refused: rejected if
 * all reject, else deferred, so that who would only wait is not bounced. Where somebody
 * gets it, a recipient whose policy refuses gets quarantine, with the reason "mixed
 * envelope": nothing is lost, nobody's policy lets through what another's would not, and
 * no bounce goes to a forged address.
 */
#ifndef PN_VERDICT_H
#define PN_VERDICT_H

#include "decide.h"
#include "json.h"

struct pn_verdict_rcpt {
    struct pn_str address;
    const struct pn_domain *domain;
    uint32_t index;              /* as facts count recipients: in the envelope below */
    struct pn_decision decision; /* pn_verdict_settle may change it */
};

struct pn_verdict {
    struct pn_str id;   /* the message's name in queue and log */
    struct pn_str file; /* of `scan`; empty: not printed */
    const struct pn_policy *policy;
    const struct pn_facts *facts;
    struct pn_verdict_rcpt *rcpts; /* at least one */
    size_t rcpt_count;
    /* All that plugins were told of: rcpts, and those that were refused at RCPT. */
    const struct pn_str *envelope;
    size_t envelope_count;
    /* by pn_verdict_settle: */
    enum pn_outcome outcome; /* of the strictest recipient */
    struct pn_str reply;     /* the session's */
    size_t strictest;        /* index of that recipient */
};

/* each_replies: the protocol gives every recipient a reply (LMTP, PRDR): no decision is
 * changed, and `reply` is the strictest recipient's. Taken: "250 2.0.0 Taken as ID". */
void pn_verdict_settle(struct pn_verdict *v, bool each_replies, struct pn_pool *pool);

/*
 * What was answered in the end, where handing the message over failed behind the verdict:
 * nobody has it, whatever was decided. reply is borrowed.
 */
void pn_verdict_replied(struct pn_verdict *v, struct pn_str reply);

/* One entry of "state": what a plugin read, put or took. `scan --state` reads it again. */
void pn_state_json(struct pn_json *j, const struct pn_state_seen *seen);
/* "standing": what plugins' ticks had left, as far as the message found it; nothing where there
 * is none. `scan --standing` and its batches give it back. */
void pn_standing_json(struct pn_json *j, const struct pn_facts *facts);
/* The members of the contract, inside an object that is open: "id" to "dns", and "state" and
 * "standing" where there is any. */
void pn_verdict_json(struct pn_json *j, const struct pn_verdict *v);

#endif
