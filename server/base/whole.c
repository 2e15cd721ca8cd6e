#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* How far a call came, or an errno: 0 says that it is worth another one. */
static int came(ssize_t n, int none, size_t *done)
{
    if (n > 0)
        *done += (size_t)n;
    return n > 0 || (n < 0 && errno == EINTR) ? 0 : n == 0 ? none : errno;
}

int pn_write_whole(int fd, struct pn_str bytes)
{
    int error = 0;
    for (size_t done = 0; done < bytes.len && error == 0;)
        error = came(write(fd, bytes.p + done, bytes.len - done), EIO, &done);
    return error;
}

int pn_write_whole_at(int fd, struct pn_str bytes, uint64_t at)
{
    int error = 0;
    for (size_t done = 0; done < bytes.len && error == 0;)
        error = came(pwrite(fd, bytes.p + done, bytes.len - done, (off_t)(at + done)), EIO, &done);
    return error;
}

int pn_read_whole_at(int fd, void *to, size_t n, uint64_t at, int early)
{
    int error = 0;
    for (size_t done = 0; done < n && error == 0;)
        error = came(pread(fd, (char *)to + done, n - done, (off_t)(at + done)), early, &done);
    return error;
}

int pn_make_anew(int folder, const char *name, int flags)
{
    flags |= O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(folder, name, flags, 0600);
    if (fd < 0 && errno == EEXIST && unlinkat(folder, name, 0) == 0)
        fd = openat(folder, name, flags, 0600);
    return fd;
}

int pn_replace_whole(int folder, const char *name, const char *fresh, struct pn_str bytes)
{
    int fd = pn_make_anew(folder, fresh, 0);
    if (fd < 0)
        return errno;
    int error = pn_write_whole(fd, bytes);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && renameat(folder, fresh, folder, name) != 0)
        error = errno;
    if (error != 0)
        (void)unlinkat(folder, fresh, 0);
    return error;
}
