#include "page.h"

#include "assert.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { SIZE = sizeof(struct pn_page) };

struct pn_page *pn_page_new(int *fd)
{
    *fd = memfd_create("postern-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return NULL;
    struct pn_page *page = MAP_FAILED;
    if (ftruncate(*fd, SIZE) == 0)
        page = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (page != MAP_FAILED &&
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) ==
            0) {
        page->magic = PN_PAGE_MAGIC;
        page->slots = PN_PAGE_SLOTS;
        page->pid = (uint32_t)getpid();
        return page;
    }
    int saved = errno;
    if (page != MAP_FAILED)
        (void)munmap(page, SIZE);
    (void)close(*fd);
    *fd = -1;
    errno = saved;
    return NULL;
}

/* ---- crashes */

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP};
enum { CRASH_SIGNALS = sizeof crash_signals / sizeof crash_signals[0] };
static struct pn_page *crash_page;
static struct sigaction crash_before[CRASH_SIGNALS];

/* Notes it and lets the instruction, or abort, meet the action that stood before. */
static void on_crash(int signo)
{
    atomic_store(&crash_page->crashed, 1);
    for (int i = 0; i < CRASH_SIGNALS; i++)
        if (crash_signals[i] == signo)
            (void)sigaction(signo, &crash_before[i], NULL);
}

/* A worker itself leaves by _exit alone, so whoever calls exit is a plugin. */
static void on_exit_call(void)
{
    atomic_store(&crash_page->crashed, 1);
    _exit(PN_PAGE_EXIT_CALLED);
}

void pn_page_note_crashes(struct pn_page *page)
{
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    crash_page = page;
    for (int i = 0; i < CRASH_SIGNALS; i++)
        (void)sigaction(crash_signals[i], &action, &crash_before[i]);
    pn_assert(atexit(on_exit_call) == 0);
}

const struct pn_page *pn_page_map(int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    /* Without the seals the worker could cut the file under our eyes: SIGBUS. */
    if (fstat(fd, &st) != 0 || st.st_size != SIZE || seals < 0 ||
        (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
        return NULL;
    const struct pn_page *page = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return NULL;
    if (page->magic == PN_PAGE_MAGIC && page->slots == PN_PAGE_SLOTS)
        return page;
    pn_page_unmap(&page);
    return NULL;
}

void pn_page_unmap(const struct pn_page **page)
{
    if (*page != NULL)
        (void)munmap((void *)(uintptr_t)*page, SIZE);
    *page = NULL;
}

void pn_page_enter(struct pn_page_slot *slot, uint64_t request, uint32_t tag, uint32_t step,
                   uint8_t plugin, uint8_t stage, uint32_t deadline_ms, uint64_t now_ns)
{
    atomic_fetch_add_explicit(&slot->serial, 1, memory_order_release);
    slot->start_ns = now_ns;
    slot->tag = tag;
    slot->step = step;
    slot->plugin = plugin;
    slot->stage = stage;
    slot->deadline_ms = deadline_ms;
    slot->what[0] = '\0';
    atomic_store_explicit(&slot->hung, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->request, request, memory_order_release);
}

void pn_page_leave(struct pn_page_slot *slot)
{
    atomic_store_explicit(&slot->request, 0, memory_order_release);
}
