#include "memfile.h"

#include "assert.h"
#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_MAP = 1024 * 1024 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

int pn_memfile_fd(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

int pn_memfile_init(struct pn_memfile *m, const char *name, size_t max)
{
    *m = (struct pn_memfile){.fd = pn_memfile_fd(name), .max = max};
    return m->fd < 0 ? -1 : 0;
}

static void unmap(struct pn_memfile *m)
{
    if (m->map != NULL)
        (void)munmap(m->map, m->cap);
    m->map = NULL;
    m->cap = 0;
}

void pn_memfile_fini(struct pn_memfile *m)
{
    unmap(m);
    if (m->fd >= 0)
        (void)close(m->fd);
    *m = (struct pn_memfile){.fd = -1};
}

/* The file is sparse and its pages come with the first write, so a generous map
 * costs nothing and most messages need only one. */
static bool map_at_least(struct pn_memfile *m, size_t need)
{
    size_t cap = m->cap == 0 ? FIRST_MAP : m->cap;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > m->max)
        cap = m->max;
    if (ftruncate(m->fd, (off_t)cap) != 0)
        return false;
    void *map = m->map == NULL ? mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0)
                               : mremap(m->map, m->cap, cap, MREMAP_MAYMOVE);
    if (map == MAP_FAILED)
        return false;
    m->map = map;
    m->cap = cap;
    return true;
}

char *pn_memfile_reserve(struct pn_memfile *m, size_t n)
{
    pn_assert(m->len <= m->max);
    if (n > m->max - m->len || n == 0) {
        errno = n == 0 ? EINVAL : EFBIG;
        return NULL;
    }
    if (n > m->cap - m->len && !map_at_least(m, m->len + n))
        return NULL;
    return m->map + m->len;
}

bool pn_memfile_add(struct pn_memfile *m, struct pn_str bytes)
{
    if (bytes.len == 0)
        return true;
    char *to = pn_memfile_reserve(m, bytes.len);
    if (to == NULL)
        return false;
    memcpy(to, bytes.p, bytes.len);
    m->len += bytes.len;
    return true;
}

bool pn_memfile_write(struct pn_memfile *m, struct pn_str bytes)
{
    pn_assert(m->map == NULL && m->len <= m->max);
    if (bytes.len > m->max - m->len) {
        errno = EFBIG;
        return false;
    }
    int error = pn_write_whole_at(m->fd, bytes, m->len);
    if (error != 0) {
        errno = error;
        return false;
    }
    m->len += bytes.len;
    return true;
}

int pn_memfile_seal(struct pn_memfile *m)
{
    bool trim = m->map != NULL && m->cap != m->len;
    unmap(m); /* F_SEAL_WRITE wants no writable mapping left */
    if (trim && ftruncate(m->fd, (off_t)m->len) != 0)
        return -1;
    return fcntl(m->fd, F_ADD_SEALS, SEALS);
}

int pn_memfile_of(const char *name, struct pn_str bytes)
{
    int fd = pn_memfile_fd(name);
    if (fd < 0)
        return -1;
    int error = pn_write_whole(fd, bytes);
    if (error == 0 && fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        error = errno;
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

/* A regular file has no seals to look at; on tmpfs it says F_SEAL_SEAL, as does a memory
 * file that never takes seals: neither is mapped. */
static bool is_regular(int seals)
{
    return seals < 0 || seals == F_SEAL_SEAL;
}

static int copy(int fd, size_t size, struct pn_str *out)
{
    if (size > PN_COPY_MAX) {
        errno = EFBIG;
        return -1;
    }
    char *to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (to == MAP_FAILED)
        return -1;
    int error = pn_read_whole_at(fd, to, size, 0, EMSGSIZE);
    if (error != 0) {
        (void)munmap(to, size);
        errno = error;
        return -1;
    }
    *out = (struct pn_str){to, size};
    return 0;
}

int pn_map_fd(int fd, bool must_be_sealed, struct pn_str *out)
{
    struct stat st;
    *out = (struct pn_str){"", 0};
    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    if (st.st_size == 0 && !must_be_sealed)
        return 0;
    int seals = must_be_sealed ? fcntl(fd, F_GET_SEALS) : SEALS;
    if (!is_regular(seals) && (seals & SEALS) != SEALS) {
        errno = EPERM;
        return -1;
    }
    if (st.st_size == 0)
        return 0;
    if (is_regular(seals))
        return copy(fd, (size_t)st.st_size, out);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -1;
    *out = (struct pn_str){map, (size_t)st.st_size};
    return 0;
}

void pn_unmap(struct pn_str *view)
{
    if (view->len != 0)
        (void)munmap((void *)view->p, view->len);
    *view = (struct pn_str){"", 0};
}
