/* Bringing up a server, or a new generation of its plugins, phase by phase; and down. */
#include "log.h"
#include "supervisor_int.h"

#include <stdio.h>

enum { OTHERS_DRAIN_MS = 10 * 1000, PHASES = 3 };

/* Whoever asks another starts after it, where that costs nothing. */
static const int up_phase[PEER_KIND_COUNT] = {
    [PEER_ADMIN] = 0, [PEER_RESOLVER] = 0, [PEER_MAILBOX] = 0, [PEER_TEMPLATE] = 0,
    [PEER_STATE] = 0, [PEER_SIGNER] = 0,   [PEER_QUEUE] = 1,   [PEER_WORKER] = 1,
    [PEER_EDGE] = 2,  [PEER_AUTH] = 0,
};

/* Down: first who takes mail in; last who writes the events. */
enum { DOWN_PHASES = 5 };
static const int down_phase[PEER_KIND_COUNT] = {
    [PEER_EDGE] = 0,    [PEER_WORKER] = 1,   [PEER_TEMPLATE] = 1, [PEER_QUEUE] = 2,
    [PEER_MAILBOX] = 3, [PEER_RESOLVER] = 3, [PEER_STATE] = 3,    [PEER_SIGNER] = 3,
    [PEER_ADMIN] = 4,   [PEER_AUTH] = 3,
};

static void add(struct supervisor *sup, enum peer_kind kind, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < count; i++)
        (void)child_add(sup, kind, i, 0, 0);
}

static void add_filters(struct supervisor *sup, const struct coming *coming)
{
    for (uint32_t group = 0; group < coming->plan.groups; group++) {
        (void)child_add(sup, PEER_TEMPLATE, group, group, coming->serial);
        for (uint32_t i = 0; i < coming->plan.workers; i++)
            (void)child_add(sup, PEER_WORKER, 0, group, coming->serial);
    }
}

/* Part of what is being brought up now. */
static bool is_new(const struct child *c)
{
    return !c->retired && !c->solo &&
           (c->sup->state == SUP_STARTING || c->generation == c->sup->next.serial);
}

static void start_phase(struct supervisor *sup)
{
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (is_new(c) && up_phase[c->kind] == sup->phase && c->state == CHILD_OFF)
            child_start(c);
}

static bool phase_done(const struct supervisor *sup)
{
    for (const struct child *c = sup->children; c != NULL; c = c->next)
        if (is_new(c) && up_phase[c->kind] == sup->phase && c->state != CHILD_READY)
            return false;
    return true;
}

void bringup_begin(struct supervisor *sup)
{
    const struct plan *plan = &sup->next.plan;
    if (sup->state == SUP_STARTING) {
        add(sup, PEER_ADMIN, 0, 1);
        add(sup, PEER_RESOLVER, 0, 1);
        add(sup, PEER_STATE, 0, 1);
        add(sup, PEER_SIGNER, 0, 1);
        add(sup, PEER_AUTH, 0, 1);
        add(sup, PEER_MAILBOX, 0, plan->mailboxes);
        add(sup, PEER_QUEUE, 0, 1);
        add(sup, PEER_EDGE, 0, plan->edges);
    }
    add_filters(sup, &sup->next);
    sup->phase = 0;
    start_phase(sup);
    bringup_step(sup);
}

void bringup_step(struct supervisor *sup)
{
    if (sup->next.serial == 0 || sup->compile != NULL || sup->state == SUP_STOPPING)
        return;
    while (sup->phase < PHASES && phase_done(sup)) {
        sup->phase++;
        if (sup->phase < PHASES)
            start_phase(sup);
    }
    if (sup->phase == PHASES)
        reload_take(sup);
}

bool bringup_failed(struct supervisor *sup, struct child *c, const char *how)
{
    char unsaid[200];
    if (sup->next.serial == 0 || sup->state == SUP_STOPPING || !is_new(c))
        return false;
    (void)snprintf(unsaid, sizeof unsaid, "it ended before it was ready: %.100s", how);
    const char *why = c->why[0] == '\0' ? unsaid : c->why;
    if (sup->state == SUP_STARTING) {
        pn_error("%s can't start: %s", c->name, why);
        stop_begin(sup, 1);
    } else {
        char text[sizeof c->name + sizeof c->why + 32];
        (void)snprintf(text, sizeof text, "%s can't start: %s", c->name, why);
        reload_refuse(sup, text);
    }
    return true;
}

/* ---- down */

/* A worker that is killed here may end the phase, and begin the next, at once. */
static void stop_phase(struct supervisor *sup)
{
    int phase = sup->phase;
    for (struct child *c = sup->children; c != NULL && sup->phase == phase; c = c->next) {
        if (down_phase[c->kind] != phase)
            continue;
        bool ready = c->state == CHILD_READY;
        child_retire(c, c->kind == PEER_EDGE ? sup->now.plan.drain_ms : OTHERS_DRAIN_MS);
        if (!ready && c->state != CHILD_OFF)
            child_kill(c); /* it never served */
    }
}

void stop_begin(struct supervisor *sup, int exit_status)
{
    if (sup->state == SUP_STOPPING)
        return;
    sup->state = SUP_STOPPING;
    sup->exit_status = exit_status;
    sup->phase = 0;
    compile_cancel(sup);
    tell_state(sup);
    stop_phase(sup);
    stop_step(sup);
}

void stop_step(struct supervisor *sup)
{
    if (sup->state != SUP_STOPPING)
        return;
    for (;;) {
        for (const struct child *c = sup->children; c != NULL; c = c->next)
            if (down_phase[c->kind] == sup->phase && c->state != CHILD_OFF)
                return;
        if (++sup->phase == DOWN_PHASES)
            break;
        stop_phase(sup);
    }
    pn_loop_stop(sup->loop);
}

void stop_now(struct supervisor *sup)
{
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (c->state != CHILD_OFF)
            child_kill(c);
}
