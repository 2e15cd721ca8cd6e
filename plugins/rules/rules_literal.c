/*
 * Literals out of a pattern. A walk over its text, not a full parser: whatever is not
 * plainly understood breaks a run or gives up, both of which only cost time later.
 *
 * Of a sequence the best element counts, since all of them must match; of alternatives
 * the union, since any may. Best is what is met least. Beside each literal goes how wide what
 * stands before it may be at most: a match begins no further ahead.
 */
#include "rules_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>

enum { DEPTH_MAX = 12, RUN_MAX = 24 };

struct set {
    size_t count, room; /* 0: nothing known */
    size_t shortest;
    double share;               /* so often, by bytes of text, is any of them met */
    struct rules_literal *item; /* this set's own */
};

/* What a part of a pattern comes to. */
struct part {
    struct set set;
    size_t width; /* bytes it matches, at most */
    int byte;     /* it is this one byte; -1: it is more than that */
};

static size_t widen(size_t a, size_t b)
{
    return a >= RULES_LEAD_ANY - b ? RULES_LEAD_ANY : a + b;
}

static size_t times_width(size_t width, size_t times)
{
    return width != 0 && times >= RULES_LEAD_ANY / width ? RULES_LEAD_ANY : width * times;
}

struct walk {
    struct postern_str text;
    size_t at;
    struct rules_arena *arena;
    unsigned depth;
    bool stuck; /* met something that makes all guesses unsafe */
};

static bool more(const struct walk *w)
{
    return w->at < w->text.len && !w->stuck;
}

static char peek(const struct walk *w, size_t ahead)
{
    return w->at + ahead < w->text.len ? w->text.p[w->at + ahead] : '\0';
}

/* ---- which are met least ---- */

/* Every other byte counts: half of what text has can be told from what is before it. */
static double share_of_text(struct postern_str s)
{
    double share[2] = {1, 1};

    if (memmem(rules_in_headers, strlen(rules_in_headers), s.p, s.len) != NULL ||
        memmem(rules_in_uris, strlen(rules_in_uris), s.p, s.len) != NULL)
        return RULES_SHARE_IN_ALL;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        double one = rules_share_of(c);

        if (c >= 'a' && c <= 'z') /* which stand for capitals, too */
            one += rules_share_of((unsigned char)(c & ~0x20));
        share[i % 2] *= one;
    }
    return share[0] < share[1] ? share[0] : share[1];
}

/* What a set costs, by bytes of text: looking for it, and trying where it is met. */
static double cost_of(const struct set *s)
{
    enum { CALL = 30, LINE = 300 }; /* bytes that could be tried for a call; of a line */
    const double seeking = 1e-6;
    size_t lead = 0;

    for (size_t i = 0; i < s->count; i++)
        lead = s->item[i].lead > lead ? s->item[i].lead : lead;
    return (s->share + seeking * (double)s->count) * (double)(CALL + (lead < LINE ? lead : LINE));
}

static void keep_better(struct set *best, const struct set *other)
{
    if (other->count == 0 || other->shortest < RULES_LITERAL_MIN)
        return;
    if (best->count == 0 || cost_of(other) < cost_of(best))
        *best = *other;
}

static bool make_room(struct walk *w, struct set *s, size_t count)
{
    size_t room = s->room == 0 ? 4 : s->room;
    struct rules_literal *p;

    if (count <= s->room)
        return true;
    while (room < count)
        room *= 2;
    p = rules_alloc(w->arena, room * sizeof(*p));
    if (p == NULL) {
        w->stuck = true;
        return false;
    }
    if (s->count > 0)
        memcpy(p, s->item, s->count * sizeof(*p));
    s->item = p;
    s->room = room;
    return true;
}

/* The run of plain bytes that was gathered, as a set of one. */
static void keep_run(struct walk *w, struct set *best, const char *run, size_t len, size_t lead)
{
    struct set one = {.count = 0, .shortest = len};

    if (len < RULES_LITERAL_MIN || !make_room(w, &one, 1))
        return;
    one.count = 1;
    one.item[0] = (struct rules_literal){rules_dup(w->arena, (struct postern_str){run, len}), lead};
    if (one.item[0].text.p == NULL) {
        w->stuck = true;
        return;
    }
    one.share = share_of_text(one.item[0].text);
    keep_better(best, &one);
}

static bool add_all(struct walk *w, struct set *to, const struct set *from)
{
    if (from->count == 0 || to->count + from->count > RULES_LITERALS_MAX ||
        !make_room(w, to, to->count + from->count))
        return false;
    memcpy(to->item + to->count, from->item, from->count * sizeof(*from->item));
    to->count += from->count;
    to->share += from->share;
    if (from->shortest < to->shortest)
        to->shortest = from->shortest;
    return true;
}

static void move_on(struct set *s, size_t by)
{
    for (size_t i = 0; i < s->count; i++)
        s->item[i].lead = widen(s->item[i].lead, by);
}

/* What a quantifier at this place says; moves over it. */
struct times {
    bool optional;
    size_t most; /* RULES_LEAD_ANY: no bound */
};

/* "{2}", "{2,}", "{2,5}": the "{" is the next byte. */
static struct times braces(struct walk *w)
{
    struct times t = {.optional = peek(w, 1) == '0', .most = 0};

    w->stuck |= peek(w, 1) == ','; /* for some versions of PCRE2 a count, text for others */

    for (w->at++; more(w) && peek(w, 0) != '}'; w->at++) {
        if (peek(w, 0) == ',')
            t.most = peek(w, 1) == '}' ? RULES_LEAD_ANY : 0;
        else if (t.most < RULES_LEAD_ANY / 10)
            t.most = t.most * 10 + (size_t)(peek(w, 0) & 15);
        else
            t.most = RULES_LEAD_ANY;
    }
    w->at++;
    return t;
}

static struct times quantifier(struct walk *w)
{
    struct times t = {false, 1};

    if (peek(w, 0) == '?') {
        t.optional = true;
        w->at++;
    } else if (peek(w, 0) == '*' || peek(w, 0) == '+') {
        t = (struct times){peek(w, 0) == '*', RULES_LEAD_ANY};
        w->at++;
    } else if (peek(w, 0) == '{' && (rules_is_digit(peek(w, 1)) || peek(w, 1) == ',')) {
        t = braces(w);
    } else {
        return t;
    }
    if (peek(w, 0) == '?' || peek(w, 0) == '+')
        w->at++;
    return t;
}

/* Over a class, whose "[" is the next byte. */
static void skip_class(struct walk *w)
{
    w->at++;
    if (peek(w, 0) == '^')
        w->at++;
    if (peek(w, 0) == ']')
        w->at++;
    while (more(w) && peek(w, 0) != ']') {
        if (peek(w, 0) == '\\') {
            w->at += 2;
        } else if (peek(w, 0) == '[' && peek(w, 1) == ':') {
            for (w->at += 2; more(w) && !(peek(w, 0) == ':' && peek(w, 1) == ']');)
                w->at++;
            w->at += 2;
        } else {
            w->at++;
        }
    }
    w->at++;
}

/* Over a group of no use, whose "(" is the next byte. */
static void skip_group(struct walk *w)
{
    size_t open = 0;

    do {
        char c = peek(w, 0);

        if (c == '[') {
            skip_class(w);
            continue;
        }
        if (c == '\\')
            w->at++;
        open += c == '(';
        open -= c == ')';
        w->at++;
    } while (more(w) && open > 0);
    if (open > 0)
        w->stuck = true;
}

static struct part alternatives(struct walk *w);

/* Of a group, from there to its end. */
static struct part body(struct walk *w)
{
    struct part inner = alternatives(w);

    w->stuck |= peek(w, 0) != ')';
    w->at++;
    return inner;
}

/* "(?=...)", whose "(" is the next byte: matches nothing, but what it wants must stand there. */
static struct part ahead(struct walk *w)
{
    struct part inner;

    w->at += 3;
    inner = body(w);
    move_on(&inner.set, RULES_LEAD_ANY);
    return (struct part){inner.set, 0, -1};
}

/* A group whose "(" is the next byte. */
static struct part group(struct walk *w)
{
    struct part none = {.byte = -1};

    if (peek(w, 1) == '*') {
        w->stuck = true;
        return none;
    }
    if (peek(w, 1) == '?') {
        char kind = peek(w, 2);
        size_t skip = 3;

        if (kind == '=')
            return ahead(w);
        if (kind == '!' || (kind == '<' && (peek(w, 3) == '=' || peek(w, 3) == '!'))) {
            skip_group(w);
            return none;
        }
        if (kind == '<' || kind == 'P') { /* a name */
            while (more(w) && peek(w, 0) != '>')
                w->at++;
            w->at++;
            return body(w);
        }
        /* Flags: "(?i:" and "(?-x)"; "x" within would change what blanks mean. */
        while (kind != ':' && kind != '>' && kind != ')') {
            if (kind != 'i' && kind != 's' && kind != 'm' && kind != '-') {
                w->stuck = true;
                return none;
            }
            kind = peek(w, skip++);
        }
        w->at += skip;
        if (kind == ')')
            return none;
    } else {
        w->at++;
    }
    return body(w);
}

/* Over the digits of "\xe9" or "\x{e9}". */
static int skip_hex(struct walk *w)
{
    bool brace = peek(w, 0) == '{';

    w->at += brace;
    for (int i = 0; i < 2 && isxdigit((unsigned char)peek(w, 0)); i++)
        w->at++;
    if (brace && peek(w, 0) != '}')
        w->stuck = true;
    w->at += brace;
    return -1;
}

/* An escape, whose backslash is the next byte: the byte it stands for, or -1 for a kind of
 * bytes or a place; *width of what it matches. */
static int escape(struct walk *w, size_t *width)
{
    char c = peek(w, 1);

    w->at += 2;
    *width = strchr("bBAzZG", c) != NULL ? 0 : 1;
    if (!rules_is_word(c) && c != '\0')
        return (unsigned char)c;
    if (c == 't')
        return '\t';
    if (c == 'R')
        *width = 2; /* CRLF */
    if (c == 'x')
        return skip_hex(w);
    if (strchr("bBdDsSwWAzZGRhHvVnrfeN", c) != NULL && c != '\0')
        return -1; /* line ends differ between texts: \n and \r are no literals */
    if (c >= '1' && c <= '9') {
        *width = RULES_LEAD_ANY;
        while (rules_is_digit(peek(w, 0)))
            w->at++;
        return -1;
    }
    w->stuck = true; /* \Q, \K, \p, \g…: none of our rules' business */
    return -1;
}

static struct part element(struct walk *w)
{
    struct part p = {.byte = -1, .width = 1};

    switch (peek(w, 0)) {
    case '(':
        return group(w);
    case '[':
        skip_class(w);
        return p;
    case '\\':
        p.byte = escape(w, &p.width);
        return p;
    case '^':
    case '$':
        p.width = 0;
        w->at++;
        return p;
    case '.':
        w->at++;
        return p;
    case '\0': /* a NUL in a pattern: bytes that no text has */
        w->stuck = true;
        return p;
    default:
        p.byte = (unsigned char)w->text.p[w->at++];
        return p;
    }
}

static struct part sequence(struct walk *w)
{
    struct part all = {.byte = -1};
    char run[RUN_MAX];
    size_t len = 0;
    size_t lead = 0; /* before the run */

    while (more(w) && peek(w, 0) != '|' && peek(w, 0) != ')') {
        struct part p = element(w);
        struct times times = quantifier(w);
        size_t before = all.width;

        all.width = widen(all.width, times_width(p.width, times.most));
        if (len == 0)
            lead = before;
        if (p.byte >= 0 && !times.optional && len < RUN_MAX)
            run[len++] = rules_lower((char)p.byte);
        if (p.byte >= 0 && !times.optional && times.most == 1 && len < RUN_MAX)
            continue;
        keep_run(w, &all.set, run, len, lead);
        len = 0;
        move_on(&p.set, before); /* of what stands there several times the first one counts */
        if (p.byte < 0 && !times.optional)
            keep_better(&all.set, &p.set);
    }
    keep_run(w, &all.set, run, len, lead);
    return all;
}

static struct part alternatives(struct walk *w)
{
    struct part all = {.set = {.shortest = SIZE_MAX}, .byte = -1};
    bool known = true;

    if (++w->depth > DEPTH_MAX)
        w->stuck = true;
    while (!w->stuck) {
        struct part one = sequence(w);

        known = known && add_all(w, &all.set, &one.set);
        if (one.width > all.width)
            all.width = one.width;
        if (peek(w, 0) != '|' || !more(w))
            break;
        w->at++;
    }
    w->depth--;
    if (!known)
        all.set = (struct set){.count = 0};
    return all;
}

struct rules_literals rules_pattern_literals(const struct rules_pattern *p, struct rules_arena *a)
{
    struct walk w = {.text = p->text, .arena = a};
    struct part found;

    if ((p->options & PCRE2_EXTENDED) != 0)
        return (struct rules_literals){.count = 0};
    found = alternatives(&w);
    if (w.stuck || w.at != p->text.len)
        return (struct rules_literals){.count = 0};
    return (struct rules_literals){found.set.item, found.set.count, found.set.share};
}
