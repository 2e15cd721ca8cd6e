#include "frozen.h"
#include "unit.h"

#include "assert.h"
#include "whole.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct frozen *none(void)
{
    return calloc(1, sizeof(struct frozen));
}

static struct frozen *with(struct frozen *f, const char *glob)
{
    struct frozen *next = frozen_with(f, pn_str_of(glob), 1000);
    UNIT_TRUE(next != NULL);
    free(f);
    return next;
}

static void test_holds(void)
{
    static const struct {
        const char *address;
        bool want;
    } rows[] = {{"a@one.test", true},
                {"a@ONE.Test", true},
                {"a@sub.one.test", false},
                {"a@x.two.test", true},
                {"a@two.test", false},
                {"one.test", false},
                {"", false},
                {"a@", false},
                {"a@b@one.test", true}};
    struct frozen *f = with(with(none(), "one.test"), "*.two.test");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].address);
        UNIT_INT(frozen_holds(f, pn_str_of(rows[i].address)), rows[i].want);
    }
    free(f);
}

static void test_change(void)
{
    struct frozen *f = with(with(with(none(), "a.test"), "b.test"), "c.test"), *next;
    UNIT_TRUE(frozen_with(f, PN_STR("B.TEST"), 1) == NULL);
    UNIT_TRUE(frozen_without(f, PN_STR("d.test")) == NULL);
    next = frozen_without(f, PN_STR("B.test"));
    UNIT_INT(next->count, 2);
    UNIT_STR(pn_str_of(next->domains[1].glob), PN_STR("c.test"));
    free(next);
    free(f);
}

static void test_too_many(void)
{
    struct frozen *f = none();
    char name[32];
    for (int i = 0; i < FROZEN_MAX; i++) {
        (void)snprintf(name, sizeof name, "d%d.test", i);
        f = with(f, name);
    }
    UNIT_TRUE(frozen_with(f, PN_STR("one-more.test"), 1) == NULL);
    free(f);
}

static void test_globs(void)
{
    char longest[FROZEN_GLOB_MAX + 2];
    memset(longest, 'a', sizeof longest);
    UNIT_TRUE(frozen_glob_ok(PN_STR("*")));
    UNIT_TRUE(frozen_glob_ok((struct pn_str){longest, FROZEN_GLOB_MAX}));
    UNIT_TRUE(!frozen_glob_ok((struct pn_str){longest, FROZEN_GLOB_MAX + 1}));
    UNIT_TRUE(!frozen_glob_ok(PN_STR("")));
    UNIT_TRUE(!frozen_glob_ok(PN_STR("a b")));
    UNIT_TRUE(!frozen_glob_ok(PN_STR("a\nb")));
    UNIT_TRUE(!frozen_glob_ok(PN_STR("u@a.test")));
    UNIT_TRUE(!frozen_glob_ok(PN_STR("--all")));
}

static void want_refused(int folder, struct pn_str file)
{
    struct pn_buf err;
    int fd = openat(folder, "frozen", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    UNIT_INT(pn_write_whole(fd, file), 0);
    (void)close(fd);
    pn_buf_init(&err, 200);
    UNIT_TRUE(frozen_load(folder, &err) == NULL);
    UNIT_TRUE(err.len > 0);
    pn_buf_fini(&err);
}

static void test_file(void)
{
    static const struct pn_str bad[] = {PN_STR_INIT("x"),
                                        PN_STR_INIT("1000\n"),
                                        PN_STR_INIT("1000 \n"),
                                        PN_STR_INIT("x one.test\n"),
                                        PN_STR_INIT("1000 one.test\n\n"),
                                        PN_STR_INIT("1000 a@one.test\n")};
    char path[] = "/tmp/postern-frozen-XXXXXX";
    struct pn_buf err;
    pn_assert(mkdtemp(path) != NULL);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_buf_init(&err, 200);
    struct frozen *f = frozen_load(folder, &err);
    UNIT_INT(f->count, 0);
    f = with(with(f, "one.test"), "*.two.test");
    UNIT_INT(frozen_store(f, folder), 0);
    free(f);
    f = frozen_load(folder, &err);
    UNIT_INT(f->count, 2);
    UNIT_INT(f->domains[0].since_ms, 1000);
    UNIT_STR(pn_str_of(f->domains[1].glob), PN_STR("*.two.test"));
    free(f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        want_refused(folder, bad[i]);
    pn_buf_fini(&err);
    (void)unlinkat(folder, "frozen", 0);
    (void)close(folder);
    (void)rmdir(path);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"holds", test_holds},       {"change", test_change},
                                             {"too_many", test_too_many}, {"globs", test_globs},
                                             {"file", test_file},         {NULL, NULL}};
    return unit_main("frozen", tests, argc, argv);
}
