#include "rules_html.h"

#include "rules_element.h"
#include "rules_html_in.h"

#include <stdlib.h>

enum { IMAGE_SIDE = 200, WIDE = 8, HIGH = 6 };

/* ---- what is kept ---- */

static void note_count(struct rules_html_parser *p, const struct rules_tag_count *c)
{
    if (rules_is(c->name, "script"))
        p->script = c;
    else if (rules_is(c->name, "style"))
        p->style = c;
    else if (rules_is(c->name, "a"))
        p->a = c;
    else if (rules_is(c->name, "title"))
        p->title = c;
}

static struct rules_tag_count *count_of(struct rules_html_parser *p, struct postern_str name)
{
    struct rules_html *h = p->h;

    for (size_t i = 0; i < h->tag_count; i++)
        if (rules_eq(h->tag[i].name, name))
            return &h->tag[i];
    if (h->tag_count == RULES_TAGS_MAX)
        return NULL;
    h->tag[h->tag_count] = (struct rules_tag_count){name, -1};
    note_count(p, &h->tag[h->tag_count]);
    return &h->tag[h->tag_count++];
}

const struct rules_tag_count *rules_html_tag(const struct rules_html *h, struct postern_str name)
{
    for (size_t i = 0; i < h->tag_count; i++)
        if (rules_eq(h->tag[i].name, name))
            return &h->tag[i];
    return NULL;
}

static bool inside(const struct rules_tag_count *c)
{
    return c != NULL && c->open > 0;
}

static void keep_text(struct rules_html_parser *p, enum rules_html_kind kind,
                      struct postern_str text)
{
    struct rules_html *h = p->h;
    void *list = h->texts;

    if (rules_more(p->arena, &list, h->text_count, &h->text_room, RULES_HTML_TEXTS,
                   sizeof(*h->texts))) {
        h->texts = list;
        h->texts[h->text_count++] = (struct rules_html_text){kind, text, 0, {"", 0}};
    }
}

/* Room for n bytes more, doubled each time that it is short. */
static bool make_room(struct rules_html_parser *p, struct rules_html_text *t, size_t n)
{
    char *s;

    if (t->text.len + n <= t->room)
        return true;
    if (t->text.len + n > RULES_VALUE_MAX)
        return false;
    s = rules_alloc(p->arena, 2 * (t->text.len + n));
    if (s == NULL)
        return false;
    if (t->text.len > 0)
        memcpy(s, t->text.p, t->text.len);
    t->room = 2 * (t->text.len + n);
    t->text.p = s;
    return true;
}

/* To the newest of that kind. */
static void extend_text(struct rules_html_parser *p, enum rules_html_kind kind,
                        struct postern_str text)
{
    size_t i = p->h->text_count;

    while (i > 0 && p->h->texts[i - 1].kind != kind)
        i--;
    if (i == 0 || text.len == 0 || !make_room(p, &p->h->texts[i - 1], text.len))
        return;
    struct rules_html_text *t = &p->h->texts[i - 1];
    memcpy((char *)(uintptr_t)t->text.p + t->text.len, text.p, text.len);
    t->text.len += text.len;
}

/* ---- what tests ask of single elements ---- */

/* One name of a font from s[*at] on: letters, blanks and hyphens, perhaps a digit, perhaps
 * quoted; the first of a list may begin with a dot or a blank. */
static bool take_face(struct postern_str s, size_t *at, bool first)
{
    size_t from;

    while (*at < s.len && rules_is_blank(s.p[*at]))
        ++*at;
    if (*at < s.len && rules_in(s.p[*at], first ? "\"'." : "\"'"))
        ++*at;
    for (from = *at;
         *at < s.len && (s.p[*at] == ' ' || s.p[*at] == '-' ||
                         (rules_lower(s.p[*at]) >= 'a' && rules_lower(s.p[*at]) <= 'z'));)
        ++*at;
    if (*at < from + 2 || s.p[*at - 1] == ' ' || s.p[*at - 1] == '-' || s.p[from] == '-' ||
        (s.p[from] == ' ' && !first))
        return false;
    *at += *at < s.len && rules_is_digit(s.p[*at]);
    *at += *at < s.len && rules_in(s.p[*at], "\"'");
    return true;
}

static bool is_good_face(struct postern_str s)
{
    size_t at = 0;

    if (!take_face(s, &at, true))
        return false;
    while (at < s.len && s.p[at] == ',') {
        at++;
        if (!take_face(s, &at, false))
            return false;
    }
    at += at < s.len && s.p[at] == ';';
    return at == s.len;
}

/* Pixels, or percents of a window as it may be; what is no number: a common size. */
static double side_of(struct postern_str s, int percent)
{
    size_t n = 0;
    double d = 0;

    while (n < s.len && n < 6 && rules_is_digit(s.p[n]))
        d = d * 10 + (s.p[n++] - '0');
    if (n + 1 == s.len && s.p[n] == '%')
        return d > 0 ? d * percent : IMAGE_SIDE;
    return n < s.len || d <= 0 ? IMAGE_SIDE : d;
}

static void test_meta(struct rules_html_parser *p, const struct rules_token *t)
{
    struct postern_str what = rules_token_attribute(t, "http-equiv");
    struct postern_str content = rules_token_attribute(t, "content");

    if (what.p != NULL && content.p != NULL &&
        rules_ifind(what, POSTERN_STR("content-type")).p != NULL) {
        struct postern_str at = rules_ifind(content, POSTERN_STR("charset="));

        if (at.p != NULL)
            p->h->charsets = (struct postern_str){at.p + 8, at.len - 8};
    }
}

static void test_image(struct rules_html_parser *p, const struct rules_token *t)
{
    struct postern_str width = rules_token_attribute(t, "width");
    struct postern_str height = rules_token_attribute(t, "height");

    if (inside(p->a))
        extend_text(p, RULES_ANCHOR, POSTERN_STR("<img>\n"));
    if (width.p != NULL && height.p != NULL)
        p->h->image_area += side_of(width, WIDE) * side_of(height, HIGH);
}

static void keep_anchor(struct rules_html_parser *p, struct postern_str uri)
{
    size_t count = p->h->text_count;

    keep_text(p, RULES_ANCHOR, POSTERN_STR(""));
    if (p->h->text_count > count && uri.p != NULL)
        p->h->texts[count].uri = rules_html_trimmed(p, uri);
}

static void test_element(struct rules_html_parser *p, const struct rules_token *t)
{
    struct postern_str face = rules_token_attribute(t, "face");
    struct postern_str action = rules_token_attribute(t, "action");

    if (rules_eq(t->text, POSTERN_STR("font")) && face.p != NULL)
        p->h->bad_face |= !is_good_face(face);
    else if (rules_eq(t->text, POSTERN_STR("img")))
        test_image(p, t);
    else if (rules_eq(t->text, POSTERN_STR("form")) && action.p != NULL)
        p->h->mailto_form |= rules_ifind(action, POSTERN_STR("mailto:")).p != NULL;
    else if (rules_eq(t->text, POSTERN_STR("object")) || rules_eq(t->text, POSTERN_STR("embed")))
        p->h->embeds = true;
    else if (rules_eq(t->text, POSTERN_STR("a")))
        keep_anchor(p, rules_token_attribute(t, "href"));
    else if (rules_eq(t->text, POSTERN_STR("title")))
        keep_text(p, RULES_TITLE, POSTERN_STR(""));
    else if (rules_eq(t->text, POSTERN_STR("meta")))
        test_meta(p, t);
}

/* ---- text ---- */

static void put_white(struct rules_html_parser *p, const char *blanks)
{
    if (p->last == RULES_SHOWN && p->text.len > p->last_begin && p->text.p[p->text.len - 1] == ' ')
        p->text.len--;
    p->last = RULES_WHITE;
    p->last_begin = p->text.len;
    rules_buf_add(&p->text, (struct postern_str){blanks, strlen(blanks)});
}

/* Runs of blanks to one; none behind white space of an element. */
static void put_text(struct rules_html_parser *p, struct postern_str s, bool hidden)
{
    size_t begin = p->text.len;

    for (size_t i = 0; i < s.len;) {
        size_t from = i;

        while (i < s.len && !rules_is_blank(s.p[i]))
            i++;
        rules_buf_add(&p->text, (struct postern_str){s.p + from, i - from});
        if (i == s.len)
            break;
        while (i < s.len && rules_is_blank(s.p[i]))
            i++;
        if (!(p->last == RULES_WHITE && !hidden && p->text.len == begin))
            rules_buf_char(&p->text, ' ');
    }
    p->last = hidden ? RULES_HIDDEN : RULES_SHOWN;
    p->last_begin = begin;
}

static bool is_only_blank(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!rules_is_blank(s.p[i]) &&
            !(s.p[i] == '\xc2' && i + 1 < s.len && s.p[i + 1] == '\xa0' && i++ < s.len))
            return false;
    return true;
}

static bool is_hidden(struct rules_html_parser *p)
{
    const struct rules_style *s = &p->styles.open[p->styles.count - 1];

    if (rules_is_low_contrast(s->fore, s->back)) {
        p->h->low_contrast = true;
        return true;
    }
    if (s->fore == RULES_COLOR_INVALID || s->back == RULES_COLOR_INVALID) {
        p->h->invalid_color = true;
        return true;
    }
    return s->size <= 1 || s->hidden;
}

/* Part of a word: what may not be cut by a tag without looking odd. */
static bool is_word_byte(char c)
{
    return (unsigned char)c >= 0x80 || (rules_is_word(c) && c != '_');
}

static void read_text(struct rules_html_parser *p, struct postern_str s)
{
    bool hidden;

    if (inside(p->script)) {
        keep_text(p, RULES_SCRIPT, s);
        return;
    }
    if (inside(p->style))
        return;
    if (inside(p->a))
        extend_text(p, RULES_ANCHOR, s);
    if (inside(p->title))
        extend_text(p, RULES_TITLE, s);
    hidden = !is_only_blank(s) && is_hidden(p);
    if (p->last != RULES_NOTHING && p->text.len > p->last_begin && s.len > 0 &&
        is_word_byte(s.p[0]) && is_word_byte(p->text.p[p->text.len - 1]))
        p->h->obfuscation++;
    put_text(p, s, hidden);
}

/* ---- tags ---- */

static void count_tag(struct rules_html_parser *p, const struct rules_token *t, bool element)
{
    struct rules_tag_count *c = count_of(p, t->text);
    bool first = c != NULL && c->open < 0;

    p->h->tags++;
    p->h->elements += element;
    p->h->tags_seen += first;
    p->h->elements_seen += element && first;
    if (c == NULL)
        return;
    if (first)
        c->open = 0;
    c->open += t->kind == RULES_TOKEN_OPEN ? 1 : -1;
    if (c->open < 0) {
        c->open = 0;
        p->h->closed_extra++;
    }
}

static void read_tag(struct rules_html_parser *p, const struct rules_token *t)
{
    bool of_office;
    unsigned flags = rules_element_flags(t->text, &of_office);

    count_tag(p, t, (flags & RULES_E_KNOWN) != 0 || of_office);
    if (of_office || flags == 0)
        return;
    if ((flags & RULES_E_STYLED) != 0)
        rules_styles_tag(&p->styles, t);
    if ((flags & RULES_E_LINE) != 0)
        put_white(p, "\n");
    else if ((flags & RULES_E_BLANK) != 0)
        put_white(p, " ");
    else if ((flags & RULES_E_PARAGRAPH) != 0)
        put_white(p, "\n\n");
    if (t->kind == RULES_TOKEN_CLOSE)
        return;
    if ((flags & RULES_E_LINKED) != 0)
        rules_html_links(p, t);
    test_element(p, t);
}

static void read_declaration(struct rules_html_parser *p, struct postern_str text)
{
    if (!rules_istarts(text, POSTERN_STR("<!doctype")))
        return;
    p->h->elements++;
    p->h->tags++;
}

/* ---- all of it ---- */

static size_t characters(struct postern_str s)
{
    return s.len - rules_count(s, 0x80, 0xbf);
}

static size_t blanks(struct postern_str s)
{
    size_t n = rules_count(s, ' ', ' ') + rules_count(s, '\t', '\r');

    for (const char *c2 = s.p; s.len > 1; c2++) { /* no-break spaces */
        c2 = memchr(c2, 0xc2, s.len - 1 - (size_t)(c2 - s.p));
        if (c2 == NULL)
            break;
        n += c2[1] == '\xa0';
    }
    return n;
}

static struct rules_html *new_page(struct rules_arena *a)
{
    struct rules_html *h = rules_alloc(a, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->charsets = POSTERN_STR("");
    h->tag = rules_alloc(a, RULES_TAGS_MAX * sizeof(*h->tag));
    return h->tag == NULL ? NULL : h;
}

void rules_html_measure(struct rules_html *h, struct postern_str source)
{
    size_t blank = blanks(h->text);

    h->length = characters(source);
    h->rendered_length = characters(h->text);
    h->non_space = h->rendered_length - (blank < h->rendered_length ? blank : h->rendered_length);
}

static void finish(struct rules_html_parser *p)
{
    struct rules_html *h = p->h;

    h->text = rules_dup(p->arena, rules_buf_str(&p->text));
    h->max_size = p->styles.max_size;
    h->min_size = p->styles.min_size;
    for (size_t i = 0; i < h->tag_count; i++)
        if (rules_eq(h->tag[i].name, POSTERN_STR("style")) ||
            rules_eq(h->tag[i].name, POSTERN_STR("script")))
            h->tag[i].open = 0;
}

struct rules_html *rules_html_parse(struct postern_str source, struct rules_arena *a)
{
    struct rules_token token;
    struct rules_html_parser p = {.h = new_page(a), .arena = a, .base = {"", 0}};

    p.tokens = (struct rules_tokens){.s = source, .arena = a};
    p.text.max = 2 * source.len + 64; /* an element of four bytes is two line ends at most */
    if (p.h == NULL || !rules_styles_begin(&p.styles, a))
        return NULL;
    for (;;) {
        rules_token_next(&p.tokens, &token);
        if (token.kind == RULES_TOKEN_END)
            break;
        if (token.kind == RULES_TOKEN_TEXT)
            read_text(&p, token.text);
        else if (token.kind == RULES_TOKEN_COMMENT)
            keep_text(&p, RULES_COMMENT, token.text);
        else if (token.kind == RULES_TOKEN_DECLARATION)
            read_declaration(&p, token.text);
        else
            read_tag(&p, &token);
    }
    finish(&p);
    free(p.text.p);
    return p.h;
}

static struct rules_html *make_page(struct rules_text *t, struct postern_str source)
{
    struct rules_html *h = rules_html_parse(source, &t->arena);

    if (h != NULL && t->set->order_count[RULES_EVAL] > 0)
        rules_html_measure(h, source);
    return h;
}

size_t rules_text_pages(struct rules_text *t)
{
    size_t count;
    struct rules_part *parts = rules_text_parts(t, &count);

    if (t->pages_made)
        return t->page_count;
    t->pages_made = true;
    t->pages = rules_alloc(&t->arena, (count + 1) * sizeof(struct rules_html *));
    for (size_t i = 0; t->pages != NULL && i < count; i++)
        if (parts[i].leaf && rules_eq(parts[i].effective, POSTERN_STR("text/html")) &&
            rules_part_decoded(t, &parts[i]).len > 0)
            t->pages[t->page_count++] = make_page(t, rules_part_utf8(t, &parts[i]));
    return t->page_count;
}
