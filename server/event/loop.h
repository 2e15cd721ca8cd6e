/*
 * The event loop of a role: descriptors, timers, signals, and work posted from
 * other threads. libevent is behind it, and nobody outside this folder sees it.
 *
 * One loop a process, run by one thread. Every callback runs on that thread, and
 * none runs from inside the call that arms it. Only pn_loop_post may be called
 * from another thread. Objects are owned by who made them; a _free takes a pointer
 * to the pointer, may be called from the object's own callback, and no callback
 * comes after it.
 */
#ifndef PN_LOOP_H
#define PN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct pn_loop;
struct pn_watch;
struct pn_timer;

struct pn_loop *pn_loop_new(void);
void pn_loop_free(struct pn_loop **loop);
/* Until pn_loop_stop, which may have been called already. */
void pn_loop_run(struct pn_loop *loop);
/* One turn; waits for at most ms (0: only what is ready). For tests and tools; never
 * from a callback. */
void pn_loop_turn(struct pn_loop *loop, unsigned ms);
void pn_loop_stop(struct pn_loop *loop);
/* The monotonic time at which this turn began, in ns; cheap. */
uint64_t pn_loop_now(const struct pn_loop *loop);

/* In a child, first of all, if it goes on with (or frees) a loop of its parent: from
 * here on they share nothing in the kernel. */
void pn_loop_after_fork(struct pn_loop *loop);

/* Runs fn(arg) at the end of this turn, before the next wait. */
void pn_loop_defer(struct pn_loop *loop, void (*fn)(void *arg), void *arg);
/* Takes back everything deferred or posted with this arg: before arg is freed. */
void pn_loop_forget(struct pn_loop *loop, const void *arg);
/* From any thread: runs fn(arg) on the loop's thread soon. Wakes the loop once
 * for any number of posts. */
void pn_loop_post(struct pn_loop *loop, void (*fn)(void *arg), void *arg);

/* Memory of the loop that a callback may use for what it receives. The next callback
 * that receives something overwrites it, so nothing in it outlives the callback. */
enum { PN_LOOP_SCRATCH = 192 * 1024 };
char *pn_loop_scratch(struct pn_loop *loop);

enum { PN_WATCH_READ = 1, PN_WATCH_WRITE = 2 };

/* Level-triggered; fd is borrowed. events may be 0 (armed later). */
struct pn_watch *pn_watch_new(struct pn_loop *loop, int fd, unsigned events,
                              void (*fn)(void *arg, unsigned events), void *arg);
void pn_watch_set(struct pn_watch *watch, unsigned events);
void pn_watch_free(struct pn_watch **watch);
/* From now on: other processes watch this descriptor too, and of those that sleep one is
 * woken, not all. Only for PN_WATCH_READ. */
void pn_watch_share(struct pn_watch *watch);
/* What the descriptor had was taken; next time it is another's turn. */
void pn_watch_pass(struct pn_watch *watch);

struct pn_timer *pn_timer_new(struct pn_loop *loop, void (*fn)(void *arg), void *arg);
/* Fires once, ms from now, never early; sets anew if it was set. Moving a deadline
 * away, as protocol timeouts do with every byte, costs constant time. */
void pn_timer_set(struct pn_timer *timer, uint64_t ms);
/* The same at a time of pn_loop_now's clock. */
void pn_timer_at(struct pn_timer *timer, uint64_t ns);
void pn_timer_clear(struct pn_timer *timer);
void pn_timer_free(struct pn_timer **timer);

/* Calls fn on the loop's thread when the process gets signo; for good. */
void pn_loop_signal(struct pn_loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg);

#endif
