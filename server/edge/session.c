/* One client connection: its socket, TLS, PROXY header, and SMTP engine. */
#include "edge.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WRITE_MAX = 128 * 1024, KEEP_MAX = 64 * 1024 };

static bool on_write(void *ctx, struct pn_str bytes)
{
    return turn_write(ctx, bytes);
}

static void on_resume(void *ctx)
{
    struct session *s = ctx;
    turn_next(s, pn_stream_kept(s->stream), true);
}

static void on_engine_close(void *ctx)
{
    session_part(ctx);
}

static void stage_connect(void *ctx)
{
    struct session *s = ctx;
    pn_smtp_server_accept(s->smtp);
}

static void on_unknown(void *ctx, struct pn_str line)
{
    unknown_note(ctx, line);
}

static void stage_helo(void *ctx, const struct pn_smtp_helo *helo)
{
    struct session *s = ctx;
    unknown_helo(s);
    txn_done(s); /* what is open was begun by the name before */
    free(s->helo);
    s->helo = pn_strndup(helo->name.p, helo->name.len);
    if (s->check != NULL)
        pn_check_helo(s->check, helo->name);
    pn_smtp_server_accept(s->smtp);
}

static bool is_of(const struct session *s, const char *row)
{
    struct pn_net net;
    for (size_t i = 0; pn_policy_net_at(s->gen->policy, row, i, &net); i++)
        if (pn_net_has(&net, &s->ip))
            return true;
    return false;
}

static bool normalizes(const struct session *s)
{
    return is_of(s, "smtp.normalize");
}

/* What is offered to users depends on the session's TLS. */
static void fill_config(struct session *s)
{
    if (!session_submits(s))
        return;
    s->smtp_config = s->gen->smtp[normalizes(s)];
    s->smtp_config.auth = auth_words(s);
    s->smtp_config.auth_needed = true;
}

static const struct pn_smtp_server_config *config_of(const struct session *s)
{
    const struct edge_generation *g = s->gen;
    if (session_submits(s))
        return &s->smtp_config;
    return &(s->kind == PN_LISTEN_LMTP ? g->lmtp : g->smtp)[normalizes(s)];
}

/* A transaction begins: by the newest generation. */
static void renew(struct session *s)
{
    if (s->gen == s->edge->gen)
        return;
    edge_fate(s, PN_FATE_DROPPED);
    pn_check_free(&s->check); /* its plan is the old one's */
    edge_generation_unref(&s->gen);
    s->gen = s->edge->gen;
    s->gen->refs++;
    fill_config(s);
    pn_smtp_server_configure(s->smtp, config_of(s));
}

static void stage_mail(void *ctx, const struct pn_smtp_mail *mail)
{
    renew(ctx);
    txn_mail(ctx, mail);
}

static void stage_rcpt(void *ctx, const struct pn_smtp_rcpt *rcpt)
{
    txn_rcpt(ctx, rcpt);
}

static void stage_data(void *ctx)
{
    content_begin(((struct session *)ctx)->txn);
}

static void stage_content(void *ctx)
{
    txn_content(ctx);
}

static void stage_auth(void *ctx, const struct pn_smtp_auth *auth)
{
    auth_begin(ctx, auth);
}

static void stage_auth_response(void *ctx, struct pn_str response)
{
    auth_response(ctx, response);
}

static void on_auth_cancel(void *ctx)
{
    auth_cancel(ctx);
}

static void stage_starttls(void *ctx)
{
    struct session *s = ctx;
    pn_smtp_server_accept(s->smtp);
}

static void start_tls(struct session *s)
{
    s->tls_due = true;
    turn_handshake(s);
    pn_stream_start_tls(s->stream, s->gen->tls, true, NULL);
}

static void stage_tls(void *ctx)
{
    start_tls(ctx);
}

static char *on_reserve(void *ctx, size_t n)
{
    return content_reserve(((struct session *)ctx)->txn, n);
}

static void on_commit(void *ctx, size_t n)
{
    content_commit(((struct session *)ctx)->txn, n);
}

static void on_done(void *ctx)
{
    txn_done(ctx);
}

/* The engine refused by itself: worth a line where it ended a message (bare LF, size). */
static void on_refused(void *ctx, struct pn_str command, const struct pn_smtp_reply *reply)
{
    struct session *s = ctx;
    struct pn_buf b;
    if (s->txn == NULL || s->txn->rcpt_count == 0 || pn_str_eq(command, PN_STR("RCPT")))
        return;
    pn_buf_init(&b, PN_REPLY_MAX);
    (void)(pn_buf_adds(&b, command) && pn_buf_addz(&b, ": "));
    pn_smtp_reply_print(&b, reply);
    event_session(s, "refused", pn_buf_str(&b));
    pn_buf_fini(&b);
}

static const struct pn_smtp_server_ops smtp_ops = {.write = on_write,
                                                   .resume = on_resume,
                                                   .close = on_engine_close,
                                                   .connect = stage_connect,
                                                   .helo = stage_helo,
                                                   .mail = stage_mail,
                                                   .rcpt = stage_rcpt,
                                                   .data = stage_data,
                                                   .content = stage_content,
                                                   .starttls = stage_starttls,
                                                   .auth = stage_auth,
                                                   .auth_response = stage_auth_response,
                                                   .auth_cancel = on_auth_cancel,
                                                   .tls = stage_tls,
                                                   .reserve = on_reserve,
                                                   .commit = on_commit,
                                                   .done = on_done,
                                                   .unknown = on_unknown,
                                                   .refused = on_refused};

/* Greets: from here on the engine has the bytes. */
static void greet(struct session *s)
{
    static const struct pn_smtp_reply early = {
        554, {5, 5, 0}, PN_STR_INIT("You spoke before the greeting")};
    pn_timer_free(&s->timer);
    s->started = true;
    if (s->tls_on)
        pn_smtp_server_tls(s->smtp);
    if (s->early_talker && !s->gen->early_talkers) {
        event_session(s, "early-talker", PN_STR("input before the greeting"));
        pn_smtp_server_drop(s->smtp, &early);
        return;
    }
    pn_smtp_server_start(s->smtp);
}

static void on_greeting_due(void *arg)
{
    struct session *s = arg;
    bool gone = false;
    s->gone = &gone;
    greet(s);
    if (!gone) {
        s->gone = NULL;
        turn_settle(s, true);
    }
}

/* Makes the engine, and greets now or in a while. */
static void begin(struct session *s)
{
    fill_config(s);
    s->smtp = pn_smtp_server_new(config_of(s), &smtp_ops, s);
    if (s->gen->greet_delay_ms == 0 || s->kind == PN_LISTEN_LMTP ||
        is_of(s, "smtp.greet-at-once")) {
        greet(s);
        return;
    }
    s->timer = pn_timer_new(s->edge->loop, on_greeting_due, s);
    pn_timer_set(s->timer, s->gen->greet_delay_ms);
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct session *s = ctx;
    bool gone = false; /* QUIT, a 421: the session frees itself */
    if (!s->started) {
        s->early_talker = true;
        if (!s->gen->early_talkers)
            return bytes.len;       /* refused for it: none of it is kept */
        pn_stream_pause(s->stream); /* the greeting's turn resumes it */
        return 0;
    }
    turn_uncount(s);
    s->gone = &gone;
    size_t used = pn_smtp_server_input(s->smtp, bytes);
    if (gone)
        return 0;
    s->gone = NULL;
    turn_next(s, bytes.len - used, false);
    return used;
}

static void on_drained(void *ctx)
{
    struct session *s = ctx;
    if (s->started && !s->tls_due)
        turn_next(s, pn_stream_kept(s->stream), false);
}

static void on_tls(void *ctx)
{
    struct session *s = ctx;
    s->tls_due = false;
    s->tls_on = true;
    unknown_forget(s); /* what was said in the clear may be anybody's (RFC 3207, section 4.2) */
    const struct pn_check_tls info = session_tls(s);
    if (s->check != NULL)
        pn_check_tls(s->check, &info);
    if (s->smtp == NULL) {
        begin(s);
    } else {
        free(s->helo);
        s->helo = NULL;
        fill_config(s);
        pn_smtp_server_tls(s->smtp);
    }
    turn_settle(s, true);
}

void session_closed(void *ctx, enum pn_close how, const char *why)
{
    struct session *s = ctx;
    if (how == PN_CLOSE_TLS)
        event_session(s, "tls-failed", pn_str_of(why));
    session_free(s);
}

void session_timed_out(void *ctx)
{
    struct session *s = ctx;
    if (s->tls_due)
        event_session(s, "tls-failed", PN_STR("the handshake took too long"));
    if (!s->started || s->tls_due)
        session_free(s);
    else if (s->access != NULL)
        access_timeout(s);
    else
        turn_timeout(s);
}

static const struct pn_stream_ops stream_ops = {.on_read = on_read,
                                                .on_drained = on_drained,
                                                .on_tls = on_tls,
                                                .on_close = session_closed,
                                                .on_timeout = session_timed_out};

struct session *session_new(struct edge *edge, enum pn_listen_kind kind)
{
    struct session *s = pn_calloc(1, sizeof *s);
    s->edge = edge;
    s->gen = edge->gen;
    s->gen->refs++;
    s->fd = -1;
    s->kind = kind;
    s->number = ++edge->sessions_total;
    s->began_ns = pn_loop_now(edge->loop);
    s->next = edge->sessions;
    s->prev = &edge->sessions;
    if (s->next != NULL)
        s->next->prev = &s->next;
    edge->sessions = s;
    edge->session_count++;
    return s;
}

/* Bytes are there already: who speaks SMTP waits for our greeting. */
static bool has_spoken(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void session_open(struct session *s, int fd, bool tls_first)
{
    /* Behind a balancer it may be that one's doing (a health check does not wait), and with
     * TLS it is the handshake. */
    bool early = !tls_first && !s->proxied && has_spoken(fd);
    s->stream = pn_stream_new(s->edge->loop, fd, &stream_ops, s,
                              (struct pn_stream_limits){KEEP_MAX, WRITE_MAX});
    pn_stream_timeout(s->stream, s->gen->command_ms);
    s->early_talker = early;
    if (tls_first)
        start_tls(s);
    else
        begin(s);
}

/* All of it but its stream; where it is counted. */
static struct place *forget(struct session *s)
{
    struct edge *edge = s->edge;
    if (s->gone != NULL)
        *s->gone = true;
    txn_done(s);
    if (s->next != NULL)
        s->next->prev = s->prev;
    *s->prev = s->next;
    edge->session_count--;
    edge_fate(s, PN_FATE_DROPPED);
    pn_check_free(&s->check);
    pn_timer_free(&s->timer);
    pn_watch_free(&s->proxy_watch);
    pn_smtp_server_free(&s->smtp);
    if (s->fd >= 0)
        (void)close(s->fd);
    free(s->helo);
    unknown_forget(s);
    auth_forget(s);
    access_forget(s);
    client_name_forget(s);
    turn_uncount(s);
    struct place *place = session_place(s);
    edge_generation_unref(&s->gen);
    free(s);
    return place;
}

void session_free(struct session *s)
{
    struct edge *edge = s->edge;
    struct pn_stream *stream = s->stream;
    struct place *place = forget(s);
    pn_stream_free(&stream);
    place_leave(place);
    edge_stop_if_idle(edge);
}

void session_part(struct session *s)
{
    struct edge *edge = s->edge;
    struct pn_stream *stream = s->stream;
    struct place *place = forget(s);
    pn_stream_close_then(&stream, place_leave, place);
    edge_stop_if_idle(edge);
}

void edge_stop_if_idle(struct edge *edge)
{
    if (edge->draining && edge->sessions == NULL && edge->relays == NULL)
        pn_loop_stop(edge->loop);
}

void session_drain(struct session *s)
{
    if (s->access != NULL)
        access_drain(s);
    else if (s->smtp == NULL || !s->started)
        session_free(s);
    else
        (void)turn_part(s);
}
