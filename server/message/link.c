#include "link.h"

#include "assert.h"
#include "lex.h"
#include "link_priv.h"
#include "mem.h"
#include "utf8_code.h"

#include <stdlib.h>

enum {
    URL_MAX = 2048,
    BYTES_EACH = 512, /* the arena's limit, times max */
};

struct entry {
    enum pn_link_kind kind;
    bool truncated;
    uint32_t url, url_len, host, host_len; /* in the arena */
};

struct pn_links {
    size_t max;
    bool full;
    struct pn_buf arena;
    struct entry *v;
    size_t count, cap;
    uint32_t *table; /* index + 1 of an entry, by the hash of its URL; 0: free */
    size_t slots;
};

/* ---- the set */

struct pn_links *pn_links_new(size_t max)
{
    struct pn_links *links = pn_calloc(1, sizeof *links);
    links->max = max;
    for (links->slots = 16; links->slots < 2 * max; links->slots *= 2)
        ;
    links->table = pn_calloc(links->slots, sizeof *links->table);
    pn_buf_init(&links->arena, (max < 8 ? 8 : max) * BYTES_EACH);
    return links;
}

void pn_links_free(struct pn_links **links)
{
    if (*links == NULL)
        return;
    pn_buf_fini(&(*links)->arena);
    free((*links)->v);
    free((*links)->table);
    free(*links);
    *links = NULL;
}

void pn_links_clear(struct pn_links *links)
{
    if (links->count != 0)
        memset(links->table, 0, links->slots * sizeof *links->table);
    links->count = 0;
    links->full = false;
    pn_buf_clear(&links->arena);
}

size_t pn_links_count(const struct pn_links *links)
{
    return links->count;
}

bool pn_links_full(const struct pn_links *links)
{
    return links->full;
}

static struct pn_str arena_str(const struct pn_links *links, uint32_t at, uint32_t len)
{
    return pn_str_slice(pn_buf_str(&links->arena), at, (size_t)at + len);
}

struct pn_link pn_links_at(const struct pn_links *links, size_t index)
{
    pn_assert(index < links->count);
    const struct entry *e = &links->v[index];
    return (struct pn_link){e->kind, e->truncated, arena_str(links, e->url, e->url_len),
                            arena_str(links, e->host, e->host_len)};
}

/* The slot of url in the table: one that holds it, or a free one. */
static uint32_t *find_slot(const struct pn_links *links, struct pn_str url)
{
    size_t i = (size_t)pn_str_hash(url, 0, false) & (links->slots - 1);
    for (;; i = (i + 1) & (links->slots - 1)) {
        uint32_t *slot = &links->table[i];
        const struct entry *e = *slot == 0 ? NULL : &links->v[*slot - 1];
        if (e == NULL || pn_str_eq(arena_str(links, e->url, e->url_len), url))
            return slot;
    }
}

/* ---- what a URL is made of */

static bool is_scheme(struct pn_str scheme, bool *mail)
{
    *mail = pn_str_ieq(scheme, PN_STR("mailto"));
    return *mail || pn_str_ieq(scheme, PN_STR("http")) || pn_str_ieq(scheme, PN_STR("https")) ||
           pn_str_ieq(scheme, PN_STR("ftp")) || pn_str_ieq(scheme, PN_STR("ftps"));
}

static size_t span_to(struct pn_str s, size_t at, const char *stops)
{
    while (at < s.len && (s.p[at] == '\0' || strchr(stops, s.p[at]) == NULL))
        at++;
    return at;
}

/* "user:word@host:port" to the host alone; "[...]" is IPv6. */
static bool authority_host(struct pn_str s, struct pn_buf *out)
{
    for (size_t at = s.len; at > 0; at--) {
        if (s.p[at - 1] == '@') {
            s = pn_str_slice(s, at, s.len);
            break;
        }
    }
    if (s.len > 1 && s.p[0] == '[') {
        struct pn_str inside = pn_str_slice(s, 1, span_to(s, 1, "]"));
        for (size_t i = 0; i < inside.len; i++)
            if (lex_hex(inside.p[i]) < 0 && inside.p[i] != ':' && inside.p[i] != '.')
                return false;
        size_t len = out->len;
        bool ok = inside.len != 0 && inside.len < 46 && pn_buf_adds(out, inside);
        for (size_t i = len; i < out->len; i++)
            out->p[i] = pn_lower(out->p[i]);
        return ok;
    }
    return link_host(pn_str_slice(s, 0, span_to(s, 0, ":")), out);
}

/* Letters, digits and "+-." before a colon, or an empty view. */
static struct pn_str url_scheme(struct pn_str url)
{
    size_t at = 0;
    while (at < url.len &&
           (pn_is_alpha(url.p[at]) || (at > 0 && (pn_is_digit(url.p[at]) || url.p[at] == '+' ||
                                                  url.p[at] == '-' || url.p[at] == '.'))))
        at++;
    return at < url.len && url.p[at] == ':' ? pn_str_slice(url, 0, at) : PN_STR("");
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\'; /* browsers take both */
}

bool pn_url_host(struct pn_str url, struct pn_buf *out)
{
    bool mail = false;
    url = pn_str_trim(url);
    struct pn_str scheme = url_scheme(url);
    if (scheme.len != 0 && is_scheme(scheme, &mail)) {
        size_t at = scheme.len + 1;
        if (mail) {
            struct pn_str to = pn_str_slice(url, at, span_to(url, at, "?,"));
            return pn_str_find(to, '@', 0) != SIZE_MAX && authority_host(to, out);
        }
        while (at < url.len && is_slash(url.p[at]))
            at++;
        return authority_host(pn_str_slice(url, at, span_to(url, at, "/\\?#")), out);
    }
    if (url.len > 2 && is_slash(url.p[0]) && is_slash(url.p[1]))
        return authority_host(pn_str_slice(url, 2, span_to(url, 2, "/\\?#")), out);
    struct pn_str name = pn_str_slice(url, 0, span_to(url, 0, "/\\?#:"));
    if (!link_is_domain(name) && !pn_str_istarts(name, PN_STR("www.")))
        return false;
    return link_host(name, out);
}

/* Without blanks and line ends inside, as browsers read attributes; at most URL_MAX bytes. */
static bool copy_url(struct pn_str url, char *to, size_t *len)
{
    *len = 0;
    url = pn_str_trim(url);
    for (size_t i = 0; i < url.len; i++) {
        if (url.p[i] == '\r' || url.p[i] == '\n' || url.p[i] == '\t' || url.p[i] == '\0')
            continue;
        if (*len == URL_MAX) {
            while (*len > 0 && ((unsigned char)to[*len - 1] & 0xc0) == 0x80)
                --*len; /* no half a character; its lead byte goes below */
            if (*len > 0 && (unsigned char)to[*len - 1] >= 0xc0)
                --*len;
            return true;
        }
        to[(*len)++] = url.p[i];
    }
    return false;
}

void pn_links_add(struct pn_links *links, enum pn_link_kind kind, struct pn_str url)
{
    char text[URL_MAX];
    struct entry e = {.kind = kind};
    if (links->full)
        return;
    struct pn_str kept = {text, 0};
    e.truncated = copy_url(url, text, &kept.len);
    uint32_t *slot = find_slot(links, kept);
    if (kept.len == 0 || *slot != 0)
        return;
    size_t len = links->arena.len;
    bool fits = links->count < links->max && pn_buf_adds(&links->arena, kept);
    e.url = (uint32_t)len;
    e.url_len = (uint32_t)kept.len;
    e.host = (uint32_t)links->arena.len;
    if (!fits || !pn_url_host(kept, &links->arena)) {
        links->full = !fits || links->arena.overflow;
        links->arena.len = len;
        return;
    }
    e.host_len = (uint32_t)links->arena.len - e.host;
    links->v = pn_grow(links->v, &links->cap, links->count, sizeof *links->v);
    links->v[links->count++] = e;
    *slot = (uint32_t)links->count;
}

/* ---- links in plain text */

/* Letters, digits, ".-_@+" and all beyond ASCII: what names, addresses and schemes are made
 * of. Two words of bits, as this is asked for every byte of text. */
static bool is_run_byte(char c)
{
    static const uint64_t low = 0x3ffULL << '0' | 1ULL << '.' | 1ULL << '-' | 1ULL << '+';
    static const uint64_t letters = 0x7fffffeULL;
    static const uint64_t high = letters | letters << 32 | 1ULL << ('_' - 64) | 1ULL << ('@' - 64);
    unsigned char u = (unsigned char)c;
    return u >= 0x80 || ((u < 64 ? low : high) >> (u & 63) & 1) != 0;
}

/* Where a URL ends: at a blank or what can't be in one, at a bracket that it did not open,
 * and before punctuation that closes the sentence around it. */
static size_t url_end(struct pn_str s, size_t from)
{
    size_t end = from, open = 0;
    for (; end < s.len && (unsigned char)s.p[end] > ' ' && s.p[end] != 127 &&
           strchr("<>\"{}|^`", s.p[end]) == NULL;
         end++) {
        if (s.p[end] == ')' && open == 0)
            break;
        open += s.p[end] == '(';
        open -= s.p[end] == ')';
    }
    while (end > from && strchr(".,;:!?'*]", s.p[end - 1]) != NULL)
        end--;
    return end;
}

/* "http", "https" or "ftp" at the end of what stands before "://"; its length. */
static size_t scheme_before(struct pn_str run)
{
    static const struct pn_str schemes[] = {PN_STR_INIT("https"), PN_STR_INIT("http"),
                                            PN_STR_INIT("ftp")};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (pn_str_iends(run, schemes[i]))
            return schemes[i].len;
    return 0;
}

/* An address of mail or a bare name: [from, end) is the run of bytes that it is in. */
static size_t add_bare(struct pn_links *links, struct pn_str text, size_t from, size_t end)
{
    struct pn_str run = pn_str_slice(text, from, end);
    size_t sign = pn_str_find(run, '@', 0);
    while (run.len > 0 && (run.p[run.len - 1] == '.' || run.p[run.len - 1] == '-'))
        run.len--;
    if (sign != SIZE_MAX) {
        if (sign > 0 && link_is_domain(pn_str_slice(run, sign + 1, run.len)) && run.len < 400) {
            char mail[408] = "mailto:";
            memcpy(mail + 7, run.p, run.len);
            pn_links_add(links, PN_LINK_BARE, (struct pn_str){mail, 7 + run.len});
        }
        return end;
    }
    bool www = pn_str_istarts(run, PN_STR("www.")) && run.len > 5;
    if (!www && !link_is_domain(run))
        return end;
    size_t stop = from + run.len;
    if (stop == end && end < text.len && strchr("/?#", text.p[end]) != NULL)
        stop = url_end(text, from);
    pn_links_add(links, www ? PN_LINK_TEXT : PN_LINK_BARE, pn_str_slice(text, from, stop));
    return stop > end ? stop : end;
}

static size_t find_from(struct pn_str s, char c, size_t from)
{
    size_t at = pn_str_find(s, c, from);
    return at == SIZE_MAX ? s.len : at;
}

/* The next byte that makes a run worth looking at: a dot in it, or a colon behind it. */
struct marks {
    size_t dot, colon; /* the text's length: none */
};

static size_t next_mark(struct marks *m, struct pn_str text, size_t at)
{
    if (m->dot < at)
        m->dot = find_from(text, '.', at);
    if (m->colon < at)
        m->colon = find_from(text, ':', at);
    return m->dot < m->colon ? m->dot : m->colon;
}

void pn_links_find(struct pn_links *links, struct pn_str text)
{
    struct marks marks = {find_from(text, '.', 0), find_from(text, ':', 0)};
    for (size_t at = 0; at < text.len && !links->full;) {
        size_t end = next_mark(&marks, text, at), first = end;
        if (end == text.len)
            return;
        while (first > at && is_run_byte(text.p[first - 1]))
            first--;
        bool dot = end == marks.dot;
        at = first;
        while (end < text.len && is_run_byte(text.p[end]))
            end++;
        struct pn_str run = pn_str_slice(text, at, end), rest = pn_str_slice(text, end, text.len);
        bool colon = rest.len > 0 && rest.p[0] == ':';
        size_t scheme = colon && pn_str_starts(rest, PN_STR("://")) ? scheme_before(run) : 0;
        bool mail = colon && pn_str_ieq(run, PN_STR("mailto"));
        if (scheme != 0 || mail) {
            size_t from = end - (mail ? run.len : scheme), stop = url_end(text, from);
            pn_links_add(links, PN_LINK_TEXT, pn_str_slice(text, from, stop));
            at = stop > end ? stop : end;
        } else {
            at = dot ? add_bare(links, text, at, end) : end;
        }
        if (at == end && at < text.len && !is_run_byte(text.p[at]))
            at++;
    }
}
