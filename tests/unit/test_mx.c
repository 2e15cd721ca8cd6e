#include "unit.h"

#include "mx.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 12, TEXT_MAX = 80 };

/* "10 a.test, 20 b.test" as the answer that the resolver would give: sorted. */
struct list {
    unsigned char bytes[LIST_MAX][TEXT_MAX];
    struct pn_dns_record records[LIST_MAX];
    struct pn_dns_answer answer;
};

static void list_of(struct list *l, uint16_t rcode, const char *text)
{
    unsigned preference;
    char name[TEXT_MAX - 2];
    int used;
    *l = (struct list){.answer = {.rcode = rcode, .records = l->records}};
    for (uint32_t n = 0; sscanf(text, "%u %70[^,]%n", &preference, name, &used) == 2; n++) {
        l->bytes[n][0] = (unsigned char)(preference >> 8);
        l->bytes[n][1] = (unsigned char)preference;
        memcpy(l->bytes[n] + 2, name, strlen(name));
        l->records[n] = (struct pn_dns_record){300, {(const char *)l->bytes[n], 2 + strlen(name)}};
        l->answer.count = n + 1;
        text += used + (text[used] == ',');
    }
    l->answer.count = pn_dns_sort(l->records, l->answer.count);
}

static void test_list(void)
{
    static const struct {
        const char *label;
        uint16_t rcode;
        const char *list, *want; /* hosts in order */
        uint16_t code;           /* with no address of any known; 0: the domain is asked */
        const char *text;
    } rows[] = {
        {"by preference", 0, "20 b.test,10 c.test,300 a.test", "c.test b.test a.test", 550,
         "5.4.4 None of the domain's mail servers has an address that mail can go to"},
        {"none", 0, "", "", 0, ""},
        {"null MX", 0, "0 .", "", 556, "5.1.10 The domain takes no mail"},
        {"no domain", PN_DNS_NXDOMAIN, "", "", 550, "5.1.2 There is no such domain"},
        {"not now", PN_DNS_SERVFAIL, "", "", 451,
         "4.4.3 The next hop's name can't be resolved now"},
        {"no answer", PN_DNS_TIMEOUT, "", "", 451,
         "4.4.3 The next hop's name can't be resolved now"},
        {"we are first", 0, "10 US.test,20 b.test", "", 554,
         "5.4.6 The domain's mail comes to this server, which does not know it: it would go round "
         "in a loop"},
        {"we are second", 0, "10 a.test,20 us.test.,30 c.test", "a.test", 554,
         "5.4.6 The domain's mail comes to this server, which does not know it: it would go round "
         "in a loop"},
        {"equal to us", 0, "10 a.test,20 b.test,20 us.test,20 z.test", "a.test", 554,
         "5.4.6 The domain's mail comes to this server, which does not know it: it would go round "
         "in a loop"},
        {"more than are asked for", 0, "1 a,2 b,3 c,4 d,5 e,6 f,7 g,8 h,9 i,10 j",
         "a b c d e f g h", 550,
         "5.4.4 None of the domain's mail servers has an address that mail can go to"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct list l;
        struct mx mx = {.seed = 1};
        struct pn_str names[MX_HOSTS_MAX];
        struct pn_buf got;
        unit_row(rows[i].label);
        pn_buf_init(&got, 1000);
        list_of(&l, rows[i].rcode, rows[i].list);
        unsigned n = mx_list(&mx, &l.answer, PN_STR("us.test"), names);
        for (unsigned k = 0; k < n; k++)
            (void)pn_buf_addf(&got, "%s%.*s", k == 0 ? "" : " ", PN_FMT(names[k]));
        UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
        UNIT_INT(!mx.listed && !mx.missing && !mx.unsure, rows[i].code == 0);
        if (rows[i].code != 0) {
            struct mx_refusal no = mx_refusal(&mx);
            UNIT_INT(no.code, rows[i].code);
            UNIT_STR(pn_str_of(no.text), pn_str_of(rows[i].text));
        }
        pn_buf_fini(&got);
    }
}

/* Seeds in a row: each of the equal ones leads its share, none of the others ever. */
static void test_equal(void)
{
    enum { ROUNDS = 4000, EQUAL = 4 };
    struct list l;
    unsigned first[EQUAL] = {0};
    list_of(&l, 0, "10 a,10 b,10 c,10 d,20 e");
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct mx mx = {.seed = seed};
        struct pn_str names[MX_HOSTS_MAX], again[MX_HOSTS_MAX];
        UNIT_INT(mx_list(&mx, &l.answer, PN_STR("us.test"), names), 5);
        UNIT_STR(names[4], PN_STR("e"));
        first[names[0].p[0] - 'a']++;
        struct mx same = {.seed = seed};
        (void)mx_list(&same, &l.answer, PN_STR("us.test"), again);
        UNIT_TRUE(memcmp(names, again, sizeof(struct pn_str) * 5) == 0);
    }
    for (int i = 0; i < EQUAL; i++)
        UNIT_TRUE(first[i] > ROUNDS / EQUAL * 9 / 10 && first[i] < ROUNDS / EQUAL * 11 / 10);
}

static struct pn_ip ip_of(const char *text)
{
    struct pn_ip ip;
    UNIT_TRUE(pn_ip_parse(pn_str_of(text), &ip));
    return ip;
}

static void print(struct pn_buf *out, const struct mx *mx, size_t max)
{
    struct mx_address ips[100];
    size_t n = mx_addresses(mx, ips, max);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            (void)pn_buf_addc(out, ' ');
        pn_ip_print(out, &ips[i].ip);
    }
}

static void test_addresses(void)
{
    static const struct {
        const char *label;
        const char *ips[3][6]; /* of hosts a, b, c with preferences 10, 20, 20 */
        int ours, unsure;      /* a host, or -1 */
        size_t max;
        const char *want;
        uint16_t code; /* of the refusal, if there is none */
    } rows[] = {
        {"IPv6 first", {{"192.0.2.1", "2001:db8::1"}}, -1, -1, 16, "2001:db8::1 192.0.2.1", 0},
        {"host by host",
         {{"192.0.2.1"}, {"2001:db8::2"}, {NULL}},
         -1,
         -1,
         16,
         "192.0.2.1 2001:db8::2",
         0},
        {"as many as are asked for",
         {{"192.0.2.1", "2001:db8::1"}, {"192.0.2.2"}},
         -1,
         -1,
         2,
         "2001:db8::1 192.0.2.1",
         0},
        {"the second is ours, and so ends it",
         {{"192.0.2.1"}, {"192.0.2.2"}, {"192.0.2.3"}},
         1,
         -1,
         16,
         "192.0.2.1",
         0},
        {"the third is ours: its equal goes too",
         {{"192.0.2.1"}, {"192.0.2.2"}, {"192.0.2.3"}},
         2,
         -1,
         16,
         "192.0.2.1",
         0},
        {"the first is ours", {{"192.0.2.1"}, {"192.0.2.2"}}, 0, -1, 16, "", 554},
        {"who is behind us may be unknown", {{"192.0.2.1"}}, 0, 1, 16, "", 554},
        {"who is before us may not", {{NULL}, {"192.0.2.2"}}, 1, 0, 16, "", 451},
        {"one is not known, one is not there", {{NULL}}, -1, 2, 16, "", 451},
        {"none is there", {{NULL}}, -1, -1, 16, "", 550},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mx mx = {.seed = 1};
        struct list l;
        struct pn_str names[MX_HOSTS_MAX];
        struct pn_buf got;
        unit_row(rows[i].label);
        pn_buf_init(&got, 1000);
        list_of(&l, 0, "10 a,20 b,20 c");
        UNIT_INT(mx_list(&mx, &l.answer, PN_STR("us.test"), names), 3);
        for (unsigned h = 0; h < 3; h++) {
            unsigned row = (unsigned)(names[h].p[0] - 'a');
            for (int k = 0; k < 6 && rows[i].ips[row][k] != NULL; k++) {
                struct pn_ip ip = ip_of(rows[i].ips[row][k]);
                mx_add(&mx, h, &ip);
            }
            mx.hosts[h].ours = (int)row == rows[i].ours;
            mx.hosts[h].unsure = (int)row == rows[i].unsure;
        }
        print(&got, &mx, rows[i].max);
        UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
        if (rows[i].code != 0)
            UNIT_INT(mx_refusal(&mx).code, rows[i].code);
        pn_buf_fini(&got);
    }
}

/* A host with many: families in turn, and every address leads at times. */
static void test_many(void)
{
    enum { ADDRESSES = 9, ROUNDS = 900 };
    unsigned first[ADDRESSES] = {0};
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct mx mx = {.seed = seed};
        struct mx_address ips[100];
        UNIT_TRUE(mx_alone(&mx, PN_STR("a.test"), PN_STR("us.test")));
        for (unsigned i = 0; i < ADDRESSES; i++) {
            struct pn_ip four = ip_of("192.0.2.0"), six = ip_of("2001:db8::");
            four.b[15] = six.b[15] = (unsigned char)i;
            mx_add(&mx, 0, &four);
            mx_add(&mx, 0, &six);
        }
        UNIT_INT(mx_addresses(&mx, ips, 100), 2 * MX_FAMILY_MAX);
        for (unsigned i = 0; i < 2 * MX_FAMILY_MAX; i++) {
            UNIT_INT(pn_ip_is_v4(&ips[i].ip), i % 2);
            for (unsigned k = 0; k < i; k++)
                UNIT_TRUE(!pn_ip_eq(&ips[i].ip, &ips[k].ip));
        }
        first[ips[0].ip.b[15]]++;
    }
    for (int i = 0; i < ADDRESSES; i++)
        UNIT_TRUE(first[i] > ROUNDS / ADDRESSES / 2);
}

static void test_alone(void)
{
    struct mx mx = {.seed = 1};
    UNIT_TRUE(!mx_alone(&mx, PN_STR("Us.test."), PN_STR("us.test")));
    UNIT_INT(mx_refusal(&mx).code, 554);
    UNIT_TRUE(mx_alone(&mx, PN_STR("a.test"), PN_STR("us.test")));
    UNIT_STR(pn_str_of(mx_refusal(&mx).text), PN_STR("5.1.2 The domain has no mail server"));
}

static void test_literal(void)
{
    static const struct {
        const char *domain, *want; /* NULL: none */
        bool may_go;
    } rows[] = {
        {"[192.0.2.1]", "192.0.2.1", true},
        {"[IPv6:2001:db8::1]", "2001:db8::1", true},
        {"[ipv6:2001:DB8::1]", "2001:db8::1", true},
        {"[127.0.0.1]", "127.0.0.1", false},
        {"[IPv6:::1]", "::1", false},
        {"[224.0.0.1]", "224.0.0.1", false},
        {"[0.0.0.0]", "0.0.0.0", false},
        {"[2001:db8::1]", NULL, false},
        {"[IPv6:192.0.2.1]", NULL, false},
        {"192.0.2.1", NULL, false},
        {"[192.0.2.1", NULL, false},
        {"[192.0.2.1]:25", NULL, false},
        {"[192.0.2.256]", NULL, false},
        {"[IPv6:]", NULL, false},
        {"[]", NULL, false},
        {"[", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_ip ip;
        unit_row(rows[i].domain);
        bool is = mx_literal(pn_str_of(rows[i].domain), &ip);
        UNIT_INT(is, rows[i].want != NULL);
        if (!is || rows[i].want == NULL)
            continue;
        struct pn_ip want = ip_of(rows[i].want);
        UNIT_TRUE(pn_ip_eq(&ip, &want));
        UNIT_INT(mx_may_go(&ip), rows[i].may_go);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"list", test_list}, {"equal", test_equal}, {"addresses", test_addresses},
        {"many", test_many}, {"alone", test_alone}, {"literal", test_literal},
        {NULL, NULL}};
    return unit_main("mx", tests, argc, argv);
}
