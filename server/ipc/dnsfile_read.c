#include "dnsfile_int.h"

#include "mem.h"
#include "net.h"

#include <stdlib.h>

enum { TOKENS_MAX = 2048, DEFAULT_TTL = 3600, TTL_MAX = 0x7fffffff };

struct token {
    struct pn_str s; /* escapes stand in it; without its quotes */
    bool quoted;
    uint32_t line, column;
};

struct reader {
    struct pn_str text;
    size_t at;
    uint32_t line;
    size_t line_start;
    const char *file;
    struct pn_pool *pool;
    struct dnsfile_entries *out;
    struct pn_buf *err;
    struct token tokens[TOKENS_MAX]; /* of the line at hand */
    size_t count;
    bool blank_owner;
    unsigned char owner[PN_DNS_NAME_MAX]; /* the last line's */
    size_t owner_len;                     /* 0: there was none */
    unsigned char origin[PN_DNS_NAME_MAX];
    size_t origin_len;
    uint32_t ttl;
};

static bool fail_at(struct reader *r, uint32_t line, uint32_t column, const char *what)
{
    (void)pn_buf_addf(r->err, "%s:%u:%u: %s", r->file, line, column, what);
    return false;
}

static bool fail(struct reader *r, const struct token *t, const char *what)
{
    return fail_at(r, t->line, t->column, what);
}

/* Names the token too. */
static bool fail_word(struct reader *r, const struct token *t, const char *what,
                      const char *expected)
{
    struct pn_str s = pn_str_slice(t->s, 0, 80);
    (void)pn_buf_addf(r->err, "%s:%u:%u: %s \"%.*s\", expected %s", r->file, t->line, t->column,
                      what, PN_FMT(s), expected);
    return false;
}

/* ---- tokens ---- */

static uint32_t column(const struct reader *r)
{
    return (uint32_t)(r->at - r->line_start + 1);
}

static void newline(struct reader *r)
{
    r->at++;
    r->line++;
    r->line_start = r->at;
}

static bool take_token(struct reader *r)
{
    if (r->count == TOKENS_MAX)
        return fail_at(r, r->line, column(r), "too many words in one record");
    struct token *t = &r->tokens[r->count++];
    *t = (struct token){.line = r->line, .column = column(r)};
    t->quoted = r->text.p[r->at] == '"';
    if (t->quoted)
        r->at++;
    size_t from = r->at;
    for (; r->at < r->text.len; r->at++) {
        char c = r->text.p[r->at];
        if (c == '\n' ||
            (t->quoted ? c == '"'
                       : c == ' ' || c == '\t' || c == '\r' || c == ';' || c == '(' || c == ')'))
            break;
        if (c == '\\' && r->at + 1 < r->text.len && r->text.p[r->at + 1] != '\n')
            r->at++;
    }
    t->s = pn_str_slice(r->text, from, r->at);
    if (!t->quoted)
        return true;
    if (r->at == r->text.len || r->text.p[r->at] != '"')
        return fail(r, t, "string without an end, expected \" before the line ends");
    r->at++;
    return true;
}

/* The words of one record: to the line's end, or over lines inside parentheses. */
static bool take_line(struct reader *r)
{
    unsigned depth = 0;
    uint32_t open_line = 0, open_column = 0;
    r->count = 0;
    r->blank_owner = r->text.p[r->at] == ' ' || r->text.p[r->at] == '\t';
    while (r->at < r->text.len) {
        char c = r->text.p[r->at];
        if (c == '\n') {
            newline(r);
            if (depth == 0)
                return true;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            r->at++;
        } else if (c == ';') {
            while (r->at < r->text.len && r->text.p[r->at] != '\n')
                r->at++;
        } else if (c == '(') {
            open_line = r->line, open_column = column(r);
            depth++;
            r->at++;
        } else if (c == ')') {
            if (depth == 0)
                return fail_at(r, r->line, column(r), "\")\" without \"(\", expected a word");
            depth--;
            r->at++;
        } else if (!take_token(r)) {
            return false;
        }
    }
    return depth == 0 || fail_at(r, open_line, open_column,
                                 "\"(\" without its \")\", expected it before the end");
}

/* ---- words ---- */

/* "a." is absolute; in "a\\." the dot is a byte of the label. */
static bool ends_in_dot(struct pn_str s)
{
    size_t backslashes = 0;
    if (s.len == 0 || s.p[s.len - 1] != '.')
        return false;
    while (backslashes + 1 < s.len && s.p[s.len - 2 - backslashes] == '\\')
        backslashes++;
    return backslashes % 2 == 0;
}

/* A name, relative ones completed by the origin. Returns its length, 0 with an error. */
static size_t take_name(struct reader *r, const struct token *t,
                        unsigned char wire[PN_DNS_NAME_MAX])
{
    if (!t->quoted && pn_str_eq(t->s, PN_STR("@"))) {
        memcpy(wire, r->origin, r->origin_len);
        return r->origin_len;
    }
    size_t len = t->quoted ? 0 : pn_dns_name_to_wire(t->s, wire);
    if (len != 0 && !ends_in_dot(t->s)) {
        if (len - 1 + r->origin_len > PN_DNS_NAME_MAX)
            len = 0;
        else
            memcpy(wire + len - 1, r->origin, r->origin_len);
        len = len == 0 ? 0 : len - 1 + r->origin_len;
    }
    if (len == 0)
        (void)fail_word(r, t, "malformed name", "labels of 1 to 63 bytes, 255 in all");
    return len;
}

/* Appends the string's bytes, escapes undone. */
static bool take_string(struct reader *r, const struct token *t, struct pn_buf *out)
{
    for (size_t i = 0; i < t->s.len; i++) {
        if (t->s.p[i] != '\\') {
            (void)pn_buf_addc(out, t->s.p[i]);
            continue;
        }
        uint64_t v = 0;
        if (++i == t->s.len)
            return fail_word(r, t, "a backslash ends", "a character or three digits behind it");
        if (!pn_is_digit(t->s.p[i])) {
            (void)pn_buf_addc(out, t->s.p[i]);
            continue;
        }
        if (!pn_str_u64(pn_str_slice(t->s, i, i + 3), 255, &v) || i + 3 > t->s.len)
            return fail_word(r, t, "bad escape in", "\\ and three digits up to 255");
        (void)pn_buf_addc(out, (char)v);
        i += 2;
    }
    return true;
}

static bool take_number(struct reader *r, const struct token *t, uint64_t max, uint64_t *out)
{
    return (!t->quoted && pn_str_u64(t->s, max, out)) ||
           fail_word(r, t, "bad number", "digits, within the field's range");
}

static int hex_digit(char c)
{
    c = pn_lower(c);
    return pn_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal over all words that are left; digits of one byte stay together. */
static bool take_hex(struct reader *r, size_t from, struct pn_buf *out)
{
    for (; from < r->count; from++) {
        const struct token *t = &r->tokens[from];
        for (size_t i = 0; i < t->s.len; i += 2) {
            int high = hex_digit(t->s.p[i]);
            int low = i + 1 < t->s.len ? hex_digit(t->s.p[i + 1]) : -1;
            if (high < 0 || low < 0)
                return fail_word(r, t, "bad data", "pairs of hexadecimal digits");
            (void)pn_buf_addc(out, (char)(high << 4 | low));
        }
    }
    return true;
}

/* ---- rdata ---- */

static bool want_words(struct reader *r, size_t at, size_t n, const char *expected)
{
    if (r->count - at == n)
        return true;
    return fail_word(r, &r->tokens[r->count - at < n ? r->count - 1 : at + n],
                     r->count - at < n ? "record ends at" : "record goes on at", expected);
}

static bool take_address(struct reader *r, size_t at, bool v4, struct pn_buf *out)
{
    const struct token *t = &r->tokens[at];
    const char *expected = v4 ? "an IPv4 address" : "an IPv6 address";
    struct pn_ip ip;
    if (!want_words(r, at, 1, expected))
        return false;
    if (!pn_ip_parse(t->s, &ip) || (pn_str_find(t->s, ':', 0) == SIZE_MAX) != v4)
        return fail_word(r, t, "bad address", expected);
    return pn_buf_add(out, ip.b + (v4 ? 12 : 0), v4 ? 4 : 16);
}

static bool take_target(struct reader *r, size_t at, struct pn_buf *out)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    if (!want_words(r, at, 1, "one name") || take_name(r, &r->tokens[at], wire) == 0)
        return false;
    pn_dns_name_to_text(out, wire);
    return true;
}

static bool take_mx(struct reader *r, size_t at, struct pn_buf *out)
{
    uint64_t preference;
    if (!want_words(r, at, 2, "a preference and a name") ||
        !take_number(r, &r->tokens[at], 65535, &preference))
        return false;
    const unsigned char b[2] = {(unsigned char)(preference >> 8), (unsigned char)preference};
    (void)pn_buf_add(out, b, 2);
    return take_target(r, at + 1, out);
}

static bool take_txt(struct reader *r, size_t at, struct pn_buf *out)
{
    if (at == r->count)
        return want_words(r, at, 1, "one string or more");
    for (; at < r->count; at++)
        if (!take_string(r, &r->tokens[at], out))
            return false;
    return true;
}

static bool take_soa(struct reader *r, size_t at, struct pn_buf *out)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    if (!want_words(r, at, 7, "two names and five numbers"))
        return false;
    for (size_t i = 0; i < 2; i++) {
        size_t len = take_name(r, &r->tokens[at + i], wire);
        if (len == 0)
            return false;
        (void)pn_buf_add(out, wire, len);
    }
    for (size_t i = 2; i < 7; i++) {
        uint64_t v;
        if (!take_number(r, &r->tokens[at + i], UINT32_MAX, &v))
            return false;
        for (int shift = 24; shift >= 0; shift -= 8)
            (void)pn_buf_addc(out, (char)(v >> shift));
    }
    return true;
}

static bool take_tlsa(struct reader *r, size_t at, struct pn_buf *out)
{
    if (r->count - at < 4)
        return want_words(r, at, 4, "three numbers and hexadecimal data");
    for (size_t i = 0; i < 3; i++) {
        uint64_t v;
        if (!take_number(r, &r->tokens[at + i], 255, &v))
            return false;
        (void)pn_buf_addc(out, (char)v);
    }
    return take_hex(r, at + 3, out);
}

/* RFC 3597, section 5. */
static bool take_unknown(struct reader *r, size_t at, struct pn_buf *out)
{
    uint64_t len;
    if (r->count - at < 2 || !pn_str_eq(r->tokens[at].s, PN_STR("\\#")))
        return fail(r, &r->tokens[at - 1], "data of an unknown type, expected \\# LENGTH HEX");
    if (!take_number(r, &r->tokens[at + 1], 65535, &len) || !take_hex(r, at + 2, out))
        return false;
    return out->len == len || fail_word(r, &r->tokens[at + 1], "wrong length", "that of the data");
}

static bool take_rdata(struct reader *r, size_t at, uint16_t type, struct pn_buf *out)
{
    switch (type) {
    case PN_DNS_A:
        return take_address(r, at, true, out);
    case PN_DNS_AAAA:
        return take_address(r, at, false, out);
    case PN_DNS_NS:
    case PN_DNS_CNAME:
    case PN_DNS_PTR:
        return take_target(r, at, out);
    case PN_DNS_MX:
        return take_mx(r, at, out);
    case PN_DNS_TXT:
        return take_txt(r, at, out);
    case PN_DNS_SOA:
        return take_soa(r, at, out);
    case PN_DNS_TLSA:
        return take_tlsa(r, at, out);
    default:
        return take_unknown(r, at, out);
    }
}

/* ---- lines ---- */

static bool state_word(const struct token *t, uint16_t *rcode)
{
    static const struct {
        struct pn_str word;
        uint16_t rcode;
    } words[] = {{PN_STR_INIT("TIMEOUT"), PN_DNS_TIMEOUT},
                 {PN_STR_INIT("SERVFAIL"), PN_DNS_SERVFAIL},
                 {PN_STR_INIT("NXDOMAIN"), PN_DNS_NXDOMAIN},
                 {PN_STR_INIT("NODATA"), PN_DNS_NOERROR},
                 {PN_STR_INIT("SECURE"), DNSFILE_SECURE}};
    for (size_t i = 0; !t->quoted && i < sizeof words / sizeof words[0]; i++)
        if (pn_str_eq(t->s, words[i].word)) {
            *rcode = words[i].rcode;
            return true;
        }
    return false;
}

static bool type_word(const struct token *t, uint16_t *type)
{
    uint64_t n;
    if (t->quoted)
        return false;
    if (pn_dns_type_of(t->s, type))
        return true;
    if (!pn_str_istarts(t->s, PN_STR("TYPE")) ||
        !pn_str_u64(pn_str_slice(t->s, 4, t->s.len), 65535, &n) || n == 0 ||
        pn_dns_type_name((uint16_t)n) != NULL)
        return false;
    *type = (uint16_t)n;
    return true;
}

static bool add_entry(struct reader *r, const struct dnsfile_entry *e, struct pn_str data)
{
    struct dnsfile_entries *all = r->out;
    struct pn_str owner =
        pn_pool_dup(r->pool, (struct pn_str){(const char *)r->owner, r->owner_len});
    struct pn_str copy = pn_pool_dup(r->pool, data);
    if (owner.p == NULL || copy.p == NULL)
        return fail_at(r, e->line, e->column, "the file is too large");
    all->e = pn_grow(all->e, &all->cap, all->count, sizeof *all->e);
    all->e[all->count] = *e;
    all->e[all->count].owner = (const unsigned char *)owner.p;
    all->e[all->count].owner_len = (uint8_t)r->owner_len;
    all->e[all->count++].data = copy;
    return true;
}

static bool take_record(struct reader *r, size_t at, struct dnsfile_entry *e)
{
    struct pn_buf data;
    pn_buf_init(&data, PN_DNSFILE_MAX);
    bool ok = take_rdata(r, at, e->type, &data);
    if (data.len > PN_DNS_TXT_MAX) {
        /* Cut away whole, as dns.h says. The name exists all the same: NODATA for a
         * type that nobody asks for. */
        e->state = true;
        e->type = UINT16_MAX;
        pn_buf_clear(&data);
    }
    ok = ok && add_entry(r, e, pn_buf_str(&data));
    pn_buf_fini(&data);
    return ok;
}

static bool take_directive(struct reader *r)
{
    const struct token *t = &r->tokens[0];
    uint64_t ttl;
    if (pn_str_ieq(t->s, PN_STR("$TTL"))) {
        if (!want_words(r, 1, 1, "seconds") || !take_number(r, t + 1, TTL_MAX, &ttl))
            return false;
        r->ttl = (uint32_t)ttl;
        return true;
    }
    if (!pn_str_ieq(t->s, PN_STR("$ORIGIN")))
        return fail_word(r, t, "unknown directive", "$ORIGIN or $TTL");
    unsigned char wire[PN_DNS_NAME_MAX];
    size_t len = want_words(r, 1, 1, "a name") ? take_name(r, t + 1, wire) : 0;
    if (len == 0)
        return false;
    memcpy(r->origin, wire, len);
    r->origin_len = len;
    return true;
}

/* TTL and class, in any order, each at most once. Returns the index behind them. */
static size_t take_ttl_class(const struct reader *r, size_t at, uint32_t *ttl)
{
    bool have_ttl = false, have_class = false;
    for (; at < r->count && !r->tokens[at].quoted; at++) {
        uint64_t v;
        if (!have_class && pn_str_ieq(r->tokens[at].s, PN_STR("IN"))) {
            have_class = true;
        } else if (!have_ttl && pn_str_u64(r->tokens[at].s, TTL_MAX, &v)) {
            have_ttl = true;
            *ttl = (uint32_t)v;
        } else {
            break;
        }
    }
    return at;
}

static bool take_entry(struct reader *r)
{
    static const char expected[] = "a type (A, AAAA, CNAME, MX, NS, PTR, SOA, TLSA, TXT) or "
                                   "TIMEOUT, SERVFAIL, NXDOMAIN, NODATA";
    size_t at = 0;
    if (r->blank_owner) {
        if (r->owner_len == 0)
            return fail(r, &r->tokens[0], "line begins with a blank, expected a name");
    } else {
        r->owner_len = take_name(r, &r->tokens[at++], r->owner);
        if (r->owner_len == 0)
            return false;
    }
    struct dnsfile_entry e = {
        .ttl = r->ttl, .line = r->tokens[0].line, .column = r->tokens[0].column};
    at = take_ttl_class(r, at, &e.ttl);
    if (at == r->count)
        return fail_word(r, &r->tokens[at - 1], "line ends at", expected);
    if (!state_word(&r->tokens[at], &e.rcode)) {
        if (!type_word(&r->tokens[at], &e.type))
            return fail_word(r, &r->tokens[at], "unknown type", expected);
        at++;
        if (at + 1 != r->count || !state_word(&r->tokens[at], &e.rcode))
            return take_record(r, at, &e);
    } else if (e.rcode == DNSFILE_SECURE) {
        return fail_word(r, &r->tokens[at], "no type before", expected);
    }
    e.state = true;
    return want_words(r, at, 1, "nothing behind it") && add_entry(r, &e, PN_STR(""));
}

bool dnsfile_read(struct pn_str text, const char *file, struct pn_pool *pool,
                  struct dnsfile_entries *out, struct pn_buf *err)
{
    struct reader *r = pn_calloc(1, sizeof *r);
    r->text = text;
    r->line = 1;
    r->file = file;
    r->pool = pool;
    r->out = out;
    r->err = err;
    r->origin_len = 1;
    r->ttl = DEFAULT_TTL;
    bool ok = text.len <= PN_DNSFILE_MAX || fail_at(r, 1, 1, "the file is too large");
    while (ok && r->at < text.len) {
        ok = take_line(r);
        if (ok && r->count != 0)
            ok = !r->blank_owner && !r->tokens[0].quoted && r->tokens[0].s.p[0] == '$'
                     ? take_directive(r)
                     : take_entry(r);
    }
    free(r);
    return ok;
}
