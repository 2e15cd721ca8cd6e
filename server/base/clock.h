/*
 * Clocks. Roles read time through here so that tests and replays can set it.
 *
 * Monotonic times are nanoseconds of CLOCK_MONOTONIC, for timers and durations;
 * wall times are milliseconds since 1970 UTC, for stamps.
 */
#ifndef PN_CLOCK_H
#define PN_CLOCK_H

#include "buf.h"

#define PN_NS_PER_MS 1000000U
#define PN_NS_PER_S  1000000000U

uint64_t pn_clock_mono_ns(void);
int64_t pn_clock_wall_ms(void);
/* From now on the wall clock stands at ms (replays); a negative value frees it. */
void pn_clock_wall_fix(int64_t ms);

/* From now on it stands where this file says: an int64_t of milliseconds, in the machine's
 * order, which whoever tests may change at any time. Before the jail. False with errno. */
bool pn_clock_wall_follow(const char *path);

/*
 * Patience that a loaded machine does not use up: its time by the clock, and then as much again,
 * though at most PN_PATIENCE_CPU_MS, of CPU time of the thread that asks, spent in asking. What
 * runs beside it with the same priority had as much: what did not end by then hangs. For what
 * judges others by it (proofs, tests), never where a client waits.
 */
enum { PN_PATIENCE_CPU_MS = 500 };

struct pn_patience {
    uint64_t until, cpu_ns;
};

void pn_patience_init(struct pn_patience *patience, uint64_t ms);
/* Past its time it takes some milliseconds of the CPU each time that it is asked. */
bool pn_patience_over(struct pn_patience *patience);

/* 2026-11-22T01:02:03.456Z (RFC 3339, UTC). */
void pn_clock_rfc3339(struct pn_buf *out, int64_t wall_ms);
/* Sun, 22 Nov 2026 01:02:03 +0000 (RFC 5322, section 3.3, UTC). */
void pn_clock_rfc5322(struct pn_buf *out, int64_t wall_ms);

#endif
