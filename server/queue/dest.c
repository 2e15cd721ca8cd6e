#include "dest.h"

#include "alabel.h"
#include "mem.h"
#include "pool.h"

#include <stdlib.h>

enum {
    MINUTE_MS = 60 * 1000,
    HOUR_MS = 60 * MINUTE_MS,
    SHUN_MAX_MS = 30 * 1000,
    STRINGS_MAX = 16 * 1024
};

struct dests {
    struct dest **table;
    size_t size;       /* a power of two */
    struct dest *none; /* nobody's */
    struct dest *star; /* "*", or nobody's; borrowed from the table */
    uint64_t longest_retry_ms;
};

static struct dest *dest_new(const struct pn_destination *is)
{
    struct dest *d = pn_calloc(1, sizeof *d);
    d->refs = 1;
    d->is = *is;
    d->pool = pn_pool_new_secret(STRINGS_MAX);
    d->is.name = pn_pool_dup(d->pool, is->name);
    d->is.next_hop = pn_pool_dup(d->pool, is->next_hop);
    d->is.user = pn_pool_dup(d->pool, is->user);
    d->is.password_file = pn_pool_dup(d->pool, is->password_file);
    return d;
}

struct dest *dest_ref(struct dest *dest)
{
    dest->refs++;
    return dest;
}

void dest_unref(struct dest **dest)
{
    struct dest *d = *dest;
    *dest = NULL;
    if (d == NULL || --d->refs > 0)
        return;
    pn_pool_free(&d->pool);
    free(d);
}

uint64_t dest_retry_ms(const struct dest *dest, unsigned n)
{
    size_t i = n == 0 ? 0 : n - 1;
    return dest->is.retry_ms[i < dest->is.retry_count ? i : dest->is.retry_count - 1];
}

uint64_t dest_shun_ms(const struct dest *dest)
{
    uint64_t ms = dest_retry_ms(dest, 1) / 2;
    return ms < SHUN_MAX_MS ? ms : SHUN_MAX_MS;
}

static struct dest **slot_of(const struct dests *dests, struct pn_str name)
{
    return &dests->table[pn_str_hash(name, 0, true) & (dests->size - 1)];
}

static struct dest *named(const struct dests *dests, struct pn_str name)
{
    struct dest *d = *slot_of(dests, name);
    while (d != NULL && !pn_str_ieq(d->is.name, name))
        d = d->next_same;
    return d;
}

static void add(struct dests *dests, struct dest *d)
{
    struct dest **slot = slot_of(dests, d->is.name);
    d->next_same = *slot;
    *slot = d;
    for (size_t i = 0; i < d->is.retry_count; i++)
        if (d->is.retry_ms[i] > dests->longest_retry_ms)
            dests->longest_retry_ms = d->is.retry_ms[i];
}

/* The rows' defaults: for tests, and until a policy is given. */
static void by_defaults(struct pn_destination *out)
{
    static const uint64_t retries[] = {MINUTE_MS,      5 * MINUTE_MS,  10 * MINUTE_MS,
                                       20 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS,
                                       2 * HOUR_MS,    4 * HOUR_MS};
    *out = (struct pn_destination){.name = PN_STR(""),
                                   .next_hop = PN_STR(""),
                                   .tls = PN_DEST_TLS_MAY,
                                   .user = PN_STR(""),
                                   .password_file = PN_STR(""),
                                   .connections = 20,
                                   .messages_per_connection = 100,
                                   .retry_count = sizeof retries / sizeof retries[0],
                                   .expire_ms = 120ULL * HOUR_MS};
    memcpy(out->retry_ms, retries, sizeof retries);
}

/* The one for its destination. */
static void add_password(struct dest *d, const struct pn_hop_password *passwords, size_t count)
{
    for (size_t i = 0; i < count && d->is.user.len != 0; i++)
        if (pn_str_eq(passwords[i].destination, d->is.name))
            d->password = pn_pool_dup(d->pool, passwords[i].password);
}

struct dests *dests_new(const struct pn_policy *policy, const struct pn_hop_password *passwords,
                        size_t password_count)
{
    size_t count = policy == NULL ? 0 : pn_policy_destination_count(policy);
    struct dests *dests = pn_calloc(1, sizeof *dests);
    struct pn_destination is;
    for (dests->size = 16; dests->size < 2 * count;)
        dests->size *= 2;
    dests->table = pn_calloc(dests->size, sizeof(struct dest *));
    if (policy == NULL)
        by_defaults(&is);
    else
        pn_policy_destination_none(policy, &is);
    add(dests, dests->none = dest_new(&is)); /* under "", which no domain is */
    for (size_t i = 0; i < count; i++) {
        pn_policy_destination(policy, i, &is);
        struct dest *d = dest_new(&is);
        add_password(d, passwords, password_count);
        add(dests, d);
    }
    dests->star = named(dests, PN_STR("*"));
    if (dests->star == NULL)
        dests->star = dests->none;
    return dests;
}

void dests_free(struct dests **dests)
{
    struct dests *all = *dests;
    *dests = NULL;
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->size; i++)
        for (struct dest *d = all->table[i], *next; d != NULL; d = next) {
            next = d->next_same;
            d->next_same = NULL;
            dest_unref(&d);
        }
    free(all->table);
    free(all);
}

struct dest *dests_find(const struct dests *dests, struct pn_str domain, bool stranger)
{
    struct dest *other = stranger ? dests->star : dests->none;
    struct pn_alabel room;
    if (domain.len == 0 || domain.len > 255 || domain.p[0] == '.')
        return other;
    domain = pn_alabel_domain(domain, &room);
    if (domain.p == NULL || pn_str_eq(domain, PN_STR("*")))
        return other;
    struct dest *d = named(dests, domain);
    for (size_t dot = pn_str_find(domain, '.', 0); d == NULL && dot != SIZE_MAX;
         dot = pn_str_find(domain, '.', dot + 1))
        d = named(dests, pn_str_slice(domain, dot, domain.len));
    return d == NULL ? other : d;
}

struct dest *dests_same(const struct dests *dests, const struct dest *dest)
{
    return named(dests, dest->is.name);
}

uint64_t dests_longest_retry_ms(const struct dests *dests)
{
    return dests->longest_retry_ms;
}

struct pn_str dest_domain(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at == 0 ? PN_STR("") : pn_str_slice(address, at, address.len);
}
