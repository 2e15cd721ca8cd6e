#include "guard.h"

#include "assert.h"
#include "mem.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <sys/random.h>

enum { WAYS = 8, PRINTS = 4, KEY = 32, DELAY_FIRST_MS = 1000, DELAY_DOUBLINGS = 4 };

struct slot {
    uint64_t key; /* 0: free */
    /* When the last of its failures is forgotten: failures are time ahead of now. */
    uint64_t until_ms;
    uint64_t seen_ms; /* of a pair: its last login */
    uint32_t pending;
    uint16_t prints[PRINTS]; /* of failed passwords, the newest first; 0: none */
};

enum table_kind { ADDRESSES, ACCOUNTS, PAIRS, TABLES };

struct auth_guard {
    struct slot *tables[TABLES];
    size_t slots;
    uint64_t seed;
    unsigned char key[KEY]; /* of prints */
};

struct auth_guard *auth_guard_new(size_t slots)
{
    struct auth_guard *g = pn_calloc(1, sizeof *g);
    pn_assert(slots >= WAYS && (slots & (slots - 1)) == 0);
    g->slots = slots;
    for (int i = 0; i < TABLES; i++)
        g->tables[i] = pn_calloc(slots, sizeof *g->tables[i]);
    pn_assert(getrandom(&g->seed, sizeof g->seed, 0) == (ssize_t)sizeof g->seed);
    pn_assert(getrandom(g->key, sizeof g->key, 0) == (ssize_t)sizeof g->key);
    return g;
}

void auth_guard_free(struct auth_guard **guard)
{
    struct auth_guard *g = *guard;
    *guard = NULL;
    if (g == NULL)
        return;
    for (int i = 0; i < TABLES; i++) {
        explicit_bzero(g->tables[i], g->slots * sizeof *g->tables[i]);
        free(g->tables[i]);
    }
    explicit_bzero(g, sizeof *g);
    free(g);
}

/* ---- slots */

static struct slot *set_of(const struct auth_guard *g, enum table_kind kind, uint64_t key)
{
    return g->tables[kind] + (key & (g->slots / WAYS - 1)) * WAYS;
}

static struct slot *find(const struct auth_guard *g, enum table_kind kind, uint64_t key)
{
    struct slot *set = set_of(g, kind, key);
    for (int i = 0; key != 0 && i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

/* Whichever is missed least; not one that a login is under way at. NULL: all are. */
static struct slot *claim(const struct auth_guard *g, enum table_kind kind, uint64_t key)
{
    struct slot *set = set_of(g, kind, key), *least = find(g, kind, key);
    if (least != NULL || key == 0)
        return least;
    for (int i = 0; i < WAYS; i++) {
        struct slot *s = &set[i];
        if (s->pending != 0)
            continue;
        if (least == NULL || s->key == 0 ||
            (least->key != 0 && s->until_ms + s->seen_ms < least->until_ms + least->seen_ms))
            least = s;
    }
    if (least != NULL)
        *least = (struct slot){.key = key};
    return least;
}

static uint32_t failures(const struct slot *s, const struct auth_guard_rules *r, uint64_t now_ms)
{
    if (s == NULL || s->until_ms <= now_ms)
        return 0;
    uint64_t n = (s->until_ms - now_ms + r->forget_ms - 1) / r->forget_ms;
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static void add_failure(struct slot *s, const struct auth_guard_rules *r, uint32_t max,
                        uint64_t now_ms)
{
    if (s == NULL)
        return;
    uint64_t from = s->until_ms > now_ms ? s->until_ms : now_ms;
    uint64_t most = now_ms + max * r->forget_ms; /* the rules may have become milder */
    s->until_ms = from + r->forget_ms < most ? from + r->forget_ms : most;
}

static void leave(struct slot *s)
{
    if (s != NULL && s->pending != 0)
        s->pending--;
}

/* ---- keys */

static uint64_t key_of(const struct auth_guard *g, struct pn_str bytes, bool fold)
{
    uint64_t key = pn_str_hash(bytes, g->seed, fold);
    return key == 0 ? 1 : key;
}

static uint64_t address_key(const struct auth_guard *g, const struct pn_ip *ip)
{
    struct pn_net net = pn_net_of(ip, 32, 64);
    return key_of(g, (struct pn_str){(const char *)net.ip.b, sizeof net.ip.b}, false);
}

static uint64_t pair_key(const struct auth_guard *g, uint64_t address, uint64_t account)
{
    uint64_t both[2] = {address, account};
    return key_of(g, (struct pn_str){(const char *)both, sizeof both}, false);
}

/* ---- a login */

static enum auth_word word_of(const struct slot *s, const struct auth_guard_rules *r, uint32_t max,
                              uint64_t now_ms)
{
    uint32_t n = failures(s, r, now_ms);
    if (n >= max)
        return AUTH_SHUT;
    return s != NULL && s->pending >= max - n ? AUTH_LATER : AUTH_GO;
}

static enum auth_word worse(enum auth_word a, enum auth_word b)
{
    return a > b ? a : b;
}

enum auth_word auth_guard_ask(struct auth_guard *g, const struct auth_guard_rules *r,
                              const struct pn_ip *ip, bool count_address, struct pn_str account,
                              uint64_t now_ms, struct auth_ticket *ticket, bool *known)
{
    uint64_t address_is = address_key(g, ip);
    uint64_t account_is = key_of(g, account, true);
    uint64_t pair_is = pair_key(g, address_is, account_is);
    struct slot *pair = find(g, PAIRS, pair_is);
    *ticket = (struct auth_ticket){0};
    *known = pair != NULL;
    if (pair != NULL) {
        enum auth_word word = word_of(pair, r, r->address_max, now_ms);
        if (word == AUTH_GO) {
            ticket->pair = pair_is;
            pair->pending++;
        }
        return word;
    }
    struct slot *at_account = claim(g, ACCOUNTS, account_is);
    struct slot *at_address = count_address ? claim(g, ADDRESSES, address_is) : NULL;
    if (at_account == NULL || (count_address && at_address == NULL))
        return AUTH_LATER;
    enum auth_word word = worse(word_of(at_account, r, r->account_max, now_ms),
                                word_of(at_address, r, r->address_max, now_ms));
    if (word != AUTH_GO)
        return word;
    at_account->pending++;
    if (at_address != NULL)
        at_address->pending++;
    *ticket = (struct auth_ticket){
        .address = count_address ? address_is : 0, .account = account_is, .pair = pair_is};
    return AUTH_GO;
}

void auth_guard_print(const struct auth_guard *g, struct auth_ticket *ticket, struct pn_str account,
                      struct pn_str password)
{
    unsigned char digest[32];
    unsigned n = 0;
    struct pn_buf b;
    pn_buf_init(&b, account.len + password.len + 1);
    (void)pn_buf_reserve(&b, account.len + password.len + 1);
    (void)(pn_buf_adds(&b, account) && pn_buf_addc(&b, '\0') && pn_buf_adds(&b, password));
    if (HMAC(EVP_sha256(), g->key, KEY, (const unsigned char *)b.p, b.len, digest, &n) != NULL) {
        uint16_t print = (uint16_t)(digest[0] | digest[1] << 8);
        ticket->print = print == 0 ? 1 : print;
    }
    explicit_bzero(digest, sizeof digest);
    explicit_bzero(b.p, b.cap);
    pn_buf_fini(&b);
}

/* True: it was tried before; else it is kept. */
static bool tried_before(struct slot *s, uint16_t print)
{
    if (s == NULL || print == 0)
        return false;
    for (int i = 0; i < PRINTS; i++)
        if (s->prints[i] == print)
            return true;
    memmove(s->prints + 1, s->prints, (PRINTS - 1) * sizeof s->prints[0]);
    s->prints[0] = print;
    return false;
}

static uint32_t delay_of(uint32_t n, const struct auth_guard_rules *r)
{
    if (n < r->slow_after)
        return 0;
    uint32_t doublings = n - r->slow_after;
    uint32_t ms =
        doublings >= DELAY_DOUBLINGS ? AUTH_DELAY_MAX_MS : (uint32_t)DELAY_FIRST_MS << doublings;
    return ms < AUTH_DELAY_MAX_MS ? ms : AUTH_DELAY_MAX_MS;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t auth_guard_failed(struct auth_guard *g, const struct auth_guard_rules *r,
                           const struct auth_ticket *t, uint64_t now_ms)
{
    struct slot *address = find(g, ADDRESSES, t->address);
    struct slot *account = find(g, ACCOUNTS, t->account);
    struct slot *pair = find(g, PAIRS, t->pair);
    leave(address);
    leave(account);
    if (t->account == 0)
        leave(pair);
    /* A pair that became known meanwhile does not help who failed. */
    struct slot *first = t->account == 0 ? pair : address != NULL ? address : account;
    if (!tried_before(first, t->print)) {
        add_failure(t->account == 0 ? pair : address, r, r->address_max, now_ms);
        add_failure(account, r, r->account_max, now_ms);
    }
    uint32_t n = larger(failures(address, r, now_ms), failures(account, r, now_ms));
    return delay_of(t->account == 0 ? failures(pair, r, now_ms) : n, r);
}

void auth_guard_dropped(struct auth_guard *g, const struct auth_ticket *t)
{
    leave(find(g, ADDRESSES, t->address));
    leave(find(g, ACCOUNTS, t->account));
    if (t->account == 0)
        leave(find(g, PAIRS, t->pair));
}

void auth_guard_passed(struct auth_guard *g, const struct auth_ticket *t, uint64_t now_ms)
{
    auth_guard_dropped(g, t);
    struct slot *pair = claim(g, PAIRS, t->pair);
    if (pair == NULL)
        return;
    pair->seen_ms = now_ms;
    pair->until_ms = 0;
    memset(pair->prints, 0, sizeof pair->prints);
}

static size_t count_shut(const struct auth_guard *g, enum table_kind kind, uint32_t max,
                         const struct auth_guard_rules *r, uint64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < g->slots; i++)
        n += g->tables[kind][i].key != 0 && failures(&g->tables[kind][i], r, now_ms) >= max;
    return n;
}

void auth_guard_shut(const struct auth_guard *g, const struct auth_guard_rules *r, uint64_t now_ms,
                     size_t *addresses, size_t *accounts)
{
    *addresses = count_shut(g, ADDRESSES, r->address_max, r, now_ms);
    *accounts = count_shut(g, ACCOUNTS, r->account_max, r, now_ms);
}
