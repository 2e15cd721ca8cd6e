/*
 * What is called durable was synced, and in the right order: a file before the name that
 * shows it, the folder behind that. The calls that matter are noted on their way to the
 * kernel, since a test can't cut the power.
 */
#include "unit.h"

#include "assert.h"
#include "content.h"
#include "held.h"
#include "maildir.h"
#include "memfile.h"
#include "segment.h"
#include "spool_rig.h"
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char notes[4096];
static char root[64];
static int root_fd;
static bool fsync_fails;

/* "folder new", or "file in tmp": files have names of no meaning. */
static void describe(int fd, char *out, size_t size)
{
    char link[64], path[512];
    struct stat st;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    pn_assert(n > 0 && fstat(fd, &st) == 0);
    path[n] = '\0';
    char *last = strrchr(path, '/');
    if (S_ISDIR(st.st_mode)) {
        bool top = strcmp(last + 1, root) == 0;
        (void)snprintf(out, size, "folder %s", top ? "root" : last + 1);
        return;
    }
    *last = '\0';
    char *folder = strrchr(path, '/');
    bool top = folder != NULL && strcmp(folder + 1, root) == 0;
    (void)snprintf(out, size, "file in %s", top ? "root" : folder == NULL ? path : folder + 1);
}

static void note(const char *what, const char *of)
{
    (void)pthread_mutex_lock(&lock);
    size_t len = strlen(notes);
    (void)snprintf(notes + len, sizeof notes - len, "%s%s; ", what, of);
    (void)pthread_mutex_unlock(&lock);
}

static void note_sync(const char *how, int fd)
{
    char what[600];
    describe(fd, what, sizeof what);
    note(how, what);
}

/* These stand before libc's. */
int fsync(int fd)
{
    note_sync("sync ", fd);
    errno = EIO;
    return fsync_fails ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    note_sync("data-sync ", fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    note("rename", "");
    return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    if (strcmp(name, "postern") != 0) /* of the index: a cache, made when it is needed */
        note("make ", name);
    return (int)syscall(SYS_mkdirat, dir, name, mode);
}

int unlinkat(int dir, const char *name, int flags)
{
    if (strncmp(name, "index.db", 8) != 0)
        note("remove", "");
    return (int)syscall(SYS_unlinkat, dir, name, flags);
}

static void expect(const char *want)
{
    UNIT_STR(pn_str_of(notes), pn_str_of(want));
    notes[0] = '\0';
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void begin(void)
{
    (void)snprintf(root, sizeof root, "sync.XXXXXX");
    pn_assert(mkdtemp(root) != NULL);
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(root_fd >= 0);
    notes[0] = '\0';
}

static void end(void)
{
    (void)close(root_fd);
    UNIT_INT(nftw(root, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void deliver(struct pn_store *store, const char *folder)
{
    struct pn_buf why;
    const struct pn_delivery d = {.user = PN_STR("u@x.test"),
                                  .folder = pn_str_of(folder),
                                  .content = PN_STR("A: b\r\n\r\nc\r\n")};
    pn_buf_init(&why, 1000);
    UNIT_INT(pn_store_deliver(store, &d, &why), PN_STORE_OK);
    pn_buf_fini(&why);
}

static void test_mailbox(void)
{
    begin();
    struct pn_store *store = pn_store_new(root_fd, PN_STR("mx.test"));
    unit_row("a new user: every folder is synced into the one above it");
    deliver(store, "");
    expect("make x.test; sync folder root; make u; sync folder x.test; make cur; sync folder u; "
           "make new; sync folder u; make tmp; sync folder u; "
           "sync file in u; rename; sync folder u; sync file in u; rename; sync folder u; "
           "sync file in tmp; rename; sync folder new; ");
    unit_row("one who is there");
    deliver(store, "");
    expect("sync file in tmp; rename; sync folder new; ");
    unit_row("folders that another process may be making at this moment");
    UNIT_INT(maildir_make(root_fd, "x.test/u"), 0);
    expect("make x.test; sync folder root; make u; sync folder x.test; make cur; sync folder u; "
           "make new; sync folder u; make tmp; sync folder u; ");
    unit_row("one that could not be synced goes again");
    fsync_fails = true;
    UNIT_INT(maildir_make(root_fd, "y.test/u"), EIO);
    fsync_fails = false;
    expect("make y.test; sync folder root; remove; ");
    pn_store_free(&store);
    end();
}

static void feed(struct pn_append *a, unsigned messages)
{
    for (unsigned i = 0; i < messages; i++) {
        UNIT_INT(pn_append_begin(a, 0, NULL, 0, INT64_MIN), PN_STORE_OK);
        UNIT_TRUE(pn_append_feed(a, PN_STR("A: b\r\n\r\n")));
    }
}

static enum pn_store_status append(struct pn_user *user, unsigned messages)
{
    enum pn_store_status status;
    struct pn_uidset uids;
    struct pn_buf why;
    uint32_t uidvalidity;
    struct pn_append *a = pn_append_new(user, PN_STR("INBOX"), &status);
    pn_buf_init(&why, 1000);
    pn_uidset_init(&uids, 10);
    feed(a, messages);
    notes[0] = '\0';
    status = pn_append_commit(a, &uidvalidity, &uids, &why);
    pn_append_free(&a);
    pn_uidset_fini(&uids);
    pn_buf_fini(&why);
    return status;
}

/* Several at once: all are synced before the first of them has its name. */
static void test_append(void)
{
    begin();
    enum pn_store_status status;
    struct pn_store *store = pn_store_new(root_fd, PN_STR("here.test"));
    struct pn_buf why;
    pn_buf_init(&why, 1000);
    struct pn_user *user = pn_user_open(store, PN_STR("u@x.test"), &status, &why);
    UNIT_INT(append(user, 1), PN_STORE_OK);
    unit_row("three");
    UNIT_INT(append(user, 3), PN_STORE_OK);
    expect("sync file in tmp; sync file in tmp; sync file in tmp; "
           "rename; rename; rename; sync folder cur; ");
    unit_row("what can't be synced goes again");
    fsync_fails = true;
    UNIT_INT(append(user, 2), PN_STORE_TEMPORARY);
    fsync_fails = false;
    expect("sync file in tmp; remove; remove; ");
    pn_user_close(&user);
    pn_buf_fini(&why);
    pn_store_free(&store);
    end();
}

static void test_held(void)
{
    begin();
    const uint32_t index = 0;
    const struct held h = {.id = 7, .indices = &index, .count = 1, .reason = PN_STR("why")};
    char name[HELD_NAME_MAX];
    int folder = held_folder(root_fd);
    int content = pn_memfile_of("content", PN_STR("A: b\r\n\r\n"));
    pn_assert(folder >= 0 && content >= 0);
    notes[0] = '\0';
    UNIT_INT(held_put(folder, &h, content), 0);
    expect("sync file in held; rename; sync folder held; ");
    UNIT_INT(held_remove(folder, held_name(7, 0, name)), 0);
    UNIT_INT(held_settle(folder), 0);
    expect("remove; sync folder held; ");
    (void)close(content);
    (void)close(folder);
    end();
}

static void test_content(void)
{
    begin();
    uint32_t crc;
    int rw, ro, copy, from = pn_memfile_of("content", PN_STR("12345"));
    UNIT_INT(content_copy(root_fd, 1, from, 5, &crc, &copy), 0);
    (void)close(copy);
    expect("sync file in root; sync folder root; ");
    UNIT_INT(content_create(root_fd, 2, &rw, &ro), 0);
    UNIT_INT(write(rw, "12345", 5), 5);
    expect(""); /* an edge's: nobody syncs it */
    (void)close(rw);
    (void)close(ro);
    (void)close(from);
    end();
}

static void test_segment(void)
{
    begin();
    UNIT_INT(segment_fill(root_fd, 1, 4 * SEGMENT_PAGE), 0);
    expect("sync file in root; rename; ");
    struct segment *s = segment_begin(root_fd, 1, 1, NULL, fdatasync);
    UNIT_TRUE(s != NULL);
    expect("data-sync file in root; rename; sync folder root; ");
    segment_free(&s);
    unit_row("a name that could not be synced goes again");
    UNIT_INT(segment_fill(root_fd, 2, 4 * SEGMENT_PAGE), 0);
    notes[0] = '\0';
    fsync_fails = true;
    s = segment_begin(root_fd, 2, 2, NULL, fdatasync);
    fsync_fails = false;
    UNIT_TRUE(s == NULL && errno == EIO);
    expect("data-sync file in root; rename; sync folder root; remove; ");
    end();
}

static unsigned data_syncs(void)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&lock);
    for (const char *at = notes; (at = strstr(at, "data-sync ")) != NULL; at++)
        n++;
    (void)pthread_mutex_unlock(&lock);
    return n;
}

/* By default, with no test's sync in its settings. Beside it the janitor may be making a
 * spare segment, in syncs of the other kind. */
static void test_journal(void)
{
    struct rig rig;
    struct spool_ref ref;
    rig_init(&rig);
    (void)snprintf(root, sizeof root, "%s", rig.path);
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(rig_put_message(&rig, 1, "first", PN_STR("x"), &ref), 0);
    unsigned before = data_syncs();
    UNIT_INT(rig_put_message(&rig, 2, "second", PN_STR("x"), &ref), 0);
    UNIT_INT(data_syncs() - before, 1);
    rig_close(&rig);
    before = data_syncs();
    unit_row("what is found was maybe not synced");
    UNIT_TRUE(rig_open(&rig));
    UNIT_INT(data_syncs() - before, 1);
    rig_fini(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"mailbox", test_mailbox},
        {"append", test_append},
        {"held", test_held},
        {"content", test_content},
        {"segment", test_segment},
        {"journal", test_journal},
        {NULL, NULL},
    };
    return unit_main("sync", tests, argc, argv);
}
