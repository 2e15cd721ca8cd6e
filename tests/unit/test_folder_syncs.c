/*
 * What was answered OK is on the disk: all that a folder operation changed of names is synced when
 * it returns, and no name comes before its bytes. Each sync by itself is taken away then, and
 * missed; but for those that make sure of what others did before.
 */
#include "store_int.h"
#include "unit.h"

#include "assert.h"
#include "folders.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_openat(int dir, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t n);
int __real_mkdirat(int dir, const char *name, mode_t mode);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_openat(int dir, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_fsync(int fd);

/* ---- what waits for a sync ---- */

enum { PENDING_MAX = 256, NO_SKIP = -1 };

struct pending {
    ino_t inode; /* of a directory whose names changed, or of a file */
    char name[64];
};

static struct {
    bool on;
    struct pending v[PENDING_MAX];
    unsigned count;
    int syncs, skip; /* this one does nothing */
    unsigned early;  /* names that came before their bytes */
} ledger;

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static bool ends(const char *name, const char *end)
{
    return pn_str_ends(pn_str_of(name), pn_str_of(end));
}

/* Names that mean nothing: what is being written, and what is being thrown away. */
static bool is_idle(const char *name)
{
    return ends(name, ".spare") || ends(name, ".tmp") || ends(name, ".new") ||
           strncmp(name, "index.db", 8) == 0;
}

static void note(ino_t inode, const char *name)
{
    if (!ledger.on || is_idle(name))
        return;
    pn_assert(ledger.count < PENDING_MAX);
    struct pending *p = &ledger.v[ledger.count++];
    p->inode = inode;
    (void)snprintf(p->name, sizeof p->name, "%.63s", name);
}

static bool waits(ino_t inode)
{
    for (unsigned i = 0; i < ledger.count; i++)
        if (ledger.v[i].inode == inode)
            return true;
    return false;
}

static void settle(ino_t inode)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < ledger.count; i++)
        if (ledger.v[i].inode != inode)
            ledger.v[kept++] = ledger.v[i];
    ledger.count = kept;
}

/* What lies there is none's, today and after a power cut. */
static bool is_tmp(int dir)
{
    char link[64], path[1024];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return ends(path, "/tmp");
}

static void note_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat st;
    if (ledger.on && fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        ledger.early += waits(st.st_ino);
    note(inode_of(to_dir), to);
    if (!is_tmp(from_dir))
        note(inode_of(from_dir), from);
}

int __wrap_openat(int dir, const char *name, int flags, ...)
{
    mode_t mode = 0;
    struct stat st;
    if ((flags & O_CREAT) != 0) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    bool fresh = (flags & O_CREAT) != 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = __real_openat(dir, name, flags, mode);
    if (fd >= 0 && fresh)
        note(inode_of(dir), name);
    return fd;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    struct stat st;
    if (ledger.on && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !waits(st.st_ino))
        note(st.st_ino, "bytes");
    return __real_write(fd, bytes, n);
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    int rc = __real_mkdirat(dir, name, mode);
    if (rc == 0)
        note(inode_of(dir), name);
    return rc;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int rc = __real_renameat(from_dir, from, to_dir, to);
    if (rc == 0)
        note_rename(from_dir, from, to_dir, to);
    return rc;
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int rc = __real_renameat2(from_dir, from, to_dir, to, flags);
    if (rc == 0)
        note_rename(from_dir, from, to_dir, to);
    return rc;
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        settle(st.st_ino); /* nobody misses what is gone */
    int rc = __real_unlinkat(dir, name, flags);
    /* What else goes, goes out of sight first. */
    if (rc == 0 && (strcmp(name, "rename") == 0 || strstr(name, ",U=") != NULL))
        note(inode_of(dir), name);
    return rc;
}

int __wrap_fsync(int fd)
{
    if (ledger.on && ledger.syncs++ != ledger.skip)
        settle(inode_of(fd));
    return 0;
}

/* ---- operations ---- */

static enum pn_store_status create(struct pn_user *user)
{
    return pn_folder_create(user, PN_STR("New/deep"), PN_USE_NONE);
}

static enum pn_store_status create_special(struct pn_user *user)
{
    return pn_folder_create(user, PN_STR("Spam"), PN_USE_JUNK);
}

static enum pn_store_status delete_one(struct pn_user *user)
{
    return pn_folder_delete(user, PN_STR("A"));
}

static enum pn_store_status rename_one(struct pn_user *user)
{
    return pn_folder_rename(user, PN_STR("A/b"), PN_STR("B"));
}

static enum pn_store_status rename_tree(struct pn_user *user)
{
    return pn_folder_rename(user, PN_STR("A"), PN_STR("C"));
}

static enum pn_store_status rename_inbox(struct pn_user *user)
{
    return pn_folder_rename(user, PN_STR("INBOX"), PN_STR("Old"));
}

static enum pn_store_status subscribe(struct pn_user *user)
{
    return pn_folder_subscribe(user, PN_STR("A"), true);
}

static enum pn_store_status unsubscribe(struct pn_user *user)
{
    return pn_folder_subscribe(user, PN_STR("A/b"), false);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void prepare(struct pn_store *store, struct pn_user *user)
{
    struct pn_buf why;
    pn_buf_init(&why, 500);
    const struct pn_delivery d = {
        .user = PN_STR("u"), .folder = PN_STR(""), .content = PN_STR("A: b\r\n\r\n")};
    UNIT_INT(pn_store_deliver(store, &d, &why), PN_STORE_OK);
    UNIT_INT(pn_folder_create(user, PN_STR("A"), PN_USE_NONE), PN_STORE_OK);
    UNIT_INT(pn_folder_create(user, PN_STR("A/b"), PN_USE_NONE), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(user, PN_STR("A/b"), true), PN_STORE_OK);
    pn_buf_fini(&why);
}

/* Bytes matter where a name comes to them. And nobody waits for a mark that was too high, and is
 * exact now: a rename writes it before its directory has another name. */
static unsigned lacking(bool marks)
{
    unsigned n = ledger.early;
    for (unsigned i = 0; i < ledger.count; i++)
        n += strcmp(ledger.v[i].name, "bytes") != 0 &&
             (marks || strcmp(ledger.v[i].name, "postern-folder") != 0);
    return n;
}

/* True: something was not durable that should have been. */
static bool missed(enum pn_store_status (*op)(struct pn_user *user), bool marks, int skip)
{
    char path[] = "foldersyncs.XXXXXX";
    enum pn_store_status status;
    pn_assert(mkdtemp(path) != NULL);
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct pn_store *store = pn_store_new(root, PN_STR("here.test"));
    struct pn_user *user = pn_user_open(store, PN_STR("u"), &status, NULL);
    pn_assert(user != NULL);
    prepare(store, user);
    memset(&ledger, 0, sizeof ledger);
    ledger.skip = skip;
    ledger.on = true;
    UNIT_INT(op(user), PN_STORE_OK);
    ledger.on = false;
    pn_user_close(&user);
    pn_store_free(&store);
    (void)close(root);
    UNIT_INT(nftw(path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
    return lacking(marks) > 0;
}

static void test_syncs(void)
{
    static const struct {
        const char *label;
        enum pn_store_status (*op)(struct pn_user *user);
        bool marks;      /* those of folders, too */
        unsigned needed; /* syncs that nothing stands in for */
    } rows[] = {
        {"create", create, true, 4},
        {"create, with a use", create_special, true, 5},
        {"delete", delete_one, true, 3},
        {"rename", rename_one, false, 2},
        {"rename a tree", rename_tree, false, 5},
        {"rename INBOX", rename_inbox, true, 8},
        {"subscribe", subscribe, true, 2},
        {"unsubscribe", unsubscribe, true, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned needed = 0;
        unit_row(rows[i].label);
        UNIT_TRUE(!missed(rows[i].op, rows[i].marks, NO_SKIP));
        int syncs = ledger.syncs;
        for (int skip = 0; skip < syncs; skip++)
            needed += missed(rows[i].op, rows[i].marks, skip);
        UNIT_INT(needed, rows[i].needed);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"syncs", test_syncs}, {NULL, NULL}};
    return unit_main("folder_syncs", tests, argc, argv);
}
