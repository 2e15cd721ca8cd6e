/* The store where things go wrong: syncs that fail, others in between, files that are none. */
#include "store_rig.h"
#include "unit.h"

#include "assert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A command means what its session was told of. */
static void test_not_told_of(void)
{
    struct rig r;
    struct pn_mail mail;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    r.a = rig_view(&r, "");
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    r.b = rig_view(&r, "");
    UNIT_INT(rig_store(r.a, "1:3", PN_DELETED), PN_STORE_OK);
    pn_view_mail(r.b, 1, &mail);
    UNIT_INT(mail.flags.system, PN_DELETED);
    pn_view_mail(r.b, 2, &mail);
    UNIT_INT(mail.flags.system, 0);
    UNIT_INT(rig_remove(r.a, "2"), PN_STORE_OK);
    UNIT_INT(rig_store(r.b, "3", PN_DELETED), PN_STORE_OK);
    UNIT_INT(pn_view_expunge(r.a, NULL), PN_STORE_OK);
    rig_sync_says(&r, r.b, " -1(1)");
    rig_sync_says(&r, r.a, " -1(1) =2");
    UNIT_INT(pn_view_expunge(r.a, NULL), PN_STORE_OK);
    rig_sync_says(&r, r.a, " -2(3)");
    rig_fini(&r);
}

static int with_eio(struct rig *r)
{
    (void)r;
    return EIO;
}

/* A delivery that was answered an error comes again: it is there once then. */
static void test_sync_fails(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    r.a = rig_view(&r, "");
    rig_hook(RIG_FSYNC, "/u/new", with_eio, &r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_TEMPORARY);
    UNIT_INT(rig_files(&r, "new"), 1);
    rig_sync_says(&r, r.a, "");
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(rig_files(&r, "new"), 2);
    rig_sync_says(&r, r.a, " =2");
    UNIT_INT(pn_view_uid(r.a, 2), 3); /* the UID that it had is nobody's */
    rig_reopen(&r);
    UNIT_INT(rig_messages(&r, ""), 2);
    rig_fini(&r);
}

/* Links that do not leave the root lead nowhere, too. */
static void test_links(void)
{
    struct rig r;
    struct pn_view *v;
    struct stat st;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(rig_deliver(&r, "Real"), PN_STORE_OK);
    unit_row("a user");
    UNIT_INT(symlinkat("u", r.fd, "here.test/v"), 0);
    const struct pn_delivery d = {
        .user = PN_STR("v@here.test"), .folder = PN_STR(""), .content = PN_STR("A: b\r\n\r\n")};
    UNIT_INT(pn_store_deliver(r.store, &d, NULL), PN_STORE_TEMPORARY);
    UNIT_INT(rig_files(&r, "new"), 1);
    unit_row("a folder");
    UNIT_INT(symlinkat(".Real", r.fd, rig_at(".Link")), 0);
    UNIT_INT(pn_view_open(r.user, PN_STR("Link"), false, NULL, NULL, &v), PN_STORE_NO_FOLDER);
    UNIT_INT(rig_deliver(&r, "Link"), PN_STORE_TEMPORARY);
    UNIT_INT(rig_files(&r, ".Real/new"), 1);
    unit_row("a directory of a folder");
    UNIT_INT(rig_deliver(&r, "Half"), PN_STORE_OK);
    rig_reopen(&r);
    UNIT_INT(unlinkat(r.fd, rig_at(".Half/cur"), AT_REMOVEDIR), 0);
    UNIT_INT(symlinkat("../.Real/new", r.fd, rig_at(".Half/cur")), 0);
    UNIT_INT(pn_view_open(r.user, PN_STR("Half"), false, NULL, NULL, &v), PN_STORE_NO_FOLDER);
    unit_row("the index");
    rig_close(&r);
    UNIT_INT(unlinkat(r.fd, rig_at("postern/index.db"), 0), 0);
    int fd = openat(r.fd, "precious", O_WRONLY | O_CREAT, 0600);
    (void)close(fd);
    UNIT_INT(symlinkat("../../../precious", r.fd, rig_at("postern/index.db")), 0);
    rig_open(&r);
    UNIT_INT(rig_messages(&r, ""), 1);
    rig_reopen(&r);
    UNIT_INT(fstatat(r.fd, "precious", &st, 0), 0);
    UNIT_INT(st.st_size, 0);
    rig_fini(&r);
}

static void set_old(const struct rig *r, const char *sub)
{
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    UNIT_INT(utimensat(r->fd, rig_at(sub), times, 0), 0);
}

static int with_eacces(struct rig *r)
{
    (void)r;
    return EACCES;
}

/* What is no message costs one reading of the directory, and no UID. */
static void test_no_messages(void)
{
    static const char *const subs[] = {"new", "cur"};
    struct rig r;
    char name[64];
    rig_init(&r);
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%s/1.pipe.host", subs[i]);
        UNIT_INT(mkfifoat(r.fd, rig_at(name), 0600), 0);
        (void)snprintf(name, sizeof name, "%s/2.dir.host", subs[i]);
        UNIT_INT(mkdirat(r.fd, rig_at(name), 0700), 0);
        (void)snprintf(name, sizeof name, "%s/3.link.host", subs[i]);
        UNIT_INT(symlinkat("/etc/hostname", r.fd, rig_at(name)), 0);
        set_old(&r, subs[i]);
    }
    r.a = rig_view(&r, "");
    UNIT_INT(pn_view_count(r.a), 0);
    UNIT_INT(rig_uidnext(&r, ""), 1);
    const struct folder *f = r.a->folder;
    UNIT_TRUE(!f->seen[0].soon && !f->seen[1].soon); /* nothing is left to look for */
    unit_row("one that can't be read");
    uint64_t modseq = f->modseq;
    int fd = openat(r.fd, rig_at("cur/4.closed.host"), O_WRONLY | O_CREAT, 0600);
    (void)close(fd);
    rig_hook(RIG_OPEN, "/4.closed.host", with_eacces, &r);
    rig_sync_says(&r, r.a, "");
    UNIT_TRUE(!rig_hooked());
    UNIT_INT(f->modseq, modseq);
    UNIT_INT(rig_uidnext(&r, ""), 1);
    UNIT_TRUE(f->seen[1].soon); /* it may be opened to us: later, once more */
    set_old(&r, "cur");
    rig_sync_says(&r, r.a, " =1");
    UNIT_INT(pn_view_uid(r.a, 1), 1);
    rig_fini(&r);
}

/* One who never asks costs what it has, not all that came and went since. */
static void test_never_asks(void)
{
    enum { ROUNDS = 8, AT_A_TIME = 400, HAD = 10 };
    struct rig r;
    struct pn_mail mail;
    rig_init(&r);
    rig_append(&r, "", HAD);
    r.a = rig_view(&r, "");
    r.b = rig_view(&r, "");
    const struct folder *f = r.a->folder;
    UNIT_INT(rig_remove(r.a, "2,5"), PN_STORE_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        rig_append(&r, "", AT_A_TIME);
        struct pn_view *passing = rig_view(&r, "");
        UNIT_INT(rig_remove(passing, "11:*"), PN_STORE_OK);
        UNIT_TRUE(f->dead_count <= 1000 + AT_A_TIME);
        pn_view_close(&passing);
    }
    for (uint32_t seq = 1; seq <= HAD; seq++) {
        pn_view_mail(r.b, seq, &mail);
        UNIT_INT(mail.uid, seq);
        UNIT_TRUE(mail.gone == (seq == 2 || seq == 5));
        UNIT_TRUE(mail.size > 0);
    }
    rig_sync_says(&r, r.b, " -5(5) -2(2)");
    rig_sync_says(&r, r.a, " -5(5) -2(2)");
    UNIT_INT(f->dead_count, 0);
    rig_fini(&r);
}

/* ---- two who move one message ---- */

static pthread_t other;
static size_t other_moved;

static void *move_too(void *arg)
{
    struct rig *r = arg;
    UNIT_INT(rig_move(r->b, "1:2", "Y", &other_moved), PN_STORE_OK);
    return NULL;
}

/* The first has linked, and syncs. The second begins; it waits, or it is let through to its end. */
static int while_one_moves(struct rig *r)
{
    pn_assert(pthread_create(&other, NULL, move_too, r) == 0);
    if (pthread_mutex_trylock(&r->a->folder->moves) == 0) {
        (void)pthread_mutex_unlock(&r->a->folder->moves);
        (void)pthread_join(other, NULL);
        pn_assert(pthread_create(&other, NULL, move_too, r) == 0);
    }
    return 0;
}

static void test_two_moves(void)
{
    struct rig r;
    size_t moved;
    rig_init(&r);
    rig_append(&r, "", 3);
    UNIT_INT(rig_deliver(&r, "X"), PN_STORE_OK);
    UNIT_INT(rig_deliver(&r, "Y"), PN_STORE_OK);
    r.a = rig_view(&r, "");
    r.b = rig_view(&r, "");
    rig_hook(RIG_FSYNC, "/.X/cur", while_one_moves, &r);
    UNIT_INT(rig_move(r.a, "1", "X", &moved), PN_STORE_OK);
    UNIT_TRUE(!rig_hooked());
    (void)pthread_join(other, NULL);
    UNIT_INT(moved, 1);
    UNIT_INT(other_moved, 1);
    UNIT_INT(rig_messages(&r, "X"), 2);
    UNIT_INT(rig_messages(&r, "Y"), 2);
    UNIT_INT(rig_messages(&r, ""), 1);
    rig_fini(&r);
}

/* Copied, but it could not be removed: then the copy goes again. */
static void test_move_fails(void)
{
    struct rig r;
    size_t moved;
    rig_init(&r);
    rig_append(&r, "", 2);
    UNIT_INT(rig_deliver(&r, "X"), PN_STORE_OK);
    r.a = rig_view(&r, "");
    rig_hook(RIG_UNLINK, ":2,", with_eio, &r);
    UNIT_INT(rig_move(r.a, "1:2", "X", &moved), PN_STORE_TEMPORARY);
    UNIT_INT(rig_messages(&r, "X"), 1);
    UNIT_INT(rig_messages(&r, ""), 2);
    UNIT_INT(rig_move(r.a, "1:2", "X", &moved), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, "X"), 3);
    UNIT_INT(rig_messages(&r, ""), 0);
    rig_fini(&r);
}

static int delete_it(struct rig *r)
{
    UNIT_INT(pn_folder_delete(r->user, PN_STR("From")), PN_STORE_OK);
    return 0;
}

/* Another deletes the folder in between: the copy is all that is left of it. */
static void test_move_deleted(void)
{
    struct rig r;
    size_t moved;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, "From"), PN_STORE_OK);
    UNIT_INT(rig_deliver(&r, "X"), PN_STORE_OK);
    r.a = rig_view(&r, "From");
    rig_hook(RIG_FSYNC, "/.X/cur", delete_it, &r);
    UNIT_INT(rig_move(r.a, "1", "X", &moved), PN_STORE_NO_FOLDER);
    UNIT_TRUE(!rig_hooked());
    UNIT_INT(rig_messages(&r, "X"), 2);
    rig_fini(&r);
}

/* ---- who is let go ---- */

static bool was_held;

static void *open_it(void *arg)
{
    struct rig *r = arg;
    enum pn_store_status status;
    return pn_user_open(r->store, PN_STR("u@here.test"), &status, NULL);
}

static int while_written(struct rig *r)
{
    was_held = pthread_mutex_trylock(&r->store->lock) != 0;
    if (!was_held)
        (void)pthread_mutex_unlock(&r->store->lock);
    pn_assert(pthread_create(&other, NULL, open_it, r) == 0);
    return 0;
}

static void test_let_go(void)
{
    struct rig r;
    void *again;
    rig_init(&r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(r.store->user_count, 1);
    pn_user_close(&r.user);
    keeper_stop(r.store);
    keeper_start(r.store);
    r.store->users_idle = 0;
    rig_hook(RIG_FSYNC, "/postern-user.tmp", while_written, &r);
    store_trim(r.store);
    UNIT_TRUE(!rig_hooked());
    UNIT_TRUE(!was_held);
    (void)pthread_join(other, &again);
    UNIT_TRUE(again != NULL);
    r.user = again;
    UNIT_INT(r.store->user_count, 1);
    UNIT_INT(rig_messages(&r, ""), 1);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, ""), 2);
    rig_fini(&r);
}

/* ---- the quota is counted while mail comes ---- */

static const char *comes_to;

static int mail_comes(struct rig *r)
{
    UNIT_INT(rig_deliver(r, comes_to), PN_STORE_OK);
    return 0;
}

static void test_count(void)
{
    static const struct {
        const char *label, *reading, *to;
    } rows[] = {
        {"to one that was counted", "/.B/new/.", "INBOX"},
        {"to one that is yet to come", "/u/new/.", "B"},
        {"to one that is new", "/u/new/.", "C"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        struct pn_quota q;
        unit_row(rows[i].label);
        rig_init(&r);
        UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
        UNIT_INT(rig_deliver(&r, "B"), PN_STORE_OK);
        comes_to = rows[i].to;
        rig_hook(RIG_OPEN, rows[i].reading, mail_comes, &r);
        UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
        UNIT_TRUE(!rig_hooked());
        UNIT_INT(q.messages, 3);
        UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
        UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
        UNIT_INT(q.messages, 4);
        rig_fini(&r);
    }
}

/* ---- a disk that is full ---- */

static uint64_t modseq_of(struct rig *r, struct pn_view *v)
{
    struct pn_view_info info;
    rig_sync(r, v);
    pn_view_info(v, &info);
    return info.highestmodseq;
}

/* What a process did that was killed then; the highest modseq that it told of. */
static uint64_t killed(struct rig *r)
{
    uint64_t modseq = 0;
    int ends[2];
    pn_assert(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        rig_open(r);
        r->a = rig_view(r, "");
        (void)rig_store(r->a, "1", PN_SEEN);
        modseq = modseq_of(r, r->a);
        (void)!write(ends[1], &modseq, sizeof modseq);
        (void)kill(getpid(), SIGKILL);
    }
    UNIT_INT(waitpid(pid, NULL, 0), pid);
    UNIT_INT(read(ends[0], &modseq, sizeof modseq), sizeof modseq);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return modseq;
}

/* Who has no room left must be able to make some, after any restart; and no number comes twice. */
static void full(bool after_kill)
{
    struct rig r;
    size_t moved;
    rig_init(&r);
    rig_append(&r, "", 4);
    UNIT_INT(rig_deliver(&r, "Trash"), PN_STORE_OK);
    r.a = rig_view(&r, "");
    uint64_t last = modseq_of(&r, r.a);
    rig_close(&r);
    if (after_kill)
        last = killed(&r);
    rig_full(true);
    for (unsigned restart = 0; restart < 3; restart++) {
        rig_open(&r);
        r.a = rig_view(&r, "");
        UNIT_INT(rig_store(r.a, "4", 1U << restart), PN_STORE_OK);
        uint64_t modseq = modseq_of(&r, r.a);
        UNIT_TRUE(modseq > last);
        last = modseq;
        rig_close(&r);
    }
    rig_open(&r);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_FULL);
    r.a = rig_view(&r, "");
    UNIT_INT(rig_store(r.a, "1", PN_DELETED), PN_STORE_OK);
    UNIT_INT(pn_view_expunge(r.a, NULL), PN_STORE_OK);
    UNIT_INT(rig_move(r.a, "2", "Trash", &moved), PN_STORE_OK);
    UNIT_TRUE(modseq_of(&r, r.a) > last);
    rig_full(false);
    rig_reopen(&r);
    UNIT_INT(rig_messages(&r, ""), 2);
    UNIT_INT(rig_messages(&r, "Trash"), 2);
    r.a = rig_view(&r, "Trash");
    UNIT_TRUE(pn_view_uid(r.a, 2) > 1);
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    rig_fini(&r);
}

static void test_full(void)
{
    unit_row("a right end before");
    full(false);
    unit_row("killed before");
    full(true);
}

/* The spare is written over: not where another has its bytes, too, and not what may be the file. */
static void test_spare(void)
{
    struct rig r;
    struct stat st, other_st;
    rig_init(&r);
    rig_append(&r, "", 1);
    rig_reopen(&r);
    UNIT_INT(fstatat(r.fd, rig_at("postern-user.spare"), &st, 0), 0);
    UNIT_INT(linkat(r.fd, rig_at("postern-user.spare"), r.fd, "backup", 0), 0);
    rig_append(&r, "", 1);
    UNIT_INT(fstatat(r.fd, "backup", &st, 0), 0);
    UNIT_INT(st.st_nlink, 1);
    UNIT_INT(fstatat(r.fd, rig_at("postern-user.spare"), &other_st, 0), 0);
    UNIT_TRUE(other_st.st_ino != st.st_ino);
    UNIT_INT(rig_messages(&r, ""), 2);
    unit_row("its exchange could not be synced");
    rig_hook(RIG_FSYNC, "/u", with_eio, &r);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("A"), true), PN_STORE_TEMPORARY);
    UNIT_TRUE(!rig_hooked());
    UNIT_INT(fstatat(r.fd, rig_at("postern-user.spare"), &st, 0), -1);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("B"), true), PN_STORE_OK);
    UNIT_INT(fstatat(r.fd, rig_at("postern-user.spare"), &st, 0), 0);
    rig_fini(&r);
}

/* The first spare is not synced: a power cut leaves it empty, torn or longer. None of its bytes get
 * into the file. */
static void test_spare_torn(void)
{
    static const struct {
        const char *label;
        off_t size;
    } rows[] = {{"empty", 0}, {"torn", 20}, {"with zeros behind", 5000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        struct stat st;
        unit_row(rows[i].label);
        rig_init(&r);
        rig_append(&r, "", 1);
        rig_close(&r);
        int fd = openat(r.fd, rig_at("postern-folder.spare"), O_WRONLY | O_CLOEXEC);
        UNIT_TRUE(fd >= 0);
        UNIT_INT(ftruncate(fd, rows[i].size), 0);
        UNIT_INT(fstat(fd, &st), 0);
        (void)close(fd);
        rig_open(&r);
        rig_append(&r, "", 1);
        struct folder_marks marks = {0};
        ino_t spare = st.st_ino;
        int dir = openat(r.fd, rig_at(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        UNIT_INT(folder_marks_read(dir, &marks), 0); /* before a right end writes it anew */
        folder_marks_fini(&marks);
        (void)close(dir);
        fd = openat(r.fd, rig_at("postern-folder"), O_RDONLY | O_CLOEXEC);
        UNIT_INT(fstat(fd, &st), 0);
        (void)close(fd);
        UNIT_TRUE(st.st_ino == spare); /* it is the file now */
        uint32_t uidnext = rig_uidnext(&r, "");
        rig_reopen(&r);
        UNIT_INT(rig_uidnext(&r, ""), uidnext);
        UNIT_INT(rig_messages(&r, ""), 2);
        rig_fini(&r);
    }
}

/* ---- RENAME INBOX, cut in two ---- */

static enum pn_store_status rename_inbox(struct rig *r)
{
    return pn_folder_rename(r->user, PN_STR("INBOX"), PN_STR("Old"));
}

static int with_kill(struct rig *r)
{
    (void)r;
    return kill(getpid(), SIGKILL);
}

static void cut_short(struct rig *r, enum rig_call call, const char *end,
                      enum pn_store_status (*what)(struct rig *r))
{
    rig_close(r);
    pid_t pid = fork();
    if (pid == 0) {
        rig_open(r);
        rig_hook(call, end, with_kill, r);
        (void)what(r);
        _exit(0);
    }
    int how;
    UNIT_INT(waitpid(pid, &how, 0), pid);
    UNIT_TRUE(WIFSIGNALED(how));
}

static void test_rename_inbox(void)
{
    static const struct {
        const char *label;
        enum rig_call call;
        const char *end;
    } rows[] = {
        {"before the folder is there", RIG_FSYNC, "/u/postern"},
        {"the first of them", RIG_LINK, ":2,"},
        {"all are there, and in INBOX", RIG_FSYNC, "/.Old/cur"},
        {"nothing is gone from INBOX", RIG_UNLINK, ":2,"},
        {"all is gone from INBOX", RIG_FSYNC, "/u/cur"},
        {"all is done but the plan", RIG_UNLINK, "/postern/rename"},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        struct stat st;
        bool asked = i % 2 == 1; /* else the next login does it */
        unit_row(rows[i / 2].label);
        rig_init(&r);
        rig_append(&r, "", 3);
        cut_short(&r, rows[i / 2].call, rows[i / 2].end, rename_inbox);
        rig_open(&r);
        UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK); /* it was not meant */
        UNIT_INT(asked ? rename_inbox(&r) : pn_folders_make_special(r.user), PN_STORE_OK);
        UNIT_INT(rig_messages(&r, "Old"), 3);
        UNIT_INT(rig_messages(&r, ""), 1);
        UNIT_INT(fstatat(r.fd, rig_at("postern/rename"), &st, 0), -1);
        UNIT_INT(rename_inbox(&r), PN_STORE_EXISTS);
        rig_fini(&r);
    }
}

/* What came since, and was copied to the new folder before the rename is ended: it stays. */
static void test_rename_inbox_copied(void)
{
    struct rig r;
    struct pn_copied copied;
    struct pn_uidrange last[] = {{UINT32_MAX, UINT32_MAX}};
    const struct pn_uidset set = {.v = last, .count = 1, .cap = 1, .max = 1};
    rig_init(&r);
    rig_append(&r, "", 3);
    cut_short(&r, RIG_LINK, ":2,", rename_inbox);
    rig_open(&r);
    rig_append(&r, "", 1);
    r.a = rig_view(&r, "");
    last[0].first = last[0].last = pn_view_uid(r.a, 4);
    UNIT_INT(pn_view_copy(r.a, &set, PN_STR("Old"), false, &copied), PN_STORE_OK);
    pn_copied_fini(&copied);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, "Old"), 4);
    UNIT_INT(rig_messages(&r, ""), 1);
    rig_fini(&r);
}

static void test_rename_inbox_fails(void)
{
    struct rig r;
    struct pn_view *v;
    struct stat st;
    rig_init(&r);
    rig_append(&r, "", 3);
    rig_hook(RIG_FSYNC, "/.Old/cur", with_eio, &r);
    UNIT_INT(rename_inbox(&r), PN_STORE_TEMPORARY);
    UNIT_INT(rig_messages(&r, ""), 3);
    UNIT_INT(pn_view_open(r.user, PN_STR("Old"), false, NULL, NULL, &v), PN_STORE_NO_FOLDER);
    UNIT_INT(fstatat(r.fd, rig_at("postern/rename"), &st, 0), -1);
    UNIT_INT(rename_inbox(&r), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, "Old"), 3);
    rig_fini(&r);
}

/* ---- a folder whose making was cut short is none, and in nobody's way ---- */

static enum pn_store_status create_old(struct rig *r)
{
    return pn_folder_create(r->user, PN_STR("Old"), PN_USE_NONE);
}

static enum pn_store_status rename_other(struct rig *r)
{
    enum pn_store_status status = pn_folder_create(r->user, PN_STR("Other"), PN_USE_NONE);
    return status == PN_STORE_OK ? pn_folder_rename(r->user, PN_STR("Other"), PN_STR("Old"))
                                 : status;
}

static int mkdir_of(struct rig *r, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s", rig_at(name));
    return mkdirat(r->fd, path, 0700);
}

static void test_half_made(void)
{
    static const struct {
        const char *label;
        enum pn_store_status (*then)(struct rig *r);
    } rows[] = {
        {"CREATE", create_old},
        {"RENAME", rename_other},
        {"RENAME INBOX", rename_inbox},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        unit_row(rows[i / 2].label);
        rig_init(&r);
        rig_append(&r, "", 1);
        if (i % 2 == 0) {
            cut_short(&r, RIG_FSYNC, "/.Old", create_old);
            rig_open(&r);
        } else { /* all but its tmp, as it comes last */
            UNIT_INT(mkdir_of(&r, ".Old") | mkdir_of(&r, ".Old/cur") | mkdir_of(&r, ".Old/new"), 0);
        }
        UNIT_INT(rows[i / 2].then(&r), PN_STORE_OK);
        UNIT_INT(rig_messages(&r, "Old"), rows[i / 2].then == rename_inbox);
        UNIT_INT(rig_deliver(&r, "Old"), PN_STORE_OK);
        UNIT_INT(rows[i / 2].then(&r), PN_STORE_EXISTS);
        rig_fini(&r);
    }
}

/* Others' mail in what is no Maildir for want of a tmp: it is not ours to remove. */
static void test_half_made_with_mail(void)
{
    struct rig r;
    struct stat st;
    rig_init(&r);
    UNIT_INT(mkdir_of(&r, ".Old") | mkdir_of(&r, ".Old/cur"), 0);
    int fd = openat(r.fd, rig_at(".Old/cur/1.a:2,S"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    UNIT_TRUE(fd >= 0);
    (void)close(fd);
    UNIT_INT(rename_other(&r), PN_STORE_EXISTS);
    UNIT_INT(fstatat(r.fd, rig_at(".Old/cur/1.a:2,S"), &st, 0), 0);
    UNIT_INT(rig_messages(&r, "Other"), 0);
    UNIT_INT(create_old(&r), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, "Old"), 1);
    rig_fini(&r);
}

static enum pn_store_status see_old(struct rig *r)
{
    enum pn_store_status status = pn_view_open(r->user, PN_STR("Old"), true, NULL, NULL, &r->a);
    if (r->a != NULL)
        pn_view_close(&r->a);
    return status;
}

/* To whoever asks it is no folder; and what is left of its small files is in nobody's way. */
static void test_half_made_unseen(void)
{
    struct rig r;
    struct stat st;
    rig_init(&r);
    UNIT_INT(mkdir_of(&r, ".Old") | mkdir_of(&r, ".Old/cur") | mkdir_of(&r, ".Old/new"), 0);
    UNIT_INT(see_old(&r), PN_STORE_NO_FOLDER);
    UNIT_INT(fstatat(r.fd, rig_at(".Old/postern-folder"), &st, 0), -1);
    int fd = openat(r.fd, rig_at(".Old/postern-folder.tmp"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    UNIT_TRUE(fd >= 0);
    (void)close(fd);
    UNIT_INT(rename_other(&r), PN_STORE_OK);
    UNIT_INT(see_old(&r), PN_STORE_OK);
    rig_fini(&r);
}

/* A tree of which one can't move stays whole. */
static void test_rename_tree_blocked(void)
{
    struct rig r;
    struct pn_folder_list list;
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    rig_init(&r);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a"), PN_USE_NONE), PN_STORE_OK);
    UNIT_INT(pn_folder_create(r.user, PN_STR("a/b"), PN_USE_NONE), PN_STORE_OK);
    UNIT_INT(mkdir_of(&r, ".x.b") | mkdir_of(&r, ".x.b/odd"), 0);
    for (int i = 0; i < 2; i++)
        UNIT_INT(pn_folder_rename(r.user, PN_STR("a"), PN_STR("x")), PN_STORE_EXISTS);
    UNIT_INT(pn_folders_list(r.user, pool, &list), PN_STORE_OK);
    UNIT_INT(list.count, 3);
    UNIT_STR(list.v[1].name, PN_STR("a"));
    UNIT_STR(list.v[2].name, PN_STR("a/b"));
    UNIT_INT(unlinkat(r.fd, rig_at(".x.b/odd"), AT_REMOVEDIR), 0);
    UNIT_INT(pn_folder_rename(r.user, PN_STR("a"), PN_STR("x")), PN_STORE_OK);
    pn_pool_free(&pool);
    rig_fini(&r);
}

static uint32_t validity_of_old(const struct rig *r)
{
    struct folder_marks marks;
    int dir = openat(r->fd, rig_at(".Old"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    UNIT_INT(folder_marks_read(dir, &marks), 0);
    uint32_t validity = marks.uidvalidity;
    folder_marks_fini(&marks);
    (void)close(dir);
    return validity;
}

/* Who has a folder selected that went, and another came by its name, writes nothing there. */
static void test_gone_keyword(void)
{
    struct rig r;
    uint32_t bit;
    rig_init(&r);
    UNIT_INT(create_old(&r), PN_STORE_OK);
    UNIT_INT(pn_view_open(r.user, PN_STR("Old"), false, NULL, NULL, &r.a), PN_STORE_OK);
    UNIT_INT(pn_folder_rename(r.user, PN_STR("Old"), PN_STR("Away")), PN_STORE_OK);
    UNIT_INT(create_old(&r), PN_STORE_OK);
    uint32_t validity = validity_of_old(&r);
    UNIT_INT(pn_view_add_keyword(r.a, PN_STR("fresh"), &bit), PN_STORE_NO_FOLDER);
    UNIT_INT(validity_of_old(&r), validity);
    rig_fini(&r);
}

static int deliver_to_old(struct rig *r)
{
    UNIT_INT(rig_deliver(r, "Old"), PN_STORE_OK);
    return EIO;
}

/* A delivery finds the new folder before it is known that nothing goes there. */
static void test_rename_inbox_undone(void)
{
    struct rig r;
    rig_init(&r);
    rig_append(&r, "", 3);
    rig_hook(RIG_FSYNC, "/.Old/cur", deliver_to_old, &r);
    UNIT_INT(rename_inbox(&r), PN_STORE_TEMPORARY);
    UNIT_INT(rig_messages(&r, "Old") + rig_messages(&r, ""), 4);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    UNIT_INT(rig_messages(&r, "Old") + rig_messages(&r, ""), 4);
    rig_fini(&r);
}

/* ---- a reading that fails half way ---- */

/* The file of that UID goes from one of the directories to another, or gets flags. */
static void other_name(const struct rig *r, uint32_t uid, const char *from, const char *to,
                       const char *flags)
{
    char name[400], tail[32];
    int at = openat(r->fd, rig_at(from), O_RDONLY | O_DIRECTORY);
    int into = openat(r->fd, rig_at(to), O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(at);
    bool found = false;
    pn_assert(d != NULL);
    (void)snprintf(tail, sizeof tail, ".%u:2,", uid);
    for (struct dirent *e; !found && (e = readdir(d)) != NULL;) {
        found = strstr(e->d_name, tail) != NULL;
        (void)snprintf(name, sizeof name, "%s%s", e->d_name, flags);
        if (found)
            UNIT_INT(renameat(at, e->d_name, into, name), 0);
    }
    UNIT_TRUE(found);
    (void)closedir(d);
    (void)close(into);
}

static int first_reads(struct rig *r)
{
    rig_hook(RIG_OPEN, "/u/cur/.", with_eio, r);
    return 0;
}

/* Another has renamed one, and a second is out of sight just then. */
static int others_rename(struct rig *r)
{
    other_name(r, 2, "cur", "cur", "F");
    other_name(r, 3, "cur", "tmp", "");
    rig_hook(RIG_OPEN, "/u/cur/.", first_reads, r);
    return 0;
}

/* What one reading does not find, and a second can't look for, is not gone: of an expunge only
 * those go that it removed. Flags that the first found are told. */
static void test_half_read(void)
{
    struct rig r;
    rig_init(&r);
    rig_append(&r, "", 4);
    r.a = rig_view(&r, "");
    rig_hook(RIG_UNLINK, ":2,", others_rename, &r);
    UNIT_INT(rig_remove(r.a, "1:2"), PN_STORE_TEMPORARY);
    UNIT_TRUE(!rig_hooked());
    other_name(&r, 3, "tmp", "cur", "");
    rig_sync_says(&r, r.a, " -1(1) f1(2:4)");
    UNIT_INT(rig_remove(r.a, "2"), PN_STORE_OK);
    rig_sync_says(&r, r.a, " -1(2)");
    UNIT_INT(pn_view_uid(r.a, 1), 3);
    UNIT_INT(pn_view_uid(r.a, 2), 4);
    rig_reopen(&r);
    UNIT_INT(rig_messages(&r, ""), 2);
    UNIT_INT(rig_uidnext(&r, ""), 5);
    rig_fini(&r);
}

/* ---- no mark can be written: what happened is told all the same ---- */

static unsigned woken;

static void wake(void *ctx)
{
    (void)ctx;
    woken++;
}

static void test_no_mark(void)
{
    struct rig r;
    struct pn_mail mail;
    rig_init(&r);
    rig_append(&r, "", 1);
    rig_reopen(&r); /* after a right end the next one is to be marked */
    (void)unlinkat(r.fd, rig_at("postern-user.spare"), 0);
    UNIT_INT(mkdir_of(&r, "postern-user.spare"), 0);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("A"), true), PN_STORE_TEMPORARY);
    UNIT_INT(pn_view_open(r.user, PN_STR("INBOX"), false, wake, NULL, &r.a), PN_STORE_OK);
    woken = 0;
    UNIT_INT(rig_deliver(&r, ""), PN_STORE_OK);
    UNIT_INT(woken, 1);
    rig_sync_says(&r, r.a, " =2");
    pn_view_mail(r.a, 2, &mail);
    UNIT_TRUE(mail.modseq > 0);
    UNIT_INT(rig_store(r.a, "1", PN_SEEN), PN_STORE_TEMPORARY);
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"not_told_of", test_not_told_of},
                                             {"sync_fails", test_sync_fails},
                                             {"links", test_links},
                                             {"no_messages", test_no_messages},
                                             {"never_asks", test_never_asks},
                                             {"two_moves", test_two_moves},
                                             {"move_fails", test_move_fails},
                                             {"move_deleted", test_move_deleted},
                                             {"let_go", test_let_go},
                                             {"count", test_count},
                                             {"full", test_full},
                                             {"spare", test_spare},
                                             {"spare_torn", test_spare_torn},
                                             {"rename_inbox", test_rename_inbox},
                                             {"rename_inbox_copied", test_rename_inbox_copied},
                                             {"rename_inbox_fails", test_rename_inbox_fails},
                                             {"rename_inbox_undone", test_rename_inbox_undone},
                                             {"no_mark", test_no_mark},
                                             {"half_made", test_half_made},
                                             {"half_made_with_mail", test_half_made_with_mail},
                                             {"half_made_unseen", test_half_made_unseen},
                                             {"rename_tree_blocked", test_rename_tree_blocked},
                                             {"gone_keyword", test_gone_keyword},
                                             {"half_read", test_half_read},
                                             {NULL, NULL}};
    return unit_main("store_hard", tests, argc, argv);
}
