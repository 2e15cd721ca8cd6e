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
 *
 * Where every recipient has a reply of its own (LMTP) nothing of that is needed: each one's
 * outcome and reply are its decision's, and those whom nobody refuses get the message.
 *
 * Edits. What plugins proposed is in the facts; what becomes of each is settled here
 * (verdict_edits.c): the operator's grant, the recipients that the plugin counts for, and a look
 * at what it gave. A recipient that was removed has no say, as long as another is left; one that
 * was added has none in what becomes of the others, and where its own policy refuses the
 * message it does not get it.
 */
#ifndef PN_VERDICT_H
#define PN_VERDICT_H

#include "decide.h"
#include "expand.h"
#include "json.h"

struct pn_verdict_rcpt {
    struct pn_str address;
    const struct pn_domain *domain;
    uint32_t index;                        /* as facts count recipients: in the envelope below */
    bool added, removed;                   /* by a plugin */
    uint32_t edit;                         /* which of the verdict's edits did that */
    const struct pn_expansion *stands_for; /* who has it in its place; NULL: itself */
    struct pn_decision decision;           /* pn_verdict_settle may change it */
};

/* One edit of the facts, and what becomes of it. */
struct pn_verdict_edit {
    const struct pn_fact_edit *edit;
    int plugin;            /* its number in the policy; -1: it has none such */
    struct pn_str value;   /* to be printed */
    struct pn_str refused; /* why it is not made; empty: it is */
};

struct pn_verdict {
    struct pn_str id;   /* the message's name in queue and log */
    struct pn_str file; /* of `scan`; empty: not printed */
    const struct pn_policy *policy;
    const struct pn_facts *facts;
    /* At least one; those of the client, then those added, then those removed. */
    struct pn_verdict_rcpt *rcpts;
    size_t rcpt_count;
    struct pn_verdict_edit *edits; /* by pn_verdict_edits; NULL: none is made */
    size_t edit_count;
    /* All that plugins were told of: rcpts, and those that were refused at RCPT. */
    const struct pn_str *envelope;
    size_t envelope_count;
    /* by pn_verdict_settle: */
    bool each_replies;       /* each recipient's reply is its decision's */
    enum pn_outcome outcome; /* of the strictest recipient */
    struct pn_str reply;     /* the session's */
    size_t strictest;        /* index of that recipient */
};

/* By its word in the event. */
bool pn_verdict_edit_op(struct pn_str name, enum pn_fact_edit_op *op);
/* Before recipients are decided on: which of the facts' edits are granted. False: the pool's
 * limit. */
bool pn_verdict_edits(struct pn_verdict *v, struct pn_pool *pool);
/* Is this edit made for recipients of that domain? */
bool pn_verdict_edit_counts(const struct pn_verdict *v, size_t edit,
                            const struct pn_domain *domain);

/* The new body of a message. fd, which: as pn_check_body gave them. */
struct pn_new_body {
    struct pn_str bytes; /* mapped: pn_unmap */
    bool eight;          /* not ASCII alone */
};
enum pn_new_body_end {
    PN_BODY_STAYS,
    PN_BODY_NEW,
    PN_BODY_BROKEN /* there is to be one, and what came is none: its edit says why */
};
enum pn_new_body_end pn_verdict_body(struct pn_verdict *v, int fd, size_t which,
                                     struct pn_pool *pool, struct pn_new_body *out);
/* Both arrays of a verdict's JSON, "edits" and, where there are any, "edits_refused". */
void pn_verdict_edits_json(struct pn_json *j, const struct pn_verdict *v);

/* each_replies: the protocol gives every recipient a reply (LMTP, PRDR): no outcome is
 * changed, and `reply` is the strictest recipient's. Taken: "250 2.0.0 Taken as ID". */
void pn_verdict_settle(struct pn_verdict *v, bool each_replies, struct pn_pool *pool);

/* Somebody's is not refused: it is handed over, or dropped as was decided. */
bool pn_verdict_taken(const struct pn_verdict *v);
/* Is the message handed over for this one? */
static inline bool pn_verdict_gets(const struct pn_verdict_rcpt *r)
{
    return r->decision.outcome != PN_DISCARD && !pn_outcome_refuses(r->decision.outcome);
}
/* Why a message does not go on to that one of whom the recipient stands for; NULL: it does. Who
 * sends on to others what he takes for spam himself is soon taken for a spammer. */
const char *pn_verdict_kept(const struct pn_verdict_rcpt *r, const struct pn_expand_target *target);

/*
 * What was answered in the end, where handing the message over failed behind the verdict:
 * nobody has it, whatever was decided. reply is borrowed. Where each has its own, those who
 * were refused or had it dropped keep theirs.
 */
void pn_verdict_replied(struct pn_verdict *v, struct pn_str reply);
/* The same where that was nobody's failure: the next hop refused it, behind the verdict. */
void pn_verdict_refused(struct pn_verdict *v, struct pn_str reply);

/* One entry of "state": what a plugin read, put or took. `scan --state` reads it again. */
void pn_state_json(struct pn_json *j, const struct pn_state_seen *seen);
/* "standing": what plugins' ticks had left, as far as the message found it; nothing where there
 * is none. `scan --standing` and its batches give it back. */
void pn_standing_json(struct pn_json *j, const struct pn_facts *facts);
/* The members of the contract, inside an object that is open: "id" to "dns", and "state" and
 * "standing" where there is any. */
void pn_verdict_json(struct pn_json *j, const struct pn_verdict *v);

#endif
