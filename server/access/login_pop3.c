/* POP3 before login: the AUTHORIZATION state of RFC 1939, with STLS (RFC 2595), AUTH (RFC 5034)
 * and UTF8 (RFC 6856). */
#include "login_int.h"
#include "pop3_capability.h"

#include <stdio.h>

enum {
    /* RFC 2449, section 4 has 255; a name and a password of their longest fit. */
    LINE_MAX_COMMAND = PN_LOGIN_PASSWORD_MAX + 16
};

#define REPLY(name, pop3, text) static const struct login_reply name = {NULL, pop3, text}

REPLY(bye_ok, "+OK", "Bye");
REPLY(user_ok, "+OK", "Now the password");
REPLY(user_first, "-ERR", "Give USER first");
REPLY(no_args, "-ERR", "This command takes no argument");
REPLY(has_nul, "-ERR", "A NUL byte has no place here");
REPLY(utf8_ok, "+OK", "UTF-8 it is");

static void reply(struct pn_login *l, const struct login_reply *r)
{
    (void)pn_buf_addf(&l->out, "%s %s\r\n", r->pop3, r->text);
}

static void say_bye(struct pn_login *l, const struct login_reply *r)
{
    if (r->pop3 != NULL)
        reply(l, r);
}

static void greet(struct pn_login *l)
{
    (void)pn_buf_addf(&l->out, "+OK %.*s POP3 ready\r\n", PN_FMT(l->config->name));
}

static void reset(struct pn_login *l)
{
    l->user[0] = '\0';
    l->utf8 = l->skipping = false;
}

/* ---- commands ---- */

static void capa(struct pn_login *l, struct pn_str args, bool more)
{
    (void)args;
    (void)more;
    struct pn_pop3_offer offer = {
        .stls = login_starttls_offered(l), .user = login_plain(l), .sasl = l->config->mechanisms};
    pn_pop3_capabilities(&l->out, &offer);
}

static void quit(struct pn_login *l, struct pn_str args, bool more)
{
    (void)args;
    (void)more;
    reply(l, &bye_ok);
    l->closing = true;
}

static void stls(struct pn_login *l, struct pn_str args, bool more)
{
    (void)args;
    login_starttls(l, more);
}

static void utf8(struct pn_login *l, struct pn_str args, bool more)
{
    (void)args;
    (void)more;
    l->utf8 = true;
    reply(l, &utf8_ok);
}

/* Whether there is such a user is not for strangers to know. */
static void user(struct pn_login *l, struct pn_str args, bool more)
{
    (void)more;
    args = pn_str_trim(args);
    l->user[0] = '\0';
    if (!login_plain_check(l))
        return;
    if (args.len == 0 || args.len > LOGIN_USER_MAX) {
        login_refuse(l, &login_bad_args);
        return;
    }
    (void)snprintf(l->user, sizeof l->user, "%.*s", PN_FMT(args));
    reply(l, &user_ok);
}

/* Blanks are part of it (RFC 1939, section 7). */
static void pass(struct pn_login *l, struct pn_str args, bool more)
{
    char name[LOGIN_USER_MAX + 1];
    (void)more;
    if (!login_plain_check(l))
        return;
    if (l->user[0] == '\0') {
        login_refuse(l, &user_first);
        return;
    }
    memcpy(name, l->user, sizeof name);
    l->user[0] = '\0';
    if (args.len > PN_LOGIN_PASSWORD_MAX)
        login_refuse(l, &login_too_long);
    else
        login_password(l, pn_str_of(name), args);
}

/* Without a mechanism: their list, as clients of before RFC 5034 ask. */
static void auth_list(struct pn_login *l)
{
    (void)pn_buf_addz(&l->out, "+OK Mechanisms follow\r\n");
    for (struct pn_str rest = l->config->mechanisms; rest.p != NULL && rest.len != 0;) {
        struct pn_str word = pn_str_split(&rest, ' ');
        (void)pn_buf_addf(&l->out, "%.*s\r\n", PN_FMT(word));
    }
    (void)pn_buf_addz(&l->out, ".\r\n");
}

static void auth(struct pn_login *l, struct pn_str args, bool more)
{
    (void)more;
    struct pn_str initial = pn_str_trim(args);
    if (initial.len == 0) {
        auth_list(l);
        return;
    }
    struct pn_str mechanism = pn_str_split(&initial, ' ');
    login_sasl(l, mechanism, initial.p == NULL ? initial : pn_str_trim(initial));
}

static const struct row {
    const char *name;
    void (*fn)(struct pn_login *l, struct pn_str args, bool more);
    bool no_args;
} rows[] = {
    {"AUTH", auth, false}, {"CAPA", capa, true},  {"PASS", pass, false}, {"QUIT", quit, true},
    {"STLS", stls, true},  {"USER", user, false}, {"UTF8", utf8, true},
};

/* These there are, but not yet. */
static const char *const later[] = {"DELE", "LIST", "NOOP", "RETR", "RSET", "STAT", "TOP", "UIDL"};

static const struct login_reply *unknown(struct pn_str name)
{
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (pn_str_ieq(pn_str_of(later[i]), name))
            return &login_first;
    return &login_unknown;
}

static void command(struct pn_login *l, struct pn_str line, bool more)
{
    size_t end = pn_str_find(line, ' ', 0);
    struct pn_str name = pn_str_slice(line, 0, end);
    struct pn_str args = end == SIZE_MAX ? PN_STR("") : pn_str_slice(line, end + 1, line.len);
    if (!login_count(l))
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!pn_str_ieq(pn_str_of(rows[i].name), name))
            continue;
        if (rows[i].no_args && pn_str_trim(args).len != 0)
            login_refuse(l, &no_args);
        else
            rows[i].fn(l, args, more);
        return;
    }
    if (!login_foreign(l, name))
        login_refuse(l, unknown(name));
}

/* ---- lines ---- */

/* Where the command is not known yet the longest may be meant. */
static size_t line_max(const struct pn_login *l, struct pn_str in)
{
    bool longer = l->info.asked || pn_str_istarts(in, pn_str_slice(PN_STR("AUTH "), 0, in.len));
    return longer ? LOGIN_LINE_MAX : LINE_MAX_COMMAND;
}

/* A bare LF ends a line, too. */
static bool input(struct pn_login *l, struct pn_str *in)
{
    size_t lf = pn_str_find(*in, '\n', 0), max = line_max(l, *in);
    if (lf == SIZE_MAX ? in->len >= max : lf >= max)
        l->skipping = true;
    if (lf == SIZE_MAX) {
        if (l->skipping)
            *in = pn_str_slice(*in, in->len, in->len);
        return false;
    }
    struct pn_str line = pn_str_slice(*in, 0, lf != 0 && in->p[lf - 1] == '\r' ? lf - 1 : lf);
    *in = pn_str_slice(*in, lf + 1, in->len);
    bool skipped = l->skipping;
    l->skipping = false;
    if (l->info.asked)
        login_response(l, skipped ? (struct pn_str){NULL, 0} : line);
    else if (skipped)
        login_refuse(l, &login_too_long);
    else if (pn_str_find(line, '\0', 0) != SIZE_MAX)
        login_refuse(l, &has_nul);
    else
        command(l, line, in->len != 0);
    return true;
}

const struct login_kind login_pop3 = {
    .greet = greet, .input = input, .reply = reply, .bye = say_bye, .reset = reset};
