/* AUTH (RFC 4954): an exchange of challenges and responses between the client and the owner,
 * who knows the mechanisms. Never over plain text. */
#include "assert.h"
#include "codec.h"
#include "server_int.h"

#define REPLY(name, code, x, y, z, text)                                                           \
    static const struct pn_smtp_reply name = PN_SMTP_REPLY_INIT(code, x, y, z, text)

REPLY(welcome, 235, 2, 7, 0, "Authentication succeeded");
REPLY(need_tls, 538, 5, 7, 11, "Passwords are asked for over TLS only: give STARTTLS first");
REPLY(start_tls, 530, 5, 7, 0, "Give STARTTLS first, then AUTH");
REPLY(log_in, 530, 5, 7, 0, "Authentication required");
REPLY(already, 503, 5, 5, 1, "You are authenticated already");
REPLY(no_mechanism, 501, 5, 5, 4, "A mechanism must follow");
REPLY(bad_mechanism, 504, 5, 5, 4, "This mechanism is not available");
REPLY(bad_base64, 501, 5, 5, 2, "This is not base64 (RFC 4648, section 4)");
REPLY(cancelled, 501, 5, 7, 0, "Authentication cancelled");
REPLY(long_line, 500, 5, 5, 6, "Line too long; authentication cancelled");
REPLY(bad_line, 501, 5, 5, 2, "Bad line; authentication cancelled");
REPLY(too_many_logins, 421, 4, 7, 0, "Too many failed logins; closing");

/* What base64 lines hold at most, and the longest challenge. */
enum { BYTES_MAX = (PN_SMTP_AUTH_LINE_MAX - 2) / 4 * 3 };

/* ---- what is offered ---- */

bool smtp_auth_offered(const struct pn_smtp_server *s)
{
    return s->config->auth.len != 0 && s->info.tls;
}

void smtp_auth_args(const struct pn_smtp_server *s, struct pn_buf *out)
{
    (void)(pn_buf_addc(out, ' ') && pn_buf_adds(out, s->config->auth));
}

const struct pn_smtp_reply *smtp_auth_needed(const struct pn_smtp_server *s)
{
    if (!s->config->auth_needed || s->info.auth)
        return NULL;
    return s->info.tls ? &log_in : &start_tls;
}

/* As it is announced; empty: it is not. */
static struct pn_str find_mechanism(const struct pn_smtp_server *s, struct pn_str name)
{
    for (struct pn_str rest = s->config->auth; rest.p != NULL;) {
        struct pn_str word = pn_str_split(&rest, ' ');
        if (word.len != 0 && pn_str_ieq(word, name))
            return word;
    }
    return PN_STR("");
}

struct pn_str smtp_auth_public(struct pn_str line)
{
    struct pn_str rest = line;
    if (!pn_str_ieq(pn_str_split(&rest, ' '), PN_STR("AUTH")) || rest.p == NULL)
        return line;
    while (rest.len != 0 && rest.p[0] == ' ')
        rest = pn_str_slice(rest, 1, rest.len);
    size_t end = pn_str_find(rest, ' ', 0);
    struct pn_str mechanism = pn_str_slice(rest, 0, end);
    return (struct pn_str){line.p, (size_t)(mechanism.p - line.p) + mechanism.len};
}

size_t smtp_auth_line_max(const struct pn_smtp_server *s, struct pn_str bytes, size_t max)
{
    bool longer = s->exchange || (smtp_auth_offered(s) && pn_str_istarts(bytes, PN_STR("AUTH ")));
    return longer && max < PN_SMTP_AUTH_LINE_MAX ? PN_SMTP_AUTH_LINE_MAX : max;
}

/* ---- the exchange ---- */

static void wipe(struct pn_smtp_server *s)
{
    if (s->secret.p != NULL)
        explicit_bzero(s->secret.p, s->secret.cap);
    pn_buf_fini(&s->secret);
}

/* What the client says holds a password, often. */
static bool decode(struct pn_smtp_server *s, struct pn_str base64)
{
    pn_buf_init(&s->secret, BYTES_MAX);
    /* At once: a growing buffer would leave copies behind. */
    if (pn_buf_reserve(&s->secret, base64.len / 4 * 3) != NULL &&
        pn_base64_decode(&s->secret, base64))
        return true;
    wipe(s);
    return false;
}

static struct pn_str said(const struct pn_smtp_server *s)
{
    return s->secret.len == 0 ? PN_STR("") : pn_buf_str(&s->secret);
}

const struct pn_smtp_reply *smtp_auth_check(struct pn_smtp_server *s, struct smtp_args *args)
{
    struct pn_str rest = args->line;
    struct pn_str name = pn_str_split(&rest, ' ');
    if (s->info.auth)
        return &already;
    if (!s->info.tls)
        return &need_tls;
    if (s->logins_failed >= s->config->auth_max)
        return &too_many_logins;
    if (name.len == 0)
        return &no_mechanism;
    args->auth.mechanism = find_mechanism(s, name);
    if (args->auth.mechanism.len == 0)
        return &bad_mechanism;
    args->auth.has_initial = rest.p != NULL;
    rest = pn_str_trim(rest);
    /* "=" is an initial response without a byte (RFC 4954, section 4). */
    return decode(s, pn_str_eq(rest, PN_STR("=")) ? PN_STR("") : rest) ? NULL : &bad_base64;
}

void smtp_auth_stage(struct pn_smtp_server *s, const struct smtp_args *args)
{
    struct pn_smtp_auth auth = args->auth;
    auth.initial = said(s);
    s->ops->auth(s->ctx, &auth);
    wipe(s);
}

static void stage_response(struct pn_smtp_server *s, const struct smtp_args *args)
{
    (void)args;
    s->ops->auth_response(s->ctx, said(s));
    wipe(s);
}

void smtp_auth_proceed(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    s->info.auth = true;
    s->refused_login = false;
    s->idle = 0;
    smtp_reply(s, answer == NULL ? &welcome : answer);
}

static const struct smtp_command response = {.name = PN_STR_INIT("AUTH"),
                                             .flags = SMTP_LOGIN,
                                             .stage = stage_response,
                                             .proceed = smtp_auth_proceed};

static void cancel(struct pn_smtp_server *s, const struct pn_smtp_reply *why)
{
    s->ops->auth_cancel(s->ctx);
    smtp_refuse(s, response.name, why);
}

void smtp_auth_line(struct pn_smtp_server *s, struct pn_str line, enum smtp_line how)
{
    s->exchange = false;
    if (how != SMTP_LINE_GOOD)
        cancel(s, how == SMTP_LINE_LONG ? &long_line : &bad_line);
    else if (pn_str_eq(line, PN_STR("*")))
        cancel(s, &cancelled);
    else if (!decode(s, line))
        cancel(s, &bad_base64);
    else
        smtp_ask(s, &response, NULL);
}

void pn_smtp_server_challenge(struct pn_smtp_server *s, struct pn_str bytes)
{
    pn_assert(s->waiting != NULL && (s->waiting->flags & SMTP_LOGIN) && bytes.len <= BYTES_MAX);
    s->exchange = true;
    /* Not folded, as other replies are: it is one line, however long. */
    (void)pn_buf_addz(&s->out, "334 ");
    pn_base64_encode(&s->out, bytes);
    (void)pn_buf_addz(&s->out, "\r\n");
    smtp_answer_end(s);
}

/* ---- AUTH= of MAIL ---- */

bool smtp_auth_param(struct pn_str value)
{
    struct pn_buf address;
    struct pn_smtp_mailbox mailbox;
    pn_buf_init(&address, PN_SMTP_PATH_MAX);
    bool ok = value.len != 0 && pn_smtp_xtext(value, &address) &&
              (pn_str_eq(pn_buf_str(&address), PN_STR("<>")) ||
               pn_smtp_mailbox_parse(pn_buf_str(&address), &mailbox));
    pn_buf_fini(&address);
    return ok;
}
