#include "unit.h"

#include "assert.h"
#include "maildir.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A mail root of the test's own. */
struct root {
    char path[32];
    int fd;
    struct pn_store *store;
};

static void root_init(struct root *r)
{
    *r = (struct root){.path = "store.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r->store = pn_store_new(r->fd, PN_STR("mail:here.test"));
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void root_fini(struct root *r)
{
    pn_store_free(&r->store);
    (void)close(r->fd);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Files in a folder below the root; the last one's name and bytes are kept. */
static char last_name[256];
static struct pn_buf last_bytes;

static unsigned files_in(const struct root *r, const char *folder)
{
    unsigned n = 0;
    int fd = openat(r->fd, folder, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        n++;
        (void)snprintf(last_name, sizeof last_name, "%s", e->d_name);
        int file = openat(fd, e->d_name, O_RDONLY);
        last_bytes.len = 0;
        char *to = pn_buf_reserve(&last_bytes, 1024 * 1024);
        ssize_t got = read(file, to, 1024 * 1024);
        pn_assert(got >= 0);
        last_bytes.len = (size_t)got;
        (void)close(file);
    }
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static enum pn_store_status deliver(const struct root *r, const char *user, const char *folder,
                                    const char *content, struct pn_edits *edits)
{
    const struct pn_delivery d = {.user = pn_str_of(user),
                                  .folder = pn_str_of(folder),
                                  .reverse_path = PN_STR("s@from.test"),
                                  .content = pn_str_of(content),
                                  .edits = edits};
    struct pn_buf why;
    pn_buf_init(&why, 500);
    enum pn_store_status status = pn_store_deliver(r->store, &d, &why);
    UNIT_TRUE((status == PN_STORE_OK) == (why.len == 0));
    pn_buf_fini(&why);
    return status;
}

static void test_deliver(void)
{
    static const struct {
        const char *label, *user, *folder, *where, *content, *want;
    } rows[] = {
        {"inbox", "u@here.test", "", "here.test/u/new", "Subject: a\r\n\r\nb\r\n",
         "Return-Path: <s@from.test>\nSubject: a\n\nb\n"},
        {"junk", "u@here.test", "Junk", "here.test/u/.Junk/new", "A: b\r\n\r\n",
         "Return-Path: <s@from.test>\nA: b\n\n"},
        {"no domain", "u", "", "-/u/new", "A: b\r\n\r\n\r\n",
         "Return-Path: <s@from.test>\nA: b\n\n\n"},
        {"odd user", "../a b/%@x.test", "", "x.test/%2E.%2Fa%20b%2F%25/new", "",
         "Return-Path: <s@from.test>\n"},
        {"no line end", "v@here.test", "", "here.test/v/new", "A: b\r\n\r\nlast",
         "Return-Path: <s@from.test>\nA: b\n\nlast"},
        {"empty", "w@here.test", "", "here.test/w/new", "", "Return-Path: <s@from.test>\n"},
        {"nested folder", "w@here.test", "Lists/Dev", "here.test/w/.Lists.Dev/new", "",
         "Return-Path: <s@from.test>\n"},
    };
    struct root r;
    root_init(&r);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_INT(deliver(&r, rows[i].user, rows[i].folder, rows[i].content, NULL), PN_STORE_OK);
        UNIT_INT(files_in(&r, rows[i].where), 1);
        UNIT_STR(pn_buf_str(&last_bytes), pn_str_of(rows[i].want));
    }
    UNIT_INT(files_in(&r, "here.test/u/tmp"), 0);
    root_fini(&r);
}

static void test_name(void)
{
    struct root r;
    root_init(&r);
    UNIT_INT(deliver(&r, "u", "", "A: b\r\n\r\n12345\r\n", NULL), PN_STORE_OK);
    UNIT_INT(files_in(&r, "-/u/new"), 1);
    char want[64];
    (void)snprintf(want, sizeof want, ",S=%zu,W=%zu", last_bytes.len, last_bytes.len + 4);
    UNIT_TRUE(strstr(last_name, want) != NULL);
    UNIT_TRUE(strstr(last_name, ".mail\\072here.test,") != NULL);
    root_fini(&r);
}

static void test_edits(void)
{
    struct root r;
    root_init(&r);
    struct pn_edits *edits = pn_edits_new(10000);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("Received"),
                          PN_STR("from a\r\n\tby here.test"), true),
             PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("X-Old"), 0), PN_EDIT_OK);
    UNIT_INT(deliver(&r, "u", "", "X-Old: 1\r\nA: b\r\nX-Old: 2\r\n\r\nbody\r\n", edits),
             PN_STORE_OK);
    UNIT_INT(files_in(&r, "-/u/new"), 1);
    UNIT_STR(pn_buf_str(&last_bytes), PN_STR("Return-Path: <s@from.test>\nReceived: from a\n"
                                             "\tby here.test\nA: b\n\nbody\n"));
    pn_edits_free(&edits);
    root_fini(&r);
}

static void test_bad_names(void)
{
    static char longest[300];
    static const char *const folders[] = {"a//b", "/", "a/", "x\ty", NULL};
    struct root r;
    root_init(&r);
    for (size_t i = 0; folders[i] != NULL; i++) {
        unit_row(folders[i]);
        UNIT_INT(deliver(&r, "u", folders[i], "", NULL), PN_STORE_BAD_NAME);
    }
    static const char *const users[] = {"", "@", "u@", "@x.test", "u@-", NULL};
    for (size_t i = 0; users[i] != NULL; i++) {
        unit_row(users[i]);
        UNIT_INT(deliver(&r, users[i], "", "", NULL), PN_STORE_BAD_NAME);
    }
    unit_row("longest user");
    memset(longest, 'a', MAILDIR_COMPONENT_MAX);
    UNIT_INT(deliver(&r, longest, "", "", NULL), PN_STORE_OK);
    unit_row("user one too long");
    longest[MAILDIR_COMPONENT_MAX] = 'a';
    UNIT_INT(deliver(&r, longest, "", "", NULL), PN_STORE_BAD_NAME);
    root_fini(&r);
}

/* A link out of the root, planted by whoever can write there, is not followed. */
static void test_beneath(void)
{
    struct root r, outside;
    root_init(&r);
    root_init(&outside);
    char target[64];
    (void)snprintf(target, sizeof target, "../%s", outside.path);
    UNIT_INT(symlinkat(target, r.fd, "-"), 0);
    UNIT_INT(deliver(&r, "u", "", "A: b\r\n\r\n", NULL), PN_STORE_TEMPORARY);
    UNIT_INT(files_in(&outside, "u/new"), 0);
    UNIT_INT(unlinkat(r.fd, "-", 0), 0);
    root_fini(&outside);
    root_fini(&r);
}

static void *deliver_many(void *arg)
{
    const struct root *r = arg;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    const struct pn_delivery d = {
        .user = PN_STR("u@here.test"), .folder = PN_STR("Junk"), .content = PN_STR("A: b\r\n\r\n")};
    size_t failed = 0;
    for (int i = 0; i < 25; i++)
        failed += pn_store_deliver(r->store, &d, &why) != PN_STORE_OK;
    pn_buf_fini(&why);
    return (void *)failed;
}

static void test_threads(void)
{
    enum { THREADS = 8 };
    struct root r;
    pthread_t threads[THREADS];
    root_init(&r);
    for (int i = 0; i < THREADS; i++)
        pn_assert(pthread_create(&threads[i], NULL, deliver_many, &r) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        (void)pthread_join(threads[i], &failed);
        UNIT_TRUE(failed == NULL);
    }
    UNIT_INT(files_in(&r, "here.test/u/.Junk/new"), THREADS * 25);
    UNIT_INT(files_in(&r, "here.test/u/.Junk/tmp"), 0);
    root_fini(&r);
}

/* Killed at any moment: every acknowledged message is there, whole. */
static void test_killed(void)
{
    static const char content[] = "A: b\r\n\r\nwhole\r\n";
    struct root r;
    unsigned acked = 0;
    root_init(&r);
    for (unsigned round = 0; round < 10; round++) {
        int ends[2];
        char byte;
        pn_assert(pipe(ends) == 0);
        (void)fflush(stdout);
        pid_t pid = fork();
        pn_assert(pid >= 0);
        while (pid == 0) {
            const struct pn_delivery d = {
                .user = PN_STR("u"), .folder = PN_STR(""), .content = pn_str_of(content)};
            struct pn_buf why;
            pn_buf_init(&why, 100);
            pn_assert(pn_store_deliver(r.store, &d, &why) == PN_STORE_OK);
            pn_assert(write(ends[1], "k", 1) == 1);
        }
        (void)close(ends[1]);
        for (unsigned n = 0; n < 3 + round * 2 && read(ends[0], &byte, 1) == 1; n++)
            acked++;
        UNIT_INT(kill(pid, SIGKILL), 0);
        while (read(ends[0], &byte, 1) == 1)
            acked++;
        (void)close(ends[0]);
        UNIT_INT(waitpid(pid, NULL, 0), pid);
    }
    unsigned there = files_in(&r, "-/u/new");
    UNIT_TRUE(acked > 30 && there >= acked && there <= acked + 10);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&last_bytes), PN_STR("\nA: b\n\nwhole\n")));
    root_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"deliver", test_deliver}, {"name", test_name},
        {"edits", test_edits},     {"bad_names", test_bad_names},
        {"beneath", test_beneath}, {"threads", test_threads},
        {"killed", test_killed},   {NULL, NULL}};
    pn_buf_init(&last_bytes, 2 * 1024 * 1024);
    int status = unit_main("store", tests, argc, argv);
    pn_buf_fini(&last_bytes);
    return status;
}
