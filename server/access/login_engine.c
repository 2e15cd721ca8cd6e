/* The loop of both protocols, and what they have in common: logins, STARTTLS, limits. */
#include "login_engine.h"

#include "assert.h"
#include "codec.h"
#include "login_int.h"
#include "mem.h"

#include <stdlib.h>

/* Written once there is so much; one command's answer fits the rest. */
enum { OUT_ENOUGH = 8 * 1024, OUT_MAX = 32 * 1024, BYTES_MAX = 256 * 1024 };

#define REPLY(name, imap, pop3, text) static const struct login_reply name = {imap, pop3, text}

const struct login_reply login_unknown = {"BAD", "-ERR", "Unknown command"},
                         login_too_long = {"BAD", "-ERR", "Line too long"},
                         login_bad_args = {"BAD", "-ERR", "Bad arguments"},
                         login_first = {"BAD", "-ERR", "Log in first"};

REPLY(tls_on, "BAD", "-ERR", "TLS is active already");
REPLY(tls_no, "BAD", "-ERR", "TLS is not available");
REPLY(tls_last, "BAD", "-ERR", "Nothing may be sent behind this command before its answer");
REPLY(tls_go, "OK", "+OK", "Begin TLS now");
REPLY(need_tls, "NO [PRIVACYREQUIRED]", "-ERR", "Begin TLS first: no passwords in the clear");
REPLY(no_logins, "NO [CANNOT]", "-ERR [SYS/PERM]", "Nobody can log in here");
REPLY(no_mechanism, "NO [CANNOT]", "-ERR", "This mechanism is not available");
REPLY(bad_base64, "BAD", "-ERR", "This is not base64 (RFC 4648, section 4)");
REPLY(cancelled, "BAD", "-ERR", "Authentication cancelled");
REPLY(long_response, "BAD", "-ERR", "Line too long; authentication cancelled");
REPLY(foreign, "BYE", "-ERR", "This is a mail server");
REPLY(too_many_errors, "BYE", "-ERR [SYS/PERM]", "Too many bad commands; closing");
REPLY(too_many_commands, "BYE", "-ERR [SYS/PERM]", "Too much before a login; closing");
REPLY(too_many_failures, "BYE", NULL, "Too many failed logins; closing");

static const struct login_reply verdicts[PN_LOGIN_STATUSES] = {
    [PN_LOGIN_REFUSED] = {"NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]",
                          "Authentication credentials invalid"},
    [PN_LOGIN_MALFORMED] = {"BAD", "-ERR", "This is no message of the mechanism"},
    [PN_LOGIN_SHUT] = {"NO [UNAVAILABLE]", "-ERR [SYS/TEMP]",
                       "Too many failed logins, try again later"},
    [PN_LOGIN_BUSY] = {"NO [UNAVAILABLE]", "-ERR [SYS/TEMP]",
                       "Nobody can log in now, try again later"}};

/* A POP3 client that was silent is told nothing (RFC 1939, section 3). */
static const struct login_reply farewells[PN_LOGIN_WHYS] = {
    [PN_LOGIN_TIMEOUT] = {"BYE", NULL, "Timeout, closing the connection"},
    [PN_LOGIN_SHUTDOWN] = {"BYE [UNAVAILABLE]", "-ERR [SYS/TEMP]",
                           "Shutting down, try again in a moment"},
    [PN_LOGIN_TOO_MANY] = {"BYE [UNAVAILABLE]", "-ERR [SYS/TEMP]",
                           "Too many connections, try again later"}};

/* ---- writing ---- */

/* An idle session keeps no buffer. */
static void write_out(struct pn_login *l)
{
    if (l->out.len != 0)
        l->full = !l->ops->write(l->ctx, pn_buf_str(&l->out)) || l->full;
    pn_buf_fini(&l->out);
}

/* Nothing of the engine may be touched after it: `close` may have freed it. */
static void flush(struct pn_login *l)
{
    if (l->closed)
        return;
    write_out(l);
    if (l->closing) {
        l->closed = true;
        l->ops->close(l->ctx);
    } else if (l->tls_next) {
        l->tls_next = false;
        l->handshake = true;
        l->ops->tls(l->ctx);
    }
}

static void bye(struct pn_login *l, const struct login_reply *reply)
{
    l->kind->bye(l, reply);
    l->closing = true;
}

void login_refuse(struct pn_login *l, const struct login_reply *reply)
{
    if (++l->info.errors > l->config->errors_max)
        bye(l, &too_many_errors);
    else
        l->kind->reply(l, reply);
}

void login_flood(struct pn_login *l)
{
    bye(l, &too_many_commands);
}

bool login_foreign(struct pn_login *l, struct pn_str word)
{
    static const char *const words[] = {"CONNECT", "DELETE", "EHLO",    "GET",  "HEAD",
                                        "HELO",    "LHLO",   "OPTIONS", "POST", "PUT"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (pn_str_eq(pn_str_of(words[i]), word)) {
            bye(l, &foreign);
            return true;
        }
    }
    return false;
}

bool login_count(struct pn_login *l)
{
    if (++l->info.commands <= l->config->commands_max)
        return true;
    login_flood(l);
    return false;
}

/* ---- what may be asked for ---- */

struct pn_str login_mechanism(const struct pn_login *l, struct pn_str name)
{
    for (struct pn_str rest = l->config->mechanisms; rest.p != NULL;) {
        struct pn_str word = pn_str_split(&rest, ' ');
        if (word.len != 0 && pn_str_ieq(word, name))
            return word;
    }
    return PN_STR("");
}

bool login_plain(const struct pn_login *l)
{
    return login_mechanism(l, PN_STR("PLAIN")).len != 0;
}

bool login_starttls_offered(const struct pn_login *l)
{
    return l->config->starttls && !l->info.tls;
}

static void refuse_login(struct pn_login *l)
{
    if (l->config->mechanisms.len != 0)
        login_refuse(l, &no_mechanism);
    else
        login_refuse(l, login_starttls_offered(l) ? &need_tls : &no_logins);
}

bool login_plain_check(struct pn_login *l)
{
    if (login_plain(l))
        return true;
    refuse_login(l);
    return false;
}

void login_starttls(struct pn_login *l, bool more)
{
    if (l->info.tls)
        login_refuse(l, &tls_on);
    else if (!l->config->starttls)
        login_refuse(l, &tls_no);
    else if (more)
        login_refuse(l, &tls_last);
    else {
        l->kind->reply(l, &tls_go);
        l->tls_next = true;
    }
}

/* ---- logins ---- */

static void wipe(struct pn_buf *secret)
{
    if (secret->p != NULL)
        explicit_bzero(secret->p, secret->cap);
    pn_buf_fini(secret);
}

static bool decode(struct pn_buf *secret, struct pn_str base64)
{
    pn_buf_init(secret, PN_LOGIN_SASL_MAX);
    /* Room at once: a buffer that grows would leave copies behind. */
    return pn_buf_reserve(secret, base64.len / 4 * 3) != NULL && pn_base64_decode(secret, base64);
}

static struct pn_str bytes_of(const struct pn_buf *secret)
{
    return secret->len == 0 ? PN_STR("") : pn_buf_str(secret);
}

void login_password(struct pn_login *l, struct pn_str user, struct pn_str password)
{
    l->info.waiting = true;
    l->ops->password(l->ctx, user, password);
}

void login_sasl(struct pn_login *l, struct pn_str mechanism, struct pn_str initial)
{
    struct pn_str word = login_mechanism(l, mechanism);
    struct pn_buf secret;
    if (word.len == 0) {
        refuse_login(l);
        return;
    }
    /* "=" is an initial response without a byte (RFC 4959, section 3; RFC 5034, section 4). */
    if (!decode(&secret, pn_str_eq(initial, PN_STR("=")) ? PN_STR("") : initial)) {
        login_refuse(l, &bad_base64);
    } else {
        l->info.waiting = true;
        l->ops->sasl(l->ctx, word, initial.p != NULL, bytes_of(&secret));
    }
    wipe(&secret);
}

static void cancel(struct pn_login *l, const struct login_reply *why)
{
    l->ops->cancel(l->ctx);
    login_refuse(l, why);
}

void login_response(struct pn_login *l, struct pn_str line)
{
    struct pn_buf secret;
    l->info.asked = false;
    if (line.p == NULL) {
        cancel(l, &long_response);
        return;
    }
    if (pn_str_eq(line, PN_STR("*"))) {
        cancel(l, &cancelled);
        return;
    }
    if (!decode(&secret, line)) {
        cancel(l, &bad_base64);
    } else {
        l->info.waiting = true;
        l->ops->response(l->ctx, bytes_of(&secret));
    }
    wipe(&secret);
}

/* ---- answers ---- */

/* The owner answered. */
static void go_on(struct pn_login *l)
{
    if (l->running)
        return;
    bool closing = l->closing;
    void (*resume)(void *ctx) = l->ops->resume;
    void *ctx = l->ctx;
    flush(l);
    if (!closing)
        resume(ctx);
}

void pn_login_challenge(struct pn_login *l, struct pn_str bytes)
{
    pn_assert(l->info.waiting && !l->handed && bytes.len <= PN_LOGIN_SASL_MAX);
    l->info.waiting = false;
    l->info.asked = true;
    (void)pn_buf_addz(&l->out, "+ ");
    pn_base64_encode(&l->out, bytes);
    (void)pn_buf_addz(&l->out, "\r\n");
    go_on(l);
}

void pn_login_said(struct pn_login *l, enum pn_login_status status)
{
    pn_assert(l->info.waiting && (!l->handed || status == PN_LOGIN_BUSY));
    if (status == PN_LOGIN_OK) {
        l->handed = true;
        write_out(l); /* the next engine speaks behind it */
        l->ops->hand_over(l->ctx, pn_str_of(l->kind == &login_imap ? l->tag
                                            : l->utf8              ? "UTF8"
                                                                   : ""));
        return;
    }
    l->handed = false;
    l->info.waiting = false;
    l->kind->reply(l, &verdicts[status]);
    if (status != PN_LOGIN_BUSY && ++l->info.failures > l->config->failures_max)
        bye(l, &too_many_failures);
    go_on(l);
}

/* ---- the loop ---- */

size_t pn_login_input(struct pn_login *l, struct pn_str bytes)
{
    struct pn_str rest = bytes;
    uint64_t max = l->config->bytes_max == 0 ? BYTES_MAX : l->config->bytes_max;
    pn_assert(!l->running);
    if (l->closed || l->handshake)
        return bytes.len;
    l->running = true;
    l->full = false;
    while (rest.len != 0 && !l->info.waiting && !l->closing && !l->full && !l->tls_next) {
        size_t before = rest.len;
        bool all = l->kind->input(l, &rest);
        l->info.bytes += before - rest.len;
        if (l->info.bytes > max && !l->closing && !l->info.waiting)
            login_flood(l);
        if (l->out.len > OUT_ENOUGH && !l->tls_next && !l->closing)
            flush(l);
        if (!all)
            break;
    }
    l->running = false;
    size_t used = l->closing ? bytes.len : bytes.len - rest.len;
    flush(l);
    return used;
}

void pn_login_start(struct pn_login *l)
{
    l->kind->greet(l);
    flush(l);
}

void pn_login_drop(struct pn_login *l, enum pn_login_why why)
{
    if (l->closed)
        return;
    l->info.waiting = l->info.asked = l->tls_next = false;
    if (l->handshake)
        l->closing = true; /* nothing can be said there */
    else
        bye(l, &farewells[why]);
    if (!l->running)
        flush(l);
}

void pn_login_tls(struct pn_login *l)
{
    l->info.tls = true;
    l->handshake = false;
    l->kind->reset(l);
}

void pn_login_configure(struct pn_login *l, const struct pn_login_config *config)
{
    l->config = config;
}

const struct pn_login_info *pn_login_info(const struct pn_login *l)
{
    return &l->info;
}

struct pn_login *pn_login_new(enum pn_login_protocol protocol, const struct pn_login_config *config,
                              const struct pn_login_ops *ops, void *ctx)
{
    struct pn_login *l = pn_calloc(1, sizeof *l);
    l->kind = protocol == PN_LOGIN_IMAP ? &login_imap : &login_pop3;
    l->config = config;
    l->ops = ops;
    l->ctx = ctx;
    pn_buf_init(&l->out, OUT_MAX);
    l->kind->reset(l);
    return l;
}

void pn_login_free(struct pn_login **login)
{
    if (*login == NULL)
        return;
    (*login)->kind->reset(*login);
    pn_buf_fini(&(*login)->out);
    free(*login);
    *login = NULL;
}
