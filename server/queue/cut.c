#include "cut.h"

#include "assert.h"
#include "attempt.h"
#include "clock.h"
#include "cut_record.h"
#include "frozen.h"
#include "hop_turn.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum cut_state {
    CUT_OPENING,
    CUT_OPEN,
    CUT_ASKING,
    CUT_CONTENT,
    CUT_LOST,   /* no connection: the journal has what comes */
    CUT_REFUSED /* no connection: nobody is taken */
};

struct cut {
    struct cut *next; /* the peer's */
    struct edge_peer *peer;
    struct queue *queue;
    struct hop *hop; /* while it holds one of its places */
    uint64_t id;     /* of the message to be */
    uint64_t token;  /* the question at hand; 0: none is */
    enum cut_state state;
    bool smtputf8;
    struct probe *probe; /* in line for a connection */
    struct conn *conn;
    struct pn_timer *timer;
    struct pn_buf from;
    char *to[PARCEL_RECIPIENTS_MAX]; /* all that were asked about; owned */
    bool is_taken[PARCEL_RECIPIENTS_MAX];
    size_t to_count, taken;
    struct message *m;  /* content */
    uint32_t settled;   /* its recipients */
    uint16_t code;      /* of content, or of MAIL */
    struct pn_buf text; /* with it: "5.7.1 Words" */
    bool sent, gone;    /* gone: its edge wants it no more */
};

/* ---- its end ---- */

static void leave_hop(struct cut *cut)
{
    if (cut->hop != NULL)
        cut->hop->cuts--;
    cut->hop = NULL;
}

/* Out of the line: whoever takes the probe finds nobody. */
static void leave_line(struct cut *cut)
{
    if (cut->probe != NULL)
        cut->probe->cut = NULL;
    cut->probe = NULL;
}

static void cut_free(struct cut *cut)
{
    struct cut **at = &cut->peer->cuts;
    pn_assert(cut->conn == NULL && cut->m == NULL);
    while (*at != cut)
        at = &(*at)->next;
    *at = cut->next;
    leave_hop(cut);
    leave_line(cut);
    pn_timer_free(&cut->timer);
    for (size_t i = 0; i < cut->to_count; i++)
        free(cut->to[i]);
    pn_buf_fini(&cut->from);
    pn_buf_fini(&cut->text);
    free(cut);
}

/* ---- answers ---- */

/* To the question at hand; then it is the edge's turn. */
static void answer(struct cut *cut, uint16_t code, struct pn_str text)
{
    uint64_t token = cut->token;
    cut->token = 0;
    pn_timer_set(cut->timer, CUT_HOLD_MS);
    if (token != 0)
        take_peer_answer(cut->peer, PN_REC_CUT_ANSWER, token, code, text);
}

/* Nothing more goes this way. What is open on a connection is dropped by who sees `lost`. */
static void lose(struct cut *cut)
{
    if (cut->state != CUT_LOST)
        event_cut(CUT_EVENT_LOST);
    cut->state = CUT_LOST;
    leave_line(cut);
    if (cut->conn == NULL)
        leave_hop(cut);
    answer(cut, 0, PN_STR("not cut through"));
    pn_timer_clear(cut->timer);
}

/* The same from outside of the engine. */
static void lose_now(struct cut *cut, const char *why)
{
    struct conn *conn = cut->conn;
    bool between = cut->state == CUT_OPEN;
    lose(cut);
    if (conn != NULL && between)
        conn_cut_drop(conn);
    else if (conn != NULL)
        conn_cut_abort(conn, why, true);
}

static void on_time(void *ctx)
{
    struct cut *cut = ctx;
    if (cut->state == CUT_CONTENT)
        conn_cut_abort(cut->conn, "no answer in time", true);
    else if (cut->state != CUT_LOST && cut->state != CUT_REFUSED)
        lose_now(cut, "no answer in time");
}

/* ---- RCPT ---- */

static struct cut *find(const struct edge_peer *peer, uint64_t id)
{
    struct cut *cut = peer->cuts;
    while (cut != NULL && cut->id != id)
        cut = cut->next;
    return cut;
}

static void begin_question(struct cut *cut, uint64_t token, struct pn_str address)
{
    cut->to[cut->to_count++] = pn_strndup(address.p, address.len);
    cut->token = token;
    pn_timer_set(cut->timer, PN_CUT_WAIT_MS);
}

/* Half of a hop's connections, one at least; and its rate has room. */
static bool has_place(struct hop *hop)
{
    return hop->cuts < (hop->dest->is.connections + 1) / 2 && turn_recipients(hop) != 0;
}

static void open_cut(struct edge_peer *peer, const struct pn_cut_rcpt *r)
{
    struct queue *q = peer->queue;
    struct cut *cut = pn_calloc(1, sizeof *cut);
    *cut = (struct cut){.next = peer->cuts, .peer = peer, .queue = q, .id = r->id};
    peer->cuts = cut;
    cut->smtputf8 = (r->flags & PN_ENV_SMTPUTF8) != 0;
    cut->timer = pn_timer_new(q->loop, on_time, cut);
    pn_buf_init(&cut->from, PN_ENVELOPE_TEXT_MAX);
    pn_buf_init(&cut->text, PN_SMTP_REPLY_TEXT_MAX + 100);
    (void)pn_buf_adds(&cut->from, r->reverse_path);
    begin_question(cut, r->token, r->address);
    struct hop *hop = hop_of(q, r->via, r->next_hop, r->address);
    if (q->draining || frozen_holds(q->frozen, r->address) || !has_place(hop)) {
        lose(cut);
        return;
    }
    hop->cuts++;
    cut->hop = hop;
    struct probe *p = pn_calloc(1, sizeof *p);
    *p = (struct probe){.cut = cut};
    cut->probe = p;
    hop_probe(q, r->via, r->next_hop, r->address, p);
    /* Nobody comes for it: the hop has all the connections that it may have. */
    if (cut->probe != NULL && hop->connecting == 0 && !hop->resolving)
        lose(cut);
}

/* One more; an LMTP hop's replies to content may differ, which we can't pass on. */
static void ask_more(struct cut *cut, const struct pn_cut_rcpt *r)
{
    bool same = cut->hop != NULL && cut->hop->via != PN_VIA_LMTP &&
                hop_of(cut->queue, r->via, r->next_hop, r->address) == cut->hop;
    if (cut->state == CUT_REFUSED) {
        take_peer_answer(cut->peer, PN_REC_CUT_ANSWER, r->token, cut->code, pn_buf_str(&cut->text));
    } else if (cut->state != CUT_OPEN || !same || frozen_holds(cut->queue->frozen, r->address) ||
               cut->to_count == PARCEL_RECIPIENTS_MAX) {
        take_peer_answer(cut->peer, PN_REC_CUT_ANSWER, r->token, 0, PN_STR("not cut through"));
        if (cut->state == CUT_OPEN)
            lose_now(cut, "");
    } else {
        cut->state = CUT_ASKING;
        begin_question(cut, r->token, r->address);
        conn_cut_rcpt(cut->conn, pn_str_of(cut->to[cut->to_count - 1]));
    }
}

bool cut_ask(struct edge_peer *peer, struct pn_str body)
{
    struct pn_cut_rcpt r;
    if (!pn_cut_rcpt_get(body, &r))
        return false;
    struct cut *cut = find(peer, r.id);
    if (cut == NULL)
        open_cut(peer, &r);
    else
        ask_more(cut, &r);
    return true;
}

/* ---- what happens on its connection ---- */

const char *cut_first(const struct cut *cut)
{
    return cut->to[0];
}

void cut_opened(struct cut *cut, struct conn *conn, struct pn_smtp_outgoing *mail)
{
    pn_assert(cut->state == CUT_OPENING);
    cut->probe = NULL;
    cut->conn = conn;
    /* What the content will be is not known yet: said of any, it is true. */
    *mail = (struct pn_smtp_outgoing){.from = pn_buf_str(&cut->from),
                                      .to_count = 1,
                                      .body_8bit = true,
                                      .smtputf8 = cut->smtputf8,
                                      .held = true};
}

void cut_unopened(struct cut *cut)
{
    cut->probe = NULL;
    lose(cut);
}

static void keep_reply(struct cut *cut, uint16_t code, struct pn_str text)
{
    enum { WORDS_MAX = 400 }; /* what a reply of ours has room for */
    cut->code = code;
    pn_buf_clear(&cut->text);
    (void)pn_buf_adds(&cut->text, pn_str_slice(text, 0, WORDS_MAX));
}

void cut_taken(struct cut *cut, const struct pn_smtp_reply *reply)
{
    (void)reply;
    if (cut->state != CUT_OPENING && cut->state != CUT_ASKING)
        return;
    cut->state = CUT_OPEN;
    cut->is_taken[cut->to_count - 1] = true;
    cut->taken++;
    turn_used(cut->hop, 1);
    answer(cut, 250, PN_STR("2.1.5 Ok"));
}

static void rcpt_refused(struct cut *cut, enum pn_smtp_from from, uint16_t code, struct pn_str text)
{
    if (code / 100 != 5 || (from != PN_SMTP_FROM_RCPT && from != PN_SMTP_FROM_MAIL)) {
        lose(cut);
        return;
    }
    cut->state = from == PN_SMTP_FROM_MAIL ? CUT_REFUSED : CUT_OPEN;
    keep_reply(cut, code, text);
    answer(cut, code, pn_buf_str(&cut->text));
}

void cut_settled(struct cut *cut, enum pn_smtp_from from, const struct pn_smtp_reply *reply,
                 bool sent, struct attempt *by)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_SMTP_REPLY_TEXT_MAX + 100);
    pn_smtp_reply_print(&b, reply);
    struct pn_str text = pn_str_slice(pn_buf_str(&b), 4, b.len);
    if (cut->state == CUT_OPENING || cut->state == CUT_ASKING) {
        rcpt_refused(cut, from, reply->code, text);
    } else if (cut->state == CUT_CONTENT) {
        /* Words of ours are no refusal of the next hop's: an ordinary try has the last word. But
         * it did say how much it takes (552). */
        bool ours = from == PN_SMTP_FROM_US;
        bool ours_5yz = ours && reply->code / 100 == 5 && reply->code != 552;
        attempt_settles(cut->m, cut->settled++, by);
        keep_reply(cut, ours_5yz ? 451 : reply->code, text);
        cut->sent = sent && ours;
    }
    pn_buf_fini(&b);
}

void cut_over(struct cut *cut)
{
    struct message *m = cut->m;
    cut->conn = NULL;
    cut->m = NULL;
    leave_hop(cut);
    if (m != NULL) {
        uint16_t code = cut->code;
        bool sent = cut->sent;
        struct pn_buf text = cut->text; /* its own from now on */
        pn_buf_init(&cut->text, 1);
        cut_free(cut);
        take_cut_done(m, code, pn_buf_str(&text), sent);
        pn_buf_fini(&text);
    } else if (cut->gone) {
        cut_free(cut);
    } else if (cut->state != CUT_REFUSED) {
        lose(cut);
    }
}

bool cut_is_lost(const struct cut *cut)
{
    return cut->state == CUT_LOST || cut->gone;
}

/* ---- its end by the edge ---- */

/* Nobody wants it any more. */
static void drop(struct cut *cut)
{
    struct conn *conn = cut->conn;
    bool between = cut->state == CUT_OPEN;
    if (cut->state == CUT_CONTENT)
        return; /* take.c has it in hand */
    cut->token = 0;
    cut->gone = true;
    if (conn == NULL)
        cut_free(cut);
    else if (between)
        conn_cut_drop(conn);
    else
        conn_cut_abort(conn, "given up", false);
}

bool cut_drop_record(struct edge_peer *peer, struct pn_str body)
{
    struct pn_cut_drop d;
    if (!pn_cut_drop_get(body, &d))
        return false;
    struct cut *cut = find(peer, d.id);
    if (cut != NULL)
        drop(cut);
    return true;
}

void cut_peer_end(struct edge_peer *peer)
{
    for (struct cut *cut = peer->cuts, *next; cut != NULL; cut = next) {
        next = cut->next;
        drop(cut);
    }
}

/* ---- content ---- */

/* What its client asks of reports goes with MAIL and RCPT, which were sent without. */
static bool asks_of_reports(const struct pn_envelope *env)
{
    bool asks = env->ret != 0 || env->envid.len != 0;
    for (uint32_t i = 0; i < env->recipient_count && !asks; i++)
        asks = env->recipients[i].notify != 0 || env->recipients[i].orcpt.len != 0;
    return asks;
}

/* What the edge checked too: the recipients are those that were taken, and get the same. */
static bool fits(const struct cut *cut, const struct message *m)
{
    const struct pn_envelope *env = &m->work->env;
    if (env->recipient_count != cut->taken || env->group_count != 1 ||
        (env->flags & PN_ENV_CONTENT_FILE) != 0 ||
        !pn_str_eq(env->reverse_path, pn_buf_str(&cut->from)) || asks_of_reports(env))
        return false;
    uint32_t next = 0;
    for (size_t i = 0; i < cut->to_count; i++)
        if (cut->is_taken[i] && !pn_str_eq(env->recipients[next++].address, pn_str_of(cut->to[i])))
            return false;
    return true;
}

bool cut_take(struct edge_peer *peer, struct message *m)
{
    struct cut *cut = find(peer, m->id);
    if (cut == NULL)
        return false;
    if (cut->state != CUT_OPEN || !fits(cut, m)) {
        drop(cut);
        return false;
    }
    cut->state = CUT_CONTENT;
    cut->m = m;
    pn_timer_set(cut->timer, PN_CUT_WAIT_MS);
    if (conn_cut_content(cut->conn, m))
        return true;
    cut->state = CUT_OPEN;
    cut->m = NULL;
    drop(cut);
    return false;
}
