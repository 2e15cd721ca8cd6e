/*
 * Preloaded into a server and all its roles: notes on a tape (tape.h, its path in POSTERN_TAPE)
 * what they do to files. No sync reaches the kernel: whether it was made is what counts.
 *
 * POSTERN_TAPE_DEAF, "files" or "folders": their syncs are not noted, so that a test can see that
 * it finds what then is lost.
 *
 * What could change a file of the tape's device in a way that is not noted ends the process.
 * Reads, sockets and pipes pass untouched.
 */
#include "tape.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma GCC visibility push(default)

static struct tape_head *tape;
static struct {
    bool files, folders; /* syncs of them count for nothing */
} deaf;

#define REAL(name) ((__typeof__(&(name)))(uintptr_t)real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

__attribute__((noreturn)) static void die(const char *why)
{
    static const char says[] = "recorder: ";
    ssize_t (*put)(int, const void *, size_t) = REAL(write);
    (void)!put(STDERR_FILENO, says, sizeof says - 1);
    (void)!put(STDERR_FILENO, why, strlen(why));
    (void)!put(STDERR_FILENO, "\n", 1);
    abort();
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("POSTERN_TAPE");
    int fd = path == NULL ? -1 : REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = mmap(NULL, TAPE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED)
        die("no map");
    (void)close(fd);
    tape = map;
    const char *kinds = getenv("POSTERN_TAPE_DEAF");
    deaf.files = kinds != NULL && strstr(kinds, "files") != NULL;
    deaf.folders = kinds != NULL && strstr(kinds, "folders") != NULL;
}

/* False: nothing is recorded. Owner died: between two changes, or it would not be here. */
static bool enter(void)
{
    if (tape == NULL)
        return false;
    int error = pthread_mutex_lock(&tape->lock);
    if (error == EOWNERDEAD)
        die("a process died within a change");
    if (error != 0)
        die("no lock");
    return true;
}

static void leave(bool entered)
{
    int saved = errno;
    if (entered)
        (void)pthread_mutex_unlock(&tape->lock);
    errno = saved;
}

/* Adds a record; r has its type, inodes and what else is not counted here. */
static void note(struct tape_record r, const char *name, const char *other, const void *bytes,
                 uint64_t n)
{
    r.name = (uint16_t)(name == NULL ? 0 : strlen(name) + 1);
    r.other = (uint16_t)(other == NULL ? 0 : strlen(other) + 1);
    r.bytes = n;
    uint64_t size = (sizeof r + r.name + r.other + n + 7) & ~(uint64_t)7;
    if (size > UINT32_MAX || tape->end + size > TAPE_SIZE)
        die("the tape is full");
    r.size = (uint32_t)size;
    char *to = (char *)tape + tape->end;
    memcpy(to, &r, sizeof r);
    if (r.name > 0)
        memcpy(to + sizeof r, name, r.name);
    if (r.other > 0)
        memcpy(to + sizeof r + r.name, other, r.other);
    if (n > 0)
        memcpy(to + sizeof r + r.name + r.other, bytes, n);
    tape->end += size;
}

/* A regular file or folder of the tape's device. */
static bool known(int fd, struct stat *st)
{
    return tape != NULL && fd >= 0 && fstat(fd, st) == 0 && st->st_dev == tape->device &&
           (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
}

/* A path's folder, and its last part. */
struct place {
    uint64_t folder;
    char name[NAME_MAX + 1];
    bool known;
};

static void find_place(int dir, const char *path, struct place *out)
{
    char copy[PATH_MAX];
    struct stat st;
    *out = (struct place){.known = false};
    const char *slash = strrchr(path, '/'), *last = slash == NULL ? path : slash + 1;
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    if (tape == NULL || strlen(last) > NAME_MAX || n >= sizeof copy)
        return;
    memcpy(copy, path, n);
    copy[n] = '\0';
    const char *folder = slash == NULL ? "." : n == 0 ? "/" : copy;
    if (fstatat(dir, folder, &st, 0) != 0 || st.st_dev != tape->device)
        return;
    out->folder = st.st_ino;
    memcpy(out->name, last, strlen(last) + 1);
    out->known = true;
}

static bool stat_at(int dir, const char *path, struct stat *st)
{
    int saved = errno;
    bool there = fstatat(dir, path, st, AT_SYMLINK_NOFOLLOW) == 0;
    errno = saved;
    return there;
}

/* ---- names ---- */

static void note_made(int dir, const char *path, const struct place *p)
{
    struct stat st;
    if (p->known && stat_at(dir, path, &st))
        note((struct tape_record){.type = TAPE_MADE,
                                  .inode = p->folder,
                                  .target = st.st_ino,
                                  .folder = S_ISDIR(st.st_mode)},
             p->name, NULL, NULL, 0);
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    int (*go)(int, const char *, int, ...) = REAL(openat);
    struct place p;
    struct stat st;
    if (tape == NULL || (flags & (O_CREAT | O_TRUNC)) == 0)
        return go(dir, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        die("O_TMPFILE");
    bool entered = enter();
    find_place(dir, path, &p);
    bool there = stat_at(dir, path, &st);
    int fd = go(dir, path, flags, mode);
    if (fd >= 0 && !there)
        note_made(dir, path, &p);
    else if (fd >= 0 && (flags & O_TRUNC) != 0 && known(fd, &st))
        note((struct tape_record){.type = TAPE_SIZE_IS, .inode = st.st_ino}, NULL, NULL, NULL, 0);
    leave(entered);
    return fd;
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                              \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...);
int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

static int make_at(int dir, const char *path, mode_t mode)
{
    int (*go)(int, const char *, mode_t) = REAL(mkdirat);
    struct place p;
    bool entered = enter();
    find_place(dir, path, &p);
    int rc = go(dir, path, mode);
    if (rc == 0 && entered)
        note_made(dir, path, &p);
    leave(entered);
    return rc;
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    return make_at(dir, path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return make_at(AT_FDCWD, path, mode);
}

static int remove_at(int dir, const char *path, int flags)
{
    int (*go)(int, const char *, int) = REAL(unlinkat);
    struct place p;
    bool entered = enter();
    find_place(dir, path, &p);
    int rc = go(dir, path, flags);
    if (rc == 0 && p.known)
        note((struct tape_record){.type = TAPE_GONE, .inode = p.folder}, p.name, NULL, NULL, 0);
    leave(entered);
    return rc;
}

int unlinkat(int dir, const char *path, int flags)
{
    return remove_at(dir, path, flags);
}

int unlink(const char *path)
{
    return remove_at(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return remove_at(AT_FDCWD, path, AT_REMOVEDIR);
}

static int move_at(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int (*go)(int, const char *, int, const char *, unsigned) = REAL(renameat2);
    struct place old, new;
    struct stat st, other = {.st_ino = 0};
    bool entered = enter(), swap = (flags & RENAME_EXCHANGE) != 0;
    if (entered && (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
        die("a rename of another kind");
    find_place(from_dir, from, &old);
    find_place(to_dir, to, &new);
    bool there = stat_at(from_dir, from, &st) && (!swap || stat_at(to_dir, to, &other));
    int rc = go(from_dir, from, to_dir, to, flags);
    if (rc == 0 && old.known && new.known && there)
        note((struct tape_record){.type = swap ? TAPE_SWAPPED : TAPE_MOVED,
                                  .inode = old.folder,
                                  .at = new.folder,
                                  .target = st.st_ino,
                                  .back = other.st_ino,
                                  .folder = S_ISDIR(st.st_mode)},
             old.name, new.name, NULL, 0);
    leave(entered);
    return rc;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return move_at(from_dir, from, to_dir, to, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return move_at(from_dir, from, to_dir, to, 0);
}

int rename(const char *from, const char *to)
{
    return move_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int (*go)(int, const char *, int, const char *, int) = REAL(linkat);
    struct place p;
    struct stat st;
    bool entered = enter();
    find_place(to_dir, to, &p);
    int rc = go(from_dir, from, to_dir, to, flags);
    if (rc == 0 && p.known && stat_at(to_dir, to, &st))
        note((struct tape_record){.type = TAPE_LINK, .inode = p.folder, .target = st.st_ino},
             p.name, NULL, NULL, 0);
    leave(entered);
    return rc;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- bytes ---- */

static void note_write(const struct stat *st, off_t at, const void *bytes, ssize_t n)
{
    if (n > 0)
        note((struct tape_record){.type = TAPE_WRITE, .inode = st->st_ino, .at = (uint64_t)at},
             NULL, NULL, bytes, (uint64_t)n);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    ssize_t (*go)(int, const void *, size_t) = REAL(write);
    struct stat st;
    if (!known(fd, &st))
        return go(fd, bytes, n);
    bool entered = enter();
    ssize_t done = go(fd, bytes, n);
    if (done > 0) /* appended or not: it ends where the file stands now */
        note_write(&st, lseek(fd, 0, SEEK_CUR) - done, bytes, done);
    leave(entered);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    ssize_t (*go)(int, const void *, size_t, off_t) = REAL(pwrite);
    struct stat st;
    if (!known(fd, &st))
        return go(fd, bytes, n, at);
    bool entered = enter();
    ssize_t done = go(fd, bytes, n, at);
    note_write(&st, at, bytes, done);
    leave(entered);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
    return pwrite(fd, bytes, n, at);
}

/* at < 0: where the file stands. */
static ssize_t write_parts(int fd, const struct iovec *iov, int count, off_t at)
{
    struct stat st;
    if (!known(fd, &st))
        return at < 0 ? REAL(writev)(fd, iov, count) : REAL(pwritev)(fd, iov, count, at);
    bool entered = enter();
    ssize_t done = at < 0 ? REAL(writev)(fd, iov, count) : REAL(pwritev)(fd, iov, count, at);
    off_t end = at < 0 ? lseek(fd, 0, SEEK_CUR) : at + done;
    off_t to = end - done;
    for (int i = 0; i < count && to < end; i++) {
        ssize_t n = (ssize_t)iov[i].iov_len < end - to ? (ssize_t)iov[i].iov_len : end - to;
        note_write(&st, to, iov[i].iov_base, n);
        to += n;
    }
    leave(entered);
    return done;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return write_parts(fd, iov, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    return write_parts(fd, iov, count, at);
}

static void note_size(int fd)
{
    struct stat st;
    if (known(fd, &st))
        note((struct tape_record){.type = TAPE_SIZE_IS,
                                  .inode = st.st_ino,
                                  .at = (uint64_t)st.st_size},
             NULL, NULL, NULL, 0);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    int (*go)(int, off_t, off_t) = REAL(posix_fallocate);
    bool entered = enter();
    int error = go(fd, at, n);
    note_size(fd);
    leave(entered);
    return error;
}

int ftruncate(int fd, off_t size)
{
    int (*go)(int, off_t) = REAL(ftruncate);
    bool entered = enter();
    int rc = go(fd, size);
    if (rc == 0)
        note_size(fd);
    leave(entered);
    return rc;
}

int ftruncate64(int fd, off_t size);
int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

/* ---- syncs ---- */

static int sync_it(int fd, enum tape_type type)
{
    struct stat st;
    bool entered = enter();
    if (known(fd, &st) && (S_ISDIR(st.st_mode) ? !deaf.folders : !deaf.files))
        note((struct tape_record){.type = type, .inode = st.st_ino}, NULL, NULL, NULL, 0);
    leave(entered);
    return 0;
}

int fsync(int fd)
{
    return tape == NULL ? REAL(fsync)(fd) : sync_it(fd, TAPE_SYNC);
}

int fdatasync(int fd)
{
    return tape == NULL ? REAL(fdatasync)(fd) : sync_it(fd, TAPE_DATA_SYNC);
}
