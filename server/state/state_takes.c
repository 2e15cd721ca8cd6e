#include "state_takes.h"

#include "assert.h"
#include "mem.h"

#include <stddef.h>
#include <stdlib.h>

enum { SLOTS = 16384 };

/* A slot's list: an entry goes without a look at the others. */
struct links {
    struct entry *next, **prev;
};

/* A message takes from several buckets for each of its recipients, thousands where there are
 * many: found by the step, and let go together by the owner. */
struct entry {
    struct state_take take;
    struct links found, owned;
    struct entry *older, *younger; /* of all */
    uint64_t since_ns;
    char key[];
};

struct state_takes {
    struct entry *by_step[SLOTS], *by_owner[SLOTS];
    struct entry *oldest, *youngest;
    size_t count, max;
    uint64_t age_ns;
};

struct state_takes *state_takes_new(size_t max, uint64_t age_ns)
{
    struct state_takes *t = pn_calloc(1, sizeof *t);
    t->max = max;
    t->age_ns = age_ns;
    return t;
}

void state_takes_free(struct state_takes **takes)
{
    struct state_takes *t = *takes;
    if (t == NULL)
        return;
    *takes = NULL;
    while (t->oldest != NULL) {
        struct entry *e = t->oldest;
        t->oldest = e->younger;
        free(e);
    }
    free(t);
}

/* Owners are random numbers. */
static struct entry **owner_slot(struct state_takes *t, uint64_t owner)
{
    return &t->by_owner[(owner ^ owner >> 32) % SLOTS];
}

static struct entry **step_slot(struct state_takes *t, uint64_t owner, uint32_t step)
{
    return &t->by_step[(owner ^ owner >> 32 ^ step * UINT64_C(0x9e3779b1)) % SLOTS];
}

/* The two lists alike: which one says the offset of its links. */
static struct links *links_of(struct entry *e, size_t offset)
{
    return (struct links *)((char *)e + offset);
}

static void link_in(struct entry **slot, struct entry *e, size_t offset)
{
    *links_of(e, offset) = (struct links){*slot, slot};
    if (*slot != NULL)
        links_of(*slot, offset)->prev = &links_of(e, offset)->next;
    *slot = e;
}

static void link_out(struct entry *e, size_t offset)
{
    struct links *l = links_of(e, offset);
    *l->prev = l->next;
    if (l->next != NULL)
        links_of(l->next, offset)->prev = l->prev;
}

static struct entry *entry_of(struct state_take *take)
{
    return (struct entry *)take; /* its first member */
}

void state_takes_remove(struct state_takes *t, struct state_take *take)
{
    struct entry *e = entry_of(take);
    link_out(e, offsetof(struct entry, found));
    link_out(e, offsetof(struct entry, owned));
    *(e->older == NULL ? &t->oldest : &e->older->younger) = e->younger;
    *(e->younger == NULL ? &t->youngest : &e->younger->older) = e->older;
    t->count--;
    free(e);
}

struct state_take *state_takes_find(struct state_takes *t, uint64_t owner, uint32_t step,
                                    struct pn_str key)
{
    for (struct entry *e = *step_slot(t, owner, step); e != NULL; e = e->found.next)
        if (e->take.owner == owner && e->take.step == step && pn_str_eq(e->take.key, key))
            return &e->take;
    return NULL;
}

/* False: the oldest waits for its answer. */
static bool make_room(struct state_takes *t, uint64_t now_ns)
{
    while (t->oldest != NULL && t->oldest->take.answered &&
           (t->count >= t->max || now_ns - t->oldest->since_ns > t->age_ns))
        state_takes_remove(t, &t->oldest->take);
    return t->count < t->max;
}

struct state_take *state_takes_add(struct state_takes *t, const struct pn_state_ask *ask,
                                   uint64_t now_ns)
{
    if (!make_room(t, now_ns))
        return NULL;
    struct entry *e = pn_calloc(1, sizeof *e + ask->key.len);
    memcpy(e->key, ask->key.p, ask->key.len);
    e->take = (struct state_take){.owner = ask->owner,
                                  .step = ask->step,
                                  .bucket = ask->bucket,
                                  .now_ms = ask->now_ms,
                                  .key = {e->key, ask->key.len}};
    e->since_ns = now_ns;
    link_in(step_slot(t, ask->owner, ask->step), e, offsetof(struct entry, found));
    link_in(owner_slot(t, ask->owner), e, offsetof(struct entry, owned));
    e->older = t->youngest;
    *(t->youngest == NULL ? &t->oldest : &t->youngest->younger) = e;
    t->youngest = e;
    t->count++;
    return &e->take;
}

void state_takes_each(struct state_takes *t, uint64_t owner,
                      bool (*fn)(void *ctx, struct state_take *take), void *ctx)
{
    for (struct entry *e = *owner_slot(t, owner), *next; e != NULL; e = next) {
        next = e->owned.next;
        if (e->take.owner == owner && fn(ctx, &e->take))
            state_takes_remove(t, &e->take);
    }
}

size_t state_takes_count(const struct state_takes *t)
{
    return t->count;
}
