#include "segment.h"

#include "assert.h"
#include "codec.h"
#include "mem.h"
#include "whole.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header's copies stand at 0 and HEADER_COPY of the first page. */
enum { HEADER_BYTES = 64, HEADER_COPY = SEGMENT_PAGE / 2, HEADER_CRC = HEADER_BYTES - 4 };
static const char magic[8] = {'P', 'n', 'S', 'e', 'g', '\r', '\n', 0};

const char *segment_name(const char *kind, uint64_t serial, char name[SEGMENT_NAME_MAX])
{
    (void)snprintf(name, SEGMENT_NAME_MAX, "%s-%016" PRIx64, kind, serial);
    return name;
}

bool segment_name_parse(const char *name, const char *kind, uint64_t *serial)
{
    char again[SEGMENT_NAME_MAX];
    size_t k = strlen(kind);
    if (strncmp(name, kind, k) != 0 || name[k] != '-' || strlen(name) != k + 17)
        return false;
    *serial = strtoull(name + k + 1, NULL, 16);
    return strcmp(segment_name(kind, *serial, again), name) == 0;
}

/* Past the page cache where the file system can: what is written here is not read again
 * soon, and writing is cheaper so, whatever the cache holds. */
static int open_direct(int folder, const char *name)
{
    int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(folder, name, flags | O_DIRECT);
    return fd >= 0 || errno != EINVAL ? fd : openat(folder, name, flags);
}

int segment_fill(int folder, uint64_t serial, uint64_t size)
{
    enum { CHUNK = 1024 * 1024 };
    char name[SEGMENT_NAME_MAX], spare[SEGMENT_NAME_MAX];
    int error = 0;
    int fd = pn_make_anew(folder, segment_name("fill", serial, name), O_DIRECT);
    if (fd < 0 && errno == EINVAL)
        fd = pn_make_anew(folder, name, 0);
    if (fd < 0)
        return errno;
    char *zeros = aligned_alloc(SEGMENT_PAGE, CHUNK);
    pn_assert(zeros != NULL);
    memset(zeros, 0, CHUNK);
    (void)posix_fallocate(fd, 0, (off_t)size); /* in one piece if possible */
    for (uint64_t at = 0; at < size && error == 0; at += CHUNK)
        error = pn_write_whole_at(fd, (struct pn_str){zeros, size - at < CHUNK ? size - at : CHUNK},
                                  at);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    free(zeros);
    (void)close(fd);
    if (error == 0 && renameat(folder, name, folder, segment_name("spare", serial, spare)) != 0)
        error = errno;
    if (error != 0)
        (void)unlinkat(folder, name, 0);
    return error;
}

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static int header_write(const struct segment *s)
{
    alignas(SEGMENT_PAGE) char page[SEGMENT_PAGE] = {0};
    memcpy(page, magic, sizeof magic);
    put64(page + 8, SEGMENT_VERSION);
    put64(page + 16, s->serial);
    put64(page + 24, s->salt);
    put64(page + 32, s->prev_serial);
    put64(page + 40, s->prev_end);
    put64(page + 48, s->prev_batch);
    uint32_t crc = htole32(pn_crc32c(0, page, HEADER_CRC));
    memcpy(page + HEADER_CRC, &crc, sizeof crc);
    memcpy(page + HEADER_COPY, page, HEADER_BYTES);
    return pn_write_whole_at(s->write_fd, (struct pn_str){page, sizeof page}, 0);
}

static bool header_get(struct segment *s, const char *at, uint64_t *version)
{
    uint32_t crc;
    memcpy(&crc, at + HEADER_CRC, sizeof crc);
    if (memcmp(at, magic, sizeof magic) != 0 || le32toh(crc) != pn_crc32c(0, at, HEADER_CRC))
        return false;
    *version = get64(at + 8);
    s->serial = get64(at + 16);
    s->salt = get64(at + 24);
    s->prev_serial = get64(at + 32);
    s->prev_end = get64(at + 40);
    s->prev_batch = (uint32_t)get64(at + 48);
    return true;
}

static struct segment *opened(int folder, const char *name, int *error)
{
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) {
        *error = errno;
    } else if (!S_ISREG(st.st_mode) || st.st_size < 2 * SEGMENT_PAGE) {
        *error = EBADMSG;
    } else {
        struct segment *s = pn_calloc(1, sizeof *s);
        *s = (struct segment){.fd = fd, .write_fd = -1, .end = SEGMENT_PAGE};
        s->size = (uint64_t)st.st_size;
        return s;
    }
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

struct segment *segment_begin(int folder, uint64_t spare, uint64_t serial,
                              const struct segment *prev, int (*sync)(int fd))
{
    char from[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX];
    int error = 0;
    struct segment *s = opened(folder, segment_name("spare", spare, from), &error);
    if (s == NULL) {
        errno = error;
        return NULL;
    }
    s->serial = serial;
    s->prev_serial = prev == NULL ? 0 : prev->serial;
    s->prev_end = prev == NULL ? 0 : prev->end;
    s->prev_batch = prev == NULL || prev->write_fd >= 0 ? 0 : prev->batch;
    s->write_fd = open_direct(folder, from);
    if (s->write_fd < 0)
        error = errno;
    else if (getrandom(&s->salt, sizeof s->salt, 0) != (ssize_t)sizeof s->salt)
        error = EIO;
    if (error == 0)
        error = header_write(s);
    if (error == 0 && (sync(s->write_fd) != 0 ||
                       renameat(folder, from, folder, segment_name("journal", serial, to)) != 0))
        error = errno;
    if (error == 0 && fsync(folder) != 0) {
        error = errno;
        (void)unlinkat(folder, to, 0); /* else a start would take it for one of the journal's */
    }
    if (error != 0) {
        segment_free(&s);
        errno = error;
    }
    return s;
}

struct segment *segment_open(int folder, uint64_t serial)
{
    char name[SEGMENT_NAME_MAX], page[SEGMENT_PAGE];
    uint64_t version = 0;
    int error = 0;
    struct segment *s = opened(folder, segment_name("journal", serial, name), &error);
    if (s != NULL) {
        error = segment_read(s, 0, page, sizeof page);
        if (error == 0 && !header_get(s, page, &version) &&
            !header_get(s, page + HEADER_COPY, &version))
            error = EBADMSG;
        if (error == 0 && version != SEGMENT_VERSION)
            error = EPROTONOSUPPORT;
        if (error == 0 && s->serial != serial)
            error = EBADMSG;
    }
    if (error != 0) {
        segment_free(&s);
        errno = error;
    }
    return s;
}

void segment_close_write(struct segment *segment)
{
    if (segment->write_fd >= 0)
        (void)close(segment->write_fd);
    segment->write_fd = -1;
}

void segment_free(struct segment **segment)
{
    struct segment *s = *segment;
    if (s == NULL)
        return;
    (void)close(s->fd);
    segment_close_write(s);
    free(s);
    *segment = NULL;
}

int segment_read(const struct segment *segment, uint64_t offset, void *out, size_t n)
{
    return pn_read_whole_at(segment->fd, out, n, offset, EBADMSG);
}

struct record_place segment_place(const struct segment *segment, uint64_t offset)
{
    return (struct record_place){segment->serial, segment->salt, offset};
}
