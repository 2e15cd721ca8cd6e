#include "userstore.h"

#include "mem.h"
#include "userfile.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE = 0640 };

/* The lock is worth nothing if the file was replaced while we waited for it. */
static bool is_still(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

static int lock(int fd)
{
    int rc;
    do
        rc = flock(fd, LOCK_EX);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

/* NONBLOCK: a fifo must not hold us up. */
static int open_it(struct pn_userstore *store, const char *path, enum pn_userstore_mode mode)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    if (mode == PN_USERSTORE_CREATE)
        flags |= O_CREAT;
    for (;;) {
        store->fd = open(path, flags, MODE);
        if (store->fd < 0)
            return errno;
        int error = mode == PN_USERSTORE_READ ? 0 : lock(store->fd);
        if (error != 0 || mode == PN_USERSTORE_READ || is_still(store->fd, path))
            return error;
        (void)close(store->fd);
        store->fd = -1;
    }
}

static int read_it(struct pn_userstore *store)
{
    struct stat st;
    if (fstat(store->fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (st.st_size > PN_USERFILE_MAX)
        return EFBIG;
    store->mode = st.st_mode & MODE;
    store->uid = st.st_uid;
    store->gid = st.st_gid;
    size_t size = (size_t)st.st_size;
    if (size == 0)
        return 0;
    char *to = pn_buf_reserve(&store->text, size);
    int error = to == NULL ? EFBIG : pn_read_whole_at(store->fd, to, size, 0, EIO);
    store->text.len = error == 0 ? size : 0;
    return error;
}

int pn_userstore_open(struct pn_userstore *store, const char *path, enum pn_userstore_mode mode)
{
    *store = (struct pn_userstore){.fd = -1};
    pn_buf_init(&store->text, PN_USERFILE_MAX);
    int error = open_it(store, path, mode);
    if (error != 0)
        return error;
    store->path = realpath(path, NULL);
    return store->path == NULL ? errno : read_it(store);
}

void pn_userstore_close(struct pn_userstore *store)
{
    if (store->fd >= 0)
        (void)close(store->fd);
    if (store->text.p != NULL)
        explicit_bzero(store->text.p, store->text.cap);
    pn_buf_fini(&store->text);
    free(store->path);
    *store = (struct pn_userstore){.fd = -1};
}

static int fill(const struct pn_userstore *store, int fd, struct pn_str text)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errno;
    bool same = st.st_uid == store->uid && st.st_gid == store->gid;
    if (!same && fchown(fd, store->uid, store->gid) != 0)
        return errno;
    if (fchmod(fd, store->mode) != 0)
        return errno;
    int error = pn_write_whole(fd, text);
    return error != 0 ? error : fsync(fd) != 0 ? errno : 0;
}

/* A file of that name is what a cut left of an earlier write: we hold the lock. */
static int write_beside(const struct pn_userstore *store, int folder, const char *name,
                        struct pn_str text)
{
    int fd = pn_make_anew(folder, name, 0);
    if (fd < 0)
        return errno;
    int error = fill(store, fd, text);
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

static int put_in_place(const struct pn_userstore *store, int folder, const char *name,
                        struct pn_str text)
{
    struct pn_buf beside;
    pn_buf_init(&beside, NAME_MAX + 16);
    (void)pn_buf_addf(&beside, ".%s.new", name);
    const char *from = pn_buf_cstr(&beside);
    int error =
        from == NULL || beside.overflow ? ENAMETOOLONG : write_beside(store, folder, from, text);
    if (error == 0 && renameat(folder, from, folder, name) != 0)
        error = errno;
    if (error == 0 && fsync(folder) != 0)
        error = errno;
    else if (error != 0 && from != NULL)
        (void)unlinkat(folder, from, 0);
    pn_buf_fini(&beside);
    return error;
}

int pn_userstore_write(struct pn_userstore *store, struct pn_str text)
{
    const char *slash = strrchr(store->path, '/'); /* absolute: there is one */
    char *folder_path =
        pn_strndup(store->path, slash == store->path ? 1 : (size_t)(slash - store->path));
    int folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = folder < 0 ? errno : put_in_place(store, folder, slash + 1, text);
    if (folder >= 0)
        (void)close(folder);
    free(folder_path);
    return error;
}
