#include "passes.h"

#include "handover.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <sys/random.h>

enum { WORKERS = 64, QUEUE_MAX = 1024 * 1024 };

struct worker {
    struct auth_passes *all;
    struct pn_channel *channel; /* NULL: it is away */
};

struct auth_pass {
    struct auth_pass *next, **prev;
    struct auth_passes *all;
    struct pn_timer *timer;
    unsigned char token[PN_PASS_TOKEN];
    uint32_t worker;
    void (*done)(void *ctx, const unsigned char *token, uint32_t worker);
    void *ctx;
};

struct auth_passes {
    struct pn_loop *loop;
    struct pn_control *control;
    struct worker workers[WORKERS];
    struct auth_pass *awaited;
};

void auth_passes_forget(struct auth_pass **pass)
{
    struct auth_pass *p = *pass;
    *pass = NULL;
    if (p == NULL)
        return;
    *p->prev = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    pn_timer_free(&p->timer);
    explicit_bzero(p, sizeof *p);
    free(p);
}

static void end(struct auth_pass *p, bool noted)
{
    unsigned char token[PN_PASS_TOKEN];
    uint32_t worker = p->worker;
    void (*done)(void *, const unsigned char *, uint32_t) = p->done;
    void *ctx = p->ctx;
    memcpy(token, p->token, sizeof token);
    auth_passes_forget(&p);
    done(ctx, noted ? token : NULL, worker);
    explicit_bzero(token, sizeof token);
}

static void on_late(void *arg)
{
    struct auth_pass *p = arg;
    pn_warn("mailbox-%u does not say that it knows of a login", (unsigned)p->worker);
    end(p, false);
}

/* ---- workers ---- */

static bool on_record(void *ctx, struct pn_record *record)
{
    struct worker *w = ctx;
    uint32_t number = (uint32_t)(w - w->all->workers);
    struct pn_pass_known known;
    if (record->type != PN_REC_PASS_KNOWN || !pn_pass_known_get(record->body, &known))
        return false;
    for (struct auth_pass *p = w->all->awaited; p != NULL; p = p->next) {
        if (p->worker == number && memcmp(p->token, known.token, sizeof known.token) == 0) {
            end(p, known.noted);
            break;
        }
    }
    pn_sasl_wipe(record->body);
    return true; /* one that is not awaited came too late */
}

static void lost(struct auth_passes *all, uint32_t worker)
{
    for (struct auth_pass *p = all->awaited, *next; p != NULL; p = next) {
        next = p->next;
        if (p->worker == worker)
            end(p, false);
    }
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct worker *w = ctx;
    uint32_t number = (uint32_t)(w - w->all->workers);
    (void)how;
    pn_channel_free(&w->channel);
    pn_control_missing(w->all->control, PN_ROLE_MAILBOX, number);
    lost(w->all, number);
}

bool auth_passes_peer(struct auth_passes *all, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if (peer->role != PN_ROLE_MAILBOX || peer->number >= WORKERS)
        return false;
    struct worker *w = &all->workers[peer->number];
    if (w->channel != NULL) { /* the one before died; its end was not read yet */
        pn_channel_free(&w->channel);
        lost(all, peer->number);
    }
    w->all = all;
    w->channel = pn_channel_new(all->loop, peer->fd, &ops, w, QUEUE_MAX);
    peer->fd = -1;
    return true;
}

/* ---- asking ---- */

static bool announce(struct auth_passes *all, uint32_t worker, const struct pn_pass *pass)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    pn_pass_put(&b, pass);
    bool sent = all->workers[worker].channel != NULL &&
                pn_channel_send(all->workers[worker].channel, PN_REC_PASS, pn_buf_str(&b), NULL, 0);
    pn_sasl_wipe(pn_buf_str(&b));
    pn_buf_fini(&b);
    return sent;
}

struct auth_pass *
auth_passes_ask(struct auth_passes *all, uint32_t workers, enum pn_sasl_service service,
                struct pn_str user,
                void (*done)(void *ctx, const unsigned char *token, uint32_t worker), void *ctx)
{
    uint32_t worker = pn_mailbox_of(user, workers);
    struct pn_pass pass = {.service = (uint8_t)service, .user = user};
    if (worker >= WORKERS || getrandom(pass.token, PN_PASS_TOKEN, 0) != PN_PASS_TOKEN ||
        !announce(all, worker, &pass))
        return NULL;
    struct auth_pass *p = pn_calloc(1, sizeof *p);
    *p = (struct auth_pass){.next = all->awaited,
                            .prev = &all->awaited,
                            .all = all,
                            .worker = worker,
                            .done = done,
                            .ctx = ctx};
    memcpy(p->token, pass.token, sizeof p->token);
    explicit_bzero(pass.token, sizeof pass.token);
    if (p->next != NULL)
        p->next->prev = &p->next;
    all->awaited = p;
    p->timer = pn_timer_new(all->loop, on_late, p);
    pn_timer_set(p->timer, PN_PASS_WAIT_MS);
    return p;
}

/* ---- life ---- */

struct auth_passes *auth_passes_new(struct pn_loop *loop)
{
    struct auth_passes *all = pn_calloc(1, sizeof *all);
    all->loop = loop;
    return all;
}

void auth_passes_control(struct auth_passes *all, struct pn_control *control)
{
    all->control = control;
}

void auth_passes_free(struct auth_passes **passes)
{
    struct auth_passes *all = *passes;
    *passes = NULL;
    if (all == NULL)
        return;
    for (uint32_t i = 0; i < WORKERS; i++)
        pn_channel_free(&all->workers[i].channel);
    while (all->awaited != NULL) {
        struct auth_pass *p = all->awaited;
        auth_passes_forget(&p);
    }
    free(all);
}
