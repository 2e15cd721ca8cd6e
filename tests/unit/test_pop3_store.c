/* The POP3 engine on mailboxes on disk: what a client sees is what lies there, unique ids outlive
 * the index, and messages go at QUIT only. */
#include "unit.h"

#include "assert.h"
#include "engine.h"
#include "store.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct root {
    char path[32];
    int fd;
    struct pn_store *store;
};

static void open_store(struct root *r)
{
    r->store = pn_store_new(r->fd, PN_STR("mail.here.test"));
}

static void root_init(struct root *r)
{
    *r = (struct root){.path = "pop3.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_store(r);
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

static unsigned files_in(const struct root *r, const char *folder)
{
    unsigned n = 0;
    int fd = openat(r->fd, folder, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static unsigned stored(const struct root *r)
{
    return files_in(r, "here.test/u/new") + files_in(r, "here.test/u/cur");
}

static void deliver(const struct root *r, const char *content)
{
    const struct pn_delivery d = {.user = PN_STR("u@here.test"),
                                  .reverse_path = PN_STR("s@from.test"),
                                  .content = pn_str_of(content)};
    struct pn_buf why;
    pn_buf_init(&why, 1000);
    UNIT_INT(pn_store_deliver(r->store, &d, &why), PN_STORE_OK);
    pn_buf_fini(&why);
}

/* ---- a session ---- */

struct talk {
    struct pn_engine *engine;
    struct pn_buf out;
};

static void say(struct talk *t, const char *text)
{
    struct pn_str in = pn_str_of(text);
    enum pn_engine_next next;
    pn_buf_clear(&t->out);
    do {
        struct pn_buf out;
        pn_buf_init(&out, 8 << 20);
        next = t->engine->kind->run(t->engine, &in, &out);
        (void)pn_buf_adds(&t->out, pn_buf_str(&out));
        pn_buf_fini(&out);
    } while (next == PN_ENGINE_MORE || next == PN_ENGINE_HEARD);
}

/* tag: "UTF8" if that was said before login. */
static void begin_as(struct talk *t, const struct root *r, const char *tag)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 1000);
    pn_buf_init(&t->out, 64 << 20);
    struct pn_engine_start start = {
        .user = pn_user_open(r->store, PN_STR("u@here.test"), &status, &why),
        .tag = pn_str_of(tag)};
    pn_assert(start.user != NULL);
    t->engine = pn_pop3_new(&start);
    say(t, "");
    UNIT_STR(pn_buf_str(&t->out), PN_STR("+OK Logged in\r\n"));
    pn_buf_fini(&why);
}

static void begin(struct talk *t, const struct root *r)
{
    begin_as(t, r, "");
}

static void end(struct talk *t)
{
    t->engine->kind->free(t->engine);
    pn_buf_fini(&t->out);
}

#define HEARS(t, text, want) (say(t, text), UNIT_STR(pn_buf_str(&(t)->out), PN_STR(want)))
#define BEGINS(t, text, want)                                                                      \
    (say(t, text), UNIT_TRUE(pn_str_starts(pn_buf_str(&(t)->out), PN_STR(want))))

/* ---- tests ---- */

static void test_read(void)
{
    struct root r;
    struct talk t;
    root_init(&r);
    unit_row("an empty mailbox");
    begin(&t, &r);
    HEARS(&t, "STAT\r\n", "+OK 0 0\r\n");
    HEARS(&t, "LIST\r\n", "+OK 0 messages\r\n.\r\n");
    HEARS(&t, "RETR 1\r\n", "-ERR No such message\r\n");
    deliver(&r, "Subject: one\r\n\r\n.dot\r\nend\r\n");
    unit_row("what comes within a session is for the next one");
    HEARS(&t, "STAT\r\n", "+OK 0 0\r\n");
    end(&t);
    begin(&t, &r);
    unit_row("what was delivered");
    HEARS(&t, "STAT\r\n", "+OK 1 55\r\n");
    HEARS(&t, "LIST 1\r\n", "+OK 1 55\r\n");
    HEARS(
        &t, "RETR 1\r\n",
        "+OK 55 octets\r\nReturn-Path: <s@from.test>\r\nSubject: one\r\n\r\n..dot\r\nend\r\n.\r\n");
    HEARS(&t, "TOP 1 0\r\n", "+OK\r\nReturn-Path: <s@from.test>\r\nSubject: one\r\n\r\n.\r\n");
    end(&t);
    UNIT_INT(stored(&r), 1);
    root_fini(&r);
}

static void test_update(void)
{
    struct root r;
    struct talk t, other;
    root_init(&r);
    for (int i = 0; i < 4; i++)
        deliver(&r, "Subject: x\r\n\r\n");
    unit_row("a line that drops");
    begin(&t, &r);
    HEARS(&t, "DELE 1\r\n", "+OK Marked\r\n");
    end(&t);
    UNIT_INT(stored(&r), 4);
    unit_row("a session that was silent for too long");
    begin(&t, &r);
    HEARS(&t, "DELE 1\r\n", "+OK Marked\r\n");
    t.engine->kind->bye(t.engine, PN_ENGINE_IDLE_TOO_LONG, &t.out);
    end(&t);
    UNIT_INT(stored(&r), 4);
    unit_row("QUIT, with another session beside it");
    begin(&t, &r);
    begin(&other, &r);
    HEARS(&other, "DELE 1\r\n", "+OK Marked\r\n");
    HEARS(&other, "DELE 3\r\n", "+OK Marked\r\n");
    HEARS(&t, "DELE 1\r\n", "+OK Marked\r\n");
    UNIT_INT(stored(&r), 4);
    HEARS(&t, "QUIT\r\n", "+OK Bye\r\n");
    UNIT_INT(stored(&r), 3);
    BEGINS(&other, "STAT\r\n", "+OK 2 ");
    HEARS(&other, "RSET\r\n", "+OK Nothing is marked\r\n");
    BEGINS(&other, "STAT\r\n", "+OK 4 ");
    HEARS(&other, "RETR 1\r\n", "-ERR Another session deleted this message\r\n");
    BEGINS(&other, "RETR 2\r\n", "+OK ");
    HEARS(&other, "DELE 1\r\n", "+OK Marked\r\n");
    HEARS(&other, "DELE 2\r\n", "+OK Marked\r\n");
    HEARS(&other, "QUIT\r\n", "+OK Bye\r\n");
    end(&t);
    end(&other);
    UNIT_INT(stored(&r), 2);
    root_fini(&r);
}

static void uidl(struct root *r, struct pn_buf *out)
{
    struct talk t;
    begin(&t, r);
    say(&t, "UIDL\r\n");
    pn_buf_init(out, 1 << 16);
    (void)pn_buf_adds(out, pn_buf_str(&t.out));
    end(&t);
}

/* Removes all that is a cache. */
static void lose_index(const struct root *r)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/here.test/u/postern", r->path);
    if (access(path, F_OK) == 0)
        UNIT_INT(nftw(path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_uidl(void)
{
    struct root r;
    struct pn_buf before, after;
    root_init(&r);
    for (int i = 0; i < 5; i++)
        deliver(&r, "Subject: x\r\n\r\n");
    uidl(&r, &before);
    UNIT_TRUE(pn_str_starts(pn_buf_str(&before), PN_STR("+OK 5 messages\r\n1 ")));
    unit_row("again");
    uidl(&r, &after);
    UNIT_STR(pn_buf_str(&after), pn_buf_str(&before));
    pn_buf_fini(&after);
    unit_row("by another process");
    pn_store_free(&r.store);
    open_store(&r);
    uidl(&r, &after);
    UNIT_STR(pn_buf_str(&after), pn_buf_str(&before));
    pn_buf_fini(&after);
    unit_row("without the index");
    pn_store_free(&r.store);
    lose_index(&r);
    open_store(&r);
    uidl(&r, &after);
    UNIT_STR(pn_buf_str(&after), pn_buf_str(&before));
    pn_buf_fini(&after);
    pn_buf_fini(&before);
    root_fini(&r);
}

#define HEADER_UTF8  "Subject: Gr\303\274\303\237e\r\nX: \303\251\r\n"
#define HEADER_PLAIN "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n"
#define RETURN_PATH  "Return-Path: <s@from.test>\r\n"

/* What a client that said UTF8 sees, and another: numbers and octets agree (RFC 6856). */
static void hear_both(const struct root *r)
{
    struct talk t;
    begin(&t, r);
    HEARS(&t, "STAT\r\n", "+OK 2 105\r\n");
    HEARS(&t, "LIST\r\n", "+OK 2 messages\r\n1 70\r\n2 35\r\n.\r\n");
    HEARS(&t, "RETR 1\r\n", "+OK 70 octets\r\n" RETURN_PATH HEADER_PLAIN "\r\nb\303\266\r\n.\r\n");
    HEARS(&t, "TOP 1 0\r\n", "+OK\r\n" RETURN_PATH HEADER_PLAIN "\r\n.\r\n");
    HEARS(&t, "DELE 1\r\n", "+OK Marked\r\n");
    HEARS(&t, "STAT\r\n", "+OK 1 35\r\n");
    HEARS(&t, "UTF8\r\nLANG\r\n", "-ERR Not after login\r\n-ERR Unknown command\r\n");
    end(&t);
    begin_as(&t, r, "UTF8");
    HEARS(&t, "STAT\r\n", "+OK 2 95\r\n");
    HEARS(&t, "LIST\r\n", "+OK 2 messages\r\n1 60\r\n2 35\r\n.\r\n");
    HEARS(&t, "RETR 1\r\n", "+OK 60 octets\r\n" RETURN_PATH HEADER_UTF8 "\r\nb\303\266\r\n.\r\n");
    end(&t);
}

/* As if another server had left it: its size is said in its name, what it is is not. */
static void make_strange(const struct root *r)
{
    int fd = openat(r->fd, "here.test/u/new", O_RDONLY | O_DIRECTORY);
    DIR *dir = fdopendir(fd);
    char name[300];
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        const char *size = strstr(e->d_name, ",W=60");
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof name, "%u.other,W=%d", size != NULL ? 1U : 2U,
                       size != NULL ? 60 : 35);
        n += renameat(fd, e->d_name, fd, name) == 0;
    }
    (void)closedir(dir);
    UNIT_INT(n, 2);
}

static void test_utf8(void)
{
    struct root r;
    root_init(&r);
    unit_row("delivered");
    deliver(&r, HEADER_UTF8 "\r\nb\303\266\r\n");
    deliver(&r, "\r\nb\303\266\r\n");
    hear_both(&r);
    unit_row("by another process");
    pn_store_free(&r.store);
    open_store(&r);
    hear_both(&r);
    unit_row("without the index");
    pn_store_free(&r.store);
    lose_index(&r);
    open_store(&r);
    hear_both(&r);
    unit_row("a stranger's");
    pn_store_free(&r.store);
    make_strange(&r);
    open_store(&r);
    hear_both(&r);
    unit_row("it is known from then on");
    pn_store_free(&r.store);
    open_store(&r);
    hear_both(&r);
    root_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"read", test_read},
        {"update", test_update},
        {"unique ids", test_uidl},
        {"internationalized messages", test_utf8},
        {NULL, NULL},
    };
    return unit_main("pop3 store", tests, argc, argv);
}
