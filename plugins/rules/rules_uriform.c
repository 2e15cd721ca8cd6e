/* The forms of a URI, and the list of all of a message's. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_uriform.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

struct forms {
    struct rules_text *t;
    struct rules_list_of all;
    size_t first; /* of this URI's */
};

static int hex_of(char c)
{
    c = rules_lower(c);
    return rules_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct postern_str rules_uri_decoded(struct postern_str uri, struct rules_arena *a)
{
    static const char digits[] = "0123456789abcdef";
    char *p = rules_alloc(a, 3 * uri.len + 1);
    size_t n = 0;

    for (size_t i = 0; p != NULL && i < uri.len; i++) {
        unsigned c = (unsigned char)uri.p[i];
        int code =
            c == '%' && i + 2 < uri.len && hex_of(uri.p[i + 1]) >= 0 && hex_of(uri.p[i + 2]) >= 0
                ? hex_of(uri.p[i + 1]) * 16 + hex_of(uri.p[i + 2])
                : -1;

        if (code > 0x20 && code < 0x7f) {
            p[n++] = (char)code;
            i += 2;
        } else if (code >= 0) {
            memcpy(p + n, uri.p + i, 3);
            n += 3;
            i += 2;
        } else if (c <= ' ' || c >= 0x7f || c == '"' || c == '%' || c == '<' || c == '>') {
            p[n++] = '%';
            p[n++] = digits[c >> 4];
            p[n++] = digits[c & 15];
        } else {
            p[n++] = (char)c;
        }
    }
    return (struct postern_str){p == NULL ? "" : p, p == NULL ? 0 : n};
}

/* False: it was there, or there is no room. */
static bool add(struct forms *f, struct postern_str s)
{
    if (s.len == 0 || f->all.count >= RULES_URI_FORMS_MAX)
        return false;
    if (s.len > RULES_URI_LENGTH_MAX)
        s.len = RULES_URI_LENGTH_MAX;
    for (size_t i = f->first; i < f->all.count; i++)
        if (rules_eq(f->all.p[i], s))
            return false;
    return rules_list_push(f->t, &f->all, s);
}

static void add_joined(struct forms *f, struct postern_str a, struct postern_str b,
                       struct postern_str c)
{
    char *p = rules_alloc(&f->t->arena, a.len + b.len + c.len + 1);

    if (p == NULL)
        return;
    memcpy(p, a.p, a.len);
    memcpy(p + a.len, b.p, b.len);
    if (c.len > 0)
        memcpy(p + a.len + b.len, c.p, c.len);
    (void)add(f, (struct postern_str){p, a.len + b.len + c.len});
}

/* ---- mail addresses ---- */

static void add_mail_forms(struct forms *f, struct postern_str uri)
{
    static const char stops[] = "?&";
    const char *at = memchr(uri.p, '@', uri.len);

    for (const char *stop = stops; at != NULL && *stop != '\0'; stop++) {
        const char *end = memchr(at, *stop, uri.len - (size_t)(at - uri.p));

        if (end != NULL && end > at + 1)
            (void)add(f, (struct postern_str){uri.p, (size_t)(end - uri.p)});
    }
}

/* ---- web addresses ---- */

/* Backslashes are slashes, "http:x" is "http://x", escapes and character references undone, a
 * scheme is there, and a slash behind the host. */
static struct postern_str normal_form(struct forms *f, struct postern_str uri)
{
    struct rules_arena *a = &f->t->arena;
    char *p = rules_alloc(a, uri.len + 16);
    size_t scheme = rules_istarts(uri, POSTERN_STR("https:"))  ? 6
                    : rules_istarts(uri, POSTERN_STR("http:")) ? 5
                                                               : 0;
    size_t n = 0;
    size_t at = scheme;
    size_t host;

    if (p == NULL)
        return uri;
    memcpy(p, uri.p, scheme);
    n = scheme;
    if (scheme > 0) {
        for (unsigned i = 0; i < 2 && at < uri.len && rules_in(uri.p[at], "/\\"); i++)
            at++;
        p[n++] = '/';
        p[n++] = '/';
    } else if (!rules_uri_has_scheme(uri)) {
        const char *before = rules_istarts(uri, POSTERN_STR("ftp.")) ? "ftp://" : "http://";

        memcpy(p, before, strlen(before));
        n = strlen(before);
    }
    for (host = n; at < uri.len; at++) {
        char c = uri.p[at] == '\\' ? '/' : uri.p[at];

        if ((c == '?' || c == '#') && n > host && host > 6 &&
            memchr(p + host, '/', n - host) == NULL)
            p[n++] = '/';
        p[n++] = c;
        if (n >= uri.len + 14)
            break;
    }
    return memchr(p, '%', n) == NULL ? (struct postern_str){p, n}
                                     : rules_uri_decoded((struct postern_str){p, n}, a);
}

struct web {
    struct postern_str scheme, host, rest; /* "http://", without user and port, from there */
    struct postern_str path;               /* the rest without a port that is the scheme's own */
    bool has_port, has_user;
};

static bool split_web(struct postern_str uri, struct web *w)
{
    size_t n = rules_istarts(uri, POSTERN_STR("http://"))    ? 7
               : rules_istarts(uri, POSTERN_STR("https://")) ? 8
                                                             : 0;
    size_t end = n;
    size_t from = n;

    if (n == 0)
        return false;
    while (end < uri.len && !rules_in(uri.p[end], "/?#"))
        end++;
    for (size_t i = n; i < end; i++)
        if (uri.p[i] == '@')
            from = i + 1;
    w->scheme = (struct postern_str){uri.p, n};
    w->host = (struct postern_str){uri.p + from, end - from};
    w->has_user = from > n;
    for (size_t i = 0; i < w->host.len; i++)
        if (w->host.p[i] == ':')
            w->host.len = i;
    w->rest = (struct postern_str){w->host.p + w->host.len,
                                   uri.len - (size_t)(w->host.p + w->host.len - uri.p)};
    w->path = (struct postern_str){uri.p + end, uri.len - end};
    w->has_port = w->path.len != w->rest.len;
    return w->host.len > 0;
}

/* One number of an address, "0x7f", "0177", "127"; false: it is none. */
static bool read_number(struct postern_str s, unsigned long *out)
{
    char text[16];
    char *end;

    if (s.len == 0 || s.len >= sizeof(text) || !rules_is_digit(s.p[0]))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    *out = strtoul(text, &end, 0);
    return *end == '\0';
}

/* "0x7f.1.2.3", "2130706433": what the address is. */
static void add_number_form(struct forms *f, const struct web *w)
{
    unsigned long part[4] = {0};
    struct postern_str rest = w->host;
    size_t n = 0;
    char text[32];
    int len;

    for (; n < 4 && rest.len > 0; n++) {
        const char *dot = memchr(rest.p, '.', rest.len);
        struct postern_str one = {rest.p, dot == NULL ? rest.len : (size_t)(dot - rest.p)};

        if (!read_number(one, &part[n]))
            return;
        rest.p += one.len + (dot != NULL);
        rest.len -= one.len + (dot != NULL);
    }
    if (rest.len > 0 || (n != 1 && n != 4))
        return;
    if (n == 1)
        len = snprintf(text, sizeof(text), "%lu.%lu.%lu.%lu", part[0] >> 24 & 255,
                       part[0] >> 16 & 255, part[0] >> 8 & 255, part[0] & 255);
    else
        len = snprintf(text, sizeof(text), "%lu.%lu.%lu.%lu", part[0], part[1], part[2], part[3]);
    if (len > 0 && (size_t)len < sizeof(text))
        add_joined(f, w->scheme, (struct postern_str){text, (size_t)len}, w->rest);
}

/* Where a redirector leads: a known one's captured part, or a second web address within. */
static struct postern_str redirected(struct forms *f, const struct web *w, struct postern_str uri)
{
    const struct rules_set *set = f->t->set;
    pcre2_match_data *data = set->redirector_count == 0 ? NULL : pcre2_match_data_create(4, NULL);
    struct postern_str found = {NULL, 0};
    struct postern_str at;

    for (size_t i = 0; data != NULL && found.p == NULL && i < set->redirector_count; i++) {
        const size_t *o;

        if (set->redirector_codes[i] == NULL ||
            pcre2_match(set->redirector_codes[i], (PCRE2_SPTR)uri.p, uri.len, 0, 0, data, NULL) < 2)
            continue;
        o = pcre2_get_ovector_pointer(data);
        if (o[2] < o[3] && memchr(uri.p + o[2], '.', o[3] - o[2]) != NULL)
            found = (struct postern_str){uri.p + o[2], o[3] - o[2]};
    }
    pcre2_match_data_free(data);
    at = found.p != NULL ? found : rules_ifind(w->rest, POSTERN_STR("http:"));
    if (found.p != NULL)
        return found;
    if (at.p == NULL)
        at = rules_ifind(w->rest, POSTERN_STR("https:"));
    for (size_t i = 0; at.p != NULL && i < at.len; i++)
        if (at.p[i] == '&' || at.p[i] == '#')
            at.len = i;
    return at.p != NULL && memchr(at.p, '.', at.len) != NULL ? at : (struct postern_str){NULL, 0};
}

/* Returns where it leads on; .p NULL: nowhere. */
static struct postern_str add_web_forms(struct forms *f, struct postern_str uri)
{
    struct web w;
    struct postern_str host;

    if (!split_web(uri, &w))
        return (struct postern_str){NULL, 0};
    if (w.has_port && rules_istarts(w.rest, POSTERN_STR(":80")) &&
        (w.rest.len == 3 || !rules_is_word(w.rest.p[3])))
        add_joined(f, w.scheme, w.host, w.path);
    if (w.has_user)
        add_joined(f, w.scheme, w.host, w.rest);
    host = w.host;
    while (host.len > 0 && !rules_is_word(host.p[host.len - 1]))
        host.len--;
    if (host.len < w.host.len && host.len > 0)
        add_joined(f, w.scheme, host, w.rest);
    add_number_form(f, &w);
    if (!w.has_port && !w.has_user && w.scheme.len == 7 &&
        memchr(w.host.p, '.', w.host.len) == NULL && !rules_is_digit(w.host.p[0]) &&
        !rules_ieq(w.host, POSTERN_STR("localhost"))) {
        struct postern_str name = w.host;
        char *p = rules_alloc(&f->t->arena, name.len + 9);

        if (p != NULL) {
            memcpy(p, "www.", 4);
            memcpy(p + 4, name.p, name.len);
            memcpy(p + 4 + name.len, ".com", 4);
            add_joined(f, w.scheme, (struct postern_str){p, name.len + 8}, w.rest);
        }
    }
    return redirected(f, &w, uri);
}

enum { REDIRECTS_MAX = 8 };

/* All forms of one URI behind f->first. */
static void add_forms(struct forms *f, struct postern_str uri)
{
    for (unsigned round = 0; round < REDIRECTS_MAX && uri.p != NULL; round++) {
        struct postern_str normal;
        const char *colon;
        const char *at;

        uri = rules_trim(uri);
        if (uri.len <= 1 || uri.p[0] == '#' || uri.p[0] == '?' || uri.p[0] == '&' ||
            (uri.p[0] == '/' && uri.p[1] != '/')) {
            if (uri.len > 0)
                (void)add(f, uri);
            return;
        }
        if (!add(f, uri) && round > 0)
            return;
        at = memchr(uri.p, '@', uri.len);
        colon = memchr(uri.p, ':', uri.len);
        if (rules_istarts(uri, POSTERN_STR("mailto:")) ||
            (at != NULL && (colon == NULL || colon > at))) {
            add_mail_forms(f, uri);
            return;
        }
        normal = normal_form(f, uri);
        (void)add(f, normal);
        uri = add_web_forms(f, normal);
    }
}

/* ---- all of them ---- */

static void push_uri(struct rules_text *t, struct postern_str uri, unsigned where, bool unlinked)
{
    void *list = t->uris;

    for (size_t i = 0; i < t->uri_count; i++)
        if (rules_eq(t->uris[i].uri, uri)) {
            t->uris[i].where |= where;
            t->uris[i].unlinked &= unlinked;
            return;
        }
    if (uri.len == 0 ||
        !rules_more(&t->arena, &list, t->uri_count, &t->uri_room, RULES_URIS_MAX, sizeof(*t->uris)))
        return;
    t->uris = list;
    t->uris[t->uri_count++] = (struct rules_uri){uri, where, unlinked};
}

/* A URI of the text must lead to a host that there may be, in one form at least; mostly as it
 * stands. */
static bool leads_somewhere(struct rules_text *t, struct postern_str uri)
{
    struct forms f = {.t = t};
    struct postern_str first = rules_trim(uri);

    if (first.len <= RULES_URI_LENGTH_MAX &&
        rules_uri_host(first, &t->arena, &t->set->names).p != NULL)
        return true;
    add_forms(&f, uri);
    for (size_t i = 0; i < f.all.count; i++)
        if (rules_uri_host(f.all.p[i], &t->arena, &t->set->names).p != NULL)
            return true;
    return false;
}

static void read_text_uris(struct rules_text *t)
{
    struct rules_lines body = rules_text_body(t);

    for (size_t i = 0; i < body.count; i++) {
        enum rules_uri_kind kind;
        struct postern_str raw;
        size_t at = 0;

        while ((raw = rules_uri_next(body.line[i], &at, &kind, &t->set->names)).p != NULL) {
            struct postern_str uri = rules_uri_complete(raw, kind, &t->arena, &t->set->names);

            if (uri.p != NULL && t->uri_count < RULES_URIS_MAX && leads_somewhere(t, uri))
                push_uri(t, uri, RULES_URI_PARSED, kind == RULES_URI_BARE);
        }
    }
}

const struct rules_uri *rules_text_uri_list(struct rules_text *t, size_t *count)
{
    if (!t->uri_list_made) {
        t->uri_list_made = true;
        read_text_uris(t);
        for (size_t i = 0; i < rules_text_pages(t); i++)
            for (size_t k = 0; t->pages[i] != NULL && k < t->pages[i]->uri_count; k++)
                push_uri(t, t->pages[i]->uris[k].uri, t->pages[i]->uris[k].where, false);
    }
    *count = t->uri_count;
    return t->uris;
}

struct rules_lines rules_text_uris(struct rules_text *t)
{
    struct forms f = {.t = t};
    size_t count;
    const struct rules_uri *uris = rules_text_uri_list(t, &count);
    size_t at = 0;

    if (t->uris_made)
        return t->uri_lines;
    t->uris_made = true;
    for (size_t i = 0; i < count; i++) {
        f.first = 0;
        add_forms(&f, uris[i].uri);
    }
    t->uri_text.len = 0;
    for (size_t i = 0; i < f.all.count; i++) {
        rules_buf_add(&t->uri_text, f.all.p[i]);
        rules_buf_char(&t->uri_text, '\n');
    }
    for (size_t i = 0; i < f.all.count; at += f.all.p[i++].len + 1) {
        if (t->uri_text.len - at <= f.all.p[i].len)
            f.all.count = i; /* memory ran out */
        else
            f.all.p[i].p = t->uri_text.p + at;
    }
    t->uri_lines = (struct rules_lines){rules_buf_str(&t->uri_text), f.all.p, f.all.count};
    return t->uri_lines;
}

struct rules_lines rules_text_hosts(struct rules_text *t)
{
    struct rules_lines uris = rules_text_uris(t);
    struct rules_list_of l = {.count = 0};
    struct postern_str last = {"", 0};

    if (t->hosts_made)
        return t->host_lines;
    t->hosts_made = true;
    for (size_t i = 0; i < uris.count; i++) {
        struct postern_str host = {NULL, 0};

        if (!rules_istarts(uris.line[i], POSTERN_STR("mailto:")))
            host = rules_uri_host(uris.line[i], &t->arena, &t->set->names);
        if (host.p != NULL && !rules_eq(host, last) && rules_list_push(t, &l, host))
            last = host;
    }
    t->host_lines = (struct rules_lines){{"", 0}, l.p, l.count, false};
    return t->host_lines;
}
