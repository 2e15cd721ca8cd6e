#include "clock.h"

#include "assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SPIN_MS = 20 };

static _Atomic int64_t fixed_wall = -1;
static const _Atomic int64_t *followed_wall;

uint64_t pn_clock_mono_ns(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_MONOTONIC, &ts);
    pn_assert(rc == 0);
    return (uint64_t)ts.tv_sec * PN_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_of_thread(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    pn_assert(rc == 0);
    return (uint64_t)ts.tv_sec * PN_NS_PER_S + (uint64_t)ts.tv_nsec;
}

void pn_patience_init(struct pn_patience *p, uint64_t ms)
{
    uint64_t cpu_ms = ms < PN_PATIENCE_CPU_MS ? ms : PN_PATIENCE_CPU_MS;
    *p = (struct pn_patience){pn_clock_mono_ns() + ms * PN_NS_PER_MS, cpu_ms * PN_NS_PER_MS};
}

bool pn_patience_over(struct pn_patience *p)
{
    if (pn_clock_mono_ns() < p->until)
        return false;
    uint64_t turn = SPIN_MS * (uint64_t)PN_NS_PER_MS, begun = cpu_of_thread(), spent = 0;
    while (p->cpu_ns != 0 && spent < turn)
        spent = cpu_of_thread() - begun;
    p->cpu_ns -= spent < p->cpu_ns ? spent : p->cpu_ns;
    return p->cpu_ns == 0;
}

int64_t pn_clock_wall_ms(void)
{
    int64_t fixed = atomic_load(&fixed_wall);
    if (fixed >= 0)
        return fixed;
    if (followed_wall != NULL)
        return atomic_load(followed_wall);
    struct timespec ts;
    int rc = clock_gettime(CLOCK_REALTIME, &ts);
    pn_assert(rc == 0);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / (long)PN_NS_PER_MS;
}

void pn_clock_wall_fix(int64_t ms)
{
    atomic_store(&fixed_wall, ms);
}

bool pn_clock_wall_follow(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        errno = EINVAL;
        if (st.st_size == (off_t)sizeof *followed_wall)
            map = mmap(NULL, sizeof *followed_wall, PROT_READ, MAP_SHARED, fd, 0);
    }
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    if (map != MAP_FAILED)
        followed_wall = map;
    return map != MAP_FAILED;
}

static struct tm utc(int64_t wall_ms, int *ms)
{
    struct tm tm;
    int64_t s = wall_ms / 1000;
    if (wall_ms % 1000 < 0)
        s--;
    *ms = (int)(wall_ms - s * 1000);
    time_t t = (time_t)s;
    struct tm *got = gmtime_r(&t, &tm);
    pn_assert(got != NULL);
    return tm;
}

void pn_clock_rfc3339(struct pn_buf *out, int64_t wall_ms)
{
    int ms;
    struct tm tm = utc(wall_ms, &ms);
    (void)pn_buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                      tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
}

void pn_clock_rfc5322(struct pn_buf *out, int64_t wall_ms)
{
    /* By hand: strftime's names follow the locale. */
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int ms;
    struct tm tm = utc(wall_ms, &ms);
    (void)pn_buf_addf(out, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday,
                      months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
