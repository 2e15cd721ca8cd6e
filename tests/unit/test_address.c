#include "unit.h"

#include "address.h"
#include "date.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* "display <local@domain>", flags as letters: O M Q L C U, groups as {name} and }. */
static void add_address(struct pn_buf *out, const struct pn_address *a)
{
    static const char letters[] = "OMQLCU";
    if (out->len != 0)
        (void)pn_buf_addc(out, '|');
    if (a->kind == PN_ADDRESS_GROUP_END) {
        (void)pn_buf_addc(out, '}');
        return;
    }
    if (a->kind == PN_ADDRESS_GROUP)
        (void)pn_buf_addc(out, '{');
    (void)pn_buf_adds(out, a->display);
    if (a->kind == PN_ADDRESS_MAILBOX) {
        (void)pn_buf_addc(out, '<');
        if (a->route.len != 0) {
            (void)pn_buf_adds(out, a->route);
            (void)pn_buf_addc(out, ':');
        }
        (void)pn_buf_adds(out, a->local);
        (void)pn_buf_addc(out, '@');
        (void)pn_buf_adds(out, a->domain);
        (void)pn_buf_addc(out, '>');
    }
    for (unsigned i = 0; i < 6; i++)
        if (a->flags & 1U << i)
            (void)pn_buf_addc(out, letters[i]);
}

static void test_list(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {" , ,", ""},
        {"a@b", "<a@b>"},
        {"<a@b>", "<a@b>"},
        {"X <a@b>", "X<a@b>"},
        {"\"X, Y\" <a@b> , c@d", "\"X, Y\"<a@b>|<c@d>"},
        {"X\r\n Y <a@b>", "X\r\n Y<a@b>"},
        {"J. R. <a@b>", "J. R.<a@b>"},
        {"=?utf-8?q?x?= <a@b>", "=?utf-8?q?x?=<a@b>"},
        {"a@b (X Y)", "X Y<a@b>C"},
        {"(c) a@b", "<a@b>"},
        {"a(x)@(y)b", "y<a@b>C"},
        {"a . b @ c . d", "<a . b@c . d>O"},
        {"\"a b\"@c", "<\"a b\"@c>Q"},
        {"\"a\".b@c", "<\"a\".b@c>OQ"},
        {"a@[192.0.2.1]", "<a@[192.0.2.1]>L"},
        {"a@[bad", "<a@[bad>ML"},
        {"a@[b>c], <d@[e>, f@[g]", "<a@[b>c]>L|<d@[e>ML|<f@[g]>L"},
        {"<@x,@y:a@b>", "<@x,@y:a@b>O"},
        {"G:a@b, X <c@d>;", "{G|<a@b>|X<c@d>|}"},
        {"G:;", "{G|}"},
        {"undisclosed recipients: ;, a@b", "{undisclosed recipients|}|<a@b>"},
        {"G:a@b", "{G|<a@b>|}"}, /* malformed as a list */
        {"a@b; c@d", "<a@b>|<c@d>"},
        {"\xc3\xa4@\xc3\xb6.example", "<\xc3\xa4@\xc3\xb6.example>U"},
        /* not as the RFC has it */
        {"a", "<a@>M"},
        {"X <a>", "X<a@>M"},
        {"<>", "<@>M"},
        {"a@", "<a@>M"},
        {"@b", "<@b>M"},
        {"a@b@c", "a@<b@c>M"},
        {"a..b@c", "<a..b@c>M"},
        {".a@c", "<.a@c>M"},
        {"a@b.", "<a@b.>M"},
        {"X a@b", "X<a@b>OM"},
        {"a@b c", "<a@b>OM"},
        {"a@b <c@d>", "a@b<c@d>M"},
        {"<a@b> <c@d>", "<a@b>M|<c@d>"},
        {"X <a@b", "X<a@b>M"},
        {"X <a@b, c@d", "X<a@b>M|<c@d>"},
        {"\"X <a@b>", "\"X<a@b>M"},
        {"(X <a@b>", "(X<a@b>M"},
        {"[X] <a@b>", "[X]<a@b>M"},
        {"Smith, J <a@b>", "<Smith@>M|J<a@b>"},
        {"a@b>", "<a@b>M"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_address_walk walk;
        struct pn_address a;
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        pn_address_start(&walk, pn_str_of(rows[i].in));
        while (pn_address_next(&walk, &a))
            add_address(&out, &a);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        bool flagged = strchr(rows[i].want, 'M') != NULL;
        bool listed = strcmp(rows[i].in, "G:a@b") == 0 || strcmp(rows[i].in, "a@b; c@d") == 0;
        UNIT_TRUE(walk.malformed == (flagged || listed));
    }
    pn_buf_fini(&out);
}

static void test_spec(void)
{
    static const struct {
        const char *in, *want; /* NULL: none to be had */
    } rows[] = {
        {"Joe@Example.NET", "Joe@example.net"},
        {"a@b.c.", "a@b.c"},
        {"a . b @ c . D", "a.b@c.d"},
        {"a(x). \"b\" @c", "a.b@c"},
        {"\"a.b\"@c", "a.b@c"},
        {"\"a b\"@c", "\"a b\"@c"},
        {"\"a\\\"\\\\\\z\"@c", "\"a\\\"\\\\z\"@c"},
        {"\"\"@c", "\"\"@c"},
        {"a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"},
        {"a@[ 192.0.2.1 ]", "a@[192.0.2.1]"},
        {"a", NULL},
        {"a@.", NULL},
        {"a@b..c", NULL},
        {"\"a\rb\"@c", "ab@c"},
        {"\"a\tb\"@c", NULL},
    };
    struct pn_buf out;
    pn_buf_init(&out, 256);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_address_walk walk;
        struct pn_address a;
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        (void)pn_buf_addc(&out, '=');
        pn_address_start(&walk, pn_str_of(rows[i].in));
        UNIT_TRUE(pn_address_next(&walk, &a));
        UNIT_TRUE(pn_address_spec(&a, &out) == (rows[i].want != NULL));
        UNIT_STR(pn_str_slice(pn_buf_str(&out), 1, out.len),
                 pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
    }
    pn_buf_fini(&out);
}

static void test_strict(void)
{
    static const struct {
        const char *in;
        bool want;
    } rows[] = {
        {"a@b", true},      {"\"a b\"@c.d", true}, {"a@[192.0.2.1]", true}, {"\xc3\xa4@b", true},
        {"", false},        {"a", false},          {"a@", false},           {"@b", false},
        {" a@b", false},    {"a@b ", false},       {"a @b", false},         {"a@(c)b", false},
        {"a@b,c@d", false}, {"<a@b>", false},      {"a@b@c", false},        {"a@b.", false},
        {"\"a@b", false},   {"\"a\n\"@b", false},  {"\"a\".b@c", false},    {"a@[", false},
        {"a@[@]", true},    {"\"@\"@b", true},     {"a@[]", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_address a;
        unit_row(rows[i].in);
        UNIT_TRUE(pn_addr_spec_parse(pn_str_of(rows[i].in), &a) == rows[i].want);
    }
}

static void test_display(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"a@b", ""},
        {"X  Y <a@b>", "X Y"},
        {"\"X, \\\"Y\\\"\" Z <a@b>", "X, \"Y\" Z"},
        {"X (c) Y <a@b>", "X Y"},
        {"=?utf-8?q?=C3=A4?= <a@b>", "\xc3\xa4"},
        {"\"=?utf-8?q?=C3=A4?=\" <a@b>", "\xc3\xa4"},
        {"a@b (X \\(Y\\) (Z))", "X (Y) (Z)"},
        {"X\r\n Y <a@b>", "X Y"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 256);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_address_walk walk;
        struct pn_address a;
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        pn_address_start(&walk, pn_str_of(rows[i].in));
        UNIT_TRUE(pn_address_next(&walk, &a) && pn_address_display(&a, &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    pn_buf_fini(&out);
}

/* 200,000 of each sign: linear, or this test takes minutes. */
static void test_hostile(void)
{
    static const char *const pieces[] = {"(",  "\"",     "<",   "[", "@[", "a@b,", "<a,",
                                         "x:", "\"a\" ", "(a)", "@", ";",  "<@a,"};
    enum { SIZE = 200000 };
    struct pn_buf in, out;
    pn_buf_init(&in, SIZE + 16);
    pn_buf_init(&out, SIZE + 16);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct pn_address_walk walk;
        struct pn_address a;
        pn_buf_clear(&in);
        while (in.len < SIZE)
            (void)pn_buf_addz(&in, pieces[i]);
        unit_row(pieces[i]);
        pn_address_start(&walk, pn_buf_str(&in));
        while (pn_address_next(&walk, &a)) {
            pn_buf_clear(&out);
            (void)pn_address_spec(&a, &out);
            (void)pn_address_display(&a, &out);
        }
        UNIT_INT(walk.at, in.len);
    }
    pn_buf_fini(&out);
    pn_buf_fini(&in);
}

static void test_date(void)
{
    static const struct {
        const char *in;
        bool want;
        int64_t unix_s;
        int zone;
    } rows[] = {
        {"Sun, 22 Nov 2026 01:02:03 +0000", true, 1795309323, 0},
        {" Sun, 22 Nov 2026 01:02:03 +0130 (CET)", true, 1795303923, 90},
        {"22 nov 2026 01:02 -0100", true, 1795312920, -60},
        {"Sun 22 Nov 2026 01:02:03 +0000", true, 1795309323, 0},
        {"Sun, 22 Nov 2026 01:02:03", true, 1795309323, 0},
        {"Sun, 22 Nov 2026 01:02:03 -0000", true, 1795309323, 0},
        {"Sun,\r\n 22 (day) Nov 2026\r\n 01 : 02 : 03 GMT", true, 1795309323, 0},
        {"1 Jan 70 00:00:00 UT", true, 0, 0},
        {"1 Jan 49 00:00:00 UT", true, 2493072000, 0},
        {"1 Jan 50 00:00:00 UT", true, -631152000, 0},
        {"1 Jan 100 00:00:00 UT", true, 946684800, 0},
        {"1 Jan 1970 00:00:00 EST", true, 18000, -300},
        {"1 Jan 1970 00:00:00 PDT", true, 25200, -420},
        {"1 Jan 1970 00:00:00 A", true, 0, 0}, /* military zones: RFC 5322, section 4.3 */
        {"1 Jan 1970 00:00:00 GMT+0100", true, -3600, 60},
        {"1 Jan 1970 00:00:00 +01:00", true, -3600, 60},
        {"31 Dec 2016 23:59:60 +0000", true, 1483228799, 0},
        {"29 Feb 2024 00:00:00 +0000", true, 1709164800, 0},
        {"29 Feb 2023 00:00:00 +0000", false, 0, 0},
        {"29 Feb 2100 00:00:00 +0000", false, 0, 0},
        {"29 Feb 2000 00:00:00 +0000", true, 951782400, 0},
        {"2026-11-22T01:02:03Z", true, 1795309323, 0},
        {"2026-11-22 01:02:03.456+01:00", true, 1795305723, 60},
        {"1 January 1970 00:00:00 +0000", true, 0, 0},
        {"Thu Jan  1 00:00:00 1970", true, 0, 0}, /* asctime */
        {"Thu Jan  1 00:00:00 1970 +0100", true, -3600, 60},
        {"", false, 0, 0},
        {"Sun", false, 0, 0},
        {"32 Nov 2026 01:02:03 +0000", false, 0, 0},
        {"0 Nov 2026 01:02:03 +0000", false, 0, 0},
        {"22 Nix 2026 01:02:03 +0000", false, 0, 0},
        {"22 Nov 2026 24:00:00 +0000", false, 0, 0},
        {"22 Nov 2026 01:60:00 +0000", false, 0, 0},
        {"22 Nov 2026 01:02:61 +0000", false, 0, 0},
        {"22 Nov 99999 01:02:03 +0000", false, 0, 0},
        {"22 Nov 1 01:02:03 +0000", false, 0, 0},
        {"22 Nov 2026 01:02:03 +9999", true, 1795309323, 0}, /* no such zone */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t unix_s = 0;
        int zone = 0;
        unit_row(rows[i].in);
        UNIT_TRUE(pn_date_parse(pn_str_of(rows[i].in), &unix_s, &zone) == rows[i].want);
        UNIT_INT(unix_s, rows[i].unix_s);
        UNIT_INT(zone, rows[i].zone);
    }
}

static void test_date_format(void)
{
    static const struct {
        int64_t unix_s;
        int zone;
        const char *want;
    } rows[] = {
        {0, 0, "Thu, 01 Jan 1970 00:00:00 +0000"},
        {1795309323, 0, "Sun, 22 Nov 2026 01:02:03 +0000"},
        {1795309323, 90, "Sun, 22 Nov 2026 02:32:03 +0130"},
        {1795309323, -90, "Sat, 21 Nov 2026 23:32:03 -0130"},
        {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
        {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
        {253402300799, 0, "Fri, 31 Dec 9999 23:59:59 +0000"},
        {-2208988800, 0, "Mon, 01 Jan 1900 00:00:00 +0000"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 64);
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t back = 1;
        int zone = 1;
        unit_row(rows[i].want);
        pn_buf_clear(&out);
        pn_date_format(&out, rows[i].unix_s, rows[i].zone);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        UNIT_TRUE(pn_date_parse(pn_buf_str(&out), &back, &zone));
        UNIT_INT(back, rows[i].unix_s);
        UNIT_INT(zone, rows[i].zone);
    }
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"list", test_list},
        {"spec", test_spec},
        {"strict", test_strict},
        {"display", test_display},
        {"hostile", test_hostile},
        {"date", test_date},
        {"date_format", test_date_format},
        {NULL, NULL},
    };
    return unit_main("test_address", tests, argc, argv);
}
