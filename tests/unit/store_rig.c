#include "store_rig.h"

#include "assert.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_openat(int dir, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __real_pwrite(int fd, const void *bytes, size_t n, off_t at);
int __real_mkdirat(int dir, const char *name, mode_t mode);
int __real_fsync(int fd);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_openat(int dir, const char *name, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at);
int __wrap_mkdirat(int dir, const char *name, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

/* ---- the store ---- */

void rig_open(struct rig *r)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    r->store = pn_store_new(r->fd, PN_STR("here.test"));
    r->user = pn_user_open(r->store, PN_STR("u@here.test"), &status, &why);
    pn_assert(r->user != NULL);
    pn_buf_fini(&why);
}

void rig_close(struct rig *r)
{
    pn_view_close(&r->a);
    pn_view_close(&r->b);
    pn_user_close(&r->user);
    pn_store_free(&r->store);
}

void rig_reopen(struct rig *r)
{
    rig_close(r);
    rig_open(r);
}

void rig_init(struct rig *r)
{
    *r = (struct rig){.path = "storerig.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_buf_init(&r->said, 100000);
    rig_open(r);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void rig_fini(struct rig *r)
{
    rig_close(r);
    (void)close(r->fd);
    pn_buf_fini(&r->said);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

struct pn_view *rig_view(struct rig *r, const char *folder)
{
    struct pn_view *v;
    UNIT_INT(pn_view_open(r->user, pn_str_of(folder), false, NULL, NULL, &v), PN_STORE_OK);
    return v;
}

enum pn_store_status rig_deliver(const struct rig *r, const char *folder)
{
    const struct pn_delivery d = {.user = PN_STR("u@here.test"),
                                  .folder = pn_str_of(folder),
                                  .reverse_path = PN_STR("s@from.test"),
                                  .content = PN_STR("Subject: a\r\n\r\nb\r\n")};
    struct pn_buf why;
    pn_buf_init(&why, 500);
    enum pn_store_status status = pn_store_deliver(r->store, &d, &why);
    pn_buf_fini(&why);
    return status;
}

void rig_append(struct rig *r, const char *folder, unsigned messages)
{
    enum pn_store_status status;
    uint32_t validity;
    struct pn_uidset uids;
    pn_uidset_init(&uids, 10);
    struct pn_append *append = pn_append_new(r->user, pn_str_of(folder), &status);
    pn_assert(append != NULL);
    for (unsigned i = 0; i < messages; i++) {
        UNIT_INT(pn_append_begin(append, 0, NULL, 0, INT64_MIN), PN_STORE_OK);
        UNIT_TRUE(pn_append_feed(append, PN_STR("A: b\r\n\r\n")));
    }
    UNIT_INT(pn_append_commit(append, &validity, &uids, NULL), PN_STORE_OK);
    pn_append_free(&append);
    pn_uidset_fini(&uids);
}

static struct pn_folder_status status_of(struct rig *r, const char *folder)
{
    struct pn_folder_status status;
    UNIT_INT(pn_folder_status(r->user, pn_str_of(folder), &status), PN_STORE_OK);
    return status;
}

uint32_t rig_messages(struct rig *r, const char *folder)
{
    return status_of(r, folder).messages;
}

uint32_t rig_uidnext(struct rig *r, const char *folder)
{
    return status_of(r, folder).uidnext;
}

static void on_expunged(void *ctx, uint32_t seq, uint32_t uid)
{
    (void)pn_buf_addf(&((struct rig *)ctx)->said, " -%u(%u)", seq, uid);
}

static void on_exists(void *ctx, uint32_t messages)
{
    (void)pn_buf_addf(&((struct rig *)ctx)->said, " =%u", messages);
}

static void on_flags(void *ctx, uint32_t seq, const struct pn_mail *mail)
{
    (void)pn_buf_addf(&((struct rig *)ctx)->said, " f%u(%u:%u)", seq, mail->uid,
                      mail->flags.system);
}

void rig_sync(struct rig *r, struct pn_view *v)
{
    static const struct pn_view_ops ops = {on_expunged, on_exists, on_flags};
    pn_buf_clear(&r->said);
    UNIT_TRUE(pn_view_sync(v, true, &ops, r));
}

void rig_sync_says(struct rig *r, struct pn_view *v, const char *want)
{
    rig_sync(r, v);
    UNIT_STR(pn_buf_str(&r->said), pn_str_of(want));
}

static struct pn_uidset set_of(const char *text)
{
    struct pn_uidset set;
    pn_uidset_init(&set, 1000);
    UNIT_TRUE(pn_uidset_parse(&set, pn_str_of(text), UINT32_MAX));
    return set;
}

enum pn_store_status rig_store(struct pn_view *v, const char *uids, uint32_t flags)
{
    struct pn_uidset set = set_of(uids);
    const struct pn_flags f = {flags, 0};
    enum pn_store_status status = pn_view_store(v, &set, PN_FLAGS_ADD, f, UINT64_MAX, NULL);
    pn_uidset_fini(&set);
    return status;
}

enum pn_store_status rig_remove(struct pn_view *v, const char *uids)
{
    struct pn_uidset set = set_of(uids);
    enum pn_store_status status = pn_view_remove(v, &set);
    pn_uidset_fini(&set);
    return status;
}

enum pn_store_status rig_move(struct pn_view *v, const char *uids, const char *to, size_t *moved)
{
    struct pn_uidset set = set_of(uids);
    struct pn_copied copied;
    enum pn_store_status status = pn_view_copy(v, &set, pn_str_of(to), true, &copied);
    *moved = pn_uidset_size(&copied.from);
    pn_copied_fini(&copied);
    pn_uidset_fini(&set);
    return status;
}

const char *rig_at(const char *name)
{
    static char path[600];
    (void)snprintf(path, sizeof path, "here.test/u/%s", name);
    return path;
}

unsigned rig_files(const struct rig *r, const char *sub)
{
    unsigned n = 0;
    int fd = openat(r->fd, rig_at(sub), O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

/* ---- calls ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    enum rig_call call;
    const char *end;
    int (*fn)(struct rig *r);
    struct rig *rig;
} hook;
static atomic_bool full;

void rig_hook(enum rig_call call, const char *end, int (*fn)(struct rig *r), struct rig *r)
{
    (void)pthread_mutex_lock(&lock);
    hook.call = call;
    hook.end = end;
    hook.fn = fn;
    hook.rig = r;
    (void)pthread_mutex_unlock(&lock);
}

bool rig_hooked(void)
{
    (void)pthread_mutex_lock(&lock);
    bool waits = hook.call != RIG_NONE;
    (void)pthread_mutex_unlock(&lock);
    return waits;
}

void rig_full(bool is_full)
{
    atomic_store(&full, is_full);
}

/* 0: go on. */
static int ask(enum rig_call call, const char *path)
{
    int (*fn)(struct rig * r) = NULL;
    (void)pthread_mutex_lock(&lock);
    if (hook.call == call && pn_str_ends(pn_str_of(path), pn_str_of(hook.end))) {
        fn = hook.fn;
        hook.call = RIG_NONE;
    }
    (void)pthread_mutex_unlock(&lock);
    return fn == NULL ? 0 : fn(hook.rig);
}

/* The path of what is open, and of a name in it. */
static void path_of(int fd, const char *name, char out[2048])
{
    char link[64], path[1024];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    (void)snprintf(out, 2048, "%s%s%.1000s", path, name == NULL ? "" : "/",
                   name == NULL ? "" : name);
}

static int refused(enum rig_call call, int fd, const char *name)
{
    char path[2048];
    if (!rig_hooked())
        return 0;
    path_of(fd, name, path);
    return ask(call, path);
}

static int fail(int error)
{
    errno = error;
    return -1;
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
    if (atomic_load(&full) && (flags & O_CREAT) != 0 && fstatat(dir, name, &st, 0) != 0)
        return fail(ENOSPC);
    int error = refused(RIG_OPEN, dir, name);
    return error != 0 ? fail(error) : __real_openat(dir, name, flags, mode);
}

static bool grows(int fd, size_t n, off_t at)
{
    struct stat st;
    return atomic_load(&full) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           at + (off_t)n > (st.st_size + 4095) / 4096 * 4096;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    return grows(fd, n, lseek(fd, 0, SEEK_CUR)) ? fail(ENOSPC) : __real_write(fd, bytes, n);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return grows(fd, n, at) ? fail(ENOSPC) : __real_pwrite(fd, bytes, n, at);
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode)
{
    struct stat st;
    if (atomic_load(&full) && fstatat(dir, name, &st, 0) != 0)
        return fail(ENOSPC);
    return __real_mkdirat(dir, name, mode);
}

int __wrap_fsync(int fd)
{
    int error = refused(RIG_FSYNC, fd, NULL);
    return error != 0 ? fail(error) : __real_fsync(fd);
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int error = refused(RIG_LINK, from_dir, from);
    return error != 0 ? fail(error) : __real_linkat(from_dir, from, to_dir, to, flags);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    int error = refused(RIG_UNLINK, dir, name);
    return error != 0 ? fail(error) : __real_unlinkat(dir, name, flags);
}
