#include "content.h"

#include "codec.h"
#include "mem.h"
#include "segment.h"
#include "whole.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 128 * 1024 };

static const char *name_of(uint64_t number, char name[SEGMENT_NAME_MAX])
{
    return segment_name("content", number, name);
}

int content_create(int folder, uint64_t number, int *rw, int *ro)
{
    char name[SEGMENT_NAME_MAX];
    int error;
    *ro = -1;
    *rw = openat(folder, name_of(number, name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*rw < 0)
        return errno;
    *ro = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*ro >= 0)
        return 0;
    error = errno;
    (void)close(*rw);
    (void)unlinkat(folder, name, 0);
    *rw = -1;
    return error;
}

/* Reads size bytes of from, summing them, and writes them to `to` unless that is -1. */
static int pass(int from, int to, uint64_t size, uint32_t *crc)
{
    char *chunk = pn_alloc(CHUNK);
    int error = 0;
    *crc = 0;
    for (uint64_t at = 0; at < size && error == 0;) {
        size_t want = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        ssize_t got = pread(from, chunk, want, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            error = got == 0 ? EMSGSIZE : errno;
            break;
        }
        *crc = pn_crc32c(*crc, chunk, (size_t)got);
        if (to >= 0)
            error = pn_write_whole(to, (struct pn_str){chunk, (size_t)got});
        at += (uint64_t)got;
    }
    free(chunk);
    return error;
}

static int make_durable(int folder, int fd)
{
    return fsync(fd) != 0 || fsync(folder) != 0 ? errno : 0;
}

static bool has_size(int fd, uint64_t size)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int content_copy(int folder, uint64_t number, int from, uint64_t size, uint32_t *crc, int *ro)
{
    *ro = -1;
    if (!has_size(from, size))
        return EMSGSIZE;
    int rw, error = content_create(folder, number, &rw, ro);
    if (error != 0)
        return error;
    error = pass(from, rw, size, crc);
    if (error == 0)
        error = make_durable(folder, rw);
    (void)close(rw);
    if (error == 0)
        return 0;
    (void)close(*ro);
    *ro = -1;
    (void)content_remove(folder, number);
    return error;
}

int content_open_as_is(int folder, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    return openat(folder, name_of(number, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

int content_open(int folder, uint64_t number, uint64_t size, uint32_t crc)
{
    uint32_t sum = 0;
    int fd = content_open_as_is(folder, number);
    if (fd < 0)
        return -1;
    int error = has_size(fd, size) ? pass(fd, -1, size, &sum) : EBADMSG;
    if (error == 0 && sum != crc)
        error = EBADMSG;
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

int content_remove(int folder, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    return unlinkat(folder, name_of(number, name), 0) != 0 ? errno : 0;
}

int content_sweep(int folder, bool (*wanted)(void *ctx, uint64_t number), void *ctx, uint64_t *next,
                  uint64_t *removed)
{
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (dir == NULL) {
        int error = errno;
        if (again >= 0)
            (void)close(again);
        return error;
    }
    *next = 1;
    *removed = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        uint64_t number;
        if (!segment_name_parse(e->d_name, "content", &number))
            continue;
        if (number >= *next)
            *next = number + 1;
        if (!wanted(ctx, number) && content_remove(folder, number) == 0)
            (*removed)++;
    }
    (void)closedir(dir);
    return 0;
}
