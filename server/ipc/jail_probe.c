/*
 * --probe: a role that has just been jailed tries what its jail is there to forbid, and
 * logs each outcome. The filter refuses with errno then instead of ending the process,
 * so that all acts are tried; tests/faults/test_jail.py compares with what each role may.
 */
#include "jail_int.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each returns whether the kernel let it through; EBADF and the like are let through. */

static bool opened(int fd)
{
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static bool refused(void)
{
    return errno == EPERM || errno == EACCES || errno == EAFNOSUPPORT || errno == ENOSYS;
}

static bool read_file(void)
{
    return opened(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static bool write_file(void)
{
    return opened(open("/tmp/postern-probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool read_parent(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)getppid());
    return opened(open(path, O_RDONLY | O_CLOEXEC));
}

static bool inet_socket(void)
{
    return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool unix_socket(void)
{
    return opened(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool bind_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(2526)};
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0;
    return opened(fd) && bound;
}

static bool listen_call(void)
{
    return listen(-1, 1) == 0 || !refused();
}

static bool accept_call(void)
{
    return opened(accept4(-1, NULL, NULL, SOCK_CLOEXEC)) || !refused();
}

static bool fork_call(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    return pid > 0;
}

static bool exec_call(void)
{
    char *const argv[] = {(char *)"none", NULL};
    (void)execve("/nonexistent/postern", argv, argv + 1);
    return !refused();
}

static bool signal_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool trace_parent(void)
{
    return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0;
}

static bool exec_memory(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED)
        (void)munmap(p, 4096);
    return p != MAP_FAILED;
}

static bool become_root(void)
{
    return setuid(0) == 0;
}

static bool new_namespace(void)
{
    return unshare(CLONE_NEWUSER) == 0;
}

static bool mount_call(void)
{
    return mount("none", "/nonexistent", "tmpfs", 0, NULL) == 0 || !refused();
}

static const struct {
    const char *name;
    bool (*fn)(void);
} acts[] = {
    {"read-file", read_file},
    {"write-file", write_file},
    {"read-parent", read_parent},
    {"inet-socket", inet_socket},
    {"unix-socket", unix_socket},
    {"bind-port", bind_port},
    {"listen", listen_call},
    {"accept", accept_call},
    {"fork", fork_call},
    {"exec", exec_call},
    {"signal-parent", signal_parent},
    {"trace-parent", trace_parent},
    {"exec-memory", exec_memory},
    {"become-root", become_root},
    {"new-namespace", new_namespace},
    {"mount", mount_call},
};

void jail_probe(void)
{
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        bool allowed = acts[i].fn();
        pn_info("probe %s %s", acts[i].name, allowed ? "allowed" : "refused");
    }
}
