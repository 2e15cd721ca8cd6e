#include "mapped.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLACES = 1024 };

/* Taken by its size; the handler reads it without a lock, at any time. */
struct place {
    atomic_uintptr_t from;
    atomic_size_t size;
    atomic_bool taken, cut;
};

static struct place places[PLACES];
static uintptr_t page_size;
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct place *place_of(uintptr_t at)
{
    for (size_t i = 0; i < PLACES; i++) {
        size_t size = atomic_load(&places[i].size);
        uintptr_t from = atomic_load(&places[i].from);
        if (size > 0 && at >= from && at - from < size)
            return &places[i];
    }
    return NULL;
}

static uintptr_t page_of(uintptr_t at)
{
    return at & ~(page_size - 1);
}

/* Zeros in place of the page that is not there; who looked looks again. */
static void on_bus_error(int signal, siginfo_t *info, void *context)
{
    int error = errno;
    uintptr_t at = page_of((uintptr_t)info->si_addr); /* the last one goes on behind the size */
    struct place *place = place_of(at);
    if (place != NULL && mmap((void *)at, page_size, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
        atomic_store(&place->cut, true);
        errno = error;
        return;
    }
    /* Not ours: as if we were not here. */
    if ((before.sa_flags & SA_SIGINFO) != 0)
        before.sa_sigaction(signal, info, context);
    else if (sigaction(SIGBUS, &before, NULL) == 0)
        (void)raise(SIGBUS);
}

static void init(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &before);
}

static struct place *take(void)
{
    for (size_t i = 0; i < PLACES; i++)
        if (!atomic_exchange(&places[i].taken, true))
            return &places[i];
    return NULL;
}

const char *mapped_open(int fd, size_t size)
{
    (void)pthread_once(&once, init);
    struct place *place = take();
    if (place == NULL) {
        errno = EMFILE;
        return NULL;
    }
    const char *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        atomic_store(&place->taken, false);
        return NULL;
    }
    atomic_store(&place->cut, false);
    atomic_store(&place->from, (uintptr_t)map);
    atomic_store(&place->size, size);
    return map;
}

bool mapped_is_whole(const char *bytes)
{
    const struct place *place = place_of((uintptr_t)bytes);
    return place == NULL || !atomic_load(&place->cut);
}

void mapped_close(const char *bytes, size_t size)
{
    struct place *place = place_of((uintptr_t)bytes);
    if (place != NULL)
        atomic_store(&place->size, 0);
    (void)munmap((void *)(uintptr_t)bytes, size);
    if (place != NULL)
        atomic_store(&place->taken, false);
}
