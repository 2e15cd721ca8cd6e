/* One client connection: its socket, TLS, PROXY header, and SMTP engine. */
#include "edge.h"

#include "log.h"
#include "mem.h"
#include "proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WRITE_MAX = 256 * 1024, KEEP_MAX = 64 * 1024 };

static void on_write(void *ctx, struct pn_str bytes)
{
    struct session *s = ctx;
    (void)pn_stream_write(s->stream, bytes);
}

/* While the engine waits for an answer of ours the client waits too, and no timeout runs. */
static void settle_reading(struct session *s)
{
    const struct pn_smtp_server_info *info = pn_smtp_server_info(s->smtp);
    if (info->waiting) {
        pn_stream_pause(s->stream);
    } else {
        pn_stream_timeout(s->stream, info->content ? s->gen->data_ms : s->gen->command_ms);
        pn_stream_resume(s->stream);
    }
}

static void on_resume(void *ctx)
{
    struct session *s = ctx;
    settle_reading(s);
    if (s->edge->draining)
        session_drain(s);
}

static void on_engine_close(void *ctx)
{
    struct session *s = ctx;
    pn_stream_close(&s->stream);
    session_free(s);
}

static void stage_connect(void *ctx)
{
    struct session *s = ctx;
    pn_smtp_server_accept(s->smtp);
}

static void stage_helo(void *ctx, const struct pn_smtp_helo *helo)
{
    struct session *s = ctx;
    free(s->helo);
    s->helo = pn_strndup(helo->name.p, helo->name.len);
    if (s->check != NULL)
        pn_check_helo(s->check, helo->name);
    pn_smtp_server_accept(s->smtp);
}

static void stage_mail(void *ctx, const struct pn_smtp_mail *mail)
{
    txn_mail(ctx, mail);
}

static void stage_rcpt(void *ctx, const struct pn_smtp_rcpt *rcpt)
{
    txn_rcpt(ctx, rcpt);
}

static void stage_data(void *ctx)
{
    txn_data(ctx);
}

static void stage_content(void *ctx)
{
    txn_content(ctx);
}

static void stage_starttls(void *ctx)
{
    struct session *s = ctx;
    pn_smtp_server_accept(s->smtp);
}

static void start_tls(struct session *s)
{
    s->tls_due = true;
    pn_stream_timeout(s->stream, s->gen->handshake_ms);
    pn_stream_start_tls(s->stream, s->gen->tls, true, NULL);
}

static void stage_tls(void *ctx)
{
    start_tls(ctx);
}

static char *on_reserve(void *ctx, size_t n)
{
    return txn_reserve(ctx, n);
}

static void on_commit(void *ctx, size_t n)
{
    txn_commit(ctx, n);
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
    if (s->txn == NULL || s->txn->rcpt_count == 0)
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
                                                   .tls = stage_tls,
                                                   .reserve = on_reserve,
                                                   .commit = on_commit,
                                                   .done = on_done,
                                                   .refused = on_refused};

/* Greets: from here on the engine has the bytes. */
static void greet(struct session *s)
{
    static const struct pn_smtp_reply early = {
        554, {5, 5, 0}, PN_STR_INIT("You spoke before the greeting")};
    pn_timer_free(&s->greeting);
    s->started = true;
    if (s->tls_on)
        pn_smtp_server_tls(s->smtp);
    if (s->early_talker && s->gen->greet_delay_ms != 0) {
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
        settle_reading(s);
    }
}

static bool normalizes(const struct session *s)
{
    struct pn_net net;
    for (size_t i = 0; pn_policy_net_at(s->gen->policy, "smtp.normalize", i, &net); i++)
        if (pn_net_has(&net, &s->ip))
            return true;
    return false;
}

static bool is_exempt(const struct session *s)
{
    struct pn_net net;
    for (size_t i = 0; pn_policy_net_at(s->gen->policy, "limits.exempt", i, &net); i++)
        if (pn_net_has(&net, &s->ip))
            return true;
    return false;
}

/* The client's address is known: is one more session from there too much? */
static bool enter(struct session *s)
{
    if (!s->counted || is_exempt(s))
        return true;
    enum pn_limit limit = pn_limits_enter(s->edge->limits, &s->gen->limits, &s->ip,
                                          pn_loop_now(s->edge->loop), &s->ticket);
    s->limited = limit == PN_LIMIT_NONE;
    if (!s->limited)
        event_session(s, "limited", pn_str_of(pn_limit_name(limit)));
    return s->limited;
}

/* Makes the engine, and greets now or in a while. */
static void begin(struct session *s)
{
    static const struct pn_smtp_reply too_many =
        PN_SMTP_REPLY_INIT(421, 4, 7, 0, "Too many connections from you, try again later");
    s->smtp = pn_smtp_server_new(&s->gen->smtp[normalizes(s)], &smtp_ops, s);
    if (!enter(s)) {
        s->started = true;
        pn_smtp_server_drop(s->smtp, &too_many);
        return;
    }
    if (s->gen->greet_delay_ms == 0) {
        greet(s);
        return;
    }
    s->greeting = pn_timer_new(s->edge->loop, on_greeting_due, s);
    pn_timer_set(s->greeting, s->gen->greet_delay_ms);
}

/* The connection is ours to speak on: TLS first where the port says so. */
static void open_up(struct session *s)
{
    if (s->listen.kind == PN_LISTEN_SMTPS || s->listen.kind == PN_LISTEN_SUBMISSIONS)
        start_tls(s);
    else
        begin(s);
}

/* The PROXY header: bytes used, 0 for more, SIZE_MAX when the session is gone. */
static size_t read_proxy(struct session *s, struct pn_str bytes)
{
    struct pn_proxy proxy;
    enum pn_proxy_status status = pn_proxy_parse(bytes, &proxy);
    if (status == PN_PROXY_MORE)
        return 0;
    if (status != PN_PROXY_OK) {
        event_session(s, "proxy-refused", PN_STR("no PROXY header where one must be"));
        session_free(s);
        return SIZE_MAX;
    }
    if (!proxy.local) {
        s->ip = proxy.source;
        s->port = proxy.source_port;
    }
    s->proxy_due = false;
    open_up(s);
    return proxy.len;
}

static size_t take_input(struct session *s, struct pn_str bytes)
{
    size_t at = 0;
    if (s->proxy_due) {
        at = read_proxy(s, bytes);
        /* With implicit TLS what follows is the handshake's: it must stay in the stream. */
        if (at == 0 || at == SIZE_MAX || s->tls_due)
            return at;
    }
    if (!s->started) {
        s->early_talker = s->early_talker || at < bytes.len;
        return at;
    }
    return at + pn_smtp_server_input(s->smtp, pn_str_slice(bytes, at, bytes.len));
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct session *s = ctx;
    bool gone = false; /* QUIT, a 421, a bad header: the session frees itself */
    s->gone = &gone;
    size_t used = take_input(s, bytes);
    if (gone)
        return 0;
    s->gone = NULL;
    if (s->started)
        settle_reading(s);
    return used;
}

static void on_tls(void *ctx)
{
    struct session *s = ctx;
    s->tls_due = false;
    s->tls_on = true;
    if (s->check != NULL)
        pn_check_tls(s->check);
    if (s->smtp == NULL) {
        begin(s);
    } else {
        free(s->helo);
        s->helo = NULL;
        pn_smtp_server_tls(s->smtp);
    }
    settle_reading(s);
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    static const struct pn_smtp_reply timeout = {
        421, {4, 4, 2}, PN_STR_INIT("Timeout, closing the connection")};
    struct session *s = ctx;
    if (how == PN_CLOSE_TLS)
        event_session(s, "tls-failed", pn_str_of(why));
    if (how == PN_CLOSE_TIMEOUT && s->started && !s->tls_due) {
        struct pn_buf b;
        pn_buf_init(&b, PN_SMTP_REPLY_MAX);
        pn_smtp_reply_put(&b, &timeout, true);
        /* The stream is dead to us; the kernel may still take a last line. */
        if (!s->tls_on && write(pn_stream_fd(s->stream), b.p, b.len) < 0)
            pn_debug("session %" PRIu64 ": no last word", s->number);
        pn_buf_fini(&b);
    }
    session_free(s);
}

static const struct pn_stream_ops stream_ops = {
    .on_read = on_read, .on_tls = on_tls, .on_close = on_close};

/* Does this peer have to send a PROXY header? */
static bool proxies(const struct session *s, uint32_t row)
{
    for (uint32_t i = 0; i < s->listen.proxy_count; i++) {
        struct pn_net net = pn_policy_listen_proxy(s->gen->policy, row, i);
        if (pn_net_has(&net, &s->ip))
            return true;
    }
    return false;
}

/* One line, and the connection goes: nothing was allocated for it. */
static void refuse(int fd, const char *line)
{
    ssize_t n = write(fd, line, strlen(line));
    (void)n;
    (void)close(fd);
}

void session_accept(struct edge_listener *listener, int fd, const struct sockaddr *peer)
{
    struct edge *edge = listener->edge;
    if (edge->draining) {
        refuse(fd, "421 4.3.2 Shutting down, try again in a moment\r\n");
        return;
    }
    if (edge->limits != NULL &&
        !pn_cap_take(edge->limits, PN_CAP_SESSIONS, 1, edge->gen->sessions_max)) {
        refuse(fd, "421 4.3.2 Too many connections, try again later\r\n");
        return;
    }
    struct session *s = pn_calloc(1, sizeof *s);
    s->edge = edge;
    s->gen = edge->gen;
    s->gen->refs++;
    s->counted = edge->limits != NULL;
    s->listen = listener->listen;
    s->number = ++edge->sessions_total;
    s->next = edge->sessions;
    s->prev = &edge->sessions;
    if (s->next != NULL)
        s->next->prev = &s->next;
    edge->sessions = s;
    edge->session_count++;
    s->stream = pn_stream_new(edge->loop, fd, &stream_ops, s,
                              (struct pn_stream_limits){KEEP_MAX, WRITE_MAX});
    if (!pn_endpoint_of_sockaddr(peer, &s->ip, &s->port)) {
        session_free(s);
        return;
    }
    s->proxy_due = proxies(s, listener->row);
    pn_stream_timeout(s->stream, s->proxy_due ? s->gen->proxy_ms : s->gen->command_ms);
    if (!s->proxy_due)
        open_up(s);
}

void session_free(struct session *s)
{
    struct edge *edge = s->edge;
    if (s->gone != NULL)
        *s->gone = true;
    txn_done(s);
    if (s->next != NULL)
        s->next->prev = s->prev;
    *s->prev = s->next;
    edge->session_count--;
    pn_check_free(&s->check);
    pn_timer_free(&s->greeting);
    pn_smtp_server_free(&s->smtp);
    pn_stream_free(&s->stream);
    free(s->helo);
    if (s->limited)
        pn_limits_leave(edge->limits, &s->ticket);
    if (s->counted)
        pn_cap_give(edge->limits, PN_CAP_SESSIONS, 1);
    edge_generation_unref(&s->gen);
    free(s);
    if (edge->draining && edge->sessions == NULL)
        pn_loop_stop(edge->loop);
}

void session_drain(struct session *s)
{
    static const struct pn_smtp_reply bye = {
        421, {4, 3, 2}, PN_STR_INIT("Shutting down, try again in a moment")};
    if (s->smtp == NULL || !s->started) {
        session_free(s);
        return;
    }
    const struct pn_smtp_server_info *info = pn_smtp_server_info(s->smtp);
    if (!info->waiting && !info->mail && !s->tls_due)
        pn_smtp_server_drop(s->smtp, &bye);
}

const char *session_name(const struct session *s, char text[32])
{
    (void)snprintf(text, 32, "%u-%" PRIu64, s->edge->number, s->number);
    return text;
}

struct pn_check *session_check(struct session *s)
{
    char name[32];
    if (s->check == NULL) {
        struct pn_check_client client = {.ip = s->ip, .port = s->port, .tls = s->tls_on};
        client.id = pn_str_of(session_name(s, name));
        s->check = pn_check_new(s->edge->runner, &client);
        if (s->helo != NULL)
            pn_check_helo(s->check, pn_str_of(s->helo));
    }
    return s->check;
}
