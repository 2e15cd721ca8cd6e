/* Brute force: what is counted, slowed and shut out, and who is not. */
#include "unit.h"

#include "guard.h"

#include <stdio.h>

#define MINUTE UINT64_C(60000)
#define NOW    UINT64_C(1000000)

static const struct auth_guard_rules rules = {
    .slow_after = 3, .address_max = 6, .account_max = 10, .forget_ms = 10 * MINUTE};

static struct auth_guard *guard;

struct
try {
    const char *ip, *account, *password;
};

static enum auth_word ask(const struct try *t, uint64_t now, struct auth_ticket *ticket,
                          bool *known)
{
    struct pn_ip ip;
    bool unused;
    UNIT_TRUE(pn_ip_parse(pn_str_of(t->ip), &ip));
    return auth_guard_ask(guard, &rules, &ip, true, pn_str_of(t->account), now, ticket,
                          known == NULL ? &unused : known);
}

/* The delay of its answer; -1: too many at once, -2: shut. */
static int fail(const struct try *t, uint64_t now)
{
    struct auth_ticket ticket;
    enum auth_word word = ask(t, now, &ticket, NULL);
    if (word != AUTH_GO)
        return word == AUTH_LATER ? -1 : -2;
    if (t->password != NULL)
        auth_guard_print(guard, &ticket, pn_str_of(t->account), pn_str_of(t->password));
    return (int)auth_guard_failed(guard, &rules, &ticket, now);
}

static bool pass(const struct try *t, uint64_t now)
{
    struct auth_ticket ticket;
    bool go = ask(t, now, &ticket, NULL) == AUTH_GO;
    if (go)
        auth_guard_passed(guard, &ticket, now);
    return go;
}

static void test_address(void)
{
    static const struct {
        const char *label;
        struct try try;
        uint64_t after; /* minutes */
        int want;
    } rows[] = {
        {"one", {"192.0.2.1", "a@a.test", NULL}, 0, 0},
        {"two", {"192.0.2.1", "b@a.test", NULL}, 0, 0},
        {"slowed", {"192.0.2.1", "c@a.test", NULL}, 0, 1000},
        {"more", {"192.0.2.1", "d@a.test", NULL}, 0, 2000},
        {"and more", {"192.0.2.1", "e@a.test", NULL}, 0, 4000},
        {"the last", {"192.0.2.1", "f@a.test", NULL}, 0, 8000},
        {"shut", {"192.0.2.1", "g@a.test", NULL}, 0, -2},
        {"the next address", {"192.0.2.2", "g@a.test", NULL}, 0, 0},
        {"not quite forgotten", {"192.0.2.1", "g@a.test", NULL}, 9, -2},
        {"one try", {"192.0.2.1", "h@a.test", NULL}, 10, 8000},
        {"shut again", {"192.0.2.1", "i@a.test", NULL}, 10, -2},
        {"all forgotten", {"192.0.2.1", "i@a.test", NULL}, 80, 0},
        {"an IPv6 client", {"2001:db8:1:2::1", "p@a.test", NULL}, 80, 0},
        {"another of its /64", {"2001:db8:1:2:ffff::9", "q@a.test", NULL}, 80, 0},
        {"and another", {"2001:db8:1:2:abcd::9", "r@a.test", NULL}, 80, 1000},
        {"another /64", {"2001:db8:1:3::1", "s@a.test", NULL}, 80, 0},
    };
    guard = auth_guard_new(256);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_INT(fail(&rows[i].try, NOW + rows[i].after * MINUTE), rows[i].want);
    }
    auth_guard_free(&guard);
}

static void test_account(void)
{
    char ip[32];
    struct try t = {ip, "ann@a.test", NULL};
    size_t addresses, accounts;
    guard = auth_guard_new(256);
    for (unsigned i = 0; i < rules.account_max; i++) {
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i + 1);
        unit_row(ip);
        UNIT_TRUE(fail(&t, NOW) >= 0);
    }
    (void)snprintf(ip, sizeof ip, "198.51.100.200");
    UNIT_INT(fail(&t, NOW), -2);
    unit_row("in other letters");
    t.account = "ANN@a.test";
    UNIT_INT(fail(&t, NOW), -2);
    unit_row("another account");
    t.account = "bob@a.test";
    UNIT_INT(fail(&t, NOW), 0);
    auth_guard_shut(guard, &rules, NOW, &addresses, &accounts);
    UNIT_INT(addresses, 0);
    UNIT_INT(accounts, 1);
    auth_guard_shut(guard, &rules, NOW + 10 * MINUTE, &addresses, &accounts);
    UNIT_INT(accounts, 0);
    auth_guard_free(&guard);
}

/* Who logged in from where he is now is not shut out by what others do. */
static void test_known(void)
{
    const struct try ann = {"192.0.2.1", "ann@a.test", NULL};
    const struct try neighbour = {"192.0.2.1", "bob@a.test", NULL};
    const struct try elsewhere = {"192.0.2.9", "ann@a.test", NULL};
    struct auth_ticket ticket;
    bool known = true;
    char ip[32];
    guard = auth_guard_new(256);
    UNIT_INT(ask(&ann, NOW, &ticket, &known), AUTH_GO);
    UNIT_TRUE(!known);
    auth_guard_passed(guard, &ticket, NOW);
    for (unsigned i = 0; i < rules.address_max; i++)
        UNIT_TRUE(fail(&neighbour, NOW) >= 0);
    UNIT_INT(fail(&neighbour, NOW), -2);
    unit_row("his neighbour is shut out, he is not");
    UNIT_TRUE(pass(&ann, NOW));
    for (unsigned i = 0; i < rules.account_max; i++) {
        const struct try t = {ip, "ann@a.test", NULL};
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i + 1);
        UNIT_TRUE(fail(&t, NOW) >= 0);
    }
    unit_row("his account is shut elsewhere, not here");
    UNIT_INT(fail(&elsewhere, NOW), -2);
    UNIT_INT(ask(&ann, NOW, &ticket, &known), AUTH_GO);
    UNIT_TRUE(known);
    auth_guard_dropped(guard, &ticket);
    unit_row("he has a count of his own");
    for (unsigned i = 0; i < rules.address_max; i++)
        UNIT_TRUE(fail(&ann, NOW) >= 0);
    UNIT_INT(fail(&ann, NOW), -2);
    unit_row("that a login clears");
    UNIT_TRUE(pass(&ann, NOW + 10 * MINUTE));
    UNIT_INT(fail(&ann, NOW + 10 * MINUTE), 0);
    unit_row("a login elsewhere helps nobody here");
    UNIT_INT(fail(&neighbour, NOW), -2);
    auth_guard_free(&guard);
}

/* A device that was forgotten sends an old password for ever. */
static void test_same(void)
{
    struct try t = {"192.0.2.1", "ann@a.test", "old password"};
    guard = auth_guard_new(256);
    for (int i = 0; i < 100; i++)
        UNIT_INT(fail(&t, NOW), 0);
    unit_row("at another account it is another");
    t.account = "bob@a.test";
    UNIT_INT(fail(&t, NOW), 0);
    unit_row("another one counts");
    t.password = "older password";
    UNIT_INT(fail(&t, NOW), 1000);
    unit_row("as each does whose password nobody knows");
    t.password = NULL;
    UNIT_INT(fail(&t, NOW), 2000);
    UNIT_INT(fail(&t, NOW), 4000);
    auth_guard_free(&guard);
}

/* Many at once try no more than one after another. */
static void test_pending(void)
{
    enum { MAX = 6 };
    const struct try t = {"192.0.2.1", "ann@a.test", NULL};
    struct auth_ticket tickets[MAX], more;
    guard = auth_guard_new(256);
    for (int i = 0; i < MAX; i++)
        UNIT_INT(ask(&t, NOW, &tickets[i], NULL), AUTH_GO);
    unit_row("as many as may fail are under way");
    UNIT_INT(ask(&t, NOW, &more, NULL), AUTH_LATER);
    unit_row("one goes without a word");
    auth_guard_dropped(guard, &tickets[0]);
    UNIT_INT(ask(&t, NOW, &tickets[0], NULL), AUTH_GO);
    unit_row("one fails");
    (void)auth_guard_failed(guard, &rules, &tickets[0], NOW);
    UNIT_INT(ask(&t, NOW, &more, NULL), AUTH_LATER);
    unit_row("one succeeds, and what it knows counts for the pair");
    auth_guard_passed(guard, &tickets[1], NOW);
    UNIT_INT(ask(&t, NOW, &tickets[1], NULL), AUTH_GO);
    for (int i = 1; i < MAX; i++)
        auth_guard_dropped(guard, &tickets[i]);
    UNIT_INT(ask(&t, NOW, &tickets[0], NULL), AUTH_GO);
    auth_guard_dropped(guard, &tickets[0]);
    auth_guard_free(&guard);
}

/* An address that many share by right counts for none of them. */
static void test_shared(void)
{
    struct pn_ip ip;
    struct auth_ticket ticket;
    bool known;
    char account[32];
    guard = auth_guard_new(256);
    UNIT_TRUE(pn_ip_parse(PN_STR("127.0.0.1"), &ip));
    for (int i = 0; i < 100; i++) {
        (void)snprintf(account, sizeof account, "u%d@a.test", i);
        unit_row(account);
        UNIT_INT(
            auth_guard_ask(guard, &rules, &ip, false, pn_str_of(account), NOW, &ticket, &known),
            AUTH_GO);
        UNIT_INT(auth_guard_failed(guard, &rules, &ticket, NOW), 0);
    }
    auth_guard_free(&guard);
}

/* The smallest table: what is nearest to being forgotten goes first, and nothing under way. */
static void test_full(void)
{
    enum { SLOTS = 8 };
    struct auth_ticket tickets[SLOTS], more;
    char ip[32], account[32];
    struct try t = {ip, account, NULL};
    guard = auth_guard_new(SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i + 1);
        (void)snprintf(account, sizeof account, "u%u@a.test", i);
        UNIT_TRUE(fail(&t, NOW) == 0 && fail(&t, NOW) == 0);
    }
    unit_row("strangers push out each other, not who failed twice");
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(ip, sizeof ip, "203.0.113.%u", i + 1);
        (void)snprintf(account, sizeof account, "s%u@a.test", i);
        UNIT_INT(fail(&t, NOW), 0);
    }
    unsigned slowed = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i + 1);
        (void)snprintf(account, sizeof account, "u%u@a.test", i);
        slowed += fail(&t, NOW) == 1000;
    }
    UNIT_INT(slowed, SLOTS - 1);
    auth_guard_free(&guard);
    guard = auth_guard_new(SLOTS);
    unit_row("all under way: no more");
    for (unsigned i = 0; i < SLOTS; i++) {
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i + 1);
        (void)snprintf(account, sizeof account, "u%u@a.test", i);
        UNIT_INT(ask(&t, NOW, &tickets[i], NULL), AUTH_GO);
    }
    (void)snprintf(ip, sizeof ip, "203.0.113.1");
    (void)snprintf(account, sizeof account, "s@a.test");
    UNIT_INT(ask(&t, NOW, &more, NULL), AUTH_LATER);
    auth_guard_dropped(guard, &tickets[3]);
    UNIT_INT(ask(&t, NOW, &more, NULL), AUTH_GO);
    auth_guard_free(&guard);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"address", test_address}, {"account", test_account},
        {"known", test_known},     {"same", test_same},
        {"pending", test_pending}, {"shared", test_shared},
        {"full", test_full},       {NULL, NULL},
    };
    return unit_main("guard", tests, argc, argv);
}
