#include "whole.h"

#include <errno.h>
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
