/* For tests over days (LD_PRELOAD): the wall clock moved by what the file $CLOCK_SHIFT says, eight
 * bytes, milliseconds. The file is mapped when a process starts, so that jails don't matter,
 * and may be changed while it runs. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const volatile int64_t *shift_ms;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK_SHIFT");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        (void)close(fd);
    shift_ms = p == MAP_FAILED ? NULL : p;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ts);

EXPORT int clock_gettime(clockid_t clock, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(clock, ts);
    if (rc == 0 && clock == CLOCK_REALTIME && shift_ms != NULL)
        ts->tv_sec += *shift_ms / 1000;
    return rc;
}
