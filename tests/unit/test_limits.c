#include "unit.h"

#include "limit_table.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

static struct pn_ip ip_of(const char *text)
{
    struct pn_ip ip;
    UNIT_TRUE(pn_ip_parse(pn_str_of(text), &ip));
    return ip;
}

static struct pn_limits *table(uint32_t entries, int *fd)
{
    *fd = pn_limits_create(entries);
    UNIT_TRUE(*fd >= 0);
    struct pn_limits *l = pn_limits_open(*fd, 0);
    UNIT_TRUE(l != NULL);
    return l;
}

static void test_sessions(void)
{
    static const struct {
        const char *label, *ip;
        enum pn_limit want;
    } rows[] = {
        {"first", "192.0.2.1", PN_LIMIT_NONE},
        {"second", "192.0.2.1", PN_LIMIT_NONE},
        {"third of the address", "192.0.2.1", PN_LIMIT_ADDRESS_SESSIONS},
        {"another address", "192.0.2.2", PN_LIMIT_NONE},
        {"fourth of the network", "192.0.2.3", PN_LIMIT_NETWORK_SESSIONS},
        {"another network", "192.0.3.1", PN_LIMIT_NONE},
        {"IPv6", "2001:db8::1", PN_LIMIT_NONE},
        {"IPv6, same", "2001:db8::1", PN_LIMIT_NONE},
        {"IPv6, third", "2001:db8::1", PN_LIMIT_ADDRESS_SESSIONS},
        {"IPv6, same /64", "2001:db8::ffff:0:0:1", PN_LIMIT_NONE},
        {"IPv6, same /64 again", "2001:db8::2", PN_LIMIT_NETWORK_SESSIONS},
        {"IPv6, other /64", "2001:db8:0:1::2", PN_LIMIT_NONE},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct pn_limit_rules rules = {.address_sessions = 2, .network_sessions = 3};
    struct pn_limits_ticket tickets[ROWS];
    int fd;
    struct pn_limits *l = table(1024, &fd);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < ROWS; i++) {
            struct pn_ip ip = ip_of(rows[i].ip);
            unit_row(rows[i].label);
            UNIT_INT(pn_limits_enter(l, &rules, &ip, SECOND, &tickets[i]), rows[i].want);
        }
        for (size_t i = 0; i < ROWS; i++) {
            pn_limits_leave(l, &tickets[i]);
            pn_limits_leave(l, &tickets[i]); /* once is enough, twice does no harm */
        }
    }
    UNIT_INT(pn_limits_missed(l), 0);
    pn_limits_close(&l);
    close(fd);
}

/* In a table of one set every key is a neighbour of every other: what an address and its
 * network count must not depend on where they fall. */
static void check_rates(uint32_t entries)
{
    struct pn_limit_rules rules = {.address = {[PN_RATE_MAIL] = 60},
                                   .network = {[PN_RATE_MAIL] = 90, [PN_RATE_CONNECT] = 1}};
    struct pn_ip a = ip_of("192.0.2.1"), b = ip_of("192.0.2.2"), far = ip_of("198.51.100.1");
    uint64_t now = 1000U * (uint64_t)SECOND;
    int fd, passed = 0;
    struct pn_limits *l = table(entries, &fd);
    while (pn_limits_rate(l, &rules, &a, PN_RATE_MAIL, now) == PN_LIMIT_NONE)
        passed++;
    UNIT_INT(passed, 60);
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_MAIL, now), PN_LIMIT_ADDRESS_RATE);
    /* The network has 30 left; what was refused was not counted there. */
    for (passed = 0; pn_limits_rate(l, &rules, &b, PN_RATE_MAIL, now) == PN_LIMIT_NONE;)
        passed++;
    UNIT_INT(passed, 30);
    UNIT_INT(pn_limits_rate(l, &rules, &b, PN_RATE_MAIL, now), PN_LIMIT_NETWORK_RATE);
    UNIT_INT(pn_limits_rate(l, &rules, &far, PN_RATE_MAIL, now), PN_LIMIT_NONE);
    /* One a second for the address comes back, and not sooner. */
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_MAIL, now + SECOND - 1), PN_LIMIT_ADDRESS_RATE);
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_MAIL, now + SECOND), PN_LIMIT_NONE);
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_MAIL, now + SECOND + SECOND / 4 * 3),
             PN_LIMIT_ADDRESS_RATE);
    /* After a minute all of it. */
    now += 61U * (uint64_t)SECOND;
    for (passed = 0; pn_limits_rate(l, &rules, &a, PN_RATE_MAIL, now) == PN_LIMIT_NONE;)
        passed++;
    UNIT_INT(passed, 60);
    /* Rates are apart from each other; a clock that jumps back does not lock anybody out
     * for longer than a minute; no rule, no limit. */
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_CONNECT, now), PN_LIMIT_NONE);
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_CONNECT, now), PN_LIMIT_NETWORK_RATE);
    UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_CONNECT, 5), PN_LIMIT_NONE);
    rules.address[PN_RATE_RCPT] = 2;
    for (unsigned i = 0; i < 3; i++)
        UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_RCPT, now),
                 i < 2 ? PN_LIMIT_NONE : PN_LIMIT_ADDRESS_RATE);
    UNIT_INT(pn_limits_rate(l, &rules, &b, PN_RATE_RCPT, now), PN_LIMIT_NONE);
    rules.network[PN_RATE_CONNECT] = 0;
    for (unsigned i = 0; i < 1000; i++)
        UNIT_INT(pn_limits_rate(l, &rules, &a, PN_RATE_CONNECT, now), PN_LIMIT_NONE);
    pn_limits_close(&l);
    close(fd);
}

static void test_rates(void)
{
    unit_row("many sets");
    check_rates(1024);
    unit_row("one set");
    check_rates(8);
}

static void test_connect_rate(void)
{
    struct pn_limit_rules rules = {.address_sessions = 100, .address = {[PN_RATE_CONNECT] = 2}};
    struct pn_ip a = ip_of("192.0.2.1");
    struct pn_limits_ticket t;
    int fd;
    struct pn_limits *l = table(1024, &fd);
    for (unsigned i = 0; i < 3; i++) {
        UNIT_INT(pn_limits_enter(l, &rules, &a, SECOND, &t),
                 i < 2 ? PN_LIMIT_NONE : PN_LIMIT_ADDRESS_RATE);
        pn_limits_leave(l, &t);
    }
    /* The refused one left no session behind. */
    rules.address_sessions = 1;
    rules.address[PN_RATE_CONNECT] = 0;
    UNIT_INT(pn_limits_enter(l, &rules, &a, SECOND, &t), PN_LIMIT_NONE);
    pn_limits_leave(l, &t);
    pn_limits_close(&l);
    close(fd);
}

/* A small table and very many addresses: those with sessions are never forgotten, the
 * others give way, and what finds no place is let in and counted as missed. */
static void test_users(void)
{
    static const struct {
        const char *label, *user;
        uint32_t per_hour, n;
        uint64_t at_s;
        enum pn_user_rate want;
    } rows[] = {
        {"an hour's", "ann@a.test", 10, 9, 100, PN_USER_FREE},
        {"all of it", "ann@a.test", 10, 1, 100, PN_USER_FREE},
        {"one more", "ann@a.test", 10, 1, 100, PN_USER_NOTICED},
        {"held", "ann@a.test", 10, 1, 101, PN_USER_HELD},
        {"in letters of any case", "Ann@A.test", 10, 1, 101, PN_USER_HELD},
        {"another", "bob@a.test", 10, 10, 101, PN_USER_FREE},
        {"to the end of the hold", "ann@a.test", 10, 1, 100 + 7199, PN_USER_HELD},
        {"and no longer", "ann@a.test", 10, 1, 100 + 7200, PN_USER_FREE},
        {"too many at once", "eve@a.test", 10, 11, 100, PN_USER_NOTICED},
        {"the most there are", "joe@a.test", 1, UINT32_MAX, 100, PN_USER_NOTICED},
        {"none", "sue@a.test", 1, 0, 100, PN_USER_FREE},
        {"what is forgotten with time", "bob@a.test", 10, 5, 101 + 1800, PN_USER_FREE},
        {"is not all", "bob@a.test", 10, 1, 101 + 1800, PN_USER_NOTICED},
    };
    int fd;
    struct pn_limits *l = table(1024, &fd);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_INT(pn_limits_user(l, pn_str_of(rows[i].user), rows[i].per_hour,
                                UINT64_C(7200) * SECOND, rows[i].n, rows[i].at_s * SECOND),
                 rows[i].want);
    }
    unit_row("a hold that is made shorter ends");
    UNIT_INT(pn_limits_user(l, PN_STR("joe@a.test"), 10, SECOND, 1, UINT64_C(5000) * SECOND),
             PN_USER_FREE);
    pn_limits_close(&l);
    (void)close(fd);
}

static void test_full(void)
{
    struct pn_limit_rules rules = {.address_sessions = 1, .address = {[PN_RATE_MAIL] = 1}};
    enum { HELD = 4, MANY = 5000 };
    struct pn_limits_ticket held[HELD], tickets[MANY];
    struct pn_ip ip = ip_of("10.0.0.0");
    int fd;
    struct pn_limits *l = table(64, &fd);
    for (unsigned i = 0; i < HELD; i++) {
        ip.b[15] = (unsigned char)i;
        UNIT_INT(pn_limits_enter(l, &rules, &ip, SECOND, &held[i]), PN_LIMIT_NONE);
    }
    for (unsigned i = 0; i < MANY; i++) {
        ip.b[13] = 1;
        ip.b[14] = (unsigned char)(i >> 8);
        ip.b[15] = (unsigned char)i;
        UNIT_INT(pn_limits_rate(l, &rules, &ip, PN_RATE_MAIL, SECOND), PN_LIMIT_NONE);
    }
    UNIT_INT(pn_limits_missed(l), 0);
    for (unsigned i = 0; i < HELD; i++) {
        struct pn_limits_ticket t;
        memset(ip.b + 13, 0, 2);
        ip.b[15] = (unsigned char)i;
        UNIT_INT(pn_limits_enter(l, &rules, &ip, SECOND, &t), PN_LIMIT_ADDRESS_SESSIONS);
    }
    unsigned taken = 0;
    for (unsigned i = 0; i < MANY; i++) {
        ip.b[13] = 2;
        ip.b[14] = (unsigned char)(i >> 8);
        ip.b[15] = (unsigned char)i;
        UNIT_INT(pn_limits_enter(l, &rules, &ip, SECOND, &tickets[i]), PN_LIMIT_NONE);
        taken += tickets[i].slots[0] != 0;
    }
    UNIT_INT(taken, 64 - HELD);
    UNIT_INT(pn_limits_missed(l), MANY - taken);
    for (unsigned i = 0; i < MANY; i++)
        pn_limits_leave(l, &tickets[i]);
    pn_limits_close(&l);
    close(fd);
}

static void test_caps(void)
{
    int fd;
    struct pn_limits *l = table(64, &fd);
    struct pn_limits *other = pn_limits_open(fd, PN_LIMITS_EDGES_MAX - 1);
    UNIT_TRUE(pn_cap_take(l, PN_CAP_BYTES, 600, 1000));
    UNIT_TRUE(!pn_cap_take(other, PN_CAP_BYTES, 401, 1000));
    UNIT_TRUE(pn_cap_take(other, PN_CAP_BYTES, 400, 1000));
    UNIT_TRUE(!pn_cap_take(l, PN_CAP_BYTES, 1, 1000));
    UNIT_TRUE(pn_cap_take(l, PN_CAP_MESSAGES, 1, 1));
    UNIT_TRUE(!pn_cap_take(l, PN_CAP_MESSAGES, 1, 1));
    pn_cap_give(l, PN_CAP_BYTES, 600);
    UNIT_INT(pn_cap_sum(other, PN_CAP_BYTES), 400);
    /* The other edge dies, and comes again with its number. */
    pn_limits_close(&other);
    UNIT_INT(pn_cap_sum(l, PN_CAP_BYTES), 400);
    other = pn_limits_open(fd, PN_LIMITS_EDGES_MAX - 1);
    UNIT_INT(pn_cap_sum(l, PN_CAP_BYTES), 0);
    UNIT_INT(pn_cap_sum(l, PN_CAP_MESSAGES), 1);
    pn_limits_close(&other);
    pn_limits_close(&l);
    close(fd);
}

static void test_refused(void)
{
    static const char junk[65536];
    int fd = memfd_create("junk", MFD_CLOEXEC);
    UNIT_TRUE(pn_limits_open(fd, 0) == NULL && errno == EINVAL);
    UNIT_TRUE(write(fd, junk, sizeof junk) == sizeof junk);
    UNIT_TRUE(pn_limits_open(fd, 0) == NULL && errno == EINVAL);
    close(fd);
    fd = pn_limits_create(64);
    UNIT_TRUE(pn_limits_open(fd, PN_LIMITS_EDGES_MAX) == NULL && errno == EINVAL);
    UNIT_TRUE(ftruncate(fd, 10) != 0);
    close(fd);
}

/* An edge's life in short: enters and leaves at random, until it is killed or done. */
static void churn(int fd, unsigned edge, unsigned rounds)
{
    struct pn_limit_rules rules = {.address_sessions = 20, .network_sessions = 100};
    struct pn_limits *l = pn_limits_open(fd, edge);
    struct pn_limits_ticket tickets[200] = {{{0, 0}}};
    struct pn_ip ip = ip_of("10.0.0.0");
    unsigned seed = edge + 1;
    for (unsigned i = 0; i < rounds; i++) {
        struct pn_limits_ticket *t = &tickets[(unsigned)rand_r(&seed) % 200];
        pn_limits_leave(l, t);
        ip.b[14] = (unsigned char)(rand_r(&seed) % 64);
        ip.b[15] = (unsigned char)(rand_r(&seed) % 4);
        (void)pn_limits_enter(l, &rules, &ip, i, t);
    }
    for (unsigned i = 0; i < 200; i++)
        pn_limits_leave(l, &tickets[i]);
    _exit(0);
}

/* An edge that was killed while it took places over: the next of its number frees them.
 * Each place of the table looks as that edge would have left it. */
static void test_taken_over(void)
{
    enum { ENTRIES = 8, ENTRY = 192, EDGE = 3 };
    struct pn_limit_rules rules = {.network_sessions = 1};
    struct pn_ip ip = ip_of("192.0.2.1");
    struct pn_limits_ticket t;
    int fd = pn_limits_create(ENTRIES);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t i = 1; i <= ENTRIES; i++) {
        const uint64_t taking = 1 + EDGE;
        UNIT_INT(pwrite(fd, &taking, sizeof taking, size - i * ENTRY), sizeof taking);
    }
    struct pn_limits *other = pn_limits_open(fd, 0);
    UNIT_INT(pn_limits_enter(other, &rules, &ip, SECOND, &t), PN_LIMIT_NONE);
    UNIT_INT(pn_limits_missed(other), 1); /* that edge may be alive */
    struct pn_limits *next = pn_limits_open(fd, EDGE);
    UNIT_INT(pn_limits_enter(other, &rules, &ip, SECOND, &t), PN_LIMIT_NONE);
    UNIT_INT(pn_limits_missed(other), 1);
    UNIT_INT(pn_limits_enter(next, &rules, &ip, SECOND, &t), PN_LIMIT_NETWORK_SESSIONS);
    pn_limits_close(&next);
    pn_limits_close(&other);
    close(fd);
}

/* Four edges at once, one of them killed: once its number is opened again nothing is
 * left counted, so each address may have all of its sessions. */
static void test_processes(void)
{
    enum { EDGES = 4 };
    pid_t pids[EDGES];
    int fd = pn_limits_create(64), status;
    for (unsigned i = 0; i < EDGES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            churn(fd, i + 1, i == 0 ? 2000000000 : 20000);
    }
    for (unsigned i = 1; i < EDGES; i++)
        UNIT_TRUE(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    UNIT_TRUE(kill(pids[0], SIGKILL) == 0 && waitpid(pids[0], &status, 0) == pids[0]);
    struct pn_limits *l = pn_limits_open(fd, 1);
    struct pn_limit_rules rules = {.network_sessions = 1};
    struct pn_ip ip = ip_of("10.0.0.0");
    uint64_t missed = pn_limits_missed(l);
    for (unsigned i = 0; i < 64; i++) {
        struct pn_limits_ticket t;
        ip.b[14] = (unsigned char)i;
        UNIT_INT(pn_limits_enter(l, &rules, &ip, SECOND, &t), PN_LIMIT_NONE);
        pn_limits_leave(l, &t);
    }
    UNIT_TRUE(pn_limits_missed(l) == missed);
    pn_limits_close(&l);
    close(fd);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"sessions", test_sessions},
        {"rates", test_rates},
        {"connect_rate", test_connect_rate},
        {"users", test_users},
        {"full", test_full},
        {"caps", test_caps},
        {"refused", test_refused},
        {"processes", test_processes},
        {"taken_over", test_taken_over},
        {NULL, NULL},
    };
    return unit_main("limits", tests, argc, argv);
}
