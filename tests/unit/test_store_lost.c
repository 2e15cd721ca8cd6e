/* The store where something is lost, damaged, older than it should be, or not to be had now. */
#include "check.h"
#include "store_rig.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int mkdir_of(struct rig *r, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s", rig_at(name));
    return mkdirat(r->fd, path, 0700);
}

static void set_old(const struct rig *r, const char *sub)
{
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    UNIT_INT(utimensat(r->fd, rig_at(sub), times, 0), 0);
}

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);

/* Of the renames from that name so many fail; or, before one, a session comes, and behind it mail.
 */
static const char *renamed;
static int rename_fails;
static struct rig *rename_rig;

int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    if (renamed != NULL && strcmp(from, renamed) == 0) {
        if (rename_fails > 0) {
            rename_fails--;
            errno = EIO;
            return -1;
        }
        if (rename_rig != NULL) {
            struct rig *r = rename_rig;
            rename_rig = NULL;
            struct pn_view *v = rig_view(r, "Old"); /* a session comes before the rename */
            int n = __real_renameat2(a, from, b, to, flags);
            UNIT_INT(rig_deliver(r, "Old"), PN_STORE_OK); /* and mail behind it */
            pn_view_close(&v);
            return n;
        }
    }
    return __real_renameat2(a, from, b, to, flags);
}

static void vanished_says(struct pn_view *v, uint64_t since, const char *want)
{
    struct pn_uidset known, out;
    struct pn_buf text;
    pn_buf_init(&text, 1000);
    pn_uidset_init(&known, 100);
    pn_uidset_init(&out, 100);
    (void)pn_uidset_add(&known, 1, 3);
    pn_view_vanished_since(v, since, &known, &out);
    (void)pn_uidset_print(&out, &text);
    UNIT_STR(pn_buf_str(&text), pn_str_of(want));
    pn_uidset_fini(&known);
    pn_uidset_fini(&out);
    pn_buf_fini(&text);
}

static void damage(struct rig *r, const char *sql)
{
    sqlite3 *db;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", r->path, rig_at("postern/index.db"));
    UNIT_INT(sqlite3_open(path, &db), SQLITE_OK);
    UNIT_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    UNIT_INT(sqlite3_changes(db), 1);
    (void)sqlite3_close(db);
}

/* A row that is damaged: all that vanished is told again, not nothing. */
static void test_damaged_row(void)
{
    static const char *const sql[] = {
        "UPDATE message SET row = zeroblob(40) WHERE (id & 4294967295) = 3",
        "UPDATE vanished SET sum = sum + 1"};
    for (unsigned i = 0; i < 2; i++) {
        struct rig r;
        unit_row(sql[i]);
        rig_init(&r);
        rig_append(&r, "", 3);
        r.a = rig_view(&r, "");
        uint64_t since = r.a->folder->modseq;
        UNIT_INT(rig_remove(r.a, "2"), PN_STORE_OK);
        rig_close(&r);
        damage(&r, sql[i]);
        rig_open(&r);
        r.a = rig_view(&r, "");
        vanished_says(r.a, since, "2");
        rig_fini(&r);
    }
}

/* An index begun anew says nothing of what vanished before, whoever writes to it. */
static void test_row_of_old(void)
{
    struct rig r;
    rig_init(&r);
    rig_append(&r, "", 3);
    r.a = rig_view(&r, "");
    uint64_t since = r.a->folder->modseq;
    UNIT_INT(rig_remove(r.a, "2"), PN_STORE_OK);
    index_flush(r.user->index);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const files[] = {"index.db", "index.db-wal", "index.db-shm",
                                            "index.db-journal"};
        char name[100];
        (void)snprintf(name, sizeof name, "postern/%s", files[i]);
        (void)unlinkat(r.fd, rig_at(name), 0);
    }
    index_look(r.user->index); /* as the keeper does, every five seconds */
    rig_reopen(&r);
    r.a = rig_view(&r, "");
    vanished_says(r.a, since, "2");
    rig_fini(&r);
}

static bool go_on(void *ctx, struct pn_str folder, uint32_t done, uint32_t of)
{
    (void)ctx, (void)folder, (void)done, (void)of;
    return true;
}
static void no_fault(void *ctx, struct pn_str folder, uint32_t uid, const char *what)
{
    (void)ctx, (void)folder, (void)uid;
    UNIT_STR(pn_str_of(what), PN_STR(""));
}

/* What is counted is not counted again where the index begins anew. */
static void test_quota_rebuild(void)
{
    struct rig r;
    struct pn_quota q;
    struct pn_check_sum sum;
    rig_init(&r);
    rig_append(&r, "", 3);
    set_old(&r, "new");
    set_old(&r, "cur");
    r.a = rig_view(&r, "");
    rig_reopen(&r);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 3);
    uint64_t bytes = q.bytes;
    static const struct pn_check_ops ops = {.fault = no_fault, .progress = go_on};
    UNIT_INT(pn_user_rebuild(r.user, &ops, NULL, &sum), PN_STORE_OK);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 3);
    UNIT_INT(q.bytes, bytes);
    rig_fini(&r);
}

static void copy_file(struct rig *r, const char *from, const char *to)
{
    char bytes[4096];
    int a = openat(r->fd, rig_at(from), O_RDONLY);
    ssize_t n = read(a, bytes, sizeof bytes);
    int b = openat(r->fd, rig_at(to), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    UNIT_INT(write(b, bytes, (size_t)n), n);
    (void)close(a);
    (void)close(b);
}

/* Marks that are older than the mail, of a backup: no UID is given twice. */
static void test_old_marks(void)
{
    struct rig r;
    struct pn_mail mail;
    rig_init(&r);
    rig_append(&r, "", 3);
    rig_close(&r);
    copy_file(&r, "postern-folder", "saved"); /* the backup has it, and what follows of cur */
    rig_open(&r);
    r.a = rig_view(&r, "");
    for (unsigned i = 0; i < 3; i++) {
        rig_append(&r, "", 1);
    }
    rig_sync(&r, r.a);
    UNIT_INT(rig_store(r.a, "6", PN_FLAGGED), PN_STORE_OK); /* to know it by */
    UNIT_INT(rig_remove(r.a, "4,5"), PN_STORE_OK);
    uint32_t validity = r.a->folder->marks.uidvalidity;
    rig_close(&r);
    copy_file(&r, "saved", "postern-folder");
    (void)unlinkat(r.fd, rig_at("postern-folder.spare"), 0);
    rig_open(&r);
    r.a = rig_view(&r, "");
    UNIT_INT(r.a->folder->marks.uidvalidity, validity);
    UNIT_INT(pn_view_count(r.a), 4);
    pn_view_mail(r.a, 4, &mail);
    UNIT_INT(mail.flags.system, PN_FLAGGED);
    UNIT_TRUE(mail.uid >= 6); /* 4 was another's */
    rig_append(&r, "", 2);
    rig_sync(&r, r.a);
    pn_view_mail(r.a, 6, &mail);
    UNIT_TRUE(mail.uid != 6); /* 6 was the flagged one's */
    rig_fini(&r);
}

/* UIDs come to an end, and not round to the first. */
static void test_wrap(void)
{
    struct rig r;
    struct folder_marks marks;
    rig_init(&r);
    rig_append(&r, "", 1);
    rig_close(&r);
    int dir = openat(r.fd, "here.test/u", O_RDONLY | O_DIRECTORY);
    UNIT_INT(folder_marks_read(dir, &marks), 0);
    marks.uidnext = UINT32_MAX - 500; /* a block's mark, as a kill leaves it */
    marks.exact = false;
    UNIT_INT(folder_marks_write(dir, &marks, true), 0);
    folder_marks_fini(&marks);
    rig_open(&r);
    (void)rig_deliver(&r, "");
    UNIT_INT(folder_marks_read(dir, &marks), 0);
    UNIT_TRUE(marks.uidnext >= UINT32_MAX - 500); /* on disk, as a kill would find it */
    folder_marks_fini(&marks);
    (void)close(dir);
    rig_fini(&r);
}

static uint32_t validity_at(const struct rig *r, const char *place)
{
    struct folder_marks marks;
    int dir = openat(r->fd, rig_at(place), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    UNIT_INT(folder_marks_read(dir, &marks), 0);
    uint32_t validity = marks.uidvalidity;
    folder_marks_fini(&marks);
    (void)close(dir);
    return validity;
}

/* Mail for a folder that is being renamed makes another one, with a number of its own. */
static void test_rename_delivery(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, "Old"), PN_STORE_OK);
    rename_rig = &r;
    renamed = ".Old";
    UNIT_INT(pn_folder_rename(r.user, PN_STR("Old"), PN_STR("New")), PN_STORE_OK);
    renamed = NULL;
    rig_close(&r);
    UNIT_TRUE(validity_at(&r, ".Old") != validity_at(&r, ".New"));
    rig_open(&r);
    UNIT_INT(rig_messages(&r, "New"), 1);
    UNIT_INT(rig_messages(&r, "Old"), 1);
    rig_fini(&r);
}

/* A tree of which one could not be moved is moved later. */
static void test_finish_eio(void)
{
    struct rig r;
    struct pn_folder_list list;
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    rig_init(&r);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a"), PN_USE_NONE), PN_STORE_OK);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a/b"), PN_USE_NONE), PN_STORE_OK);
    renamed = ".a.b";
    rename_fails = 2;
    UNIT_INT(pn_folder_rename(r.user, PN_STR("a"), PN_STR("x")), PN_STORE_TEMPORARY);
    UNIT_INT(pn_folders_list(r.user, pool, &list), PN_STORE_OK);
    renamed = NULL;
    UNIT_INT(pn_folder_rename(r.user, PN_STR("a"), PN_STR("x")), PN_STORE_OK);
    UNIT_INT(pn_folders_list(r.user, pool, &list), PN_STORE_OK);
    UNIT_STR(list.v[list.count - 1].name, PN_STR("x/b"));
    pn_pool_free(&pool);
    rig_fini(&r);
}

/* Two directories of one name are one folder, counted once. */
static void test_two_of_name(void)
{
    struct rig r;
    struct pn_quota q;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, "\xc3\xbc"), PN_STORE_OK);
    UNIT_INT(rig_deliver(&r, "\xc3\xbc"), PN_STORE_OK);
    rig_reopen(&r);
    UNIT_INT(mkdir_of(&r, ".\xc3\xbc") | mkdir_of(&r, ".\xc3\xbc/cur") |
                 mkdir_of(&r, ".\xc3\xbc/new") | mkdir_of(&r, ".\xc3\xbc/tmp"),
             0);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 2);
    rig_fini(&r);
}

static int rm_tree(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

/* A folder that others removed is not counted. */
static void test_removed(void)
{
    struct rig r;
    struct pn_quota q;
    char path[300];
    struct pn_view *v;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(rig_deliver(&r, "B"), PN_STORE_OK);
    r.a = rig_view(&r, "B");
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 2);
    (void)snprintf(path, sizeof path, "%s/%s", r.path, rig_at(".B"));
    UNIT_INT(nftw(path, rm_tree, 8, FTW_DEPTH | FTW_PHYS), 0);
    UNIT_INT(pn_view_open(r.user, PN_STR("B"), false, NULL, NULL, &v), PN_STORE_NO_FOLDER);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 1);
    rig_fini(&r);
}

static int with_emfile(struct rig *r)
{
    (void)r;
    return EMFILE;
}

/* A folder that can not be opened now is there all the same. */
static void test_scan_emfile(void)
{
    struct rig r;
    struct pn_folder_list list;
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    rig_init(&r);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a"), PN_USE_NONE), PN_STORE_OK);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a/b"), PN_USE_NONE), PN_STORE_OK);
    rig_hook(RIG_OPEN, "/.a.b", with_emfile, &r);
    UNIT_INT(pn_folders_list(r.user, pool, &list), PN_STORE_TEMPORARY);
    rig_hook(RIG_OPEN, "/.a.b", with_emfile, &r);
    UNIT_INT(pn_folder_rename(r.user, PN_STR("a"), PN_STR("x")), PN_STORE_TEMPORARY);
    UNIT_INT(pn_folder_rename(r.user, PN_STR("a"), PN_STR("x")), PN_STORE_OK);
    UNIT_INT(pn_folders_list(r.user, pool, &list), PN_STORE_OK);
    UNIT_STR(list.v[list.count - 1].name, PN_STR("x/b"));
    pn_pool_free(&pool);
    rig_fini(&r);
}

/* And no second one is made beside it. */
static void test_plain_emfile(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(mkdir_of(&r, ".\xc3\xbc") | mkdir_of(&r, ".\xc3\xbc/cur") |
                 mkdir_of(&r, ".\xc3\xbc/new") | mkdir_of(&r, ".\xc3\xbc/tmp"),
             0);
    UNIT_INT(rig_deliver(&r, "\xc3\xbc"), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, "\xc3\xbc"), 1);
    rig_hook(RIG_OPEN, "/.\xc3\xbc", with_emfile, &r);
    (void)rig_deliver(&r, "\xc3\xbc");
    UNIT_TRUE(!rig_hooked());
    UNIT_TRUE(rig_messages(&r, "\xc3\xbc") >= 1);
    rig_reopen(&r);
    UNIT_INT(faccessat(r.fd, rig_at(".&APw-"), F_OK, 0), -1);
    UNIT_INT(rig_files(&r, ".\xc3\xbc/new"), rig_messages(&r, "\xc3\xbc"));
    rig_fini(&r);
}

/* What a kill left of a folder that was deleted goes at the next begin. */
static void test_sweep(void)
{
    struct rig r;
    struct stat st;
    rig_init(&r);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a"), PN_USE_NONE), PN_STORE_OK);
    (void)mkdir_of(&r, "postern");
    UNIT_INT(mkdir_of(&r, "postern/gone-0123456789abcdef"), 0); /* a kill left it */
    UNIT_INT(pn_folder_delete(r.user, PN_STR("a")), PN_STORE_OK);
    rig_reopen(&r);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    UNIT_INT(fstatat(r.fd, rig_at("postern/gone-0123456789abcdef"), &st, 0), -1);
    rig_fini(&r);
}

/* Numbers go on above all others, or are not known: never from the first. */
static void test_marks_emfile(void)
{
    struct rig r;
    rig_init(&r);
    rig_append(&r, "", 1);
    UNIT_INT(rig_deliver(&r, "B"), PN_STORE_OK);
    r.a = rig_view(&r, "");
    uint64_t modseq = r.a->folder->modseq;
    UNIT_INT(rig_store(r.a, "1", PN_SEEN), PN_STORE_OK);
    rig_close(&r);
    (void)unlinkat(r.fd, rig_at("postern-user"), 0); /* lost */
    rig_open(&r);
    int free_fd = dup(0);
    (void)close(free_fd);
    struct rlimit had, few;
    (void)getrlimit(RLIMIT_NOFILE, &had);
    few = had;
    few.rlim_cur = (rlim_t)free_fd + 3; /* the user's directory, a copy, and its reader */
    for (int extra = 1; extra < 6; extra++) {
        few.rlim_cur = (rlim_t)(free_fd + extra);
        (void)setrlimit(RLIMIT_NOFILE, &few);
        (void)pthread_mutex_lock(&r.user->lock);
        int error = user_marks(r.user);
        (void)pthread_mutex_unlock(&r.user->lock);
        (void)setrlimit(RLIMIT_NOFILE, &had);
        if (error == 0)
            break;
    }
    UNIT_TRUE(r.user->modseq > modseq);
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"damaged_row", test_damaged_row},
                                             {"row_of_old", test_row_of_old},
                                             {"quota_rebuild", test_quota_rebuild},
                                             {"old_marks", test_old_marks},
                                             {"wrap", test_wrap},
                                             {"rename_delivery", test_rename_delivery},
                                             {"finish_eio", test_finish_eio},
                                             {"two_of_name", test_two_of_name},
                                             {"removed", test_removed},
                                             {"scan_emfile", test_scan_emfile},
                                             {"plain_emfile", test_plain_emfile},
                                             {"sweep", test_sweep},
                                             {"marks_emfile", test_marks_emfile},
                                             {NULL, NULL}};
    return unit_main("store_lost", tests, argc, argv);
}
