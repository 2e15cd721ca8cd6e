#include "rules_html.h"

#include "rules_style.h"
#include "rules_text_in.h"

#include <stdlib.h>

enum { URI_TEXT_MAX = 8192, IMAGE_SIDE = 200, WIDE = 8, HIGH = 6 };

/* What is special of an element. */
enum {
    KNOWN = 1, /* of HTML */
    ODD = 2,   /* of old browsers */
    STYLED = 4,
    LINE = 8, /* before and behind it: a line end, */
    BLANK = 16,
    PARAGRAPH = 32,
    LINKED = 64
};

static const struct element {
    const char *name;
    unsigned flags;
} elements[] = {{"a", KNOWN | STYLED | LINKED},
                {"abbr", KNOWN},
                {"acronym", KNOWN},
                {"address", KNOWN},
                {"applet", KNOWN},
                {"area", KNOWN | LINKED},
                {"b", KNOWN},
                {"base", KNOWN | LINKED},
                {"basefont", KNOWN | STYLED},
                {"bdo", KNOWN},
                {"bgsound", ODD | LINKED},
                {"big", KNOWN | STYLED},
                {"blockquote", KNOWN | PARAGRAPH},
                {"body", KNOWN | STYLED | LINKED},
                {"br", KNOWN | LINE},
                {"button", KNOWN},
                {"caption", KNOWN},
                {"center", KNOWN},
                {"cite", KNOWN},
                {"code", KNOWN},
                {"col", KNOWN},
                {"colgroup", KNOWN},
                {"dd", KNOWN | BLANK},
                {"del", KNOWN},
                {"dfn", KNOWN},
                {"dir", KNOWN},
                {"div", KNOWN | STYLED | LINE},
                {"dl", KNOWN},
                {"dt", KNOWN | BLANK},
                {"em", KNOWN},
                {"embed", ODD | BLANK | LINKED},
                {"fieldset", KNOWN},
                {"font", KNOWN | STYLED},
                {"form", KNOWN | LINKED},
                {"frame", KNOWN | LINKED},
                {"frameset", KNOWN},
                {"h1", KNOWN | BLANK},
                {"h2", KNOWN | BLANK},
                {"h3", KNOWN | BLANK},
                {"h4", KNOWN | BLANK},
                {"h5", KNOWN | BLANK},
                {"h6", KNOWN | BLANK},
                {"head", KNOWN},
                {"hr", KNOWN | PARAGRAPH},
                {"html", KNOWN},
                {"i", KNOWN},
                {"iframe", KNOWN | LINKED},
                {"img", KNOWN | LINKED},
                {"input", KNOWN},
                {"ins", KNOWN},
                {"isindex", KNOWN},
                {"kbd", KNOWN},
                {"label", KNOWN},
                {"legend", KNOWN},
                {"li", KNOWN | BLANK},
                {"link", KNOWN | LINKED},
                {"listing", ODD | PARAGRAPH},
                {"map", KNOWN},
                {"menu", KNOWN},
                {"meta", KNOWN | LINKED},
                {"nobr", KNOWN},
                {"noframes", KNOWN},
                {"noscript", KNOWN},
                {"object", KNOWN},
                {"ol", KNOWN},
                {"optgroup", KNOWN},
                {"option", KNOWN},
                {"p", KNOWN | STYLED | PARAGRAPH},
                {"param", KNOWN},
                {"plaintext", ODD | PARAGRAPH},
                {"pre", KNOWN | PARAGRAPH},
                {"q", KNOWN},
                {"s", KNOWN},
                {"samp", KNOWN},
                {"script", KNOWN | LINKED},
                {"select", KNOWN},
                {"small", KNOWN | STYLED},
                {"span", KNOWN | STYLED},
                {"strike", KNOWN},
                {"strong", KNOWN},
                {"style", KNOWN},
                {"sub", KNOWN},
                {"sup", KNOWN},
                {"table", KNOWN | STYLED | LINKED},
                {"tbody", KNOWN},
                {"td", KNOWN | STYLED | BLANK | LINKED},
                {"textarea", KNOWN},
                {"tfoot", KNOWN},
                {"th", KNOWN | STYLED | BLANK},
                {"thead", KNOWN},
                {"title", KNOWN | PARAGRAPH},
                {"tr", KNOWN | STYLED | LINKED},
                {"tt", KNOWN},
                {"u", KNOWN},
                {"ul", KNOWN},
                {"var", KNOWN},
                {"x-sigsep", KNOWN},
                {"x-tab", KNOWN},
                {"xmp", ODD | PARAGRAPH}};

static int by_name(const void *key, const void *element)
{
    const struct postern_str *s = key;
    const char *name = ((const struct element *)element)->name;
    size_t n = strlen(name);
    int order = memcmp(s->p, name, s->len < n ? s->len : n);

    return order != 0 ? order : (s->len > n) - (s->len < n);
}

/* Also what office programs call "o:p" and "st1:place". */
static unsigned flags_of(struct postern_str name, bool *of_office)
{
    const struct element *e = bsearch(&name, elements, sizeof(elements) / sizeof(elements[0]),
                                      sizeof(elements[0]), by_name);

    *of_office = rules_starts(name, POSTERN_STR("o:")) ||
                 (name.len > 4 && rules_starts(name, POSTERN_STR("st")) &&
                  rules_is_digit(name.p[2]) && name.p[3] == ':');
    return e == NULL ? 0 : e->flags;
}

enum chunk { NOTHING, SHOWN, HIDDEN, WHITE };

struct parser {
    struct rules_html *h;
    struct rules_arena *arena;
    struct rules_tokens tokens;
    struct rules_styles styles;
    struct rules_buf text;
    enum chunk last;   /* what the newest piece of text is */
    size_t last_begin; /* and where it begins */
    /* Counts that text asks for each time; NULL: no such tag yet. */
    const struct rules_tag_count *script, *style, *a, *title;
    struct postern_str base;
};

/* ---- what is kept ---- */

static void note_count(struct parser *p, const struct rules_tag_count *c)
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

static struct rules_tag_count *count_of(struct parser *p, struct postern_str name)
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

static void keep_text(struct parser *p, enum rules_html_kind kind, struct postern_str text)
{
    if (p->h->text_count < RULES_HTML_TEXTS)
        p->h->texts[p->h->text_count++] = (struct rules_html_text){kind, text, 0, {"", 0}};
}

/* Room for n bytes more, doubled each time that it is short. */
static bool make_room(struct parser *p, struct rules_html_text *t, size_t n)
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
static void extend_text(struct parser *p, enum rules_html_kind kind, struct postern_str text)
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

/* ---- links ---- */

static struct postern_str trimmed_uri(struct parser *p, struct postern_str uri)
{
    uri = rules_trim(uri);
    if (uri.len > URI_TEXT_MAX) {
        p->h->uri_cut = true;
        uri.len = URI_TEXT_MAX;
    }
    return uri;
}

static bool has_scheme(struct postern_str uri)
{
    for (size_t i = 0; i < uri.len; i++)
        if (uri.p[i] == ':')
            return i > 0;
        else if (rules_in(uri.p[i], "/?#"))
            return false;
    return false;
}

/* As seen from the page's base: only where it says one. */
static struct postern_str absolute(struct parser *p, struct postern_str uri)
{
    size_t keep = p->base.len;
    char *s;

    if (keep == 0 || has_scheme(uri) || rules_starts(uri, POSTERN_STR("//")))
        return uri;
    if (uri.len > 0 && uri.p[0] == '/') { /* up to the end of the host */
        const char *slashes = memmem(p->base.p, p->base.len, "//", 2);
        const char *end;

        if (slashes == NULL)
            return uri;
        keep = (size_t)(slashes + 2 - p->base.p);
        end = memchr(p->base.p + keep, '/', p->base.len - keep);
        keep = end == NULL ? p->base.len : (size_t)(end - p->base.p);
    }
    s = rules_alloc(p->arena, keep + uri.len + 1);
    if (s == NULL)
        return uri;
    memcpy(s, p->base.p, keep);
    memcpy(s + keep, uri.p, uri.len);
    return (struct postern_str){s, keep + uri.len};
}

static void keep_uri(struct parser *p, unsigned where, struct postern_str uri)
{
    struct rules_html *h = p->h;

    uri = absolute(p, trimmed_uri(p, uri));
    for (size_t i = 0; i < h->uri_count; i++)
        if (rules_eq(h->uris[i].uri, uri)) {
            h->uris[i].where |= where;
            return;
        }
    if (uri.len > 0 && h->uri_count < RULES_HTML_URIS)
        h->uris[h->uri_count++] = (struct rules_html_uri){uri, where};
}

static void set_base(struct parser *p, struct postern_str uri)
{
    uri = trimmed_uri(p, uri);
    if (!rules_istarts(uri, POSTERN_STR("http")) && !rules_istarts(uri, POSTERN_STR("ftp:")))
        return;
    /* Behind the last slash of the path stands the page's own name. */
    for (size_t i = uri.len; i-- > 8;)
        if (uri.p[i] == '/') {
            uri.len = i + 1;
            break;
        }
    p->base = uri;
}

/* "5; URL=http://…" of a meta element. */
static void keep_refresh(struct parser *p, const struct rules_token *t)
{
    struct postern_str what = rules_token_attribute(t, "http-equiv");
    struct postern_str content = rules_token_attribute(t, "content");
    struct postern_str at;

    if (what.p == NULL || content.p == NULL || rules_ifind(what, POSTERN_STR("refresh")).p == NULL)
        return;
    at = rules_ifind(content, POSTERN_STR("url"));
    while (at.len > 3 && at.p[3] != '=' && rules_is_blank(at.p[3]))
        at.p++, at.len--;
    if (at.len < 4 || at.p[3] != '=')
        return;
    at = rules_trim((struct postern_str){at.p + 4, at.len - 4});
    content = at;
    for (at.len = 0; at.len < content.len && at.p[at.len] != ';';)
        at.len++;
    keep_uri(p, RULES_URI_OTHER, at);
}

static void keep_links(struct parser *p, const struct rules_token *t)
{
    static const struct {
        const char *tag, *attribute;
        unsigned where;
    } links[] = {{"a", "href", RULES_URI_A},
                 {"a", "data-saferedirecturl", RULES_URI_A},
                 {"area", "href", RULES_URI_OTHER},
                 {"link", "href", RULES_URI_OTHER},
                 {"base", "href", RULES_URI_OTHER},
                 {"img", "src", RULES_URI_IMG},
                 {"iframe", "src", RULES_URI_IFRAME},
                 {"frame", "src", RULES_URI_OTHER},
                 {"embed", "src", RULES_URI_OTHER},
                 {"script", "src", RULES_URI_OTHER},
                 {"bgsound", "src", RULES_URI_OTHER},
                 {"form", "action", RULES_URI_OTHER},
                 {"body", "background", RULES_URI_OTHER},
                 {"table", "background", RULES_URI_OTHER},
                 {"tr", "background", RULES_URI_OTHER},
                 {"td", "background", RULES_URI_OTHER}};

    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        struct postern_str uri;

        if (!rules_is(t->text, links[i].tag))
            continue;
        uri = rules_token_attribute(t, links[i].attribute);
        if (uri.p == NULL)
            continue;
        keep_uri(p, links[i].where, uri);
        if (rules_eq(t->text, POSTERN_STR("base")))
            set_base(p, uri);
    }
    if (rules_eq(t->text, POSTERN_STR("meta")))
        keep_refresh(p, t);
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

static void test_meta(struct parser *p, const struct rules_token *t)
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

static void test_image(struct parser *p, const struct rules_token *t)
{
    struct postern_str width = rules_token_attribute(t, "width");
    struct postern_str height = rules_token_attribute(t, "height");

    if (inside(p->a))
        extend_text(p, RULES_ANCHOR, POSTERN_STR("<img>\n"));
    if (width.p != NULL && height.p != NULL)
        p->h->image_area += side_of(width, WIDE) * side_of(height, HIGH);
}

static void keep_anchor(struct parser *p, struct postern_str uri)
{
    size_t count = p->h->text_count;

    keep_text(p, RULES_ANCHOR, POSTERN_STR(""));
    if (p->h->text_count > count && uri.p != NULL)
        p->h->texts[count].uri = trimmed_uri(p, uri);
}

static void test_element(struct parser *p, const struct rules_token *t)
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

static void put_white(struct parser *p, const char *blanks)
{
    if (p->last == SHOWN && p->text.len > p->last_begin && p->text.p[p->text.len - 1] == ' ')
        p->text.len--;
    p->last = WHITE;
    p->last_begin = p->text.len;
    rules_buf_add(&p->text, (struct postern_str){blanks, strlen(blanks)});
}

/* Runs of blanks to one; none behind white space of an element. */
static void put_text(struct parser *p, struct postern_str s, bool hidden)
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
        if (!(p->last == WHITE && !hidden && p->text.len == begin))
            rules_buf_char(&p->text, ' ');
    }
    p->last = hidden ? HIDDEN : SHOWN;
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

static bool is_hidden(struct parser *p)
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

static void read_text(struct parser *p, struct postern_str s)
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
    if (p->last != NOTHING && p->text.len > p->last_begin && s.len > 0 && is_word_byte(s.p[0]) &&
        is_word_byte(p->text.p[p->text.len - 1]))
        p->h->obfuscation++;
    put_text(p, s, hidden);
}

/* ---- tags ---- */

static void count_tag(struct parser *p, const struct rules_token *t, bool element)
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

static void read_tag(struct parser *p, const struct rules_token *t)
{
    bool of_office;
    unsigned flags = flags_of(t->text, &of_office);

    count_tag(p, t, (flags & KNOWN) != 0 || of_office);
    if (of_office || flags == 0)
        return;
    if ((flags & STYLED) != 0)
        rules_styles_tag(&p->styles, t);
    if ((flags & LINE) != 0)
        put_white(p, "\n");
    else if ((flags & BLANK) != 0)
        put_white(p, " ");
    else if ((flags & PARAGRAPH) != 0)
        put_white(p, "\n\n");
    if (t->kind == RULES_TOKEN_CLOSE)
        return;
    if ((flags & LINKED) != 0)
        keep_links(p, t);
    test_element(p, t);
}

static void read_declaration(struct parser *p, struct postern_str text)
{
    if (!rules_istarts(text, POSTERN_STR("<!doctype")))
        return;
    p->h->elements++;
    p->h->tags++;
}

/* ---- all of it ---- */

static size_t characters(struct postern_str s, size_t *blank)
{
    size_t n = 0;

    *blank = 0;
    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
        *blank += rules_is_blank(s.p[i]);
        *blank += s.p[i] == '\xc2' && i + 1 < s.len && s.p[i + 1] == '\xa0';
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
    h->texts = rules_alloc(a, RULES_HTML_TEXTS * sizeof(*h->texts));
    h->uris = rules_alloc(a, RULES_HTML_URIS * sizeof(*h->uris));
    return h->tag == NULL || h->texts == NULL || h->uris == NULL ? NULL : h;
}

void rules_html_measure(struct rules_html *h, struct postern_str source)
{
    size_t blank;

    h->length = characters(source, &blank);
    h->rendered_length = characters(h->text, &blank);
    h->non_space = h->rendered_length - (blank < h->rendered_length ? blank : h->rendered_length);
}

static void finish(struct parser *p)
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
    struct parser p = {.h = new_page(a), .arena = a, .base = {"", 0}};

    p.tokens = (struct rules_tokens){.s = source, .arena = a};
    p.text.max = 2 * source.len + 64; /* an element of four bytes is two line ends at most */
    p.styles.open = rules_alloc(a, RULES_STYLES_MAX * sizeof(*p.styles.open));
    if (p.h == NULL || p.styles.open == NULL)
        return NULL;
    rules_styles_begin(&p.styles);
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
