/*
 * Literals out of a pattern. A walk over its text, not a full parser: whatever is not
 * plainly understood breaks a run or gives up, both of which only cost time later.
 *
 * Of a sequence the best element counts, since all of them must match; of alternatives
 * the union, since any may. Best is: long at its shortest, then few. Beside the literals
 * goes how wide what stands before them may be at most: a match begins no further ahead.
 */
#include "rules_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { DEPTH_MAX = 12, RUN_MAX = 24 };

struct set {
    size_t count; /* 0: nothing known */
    size_t shortest;
    size_t lead; /* bytes before any of them, at most; RULES_LEAD_ANY: no bound */
    struct postern_str item[RULES_LITERALS_MAX];
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

static void keep_better(struct set *best, const struct set *other)
{
    if (other->count == 0 || other->shortest < RULES_LITERAL_MIN)
        return;
    if (best->count == 0 || other->shortest > best->shortest ||
        (other->shortest == best->shortest && other->count < best->count))
        *best = *other;
}

/* The run of plain bytes that was gathered, as a set of one. */
static void keep_run(struct walk *w, struct set *best, const char *run, size_t len, size_t lead)
{
    struct set one = {.count = 1, .shortest = len, .lead = lead};

    if (len < RULES_LITERAL_MIN || len < best->shortest)
        return;
    one.item[0] = rules_dup(w->arena, (struct postern_str){run, len});
    if (one.item[0].p == NULL)
        w->stuck = true;
    else
        keep_better(best, &one);
}

static bool add_all(struct set *to, const struct set *from)
{
    if (from->count == 0 || to->count + from->count > RULES_LITERALS_MAX)
        return false;
    for (size_t i = 0; i < from->count; i++)
        to->item[to->count++] = from->item[i];
    if (from->shortest < to->shortest)
        to->shortest = from->shortest;
    if (from->lead > to->lead)
        to->lead = from->lead;
    return true;
}

/* What a quantifier at this place says; moves over it. */
struct times {
    bool optional;
    size_t most; /* RULES_LEAD_ANY: no bound */
};

/* "{2}", "{2,}", "{2,5}": the "{" is the next byte. */
static struct times braces(struct walk *w)
{
    struct times t = {.optional = peek(w, 1) == '0' || peek(w, 1) == ',', .most = 0};

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

/* A group whose "(" is the next byte. */
static struct part group(struct walk *w)
{
    struct part none = {.byte = -1};
    struct part inner;

    if (peek(w, 1) == '*') {
        w->stuck = true;
        return none;
    }
    if (peek(w, 1) == '?') {
        char kind = peek(w, 2);
        size_t skip = 3;

        if (kind == '=' || kind == '!' ||
            (kind == '<' && (peek(w, 3) == '=' || peek(w, 3) == '!'))) {
            skip_group(w);
            return none;
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
    inner = alternatives(w);
    if (peek(w, 0) != ')')
        w->stuck = true;
    w->at++;
    return inner;
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
    if (strchr("bBdDsSwWAzZGRhHvVnrfeN", c) != NULL && c != '\0')
        return -1; /* line ends differ between texts: \n and \r are no literals */
    if (c >= '1' && c <= '9') {
        *width = RULES_LEAD_ANY;
        while (rules_is_digit(peek(w, 0)))
            w->at++;
        return -1;
    }
    w->stuck = true; /* \x, \Q, \K, \p, \g…: none of our rules' business */
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
        p.set.lead = widen(p.set.lead, before);
        if (times.most > 1) /* of which round is not known */
            p.set.lead = all.width;
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

        known = known && add_all(&all.set, &one.set);
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

size_t rules_pattern_literals(const struct rules_pattern *p, struct rules_arena *a,
                              struct postern_str out[RULES_LITERALS_MAX], size_t *lead)
{
    struct walk w = {.text = p->text, .arena = a};
    struct part found;

    if ((p->options & PCRE2_EXTENDED) != 0)
        return 0;
    found = alternatives(&w);
    if (w.stuck || w.at != p->text.len)
        return 0;
    memcpy(out, found.set.item, found.set.count * sizeof(out[0]));
    *lead = found.set.lead;
    return found.set.count;
}
