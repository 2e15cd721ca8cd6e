/*
 * A session of the engine before login. The first byte is flags: the protocol, late answers, TLS
 * from the first byte, a client that does not read, how input is split; the rest is what the
 * client sends. Held: nobody is asked for a login in the clear, answers are whole lines, nothing
 * is asked while an answer is due and it waits for nothing else, no TLS begins with bytes sent
 * ahead of it, what is left waits within its limit.
 */
#include "assert.h"
#include "login_engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { POP3 = 1, LATE = 2, SECURE = 4, UNREAD = 8, REFUSE = 16 };

struct owner {
    struct pn_login *engine;
    struct pn_login_config config;
    struct pn_buf in;
    uint8_t flags;
    unsigned challenges;
    bool owed, refuse, tls_due, closed, handed;
};

static void pay(struct owner *o)
{
    o->owed = false;
    if (o->challenges != 0) {
        o->challenges--;
        pn_login_challenge(o->engine, PN_STR("more"));
        return;
    }
    pn_login_said(o->engine, o->refuse ? PN_LOGIN_REFUSED : PN_LOGIN_OK);
}

static void ask(struct owner *o, bool refuse)
{
    pn_assert(!o->owed && !o->handed && !o->closed && pn_login_info(o->engine)->tls);
    o->refuse = refuse;
    o->owed = true;
    if ((o->flags & LATE) == 0)
        pay(o);
}

static bool on_write(void *ctx, struct pn_str bytes)
{
    struct owner *o = ctx;
    pn_assert(!o->closed && !o->handed && bytes.len > 2 && bytes.p[bytes.len - 1] == '\n');
    return (o->flags & UNREAD) == 0;
}

static void on_resume(void *ctx)
{
    pn_assert(!((struct owner *)ctx)->closed);
}

static void on_close(void *ctx)
{
    ((struct owner *)ctx)->closed = true;
}

static void on_tls(void *ctx)
{
    struct owner *o = ctx;
    pn_assert(!pn_login_info(o->engine)->tls);
    o->tls_due = true;
}

static void on_password(void *ctx, struct pn_str user, struct pn_str password)
{
    struct owner *o = ctx;
    pn_assert(user.len != 0 && user.len <= 254 && password.len <= PN_LOGIN_PASSWORD_MAX);
    o->challenges = 0;
    ask(o, (o->flags & REFUSE) != 0 || password.len == 0);
}

static void on_sasl(void *ctx, struct pn_str mechanism, bool has_initial, struct pn_str initial)
{
    struct owner *o = ctx;
    pn_assert(mechanism.len != 0 && initial.len <= PN_LOGIN_SASL_MAX);
    o->challenges = pn_str_eq(mechanism, PN_STR("LOGIN")) ? 2 : !has_initial;
    ask(o, (o->flags & REFUSE) != 0 || (has_initial && initial.len == 0));
}

static void on_response(void *ctx, struct pn_str message)
{
    struct owner *o = ctx;
    pn_assert(message.len <= PN_LOGIN_SASL_MAX);
    ask(o, (o->flags & REFUSE) != 0 || message.len == 0);
}

static void on_cancel(void *ctx)
{
    pn_assert(!((struct owner *)ctx)->owed);
}

static void on_hand_over(void *ctx, struct pn_str tag)
{
    struct owner *o = ctx;
    pn_assert(tag.len <= PN_LOGIN_TAG_MAX);
    pn_assert(!(o->flags & POP3) || tag.len == 0 || pn_str_eq(tag, PN_STR("UTF8")));
    pn_assert((o->flags & POP3) || tag.len != 0);
    o->handed = true;
}

static const struct pn_login_ops ops = {.write = on_write,
                                        .resume = on_resume,
                                        .close = on_close,
                                        .tls = on_tls,
                                        .password = on_password,
                                        .sasl = on_sasl,
                                        .response = on_response,
                                        .cancel = on_cancel,
                                        .hand_over = on_hand_over};

static void take_tls(struct owner *o)
{
    o->tls_due = false;
    o->config.mechanisms = PN_STR("SCRAM-SHA-256 PLAIN LOGIN");
    pn_login_tls(o->engine);
}

static void settle(struct owner *o)
{
    const struct pn_login_info *info = pn_login_info(o->engine);
    while (!o->handed && !o->closed) {
        if (o->owed) {
            pay(o);
        } else if (o->tls_due) {
            take_tls(o);
        } else if (o->in.len != 0 && !info->waiting) {
            size_t used = pn_login_input(o->engine, pn_buf_str(&o->in));
            pn_assert(!o->tls_due || used == o->in.len); /* nothing was sent ahead */
            pn_buf_consume(&o->in, used);
            if (used == 0 && !info->waiting)
                break;
        } else {
            break;
        }
    }
    pn_assert(!info->waiting || o->owed || o->handed || o->closed);
    pn_assert(o->in.len <= PN_LOGIN_INPUT_MAX || o->handed || o->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct owner o = {.flags = data[0]};
    size_t step = data[0] >> 5 == 0 ? size : (size_t)1 << (2 * (data[0] >> 5));
    o.config = (struct pn_login_config){.name = PN_STR("fuzz.test"),
                                        .starttls = true,
                                        .failures_max = 5,
                                        .errors_max = 50,
                                        .commands_max = 100};
    pn_buf_init(&o.in, 1 << 22);
    o.engine = pn_login_new(o.flags & POP3 ? PN_LOGIN_POP3 : PN_LOGIN_IMAP, &o.config, &ops, &o);
    if (o.flags & SECURE)
        take_tls(&o);
    pn_login_start(o.engine);
    for (size_t at = 1; at < size && !o.closed && !o.handed; at += step) {
        size_t n = size - at < step ? size - at : step;
        (void)pn_buf_add(&o.in, data + at, n);
        settle(&o);
    }
    pn_login_free(&o.engine);
    pn_buf_fini(&o.in);
    return 0;
}
