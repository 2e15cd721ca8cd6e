/*
 * Users who come for their mail, by IMAP or POP3, until they are in: the engine before login
 * (login_engine.h) speaks, auth judges, and the session is handed over (access_hand.c).
 */
#include "access.h"

#include "clock.h"
#include "log.h"
#include "login_engine.h"
#include "mem.h"

#include <stdlib.h>

enum { WRITE_MAX = 64 * 1024, KEEP_MAX = PN_LOGIN_INPUT_MAX, UNREAD_MAX = 8192 };
enum { FAILURES_MAX = 10, COMMANDS_MAX = 200 };

bool session_reads(const struct session *s)
{
    return s->kind >= PN_LISTEN_IMAP && s->kind <= PN_LISTEN_POP3S;
}

bool access_is_imap(const struct session *s)
{
    return s->kind == PN_LISTEN_IMAP || s->kind == PN_LISTEN_IMAPS;
}

struct pn_str access_refusal(enum pn_listen_kind kind, bool ours)
{
    bool imap = kind == PN_LISTEN_IMAP || kind == PN_LISTEN_IMAPS;
    if (imap)
        return ours ? PN_STR("* BYE [UNAVAILABLE] Try again in a moment\r\n")
                    : PN_STR("* BYE [UNAVAILABLE] Too many connections, try again later\r\n");
    return ours ? PN_STR("-ERR [SYS/TEMP] Try again in a moment\r\n")
                : PN_STR("-ERR [SYS/TEMP] Too many connections, try again later\r\n");
}

/* ---- what the engine wants ---- */

/* Whose turn is it? A client that reads nothing is not read. */
static void settle(struct access *a)
{
    const struct pn_login_info *info = pn_login_info(a->engine);
    if (info->waiting || pn_stream_pending(a->s->stream) > UNREAD_MAX)
        pn_stream_pause(a->s->stream);
    else
        pn_stream_resume(a->s->stream);
}

static bool on_write(void *ctx, struct pn_str bytes)
{
    struct access *a = ctx;
    (void)pn_stream_write(a->s->stream, bytes);
    return pn_stream_pending(a->s->stream) <= UNREAD_MAX;
}

static void on_resume(void *ctx)
{
    settle(ctx);
}

static void on_engine_close(void *ctx)
{
    struct access *a = ctx;
    session_part(a->s);
}

static void start_tls(struct session *s)
{
    struct access *a = s->access;
    uint64_t due = pn_loop_now(s->edge->loop) + s->gen->handshake_ms * PN_NS_PER_MS;
    s->tls_due = true;
    pn_stream_timeout(s->stream, 0);
    pn_stream_deadline(s->stream, due < a->end_ns ? due : a->end_ns);
    pn_stream_start_tls(s->stream, s->gen->tls, true, NULL);
}

static void on_starttls(void *ctx)
{
    struct access *a = ctx;
    start_tls(a->s);
}

static void on_sasl(void *ctx, struct pn_str mechanism, bool has_initial, struct pn_str initial)
{
    struct access *a = ctx;
    const struct pn_smtp_auth auth = {mechanism, has_initial, initial};
    auth_begin(a->s, &auth);
}

static void on_password(void *ctx, struct pn_str user, struct pn_str password)
{
    struct pn_buf message;
    pn_buf_init(&message, PN_SASL_MESSAGE_MAX);
    (void)pn_buf_reserve(&message, user.len + password.len + 2); /* at once: it is a secret */
    if (pn_sasl_plain(&message, user, password))
        on_sasl(ctx, PN_STR("PLAIN"), true, pn_buf_str(&message));
    else
        pn_login_said(((struct access *)ctx)->engine, PN_LOGIN_REFUSED);
    pn_sasl_wipe(pn_buf_str(&message));
    pn_buf_fini(&message);
}

static void on_response(void *ctx, struct pn_str message)
{
    struct access *a = ctx;
    auth_response(a->s, message);
}

static void on_cancel(void *ctx)
{
    struct access *a = ctx;
    auth_cancel(a->s);
}

/* ---- what auth says ---- */

bool access_binds(const struct session *s)
{
    return s->access->config.mechanisms.p != NULL &&
           pn_str_starts(s->access->config.mechanisms, PN_STR("SCRAM-SHA-256-PLUS"));
}

void access_challenge(struct session *s, struct pn_str message)
{
    pn_login_challenge(s->access->engine, message);
}

void access_said(struct session *s, enum pn_sasl_status status)
{
    static const enum pn_login_status said[PN_SASL_STATUSES] = {
        [PN_SASL_CHALLENGE] = PN_LOGIN_BUSY,      [PN_SASL_OK] = PN_LOGIN_OK,
        [PN_SASL_REFUSED] = PN_LOGIN_REFUSED,     [PN_SASL_SHUT] = PN_LOGIN_SHUT,
        [PN_SASL_MALFORMED] = PN_LOGIN_MALFORMED, [PN_SASL_BUSY] = PN_LOGIN_BUSY};
    pn_login_said(s->access->engine, said[status]);
}

bool access_admit(struct session *s, const struct pn_sasl_said *said)
{
    struct access *a = s->access;
    if (said->token.len != PN_PASS_TOKEN)
        return false;
    memcpy(a->token, said->token.p, sizeof a->token);
    a->worker = said->worker;
    free(a->user);
    a->user = pn_strndup(said->user.p, said->user.len);
    return true;
}

/* ---- the connection ---- */

static void configure(struct access *a)
{
    const struct session *s = a->s;
    bool plain = s->gen->plain_login && pn_ip_is_loopback(&s->ip) && !s->tls_on;
    a->config =
        (struct pn_login_config){.name = s->gen->hostname,
                                 .mechanisms = s->tls_on || plain ? auth_words(s) : PN_STR(""),
                                 .starttls = s->gen->tls != NULL,
                                 .failures_max = FAILURES_MAX,
                                 .errors_max = s->gen->smtp[0].error_max,
                                 .commands_max = COMMANDS_MAX};
}

static void begin(struct access *a)
{
    static const struct pn_login_ops ops = {.write = on_write,
                                            .resume = on_resume,
                                            .close = on_engine_close,
                                            .tls = on_starttls,
                                            .password = on_password,
                                            .sasl = on_sasl,
                                            .response = on_response,
                                            .cancel = on_cancel,
                                            .hand_over = access_hand_over};
    struct session *s = a->s;
    configure(a);
    a->engine =
        pn_login_new(access_is_imap(s) ? PN_LOGIN_IMAP : PN_LOGIN_POP3, &a->config, &ops, a);
    s->started = true;
    if (s->tls_on)
        pn_login_tls(a->engine);
    pn_login_start(a->engine);
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct session *s = ctx;
    bool gone = false; /* LOGOUT: the session frees itself */
    s->gone = &gone;
    size_t used = pn_login_input(s->access->engine, bytes);
    if (gone)
        return 0;
    s->gone = NULL;
    if (used != 0)
        pn_sasl_wipe(pn_str_slice(bytes, 0, used));
    if (!s->tls_due)
        settle(s->access);
    return used;
}

static void on_drained(void *ctx)
{
    struct session *s = ctx;
    if (s->started && !s->tls_due && !access_hand_on(s->access))
        settle(s->access);
}

/* All of it is one time, however small the pieces that come. */
static void run_time(struct session *s)
{
    pn_stream_timeout(s->stream, s->gen->command_ms);
    pn_stream_deadline(s->stream, s->access->end_ns);
}

static void on_tls(void *ctx)
{
    struct session *s = ctx;
    s->tls_due = false;
    s->tls_on = true;
    run_time(s);
    if (s->access->engine == NULL) {
        begin(s->access);
        return;
    }
    configure(s->access);
    pn_login_configure(s->access->engine, &s->access->config);
    pn_login_tls(s->access->engine);
    settle(s->access);
}

void access_timeout(struct session *s)
{
    pn_login_drop(s->access->engine, PN_LOGIN_TIMEOUT);
}

void access_open(struct session *s, int fd, bool tls_first)
{
    static const struct pn_stream_ops ops = {.on_read = on_read,
                                             .on_drained = on_drained,
                                             .on_tls = on_tls,
                                             .on_close = session_closed,
                                             .on_timeout = session_timed_out};
    struct access *a = pn_calloc(1, sizeof *a);
    a->s = s;
    a->end_ns = pn_loop_now(s->edge->loop) + s->gen->login_ms * PN_NS_PER_MS;
    s->access = a;
    s->stream =
        pn_stream_new(s->edge->loop, fd, &ops, s, (struct pn_stream_limits){KEEP_MAX, WRITE_MAX});
    run_time(s);
    if (tls_first)
        start_tls(s);
    else
        begin(a);
}

void access_drain(struct session *s)
{
    if (!s->started || s->tls_due)
        session_free(s);
    else if (s->access->id == 0)
        pn_login_drop(s->access->engine, PN_LOGIN_SHUTDOWN);
}

void access_forget(struct session *s)
{
    struct access *a = s->access;
    if (a == NULL)
        return;
    access_unlist(a);
    s->access = NULL;
    pn_login_free(&a->engine);
    pn_stream_free(&a->inner);
    pn_timer_free(&a->timer);
    explicit_bzero(a->token, sizeof a->token);
    free(a->tag);
    free(a->user);
    free(a);
}
