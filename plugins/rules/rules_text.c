#include "rules_text.h"

#include <stdlib.h>

enum {
    FIELDS_MAX = 50,        /* of one name that are looked at */
    HEADER_MAX = 32 * 1024, /* bytes of one header's text */
    ALL_MAX = 256 * 1024,   /* of all of them */
    URLS_MAX = 500,
    URL_TEXT_MAX = 128 * 1024,
    RAW_TIMES = 2, /* raw body: times the body's limit; full: twice that */
    PARTS_MAX = 200,
    PARAGRAPH_MAX = 2048 /* longer ones are cut at a blank, as SpamAssassin does */
};

struct buf {
    char *p;
    size_t len, room, max;
};

struct header_text {
    bool made, present;
    size_t from, to; /* in `headers` */
};

struct rules_text {
    const struct rules_set *set;
    struct postern_call *call;
    struct header_text *header;
    struct buf headers, body, raw, full, urls;
    size_t subject_len;
    bool body_made, raw_made, full_made, urls_made;
};

/* Room for as much of n more bytes as the limit leaves; how many. */
static size_t room_for(struct buf *b, size_t n)
{
    size_t want = b->room;
    char *p;

    if (n > b->max - b->len)
        n = b->max - b->len;
    if (n <= b->room - b->len)
        return n;
    while (want - b->len < n)
        want = want == 0 ? 8192 : want * 2;
    p = realloc(b->p, want);
    if (p == NULL)
        return 0;
    b->p = p;
    b->room = want;
    return n;
}

static void add(struct buf *b, struct postern_str s)
{
    size_t n = room_for(b, s.len);

    if (n > 0)
        memcpy(b->p + b->len, s.p, n);
    b->len += n;
}

static struct postern_str text_of(const struct buf *b)
{
    return (struct postern_str){b->len == 0 ? "" : b->p, b->len};
}

struct rules_text *rules_text_new(const struct rules_set *set, size_t max)
{
    struct rules_text *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->set = set;
    t->headers.max = 4 * ALL_MAX;
    t->body.max = max;
    t->raw.max = max * RAW_TIMES;
    t->full.max = max * RAW_TIMES * 2;
    t->urls.max = URL_TEXT_MAX;
    t->header = calloc(set->header_count + 1, sizeof(*t->header));
    if (t->header == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void rules_text_free(struct rules_text *t)
{
    if (t == NULL)
        return;
    free(t->headers.p);
    free(t->body.p);
    free(t->raw.p);
    free(t->full.p);
    free(t->urls.p);
    free(t->header);
    free(t);
}

void rules_text_begin(struct rules_text *t, struct postern_call *call)
{
    t->call = call;
    memset(t->header, 0, t->set->header_count * sizeof(*t->header));
    t->headers.len = t->body.len = t->raw.len = t->full.len = t->urls.len = 0;
    t->body_made = t->raw_made = t->full_made = t->urls_made = false;
}

/* ---- headers ---- */

static void join(struct rules_text *t, struct header_text *h, struct postern_str value)
{
    if (h->present)
        add(&t->headers, POSTERN_STR("\n"));
    if (value.len > HEADER_MAX)
        value.len = HEADER_MAX;
    add(&t->headers, value);
    h->present = true;
}

static void add_values(struct rules_text *t, struct header_text *h, const char *name)
{
    const struct postern_host *host = t->call->host;
    size_t from = t->headers.len;
    struct postern_str value;

    for (size_t n = 0; n < FIELDS_MAX && host->header_text(t->call, name, n, &value) == POSTERN_OK;
         n++)
        join(t, h, value);
    /* What folds leave of tabs is a blank like others. */
    for (size_t i = from; i < t->headers.len; i++)
        if (t->headers.p[i] == '\t')
            t->headers.p[i] = ' ';
}

static void add_raw(struct rules_text *t, struct header_text *h, struct postern_str want)
{
    const struct postern_host *host = t->call->host;
    size_t fields = host->header_count(t->call);
    size_t found = 0;

    for (size_t i = 0; i < fields && found < FIELDS_MAX; i++) {
        struct postern_str name;
        struct postern_str value;

        if (host->header_at(t->call, i, &name, &value) != POSTERN_OK || !rules_ieq(name, want))
            continue;
        join(t, h, value);
        found++;
    }
}

static void add_all(struct rules_text *t, struct header_text *h, bool raw)
{
    const struct postern_host *host = t->call->host;
    size_t fields = host->header_count(t->call);
    size_t start = t->headers.len;

    for (size_t i = 0; i < fields && t->headers.len - start < ALL_MAX; i++) {
        struct postern_str name;
        struct postern_str value;

        if (host->header_at(t->call, i, &name, &value) != POSTERN_OK)
            continue;
        add(&t->headers, name);
        add(&t->headers, POSTERN_STR(":"));
        for (size_t at = 0; at < value.len;) {
            /* Unfolded, but for the raw form: line ends go, the blank behind one stays. */
            const char *lf = memchr(value.p + at, '\n', value.len - at);
            size_t to = lf == NULL ? value.len : (size_t)(lf - value.p);
            size_t end = lf != NULL && to > at && value.p[to - 1] == '\r' ? to - 1 : to;

            add(&t->headers, (struct postern_str){value.p + at, end - at});
            if (lf != NULL && raw)
                add(&t->headers, POSTERN_STR("\n"));
            at = to + 1;
        }
        add(&t->headers, POSTERN_STR("\n"));
        h->present = true;
    }
}

/* The fields of that name in one part's raw header, unfolded. */
static void add_part_fields(struct rules_text *t, struct header_text *h, struct postern_str header,
                            struct postern_str want)
{
    bool ours = false;
    size_t at = 0;

    while (at < header.len) {
        const char *lf = memchr(header.p + at, '\n', header.len - at);
        size_t end = lf == NULL ? header.len : (size_t)(lf - header.p);
        struct postern_str line = {header.p + at, end - at};
        bool fold = line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

        at = end + 1;
        if (fold && ours) {
            add(&t->headers, POSTERN_STR(" "));
            add(&t->headers, rules_trim(line));
            continue;
        }
        ours = !fold && line.len > want.len && line.p[want.len] == ':' &&
               rules_ieq((struct postern_str){line.p, want.len}, want);
        if (ours)
            join(t, h,
                 rules_trim((struct postern_str){line.p + want.len + 1, line.len - want.len - 1}));
    }
}

static void add_parts(struct rules_text *t, struct header_text *h, struct postern_str want)
{
    const struct postern_host *host = t->call->host;
    size_t parts = host->part_count(t->call);
    size_t start = t->headers.len;

    for (size_t i = 0; i < parts && i < PARTS_MAX && t->headers.len - start < ALL_MAX; i++) {
        struct postern_part part;

        if (host->part(t->call, i, &part) == POSTERN_OK)
            add_part_fields(t, h, part.header, want);
    }
}

static void add_filenames(struct rules_text *t, struct header_text *h)
{
    const struct postern_host *host = t->call->host;
    size_t parts = host->part_count(t->call);

    for (size_t i = 0; i < parts && i < PARTS_MAX; i++) {
        struct postern_part part;

        if (host->part(t->call, i, &part) == POSTERN_OK && part.filename.len > 0)
            join(t, h, part.filename);
    }
}

static void add_address(struct rules_text *t, struct header_text *h, const struct rules_header *s)
{
    struct postern_str local;
    struct postern_str domain;
    struct postern_str display;

    if (t->call->host->header_address(t->call, s->cstr, 0, 0, &local, &domain, &display) !=
        POSTERN_OK)
        return;
    h->present = true;
    if (s->part == RULES_NAME) {
        add(&t->headers, display);
        return;
    }
    add(&t->headers, local);
    if (domain.len > 0)
        add(&t->headers, POSTERN_STR("@"));
    add(&t->headers, domain);
}

static void make_header(struct rules_text *t, const struct rules_header *s, struct header_text *h)
{
    static const char *const to[] = {"To", "Cc"};
    static const char *const ids[] = {"Message-Id", "Resent-Message-Id", "X-Message-Id"};

    if (rules_eq(s->name, POSTERN_STR("ALL"))) {
        add_all(t, h, s->part == RULES_RAW);
    } else if (rules_eq(s->name, POSTERN_STR("EnvelopeFrom"))) {
        join(t, h, t->call->host->envelope(t->call)->from);
    } else if (rules_eq(s->name, POSTERN_STR("ToCc"))) {
        for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
            add_values(t, h, to[i]);
    } else if (rules_eq(s->name, POSTERN_STR("MESSAGEID"))) {
        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
            add_values(t, h, ids[i]);
    } else if (rules_eq(s->name, POSTERN_STR("FILENAMES"))) {
        add_filenames(t, h);
    } else if (s->part == RULES_PARTS) {
        add_parts(t, h, s->name);
    } else if (s->part == RULES_RAW) {
        add_raw(t, h, s->name);
    } else if (s->part == RULES_VALUE) {
        add_values(t, h, s->cstr);
    } else {
        add_address(t, h, s);
    }
}

struct postern_str rules_text_header(struct rules_text *t, uint32_t header, bool *present)
{
    struct header_text *h = &t->header[header];

    if (!h->made) {
        h->made = true;
        h->from = t->headers.len;
        make_header(t, &t->set->headers[header], h);
        h->to = t->headers.len;
    }
    if (present != NULL)
        *present = h->present;
    if (!h->present)
        return t->set->headers[header].unset;
    return (struct postern_str){t->headers.p == NULL ? "" : t->headers.p + h->from,
                                h->to - h->from};
}

/* ---- body ---- */

static bool is_text(const struct postern_part *part)
{
    return !part->is_multipart && !part->is_message && rules_eq(part->type, POSTERN_STR("text")) &&
           !rules_eq(part->disposition, POSTERN_STR("attachment"));
}

/* Bytes of a blank at p: a space of any kind that mail has, 0 for none. */
static size_t blank_at(const unsigned char *p, const unsigned char *end)
{
    if (*p <= ' ')
        return 1;
    return *p == 0xc2 && end - p > 1 && p[1] == 0xa0 ? 2 : 0; /* NO-BREAK SPACE */
}

/* Over the blanks at p; *lines: line ends among them. */
static const unsigned char *skip_blanks(const unsigned char *p, const unsigned char *end,
                                        size_t *lines)
{
    size_t n;

    for (*lines = 0; p < end && (n = blank_at(p, end)) > 0; p += n)
        *lines += *p == '\n';
    return p;
}

/* Runs of blanks to one space; to a line end with an empty line in them, or where the
 * paragraph has grown long. Never longer than it was, but for the one blank between. */
static void add_collapsed(struct buf *b, struct postern_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char *end = p + s.len;
    size_t room = room_for(b, s.len + 1);
    char *out = b->p + b->len;
    const char *last = out + room;
    const char *line = out;
    size_t lines;

    if (room == 0)
        return;
    p = skip_blanks(p, end, &lines);
    while (p < end && out < last) {
        while (p<end && * p> ' ' && *p != 0xc2 && out < last)
            *out++ = (char)*p++;
        if (p == end || out == last)
            break;
        if (blank_at(p, end) == 0) {
            *out++ = (char)*p++;
            continue;
        }
        p = skip_blanks(p, end, &lines);
        if (p == end)
            break;
        if (lines > 1 || out - line > PARAGRAPH_MAX) {
            *out++ = '\n';
            line = out;
        } else {
            *out++ = ' ';
        }
    }
    b->len = (size_t)(out - b->p);
}

static void end_line(struct buf *b)
{
    if (b->len > 0 && b->p[b->len - 1] != '\n')
        add(b, POSTERN_STR("\n"));
}

/* fn(b, text) for each text part. */
static void each_text(struct rules_text *t, uint32_t how, struct buf *b,
                      void (*fn)(struct buf *b, struct postern_str text))
{
    const struct postern_host *host = t->call->host;
    size_t parts = host->part_count(t->call);

    for (size_t i = 0; i < parts && i < PARTS_MAX && b->len < b->max; i++) {
        struct postern_part part;
        struct postern_str text;

        if (host->part(t->call, i, &part) != POSTERN_OK || !is_text(&part) ||
            host->part_text(t->call, i, how, &text) != POSTERN_OK)
            continue;
        fn(b, text);
        end_line(b);
    }
}

struct postern_str rules_text_body(struct rules_text *t, size_t *subject_len)
{
    struct postern_str subject;

    if (!t->body_made) {
        t->body_made = true;
        if (t->call->host->header_text(t->call, "Subject", 0, &subject) == POSTERN_OK)
            add_collapsed(&t->body, subject);
        end_line(&t->body);
        t->subject_len = t->body.len;
        each_text(t, POSTERN_TEXT_VISIBLE, &t->body, add_collapsed);
    }
    *subject_len = t->subject_len;
    return text_of(&t->body);
}

static void add_without_cr(struct buf *b, struct postern_str s)
{
    while (s.len > 0 && b->len < b->max) {
        const char *cr = memchr(s.p, '\r', s.len);
        size_t n = cr == NULL ? s.len : (size_t)(cr - s.p);
        bool bare = cr != NULL && (n + 1 == s.len || cr[1] != '\n');

        add(b, (struct postern_str){s.p, n + bare});
        n += cr != NULL;
        s.p += n;
        s.len -= n;
    }
}

struct postern_str rules_text_rawbody(struct rules_text *t)
{
    if (!t->raw_made) {
        t->raw_made = true;
        each_text(t, POSTERN_TEXT_DECODED, &t->raw, add_without_cr);
    }
    return text_of(&t->raw);
}

struct postern_str rules_text_full(struct rules_text *t)
{
    if (!t->full_made) {
        t->full_made = true;
        add_without_cr(&t->full, t->call->host->content(t->call));
    }
    return text_of(&t->full);
}

/* The URL as it is understood, where that is not as it is written: without a user, a port or
 * escapes in the host, which stands in lower case, and an address dotted. A rule that names
 * a host finds it so, however it is disguised. */
static void add_plain_url(struct buf *b, struct postern_str url, struct postern_str host)
{
    const char *slashes = memmem(url.p, url.len, "://", 3);
    size_t from, end;

    if (slashes == NULL || host.len == 0 || memchr(host.p, ':', host.len) != NULL)
        return;
    from = end = (size_t)(slashes - url.p) + 3;
    while (end < url.len && strchr("/?#\\", url.p[end]) == NULL)
        end++;
    if (end - from == host.len && memcmp(url.p + from, host.p, host.len) == 0)
        return;
    add(b, (struct postern_str){url.p, from});
    add(b, host);
    add(b, (struct postern_str){url.p + end, url.len - end});
    add(b, POSTERN_STR("\n"));
}

struct postern_str rules_text_urls(struct rules_text *t)
{
    struct postern_str url;
    struct postern_str host;

    for (size_t n = 0; !t->urls_made && n < URLS_MAX; n++) {
        if (t->call->host->url(t->call, n, &url, &host) != POSTERN_OK)
            break;
        add(&t->urls, url);
        add(&t->urls, POSTERN_STR("\n"));
        add_plain_url(&t->urls, url, host);
    }
    t->urls_made = true;
    return text_of(&t->urls);
}
