/*
 * One Received field. Servers write "from NAME (…) by HOST …" where NAME is what the client
 * said, or its name in the DNS, and the brackets hold the rest, each kind of server in its
 * own order. This reads them by what stands where, not by a list of servers: the words up
 * to "by", then for the common arrangements which word is what.
 */
#include "rules_clause.h"

static const struct postern_str none = {"", 0};

static struct postern_str behind(struct postern_str s, struct postern_str what)
{
    struct postern_str at = rules_ifind(s, what);

    return at.p == NULL ? at : (struct postern_str){at.p + what.len, at.len - what.len};
}

static bool has(struct postern_str s, const char *what)
{
    return rules_ifind(s, (struct postern_str){what, strlen(what)}).p != NULL;
}

static bool has_exactly(struct postern_str s, const char *what)
{
    return memmem(s.p, s.len, what, strlen(what)) != NULL;
}

/* ---- what the pieces are ---- */

/* "ident@name" -> name; the ident kept. */
static struct postern_str take_ident(struct rules_relay *r, struct postern_str s)
{
    const char *at = memchr(s.p, '@', s.len);
    struct postern_str ident;

    if (at == NULL)
        return s;
    ident = (struct postern_str){s.p, (size_t)(at - s.p)};
    if (rules_istarts(ident, POSTERN_STR("IDENT:")) && at + 1 < s.p + s.len)
        ident = (struct postern_str){ident.p + 6, ident.len - 6};
    r->ident = ident;
    return (struct postern_str){at + 1, s.len - (size_t)(at + 1 - s.p)};
}

/* "HELO x", "EHLO x", "LHLO x", "helo=x" in a comment. */
static struct postern_str helo_in(struct postern_str s)
{
    static const char *const words[] = {"HELO ", "EHLO ", "LHLO ", "helo="};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct postern_str at = behind(s, (struct postern_str){words[i], strlen(words[i])});

        if (at.p != NULL)
            return rules_until(at, " )");
    }
    return (struct postern_str){NULL, 0};
}

/* A comment that holds an address: "[ip]", "name [ip]", "name[ip]", "ident@ip", "ip". What
 * stands before it is in *name; *bare: the address has no brackets. */
static struct postern_str ip_in(struct postern_str s, struct postern_str *name, bool *bare)
{
    size_t took;
    struct postern_str ip;

    *name = none;
    *bare = s.len > 0 && s.p[0] != '[';
    ip = rules_ip_at(s, &took);
    /* "1.2.3.4 [1.2.3.4]": the first one is what the DNS has for a name. */
    if (ip.p != NULL && !(*bare && took + 2 < s.len && memcmp(s.p + took, " [", 2) == 0))
        return ip;
    *name = rules_until(s, " [");
    s = (struct postern_str){s.p + name->len, s.len - name->len};
    s = rules_trim(s);
    *bare = false;
    ip = s.len > 0 && s.p[0] == '[' ? rules_ip_at(s, &took) : (struct postern_str){NULL, 0};
    if (ip.p == NULL) {
        const char *at = memrchr(name->p, '@', name->len);
        size_t n = at == NULL ? 0 : (size_t)(at + 1 - name->p);
        struct postern_str tail = {name->p + n, name->len - n};

        ip = n > 0 ? rules_ip_at(tail, &took) : ip;
        *bare = true;
        if (ip.p != NULL)
            name->len = n;
    }
    return ip;
}

static bool is_qmail(const struct rules_clause *c)
{
    return (has_exactly(c->tail, " with SMTP") || has_exactly(c->tail, " with QMQP")) &&
           !has_exactly(c->tail, " with SMTP id ") && !has_exactly(c->tail, " with QMQP id ");
}

/* Servers that do not ask the DNS who their client is. */
static bool asks_no_dns(struct postern_str line)
{
    return has_exactly(line, " SMTPSVC") || has_exactly(line, "with Microsoft SMTP Server") ||
           has_exactly(line, "(Lotus Domino");
}

/* "NAME (HELO x) (ident@ip)": the name is of the DNS. */
static bool name_helo_ip(const struct rules_clause *c, struct rules_relay *r)
{
    struct postern_str helo = c->comments == 0 ? none : helo_in(c->comment[0]);
    struct postern_str name = none;
    bool bare;

    if (helo.p == NULL || c->comments == 0)
        return false;
    /* "(HELO [1.2.3.4])" tells what it said, not who it is. */
    r->ip = rules_istarts(c->comment[0], POSTERN_STR("HELO ")) ||
                    rules_istarts(c->comment[0], POSTERN_STR("EHLO "))
                ? (struct postern_str){NULL, 0}
                : ip_in(c->comment[0], &name, &bare);
    for (size_t i = 1; r->ip.p == NULL && i < c->comments; i++)
        r->ip = ip_in(c->comment[i], &name, &bare);
    if (r->ip.p == NULL)
        r->ip = c->bracket_ip;
    if (r->ip.len == 0)
        return false;
    (void)take_ident(r, name);
    r->rdns = c->word;
    r->helo = helo;
    r->no_rdns = !(is_qmail(c) && rules_eq(c->word, POSTERN_STR("unknown")));
    if (r->rdns.len > 0 && r->rdns.p[0] == '[')
        r->rdns = none;
    return true;
}

/* "NAME (dns-name [ip])" and the like: the name is what the client said. */
static bool name_dns_ip(const struct rules_clause *c, struct rules_relay *r)
{
    struct postern_str name;
    bool bare;

    if (c->comments == 0 || c->word.len == 0)
        return false;
    r->ip = ip_in(c->comment[0], &name, &bare);
    if (r->ip.p == NULL)
        return false;
    r->helo = c->glued && bare ? none : c->word;
    r->no_rdns = !asks_no_dns(c->line);
    if (has_exactly(c->line, "Exim") && name.len == 0)
        r->rdns = c->word;
    else if (bare || (name.len == 0 && is_qmail(c)))
        r->rdns = c->word;
    if (is_qmail(c) && rules_eq(c->word, POSTERN_STR("unknown")))
        r->no_rdns = false;
    if (name.len > 0 && rules_eq(name, POSTERN_STR("softdnserr")))
        r->no_rdns = false;
    else if (name.len > 0 && name.p[0] == '<')
        r->no_rdns = false;
    else if (name.len > 0 && !bare)
        r->rdns = take_ident(r, name);
    else if (name.len > 0)
        (void)take_ident(r, name);
    return true;
}

/* "[ip] by", "[ip] (helo=x ident=y)", "ip by": no name at all. */
static bool only_ip(const struct rules_clause *c, struct rules_relay *r)
{
    size_t took;
    struct postern_str name;
    bool bare;

    r->ip = rules_ip_at(c->word, &took);
    if (r->ip.p == NULL && c->word.len == 0 && c->comments > 0) {
        r->ip = ip_in(c->comment[0], &name, &bare);
        if (r->ip.p != NULL && !bare)
            r->helo = name;
    }
    if (r->ip.p == NULL)
        return false;
    for (size_t i = 0; i < c->comments; i++) {
        struct postern_str helo = helo_in(c->comment[i]);
        struct postern_str ident = behind(c->comment[i], POSTERN_STR("ident="));

        if (helo.p != NULL)
            r->helo = helo;
        if (ident.p != NULL)
            r->ident = rules_until(ident, " )");
    }
    return true;
}

/* "NAME [ip] by", "NAME(ip) by" */
static bool name_ip(const struct rules_clause *c, struct rules_relay *r)
{
    if (c->word.len == 0 || c->bracket_ip.len == 0)
        return false;
    r->ip = c->bracket_ip;
    r->helo = c->word;
    if (has_exactly(c->line, "Exim"))
        r->rdns = c->word;
    return true;
}

/* An address in square brackets wherever it is. */
static bool any_ip(const struct rules_clause *c, struct rules_relay *r)
{
    struct postern_str rest = c->line;
    const char *open;
    size_t took;

    while ((open = rest.len == 0 ? NULL : memchr(rest.p, '[', rest.len)) != NULL) {
        rest = (struct postern_str){open, rest.len - (size_t)(open - rest.p)};
        r->ip = rules_ip_at(rest, &took);
        if (r->ip.p != NULL)
            break;
        rest.p++;
        rest.len--;
    }
    if (r->ip.p == NULL)
        return false;
    if (r->helo.len == 0 && c->word.len > 0)
        r->helo = rules_until(c->word, "()[]<>,;:/_");
    return true;
}

/* A program has taken it out of a mailbox: it did not come that way by SMTP. */
static bool is_fetched(const struct rules_clause *c)
{
    return has_exactly(c->line, "with POP3") || has_exactly(c->line, "with IMAP");
}

/* Handed on within one machine, or without TCP. */
static bool is_local(const struct rules_clause *c)
{
    bool loopback = c->comments > 0 &&
                    (has(c->comment[0], "localhost") || has_exactly(c->comment[0], "127.0.0.1"));

    if (c->comments == 0 && c->bracket_ip.len == 0 && !c->other)
        return c->tail.len > 0; /* "NAME by HOST with …" tells of no client */
    return (loopback && memchr(c->comment[0].p, '@', c->comment[0].len) != NULL) ||
           has_exactly(c->line, "[UNIX: localhost]") ||
           has_exactly(c->tail, "(Content Technologies ") ||
           rules_starts(c->line, POSTERN_STR("mail pickup service by ")) ||
           has_exactly(c->line, "with local") || has_exactly(c->line, "(LSMTP for");
}

static enum rules_received read_client(const struct rules_clause *c, struct rules_relay *r)
{
    struct postern_str helo = r->helo;

    if (is_fetched(c))
        return RULES_FETCHED;
    if (c->comments > 0 && rules_eq(c->comment[0], POSTERN_STR("unverified")))
        return RULES_NO_RELAY;
    if (name_helo_ip(c, r) || name_dns_ip(c, r) || name_ip(c, r) || only_ip(c, r))
        return RULES_RELAY;
    if (is_local(c))
        return RULES_NO_RELAY;
    *r = (struct rules_relay){.id = r->id,
                              .auth = r->auth,
                              .by = r->by,
                              .rdns = none,
                              .helo = helo,
                              .ident = none,
                              .envelope_from = r->envelope_from,
                              .has_envelope_from = r->has_envelope_from};
    return any_ip(c, r) && r->by.len > 0 ? RULES_RELAY : RULES_UNPARSEABLE;
}

/* ---- what the rest of the field says ---- */

/* How the client proved who it is, as far as the server says so. */
static struct postern_str auth_of(const struct rules_clause *c)
{
    static const char *const with[] = {"ESMTPSA",    "ESMTPA",    "LMTPSA", "LMTPA", "ASMTP",
                                       "UTF8SMTPSA", "UTF8SMTPA", "HTTPS",  "HTTPU", "HTTP"};
    struct postern_str at = behind(c->tail, POSTERN_STR(" with "));

    for (size_t i = 0; at.p != NULL && i < sizeof(with) / sizeof(with[0]); i++) {
        struct postern_str word = {with[i], strlen(with[i])};

        if (rules_istarts(at, word) && (at.len == word.len || rules_in(at.p[word.len], " ;")))
            return (struct postern_str){at.p, word.len};
    }
    for (size_t i = 0; i < c->comments; i++)
        if (has_exactly(c->comment[i], "authenticated"))
            return POSTERN_STR("Sendmail");
        else if (has_exactly(c->comment[i], "Authenticated sender: "))
            return POSTERN_STR("Postfix");
        else if (rules_starts(c->comment[i], POSTERN_STR("account ")) &&
                 has_exactly(c->tail, "CommuniGate Pro"))
            return POSTERN_STR("Communigate");
    at = behind(c->tail, POSTERN_STR("(via HTTP"));
    return at.p == NULL ? none : POSTERN_STR("HTTP");
}

static void read_rest(const struct rules_clause *c, struct rules_relay *r)
{
    static const char *const froms[] = {"envelope-from ", "envelope-sender ",
                                        "envelope-from=", "return-path: ", "return-path "};
    const char *id = memmem(c->line.p, c->line.len, " id ", 4);
    struct postern_str at = {id == NULL ? NULL : id + 4,
                             id == NULL ? 0 : c->line.len - (size_t)(id + 4 - c->line.p)};

    if (at.p != NULL) {
        if (at.len > 0 && at.p[0] == '<')
            at = (struct postern_str){at.p + 1, at.len - 1};
        at = rules_until(at, " <>;");
        r->id = at.len >= 3 ? at : none;
    }
    at = helo_in(c->line);
    r->helo = at.p == NULL ? none : at;
    for (size_t i = 0; i < sizeof(froms) / sizeof(froms[0]) && !r->has_envelope_from; i++) {
        at = behind(c->line, (struct postern_str){froms[i], strlen(froms[i])});
        if (at.p == NULL)
            continue;
        r->has_envelope_from = true;
        r->envelope_from = rules_until(at, " );");
        while (r->envelope_from.len > 0 && r->envelope_from.p[0] == '<')
            r->envelope_from.p++, r->envelope_from.len--;
        r->envelope_from = rules_until(r->envelope_from, ">");
    }
    r->by = c->tail.len > 3
                ? rules_until((struct postern_str){c->tail.p + 3, c->tail.len - 3}, " ;")
                : none;
    r->auth = auth_of(c);
}

/* A copy in which no byte can be taken for the pseudo header's own. */
static bool keep(struct rules_arena *a, struct postern_str *s)
{
    *s = rules_dup(a, *s);
    for (size_t i = 0; i < s->len; i++)
        if ((unsigned char)s->p[i] <= ' ' || rules_in(s->p[i], "#[]()<>|"))
            ((char *)(uintptr_t)s->p)[i] = '!';
    return s->p != NULL;
}

static bool finish(struct rules_relay *r, struct rules_arena *a)
{
    if (rules_istarts(r->ip, POSTERN_STR("IPv6:")))
        r->ip = (struct postern_str){r->ip.p + 5, r->ip.len - 5};
    if (rules_istarts(r->ip, POSTERN_STR("::ffff:")) &&
        rules_is_ipv4((struct postern_str){r->ip.p + 7, r->ip.len - 7}))
        r->ip = (struct postern_str){r->ip.p + 7, r->ip.len - 7};
    while (r->rdns.len > 0 && r->rdns.p[r->rdns.len - 1] == '.')
        r->rdns.len--;
    if (rules_ieq(r->rdns, POSTERN_STR("unknown")) || (r->rdns.len > 0 && r->rdns.p[0] == '['))
        r->rdns = none;
    r->no_rdns = r->no_rdns && r->rdns.len == 0;
    r->private_ip = rules_ip_is_private(r->ip);
    return keep(a, &r->ip) && keep(a, &r->rdns) && keep(a, &r->helo) && keep(a, &r->by) &&
           keep(a, &r->ident) && keep(a, &r->envelope_from) &&
           (r->id = rules_dup(a, r->id)).p != NULL && (r->auth = rules_dup(a, r->auth)).p != NULL;
}

enum rules_received rules_received_read(struct postern_str field, struct rules_arena *a,
                                        struct rules_relay *out)
{
    struct rules_clause c;
    enum rules_received what;

    *out =
        (struct rules_relay){none, none, none, none, none, none, none, none, false, false, false};
    field = rules_trim(field);
    if (field.len > RULES_RECEIVED_MAX)
        field.len = RULES_RECEIVED_MAX;
    if (field.len > 0 && field.p[0] == '(' && rules_istarts(field, POSTERN_STR("(from ")))
        field = (struct postern_str){field.p + 1, field.len - 1};
    if (!rules_istarts(field, POSTERN_STR("from ")))
        return RULES_NO_RELAY;
    c = rules_clause_split(rules_trim((struct postern_str){field.p + 5, field.len - 5}));
    read_rest(&c, out);
    what = read_client(&c, out);
    if (what != RULES_RELAY)
        return what;
    return finish(out, a) ? RULES_RELAY : RULES_UNPARSEABLE;
}
