/*
 * A session of the server engine. The first byte is flags: late answers, LMTP,
 * normalize, TLS from the first byte and AUTH asked for, how input is split; the rest is what the
 * client sends. The owner accepts or refuses by what it is given. Held after each message: no bare
 * CR or LF and no NUL is in it, and one call of `done` ends each accepted MAIL; where AUTH is asked
 * for there is no MAIL without it, and what is told of unknown commands holds no secret.
 */
#include "assert.h"
#include "server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LATE = 1, LMTP = 2, NORMALIZE = 4, SMALL = 8, SUBMISSION = 16 };

struct owner {
    struct pn_smtp_server *engine;
    struct pn_smtp_server_config config;
    struct pn_buf in, content;
    uint8_t flags;
    unsigned owed, open, challenges;
    bool exchange;
    bool refuse, tls_due, closed;
};

static const struct pn_smtp_reply no = PN_SMTP_REPLY_INIT(550, 5, 7, 1, "No\nreally not");

/* Challenges as long as the client speaks, then what it said last decides. */
static void answer_auth(struct owner *o)
{
    if (o->challenges != 0) {
        o->challenges--;
        pn_smtp_server_challenge(o->engine, PN_STR("more"));
        return;
    }
    o->exchange = false;
    if (o->refuse)
        pn_smtp_server_answer(o->engine, &no);
    else
        pn_smtp_server_accept(o->engine);
}

static void pay(struct owner *o)
{
    o->owed--;
    if (o->exchange) {
        answer_auth(o);
        return;
    }
    if (o->refuse)
        pn_smtp_server_answer(o->engine, &no);
    else
        pn_smtp_server_accept(o->engine);
}

static void give(struct owner *o, bool refuse, unsigned count)
{
    o->refuse = refuse;
    o->owed = count;
    while ((o->flags & LATE) == 0 && o->owed != 0)
        pay(o);
}

static bool on_write(void *ctx, struct pn_str bytes)
{
    struct owner *o = ctx;
    pn_assert(!o->closed && bytes.len > 2 && bytes.p[bytes.len - 1] == '\n');
    return (o->flags & SMALL) == 0;
}

static void on_resume(void *ctx)
{
    (void)ctx;
}

static void on_close(void *ctx)
{
    ((struct owner *)ctx)->closed = true;
}

static void on_accept(void *ctx)
{
    give(ctx, false, 1);
}

static void on_helo(void *ctx, const struct pn_smtp_helo *helo)
{
    give(ctx, helo->name.p[0] == '!', 1);
}

static void on_mail(void *ctx, const struct pn_smtp_mail *mail)
{
    struct owner *o = ctx;
    bool refuse = mail->from.address.len != 0 && mail->from.address.p[0] == '!';
    pn_assert(o->open == 0);
    pn_assert(!o->config.auth_needed || pn_smtp_server_info(o->engine)->auth);
    pn_assert(mail->dsn.envid.len <= PN_SMTP_ENVID_MAX);
    o->open += !refuse;
    give(o, refuse, 1);
}

static void on_rcpt(void *ctx, const struct pn_smtp_rcpt *rcpt)
{
    pn_assert(rcpt->dsn.orcpt.len == 0 || pn_smtp_orcpt_ok(rcpt->dsn.orcpt, true));
    pn_assert((rcpt->dsn.notify & PN_SMTP_NOTIFY_NEVER) == 0 ||
              rcpt->dsn.notify == PN_SMTP_NOTIFY_NEVER);
    give(ctx, rcpt->to.address.p[0] == '!', 1);
}

static void on_data(void *ctx)
{
    struct owner *o = ctx;
    pn_buf_clear(&o->content);
    give(o, false, 1);
}

static void on_content(void *ctx)
{
    struct owner *o = ctx;
    const char *p = o->content.p;
    for (size_t i = 0; i < o->content.len; i++) {
        pn_assert(p[i] != '\0');
        pn_assert(p[i] != '\n' || (i > 0 && p[i - 1] == '\r'));
        pn_assert(p[i] != '\r' || (i + 1 < o->content.len && p[i + 1] == '\n'));
    }
    const struct pn_smtp_server_info *info = pn_smtp_server_info(o->engine);
    pn_assert(info->size == o->content.len && info->size <= o->config.size_max);
    give(o, false, o->config.lmtp ? info->rcpts : 1);
}

static void on_response(void *ctx, struct pn_str response)
{
    struct owner *o = ctx;
    pn_assert(o->exchange && response.len <= PN_SMTP_AUTH_LINE_MAX / 4 * 3);
    give(o, response.len != 0 && response.p[0] == '!', 1);
}

static void on_auth(void *ctx, const struct pn_smtp_auth *auth)
{
    struct owner *o = ctx;
    const struct pn_smtp_server_info *info = pn_smtp_server_info(o->engine);
    pn_assert(info->tls && !info->auth && !info->mail);
    o->exchange = true;
    o->challenges = pn_str_eq(auth->mechanism, PN_STR("LOGIN")) ? 2 : !auth->has_initial;
    on_response(o, auth->initial);
}

static void on_auth_cancel(void *ctx)
{
    struct owner *o = ctx;
    pn_assert(o->owed == 0 && !pn_smtp_server_info(o->engine)->auth);
    o->exchange = false;
}

static void on_tls(void *ctx)
{
    ((struct owner *)ctx)->tls_due = true;
}

static char *on_reserve(void *ctx, size_t n)
{
    return pn_buf_reserve(&((struct owner *)ctx)->content, n);
}

static void on_commit(void *ctx, size_t n)
{
    ((struct owner *)ctx)->content.len += n;
}

static void on_done(void *ctx)
{
    struct owner *o = ctx;
    pn_assert(o->open == 1);
    o->open = 0;
}

static void on_unknown(void *ctx, struct pn_str line)
{
    (void)ctx;
    pn_assert(line.len < PN_SMTP_LINE_MAX);
    if (pn_str_istarts(line, PN_STR("AUTH ")))
        pn_assert(pn_str_find(pn_str_trim(pn_str_slice(line, 5, line.len)), ' ', 0) == SIZE_MAX);
    for (size_t i = 0; i < line.len; i++)
        pn_assert((unsigned char)line.p[i] >= ' ' && line.p[i] != 127);
}

static void on_refused(void *ctx, struct pn_str command, const struct pn_smtp_reply *reply)
{
    (void)ctx;
    (void)command;
    pn_assert(pn_smtp_reply_check(reply) == NULL);
}

static const struct pn_smtp_server_ops ops = {
    .write = on_write,
    .resume = on_resume,
    .close = on_close,
    .connect = on_accept,
    .helo = on_helo,
    .mail = on_mail,
    .rcpt = on_rcpt,
    .data = on_data,
    .content = on_content,
    .starttls = on_accept,
    .tls = on_tls,
    .auth = on_auth,
    .auth_response = on_response,
    .auth_cancel = on_auth_cancel,
    .reserve = on_reserve,
    .commit = on_commit,
    .done = on_done,
    .unknown = on_unknown,
    .refused = on_refused,
};

static void settle(struct owner *o)
{
    for (;;) {
        if (o->owed != 0 && !o->closed) {
            pay(o);
        } else if (o->tls_due) {
            o->tls_due = false;
            pn_smtp_server_tls(o->engine);
        } else if (o->in.len != 0 && !pn_smtp_server_info(o->engine)->waiting) {
            size_t used = pn_smtp_server_input(o->engine, pn_buf_str(&o->in));
            pn_buf_consume(&o->in, used);
            if (used == 0 && !pn_smtp_server_info(o->engine)->waiting)
                break;
        } else {
            break;
        }
    }
    pn_assert(o->in.len <= (o->flags & SUBMISSION ? PN_SMTP_AUTH_LINE_MAX : PN_SMTP_LINE_MAX) ||
              pn_smtp_server_info(o->engine)->waiting);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct owner o = {.flags = data[0]};
    size_t step = data[0] >> 5 == 0 ? size : (size_t)1 << (2 * (data[0] >> 5));
    o.config = (struct pn_smtp_server_config){.name = PN_STR("fuzz.test"),
                                              .size_max = o.flags & SMALL ? 20 : 4000,
                                              .rcpt_max = 5,
                                              .mail_max = 20,
                                              .error_max = 50,
                                              .unknown_max = 50,
                                              .idle_max = 50,
                                              .lmtp = o.flags & LMTP,
                                              .dsn = true,
                                              .normalize = o.flags & NORMALIZE,
                                              .starttls = !(o.flags & SUBMISSION)};
    pn_buf_init(&o.in, 1 << 22);
    pn_buf_init(&o.content, 1 << 22);
    o.engine = pn_smtp_server_new(&o.config, &ops, &o);
    if (o.flags & SUBMISSION) {
        o.config.auth = PN_STR("PLAIN LOGIN SCRAM-SHA-256");
        o.config.auth_needed = true;
        o.config.auth_max = 5;
        pn_smtp_server_tls(o.engine);
    }
    pn_smtp_server_start(o.engine);
    for (size_t at = 1; at < size && !o.closed; at += step) {
        size_t n = size - at < step ? size - at : step;
        (void)pn_buf_add(&o.in, data + at, n);
        settle(&o);
    }
    pn_smtp_server_free(&o.engine);
    pn_buf_fini(&o.in);
    pn_buf_fini(&o.content);
    return 0;
}
