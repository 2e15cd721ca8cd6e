#include "rules_style.h"

#include <stdlib.h>

enum { SIZE_DEFAULT = 3, COLOR_TEXT_MAX = 40 };

/* ---- colours ---- */

static const struct {
    const char *name;
    int32_t rgb;
} colors[] = {{"aliceblue", 0xf0f8ff},
              {"antiquewhite", 0xfaebd7},
              {"aqua", 0x00ffff},
              {"aquamarine", 0x7fffd4},
              {"azure", 0xf0ffff},
              {"beige", 0xf5f5dc},
              {"bisque", 0xffe4c4},
              {"black", 0x000000},
              {"blanchedalmond", 0xffebcd},
              {"blue", 0x0000ff},
              {"blueviolet", 0x8a2be2},
              {"brown", 0xa52a2a},
              {"burlywood", 0xdeb887},
              {"cadetblue", 0x5f9ea0},
              {"chartreuse", 0x7fff00},
              {"chocolate", 0xd2691e},
              {"coral", 0xff7f50},
              {"cornflowerblue", 0x6495ed},
              {"cornsilk", 0xfff8dc},
              {"crimson", 0xdc143c},
              {"cyan", 0x00ffff},
              {"darkblue", 0x00008b},
              {"darkcyan", 0x008b8b},
              {"darkgoldenrod", 0xb8860b},
              {"darkgray", 0xa9a9a9},
              {"darkgreen", 0x006400},
              {"darkgrey", 0xa9a9a9},
              {"darkkhaki", 0xbdb76b},
              {"darkmagenta", 0x8b008b},
              {"darkolivegreen", 0x556b2f},
              {"darkorange", 0xff8c00},
              {"darkorchid", 0x9932cc},
              {"darkred", 0x8b0000},
              {"darksalmon", 0xe9967a},
              {"darkseagreen", 0x8fbc8f},
              {"darkslateblue", 0x483d8b},
              {"darkslategray", 0x2f4f4f},
              {"darkslategrey", 0x2f4f4f},
              {"darkturquoise", 0x00ced1},
              {"darkviolet", 0x9400d3},
              {"deeppink", 0xff1493},
              {"deepskyblue", 0x00bfff},
              {"dimgray", 0x696969},
              {"dimgrey", 0x696969},
              {"dodgerblue", 0x1e90ff},
              {"firebrick", 0xb22222},
              {"floralwhite", 0xfffaf0},
              {"forestgreen", 0x228b22},
              {"fuchsia", 0xff00ff},
              {"gainsboro", 0xdcdcdc},
              {"ghostwhite", 0xf8f8ff},
              {"gold", 0xffd700},
              {"goldenrod", 0xdaa520},
              {"gray", 0x808080},
              {"green", 0x008000},
              {"greenyellow", 0xadff2f},
              {"grey", 0x808080},
              {"honeydew", 0xf0fff0},
              {"hotpink", 0xff69b4},
              {"indianred", 0xcd5c5c},
              {"indigo", 0x4b0082},
              {"ivory", 0xfffff0},
              {"khaki", 0xf0e68c},
              {"lavender", 0xe6e6fa},
              {"lavenderblush", 0xfff0f5},
              {"lawngreen", 0x7cfc00},
              {"lemonchiffon", 0xfffacd},
              {"lightblue", 0xadd8e6},
              {"lightcoral", 0xf08080},
              {"lightcyan", 0xe0ffff},
              {"lightgoldenrodyellow", 0xfafad2},
              {"lightgray", 0xd3d3d3},
              {"lightgreen", 0x90ee90},
              {"lightgrey", 0xd3d3d3},
              {"lightpink", 0xffb6c1},
              {"lightsalmon", 0xffa07a},
              {"lightseagreen", 0x20b2aa},
              {"lightskyblue", 0x87cefa},
              {"lightslategray", 0x778899},
              {"lightslategrey", 0x778899},
              {"lightsteelblue", 0xb0c4de},
              {"lightyellow", 0xffffe0},
              {"lime", 0x00ff00},
              {"limegreen", 0x32cd32},
              {"linen", 0xfaf0e6},
              {"magenta", 0xff00ff},
              {"maroon", 0x800000},
              {"mediumaquamarine", 0x66cdaa},
              {"mediumblue", 0x0000cd},
              {"mediumorchid", 0xba55d3},
              {"mediumpurple", 0x9370db},
              {"mediumseagreen", 0x3cb371},
              {"mediumslateblue", 0x7b68ee},
              {"mediumspringgreen", 0x00fa9a},
              {"mediumturquoise", 0x48d1cc},
              {"mediumvioletred", 0xc71585},
              {"midnightblue", 0x191970},
              {"mintcream", 0xf5fffa},
              {"mistyrose", 0xffe4e1},
              {"moccasin", 0xffe4b5},
              {"navajowhite", 0xffdead},
              {"navy", 0x000080},
              {"oldlace", 0xfdf5e6},
              {"olive", 0x808000},
              {"olivedrab", 0x6b8e23},
              {"orange", 0xffa500},
              {"orangered", 0xff4500},
              {"orchid", 0xda70d6},
              {"palegoldenrod", 0xeee8aa},
              {"palegreen", 0x98fb98},
              {"paleturquoise", 0xafeeee},
              {"palevioletred", 0xdb7093},
              {"papayawhip", 0xffefd5},
              {"peachpuff", 0xffdab9},
              {"peru", 0xcd853f},
              {"pink", 0xffc0cb},
              {"plum", 0xdda0dd},
              {"powderblue", 0xb0e0e6},
              {"purple", 0x800080},
              {"red", 0xff0000},
              {"rosybrown", 0xbc8f8f},
              {"royalblue", 0x4169e1},
              {"saddlebrown", 0x8b4513},
              {"salmon", 0xfa8072},
              {"sandybrown", 0xf4a460},
              {"seagreen", 0x2e8b57},
              {"seashell", 0xfff5ee},
              {"sienna", 0xa0522d},
              {"silver", 0xc0c0c0},
              {"skyblue", 0x87ceeb},
              {"slateblue", 0x6a5acd},
              {"slategray", 0x708090},
              {"slategrey", 0x708090},
              {"snow", 0xfffafa},
              {"springgreen", 0x00ff7f},
              {"steelblue", 0x4682b4},
              {"tan", 0xd2b48c},
              {"teal", 0x008080},
              {"thistle", 0xd8bfd8},
              {"tomato", 0xff6347},
              {"turquoise", 0x40e0d0},
              {"violet", 0xee82ee},
              {"wheat", 0xf5deb3},
              {"white", 0xffffff},
              {"whitesmoke", 0xf5f5f5},
              {"yellow", 0xffff00},
              {"yellowgreen", 0x9acd32}};

static int hex_of(char c)
{
    c = rules_lower(c);
    return rules_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "#rrggbb" and what people write for it: digits of other kinds are passed over, three
 * stand for six, missing ones are zero. */
static int32_t hex_color(struct postern_str s)
{
    int digit[6] = {0};
    size_t n = 0;
    int32_t rgb = 0;

    for (size_t i = 1; i < s.len && n < 6; i++)
        if (hex_of(s.p[i]) >= 0)
            digit[n++] = hex_of(s.p[i]);
    if (n > 3 && n < 6)
        n = 3;
    for (size_t i = 0; i < 6; i++)
        rgb = rgb * 16 + (n <= 3 ? (i / 2 < n ? digit[i / 2] : 0) : digit[i]);
    return n == 0 ? RULES_COLOR_INVALID : rgb;
}

/* "rgb(1, 2, 3)", "rgb(10%, 20%, 30%)" */
static int32_t rgb_color(struct postern_str s)
{
    int32_t rgb = 0;
    size_t at = 4;

    for (int i = 0; i < 3; i++) {
        unsigned long n = 0;
        size_t from;

        while (at < s.len && (s.p[at] == ' ' || s.p[at] == ','))
            at++;
        for (from = at; at < s.len && rules_is_digit(s.p[at]) && at - from < 4; at++)
            n = n * 10 + (unsigned long)(s.p[at] - '0');
        if (at == from)
            return RULES_COLOR_INVALID;
        if (at < s.len && s.p[at] == '%') {
            n = n * 255 / 100;
            at++;
        }
        rgb = rgb * 256 + (int32_t)(n > 255 ? 255 : n);
    }
    return rgb;
}

int32_t rules_color(struct postern_str text)
{
    text = rules_trim(text);
    for (size_t i = 0; text.len > 0 && i < sizeof(colors) / sizeof(colors[0]); i++)
        if (rules_lower(text.p[0]) == colors[i].name[0] &&
            rules_ieq(text, (struct postern_str){colors[i].name, strlen(colors[i].name)}))
            return colors[i].rgb;
    if (rules_istarts(text, POSTERN_STR("rgb(")))
        return rgb_color(text);
    if (text.len == 0 || text.p[0] != '#')
        return RULES_COLOR_INVALID;
    for (size_t i = 1; i < text.len; i++)
        if (hex_of(text.p[i]) < 0 && text.p[i] != '#')
            return RULES_COLOR_INVALID;
    return hex_color(text);
}

bool rules_is_low_contrast(int32_t a, int32_t b)
{
    double r = 0.2126 * ((a >> 16 & 255) - (b >> 16 & 255));
    double g = 0.7152 * ((a >> 8 & 255) - (b >> 8 & 255));
    double blue = 0.0722 * ((a & 255) - (b & 255));

    if (a == b)
        return true;
    return a >= 0 && b >= 0 && r * r + g * g + blue * blue < 12.0 * 12.0;
}

/* ---- the style attribute ---- */

static struct postern_str without_important(struct postern_str s)
{
    struct postern_str at = rules_ifind(s, POSTERN_STR("!"));

    if (at.p != NULL &&
        rules_ieq(rules_trim((struct postern_str){at.p + 1, at.len - 1}), POSTERN_STR("important")))
        s.len -= at.len;
    return rules_trim(s);
}

static void set_color(int32_t *color, struct postern_str value)
{
    value = without_important(value);
    if (rules_ieq(value, POSTERN_STR("inherit")))
        return;
    *color = rules_ieq(value, POSTERN_STR("transparent")) ? (int32_t)RULES_COLOR_TRANSPARENT
                                                          : rules_color(value);
}

/* The first word of "background: …" that is a colour. */
static void set_background(int32_t *color, struct postern_str value)
{
    while (value.len > 0) {
        int32_t c =
            rules_color(rules_istarts(value, POSTERN_STR("rgb(")) ? value : rules_word(&value));

        if (c != RULES_COLOR_INVALID) {
            *color = c;
            return;
        }
        if (rules_istarts(value, POSTERN_STR("rgb(")))
            return;
    }
}

static void set_property(struct rules_style *s, struct postern_str name, struct postern_str value)
{
    if (rules_ieq(name, POSTERN_STR("color")))
        set_color(&s->fore, value);
    else if (rules_ieq(name, POSTERN_STR("background-color")))
        set_color(&s->back, value);
    else if (rules_eq(name, POSTERN_STR("background")))
        set_background(&s->back, value);
    else if (rules_eq(name, POSTERN_STR("display")))
        s->hidden = rules_ieq(value, POSTERN_STR("none"));
    else if (rules_eq(name, POSTERN_STR("visibility")))
        s->hidden |= rules_ieq(value, POSTERN_STR("hidden"));
}

static void read_style(struct rules_style *s, const struct rules_style *parent,
                       struct postern_str text)
{
    while (text.len > 0) {
        const char *end = memchr(text.p, ';', text.len);
        struct postern_str part = {text.p, end == NULL ? text.len : (size_t)(end - text.p)};
        const char *colon = memchr(part.p, ':', part.len);

        if (colon != NULL) {
            size_t n = (size_t)(colon - part.p);

            set_property(s, rules_trim((struct postern_str){part.p, n}),
                         rules_trim((struct postern_str){colon + 1, part.len - n - 1}));
        }
        text.p += part.len + (end != NULL);
        text.len -= part.len + (end != NULL);
    }
    if (s->back == RULES_COLOR_TRANSPARENT)
        s->back = parent->back;
    if (s->fore == RULES_COLOR_TRANSPARENT)
        s->fore = s->back;
}

/* ---- open elements ---- */

static void push(struct rules_styles *s, struct rules_style style)
{
    void *list = s->open;

    if (!rules_more(s->arena, &list, s->count, &s->room, RULES_STYLES_MAX, sizeof(*s->open)))
        return;
    s->open = list;
    s->open[s->count++] = style;
}

bool rules_styles_begin(struct rules_styles *s, struct rules_arena *a)
{
    *s = (struct rules_styles){.arena = a};
    s->base = s->min_size = s->max_size = SIZE_DEFAULT;
    push(s, (struct rules_style){POSTERN_STR("default"), 0, 0xffffff, SIZE_DEFAULT, false});
    return s->count == 1;
}

static struct rules_style *top(struct rules_styles *s)
{
    return &s->open[s->count - 1];
}

static bool is_open(const struct rules_styles *s, struct postern_str tag)
{
    for (size_t i = s->count; i-- > 1;)
        if (rules_eq(s->open[i].tag, tag))
            return true;
    return false;
}

static void close_tag(struct rules_styles *s, struct postern_str tag)
{
    if (!is_open(s, tag))
        return;
    while (s->count > 1 && !rules_eq(s->open[--s->count].tag, tag))
        ;
}

/* A new cell ends the one before it, a new row the row, and fonts left open in them. */
static void close_table_tag(struct rules_styles *s, struct postern_str tag)
{
    bool row = rules_eq(tag, POSTERN_STR("tr"));

    if (!is_open(s, tag))
        return;
    while (s->count > 1 && (rules_eq(top(s)->tag, POSTERN_STR("font")) ||
                            rules_eq(top(s)->tag, POSTERN_STR("td")) ||
                            (row && rules_eq(top(s)->tag, POSTERN_STR("tr")))))
        s->count--;
}

static void set_size(struct rules_styles *s, struct rules_style *new, struct postern_str value)
{
    value = rules_trim(value);
    if (value.len > 1 && (value.p[0] == '+' || value.p[0] == '-') && rules_is_digit(value.p[1]))
        new->size = s->base + (value.p[0] == '-' ? -1 : 1) * (value.p[1] - '0');
    else if (value.len > 0 && rules_is_digit(value.p[0]))
        new->size = (int)strtol(value.p, NULL, 10) % 1000; /* values end in a NUL */
}

/* Which attributes count depends on the element. */
static bool counts(struct postern_str tag, const char *attribute)
{
    bool font = rules_eq(tag, POSTERN_STR("font")) || rules_eq(tag, POSTERN_STR("basefont"));

    if (strcmp(attribute, "style") == 0)
        return !font && !rules_eq(tag, POSTERN_STR("body")) &&
               !rules_eq(tag, POSTERN_STR("marquee"));
    if (strcmp(attribute, "text") == 0)
        return rules_eq(tag, POSTERN_STR("body"));
    return font;
}

static struct postern_str counted(const struct rules_token *t, struct postern_str tag,
                                  const char *attribute)
{
    return counts(tag, attribute) ? rules_token_attribute(t, attribute)
                                  : (struct postern_str){NULL, 0};
}

static void open_tag(struct rules_styles *s, const struct rules_token *t, struct postern_str tag)
{
    struct rules_style new = *top(s);
    struct postern_str style = counted(t, tag, "style");
    struct postern_str color = counted(t, tag, "color");
    struct postern_str size = counted(t, tag, "size");

    new.tag = tag;
    if (color.p == NULL)
        color = counted(t, tag, "text");
    if (color.p != NULL)
        new.fore = rules_color(color);
    if (size.p != NULL)
        set_size(s, &new, size);
    if (style.p != NULL)
        read_style(&new, top(s), style);
    if (color.p != NULL || size.p != NULL || style.p != NULL) {
        if (new.size > s->max_size)
            s->max_size = new.size;
        else if (new.size < s->min_size)
            s->min_size = new.size;
    }
    push(s, new);
}

void rules_styles_tag(struct rules_styles *s, const struct rules_token *t)
{
    struct postern_str tag = t->text;
    struct postern_str size = rules_token_attribute(t, "size");

    if (rules_eq(tag, POSTERN_STR("th")))
        tag = POSTERN_STR("td");
    if (t->kind == RULES_TOKEN_CLOSE) {
        if (!rules_eq(tag, POSTERN_STR("body")))
            close_tag(s, tag);
        return;
    }
    if (rules_eq(tag, POSTERN_STR("basefont")) && size.len > 0 && rules_is_digit(size.p[0])) {
        s->base = size.p[0] - '0';
        return;
    }
    if (rules_eq(tag, POSTERN_STR("td")) || rules_eq(tag, POSTERN_STR("tr")))
        close_table_tag(s, tag);
    if (rules_eq(tag, POSTERN_STR("big")) || rules_eq(tag, POSTERN_STR("small"))) {
        struct rules_style new = *top(s);

        new.tag = tag;
        new.size += rules_eq(tag, POSTERN_STR("big")) ? 1 : -1;
        if (s->count < RULES_STYLES_MAX)
            s->open[s->count++] = new;
        return;
    }
    open_tag(s, t, tag);
}
