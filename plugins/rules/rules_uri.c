/* URIs in text, as mail programs find them. */
#include "rules_uri.h"

#include "rules_relay.h"

enum { HOST_MAX = 252, LOCAL_MAX = 251 };

static bool in(char c, const char *set)
{
    return rules_in(c, set);
}

/* What a byte is to the search, which looks at each of a text several times. */
enum {
    END = 1,        /* of a URI */
    MAIL_END = 2,   /* of an address */
    BEFORE = 4,     /* a URI may begin behind it, */
    BEFORE_BARE = 8 /* also one without a scheme */
};

enum { ENDS = END | MAIL_END, STARTS = BEFORE | BEFORE_BARE, BOTH = ENDS | STARTS };

static unsigned class_of(char c)
{
    static const unsigned char of[128] = {['\t'] = BOTH,
                                          ['\n'] = BOTH,
                                          ['\v'] = BOTH,
                                          ['\f'] = BOTH,
                                          ['\r'] = BOTH,
                                          ['\x1b'] = BOTH,
                                          [' '] = BOTH,
                                          ['!'] = BEFORE_BARE,
                                          ['"'] = BOTH,
                                          ['#'] = BEFORE_BARE,
                                          ['$'] = BEFORE_BARE,
                                          ['&'] = BEFORE_BARE,
                                          ['\''] = MAIL_END | STARTS,
                                          ['('] = MAIL_END | STARTS,
                                          [')'] = BEFORE_BARE,
                                          ['*'] = BEFORE_BARE,
                                          ['+'] = BEFORE_BARE,
                                          [','] = MAIL_END | STARTS,
                                          ['/'] = BEFORE_BARE,
                                          [':'] = BEFORE_BARE,
                                          [';'] = BEFORE_BARE,
                                          ['<'] = BOTH,
                                          ['='] = BEFORE_BARE,
                                          ['>'] = BOTH,
                                          ['?'] = BEFORE_BARE,
                                          ['@'] = BEFORE_BARE,
                                          ['['] = BOTH,
                                          ['\\'] = BEFORE_BARE,
                                          [']'] = ENDS | BEFORE_BARE,
                                          ['^'] = BEFORE_BARE,
                                          ['`'] = BOTH,
                                          ['{'] = BOTH,
                                          ['|'] = BOTH,
                                          ['}'] = ENDS | BEFORE_BARE,
                                          ['~'] = BEFORE_BARE};
    unsigned char u = (unsigned char)c;

    return u < 0x80 ? of[u] : u == 0xa0 ? MAIL_END | STARTS : MAIL_END;
}

/* What ends a URI. A no-break space does, in UTF-8 as C2 A0. */
static bool ends(struct postern_str s, size_t at)
{
    return at >= s.len || (class_of(s.p[at]) & END) != 0 ||
           (s.p[at] == '\xc2' && at + 1 < s.len && s.p[at + 1] == '\xa0');
}

static bool ends_mail(struct postern_str s, size_t at)
{
    return at >= s.len || (class_of(s.p[at]) & MAIL_END) != 0;
}

static bool is_start(struct postern_str s, size_t at)
{
    char before = at == 0 ? ' ' : s.p[at - 1];

    return (class_of(before) & BEFORE) != 0 || rules_is_word(before) != rules_is_word(s.p[at]);
}

static bool is_bare_start(struct postern_str s, size_t at)
{
    return at == 0 || (class_of(s.p[at - 1]) & BEFORE_BARE) != 0;
}

/* Every URI has a dot, a colon or an at sign: where the next of each stands. */
struct signs {
    const char *next[3];
};

/* Where the word begins that has the next of them, not before `at`; s.len: there is none. */
static size_t word_with_sign(struct postern_str s, size_t at, struct signs *signs)
{
    static const char which[] = {'.', ':', '@'};
    const char *end = s.p + s.len;
    const char *first = end;
    size_t from;

    for (size_t i = 0; i < sizeof(which); i++) {
        const char **next = &signs->next[i];

        if (*next == NULL || *next < s.p + at) {
            *next = at < s.len ? memchr(s.p + at, which[i], s.len - at) : NULL;
            *next = *next == NULL ? end : *next;
        }
        first = *next < first ? *next : first;
    }
    for (from = (size_t)(first - s.p); first < end && from > at && !ends(s, from - 1);)
        from--;
    return from;
}

/* Bytes of "http://", "www3." and the like at that place; 0: none. */
static size_t scheme_at(struct postern_str s)
{
    size_t n = 3;

    switch (s.len == 0 ? '\0' : rules_lower(s.p[0])) {
    case 'h':
        return rules_istarts(s, POSTERN_STR("http://"))    ? 7
               : rules_istarts(s, POSTERN_STR("https://")) ? 8
                                                           : 0;
    case 'f':
        return rules_istarts(s, POSTERN_STR("ftp://")) ? 6
               : rules_istarts(s, POSTERN_STR("ftp.")) ? 4
                                                       : 0;
    case 'w':
        break;
    default:
        return 0;
    }
    if (!rules_istarts(s, POSTERN_STR("www")))
        return 0;
    while (n < s.len && n < 5 && rules_is_digit(s.p[n]))
        n++;
    return n < s.len && s.p[n] == '.' ? n + 1 : 0;
}

static size_t with_scheme(struct postern_str s, size_t at)
{
    size_t n = scheme_at((struct postern_str){s.p + at, s.len - at});
    size_t to = at + n;

    if (n == 0)
        return 0;
    while (!ends(s, to))
        to++;
    return to > at + n ? to : 0;
}

/* *none: up to there no address begins, which is worth knowing in a long word. */
static size_t mail_at(struct postern_str s, size_t at, size_t *none)
{
    bool scheme = rules_istarts((struct postern_str){s.p + at, s.len - at}, POSTERN_STR("mailto:"));
    size_t to = at;
    size_t from;

    if (scheme) {
        for (to = at + 7; !ends_mail(s, to);)
            to++;
        return to > at + 7 ? to : 0;
    }
    if (at < *none)
        return 0;
    while (!ends_mail(s, to) && s.p[to] != '@' && to - at < LOCAL_MAX)
        to++;
    if (ends_mail(s, to))
        *none = to;
    if (to == at || to >= s.len || s.p[to] != '@')
        return 0;
    for (from = ++to; !ends_mail(s, to);)
        to++;
    return to > from ? to : 0;
}

/* "a.host.com", with a port and a path. */
static size_t bare_at(struct postern_str s, size_t at, const struct rules_names *names,
                      size_t *none)
{
    size_t to = at;
    struct postern_str host;

    if (at < *none || !is_bare_start(s, at) || !rules_is_word(s.p[at]) || s.p[at] == '_')
        return 0;
    while (to < s.len && to - at < HOST_MAX &&
           (rules_is_word(s.p[to]) || s.p[to] == '.' || s.p[to] == '-'))
        to++;
    host = (struct postern_str){s.p + at, to - at};
    while (host.len > 0 && host.p[host.len - 1] == '.')
        host.len--;
    if (memchr(host.p, '.', host.len) == NULL || !rules_domain_valid(names, host) ||
        to - at - host.len > 1) {
        *none = to - at < HOST_MAX ? to : *none;
        return 0;
    }
    if (to < s.len && s.p[to] == ':' && to + 1 < s.len && rules_is_digit(s.p[to + 1]))
        for (to++; to < s.len && rules_is_digit(s.p[to]);)
            to++;
    if (to < s.len && s.p[to] == '/')
        while (!ends(s, to))
            to++;
    return ends(s, to) ? to : 0;
}

/* A bracket that was not opened ends it; so does punctuation. */
static struct postern_str without_tail(struct postern_str s)
{
    const char *close = memchr(s.p, ')', s.len);

    if (close != NULL && memchr(s.p, '(', (size_t)(close - s.p)) == NULL)
        s.len = (size_t)(close - s.p);
    while (s.len > 0 && in(s.p[s.len - 1], "-~!@#^&*()_+=:;'?,."))
        s.len--;
    return s;
}

struct postern_str rules_uri_next(struct postern_str line, size_t *at, enum rules_uri_kind *kind,
                                  const struct rules_names *names)
{
    struct signs signs = {{NULL, NULL, NULL}};
    size_t no_mail = 0;
    size_t no_bare = 0;

    for (size_t i = *at; i < line.len; i++) {
        size_t to;

        if (i == *at || ends(line, i - 1)) {
            i = word_with_sign(line, i, &signs);
            if (i == line.len)
                break;
        }
        if (!is_start(line, i))
            continue;
        *kind = RULES_URI_SCHEME;
        to = with_scheme(line, i);
        if (to == 0) {
            *kind = RULES_URI_MAIL;
            to = mail_at(line, i, &no_mail);
        }
        if (to == 0) {
            *kind = RULES_URI_BARE;
            to = bare_at(line, i, names, &no_bare);
        }
        if (to == 0)
            continue;
        *at = to;
        return without_tail((struct postern_str){line.p + i, to - i});
    }
    *at = line.len;
    return (struct postern_str){NULL, 0};
}

/* ---- what it is meant to be ---- */

static struct postern_str joined(struct rules_arena *a, const char *before, struct postern_str s)
{
    size_t n = strlen(before);
    char *p = rules_alloc(a, n + s.len + 1);

    if (p == NULL)
        return (struct postern_str){NULL, 0};
    memcpy(p, before, n);
    memcpy(p + n, s.p, s.len);
    return (struct postern_str){p, n + s.len};
}

static struct postern_str mail_uri(struct postern_str s, struct rules_arena *a,
                                   const struct rules_names *names)
{
    struct postern_str host;
    const char *at;

    if (!rules_istarts(s, POSTERN_STR("mailto:")))
        s = joined(a, "mailto:", s);
    else if (memchr(s.p, '%', s.len) != NULL)
        s = rules_uri_decoded(s, a);
    at = s.p == NULL ? NULL : memchr(s.p, '@', s.len);
    if (at == NULL)
        return (struct postern_str){NULL, 0};
    host = (struct postern_str){at + 1, s.len - (size_t)(at + 1 - s.p)};
    for (size_t i = 0; i < host.len; i++)
        if (in(host.p[i], "?&>"))
            host.len = i;
    return rules_domain_valid(names, host) ? s : (struct postern_str){NULL, 0};
}

struct postern_str rules_uri_complete(struct postern_str raw, enum rules_uri_kind kind,
                                      struct rules_arena *a, const struct rules_names *names)
{
    const char *at = raw.len == 0 ? NULL : memchr(raw.p, '@', raw.len);
    const char *slash = raw.len == 0 ? NULL : memchr(raw.p, '/', raw.len);

    if (raw.len == 0 || (kind == RULES_URI_MAIL && at == NULL) ||
        rules_istarts(raw, POSTERN_STR("cid:")) || rules_istarts(raw, POSTERN_STR("mid:")))
        return (struct postern_str){NULL, 0};
    if (rules_istarts(raw, POSTERN_STR("http:")) || rules_istarts(raw, POSTERN_STR("https:")) ||
        rules_istarts(raw, POSTERN_STR("ftp:")))
        return raw.p[raw.len - 1] == '/' && raw.len < 9 ? (struct postern_str){NULL, 0} : raw;
    if (rules_istarts(raw, POSTERN_STR("mailto:")))
        return mail_uri(raw, a, names);
    if (rules_istarts(raw, POSTERN_STR("ftp.")))
        return joined(a, "ftp://", raw);
    if (scheme_at(raw) > 0 || (slash != NULL && at != NULL && slash + 1 < at))
        return joined(a, "http://", raw);
    if (at != NULL)
        return mail_uri(raw, a, names);
    return memchr(raw.p, '.', raw.len) == NULL ? (struct postern_str){NULL, 0}
                                               : joined(a, "http://", raw);
}

/* ---- hosts ---- */

static struct postern_str behind_scheme(struct postern_str s)
{
    size_t n = 0;

    while (n < s.len && rules_lower(s.p[n]) >= 'a' && rules_lower(s.p[n]) <= 'z')
        n++;
    if (n == 0 || n == s.len || s.p[n] != ':')
        return s;
    for (n++; n < s.len && s.p[n] == '/'; n++)
        ;
    return (struct postern_str){s.p + n, s.len - n};
}

static struct postern_str authority_of(struct postern_str uri)
{
    bool mail = rules_istarts(uri, POSTERN_STR("mailto:"));
    struct postern_str s = mail ? (struct postern_str){uri.p + 7, uri.len - 7} : behind_scheme(uri);
    const char *at;

    for (const char *stop = mail ? "?" : "/?#"; *stop != '\0'; stop++) {
        at = s.len == 0 ? NULL : memchr(s.p, *stop, s.len);
        if (at != NULL)
            s.len = (size_t)(at - s.p);
    }
    at = s.len == 0 ? NULL : memrchr(s.p, '@', s.len);
    if (at == NULL && mail)
        return (struct postern_str){NULL, 0};
    if (at != NULL)
        s = (struct postern_str){at + 1, s.len - (size_t)(at + 1 - s.p)};
    for (size_t i = s.len; i > 0 && !mail && (rules_is_digit(s.p[i - 1]) || s.p[i - 1] == ':'); i--)
        if (s.p[i - 1] == ':') {
            s.len = i - 1;
            break;
        }
    return s;
}

static bool is_host(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!rules_is_word(s.p[i]) && s.p[i] != '.' && s.p[i] != '-' &&
            (unsigned char)s.p[i] < 0x80)
            return false;
    return s.len > 0 && s.len <= 255 && s.p[0] != '.' && memmem(s.p, s.len, "..", 2) == NULL;
}

struct postern_str rules_uri_host(struct postern_str uri, struct rules_arena *a,
                                  const struct rules_names *names)
{
    static const char *const none[] = {"javascript:", "cid:", "file:", "data:", "tel:"};
    struct postern_str host;

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (rules_istarts(uri, (struct postern_str){none[i], strlen(none[i])}))
            return (struct postern_str){NULL, 0};
    host = authority_of(uri);
    if (host.p == NULL ||
        (!rules_is_ip(host) && (!is_host(host) || !rules_domain_valid(names, host))))
        return (struct postern_str){NULL, 0};
    return rules_lower_dup(a, host);
}
