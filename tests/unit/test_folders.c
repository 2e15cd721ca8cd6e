/* A user's folders on a real store, among them what others make there and what crashes leave. */
#include "unit.h"

#include "assert.h"
#include "check.h"
#include "folders.h"
#include "store.h"
#include "textsearch.h"
#include "view.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct rig {
    char path[32];
    int fd;
    struct pn_store *store;
    struct pn_user *user;
    struct pn_buf said;
};

static void reopen(struct rig *r)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_user_close(&r->user);
    pn_store_free(&r->store);
    pn_buf_init(&why, 500);
    r->store = pn_store_new(r->fd, PN_STR("here.test"));
    r->user = pn_user_open(r->store, PN_STR("u@here.test"), &status, &why);
    pn_assert(r->user != NULL);
    pn_buf_fini(&why);
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.path = "folders.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_buf_init(&r->said, 100000);
    reopen(r);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void rig_fini(struct rig *r)
{
    pn_user_close(&r->user);
    pn_store_free(&r->store);
    (void)close(r->fd);
    pn_buf_fini(&r->said);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* "INBOX Lists-c Lists/Dev\\Junk+": - does not exist, c has children, + subscribed, use. */
static void want_list(struct rig *r, const char *want)
{
    struct pn_folder_list list;
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    pn_buf_clear(&r->said);
    UNIT_INT(pn_folders_list(r->user, pool, &list), PN_STORE_OK);
    for (size_t i = 0; i < list.count; i++) {
        const struct pn_folder_entry *e = &list.v[i];
        (void)pn_buf_addf(&r->said, "%s%.*s%s%s%s%s", i == 0 ? "" : " ", PN_FMT(e->name),
                          e->exists ? "" : "-", e->children ? "c" : "", pn_special_use_name(e->use),
                          e->subscribed ? "+" : "");
    }
    UNIT_STR(pn_buf_str(&r->said), pn_str_of(want));
    pn_pool_free(&pool);
}

static enum pn_store_status create(struct rig *r, const char *name)
{
    return pn_folder_create(r->user, pn_str_of(name), PN_USE_NONE);
}

static enum pn_store_status rename_to(struct rig *r, const char *from, const char *to)
{
    return pn_folder_rename(r->user, pn_str_of(from), pn_str_of(to));
}

static enum pn_store_status deliver(struct rig *r, const char *folder, const char *content)
{
    const struct pn_delivery d = {
        .user = PN_STR("u@here.test"), .folder = pn_str_of(folder), .content = pn_str_of(content)};
    struct pn_buf why;
    pn_buf_init(&why, 500);
    enum pn_store_status status = pn_store_deliver(r->store, &d, &why);
    pn_buf_fini(&why);
    return status;
}

static struct pn_folder_status status_of(struct rig *r, const char *name)
{
    struct pn_folder_status status;
    unit_row(name);
    UNIT_INT(pn_folder_status(r->user, pn_str_of(name), &status), PN_STORE_OK);
    return status;
}

/* A directory of a user's, with what makes it a folder or without. */
static void make_dir(struct rig *r, const char *name, bool whole)
{
    static const char *const subs[] = {"", "/cur", "/new", "/tmp"};
    char path[300];
    for (int i = 0; i < (whole ? 4 : 1); i++) {
        (void)snprintf(path, sizeof path, "here.test/u/%s%s", name, subs[i]);
        UNIT_INT(mkdirat(r->fd, path, 0700), 0);
    }
}

static bool is_there(const struct rig *r, const char *name)
{
    char path[300];
    struct stat st;
    (void)snprintf(path, sizeof path, "here.test/u/%s", name);
    return fstatat(r->fd, path, &st, 0) == 0;
}

static void test_create(void)
{
    static const struct {
        const char *name;
        enum pn_special_use use;
        enum pn_store_status want;
    } rows[] = {
        {"Lists/Dev", PN_USE_NONE, PN_STORE_OK},      {"Lists/Dev", PN_USE_NONE, PN_STORE_EXISTS},
        {"lists/dev", PN_USE_NONE, PN_STORE_OK}, /* case counts */
        {"Lists", PN_USE_NONE, PN_STORE_OK},     /* of which there was a child alone */
        {"INBOX", PN_USE_NONE, PN_STORE_EXISTS},      {"inbox", PN_USE_NONE, PN_STORE_EXISTS},
        {"inbox/x", PN_USE_NONE, PN_STORE_OK},        {"INBOX/x", PN_USE_NONE, PN_STORE_EXISTS},
        {"a//b", PN_USE_NONE, PN_STORE_BAD_NAME},     {"\xff", PN_USE_NONE, PN_STORE_BAD_NAME},
        {"v1.2 \xc3\xbc&", PN_USE_NONE, PN_STORE_OK}, {"Spam", PN_USE_JUNK, PN_STORE_OK},
        {"Spam2", PN_USE_JUNK, PN_STORE_REFUSED},     {"Starred", PN_USE_FLAGGED, PN_STORE_REFUSED},
    };
    static const char all[] = "INBOXc INBOX/x Listsc Lists/Dev Spam\\Junk lists-c lists/dev "
                              "v1.2 \xc3\xbc&";
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].name);
        UNIT_INT(pn_folder_create(r.user, pn_str_of(rows[i].name), rows[i].use), rows[i].want);
    }
    want_list(&r, all);
    UNIT_TRUE(is_there(&r, ".v1&AC4-2 &APw-&-"));
    reopen(&r);
    want_list(&r, all);
    UNIT_TRUE(status_of(&r, "Lists").uidvalidity != status_of(&r, "Lists/Dev").uidvalidity);
    rig_fini(&r);
}

static void test_strangers(void)
{
    struct rig r;
    rig_init(&r);
    make_dir(&r, ".R&D", true);
    make_dir(&r, ".half", false);
    make_dir(&r, ".both&-", true);
    make_dir(&r, ".both&", true);
    make_dir(&r, ".a..b", true);
    make_dir(&r, ".INBOX", true);
    UNIT_INT(symlinkat("../..", r.fd, "here.test/u/.link"), 0);
    want_list(&r, "INBOX R&D both&");
    UNIT_INT(deliver(&r, "R&D", "A: b\r\n\r\n"), PN_STORE_OK);
    UNIT_INT(status_of(&r, "R&D").messages, 1);
    UNIT_TRUE(!is_there(&r, ".R&-D"));
    UNIT_INT(create(&r, "R&D"), PN_STORE_EXISTS);
    UNIT_INT(rename_to(&r, "R&D", "Research"), PN_STORE_OK);
    UNIT_INT(status_of(&r, "Research").messages, 1);
    UNIT_INT(pn_folder_delete(r.user, PN_STR("both&")), PN_STORE_OK);
    UNIT_TRUE(!is_there(&r, ".both&-") && is_there(&r, ".both&"));
    want_list(&r, "INBOX Research both&");
    rig_fini(&r);
}

static void test_delete(void)
{
    static const struct pn_view_ops ops = {NULL, NULL, NULL};
    struct rig r;
    struct pn_view *view;
    rig_init(&r);
    UNIT_INT(create(&r, "A"), PN_STORE_OK);
    UNIT_INT(create(&r, "A/b"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "A", "A: b\r\n\r\n"), PN_STORE_OK);
    uint32_t uidvalidity = status_of(&r, "A").uidvalidity;
    UNIT_INT(pn_view_open(r.user, PN_STR("A"), false, NULL, NULL, &view), PN_STORE_OK);
    UNIT_INT(pn_folder_delete(r.user, PN_STR("A")), PN_STORE_OK);
    UNIT_TRUE(!pn_view_sync(view, true, &ops, NULL)); /* who had it open is told */
    pn_view_close(&view);
    want_list(&r, "INBOX A-c A/b");
    UNIT_INT(pn_folder_delete(r.user, PN_STR("A")), PN_STORE_NO_FOLDER);
    UNIT_INT(pn_folder_delete(r.user, PN_STR("inbox")), PN_STORE_REFUSED);
    UNIT_INT(pn_folder_delete(r.user, PN_STR("none")), PN_STORE_NO_FOLDER);
    UNIT_INT(create(&r, "A"), PN_STORE_OK);
    UNIT_INT(status_of(&r, "A").messages, 0);
    UNIT_TRUE(status_of(&r, "A").uidvalidity != uidvalidity);
    /* What a crash left of one. */
    make_dir(&r, "postern/gone-0123456789abcdef", true);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    UNIT_TRUE(!is_there(&r, "postern/gone-0123456789abcdef"));
    rig_fini(&r);
}

static void test_rename(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(create(&r, "A"), PN_STORE_OK);
    UNIT_INT(create(&r, "A/b/c"), PN_STORE_OK);
    UNIT_INT(create(&r, "A b"), PN_STORE_OK);
    UNIT_INT(create(&r, "X/b/c"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "A/b/c", "A: b\r\n\r\n"), PN_STORE_OK);
    struct pn_folder_status before = status_of(&r, "A/b/c");
    UNIT_INT(rename_to(&r, "A", "A b"), PN_STORE_EXISTS);
    UNIT_INT(rename_to(&r, "A", "X"), PN_STORE_EXISTS); /* one below it would meet another */
    UNIT_INT(rename_to(&r, "A", "A/z"), PN_STORE_REFUSED);
    UNIT_INT(rename_to(&r, "A", "Inbox"), PN_STORE_EXISTS);
    UNIT_INT(rename_to(&r, "none", "y"), PN_STORE_NO_FOLDER);
    UNIT_INT(rename_to(&r, "A", "a//b"), PN_STORE_BAD_NAME);
    want_list(&r, "INBOX Ac A/b-c A/b/c A b X-c X/b-c X/b/c");
    UNIT_INT(rename_to(&r, "A", "B/\xc3\xbc"), PN_STORE_OK);
    want_list(&r, "INBOX A b B-c B/\xc3\xbc"
                  "c B/\xc3\xbc/b-c B/\xc3\xbc/b/c X-c X/b-c X/b/c");
    struct pn_folder_status after = status_of(&r, "B/\xc3\xbc/b/c");
    UNIT_INT(after.uidvalidity, before.uidvalidity);
    UNIT_INT(after.messages, 1);
    UNIT_INT(after.uidnext, before.uidnext);
    UNIT_INT(rename_to(&r, "X", "Y"), PN_STORE_OK); /* which is not there itself */
    want_list(&r, "INBOX A b B-c B/\xc3\xbc"
                  "c B/\xc3\xbc/b-c B/\xc3\xbc/b/c Y-c Y/b-c Y/b/c");
    UNIT_TRUE(!is_there(&r, "postern/rename"));
    rig_fini(&r);
}

/* Cut in two by a crash: who comes next ends it. */
static void test_rename_crash(void)
{
    static const char plan[] = "A\nZ\n";
    struct rig r;
    rig_init(&r);
    UNIT_INT(create(&r, "Z"), PN_STORE_OK); /* what was A */
    UNIT_INT(create(&r, "A/b"), PN_STORE_OK);
    UNIT_INT(create(&r, "A/c"), PN_STORE_OK);
    (void)mkdirat(r.fd, "here.test/u/postern", 0700);
    int fd = openat(r.fd, "here.test/u/postern/rename", O_WRONLY | O_CREAT, 0600);
    UNIT_INT(write(fd, plan, sizeof plan - 1), sizeof plan - 1);
    (void)close(fd);
    reopen(&r);
    want_list(&r, "INBOX Zc Z/b Z/c");
    UNIT_TRUE(!is_there(&r, "postern/rename"));
    UNIT_INT(create(&r, "A/b"), PN_STORE_OK);
    want_list(&r, "INBOX A-c A/b Zc Z/b Z/c");
    rig_fini(&r);
}

static void test_rename_inbox(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(create(&r, "INBOX/kept"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "", "A: 1\r\n\r\n"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "", "A: 2\r\n\r\n"), PN_STORE_OK);
    uint32_t uidvalidity = status_of(&r, "INBOX").uidvalidity;
    UNIT_INT(rename_to(&r, "INBOX", "Old"), PN_STORE_OK);
    want_list(&r, "INBOXc INBOX/kept Old");
    UNIT_INT(status_of(&r, "Old").messages, 2);
    UNIT_INT(status_of(&r, "INBOX").messages, 0);
    UNIT_INT(status_of(&r, "INBOX").uidvalidity, uidvalidity);
    UNIT_INT(status_of(&r, "INBOX").uidnext, 3);
    UNIT_INT(rename_to(&r, "INBOX", "Old"), PN_STORE_EXISTS);
    rig_fini(&r);
}

static void test_subscribe(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(create(&r, "A"), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("A"), true), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("A"), true), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("gone/too"), true), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("inbox"), true), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("a//b"), true), PN_STORE_BAD_NAME);
    reopen(&r);
    want_list(&r, "INBOX+ A+ gone- gone/too-+");
    UNIT_INT(pn_folder_delete(r.user, PN_STR("A")), PN_STORE_OK);
    want_list(&r, "INBOX+ A-+ gone- gone/too-+"); /* RFC 9051, section 6.3.7 */
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("gone/too"), false), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("gone/too"), false), PN_STORE_OK);
    reopen(&r);
    want_list(&r, "INBOX+ A-+");
    rig_fini(&r);
}

/* Who edits postern-user, or restores an old one, may have any line in it. */
static void test_subscribed_by_others(void)
{
    static const char *const rows[] = {
        "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h/i/j/k/l/m/n",
        "//////////////////////////////",
        "a\rb",
        "\xff",
        "/",
        "inbox/x",
        "Inbox",
        ""};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig r;
        rig_init(&r);
        unit_row(rows[i]);
        UNIT_INT(pn_folder_subscribe(r.user, PN_STR("Lists"), true), PN_STORE_OK);
        pn_user_close(&r.user);
        pn_store_free(&r.store);
        int fd = openat(r.fd, "here.test/u/postern-user", O_WRONLY | O_APPEND | O_CLOEXEC);
        UNIT_TRUE(fd >= 0 && dprintf(fd, "subscribed %s\nsubscribed News\n", rows[i]) > 0);
        (void)close(fd);
        reopen(&r);
        want_list(&r, "INBOX Lists-+ News-+");
        rig_fini(&r);
    }
}

static void test_special(void)
{
    struct rig r;
    rig_init(&r);
    /* Junk came by a delivery, and Sent is called otherwise. */
    UNIT_INT(deliver(&r, "Junk", "A: b\r\n\r\n"), PN_STORE_OK);
    UNIT_INT(pn_folder_create(r.user, PN_STR("Gesendet"), PN_USE_SENT), PN_STORE_OK);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    want_list(&r, "INBOX Archive\\Archive+ Drafts\\Drafts+ Gesendet\\Sent Junk\\Junk+ "
                  "Trash\\Trash+");
    /* Once: what the user throws away does not come back. */
    UNIT_INT(pn_folder_delete(r.user, PN_STR("Archive")), PN_STORE_OK);
    UNIT_INT(pn_folder_subscribe(r.user, PN_STR("Archive"), false), PN_STORE_OK);
    reopen(&r);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    want_list(&r, "INBOX Drafts\\Drafts+ Gesendet\\Sent Junk\\Junk+ Trash\\Trash+");
    rig_fini(&r);
}

/* ---- what others say of users who say nothing ---- */

static void rule_quota(void *ctx, struct pn_str user, uint64_t *bytes, uint64_t *messages)
{
    *bytes = *(const uint64_t *)ctx;
    *messages = pn_str_eq(user, PN_STR("u@here.test")) ? 1 : 0;
}

static void rule_folder(void *ctx, struct pn_str user, unsigned use, struct pn_buf *name)
{
    (void)ctx;
    UNIT_STR(user, PN_STR("u@here.test"));
    (void)pn_buf_addz(name, use == PN_USE_SENT      ? "Post/Gesendet"
                            : use == PN_USE_JUNK    ? "a//b" /* no name: the usual one then */
                            : use == PN_USE_TRASH   ? "inbox"
                            : use == PN_USE_ARCHIVE ? "Ablage"
                                                    : "Drafts");
}

static void test_rules(void)
{
    static const struct pn_store_rules rules = {rule_quota, rule_folder};
    static const char content[] = "A: b\r\n\r\n0123456789\r\n";
    uint64_t bytes = 1000;
    struct pn_quota q;
    struct rig r;
    rig_init(&r);
    pn_store_rules(r.store, &rules, &bytes);
    UNIT_INT(pn_folders_make_special(r.user), PN_STORE_OK);
    want_list(&r, "INBOX Ablage\\Archive+ Drafts\\Drafts+ Junk\\Junk+ Post-c Post/Gesendet\\Sent+ "
                  "Trash\\Trash+");
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.bytes_limit, 1000);
    UNIT_INT(q.messages_limit, 1);
    UNIT_TRUE(!q.own);
    UNIT_INT(deliver(&r, "", content), PN_STORE_OK);
    UNIT_INT(deliver(&r, "", content), PN_STORE_QUOTA);
    UNIT_TRUE(!pn_store_has_quotas(r.store));
    UNIT_INT(pn_user_quota_set(r.user, true, 0, 2), PN_STORE_OK);
    UNIT_TRUE(pn_store_has_quotas(r.store));
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_TRUE(q.own && q.bytes_limit == 0 && q.messages_limit == 2);
    UNIT_INT(deliver(&r, "", content), PN_STORE_OK);
    bytes = 0; /* asked each time */
    UNIT_INT(pn_user_quota_set(r.user, false, 0, 0), PN_STORE_OK);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_TRUE(!q.own && q.bytes_limit == 0 && q.messages_limit == 1);
    rig_fini(&r);
}

/* Who has a quota of his own is known of the root at once, or once he was looked at. */
static void test_noted(void)
{
    struct pn_quota q;
    struct rig r;
    rig_init(&r);
    UNIT_INT(pn_user_quota_set(r.user, true, 5000, 0), PN_STORE_OK);
    reopen(&r);
    UNIT_TRUE(pn_store_has_quotas(r.store));
    UNIT_INT(unlinkat(r.fd, ".postern-quotas", 0), 0);
    reopen(&r);
    UNIT_TRUE(!pn_store_has_quotas(r.store));
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_TRUE(q.own && pn_store_has_quotas(r.store));
    UNIT_INT(faccessat(r.fd, ".postern-quotas", F_OK, 0), 0);
    rig_fini(&r);
}

static void test_quota(void)
{
    static const char content[] = "A: b\r\n\r\n0123456789\r\n";
    struct pn_quota q;
    struct rig r;
    rig_init(&r);
    UNIT_INT(deliver(&r, "A", content), PN_STORE_OK);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.messages, 1);
    UNIT_INT(q.bytes_limit, 0);
    uint64_t one = q.bytes;
    UNIT_TRUE(one > sizeof content - 1); /* with its Return-Path */
    pn_store_quota_default(r.store, 2 * one, 0);
    UNIT_INT(pn_user_room(r.user, one), PN_STORE_OK);
    UNIT_INT(pn_user_room(r.user, one + 1), PN_STORE_QUOTA);
    UNIT_INT(deliver(&r, "", content), PN_STORE_OK);
    UNIT_INT(deliver(&r, "", content), PN_STORE_QUOTA);
    UNIT_INT(pn_user_quota_set(r.user, true, 0, 3), PN_STORE_OK);
    reopen(&r);
    UNIT_INT(pn_user_quota(r.user, &q), PN_STORE_OK);
    UNIT_INT(q.bytes_limit, 0);
    UNIT_INT(q.messages_limit, 3);
    UNIT_INT(q.messages, 2);
    UNIT_INT(deliver(&r, "B", content), PN_STORE_OK);
    UNIT_INT(deliver(&r, "B", content), PN_STORE_QUOTA);
    UNIT_INT(pn_folder_delete(r.user, PN_STR("A")), PN_STORE_OK);
    UNIT_INT(deliver(&r, "B", content), PN_STORE_OK);
    UNIT_INT(pn_user_quota_set(r.user, false, 0, 0), PN_STORE_OK);
    UNIT_INT(deliver(&r, "B", content), PN_STORE_OK);
    rig_fini(&r);
}

static bool on_progress(void *ctx, struct pn_str folder, uint32_t done, uint32_t of)
{
    struct rig *r = ctx;
    return pn_buf_addf(&r->said, "%.*s %u/%u ", PN_FMT(folder), done, of);
}

static void on_fault(void *ctx, struct pn_str folder, uint32_t uid, const char *what)
{
    struct rig *r = ctx;
    (void)pn_buf_addf(&r->said, "%.*s %u: %s ", PN_FMT(folder), uid, what);
}

static int cut_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    return kind == FTW_F && strstr(path, ",U=") != NULL && strstr(path, ".B/") != NULL
               ? truncate(path, st->st_size - 1)
               : 0;
}

static void test_check(void)
{
    static const struct pn_check_ops ops = {on_progress, on_fault};
    struct pn_check_sum sum;
    struct rig r;
    rig_init(&r);
    UNIT_TRUE(pn_store_has_user(r.store, PN_STR("u@here.test")));
    UNIT_TRUE(!pn_store_has_user(r.store, PN_STR("v@here.test")));
    UNIT_INT(deliver(&r, "", "Subject: 1\r\n\r\nx\r\n"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "", "Subject: 2\r\n\r\nx\r\n"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "B", "Subject: 3\r\n\r\nx\r\n"), PN_STORE_OK);
    pn_buf_clear(&r.said);
    UNIT_INT(pn_user_check(r.user, &ops, &r, &sum), PN_STORE_OK);
    UNIT_STR(pn_buf_str(&r.said), PN_STR("INBOX 2/2 B 1/1 "));
    UNIT_INT(sum.faults, 0);
    UNIT_INT(sum.messages, 3);
    UNIT_INT(nftw(r.path, cut_it, 8, FTW_PHYS), 0);
    pn_buf_clear(&r.said);
    UNIT_INT(pn_user_check(r.user, &ops, &r, &sum), PN_STORE_OK);
    UNIT_STR(pn_buf_str(&r.said),
             PN_STR("INBOX 2/2 B 1: the message is not as long as it should be B 1/1 "));
    UNIT_INT(sum.faults, 1);
    pn_buf_clear(&r.said);
    UNIT_INT(pn_user_rebuild(r.user, &ops, &r, &sum), PN_STORE_OK);
    UNIT_STR(pn_buf_str(&r.said),
             PN_STR("INBOX 2/2 B 1: the message is not as long as it should be B 1/1 "));
    UNIT_INT(status_of(&r, "INBOX").messages, 2);
    rig_fini(&r);
}

/* Another program removes a folder that is in memory here; then it is made again. */
static void test_removed_by_others(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(create(&r, "Lists"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "Lists", "Subject: 1\r\n\r\nx\r\n"), PN_STORE_OK);
    uint32_t before = status_of(&r, "Lists").uidvalidity;
    UNIT_INT(renameat(r.fd, "here.test/u/.Lists", r.fd, "elsewhere"), 0);
    want_list(&r, "INBOX");
    UNIT_INT(create(&r, "Lists"), PN_STORE_OK);
    want_list(&r, "INBOX Lists");
    struct pn_folder_status now = status_of(&r, "Lists");
    UNIT_INT(now.messages, 0);
    UNIT_TRUE(now.uidvalidity > before);
    rig_fini(&r);
}

static bool add_envelope(void *ctx, const struct pn_cached *cached)
{
    return pn_buf_adds(ctx, cached->envelope);
}

static void copy_new(struct rig *r, const char *from, const char *to)
{
    char path[300], other[300];
    (void)snprintf(path, sizeof path, "here.test/u/%s/new", from);
    int fd = openat(r->fd, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    pn_assert(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        (void)snprintf(other, sizeof other, "here.test/u/%s/new/%.200s", to, e->d_name);
        if (e->d_name[0] != '.')
            UNIT_INT(linkat(fd, e->d_name, r->fd, other, 0), 0);
    }
    (void)closedir(dir);
}

static uint32_t envelope_has(struct rig *r, const char *folder, const char *word)
{
    struct pn_view *v;
    struct pn_view_info info;
    UNIT_INT(pn_view_open(r->user, pn_str_of(folder), true, NULL, NULL, &v), PN_STORE_OK);
    pn_view_info(v, &info);
    UNIT_INT(info.messages, 2);
    pn_buf_clear(&r->said);
    (void)pn_view_cached(v, 1, 2, PN_CACHED_ENVELOPE, add_envelope, &r->said);
    UNIT_TRUE(strstr(pn_buf_cstr(&r->said), word) != NULL);
    pn_view_close(&v);
    return info.uidvalidity;
}

/* cp -a of a folder: two with one UIDVALIDITY, and then each has mail of its own. */
static void test_copied_by_others(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(deliver(&r, "A", "Subject: one\r\n\r\nx\r\n"), PN_STORE_OK);
    reopen(&r); /* its mark is exact then */
    make_dir(&r, ".B", true);
    UNIT_INT(
        linkat(r.fd, "here.test/u/.A/postern-folder", r.fd, "here.test/u/.B/postern-folder", 0), 0);
    copy_new(&r, ".A", ".B");
    UNIT_INT(deliver(&r, "A", "Subject: two\r\n\r\nx\r\n"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "B", "Subject: three\r\n\r\nx\r\n"), PN_STORE_OK);
    uint32_t a = envelope_has(&r, "A", "\"two\""), b = envelope_has(&r, "B", "\"three\"");
    UNIT_TRUE(a != b);
    /* One that others rename stays what it is. */
    UNIT_INT(renameat(r.fd, "here.test/u/.B", r.fd, "here.test/u/.C"), 0);
    UNIT_INT(envelope_has(&r, "C", "\"three\""), b);
    rig_fini(&r);
}

/* What is left of folders that are gone is swept away, and no folder is opened for that. */
static void test_words_of_gone(void)
{
    struct rig r;
    rig_init(&r);
    make_dir(&r, ".Never", true);
    UNIT_INT(deliver(&r, "A", "Subject: one\r\n\r\nx\r\n"), PN_STORE_OK);
    UNIT_INT(deliver(&r, "B", "Subject: two\r\n\r\nx\r\n"), PN_STORE_OK);
    uint32_t a = status_of(&r, "A").uidvalidity, b = status_of(&r, "B").uidvalidity;
    char path[2][100];
    (void)snprintf(path[0], sizeof path[0], "here.test/u/postern/words/%u.1-1", a);
    (void)snprintf(path[1], sizeof path[1], "here.test/u/postern/words/%u.1-1", b);
    bool swept = false;
    for (int i = 0; i < 100 && !swept; i++) { /* one in some dozens of its calls sweeps */
        (void)pn_text_work(r.user, PN_STR("B"), 1000);
        (void)pn_text_work(r.user, PN_STR("A"), 1000);
        if (i == 0) {
            UNIT_INT(faccessat(r.fd, path[0], F_OK, 0), 0);
            UNIT_INT(faccessat(r.fd, path[1], F_OK, 0), 0);
            UNIT_INT(pn_folder_delete(r.user, PN_STR("A")), PN_STORE_OK);
        }
        swept = faccessat(r.fd, path[0], F_OK, 0) != 0;
    }
    UNIT_TRUE(swept);
    UNIT_INT(faccessat(r.fd, path[1], F_OK, 0), 0);
    UNIT_TRUE(faccessat(r.fd, "here.test/u/.Never/tmp", F_OK, 0) == 0);
    UNIT_TRUE(faccessat(r.fd, "here.test/u/.Never/postern-folder", F_OK, 0) != 0);
    rig_fini(&r);
}

static void copy_folder(struct rig *r, const char *from, const char *to)
{
    char path[300], other[300], bytes[4000];
    make_dir(r, to, true);
    (void)snprintf(path, sizeof path, "here.test/u/%s/postern-folder", from);
    (void)snprintf(other, sizeof other, "here.test/u/%s/postern-folder", to);
    int in = openat(r->fd, path, O_RDONLY), out = openat(r->fd, other, O_WRONLY | O_CREAT, 0600);
    ssize_t n = read(in, bytes, sizeof bytes);
    UNIT_INT(write(out, bytes, (size_t)n), n);
    (void)close(in);
    (void)close(out);
    copy_new(r, from, to);
}

/* The two are never in memory together: the copy is known as one all the same. */
static void test_copied_before(void)
{
    struct rig r;
    rig_init(&r);
    UNIT_INT(deliver(&r, "A", "Subject: one\r\n\r\nx\r\n"), PN_STORE_OK);
    uint32_t before = status_of(&r, "A").uidvalidity;
    reopen(&r);
    copy_folder(&r, ".A", ".B");
    UNIT_INT(deliver(&r, "B", "Subject: two\r\n\r\nx\r\n"), PN_STORE_OK);
    uint32_t b = envelope_has(&r, "B", "\"two\"");
    UNIT_TRUE(b != before);
    reopen(&r);
    UNIT_INT(deliver(&r, "A", "Subject: three\r\n\r\nx\r\n"), PN_STORE_OK);
    UNIT_INT(envelope_has(&r, "A", "\"three\""), before);
    unit_row("what was INBOX");
    UNIT_INT(deliver(&r, "", "Subject: one\r\n\r\nx\r\n"), PN_STORE_OK);
    reopen(&r);
    copy_folder(&r, ".", ".I");
    UNIT_INT(deliver(&r, "I", "Subject: two\r\n\r\nx\r\n"), PN_STORE_OK);
    UNIT_TRUE(envelope_has(&r, "I", "\"two\"") != status_of(&r, "INBOX").uidvalidity);
    unit_row("the original is gone: it is what that was");
    reopen(&r);
    copy_folder(&r, ".A", ".C");
    UNIT_INT(renameat(r.fd, "here.test/u/.A", r.fd, "elsewhere"), 0);
    UNIT_INT(status_of(&r, "C").uidvalidity, before);
    reopen(&r);
    copy_folder(&r, ".C", ".D");
    UNIT_TRUE(status_of(&r, "D").uidvalidity != before);
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"create", test_create},
                                             {"strangers", test_strangers},
                                             {"delete", test_delete},
                                             {"rename", test_rename},
                                             {"rename_crash", test_rename_crash},
                                             {"rename_inbox", test_rename_inbox},
                                             {"subscribe", test_subscribe},
                                             {"subscribed_by_others", test_subscribed_by_others},
                                             {"special", test_special},
                                             {"rules", test_rules},
                                             {"quotas noted", test_noted},
                                             {"quota", test_quota},
                                             {"check", test_check},
                                             {"removed_by_others", test_removed_by_others},
                                             {"copied_by_others", test_copied_by_others},
                                             {"copied_before", test_copied_before},
                                             {"words_of_gone", test_words_of_gone},
                                             {NULL, NULL}};
    return unit_main("folders", tests, argc, argv);
}
