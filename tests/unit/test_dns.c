#include "unit.h"

#include "dnsfile.h"
#include "net.h"

/* ---- names ---- */

static void test_name(void)
{
    char label63[64], label64[65], max[254], over[256];
    memset(label63, 'a', 63), label63[63] = '\0';
    memset(label64, 'a', 64), label64[64] = '\0';
    for (size_t i = 0; i < sizeof over; i++)
        over[i] = i % 64 == 63 ? '.' : 'b';
    memcpy(max, over, 253), max[253] = '\0';
    over[254] = '\0';
    const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"", NULL},
        {".", ""},
        {"a", "a"},
        {"A.Example.", "a.example"},
        {"a..b", NULL},
        {".a", NULL},
        {"a..", NULL},
        {"a b.c", "a\\032b.c"},
        {"a\\.b.c", "a\\.b.c"},
        {"a\\\\.c", "a\\\\.c"},
        {"\\097.\\065", "a.a"},
        {"a\\", NULL},
        {"a\\25", NULL},
        {"a\\256", NULL},
        {"\xff.x", "\\255.x"},
        {"_dmarc.x", "_dmarc.x"},
        {label63, label63},
        {label64, NULL},
        {max, max},
        {over, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char wire[PN_DNS_NAME_MAX];
        struct pn_str text = pn_str_of(rows[i].text);
        unit_row(rows[i].text);
        size_t len = pn_dns_name_to_wire(text, wire);
        UNIT_INT(len != 0, rows[i].want != NULL);
        UNIT_INT(pn_dns_name_ok(text), rows[i].want != NULL && rows[i].want[0] != '\0');
        if (len == 0 || rows[i].want == NULL)
            continue;
        struct pn_buf out;
        pn_buf_init(&out, 4 * PN_DNS_NAME_MAX);
        pn_dns_name_to_text(&out, wire);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
    }
}

static void test_undotted(void)
{
    static const struct {
        const char *text, *want;
    } rows[] = {{"", ""},       {".", ""},          {"a", "a"},          {"a.", "a"},
                {"a..", "a."},  {"a\\.", "a\\."},   {"a\\\\.", "a\\\\"}, {"a\\\\\\.", "a\\\\\\."},
                {"\\.", "\\."}, {"a.b.c.", "a.b.c"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text);
        UNIT_STR(pn_dns_name_undotted(pn_str_of(rows[i].text)), pn_str_of(rows[i].want));
    }
}

static void test_reverse(void)
{
    static const struct {
        const char *ip, *suffix, *want;
    } rows[] = {
        {"192.0.2.7", "", "7.2.0.192.in-addr.arpa"},
        {"::ffff:192.0.2.7", "bl.test", "7.2.0.192.bl.test"},
        {"2001:db8::1", "bl.test",
         "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test"},
        {"::1", "", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_ip ip;
        struct pn_buf out;
        unit_row(rows[i].ip);
        UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].ip), &ip));
        pn_buf_init(&out, 256);
        pn_dns_reverse(&out, &ip, pn_str_of(rows[i].suffix));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
    }
}

static void test_words(void)
{
    uint16_t type = 0;
    UNIT_TRUE(pn_dns_type_of(PN_STR("txt"), &type) && type == PN_DNS_TXT);
    UNIT_TRUE(!pn_dns_type_of(PN_STR("TX"), &type));
    UNIT_STR(pn_str_of(pn_dns_type_name(PN_DNS_AAAA)), PN_STR("AAAA"));
    UNIT_TRUE(pn_dns_type_name(99) == NULL);
    UNIT_STR(pn_str_of(pn_dns_rcode_name(PN_DNS_TIMEOUT)), PN_STR("TIMEOUT"));
    UNIT_STR(pn_str_of(pn_dns_rcode_name(3)), PN_STR("NXDOMAIN"));
    UNIT_STR(pn_str_of(pn_dns_rcode_name(77)), PN_STR("OTHER"));
}

/* ---- records between roles ---- */

static void test_ask(void)
{
    struct pn_dns_ask ask = {7, PN_DNS_MX, 1500, PN_STR_INIT("a.test")}, got;
    struct pn_buf out;
    pn_buf_init(&out, 1024);
    pn_dns_ask_put(&out, &ask);
    UNIT_TRUE(pn_dns_ask_get(pn_buf_str(&out), &got));
    UNIT_TRUE(got.id == 7 && got.type == PN_DNS_MX && got.deadline_ms == 1500);
    UNIT_STR(got.name, ask.name);
    for (size_t cut = 0; cut < out.len; cut++)
        UNIT_TRUE(!pn_dns_ask_get(pn_str_slice(pn_buf_str(&out), 0, cut), &got));
    (void)pn_buf_addc(&out, 0);
    UNIT_TRUE(!pn_dns_ask_get(pn_buf_str(&out), &got));
    pn_buf_fini(&out);
}

static void test_answer(void)
{
    struct pn_dns_record records[] = {
        {60, PN_STR_INIT("b")}, {30, PN_STR_INIT("a")}, {20, PN_STR_INIT("b")}};
    uint32_t count = pn_dns_sort(records, 3);
    UNIT_INT(count, 2);
    struct pn_dns_answer got, answer = {.rcode = PN_DNS_NOERROR,
                                        .secure = true,
                                        .count = count,
                                        .records = records,
                                        .target = PN_STR("real.test")};
    static struct pn_dns_record room[PN_DNS_RECORDS_MAX];
    struct pn_buf out;
    uint64_t id;
    pn_buf_init(&out, 64 * 1024);
    pn_dns_answer_put(&out, 9, &answer);
    UNIT_TRUE(pn_dns_answer_get(pn_buf_str(&out), &id, &got, room));
    UNIT_TRUE(id == 9 && got.rcode == 0 && got.secure && got.count == 2);
    UNIT_STR(got.records[0].data, PN_STR("a"));
    UNIT_INT(got.records[0].ttl, 30);
    UNIT_STR(got.target, PN_STR("real.test"));
    for (size_t cut = 0; cut < out.len; cut++)
        UNIT_TRUE(!pn_dns_answer_get(pn_str_slice(pn_buf_str(&out), 0, cut), &id, &got, room));
    pn_buf_clear(&out);
    static struct pn_dns_record many[PN_DNS_RECORDS_MAX];
    answer = (struct pn_dns_answer){.count = PN_DNS_RECORDS_MAX, .records = many};
    pn_dns_answer_put(&out, 9, &answer);
    UNIT_TRUE(pn_dns_answer_get(pn_buf_str(&out), &id, &got, room));
    UNIT_STR(got.target, PN_STR(""));
    unit_row("a flag that is none");
    out.p[10] = 4;
    UNIT_TRUE(!pn_dns_answer_get(pn_buf_str(&out), &id, &got, room));
    out.p[10] = 0;
    unit_row("one too many");
    out.p[11] = 1, out.p[12] = 1; /* 257 */
    (void)pn_buf_add(&out, "\0\0\0\0\0\0\0\0", 8);
    UNIT_TRUE(!pn_dns_answer_get(pn_buf_str(&out), &id, &got, room));
    pn_buf_fini(&out);
}

/* ---- files ---- */

/* "NOERROR a|b", data as it is, addresses and preferences as text. */
static void print_answer(struct pn_buf *out, uint16_t type, const struct pn_dns_answer *a)
{
    (void)pn_buf_addz(out, pn_dns_rcode_name(a->rcode));
    if (a->target.len > 0)
        (void)pn_buf_addf(out, " at %.*s", PN_FMT(a->target));
    for (uint32_t i = 0; i < a->count; i++) {
        struct pn_str d = a->records[i].data;
        (void)pn_buf_addc(out, i == 0 ? ' ' : '|');
        struct pn_ip ip = {.b = {[10] = 0xff, [11] = 0xff}};
        if (type == PN_DNS_A || type == PN_DNS_AAAA) {
            memcpy(ip.b + 16 - d.len, d.p, d.len);
            pn_ip_print(out, &ip);
        } else if (type == PN_DNS_MX) {
            (void)pn_buf_addf(out, "%u ", (unsigned char)d.p[0] * 256U + (unsigned char)d.p[1]);
            (void)pn_buf_adds(out, pn_str_slice(d, 2, d.len));
        } else {
            (void)pn_buf_adds(out, d);
        }
    }
}

static const char world[] = "; a small world\n"
                            "a.test A 192.0.2.1\n"
                            "  300 IN A 192.0.2.2\n"
                            "\tIN 300 AAAA 2001:db8::1\n"
                            "A.TEST. MX 20 m2.test.\n"
                            "a.test MX 5 M1.test\n"
                            "a.test A 192.0.2.1 ; again\n"
                            "n.test MX 0 .\n"
                            "t.test TXT \"v=spf1 \\\"x\\\" \" -all\n"
                            "t.test TXT \"semi;colon\" (\n  \"over\" ; said\n  \"lines\" )\r\n"
                            "t.test TXT \\065\\;\n"
                            "deep.er.than.test A 192.0.2.3\n"
                            "c1.test CNAME c2.test\n"
                            "c2.test CNAME A.test\n"
                            "c3.test CNAME nowhere.test\n"
                            "l1.test CNAME l2.test\n"
                            "l2.test CNAME l1.test\n"
                            "l3.test CNAME l3.test\n"
                            "c4.test CNAME .\n"
                            "*.w.test TXT wild\n"
                            "x.w.test A 192.0.2.4\n"
                            "y.x.w.test TIMEOUT\n"
                            "gone.w.test NXDOMAIN\n"
                            "s.test TIMEOUT\n"
                            "s.test A 192.0.2.5\n"
                            "s.test TXT SERVFAIL\n"
                            "s.test MX NODATA\n"
                            "s.test TXT \"hidden\"\n"
                            "s.test PTR \"TIMEOUT\\.x\"\n"
                            "q.test TXT \"TIMEOUT\"\n"
                            "f.test SERVFAIL\n"
                            "o.test TYPE65280 \\# 3 61 6263\n"
                            "o.test TLSA 3 1 1 4142 43\n"
                            "o.test SOA a b 1 2 3 4 5\n"
                            "$TTL 60\n"
                            "$ORIGIN sub.test.\n"
                            "@ NS ns\n"
                            "ns A 192.0.2.6\n"
                            "ns2.test. A 192.0.2.7\n"
                            "e\\. A 192.0.2.8\n"
                            "e\\\\. A 192.0.2.9\n"
                            "$ORIGIN .\n"
                            "last.test A 192.0.2.10";

static void test_file(void)
{
    static const struct {
        const char *name;
        uint16_t type;
        const char *want;
    } rows[] = {
        {"a.test", PN_DNS_A, "NOERROR 192.0.2.1|192.0.2.2"},
        {"A.Test.", PN_DNS_AAAA, "NOERROR 2001:db8::1"},
        {"a.test", PN_DNS_MX, "NOERROR 5 m1.test|20 m2.test"},
        {"a.test", PN_DNS_TXT, "NOERROR"},
        {"n.test", PN_DNS_MX, "NOERROR 0 "},
        {"b.test", PN_DNS_A, "NXDOMAIN"},
        {"", PN_DNS_A, "NXDOMAIN"},
        {"a..test", PN_DNS_A, "NXDOMAIN"},
        {".", PN_DNS_A, "NOERROR"},
        {"test", PN_DNS_A, "NOERROR"},
        {"t.test", PN_DNS_TXT, "NOERROR A;|semi;colonoverlines|v=spf1 \"x\" -all"},
        {"er.than.test", PN_DNS_A, "NOERROR"},
        {"than.test", PN_DNS_TXT, "NOERROR"},
        {"not.than.test", PN_DNS_TXT, "NXDOMAIN"},
        {"c1.test", PN_DNS_A, "NOERROR at a.test 192.0.2.1|192.0.2.2"},
        {"c1.test", PN_DNS_TXT, "NOERROR at a.test"},
        {"c1.test", PN_DNS_CNAME, "NOERROR c2.test"},
        {"c3.test", PN_DNS_A, "NXDOMAIN at nowhere.test"},
        {"l1.test", PN_DNS_A, "SERVFAIL"},
        {"l3.test", PN_DNS_A, "SERVFAIL"},
        {"c4.test", PN_DNS_A, "NOERROR"},
        {"any.w.test", PN_DNS_TXT, "NOERROR wild"},
        {"any.any.w.test", PN_DNS_TXT, "NOERROR wild"},
        {"any.w.test", PN_DNS_A, "NOERROR"},
        {"*.w.test", PN_DNS_TXT, "NOERROR wild"},
        {"x.w.test", PN_DNS_TXT, "NOERROR"},
        {"z.x.w.test", PN_DNS_TXT, "NXDOMAIN"},
        {"y.x.w.test", PN_DNS_TXT, "TIMEOUT"},
        {"gone.w.test", PN_DNS_TXT, "NXDOMAIN"},
        {"s.test", PN_DNS_A, "NOERROR 192.0.2.5"},
        {"s.test", PN_DNS_AAAA, "TIMEOUT"},
        {"s.test", PN_DNS_TXT, "SERVFAIL"},
        {"s.test", PN_DNS_MX, "NOERROR"},
        {"q.test", PN_DNS_TXT, "NOERROR TIMEOUT"},
        {"f.test", PN_DNS_A, "SERVFAIL"},
        {"sub.f.test", PN_DNS_A, "NXDOMAIN"},
        {"o.test", 65280, "NOERROR abc"},
        {"o.test", PN_DNS_TLSA, "NOERROR \3\1\1ABC"},
        {"sub.test", PN_DNS_NS, "NOERROR ns.sub.test"},
        {"ns.sub.test", PN_DNS_A, "NOERROR 192.0.2.6"},
        {"ns2.test", PN_DNS_A, "NOERROR 192.0.2.7"},
        {"e\\..sub.test", PN_DNS_A, "NOERROR 192.0.2.8"},
        {"e\\\\", PN_DNS_A, "NOERROR 192.0.2.9"},
        {"last.test", PN_DNS_A, "NOERROR 192.0.2.10"},
    };
    struct pn_buf err, out;
    pn_buf_init(&err, 1024);
    pn_buf_init(&out, 4096);
    /* The PTR line is wrong on purpose: a quoted name. */
    struct pn_dnsfile *bad = pn_dnsfile_parse(PN_STR(world), "w", &err);
    UNIT_TRUE(bad == NULL);
    UNIT_STR(pn_buf_str(&err),
             PN_STR("w:31:12: malformed name \"TIMEOUT\\.x\", expected labels of 1 to 63 bytes, "
                    "255 in all"));
    struct pn_str text = PN_STR(world);
    const char *line = strstr(world, "s.test PTR");
    (void)pn_buf_add(&out, text.p, (size_t)(line - world));
    (void)pn_buf_addz(&out, strchr(line, '\n') + 1);
    pn_buf_clear(&err);
    struct pn_dnsfile *f = pn_dnsfile_parse(pn_buf_str(&out), "w", &err);
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    for (size_t i = 0; f != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_dns_answer a;
        unit_row(rows[i].name);
        pn_dnsfile_find(f, pn_str_of(rows[i].name), rows[i].type, &a);
        pn_buf_clear(&out);
        print_answer(&out, rows[i].type, &a);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    pn_dnsfile_free(&f);
    pn_buf_fini(&out);
    pn_buf_fini(&err);
}

/* What was answered is written, and read again it answers the same. */
static void test_file_written(void)
{
    static const struct {
        const char *name; /* as it is asked for */
        uint16_t type, rcode;
        bool secure;
        struct pn_str data[2];
    } rows[] = {
        {"a.test",
         PN_DNS_A,
         PN_DNS_NOERROR,
         true,
         {PN_STR_INIT("\1\2\3\4"), PN_STR_INIT("\1\2\3\5")}},
        {"a.test",
         PN_DNS_AAAA,
         PN_DNS_NOERROR,
         false,
         {PN_STR_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4")}},
        {"t.test",
         PN_DNS_TXT,
         PN_DNS_NOERROR,
         false,
         {PN_STR_INIT(""), PN_STR_INIT("a\0 ;\"\\\n(\xff)")}},
        {"m.test",
         PN_DNS_MX,
         PN_DNS_NOERROR,
         false,
         {PN_STR_INIT("\0\0"), PN_STR_INIT("\1\2m.test")}},
        {"p.test",
         PN_DNS_PTR,
         PN_DNS_NOERROR,
         false,
         {PN_STR_INIT("timeout"), PN_STR_INIT("x\\.\\000y.test")}},
        {"o.test", 65280, PN_DNS_NOERROR, false, {PN_STR_INIT("abc")}},
        {"nodata.test", PN_DNS_A, PN_DNS_NOERROR, true, {{NULL, 0}}},
        {"gone.test", PN_DNS_A, PN_DNS_NXDOMAIN, true, {{NULL, 0}}},
        {"gone.test", PN_DNS_MX, PN_DNS_TIMEOUT, false, {{NULL, 0}}},
        {"bad.test", PN_DNS_TXT, PN_DNS_SERVFAIL, false, {{NULL, 0}}},
        {"*.wild.test", PN_DNS_TXT, PN_DNS_NXDOMAIN, false, {{NULL, 0}}},
        {"a b;c(\"d@$", PN_DNS_A, PN_DNS_NXDOMAIN, false, {{NULL, 0}}},
        {"\x80\\.\\200x.in", PN_DNS_A, PN_DNS_NXDOMAIN, false, {{NULL, 0}}},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct pn_buf text, err;
    pn_buf_init(&text, 8192);
    pn_buf_init(&err, 1024);
    for (size_t i = 0; i < ROWS; i++) {
        struct pn_dns_record r[2] = {{0, rows[i].data[0]}, {0, rows[i].data[1]}};
        uint32_t count = rows[i].data[0].p == NULL ? 0 : rows[i].data[1].p == NULL ? 1 : 2;
        struct pn_dns_answer a = {
            .rcode = rows[i].rcode, .secure = rows[i].secure, .count = count, .records = r};
        pn_dnsfile_put(&text, pn_str_of(rows[i].name), rows[i].type, &a);
    }
    struct pn_dnsfile *f = pn_dnsfile_parse(pn_buf_str(&text), "w", &err);
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    for (size_t i = 0; f != NULL && i < ROWS; i++) {
        struct pn_dns_answer a;
        unit_row(rows[i].name);
        pn_dnsfile_find(f, pn_str_of(rows[i].name), rows[i].type, &a);
        UNIT_INT(a.rcode, rows[i].rcode);
        UNIT_INT(a.secure, rows[i].secure);
        for (uint32_t k = 0; k < 2; k++)
            UNIT_STR(k < a.count ? a.records[k].data : PN_STR(""),
                     rows[i].data[k].p == NULL ? PN_STR("") : rows[i].data[k]);
    }
    pn_dnsfile_free(&f);
    pn_buf_fini(&text);
    pn_buf_fini(&err);
}

static void test_file_errors(void)
{
    static const struct {
        const char *text, *want; /* NULL: fine */
    } rows[] = {
        {"", NULL},
        {"\n;\n  \n", NULL},
        {"x", "f:1:1: line ends at \"x\", expected a type"},
        {"x FOO y", "f:1:3: unknown type \"FOO\", expected a type"},
        {"x SECURE", "f:1:3: no type before \"SECURE\""},
        {"x A SECURE\nx A 1.2.3.4", NULL},
        {"x A SECURE\nx A NXDOMAIN\nx A SECURE", NULL},
        {"x A SECURE\nx A NXDOMAIN\nx A TIMEOUT", "f:3:1: a second state"},
        {"x CH A 1.2.3.4", "f:1:3: unknown type \"CH\""},
        {"x 60 60 A 1.2.3.4", "f:1:6: unknown type \"60\""},
        {"x 4294967295 A 1.2.3.4", "f:1:3: unknown type \"4294967295\""},
        {"x TYPE1 \\# 4 01020304", "f:1:3: unknown type \"TYPE1\""},
        {"x TYPE0 \\# 0", "f:1:3: unknown type \"TYPE0\""},
        {"x TYPE99 \\# 1 ", "f:1:13: wrong length \"1\""},
        {"x TYPE99 abc", "f:1:3: data of an unknown type"},
        {"x TYPE99 \\# 1 0", "f:1:15: bad data \"0\""},
        {" A 1.2.3.4", "f:1:2: line begins with a blank, expected a name"},
        {"x A", "f:1:3: record ends at \"A\", expected an IPv4 address"},
        {"x A 1.2.3", "f:1:5: bad address \"1.2.3\""},
        {"x A ::1", "f:1:5: bad address \"::1\""},
        {"x A ::ffff:1.2.3.4", "f:1:5: bad address"},
        {"x AAAA 1.2.3.4", "f:1:8: bad address"},
        {"x A 1.2.3.4 5", "f:1:13: record goes on at \"5\""},
        {"x A TIMEOUT 5", "f:1:13: record goes on at \"5\""},
        {"x TIMEOUT 5", "f:1:11: record goes on at \"5\""},
        {"x MX m", "f:1:6: record ends at \"m\", expected a preference and a name"},
        {"x MX 65536 m", "f:1:6: bad number \"65536\""},
        {"x TXT", "f:1:3: record ends at \"TXT\", expected one string or more"},
        {"x TXT \"a", "f:1:7: string without an end"},
        {"x TXT \"a\nb\"", "f:1:7: string without an end"},
        {"x TXT a\\", "f:1:7: a backslash ends"},
        {"x TXT \\256", "f:1:7: bad escape in"},
        {"x TXT \\1", "f:1:7: bad escape in"},
        {"y A 1.2.3.4\nx TXT (a\n", "f:2:7: \"(\" without its \")\""},
        {"x TXT a)", "f:1:8: \")\" without \"(\""},
        {"a..b A 1.2.3.4", "f:1:1: malformed name \"a..b\""},
        {"\"a\" A 1.2.3.4", "f:1:1: malformed name \"a\""},
        {"$INCLUDE x", "f:1:1: unknown directive \"$INCLUDE\", expected $ORIGIN or $TTL"},
        {"$TTL", "f:1:1: record ends at \"$TTL\", expected seconds"},
        {"$TTL x", "f:1:6: bad number"},
        {"x SERVFAIL\nx TIMEOUT", "f:2:1: a second state for this name and type"},
        {"x TIMEOUT\nx TIMEOUT", NULL},
        {"x CNAME a\nx CNAME a", NULL},
        {"x CNAME a\nX CNAME b", "f:2:1: too many records"},
        {"x SOA a b 1 2 3 4", "f:1:17: record ends at \"4\", expected two names"},
        {"x TLSA 3 1 1", "f:1:12: record ends at \"1\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 1024);
        unit_row(rows[i].text);
        struct pn_dnsfile *f = pn_dnsfile_parse(pn_str_of(rows[i].text), "f", &err);
        UNIT_INT(f != NULL, rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_STR(pn_str_slice(pn_buf_str(&err), 0, strlen(rows[i].want)),
                     pn_str_of(rows[i].want));
        pn_dnsfile_free(&f);
        pn_buf_fini(&err);
    }
}

/* Records and bytes of one answer: at the limit, one too many; a TXT cut away whole. */
static void test_file_limits(void)
{
    static const struct {
        unsigned records;
        size_t bytes; /* of each TXT */
        bool want;
        unsigned found;
    } rows[] = {
        {256, 3, true, 256},
        {257, 3, false, 0},
        {3, PN_DNS_TXT_MAX, true, 3},
        {4, PN_DNS_TXT_MAX, false, 0},
        {1, PN_DNS_TXT_MAX + 1, true, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf text, err;
        struct pn_dns_answer a;
        pn_buf_init(&text, 1024 * 1024);
        pn_buf_init(&err, 1024);
        for (unsigned n = 0; n < rows[i].records; n++) {
            (void)pn_buf_addf(&text, "x TXT %03u", n);
            for (size_t k = 3; k < rows[i].bytes; k++)
                (void)pn_buf_addc(&text, 'x');
            (void)pn_buf_addc(&text, '\n');
        }
        unit_row("limits");
        struct pn_dnsfile *f = pn_dnsfile_parse(pn_buf_str(&text), "f", &err);
        UNIT_INT(f != NULL, rows[i].want);
        if (f != NULL) {
            pn_dnsfile_find(f, PN_STR("x"), PN_DNS_TXT, &a);
            UNIT_INT(a.count, rows[i].found);
            UNIT_INT(a.rcode, PN_DNS_NOERROR);
        }
        pn_dnsfile_free(&f);
        pn_buf_fini(&text);
        pn_buf_fini(&err);
    }
}

static void test_cname_limit(void)
{
    for (unsigned n = PN_DNSFILE_CNAMES_MAX; n <= PN_DNSFILE_CNAMES_MAX + 1; n++) {
        struct pn_buf text, err;
        struct pn_dns_answer a;
        pn_buf_init(&text, 4096);
        pn_buf_init(&err, 1024);
        for (unsigned i = 0; i < n; i++)
            (void)pn_buf_addf(&text, "c%u CNAME c%u\n", i, i + 1);
        (void)pn_buf_addf(&text, "c%u A 192.0.2.1\n", n);
        struct pn_dnsfile *f = pn_dnsfile_parse(pn_buf_str(&text), "f", &err);
        UNIT_TRUE(f != NULL);
        pn_dnsfile_find(f, PN_STR("c0"), PN_DNS_A, &a);
        UNIT_INT(a.rcode, n == PN_DNSFILE_CNAMES_MAX ? PN_DNS_NOERROR : PN_DNS_SERVFAIL);
        pn_dnsfile_free(&f);
        pn_buf_fini(&text);
        pn_buf_fini(&err);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"name", test_name},
        {"undotted", test_undotted},
        {"reverse", test_reverse},
        {"words", test_words},
        {"ask", test_ask},
        {"answer", test_answer},
        {"file", test_file},
        {"written", test_file_written},
        {"file_errors", test_file_errors},
        {"file_limits", test_file_limits},
        {"cname_limit", test_cname_limit},
        {NULL, NULL},
    };
    return unit_main("dns", tests, argc, argv);
}
