/*
 * A session of the client engine: the first byte is flags and how input is split, the
 * rest is what the server says. Held: every recipient is settled once, and nothing is
 * written after the end.
 */
#include "assert.h"
#include "client.h"
#include "grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LMTP = 1, TLS = 2, SLOW = 4, NO_CHUNKS = 8, HELD = 16, LOGIN = LMTP | TLS };

struct owner {
    struct pn_smtp_client *engine;
    uint8_t flags;
    unsigned mails, settled, asked, taken;
    bool waits, tls_due, ended, busy;
};

static const struct pn_str to[] = {PN_STR_INIT("u@x.test"), PN_STR_INIT("v@x.test"),
                                   PN_STR_INIT("w@x.test")};
static const struct pn_smtp_dsn_rcpt dsn_to[] = {
    {PN_SMTP_NOTIFY_SUCCESS | PN_SMTP_NOTIFY_DELAY, PN_STR_INIT("rfc822;u+2B@x.test")},
    {0, PN_STR_INIT("utf-8;\xc3\xbc@x.test")},
    {PN_SMTP_NOTIFY_NEVER, {NULL, 0}}};
static const struct pn_str content[] = {PN_STR_INIT("A: b\r\n"), PN_STR_INIT("\r\n.\r\n..x\r\n")};

static void next(struct owner *o)
{
    struct pn_smtp_outgoing mail = {PN_STR("a@b.test"), to, 3, content, 2};
    if (o->mails++ == 3) {
        pn_smtp_client_quit(o->engine);
        return;
    }
    o->busy = true;
    o->settled = 0;
    mail.smtputf8 = o->mails == 2;
    mail.dsn = (struct pn_smtp_dsn_mail){'F', PN_STR("Q+2B")};
    mail.dsn_to = dsn_to;
    o->asked = 3;
    o->taken = 0;
    if (o->flags & HELD) {
        mail.held = true;
        o->asked = mail.to_count = 1;
    }
    pn_smtp_client_send(o->engine, &mail);
}

static bool on_write(void *ctx, const struct pn_str *parts, size_t count)
{
    struct owner *o = ctx;
    pn_assert(!o->ended && count != 0 && parts[0].len != 0);
    o->waits = o->flags & SLOW;
    return !o->waits;
}

static void on_tls(void *ctx)
{
    ((struct owner *)ctx)->tls_due = true;
}

/* One word is enough where the server has PLAIN; a challenge is answered by itself. */
static void on_login(void *ctx, bool first, struct pn_str words)
{
    struct owner *o = ctx;
    pn_assert(!o->ended && !o->busy);
    if (words.len > 100)
        pn_smtp_client_login_end(o->engine, "too much");
    else
        pn_smtp_client_login(o->engine, first ? PN_STR("PLAIN") : words, words.len % 2 == 1);
}

static void on_ready(void *ctx)
{
    next(ctx);
}

static void on_rcpt(void *ctx, size_t index, enum pn_smtp_from from,
                    const struct pn_smtp_reply *reply)
{
    struct owner *o = ctx;
    (void)from;
    pn_assert(index < 3 && (o->settled & 1U << index) == 0 && pn_smtp_reply_check(reply) == NULL);
    o->settled |= 1U << index;
}

static void on_taken(void *ctx, size_t index, const struct pn_smtp_reply *reply)
{
    struct owner *o = ctx;
    pn_assert(index < o->asked && (o->settled & 1U << index) == 0 && reply->code / 100 == 2);
    o->taken |= 1U << index;
}

/* One more recipient each time, then the content, or nothing. */
static void hold_on(struct owner *o)
{
    while (!o->ended && pn_smtp_client_is_held(o->engine)) {
        if (o->asked < o->mails) {
            o->asked++;
            pn_smtp_client_hold_rcpt(o->engine);
        } else if ((o->taken & ~o->settled) != 0) {
            pn_smtp_client_hold_content(o->engine, content, 2);
        } else {
            pn_smtp_client_hold_drop(o->engine);
        }
    }
}

static void on_done(void *ctx, bool ready)
{
    struct owner *o = ctx;
    pn_assert(o->busy && o->settled == (1U << o->asked) - 1);
    o->busy = false;
    if (ready)
        next(o);
}

static void on_ended(void *ctx, enum pn_smtp_end how, const struct pn_smtp_reply *reply)
{
    struct owner *o = ctx;
    (void)how;
    pn_assert(!o->ended && !o->busy && reply != NULL);
    o->ended = true;
}

static const struct pn_smtp_client_ops ops = {
    .write = on_write,
    .tls = on_tls,
    .login = on_login,
    .ready = on_ready,
    .taken = on_taken,
    .rcpt = on_rcpt,
    .done = on_done,
    .ended = on_ended,
};

static void drain(struct owner *o)
{
    while ((o->waits || o->tls_due) && !o->ended) {
        if (o->waits) {
            o->waits = false;
            pn_smtp_client_drained(o->engine);
        } else {
            o->tls_due = false;
            pn_smtp_client_tls(o->engine);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct owner o = {.flags = data[0]};
    size_t step = data[0] >> 5 == 0 ? size : (size_t)1 << (2 * (data[0] >> 5));
    struct pn_smtp_client_config config = {.name = PN_STR("fuzz.test"),
                                           .lmtp = o.flags & LMTP,
                                           .tls =
                                               o.flags & TLS ? PN_SMTP_TLS_MAY : PN_SMTP_TLS_NEVER,
                                           .login = (o.flags & LOGIN) == LOGIN,
                                           .no_chunking = o.flags & NO_CHUNKS};
    struct pn_buf in;
    pn_buf_init(&in, 1 << 22);
    o.engine = pn_smtp_client_new(&config, &ops, &o);
    for (size_t at = 1; at < size && !o.ended; at += step) {
        (void)pn_buf_add(&in, data + at, size - at < step ? size - at : step);
        size_t used;
        do {
            used = pn_smtp_client_input(o.engine, pn_buf_str(&in));
            pn_buf_consume(&in, used);
            drain(&o);
            hold_on(&o);
            drain(&o);
        } while (used != 0 && in.len != 0 && !o.ended);
        pn_assert(in.len <= PN_SMTP_LINE_MAX || o.ended);
    }
    pn_smtp_client_lost(o.engine, "the end");
    pn_assert(o.ended);
    pn_smtp_client_free(&o.engine);
    pn_buf_fini(&in);
    return 0;
}
