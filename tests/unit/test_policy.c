/* Reading the compiled policy: settings, listeners, plugins and their blocks, domains. */
#include "unit.h"

#include "block.h"
#include "kit_policy.h"
#include "mailbox_policy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_empty(void)
{
    struct kit k;
    kit_open(&k, "", "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        UNIT_INT(pn_policy_int(k.policy, "limits.message-size"), 50 * 1024 * 1024);
        UNIT_INT(pn_policy_int(k.policy, "timeouts.next-hop.data-end"), 600000);
        UNIT_TRUE(!pn_policy_bool(k.policy, "events.sync"));
        UNIT_STR(pn_policy_str(k.policy, "replies.relay"), PN_STR("550 5.7.1 Relaying denied"));
        UNIT_TRUE(pn_policy_str(k.policy, "smtp.hostname").len > 0);
        UNIT_STR(pn_policy_str(k.policy, "smtp.authserv-id"),
                 pn_policy_str(k.policy, "smtp.hostname"));
        UNIT_STR(pn_policy_str(k.policy, "folders.spool"), PN_STR("/var/spool/postern"));
        UNIT_INT(pn_policy_listen_count(k.policy), 0);
        UNIT_TRUE(pn_policy_domain(k.policy, PN_STR("x.test")) == NULL);
        UNIT_TRUE(pn_policy_default_domain(k.policy) != NULL);
    }
    kit_close(&k);
}

static const char design[] = "listen  smtp 127.0.0.1:2525 { proxy from 127.0.0.0/8 }\n"
                             "listen  smtps [::1]:2465\n"
                             "tls     { certificate \"c.pem\"  key \"k.pem\" }   tls \"b.test\" { "
                             "certificate \"/b\" key \"/k\" }\n"
                             "resolver { forward 127.53.0.53:53, [::1]:53 }\n"
                             "limits { message-size 10m ; exempt 10.0.0.0/8\n exempt 192.0.2.7 }\n"
                             "queue { retry 1s 2s, 3s }\n"
                             "plugins { alpha  beta  gamma { on_failure skip } }\n"
                             "domain \"dest.test\" {\n"
                             "    recipients any\n"
                             "    route     smtp 127.0.0.1:2600\n"
                             "    junk      at 6\n"
                             "    reject    at 15  \"550 5.7.1 Message refused as spam\"\n"
                             "    on        DMARC_REJECT  weight 6\n"
                             "    allow     from \"*@partner.example\" if dmarc pass\n"
                             "}\n";

/* Files that are named need not be there in this test. */
static struct pn_str without_files(struct kit *k)
{
    struct pn_str all = kit_problems(k), line;
    while (all.p != NULL) {
        line = pn_str_split(&all, '\n');
        if (line.len != 0 && !pn_str_ends(line, PN_STR("expected a file")))
            return line;
    }
    return PN_STR("");
}

static void test_listen(void)
{
    static const char text[] = "listen smtp 127.0.0.1:2525 { proxy from 127.0.0.0/8, ::1 }\n"
                               "listen smtp 127.0.0.1:2526\n"
                               "listen smtps [::1]:2465 proxy from 10.0.0.0/8\n"
                               "listen admin 127.0.0.1:2580\n"
                               "tls { certificate /dev/null key /dev/null }";
    static const struct {
        const char *label, *ip;
        enum pn_listen_kind kind;
        uint16_t port;
        uint32_t proxies;
    } rows[] = {
        {"with a block", "127.0.0.1", PN_LISTEN_SMTP, 2525, 2},
        {"bare, the same kind again", "127.0.0.1", PN_LISTEN_SMTP, 2526, 0},
        {"IPv6, rows on the line", "::1", PN_LISTEN_SMTPS, 2465, 1},
        {"last kind", "127.0.0.1", PN_LISTEN_ADMIN, 2580, 0},
    };
    struct kit k;
    kit_open(&k, text, "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL && pn_policy_listen_count(k.policy) == 4);
    for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_listen got;
        char ip[PN_IP_TEXT_MAX];
        unit_row(rows[i].label);
        pn_policy_listen(k.policy, i, &got);
        UNIT_INT(got.kind, rows[i].kind);
        UNIT_INT(got.port, rows[i].port);
        UNIT_INT(got.proxy_count, rows[i].proxies);
        UNIT_STR(pn_str_of(pn_ip_text(&got.ip, ip)), pn_str_of(rows[i].ip));
    }
    if (k.policy != NULL) {
        struct pn_ip client;
        UNIT_TRUE(pn_ip_parse(PN_STR("127.9.9.9"), &client));
        struct pn_net net = pn_policy_listen_proxy(k.policy, 0, 0);
        UNIT_TRUE(pn_net_has(&net, &client));
        net = pn_policy_listen_proxy(k.policy, 0, 1);
        UNIT_TRUE(!pn_net_has(&net, &client));
    }
    kit_close(&k);
}

static void test_design_example(void)
{
    struct kit k;
    kit_open(&k, design, "");
    UNIT_STR(without_files(&k), PN_STR(""));
    UNIT_INT(k.problems.errors, 4);
    kit_close(&k);
}

static void test_lists(void)
{
    struct kit k;
    struct pn_str s;
    struct pn_net net;
    int64_t ms;
    kit_open(&k,
             "resolver { forward 127.53.0.53:53,\n  [::1]:53 timeout 2s }\n"
             "limits { message-size 10m ; exempt 10.0.0.0/8\n exempt 192.0.2.7 }\n"
             "queue { retry 1s 2s, 3s expire 1d }",
             "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL);
    if (k.policy != NULL) {
        UNIT_TRUE(pn_policy_str_at(k.policy, "resolver.forward", 1, &s));
        UNIT_STR(s, PN_STR("[::1]:53"));
        UNIT_TRUE(!pn_policy_str_at(k.policy, "resolver.forward", 2, &s));
        UNIT_INT(pn_policy_int(k.policy, "resolver.timeout"), 2000);
        UNIT_TRUE(pn_policy_net_at(k.policy, "limits.exempt", 1, &net) && net.bits == 128);
        UNIT_TRUE(!pn_policy_net_at(k.policy, "limits.exempt", 2, &net));
        UNIT_TRUE(pn_policy_int_at(k.policy, "queue.retry", 2, &ms) && ms == 3000);
        UNIT_TRUE(!pn_policy_int_at(k.policy, "queue.retry", 3, &ms));
        UNIT_INT(pn_policy_int(k.policy, "queue.expire"), 86400000);
        UNIT_STR(pn_policy_str(k.policy, "resolver.dns-file"), PN_STR(""));
    }
    kit_close(&k);
}

/* What each plugin may change: the header where nothing is said. */
static void test_edits_granted(void)
{
    static const struct {
        const char *conf;
        unsigned want;
    } rows[] = {
        {"plugins { alpha }", PN_EDITS_HEADERS},
        {"plugins { alpha { edits none } }", 0},
        {"plugins { alpha { edits body } }", PN_EDITS_BODY},
        {"plugins { alpha { edits recipients sender } }", PN_EDITS_RECIPIENTS | PN_EDITS_SENDER},
        {"plugins { alpha { edits headers body recipients sender } }", PN_EDITS_ALL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        unit_row(rows[i].conf);
        kit_open(&k, rows[i].conf, "");
        UNIT_STR(kit_problems(&k), PN_STR(""));
        if (k.policy != NULL)
            UNIT_INT(pn_plugin_edits(pn_policy_plugin(k.policy, 0)), rows[i].want);
        kit_close(&k);
    }
}

static void test_plan(void)
{
    static const struct {
        const char *name;
        unsigned rank, group, stages, on_failure;
        uint32_t deadline;
        bool alone;
    } rows[] = {
        {"gamma", 0, 0, 1U << POSTERN_MESSAGE, POSTERN_FAIL_SKIP, 5000, false},
        {"alpha", 0, 1, 1U << POSTERN_MAIL | 1U << POSTERN_MESSAGE, POSTERN_FAIL_DEFER, 700, false},
        {"beta", 1, 1, 1U << POSTERN_MESSAGE, POSTERN_FAIL_SKIP, 1500, false},
    };
    struct kit k;
    kit_open(&k, "plugins { beta gamma { on_failure skip } alpha { deadline 700ms } }", "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_TRUE(k.policy != NULL && pn_policy_plugin_count(k.policy) == 3);
    for (size_t i = 0; k.policy != NULL && i < 3; i++) {
        const struct pn_plugin_row *row = pn_policy_plugin(k.policy, i);
        unit_row(rows[i].name);
        UNIT_STR(pn_plugin_name(row), pn_str_of(rows[i].name));
        UNIT_INT(pn_plugin_rank(row), rows[i].rank);
        UNIT_INT(pn_plugin_group(row), rows[i].group);
        UNIT_INT(pn_plugin_stages(row), rows[i].stages);
        UNIT_INT(pn_plugin_on_failure(row), rows[i].on_failure);
        UNIT_INT(pn_plugin_deadline_ms(row), rows[i].deadline);
        UNIT_INT(pn_plugin_alone(row), rows[i].alone);
        UNIT_INT(pn_plugin_methods(row), i == 2 ? PN_METHOD_IPREV : 0);
    }
    if (k.policy != NULL) {
        UNIT_INT(pn_policy_group_count(k.policy), 2);
        UNIT_STR(pn_plugin_file(pn_policy_plugin(k.policy, 1)), PN_STR("/plugins/alpha.so"));
        UNIT_INT(pn_plugin_needs(pn_policy_plugin(k.policy, 1)), POSTERN_NEED_DNS);
    }
    kit_close(&k);
}

/* RCPT is named by no row: it is always there. */
static void test_stages_by_setting(void)
{
    enum {
        CONNECT = 1U << POSTERN_CONNECT,
        HELO = 1U << POSTERN_HELO,
        MAIL = 1U << POSTERN_MAIL,
        RCPT = 1U << POSTERN_RCPT,
        HEADERS = 1U << POSTERN_HEADERS,
        MESSAGE = 1U << POSTERN_MESSAGE
    };
    static const struct {
        const char *text;
        unsigned want;
    } rows[] = {
        {"plugins { staged }", RCPT},
        {"plugins { staged { mode quick } }", RCPT},
        {"plugins { staged { mode whole } }", RCPT | HEADERS},
        {"plugins { staged { look \"a\" } }", RCPT | MAIL},
        {"plugins { staged { look \"a\" of client } }", RCPT | MAIL},
        {"plugins { staged { look \"a\" of helo } }", RCPT | HELO},
        {"plugins { staged { look \"a\" of client, links, helo } }", RCPT | HELO | MESSAGE},
        {"plugins { staged { look \"a\" { at first of helo, links } } }", RCPT | CONNECT},
        {"plugins { staged { look \"a\" at last  look \"b\" of helo  look \"c\" } }",
         RCPT | MESSAGE | HELO | MAIL},
        {"plugins { staged { mode whole  look \"a\" at first } }", RCPT | HEADERS | CONNECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        unit_row(rows[i].text);
        kit_open(&k, rows[i].text, "");
        UNIT_STR(kit_problems(&k), PN_STR(""));
        if (k.policy != NULL)
            UNIT_INT(pn_plugin_stages(pn_policy_plugin(k.policy, 0)), rows[i].want);
        kit_close(&k);
    }
}

static void test_groups(void)
{
    static const struct {
        const char *text;
        size_t want;
    } rows[] = {
        {"", 0},
        {"plugins { alpha }", 1},
        {"plugins { alpha beta }", 1},
        {"plugins { alpha beta { workers { alone yes } } }", 2},
        {"plugins { alpha beta gamma }", 2},
        {"plugins { alpha netty { grant network } beta }", 2},
        {"plugins { alpha twin }", 1},
        {"plugins { alpha twin { engine own } }", 1},
        {"plugins { alpha twin { engine lone } }", 2},
        {"plugins { alpha twin { engine remote  grant network } }", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        unit_row(rows[i].text);
        kit_open(&k, rows[i].text, "");
        UNIT_STR(kit_problems(&k), PN_STR(""));
        UNIT_INT(k.policy == NULL ? 99 : pn_policy_group_count(k.policy), rows[i].want);
        kit_close(&k);
    }
}

static const struct postern_block *settings(struct kit *k, const char *text)
{
    kit_open(k, text, "");
    UNIT_STR(kit_problems(k), PN_STR(""));
    UNIT_TRUE(k->policy != NULL);
    return k->policy == NULL ? NULL : pn_plugin_settings(k->policy, pn_policy_plugin(k->policy, 0));
}

static struct pn_str as_str(struct postern_str s)
{
    return (struct pn_str){s.p, s.len};
}

static void test_block_values(void)
{
    struct kit k;
    const struct postern_block *b = settings(
        &k, "plugins { alpha {\n word \"a \\\"b\\\" \\x41\\n\"\n words x, \"count\" count 7\n"
            " flag no size 64k wait 1h30m load -1.25 peer 192.0.2.1\n"
            " nets 10.0.0.0/8 2001:db8::/32\n mode fast } }");
    struct postern_str s;
    int64_t n;
    int flag;
    unsigned char ip[16];
    unsigned bits;
    if (b != NULL) {
        UNIT_INT(pn_block_str(b, "word", 0, &s), POSTERN_OK);
        UNIT_STR(as_str(s), PN_STR("a \"b\" A\n"));
        UNIT_INT(pn_block_count(b, "words"), 2);
        UNIT_INT(pn_block_str(b, "words", 1, &s), POSTERN_OK);
        UNIT_STR(as_str(s), PN_STR("count"));
        UNIT_INT(pn_block_str(b, "words", 2, &s), POSTERN_NONE);
        UNIT_TRUE(pn_block_int(b, "count", 0, &n) == POSTERN_OK && n == 7);
        UNIT_TRUE(pn_block_bool(b, "flag", &flag) == POSTERN_OK && flag == 0);
        UNIT_TRUE(pn_block_int(b, "size", 0, &n) == POSTERN_OK && n == 65536);
        UNIT_TRUE(pn_block_int(b, "wait", 0, &n) == POSTERN_OK && n == 5400000);
        UNIT_TRUE(pn_block_int(b, "load", 0, &n) == POSTERN_OK && n == -1250);
        UNIT_TRUE(pn_block_net(b, "peer", 0, ip, &bits) == POSTERN_OK && bits == 128);
        UNIT_TRUE(ip[11] == 0xff && ip[12] == 192 && ip[15] == 1);
        UNIT_TRUE(pn_block_net(b, "nets", 0, ip, &bits) == POSTERN_OK && bits == 104);
        UNIT_TRUE(pn_block_net(b, "nets", 1, ip, &bits) == POSTERN_OK && bits == 32);
        static const struct {
            const char *row, *ip;
            int want;
        } clients[] = {
            {"nets", "10.255.255.255", POSTERN_OK}, {"nets", "11.0.0.0", POSTERN_NONE},
            {"nets", "2001:db8::1", POSTERN_OK},    {"nets", "2001:db9::1", POSTERN_NONE},
            {"peer", "192.0.2.1", POSTERN_OK},      {"peer", "192.0.2.2", POSTERN_NONE},
            {"word", "192.0.2.1", POSTERN_INVALID}, {"zone", "192.0.2.1", POSTERN_INVALID},
            {"none", "192.0.2.1", POSTERN_INVALID},
        };
        for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
            struct pn_ip client;
            UNIT_TRUE(pn_ip_parse(pn_str_of(clients[i].ip), &client));
            unit_row(clients[i].ip);
            UNIT_INT(pn_block_has_ip(b, clients[i].row, client.b), clients[i].want);
        }
        UNIT_INT(pn_block_int(b, "word", 0, &n), POSTERN_INVALID);
        UNIT_INT(pn_block_int(b, "flag", 0, &n), POSTERN_INVALID);
        UNIT_INT(pn_block_bool(b, "count", &flag), POSTERN_INVALID);
        UNIT_INT(pn_block_net(b, "word", 0, ip, &bits), POSTERN_INVALID);
        UNIT_TRUE(pn_block_str(b, "mode", 0, &s) == POSTERN_OK);
        UNIT_STR(as_str(s), PN_STR("fast"));
        UNIT_INT(pn_block_str(b, "nothing", 0, &s), POSTERN_INVALID);
        UNIT_INT(pn_block_str(b, "zone", 0, &s), POSTERN_INVALID);
        UNIT_STR(as_str(pn_block_where(b, "count", 0)), PN_STR("t.conf:3:25"));
    }
    kit_close(&k);
}

static void test_block_defaults(void)
{
    struct kit k;
    const struct postern_block *b = settings(&k, "plugins { alpha }"), *inner;
    struct postern_str s;
    int64_t n;
    int flag;
    if (b != NULL) {
        UNIT_TRUE(pn_block_str(b, "word", 0, &s) == POSTERN_OK);
        UNIT_STR(as_str(s), PN_STR("plain"));
        UNIT_STR(as_str(pn_block_where(b, "word", 0)), PN_STR("t.conf:1:11"));
        UNIT_INT(pn_block_count(b, "words"), 2);
        UNIT_TRUE(pn_block_bool(b, "flag", &flag) == POSTERN_OK && flag == 1);
        UNIT_INT(pn_block_int(b, "size", 0, &n), POSTERN_NONE);
        UNIT_INT(pn_block_count(b, "zone"), 0);
        UNIT_INT(pn_block_block(b, "zone", 0, &inner), POSTERN_NONE);
        UNIT_INT(pn_block_block(b, "word", 0, &inner), POSTERN_INVALID);
        UNIT_INT(pn_block_block(b, "login", 0, &inner), POSTERN_NONE);
        UNIT_INT(pn_block_block(b, "cache", 0, &inner), POSTERN_OK);
        UNIT_TRUE(pn_block_int(inner, "size", 0, &n) == POSTERN_OK && n == 1048576);
    }
    kit_close(&k);
}

static void test_block_nested(void)
{
    struct kit k;
    const struct postern_block *b = settings(
        &k, "plugins { alpha { zone \"z.test\" { code 127.0.0.2 weight 4 code 127.0.0.3 "
            "{ note \"n\" weight 5 } timeout 1s } zone y.test code 127.0.0.9 weight 1 } }");
    const struct postern_block *zone, *code;
    int64_t n;
    if (b != NULL) {
        UNIT_INT(pn_block_count(b, "zone"), 2);
        UNIT_INT(pn_block_block(b, "zone", 0, &zone), POSTERN_OK);
        UNIT_STR(as_str(pn_block_title(zone)), PN_STR("z.test"));
        UNIT_INT(pn_block_count(zone, "code"), 2);
        UNIT_INT(pn_block_block(zone, "code", 1, &code), POSTERN_OK);
        UNIT_STR(as_str(pn_block_title(code)), PN_STR("127.0.0.3"));
        UNIT_TRUE(pn_block_int(code, "weight", 0, &n) == POSTERN_OK && n == 5000);
        UNIT_TRUE(pn_block_int(zone, "timeout", 0, &n) == POSTERN_OK && n == 1000);
        UNIT_INT(pn_block_block(b, "zone", 1, &zone), POSTERN_OK);
        UNIT_INT(pn_block_block(zone, "code", 0, &code), POSTERN_OK);
        UNIT_TRUE(pn_block_int(code, "weight", 0, &n) == POSTERN_OK && n == 1000);
        UNIT_TRUE(pn_block_int(zone, "timeout", 0, &n) == POSTERN_OK && n == 2000);
    }
    kit_close(&k);
}

static void test_domains(void)
{
    static const char text[] =
        "defaults { recipients any route lmtp [::1]:24 }\n"
        "domain \"Dest.test\" { route smtp 127.0.0.1:2600 recipients verify }\n"
        "domain \".sub.test\" { }\n"
        "domain x.sub.test { route local mixed split }";
    static const struct {
        const char *domain, *host;
        bool want;
        enum pn_route_kind route;
    } rows[] = {
        {"dest.test", "127.0.0.1:2600", true, PN_ROUTE_SMTP},
        {"DEST.TEST", "127.0.0.1:2600", true, PN_ROUTE_SMTP},
        {"a.dest.test", "", false, PN_ROUTE_LOCAL},
        {"sub.test", "", false, PN_ROUTE_LOCAL},
        {".sub.test", "", false, PN_ROUTE_LOCAL},
        {"a.sub.test", "[::1]:24", true, PN_ROUTE_LMTP},
        {"a.b.sub.test", "[::1]:24", true, PN_ROUTE_LMTP},
        {"x.sub.test", "", true, PN_ROUTE_LOCAL},
        {"y.x.sub.test", "[::1]:24", true, PN_ROUTE_LMTP},
        {"", "", false, PN_ROUTE_LOCAL},
        {"test", "", false, PN_ROUTE_LOCAL},
    };
    struct kit k;
    kit_open(&k, text, "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        const struct pn_domain *d = pn_policy_domain(k.policy, pn_str_of(rows[i].domain));
        struct pn_route route;
        unit_row(rows[i].domain);
        UNIT_INT(d != NULL, rows[i].want);
        if (d == NULL)
            continue;
        pn_domain_route(k.policy, d, &route);
        UNIT_INT(route.kind, rows[i].route);
        UNIT_STR(route.host, pn_str_of(rows[i].host));
    }
    if (k.policy != NULL) {
        const struct pn_domain *a = pn_policy_domain(k.policy, PN_STR("dest.test"));
        const struct pn_domain *b = pn_policy_domain(k.policy, PN_STR("x.sub.test"));
        UNIT_INT(pn_domain_recipients(a), PN_RCPT_VERIFY);
        UNIT_INT(pn_domain_recipients(b), PN_RCPT_ANY);
        UNIT_TRUE(!pn_domain_mixed_split(a) && pn_domain_mixed_split(b));
    }
    kit_close(&k);
}

/* Each setting by itself: the domain's, one above it, the top. */
static void test_mailboxes(void)
{
    static const char text[] =
        "mailbox { quota 2g folders { sent Gesendet } }\n"
        "domain a.test { recipients any mailbox { quota 3g over-quota reject } }\n"
        "domain .b.test { recipients any\n mailbox { quota-messages 7 folders { junk Spam } } }\n"
        "domain c.test { recipients any mailbox { quota 0 tag-folders yes } }\n"
        "domain d.test { recipients any }\n"
        "domain \"b\xc3\xbc"
        "cher.test\" { recipients any mailbox { quota 1k } }\n";
    static const struct {
        const char *user;
        uint64_t bytes, messages;
        const char *where, *messages_where;
        bool rejects, tags;
        const char *junk, *sent;
    } rows[] = {
        {"u@a.test", 3 << 10, 0, "t.conf:2:48", "", true, false, "Junk", "Gesendet"},
        {"u@A.Test", 3 << 10, 0, "t.conf:2:48", "", true, false, "Junk", "Gesendet"},
        {"u@x.b.test", 2 << 10, 7, "t.conf:1:17", "t.conf:4:27", false, false, "Spam", "Gesendet"},
        {"u@b.test", 2 << 10, 0, "t.conf:1:17", "", false, false, "Junk", "Gesendet"},
        {"u@c.test", 0, 0, "t.conf:5:48", "", false, true, "Junk", "Gesendet"},
        {"u@d.test", 2 << 10, 0, "t.conf:1:17", "", false, false, "Junk", "Gesendet"},
        {"u@xn--bcher-kva.test", 0, 0, "t.conf:7:55", "", false, false, "Junk", "Gesendet"},
        {"u@elsewhere.test", 2 << 10, 0, "t.conf:1:17", "", false, false, "Junk", "Gesendet"},
        {"u", 2 << 10, 0, "t.conf:1:17", "", false, false, "Junk", "Gesendet"},
        {"u@", 2 << 10, 0, "t.conf:1:17", "", false, false, "Junk", "Gesendet"},
        {"", 2 << 10, 0, "t.conf:1:17", "", false, false, "Junk", "Gesendet"},
        {"a@b@a.test", 3 << 10, 0, "t.conf:2:48", "", true, false, "Junk", "Gesendet"},
    };
    struct kit k;
    kit_open(&k, text, "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_mailbox_policy m;
        unit_row(rows[i].user);
        pn_policy_mailbox_of(k.policy, pn_str_of(rows[i].user), &m);
        UNIT_INT(m.bytes.value >> 20, rows[i].bytes);
        UNIT_INT(m.messages.value, rows[i].messages);
        UNIT_STR(m.bytes.where, pn_str_of(rows[i].where));
        UNIT_STR(m.messages.where, pn_str_of(rows[i].messages_where));
        UNIT_INT(m.full_rejects, rows[i].rejects);
        UNIT_INT(m.tag_folders, rows[i].tags);
        UNIT_STR(m.folders[PN_FOLDER_OF_JUNK], pn_str_of(rows[i].junk));
        UNIT_STR(m.folders[PN_FOLDER_OF_SENT], pn_str_of(rows[i].sent));
        UNIT_STR(m.folders[PN_FOLDER_OF_TRASH], PN_STR("Trash"));
    }
    UNIT_TRUE(pn_domain_has_quota(k.policy, pn_policy_domain(k.policy, PN_STR("d.test"))));
    UNIT_TRUE(!pn_domain_has_quota(k.policy, pn_policy_domain(k.policy, PN_STR("c.test"))));
    UNIT_TRUE(pn_domain_has_quota(k.policy, NULL));
    kit_close(&k);
}

static void test_groups_of_domains(void)
{
    static const char text[] = "plugins { alpha beta }\n"
                               "defaults { recipients any junk at 6 plugins off beta }\n"
                               "domain a.test { }\n"
                               "domain b.test { route smtp 127.0.0.1:1 }\n"
                               "domain c.test { junk at 6 }\n"
                               "domain d.test { junk at 7 }\n"
                               "domain e.test { on X weight 1 deny from \"*@z.test\" }\n"
                               "domain f.test { deny from \"*@z.test\" on X weight 1 }\n"
                               "domain g.test { on X weight 2 deny from \"*@z.test\" }\n"
                               "domain h.test { plugins on beta }\n"
                               "domain i.test { plugins off alpha plugins on beta }\n";
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"a.test", "b.test", true},  {"a.test", "c.test", true},  {"a.test", "d.test", false},
        {"e.test", "f.test", true},  {"e.test", "g.test", false}, {"a.test", "e.test", false},
        {"a.test", "h.test", false}, {"h.test", "i.test", false},
    };
    struct kit k;
    kit_open(&k, text, "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].b);
        UNIT_INT(pn_domain_group(pn_policy_domain(k.policy, pn_str_of(rows[i].a))) ==
                     pn_domain_group(pn_policy_domain(k.policy, pn_str_of(rows[i].b))),
                 rows[i].same);
    }
    if (k.policy != NULL) {
        const struct pn_domain *a = pn_policy_domain(k.policy, PN_STR("a.test"));
        const struct pn_domain *i = pn_policy_domain(k.policy, PN_STR("i.test"));
        UNIT_TRUE(pn_domain_wants_plugin(k.policy, a, 0) &&
                  !pn_domain_wants_plugin(k.policy, a, 1));
        UNIT_TRUE(!pn_domain_wants_plugin(k.policy, i, 0) &&
                  pn_domain_wants_plugin(k.policy, i, 1));
    }
    kit_close(&k);
}

static void test_generation(void)
{
    struct kit a, b, c;
    kit_open(&a, design + 0, "");
    kit_close(&a);
    kit_open(&a, "budget 3s domain x.test { recipients any }", "");
    kit_open(&b, "budget 3s domain x.test { recipients any }", "");
    kit_open(&c, "budget 4s domain x.test { recipients any }", "");
    UNIT_TRUE(a.policy != NULL && b.policy != NULL && c.policy != NULL);
    if (a.policy != NULL && b.policy != NULL && c.policy != NULL) {
        UNIT_STR(pn_buf_str(&a.image), pn_buf_str(&b.image));
        UNIT_STR(pn_policy_generation(a.policy), pn_policy_generation(b.policy));
        UNIT_TRUE(!pn_str_eq(pn_policy_generation(a.policy), pn_policy_generation(c.policy)));
    }
    kit_close(&a);
    kit_close(&b);
    kit_close(&c);
}

/* A mapping that could still change, or that is cut, is refused. */
static void test_open(void)
{
    static const struct {
        const char *label;
        int seals;
        size_t cut;
        bool want;
    } rows[] = {
        {"sealed", F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, 0, true},
        {"not sealed", 0, 0, false},
        {"can be written", F_SEAL_SHRINK | F_SEAL_GROW, 0, false},
        {"can shrink", F_SEAL_WRITE | F_SEAL_GROW, 0, false},
        {"one byte short", F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, 1, false},
        {"empty", F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, SIZE_MAX, false},
    };
    struct kit k;
    kit_open(&k, "domain x.test { recipients any }", "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        size_t n = rows[i].cut > k.image.len ? 0 : k.image.len - rows[i].cut;
        int fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC);
        unit_row(rows[i].label);
        pn_buf_init(&err, 1000);
        UNIT_TRUE(fd >= 0 && (n == 0 || write(fd, k.image.p, n) == (ssize_t)n));
        UNIT_INT(fcntl(fd, F_ADD_SEALS, rows[i].seals), 0);
        struct pn_policy *p = pn_policy_open(fd, &err);
        UNIT_INT(p != NULL, rows[i].want);
        UNIT_INT(err.len == 0, rows[i].want);
        UNIT_INT(fcntl(fd, F_GETFD), -1);
        if (p != NULL) {
            struct pn_policy *again = pn_policy_ref(p);
            pn_policy_unref(&p);
            UNIT_TRUE(p == NULL && pn_policy_domain(again, PN_STR("x.test")) != NULL);
            pn_policy_unref(&again);
        }
        pn_buf_fini(&err);
    }
    kit_close(&k);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"empty", test_empty},
        {"design example", test_design_example},
        {"listen", test_listen},
        {"lists", test_lists},
        {"edits granted", test_edits_granted},
        {"plan", test_plan},
        {"stages by setting", test_stages_by_setting},
        {"groups", test_groups},
        {"block values", test_block_values},
        {"block defaults", test_block_defaults},
        {"block nested", test_block_nested},
        {"domains", test_domains},
        {"mailboxes", test_mailboxes},
        {"groups of domains", test_groups_of_domains},
        {"generation", test_generation},
        {"open", test_open},
        {NULL, NULL},
    };
    return unit_main("policy", tests, argc, argv);
}
