/* A Maildir that others filled, met for the first time. */
#include "unit.h"

#include "assert.h"
#include "folders.h"
#include "maildir.h"
#include "store_int.h"
#include "team.h"
#include "uidlist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 300 /* messages: more than one chunk */, NOBODY = 65534 };

static const char user_name[] = "u@here.test", cur[] = "here.test/u/cur";

struct rig {
    char path[32];
    int fd;
    struct pn_store *store;
    struct pn_user *user;
    struct pn_view *view;
};

static void open_store(struct rig *r)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    r->store = pn_store_new(r->fd, PN_STR("here.test"));
    keeper_stop(r->store); /* what follows later is called by name */
    r->user = pn_user_open(r->store, pn_str_of(user_name), &status, &why);
    pn_assert(r->user != NULL);
    pn_buf_fini(&why);
}

static void open_view(struct rig *r)
{
    UNIT_INT(pn_view_open(r->user, PN_STR(""), false, NULL, NULL, &r->view), PN_STORE_OK);
}

static void close_store(struct rig *r)
{
    if (r->view != NULL)
        pn_view_close(&r->view);
    pn_user_close(&r->user);
    keeper_start(r->store);
    pn_store_free(&r->store);
}

static void reopen(struct rig *r)
{
    close_store(r);
    open_store(r);
    open_view(r);
}

static void put_file(const struct rig *r, const char *name, const char *bytes)
{
    int dir = maildir_open_dir(r->fd, cur);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    pn_assert(dir >= 0 && fd >= 0);
    pn_assert(write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    (void)close(fd);
    (void)close(dir);
}

/* n messages "Subject: sN" in names by time. */
static void fill(const struct rig *r, unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n; i++) {
        char name[100], bytes[100];
        (void)snprintf(name, sizeof name, "%u.M%uP1.other:2,%s", 1700000000 + i, i,
                       i % 3 == 0 ? "S" : "");
        (void)snprintf(bytes, sizeof bytes, "Subject: s%u\nDate: x\n\nbody\n", i);
        put_file(r, name, bytes);
    }
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.path = "storecold.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_store(r);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void rig_fini(struct rig *r)
{
    close_store(r);
    (void)close(r->fd);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- the team ---- */

static void count_one(void *ctx, size_t i)
{
    atomic_uint *counts = ctx;
    (void)atomic_fetch_add(&counts[i], 1);
}

static void *run_team(void *ctx)
{
    enum { THINGS = 1000 };
    static const size_t rows[] = {0, 1, 7, 8, 9, THINGS};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        atomic_uint counts[THINGS] = {0};
        unsigned wrong = 0;
        team_run(ctx, rows[k], count_one, counts);
        for (size_t i = 0; i < THINGS; i++)
            wrong += counts[i] != (i < rows[k]);
        UNIT_INT(wrong, 0);
    }
    return NULL;
}

static void test_team(void)
{
    enum { CALLERS = 6 };
    pthread_t ids[CALLERS];
    struct team *team = team_new();
    for (unsigned i = 0; i < CALLERS; i++)
        pn_assert(pthread_create(&ids[i], NULL, run_team, team) == 0);
    for (unsigned i = 0; i < CALLERS; i++)
        (void)pthread_join(ids[i], NULL);
    team_free(&team);
    UNIT_TRUE(team == NULL);
    (void)run_team(NULL); /* without one all is done the same */
}

/* ---- envelopes ---- */

struct walk {
    uint32_t next, stop; /* numbers: the next that must come; where to stop, 0: nowhere */
    uint32_t gone, wrong;
};

static bool on_cached(void *ctx, const struct pn_cached *c)
{
    struct walk *w = ctx;
    char want[32];
    int n = snprintf(want, sizeof want, "\"s%u\"", c->seq - 1);
    w->wrong += c->seq != w->next++;
    if (!c->whole)
        w->gone++;
    else if (pn_str_find(c->envelope, '"', 0) == SIZE_MAX ||
             memmem(c->envelope.p, c->envelope.len, want, (size_t)n) == NULL)
        w->wrong++;
    return w->stop == 0 || c->seq < w->stop;
}

static void walk(struct rig *r, uint32_t stop, uint32_t want_gone)
{
    struct walk w = {.next = 1, .stop = stop};
    uint32_t at = pn_view_cached(r->view, 1, UINT32_MAX, PN_CACHED_ENVELOPE, on_cached, &w);
    UNIT_INT(at, stop != 0 ? stop : MANY + 1);
    UNIT_INT(w.wrong, 0);
    UNIT_INT(w.gone, want_gone);
}

static void test_envelopes(void)
{
    struct rig r;
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    UNIT_INT(pn_view_count(r.view), MANY);
    walk(&r, 270, 0);
    walk(&r, 0, 0);
    walk(&r, 0, 0);
    close_store(&r);
    open_store(&r);
    open_view(&r);
    walk(&r, 0, 0);
    rig_fini(&r);
}

/* What others do to files between our look and our reading. */
static void test_meanwhile(void)
{
    struct rig r;
    char from[300], to[300];
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    struct folder *f = r.view->folder;
    int dir = maildir_open_dir(r.fd, cur);
    UNIT_INT(unlinkat(dir, folder_msg_name(f, &f->msgs[10]), 0), 0);
    (void)snprintf(from, sizeof from, "%s", folder_msg_name(f, &f->msgs[20]));
    (void)snprintf(to, sizeof to, "%.*s:2,FS", (int)strcspn(from, ":"), from);
    UNIT_INT(renameat(dir, from, dir, to), 0);
    walk(&r, 0, 1);
    (void)close(dir);
    rig_fini(&r);
}

/* ---- UIDs that are written down ---- */

static bool has_list(const struct rig *r)
{
    return faccessat(r->fd, "here.test/u/postern-uids", F_OK, 0) == 0;
}

/* Files with a UID in their names. */
static unsigned named(const struct rig *r)
{
    unsigned n = 0;
    int dir = maildir_open_dir(r->fd, cur);
    DIR *d = fdopendir(dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strstr(e->d_name, ",U=") != NULL;
    (void)closedir(d);
    return n;
}

/* The subject of message N is the same as it was when its UID was first told: s(UID-1). */
static bool by_uid(void *ctx, const struct pn_cached *c)
{
    struct rig *r = ctx;
    char want[32];
    int n = snprintf(want, sizeof want, "\"s%u\"", pn_view_uid(r->view, c->seq) - 1);
    UNIT_TRUE(c->whole && memmem(c->envelope.p, c->envelope.len, want, (size_t)n) != NULL);
    return true;
}

static void uids_hold(struct rig *r, unsigned count, uint32_t last)
{
    UNIT_INT(pn_view_count(r->view), count);
    UNIT_INT(pn_view_uid(r->view, count), last);
    UNIT_INT(pn_view_cached(r->view, 1, UINT32_MAX, PN_CACHED_ENVELOPE, by_uid, r), count + 1);
}

static uint32_t size_of(unsigned i)
{
    char bytes[100];
    return (uint32_t)snprintf(bytes, sizeof bytes, "Subject: s%u\r\nDate: x\r\n\r\nbody\r\n", i);
}

static void finish(struct rig *r)
{
    while (later_work(r->user, 1000) > 0)
        for (struct folder *f = r->user->folders; f != NULL; f = f->next)
            f->looked_ns = 0; /* nobody looks at it */
}

static void test_listed(void)
{
    struct rig r;
    struct pn_mail mail;
    struct pn_folder_status status;
    struct pn_quota quota;
    uint64_t sum = 0;
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    UNIT_TRUE(has_list(&r));
    UNIT_INT(named(&r), 0);
    for (uint32_t i = 0; i < MANY; i++)
        sum += size_of(i);
    UNIT_INT(pn_folder_status(r.user, PN_STR("INBOX"), &status), PN_STORE_OK);
    UNIT_TRUE(status.size >= sum && status.size <= 2 * sum);
    pn_view_mail(r.view, 1, &mail);
    UNIT_TRUE(mail.guessed);
    for (uint32_t i = 0; i < MANY; i++) {
        pn_view_mail_sized(r.view, i + 1, MANY, &mail);
        UNIT_INT(mail.uid, i + 1);
        UNIT_INT(mail.size, size_of(i));
        UNIT_INT(mail.flags.system, i % 3 == 0 ? PN_SEEN : 0);
        UNIT_TRUE(!mail.guessed);
    }
    UNIT_INT(pn_user_quota(r.user, &quota), PN_STORE_OK);
    UNIT_INT(quota.bytes, sum);
    uids_hold(&r, MANY, MANY);
    reopen(&r);
    UNIT_TRUE(has_list(&r));
    uids_hold(&r, MANY, MANY);
    rig_fini(&r);
}

static void test_later(void)
{
    struct rig r;
    struct pn_mail mail;
    struct pn_quota quota;
    uint64_t sum = 0;
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    UNIT_INT(pn_user_quota(r.user, &quota), PN_STORE_OK);
    finish(&r);
    UNIT_TRUE(!has_list(&r));
    UNIT_INT(named(&r), MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        pn_view_mail(r.view, i + 1, &mail);
        UNIT_TRUE(!mail.guessed);
        UNIT_INT(mail.size, size_of(i));
        sum += mail.size;
    }
    UNIT_INT(pn_user_quota(r.user, &quota), PN_STORE_OK);
    UNIT_INT(quota.bytes, sum);
    UNIT_INT(quota.messages, MANY);
    UNIT_INT(later_work(r.user, 1000), 0);
    reopen(&r);
    uids_hold(&r, MANY, MANY);
    rig_fini(&r);
}

/* Whoever is killed at any moment: who comes next gives all the same UIDs. */
static void test_killed(void)
{
    for (unsigned steps = 0; steps < 5; steps++) {
        struct rig r;
        rig_init(&r);
        fill(&r, 0, MANY);
        close_store(&r);
        pid_t pid = fork();
        pn_assert(pid >= 0);
        if (pid == 0) {
            open_store(&r);
            open_view(&r);
            if (steps > 0)
                r.view->folder->later.fill_to = 0;
            for (unsigned i = 1; i < steps; i++) {
                struct msg *m = &r.view->folder->msgs[MANY / steps * i];
                folder_set_size(r.view->folder, m, size_of(m->uid - 1));
            }
            if (steps > 0)
                finish(&r); /* with sizes of a few only: those are renamed, the list stays */
            _exit(0);
        }
        UNIT_INT(waitpid(pid, NULL, 0), pid);
        open_store(&r);
        open_view(&r);
        UNIT_TRUE(has_list(&r));
        UNIT_INT(named(&r), steps > 0 ? steps - 1 : 0);
        uids_hold(&r, MANY, MANY);
        finish(&r);
        UNIT_INT(named(&r), MANY);
        UNIT_TRUE(!has_list(&r));
        reopen(&r);
        uids_hold(&r, MANY, MANY);
        rig_fini(&r);
    }
}

/* What sessions and others do to messages whose UIDs are only written down. */
static void test_changes(void)
{
    struct rig r;
    struct pn_mail mail;
    struct pn_uidset few;
    char from[300], to[300];
    const struct pn_flags flagged = {PN_FLAGGED, 0};
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    pn_uidset_init(&few, 10);
    (void)pn_uidset_add(&few, 3, 4);
    UNIT_INT(pn_view_store(r.view, &few, PN_FLAGS_ADD, flagged, UINT64_MAX, NULL), PN_STORE_OK);
    pn_uidset_clear(&few);
    (void)pn_uidset_add(&few, MANY, MANY);
    UNIT_INT(pn_view_remove(r.view, &few), PN_STORE_OK);
    int dir = maildir_open_dir(r.fd, cur);
    (void)snprintf(from, sizeof from, "%s",
                   folder_msg_name(r.view->folder, &r.view->folder->msgs[9]));
    (void)snprintf(to, sizeof to, "%.*s:2,R", (int)strcspn(from, ":"), from);
    UNIT_INT(renameat(dir, from, dir, to), 0);
    (void)close(dir);
    reopen(&r);
    uids_hold(&r, MANY - 1, MANY - 1);
    pn_view_mail(r.view, 3, &mail);
    UNIT_INT(mail.flags.system, PN_FLAGGED);
    pn_view_mail(r.view, 4, &mail);
    UNIT_INT(mail.flags.system, PN_FLAGGED | PN_SEEN);
    pn_view_mail(r.view, 10, &mail);
    UNIT_INT(mail.flags.system, PN_ANSWERED);
    /* One that was removed comes back: not under the UID that it had. */
    fill(&r, MANY - 1, 1);
    reopen(&r);
    UNIT_INT(pn_view_count(r.view), MANY);
    UNIT_INT(pn_view_uid(r.view, MANY), MANY + 1);
    finish(&r);
    UNIT_INT(named(&r), MANY);
    UNIT_TRUE(!has_list(&r));
    reopen(&r);
    UNIT_INT(pn_view_uid(r.view, MANY), MANY + 1);
    pn_uidset_fini(&few);
    rig_fini(&r);
}

/* Another load of them before the first is renamed; a copy in the folder; names that are odd. */
static void test_more(void)
{
    struct rig r;
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    fill(&r, MANY, MANY);
    reopen(&r);
    UNIT_INT(named(&r), 0);
    uids_hold(&r, 2 * MANY, 2 * MANY);
    finish(&r);
    UNIT_TRUE(!has_list(&r));
    fill(&r, 3 * MANY, MANY);
    put_file(&r, "1700000000.twice:2,", "Subject: a\n\n");
    put_file(&r, "1700000000.twice:2,S", "Subject: b\n\n");
    put_file(&r, "1700000001.line\nbreak", "Subject: c\n\n");
    char name[256];
    memset(name, 'x', sizeof name);
    memcpy(name, "1700000002", 10);
    name[250] = '\0';
    put_file(&r, name, "Subject: long\n\n");
    UNIT_INT(symlinkat("/etc/passwd", r.fd, "here.test/u/cur/1700000003.link"), 0);
    reopen(&r);
    UNIT_INT(pn_view_count(r.view), 3 * MANY + 4);
    UNIT_INT(named(&r), 2 * MANY + 2); /* the second of a name, and what is no line, at once */
    finish(&r);
    UNIT_INT(named(&r), 3 * MANY + 4);
    UNIT_TRUE(!has_list(&r));
    rig_fini(&r);
}

/* A list that can't be written, and one that was damaged. */
static void test_no_list(void)
{
    struct rig r;
    rig_init(&r);
    fill(&r, 0, MANY);
    UNIT_INT(mkdirat(r.fd, "here.test/u/postern-uids.tmp", 0700), 0);
    open_view(&r);
    UNIT_INT(named(&r), MANY);
    uids_hold(&r, MANY, MANY);
    UNIT_INT(unlinkat(r.fd, "here.test/u/postern-uids.tmp", AT_REMOVEDIR), 0);
    fill(&r, MANY, MANY);
    reopen(&r);
    UNIT_TRUE(has_list(&r));
    int fd = openat(r.fd, "here.test/u/postern-uids", O_WRONLY | O_CLOEXEC);
    UNIT_INT(pwrite(fd, "7", 1, 60), 1);
    (void)close(fd);
    reopen(&r);
    UNIT_INT(pn_view_count(r.view), 2 * MANY);
    UNIT_INT(pn_view_uid(r.view, MANY), MANY);
    UNIT_INT(pn_view_uid(r.view, MANY + 1), 2 * MANY + 1);
    rig_fini(&r);
}

/* ---- the list itself ---- */

static int close_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    if (geteuid() == 0)
        pn_assert(chown(path, NOBODY, NOBODY) == 0);
    return kind == FTW_F && S_ISREG(st->st_mode) && strstr(path, "other:2,") != NULL
               ? chmod(path, 0)
               : 0;
}

/* What can't be read costs no UIDs, though it is much, and looked at again and again. */
static void test_closed(void)
{
    struct rig r;
    uid_t was = geteuid();
    rig_init(&r);
    open_view(&r);
    pn_view_close(&r.view);
    fill(&r, 0, MANY);
    UNIT_INT(nftw(r.path, close_it, 8, FTW_PHYS), 0);
    if (was == 0)
        UNIT_INT(seteuid(NOBODY), 0); /* root may read all */
    for (unsigned i = 0; i < 3; i++) {
        reopen(&r);
        UNIT_INT(pn_view_count(r.view), 0);
        UNIT_INT(r.view->folder->uidnext, 1);
        UNIT_TRUE(!has_list(&r));
    }
    UNIT_INT(seteuid(was), 0);
    rig_fini(&r);
}

static void test_uidlist(void)
{
    char path[] = "uidlist.XXXXXX";
    pn_assert(mkdtemp(path) != NULL);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct uidlist *list = uidlist_new(), *again;
    UNIT_INT(uidlist_get(list, PN_STR("a")), 0);
    UNIT_TRUE(!uidlist_add(list, PN_STR(""), 1));
    UNIT_TRUE(!uidlist_add(list, PN_STR("a\nb"), 1));
    UNIT_TRUE(!uidlist_add(list, PN_STR("a"), 0));
    UNIT_TRUE(uidlist_add(list, PN_STR("a b"), UINT32_MAX));
    UNIT_TRUE(!uidlist_add(list, PN_STR("a b"), 2));
    for (uint32_t i = 1; i < 3000; i++) {
        char name[20];
        int n = snprintf(name, sizeof name, "n%u", i);
        UNIT_TRUE(uidlist_add(list, (struct pn_str){name, (size_t)n}, i));
    }
    UNIT_INT(uidlist_read(dir, 7, &again), ENOENT);
    UNIT_INT(uidlist_write(dir, 7, list), 0);
    UNIT_INT(uidlist_read(dir, 8, &again), ENOENT);
    UNIT_INT(uidlist_read(dir, 7, &again), 0);
    UNIT_INT(uidlist_count(again), 3000);
    UNIT_INT(uidlist_get(again, PN_STR("a b")), UINT32_MAX);
    UNIT_INT(uidlist_get(again, PN_STR("n2999")), 2999);
    UNIT_INT(uidlist_get(again, PN_STR("n3000")), 0);
    uidlist_cut(again, 2);
    UNIT_INT(uidlist_get(again, PN_STR("n2")), 0);
    UNIT_INT(uidlist_get(again, PN_STR("n1")), 1);
    UNIT_TRUE(uidlist_add(again, PN_STR("n2"), 9));
    UNIT_INT(uidlist_write(dir, 7, again), 0);
    uidlist_free(&again);
    for (off_t len = 0; len < 1000; len++) { /* cut at every byte */
        struct stat st;
        UNIT_INT(fstatat(dir, "postern-uids", &st, 0), 0);
        if (st.st_size <= 1)
            break;
        int fd = openat(dir, "postern-uids", O_WRONLY | O_CLOEXEC);
        UNIT_INT(ftruncate(fd, st.st_size - 1), 0);
        (void)close(fd);
        UNIT_INT(uidlist_read(dir, 7, &again), EBADMSG);
        UNIT_TRUE(again == NULL);
    }
    UNIT_INT(uidlist_remove(dir), 0);
    UNIT_INT(uidlist_remove(dir), 0);
    uidlist_free(&list);
    (void)close(dir);
    UNIT_INT(rmdir(path), 0);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"team", test_team},     {"envelopes", test_envelopes}, {"meanwhile", test_meanwhile},
        {"closed", test_closed}, {"uidlist", test_uidlist},     {"listed", test_listed},
        {"later", test_later},   {"killed", test_killed},       {"changes", test_changes},
        {"more", test_more},     {"no_list", test_no_list},     {NULL, NULL}};
    return unit_main("cold", tests, argc, argv);
}
