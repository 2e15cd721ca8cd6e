#include "unit.h"

#include "channel.h"
#include "clock.h"
#include "dns_shelf.h"
#include "memfile.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define S (UINT64_C(1) * PN_NS_PER_S)

/* One answer of one record. */
static void put(struct pn_dns_shelf *shelf, const char *name, uint16_t type, struct pn_str data,
                uint32_t ttl, uint64_t now)
{
    const struct pn_dns_record record = {ttl, data};
    const struct pn_dns_answer answer = {.secure = true, .count = 1, .records = &record};
    pn_dns_shelf_put(shelf, pn_str_of(name), type, &answer, ttl, now);
}

static bool find(const struct pn_dns_view *view, const char *name, uint16_t type, uint64_t now,
                 struct pn_dns_found *out)
{
    return pn_dns_view_find(view, pn_str_of(name), type, now, out);
}

static void open_both(struct pn_dns_shelf **shelf, struct pn_dns_view **view)
{
    *shelf = pn_dns_shelf_new();
    UNIT_TRUE(*shelf != NULL);
    *view = pn_dns_view_open(pn_dns_shelf_fd(*shelf));
    UNIT_TRUE(*view != NULL);
}

static void close_both(struct pn_dns_shelf **shelf, struct pn_dns_view **view)
{
    pn_dns_view_close(view);
    pn_dns_shelf_free(shelf);
    UNIT_TRUE(*shelf == NULL && *view == NULL);
}

static void test_find(void)
{
    struct pn_dns_shelf *shelf;
    struct pn_dns_view *view;
    struct pn_dns_found got;
    open_both(&shelf, &view);
    UNIT_TRUE(!find(view, "a.test", PN_DNS_TXT, 5 * S, &got));
    put(shelf, "a.test", PN_DNS_TXT, PN_STR("one"), 100, 5 * S);
    unit_row("there");
    UNIT_TRUE(find(view, "a.test", PN_DNS_TXT, 5 * S, &got));
    UNIT_INT(got.answer.count, 1);
    UNIT_INT(got.answer.rcode, PN_DNS_NOERROR);
    UNIT_TRUE(got.answer.secure);
    UNIT_STR(got.answer.records[0].data, PN_STR("one"));
    UNIT_INT(got.answer.records[0].ttl, 100);
    unit_row("others");
    UNIT_TRUE(!find(view, "a.test", PN_DNS_A, 5 * S, &got));
    UNIT_TRUE(!find(view, "a.tes", PN_DNS_TXT, 5 * S, &got));
    UNIT_TRUE(!find(view, "", PN_DNS_TXT, 5 * S, &got));
    unit_row("a later one");
    put(shelf, "a.test", PN_DNS_TXT, PN_STR("two"), 100, 6 * S);
    UNIT_TRUE(find(view, "a.test", PN_DNS_TXT, 6 * S, &got));
    UNIT_STR(got.answer.records[0].data, PN_STR("two"));
    unit_row("no such name");
    const struct pn_dns_answer none = {.rcode = PN_DNS_NXDOMAIN};
    pn_dns_shelf_put(shelf, PN_STR("b.test"), PN_DNS_A, &none, 10, 6 * S);
    UNIT_TRUE(find(view, "b.test", PN_DNS_A, 6 * S, &got));
    UNIT_INT(got.answer.rcode, PN_DNS_NXDOMAIN);
    UNIT_INT(got.answer.count, 0);
    UNIT_TRUE(!got.answer.secure);
    unit_row("cleared");
    pn_dns_shelf_clear(shelf);
    UNIT_TRUE(!find(view, "a.test", PN_DNS_TXT, 6 * S, &got));
    UNIT_TRUE(!find(view, "b.test", PN_DNS_A, 6 * S, &got));
    put(shelf, "a.test", PN_DNS_TXT, PN_STR("three"), 100, 6 * S);
    UNIT_TRUE(find(view, "a.test", PN_DNS_TXT, 6 * S, &got));
    close_both(&shelf, &view);
}

/* Nine tenths of the time to live, and five minutes at most. */
static void test_time(void)
{
    static const struct {
        const char *label;
        uint32_t ttl, after;
        bool want;
        uint32_t left; /* of the record's */
    } rows[] = {
        {"at once", 10, 0, true, 10},
        {"a second later", 10, 1, true, 9},
        {"just before", 10, 8, true, 2},
        {"at nine tenths", 10, 9, false, 0},
        {"one second", 1, 0, true, 1},
        {"none", 0, 0, false, 0},
        {"a day", 86400, 299, true, 86101},
        {"a day, past five minutes", 86400, 300, false, 0},
        {"the longest", INT32_MAX, 1, true, INT32_MAX - 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_dns_shelf *shelf;
        struct pn_dns_view *view;
        struct pn_dns_found got;
        unit_row(rows[i].label);
        open_both(&shelf, &view);
        put(shelf, "a.test", PN_DNS_TXT, PN_STR("x"), rows[i].ttl, 7 * S);
        bool found = find(view, "a.test", PN_DNS_TXT, (7 + rows[i].after) * S, &got);
        UNIT_INT(found, rows[i].want);
        if (found)
            UNIT_INT(got.answer.records[0].ttl, rows[i].left);
        UNIT_TRUE(!find(view, "a.test", PN_DNS_TXT, 6 * S, &got)); /* before it was put there */
        close_both(&shelf, &view);
    }
}

/* The slot's room: what fits just so, and one byte more. */
static void test_size(void)
{
    static char data[DNS_SHELF_BODY + 1];
    struct pn_dns_shelf *shelf;
    struct pn_dns_view *view;
    struct pn_dns_found got;
    size_t around = 4 + 6 + 2 + 8 + 2 + 1 + 4 + 4 + 4; /* name, type, answer, record */
    memset(data, 'd', sizeof data);
    open_both(&shelf, &view);
    put(shelf, "a.test", PN_DNS_TXT, (struct pn_str){data, DNS_SHELF_BODY - around}, 10, S);
    UNIT_TRUE(find(view, "a.test", PN_DNS_TXT, S, &got));
    UNIT_INT(got.answer.records[0].data.len, DNS_SHELF_BODY - around);
    put(shelf, "b.test", PN_DNS_TXT, (struct pn_str){data, DNS_SHELF_BODY - around + 1}, 10, S);
    UNIT_TRUE(!find(view, "b.test", PN_DNS_TXT, S, &got));
    close_both(&shelf, &view);
}

/* More names than there is room for: what is found is each name's own. */
static void test_many(void)
{
    struct pn_dns_shelf *shelf;
    struct pn_dns_view *view;
    struct pn_dns_found got;
    unsigned found = 0;
    open_both(&shelf, &view);
    for (unsigned i = 0; i < 3 * DNS_SHELF_SLOTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "n%u.test", i);
        put(shelf, name, PN_DNS_A, pn_str_of(name), 100, (1 + i / DNS_SHELF_SLOTS) * S);
        UNIT_TRUE(find(view, name, PN_DNS_A, 4 * S, &got)); /* the newest always */
    }
    for (unsigned i = 0; i < 3 * DNS_SHELF_SLOTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "n%u.test", i);
        if (!find(view, name, PN_DNS_A, 4 * S, &got))
            continue;
        UNIT_STR(got.answer.records[0].data, pn_str_of(name));
        found++;
    }
    UNIT_TRUE(found > DNS_SHELF_SLOTS / 2 && found <= DNS_SHELF_SLOTS);
    close_both(&shelf, &view);
}

/* Who gets the descriptor can't write, and takes nothing that could change its size. */
static void test_seals(void)
{
    struct pn_dns_shelf *shelf = pn_dns_shelf_new();
    UNIT_TRUE(shelf != NULL);
    int fd = pn_dns_shelf_fd(shelf);
    UNIT_TRUE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    UNIT_TRUE(pwrite(fd, "x", 1, 0) < 0);
    UNIT_TRUE(ftruncate(fd, 0) != 0);
    pn_dns_shelf_free(&shelf);
    int plain = pn_memfile_fd("plain");
    UNIT_TRUE(plain >= 0 && ftruncate(plain, 1 << 20) == 0);
    UNIT_TRUE(pn_dns_view_open(plain) == NULL);
    UNIT_TRUE(fcntl(plain, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    UNIT_TRUE(pn_dns_view_open(plain) == NULL);
    UNIT_TRUE(pn_dns_view_open(-1) == NULL);
    (void)close(plain);
}

/* Two answers take turns while another thread reads: it sees one of them whole, or none. */
static void *write_on(void *arg)
{
    static char long_text[600];
    memset(long_text, 'l', sizeof long_text);
    for (unsigned i = 0; i < 20000; i++)
        put(arg, "a.test", PN_DNS_TXT,
            i % 2 == 0 ? (struct pn_str){long_text, sizeof long_text} : PN_STR("short"), 100, S);
    return NULL;
}

static void test_beside(void)
{
    struct pn_dns_shelf *shelf;
    struct pn_dns_view *view;
    struct pn_dns_found got;
    pthread_t writer;
    open_both(&shelf, &view);
    UNIT_TRUE(pthread_create(&writer, NULL, write_on, shelf) == 0);
    for (unsigned i = 0; i < 20000; i++) {
        if (!find(view, "a.test", PN_DNS_TXT, S, &got))
            continue;
        struct pn_str d = got.answer.records[0].data;
        bool whole = pn_str_eq(d, PN_STR("short")) || d.len == 600;
        for (size_t k = 0; whole && d.len == 600 && k < d.len; k++)
            whole = d.p[k] == 'l';
        UNIT_TRUE(whole);
    }
    UNIT_TRUE(pthread_join(writer, NULL) == 0);
    UNIT_TRUE(find(view, "a.test", PN_DNS_TXT, S, &got));
    UNIT_STR(got.answer.records[0].data, PN_STR("short"));
    close_both(&shelf, &view);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"find", test_find},   {"time", test_time},     {"size", test_size}, {"many", test_many},
        {"seals", test_seals}, {"beside", test_beside}, {NULL, NULL},
    };
    return unit_main("dns_shelf", tests, argc, argv);
}
