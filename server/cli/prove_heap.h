/*
 * A plugin's memory, watched and refused. The calls of malloc and its kin that a plugin and
 * the libraries behind it make are led through here, by their relocations: the program's own
 * calls never are. So a plugin is tested as it was built.
 *
 * What is counted is what a thread asks for between heap_enter and heap_leave, which stand
 * around each callback. Counts lie in memory that is shared with forked workers: whoever
 * forked them reads them there. One process tree at a time has it.
 */
#ifndef PN_PROVE_HEAP_H
#define PN_PROVE_HEAP_H

#include "buf.h"

#include <stdatomic.h>

enum { HEAP_SITES_MAX = 1 << 16 };

struct heap_counts {
    _Atomic uint64_t fail_at; /* this one fails, counting from 1; 0: none does */
    _Atomic uint64_t asked;   /* since heap_reset */
    _Atomic int64_t live;     /* blocks of callbacks, not freed yet */
    _Atomic int64_t live_bytes;
    _Atomic uint32_t failed; /* the one that was to fail did */
    _Atomic uint32_t round;  /* the parent's: one more a trial */
};

/* Shared with children from now on. Once a process. */
struct heap_counts *heap_init(void);
/* Leads the calls of every object that is loaded by now through here. Again after more was
 * loaded. False with a sentence in err. */
bool heap_lead(struct pn_buf *err);
/* In a fresh worker: what it inherited is not counted. keeps: its blocks are remembered. */
void heap_reset(bool keeps);
/* In a worker that stands in for one that died in this round: till the next it neither counts
 * nor is refused, since who repeats what killed the other counts at the same time. */
void heap_pass(void);
void heap_enter(void);
void heap_leave(void);
/* Counts one that the host was asked for. False: it fails. */
bool heap_may(void);
/* Where most of the live blocks come from, "plugin.so+0x1234 (12 blocks, 480 bytes)". */
void heap_site(struct pn_buf *out);

#endif
