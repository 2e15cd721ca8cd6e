#include "rules_text_in.h"

#include <stdlib.h>

enum {
    PARTS_TIMES = 4, /* body text of a message: so often the limit of a part */
    RAW_TIMES = 10,  /* raw text of a part: so often as much */
    CUT_SLACK = 1024 /* a part that is too long is cut at a line end so near */
};

struct rules_text *rules_text_new(const struct rules_set *set, size_t max, bool session)
{
    struct rules_text *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->set = set;
    t->max = max;
    t->session = session;
    t->arena.limit = RULES_ARENA_MAX;
    t->body.max = t->joined.max = max * PARTS_TIMES;
    t->raw.max = max * RAW_TIMES * 2;
    t->full.max = max * RAW_TIMES * PARTS_TIMES;
    t->uri_text.max = RULES_ARENA_MAX;
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
    rules_arena_free(&t->arena);
    free(t->body.p);
    free(t->joined.p);
    free(t->raw.p);
    free(t->full.p);
    free(t->uri_text.p);
    free(t->header);
    free(t);
}

void rules_text_begin(struct rules_text *t, struct postern_call *call)
{
    t->call = call;
    memset(t->header, 0, t->set->header_count * sizeof(*t->header));
    t->fields_made = t->body_made = t->raw_made = t->full_made = t->uris_made = false;
    t->relays_made = t->parts_made = t->pages_made = t->uri_list_made = t->hosts_made = false;
    t->got_count = 0;
    t->figures = (struct rules_figures){-1, -1, -1, -1, -1, 0, false};
    t->field_count = t->part_count = t->page_count = t->uri_count = t->uri_room = 0;
    t->uris = NULL;
}

void rules_text_end(struct rules_text *t)
{
    struct rules_buf *const bufs[] = {&t->body, &t->joined, &t->raw, &t->full, &t->uri_text};

    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        rules_buf_reset(bufs[i]);
    rules_arena_reset(&t->arena);
    t->call = NULL;
}

struct rules_arena *rules_text_arena(struct rules_text *t)
{
    return &t->arena;
}

struct postern_call *rules_text_call(const struct rules_text *t)
{
    return t->call;
}

const struct rules_set *rules_text_set(const struct rules_text *t)
{
    return t->set;
}

size_t rules_text_body_length(struct rules_text *t)
{
    struct postern_str body = t->call->host->body(t->call);
    size_t n = body.len;
    const char *cr = body.p;

    if (t->figures.body_length >= 0)
        return (size_t)t->figures.body_length;
    while (body.len > 0 && (cr = memchr(cr, '\r', (size_t)(body.p + body.len - cr))) != NULL) {
        cr++;
        n -= cr < body.p + body.len && *cr == '\n';
    }
    t->figures.body_length = (double)n;
    return n;
}

/* ---- the body: what a person reads, a paragraph a line ---- */

/* Bytes of a blank at p; 0: none. Blanks of other scripts are blanks too. */
static size_t blank_at(const unsigned char *p, const unsigned char *end)
{
    if (*p <= ' ')
        return *p == ' ' || (*p >= '\t' && *p <= '\r');
    if (*p == 0xc2 && end - p > 1 && (p[1] == 0xa0 || p[1] == 0x85))
        return 2;
    if (*p == 0xe2 && end - p > 2 && p[1] == 0x80 &&
        ((p[2] >= 0x80 && p[2] <= 0x8a) || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf))
        return 3;
    return *p == 0xe3 && end - p > 2 && p[1] == 0x80 && p[2] == 0x80 ? 3 : 0;
}

/* A run of blanks: to one; where an empty line is in it to a line end, with a blank before
 * and behind it if there were any. */
static const unsigned char *add_blanks(struct rules_buf *b, const unsigned char *p,
                                       const unsigned char *end)
{
    bool before = *p != '\n';
    bool behind = false;
    size_t ends = 0;
    size_t n;

    for (; p < end && (n = blank_at(p, end)) > 0; p += n) {
        behind = *p != '\n';
        ends += *p == '\n';
    }
    if (ends < 2) {
        rules_buf_char(b, ' ');
        return p;
    }
    if (before)
        rules_buf_char(b, ' ');
    rules_buf_char(b, '\n');
    if (behind)
        rules_buf_char(b, ' ');
    return p;
}

static void add_collapsed(struct rules_buf *b, struct postern_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char *end = p + s.len;

    while (p < end && b->len < b->max) {
        const unsigned char *from = p;

        while (p<end && * p> ' ' && *p != 0xc2 && *p != 0xe2 && *p != 0xe3)
            p++;
        rules_buf_add(b, (struct postern_str){(const char *)from, (size_t)(p - from)});
        if (p == end)
            return;
        if (blank_at(p, end) > 0)
            p = add_blanks(b, p, end);
        else
            rules_buf_char(b, *p == '\0' ? '\n' : (char)*p), p++;
    }
}

/* Too long a part ends behind the first line end, or one of `others`, past its limit. */
static struct postern_str cut(struct postern_str s, size_t max, const char *others)
{
    if (s.len <= max)
        return s;
    for (const char *stop = others; *stop != '\0'; stop++) {
        const char *at = memchr(s.p + max, *stop, s.len - max);

        if (at != NULL && (size_t)(at - s.p) - max <= CUT_SLACK)
            return (struct postern_str){s.p, (size_t)(at - s.p) + 1};
    }
    return (struct postern_str){s.p, max};
}

static struct postern_str last_subject(struct rules_text *t)
{
    size_t count;
    struct rules_field *f = rules_fields(t, &count);

    while (count > 0)
        if (rules_ieq(f[--count].name, POSTERN_STR("Subject")))
            return rules_field_value(t, &f[count]);
    return POSTERN_STR("");
}

/* Lines of at most RULES_LINE_MAX bytes, cut behind a blank. */
static struct rules_lines split_lines(struct rules_text *t, struct postern_str s)
{
    struct rules_list_of l = {.count = 0};
    struct postern_str rest = s;
    bool is_cut = false;

    while (rest.len > 0) {
        const char *lf = memchr(rest.p, '\n', rest.len);
        size_t n = lf == NULL ? rest.len : (size_t)(lf - rest.p) + 1;

        if (n > RULES_LINE_MAX) {
            const char *blank = memrchr(rest.p, ' ', RULES_LINE_MAX + 1);

            n = blank == NULL ? RULES_LINE_MAX : (size_t)(blank - rest.p) + 1;
            is_cut = true;
        }
        if (!rules_list_push(t, &l, (struct postern_str){rest.p, n}))
            break;
        rest.p += n;
        rest.len -= n;
    }
    return (struct rules_lines){s, l.p, l.count, is_cut};
}

/* The parts are joined before blanks are collapsed, a line end between two of them. */
static struct postern_str read_parts(struct rules_text *t, struct rules_buf *b)
{
    size_t count;
    struct rules_part *parts = rules_text_parts(t, &count);
    size_t page = 0;

    for (size_t i = 0; i < count; i++) {
        struct postern_str text = {"", 0};

        if (!parts[i].leaf)
            continue;
        if (b->len > 0)
            rules_buf_char(b, '\n');
        if (!rules_part_is_read(&parts[i]))
            continue;
        if (rules_eq(parts[i].effective, POSTERN_STR("text/html")) &&
            rules_part_decoded(t, &parts[i]).len > 0) {
            if (page < t->page_count && t->pages[page] != NULL)
                text = t->pages[page]->text;
            page++;
        } else {
            text = rules_part_utf8(t, &parts[i]);
        }
        rules_buf_add(b, cut(text, t->max, "\n "));
    }
    return rules_buf_str(b);
}

struct rules_lines rules_text_body(struct rules_text *t)
{
    if (!t->body_made) {
        t->body_made = true;
        (void)rules_text_pages(t);
        rules_buf_add(&t->body, last_subject(t));
        rules_buf_char(&t->body, '\n');
        t->joined.len = 0;
        add_collapsed(&t->body, read_parts(t, &t->joined));
        t->body_lines = split_lines(t, rules_buf_str(&t->body));
    }
    return t->body_lines;
}

/* ---- the raw body ---- */

/* Where a piece that is to end at or behind `from`, but before `to`, ends best. */
static size_t piece_end(struct postern_str s, size_t from, size_t to)
{
    for (const char *stop = "\n> "; *stop != '\0'; stop++) {
        const char *at = memchr(s.p + from, *stop, to - from);

        if (at != NULL)
            return (size_t)(at - s.p) + 1;
    }
    return from + 1;
}

static bool push_pieces(struct rules_text *t, struct rules_list_of *l, struct postern_str s)
{
    while (s.len > 2 * RULES_LINE_MAX) {
        size_t n = piece_end(s, RULES_LINE_MAX, 2 * RULES_LINE_MAX);

        if (!rules_list_push(t, l, (struct postern_str){s.p, n}))
            return false;
        s.p += n;
        s.len -= n;
    }
    return s.len == 0 || rules_list_push(t, l, s);
}

struct rules_lines rules_text_rawbody(struct rules_text *t)
{
    struct rules_list_of sizes = {.count = 0};
    struct rules_list_of l = {.count = 0};
    size_t count;
    struct rules_part *parts = rules_text_parts(t, &count);
    size_t at = 0;

    if (t->raw_made)
        return t->raw_lines;
    t->raw_made = true;
    for (size_t i = 0; i < count; i++) {
        size_t from = t->raw.len;

        if (!parts[i].leaf ||
            !(rules_istarts(parts[i].effective, POSTERN_STR("text/")) ||
              rules_istarts(parts[i].effective, POSTERN_STR("message/"))) ||
            rules_eq(parts[i].type, POSTERN_STR("text/calendar")))
            continue;
        rules_buf_add(&t->raw, cut(rules_part_decoded(t, &parts[i]), t->max * RAW_TIMES, "\n> "));
        (void)rules_list_push(t, &sizes, (struct postern_str){"", t->raw.len - from});
    }
    for (size_t i = 0; i < sizes.count; at += sizes.p[i++].len) {
        struct postern_str piece = {rules_buf_str(&t->raw).p + at, sizes.p[i].len};

        if (!push_pieces(t, &l, piece))
            break;
    }
    t->raw_lines = (struct rules_lines){rules_buf_str(&t->raw), l.p, l.count, false};
    return t->raw_lines;
}

/* ---- the whole message ---- */

static void add_without_cr(struct rules_buf *b, struct postern_str s)
{
    while (s.len > 0 && b->len < b->max) {
        const char *cr = memchr(s.p, '\r', s.len);
        size_t n = cr == NULL ? s.len : (size_t)(cr - s.p);
        bool bare = cr != NULL && (n + 1 == s.len || cr[1] != '\n');

        rules_buf_add(b, (struct postern_str){s.p, n + bare});
        n += cr != NULL;
        s.p += n;
        s.len -= n;
    }
}

struct rules_lines rules_text_full(struct rules_text *t)
{
    struct rules_list_of l = {.count = 0};

    if (!t->full_made) {
        t->full_made = true;
        add_without_cr(&t->full, t->call->host->content(t->call));
        (void)rules_list_push(t, &l, rules_buf_str(&t->full));
        t->full_lines = (struct rules_lines){rules_buf_str(&t->full), l.p, l.count, false};
    }
    return t->full_lines;
}
