/* How the content of messages is read: what others do to the files meanwhile, and what is held
 * open. */
#include "unit.h"

#include "assert.h"
#include "store_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char user_name[] = "u@here.test", place[] = "here.test/u";

/* A user with three messages in "new", and a view of them. */
struct rig {
    char path[32];
    int fd;
    struct pn_store *store;
    struct pn_user *user;
    struct pn_view *view;
    char new[64], cur[64]; /* below the root */
    char file[256];        /* of message 2 */
};

static void deliver(const struct rig *r, const char *content)
{
    const struct pn_delivery d = {.user = pn_str_of(user_name),
                                  .folder = PN_STR("INBOX"),
                                  .reverse_path = PN_STR("s@from.test"),
                                  .content = pn_str_of(content)};
    struct pn_buf why;
    pn_buf_init(&why, 500);
    UNIT_INT(pn_store_deliver(r->store, &d, &why), PN_STORE_OK);
    pn_buf_fini(&why);
}

/* The name in that directory that says this UID. */
static void find_file(struct rig *r, const char *uid)
{
    int fd = openat(r->fd, r->new, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    pn_assert(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (pn_str_ends(pn_str_of(e->d_name), pn_str_of(uid)))
            (void)snprintf(r->file, sizeof r->file, "%s", e->d_name);
    (void)closedir(dir);
    pn_assert(r->file[0] != '\0');
}

static void rig_init(struct rig *r)
{
    enum pn_store_status status;
    struct pn_buf why;
    *r = (struct rig){.path = "storeread.XXXXXX"};
    (void)snprintf(r->new, sizeof r->new, "%s/new", place);
    (void)snprintf(r->cur, sizeof r->cur, "%s/cur", place);
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r->store = pn_store_new(r->fd, PN_STR("here.test"));
    pn_buf_init(&why, 500);
    r->user = pn_user_open(r->store, pn_str_of(user_name), &status, &why);
    pn_assert(r->user != NULL);
    pn_buf_fini(&why);
    deliver(r, "Subject: a\r\n\r\none\r\n");
    deliver(r, "Subject: a\r\n\r\ntwo\r\n");
    deliver(r, "Subject: a\r\n\r\nthree\r\n");
    UNIT_INT(pn_view_open(r->user, PN_STR(""), false, NULL, NULL, &r->view), PN_STORE_OK);
    find_file(r, ".2");
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void rig_fini(struct rig *r)
{
    pn_view_close(&r->view);
    pn_user_close(&r->user);
    pn_store_free(&r->store);
    (void)close(r->fd);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void reads(struct rig *r, uint32_t seq, enum pn_read want, struct pn_str bytes)
{
    struct pn_content content;
    UNIT_INT(pn_view_read(r->view, seq, &content), want);
    UNIT_STR(content.bytes, bytes);
    pn_content_done(&content);
}

/* ---- what others do to a file ---- */

static int dir_of(const struct rig *r, const char *path)
{
    int fd = openat(r->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(fd >= 0);
    return fd;
}

static void write_over(const struct rig *r, const char *dir, struct pn_str bytes)
{
    int at = dir_of(r, dir), fd = openat(at, r->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pn_assert(fd >= 0 && write(fd, bytes.p, bytes.len) == (ssize_t)bytes.len);
    (void)close(fd);
    (void)close(at);
}

static void nothing(const struct rig *r)
{
    (void)r;
}

static void see(const struct rig *r)
{
    char to[300];
    int from = dir_of(r, r->new), cur = dir_of(r, r->cur);
    (void)snprintf(to, sizeof to, "%s:2,S", r->file);
    UNIT_INT(renameat(from, r->file, cur, to), 0);
    (void)close(from);
    (void)close(cur);
}

static void lengthen(const struct rig *r)
{
    write_over(r, r->new, PN_STR("Subject: a\n\nmuch longer than it says that it is, by far\n"));
}

static void shorten(const struct rig *r)
{
    write_over(r, r->new, PN_STR("A: b\n"));
}

static void empty(const struct rig *r)
{
    write_over(r, r->new, PN_STR(""));
}

enum { LARGE = 300 * 1024 };
static char large[LARGE];

static void enlarge(const struct rig *r)
{
    memset(large, 'x', sizeof large);
    write_over(r, r->new, (struct pn_str){large, sizeof large});
}

static void discard(const struct rig *r)
{
    int at = dir_of(r, r->new);
    UNIT_INT(unlinkat(at, r->file, 0), 0);
    (void)close(at);
}

static void make_fifo(const struct rig *r)
{
    int at = dir_of(r, r->new);
    discard(r);
    UNIT_INT(mkfifoat(at, r->file, 0600), 0);
    (void)close(at);
}

static void make_dir(const struct rig *r)
{
    int at = dir_of(r, r->new);
    discard(r);
    UNIT_INT(mkdirat(at, r->file, 0700), 0);
    (void)close(at);
}

static void make_link(const struct rig *r)
{
    int at = dir_of(r, r->new);
    discard(r);
    UNIT_INT(symlinkat("../../../../../../etc/passwd", at, r->file), 0);
    (void)close(at);
}

/* As a restored backup does: what a descriptor names is not what the path names. */
static void replace_dir(const struct rig *r)
{
    char away[80];
    (void)snprintf(away, sizeof away, "%s.away", r->new);
    UNIT_INT(renameat(r->fd, r->new, r->fd, away), 0);
    UNIT_INT(mkdirat(r->fd, r->new, 0700), 0);
    int from = dir_of(r, away), to = dir_of(r, r->new);
    UNIT_INT(renameat(from, r->file, to, r->file), 0);
    (void)close(from);
    (void)close(to);
}

static const char two[] = "Return-Path: <s@from.test>\nSubject: a\n\ntwo\n";

static void test_meanwhile(void)
{
    static const struct {
        const char *label;
        void (*act)(const struct rig *r);
        enum pn_read want;
        struct pn_str bytes;
    } rows[] = {
        {"nothing", nothing, PN_READ_OK, PN_STR_INIT(two)},
        {"seen", see, PN_READ_OK, PN_STR_INIT(two)},
        {"longer", lengthen, PN_READ_OK,
         PN_STR_INIT("Subject: a\n\nmuch longer than it says that it is, by far\n")},
        {"shorter", shorten, PN_READ_OK, PN_STR_INIT("A: b\n")},
        {"empty", empty, PN_READ_OK, PN_STR_INIT("")},
        {"large", enlarge, PN_READ_OK, {large, LARGE}},
        {"gone", discard, PN_READ_EXPUNGED, PN_STR_INIT("")},
        {"a pipe", make_fifo, PN_READ_ERROR, PN_STR_INIT("")},
        {"a directory", make_dir, PN_READ_ERROR, PN_STR_INIT("")},
        {"a link", make_link, PN_READ_ERROR, PN_STR_INIT("")},
        {"another directory", replace_dir, PN_READ_OK, PN_STR_INIT(two)},
    };
    /* Read before: nothing, one, so that the next read opens the directory, or it is open. */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned before = 0; before <= 2; before++) {
            struct rig r;
            unit_row(rows[i].label);
            rig_init(&r);
            for (unsigned n = 0; n < before; n++)
                reads(&r, 1, PN_READ_OK, PN_STR("Return-Path: <s@from.test>\nSubject: a\n\none\n"));
            rows[i].act(&r);
            reads(&r, 2, rows[i].want, rows[i].bytes);
            reads(&r, 2, rows[i].want, rows[i].bytes);
            rig_fini(&r);
        }
}

static void cut(const struct rig *r)
{
    int at = dir_of(r, r->new), fd = openat(at, r->file, O_WRONLY | O_TRUNC);
    pn_assert(fd >= 0);
    (void)close(fd);
    (void)close(at);
}

/* Nothing is added up: valgrind goes on behind a fault without the last sum. */
static bool is_all(struct pn_str bytes, char c)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.p[i] != c)
            return false;
    return true;
}

/* A large one is looked at where it lies: it is cut meanwhile, and reads as zeros. */
static void test_cut(void)
{
    struct rig r;
    struct pn_content content, other;
    rig_init(&r);
    enlarge(&r);
    UNIT_INT(pn_view_read(r.view, 2, &content), PN_READ_OK);
    UNIT_INT(pn_view_read(r.view, 2, &other), PN_READ_OK);
    UNIT_TRUE(is_all(content.bytes, 'x'));
    UNIT_TRUE(pn_content_is_whole(&content));
    cut(&r);
    UNIT_INT(content.bytes.len, LARGE);
    UNIT_TRUE(is_all(content.bytes, '\0'));
    UNIT_TRUE(!pn_content_is_whole(&content));
    pn_content_done(&content);
    UNIT_TRUE(is_all(other.bytes, '\0'));
    pn_content_done(&other);
    reads(&r, 2, PN_READ_OK, PN_STR(""));
    rig_fini(&r);
}

/* ---- surrogates */

/* A message in UTF-8 with so many lines. */
static void deliver_international(struct rig *r, unsigned lines)
{
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_addz(&text, "Subject: \xc3\xbc\r\n\r\n");
    for (unsigned i = 0; i < lines; i++)
        (void)pn_buf_addz(&text, "0123456789012345678901234567890123456789012345678901234567\r\n");
    deliver(r, pn_buf_cstr(&text));
    pn_buf_fini(&text);
    pn_view_close(&r->view);
    UNIT_INT(pn_view_open(r->user, PN_STR(""), false, NULL, NULL, &r->view), PN_STORE_OK);
    pn_view_downgrade(r->view, true);
}

static void shows_surrogate(struct rig *r, uint32_t seq, size_t body, bool mapped)
{
    struct pn_content content;
    UNIT_INT(pn_view_show(r->view, seq, &content), PN_READ_OK);
    UNIT_INT(content.own == NULL, mapped);
    UNIT_TRUE(pn_content_is_whole(&content));
    const char *end = memmem(content.bytes.p, content.bytes.len, "\n\n", 2);
    UNIT_TRUE(pn_str_is_ascii(content.bytes) && end != NULL &&
              (size_t)(content.bytes.p + content.bytes.len - end) - 2 == body);
    pn_content_done(&content);
}

/* What is large is not held in memory for who takes his time; where it can't be else, it is. */
static void test_surrogate(void)
{
    enum { LINE = 59, LINES = 10000, PLACES = 1024 };
    static struct pn_content held[PLACES];
    struct rig r;
    rig_init(&r);
    deliver_international(&r, 2);
    deliver_international(&r, LINES);
    shows_surrogate(&r, 4, (size_t)2 * LINE, false);
    shows_surrogate(&r, 5, (size_t)LINES * LINE, true);
    for (size_t i = 0; i < PLACES; i++)
        UNIT_INT(pn_view_read(r.view, 5, &held[i]), PN_READ_OK);
    shows_surrogate(&r, 5, (size_t)LINES * LINE, false);
    for (size_t i = 0; i < PLACES; i++)
        pn_content_done(&held[i]);
    shows_surrogate(&r, 5, (size_t)LINES * LINE, true);
    rig_fini(&r);
}

/* More at a time than can be guarded: the rest is read. */
static void test_many(void)
{
    enum { MANY = 1030 };
    static struct pn_content content[MANY];
    struct rig r;
    size_t read = 0;
    rig_init(&r);
    enlarge(&r);
    for (size_t i = 0; i < MANY; i++) {
        UNIT_INT(pn_view_read(r.view, 2, &content[i]), PN_READ_OK);
        read += content[i].own != NULL;
    }
    UNIT_INT(read, MANY - 1024);
    UNIT_TRUE(is_all(content[MANY - 1].bytes, 'x'));
    for (size_t i = 0; i < MANY; i++)
        pn_content_done(&content[i]);
    UNIT_INT(pn_view_read(r.view, 2, &content[0]), PN_READ_OK);
    UNIT_TRUE(content[0].own == NULL);
    pn_content_done(&content[0]);
    rig_fini(&r);
}

/* A few bytes on disk, and terabytes of zeros to who reads them. */
static void test_huge(void)
{
    static const off_t sizes[] = {(off_t)UINT32_MAX + 1, (off_t)1 << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[] = "/tmp/postern-huge-XXXXXX";
        struct pn_content content;
        int fd = mkstemp(name);
        pn_assert(fd >= 0 && unlink(name) == 0 && ftruncate(fd, sizes[i]) == 0);
        UNIT_INT(mail_read(fd, NULL, &content), EFBIG);
        UNIT_TRUE(content.bytes.len == 0 && content.own == NULL);
        pn_content_done(&content);
    }
}

/* ---- what is told to who asks for nothing ---- */

static atomic_uint told;

static void tell(void *ctx)
{
    (void)ctx;
    (void)atomic_fetch_add(&told, 1);
}

static void wait_told(unsigned times)
{
    for (unsigned ms = 0; ms < 20000 && atomic_load(&told) < times; ms += 5)
        (void)usleep(5000);
    UNIT_INT(atomic_load(&told), times);
}

static void on_expunged(void *ctx, uint32_t seq, uint32_t uid)
{
    (void)ctx, (void)seq, (void)uid;
}

static void on_exists(void *ctx, uint32_t messages)
{
    (void)ctx, (void)messages;
}

static void on_flags(void *ctx, uint32_t seq, const struct pn_mail *mail)
{
    (void)ctx, (void)seq, (void)mail;
}

static void sync_counts(struct pn_view *view, uint32_t want)
{
    static const struct pn_view_ops ops = {on_expunged, on_exists, on_flags};
    UNIT_TRUE(pn_view_sync(view, true, &ops, NULL));
    UNIT_INT(pn_view_count(view), want);
}

/* A session in IDLE: it hears of what others drop in and take out, and of nothing else. */
static void test_watched(void)
{
    struct rig r;
    struct pn_view *idle;
    rig_init(&r);
    atomic_store(&r.store->watch_ms, 10);
    UNIT_INT(pn_view_open(r.user, PN_STR(""), false, tell, NULL, &idle), PN_STORE_OK);
    (void)snprintf(r.file, sizeof r.file, "1700000000.M1P1.others");
    write_over(&r, r.new, PN_STR("Subject: a\n\nfour\n"));
    wait_told(1);
    sync_counts(idle, 4);
    find_file(&r, ".3");
    discard(&r);
    wait_told(2);
    sync_counts(idle, 3);
    (void)usleep(100000);
    UNIT_INT(atomic_load(&told), 2);
    UNIT_INT(atomic_load(&r.store->watched), 1);
    pn_view_close(&idle);
    UNIT_INT(atomic_load(&r.store->watched), 0);
    rig_fini(&r);
}

/* ---- what is held open ---- */

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    pn_assert(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static void test_rest(void)
{
    struct rig r;
    const struct pn_str want = PN_STR(two);
    rig_init(&r);
    unsigned before = open_files();
    reads(&r, 2, PN_READ_OK, want);
    UNIT_INT(open_files(), before); /* one alone leaves nothing open */
    reads(&r, 2, PN_READ_OK, want);
    reads(&r, 2, PN_READ_OK, want);
    UNIT_INT(open_files(), before + 1);
    see(&r);
    reads(&r, 2, PN_READ_OK, want);
    reads(&r, 2, PN_READ_OK, want);
    UNIT_TRUE(open_files() <= before + 2); /* new and cur */
    pn_view_rest(r.view);
    UNIT_INT(open_files(), before);
    reads(&r, 2, PN_READ_OK, want);
    UNIT_INT(open_files(), before);
    reads(&r, 2, PN_READ_OK, want);
    pn_view_close(&r.view);
    UNIT_INT(open_files(), before);
    rig_fini(&r);
}

/* The time of the file is the message's, to the second that is told: all that is left of it when
 * the index is lost. */
static void test_date(void)
{
    struct rig r;
    struct pn_mail mail;
    struct stat st;
    char path[400];
    rig_init(&r);
    (void)snprintf(path, sizeof path, "%s/%s", r.new, r.file);
    pn_assert(fstatat(r.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
    pn_view_mail(r.view, 2, &mail);
    UNIT_INT(st.st_mtim.tv_sec, mail.date);
    UNIT_INT(st.st_mtim.tv_nsec, 0);
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"meanwhile", test_meanwhile}, {"cut", test_cut},         {"many", test_many},
        {"surrogate", test_surrogate}, {"watched", test_watched}, {"rest", test_rest},
        {"huge", test_huge},           {"date", test_date},       {NULL, NULL}};
    return unit_main("store_read", tests, argc, argv);
}
