#include "boundary.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

void boundaries_init(struct boundaries *b)
{
    /* Where the loader put this struct is random enough: results do not depend on it. */
    *b = (struct boundaries){.seed = (uint64_t)(uintptr_t)b * 0x9e3779b97f4a7c15U};
    pn_buf_init(&b->bytes, SIZE_MAX);
    for (size_t i = 0; i < BOUNDARY_BUCKETS; i++)
        b->buckets[i] = -1;
}

void boundaries_fini(struct boundaries *b)
{
    pn_buf_fini(&b->bytes);
    free(b->v);
    free(b->lengths);
}

static uint64_t hash_more(uint64_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 0x100000001b3U;
    return h;
}

static size_t bucket_of(uint64_t hash)
{
    return (size_t)((hash ^ hash >> 32) * 0x9e3779b97f4a7c15U >> 56);
}

static size_t length_index(const struct boundaries *b, size_t len)
{
    size_t i = 0;
    while (i < b->length_count && b->lengths[i].len < len)
        i++;
    return i;
}

static void add_length(struct boundaries *b, size_t len)
{
    size_t i = length_index(b, len);
    if (i < b->length_count && b->lengths[i].len == len) {
        b->lengths[i].count++;
        return;
    }
    b->lengths = pn_grow(b->lengths, &b->length_cap, b->length_count, sizeof *b->lengths);
    memmove(b->lengths + i + 1, b->lengths + i, (b->length_count - i) * sizeof *b->lengths);
    b->lengths[i] = (struct boundary_length){(uint32_t)len, 1};
    b->length_count++;
}

static void remove_length(struct boundaries *b, size_t len)
{
    size_t i = length_index(b, len);
    pn_assert(i < b->length_count && b->lengths[i].len == len);
    if (--b->lengths[i].count != 0)
        return;
    b->length_count--;
    memmove(b->lengths + i, b->lengths + i + 1, (b->length_count - i) * sizeof *b->lengths);
}

void boundaries_push(struct boundaries *b, struct pn_str boundary, int32_t number)
{
    pn_assert(boundary.len > 0 && boundary.len <= BOUNDARY_MAX);
    uint64_t hash = hash_more(b->seed, boundary.p, boundary.len);
    int32_t *bucket = &b->buckets[bucket_of(hash)];
    b->v = pn_grow(b->v, &b->cap, b->count, sizeof *b->v);
    b->v[b->count] = (struct boundary_entry){hash, (uint32_t)b->bytes.len, (uint32_t)boundary.len,
                                             *bucket, number};
    *bucket = (int32_t)b->count++;
    (void)pn_buf_adds(&b->bytes, boundary);
    add_length(b, boundary.len);
}

void boundaries_pop(struct boundaries *b)
{
    pn_assert(b->count > 0);
    const struct boundary_entry *e = &b->v[--b->count];
    b->buckets[bucket_of(e->hash)] = e->chain;
    b->bytes.len = e->at;
    remove_length(b, e->len);
}

int32_t boundaries_match(const struct boundaries *b, struct pn_str text, size_t *len)
{
    int32_t found = -1;
    uint64_t hash = b->seed;
    size_t hashed = 0;
    for (size_t i = 0; i < b->length_count && b->lengths[i].len <= text.len; i++) {
        size_t n = b->lengths[i].len;
        hash = hash_more(hash, text.p + hashed, n - hashed);
        hashed = n;
        for (int32_t at = b->buckets[bucket_of(hash)]; at >= 0; at = b->v[at].chain) {
            const struct boundary_entry *e = &b->v[at];
            if (e->hash != hash || e->len != n || memcmp(b->bytes.p + e->at, text.p, n) != 0)
                continue;
            found = e->number;
            *len = n;
            break;
        }
    }
    return found;
}
