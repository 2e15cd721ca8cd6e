/* IMAP before login: the not authenticated state of RFC 9051, section 6.2, with ID. */
#include "imap_capability.h"
#include "imap_id.h"
#include "login_int.h"

#include <stdio.h>

enum {
    /* A literal {n+}: LITERAL- is announced here (RFC 7888, section 5). */
    NONSYNC_MAX = 4096,
    SKIP_MAX = 64 * 1024,
    POOL_MAX = 64 * 1024
};

static const struct pn_imap_limits limits = {.text_max = PN_LOGIN_INPUT_MAX,
                                             .nonsync_max = NONSYNC_MAX,
                                             .skip_max = SKIP_MAX,
                                             .secret = true};

#define REPLY(name, imap, text) static const struct login_reply name = {imap, NULL, text}

REPLY(done, "OK", "Done");
REPLY(logging_out, "BYE", "Logging out");
REPLY(bad_tag, "BAD", "A command begins with a tag");
REPLY(no_literal, "BAD", "No literal can stand here");
/* RFC 7888, section 4: read over, and BAD; where that is too much, BYE. */
REPLY(literal_large, "BAD [TOOBIG]", "The literal is too large");
REPLY(literal_flood, "BYE [TOOBIG]", "The literal is too large; closing");

static void reply(struct pn_login *l, const struct login_reply *r)
{
    (void)pn_buf_addf(&l->out, "%s %s %s\r\n", l->tag[0] == '\0' ? "*" : l->tag, r->imap, r->text);
}

static void say_bye(struct pn_login *l, const struct login_reply *r)
{
    (void)pn_buf_addf(&l->out, "* %s %s\r\n", r->imap, r->text);
}

static void put_capabilities(const struct pn_login *l, struct pn_buf *out)
{
    struct pn_imap_offer offer = {.starttls = login_starttls_offered(l),
                                  .login = login_plain(l),
                                  .auth = l->config->mechanisms};
    (void)pn_buf_addz(out, "CAPABILITY ");
    pn_imap_capability_before(out, &offer);
}

static void greet(struct pn_login *l)
{
    (void)pn_buf_addz(&l->out, "* OK [");
    put_capabilities(l, &l->out);
    (void)pn_buf_addf(&l->out, "] %.*s IMAP ready\r\n", PN_FMT(l->config->name));
}

static void reset(struct pn_login *l)
{
    if (l->lex.limits != NULL)
        pn_imap_lex_fini(&l->lex);
    pn_imap_lex_init(&l->lex, &limits);
    l->tag[0] = '\0';
    l->lost = NULL;
}

/* ---- commands ---- */

static void capability(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    (void)args;
    (void)more;
    (void)pn_buf_addz(&l->out, "* ");
    put_capabilities(l, &l->out);
    (void)pn_buf_addz(&l->out, "\r\n");
    reply(l, &done);
}

static void noop(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    (void)args;
    (void)more;
    reply(l, &done);
}

static void logout(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    (void)args;
    (void)more;
    say_bye(l, &logging_out);
    reply(l, &done);
    l->closing = true;
}

static void id(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    (void)more;
    if (!pn_imap_sp(args) || !pn_imap_id_args(args)) {
        login_refuse(l, &login_bad_args);
        return;
    }
    pn_imap_id_put(&l->out);
    reply(l, &done);
}

static void starttls(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    (void)args;
    login_starttls(l, more);
}

static void authenticate(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    struct pn_str mechanism, initial = {NULL, 0};
    (void)more;
    bool good = pn_imap_sp(args) && pn_imap_atom(args, &mechanism);
    if (good && pn_imap_sp(args)) {
        initial = args->rest;
        good = initial.len != 0;
    } else {
        good = good && pn_imap_end(args);
    }
    if (good)
        login_sasl(l, mechanism, initial);
    else
        login_refuse(l, &login_bad_args);
}

static void login(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    struct pn_str user, password;
    (void)more;
    if (!login_plain_check(l))
        return;
    if (pn_imap_sp(args) && pn_imap_astring(args, &user) && pn_imap_sp(args) &&
        pn_imap_astring(args, &password) && pn_imap_end(args) && user.len != 0 &&
        user.len <= LOGIN_USER_MAX && password.len <= PN_LOGIN_PASSWORD_MAX)
        login_password(l, user, password);
    else
        login_refuse(l, &login_bad_args);
}

static const struct row {
    const char *name;
    void (*fn)(struct pn_login *l, struct pn_imap_args *args, bool more);
    bool args;
} rows[] = {
    {"AUTHENTICATE", authenticate, true},
    {"CAPABILITY", capability, false},
    {"ID", id, true},
    {"LOGIN", login, true},
    {"LOGOUT", logout, false},
    {"NOOP", noop, false},
    {"STARTTLS", starttls, false},
};

/* These there are, but not yet. */
static const char *const later[] = {
    "APPEND",    "CHECK",     "CLOSE",  "COMPRESS", "COPY",         "CREATE", "DELETE", "ENABLE",
    "EXAMINE",   "EXPUNGE",   "FETCH",  "GETQUOTA", "GETQUOTAROOT", "IDLE",   "LIST",   "LSUB",
    "MOVE",      "NAMESPACE", "RENAME", "SEARCH",   "SELECT",       "SORT",   "STATUS", "STORE",
    "SUBSCRIBE", "THREAD",    "UID",    "UNSELECT", "UNSUBSCRIBE"};

static const struct login_reply *unknown(struct pn_str name)
{
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (pn_str_ieq(pn_str_of(later[i]), name))
            return &login_first;
    return &login_unknown;
}

static const struct row *find(struct pn_str name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (pn_str_ieq(pn_str_of(rows[i].name), name))
            return &rows[i];
    return NULL;
}

static void dispatch(struct pn_login *l, struct pn_imap_args *args, bool more)
{
    struct pn_str name = PN_STR("");
    const struct row *row = pn_imap_atom(args, &name) ? find(name) : NULL;
    if (row == NULL && login_foreign(l, pn_str_of(l->tag)))
        return;
    if (row == NULL)
        login_refuse(l, unknown(name));
    else if (!row->args && !pn_imap_end(args))
        login_refuse(l, &login_bad_args);
    else
        row->fn(l, args, more);
}

/* ---- lines ---- */

/* The tag of what was gathered becomes the one that is answered. */
static bool take_tag(struct pn_login *l)
{
    struct pn_str tag = pn_imap_lex_tag(&l->lex);
    l->tag[0] = '\0';
    if (tag.len == 0 || tag.len > PN_LOGIN_TAG_MAX)
        return false;
    (void)snprintf(l->tag, sizeof l->tag, "%.*s", PN_FMT(tag));
    return true;
}

static void command(struct pn_login *l, bool more)
{
    struct pn_imap_args args = {.rest = pn_imap_lex_text(&l->lex)};
    struct pn_str tag;
    if (!login_count(l))
        return;
    if (!take_tag(l)) {
        login_refuse(l, &bad_tag);
        return;
    }
    args.pool = pn_pool_new_secret(POOL_MAX);
    if (pn_imap_tag(&args, &tag) && pn_imap_sp(&args))
        dispatch(l, &args, more);
    else
        login_refuse(l, &bad_tag);
    pn_pool_free(&args.pool);
}

/* The name of the command at hand, as far as it is known. Borrowed from its text. */
static struct pn_str name_at_hand(const struct pn_login *l)
{
    struct pn_imap_args args = {.rest = pn_imap_lex_text(&l->lex)};
    struct pn_str word;
    bool is = pn_imap_tag(&args, &word) && pn_imap_sp(&args) && pn_imap_atom(&args, &word);
    return is ? word : PN_STR("");
}

/* Names, passwords and what ID says may be literals; none is asked for that is then refused. */
static void literal(struct pn_login *l)
{
    struct pn_str name = name_at_hand(l);
    const struct row *row = find(name);
    bool sync = l->lex.literal.sync;
    bool wanted = row != NULL && (row->fn == id || (row->fn == login && login_plain(l)));
    l->lost = !wanted && row == NULL ? unknown(name) : !wanted ? &no_literal : &literal_large;
    if (!wanted)
        pn_imap_lex_refuse(&l->lex);
    else if (pn_imap_lex_keep(&l->lex)) {
        l->lost = NULL;
        (void)(sync && pn_buf_addz(&l->out, "+ OK\r\n"));
    }
}

static void refused(struct pn_login *l)
{
    const struct row *row = find(name_at_hand(l));
    if (!login_count(l))
        return;
    (void)take_tag(l);
    if (row == NULL || row->fn != login || login_plain_check(l))
        login_refuse(l, l->lost == NULL ? &login_too_long : l->lost);
}

/* More than is read over. */
static void flood(struct pn_login *l)
{
    if (l->lost == NULL) {
        login_flood(l);
        return;
    }
    say_bye(l, &literal_flood);
    l->closing = true;
}

static bool input(struct pn_login *l, struct pn_str *in)
{
    struct pn_str bytes, none = {NULL, 0};
    bool response = l->info.asked;
    enum pn_imap_got got;
    if (response)
        pn_imap_lex_raw(&l->lex);
    /* A literal that is refused ends its command at once, with no byte more. */
    while ((got = pn_imap_lex_feed(&l->lex, in, &bytes)) == PN_IMAP_LITERAL)
        literal(l);
    switch (got) {
    case PN_IMAP_COMMAND:
        if (response)
            login_response(l, pn_imap_lex_text(&l->lex));
        else
            command(l, in->len != 0);
        break;
    case PN_IMAP_REFUSED:
        if (response)
            login_response(l, none);
        else
            refused(l);
        break;
    case PN_IMAP_FLOOD:
        flood(l);
        return false;
    default:
        return false;
    }
    pn_imap_lex_next(&l->lex);
    l->lost = NULL;
    return true;
}

const struct login_kind login_imap = {
    .greet = greet, .input = input, .reply = reply, .bye = say_bye, .reset = reset};
