#include "jail.h"

#include "assert.h"
#include "config.h"
#include "jail_int.h"
#include "log.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef PN_SANITIZE
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* The one place that says what each role may. Reading, writing and waiting on
 * descriptors it was given, memory, clocks and memory files all may. */
static const unsigned rows[PN_JAIL_COUNT] = {
    [PN_JAIL_RESOLVER] = JAIL_CONNECT,
    [PN_JAIL_EDGE] = JAIL_ACCEPT,
    [PN_JAIL_TEMPLATE] = JAIL_FORK | JAIL_NARROW | JAIL_THREADS | JAIL_OPEN,
    [PN_JAIL_LOAD] = JAIL_FORK | JAIL_NARROW | JAIL_THREADS | JAIL_OPEN | JAIL_EXEC_MAP,
    [PN_JAIL_WORKER] = JAIL_THREADS,
    [PN_JAIL_QUEUE] = JAIL_CONNECT | JAIL_OPEN | JAIL_WRITE | JAIL_THREADS,
    [PN_JAIL_MAILBOX] = JAIL_OPEN | JAIL_WRITE | JAIL_THREADS,
    [PN_JAIL_AUTH] = JAIL_THREADS, /* users come as descriptors, the salt key is read before */
    [PN_JAIL_ADMIN] = JAIL_ACCEPT | JAIL_OPEN | JAIL_WRITE,
    [PN_JAIL_COMPILE] = JAIL_OPEN | JAIL_EXEC_MAP,
    [PN_JAIL_STATE] = JAIL_THREADS, /* its file is open before */
    [PN_JAIL_SIGNER] = JAIL_THREADS,
};

struct pn_jail_kernel pn_jail_kernel(void)
{
    return (struct pn_jail_kernel){jail_landlock_there(), jail_seccomp_there()};
}

const char *pn_jail_support(void)
{
    struct pn_jail_kernel has = pn_jail_kernel();
    if (has.landlock && has.seccomp)
        return NULL;
    if (has.landlock)
        return "this kernel has no seccomp filters: roles may make any system call";
    return has.seccomp ? "this kernel has no Landlock: roles may open what their user may"
                       : "this kernel has neither Landlock nor seccomp: roles run unjailed";
}

static bool drop_ids(const struct pn_start *start)
{
    if ((start->flags & PN_START_DROP) == 0 || (geteuid() == start->uid && getuid() == start->uid))
        return true; /* a worker has its template's ids already */
    if (start->uid == 0 || start->gid == 0) {
        pn_error("refusing to serve as root");
        return false;
    }
    gid_t gid = start->gid;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(start->uid, start->uid, start->uid) != 0) {
        pn_error("cannot become user %u, group %u: %s", start->uid, start->gid, strerror(errno));
        return false;
    }
    if (setuid(0) == 0 || setgid(0) == 0) {
        pn_error("privileges could be taken back after they were dropped");
        return false;
    }
    return true;
}

bool pn_jail_drop(const struct pn_role_env *env)
{
    return drop_ids(&env->start);
}

static bool limit(int resource, uint64_t most, const char *what)
{
    struct rlimit r = {most, most};
    if (setrlimit((__rlimit_resource_t)resource, &r) == 0)
        return true;
    pn_error("cannot limit %s: %s", what, strerror(errno));
    return false;
}

static unsigned rights_of(const struct pn_jail *jail)
{
    unsigned rights = rows[jail->kind];
    if ((jail->grants & PN_GRANT_CONNECT) != 0)
        rights |= JAIL_CONNECT;
    if ((jail->grants & PN_GRANT_LOCAL) != 0)
        rights |= JAIL_LOCAL;
    if ((jail->grants & PN_GRANT_FILES) != 0)
        rights |= JAIL_OPEN;
    if ((jail->grants & PN_GRANT_WRITE) != 0)
        rights |= JAIL_OPEN | JAIL_WRITE;
    if ((jail->grants & PN_GRANT_JIT) != 0)
        rights |= JAIL_EXEC_MAP;
    return rights;
}

/* result as jail_landlock and jail_seccomp give it. */
static bool settle(const struct pn_role_env *env, const char *what, int result, struct pn_buf *err)
{
    bool must = (env->start.flags & PN_START_JAIL_MUST) != 0;
    if (result < 0 || (result == 1 && must))
        pn_error("no jail: %s: %s", what,
                 result == 1 ? "this kernel has none, and the configuration asks for it"
                             : pn_buf_cstr(err));
    return result == 0 || (result == 1 && !must);
}

bool pn_jail_enter(const struct pn_role_env *env, const struct pn_jail *jail)
{
    struct pn_buf err;
    pn_assert((size_t)jail->kind < PN_JAIL_COUNT);
    unsigned rights = rights_of(jail);
    pn_buf_init(&err, 500);
    bool ok = drop_ids(&env->start) && limit(RLIMIT_CORE, 0, "core files");
    if (ok && jail->memory_max != 0 && !SANITIZED)
        ok = limit(RLIMIT_AS, jail->memory_max, "memory");
    if (ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        pn_error("cannot set no_new_privs: %s", strerror(errno));
        ok = false;
    }
    ok = ok && settle(env, "Landlock", jail_landlock(env, jail, rights, &err), &err);
    bool probe = (env->start.flags & PN_START_PROBE) != 0;
    enum jail_refusal refusal = SANITIZED || probe ? JAIL_BY_ERROR
                                : jail->traps      ? JAIL_BY_TRAP
                                                   : JAIL_BY_DEATH;
    ok = ok && settle(env, "seccomp", jail_seccomp(rights, refusal, &err), &err);
    if (ok && probe && jail->kind != PN_JAIL_LOAD)
        jail_probe();
    pn_buf_fini(&err);
    return ok;
}
