/* The session: greeting, EHLO, STARTTLS, QUIT, and its end. */
#include "client.h"

#include "assert.h"
#include "client_int.h"
#include "grammar.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Commands that gather: a group of RCPTs is cut at this. */
enum { OUT_MAX = 64 * 1024 };

struct pn_smtp_client *pn_smtp_client_new(const struct pn_smtp_client_config *config,
                                          const struct pn_smtp_client_ops *ops, void *ctx)
{
    struct pn_smtp_client *c = pn_calloc(1, sizeof *c);
    c->config = *config;
    c->ops = ops;
    c->ctx = ctx;
    c->tls = config->tls_already;
    pn_buf_init(&c->out, OUT_MAX);
    pn_smtp_reply_reader_init(&c->reader);
    return c;
}

void pn_smtp_client_free(struct pn_smtp_client **client)
{
    struct pn_smtp_client *c = *client;
    if (c == NULL)
        return;
    pn_buf_fini(&c->out);
    pn_smtp_reply_reader_fini(&c->reader);
    free(c->rcpts);
    free(c);
    *client = NULL;
}

const struct pn_smtp_offer *pn_smtp_client_offer(const struct pn_smtp_client *c)
{
    return &c->offer;
}

void smtp_client_flush(struct pn_smtp_client *c)
{
    if (c->out.len == 0)
        return;
    struct pn_str bytes = pn_buf_str(&c->out);
    (void)c->ops->write(c->ctx, &bytes, 1);
    pn_buf_clear(&c->out);
}

static void command(struct pn_smtp_client *c, const char *text)
{
    (void)pn_buf_addz(&c->out, text);
    smtp_client_flush(c);
}

static void hello(struct pn_smtp_client *c, const char *word, enum smtp_client_state state)
{
    c->state = state;
    (void)pn_buf_addf(&c->out, "%s %.*s\r\n", word, PN_FMT(c->config.name));
    smtp_client_flush(c);
}

void smtp_client_end(struct pn_smtp_client *c, enum pn_smtp_end how, enum pn_smtp_from from,
                     const struct pn_smtp_reply *reply)
{
    c->state = SMTP_C_ENDED;
    if (c->rcpts != NULL) {
        smtp_client_settle_all(c, from, reply);
        free(c->rcpts);
        c->rcpts = NULL;
        c->ops->done(c->ctx, false);
    }
    c->ops->ended(c->ctx, how, reply);
}

static void ready(struct pn_smtp_client *c)
{
    c->state = SMTP_C_READY;
    if (c->was_ready)
        return;
    c->was_ready = true;
    c->ops->ready(c->ctx);
}

/* ---- EHLO's words */

static void offer_limits(struct pn_smtp_offer *offer, struct pn_str args)
{
    while (args.p != NULL) {
        struct pn_str value = pn_str_split(&args, ' ');
        struct pn_str name = pn_str_split(&value, '=');
        uint64_t n;
        if (value.p == NULL || !pn_str_u64(value, UINT32_MAX, &n))
            continue;
        if (pn_str_ieq(name, PN_STR("RCPTMAX")))
            offer->rcpt_max = (uint32_t)n;
        if (pn_str_ieq(name, PN_STR("MAILMAX")))
            offer->mail_max = (uint32_t)n;
    }
}

static void offer_auth(struct pn_smtp_offer *offer, struct pn_str args)
{
    if (args.p != NULL && args.len < sizeof offer->auth)
        (void)snprintf(offer->auth, sizeof offer->auth, "%.*s", PN_FMT(args));
}

static void offer_word(struct pn_smtp_offer *offer, struct pn_str line)
{
    struct pn_str word = pn_str_split(&line, ' ');
    const struct {
        struct pn_str name;
        bool *flag;
    } flags[] = {
        {PN_STR_INIT("PIPELINING"), &offer->pipelining},
        {PN_STR_INIT("8BITMIME"), &offer->eightbit},
        {PN_STR_INIT("SMTPUTF8"), &offer->smtputf8},
        {PN_STR_INIT("CHUNKING"), &offer->chunking},
        {PN_STR_INIT("ENHANCEDSTATUSCODES"), &offer->status},
        {PN_STR_INIT("STARTTLS"), &offer->starttls},
        {PN_STR_INIT("DSN"), &offer->dsn},
        {PN_STR_INIT("SIZE"), &offer->sizes},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (pn_str_ieq(word, flags[i].name))
            *flags[i].flag = true;
    if (pn_str_ieq(word, PN_STR("SIZE")) &&
        !pn_str_u64(pn_str_trim(line), UINT64_MAX, &offer->size))
        offer->size = 0;
    if (pn_str_ieq(word, PN_STR("LIMITS")))
        offer_limits(offer, line);
    if (pn_str_ieq(word, PN_STR("AUTH")))
        offer_auth(offer, line);
}

static void read_offer(struct pn_smtp_client *c, struct pn_str text)
{
    c->offer = (struct pn_smtp_offer){.esmtp = true};
    (void)pn_str_split(&text, '\n'); /* its name */
    while (text.p != NULL)
        offer_word(&c->offer, pn_str_trim(pn_str_split(&text, '\n')));
}

static const struct pn_smtp_reply no_smtp =
    PN_SMTP_REPLY_INIT(451, 4, 5, 0, "The peer does not speak SMTP");

/* ---- replies; each returns false when the session ended */

static bool refused(struct pn_smtp_client *c, enum pn_smtp_end how, enum pn_smtp_from from,
                    const struct pn_smtp_reply *reply)
{
    smtp_client_end(c, how, from, reply);
    return false;
}

static bool greeted(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    if (pn_smtp_reply_class(reply) != 2)
        return refused(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_GREETING, reply);
    hello(c, c->config.lmtp ? "LHLO" : "EHLO", SMTP_C_EHLO);
    return true;
}

/* TLS stands, if it is to: go on to AUTH, or to mail. */
static bool log_in(struct pn_smtp_client *c)
{
    static const struct pn_smtp_reply clear =
        PN_SMTP_REPLY_INIT(451, 4, 7, 5, "AUTH is required, and goes over TLS only");
    static const struct pn_smtp_reply none =
        PN_SMTP_REPLY_INIT(451, 4, 7, 0, "AUTH is required and not offered");
    if (!c->config.login || c->logged_in) {
        ready(c);
        return true;
    }
    if (!c->tls)
        return refused(c, PN_SMTP_END_TLS, PN_SMTP_FROM_US, &clear);
    if (c->offer.auth[0] == '\0')
        return refused(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_US, &none);
    c->state = SMTP_C_LOGIN;
    c->login_begun = c->login_last = false;
    c->ops->login(c->ctx, true, pn_str_of(c->offer.auth));
    return c->state != SMTP_C_ENDED;
}

void pn_smtp_client_login(struct pn_smtp_client *c, struct pn_str text, bool last)
{
    pn_assert(c->state == SMTP_C_LOGIN);
    (void)pn_buf_addf(&c->out, "%s%.*s\r\n", c->login_begun ? "" : "AUTH ", PN_FMT(text));
    c->login_begun = true;
    c->login_last = last;
    c->state = SMTP_C_AUTH;
    smtp_client_flush(c);
}

void pn_smtp_client_login_end(struct pn_smtp_client *c, const char *why)
{
    const struct pn_smtp_reply reply = {451, {4, 7, 0}, pn_str_of(why)};
    pn_assert(c->state == SMTP_C_LOGIN);
    smtp_client_end(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_US, &reply);
}

static bool auth_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    static const struct pn_smtp_reply early =
        PN_SMTP_REPLY_INIT(451, 4, 7, 0, "The peer took the login before it was done");
    if (reply->code == 334) {
        c->state = SMTP_C_LOGIN;
        c->ops->login(c->ctx, false, reply->text);
        return c->state != SMTP_C_ENDED;
    }
    if (pn_smtp_reply_class(reply) != 2)
        return refused(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_AUTH, reply);
    if (!c->login_last)
        return refused(c, PN_SMTP_END_PROTOCOL, PN_SMTP_FROM_US, &early);
    c->logged_in = true;
    ready(c);
    return true;
}

/* EHLO stands: go on to TLS, or to mail. */
static bool hello_done(struct pn_smtp_client *c)
{
    static const struct pn_smtp_reply none =
        PN_SMTP_REPLY_INIT(451, 4, 7, 5, "TLS is required and not offered");
    bool want = !c->tls && c->config.tls != PN_SMTP_TLS_NEVER;
    if (want && c->offer.starttls) {
        c->state = SMTP_C_STARTTLS;
        command(c, "STARTTLS\r\n");
        return true;
    }
    if (want && c->config.tls == PN_SMTP_TLS_MUST)
        return refused(c, PN_SMTP_END_TLS, PN_SMTP_FROM_US, &none);
    return log_in(c);
}

static bool ehlo_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    unsigned class = pn_smtp_reply_class(reply);
    if (class == 2) {
        read_offer(c, reply->text);
        return hello_done(c);
    }
    if (class != 5 || c->config.lmtp)
        return refused(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_HELLO, reply);
    hello(c, "HELO", SMTP_C_HELO);
    return true;
}

static bool helo_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    if (pn_smtp_reply_class(reply) != 2)
        return refused(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_HELLO, reply);
    c->offer = (struct pn_smtp_offer){0};
    return hello_done(c);
}

static bool starttls_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    if (reply->code == 220) {
        c->state = SMTP_C_HANDSHAKE;
        return true;
    }
    if (c->config.tls == PN_SMTP_TLS_MUST)
        return refused(c, PN_SMTP_END_TLS, PN_SMTP_FROM_STARTTLS, reply);
    return log_in(c);
}

static bool handle(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    enum pn_smtp_from from = smtp_client_awaits(c);
    c->replies++;
    if (c->state == SMTP_C_QUIT)
        return refused(c, PN_SMTP_END_QUIT, PN_SMTP_FROM_QUIT, reply);
    if (reply->code == 421)
        return refused(c, PN_SMTP_END_REFUSED, from, reply);
    if (pn_smtp_reply_class(reply) == 3 && from != PN_SMTP_FROM_DATA && from != PN_SMTP_FROM_AUTH)
        return refused(c, PN_SMTP_END_PROTOCOL, PN_SMTP_FROM_US, &no_smtp);
    switch (c->state) {
    case SMTP_C_GREETING:
        return greeted(c, reply);
    case SMTP_C_EHLO:
        return ehlo_answered(c, reply);
    case SMTP_C_HELO:
        return helo_answered(c, reply);
    case SMTP_C_STARTTLS:
        return starttls_answered(c, reply);
    case SMTP_C_AUTH:
        return auth_answered(c, reply);
    case SMTP_C_COMMANDS:
    case SMTP_C_CONTENT:
        return smtp_client_mail_reply(c, reply);
    default: /* nothing was asked */
        return refused(c, PN_SMTP_END_PROTOCOL, PN_SMTP_FROM_US, reply);
    }
}

static const struct pn_smtp_reply injected =
    PN_SMTP_REPLY_INIT(451, 4, 7, 5, "The peer sent more behind its reply to STARTTLS");

size_t pn_smtp_client_input(struct pn_smtp_client *c, struct pn_str bytes)
{
    struct pn_str rest = bytes;
    while (c->state != SMTP_C_ENDED && c->state != SMTP_C_HANDSHAKE) {
        struct pn_smtp_reply reply;
        int got = pn_smtp_reply_next(&c->reader, &rest, &reply);
        if (got < 0)
            smtp_client_end(c, PN_SMTP_END_PROTOCOL, PN_SMTP_FROM_US, &no_smtp);
        if (got < 0 || (got > 0 && !handle(c, &reply)))
            return bytes.len;
        if (got == 0)
            return bytes.len - rest.len;
        if (c->state == SMTP_C_HANDSHAKE && rest.len != 0) {
            smtp_client_end(c, PN_SMTP_END_PROTOCOL, PN_SMTP_FROM_US, &injected);
            return bytes.len;
        }
        if (c->state == SMTP_C_HANDSHAKE)
            c->ops->tls(c->ctx);
    }
    return bytes.len;
}

void pn_smtp_client_tls(struct pn_smtp_client *c)
{
    pn_assert(c->state == SMTP_C_HANDSHAKE);
    c->tls = true;
    hello(c, c->config.lmtp ? "LHLO" : "EHLO", SMTP_C_EHLO);
}

void pn_smtp_client_lost(struct pn_smtp_client *c, const char *why)
{
    char text[300];
    if (c->state == SMTP_C_ENDED)
        return;
    const char *what = pn_smtp_client_wait(c).what;
    int n = snprintf(text, sizeof text, "%s%s%s", why, what[0] == '\0' ? "" : " while waiting for ",
                     what);
    struct pn_smtp_reply reply = {
        451, {4, 4, 2}, {text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1}};
    smtp_client_end(c, PN_SMTP_END_LOST, PN_SMTP_FROM_US, &reply);
}

void pn_smtp_client_quit(struct pn_smtp_client *c)
{
    pn_assert(c->state == SMTP_C_READY);
    c->state = SMTP_C_QUIT;
    command(c, "QUIT\r\n");
}

/* RFC 5321, section 4.5.3.2; the handshake's and QUIT's are ours. */
struct pn_smtp_wait pn_smtp_client_wait(const struct pn_smtp_client *c)
{
    enum { MINUTE = 60 * 1000 };
    static const struct pn_smtp_client_waits none = {0};
    const struct pn_smtp_client_waits *set = c->config.waits == NULL ? &none : c->config.waits;
    const struct {
        const char *what;
        uint32_t set, usual;
    } waits[] = {
        [PN_SMTP_FROM_US] = {"", 0, 0},
        [PN_SMTP_FROM_GREETING] = {"the greeting", set->greeting, 5 * MINUTE},
        [PN_SMTP_FROM_HELLO] = {"the reply to EHLO", set->hello, 5 * MINUTE},
        [PN_SMTP_FROM_STARTTLS] = {"TLS", set->hello, 2 * MINUTE},
        [PN_SMTP_FROM_AUTH] = {"the reply to AUTH", set->hello, 5 * MINUTE},
        [PN_SMTP_FROM_MAIL] = {"the reply to MAIL", set->mail, 5 * MINUTE},
        [PN_SMTP_FROM_RCPT] = {"the reply to RCPT", set->rcpt, 5 * MINUTE},
        [PN_SMTP_FROM_DATA] = {"the reply to DATA", set->data_begin, 2 * MINUTE},
        [PN_SMTP_FROM_CONTENT] = {"the reply to the content", set->data_end, 10 * MINUTE},
        [PN_SMTP_FROM_QUIT] = {"the reply to QUIT", set->quit, MINUTE / 6},
    };
    if (c->state == SMTP_C_CONTENT && !c->sent_all)
        return (struct pn_smtp_wait){"room for the content",
                                     set->data_block != 0 ? set->data_block : 3 * MINUTE, true,
                                     c->replies};
    enum pn_smtp_from from = smtp_client_awaits(c);
    return (struct pn_smtp_wait){waits[from].what,
                                 waits[from].set != 0 ? waits[from].set : waits[from].usual, false,
                                 c->replies};
}
