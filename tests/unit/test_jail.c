/*
 * Each row of the jail, in a child of its own for each act: what it may works, what it
 * may not is refused with an errno or ends the child by SIGSYS.
 */
#include "unit.h"

#include "jail.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/postern-jail-XXXXXX";
static int folder_fd;

static bool open_below(void)
{
    int fd = openat(folder_fd, "file", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static bool make_below(void)
{
    int fd = openat(folder_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1 && fdatasync(fd) == 0 &&
           renameat(folder_fd, "new", folder_fd, "newer") == 0 &&
           unlinkat(folder_fd, "newer", 0) == 0;
}

static bool open_elsewhere(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool make_elsewhere(void)
{
    return open("/tmp/postern-jail-escape", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool inet_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool listen_here(void)
{
    return listen(folder_fd, 1) == 0 || errno == ENOTSOCK;
}

static bool accept_here(void)
{
    return accept4(folder_fd, NULL, NULL, 0) >= 0 || errno == ENOTSOCK;
}

static void *nothing(void *arg)
{
    return arg;
}

static bool start_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static bool fork_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool signal_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static bool exec_shell(void)
{
    (void)execl("/bin/true", "true", (char *)NULL);
    return false; /* if it worked, the child ends with true's 0 */
}

static bool trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool map_exec(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}

/* It would hold mail. */
static bool no_core(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_cur == 0 && r.rlim_max == 0;
}

/* What all need. */
static bool live(void)
{
    struct stat st;
    int fds[2];
    char c;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int memory = memfd_create("unit", MFD_CLOEXEC);
    return p != MAP_FAILED && memory >= 0 && fstat(memory, &st) == 0 && pipe(fds) == 0 &&
           write(fds[1], "x", 1) == 1 && read(fds[0], &c, 1) == 1 && malloc(1 << 20) != NULL;
}

enum {
    RESOLVER = 1 << PN_JAIL_RESOLVER,
    EDGE = 1 << PN_JAIL_EDGE,
    TEMPLATE = 1 << PN_JAIL_TEMPLATE,
    LOAD = 1 << PN_JAIL_LOAD,
    WORKER = 1 << PN_JAIL_WORKER,
    QUEUE = 1 << PN_JAIL_QUEUE,
    MAILBOX = 1 << PN_JAIL_MAILBOX,
    AUTH = 1 << PN_JAIL_AUTH,
    ADMIN = 1 << PN_JAIL_ADMIN,
    COMPILE = 1 << PN_JAIL_COMPILE,
    STATE = 1 << PN_JAIL_STATE,
    SIGNER = 1 << PN_JAIL_SIGNER,
    ALL = (1 << PN_JAIL_COUNT) - 1
};

static const struct {
    const char *name;
    bool (*fn)(void);
    unsigned may; /* the rows that may */
} acts[] = {
    {"live", live, ALL},
    {"no core files", no_core, ALL},
    {"open a file below its folder", open_below,
     ALL & ~(RESOLVER | EDGE | WORKER | STATE | SIGNER | AUTH)},
    {"make a file below its folder", make_below, QUEUE | MAILBOX | ADMIN},
    {"open a file elsewhere", open_elsewhere, 0},
    {"make a file elsewhere", make_elsewhere, 0},
    {"internet socket", inet_socket, RESOLVER | QUEUE},
    {"unix socket", unix_socket, 0},
    {"listen", listen_here, 0},
    {"accept", accept_here, EDGE | ADMIN},
    {"thread", start_thread, TEMPLATE | LOAD | WORKER | QUEUE | MAILBOX | AUTH | STATE | SIGNER},
    {"fork", fork_child, TEMPLATE | LOAD},
    {"signal its parent", signal_parent, 0},
    {"exec", exec_shell, 0},
    {"ptrace", trace, 0},
    {"executable memory", map_exec, COMPILE | LOAD},
};

static struct pn_role_env env_of(struct pn_folder *f)
{
    *f = (struct pn_folder){PN_FOLDER_STATE, pn_str_of(folder), folder_fd};
    return (struct pn_role_env){.folders = f, .folder_count = 1, .control_fd = -1};
}

/* 'y' worked, 'n' refused or killed, '?' the jail itself failed. */
static char try_act(const struct pn_jail *jail, bool (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct pn_folder f;
        struct pn_role_env env = env_of(&f);
        if (!pn_jail_enter(&env, jail))
            _exit(2);
        _exit(fn() ? 0 : 1);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return '?';
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? 'n' : '?';
    return WEXITSTATUS(status) == 0 ? 'y' : WEXITSTATUS(status) == 1 ? 'n' : '?';
}

static void test_acts(void)
{
    if (pn_jail_support() != NULL) {
        printf("skipped: %s\n", pn_jail_support());
        return;
    }
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        for (int kind = 0; kind < PN_JAIL_COUNT; kind++) {
            char label[100];
            (void)snprintf(label, sizeof label, "%s in row %d", acts[i].name, kind);
            unit_row(label);
            struct pn_jail jail = {.kind = (enum pn_jail_kind)kind};
            char want = (acts[i].may & (1U << kind)) != 0 ? 'y' : 'n';
            UNIT_INT(try_act(&jail, acts[i].fn), want);
        }
    }
}

static void test_grants(void)
{
    static const struct {
        const char *label;
        unsigned grants;
        bool (*fn)(void);
        char want;
    } rows[] = {
        {"connect", PN_GRANT_CONNECT, inet_socket, 'y'},
        {"connect is not by a unix socket", PN_GRANT_CONNECT, unix_socket, 'n'},
        {"but where that is granted", PN_GRANT_CONNECT | PN_GRANT_LOCAL, unix_socket, 'y'},
        {"which alone is nothing", PN_GRANT_LOCAL, unix_socket, 'n'},
        {"files", PN_GRANT_FILES, open_below, 'y'},
        {"files are not written", PN_GRANT_FILES, make_below, 'n'},
        {"write", PN_GRANT_WRITE, make_below, 'y'},
        {"write is not elsewhere", PN_GRANT_WRITE, make_elsewhere, 'n'},
        {"JIT", PN_GRANT_JIT, map_exec, 'y'},
    };
    if (pn_jail_support() != NULL)
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_jail jail = {.kind = PN_JAIL_WORKER, .grants = rows[i].grants};
        unit_row(rows[i].label);
        UNIT_INT(try_act(&jail, rows[i].fn), rows[i].want);
    }
}

static struct pn_jail inner = {.kind = PN_JAIL_WORKER};

/* A worker: forked in its template's jail, then in its own, then with threads. */
static bool be_worker(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct pn_folder f;
        struct pn_role_env env = env_of(&f);
        bool ok = pn_jail_enter(&env, &inner) && start_thread() && live() && !open_below() &&
                  !inet_socket();
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_nested(void)
{
    struct pn_jail jail = {.kind = PN_JAIL_TEMPLATE};
    if (pn_jail_support() == NULL)
        UNIT_INT(try_act(&jail, be_worker), 'y');
}

static bool drop_works(void)
{
    return getuid() == 65534 && getgid() == 65533 && getgroups(0, NULL) == 0;
}

static void test_drop(void)
{
    if (geteuid() != 0)
        return;
    for (int row = 0; row < 2; row++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct pn_folder f;
            struct pn_role_env env = env_of(&f);
            struct pn_jail jail = {.kind = PN_JAIL_EDGE};
            env.start.flags = PN_START_DROP;
            env.start.uid = row == 0 ? 65534 : 0; /* never root */
            env.start.gid = 65533;
            pn_log_init("unit", PN_LOG_ERROR + 1);
            _exit(pn_jail_enter(&env, &jail) && drop_works() ? 0 : 1);
        }
        int status = 0;
        UNIT_TRUE(waitpid(pid, &status, 0) == pid);
        UNIT_INT(status == 0, row == 0);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"acts", test_acts}, {"grants", test_grants}, {"nested", test_nested}, {"drop", test_drop},
        {NULL, NULL},
    };
    if (mkdtemp(folder) == NULL || chdir("/") != 0)
        return EXIT_FAILURE;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(folder_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0)
        return EXIT_FAILURE;
    int result = unit_main("jail", tests, argc, argv);
    (void)unlinkat(folder_fd, "file", 0);
    (void)close(folder_fd);
    (void)rmdir(folder);
    return result;
}
