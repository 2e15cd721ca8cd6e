/*
 * Threads, clock and randomness of the code under test, made repeatable.
 *
 * The program is linked with --wrap for what is listed in Makefile.am: its threads run one
 * at a time, and which goes on is drawn from a seed, at each call that could block and at
 * each call to the file system. The clock stands still while anything can run, and then
 * jumps to the first deadline. So a run is the same for the same seed, waits for nothing,
 * and another seed is another order of events.
 *
 * The thread that called sim_begin is the driver. Mutexes, condition variables, pthread_create
 * and pthread_join work as ever between threads of the simulation; nothing else of pthreads
 * is simulated.
 */
#ifndef POWER_SIM_H
#define POWER_SIM_H

#include <stdbool.h>
#include <stdint.h>

void sim_begin(uint64_t seed);
/* Another thread may go on here. */
void sim_yield(void);
/* All others run until each of them waits for the driver or for time. */
void sim_settle(void);
/* Some of the others run for that many turns at most, time standing still. */
void sim_turns(unsigned n);
/* The calling thread, not the driver, never goes on. */
void sim_stop(void);
/* All other threads stop for ever where they are, as at a kill -9. */
void sim_kill_others(void);

/* splitmix64; *state is the caller's. */
uint64_t sim_random(uint64_t *state);
/* Below n, n > 0. */
static inline uint64_t sim_below(uint64_t *state, uint64_t n)
{
    return sim_random(state) % n;
}

#endif
