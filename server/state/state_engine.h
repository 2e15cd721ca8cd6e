/*
 * Where lasting state is kept: the seam between the state role and its engines.
 *
 *   embedded  LMDB in the role's own folder: one server (state_lmdb.c)
 *   redis     a server that several nodes share (state_redis.h)
 *   both      redis, and while it is away the embedded one (state_both.c)
 *
 * An engine keeps values and buckets (ipc/state.h) by key, forgets what is too old by the
 * time it is told, and answers each question once: at once from inside the call, or later
 * from the loop, but soon. One that can't be reached or can't write says PN_STATE_IS_AWAY at
 * once, until it finds by itself that it can again. Writes are gathered; the last moments of
 * them may be lost with the process or the machine, and nothing else.
 */
#ifndef STATE_ENGINE_H
#define STATE_ENGINE_H

#include "buf.h"
#include "loop.h"
#include "state.h"

struct state_engine;

/* The answer's id means nothing. Borrowed for the call. */
typedef void state_answer_fn(void *ctx, const struct pn_state_answer *answer);

struct state_engine_ops {
    const char *name;
    void (*get)(struct state_engine *e, struct pn_str key, int64_t now_ms, state_answer_fn *fn,
                void *ctx);
    void (*take)(struct state_engine *e, struct pn_str key, int64_t now_ms,
                 const struct pn_bucket *bucket, state_answer_fn *fn, void *ctx);
    /* Tokens go back; local: as the take's answer said. */
    void (*give)(struct state_engine *e, struct pn_str key, int64_t now_ms,
                 const struct pn_bucket *bucket, bool local);
    void (*put)(struct state_engine *e, const struct pn_state_put *put, int64_t now_ms);
    /* Answers what is open as away; what was put is written, if it can be. */
    void (*free)(struct state_engine *e);
};

struct state_engine_counters {
    uint64_t lost;    /* writes that came to nothing */
    uint64_t pending; /* written soon */
    uint64_t entries; /* kept, roughly; 0: not known */
};

/* The first member of each engine's own struct. */
struct state_engine {
    const struct state_engine_ops *ops;
    struct pn_loop *loop;
    bool away;     /* it knows that it can't answer now */
    bool starting; /* and that is nobody's news yet */
    char why[200]; /* of that, one sentence */
    struct state_engine_counters count;
    void (*on_away)(void *ctx, const struct state_engine *e); /* `away` changed */
    void *ctx;
};

/* Says that it is away, or there again (why NULL); once each. */
void state_engine_away(struct state_engine *e, const char *why);
/* An answer without a value. */
void state_answer_plain(state_answer_fn *fn, void *ctx, enum pn_state_status status, uint32_t left);

/* In the process's working folder; opened before the jail, and no file after that. size: the
 * file's, at most. NULL with a sentence in err. */
struct state_engine *state_lmdb_new(struct pn_loop *loop, uint64_t size, struct pn_buf *err);

/* Asks `first`, and where that is away `second`, whose answers are marked local. What is put
 * is put into both: so that `second` knows what this server knew. Takes both; what becomes of
 * them both tell by this one's on_away. */
struct state_engine *state_both_new(struct state_engine *first, struct state_engine *second);

#endif
