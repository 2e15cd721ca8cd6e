#include "limit_table.h"

#include "assert.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAYS = 8, RATES_ROOM = 7 };

#define MAGIC  0x31736c696d6e7000U
#define MINUTE UINT64_C(60000000000)
#define HOUR   (60 * MINUTE)

/* Keys are none of these. KEY_TAKING and an edge's number: that edge takes the place over,
 * and if it dies within, the next of its number frees it. */
enum { KEY_FREE = 0, KEY_TAKING = 1, KEY_FIRST = KEY_TAKING + PN_LIMITS_EDGES_MAX };

/* What a user's entry has in place of rates. */
enum { USER_SENT, USER_HELD };

/* Of an address, a network or a user; three cache lines. A key's place is one of WAYS neighbours.
 */
struct entry {
    _Atomic uint64_t key;
    _Atomic uint64_t due[RATES_ROOM];               /* when a rate will have recovered, ns */
    _Atomic uint16_t sessions[PN_LIMITS_EDGES_MAX]; /* a column an edge */
};

_Static_assert(sizeof(struct entry) == 192, "three cache lines");
_Static_assert((int)PN_RATE_COUNT <= (int)RATES_ROOM, "room for rates");

struct table {
    uint64_t magic;
    uint64_t seed;
    uint32_t entries; /* a multiple of WAYS, a power of two */
    _Atomic uint64_t missed;
    _Atomic uint64_t caps[PN_CAP_COUNT][PN_LIMITS_EDGES_MAX];
    _Alignas(64) struct entry entry[];
};

struct pn_limits {
    struct table *table;
    size_t size;
    unsigned edge;
};

const char *pn_limit_name(enum pn_limit limit)
{
    static const char *const names[] = {
        [PN_LIMIT_NONE] = "none",
        [PN_LIMIT_ADDRESS_SESSIONS] = "sessions per address",
        [PN_LIMIT_NETWORK_SESSIONS] = "sessions per network",
        [PN_LIMIT_ADDRESS_RATE] = "rate per address",
        [PN_LIMIT_NETWORK_RATE] = "rate per network",
    };
    return names[limit];
}

/* ---- the table */

static size_t size_of(uint32_t entries)
{
    return sizeof(struct table) + (size_t)entries * sizeof(struct entry);
}

static bool entries_ok(uint32_t entries)
{
    return entries >= WAYS && (entries & (entries - 1)) == 0 && entries <= 1U << 24;
}

int pn_limits_create(uint32_t entries)
{
    struct table head = {.magic = MAGIC, .entries = entries};
    pn_assert(entries_ok(entries));
    int fd = memfd_create("limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (getrandom(&head.seed, sizeof head.seed, 0) == sizeof head.seed &&
        ftruncate(fd, (off_t)size_of(entries)) == 0 &&
        write(fd, &head, sizeof head) == sizeof head &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static bool table_ok(const struct table *t, size_t size)
{
    return t->magic == MAGIC && entries_ok(t->entries) && size == size_of(t->entries);
}

static void clear_entry(struct entry *e, unsigned edge)
{
    uint64_t taking = KEY_TAKING + edge;
    e->sessions[edge] = 0;
    (void)atomic_compare_exchange_strong(&e->key, &taking, KEY_FREE);
}

/* What an edge of this number had open when it ended. Holes of the file are passed
 * over: to read them would make pages. */
static void clear_column(struct table *t, int fd, off_t size, unsigned edge)
{
    off_t from = lseek(fd, (off_t)sizeof *t, SEEK_DATA);
    for (unsigned cap = 0; cap < PN_CAP_COUNT; cap++)
        t->caps[cap][edge] = 0;
    while (from >= 0 && from < size) {
        off_t to = lseek(fd, from, SEEK_HOLE);
        if (to < 0 || to > size)
            to = size;
        size_t first = ((size_t)from - sizeof *t) / sizeof t->entry[0];
        for (size_t i = first; i < t->entries && size_of((uint32_t)i) < (size_t)to; i++)
            clear_entry(&t->entry[i], edge);
        from = lseek(fd, to, SEEK_DATA);
    }
}

struct pn_limits *pn_limits_open(int fd, unsigned edge)
{
    struct stat st;
    errno = EINVAL;
    if (edge >= PN_LIMITS_EDGES_MAX || fstat(fd, &st) != 0 ||
        (size_t)st.st_size < sizeof(struct table))
        return NULL;
    size_t size = (size_t)st.st_size;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return NULL;
    if (!table_ok(map, size)) {
        (void)munmap(map, size);
        errno = EINVAL;
        return NULL;
    }
    struct pn_limits *l = pn_calloc(1, sizeof *l);
    *l = (struct pn_limits){map, size, edge};
    clear_column(map, fd, st.st_size, edge);
    return l;
}

void pn_limits_close(struct pn_limits **limits)
{
    struct pn_limits *l = *limits;
    if (l == NULL)
        return;
    (void)munmap(l->table, l->size);
    free(l);
    *limits = NULL;
}

uint64_t pn_limits_missed(const struct pn_limits *l)
{
    return l->table->missed;
}

/* ---- entries */

static uint64_t key_of(const struct table *t, const struct pn_ip *ip, bool network)
{
    char bytes[17];
    bytes[0] = network ? 'n' : 'a';
    if (network) {
        struct pn_net net = pn_net_of_client(ip);
        memcpy(bytes + 1, net.ip.b, 16);
    } else {
        memcpy(bytes + 1, ip->b, 16);
    }
    uint64_t key = pn_str_hash((struct pn_str){bytes, sizeof bytes}, t->seed, false);
    return key >= KEY_FIRST ? key : KEY_FIRST;
}

static uint32_t sessions(const struct entry *e)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < PN_LIMITS_EDGES_MAX; i++)
        sum += atomic_load_explicit(&e->sessions[i], memory_order_relaxed);
    return sum;
}

/* How long its rates will still remember something; 0: they have recovered. */
static uint64_t memory(const struct entry *e, uint64_t now)
{
    uint64_t longest = 0;
    for (unsigned i = 0; i < PN_RATE_COUNT; i++) {
        uint64_t due = atomic_load_explicit(&e->due[i], memory_order_relaxed);
        if (due > now && due - now > longest)
            longest = due - now;
    }
    return longest;
}

/*
 * Takes over an entry without sessions. Between our look at its sessions and our mark
 * another edge may have entered one: it looks at the key again behind its count, we at
 * the counts again behind our mark, so one of us sees the other and steps back.
 */
static bool take_over(struct entry *e, uint64_t old, uint64_t key, unsigned edge)
{
    if (!atomic_compare_exchange_strong(&e->key, &old, KEY_TAKING + edge))
        return false;
    if (sessions(e) != 0) {
        atomic_store(&e->key, old);
        return false;
    }
    for (unsigned i = 0; i < RATES_ROOM; i++)
        e->due[i] = 0;
    atomic_store(&e->key, key);
    return true;
}

/* The entry of a key, made if need be; NULL: no place. Two edges that make one at the
 * same moment may make two: the first is found from then on, the second dries up. keep
 * (may be NULL) was found for the same event, which is not counted in it yet: it may
 * look as if it remembered nothing. */
static struct entry *find(struct pn_limits *l, uint64_t key, uint64_t now, const struct entry *keep)
{
    struct table *t = l->table;
    struct entry *ways = &t->entry[key % (t->entries / WAYS) * WAYS];
    for (;;) {
        struct entry *best = NULL;
        uint64_t best_key = 0, best_memory = UINT64_MAX;
        for (unsigned i = 0; i < WAYS; i++) {
            uint64_t there = ways[i].key;
            if (there == key)
                return &ways[i];
            uint64_t remembers = there == KEY_FREE ? 0 : memory(&ways[i], now);
            bool taken = there >= KEY_TAKING && there < KEY_FIRST;
            if (taken || remembers >= best_memory || &ways[i] == keep || sessions(&ways[i]) != 0)
                continue;
            best = &ways[i];
            best_key = there;
            best_memory = remembers;
        }
        if (best == NULL) {
            atomic_fetch_add(&t->missed, 1);
            return NULL;
        }
        if (take_over(best, best_key, key, l->edge))
            return best;
        /* Another edge was quicker: look again. */
    }
}

/* ---- rates */

/* When `rate` n a minute will have recovered from one more event; 0: it is refused. */
static uint64_t due_after(const struct entry *e, enum pn_rate rate, uint32_t n, uint64_t now)
{
    uint64_t due = e->due[rate];
    if (due < now || due > now + 2 * MINUTE)
        due = now;
    due += MINUTE / n;
    return due <= now + MINUTE ? due : 0;
}

static bool rate_allows(const struct entry *e, enum pn_rate rate, uint32_t n, uint64_t now)
{
    return e == NULL || n == 0 || due_after(e, rate, n, now) != 0;
}

static void rate_count(struct entry *e, enum pn_rate rate, uint32_t n, uint64_t now)
{
    if (e == NULL || n == 0)
        return;
    uint64_t old = e->due[rate], due;
    do {
        due = due_after(e, rate, n, now);
        if (due == 0)
            due = now + MINUTE; /* others counted meanwhile: it stays at its fullest */
    } while (!atomic_compare_exchange_weak(&e->due[rate], &old, due));
}

enum pn_limit pn_limits_rate(struct pn_limits *l, const struct pn_limit_rules *rules,
                             const struct pn_ip *ip, enum pn_rate rate, uint64_t now)
{
    uint32_t by_network = rules->network[rate], by_address = rules->address[rate];
    struct entry *network = NULL, *address = NULL;
    if (by_network != 0)
        network = find(l, key_of(l->table, ip, true), now, NULL);
    if (!rate_allows(network, rate, by_network, now))
        return PN_LIMIT_NETWORK_RATE;
    if (by_address != 0)
        address = find(l, key_of(l->table, ip, false), now, network);
    if (!rate_allows(address, rate, by_address, now))
        return PN_LIMIT_ADDRESS_RATE;
    rate_count(network, rate, by_network, now);
    rate_count(address, rate, by_address, now);
    return PN_LIMIT_NONE;
}

/* ---- users */

static uint64_t key_of_user(const struct table *t, struct pn_str user)
{
    /* Not where addresses are: the same bytes are another key. */
    uint64_t key = pn_str_hash(user, ~t->seed, true);
    return key >= KEY_FIRST ? key : KEY_FIRST;
}

/* What he sent is remembered as the time when it will be forgotten; true: it is too much. */
static bool user_sent(struct entry *e, uint32_t per_hour, uint32_t n, uint64_t now)
{
    uint64_t old = e->due[USER_SENT], due;
    do {
        due = old < now || old > now + 2 * HOUR ? now : old;
        due += n > per_hour ? HOUR + 1 : n * (HOUR / per_hour);
    } while (!atomic_compare_exchange_weak(&e->due[USER_SENT], &old,
                                           due < now + HOUR ? due : now + HOUR));
    return due > now + HOUR;
}

enum pn_user_rate pn_limits_user(struct pn_limits *l, struct pn_str user, uint32_t per_hour,
                                 uint64_t hold, uint32_t n, uint64_t now)
{
    struct entry *e = find(l, key_of_user(l->table, user), now, NULL);
    if (e == NULL)
        return PN_USER_FREE;
    uint64_t held = e->due[USER_HELD];
    if (held > now && held <= now + hold)
        return PN_USER_HELD;
    if (!user_sent(e, per_hour, n, now))
        return PN_USER_FREE;
    /* Of edges that notice at once, one says so. */
    return atomic_compare_exchange_strong(&e->due[USER_HELD], &held, now + hold) ? PN_USER_NOTICED
                                                                                 : PN_USER_HELD;
}

/* ---- sessions */

static void uncount(struct pn_limits *l, uint32_t *slot)
{
    if (*slot != 0)
        atomic_fetch_sub(&l->table->entry[*slot - 1].sessions[l->edge], 1);
    *slot = 0;
}

/* Counts a session; false: over max. Where there is no place it is not counted. */
static bool count(struct pn_limits *l, uint64_t key, uint32_t max, uint64_t now, uint32_t *slot)
{
    for (;;) {
        struct entry *e = max == 0 ? NULL : find(l, key, now, NULL);
        if (e == NULL || e->sessions[l->edge] == UINT16_MAX)
            return e == NULL;
        *slot = (uint32_t)(e - l->table->entry) + 1;
        atomic_fetch_add(&e->sessions[l->edge], 1);
        if (atomic_load(&e->key) != key) {
            uncount(l, slot); /* see take_over */
            continue;
        }
        if (sessions(e) <= max)
            return true;
        uncount(l, slot);
        return false;
    }
}

enum pn_limit pn_limits_enter(struct pn_limits *l, const struct pn_limit_rules *rules,
                              const struct pn_ip *ip, uint64_t now, struct pn_limits_ticket *ticket)
{
    struct table *t = l->table;
    *ticket = (struct pn_limits_ticket){{0, 0}};
    if (!count(l, key_of(t, ip, true), rules->network_sessions, now, &ticket->slots[1]))
        return PN_LIMIT_NETWORK_SESSIONS;
    enum pn_limit limit = PN_LIMIT_NONE;
    if (rules->network[PN_RATE_CONNECT] != 0 &&
        !rate_allows(find(l, key_of(t, ip, true), now, NULL), PN_RATE_CONNECT,
                     rules->network[PN_RATE_CONNECT], now))
        limit = PN_LIMIT_NETWORK_RATE;
    else if (!count(l, key_of(t, ip, false), rules->address_sessions, now, &ticket->slots[0]))
        limit = PN_LIMIT_ADDRESS_SESSIONS;
    else
        limit = pn_limits_rate(l, rules, ip, PN_RATE_CONNECT, now);
    if (limit != PN_LIMIT_NONE)
        pn_limits_leave(l, ticket);
    return limit;
}

void pn_limits_leave(struct pn_limits *l, struct pn_limits_ticket *ticket)
{
    uncount(l, &ticket->slots[0]);
    uncount(l, &ticket->slots[1]);
}

/* ---- caps */

uint64_t pn_cap_sum(const struct pn_limits *l, enum pn_cap cap)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PN_LIMITS_EDGES_MAX; i++)
        sum += atomic_load_explicit(&l->table->caps[cap][i], memory_order_relaxed);
    return sum;
}

bool pn_cap_take(struct pn_limits *l, enum pn_cap cap, uint64_t n, uint64_t max)
{
    atomic_fetch_add(&l->table->caps[cap][l->edge], n);
    if (pn_cap_sum(l, cap) <= max)
        return true;
    pn_cap_give(l, cap, n);
    return false;
}

void pn_cap_give(struct pn_limits *l, enum pn_cap cap, uint64_t n)
{
    pn_assert(atomic_fetch_sub(&l->table->caps[cap][l->edge], n) >= n);
}
