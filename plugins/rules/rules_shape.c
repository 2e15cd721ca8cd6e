#include "rules_shape.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { PLACES_MAX = 8 };

struct reader {
    struct rules_shape *out;
    struct postern_str s;
    size_t at;
    unsigned depth;
    bool caseless, dotall, extended;
    bool loose; /* ways to write a letter are one */
    bool stuck;
};

static char peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->s.len ? r->s.p[r->at + ahead] : '\0';
}

static bool more(const struct reader *r)
{
    return r->at < r->s.len && !r->stuck;
}

static uint32_t add_node(struct reader *r, enum rules_shape_kind kind)
{
    struct rules_shape *o = r->out;

    if (o->nodes == o->node_room) {
        r->stuck = true;
        return 0;
    }
    o->node[o->nodes] =
        (struct rules_shape_node){.kind = kind, .optional = kind == RULES_SHAPE_EMPTY};
    return (uint32_t)o->nodes++;
}

static uint32_t add_place(struct reader *r, const struct rules_bytes *b)
{
    struct rules_shape *o = r->out;
    uint32_t n;

    if (o->places == o->place_room) {
        r->stuck = true;
        return 0;
    }
    n = add_node(r, RULES_SHAPE_BYTE);
    o->node[n].place = (uint32_t)o->places;
    o->place[o->places++] = *b;
    return n;
}

/* ---- sets of bytes ---- */

static void add_range(struct rules_bytes *b, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to && c < 256; c++)
        rules_bytes_add(b, (unsigned char)c);
}

static void invert(struct rules_bytes *b)
{
    for (int i = 0; i < 4; i++)
        b->bit[i] = ~b->bit[i];
}

static void fold(struct rules_bytes *b)
{
    for (unsigned c = 'a'; c <= 'z'; c++)
        if (rules_bytes_has(b, (unsigned char)c) ||
            rules_bytes_has(b, (unsigned char)(c & ~0x20U))) {
            rules_bytes_add(b, (unsigned char)c);
            rules_bytes_add(b, (unsigned char)(c & ~0x20U));
        }
}

/* "\d", "\W" and the like; false: it is no kind of bytes. */
static bool add_kind(struct rules_bytes *b, char c)
{
    struct rules_bytes k = {{0}};

    switch (c | 0x20) {
    case 'd':
        add_range(&k, '0', '9');
        break;
    case 'w':
        add_range(&k, '0', '9');
        add_range(&k, 'a', 'z');
        add_range(&k, 'A', 'Z');
        rules_bytes_add(&k, '_');
        break;
    case 's':
        add_range(&k, '\t', '\r');
        rules_bytes_add(&k, ' ');
        break;
    case 'h':
        rules_bytes_add(&k, '\t');
        rules_bytes_add(&k, ' ');
        rules_bytes_add(&k, 0xa0);
        break;
    case 'v':
        add_range(&k, '\n', '\r');
        rules_bytes_add(&k, 0x85);
        break;
    default:
        return false;
    }
    if (c < 'a')
        invert(&k);
    rules_bytes_join(b, &k);
    return true;
}

static int hex_of(char c)
{
    c = rules_lower(c);
    return rules_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\xe9" or "\x{e9}", whose "x" is the next byte. */
static int read_hex(struct reader *r)
{
    bool brace = peek(r, 1) == '{';
    int n = 0;
    int digits = 0;

    for (r->at += brace ? 2 : 1; hex_of(peek(r, 0)) >= 0 && digits < 2; r->at++, digits++)
        n = n * 16 + hex_of(peek(r, 0));
    if (brace && peek(r, 0) != '}')
        r->stuck = true;
    r->at += brace;
    return n;
}

/* An escape that stands for one byte, behind its backslash; -1: it does not. */
static int read_byte(struct reader *r)
{
    static const char names[] = "tnrfea0";
    static const char bytes[] = "\t\n\r\f\x1b\a";
    char c = peek(r, 0);
    const char *at = c == '\0' ? NULL : strchr(names, c);

    if (c == 'x')
        return read_hex(r);
    if (c == '0') { /* octal */
        int n = 0;

        for (int i = 0; i < 3 && peek(r, 0) >= '0' && peek(r, 0) <= '7'; i++, r->at++)
            n = n * 8 + (peek(r, 0) - '0');
        return n & 255;
    }
    if (at != NULL) {
        r->at++;
        return bytes[at - names];
    }
    if (rules_is_word(c) || r->at >= r->s.len)
        return -1;
    r->at++;
    return (unsigned char)c;
}

/* "[:alpha:]", whose "[" is the next byte; true where it was one. */
static bool read_named(struct reader *r, struct rules_bytes *b)
{
    static const struct {
        const char *name;
        const char *ranges; /* pairs */
    } named[] = {{"alpha", "azAZ"},    {"digit", "09"},       {"alnum", "azAZ09"},
                 {"upper", "AZ"},      {"lower", "az"},       {"space", "\t\r  "},
                 {"xdigit", "09afAF"}, {"punct", "!/:@[`{~"}, {"cntrl", "\x01\x1f"}};
    struct postern_str rest = {r->s.p + r->at, r->s.len - r->at};

    if (peek(r, 1) != ':')
        return false;
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        size_t n = strlen(named[i].name);

        if (rest.len < n + 4 || memcmp(rest.p + 2, named[i].name, n) != 0 ||
            memcmp(rest.p + 2 + n, ":]", 2) != 0)
            continue;
        for (const char *p = named[i].ranges; *p != '\0'; p += 2)
            add_range(b, (unsigned char)p[0], (unsigned char)p[1]);
        r->at += n + 4;
        return true;
    }
    r->stuck = true;
    return true;
}

/* One byte of a class, escaped or not; -1: a kind was added, or it is stuck. */
static int class_byte(struct reader *r, struct rules_bytes *b)
{
    int n;

    if (peek(r, 0) != '\\')
        return (unsigned char)r->s.p[r->at++];
    r->at++;
    if (add_kind(b, peek(r, 0))) {
        r->at++;
        return -1;
    }
    if (peek(r, 0) == 'b') {
        r->at++;
        return '\b';
    }
    if (peek(r, 0) >= '1' && peek(r, 0) <= '7') {
        n = 0;
        for (int i = 0; i < 3 && peek(r, 0) >= '0' && peek(r, 0) <= '7'; i++, r->at++)
            n = n * 8 + (peek(r, 0) - '0');
        return n & 255;
    }
    n = read_byte(r);
    r->stuck |= n < 0;
    return n;
}

static uint32_t read_class(struct reader *r)
{
    struct rules_bytes b = {{0}};
    bool not = false;
    bool first = true;

    r->at++;
    if (peek(r, 0) == '^') {
        not = true;
        r->at++;
    }
    for (; more(r) && (peek(r, 0) != ']' || first); first = false) {
        int from;

        if (peek(r, 0) == '[' && read_named(r, &b))
            continue;
        from = class_byte(r, &b);
        if (from < 0)
            continue;
        if (peek(r, 0) == '-' && peek(r, 1) != ']' && r->at + 1 < r->s.len) {
            int to;

            r->at++;
            to = class_byte(r, &b);
            if (to < from) { /* "a-\d": three things of their own */
                rules_bytes_add(&b, '-');
                to = from;
            }
            add_range(&b, (unsigned)from, (unsigned)to);
        } else {
            rules_bytes_add(&b, (unsigned char)from);
        }
    }
    r->at++;
    if (r->caseless)
        fold(&b);
    if (not )
        invert(&b);
    return add_place(r, &b);
}

static uint32_t one_byte(struct reader *r, unsigned char c)
{
    struct rules_bytes b = {{0}};

    rules_bytes_add(&b, c);
    if (r->caseless)
        fold(&b);
    return add_place(r, &b);
}

/* ---- elements ---- */

static uint32_t alternatives(struct reader *r);
static uint32_t many(struct reader *r, uint32_t inner, uint32_t least, uint32_t most);

/* Over what looks around, whose "(" is the next byte. */
static void skip_group(struct reader *r)
{
    size_t open = 0;

    do {
        char c = peek(r, 0);

        if (c == '\\')
            r->at++;
        else if (c == '[') { /* a class may hold brackets */
            r->at++;
            r->at += peek(r, 0) == '^';
            r->at += peek(r, 0) == ']';
            while (more(r) && peek(r, 0) != ']')
                r->at += peek(r, 0) == '\\' ? 2 : 1;
        } else {
            open += c == '(';
            open -= c == ')';
        }
        r->at++;
    } while (more(r) && open > 0);
    r->stuck |= open > 0;
}

/* "(?i-s:" and "(?i)": from behind the "?" to the colon or bracket, which is passed. True where
 * a group follows. */
static bool read_flags(struct reader *r)
{
    bool on = true;

    for (; more(r); r->at++) {
        switch (peek(r, 0)) {
        case '-':
            on = false;
            break;
        case 'i':
            r->caseless = on;
            break;
        case 's':
            r->dotall = on;
            break;
        case 'm':
            break;
        case ':':
        case ')':
            return r->s.p[r->at++] == ':';
        default:
            r->stuck = true;
            return false;
        }
    }
    return false;
}

/* Into a group, whose "(" is the next byte; false: it has no body, or is none to read. */
static bool enter_group(struct reader *r)
{
    if (peek(r, 1) == '*') {
        r->stuck = true;
        return false;
    }
    if (peek(r, 1) != '?') {
        r->at++;
        return true;
    }
    if (peek(r, 2) == '=' || peek(r, 2) == '!' ||
        (peek(r, 2) == '<' && (peek(r, 3) == '=' || peek(r, 3) == '!'))) {
        skip_group(r);
        return false;
    }
    if (peek(r, 2) == '>' || peek(r, 2) == '|') {
        r->at += 3;
        return true;
    }
    if (peek(r, 2) == '<' || peek(r, 2) == 'P') { /* a name */
        while (more(r) && peek(r, 0) != '>')
            r->at++;
        r->at++;
        return true;
    }
    r->at += 2;
    return read_flags(r);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Adds what may stand first below a node. */
static void add_first(const struct rules_shape *s, uint32_t n, struct rules_bytes *b)
{
    const struct rules_shape_node *node = &s->node[n];

    if (node->kind == RULES_SHAPE_BYTE)
        rules_bytes_join(b, &s->place[node->place]);
    for (uint32_t c = node->child; c != 0; c = s->node[c].next) {
        add_first(s, c, b);
        if (node->kind != RULES_SHAPE_ANY && !s->node[c].optional)
            return;
    }
}

/* Bytes that it matches, at most; RULES_LEAD_ANY: so many or more. */
static size_t width_of(const struct rules_shape *s, uint32_t n)
{
    const struct rules_shape_node *node = &s->node[n];
    size_t width = node->kind == RULES_SHAPE_BYTE;

    for (uint32_t c = node->child; c != 0; c = s->node[c].next) {
        size_t one = width_of(s, c);

        if (node->kind != RULES_SHAPE_ANY)
            width += one;
        else if (one > width)
            width = one;
    }
    if (node->kind == RULES_SHAPE_MANY)
        width *= node->most;
    return smaller(width, RULES_LEAD_ANY);
}

/* A letter in all its ways, made since there were so many nodes and places: some byte that one of
 * them begins with, then any of the others. Where it is no letter it stays. */
static uint32_t loosen(struct reader *r, uint32_t inner, size_t nodes, size_t places)
{
    enum { LETTER_WIDTH = 12, WAYS = 8 };
    struct rules_shape *o = r->out;
    struct rules_bytes first = {{0}};
    struct rules_bytes all = {{0}};
    bool optional = o->node[inner].optional;
    size_t width = width_of(o, inner);
    uint32_t n, rest;

    if (o->places - places < WAYS || width > LETTER_WIDTH)
        return inner;
    add_first(o, inner, &first);
    for (size_t i = places; i < o->places; i++)
        rules_bytes_join(&all, &o->place[i]);
    o->nodes = nodes;
    o->places = places;
    n = add_node(r, RULES_SHAPE_ALL);
    o->node[n].child = add_place(r, &first);
    rest = many(r, add_place(r, &all), 0, (uint32_t)width);
    o->node[o->node[n].child].next = rest;
    o->node[n].optional = optional;
    return n;
}

static uint32_t read_group(struct reader *r)
{
    bool caseless = r->caseless;
    bool dotall = r->dotall;
    bool body = enter_group(r);
    size_t nodes = r->out->nodes;
    size_t places = r->out->places;
    uint32_t inner;

    if (!body) /* flags stay as they were set */
        return add_node(r, RULES_SHAPE_EMPTY);
    inner = alternatives(r);
    r->stuck |= peek(r, 0) != ')';
    r->at++;
    r->caseless = caseless;
    r->dotall = dotall;
    return r->loose && !r->stuck ? loosen(r, inner, nodes, places) : inner;
}

static uint32_t read_escape(struct reader *r)
{
    struct rules_bytes b = {{0}};
    char c = peek(r, 1);
    int byte;

    r->at++;
    if (c != '\0' && rules_in(c, "bBAzZG")) {
        r->at++;
        return add_node(r, RULES_SHAPE_EMPTY);
    }
    if (add_kind(&b, c)) {
        r->at++;
        return add_place(r, &b);
    }
    byte = read_byte(r);
    if (byte < 0) {
        r->stuck = true;
        return 0;
    }
    return one_byte(r, (unsigned char)byte);
}

static uint32_t read_element(struct reader *r)
{
    struct rules_bytes b = {{0}};

    switch (peek(r, 0)) {
    case '(':
        return read_group(r);
    case '[':
        return read_class(r);
    case '\\':
        return read_escape(r);
    case '^':
    case '$':
        r->at++;
        return add_node(r, RULES_SHAPE_EMPTY);
    case '.':
        r->at++;
        if (!r->dotall)
            rules_bytes_add(&b, '\n');
        invert(&b);
        return add_place(r, &b);
    default:
        return one_byte(r, (unsigned char)r->s.p[r->at++]);
    }
}

static uint32_t number_at(struct reader *r)
{
    uint32_t n = 0;

    for (; rules_is_digit(peek(r, 0)); r->at++)
        if (n < RULES_LEAD_ANY)
            n = n * 10 + (uint32_t)(peek(r, 0) - '0');
    return n < RULES_LEAD_ANY ? n : RULES_LEAD_ANY;
}

/* "{2}", "{2,}", "{2,5}", whose "{" is the next byte. "{,5}" is a count for some versions of PCRE2
 * and text for others. */
static void read_braces(struct reader *r, uint32_t *least, uint32_t *most)
{
    r->at++;
    r->stuck |= peek(r, 0) == ',';
    *least = *most = number_at(r);
    if (peek(r, 0) == ',') {
        r->at++;
        *most = peek(r, 0) == '}' ? RULES_LEAD_ANY : number_at(r);
    }
    r->stuck |= peek(r, 0) != '}';
    r->at++;
}

static uint32_t many(struct reader *r, uint32_t inner, uint32_t least, uint32_t most)
{
    uint32_t n = add_node(r, RULES_SHAPE_MANY);

    r->out->node[n].child = inner;
    r->out->node[n].least = least;
    r->out->node[n].most = most;
    r->out->node[n].optional = least == 0 || r->out->node[inner].optional;
    return n;
}

/* The one place that a node comes to; 0: it is more than that, or optional. */
static uint32_t only_byte(const struct reader *r, uint32_t n)
{
    const struct rules_shape_node *node = r->out->node;

    while (n != 0 && node[n].kind != RULES_SHAPE_BYTE) {
        uint32_t only = 0;

        for (uint32_t c = node[n].child; c != 0; c = node[c].next) {
            if (node[c].kind == RULES_SHAPE_EMPTY)
                continue;
            if (only != 0)
                return 0;
            only = c;
        }
        n = node[n].optional || node[n].kind == RULES_SHAPE_MANY ? 0 : only;
    }
    return n;
}

/* A byte's node, made optional. */
static uint32_t maybe(struct reader *r, uint32_t inner)
{
    uint32_t n = add_node(r, RULES_SHAPE_ALL);

    r->out->node[n].child = inner;
    r->out->node[n].optional = true;
    return n;
}

/* One byte that stands there so often: as many places, those of a window at most; what may stand
 * beyond that is one place, again and again. */
static uint32_t repeat_byte(struct reader *r, uint32_t inner, uint32_t least, uint32_t most)
{
    uint32_t all = add_node(r, RULES_SHAPE_ALL);
    uint32_t last = 0;
    struct rules_bytes b = r->out->place[r->out->node[only_byte(r, inner)].place];
    uint32_t wanted = most <= PLACES_MAX ? most : least;
    uint32_t copies = wanted < PLACES_MAX ? wanted : PLACES_MAX;

    for (uint32_t i = 0; i < copies && !r->stuck; i++) {
        uint32_t n = i == 0 ? inner : add_place(r, &b);

        if (i + 1 == copies && most > copies) {
            uint32_t left = most == RULES_LEAD_ANY ? most : most - i;

            n = many(r, n, least > i ? least - i : 0, left);
        } else if (i >= least) {
            n = maybe(r, n);
        }
        if (last == 0)
            r->out->node[all].child = n;
        else
            r->out->node[last].next = n;
        last = n;
    }
    r->out->node[all].optional = least == 0;
    return all;
}

/* What a count behind an element makes of it. */
static uint32_t read_count(struct reader *r, uint32_t inner)
{
    char c = peek(r, 0);
    uint32_t least = c == '+';
    uint32_t most = c == '?' ? 1 : RULES_LEAD_ANY;

    if (c == '{' && (rules_is_digit(peek(r, 1)) || peek(r, 1) == ','))
        read_braces(r, &least, &most);
    else if (c == '?' || c == '*' || c == '+')
        r->at++;
    else
        return inner;
    r->at += peek(r, 0) == '?' || peek(r, 0) == '+';
    if (r->stuck)
        return inner;
    if (only_byte(r, inner) != 0 && most > 1 && (least > 1 || most <= PLACES_MAX))
        return repeat_byte(r, inner, least, most);
    return many(r, inner, least, most);
}

static bool skip_extended(struct reader *r)
{
    if (!r->extended || !(rules_is_blank(peek(r, 0)) || peek(r, 0) == '#'))
        return false;
    if (peek(r, 0) == '#')
        while (more(r) && peek(r, 0) != '\n')
            r->at++;
    r->at++;
    return true;
}

static uint32_t sequence(struct reader *r)
{
    uint32_t all = add_node(r, RULES_SHAPE_ALL);
    uint32_t last = 0;
    bool optional = true;

    while (more(r) && peek(r, 0) != '|' && peek(r, 0) != ')') {
        uint32_t n;

        if (skip_extended(r))
            continue;
        n = read_count(r, read_element(r));
        if (r->stuck)
            return all;
        /* A node that has a place beside others can't be one of others, too. */
        if (r->out->node[n].next != 0 || n == last) {
            r->stuck = true;
            return all;
        }
        if (last == 0)
            r->out->node[all].child = n;
        else
            r->out->node[last].next = n;
        last = n;
        optional = optional && r->out->node[n].optional;
    }
    r->out->node[all].optional = optional;
    return all;
}

static uint32_t alternatives(struct reader *r)
{
    uint32_t any;
    uint32_t last = 0;
    size_t places;

    if (++r->depth > RULES_SHAPE_DEPTH_MAX)
        r->stuck = true;
    any = add_node(r, RULES_SHAPE_ANY);
    places = r->out->places;
    while (!r->stuck) {
        bool caseless = r->caseless;
        uint32_t n = sequence(r);

        if (r->stuck)
            break;
        if (last == 0)
            r->out->node[any].child = n;
        else
            r->out->node[last].next = n;
        last = n;
        r->out->node[any].optional |= r->out->node[n].optional;
        r->caseless = caseless || r->caseless;
        if (peek(r, 0) != '|' || r->at >= r->s.len)
            break;
        r->at++;
    }
    r->out->node[any].least = (uint32_t)(r->out->places - places);
    r->depth--;
    return any;
}

bool rules_shape_read(struct rules_shape *s, const struct rules_pattern *p, bool loose,
                      struct rules_arena *a)
{
    struct reader r = {.out = s,
                       .s = p->text,
                       .caseless = (p->options & PCRE2_CASELESS) != 0,
                       .dotall = (p->options & PCRE2_DOTALL) != 0,
                       .extended = (p->options & PCRE2_EXTENDED) != 0,
                       .loose = loose};

    *s = (struct rules_shape){.nodes = 1}; /* node 0 is none */
    /* A byte of the text is two places at most ("a{8}"), and a few nodes. */
    s->node_room = smaller(4 * p->text.len + 8, RULES_SHAPE_NODES_MAX);
    s->place_room = smaller(2 * p->text.len + 1, RULES_SHAPE_PLACES_MAX);
    s->node = rules_alloc(a, s->node_room * sizeof(*s->node));
    s->place = rules_alloc(a, s->place_room * sizeof(*s->place));
    if (s->node == NULL || s->place == NULL)
        return false;
    s->top = alternatives(&r);
    return !r.stuck && r.at == p->text.len;
}
