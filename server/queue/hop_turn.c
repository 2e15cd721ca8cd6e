#include "hop_turn.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>

enum {
    WINDOW_FIRST = 2,
    BROKEN_MAX = 3,
    CLOSED_MAX_MS = 10 * 60 * 1000,
    LINE_MAX_WAITING = 250, /* parcels; more come again later */
    SHARE = 4,              /* of what is free, a line holds at most such a part */
    RESERVE = 4,            /* such a part of all connections is kept for those without */
    PACE_FIRST_MS = 20,     /* a parcel, until we know better */
    WAIT_MIN_MS = 20,
    WAIT_MAX_MS = 30 * 1000,
    NETS = 4096
};

/* ---- networks ---- */

/* How many connections there are to a network. Two that share a place share the limit too;
 * with so many places that is rare, and does no more harm than some waiting. */
static size_t net_bytes(const struct pn_ip *ip)
{
    return pn_ip_is_v4(ip) ? 15 : 8;
}

static unsigned *net_of(struct queue *q, const struct pn_ip *ip)
{
    struct pn_str net = {(const char *)ip->b, net_bytes(ip)};
    return &q->nets[pn_str_hash(net, q->shun_seed, false) % NETS];
}

bool turn_same_net(const struct pn_ip *a, const struct pn_ip *b)
{
    size_t n = net_bytes(a);
    return n == net_bytes(b) && memcmp(a->b, b->b, n) == 0;
}

void turn_opened(struct queue *q, const struct pn_ip *ip)
{
    ++*net_of(q, ip);
}

void turn_closed(struct queue *q, const struct pn_ip *ip)
{
    --*net_of(q, ip);
    turn_look(q);
}

void turn_init(struct queue *q)
{
    q->nets = pn_calloc(NETS, sizeof *q->nets);
    for (size_t i = 0; i < 2; i++)
        q->turns[i].end = &q->turns[i].first;
    q->idle_end = &q->idle_first;
}

/* ---- those that wait for others' connections ---- */

static bool has_ordinary(const struct hop *hop)
{
    return hop->line.ordinary > 0 || hop->first_probe != NULL;
}

void turn_forget(struct hop *hop)
{
    struct turns *in = hop->turns;
    if (in == NULL)
        return;
    hop->turns = NULL;
    *hop->turn_at = hop->turn_next;
    if (hop->turn_next != NULL)
        hop->turn_next->turn_at = hop->turn_at;
    else
        in->end = hop->turn_at;
    in->count--;
}

static void wait_turn(struct hop *hop)
{
    struct turns *in = &hop->queue->turns[has_ordinary(hop) ? 0 : 1];
    if (hop->turns == in)
        return;
    turn_forget(hop); /* ordinary mail came to a bulk line */
    hop->turns = in;
    hop->turn_next = NULL;
    hop->turn_at = in->end;
    *in->end = hop;
    in->end = &hop->turn_next;
    in->count++;
}

/* What a hop may make of all connections. */
static unsigned share_of(const struct hop *hop)
{
    const struct queue *q = hop->queue;
    unsigned all = q->settings.connections_max;
    return hop->conn_count == 0 && has_ordinary(hop) ? all : all - all / RESERVE;
}

/* Each gets one look: who still can't goes to the end. */
static void places(void *arg)
{
    struct queue *q = arg;
    for (size_t i = 0; i < 2; i++)
        for (size_t n = q->turns[i].count;
             n > 0 && q->turns[i].first != NULL && q->conn_count < q->settings.connections_max;
             n--) {
            struct hop *hop = q->turns[i].first;
            turn_forget(hop);
            hop_pump(hop);
        }
}

void turn_look(struct queue *q)
{
    if (q->turns[0].first != NULL || q->turns[1].first != NULL)
        pn_loop_defer(q->loop, places, q);
}

/* Who has an idle connection that is in the way loses it. */
static bool has_place(struct hop *hop)
{
    struct queue *q = hop->queue;
    if (q->conn_count >= share_of(hop)) {
        conn_close_idle(q, NULL);
        return false;
    }
    if (hop->address_count == 0 || hop->current >= hop->address_count)
        return true; /* to where is not known yet */
    const struct pn_ip *ip = &hop->addresses[hop->current].ip;
    if (*net_of(q, ip) < q->settings.net_connections_max)
        return true;
    conn_close_idle(q, ip);
    return false;
}

static unsigned window_of(const struct hop *hop)
{
    unsigned most = hop->dest->is.connections;
    unsigned window = hop->window == 0 ? WINDOW_FIRST : hop->window;
    return window < most ? window : most;
}

bool turn_may_open(struct hop *hop)
{
    if (hop_waiting(hop) <= hop->connecting || hop->conn_count >= window_of(hop))
        return false;
    if (hop->first_probe == NULL && turn_recipients(hop) == 0)
        return false;
    if (has_place(hop))
        return true;
    wait_turn(hop);
    return false;
}

/* ---- how it went ---- */

void turn_done(struct hop *hop)
{
    uint64_t now = pn_clock_mono_ns();
    uint64_t gap = now - hop->done_ns;
    if (hop->done_ns != 0 && hop->line.parcels > 0) /* it had all the while something to do */
        hop->pace_ns = hop->pace_ns == 0 ? gap : (7 * hop->pace_ns + gap) / 8;
    hop->done_ns = hop->line.parcels > 0 ? now : 0;
    hop->window = window_of(hop) + 1;
    hop->broken = hop->fails = 0;
    hop->closed_until = 0;
}

bool turn_broken(struct hop *hop)
{
    unsigned window = window_of(hop) / 2;
    hop->window = window == 0 ? 1 : window;
    return ++hop->broken >= BROKEN_MAX;
}

uint64_t turn_close_ms(struct hop *hop)
{
    hop->fails += hop->fails < UINT16_MAX;
    hop->window = 1;
    hop->broken = 0;
    uint64_t ms =
        hop->fails == 1 ? dest_shun_ms(hop->dest) : dest_retry_ms(hop->dest, hop->fails) / 2;
    return ms < CLOSED_MAX_MS ? ms : CLOSED_MAX_MS;
}

/* ---- rates ---- */

static uint64_t each_ns(const struct hop *hop)
{
    const struct pn_destination *is = &hop->dest->is;
    return is->rate == 0 ? 0 : is->rate_ms * PN_NS_PER_MS / is->rate;
}

static void on_rate(void *ctx)
{
    hop_pump(ctx);
}

uint32_t turn_recipients(struct hop *hop)
{
    uint64_t each = each_ns(hop), now = pn_clock_mono_ns();
    if (each == 0)
        return PARCEL_RECIPIENTS_MAX;
    uint64_t ahead = hop->dest->is.rate / 10 * each; /* beside the one that is due */
    uint64_t due = hop->rate_due_ns > now ? hop->rate_due_ns : now;
    if (due <= now + ahead) {
        uint64_t n = (now + ahead - due) / each + 1;
        return n < PARCEL_RECIPIENTS_MAX ? (uint32_t)n : PARCEL_RECIPIENTS_MAX;
    }
    if (hop->rate_timer == NULL)
        hop->rate_timer = pn_timer_new(hop->queue->loop, on_rate, hop);
    pn_timer_set(hop->rate_timer, (due - ahead - now) / PN_NS_PER_MS + 1);
    return 0;
}

void turn_used(struct hop *hop, uint32_t recipients)
{
    uint64_t now = pn_clock_mono_ns();
    if (hop->rate_due_ns < now)
        hop->rate_due_ns = now;
    hop->rate_due_ns += recipients * each_ns(hop);
}

/* ---- the line ---- */

size_t turn_line_max(const struct hop *hop)
{
    const struct queue *q = hop->queue;
    size_t most = (q->active < q->active_max ? q->active_max - q->active : 0) / SHARE;
    return most == 0 ? 1 : most < LINE_MAX_WAITING ? most : LINE_MAX_WAITING;
}

/* Another place behind those that were turned away before. */
static void turn_away(struct hop *hop, uint64_t now)
{
    uint64_t pace = hop->pace_ns == 0 ? PACE_FIRST_MS * PN_NS_PER_MS : hop->pace_ns;
    uint64_t each = each_ns(hop), last = now + WAIT_MAX_MS * PN_NS_PER_MS;
    if (each > pace)
        pace = each;
    uint64_t from = now + hop->line.parcels * pace;
    hop->turned_ns = (hop->turned_ns > from ? hop->turned_ns : from) + pace;
    if (hop->turned_ns > last) /* too far ahead to say */
        hop->turned_ns = last;
}

uint64_t turn_wait_ms(struct hop *hop, uint64_t id)
{
    uint64_t now = pn_clock_mono_ns();
    bool together =
        id == hop->turned_id && hop->turned_count < PARCEL_RECIPIENTS_MAX && hop->turned_ns > now;
    if (!together) {
        turn_away(hop, now);
        hop->turned_id = id;
        hop->turned_count = 0;
    }
    hop->turned_count++;
    uint64_t ms = (hop->turned_ns - now) / PN_NS_PER_MS;
    return ms < WAIT_MIN_MS ? WAIT_MIN_MS : ms;
}
