/*
 * The system calls of each right. Names that this machine's libseccomp or kernel does
 * not know are passed over: what is not allowed is refused anyway.
 */
#include "assert.h"
#include "jail_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors it holds, memory, time, itself. */
static const char always[] =
    "brk clock_getres clock_gettime clock_nanosleep close close_range dup dup2 dup3 "
    "epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2 exit exit_group "
    "fallocate fcntl fdatasync flock fstat fstatfs fsync ftruncate futex futex_waitv "
    "get_robust_list getcpu getegid geteuid getgid getgroups getpeername getpgrp getpid "
    "getppid getrandom getresgid getresuid getrusage getsockname getsockopt gettid "
    "gettimeofday getuid lseek madvise membarrier memfd_create mincore mremap munmap "
    "nanosleep pipe2 poll ppoll pread64 preadv pselect6 pwrite64 pwritev read readv "
    "recvfrom recvmmsg recvmsg restart_syscall rseq rt_sigaction rt_sigpending "
    "rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity "
    "sched_yield select sendmmsg sendmsg sendto set_robust_list set_tid_address setsockopt "
    "shutdown sigaltstack socketpair sync_file_range sysinfo time timerfd_create "
    "timerfd_gettime timerfd_settime times umask uname write writev";

static const char open_calls[] =
    "access faccessat faccessat2 fadvise64 fchdir getcwd getdents64 lstat newfstatat open "
    "openat openat2 readahead readlink readlinkat sendfile splice stat statfs statx";

static const char write_calls[] =
    "chmod copy_file_range fchmod fchmodat fchown link linkat mkdir mkdirat rename renameat "
    "renameat2 rmdir syncfs truncate unlink unlinkat utimensat";

static const char connect_calls[] = "bind connect";
static const char accept_calls[] = "accept accept4";
static const char fork_calls[] = "fork vfork kill pidfd_open pidfd_send_signal wait4 waitid";
static const char narrow_calls[] =
    "landlock_add_rule landlock_create_ruleset landlock_restrict_self prctl seccomp "
    "prlimit64 setrlimit";

/* Libraries try these now and then and take a refusal well; no reason to die. */
static const char refused[] =
    "access clone3 faccessat faccessat2 getcwd kill lstat mlock munlock open openat "
    "openat2 readlink readlinkat sched_getparam sched_getscheduler sched_setaffinity "
    "sched_setscheduler setpriority socket stat statfs statx sysfs";

enum { WORD_MAX = 32 };
enum {
    NAMESPACES = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID |
                 CLONE_NEWUSER | CLONE_NEWUTS
};

bool jail_seccomp_there(void)
{
    /* Filters, not only the strict mode: a kernel that has them looks for ours, at NULL. */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) != 0 && errno == EFAULT;
}

/* -1 with errno, but a rule that stands already is fine. */
static int rule(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned count,
                const struct scmp_arg_cmp *args)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (nr == __NR_SCMP_ERROR)
        return 0;
    int result = seccomp_rule_add_array(ctx, action, nr, count, args);
    errno = result < 0 ? -result : 0;
    return result < 0 && result != -EEXIST && result != -EACCES && result != -EDOM ? -1 : 0;
}

/* The next word of a list, NUL-terminated in word; false at its end. */
static bool next_word(struct pn_str *list, char word[WORD_MAX])
{
    if (list->p == NULL)
        return false;
    struct pn_str w = pn_str_split(list, ' ');
    pn_assert(w.len != 0 && w.len < WORD_MAX);
    memcpy(word, w.p, w.len);
    word[w.len] = '\0';
    return true;
}

static int allow_all(scmp_filter_ctx ctx, const char *names)
{
    char name[WORD_MAX];
    for (struct pn_str list = pn_str_of(names); next_word(&list, name);)
        if (rule(ctx, SCMP_ACT_ALLOW, name, 0, NULL) != 0)
            return -1;
    return 0;
}

static bool has(const char *names, const char *wanted)
{
    char name[WORD_MAX];
    for (struct pn_str list = pn_str_of(names); next_word(&list, name);)
        if (strcmp(name, wanted) == 0)
            return true;
    return false;
}

/* Whether a later rule allows what `refused` names. */
static bool is_allowed(unsigned rights, const char *name)
{
    return ((rights & JAIL_OPEN) != 0 && has(open_calls, name)) ||
           ((rights & JAIL_FORK) != 0 && has(fork_calls, name)) ||
           ((rights & JAIL_CONNECT) != 0 && strcmp(name, "socket") == 0);
}

static int refuse(scmp_filter_ctx ctx, unsigned rights)
{
    char name[WORD_MAX];
    for (struct pn_str list = pn_str_of(refused); next_word(&list, name);) {
        /* glibc then falls back to clone, whose flags a filter can see. */
        uint32_t error = strcmp(name, "clone3") == 0 ? ENOSYS : EACCES;
        if (!is_allowed(rights, name) && rule(ctx, SCMP_ACT_ERRNO(error), name, 0, NULL) != 0)
            return -1;
    }
    return 0;
}

#define CMP(...) ((const struct scmp_arg_cmp[]){__VA_ARGS__})

static int allow_memory(scmp_filter_ctx ctx, bool exec)
{
    static const char *const names[] = {"mmap", "mprotect", "pkey_mprotect"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (rule(ctx, SCMP_ACT_ALLOW, names[i], exec ? 0 : 1,
                 CMP(SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))) != 0)
            return -1;
    return 0;
}

/* Internet sockets; whatever else a library tries is refused, not fatal. */
static int allow_sockets(scmp_filter_ctx ctx, bool local)
{
    int first = local ? AF_UNIX : AF_INET;
    uint32_t no = SCMP_ACT_ERRNO(EAFNOSUPPORT);
    int bad = rule(ctx, no, "socket", 1, CMP(SCMP_A0(SCMP_CMP_LT, (scmp_datum_t)first))) |
              rule(ctx, no, "socket", 1, CMP(SCMP_A0(SCMP_CMP_GT, AF_INET6)));
    for (int family = first; family <= AF_INET6; family++) {
        bool good = family == AF_UNIX || family == AF_INET || family == AF_INET6;
        bad |= rule(ctx, good ? SCMP_ACT_ALLOW : no, "socket", 1,
                    CMP(SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family)));
    }
    return bad | allow_all(ctx, connect_calls);
}

/* fstat is newfstatat with an empty path in this glibc. */
static int allow_fstat(scmp_filter_ctx ctx)
{
    return rule(ctx, SCMP_ACT_ALLOW, "newfstatat", 1,
                CMP(SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH))) |
           rule(ctx, SCMP_ACT_ERRNO(EACCES), "newfstatat", 1,
                CMP(SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0)));
}

static int allow_process(scmp_filter_ctx ctx, unsigned rights)
{
    /* Its own threads may be signalled (abort). */
    int bad = rule(ctx, SCMP_ACT_ALLOW, "tgkill", (rights & JAIL_FORK) != 0 ? 0 : 1,
                   CMP(SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())));
    if ((rights & JAIL_FORK) != 0)
        bad |=
            rule(ctx, SCMP_ACT_ALLOW, "clone", 1, CMP(SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACES, 0)));
    else if ((rights & JAIL_THREADS) != 0)
        bad |= rule(ctx, SCMP_ACT_ALLOW, "clone", 1,
                    CMP(SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)));
    if ((rights & JAIL_NARROW) != 0)
        return bad;
    bad |= rule(ctx, SCMP_ACT_ALLOW, "prctl", 1, CMP(SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)));
    bad |= rule(ctx, SCMP_ACT_ALLOW, "prlimit64", 1, CMP(SCMP_A2(SCMP_CMP_EQ, 0)));
    return bad;
}

static int allow_ioctls(scmp_filter_ctx ctx)
{
    static const unsigned long ioctls[] = {FIONBIO, FIONREAD, TCGETS, SIOCOUTQ};
    int bad = 0;
    for (size_t i = 0; i < sizeof ioctls / sizeof ioctls[0]; i++)
        bad |= rule(ctx, SCMP_ACT_ALLOW, "ioctl", 1, CMP(SCMP_A1(SCMP_CMP_EQ, ioctls[i])));
    return bad;
}

static int fill(scmp_filter_ctx ctx, unsigned rights)
{
    static const struct {
        unsigned right;
        const char *names;
    } lists[] = {{JAIL_OPEN, open_calls},
                 {JAIL_WRITE, write_calls},
                 {JAIL_ACCEPT, accept_calls},
                 {JAIL_FORK, fork_calls},
                 {JAIL_NARROW, narrow_calls}};
    int bad = refuse(ctx, rights) | allow_all(ctx, always);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if ((rights & lists[i].right) != 0)
            bad |= allow_all(ctx, lists[i].names);
    if ((rights & JAIL_CONNECT) != 0)
        bad |= allow_sockets(ctx, (rights & JAIL_LOCAL) != 0);
    if ((rights & JAIL_OPEN) == 0)
        bad |= allow_fstat(ctx);
    return bad | allow_memory(ctx, (rights & JAIL_EXEC_MAP) != 0) | allow_process(ctx, rights) |
           allow_ioctls(ctx);
}

void pn_jail_call_name(int call, char *out, size_t size)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
    (void)snprintf(out, size, "%s", name == NULL ? "" : name);
    free(name);
}

int jail_seccomp(unsigned rights, enum jail_refusal refusal, struct pn_buf *err)
{
    if (!jail_seccomp_there())
        return 1;
    scmp_filter_ctx ctx = seccomp_init(refusal == JAIL_BY_ERROR  ? SCMP_ACT_ERRNO(EPERM)
                                       : refusal == JAIL_BY_TRAP ? SCMP_ACT_TRAP
                                                                 : SCMP_ACT_KILL_PROCESS);
    if (ctx == NULL) {
        (void)pn_buf_addz(err, "out of memory");
        return -1;
    }
    int result = fill(ctx, rights);
    if (result == 0) {
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, if it can */
        result = seccomp_load(ctx);
        errno = -result;
    }
    if (result != 0)
        (void)pn_buf_addf(err, "%s", strerror(errno));
    seccomp_release(ctx);
    return result == 0 ? 0 : -1;
}
