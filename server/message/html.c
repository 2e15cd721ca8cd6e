#include "html_names.h"
#include "lex.h"
#include "text.h"
#include "utf8_code.h"

#include <stdlib.h>

enum {
    NAME_MAX_LEN = 16, /* of the elements and attributes that matter */
    HIDDEN_DEPTH = 32,
    STYLE_MAX = 256,
};

/* ---- character references */

/* What the bytes 128 to 159 are when a number names them: windows-1252, as browsers have it. */
static const uint16_t c1[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
                                0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
                                0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

static size_t numeric_entity(struct pn_str s, size_t at, uint32_t *code)
{
    size_t i = at + 2;
    unsigned base = 10;
    if (i < s.len && (s.p[i] == 'x' || s.p[i] == 'X')) {
        base = 16;
        i++;
    }
    size_t from = i;
    *code = 0;
    for (int d; i < s.len && (d = lex_hex(s.p[i])) >= 0 && (unsigned)d < base; i++)
        if (*code <= 0x10ffff)
            *code = *code * base + (unsigned)d;
    if (i == from)
        return 0;
    if (*code >= 0x80 && *code < 0xa0)
        *code = c1[*code - 0x80];
    if (*code == 0)
        *code = 0xfffd;
    return i + (i < s.len && s.p[i] == ';') - at;
}

/* "&name;", and without the semicolon the Latin-1 names and the four of markup: as
 * browsers do, so that "&nbspx" is a blank, but "&alphax" is text. */
static size_t named_entity(struct pn_str s, size_t at, uint32_t *code)
{
    const struct html_name *whole, *prefix;
    html_names_at(pn_str_slice(s, at + 1, s.len), &whole, &prefix);
    if (whole != NULL) {
        size_t end = at + 1 + strlen(whole->name);
        *code = whole->code;
        if (end < s.len && s.p[end] == ';')
            return end + 1 - at;
    }
    if (prefix == NULL)
        return 0;
    *code = prefix->code;
    return 1 + strlen(prefix->name);
}

/* The reference at "&": its length, 0 if it is none. */
static size_t entity_at(struct pn_str s, size_t at, uint32_t *code)
{
    if (at + 1 < s.len && s.p[at + 1] == '#')
        return numeric_entity(s, at, code);
    return named_entity(s, at, code);
}

bool pn_html_entities(struct pn_str s, struct pn_buf *out)
{
    bool ok = true;
    for (size_t at = 0, amp = 0; at < s.len && ok;) {
        uint32_t code = 0;
        size_t n = 0;
        /* A "&" that begins no reference is text, as what is around it. */
        while ((amp = pn_str_find(s, '&', amp)) != SIZE_MAX && (n = entity_at(s, amp, &code)) == 0)
            amp++;
        ok = pn_buf_adds(out, pn_str_slice(s, at, amp)) && (n == 0 || utf8_add(out, code));
        at = amp == SIZE_MAX ? s.len : amp + n;
        amp = at;
    }
    return ok;
}

/* ---- output: blanks gather and are written before the next word only */

struct html {
    struct pn_str s;
    size_t at;
    struct pn_buf *out;
    struct pn_buf value; /* an attribute's, references undone */
    struct pn_links *links;
    size_t from; /* where our output begins */
    size_t room; /* output up to here is allocated, and within its limit */
    bool blank, line, ok;
    unsigned flags;
    /* The open elements within one that its style hides; [0] is that one. */
    char hidden[HIDDEN_DEPTH][NAME_MAX_LEN + 1];
    size_t hidden_count;
};

static void put(struct html *h, const char *p, size_t n)
{
    if (h->hidden_count != 0 || n == 0 || !h->ok)
        return;
    bool gap = h->out->len > h->from && (h->line || h->blank);
    char blank = h->line ? '\n' : ' ';
    h->line = h->blank = false;
    if (n < h->room && h->out->len < h->room - n) { /* for nearly every word */
        char *to = h->out->p + h->out->len;
        *to = blank;
        memcpy(to + gap, p, n);
        h->out->len += gap + n;
        return;
    }
    if (gap)
        h->ok = pn_buf_addc(h->out, blank);
    size_t room = h->out->max - h->out->len;
    if (n > room) {
        while (room > 0 && ((unsigned char)p[room] & 0xc0) == 0x80)
            room--;
        (void)pn_buf_add(h->out, p, room);
        h->out->overflow = true;
        h->ok = false;
        return;
    }
    h->ok = h->ok && pn_buf_add(h->out, p, n);
}

/* Soft hyphens, joiners and zero-width blanks: used to break up words, seen by nobody. */
static bool is_invisible(uint32_t c)
{
    return c == 0xad || c == 0x34f || (c >= 0x200b && c <= 0x200f) || c == 0x2060 || c == 0xfeff;
}

static void put_code(struct html *h, uint32_t code)
{
    char bytes[4];
    if (code == ' ' || code == '\t' || code == '\r' || code == '\n' || code == 0xa0)
        h->blank = true;
    else if (!is_invisible(code))
        put(h, bytes, utf8_write(bytes, code));
}

/* Does c end a run of bytes that are text as they stand? Beyond ASCII: only those that
 * begin the no-break space or an invisible character. */
static const bool special[256] = {
    [' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true, ['\f'] = true,
    ['&'] = true, [0xc2] = true, [0xcd] = true, [0xe2] = true, [0xef] = true};

static void put_text(struct html *h, struct pn_str s)
{
    for (size_t at = 0; at < s.len && h->ok;) {
        uint32_t code = ' ';
        size_t end = at, n = 1;
        /* A "&" that begins no reference is text, as what is around it. */
        while (end < s.len && (!special[(unsigned char)s.p[end]] ||
                               (s.p[end] == '&' && (n = entity_at(s, end, &code)) == 0)))
            end++;
        put(h, s.p + at, end - at);
        at = end;
        if (at == s.len)
            break;
        if ((unsigned char)s.p[at] >= 0x80)
            code = utf8_read(pn_str_slice(s, at, s.len), &n);
        else if (s.p[at] != '&') { /* n and code may be of a "&" before */
            code = ' ';
            n = 1;
        }
        put_code(h, code);
        at += n;
    }
}

/* ---- elements */

enum element_kind {
    INLINE,
    BLOCK, /* text before and behind is on lines of its own */
    CELL,  /* a blank between */
    RAW,   /* what is inside is no text to be seen, and no markup */
    VOID,  /* has no end tag */
    BREAK, /* VOID, and a new line */
};

struct element {
    const char *name;
    enum element_kind kind;
};

/* Sorted for bsearch. */
static const struct element elements[] = {
    {"address", BLOCK},  {"area", VOID},        {"article", BLOCK}, {"aside", BLOCK},
    {"base", VOID},      {"blockquote", BLOCK}, {"body", BLOCK},    {"br", BREAK},
    {"caption", BLOCK},  {"center", BLOCK},     {"col", VOID},      {"dd", BLOCK},
    {"div", BLOCK},      {"dl", BLOCK},         {"dt", BLOCK},      {"embed", VOID},
    {"fieldset", BLOCK}, {"footer", BLOCK},     {"form", BLOCK},    {"h1", BLOCK},
    {"h2", BLOCK},       {"h3", BLOCK},         {"h4", BLOCK},      {"h5", BLOCK},
    {"h6", BLOCK},       {"header", BLOCK},     {"hr", BREAK},      {"html", BLOCK},
    {"iframe", RAW},     {"img", VOID},         {"input", VOID},    {"legend", BLOCK},
    {"li", BLOCK},       {"link", VOID},        {"main", BLOCK},    {"meta", VOID},
    {"nav", BLOCK},      {"noembed", RAW},      {"noframes", RAW},  {"ol", BLOCK},
    {"option", BLOCK},   {"p", BLOCK},          {"param", VOID},    {"pre", BLOCK},
    {"script", RAW},     {"section", BLOCK},    {"source", VOID},   {"style", RAW},
    {"table", BLOCK},    {"tbody", BLOCK},      {"td", CELL},       {"tfoot", BLOCK},
    {"th", CELL},        {"thead", BLOCK},      {"title", RAW},     {"tr", BLOCK},
    {"ul", BLOCK},       {"wbr", VOID},         {"xmp", RAW},
};

static int compare_element(const void *name, const void *row)
{
    return strcmp(name, ((const struct element *)row)->name);
}

static enum element_kind element_kind(const char *name)
{
    const struct element *found = bsearch(name, elements, sizeof elements / sizeof elements[0],
                                          sizeof elements[0], compare_element);
    return found == NULL ? INLINE : found->kind;
}

/* A name in lower case, up to a blank, "/", ">" and for an attribute "="; one that is too
 * long becomes "", which is no name that matters. */
static size_t read_name(const struct html *h, size_t at, bool attribute, char to[NAME_MAX_LEN + 1])
{
    size_t n = 0, end = at;
    for (; end < h->s.len; end++) {
        char c = h->s.p[end];
        if (lex_blank(c) || c == '/' || c == '>' || (attribute && c == '='))
            break;
        if (n < NAME_MAX_LEN)
            to[n] = pn_lower(c);
        n++;
    }
    to[n <= NAME_MAX_LEN ? n : 0] = '\0';
    return end;
}

/* An attribute's value, "=" being passed: quoted or up to a blank or ">". */
static size_t read_value(const struct html *h, size_t at, struct pn_str *value)
{
    char quote = at < h->s.len ? h->s.p[at] : '\0';
    size_t end = at;
    if (quote == '"' || quote == '\'') {
        end = pn_str_find(h->s, quote, at + 1);
        *value = pn_str_slice(h->s, at + 1, end);
        return end == SIZE_MAX ? h->s.len : end + 1;
    }
    while (end < h->s.len && !lex_blank(h->s.p[end]) && h->s.p[end] != '>')
        end++;
    *value = pn_str_slice(h->s, at, end);
    return end;
}

static size_t pass_blanks(const struct html *h, size_t at)
{
    while (at < h->s.len && (lex_blank(h->s.p[at]) || h->s.p[at] == '\f'))
        at++;
    return at;
}

/* ---- what attributes say */

/* Does a style, written in whatever case and with whatever blanks, hide its element? */
static bool style_hides(struct pn_str style)
{
    char flat[STYLE_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < style.len && n < STYLE_MAX; i++)
        if (!lex_blank(style.p[i]) && style.p[i] != '\0')
            flat[n++] = pn_lower(style.p[i]);
    flat[n] = '\0';
    if (strstr(flat, "display:none") != NULL || strstr(flat, "visibility:hidden") != NULL)
        return true;
    const char *size = strstr(flat, "font-size:0");
    if (size == NULL)
        return false;
    size += strlen("font-size:0");
    return *size != '.' && !pn_is_digit(*size);
}

static void add_link(struct html *h, enum pn_link_kind kind, struct pn_str url)
{
    if (h->links != NULL)
        pn_links_add(h->links, kind, url);
    if (pn_str_istarts(pn_str_trim(url), PN_STR("javascript:")))
        h->flags |= PN_HTML_SCRIPT;
}

/* <meta http-equiv=refresh content="0; url=..."> */
static void add_refresh(struct html *h, struct pn_str content)
{
    for (size_t at = 0; (at = pn_str_find(content, '=', at)) != SIZE_MAX; at++)
        if (at >= 3 && pn_str_ieq(pn_str_slice(content, at - 3, at), PN_STR("url"))) {
            add_link(h, PN_LINK_HREF, pn_str_slice(content, at + 1, content.len));
            return;
        }
}

struct tag {
    char name[NAME_MAX_LEN + 1];
    enum element_kind kind;
    bool end, hides;
};

/* What an attribute's value is to us. */
enum attribute_kind { NOTHING, LINK, REFRESH, STYLE, HIDDEN };

static enum attribute_kind attribute_kind(const struct tag *tag, const char *name,
                                          enum pn_link_kind *link)
{
    static const struct {
        const char *name;
        enum pn_link_kind link;
    } rows[] = {{"href", PN_LINK_HREF},         {"src", PN_LINK_SOURCE},
                {"background", PN_LINK_SOURCE}, {"poster", PN_LINK_SOURCE},
                {"data", PN_LINK_SOURCE},       {"action", PN_LINK_FORM},
                {"formaction", PN_LINK_FORM}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (name[0] == rows[i].name[0] && strcmp(name, rows[i].name) == 0) {
            *link = rows[i].link;
            return LINK;
        }
    }
    if (strcmp(name, "style") == 0)
        return STYLE;
    if (strcmp(name, "hidden") == 0)
        return HIDDEN;
    return strcmp(name, "content") == 0 && strcmp(tag->name, "meta") == 0 ? REFRESH : NOTHING;
}

static void read_attribute(struct html *h, struct tag *tag, const char *name, struct pn_str raw)
{
    enum pn_link_kind link = PN_LINK_HREF;
    enum attribute_kind kind = attribute_kind(tag, name, &link);
    if (name[0] == 'o' && name[1] == 'n' && name[2] != '\0')
        h->flags |= PN_HTML_SCRIPT;
    if (kind == HIDDEN)
        tag->hides = true;
    if (kind == NOTHING || kind == HIDDEN)
        return;
    pn_buf_clear(&h->value);
    (void)pn_html_entities(raw, &h->value);
    if (kind == LINK)
        add_link(h, link, pn_buf_str(&h->value));
    else if (kind == REFRESH)
        add_refresh(h, pn_buf_str(&h->value));
    else if (style_hides(pn_buf_str(&h->value)))
        tag->hides = true;
}

/* From the name on, to behind ">". */
static void read_tag(struct html *h, struct tag *tag)
{
    char name[NAME_MAX_LEN + 1];
    size_t at = read_name(h, h->at, false, tag->name);
    tag->kind = element_kind(tag->name);
    while ((at = pass_blanks(h, at)) < h->s.len && h->s.p[at] != '>') {
        struct pn_str value = PN_STR("");
        if (h->s.p[at] == '/' || h->s.p[at] == '=') {
            at++;
            continue;
        }
        size_t end = read_name(h, at, true, name), equal = pass_blanks(h, end);
        at = end;
        if (equal < h->s.len && h->s.p[equal] == '=')
            at = read_value(h, pass_blanks(h, equal + 1), &value);
        if (!tag->end)
            read_attribute(h, tag, name, value);
    }
    if (at >= h->s.len)
        h->flags |= PN_HTML_TRUNCATED;
    h->at = at < h->s.len ? at + 1 : h->s.len;
}

/* ---- elements that are hidden, and where that ends */

/*
 * What is within a hidden element is left out until its end tag. Markup in mail is rarely
 * right, so where a browser might see an end, we do: better to show what is hidden than
 * to hide what is seen. Ends are: the element's own tag, a tag that closes something
 * around it, for a paragraph any block, for a list item or cell the next of its kind.
 */
static void hidden_start(struct html *h, const struct tag *tag)
{
    const char *first = h->hidden[0];
    if (h->hidden_count == 0 && !tag->hides)
        return;
    if (tag->kind == VOID || tag->kind == BREAK || tag->kind == RAW)
        return;
    bool over = (strcmp(first, "p") == 0 && tag->kind == BLOCK) ||
                (h->hidden_count == 1 && strcmp(first, tag->name) == 0 &&
                 (tag->kind == CELL || strcmp(first, "li") == 0 || strcmp(first, "tr") == 0));
    if (h->hidden_count == HIDDEN_DEPTH || (h->hidden_count != 0 && over))
        h->hidden_count = 0;
    if (h->hidden_count == 0 && !tag->hides)
        return;
    h->flags |= PN_HTML_HIDDEN;
    memcpy(h->hidden[h->hidden_count++], tag->name, sizeof tag->name);
}

static void hidden_end(struct html *h, const struct tag *tag)
{
    for (size_t i = h->hidden_count; i > 0; i--) {
        if (strcmp(h->hidden[i - 1], tag->name) == 0) {
            h->hidden_count = i - 1;
            return;
        }
    }
    if (tag->kind == BLOCK || tag->kind == CELL)
        h->hidden_count = 0;
}

/* ---- the scan */

/* Behind the end tag of a RAW element. */
static void pass_raw(struct html *h, const char *name)
{
    struct pn_str want = pn_str_of(name);
    size_t at = h->at;
    while ((at = pn_str_find(h->s, '<', at)) != SIZE_MAX) {
        struct pn_str rest = pn_str_slice(h->s, at + 1, h->s.len);
        at++;
        if (rest.len == 0 || rest.p[0] != '/' ||
            !pn_str_istarts(pn_str_slice(rest, 1, rest.len), want))
            continue;
        char next = rest.len > want.len + 1 ? rest.p[want.len + 1] : '>';
        if (!pn_is_alpha(next) && !pn_is_digit(next)) {
            struct tag tag = {.end = true};
            h->at = at + 1;
            read_tag(h, &tag);
            return;
        }
    }
    h->flags |= PN_HTML_TRUNCATED;
    h->at = h->s.len;
}

/* "<!--" to "-->", "<!..." and "<?..." to ">". */
static void pass_markup(struct html *h)
{
    size_t at = h->at;
    bool comment = pn_str_starts(pn_str_slice(h->s, at, h->s.len), PN_STR("<!--"));
    if (comment) /* "<!-->" and "<!--->" are whole already */
        at += 2;
    while ((at = pn_str_find(h->s, '>', at)) != SIZE_MAX) {
        struct pn_str before = pn_str_slice(h->s, h->at, at);
        at++;
        if (!comment || pn_str_ends(before, PN_STR("--")) || pn_str_ends(before, PN_STR("--!"))) {
            h->at = at;
            return;
        }
    }
    h->flags |= PN_HTML_TRUNCATED;
    h->at = h->s.len;
}

static void note_element(struct html *h, const struct tag *tag)
{
    static const struct {
        const char *name;
        enum pn_html_flag flag;
    } rows[] = {{"script", PN_HTML_SCRIPT}, {"form", PN_HTML_FORM}, {"iframe", PN_HTML_IFRAME}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !tag->end; i++)
        if (strcmp(tag->name, rows[i].name) == 0)
            h->flags |= rows[i].flag;
    if (tag->kind == BLOCK || tag->kind == BREAK)
        h->line = true;
    if (tag->kind == CELL)
        h->blank = true;
}

/* At "<" and a letter, or "</" and one. */
static void pass_tag(struct html *h)
{
    struct tag tag = {.end = h->s.p[h->at + 1] == '/'};
    h->at += tag.end ? 2 : 1;
    read_tag(h, &tag);
    note_element(h, &tag);
    if (tag.end) {
        hidden_end(h, &tag);
        return;
    }
    hidden_start(h, &tag);
    if (tag.kind == RAW)
        pass_raw(h, tag.name);
}

static void pass_one(struct html *h)
{
    char a = h->at + 1 < h->s.len ? h->s.p[h->at + 1] : '\0';
    char b = h->at + 2 < h->s.len ? h->s.p[h->at + 2] : '\0';
    if (pn_is_alpha(a) || (a == '/' && pn_is_alpha(b))) {
        pass_tag(h);
    } else if (a == '!' || a == '?' || a == '/') {
        pass_markup(h);
    } else {
        put(h, "<", 1);
        h->at++;
    }
}

unsigned pn_html_text(struct pn_str html, struct pn_buf *out, struct pn_links *links)
{
    struct html h = {.s = html, .out = out, .links = links, .from = out->len, .ok = true};
    size_t left = out->max - out->len;
    pn_buf_init(&h.value, html.len + 4);
    /* The text is hardly ever longer than its HTML. */
    if (pn_buf_reserve(out, html.len < left ? html.len : left) != NULL)
        h.room = out->cap < out->max ? out->cap : out->max;
    while (h.at < html.len && h.ok) {
        size_t tag = pn_str_find(html, '<', h.at);
        put_text(&h, pn_str_slice(html, h.at, tag));
        h.at = tag == SIZE_MAX ? html.len : tag;
        if (h.at < html.len)
            pass_one(&h);
    }
    pn_buf_fini(&h.value);
    return h.flags;
}
