/*
 * Landlock by raw system calls: Debian's headers know only its first versions, and
 * glibc has no wrapper. What a kernel's version does not know is left out.
 */
#include "jail_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h: struct landlock_ruleset_attr and the rules. */
struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_rule {
    uint64_t access;
    int32_t fd;
} __attribute__((packed));

struct port_rule {
    uint64_t access, port;
};

enum { RULE_PATH = 1, RULE_PORT = 2, CREATE_VERSION = 1 };

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_BLOCK = 1 << 11,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,     /* version 2 */
    FS_TRUNCATE = 1 << 14,  /* version 3 */
    FS_IOCTL_DEV = 1 << 15, /* version 5 */
    FS_FIRST = FS_REFER - 1
};

enum { NET_BIND_TCP = 1, NET_CONNECT_TCP = 2 };     /* version 4 */
enum { SCOPE_ABSTRACT_UNIX = 1, SCOPE_SIGNAL = 2 }; /* version 6 */

static int version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
}

bool jail_landlock_there(void)
{
    return version() >= 1;
}

static struct ruleset handled(int abi, unsigned rights)
{
    struct ruleset r = {.fs = FS_FIRST};
    if (abi >= 2)
        r.fs |= FS_REFER;
    if (abi >= 3)
        r.fs |= FS_TRUNCATE;
    if (abi >= 5)
        r.fs |= FS_IOCTL_DEV;
    if (abi >= 4)
        r.net = NET_BIND_TCP | ((rights & JAIL_CONNECT) != 0 ? 0 : NET_CONNECT_TCP);
    if (abi >= 6) /* a template's children live in its domain or a narrower one */
        r.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    return r;
}

static uint64_t access_of(bool write, bool folder, uint64_t fs)
{
    uint64_t access = FS_READ_FILE | FS_READ_DIR;
    if (write)
        access =
            (FS_FIRST | FS_REFER | FS_TRUNCATE) &
            ~(uint64_t)(FS_EXECUTE | FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_MAKE_SYM | FS_MAKE_SOCK);
    if (!folder)
        access &= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
    return access & fs;
}

static int allow_fd(int rules, int fd, bool write, uint64_t fs)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    struct path_rule rule = {access_of(write, S_ISDIR(st.st_mode), fs), fd};
    return (int)syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0);
}

static int allow_path(int rules, const struct pn_jail_path *path, uint64_t fs)
{
    int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    int result = allow_fd(rules, fd, path->write, fs);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return result;
}

static int add_rules(int rules, const struct pn_role_env *env, const struct pn_jail *jail,
                     unsigned rights, const struct ruleset *attr, struct pn_buf *err)
{
    bool write = (rights & JAIL_WRITE) != 0;
    for (size_t i = 0; (rights & JAIL_OPEN) != 0 && i < env->folder_count; i++) {
        if (allow_fd(rules, env->folders[i].fd, write, attr->fs) != 0) {
            (void)pn_buf_addf(err, "%.*s: %s", PN_FMT(env->folders[i].path), strerror(errno));
            return -1;
        }
    }
    for (size_t i = 0; (rights & JAIL_OPEN) != 0 && i < jail->path_count; i++) {
        if (allow_path(rules, &jail->paths[i], attr->fs) != 0) {
            (void)pn_buf_addf(err, "%s: %s", jail->paths[i].path, strerror(errno));
            return -1;
        }
    }
    /* A source address is bound with port 0; other ports are for the supervisor. */
    struct port_rule any = {NET_BIND_TCP, 0};
    if (attr->net != 0 && (rights & JAIL_CONNECT) != 0 &&
        syscall(SYS_landlock_add_rule, rules, RULE_PORT, &any, 0) != 0) {
        (void)pn_buf_addf(err, "port rule: %s", strerror(errno));
        return -1;
    }
    return 0;
}

int jail_landlock(const struct pn_role_env *env, const struct pn_jail *jail, unsigned rights,
                  struct pn_buf *err)
{
    int abi = version();
    if (abi < 1)
        return 1;
    struct ruleset attr = handled(abi, rights);
    size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (rules < 0) {
        (void)pn_buf_addf(err, "create: %s", strerror(errno));
        return -1;
    }
    int result = add_rules(rules, env, jail, rights, &attr, err);
    if (result == 0 && syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
        (void)pn_buf_addf(err, "restrict: %s", strerror(errno));
        result = -1;
    }
    (void)close(rules);
    return result;
}
