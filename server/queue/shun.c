#include "shun.h"

#include "clock.h"
#include "mem.h"

#include <sys/random.h>

enum { PLACES = 4096 };

struct shunned {
    struct hop_address to;
    uint64_t until_ns;
};

/* Strangers choose the addresses, so the seed is a secret. */
static struct shunned *place_of(const struct queue *q, const struct hop_address *to)
{
    struct pn_str ip = {(const char *)to->ip.b, sizeof to->ip.b};
    return &q->shunned[pn_str_hash(ip, q->shun_seed + to->port, false) % PLACES];
}

static bool is_it(const struct shunned *s, const struct hop_address *to)
{
    return s->to.port == to->port && pn_ip_eq(&s->to.ip, &to->ip);
}

void shun_note(struct queue *q, const struct hop_address *to, uint64_t ms)
{
    *place_of(q, to) = (struct shunned){*to, pn_clock_mono_ns() + ms * PN_NS_PER_MS};
}

void shun_forget(struct queue *q, const struct hop_address *to)
{
    struct shunned *s = place_of(q, to);
    if (is_it(s, to))
        s->until_ns = 0;
}

bool shun_is(const struct queue *q, const struct hop_address *to)
{
    const struct shunned *s = place_of(q, to);
    return is_it(s, to) && s->until_ns > pn_clock_mono_ns();
}

void shun_init(struct queue *q)
{
    q->shunned = pn_calloc(PLACES, sizeof *q->shunned);
    if (getrandom(&q->shun_seed, sizeof q->shun_seed, 0) < 0)
        q->shun_seed = pn_clock_mono_ns();
}
