#include "signer_role.h"

#include "admin_link.h"
#include "guests.h"
#include "log.h"
#include "mem.h"
#include "role.h"
#include "signer_keys.h"
#include "threads.h"

#include <sched.h>
#include <stdlib.h>

enum {
    THREADS_MAX = 4, /* a signature takes a millisecond of a CPU at most */
    STACK = 256 * 1024,
    ANSWER_QUEUE = 4 * 1024 * 1024,
    JOBS_MAX = 20 * 1000, /* more wait for too long: answered at once, with nothing */
    KEYS_ROOM = 1024      /* bytes of one key in a record, at most */
};

enum { M_SIGNED, M_REFUSED, M_KEYS, METRICS };

static const struct pn_metric metric_rows[METRICS] = {
    [M_SIGNED] = {"postern_signer_signatures_total", NULL, "Signatures given.", PN_COUNTER},
    [M_REFUSED] = {"postern_signer_refused_total", NULL,
                   "Asked for with a key that is not there, or while too many waited.", PN_COUNTER},
    [M_KEYS] = {"postern_signer_keys", NULL, "Keys that mail is signed with.", PN_GAUGE},
};

struct role {
    struct pn_loop *loop;
    struct pn_admin_link *admin;
    struct pn_metric metrics[METRICS];
    struct pn_threads *threads;
    struct pn_guests *guests;
    struct guest *come;               /* all that are there */
    struct signer_keys *now, *before; /* before: until the next reload, for what was begun */
};

/* One who asks; kept for as long as a job of it is under way. */
struct guest {
    struct guest *next, **at; /* the role's; at NULL: it is gone */
    struct pn_guest *guest;
    unsigned jobs;
};

struct job {
    struct pn_job job; /* first */
    struct role *role;
    struct guest *guest;
    struct signer_keys *keys; /* a reference */
    EVP_PKEY *key;            /* of those */
    struct pn_sign_ask ask;
    struct pn_buf signature;
};

/* ---- what keys there are, told */

static void tell_record(const struct pn_guest *to, const struct signer_keys *keys, size_t from,
                        size_t count)
{
    struct pn_buf body;
    pn_buf_init(&body, PN_RECORD_MAX - 64);
    pn_sign_keys_put(&body, &(struct pn_sign_keys){.first = from == 0,
                                                   .last = from + count == keys->count,
                                                   .count = (uint32_t)count});
    for (size_t i = from; i < from + count; i++)
        pn_sign_key_put(&body, &keys->keys[i].row);
    if (body.overflow ||
        !pn_channel_send(to->channel, PN_REC_SIGN_KEYS, pn_buf_str(&body), NULL, 0))
        pn_warn("a role does not read which keys there are");
    pn_buf_fini(&body);
}

static void tell(const struct role *r, const struct pn_guest *to)
{
    enum { EACH = (PN_RECORD_MAX - 1024) / KEYS_ROOM };
    size_t from = 0;
    do {
        size_t rest = r->now->count - from;
        size_t count = rest < EACH ? rest : EACH;
        tell_record(to, r->now, from, count);
        from += count;
    } while (from < r->now->count);
}

static void on_come(struct pn_guest *guest)
{
    struct role *r = guest->ctx;
    struct guest *g = pn_calloc(1, sizeof *g);
    *g = (struct guest){.next = r->come, .at = &r->come, .guest = guest};
    if (g->next != NULL)
        g->next->at = &g->next;
    r->come = g;
    guest->own = g;
    tell(r, guest);
}

static void on_gone(struct pn_guest *guest)
{
    struct guest *g = guest->own;
    *g->at = g->next;
    if (g->next != NULL)
        g->next->at = g->at;
    g->at = NULL;
    g->guest = NULL;
    if (g->jobs == 0)
        free(g);
}

/* ---- signatures */

static void answer(const struct pn_guest *to, uint64_t token, struct pn_str signature)
{
    struct pn_buf body;
    pn_buf_init(&body, PN_RECORD_MAX - 64);
    pn_sign_answer_put(&body, &(struct pn_sign_answer){token, signature});
    if (!pn_channel_send(to->channel, PN_REC_SIGN_ANSWER, pn_buf_str(&body), NULL, 0))
        pn_warn("a role does not read what it asked for"); /* it has a deadline of its own */
    pn_buf_fini(&body);
}

/* On the pool. */
static void job_run(struct pn_job *job)
{
    struct job *j = (struct job *)job;
    if (!pn_sign_key_sign(j->key, j->ask.digest, &j->signature))
        pn_buf_clear(&j->signature);
}

static void job_done(struct pn_job *job)
{
    struct job *j = (struct job *)job;
    struct guest *g = j->guest;
    j->role->metrics[j->signature.len != 0 ? M_SIGNED : M_REFUSED].value++;
    g->jobs--;
    if (g->guest != NULL)
        answer(g->guest, j->ask.token, pn_buf_str(&j->signature));
    else if (g->jobs == 0)
        free(g);
    signer_keys_unref(&j->keys);
    pn_buf_fini(&j->signature);
    free(j);
}

static bool on_record(struct pn_guest *guest, struct pn_record *record)
{
    struct role *r = guest->ctx;
    struct guest *g = guest->own;
    struct pn_sign_ask ask;
    if (record->type != PN_REC_SIGN_ASK || !pn_sign_ask_get(record->body, &ask))
        return false;
    struct signer_keys *keys = r->now;
    EVP_PKEY *key = signer_keys_find(keys, ask.key);
    if (key == NULL) {
        keys = r->before;
        key = signer_keys_find(keys, ask.key);
    }
    if (key == NULL || pn_threads_busy(r->threads) >= JOBS_MAX) {
        r->metrics[M_REFUSED].value++;
        answer(guest, ask.token, PN_STR(""));
        return true;
    }
    struct job *j = pn_calloc(1, sizeof *j);
    *j = (struct job){.job = {.run = job_run, .done = job_done},
                      .role = r,
                      .guest = g,
                      .keys = signer_keys_ref(keys),
                      .key = key,
                      .ask = ask};
    pn_buf_init(&j->signature, PN_SIGNATURE_MAX);
    g->jobs++;
    pn_threads_submit(r->threads, &j->job);
    return true;
}

/* ---- the role */

static const struct pn_guests_ops guests_ops = {.roles = 1U << PN_ROLE_EDGE | 1U << PN_ROLE_QUEUE,
                                                .queue = ANSWER_QUEUE,
                                                .on_come = on_come,
                                                .on_record = on_record,
                                                .on_gone = on_gone};

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct role *r = ctx;
    if (!pn_admin_link_peer(r->admin, peer))
        pn_guests_add(r->guests, peer);
}

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct role *r = ctx;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct signer_keys *keys = signer_keys_new(gen, &err);
    if (keys == NULL) { /* the supervisor has read them all: it can't be */
        pn_error("the new keys are not used: %s", pn_buf_cstr(&err));
    } else {
        signer_keys_unref(&r->before);
        r->before = r->now;
        r->now = keys;
        for (struct guest *g = r->come; g != NULL; g = g->next)
            tell(r, g->guest);
    }
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

/* The others drain too, and sign what they have while they do. */
static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct role *r = ctx;
    pn_guests_drain(r->guests, limit_ms);
}

static void fill_metrics(void *ctx)
{
    struct role *r = ctx;
    r->metrics[M_KEYS].value = (int64_t)r->now->count;
}

static unsigned thread_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct role *r = life->ctx;
    r->loop = life->loop;
    r->now = signer_keys_new(life->env->gen, err);
    if (r->now == NULL)
        return false;
    pn_generation_free(&life->env->gen); /* with the keys' text: it is wiped */
    r->guests = pn_guests_new(r->loop, &guests_ops, r);
    memcpy(r->metrics, metric_rows, sizeof r->metrics);
    r->admin = pn_admin_link_new(r->loop, r->metrics, METRICS, fill_metrics, r);
    return true;
}

static bool open_threads(struct pn_role_life *life, struct pn_buf *err)
{
    struct role *r = life->ctx;
    (void)err;
    r->threads = pn_threads_new(r->loop, thread_count(), STACK, "signer");
    return true;
}

static void join(struct pn_role_life *life)
{
    struct role *r = life->ctx;
    pn_admin_link_control(r->admin, life->control);
}

static void end(struct pn_role_life *life)
{
    struct role *r = life->ctx;
    pn_threads_free(&r->threads);
    pn_guests_free(&r->guests);
    pn_admin_link_free(&r->admin);
    signer_keys_unref(&r->now);
    signer_keys_unref(&r->before);
}

int pn_signer_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_SIGNER,
        .control = {on_generation, on_peer, on_drain, NULL},
        .begin = begin,
        .open = open_threads,
        .join = join,
        .end = end,
    };
    struct role r = {0};
    return pn_role_run(env, &steps, &r);
}
