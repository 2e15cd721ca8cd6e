#include "rules_names.h"

#include <stdlib.h>

enum { LABELS_MAX = 4 };

struct rules_name {
    enum rules_list list;
    bool glob, gone;
    struct postern_str text;
};

static size_t slot_of(const struct rules_names *n, enum rules_list list, struct postern_str name)
{
    uint64_t h = 14695981039346656037U ^ (uint64_t)list;
    size_t slot;

    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)rules_lower(name.p[i])) * 1099511628211U;
    slot = (h ^ h >> 32) & (n->slots - 1);
    while (n->table[slot] != 0 && (n->items[n->table[slot] - 1].list != list ||
                                   !rules_ieq(n->items[n->table[slot] - 1].text, name)))
        slot = (slot + 1) & (n->slots - 1);
    return slot;
}

static bool grow(struct rules_names *n)
{
    size_t room = n->room == 0 ? 512 : n->room * 2;
    struct rules_name *items;
    uint32_t *table;

    if (n->count < n->room)
        return true;
    if (n->count >= RULES_NAMES_MAX)
        return false;
    items = realloc(n->items, room * sizeof(*items));
    if (items == NULL)
        return false;
    n->items = items;
    table = calloc(2 * room, sizeof(*table));
    if (table == NULL)
        return false;
    free(n->table);
    n->table = table;
    n->slots = 2 * room;
    n->room = room;
    for (size_t i = 0; i < n->count; i++)
        n->table[slot_of(n, n->items[i].list, n->items[i].text)] = (uint32_t)i + 1;
    return true;
}

/* The last eight bytes in small letters, the last one lowest; as many as there are up to a star
 * or question mark, if those count. *mask: which of the eight. */
static uint64_t tail_of(struct postern_str s, bool glob, uint64_t *mask)
{
    uint64_t tail = 0;

    *mask = 0;
    for (size_t i = 0; i < sizeof(tail) && i < s.len; i++) {
        char c = s.p[s.len - 1 - i];

        if (glob && (c == '*' || c == '?'))
            break;
        tail |= (uint64_t)(unsigned char)rules_lower(c) << 8 * i;
        *mask |= UINT64_C(0xff) << 8 * i;
    }
    return tail;
}

static bool add_glob(struct rules_globs *g, uint32_t index, struct postern_str text)
{
    struct rules_globbed *new;

    if (g->count == g->room) {
        size_t room = g->room == 0 ? 32 : g->room * 2;
        struct rules_globbed *p = realloc(g->p, room * sizeof(*p));

        if (p == NULL)
            return false;
        g->p = p;
        g->room = room;
    }
    new = &g->p[g->count++];
    new->tail = tail_of(text, true, &new->mask);
    new->item = index;
    return true;
}

bool rules_names_add(struct rules_names *n, struct rules_arena *a, enum rules_list list,
                     struct postern_str name)
{
    struct rules_name item = {.list = list};
    size_t slot;

    if (!grow(n))
        return false;
    slot = slot_of(n, list, name);
    if (n->table[slot] != 0) {
        n->counts[list] += n->items[n->table[slot] - 1].gone;
        n->items[n->table[slot] - 1].gone = false;
        return true;
    }
    item.text = rules_dup(a, name);
    if (item.text.p == NULL)
        return false;
    item.glob = memchr(name.p, '*', name.len) != NULL || memchr(name.p, '?', name.len) != NULL;
    if (item.glob && !add_glob(&n->globs[list], (uint32_t)n->count, item.text))
        return false;
    n->counts[list]++;
    n->items[n->count++] = item;
    n->table[slot] = (uint32_t)n->count;
    return true;
}

void rules_names_clear(struct rules_names *n, enum rules_list list)
{
    for (size_t i = 0; i < n->count; i++)
        n->items[i].gone |= n->items[i].list == list;
    n->counts[list] = 0;
}

bool rules_names_has(const struct rules_names *n, enum rules_list list, struct postern_str name)
{
    uint64_t tail, mask;
    size_t slot;

    if (n->counts[list] == 0)
        return false;
    slot = slot_of(n, list, name);
    if (n->table[slot] != 0 && !n->items[n->table[slot] - 1].gone)
        return true;
    tail = tail_of(name, false, &mask);
    for (size_t i = 0; i < n->globs[list].count; i++) {
        const struct rules_globbed *g = &n->globs[list].p[i];
        const struct rules_name *item = &n->items[g->item];

        if ((tail & g->mask) == g->tail && !item->gone &&
            rules_glob(item->text, name, list == RULES_FREEMAIL))
            return true;
    }
    return false;
}

struct postern_str rules_names_at(const struct rules_names *n, enum rules_list list, size_t i)
{
    for (size_t k = 0; k < n->count; k++)
        if (n->items[k].list == list && !n->items[k].gone && i-- == 0)
            return n->items[k].text;
    return (struct postern_str){NULL, 0};
}

void rules_names_free(struct rules_names *n)
{
    free(n->items);
    for (int list = 0; list < RULES_LISTS; list++)
        free(n->globs[list].p);
    free(n->table);
    *n = (struct rules_names){.count = 0};
}

/* A star is tried again one byte further on, only the last one: never more than quadratic. */
bool rules_glob(struct postern_str pattern, struct postern_str name, bool one_label)
{
    size_t p = 0;
    size_t i = 0;
    size_t star = SIZE_MAX;
    size_t from = 0;

    while (i < name.len) {
        if (p < pattern.len && pattern.p[p] == '*') {
            star = p++;
            from = i;
        } else if (p < pattern.len &&
                   (pattern.p[p] == '?' || rules_lower(pattern.p[p]) == rules_lower(name.p[i]))) {
            p++;
            i++;
        } else if (star != SIZE_MAX && !(one_label && name.p[from] == '.')) {
            p = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.p[p] == '*')
        p++;
    return p == pattern.len;
}

/* ---- domains ---- */

/* The last n labels of a host; all of it where it has no more. */
static struct postern_str last_labels(struct postern_str host, size_t n)
{
    size_t at = host.len;

    while (at > 0 && (host.p[at - 1] != '.' || --n > 0))
        at--;
    return (struct postern_str){host.p + at, host.len - at};
}

static bool is_letters(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (rules_lower(s.p[i]) < 'a' || rules_lower(s.p[i]) > 'z')
            return false;
    return s.len >= 2;
}

bool rules_domain_valid(const struct rules_names *n, struct postern_str host)
{
    struct postern_str tld = last_labels(host, 1);

    if (tld.len == host.len || tld.len == 0)
        return false;
    if (n->counts[RULES_TLDS] == 0)
        return is_letters(tld);
    return rules_names_has(n, RULES_TLDS, tld);
}

struct postern_str rules_domain_of(const struct rules_names *n, struct postern_str host)
{
    struct postern_str three = last_labels(host, 3);
    struct postern_str two = last_labels(host, 2);

    if (three.len < host.len && rules_names_has(n, RULES_THREE_TLDS, three))
        return last_labels(host, LABELS_MAX);
    if (two.len < host.len && rules_names_has(n, RULES_TWO_TLDS, two))
        return three;
    return two;
}
