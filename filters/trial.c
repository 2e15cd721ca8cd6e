/* A plugin loaded in a child first: what its constructors do happens there. */
#include "find.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Generous: a library that reads its tables while it is loaded is slow, not broken. */
enum { LIMIT_MS = 30 * 1000 };

static void load_in_child(const char *path, int done)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct pn_buf err;
    /* A sanitizer's handlers would make an exit status of what is a signal. */
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        (void)signal(fatal[i], SIG_DFL);
    pn_buf_init(&err, 4096);
    struct pn_plugin *plugin = pn_plugin_load(path, &err);
    pn_plugin_unload(&plugin);
    /* A constructor that calls exit() does so with a status of its choice: only this byte
     * says that the load came back. */
    _exit(write(done, "", 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Whether the child said that it is done in time; one that did not is killed. */
static bool wait_done(int fd, pid_t pid, bool *late)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;
    int n;
    do
        n = poll(&p, 1, LIMIT_MS);
    while (n < 0 && errno == EINTR);
    *late = n == 0;
    if (*late)
        (void)kill(pid, SIGKILL);
    return n > 0 && read(fd, &byte, 1) == 1;
}

static bool tell(const char *path, int status, bool late, struct pn_buf *err)
{
    if (late)
        (void)pn_buf_addf(err, "%s: did not come back from being loaded in %d s", path,
                          LIMIT_MS / 1000);
    else if (WIFSIGNALED(status))
        (void)pn_buf_addf(err, "%s: died of signal %d (SIG%s) while it was loaded", path,
                          WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
    else
        (void)pn_buf_addf(err, "%s: ended its process (exit status %d) while it was loaded", path,
                          WEXITSTATUS(status));
    return false;
}

bool pn_plugin_try(const char *path, struct pn_buf *err)
{
    int fds[2], status = 0;
    bool late, done;
    pid_t pid = -1;
    if (pipe(fds) != 0 || (pid = fork()) < 0) {
        (void)pn_buf_addf(err, "%s: no process to try it in: %s", path, strerror(errno));
        return false;
    }
    if (pid == 0) {
        (void)close(fds[0]);
        load_in_child(path, fds[1]);
    }
    (void)close(fds[1]);
    done = wait_done(fds[0], pid, &late);
    (void)close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return (done && status == 0) || tell(path, status, late, err);
}
