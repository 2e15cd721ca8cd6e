#include "maildir.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool harmless(char c)
{
    return pn_is_alpha(c) || pn_is_digit(c) || (c != '\0' && strchr("-_+=@.,~", c) != NULL);
}

bool maildir_component(struct pn_buf *out, struct pn_str name)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t start = out->len;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (harmless(name.p[i]) && (i > 0 || name.p[i] != '.')) {
            (void)pn_buf_addc(out, name.p[i]);
        } else {
            const char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
            (void)pn_buf_add(out, escaped, sizeof escaped);
        }
    }
    return !out->overflow && name.len > 0 && out->len - start <= MAILDIR_COMPONENT_MAX;
}

/* The last @ parts local part and domain: a quoted local part may hold others. */
static size_t last_at(struct pn_str user)
{
    for (size_t i = user.len; i > 0; i--)
        if (user.p[i - 1] == '@')
            return i - 1;
    return SIZE_MAX;
}

bool maildir_user_path(struct pn_buf *out, struct pn_str user)
{
    size_t at = last_at(user);
    struct pn_str local = pn_str_slice(user, 0, at);
    struct pn_str domain = at == SIZE_MAX ? PN_STR("-") : pn_str_slice(user, at + 1, user.len);
    return (at == SIZE_MAX || !pn_str_eq(domain, PN_STR("-"))) && maildir_component(out, domain) &&
           pn_buf_addc(out, '/') && maildir_component(out, local);
}

/* As the kernel says it of a directory that is to be no link, but ELOOP for a link. */
static int open_no_link(int at, const char *name)
{
    struct stat st;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), error = errno;
    if (fd < 0 && error == ENOTDIR && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(st.st_mode))
        error = ELOOP;
    errno = error;
    return fd;
}

/* For a place without openat2 (valgrind, an old kernel): part by part, likewise. */
static int walk(int root, const char *path)
{
    char name[MAILDIR_COMPONENT_MAX + 1];
    int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (struct pn_str rest = pn_str_of(path); rest.p != NULL && at >= 0;) {
        struct pn_str part = pn_str_split(&rest, '/');
        bool odd = part.len >= sizeof name || pn_str_eq(part, PN_STR(".."));
        (void)snprintf(name, sizeof name, "%.*s", PN_FMT(part));
        int next = odd ? -1 : open_no_link(at, name);
        int error = odd ? ENAMETOOLONG : errno;
        (void)close(at);
        errno = error;
        at = next;
    }
    return at;
}

/* No link is followed, wherever it leads: one from a user to another stays within the root, too. */
static int open_beneath(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    long fd;
    do /* EAGAIN: something above was renamed meanwhile */
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)fd;
}

int maildir_open_dir(int root, const char *path)
{
    int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
    return fd < 0 && errno == ENOSYS ? walk(root, path) : fd;
}

/* For the same place. */
static int walk_to_file(int root, const char *path, int flags)
{
    const char *slash = strrchr(path, '/');
    char *above = slash == NULL ? NULL : pn_strndup(path, (size_t)(slash - path));
    int dir = walk(root, above == NULL ? "." : above);
    int fd = dir < 0 ? -1 : openat(dir, slash == NULL ? path : slash + 1, flags | O_CLOEXEC);
    int error = errno;
    if (dir >= 0)
        (void)close(dir);
    free(above);
    errno = error;
    return fd;
}

int maildir_open_file(int root, const char *path)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    int fd = open_beneath(root, path, (uint64_t)flags);
    return fd < 0 && errno == ENOSYS ? walk_to_file(root, path, flags) : fd;
}

/* Makes one directory in parent and syncs parent; 0 also if it is there: who made it may
 * not have come to its sync yet, or never will. What could not be synced goes again: a later
 * sync would be no proof of it. */
static int make_one(int parent, const char *name)
{
    bool made = mkdirat(parent, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return errno;
    if (fsync(parent) == 0)
        return 0;
    int error = errno;
    if (made)
        (void)unlinkat(parent, name, AT_REMOVEDIR);
    return error;
}

/* Steps from the descriptor *at, taken, into name, made on demand. */
static int step_into(int *at, const char *name)
{
    int error = make_one(*at, name);
    int next = error == 0 ? maildir_open_dir(*at, name) : -1;
    if (error == 0 && next < 0)
        error = errno;
    (void)close(*at);
    *at = next;
    return error;
}

int maildir_make(int root, const char *path)
{
    static const char *const parts[] = {"tmp", "new", "cur"};
    char name[MAILDIR_COMPONENT_MAX + 1];
    int at = maildir_open_dir(root, ".");
    int error = at < 0 ? errno : 0;
    for (struct pn_str rest = pn_str_of(path); rest.p != NULL && error == 0;) {
        struct pn_str part = pn_str_split(&rest, '/');
        if (part.len >= sizeof name)
            error = ENAMETOOLONG;
        (void)snprintf(name, sizeof name, "%.*s", PN_FMT(part));
        if (error == 0)
            error = step_into(&at, name);
    }
    /* tmp last: a Maildir with tmp is whole. */
    for (size_t i = 3; i > 0 && error == 0; i--)
        error = make_one(at, parts[i - 1]);
    if (at >= 0)
        (void)close(at);
    return error;
}

bool maildir_is_whole(int root, const char *path)
{
    struct stat st;
    int at = maildir_open_dir(root, path[0] == '\0' ? "." : path);
    bool whole = (at >= 0 && fstatat(at, "tmp", &st, AT_SYMLINK_NOFOLLOW) == 0) || errno != ENOENT;
    if (at >= 0)
        (void)close(at);
    return whole;
}
