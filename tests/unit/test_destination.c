/* `destination` blocks: what is taken and refused, what a block leaves to queue.*, and which one
 * a domain has. */
#include "dest.h"
#include "kit_policy.h"
#include "unit.h"

#include <string.h>

static const char usual[] =
    "queue { retry 1s, 2s  expire 1h  connections-per-hop 7  messages-per-connection 70 }\n"
    "destination \"example.net\" { connections 3  rate 100 per 1m  retry 5s, 10s, 1h  expire 2d }\n"
    "destination \".example.net\" { route lmtp \"127.0.0.1:24\"  tls off }\n"
    "destination \"b\xc3\xbc"
    "cher.test\" { tls must  messages-per-connection 1 }\n"
    "destination \"*\" { route smtp \"relay.test:587\" }\n";

static void test_find(void)
{
    static const struct {
        const char *label, *domain;
        bool stranger;
        const char *want; /* its name; "": nobody's */
    } rows[] = {
        {"own", "example.net", true, "example.net"},
        {"own, in capitals", "EXAMPLE.Net", true, "example.net"},
        {"own, not a stranger", "example.net", false, "example.net"},
        {"below", "a.example.net", true, ".example.net"},
        {"far below", "a.b.example.net", true, ".example.net"},
        {"not below", "aexample.net", true, "*"},
        {"above", "net", true, "*"},
        {"U-label",
         "b\xc3\xbc"
         "cher.test",
         true, "xn--bcher-kva.test"},
        {"A-label", "xn--bcher-kva.test", true, "xn--bcher-kva.test"},
        {"another", "other.test", true, "*"},
        {"another, not a stranger", "other.test", false, ""},
        {"named as the star", "*", true, "*"},
        {"the same, not a stranger", "*", false, ""},
        {"named as a parent", ".example.net", true, "*"},
        {"empty", "", true, "*"},
        {"literal", "[192.0.2.1]", true, "*"},
    };
    struct kit k;
    kit_open(&k, usual, "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    struct dests *dests = k.policy == NULL ? NULL : dests_new(k.policy, NULL, 0);
    for (size_t i = 0; dests != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        const struct dest *d = dests_find(dests, pn_str_of(rows[i].domain), rows[i].stranger);
        UNIT_STR(d->is.name, pn_str_of(rows[i].want));
    }
    dests_free(&dests);
    kit_close(&k);
}

static void test_values(void)
{
    struct kit k;
    kit_open(&k, usual, "");
    UNIT_TRUE(k.policy != NULL);
    struct dests *dests = k.policy == NULL ? NULL : dests_new(k.policy, NULL, 0);
    if (dests != NULL) {
        const struct dest *d = dests_find(dests, PN_STR("example.net"), true);
        UNIT_INT(d->is.route, PN_DEST_MX);
        UNIT_INT(d->is.tls, PN_DEST_TLS_MAY);
        UNIT_INT(d->is.connections, 3);
        UNIT_INT(d->is.messages_per_connection, 70);
        UNIT_INT(d->is.rate, 100);
        UNIT_INT(d->is.rate_ms, 60000);
        UNIT_INT(d->is.expire_ms, 2 * 24 * 3600 * 1000);
        UNIT_INT(dest_retry_ms(d, 1), 5000);
        UNIT_INT(dest_retry_ms(d, 3), 3600 * 1000);
        UNIT_INT(dest_retry_ms(d, 4), 3600 * 1000);
        d = dests_find(dests, PN_STR("x.example.net"), true);
        UNIT_INT(d->is.route, PN_DEST_LMTP);
        UNIT_STR(d->is.next_hop, PN_STR("127.0.0.1:24"));
        UNIT_INT(d->is.tls, PN_DEST_TLS_OFF);
        UNIT_INT(d->is.connections, 7);
        UNIT_INT(d->is.rate, 0);
        UNIT_INT(d->is.expire_ms, 3600 * 1000);
        UNIT_INT(dest_retry_ms(d, 1), 1000);
        UNIT_INT(dest_shun_ms(d), 500);
        d = dests_find(dests, PN_STR("xn--bcher-kva.test"), true);
        UNIT_INT(d->is.tls, PN_DEST_TLS_MUST);
        UNIT_INT(d->is.messages_per_connection, 1);
        UNIT_INT(dests_longest_retry_ms(dests), 3600 * 1000);
    }
    dests_free(&dests);
    kit_close(&k);
}

static void test_counted(void)
{
    struct dests *old = dests_new(NULL, NULL, 0), *fresh = dests_new(NULL, NULL, 0);
    struct dest *mine = dest_ref(dests_find(old, PN_STR("a.test"), true));
    UNIT_TRUE(dests_same(fresh, mine) == dests_find(fresh, PN_STR("b.test"), false));
    dests_free(&old);
    UNIT_INT(mine->is.connections, 20);
    UNIT_INT(dest_retry_ms(mine, 1), 60000);
    UNIT_INT(dest_shun_ms(mine), 30000);
    dest_unref(&mine);
    UNIT_TRUE(mine == NULL);
    dests_free(&fresh);
}

static void test_refused(void)
{
    static const struct {
        const char *label, *text, *want; /* in the first problem; "": none */
    } rows[] = {
        {"all of it",
         "destination \"a.test\" { route smtp \"[::1]:25\"; tls must; connections 1; "
         "messages-per-connection 1; rate 1 per 1s; retry 1s; expire 1s }",
         ""},
        {"mx", "destination a.test { route mx }", ""},
        {"a host without a port", "destination a.test { route smtp relay.test }", ""},
        {"an address without a port", "destination a.test { route smtp 192.0.2.1 }", ""},
        {"not a domain", "destination \"a b\" { tls off }", "is no destination"},
        {"a star in a label", "destination \"*.test\" { tls off }", "is no destination"},
        {"twice", "destination a.test { tls off }\ndestination a.test { tls may }", "twice"},
        {"twice in other letters", "destination a.test { tls off }\ndestination A.test { tls may }",
         "twice"},
        {"mx with a host", "destination a.test { route mx \"b.test\" }", "takes no next hop"},
        {"smtp without", "destination a.test { route smtp }", "without a next hop"},
        {"no host", "destination a.test { route smtp \"a b:25\" }", "is no next hop"},
        {"port 0", "destination a.test { route smtp \"a.test:0\" }", "is no next hop"},
        {"port too large", "destination a.test { route smtp \"a.test:65536\" }", "is no next hop"},
        {"port no number", "destination a.test { route smtp \"a.test:smtp\" }", "is no next hop"},
        {"empty host", "destination a.test { route smtp \":25\" }", "is no next hop"},
        {"route unknown", "destination a.test { route local }", "mx"},
        {"rate without a time", "destination a.test { rate 5 }", "rate has no 'per'"},
        {"rate of none", "destination a.test { rate 0 per 1s }", "rate"},
        {"no connection", "destination a.test { connections 0 }", "connections"},
        {"auth without a next hop",
         "destination a.test { tls must; auth user u password-file /dev/null }",
         "without a next hop of its own"},
        {"auth in the clear",
         "destination a.test { route smtp \"a.test:25\"; tls may; auth user u password-file "
         "/dev/null }",
         "over TLS only"},
        {"33 waits",
         "destination a.test { retry 1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,"
         "1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s }",
         "at most 32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        unit_row(rows[i].label);
        kit_open(&k, rows[i].text, "");
        struct pn_str all = kit_problems(&k);
        struct pn_str line = pn_str_split(&all, '\n');
        if (rows[i].want[0] == '\0')
            UNIT_STR(line, PN_STR(""));
        else
            UNIT_TRUE(strstr(line.p, rows[i].want) != NULL);
        kit_close(&k);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"find", test_find},
        {"values", test_values},
        {"counted", test_counted},
        {"refused", test_refused},
        {NULL, NULL},
    };
    return unit_main("destination", tests, argc, argv);
}
