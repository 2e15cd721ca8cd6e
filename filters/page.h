/*
 * The page in which a worker's threads note what they are about to call, readable by
 * the runners that it works for, also after its death: who was in which plugin then
 * is a suspect.
 *
 * A memory file of fixed size, mapped shared by the worker and read-only by others
 * (sealed against other writers and sizes). A slot belongs to one thread; a request
 * of zero means idle. Fields are written before the request, so a reader that sees
 * the request sees them too; a reader looks at live slots without locks and may be
 * a moment late, never wrong about a dead worker.
 */
#ifndef PN_PAGE_H
#define PN_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { PN_PAGE_SLOTS = 256, PN_PAGE_MAGIC = 0x70616765, PN_PAGE_WHAT_MAX = 96 };
#define PN_PAGE_TICK UINT64_MAX    /* the request of a tick: nobody's; its channel is 0 */
enum { PN_PAGE_EXIT_CALLED = 71 }; /* how a worker ends whose plugin calls exit */

struct pn_page_slot {
    _Atomic uint64_t request; /* the runner's id; 0: idle */
    _Atomic uint32_t serial;  /* changes with each entry: for who looks at a live worker */
    uint64_t start_ns;        /* monotonic */
    uint32_t tag;             /* of the channel it came on */
    uint32_t step;
    uint32_t deadline_ms;
    uint8_t plugin;
    uint8_t stage;
    _Atomic uint8_t hung;        /* past its deadline and the grace: says the worker */
    char what[PN_PAGE_WHAT_MAX]; /* what it waits for, NUL-terminated: "TXT x.test" */
};

struct pn_page {
    uint32_t magic;
    uint32_t slots;
    _Atomic uint32_t draining; /* takes no new work */
    _Atomic uint32_t crashed;  /* its own doing: a fault or abort, no kill from outside */
    uint32_t pid;
    struct pn_page_slot slot[PN_PAGE_SLOTS];
};

/* The worker's: a new page, mapped read-write; *fd (owned) is for others. NULL: errno. */
struct pn_page *pn_page_new(int *fd);
/* From now on a fault or abort of this process is noted there first. Once a process. */
void pn_page_note_crashes(struct pn_page *page);
/* The runner's: read-only; fd stays the caller's. NULL: not such a page. */
const struct pn_page *pn_page_map(int fd);
void pn_page_unmap(const struct pn_page **page);

/* Note and clear one slot. */
void pn_page_enter(struct pn_page_slot *slot, uint64_t request, uint32_t tag, uint32_t step,
                   uint8_t plugin, uint8_t stage, uint32_t deadline_ms, uint64_t now_ns);
void pn_page_leave(struct pn_page_slot *slot);

#endif
