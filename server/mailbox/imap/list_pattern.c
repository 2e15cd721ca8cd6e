/*
 * A pattern as an automaton whose states are bits, all advanced at once: state n is "its first n
 * parts matched". Runs of wildcards are one part, and a pattern of more letters than a name may
 * have matches none, so the states are bounded.
 */
#include "list_pattern.h"

#include "folder_name.h"

enum { PARTS_MAX = 2 * PN_FOLDER_NAME_MAX + 1, WORDS = (PARTS_MAX + 1 + 63) / 64 };

struct list_pattern {
    unsigned parts;
    bool never;              /* longer than any name */
    uint64_t any[WORDS];     /* state n is in it: part n is '*' */
    uint64_t level[WORDS];   /* it is '%' */
    uint64_t wild[WORDS];    /* either */
    uint64_t is[256][WORDS]; /* it is this byte */
};

static void set(uint64_t *bits, unsigned n)
{
    bits[n / 64] |= (uint64_t)1 << (n % 64);
}

static bool has(const uint64_t *bits, unsigned n)
{
    return (bits[n / 64] >> (n % 64) & 1) != 0;
}

/* A wildcard behind one: the wider of the two stays. */
static bool joined(struct list_pattern *p, char c)
{
    if (p->parts == 0 || !has(p->wild, p->parts - 1))
        return false;
    if (c == '*')
        set(p->any, p->parts - 1);
    return true;
}

static void add(struct list_pattern *p, char c)
{
    bool wild = c == '*' || c == '%';
    if (p->never || (wild && joined(p, c)))
        return;
    p->never = p->parts == PARTS_MAX;
    if (p->never)
        return;
    if (wild)
        set(p->wild, p->parts);
    set(c == '*' ? p->any : c == '%' ? p->level : p->is[(unsigned char)c], p->parts);
    p->parts++;
}

struct list_pattern *list_pattern_new(struct pn_pool *pool, struct pn_str reference,
                                      struct pn_str name)
{
    struct list_pattern *p = pn_pool_alloc(pool, sizeof *p);
    if (p == NULL)
        return NULL;
    for (size_t i = 0; i < reference.len; i++)
        add(p, reference.p[i]);
    for (size_t i = 0; i < name.len; i++)
        add(p, name.p[i]);
    return p;
}

/* to |= bits << 1 */
static void shift_into(uint64_t *to, const uint64_t *bits)
{
    uint64_t carry = 0;
    for (unsigned w = 0; w < WORDS; w++) {
        to[w] |= bits[w] << 1 | carry;
        carry = bits[w] >> 63;
    }
}

/* A wildcard may stand for nothing; no two are side by side. */
static void skip_wild(const struct list_pattern *p, uint64_t *states)
{
    uint64_t at_wild[WORDS];
    for (unsigned w = 0; w < WORDS; w++)
        at_wild[w] = states[w] & p->wild[w];
    shift_into(states, at_wild);
}

static bool step(const struct list_pattern *p, uint64_t *states, char c, bool fold)
{
    const uint64_t *is = p->is[(unsigned char)c], *is_too = p->is[(unsigned char)pn_lower(c)];
    uint64_t on[WORDS], some = 0;
    for (unsigned w = 0; w < WORDS; w++) {
        on[w] = states[w] & (fold ? is[w] | is_too[w] : is[w]);
        states[w] &= p->any[w] | (c == '/' ? 0 : p->level[w]);
    }
    shift_into(states, on);
    skip_wild(p, states);
    for (unsigned w = 0; w < WORDS; w++)
        some |= states[w];
    return some != 0;
}

bool list_pattern_matches(const struct list_pattern *p, struct pn_str name)
{
    static const struct pn_str inbox = PN_STR_INIT("INBOX");
    size_t folded = pn_str_eq(name, inbox) || folder_name_below(name, inbox) ? inbox.len : 0;
    uint64_t states[WORDS] = {1};
    if (p->never)
        return false;
    skip_wild(p, states);
    for (size_t i = 0; i < name.len; i++)
        if (!step(p, states, name.p[i], i < folded))
            return false;
    return has(states, p->parts);
}
