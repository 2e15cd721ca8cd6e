/*
 * Users who come for their mail, by IMAP or POP3, until they are in: the engine before login
 * (login_engine.h) speaks, auth judges, and the session goes to the user's mailbox worker, which
 * auth has told of him (pass.h). A plain connection goes as it is; one with TLS stays here and is
 * relayed. What the client sent behind its login goes along.
 */
#include "edge.h"

#include "clock.h"
#include "log.h"
#include "login_engine.h"
#include "mem.h"
#include "pass.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WRITE_MAX = 64 * 1024, KEEP_MAX = PN_LOGIN_INPUT_MAX, UNREAD_MAX = 8192 };
enum { FAILURES_MAX = 10, COMMANDS_MAX = 200 };

struct access {
    struct session *s;
    struct access *next; /* of those that are being handed over */
    struct pn_login *engine;
    struct pn_login_config config;
    uint64_t end_ns; /* he is in by then */
    /* Once auth let him in: */
    unsigned char token[PN_PASS_TOKEN];
    uint32_t worker;
    char *user;
    uint64_t id;             /* of the SESSION that is not answered yet; 0: none */
    struct pn_stream *inner; /* our end of the pair, of a session with TLS */
    struct pn_timer *timer;
};

bool session_reads(const struct session *s)
{
    return s->kind >= PN_LISTEN_IMAP && s->kind <= PN_LISTEN_POP3S;
}

static bool is_imap(const struct session *s)
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
    struct session *s = a->s;
    pn_stream_close(&s->stream);
    session_free(s);
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

/* ---- handing over ---- */

static void unlist(struct access *a)
{
    if (a->id == 0)
        return;
    struct access **at = &a->s->edge->handing;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->id = 0;
    pn_timer_clear(a->timer);
}

/* The client is told to try again, and may, but where we stop. */
static void not_taken(struct access *a, const char *why)
{
    unlist(a);
    pn_stream_free(&a->inner);
    event_session(a->s, "mailbox-refused", pn_str_of(why));
    if (a->s->edge->draining)
        pn_login_drop(a->engine, PN_LOGIN_SHUTDOWN);
    else
        pn_login_said(a->engine, PN_LOGIN_BUSY);
}

static void on_late(void *arg)
{
    not_taken(arg, "the mailbox worker did not answer in time");
}

static void fill(const struct access *a, struct pn_str tag, const char *name,
                 struct pn_session *out)
{
    const struct session *s = a->s;
    const struct pn_check_tls tls = session_tls(s);
    *out = (struct pn_session){.id = a->id,
                               .service = is_imap(s) ? PN_SASL_IMAP : PN_SASL_POP3,
                               .user = pn_str_of(a->user),
                               .session = pn_str_of(name),
                               .tag = tag,
                               .ip = s->ip,
                               .port = s->port,
                               .relayed = s->tls_on,
                               .tls = tls.version,
                               .cipher = tls.cipher,
                               .ahead = pn_stream_kept_bytes(s->stream)};
    memcpy(out->token, a->token, sizeof out->token);
}

static bool send_session(struct access *a, struct pn_str tag, int fd)
{
    struct pn_channel *to =
        a->worker < EDGE_MAILBOXES_MAX ? a->s->edge->mailboxes[a->worker].channel : NULL;
    struct pn_session session;
    struct pn_buf body;
    char name[32];
    if (to == NULL)
        return false;
    fill(a, tag, session_name(a->s, name), &session);
    pn_buf_init(&body, 2 * PN_SESSION_AHEAD_MAX);
    pn_session_put(&body, &session);
    bool sent = session.ahead.len <= PN_SESSION_AHEAD_MAX && !body.overflow &&
                pn_handover_send(to, PN_REC_SESSION, pn_buf_str(&body), fd);
    pn_sasl_wipe(pn_buf_str(&body));
    pn_buf_fini(&body);
    return sent;
}

/* The descriptor that goes to the worker; it is the caller's to close if that is not our own. */
static int its_end(struct access *a)
{
    int pair[2];
    if (!a->s->tls_on)
        return pn_stream_fd(a->s->stream);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    a->inner = relay_inner(a->s->edge, pair[0]);
    return pair[1];
}

static void on_hand_over(void *ctx, struct pn_str tag)
{
    struct access *a = ctx;
    struct edge *edge = a->s->edge;
    int fd = its_end(a);
    a->id = ++edge->next_token;
    a->next = edge->handing;
    edge->handing = a;
    if (a->timer == NULL)
        a->timer = pn_timer_new(edge->loop, on_late, a);
    pn_timer_set(a->timer, PN_SESSION_WAIT_MS);
    bool sent = fd >= 0 && send_session(a, tag, fd);
    explicit_bzero(a->token, sizeof a->token);
    if (fd >= 0 && a->s->tls_on)
        (void)close(fd);
    if (!sent)
        not_taken(a, "no mailbox worker takes it now");
}

/* It is the worker's now. */
static void gone_over(struct access *a)
{
    struct session *s = a->s;
    unlist(a);
    if (a->inner != NULL)
        relay_begin(s->edge, &s->stream, &a->inner, s->gen->data_ms);
    if (s->edge->draining)
        relays_drain(s->edge);
    session_free(s); /* our own descriptor of a plain connection goes with it */
}

bool access_taken(struct edge *edge, unsigned mailbox, struct pn_str body)
{
    static const char *const why[PN_SESSION_WORDS] = {
        [PN_SESSION_TAKEN] = "",
        [PN_SESSION_NO_PASS] = "the mailbox worker does not know of the login",
        [PN_SESSION_TOO_MANY] = "too many sessions",
        [PN_SESSION_ENDING] = "the mailbox worker ends",
        [PN_SESSION_LOST] = "the mailbox worker has no descriptor left"};
    struct pn_session_taken taken;
    if (!pn_session_taken_get(body, &taken))
        return false;
    for (struct access *a = edge->handing; a != NULL; a = a->next) {
        if (a->id != taken.id || a->worker != mailbox)
            continue;
        if (taken.word == PN_SESSION_TAKEN)
            gone_over(a);
        else
            not_taken(a, why[taken.word]);
        break;
    }
    return true; /* who waited may be gone */
}

void access_mailbox_gone(struct edge *edge, unsigned mailbox)
{
    for (struct access *a = edge->handing, *next; a != NULL; a = next) {
        next = a->next;
        if (a->worker == mailbox)
            not_taken(a, "the mailbox worker ended");
    }
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
                                            .hand_over = on_hand_over};
    struct session *s = a->s;
    configure(a);
    a->engine = pn_login_new(is_imap(s) ? PN_LOGIN_IMAP : PN_LOGIN_POP3, &a->config, &ops, a);
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
    if (s->started && !s->tls_due)
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

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct session *s = ctx;
    if (how == PN_CLOSE_TLS)
        event_session(s, "tls-failed", pn_str_of(why));
    session_free(s);
}

static void on_timeout(void *ctx)
{
    struct session *s = ctx;
    if (s->tls_due)
        event_session(s, "tls-failed", PN_STR("the handshake took too long"));
    if (s->started && !s->tls_due)
        pn_login_drop(s->access->engine, PN_LOGIN_TIMEOUT);
    else
        session_free(s);
}

void access_open(struct session *s, int fd, bool tls_first)
{
    static const struct pn_stream_ops ops = {.on_read = on_read,
                                             .on_drained = on_drained,
                                             .on_tls = on_tls,
                                             .on_close = on_close,
                                             .on_timeout = on_timeout};
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
    unlist(a);
    s->access = NULL;
    pn_login_free(&a->engine);
    pn_stream_free(&a->inner);
    pn_timer_free(&a->timer);
    explicit_bzero(a->token, sizeof a->token);
    free(a->user);
    free(a);
}
