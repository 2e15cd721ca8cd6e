#include "rules_window.h"

#include <stdlib.h>

/* ---- how seldom a window is met ---- */

static double share_of_set(const struct rules_bytes *b)
{
    double sum = 0;

    for (unsigned i = 0; i < 4; i++)
        for (uint64_t bits = b->bit[i]; bits != 0; bits &= bits - 1)
            sum += rules_share_of((unsigned char)(i * 64 + (unsigned)__builtin_ctzll(bits)));
    return sum < 1 ? sum : 1;
}

static bool holds(const struct rules_window *w, const char *bytes)
{
    for (int i = 0; i < RULES_WINDOW; i++)
        if (!rules_bytes_has(&w->byte[i], (unsigned char)bytes[i]))
            return false;
    return true;
}

/* What fills lines and forms stands in rows: one behind another is no surprise. */
static bool is_row(const struct rules_bytes *a, const struct rules_bytes *b)
{
    for (const char *p = RULES_ROWS " "; *p != '\0'; p++)
        if (rules_bytes_has(a, (unsigned char)*p) && rules_bytes_has(b, (unsigned char)*p))
            return true;
    return false;
}

static double share_of_window(const struct rules_window *w)
{
    const double row = 0.3;
    double p = 1;

    for (size_t i = 0; rules_in_uris[i + RULES_WINDOW - 1] != '\0'; i++)
        if (holds(w, rules_in_uris + i))
            return RULES_SHARE_IN_ALL;
    for (int i = 0; i < RULES_WINDOW; i++) {
        double one = share_of_set(&w->byte[i]);

        p *= i > 0 && one < row && is_row(&w->byte[i - 1], &w->byte[i]) ? row : one;
    }
    return p;
}

/* ---- what may follow what ---- */

/* Places by number, as bits. Most sets hold few, near to each other. */
struct places {
    uint64_t *bit;
    size_t from, to; /* words that are not 0, and perhaps some that are */
};

struct walk {
    const struct rules_shape *s;
    struct rules_arena *arena;
    size_t words;  /* of a set of places */
    size_t *width; /* of each node, at most */
    struct places *first;
    struct places *last;
    struct places *follow;   /* of each place */
    struct places final;     /* the pattern may end there */
    struct places now, then; /* while a window is made */
    bool no_memory;
    size_t budget; /* of work for one pattern */
};

static struct places new_places(struct walk *w)
{
    struct places p = {rules_alloc(w->arena, w->words * sizeof(uint64_t)), 0, 0};

    w->no_memory |= p.bit == NULL;
    return p;
}

static void widen(struct places *p, size_t from, size_t to)
{
    if (p->from == p->to) {
        p->from = from;
        p->to = to;
        return;
    }
    p->from = from < p->from ? from : p->from;
    p->to = to > p->to ? to : p->to;
}

static void join(struct places *a, const struct places *b)
{
    if (b->from == b->to)
        return;
    widen(a, b->from, b->to);
    for (size_t i = b->from; i < b->to; i++)
        a->bit[i] |= b->bit[i];
}

static void add_place(struct places *p, uint32_t place)
{
    widen(p, place / 64, place / 64 + 1);
    p->bit[place / 64] |= (uint64_t)1 << place % 64;
}

static void clear(struct places *p)
{
    memset(p->bit + p->from, 0, (p->to - p->from) * sizeof(uint64_t));
    p->from = p->to = 0;
}

/* Behind each place of `from` may stand one of `to`. */
static void link_places(struct walk *w, const struct places *from, const struct places *to)
{
    for (size_t i = from->from; i < from->to; i++)
        for (uint64_t bits = from->bit[i]; bits != 0; bits &= bits - 1) {
            struct places *f = &w->follow[i * 64 + (size_t)__builtin_ctzll(bits)];

            if (f->bit == NULL)
                *f = new_places(w);
            if (f->bit != NULL)
                join(f, to);
        }
}

static size_t add_widths(size_t a, size_t b)
{
    return a >= RULES_LEAD_ANY - b ? RULES_LEAD_ANY : a + b;
}

static size_t times_width(size_t width, size_t times)
{
    return width != 0 && times >= RULES_LEAD_ANY / width ? RULES_LEAD_ANY : width * times;
}

static void measure(struct walk *w, uint32_t n);

static void measure_all(struct walk *w, uint32_t n)
{
    struct places open = new_places(w); /* places at which what came so far may end */
    bool begin = true;                  /* nothing came so far, perhaps */

    for (uint32_t c = w->s->node[n].child; c != 0 && !w->no_memory; c = w->s->node[c].next) {
        measure(w, c);
        if (w->no_memory)
            return;
        link_places(w, &open, &w->first[c]);
        if (begin)
            join(&w->first[n], &w->first[c]);
        begin = begin && w->s->node[c].optional;
        w->width[n] = add_widths(w->width[n], w->width[c]);
        if (!w->s->node[c].optional)
            clear(&open);
        join(&open, &w->last[c]);
    }
    if (!w->no_memory)
        join(&w->last[n], &open);
}

/* The depth of nodes is limited by the reader. */
static void measure(struct walk *w, uint32_t n)
{
    const struct rules_shape_node *node = &w->s->node[n];

    w->first[n] = new_places(w);
    w->last[n] = new_places(w);
    if (w->no_memory)
        return;
    if (node->kind == RULES_SHAPE_BYTE) {
        add_place(&w->first[n], node->place);
        add_place(&w->last[n], node->place);
        w->width[n] = 1;
    } else if (node->kind == RULES_SHAPE_ANY) {
        for (uint32_t c = node->child; c != 0 && !w->no_memory; c = w->s->node[c].next) {
            measure(w, c);
            if (w->no_memory)
                return;
            join(&w->first[n], &w->first[c]);
            join(&w->last[n], &w->last[c]);
            if (w->width[c] > w->width[n])
                w->width[n] = w->width[c];
        }
    } else if (node->kind != RULES_SHAPE_EMPTY) {
        measure_all(w, n);
        if (node->kind != RULES_SHAPE_MANY || w->no_memory)
            return;
        w->width[n] = times_width(w->width[n], node->most);
        if (node->most != 1)
            link_places(w, &w->last[n], &w->first[n]);
    }
}

/* ---- the best windows ---- */

struct choice {
    struct rules_window window[RULES_WINDOWS_MAX];
    size_t count;   /* 0: none */
    double share;   /* how often any of them is met */
    uint32_t least; /* so many of them must be there */
    size_t lead;    /* the first of them begins so far behind the node's beginning at most */
};

static void add_bytes(const struct walk *w, struct rules_bytes *b, const struct places *p)
{
    for (size_t i = p->from; i < p->to; i++)
        for (uint64_t bits = p->bit[i]; bits != 0; bits &= bits - 1)
            rules_bytes_join(b, &w->s->place[i * 64 + (size_t)__builtin_ctzll(bits)]);
}

static void add_followers(const struct walk *w, struct places *next, const struct places *now)
{
    for (size_t k = now->from; k < now->to; k++)
        for (uint64_t bits = now->bit[k]; bits != 0; bits &= bits - 1) {
            const struct places *f = &w->follow[k * 64 + (size_t)__builtin_ctzll(bits)];

            if (f->bit != NULL)
                join(next, f);
        }
}

static bool meet(const struct places *a, const struct places *b)
{
    for (size_t k = a->from; k < a->to; k++)
        if ((a->bit[k] & b->bit[k]) != 0)
            return true;
    return false;
}

/* The one window that begins with a node's first byte. Behind where the pattern may end
 * anything stands. */
static void begin_at(struct walk *w, uint32_t n, struct choice *out)
{
    static const struct rules_bytes any = {{~0ULL, ~0ULL, ~0ULL, ~0ULL}};
    struct places *now = &w->now;
    struct places *next = &w->then;
    bool ended = false;

    clear(now);
    join(now, &w->first[n]);
    for (int i = 0; i < RULES_WINDOW; i++) {
        struct places *old = now;

        out->window[0].byte[i] = any;
        if (ended)
            continue;
        memset(&out->window[0].byte[i], 0, sizeof(any));
        add_bytes(w, &out->window[0].byte[i], now);
        ended = meet(now, &w->final);
        clear(next);
        add_followers(w, next, now);
        now = next;
        next = old;
    }
    out->count = 1;
    out->least = 1;
    out->lead = 0;
    out->share = share_of_window(&out->window[0]);
}

static void best_of(struct walk *w, uint32_t n, struct choice *out);
static void starts_of(struct walk *w, uint32_t n, struct choice *out);

enum { WORTH_PER_MILLION = 10000 };

static bool is_worth(const struct choice *c)
{
    return c->count > 0 && c->share * 1000000 <= WORTH_PER_MILLION;
}

enum {
    LINE = 300, /* bytes that are tried where a window stands in them, to one where it begins */
    CALL = 30   /* bytes that could be tried for what it costs to begin */
};

/* Roughly what it costs to try, by bytes of text. */
static double cost_of(const struct choice *c)
{
    return c->share / c->least * (double)(CALL + (c->lead < LINE ? c->lead + 1 : LINE));
}

static void keep_better(struct choice *best, const struct choice *other)
{
    if (other->count > 0 && (best->count == 0 || is_worth(other) > is_worth(best) ||
                             (is_worth(other) == is_worth(best) && cost_of(other) < cost_of(best))))
        *best = *other;
}

/* Of alternatives every one needs its own. */
static void best_of_any(struct walk *w, uint32_t n, struct choice *one, struct choice *out)
{
    out->count = 0;
    out->share = 0;
    out->least = UINT32_MAX;
    out->lead = 0;
    for (uint32_t c = w->s->node[n].child; c != 0 && !w->no_memory; c = w->s->node[c].next) {
        best_of(w, c, one);
        if (one->count == 0 || out->count + one->count > RULES_WINDOWS_MAX) {
            out->count = 0;
            return;
        }
        memcpy(out->window + out->count, one->window, one->count * sizeof(one->window[0]));
        out->count += one->count;
        out->share += one->share;
        out->least = one->least < out->least ? one->least : out->least;
        out->lead = one->lead > out->lead ? one->lead : out->lead;
    }
}

/* Ways to write one letter: windows of their own would be no better, and many. */
static bool is_letter(const struct walk *w, uint32_t n)
{
    enum { LETTER_MAX = 4 };
    uint32_t children = 0;

    for (uint32_t c = w->s->node[n].child; c != 0; c = w->s->node[c].next)
        children++;
    return w->s->node[n].kind == RULES_SHAPE_ANY && children > 1 &&
           w->s->node[n].least <= LETTER_MAX * children;
}

/* What is below a node may have a better choice than the node itself. */
static void best_below(struct walk *w, uint32_t n, struct choice *out)
{
    struct choice *other = malloc(2 * sizeof(*other));
    size_t before = 0;

    w->no_memory |= other == NULL;
    if (other == NULL)
        return;
    if (w->s->node[n].kind == RULES_SHAPE_ANY) {
        best_of_any(w, n, &other[1], &other[0]);
        keep_better(out, &other[0]);
    } else {
        starts_of(w, n, other);
        keep_better(out, other);
        for (uint32_t c = w->s->node[n].child; c != 0 && !w->no_memory; c = w->s->node[c].next) {
            best_of(w, c, other);
            /* What stands n times has its windows n times, one behind the other. */
            if (other->count > 0 && w->s->node[n].kind == RULES_SHAPE_MANY &&
                w->s->node[n].least > 1)
                other->least *= w->s->node[n].least;
            other->lead = add_widths(other->lead, before);
            keep_better(out, other);
            before = add_widths(before, w->width[c]);
        }
    }
    free(other);
}

static void best_of(struct walk *w, uint32_t n, struct choice *out)
{
    out->count = 0;
    if (w->s->node[n].optional || w->no_memory || w->budget < w->words)
        return;
    w->budget -= w->words;
    begin_at(w, n, out);
    if (w->s->node[n].kind != RULES_SHAPE_BYTE && !is_letter(w, n))
        best_below(w, n, out);
}

/* ---- windows that begin where a node does ---- */

/* Adds the windows of b to those of a. */
static bool add_choice(struct choice *a, const struct choice *b)
{
    if (b->count == 0 || a->count + b->count > RULES_WINDOWS_MAX)
        return false;
    memcpy(a->window + a->count, b->window, b->count * sizeof(b->window[0]));
    a->count += b->count;
    a->share += b->share;
    return true;
}

/* Of alternatives each has its own; of what stands in a row the first, and those behind
 * what may be left out. */
static bool starts_below(struct walk *w, uint32_t n, struct choice *out)
{
    struct choice *one = malloc(sizeof(*one));
    bool row = w->s->node[n].kind != RULES_SHAPE_ANY;
    bool good = one != NULL;

    w->no_memory |= one == NULL;
    out->count = 0;
    out->share = 0;
    for (uint32_t c = w->s->node[n].child; good && c != 0; c = w->s->node[c].next) {
        if (w->s->node[c].kind == RULES_SHAPE_EMPTY)
            continue;
        starts_of(w, c, one);
        good = add_choice(out, one);
        if (row && !w->s->node[c].optional)
            break;
    }
    free(one);
    return good && out->count > 0;
}

static void starts_of(struct walk *w, uint32_t n, struct choice *out)
{
    out->count = 0;
    out->least = 1;
    out->lead = 0;
    if (w->no_memory || w->budget < w->words)
        return;
    w->budget -= w->words;
    if (w->s->node[n].kind != RULES_SHAPE_BYTE && !is_letter(w, n) && starts_below(w, n, out))
        return;
    if (!w->no_memory)
        begin_at(w, n, out);
}

/* ---- which of both ---- */

enum { BUDGET = 3000000 };

/* How often the pattern's windows are in what repeats itself. */
static uint32_t least_starts(const struct rules_shape *s)
{
    uint32_t n = s->top;

    /* Down to the one thing that the pattern is. */
    while (s->node[n].kind != RULES_SHAPE_BYTE && s->node[n].child != 0 &&
           s->node[s->node[n].child].next == 0) {
        if (s->node[n].kind == RULES_SHAPE_MANY)
            return s->node[n].least > 0 ? s->node[n].least : 1;
        n = s->node[n].child;
    }
    return 1;
}

static void choose(struct walk *w, struct choice *best)
{
    struct choice *other = malloc(sizeof(*other));

    w->no_memory |= other == NULL;
    best_of(w, w->s->top, best);
    if (other != NULL) {
        starts_of(w, w->s->top, other);
        other->least = least_starts(w->s);
        keep_better(best, other);
    }
    free(other);
}

static struct rules_windowing windows_of(const struct rules_pattern *p, bool loose,
                                         struct rules_arena *a, struct rules_window *out)
{
    struct rules_windowing found = {.count = 0};
    struct rules_shape s;
    struct walk w = {.s = &s, .arena = a, .budget = BUDGET};
    struct choice *best;

    if (!rules_shape_read(&s, p, loose, a) || s.node[s.top].optional)
        return found;
    w.words = s.places / 64 + 1;
    w.width = rules_alloc(a, s.nodes * sizeof(*w.width));
    w.first = rules_alloc(a, s.nodes * sizeof(*w.first));
    w.last = rules_alloc(a, s.nodes * sizeof(*w.last));
    w.follow = rules_alloc(a, (s.places + 64) * sizeof(*w.follow));
    if (w.width == NULL || w.first == NULL || w.last == NULL || w.follow == NULL)
        return found;
    measure(&w, s.top);
    if (w.no_memory)
        return found;
    w.final = w.last[s.top];
    w.now = new_places(&w);
    w.then = new_places(&w);
    best = malloc(sizeof(*best));
    if (best == NULL || w.no_memory) {
        free(best);
        return found;
    }
    choose(&w, best);
    if (!w.no_memory && is_worth(best))
        found.count = best->count;
    memcpy(out, best->window, found.count * sizeof(*out));
    found.least = best->least;
    found.lead = best->lead;
    free(best);
    return found;
}

struct rules_windowing rules_windows_of(const struct rules_pattern *p,
                                        struct rules_window out[RULES_WINDOWS_MAX])
{
    struct rules_windowing found = {.count = 0};

    for (int loose = 0; loose < 2 && found.count == 0; loose++) {
        struct rules_arena a = {.limit = (size_t)256 << 20};

        found = windows_of(p, loose == 1, &a, out);
        rules_arena_free(&a);
    }
    return found;
}
