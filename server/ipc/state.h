/*
 * Lasting state between roles: what filter workers ask of the state role, what edges tell it.
 *
 *   PN_REC_STATE_ASK     worker -> state   struct pn_state_ask, one or several
 *   PN_REC_STATE_ANSWER  state -> worker   struct pn_state_answer, one or several
 *   PN_REC_STATE_END     edge -> state     struct pn_state_end, then its puts
 *
 * What a message would write stays in its facts (policy/facts.h) until its fate is known:
 * then its edge sends the puts, with END and `keep`. A worker that dies takes what it would
 * have written with it. Tokens are taken when they are asked for, since two messages must
 * not get the same one; the state role remembers who took them for a while. A message asked
 * for again (its worker died) gets the same answer by its `owner` and the call's step; one
 * that ended without a decision has them given back (END without `keep`).
 *
 * Times are the message's own clock, wall ms, so that a script's clock moves state too.
 * Keys are "PLUGIN/KEY". Views borrow from the record.
 */
#ifndef PN_STATE_H
#define PN_STATE_H

#include "wire.h"

enum {
    PN_STATE_KEY_MAX = 320, /* "PLUGIN/KEY" */
    PN_STATE_VALUE_MAX = 1024,
    PN_STATE_PUTS_MAX = 1000, /* in a record */
    PN_STATE_CAPACITY_MAX = 1000000
};
#define PN_STATE_TTL_MAX      (INT64_C(10) * 366 * 86400 * 1000)
#define PN_STATE_INTERVAL_MAX (INT64_C(366) * 86400 * 1000)

struct pn_bucket {
    uint32_t capacity, cost; /* tokens: 1 or more; 0 or more */
    uint64_t interval_ms;    /* in which it fills up: a second or more */
};

struct pn_state_ask {
    uint64_t id;    /* the asker's own, given back */
    uint64_t owner; /* of tokens: the message's, or the session's before MAIL */
    uint32_t step;  /* of the call */
    bool take;      /* else the key's value is wanted */
    int64_t now_ms;
    struct pn_str key;
    struct pn_bucket bucket; /* take */
};

enum pn_state_status {
    PN_STATE_IS_OK,   /* a value; tokens were taken */
    PN_STATE_IS_NONE, /* no value; too few tokens */
    PN_STATE_IS_AWAY, /* the engine can't be reached */
    PN_STATE_STATUSES
};

struct pn_state_answer {
    uint64_t id;
    uint8_t status;      /* enum pn_state_status */
    bool local;          /* by this server's own, in place of one that nodes share */
    uint32_t left;       /* take: tokens */
    struct pn_str value; /* get */
};

struct pn_state_put {
    struct pn_str key, value;
    int64_t expires_ms;
};

struct pn_state_end {
    uint64_t owner;
    bool keep; /* else tokens go back, and there are no puts */
    int64_t now_ms;
    uint32_t count; /* of puts, which follow */
};

bool pn_bucket_ok(const struct pn_bucket *bucket);

void pn_state_ask_put(struct pn_buf *out, const struct pn_state_ask *ask);
/* The next of a record's asks; false: malformed. Until pn_rd_done. */
bool pn_state_ask_next(struct pn_rd *r, struct pn_state_ask *ask);
void pn_state_answer_put(struct pn_buf *out, const struct pn_state_answer *answer);
/* The next of a record's answers, as with asks. */
bool pn_state_answer_next(struct pn_rd *r, struct pn_state_answer *answer);
void pn_state_end_put(struct pn_buf *out, const struct pn_state_end *end);
void pn_state_put_put(struct pn_buf *out, const struct pn_state_put *put);
/* First the end, then pn_state_put_next as often as its count says, then pn_rd_done. */
bool pn_state_end_get(struct pn_rd *r, struct pn_state_end *end);
bool pn_state_put_next(struct pn_rd *r, struct pn_state_put *put);

/*
 * A bucket is one number: the time (us) at which it will be full. It is in the past, or 0,
 * where it is full now; taking moves it on by what the tokens take to come back.
 */
/* True: taken. *left: tokens there are then. */
bool pn_bucket_take(int64_t *full_us, int64_t now_ms, const struct pn_bucket *bucket,
                    uint32_t *left);
/* The tokens that are left where it could move on by so much. */
uint32_t pn_bucket_left(const struct pn_bucket *bucket, int64_t room_us);
/* How far `cost` tokens move that time. */
int64_t pn_bucket_cost_us(const struct pn_bucket *bucket);

#endif
