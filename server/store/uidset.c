#include "uidset.h"

#include "mem.h"

#include <stdlib.h>

void pn_uidset_init(struct pn_uidset *set, size_t max)
{
    *set = (struct pn_uidset){.max = max};
}

void pn_uidset_fini(struct pn_uidset *set)
{
    free(set->v);
    *set = (struct pn_uidset){.max = set->max};
}

void pn_uidset_clear(struct pn_uidset *set)
{
    set->count = 0;
    set->overflow = false;
}

/* The first range that ends at or behind n. */
static size_t find(const struct pn_uidset *set, uint32_t n)
{
    size_t low = 0, high = set->count;
    if (high > 0 && set->v[high - 1].last < n)
        return high; /* upwards is what mostly happens */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (set->v[mid].last < n)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Ranges [at, at + gone) become `with` ones, whose values the caller sets. */
static bool splice(struct pn_uidset *set, size_t at, size_t gone, size_t with)
{
    size_t count = set->count - gone + with;
    if (count > set->max) {
        set->overflow = true;
        return false;
    }
    while (set->cap < count)
        set->v = pn_grow(set->v, &set->cap, set->cap, sizeof *set->v);
    if (gone != with && at + gone < set->count)
        memmove(set->v + at + with, set->v + at + gone, (set->count - at - gone) * sizeof *set->v);
    set->count = count;
    return true;
}

bool pn_uidset_add(struct pn_uidset *set, uint32_t first, uint32_t last)
{
    if (first > last) {
        uint32_t swap = first;
        first = last;
        last = swap;
    }
    if (last == 0)
        return true;
    if (first == 0)
        first = 1;
    /* Those that touch it, or are adjacent. */
    size_t at = find(set, first > 1 ? first - 1 : 1), end = at;
    while (end < set->count && (last == UINT32_MAX || set->v[end].first <= last + 1))
        end++;
    struct pn_uidrange range = {first, last};
    if (end > at) {
        if (set->v[at].first < range.first)
            range.first = set->v[at].first;
        if (set->v[end - 1].last > range.last)
            range.last = set->v[end - 1].last;
    }
    if (!splice(set, at, end - at, 1))
        return false;
    set->v[at] = range;
    return true;
}

/* Takes v over as what the set holds. */
static void replace(struct pn_uidset *set, struct pn_uidset *with)
{
    free(set->v);
    set->v = with->v;
    set->count = with->count;
    set->cap = with->cap;
    set->overflow = set->overflow || with->overflow;
}

bool pn_uidset_add_set(struct pn_uidset *set, const struct pn_uidset *other)
{
    struct pn_uidset both;
    size_t i = 0, j = 0;
    if (other->count == 0)
        return !set->overflow;
    pn_uidset_init(&both, set->max);
    while (i < set->count || j < other->count) {
        bool mine = j == other->count || (i < set->count && set->v[i].first <= other->v[j].first);
        const struct pn_uidrange *r = mine ? &set->v[i++] : &other->v[j++];
        if (!pn_uidset_add(&both, r->first, r->last))
            break;
    }
    bool ok = !both.overflow;
    if (ok) {
        replace(set, &both);
    } else {
        pn_uidset_fini(&both);
        set->overflow = true;
    }
    return ok && !set->overflow;
}

void pn_uidset_remove(struct pn_uidset *set, uint32_t first, uint32_t last)
{
    size_t at = find(set, first), end = at;
    struct pn_uidrange rest[2];
    size_t n = 0;
    while (end < set->count && set->v[end].first <= last)
        end++;
    if (end == at || first > last)
        return;
    if (set->v[at].first < first)
        rest[n++] = (struct pn_uidrange){set->v[at].first, first - 1};
    if (set->v[end - 1].last > last)
        rest[n++] = (struct pn_uidrange){last + 1, set->v[end - 1].last};
    if (!splice(set, at, end - at, n)) { /* a hole that has no room: what is behind it goes too */
        n = 1;
        (void)splice(set, at, end - at, n);
    }
    for (size_t i = 0; i < n; i++)
        set->v[at + i] = rest[i];
}

bool pn_uidset_intersect(struct pn_uidset *set, const struct pn_uidset *with)
{
    struct pn_uidset both;
    pn_uidset_init(&both, set->max);
    for (size_t i = 0, j = 0; i < set->count && j < with->count;) {
        const struct pn_uidrange a = set->v[i], b = with->v[j];
        uint32_t first = a.first > b.first ? a.first : b.first;
        uint32_t last = a.last < b.last ? a.last : b.last;
        if (first <= last && !pn_uidset_add(&both, first, last))
            break;
        if (a.last < b.last)
            i++;
        else
            j++;
    }
    replace(set, &both);
    return !set->overflow;
}

bool pn_uidset_has(const struct pn_uidset *set, uint32_t n)
{
    size_t at = find(set, n);
    return n > 0 && at < set->count && set->v[at].first <= n;
}

uint64_t pn_uidset_size(const struct pn_uidset *set)
{
    uint64_t size = 0;
    for (size_t i = 0; i < set->count; i++)
        size += (uint64_t)set->v[i].last - set->v[i].first + 1;
    return size;
}

bool pn_uidset_print(const struct pn_uidset *set, struct pn_buf *out)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct pn_uidrange *r = &set->v[i];
        if (i > 0)
            (void)pn_buf_addc(out, ',');
        if (r->first == r->last)
            (void)pn_buf_addf(out, "%u", r->first);
        else
            (void)pn_buf_addf(out, "%u:%u", r->first, r->last);
    }
    return !out->overflow;
}

/* seq-number: nz-number or "*". */
static bool number(struct pn_str text, uint32_t star, uint32_t *out)
{
    uint64_t n;
    if (pn_str_eq(text, PN_STR("*"))) {
        *out = star;
        return true;
    }
    if (text.len == 0 || text.p[0] == '0' || !pn_str_u64(text, UINT32_MAX, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

bool pn_uidset_parse(struct pn_uidset *set, struct pn_str text, uint32_t star)
{
    if (text.len == 0)
        return false;
    for (struct pn_str rest = text; rest.p != NULL;) {
        struct pn_str last = pn_str_split(&rest, ',');
        struct pn_str first = pn_str_split(&last, ':');
        uint32_t a, b;
        if (!number(first, star, &a))
            return false;
        b = a;
        if (last.p != NULL && !number(last, star, &b))
            return false;
        if (star > 0 && !pn_uidset_add(set, a, b))
            return false;
    }
    return true;
}
