#include "plan.h"

#include "mem.h"
#include "sim.h"

#include <string.h>

enum { ALL_OF = 4 /* things of which every choice is tried */ };

typedef void plan_fn(const struct disk *d, uint64_t *lot, struct cut *cut);

static void set_all(const struct disk *d, struct cut *cut, unsigned char on)
{
    memset(cut->on, on, d->pending_count);
}

static void nothing(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    (void)lot;
    set_all(d, cut, 0);
}

static void everything(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    (void)lot;
    set_all(d, cut, 1);
}

static void names_alone(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    (void)lot;
    for (size_t i = 0; i < d->pending_count; i++)
        cut->on[i] = d->pending[i].type == PENDING_NAME;
}

static void no_names(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    (void)lot;
    for (size_t i = 0; i < d->pending_count; i++)
        cut->on[i] = d->pending[i].type != PENDING_NAME;
}

/* All bytes are there, and any of the names. */
static void some_names(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    for (size_t i = 0; i < d->pending_count; i++)
        cut->on[i] = d->pending[i].type != PENDING_NAME || sim_below(lot, 2) == 0;
}

static void no_bytes(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    cut->garbage = sim_below(lot, 2) == 0;
    for (size_t i = 0; i < d->pending_count; i++)
        cut->on[i] = d->pending[i].type != PENDING_SECTOR;
}

static void one_alone(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    set_all(d, cut, 0);
    cut->on[sim_below(lot, d->pending_count)] = 1;
}

static void all_but_one(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    set_all(d, cut, 1);
    cut->on[sim_below(lot, d->pending_count)] = 0;
}

static void oldest(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    set_all(d, cut, 0);
    memset(cut->on, 1, sim_below(lot, d->pending_count + 1));
}

static void any(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    uint64_t weight = 1 + sim_below(lot, 7);
    cut->garbage = sim_below(lot, 2) == 0;
    for (size_t i = 0; i < d->pending_count; i++)
        cut->on[i] = sim_below(lot, 8) < weight;
}

/* Each file's bytes come or do not; names by themselves. */
static void whole_files(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    uint64_t seed = sim_random(lot);
    for (size_t i = 0; i < d->pending_count; i++) {
        uint64_t file = seed + d->pending[i].inode;
        bool name = d->pending[i].type == PENDING_NAME;
        cut->on[i] = (name ? sim_random(lot) : sim_random(&file)) % 2 == 0;
    }
}

/* A sector that is pending, or SIZE_MAX. */
static size_t any_sector(const struct disk *d, uint64_t *lot)
{
    size_t from = sim_below(lot, d->pending_count);
    for (size_t n = 0; n < d->pending_count; n++) {
        size_t i = (from + n) % d->pending_count;
        if (d->pending[i].type == PENDING_SECTOR)
            return i;
    }
    return SIZE_MAX;
}

static void torn(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    (sim_below(lot, 2) == 0 ? any : everything)(d, lot, cut);
    cut->torn = any_sector(d, lot);
    cut->torn_bytes = (unsigned)sim_below(lot, SECTOR);
}

static void spoilt(const struct disk *d, uint64_t *lot, struct cut *cut)
{
    (sim_below(lot, 2) == 0 ? any : everything)(d, lot, cut);
    cut->spoilt = any_sector(d, lot);
}

static const struct {
    const char *name;
    plan_fn *draw;
} plans[] = {
    {"nothing pending", nothing}, {"everything", everything},
    {"names alone", names_alone}, {"all but names", no_names},
    {"sizes alone", no_bytes},    {"some names", some_names},
    {"one alone", one_alone},     {"all but one", all_but_one},
    {"the oldest", oldest},       {"any", any},
    {"whole files", whole_files}, {"a torn sector", torn},
    {"a spoilt block", spoilt},
};

enum { PLANS = sizeof plans / sizeof plans[0], FIXED = 6 };

unsigned plan_count(const struct disk *d, unsigned most)
{
    unsigned all = d->pending_count <= ALL_OF ? 1U << d->pending_count : most;
    return all < most ? all : most;
}

void plan_draw(const struct disk *d, unsigned n, unsigned count, uint64_t *lot, struct cut *cut)
{
    *cut = (struct cut){.on = pn_calloc(d->pending_count + 1, 1),
                        .seed = sim_random(lot),
                        .torn = SIZE_MAX,
                        .spoilt = SIZE_MAX};
    if (d->pending_count <= ALL_OF && count == 1U << d->pending_count) {
        cut->plan = "each choice";
        for (size_t i = 0; i < d->pending_count; i++)
            cut->on[i] = (n >> i & 1) != 0;
        return;
    }
    size_t plan = n < FIXED ? n : FIXED + sim_below(lot, PLANS - FIXED);
    cut->plan = plans[plan].name;
    plans[plan].draw(d, lot, cut);
}
