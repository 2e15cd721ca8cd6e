#include "hop.h"

#include "attempt.h"
#include "clock.h"
#include "command_suppress.h"
#include "hop_turn.h"
#include "mem.h"
#include "shun.h"

#include <stdlib.h>

static struct hop **slot_of(struct queue *q, uint8_t via, struct pn_str name)
{
    return &q->hops[(pn_str_hash(name, via, true)) & (HOP_TABLE - 1)];
}

static bool idle(const struct hop *h)
{
    uint64_t now = pn_clock_mono_ns();
    return hop_waiting(h) == 0 && h->cuts == 0 && h->conn_count == 0 && !h->resolving &&
           !h->queued && h->closed_until < now && h->rate_due_ns < now;
}

/* Forgets hops that nothing is known of any more but their addresses. */
static void sweep(struct queue *q)
{
    for (size_t i = 0; i < HOP_TABLE; i++)
        for (struct hop **at = &q->hops[i]; *at != NULL;) {
            struct hop *h = *at;
            if (!idle(h)) {
                at = &h->next_same;
                continue;
            }
            *at = h->next_same;
            turn_forget(h);
            pn_timer_free(&h->rate_timer);
            free(h->name);
            free(h->closed_why);
            names_forget(h);
            dest_unref(&h->dest);
            free(h);
            q->hop_count--;
        }
    q->hop_sweep = 2 * q->hop_count + HOP_SWEEP_MIN;
}

static struct dest *dest_for(const struct queue *q, uint8_t via, struct pn_str address)
{
    return dests_find(q->dests, dest_domain(address), via == PN_VIA_MX);
}

struct dest *hop_dest(const struct queue *q, const struct pn_recipient *to)
{
    return dest_for(q, to->via, to->address);
}

struct hop *hop_of(struct queue *q, uint8_t via, struct pn_str name, struct pn_str address)
{
    struct dest *dest = dest_for(q, via, address);
    if (via == PN_VIA_MX && dest->is.route != PN_DEST_MX) {
        via = dest->is.route == PN_DEST_LMTP ? PN_VIA_LMTP : PN_VIA_SMTP;
        name = dest->is.next_hop;
    }
    struct hop **slot = slot_of(q, via, name);
    for (struct hop *h = *slot; h != NULL; h = h->next_same)
        if (h->via == via && h->dest == dest && pn_str_ieq(pn_str_of(h->name), name))
            return h;
    if (q->hop_count >= q->hop_sweep)
        sweep(q); /* slot stays where it is */
    q->hop_count++;
    struct hop *h = pn_calloc(1, sizeof *h);
    *h = (struct hop){.next_same = *slot, .queue = q, .via = via};
    h->name = pn_strndup(name.p, name.len);
    h->dest = dest_ref(dest);
    line_init(&h->line);
    h->probe_end = &h->first_probe;
    *slot = h;
    return h;
}

static void hop_queue(struct hop *hop)
{
    if (hop->queued)
        return;
    hop->queued = true;
    hop->next_queued = hop->queue->hops_queued;
    hop->queue->hops_queued = hop;
}

struct parcel *hop_take(struct hop *hop)
{
    struct parcel *p = line_take(&hop->line, turn_recipients(hop));
    if (p != NULL)
        turn_used(hop, p->count);
    return p;
}

struct probe *hop_take_probe(struct hop *hop)
{
    struct probe *p = hop->first_probe;
    if (p == NULL)
        return NULL;
    hop->first_probe = p->next;
    if (hop->first_probe == NULL)
        hop->probe_end = &hop->first_probe;
    hop->probes--;
    return p;
}

void hop_probe(struct queue *q, uint8_t via, struct pn_str name, struct pn_str address,
               struct probe *p)
{
    struct hop *hop = hop_of(q, via, name, address);
    p->hop = hop;
    p->next = NULL;
    if (hop->closed_until > pn_clock_mono_ns()) {
        probe_settle(p, false, 451, pn_str_of(hop->closed_why));
        return;
    }
    *hop->probe_end = p;
    hop->probe_end = &p->next;
    hop->probes++;
    hop_pump(hop);
}

void hop_fail(struct hop *hop, uint16_t code, struct pn_str text, bool close_it)
{
    hop_fail_by(hop, code, text, close_it, NULL);
}

void hop_fail_by(struct hop *hop, uint16_t code, struct pn_str text, bool close_it,
                 struct attempt *by)
{
    char *why = pn_strndup(text.p, text.len); /* text may be the hop's own */
    if (close_it) {
        hop->closed_until = pn_clock_mono_ns() + turn_close_ms(hop) * PN_NS_PER_MS;
        free(hop->closed_why);
        hop->closed_why = pn_strdup(why);
    }
    for (struct probe *p; (p = hop_take_probe(hop)) != NULL;)
        probe_settle(p, false, code == 0 ? 451 : code, pn_str_of(why));
    for (struct parcel *p; (p = line_take(&hop->line, PARCEL_RECIPIENTS_MAX)) != NULL;) {
        for (uint32_t i = 0; i < p->count; i++)
            run_settled_by(p->m, p->indices[i], code, pn_str_of(why), by);
        parcel_free(p);
    }
    free(why);
}

/* None more is to be had, but some stand. */
static bool all_tried(const struct hop *hop)
{
    return hop->address_count > 0 && hop->current >= hop->address_count;
}

_Static_assert((int)TLS_OFF == (int)PN_DEST_TLS_OFF && (int)TLS_MAY == (int)PN_DEST_TLS_MAY &&
                   (int)TLS_MUST == (int)PN_DEST_TLS_MUST && (int)TLS_DANE == (int)PN_DEST_TLS_DANE,
               "a level is the operator's choice");

struct tls_plan hop_tls_plan(const struct hop *hop, size_t address)
{
    return tls_plan((enum tls_level)hop->dest->is.tls, hop->hosts[address],
                    pn_tls_has_authorities(hop->queue->tls), hop->broke[address]);
}

/* Past addresses that no connection is to be made to now; *why: the reason for the last one. */
static void skip(struct hop *hop, const char **why)
{
    for (; hop->current < hop->address_count; hop->current++) {
        const char *refusal = hop_tls_plan(hop, hop->current).refusal;
        if (refusal == NULL && !shun_is(hop->queue, &hop->addresses[hop->current]))
            break;
        *why = refusal != NULL ? refusal : "4.4.1 Its servers could not be reached a moment ago";
    }
}

/* Goes on from the current address. */
static void pump(struct hop *hop)
{
    while (hop_waiting(hop) > 0 && conn_give_idle(hop)) {
    }
    if (hop->resolving || all_tried(hop) || !turn_may_open(hop))
        return;
    if (hop->address_count == 0 || pn_clock_mono_ns() > hop->addresses_until) {
        names_find(hop); /* comes back here */
        return;
    }
    const char *why = "4.4.1 Its servers could not be reached a moment ago";
    skip(hop, &why);
    if (hop->current == hop->address_count && hop->conn_count == 0)
        hop_fail(hop, 451, pn_str_of(why), false);
    while (!all_tried(hop) && turn_may_open(hop))
        conn_open(hop);
}

void hop_pump(struct hop *hop)
{
    if (hop->conn_count == 0)
        hop->current = 0;
    pump(hop);
}

void hop_conn_failed(struct hop *hop, size_t address, struct pn_str text, struct attempt *by)
{
    if (address == hop->current)
        hop->current++;
    const char *passed;
    skip(hop, &passed);
    if (hop->current < hop->address_count)
        pump(hop);
    else if (hop->conn_count == 0)
        hop_fail_by(hop, 451, text, true, by);
    else /* those that stand serve the line, and no more than those it bears */
        hop->window = hop->conn_count;
}

/* Nobody is asked for a recipient whose server said a while ago that he is not there. */
static bool is_suppressed(struct message *m, uint32_t index)
{
    struct pn_buf why;
    pn_buf_init(&why, 1000);
    bool is = suppress_holds(m->queue, &m->work->env.recipients[index], &why);
    if (is)
        run_settled(m, index, 550, pn_buf_str(&why));
    pn_buf_fini(&why);
    return is;
}

void hop_try(struct message *m, uint32_t index)
{
    if (is_suppressed(m, index))
        return;
    const struct pn_recipient *to = &m->work->env.recipients[index];
    struct hop *hop = hop_of(m->queue, to->via, to->next_hop, to->address);
    if (hop->closed_until > pn_clock_mono_ns())
        run_settled(m, index, 451, pn_str_of(hop->closed_why));
    else if (line_put(&hop->line, m, index, turn_line_max(hop)))
        hop_queue(hop);
    else
        run_postponed(m, index, turn_wait_ms(hop, m->id), PN_STR("many wait for that next hop"));
}

void hop_flush(void *arg)
{
    struct queue *q = arg;
    struct hop *list = q->hops_queued; /* those that can't go on queue themselves anew */
    q->hops_queued = NULL;
    while (list != NULL) {
        struct hop *hop = list;
        list = hop->next_queued;
        hop->queued = false;
        hop_pump(hop);
    }
}

void hop_drain_all(struct queue *q)
{
    for (size_t i = 0; i < HOP_TABLE; i++)
        for (struct hop *h = q->hops[i]; h != NULL; h = h->next_same) {
            hop_fail(h, 0, PN_STR("shutting down"), false);
            conn_drain(h);
        }
}

/* One whose destination is gone goes on by what that said, until its line is empty. */
void hop_rebind(struct queue *q)
{
    for (size_t i = 0; q->hops != NULL && i < HOP_TABLE; i++)
        for (struct hop *h = q->hops[i]; h != NULL; h = h->next_same) {
            struct dest *fresh = dests_same(q->dests, h->dest);
            if (fresh == NULL)
                continue;
            dest_unref(&h->dest);
            h->dest = dest_ref(fresh);
        }
}

void hop_reopen(struct queue *q, const struct pn_recipient *to)
{
    struct hop *hop = hop_of(q, to->via, to->next_hop, to->address);
    hop->closed_until = hop->fails = 0;
    for (size_t i = 0; i < hop->address_count; i++)
        shun_forget(q, &hop->addresses[i]);
}

void hop_init(struct queue *q)
{
    q->hops = pn_calloc(HOP_TABLE, sizeof(struct hop *));
    q->hop_sweep = HOP_SWEEP_MIN;
    names_init(q);
    shun_init(q);
    turn_init(q);
}
