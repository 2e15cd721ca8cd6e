#include "events.h"

#include "buf.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAITING_MAX = 16 * 1024 * 1024, NAME_MAX_BYTES = 256 };

struct events {
    struct pn_loop *loop;
    int folder_fd; /* borrowed */
    int fd;
    char name[NAME_MAX_BYTES - 16];
    struct events_limits limits;
    uint64_t size; /* of the file: up to here all lines are whole */
    struct pn_buf waiting;
    bool due;
    bool failing; /* so that a full disk is logged once */
    uint64_t written, dropped;
};

static bool open_file(struct events *e)
{
    struct stat st;
    int fd =
        openat(e->folder_fd, e->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int saved = errno;
        if (fd >= 0)
            (void)close(fd);
        errno = saved;
        return false;
    }
    if (e->fd >= 0)
        (void)close(e->fd);
    e->fd = fd;
    e->size = (uint64_t)st.st_size;
    return true;
}

struct events *events_new(struct pn_loop *loop, int folder_fd, const char *name,
                          struct events_limits limits)
{
    struct events *e = pn_calloc(1, sizeof *e);
    *e = (struct events){.loop = loop, .folder_fd = folder_fd, .fd = -1, .limits = limits};
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    pn_buf_init(&e->waiting, WAITING_MAX);
    if (!open_file(e)) {
        int saved = errno;
        events_free(&e);
        errno = saved;
        return NULL;
    }
    return e;
}

void events_free(struct events **events)
{
    struct events *e = *events;
    if (e == NULL)
        return;
    *events = NULL;
    events_flush(e);
    pn_loop_forget(e->loop, e);
    if (e->fd >= 0)
        (void)close(e->fd);
    pn_buf_fini(&e->waiting);
    free(e);
}

/* name becomes name.1, name.1 name.2, and so on; the last one goes. */
static void rotate(struct events *e)
{
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
    for (unsigned n = e->limits.keep; n > 0; n--) {
        (void)snprintf(to, sizeof to, "%s.%u", e->name, n);
        if (n == 1)
            (void)snprintf(from, sizeof from, "%s", e->name);
        else
            (void)snprintf(from, sizeof from, "%s.%u", e->name, n - 1);
        (void)renameat(e->folder_fd, from, e->folder_fd, to); /* not there yet: fine */
    }
    if (e->limits.keep == 0)
        (void)unlinkat(e->folder_fd, e->name, 0);
    if (!open_file(e))
        pn_error("%s: %s; the old file goes on", e->name, strerror(errno));
}

void events_reopen(struct events *e, struct events_limits limits)
{
    events_flush(e);
    e->limits = limits;
    if (!open_file(e))
        pn_error("%s: %s; the old file goes on", e->name, strerror(errno));
}

static void complain(struct events *e, const char *why)
{
    if (!e->failing)
        pn_error("%s: %s; events wait", e->name, why);
    e->failing = true;
}

/* True: all that waited is in the file. */
static bool write_waiting(struct events *e)
{
    size_t at = 0;
    while (at < e->waiting.len) {
        ssize_t n = write(e->fd, e->waiting.p + at, e->waiting.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            complain(e, n < 0 ? strerror(errno) : "nothing was written");
            break;
        }
        at += (size_t)n;
    }
    /* Only whole lines count as written; the piece of one goes out again. */
    size_t whole = at;
    while (whole > 0 && e->waiting.p[whole - 1] != '\n')
        whole--;
    if (whole != at && ftruncate(e->fd, (off_t)(e->size + whole)) != 0)
        complain(e, strerror(errno));
    e->size += whole;
    pn_buf_consume(&e->waiting, whole);
    return e->waiting.len == 0;
}

void events_flush(struct events *e)
{
    if (e->waiting.len == 0 || !write_waiting(e))
        return;
    e->failing = false;
    if (e->waiting.cap > 1024 * 1024)
        pn_buf_fini(&e->waiting);
    if (e->limits.sync && fdatasync(e->fd) != 0)
        complain(e, strerror(errno));
    if (e->limits.rotate != 0 && e->size >= e->limits.rotate)
        rotate(e);
}

static void on_turn_end(void *arg)
{
    struct events *e = arg;
    e->due = false;
    events_flush(e);
}

bool events_add(struct events *e, struct pn_str line)
{
    if (line.len + 1 > WAITING_MAX - e->waiting.len) {
        e->dropped++;
        return false;
    }
    (void)pn_buf_adds(&e->waiting, line);
    (void)pn_buf_addc(&e->waiting, '\n');
    e->written++;
    if (!e->due) {
        e->due = true;
        pn_loop_defer(e->loop, on_turn_end, e);
    }
    return true;
}

uint64_t events_written(const struct events *e)
{
    return e->written;
}

uint64_t events_dropped(const struct events *e)
{
    return e->dropped;
}
