/*
 * Stands before libseccomp and execve in a process that valgrind runs (LD_PRELOAD, by
 * tests/valgrind.sh; nothing that is installed knows of it). valgrind makes system calls
 * of its own, which no role's filter allows, so filters are made of nothing here and
 * never loaded: a line in the file that POSTERN_LEFT_OUT names says so each time.
 * valgrind also is what /proc/self/exe names; the program's own path is put there.
 */
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static int nothing;

SHOWN scmp_filter_ctx seccomp_init(uint32_t action)
{
    (void)action;
    return &nothing;
}

SHOWN int seccomp_rule_add_array(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned count,
                                 const struct scmp_arg_cmp *args)
{
    (void)ctx, (void)action, (void)nr, (void)count, (void)args;
    return 0;
}

SHOWN int seccomp_attr_set(scmp_filter_ctx ctx, enum scmp_filter_attr attr, uint32_t value)
{
    (void)ctx, (void)attr, (void)value;
    return 0;
}

SHOWN void seccomp_release(scmp_filter_ctx ctx)
{
    (void)ctx;
}

SHOWN int seccomp_load(const scmp_filter_ctx ctx)
{
    const char *path = getenv("POSTERN_LEFT_OUT");
    char name[17] = "", line[40];
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    (void)ctx;
    (void)prctl(PR_GET_NAME, name);
    int n = snprintf(line, sizeof line, "%s\n", name);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        return -1; /* never left out in silence */
    (void)close(fd);
    return 0;
}

SHOWN int execve(const char *path, char *const argv[], char *const environment[])
{
    char own[PATH_MAX];
    ssize_t n = -1;
    if (strcmp(path, "/proc/self/exe") == 0)
        n = readlink(path, own, sizeof own - 1);
    if (n > 0)
        own[n] = '\0';
    return (int)syscall(SYS_execve, n > 0 ? own : path, argv, environment);
}
