#include "calls.h"

#include "assert.h"
#include "mem.h"
#include "sim.h"
#include "sites.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What --wrap makes of the calls, and of what they were. */
int __real_openat(int dir, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __real_pwrite(int fd, const void *bytes, size_t n, off_t at);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t at);
int __real_posix_fallocate(int fd, off_t at, off_t n);
int __real_mkdirat(int dir, const char *name, mode_t mode);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_ftruncate(int fd, off_t size);
int __wrap_openat(int dir, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t at);
int __wrap_posix_fallocate(int fd, off_t at, off_t n);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_sync_file_range(int fd, off64_t from, off64_t count, unsigned flags);

/* An inode by the kernel's number and by the log's. */
struct known {
    ino_t real;
    dev_t device;
    uint32_t inode;
    bool folder;
    char *name; /* the last it had */
};

static struct {
    struct log *log; /* NULL: nothing is noted */
    uint32_t pairs;
    struct known *v;
    size_t count, cap;
    struct {
        enum fault_call call;
        const char *prefix; /* NULL: none is planned */
        unsigned skip;
        bool half;
    } fault;
} calls;

/* ---- what is known ---- */

static struct known *find(const struct stat *st)
{
    for (size_t i = 0; i < calls.count; i++)
        if (calls.v[i].real == st->st_ino && calls.v[i].device == st->st_dev)
            return &calls.v[i];
    return NULL;
}

static struct known *know(const struct stat *st, uint32_t inode, const char *name)
{
    struct known *k = find(st); /* one that is gone may have had the number */
    if (k == NULL) {
        calls.v = pn_grow(calls.v, &calls.cap, calls.count, sizeof *calls.v);
        k = &calls.v[calls.count++];
        k->name = NULL;
    }
    free(k->name);
    *k = (struct known){st->st_ino, st->st_dev, inode, S_ISDIR(st->st_mode), pn_strdup(name)};
    return k;
}

/* NULL: it is none of those below the root, or nothing is noted. Each call asks here first;
 * another thread may go on before it. */
static struct known *known_fd(int fd)
{
    struct stat st;
    if (calls.log == NULL || fd < 0 || fstat(fd, &st) != 0 || find(&st) == NULL)
        return NULL;
    sim_yield();
    return find(&st);
}

static struct known *known_at(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? find(&st) : NULL;
}

void calls_know(int root, const char *path, uint32_t inode)
{
    struct stat st;
    const char *last = strrchr(path, '/');
    pn_assert(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
    (void)know(&st, inode, last == NULL ? path : last + 1);
}

void calls_forget(void)
{
    for (size_t i = 0; i < calls.count; i++)
        free(calls.v[i].name);
    free(calls.v);
    calls.v = NULL;
    calls.count = calls.cap = 0;
}

void calls_record(struct log *log)
{
    calls.log = log;
}

void calls_event(enum event_type type, uint32_t id, uint32_t who, uint32_t value)
{
    if (calls.log != NULL)
        log_add(calls.log, LOG_EVENT)->event =
            (struct event){.type = (uint8_t)type, .who = (uint8_t)who, .id = id, .value = value};
}

/* ---- faults ---- */

void calls_fail(enum fault_call call, const char *prefix, unsigned skip, bool half)
{
    calls.fault.call = call;
    calls.fault.prefix = prefix;
    calls.fault.skip = skip;
    calls.fault.half = half;
}

static bool fails(enum fault_call call, const char *name)
{
    const char *prefix = calls.fault.prefix;
    if (prefix == NULL || calls.fault.call != call || strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    if (calls.fault.skip > 0) {
        calls.fault.skip--;
        return false;
    }
    if (call != FAULT_ROOM)
        calls.fault.prefix = NULL;
    errno = call == FAULT_ROOM ? ENOSPC : EIO;
    return true;
}

/* How much of n bytes is to be written: n, or half at a fault; 0 with errno. What is within
 * a file has room. */
static size_t allowed(const struct known *k, int fd, size_t n, off_t at)
{
    struct stat st;
    bool half = calls.fault.half;
    bool grows = fstat(fd, &st) == 0 && at + (off_t)n > st.st_size;
    if ((grows && fails(FAULT_ROOM, k->name)) || fails(FAULT_WRITE, k->name)) {
        if (half && n > 1) { /* a short write now, the error with what is left */
            calls.fault.prefix = k->name;
            calls.fault.half = false;
            return n / 2;
        }
        return 0;
    }
    return n;
}

/* ---- names ---- */

static struct entry *note_name(uint32_t folder, const char *name, uint32_t target)
{
    struct entry *e = log_add(calls.log, LOG_NAME);
    e->inode = folder;
    e->name = pn_strdup(name);
    e->target = target;
    return e;
}

static void note_new(int dir, const struct known *folder, const char *name)
{
    struct stat st;
    uint32_t parent = folder->inode; /* know() may move what it points to */
    pn_assert(strchr(name, '/') == NULL && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
    struct entry *e = log_add(calls.log, LOG_MAKE);
    e->inode = calls.log->inodes++;
    e->folder = S_ISDIR(st.st_mode);
    (void)know(&st, e->inode, name);
    (void)note_name(parent, name, e->inode);
}

int __wrap_openat(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    const struct known *folder = known_fd(dir);
    if (folder == NULL)
        return __real_openat(dir, name, flags, mode);
    pn_assert((flags & (O_SYNC | O_DSYNC | O_APPEND)) == 0 && (flags & O_TMPFILE) != O_TMPFILE);
    struct known *there = known_at(dir, name);
    if (there == NULL && (flags & O_CREAT) != 0 && fails(FAULT_ROOM, name))
        return -1;
    int fd = __real_openat(dir, name, flags, mode);
    if (fd < 0)
        return fd;
    if (there == NULL && (flags & O_CREAT) != 0)
        note_new(dir, folder, name);
    else if ((flags & O_TRUNC) != 0)
        log_add(calls.log, LOG_SIZE)->inode = there->inode;
    return fd;
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    const struct known *folder = known_fd(dir);
    int rc = __real_mkdirat(dir, name, mode);
    if (folder != NULL && rc == 0)
        note_new(dir, folder, name);
    return rc;
}

static void call_it(struct known *k, const char *name)
{
    free(k->name);
    k->name = pn_strdup(name);
}

/* What is done, noted as its names; a message in its mailbox has both or neither. */
static void note_rename(const struct known *old, const char *from, const struct known *new,
                        const char *to, struct known *moved, struct known *back)
{
    bool whole = strcmp(old->name, "new") == 0 || strcmp(old->name, "cur") == 0;
    uint32_t pair = whole ? ++calls.pairs : 0;
    uint32_t old_inode = old->inode, new_inode = new->inode;
    call_it(moved, to);
    if (back != NULL)
        call_it(back, from);
    note_name(new_inode, to, moved->inode)->pair = pair;
    note_name(old_inode, from, back != NULL ? back->inode : LOG_NONE)->pair = pair;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (known_fd(from_dir) == NULL || known_fd(to_dir) == NULL)
        return __real_renameat(from_dir, from, to_dir, to);
    const struct known *old = known_at(from_dir, "."), *new = known_at(to_dir, ".");
    pn_assert(old != NULL && new != NULL);
    struct known *k = known_at(from_dir, from);
    int rc = __real_renameat(from_dir, from, to_dir, to);
    if (rc != 0)
        return rc;
    pn_assert(k != NULL);
    note_rename(old, from, new, to, k, NULL);
    return 0;
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (known_fd(from_dir) == NULL || known_fd(to_dir) == NULL)
        return __real_renameat2(from_dir, from, to_dir, to, flags);
    const struct known *old = known_at(from_dir, "."), *new = known_at(to_dir, ".");
    pn_assert(old != NULL && new != NULL && (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) == 0);
    struct known *k = known_at(from_dir, from), *back = known_at(to_dir, to);
    int rc = __real_renameat2(from_dir, from, to_dir, to, flags);
    if (rc != 0)
        return rc;
    pn_assert(k != NULL && (back != NULL) == (flags == RENAME_EXCHANGE));
    note_rename(old, from, new, to, k, back);
    return 0;
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    const struct known *folder = known_fd(dir);
    int rc = __real_unlinkat(dir, name, flags);
    if (folder != NULL && rc == 0)
        (void)note_name(folder->inode, name, LOG_NONE);
    return rc;
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    if (known_fd(from_dir) == NULL || known_fd(to_dir) == NULL)
        return __real_linkat(from_dir, from, to_dir, to, flags);
    const struct known *folder = known_at(to_dir, "."), *k = known_at(from_dir, from);
    int rc = __real_linkat(from_dir, from, to_dir, to, flags);
    if (rc == 0) {
        pn_assert(k != NULL && folder != NULL);
        (void)note_name(folder->inode, to, k->inode);
    }
    return rc;
}

/* ---- bytes ---- */

static void note_write(uint32_t inode, uint64_t at, const char *bytes, size_t n)
{
    struct entry *e = log_add(calls.log, LOG_WRITE);
    e->inode = inode;
    e->at = at;
    e->size = n;
    e->data = pn_alloc(n);
    memcpy(e->data, bytes, n);
}

static ssize_t write_known(const struct known *k, int fd, const void *bytes, size_t n, off_t at)
{
    size_t may = allowed(k, fd, n, at);
    if (may == 0 && n > 0)
        return -1;
    ssize_t done = __real_pwrite(fd, bytes, may, at);
    if (done > 0)
        note_write(k->inode, (uint64_t)at, bytes, (size_t)done);
    return done;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    const struct known *k = known_fd(fd);
    if (k == NULL)
        return __real_write(fd, bytes, n);
    off_t at = lseek(fd, 0, SEEK_CUR);
    pn_assert(at >= 0);
    ssize_t done = write_known(k, fd, bytes, n, at);
    if (done > 0)
        pn_assert(lseek(fd, at + done, SEEK_SET) == at + done);
    return done;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    const struct known *k = known_fd(fd);
    return k == NULL ? __real_pwrite(fd, bytes, n, at) : write_known(k, fd, bytes, n, at);
}

/* In one piece, from memory that suits a descriptor opened for direct writes. */
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
    enum { PAGE = 4096 };
    const struct known *k = known_fd(fd);
    if (k == NULL)
        return __real_pwritev(fd, iov, count, at);
    size_t n = 0, done = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    char *bytes = aligned_alloc(PAGE, (n + PAGE - 1) / PAGE * PAGE);
    pn_assert(bytes != NULL);
    for (int i = 0; i < count; done += iov[i++].iov_len)
        memcpy(bytes + done, iov[i].iov_base, iov[i].iov_len);
    ssize_t written = write_known(k, fd, bytes, n, at);
    free(bytes);
    return written;
}

int __wrap_posix_fallocate(int fd, off_t at, off_t n)
{
    struct stat st;
    const struct known *k = known_fd(fd);
    if (k == NULL)
        return __real_posix_fallocate(fd, at, n);
    if (fails(FAULT_ROOM, k->name))
        return ENOSPC;
    int error = __real_posix_fallocate(fd, at, n);
    pn_assert(fstat(fd, &st) == 0);
    struct entry *e = log_add(calls.log, LOG_SIZE);
    e->inode = k->inode;
    e->size = (uint64_t)st.st_size;
    return error;
}

int __wrap_ftruncate(int fd, off_t size)
{
    const struct known *k = known_fd(fd);
    int rc = __real_ftruncate(fd, size);
    if (k != NULL && rc == 0) {
        struct entry *e = log_add(calls.log, LOG_SIZE);
        e->inode = k->inode;
        e->size = (uint64_t)size;
    }
    return rc;
}

/* ---- syncs ---- */

/* What is synced, as words of few kinds: names without their numbers. */
static const char *kind_of(const struct known *k, char text[64])
{
    size_t n = strcspn(k->name, "-");
    bool numbered = k->name[n] == '-' && n > 0;
    if (k->folder)
        (void)snprintf(text, 64, "folder %s", k->name);
    else
        (void)snprintf(text, 64, "file%s%.*s", numbered ? " " : "", numbered ? (int)n : 0, k->name);
    return text;
}

static int sync_known(const struct known *k, bool data_only, const void *caller)
{
    char what[64];
    if (fails(FAULT_STOP, k->name))
        sim_stop();
    bool failed = fails(FAULT_SYNC, k->name);
    uint16_t site = site_of(caller, kind_of(k, what));
    struct entry *e = log_add(calls.log, failed ? LOG_SYNC_LOST : LOG_SYNC);
    e->inode = k->inode;
    e->data_only = data_only;
    e->site = site;
    if (failed)
        errno = EIO;
    return failed ? -1 : 0;
}

int __wrap_fsync(int fd)
{
    const struct known *k = known_fd(fd);
    return k == NULL ? 0 : sync_known(k, false, __builtin_return_address(0));
}

int __wrap_fdatasync(int fd)
{
    const struct known *k = known_fd(fd);
    return k == NULL ? 0 : sync_known(k, true, __builtin_return_address(0));
}

/* It begins early with what a sync has to do, and promises nothing. */
int __wrap_sync_file_range(int fd, off64_t from, off64_t count, unsigned flags)
{
    (void)fd, (void)from, (void)count, (void)flags;
    return 0;
}

/* ---- what the model does not know ---- */

#define UNKNOWN(name)                                                                              \
    int __wrap_##name(void);                                                                       \
    int __wrap_##name(void)                                                                        \
    {                                                                                              \
        pn_assert(!#name " is not modelled");                                                      \
        return -1;                                                                                 \
    }
UNKNOWN(rename)
UNKNOWN(link)
UNKNOWN(symlinkat)
UNKNOWN(unlink)
UNKNOWN(fallocate)
UNKNOWN(truncate)
UNKNOWN(writev)
UNKNOWN(syncfs)
