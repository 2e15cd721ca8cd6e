#include "asks.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

enum ask_state { ASK_WAITING, ASK_IN_FLIGHT };

struct list {
    struct ask *first, *last;
    uint32_t count;
};

struct backend {
    struct asks_backend ops;
    struct backend *next; /* retired ones, freed when idle */
    uint32_t in_flight;
};

struct ask {
    struct asks *asks;
    struct asker *asker; /* NULL: gone, or was told TIMEOUT */
    struct list *in;     /* where it stands */
    struct backend *backend;
    struct pn_timer *timer; /* NULL until it has to wait */
    uint64_t id;
    uint64_t deadline_ms;
    uint16_t type;
    enum ask_state state;
    bool starting, done; /* the backend's ask() is on the stack; it answered meanwhile */
    struct ask *prev, *next;
    char name[];
};

struct asker {
    struct asks *asks;
    struct asker *prev, *next; /* a ring; asks->turn is in it */
    void (*answer)(void *ctx, uint64_t id, const struct pn_dns_answer *answer);
    void *ctx;
    struct list waiting, flying;
};

struct asks {
    struct pn_loop *loop;
    struct asks_settings set;
    struct backend *backend; /* for new questions */
    struct backend *retired;
    struct asker *turn;  /* whose waiting question is next; NULL: no askers */
    struct list orphans; /* in flight, their askers gone */
    bool pumping;
    asks_keep_fn *keep;
    void *keep_ctx;
    struct asks_counters counters;
};

static void list_add(struct list *l, struct ask *a)
{
    a->in = l;
    a->prev = l->last;
    a->next = NULL;
    if (l->last != NULL)
        l->last->next = a;
    else
        l->first = a;
    l->last = a;
    l->count++;
}

static void list_remove(struct ask *a)
{
    struct list *l = a->in;
    if (a->prev != NULL)
        a->prev->next = a->next;
    else
        l->first = a->next;
    if (a->next != NULL)
        a->next->prev = a->prev;
    else
        l->last = a->prev;
    l->count--;
}

/* ---- backends ---- */

static struct backend *backend_new(struct asks_backend ops)
{
    struct backend *b = pn_calloc(1, sizeof *b);
    b->ops = ops;
    return b;
}

static void backend_free(struct backend *b)
{
    b->ops.free(b->ops.ctx);
    free(b);
}

/* Deferred: the last answer of a backend came from its own callback. */
static void free_idle(void *arg)
{
    struct asks *asks = arg;
    for (struct backend **at = &asks->retired; *at != NULL;) {
        struct backend *b = *at;
        if (b->in_flight != 0) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        backend_free(b);
    }
}

/* ---- answers ---- */

static void count_answer(struct asks_counters *n, uint16_t rcode)
{
    if (rcode == PN_DNS_NOERROR)
        n->noerror++;
    else if (rcode == PN_DNS_NXDOMAIN)
        n->nxdomain++;
    else if (rcode == PN_DNS_SERVFAIL)
        n->servfail++;
    else if (rcode == PN_DNS_TIMEOUT)
        n->timeout++;
    else
        n->other++;
}

static void say(struct asker *asker, uint64_t id, const struct pn_dns_answer *answer)
{
    count_answer(&asker->asks->counters, answer->rcode);
    asker->answer(asker->ctx, id, answer);
}

static void say_timeout(struct asker *asker, uint64_t id)
{
    say(asker, id, &(struct pn_dns_answer){.rcode = PN_DNS_TIMEOUT});
}

static void ask_free(struct ask *a)
{
    pn_timer_free(&a->timer);
    free(a);
}

static void drop_waiting(struct ask *a)
{
    list_remove(a);
    a->asks->counters.waiting--;
}

static void on_deadline(void *arg)
{
    struct ask *a = arg;
    struct asker *asker = a->asker;
    uint64_t id = a->id;
    if (a->state == ASK_WAITING) {
        drop_waiting(a);
        ask_free(a);
    } else {
        a->asker = NULL;
    }
    say_timeout(asker, id);
}

static void arm(struct ask *a)
{
    if (a->timer != NULL)
        return;
    a->timer = pn_timer_new(a->asks->loop, on_deadline, a);
    pn_timer_set(a->timer, a->deadline_ms);
}

static void pump(struct asks *asks);

void asks_keep(struct asks *asks, asks_keep_fn *keep, void *ctx)
{
    asks->keep = keep;
    asks->keep_ctx = ctx;
}

void asks_done(struct ask *a, const struct pn_dns_answer *answer, uint32_t ttl)
{
    struct asks *asks = a->asks;
    struct asker *asker = a->asker;
    pn_assert(a->state == ASK_IN_FLIGHT && !a->done);
    if (ttl != 0 && asks->keep != NULL && a->backend == asks->backend)
        asks->keep(asks->keep_ctx, a->name, a->type, answer, ttl);
    asks->counters.in_flight--;
    if (--a->backend->in_flight == 0 && a->backend != asks->backend)
        pn_loop_defer(asks->loop, free_idle, asks);
    list_remove(a);
    uint64_t id = a->id;
    if (a->starting)
        a->done = true; /* its starter frees it */
    else
        ask_free(a);
    if (asker != NULL)
        say(asker, id, answer);
    pump(asks);
}

/* ---- questions ---- */

static bool may_fly(const struct asker *asker)
{
    const struct asks *asks = asker->asks;
    uint32_t busy = asks->counters.in_flight;
    return busy < asks->set.in_flight && asker->flying.count < asks->set.in_flight - busy;
}

static void fly(struct ask *a)
{
    struct asks *asks = a->asks;
    a->state = ASK_IN_FLIGHT;
    a->backend = asks->backend;
    list_add(&a->asker->flying, a);
    a->backend->in_flight++;
    asks->counters.in_flight++;
    a->starting = true;
    a->backend->ops.ask(a->backend->ops.ctx, a->name, a->type, a);
    a->starting = false;
    if (a->done)
        ask_free(a);
    else
        arm(a);
}

/* Starts what may start, one asker after the other. */
static void pump(struct asks *asks)
{
    if (asks->pumping || asks->counters.waiting == 0)
        return;
    asks->pumping = true;
    struct asker *stop = asks->turn;
    while (asks->counters.waiting != 0) {
        struct asker *asker = asks->turn;
        asks->turn = asker->next;
        if (asker->waiting.count != 0 && may_fly(asker)) {
            struct ask *a = asker->waiting.first;
            drop_waiting(a);
            fly(a);
            stop = asks->turn;
        } else if (asks->turn == stop) {
            break; /* a whole round without one */
        }
    }
    asks->pumping = false;
}

void asker_ask(struct asker *asker, const struct pn_dns_ask *question)
{
    struct asks *asks = asker->asks;
    unsigned char wire[PN_DNS_NAME_MAX];
    asks->counters.asked++;
    if (pn_dns_name_to_wire(question->name, wire) <= 1) {
        say(asker, question->id, &(struct pn_dns_answer){.rcode = PN_DNS_NXDOMAIN});
        return;
    }
    bool now = asker->waiting.count == 0 && may_fly(asker);
    if (!now && asker->waiting.count >= asks->set.in_flight) {
        asks->counters.refused++;
        say_timeout(asker, question->id);
        return;
    }
    struct pn_buf name;
    pn_buf_init(&name, 4 * PN_DNS_NAME_MAX + 1);
    pn_dns_name_to_text(&name, wire);
    struct ask *a = pn_calloc(1, sizeof *a + name.len + 1);
    a->asks = asks;
    a->asker = asker;
    a->id = question->id;
    a->type = question->type;
    a->deadline_ms = question->deadline_ms == 0 || question->deadline_ms > asks->set.timeout_ms
                         ? asks->set.timeout_ms
                         : question->deadline_ms;
    memcpy(a->name, name.p, name.len);
    pn_buf_fini(&name);
    if (now) {
        fly(a);
        return;
    }
    list_add(&asker->waiting, a);
    asks->counters.waiting++;
    arm(a);
}

/* ---- askers ---- */

struct asker *asker_new(struct asks *asks,
                        void (*answer)(void *ctx, uint64_t id, const struct pn_dns_answer *answer),
                        void *ctx)
{
    struct asker *k = pn_calloc(1, sizeof *k);
    *k = (struct asker){.asks = asks, .answer = answer, .ctx = ctx, .prev = k, .next = k};
    if (asks->turn != NULL) {
        k->next = asks->turn;
        k->prev = asks->turn->prev;
        k->prev->next = k;
        k->next->prev = k;
    } else {
        asks->turn = k;
    }
    return k;
}

void asker_free(struct asker **askerp)
{
    struct asker *k = *askerp;
    if (k == NULL)
        return;
    *askerp = NULL;
    pn_assert(!k->asks->pumping);
    while (k->waiting.first != NULL) {
        struct ask *a = k->waiting.first;
        drop_waiting(a);
        ask_free(a);
    }
    while (k->flying.first != NULL) {
        struct ask *a = k->flying.first;
        list_remove(a);
        list_add(&k->asks->orphans, a);
        a->asker = NULL;
        pn_timer_free(&a->timer);
    }
    if (k->asks->turn == k)
        k->asks->turn = k->next == k ? NULL : k->next;
    k->prev->next = k->next;
    k->next->prev = k->prev;
    free(k);
}

/* ---- the desk ---- */

struct asks *asks_new(struct pn_loop *loop, const struct asks_settings *settings,
                      struct asks_backend backend)
{
    struct asks *asks = pn_calloc(1, sizeof *asks);
    asks->loop = loop;
    asks->set = *settings;
    asks->backend = backend_new(backend);
    return asks;
}

void asks_free(struct asks **asksp)
{
    struct asks *asks = *asksp;
    if (asks == NULL)
        return;
    *asksp = NULL;
    pn_assert(asks->turn == NULL);
    pn_loop_forget(asks->loop, asks);
    while (asks->retired != NULL) {
        struct backend *b = asks->retired;
        asks->retired = b->next;
        backend_free(b);
    }
    backend_free(asks->backend);
    while (asks->orphans.first != NULL) {
        struct ask *a = asks->orphans.first;
        list_remove(a);
        ask_free(a);
    }
    free(asks);
}

void asks_set(struct asks *asks, const struct asks_settings *settings)
{
    asks->set = *settings;
    pump(asks);
}

void asks_reload(struct asks *asks, const struct asks_settings *settings,
                 struct asks_backend backend)
{
    struct backend *old = asks->backend;
    asks->backend = backend_new(backend);
    old->next = asks->retired;
    asks->retired = old;
    if (old->in_flight == 0)
        pn_loop_defer(asks->loop, free_idle, asks);
    asks_set(asks, settings);
}

const struct asks_counters *asks_counters(const struct asks *asks)
{
    return &asks->counters;
}
