#include "last_reply.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

enum { TABLE_FIRST = 256, STATUS_MAX = 15 };

struct kept {
    struct kept *next_same;
    uint64_t hash;
    uint32_t count;
    char text[];
};

struct replies {
    struct kept **table;
    size_t size; /* a power of two */
    size_t count;
    uint64_t seed; /* strangers choose the texts, so it is a secret */
};

struct replies *replies_new(void)
{
    struct replies *all = pn_calloc(1, sizeof *all);
    if (getrandom(&all->seed, sizeof all->seed, 0) < 0)
        all->seed = pn_clock_mono_ns();
    all->size = TABLE_FIRST;
    all->table = pn_calloc(all->size, sizeof(struct kept *));
    return all;
}

void replies_free(struct replies **replies)
{
    struct replies *all = *replies;
    if (all == NULL)
        return;
    pn_assert(all->count == 0);
    free(all->table);
    free(all);
    *replies = NULL;
}

size_t replies_count(const struct replies *replies)
{
    return replies->count;
}

static void grow(struct replies *all)
{
    struct kept **old = all->table;
    size_t old_size = all->size;
    all->size *= 2;
    all->table = pn_calloc(all->size, sizeof(struct kept *));
    for (size_t i = 0; i < old_size; i++)
        for (struct kept *k = old[i], *next; k != NULL; k = next) {
            struct kept **at = &all->table[k->hash & (all->size - 1)];
            next = k->next_same;
            k->next_same = *at;
            *at = k;
        }
    free(old);
}

/* "450 4.7.1 Words" without its words; "450 Words" without them, too. */
static struct pn_str status_of(struct pn_str text)
{
    size_t at = 0;
    for (unsigned words = 0; at < text.len && words < 2; at++)
        if (text.p[at] == ' ') {
            words++;
            bool status = at + 1 < text.len && pn_is_digit(text.p[at + 1]);
            if (words == 2 || !status)
                break;
        }
    return pn_str_slice(text, 0, at < STATUS_MAX ? at : STATUS_MAX);
}

static const char *keep(struct replies *all, struct pn_str text, bool whole)
{
    uint64_t hash = pn_str_hash(text, all->seed, false);
    if (text.len == 0)
        return NULL;
    for (struct kept *k = all->table[hash & (all->size - 1)]; k != NULL; k = k->next_same)
        if (k->hash == hash && pn_str_eq(pn_str_of(k->text), text)) {
            k->count++;
            return k->text;
        }
    if (!whole && all->count >= REPLIES_WHOLE)
        return keep(all, status_of(text), true);
    if (all->count >= all->size)
        grow(all);
    struct kept *k = pn_alloc(sizeof *k + text.len + 1);
    struct kept **at = &all->table[hash & (all->size - 1)];
    *k = (struct kept){.next_same = *at, .hash = hash, .count = 1};
    memcpy(k->text, text.p, text.len);
    k->text[text.len] = '\0';
    *at = k;
    all->count++;
    return k->text;
}

const char *reply_keep(struct replies *all, struct pn_str text)
{
    return keep(all, text, false);
}

void reply_drop(struct replies *all, const char *reply)
{
    if (reply == NULL)
        return;
    struct kept *k = (struct kept *)(uintptr_t)(reply - offsetof(struct kept, text));
    pn_assert(k->count > 0);
    if (--k->count > 0)
        return;
    struct kept **at = &all->table[k->hash & (all->size - 1)];
    while (*at != k)
        at = &(*at)->next_same;
    *at = k->next_same;
    all->count--;
    free(k);
}
