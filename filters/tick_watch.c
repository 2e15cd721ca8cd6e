#include "tick_watch.h"

#include "assert.h"
#include "clock.h"

#include <string.h>
#include <sys/mman.h>

#define FIRST_NS (60 * (uint64_t)PN_NS_PER_S)
#define MOST_NS  (60 * FIRST_NS)

static size_t size_of(const struct tick_watch *t)
{
    return t->slots * sizeof *t->notes;
}

void tick_watch_init(struct tick_watch *t, unsigned slots)
{
    *t = (struct tick_watch){.slots = slots};
    t->notes = mmap(NULL, size_of(t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(t->notes != MAP_FAILED);
}

void tick_watch_fini(struct tick_watch *t)
{
    (void)munmap(t->notes, size_of(t));
    t->notes = NULL;
}

struct pn_ticking *tick_watch_begin(struct tick_watch *t, unsigned slot)
{
    struct pn_ticking *note = &t->notes[slot];
    pn_assert(slot < t->slots);
    atomic_store(&note->now, 0);
    memcpy(note->due, t->due, sizeof note->due);
    return note;
}

/* A minute, two, four ... an hour; one that was well for an hour begins anew. */
static void put_off(struct tick_watch *t, unsigned i, uint64_t now)
{
    if (now > t->due[i] + MOST_NS)
        t->deaths[i] = 0;
    uint64_t wait = t->deaths[i] < 6 ? FIRST_NS << t->deaths[i] : MOST_NS;
    t->deaths[i]++;
    t->due[i] = now + wait;
}

uint64_t tick_watch_end(struct tick_watch *t, unsigned slot, bool innocent)
{
    pn_assert(slot < t->slots);
    uint64_t those = innocent ? 0 : atomic_load(&t->notes[slot].now);
    uint64_t now = pn_clock_mono_ns();
    for (unsigned i = 0; i < PN_PLAN_PLUGINS_MAX; i++)
        if ((those >> i & 1) != 0 && t->due[i] <= now) /* several at once are one */
            put_off(t, i, now);
    return those;
}
