#include "unit.h"

#include "assert.h"
#include "maildir.h"
#include "store_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char user_name[] = "u@here.test", place[] = "here.test/u";

/* A mail root, one user, and what the last syncs said: "-2(5) =3 f1" is expunge of number 2, UID
 * 5, then three messages, then flags of number 1. */
struct rig {
    char path[32];
    int fd;
    struct pn_store *store;
    struct pn_user *user;
    struct pn_view *a, *b;
    struct pn_buf said;
    unsigned woken;
};

static void open_store(struct rig *r)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    r->store = pn_store_new(r->fd, PN_STR("here.test"));
    r->user = pn_user_open(r->store, pn_str_of(user_name), &status, &why);
    pn_assert(r->user != NULL);
    pn_buf_fini(&why);
}

static void close_store(struct rig *r)
{
    pn_view_close(&r->a);
    pn_view_close(&r->b);
    pn_user_close(&r->user);
    pn_store_free(&r->store);
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.path = "storeview.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_buf_init(&r->said, 10000);
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
    pn_buf_fini(&r->said);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void woken(void *ctx)
{
    ((struct rig *)ctx)->woken++;
}

static struct pn_view *view_of(struct rig *r, const char *folder)
{
    struct pn_view *v;
    UNIT_INT(pn_view_open(r->user, pn_str_of(folder), false, woken, r, &v), PN_STORE_OK);
    return v;
}

static void deliver(const struct rig *r, const char *folder, const char *content)
{
    const struct pn_delivery d = {.user = pn_str_of(user_name),
                                  .folder = pn_str_of(folder),
                                  .reverse_path = PN_STR("s@from.test"),
                                  .content = pn_str_of(content)};
    struct pn_buf why;
    pn_buf_init(&why, 500);
    UNIT_INT(pn_store_deliver(r->store, &d, &why), PN_STORE_OK);
    UNIT_STR(pn_buf_str(&why), PN_STR(""));
    pn_buf_fini(&why);
}

static void deliver_n(const struct rig *r, const char *folder, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        deliver(r, folder, "Subject: a\r\n\r\nb\r\n");
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

static const struct pn_view_ops ops = {on_expunged, on_exists, on_flags};

static void sync_says(struct rig *r, struct pn_view *v, bool may_expunge, const char *want)
{
    pn_buf_clear(&r->said);
    UNIT_TRUE(pn_view_sync(v, may_expunge, &ops, r));
    UNIT_STR(pn_buf_str(&r->said), pn_str_of(want));
}

static struct pn_uidset set_of(const char *text)
{
    struct pn_uidset set;
    pn_uidset_init(&set, 1000);
    if (text[0] != '\0')
        UNIT_TRUE(pn_uidset_parse(&set, pn_str_of(text), UINT32_MAX));
    return set;
}

static void set_is(struct pn_uidset *set, const char *want)
{
    struct pn_buf out;
    pn_buf_init(&out, 1000);
    (void)pn_uidset_print(set, &out);
    UNIT_STR(pn_buf_str(&out), pn_str_of(want));
    pn_buf_fini(&out);
    pn_uidset_fini(set);
}

static void uids_are(struct pn_view *v, const char *want)
{
    struct pn_uidset set;
    pn_uidset_init(&set, 10000);
    for (uint32_t i = 1; i <= pn_view_count(v); i++)
        (void)pn_uidset_add(&set, pn_view_uid(v, i), pn_view_uid(v, i));
    set_is(&set, want);
}

static void store(struct pn_view *v, const char *uids, enum pn_flag_op op, uint32_t flags)
{
    struct pn_uidset set = set_of(uids);
    const struct pn_flags f = {flags, 0};
    UNIT_INT(pn_view_store(v, &set, op, f, UINT64_MAX, NULL), PN_STORE_OK);
    pn_uidset_fini(&set);
}

static void remove_uids(struct pn_view *v, const char *uids)
{
    struct pn_uidset set = set_of(uids);
    UNIT_INT(pn_view_remove(v, &set), PN_STORE_OK);
    pn_uidset_fini(&set);
}

/* The files of a directory below the user's, sorted; how many. */
static unsigned list(const struct rig *r, const char *sub, char names[][256], unsigned max)
{
    unsigned n = 0;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", place, sub);
    int fd = openat(r->fd, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.' && n < max)
            (void)snprintf(names[n++], 256, "%s", e->d_name);
    if (dir != NULL)
        (void)closedir(dir);
    qsort(names, n, 256, (int (*)(const void *, const void *))strcmp);
    return n;
}

static void put_file(const struct rig *r, const char *sub, const char *name, const char *bytes)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s/%s", place, sub, name);
    int fd = openat(r->fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    pn_assert(fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    (void)close(fd);
}

/* ---- tests ---- */

static void test_two_views(void)
{
    struct rig r;
    rig_init(&r);
    deliver_n(&r, "", 3);
    r.a = view_of(&r, "INBOX");
    r.b = view_of(&r, "");
    uids_are(r.a, "1:3");
    deliver_n(&r, "", 1);
    UNIT_INT(r.woken, 2);
    UNIT_INT(pn_view_count(r.a), 3);
    sync_says(&r, r.a, true, " =4");
    store(r.a, "2", PN_FLAGS_ADD, PN_SEEN);
    sync_says(&r, r.a, true, "");
    sync_says(&r, r.b, true, " =4 f2(2:1)");
    store(r.a, "1,3", PN_FLAGS_ADD, PN_DELETED);
    UNIT_INT(pn_view_expunge(r.a, NULL), PN_STORE_OK);
    sync_says(&r, r.a, true, " -3(3) -1(1)");
    uids_are(r.a, "2,4");
    struct pn_mail mail;
    pn_view_mail(r.b, 3, &mail);
    UNIT_TRUE(mail.gone && mail.uid == 3 && mail.size > 0);
    struct pn_content content;
    UNIT_INT(pn_view_read(r.b, 3, &content), PN_READ_EXPUNGED);
    deliver_n(&r, "", 1);
    sync_says(&r, r.b, false, " =5");
    uids_are(r.b, "1:5");
    pn_view_mail(r.b, 2, &mail);
    UNIT_TRUE(!mail.gone && mail.flags.system == PN_SEEN);
    sync_says(&r, r.b, true, " -3(3) -1(1)");
    uids_are(r.b, "2,4:5");
    UNIT_INT(pn_view_seq(r.b, 4), 2);
    UNIT_INT(pn_view_seq(r.b, 3), 0);
    UNIT_INT(pn_view_floor(r.b, 3), 2);
    UNIT_INT(pn_view_floor(r.b, 6), 4);
    rig_fini(&r);
}

/* Gone in any order, and still told of by who has not heard. */
static void test_gone_in_any_order(void)
{
    static const char *const rounds[] = {"9", "4:6", "7", "1:2,8"};
    struct rig r;
    struct pn_mail mail;
    rig_init(&r);
    for (unsigned i = 0; i < 9; i++)
        deliver(&r, "", i % 2 == 0 ? "Subject: a\r\n\r\nb\r\n" : "Subject: a\r\n\r\nbc\r\n");
    r.a = view_of(&r, "");
    r.b = view_of(&r, "");
    for (unsigned i = 0; i < sizeof rounds / sizeof rounds[0]; i++)
        remove_uids(r.a, rounds[i]);
    pn_view_mail(r.b, 2, &mail);
    uint32_t even = mail.size;
    for (uint32_t seq = 1; seq <= 9; seq++) {
        pn_view_mail(r.b, seq, &mail);
        UNIT_INT(mail.uid, seq);
        UNIT_TRUE(mail.gone == (seq != 3));
        UNIT_INT(mail.size, seq % 2 == 0 ? even : even - 1);
    }
    sync_says(&r, r.b, true, " -9(9) -8(8) -7(7) -6(6) -5(5) -4(4) -2(2) -1(1)");
    rig_fini(&r);
}

static void test_read(void)
{
    struct rig r;
    char names[2][256];
    struct pn_content content;
    rig_init(&r);
    deliver(&r, "", "Subject: a\r\n\r\nb\r\n");
    r.a = view_of(&r, "");
    struct pn_mail mail;
    pn_view_mail(r.a, 1, &mail);
    UNIT_INT(pn_view_read(r.a, 1, &content), PN_READ_OK);
    UNIT_STR(content.bytes, PN_STR("Return-Path: <s@from.test>\nSubject: a\n\nb\n"));
    UNIT_INT(mail.size, content.bytes.len + 4);
    pn_content_done(&content);
    /* Another program saw it. */
    UNIT_INT(list(&r, "new", names, 2), 1);
    char from[600], to[600];
    (void)snprintf(from, sizeof from, "%s/new/%s", place, names[0]);
    (void)snprintf(to, sizeof to, "%s/cur/%s:2,S", place, names[0]);
    UNIT_INT(renameat(r.fd, from, r.fd, to), 0);
    UNIT_INT(pn_view_read(r.a, 1, &content), PN_READ_OK);
    pn_content_done(&content);
    sync_says(&r, r.a, true, " f1(1:1)");
    rig_fini(&r);
}

/* Renamed by another program, while there is no descriptor left to read the directories with: it
 * may well be there. Who took it for gone would index it as such for good. */
static void test_read_hindered(void)
{
    enum { MANY = 4096 };
    static int fds[MANY];
    struct rig r;
    char names[2][256], from[600], to[600];
    struct pn_content content;
    int count = 0;
    rig_init(&r);
    deliver(&r, "", "Subject: a\r\n\r\nb\r\n");
    r.a = view_of(&r, "");
    UNIT_INT(pn_view_count(r.a), 1);
    UNIT_INT(list(&r, "new", names, 2), 1);
    (void)snprintf(from, sizeof from, "%s/new/%s", place, names[0]);
    (void)snprintf(to, sizeof to, "%s/cur/%s:2,S", place, names[0]);
    UNIT_INT(renameat(r.fd, from, r.fd, to), 0);
    struct rlimit limit, few;
    UNIT_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    few.rlim_cur = 256;
    UNIT_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < MANY && (fds[count] = dup(r.fd)) >= 0)
        count++;
    (void)close(fds[--count]);
    UNIT_INT(pn_view_read(r.a, 1, &content), PN_READ_ERROR);
    while (count > 0)
        (void)close(fds[--count]);
    UNIT_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    UNIT_INT(pn_view_read(r.a, 1, &content), PN_READ_OK);
    pn_content_done(&content);
    rig_fini(&r);
}

static void test_append(void)
{
    static const struct {
        const char *label, *text;
        bool ok;
        const char *want;
        uint32_t size;
    } rows[] = {
        {"crlf", "A: b\r\n\r\nc\r\n", true, "A: b\n\nc\n", 11},
        {"empty", "", true, "", 0},
        {"lf", "A: b\n\n", true, "A: b\n\n", 8},
        {"cr", "A: b\r\n\r\nc\rd", true, "A: b\n\nc\rd", 11},
        {"cr at the end", "A: b\r\n\r\nc\r", true, "A: b\n\nc\r", 10},
        {"two cr", "A: b\r\n\r\nc\r\r\n", true, "A: b\n\nc\r\n", 11},
    };
    struct rig r;
    rig_init(&r);
    deliver_n(&r, "", 1);
    r.a = view_of(&r, "");
    uint32_t count = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t cut = 0; cut <= strlen(rows[i].text); cut++) {
            enum pn_store_status status;
            uint32_t validity;
            struct pn_uidset uids;
            const struct pn_str keyword = PN_STR("$Label");
            struct pn_str text = pn_str_of(rows[i].text);
            unit_row(rows[i].label);
            pn_uidset_init(&uids, 10);
            struct pn_append *append = pn_append_new(r.user, PN_STR("INBOX"), &status);
            UNIT_INT(pn_append_begin(append, PN_FLAGGED, &keyword, 1, 1000000), PN_STORE_OK);
            UNIT_TRUE(pn_append_feed(append, pn_str_slice(text, 0, cut)));
            UNIT_TRUE(pn_append_feed(append, pn_str_slice(text, cut, text.len)));
            UNIT_INT(pn_append_commit(append, &validity, &uids, NULL), PN_STORE_OK);
            pn_append_free(&append);
            UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
            UNIT_INT(pn_view_count(r.a), ++count);
            struct pn_mail mail;
            struct pn_content content;
            pn_view_mail(r.a, count, &mail);
            UNIT_INT(mail.uid, uids.v[0].first);
            UNIT_INT(mail.date, 1000000);
            UNIT_INT(mail.flags.system, PN_FLAGGED);
            UNIT_INT(mail.flags.keywords, 1);
            UNIT_INT(pn_view_read(r.a, count, &content), PN_READ_OK);
            UNIT_STR(content.bytes, pn_str_of(rows[i].want));
            UNIT_INT(mail.size, rows[i].size);
            pn_content_done(&content);
            pn_uidset_fini(&uids);
        }
    UNIT_STR(pn_view_keyword(r.a, 0), PN_STR("$Label"));
    rig_fini(&r);
}

static void test_append_many(void)
{
    struct rig r;
    enum pn_store_status status;
    uint32_t validity;
    struct pn_uidset uids;
    rig_init(&r);
    deliver_n(&r, "", 1);
    for (unsigned fails = 0; fails < 2; fails++) {
        struct pn_append *append = pn_append_new(r.user, PN_STR("INBOX"), &status);
        pn_uidset_init(&uids, 10);
        UNIT_INT(pn_append_begin(append, 0, NULL, 0, INT64_MIN), PN_STORE_OK);
        UNIT_TRUE(pn_append_feed(append, PN_STR("A: b\r\n\r\n")));
        UNIT_INT(pn_append_begin(append, 0, NULL, 0, INT64_MIN), PN_STORE_OK);
        UNIT_TRUE(pn_append_feed(append, ((struct pn_str){"a\0b", 3})) == (false));
        pn_append_free(&append);
        pn_uidset_fini(&uids);
    }
    r.a = view_of(&r, "");
    uids_are(r.a, "1");
    struct pn_append *append = pn_append_new(r.user, PN_STR("INBOX"), &status);
    pn_uidset_init(&uids, 10);
    for (unsigned i = 0; i < 3; i++) {
        UNIT_INT(pn_append_begin(append, 0, NULL, 0, INT64_MIN), PN_STORE_OK);
        UNIT_TRUE(pn_append_feed(append, PN_STR("A: b\r\n\r\n")));
    }
    UNIT_INT(pn_append_commit(append, &validity, &uids, NULL), PN_STORE_OK);
    pn_append_free(&append);
    set_is(&uids, "2:4");
    sync_says(&r, r.a, true, " =4");
    UNIT_TRUE(pn_append_new(r.user, PN_STR("None"), &status) == NULL);
    UNIT_INT(status, PN_STORE_NO_FOLDER);
    char names[4][256];
    UNIT_INT(list(&r, "tmp", names, 4), 0);
    rig_fini(&r);
}

static void copy(struct rig *r, const char *uids, const char *to, bool move, const char *from_want,
                 const char *to_want)
{
    struct pn_uidset set = set_of(uids);
    struct pn_copied copied;
    UNIT_INT(pn_view_copy(r->a, &set, pn_str_of(to), move, &copied), PN_STORE_OK);
    set_is(&copied.from, from_want);
    set_is(&copied.to, to_want);
    pn_uidset_fini(&set);
}

static void test_copy(void)
{
    struct rig r;
    uint32_t bit;
    rig_init(&r);
    deliver_n(&r, "", 4);
    deliver_n(&r, "Lists/Dev", 1);
    r.a = view_of(&r, "");
    r.b = view_of(&r, "Lists/Dev");
    UNIT_INT(pn_view_add_keyword(r.b, PN_STR("$Other"), &bit), PN_STORE_OK);
    UNIT_INT(pn_view_add_keyword(r.a, PN_STR("$Mine"), &bit), PN_STORE_OK);
    struct pn_uidset set = set_of("2");
    const struct pn_flags flags = {PN_FLAGGED, bit};
    UNIT_INT(pn_view_store(r.a, &set, PN_FLAGS_SET, flags, UINT64_MAX, NULL), PN_STORE_OK);
    pn_uidset_fini(&set);
    copy(&r, "1:2", "Lists/Dev", false, "1:2", "2:3");
    sync_says(&r, r.b, true, " =3");
    struct pn_mail mail;
    pn_view_mail(r.b, 3, &mail);
    UNIT_INT(mail.flags.system, PN_FLAGGED);
    UNIT_INT(mail.flags.keywords, 2);
    UNIT_STR(pn_view_keyword(r.b, 1), PN_STR("$Mine"));
    sync_says(&r, r.a, true, "");
    copy(&r, "2:3", "Lists/Dev", true, "2:3", "4:5");
    sync_says(&r, r.a, true, " -3(3) -2(2)");
    sync_says(&r, r.b, true, " =5");
    copy(&r, "4", "INBOX", false, "4", "5");
    sync_says(&r, r.a, true, " =3");
    uids_are(r.a, "1,4:5");
    copy(&r, "7:9", "INBOX", false, "", "");
    struct pn_copied copied;
    set = set_of("1");
    UNIT_INT(pn_view_copy(r.a, &set, PN_STR("None"), false, &copied), PN_STORE_NO_FOLDER);
    pn_copied_fini(&copied);
    pn_uidset_fini(&set);
    rig_fini(&r);
}

static void test_conditions(void)
{
    struct rig r;
    struct pn_mail mail;
    rig_init(&r);
    deliver_n(&r, "", 3);
    r.a = view_of(&r, "");
    store(r.a, "2", PN_FLAGS_ADD, PN_SEEN);
    pn_view_mail(r.a, 1, &mail);
    uint64_t before = mail.modseq;
    pn_view_mail(r.a, 2, &mail);
    UNIT_TRUE(mail.modseq > before);
    pn_view_mail(r.a, 3, &mail);
    struct pn_uidset set = set_of("1:3"), modified = set_of(""), changed = set_of("");
    const struct pn_flags flags = {PN_ANSWERED, 0};
    UNIT_INT(pn_view_store(r.a, &set, PN_FLAGS_ADD, flags, mail.modseq, &modified), PN_STORE_OK);
    set_is(&modified, "2");
    pn_view_changed_since(r.a, mail.modseq, &changed);
    set_is(&changed, "1:3");
    sync_says(&r, r.a, true, "");
    struct pn_view_info info;
    pn_view_info(r.a, &info);
    changed = set_of("");
    pn_view_changed_since(r.a, info.highestmodseq, &changed);
    set_is(&changed, "");
    store(r.a, "1:3", PN_FLAGS_REMOVE, PN_ANSWERED);
    sync_says(&r, r.a, true, "");
    pn_uidset_fini(&set);
    rig_fini(&r);
}

/* Silence hides what this session did, never what another did before. */
static void test_silent(void)
{
    struct rig r;
    rig_init(&r);
    deliver_n(&r, "", 3);
    r.a = view_of(&r, "");
    r.b = view_of(&r, "");
    store(r.a, "1", PN_FLAGS_ADD, PN_SEEN);
    store(r.a, "1:2", PN_FLAGS_ADD, PN_FLAGGED);
    sync_says(&r, r.a, true, "");
    sync_says(&r, r.b, true, " f1(1:5) f2(2:4)");
    store(r.b, "2", PN_FLAGS_ADD, PN_DRAFT);
    store(r.a, "1:3", PN_FLAGS_ADD, PN_ANSWERED);
    store(r.a, "2", PN_FLAGS_ADD, PN_DELETED);
    sync_says(&r, r.a, true, " f2(2:30)");
    sync_says(&r, r.a, true, "");
    store(r.a, "3", PN_FLAGS_ADD, PN_SEEN);
    store(r.b, "3", PN_FLAGS_REMOVE, PN_SEEN);
    sync_says(&r, r.a, true, " f3(3:2)");
    rig_fini(&r);
}

static void vanished_is(struct pn_view *v, uint64_t modseq, const char *known, const char *want)
{
    struct pn_uidset set = set_of(known), out = set_of("");
    pn_view_vanished_since(v, modseq, known[0] == '\0' ? NULL : &set, &out);
    set_is(&out, want);
    pn_uidset_fini(&set);
}

static void test_history(void)
{
    struct rig r;
    struct pn_view_info info;
    rig_init(&r);
    deliver_n(&r, "", 6);
    r.a = view_of(&r, "");
    pn_view_info(r.a, &info);
    uint64_t start = info.highestmodseq;
    remove_uids(r.a, "2:3");
    sync_says(&r, r.a, true, " -3(3) -2(2)");
    pn_view_info(r.a, &info);
    uint64_t middle = info.highestmodseq;
    UNIT_TRUE(middle > start);
    remove_uids(r.a, "5");
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    for (unsigned again = 0; again < 2; again++) {
        unit_row(again ? "after a restart" : "at once");
        vanished_is(r.a, start, "", "2:3,5");
        vanished_is(r.a, middle, "", "5");
        vanished_is(r.a, start, "1:2", "2");
        close_store(&r);
        open_store(&r);
        r.a = view_of(&r, "");
        uids_are(r.a, "1,4,6");
    }
    rig_fini(&r);
}

static void test_strangers(void)
{
    struct rig r;
    char names[8][256], path[600], other[600];
    rig_init(&r);
    deliver_n(&r, "", 2);
    deliver_n(&r, "Other", 1);
    r.a = view_of(&r, "");
    put_file(&r, "new", "1000.a.host", "A: b\n\nc\n");
    put_file(&r, "cur", "900.b.host,S=8,W=11:2,FSP", "A: b\n\nc\n");
    sync_says(&r, r.a, true, " =4");
    struct pn_mail mail;
    pn_view_mail(r.a, 3, &mail);
    UNIT_INT(mail.flags.system, PN_SEEN | PN_FLAGGED);
    UNIT_INT(mail.size, 11);
    pn_view_mail(r.a, 4, &mail);
    UNIT_INT(mail.size, 11);
    UNIT_INT(list(&r, "cur", names, 8), 1);
    UNIT_TRUE(strstr(names[0], ".3:2,FPS") != NULL || strstr(names[0], ".3:2,FSP") != NULL);
    /* Moved here from another folder, and a copy of one of ours. */
    UNIT_INT(list(&r, ".Other/new", names, 8), 1);
    (void)snprintf(path, sizeof path, "%s/.Other/new/%s", place, names[0]);
    (void)snprintf(other, sizeof other, "%s/new/%s", place, names[0]);
    UNIT_INT(renameat(r.fd, path, r.fd, other), 0);
    sync_says(&r, r.a, true, " =5");
    UNIT_INT(list(&r, "new", names, 8), 4);
    (void)snprintf(path, sizeof path, "copy%s", strchr(names[1], '.'));
    put_file(&r, "cur", path, "A: b\n\nd\n");
    sync_says(&r, r.a, true, " =6");
    uids_are(r.a, "1:6");
    /* Removed by another program, and put back. */
    UNIT_INT(list(&r, "cur", names, 8), 2);
    (void)snprintf(path, sizeof path, "%s/cur/%s", place, names[0]);
    (void)snprintf(other, sizeof other, "%s/tmp/%s", place, names[0]);
    UNIT_INT(renameat(r.fd, path, r.fd, other), 0);
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    UNIT_INT(pn_view_count(r.a), 5);
    UNIT_INT(renameat(r.fd, other, r.fd, path), 0);
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    UNIT_INT(pn_view_uid(r.a, 6), 7);
    rig_fini(&r);
}

enum damage { NONE, DELETE, TRUNCATE, EMPTY, SCRIBBLE, NOISE, FOREIGN, DAMAGES };

static void spoil(const struct rig *r, enum damage how)
{
    char path[300], page[4096];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/postern/index.db", place);
    if (how == DELETE)
        UNIT_INT(unlinkat(r->fd, path, 0), 0);
    int fd = openat(r->fd, path, O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0)
        return;
    memset(page, how == SCRIBBLE ? 0 : 0xA5, sizeof page);
    if (how == TRUNCATE)
        UNIT_INT(ftruncate(fd, st.st_size / 2 + 100), 0);
    else if (how == EMPTY)
        UNIT_INT(ftruncate(fd, 0), 0);
    else if (how == SCRIBBLE)
        for (off_t at = 4096; at < st.st_size; at += 4096)
            UNIT_INT(pwrite(fd, page, 2048, at + 2048), 2048);
    else if (how == NOISE)
        UNIT_INT(pwrite(fd, page, 4096, 0), 4096);
    else if (how == FOREIGN)
        UNIT_INT(pwrite(fd, "\0\0\0\7", 4, 60), 4);
    (void)close(fd);
}

static void test_damage(void)
{
    static const char *const labels[DAMAGES] = {
        "none", "deleted", "cut", "empty", "zeros", "noise", "of another version"};
    for (unsigned how = 0; how < DAMAGES; how++) {
        struct rig r;
        unit_row(labels[how]);
        rig_init(&r);
        deliver_n(&r, "", 40);
        r.a = view_of(&r, "");
        store(r.a, "1:10", PN_FLAGS_ADD, PN_SEEN);
        remove_uids(r.a, "5");
        struct pn_view_info before, after;
        UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
        pn_view_info(r.a, &before);
        close_store(&r);
        spoil(&r, (enum damage)how);
        open_store(&r);
        r.a = view_of(&r, "");
        uids_are(r.a, "1:4,6:40");
        pn_view_info(r.a, &after);
        UNIT_INT(after.uidvalidity, before.uidvalidity);
        UNIT_TRUE(after.highestmodseq >= before.highestmodseq);
        UNIT_TRUE(how != NONE || after.highestmodseq == before.highestmodseq);
        struct pn_mail mail;
        pn_view_mail(r.a, 9, &mail);
        UNIT_TRUE(mail.uid == 10 && mail.flags.system == PN_SEEN);
        deliver_n(&r, "", 1);
        UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
        UNIT_TRUE(pn_view_uid(r.a, 40) >= 41);
        vanished_is(r.a, before.highestmodseq, "5", how == NONE ? "" : "5");
        rig_fini(&r);
    }
}

/* The index can't be opened for a while, as on a disk that is full: what went then is no secret. */
static void test_index_away(void)
{
    struct rig r;
    struct pn_view_info info;
    char path[300], away[300];
    rig_init(&r);
    deliver_n(&r, "", 6);
    r.a = view_of(&r, "");
    pn_view_info(r.a, &info);
    UNIT_TRUE(index_rest(r.user->index, 0));
    (void)snprintf(path, sizeof path, "%s/postern", place);
    (void)snprintf(away, sizeof away, "%s/away", place);
    UNIT_INT(renameat(r.fd, path, r.fd, away), 0);
    put_file(&r, ".", "postern", "");
    remove_uids(r.a, "2:3");
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    index_flush(r.user->index);
    UNIT_INT(unlinkat(r.fd, path, 0), 0);
    UNIT_INT(renameat(r.fd, away, r.fd, path), 0);
    unit_row("at once");
    vanished_is(r.a, info.highestmodseq, "", "2:3");
    unit_row("when it is written again");
    remove_uids(r.a, "5");
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    index_flush(r.user->index);
    vanished_is(r.a, info.highestmodseq, "", "2:3,5");
    unit_row("when it is whole");
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    vanished_is(r.a, info.highestmodseq, "", "2:3,5");
    pn_view_info(r.a, &info);
    remove_uids(r.a, "6");
    UNIT_TRUE(pn_view_sync(r.a, true, &ops, &r));
    vanished_is(r.a, info.highestmodseq, "", "6");
    rig_fini(&r);
}

static bool count_cached(void *ctx, const struct pn_cached *c)
{
    struct pn_buf *out = ctx;
    (void)pn_buf_addf(out, "%u %d %.*s|%.*s|", c->seq, c->whole, PN_FMT(c->envelope),
                      PN_FMT(c->header));
    return c->seq < 3;
}

static void test_cached(void)
{
    struct rig r;
    rig_init(&r);
    deliver(&r, "", "Subject: a\r\nX: y\r\n\r\nb\r\n");
    deliver(&r, "", "Subject: b\r\n c\r\n\r\nb\r\n");
    deliver_n(&r, "", 3);
    r.a = view_of(&r, "");
    for (unsigned again = 0; again < 2; again++) {
        struct pn_buf out;
        pn_buf_init(&out, 10000);
        unit_row(again ? "made from the files" : "as of delivery");
        UNIT_INT(
            pn_view_cached(r.a, 1, 2, PN_CACHED_ENVELOPE | PN_CACHED_HEADER, count_cached, &out),
            3);
        UNIT_STR(pn_buf_str(&out),
                 PN_STR("1 1 (NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)|Subject: a\r\n|"
                        "2 1 (NIL \"b c\" NIL NIL NIL NIL NIL NIL NIL NIL)|Subject: b\r\n c\r\n|"));
        UNIT_INT(pn_view_cached(r.a, 2, 5, PN_CACHED_STRUCTURE, count_cached, &out), 3);
        pn_buf_fini(&out);
        close_store(&r);
        spoil(&r, DELETE);
        open_store(&r);
        r.a = view_of(&r, "");
    }
    rig_fini(&r);
}

static void test_quota(void)
{
    struct rig r;
    struct pn_quota q;
    rig_init(&r);
    deliver_n(&r, "", 2);
    deliver_n(&r, "Junk", 1);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 3);
    uint64_t one = q.bytes / 3;
    UNIT_INT(one * 3, q.bytes);
    deliver_n(&r, "", 1);
    r.a = view_of(&r, "");
    remove_uids(r.a, "1:2");
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 2);
    UNIT_INT(q.bytes, 2 * one);
    pn_store_quota_default(r.store, 3 * one, 0);
    UNIT_INT(pn_user_room(r.user, one), PN_STORE_OK);
    UNIT_INT(pn_user_room(r.user, one + 1), PN_STORE_QUOTA);
    enum pn_store_status status;
    struct pn_append *append = pn_append_new(r.user, PN_STR("INBOX"), &status);
    for (unsigned i = 0; i < 3; i++) { /* those that are on their way count */
        status = pn_append_begin(append, 0, NULL, 0, INT64_MIN);
        UNIT_INT(status, i < 2 ? PN_STORE_OK : PN_STORE_QUOTA);
        if (i < 2)
            UNIT_TRUE(pn_append_feed(append, PN_STR("Subject: almost as long as one\r\n\r\n")));
    }
    pn_append_free(&append);
    pn_store_quota_default(r.store, 0, 2);
    UNIT_INT(pn_user_room(r.user, 0), PN_STORE_QUOTA);
    close_store(&r);
    open_store(&r);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 2);
    UNIT_INT(q.bytes, 2 * one);
    rig_fini(&r);
}

/* A child that delivers, flags and expunges until it is killed; what it acknowledged comes over a
 * pipe: UIDs that were there. */
static void child(struct rig *r, int fd)
{
    open_store(r);
    struct pn_view *v = view_of(r, "");
    for (unsigned i = 0;; i++) {
        deliver_n(r, "", 1);
        (void)pn_view_sync(v, true, &ops, r);
        uint32_t n = pn_view_count(v), last = pn_view_uid(v, n);
        struct pn_uidset set;
        pn_uidset_init(&set, 10);
        (void)pn_uidset_add(&set, last, last);
        const struct pn_flags flags = {PN_FLAGGED, 0};
        (void)pn_view_store(v, &set, PN_FLAGS_ADD, flags, UINT64_MAX, NULL);
        if (i % 3 == 1)
            (void)pn_view_remove(v, &set);
        else if (write(fd, &last, sizeof last) != sizeof last)
            _exit(1);
        pn_uidset_fini(&set);
    }
}

static void test_killed(void)
{
    enum { ROUNDS = 5, ACKS = 12 };
    struct rig r;
    uint32_t highest = 0, acked = 0;
    rig_init(&r);
    deliver_n(&r, "", 1);
    close_store(&r);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int fds[2];
        uint32_t uid;
        pn_assert(pipe(fds) == 0);
        pid_t pid = fork();
        if (pid == 0) {
            (void)close(fds[0]);
            child(&r, fds[1]);
        }
        (void)close(fds[1]);
        for (unsigned i = 0; i < ACKS && read(fds[0], &uid, sizeof uid) == sizeof uid; i++) {
            UNIT_TRUE(uid > highest); /* never one that was given before */
            highest = uid;
            acked++;
        }
        (void)kill(pid, SIGKILL);
        UNIT_INT(waitpid(pid, NULL, 0), pid);
        while (read(fds[0], &uid, sizeof uid) == sizeof uid) {
            highest = uid;
            acked++;
        }
        (void)close(fds[0]);
    }
    open_store(&r);
    r.a = view_of(&r, "");
    UNIT_TRUE(pn_view_count(r.a) >= acked + 1);
    struct pn_mail mail;
    pn_view_mail(r.a, pn_view_seq(r.a, highest), &mail);
    UNIT_TRUE(mail.uid == highest && mail.flags.system == PN_FLAGGED);
    rig_fini(&r);
}

/* A flag that came and went before a kill: who saw it must be told that it is gone. */
static void killed_modseq(bool seen_before)
{
    struct rig r;
    int fds[2];
    uint64_t modseq = 0;
    rig_init(&r);
    deliver_n(&r, "", 2);
    if (seen_before) /* else the index has rows of the messages, and none of the folder */
        r.a = view_of(&r, "");
    close_store(&r);
    pn_assert(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct pn_mail mail;
        open_store(&r);
        r.a = view_of(&r, "");
        store(r.a, "1", PN_FLAGS_ADD, PN_SEEN);
        pn_view_mail(r.a, 1, &mail);
        store(r.a, "1", PN_FLAGS_REMOVE, PN_SEEN);
        deliver_n(&r, "", 1);
        (void)pn_view_sync(r.a, true, &ops, &r);
        remove_uids(r.a, "3");
        (void)!write(fds[1], &mail.modseq, sizeof mail.modseq);
        (void)kill(getpid(), SIGKILL);
    }
    UNIT_INT(waitpid(pid, NULL, 0), pid);
    UNIT_INT(read(fds[0], &modseq, sizeof modseq), sizeof modseq);
    (void)close(fds[0]);
    (void)close(fds[1]);
    open_store(&r);
    r.a = view_of(&r, "");
    struct pn_uidset changed = set_of("");
    pn_view_changed_since(r.a, modseq, &changed);
    UNIT_TRUE(pn_uidset_has(&changed, 1));
    pn_uidset_fini(&changed);
    vanished_is(r.a, modseq, "1:3", "3");
    rig_fini(&r);
}

static void test_killed_modseq(void)
{
    unit_row("a folder that the index knows");
    killed_modseq(true);
    unit_row("one that it does not");
    killed_modseq(false);
}

struct crowd {
    struct rig *r;
    pthread_barrier_t *start;
};

static void *deliver_some(void *ctx)
{
    struct crowd *crowd = ctx;
    (void)pthread_barrier_wait(crowd->start);
    deliver_n(crowd->r, "", 20);
    return NULL;
}

static void test_order(void)
{
    enum { THREADS = 6 };
    struct rig r;
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    struct crowd crowd = {&r, &start};
    rig_init(&r);
    r.a = view_of(&r, "");
    (void)pthread_barrier_init(&start, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        pn_assert(pthread_create(&threads[i], NULL, deliver_some, &crowd) == 0);
    (void)pthread_barrier_wait(&start);
    uint32_t last = 0;
    while (pn_view_count(r.a) < THREADS * 20) {
        (void)pn_view_sync(r.a, true, &ops, &r);
        uint32_t n = pn_view_count(r.a);
        UNIT_TRUE(pn_view_uid(r.a, n) >= last); /* none comes below one that was seen */
        UNIT_TRUE(n == 0 || pn_view_uid(r.a, n) == n);
        last = pn_view_uid(r.a, n);
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&start);
    uids_are(r.a, "1:120");
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"two_views", test_two_views},
                                             {"gone_in_any_order", test_gone_in_any_order},
                                             {"read", test_read},
                                             {"read_hindered", test_read_hindered},
                                             {"append", test_append},
                                             {"silent", test_silent},
                                             {"append_many", test_append_many},
                                             {"copy", test_copy},
                                             {"conditions", test_conditions},
                                             {"history", test_history},
                                             {"strangers", test_strangers},
                                             {"damage", test_damage},
                                             {"index_away", test_index_away},
                                             {"cached", test_cached},
                                             {"quota", test_quota},
                                             {"killed", test_killed},
                                             {"order", test_order},
                                             {"killed_modseq", test_killed_modseq},
                                             {NULL, NULL}};
    return unit_main("store_view", tests, argc, argv);
}
