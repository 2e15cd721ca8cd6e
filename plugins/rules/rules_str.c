#include "rules_str.h"

#include <stdalign.h>
#include <stdlib.h>

enum {
    BLOCK = 64 * 1024,
    GROWN_MIN = 512 * 1024,  /* a large arena doubles, */
    GROWN_MAX = 1024 * 1024, /* a very large one grows evenly */
    KEPT_MAX = 128 * 1024,
    LIST_FIRST = 16
};

struct rules_block {
    struct rules_block *next;
    size_t size;
    alignas(max_align_t) char p[];
};

static bool add_block(struct rules_arena *a, size_t n)
{
    size_t size = a->total < GROWN_MIN ? BLOCK : a->total < GROWN_MAX ? a->total : GROWN_MAX;
    struct rules_block *b;

    size = n > size ? n : size;
    if (a->limit != 0 && size > a->limit - a->total)
        return false;
    b = calloc(1, sizeof(*b) + size);
    if (b == NULL)
        return false;
    b->next = a->blocks;
    b->size = size;
    a->blocks = b;
    a->used = 0;
    a->total += size;
    return true;
}

void *rules_alloc(struct rules_arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if ((a->blocks == NULL || a->blocks->size - a->used < n) && !add_block(a, n))
        return NULL;
    a->used += n;
    return a->blocks->p + a->used - n;
}

/* The newest block is the largest, as a rule: it stays. */
void rules_arena_reset(struct rules_arena *a)
{
    struct rules_block *b = a->blocks;

    if (b == NULL)
        return;
    if (b->size > KEPT_MAX) {
        rules_arena_free(a);
        return;
    }
    memset(b->p, 0, a->used);
    while (b->next != NULL) {
        struct rules_block *older = b->next;

        b->next = older->next;
        free(older);
    }
    a->total = b->size;
    a->used = 0;
}

bool rules_more(struct rules_arena *a, void **list, size_t count, size_t *room, size_t max,
                size_t size)
{
    size_t want = *room == 0 ? LIST_FIRST : *room * 2;
    void *p;

    if (count < *room)
        return true;
    if (want > max)
        want = max;
    p = count >= max ? NULL : rules_alloc(a, want * size);
    if (p == NULL)
        return false;
    if (count > 0)
        memcpy(p, *list, count * size);
    *list = p;
    *room = want;
    return true;
}

struct postern_str rules_dup(struct rules_arena *a, struct postern_str s)
{
    char *p = rules_alloc(a, s.len + 1);

    if (p != NULL && s.len > 0)
        memcpy(p, s.p, s.len);
    return (struct postern_str){p, p == NULL ? 0 : s.len};
}

void rules_arena_free(struct rules_arena *a)
{
    while (a->blocks != NULL) {
        struct rules_block *b = a->blocks;

        a->blocks = b->next;
        free(b);
    }
    a->used = a->total = 0;
}

struct postern_str rules_lower_dup(struct rules_arena *a, struct postern_str s)
{
    struct postern_str copy = rules_dup(a, s);
    char *p = (char *)(uintptr_t)copy.p;

    for (size_t i = 0; i < copy.len; i++)
        p[i] = rules_lower(p[i]);
    return copy;
}

bool rules_ieq_all(struct postern_str a, struct postern_str b)
{
    if (memcmp(a.p, b.p, a.len) == 0) /* as a rule */
        return true;
    for (size_t i = 0; i < a.len; i++)
        if (rules_lower(a.p[i]) != rules_lower(b.p[i]))
            return false;
    return true;
}

bool rules_iends(struct postern_str s, struct postern_str suffix)
{
    return s.len >= suffix.len &&
           rules_ieq((struct postern_str){s.p + s.len - suffix.len, suffix.len}, suffix);
}

/* The first such byte of [p, end), or end. */
static const char *next_of(const char *p, const char *end, char c)
{
    const char *at = p == end ? NULL : memchr(p, c, (size_t)(end - p));

    return at == NULL ? end : at;
}

struct postern_str rules_ifind(struct postern_str s, struct postern_str what)
{
    const char *to, *end, *low, *up;
    char c;

    if (what.len == 0)
        return s;
    if (s.len < what.len)
        return (struct postern_str){NULL, 0};
    to = s.p + s.len;
    end = to - what.len + 1; /* of where it may begin */
    c = rules_lower(what.p[0]);
    low = next_of(s.p, end, c);
    up = c >= 'a' && c <= 'z' ? next_of(s.p, end, (char)(c & ~0x20)) : end;
    for (;;) {
        const char *at = low < up ? low : up;

        if (at == end)
            return (struct postern_str){NULL, 0};
        s = (struct postern_str){at, (size_t)(to - at)};
        if (rules_istarts(s, what))
            return s;
        if (at == low)
            low = next_of(at + 1, end, c);
        else
            up = next_of(at + 1, end, (char)(c & ~0x20));
    }
}

/* Blocks whose count fits into a byte: compilers make vectors of that. */
size_t rules_count(struct postern_str s, unsigned char first, unsigned char last)
{
    enum { BLOCK_COUNTED = 64 };
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char span = last - first;
    size_t n = 0;
    size_t i = 0;

    for (; s.len - i >= BLOCK_COUNTED; i += BLOCK_COUNTED) {
        unsigned char some = 0;

        for (size_t k = 0; k < BLOCK_COUNTED; k++)
            some += (unsigned char)(p[i + k] - first) <= span;
        n += some;
    }
    for (; i < s.len; i++)
        n += (unsigned char)(p[i] - first) <= span;
    return n;
}

struct postern_str rules_trim(struct postern_str s)
{
    while (s.len > 0 && rules_is_blank(s.p[s.len - 1]))
        s.len--;
    while (s.len > 0 && rules_is_blank(s.p[0])) {
        s.p++;
        s.len--;
    }
    return s;
}

struct postern_str rules_word(struct postern_str *s)
{
    struct postern_str rest = rules_trim(*s);
    struct postern_str word = {rest.p, 0};

    while (word.len < rest.len && !rules_is_blank(rest.p[word.len]))
        word.len++;
    *s = rules_trim((struct postern_str){rest.p + word.len, rest.len - word.len});
    return word;
}

uint64_t rules_hash(struct postern_str s)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211U;
    return h ^ h >> 32;
}
