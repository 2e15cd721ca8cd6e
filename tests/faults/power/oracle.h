/*
 * What must be found after a power cut: the promises of spool.h, held.h, store.h and frozen.h,
 * as places where a message may be, each with "must", "may" or "must not". The list of frozen
 * domains is such a place: each message has a domain of its own.
 *
 *   event                      journal      held         mailbox
 *   -------------------------  -----------  -----------  -----------
 *   offered                    may
 *   answered 250               must
 *   answered an error          must not, but for a disk that fails twice: see spool.h
 *   its end submitted          may
 *   its end answered           must not
 *   put aside / confirmed                   may / must
 *   taken out / confirmed                   may / must not
 *   delivered / confirmed                                may / must
 *   copied / confirmed                                   one more may / must
 *   moved between folders / confirmed                    one more may / as many as before must
 *   flagged / confirmed                                  may / must have it
 *   expunged / confirmed                                 may / must not
 *
 * Freezing and thawing are as putting aside and taking out.
 *
 * What failed (an error answered) of an end or a held file "may" be; of a delivery too:
 * its sender tries again. Wherever a message is found, its content is whole. A recipient's
 * state is at least the one last confirmed and at most the one last submitted.
 */
#ifndef POWER_ORACLE_H
#define POWER_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

enum { MAILS_MAX = 2048, RCPTS = 3 };

enum event_type {
    EV_OFFERED,
    EV_KEPT,
    EV_REFUSED,
    EV_REFUSED_UNSURELY, /* nothing could be written any more that leaves it out */
    EV_NOTE,             /* recipient who has state value */
    EV_NOTED,
    EV_NOTE_FAILED,
    EV_END,
    EV_ENDED,
    EV_END_FAILED,
    EV_HOLD,
    EV_HELD,
    EV_HOLD_FAILED,
    EV_DROP, /* of its held file */
    EV_DROPPED,
    EV_DROP_FAILED,
    EV_DELIVER,
    EV_DELIVERED,
    EV_DELIVER_FAILED,
    EV_COPY, /* one more of it is on its way */
    EV_COPIED,
    EV_COPY_FAILED,
    EV_SHIFT, /* from one folder to another */
    EV_SHIFTED,
    EV_SHIFT_FAILED,
    EV_FLAG,
    EV_FLAGGED,
    EV_EXPUNGE,
    EV_EXPUNGED,
    EV_EXPUNGE_FAILED,
    EV_FREEZE,
    EV_FROZEN,
    EV_FREEZE_FAILED,
    EV_THAW,
    EV_THAWED,
    EV_THAW_FAILED
};

struct event {
    uint8_t type; /* enum event_type */
    uint8_t who;
    uint32_t id; /* below MAILS_MAX */
    uint32_t value;
};

enum place { IN_JOURNAL, IN_HELD, IN_MAILBOX, IN_FROZEN, PLACES };
enum must { MUST_NOT, MAY, MUST };

struct mail {
    uint8_t must[PLACES]; /* enum must */
    unsigned least;       /* how often it must be found in mailboxes */
    uint32_t uid;         /* that it was given by an append; 0: not known */
    bool flagged;         /* what is found there must have its flag */
    bool offered, kept, refused;
    unsigned tries[PLACES];           /* how often it was put there: it is not found more often */
    uint32_t low[RCPTS], high[RCPTS]; /* of its recipients' states */
};

struct oracle {
    struct mail mails[MAILS_MAX];
    uint32_t count; /* ids used lie below */
};

void oracle_add(struct oracle *oracle, const struct event *event);
const char *oracle_event_name(enum event_type type);
const char *oracle_place_name(enum place place);

#endif
