/* What the kernel says of a process that another one told us of. */
#include "supervisor_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { STAT_BYTES = 1024 };

pid_t process_parent(pid_t pid)
{
    char path[64], text[STAT_BYTES];
    uint64_t parent;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return -1;
    /* "PID (name) state PPID ...": the name may hold whatever its owner likes. */
    const char *end = memrchr(text, ')', (size_t)n);
    if (end == NULL)
        return -1;
    struct pn_str rest = {end + 1, (size_t)(text + n - end - 1)};
    (void)pn_str_split(&rest, ' ');
    (void)pn_str_split(&rest, ' ');
    return pn_str_u64(pn_str_split(&rest, ' '), INT32_MAX, &parent) ? (pid_t)parent : -1;
}
