/* Recipients that are not asked for: which replies make one, how long, what the file keeps. */
#include "suppress.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_hard(void)
{
    static const struct {
        const char *reply;
        bool want;
    } rows[] = {
        {"550 5.1.1 no such user", true}, {"550 5.1.10 null MX", true},
        {"551 5.1.6 moved", true},        {"550 5.2.1 disabled", true},
        {"550 no such user", false},      {"550 5.7.1 spam", false},
        {"552 5.2.2 full", false},        {"450 4.1.1 not now", false},
        {"554 5.1.8 bad sender", false},  {"250 2.1.5 ok", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_smtp_reply reply;
        unit_row(rows[i].reply);
        UNIT_TRUE(pn_smtp_reply_read(pn_str_of(rows[i].reply), &reply));
        UNIT_INT(suppress_is_hard(&reply), rows[i].want);
    }
}

struct rig {
    struct pn_loop *loop;
    struct pn_threads *threads;
    int folder;
    char path[64];
    struct suppress *s;
};

static void open_it(struct rig *r)
{
    r->loop = pn_loop_new();
    r->threads = pn_threads_new(r->loop, 1, 0, "test");
    r->s = suppress_new(r->loop, r->threads, r->folder);
}

static void close_it(struct rig *r)
{
    suppress_end(r->s);
    pn_threads_free(&r->threads);
    suppress_free(&r->s);
    pn_loop_free(&r->loop);
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.folder = -1};
    (void)snprintf(r->path, sizeof r->path, "/tmp/postern-suppress-XXXXXX");
    UNIT_TRUE(mkdtemp(r->path) != NULL);
    r->folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_it(r);
}

static void rig_fini(struct rig *r)
{
    close_it(r);
    (void)unlinkat(r->folder, "suppressed", 0);
    (void)close(r->folder);
    (void)rmdir(r->path);
}

static bool is_there(const struct rig *r, const char *address, int64_t now)
{
    struct suppressed one;
    return suppress_find(r->s, pn_str_of(address), now, &one);
}

static void test_kept(void)
{
    struct rig r;
    struct suppressed one;
    rig_init(&r);
    suppress_add(r.s, PN_STR("u@a.test"), PN_STR("550 5.1.1 no, never"), 1000);
    suppress_add(r.s, PN_STR("v@a.test"), PN_STR("550 5.1.1 no"), 2000);
    suppress_add(r.s, PN_STR("w@a.test"), PN_STR("550 5.1.1 no"), 3000);
    suppress_add(r.s, PN_STR("U@A.test"), PN_STR("550 5.1.1 still no"), 5000);
    UNIT_INT(suppress_count(r.s), 3);
    UNIT_TRUE(suppress_remove(r.s, PN_STR("V@a.test")));
    UNIT_TRUE(!suppress_remove(r.s, PN_STR("v@a.test")));
    for (int round = 0; round < 2; round++) { /* then as the file has it */
        UNIT_TRUE(is_there(&r, "u@a.test", 4999));
        UNIT_TRUE(!is_there(&r, "u@a.test", 5000));
        UNIT_TRUE(is_there(&r, "W@a.test", 0));
        UNIT_TRUE(!is_there(&r, "v@a.test", 0));
        UNIT_TRUE(suppress_find(r.s, PN_STR("u@a.test"), 0, &one));
        UNIT_STR(one.reply, PN_STR("550 5.1.1 still no"));
        UNIT_STR(one.address, PN_STR("U@A.test"));
        UNIT_INT(one.until_ms, 5000);
        close_it(&r);
        open_it(&r);
    }
    rig_fini(&r);
}

/* What would make another line, or an empty name, is not kept; too long a reply is cut. */
static void test_refused(void)
{
    static char longest[SUPPRESS_ADDRESS_MAX + 2];
    struct rig r;
    struct suppressed one;
    rig_init(&r);
    memset(longest, 'a', sizeof longest);
    suppress_add(r.s, PN_STR("a b@x.test"), PN_STR("no"), 1000);
    suppress_add(r.s, PN_STR("a@x.test\n1 c@x.test"), PN_STR("no"), 1000);
    suppress_add(r.s, PN_STR("a@x.test"), PN_STR("no\n9 c@x.test yes"), 1000);
    suppress_add(r.s, PN_STR(""), PN_STR("no"), 1000);
    suppress_add(r.s, (struct pn_str){longest, SUPPRESS_ADDRESS_MAX + 1}, PN_STR("no"), 1000);
    UNIT_INT(suppress_count(r.s), 0);
    suppress_add(r.s, (struct pn_str){longest, SUPPRESS_ADDRESS_MAX},
                 (struct pn_str){longest, sizeof longest}, 1000);
    UNIT_TRUE(suppress_find(r.s, (struct pn_str){longest, SUPPRESS_ADDRESS_MAX}, 0, &one));
    UNIT_INT(one.reply.len, SUPPRESS_REPLY_MAX);
    rig_fini(&r);
}

/* A file that somebody else wrote: lines that are none are left out. */
static void test_file(void)
{
    static const char bytes[] = "100 a@x.test 550 5.1.1 no\nnonsense\n\n-5 b@x.test no\n"
                                "99999999999999999999 c@x.test no\n7 d@x.test\n200 e@x.test no";
    struct rig r;
    rig_init(&r);
    int fd = openat(r.folder, "suppressed", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    UNIT_INT(write(fd, bytes, sizeof bytes - 1), sizeof bytes - 1);
    (void)close(fd);
    close_it(&r);
    open_it(&r);
    UNIT_INT(suppress_count(r.s), 2);
    UNIT_TRUE(is_there(&r, "a@x.test", 99) && is_there(&r, "e@x.test", 199));
    rig_fini(&r);
}

static void test_room(void)
{
    struct rig r;
    char address[40];
    rig_init(&r);
    for (int i = 0; i < SUPPRESS_MAX + 10; i++) {
        (void)snprintf(address, sizeof address, "u%d@x.test", i);
        suppress_add(r.s, pn_str_of(address), PN_STR("no"), 1000);
    }
    UNIT_INT(suppress_count(r.s), SUPPRESS_MAX);
    UNIT_TRUE(!is_there(&r, "u9@x.test", 0) && is_there(&r, "u10@x.test", 0));
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"hard", test_hard},       {"kept", test_kept},
                                             {"refused", test_refused}, {"file", test_file},
                                             {"room", test_room},       {NULL, NULL}};
    return unit_main("suppress", tests, argc, argv);
}
