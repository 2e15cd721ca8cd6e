#include "launch.h"

#include "clock.h"
#include "config.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: only async-signal-safe calls up to the exec. */
static _Noreturn void become(const char *program, const char *role, char **environment, int control)
{
    char *const argv[] = {(char *)"posternd", (char *)"--role", (char *)role, NULL};
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    /* A terminal sends them to each process: what they mean the supervisor alone says. */
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    if (control == PN_CONTROL_FD) {
        (void)fcntl(control, F_SETFD, 0);
    } else if (dup2(control, PN_CONTROL_FD) < 0) {
        _exit(127);
    }
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    }
    if (close_range(PN_CONTROL_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        _exit(127);
    (void)execve(program, argv, environment);
    _exit(127);
}

/* The leak check can't work in a jail, where it may not trace; see STYLE.md, Tests. */
static void quiet_sanitizer(void)
{
#ifdef PN_SANITIZE
    const char *old = getenv("ASAN_OPTIONS");
    char text[1024];
    if (old != NULL && strstr(old, "detect_leaks=0") != NULL)
        return;
    (void)snprintf(text, sizeof text, "%s%sdetect_leaks=0", old == NULL ? "" : old,
                   old == NULL ? "" : ":");
    (void)setenv("ASAN_OPTIONS", text, 1);
#endif
}

/* What a role that handles passwords frees is wiped, by whichever library it was: with these
 * the C library overwrites what it is given back, and sets nothing aside before. */
#define TUNABLES "GLIBC_TUNABLES"
static char wiping[] = TUNABLES "=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0";

/* Owned, its strings borrowed. */
static char **environment_of(enum pn_role role)
{
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        n++;
    char **out = pn_calloc(n + 2, sizeof *out);
    bool wipes = role == PN_ROLE_AUTH;
    for (size_t i = 0; i < n; i++)
        if (!wipes || strncmp(environ[i], TUNABLES "=", sizeof TUNABLES) != 0)
            out[kept++] = environ[i];
    if (wipes)
        out[kept] = wiping;
    return out;
}

bool pn_launch(struct pn_launch *out, const char *program, enum pn_role role, struct pn_buf *err)
{
    int fds[2];
    if (pn_channel_pair(fds) != 0) {
        (void)pn_buf_addf(err, "no channel: %s", strerror(errno));
        return false;
    }
    quiet_sanitizer();
    char **environment = environment_of(role);
    pid_t pid = fork();
    if (pid == 0)
        become(program == NULL ? "/proc/self/exe" : program, pn_role_name(role), environment,
               fds[1]);
    int saved = errno;
    free(environment);
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        (void)pn_buf_addf(err, "no process: %s", strerror(saved));
        return false;
    }
    *out = (struct pn_launch){pid, fds[0]};
    return true;
}

static bool send_body(int fd, uint16_t type, struct pn_buf *b, int passed)
{
    int result = pn_channel_send_fd(fd, type, pn_buf_str(b), &passed, passed >= 0 ? 1 : 0);
    pn_buf_fini(b);
    return result == 0;
}

static struct pn_buf body(void)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    return b;
}

bool pn_launch_start(int fd, const struct pn_start *start, int policy_fd)
{
    struct pn_buf b = body();
    pn_start_put(&b, start);
    return send_body(fd, PN_REC_START, &b, policy_fd);
}

bool pn_launch_peer(int fd, const struct pn_peer *peer)
{
    struct pn_buf b = body();
    pn_peer_put(&b, peer);
    return send_body(fd, PN_REC_PEER, &b, peer->fd);
}

bool pn_launch_folder(int fd, const struct pn_folder *folder)
{
    struct pn_buf b = body();
    pn_folder_put(&b, folder);
    return send_body(fd, PN_REC_FOLDER, &b, folder->fd);
}

bool pn_launch_dns_file(int fd, int file)
{
    struct pn_buf b = body();
    return send_body(fd, PN_REC_DNS_FILE, &b, file);
}

bool pn_launch_worker(int fd, const struct pn_worker *worker, int control_fd)
{
    struct pn_buf b = body();
    pn_worker_put(&b, worker);
    return send_body(fd, PN_REC_SPAWN_WORKER, &b, control_fd);
}

bool pn_launch_go(int fd)
{
    struct pn_buf b = body();
    return send_body(fd, PN_REC_GO, &b, -1);
}

bool pn_launch_ready(int fd, int timeout_ms, struct pn_buf *err)
{
    struct pn_buf b;
    struct pn_record record;
    pn_buf_init(&b, PN_RECORD_MAX);
    int got = pn_channel_recv_fd(fd, &record, &b, timeout_ms);
    bool ready = got == 1 && record.type == PN_REC_READY;
    if (got == 1 && record.type == PN_REC_FAILED)
        (void)pn_buf_adds(err, record.body);
    else if (!ready)
        (void)pn_buf_addz(err, got == 0                     ? "it ended before it was ready"
                               : got < 0 && errno == EAGAIN ? "it was not ready in time"
                                                            : "it sent no such record");
    if (got == 1)
        pn_record_close_fds(&record);
    pn_buf_fini(&b);
    return ready;
}

void pn_launch_stop(struct pn_launch *launch)
{
    uint64_t end = pn_clock_mono_ns() + 2 * (uint64_t)PN_NS_PER_S;
    if (launch->fd >= 0)
        (void)close(launch->fd);
    while (launch->pid > 0) {
        pid_t got = waitpid(launch->pid, NULL, WNOHANG);
        if (got == launch->pid || (got < 0 && errno != EINTR))
            break;
        if (pn_clock_mono_ns() > end)
            (void)kill(launch->pid, SIGKILL);
        (void)poll(NULL, 0, 2);
    }
    *launch = (struct pn_launch){.fd = -1};
}
