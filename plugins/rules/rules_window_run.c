/* The pass over a text that looks for all windows. */
#include "rules_window.h"

#include <stdlib.h>

/* A bucket is a bit of the tables that the pass looks at, and holds as many windows as there
 * are bits to tell them apart by. */
enum {
    BUCKETS = 64,
    IN_BUCKET = 64,
    ENTRIES_MAX = BUCKETS * IN_BUCKET,
    PAIRS = RULES_WINDOW / 2,
    PAIRS_BEFORE = RULES_WINDOW - 2,
    FREQUENT = 47, /* bytes that have a row of the pairs' tables to themselves */
    ROWS = 64,     /* what is seldom met shares those that are left */
    SHARED = ROWS - FREQUENT
};

struct entry {
    struct rules_window window;
    uint32_t id;
};

struct rules_windows {
    struct entry *entries;
    size_t count, room;
    /* Bytes that no window tells apart are one class. */
    unsigned char class[256];
    uint32_t classes;
    unsigned char row[256];
    uint64_t *pair[PAIRS];     /* buckets that have bytes of both rows at 2k and 2k + 1 */
    uint64_t *single;          /* windows of a bucket that have a class at k */
    size_t first[BUCKETS + 1]; /* entry of each bucket */
};

struct rules_windows *rules_windows_new(void)
{
    return calloc(1, sizeof(struct rules_windows));
}

void rules_windows_free(struct rules_windows *w)
{
    if (w == NULL)
        return;
    for (int k = 0; k < PAIRS; k++)
        free(w->pair[k]);
    free(w->single);
    free(w->entries);
    free(w);
}

bool rules_windows_add(struct rules_windows *w, const struct rules_window *window, size_t count,
                       uint32_t id)
{
    while (w->room - w->count < count) {
        size_t room = w->room == 0 ? 256 : w->room * 2;
        struct entry *p = room > ENTRIES_MAX ? NULL : realloc(w->entries, room * sizeof(*p));

        if (p == NULL)
            return false;
        w->entries = p;
        w->room = room;
    }
    for (size_t i = 0; i < count; i++)
        w->entries[w->count++] = (struct entry){window[i], id};
    return true;
}

/* ---- tables ---- */

/* Entries that begin alike lie side by side, then those of one rule. */
static int by_bytes(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int order = memcmp(&x->window, &y->window, sizeof(x->window));

    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Splits the classes by one set: of each, what is in it and what is not. */
static void split(struct rules_windows *w, const struct rules_bytes *set)
{
    int made[256]; /* the new class of those of a class that are in the set */
    bool in[256] = {false};
    bool out[256] = {false};

    for (unsigned c = 0; c < 256; c++) {
        made[c] = -1;
        (rules_bytes_has(set, (unsigned char)c) ? in : out)[w->class[c]] = true;
    }
    for (unsigned c = 0; c < 256; c++) {
        unsigned old = w->class[c];

        if (!in[old] || !out[old] || !rules_bytes_has(set, (unsigned char)c))
            continue;
        if (made[old] < 0)
            made[old] = (int)w->classes++;
        w->class[c] = (unsigned char)made[old];
    }
}

static void make_classes(struct rules_windows *w)
{
    memset(w->class, 0, sizeof(w->class));
    w->classes = 1;
    for (size_t i = 0; i < w->count; i++)
        for (int k = 0; k < RULES_WINDOW; k++)
            split(w, &w->entries[i].window.byte[k]);
}

/* The most frequent bytes come first, so that what mail is made of lies close together in the
 * tables, which then fit the nearest cache. */
static void make_rows(struct rules_windows *w)
{
    bool done[256] = {false};

    for (unsigned c = 0; c < 256; c++)
        w->row[c] = (unsigned char)(FREQUENT + c / 8 % SHARED);
    for (unsigned row = 0; row < FREQUENT; row++) {
        unsigned best = 0;

        while (done[best])
            best++;
        for (unsigned c = best + 1; c < 256; c++)
            if (!done[c] && rules_share_of((unsigned char)c) > rules_share_of((unsigned char)best))
                best = c;
        done[best] = true;
        w->row[best] = (unsigned char)row;
    }
}

/* Has the set the bytes of that class? One stands for all. */
static void classes_of(const struct rules_windows *w, const struct rules_bytes *set, bool has[256])
{
    for (unsigned c = 0; c < 256; c++)
        has[w->class[c]] = rules_bytes_has(set, (unsigned char)c);
}

/* Has the set a byte of that row? */
static void rows_of(const struct rules_windows *w, const struct rules_bytes *set, bool has[ROWS])
{
    memset(has, 0, ROWS * sizeof(*has));
    for (unsigned c = 0; c < 256; c++)
        has[w->row[c]] |= rules_bytes_has(set, (unsigned char)c);
}

static uint64_t *single_of(const struct rules_windows *w, size_t bucket, int k)
{
    return w->single + (bucket * RULES_WINDOW + (size_t)k) * w->classes;
}

static void set_single(struct rules_windows *w, size_t bucket, size_t i)
{
    bool has[256];

    for (int k = 0; k < RULES_WINDOW; k++) {
        classes_of(w, &w->entries[i].window.byte[k], has);
        for (uint32_t c = 0; c < w->classes; c++)
            if (has[c])
                single_of(w, bucket, k)[c] |= (uint64_t)1 << (i - w->first[bucket]);
    }
}

static void set_pairs(struct rules_windows *w, size_t bucket, size_t i)
{
    bool has[RULES_WINDOW][ROWS];

    for (int k = 0; k < RULES_WINDOW; k++)
        rows_of(w, &w->entries[i].window.byte[k], has[k]);
    for (int k = 0; k < PAIRS; k++)
        for (size_t a = 0; a < ROWS; a++)
            for (size_t b = 0; has[2 * k][a] && b < ROWS; b++)
                if (has[2 * k + 1][b])
                    w->pair[k][a * ROWS + b] |= (uint64_t)1 << bucket;
}

/* What shares a bucket is told apart only when looked at closer: so what shares it should be
 * alike. */
bool rules_windows_finish(struct rules_windows *w)
{
    if (w->count > 1)
        qsort(w->entries, w->count, sizeof(*w->entries), by_bytes);
    make_classes(w);
    make_rows(w);
    for (int k = 0; k < PAIRS; k++) {
        w->pair[k] = calloc((size_t)ROWS * ROWS, sizeof(uint64_t));
        if (w->pair[k] == NULL)
            return false;
    }
    w->single = calloc((size_t)BUCKETS * RULES_WINDOW * w->classes, sizeof(uint64_t));
    if (w->single == NULL)
        return false;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        w->first[bucket + 1] = (bucket + 1) * w->count / BUCKETS;
        for (size_t i = w->first[bucket]; i < w->first[bucket + 1]; i++) {
            set_single(w, bucket, i);
            set_pairs(w, bucket, i);
        }
    }
    return true;
}

/* ---- the pass ---- */

static void look_closer(const struct rules_windows *w, uint64_t buckets, const unsigned char *bytes,
                        size_t at, rules_window_hit *fn, void *arg)
{
    for (; buckets != 0; buckets &= buckets - 1) {
        size_t bucket = (size_t)__builtin_ctzll(buckets);
        uint64_t hit = ~(uint64_t)0;

        for (int k = 0; k < RULES_WINDOW && hit != 0; k++)
            hit &= single_of(w, bucket, k)[w->class[bytes[k]]];
        for (; hit != 0; hit &= hit - 1)
            fn(arg, w->entries[w->first[bucket] + (size_t)__builtin_ctzll(hit)].id, at);
    }
}

/* Of the byte there and the one behind it. */
static inline size_t pair_at(const struct rules_windows *w, const unsigned char *p)
{
    return (size_t)w->row[p[0]] * ROWS + w->row[p[1]];
}

/* The last places, whose windows reach behind the end: nothing stands there, which only what
 * has ended may be. */
static void run_end(const struct rules_windows *w, const unsigned char *p, size_t len,
                    rules_window_hit *fn, void *arg)
{
    size_t from = len < RULES_WINDOW ? 0 : len - RULES_WINDOW + 1;
    unsigned char some[2 * RULES_WINDOW] = {0};

    if (len > from)
        memcpy(some, p + from, len - from);
    for (size_t at = from; at < len; at++) {
        uint64_t buckets = ~(uint64_t)0;

        for (int k = 0; k < PAIRS; k++)
            buckets &= w->pair[k][pair_at(w, some + (at - from) + 2 * k)];
        look_closer(w, buckets, some + (at - from), at, fn, arg);
    }
}

/* A step looks at four pairs, three of which earlier steps have made. */
static void run_middle(const struct rules_windows *w, const unsigned char *p, size_t len,
                       rules_window_hit *fn, void *arg)
{
    const uint64_t *first = w->pair[0];
    const uint64_t *second = w->pair[1];
    const uint64_t *third = w->pair[2];
    const uint64_t *fourth = w->pair[3];
    size_t pair[PAIRS_BEFORE];

    for (size_t i = 0; i < PAIRS_BEFORE; i++)
        pair[i] = pair_at(w, p + i);
    for (size_t at = 0; at + RULES_WINDOW <= len; at++) {
        size_t last = pair_at(w, p + at + PAIRS_BEFORE);
        uint64_t buckets = first[pair[0]] & second[pair[2]] & third[pair[4]] & fourth[last];

        if (buckets != 0)
            look_closer(w, buckets, p + at, at, fn, arg);
        pair[0] = pair[1]; /* one by one: they are registers */
        pair[1] = pair[2];
        pair[2] = pair[3];
        pair[3] = pair[4];
        pair[4] = pair[5];
        pair[5] = last;
    }
}

void rules_windows_run(const struct rules_windows *w, struct postern_str text, rules_window_hit *fn,
                       void *arg)
{
    const unsigned char *p = (const unsigned char *)text.p;

    if (text.len >= RULES_WINDOW)
        run_middle(w, p, text.len, fn, arg);
    run_end(w, p, text.len, fn, arg);
}
