#include "unit.h"

#include "grammar.h"
#include "reply.h"

#include <stdlib.h>

#define A10  "aaaaaaaaaa"
#define A50  A10 A10 A10 A10 A10
#define A63  A50 A10 "aaa"
#define D243 A63 "." A63 "." A63 "." A50 "a" /* 63*3+3+51 */

static const struct {
    const char *text;
    enum pn_smtp_path_kind kind;
    enum pn_smtp_path_error want;
    const char *address, *local, *domain, *rest;
} path_rows[] = {
    {"<>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "", "", "", ""},
    {" <> SIZE=1", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "", "", "", " SIZE=1"},
    {"<>", PN_SMTP_FORWARD, PN_SMTP_PATH_SYNTAX},
    {"", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "a@b.test", "a", "b.test", ""},
    {"a@b.test BODY=7BIT", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "a@b.test", "a", "b.test",
     " BODY=7BIT"},
    {"<a@b.test>x", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a@b.test", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"a@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a@b..test>", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    {"<a@.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    {"<a@test.>", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    {"<a@-b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    {"<a@xn--->", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    {"<a@>", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    {"<a@b_c.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "a@b_c.test", "a", "b_c.test", ""},
    {"<.a@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a.@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a..b@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a b@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<a!#$%&'*+-/=?^_`{|}~@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK,
     "a!#$%&'*+-/=?^_`{|}~@b.test", "a!#$%&'*+-/=?^_`{|}~", "b.test", ""},
    {"<\"a b\\\"@c\"@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "\"a b\\\"@c\"@b.test",
     "\"a b\\\"@c\"", "b.test", ""},
    {"<\"\"@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "\"\"@b.test", "\"\"", "b.test", ""},
    {"<\"a@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<\"a\\", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<\"a\t\"@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_SYNTAX},
    {"<@one.test,@two.test:a@b.test>", PN_SMTP_FORWARD, PN_SMTP_PATH_OK, "a@b.test", "a", "b.test",
     ""},
    {"<@one.test a@b.test>", PN_SMTP_FORWARD, PN_SMTP_PATH_SYNTAX},
    {"<@one.test:>", PN_SMTP_FORWARD, PN_SMTP_PATH_SYNTAX},
    {"<PostMaster>", PN_SMTP_FORWARD, PN_SMTP_PATH_OK, "PostMaster", "PostMaster", "", ""},
    {"<postmaster>", PN_SMTP_REVERSE, PN_SMTP_PATH_BARE},
    {"<pepe>", PN_SMTP_FORWARD, PN_SMTP_PATH_BARE},
    {"<a@[192.0.2.1]>", PN_SMTP_FORWARD, PN_SMTP_PATH_OK, "a@[192.0.2.1]", "a", "[192.0.2.1]", ""},
    {"<a@[IPv6:::1]>", PN_SMTP_FORWARD, PN_SMTP_PATH_OK, "a@[IPv6:::1]", "a", "[IPv6:::1]", ""},
    {"<a@[192.0.2.256]>", PN_SMTP_FORWARD, PN_SMTP_PATH_DOMAIN},
    {"<a@[::1]>", PN_SMTP_FORWARD, PN_SMTP_PATH_DOMAIN},
    {"<a@[IPv6:192.0.2.1]>", PN_SMTP_FORWARD, PN_SMTP_PATH_DOMAIN},
    {"<a@[x:1]>", PN_SMTP_FORWARD, PN_SMTP_PATH_DOMAIN},
    {"<a@[192.0.2.1>", PN_SMTP_FORWARD, PN_SMTP_PATH_DOMAIN},
    {"<j\xc3\xb6@b\xc3\xbc.test>", PN_SMTP_FORWARD, PN_SMTP_PATH_OK, "j\xc3\xb6@b\xc3\xbc.test",
     "j\xc3\xb6", "b\xc3\xbc.test", ""},
    {"<j\xc3@b.test>", PN_SMTP_FORWARD, PN_SMTP_PATH_SYNTAX},
    {"<j\xed\xa0\x80@b.test>", PN_SMTP_FORWARD, PN_SMTP_PATH_SYNTAX},
    {"<a@" A63 ".test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, "a@" A63 ".test", "a", A63 ".test", ""},
    {"<a@" A63 "a.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_DOMAIN},
    /* 256 with the brackets, and one more */
    {"<" A10 "@" D243 ">", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, A10 "@" D243, A10, D243, ""},
    {"<b" A10 "@" D243 ">", PN_SMTP_REVERSE, PN_SMTP_PATH_LONG},
    {"<" A50 A50 A50 A50 A50 A50 "@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_LONG},
    {"<" A50 A50 "@b.test>", PN_SMTP_REVERSE, PN_SMTP_PATH_OK, A50 A50 "@b.test", A50 A50, "b.test",
     ""},
};

static void test_path(void)
{
    for (size_t i = 0; i < sizeof path_rows / sizeof path_rows[0]; i++) {
        struct pn_str rest = pn_str_of(path_rows[i].text);
        struct pn_smtp_mailbox m;
        unit_row(path_rows[i].text);
        UNIT_INT(pn_smtp_path(&rest, path_rows[i].kind, &m), path_rows[i].want);
        if (path_rows[i].want != PN_SMTP_PATH_OK)
            continue;
        UNIT_STR(m.address, pn_str_of(path_rows[i].address));
        UNIT_STR(m.local, pn_str_of(path_rows[i].local));
        UNIT_STR(m.domain, pn_str_of(path_rows[i].domain));
        UNIT_STR(rest, pn_str_of(path_rows[i].rest));
    }
}

static void test_path_cut(void)
{
    /* Cut anywhere, in memory of just that size, nothing is read past the end. */
    const struct pn_str whole = PN_STR("<@x.test:\"a\\\"b\"@[IPv6:2001:db8::1]> SIZE=10");
    for (size_t n = 0; n <= whole.len; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, whole.p, n);
        struct pn_str rest = {copy, n};
        struct pn_smtp_mailbox m;
        bool ok = pn_smtp_path(&rest, PN_SMTP_FORWARD, &m) == PN_SMTP_PATH_OK;
        unit_row("cut");
        UNIT_INT(ok, n >= whole.len - 8 && n != 0);
        copy = realloc(copy, n == 0 ? 1 : n);
        rest = (struct pn_str){copy, n};
        UNIT_INT(pn_smtp_path(&rest, PN_SMTP_FORWARD, &m) == PN_SMTP_PATH_OK, ok);
        free(copy);
    }
}

static void test_canonical(void)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"Joe@Example.TEST", "Joe@example.test"},
        {"\"joe\"@b.test", "joe@b.test"},
        {"\"j\\oe\"@b.test", "joe@b.test"},
        {"\"j oe\"@b.test", "\"j oe\"@b.test"},
        {"\"a\\\"b\\\\\"@b.test", "\"a\\\"b\\\\\"@b.test"},
        {"\"\"@b.test", "\"\"@b.test"},
        {"\".a\"@b.test", "\".a\"@b.test"},
        {"\"a@b\"@[IPv6:2001:DB8::1]", "\"a@b\"@[ipv6:2001:db8::1]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_smtp_mailbox m;
        struct pn_buf out;
        pn_buf_init(&out, 1024);
        unit_row(rows[i].text);
        UNIT_TRUE(pn_smtp_mailbox_parse(pn_str_of(rows[i].text), &m));
        pn_smtp_mailbox_canonical(&out, &m);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
    }
}

static void test_helo(void)
{
    static const struct {
        const char *text;
        enum pn_smtp_helo_kind want;
    } rows[] = {
        {"", PN_SMTP_HELO_NONE},
        {"localhost", PN_SMTP_HELO_DOMAIN},
        {"mx.example.test", PN_SMTP_HELO_DOMAIN},
        {"m\xc3\xbc.test", PN_SMTP_HELO_ODD},
        {"[127.0.0.1]", PN_SMTP_HELO_LITERAL},
        {"[IPv6:2001:db8::1]", PN_SMTP_HELO_LITERAL},
        {"[127.0.0.1", PN_SMTP_HELO_ODD},
        {"[127.0.0.300]", PN_SMTP_HELO_ODD},
        {"a..b", PN_SMTP_HELO_ODD},
        {"@#$", PN_SMTP_HELO_ODD},
        {"a b", PN_SMTP_HELO_NONE},
        {"a\x7f", PN_SMTP_HELO_NONE},
        {"a\xff", PN_SMTP_HELO_NONE},
        {A63 "." A63 "." A63 "." A63, PN_SMTP_HELO_DOMAIN},
        {A63 "." A63 "." A63 "." A63 ".", PN_SMTP_HELO_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].text);
        UNIT_INT(pn_smtp_helo(pn_str_of(rows[i].text)), rows[i].want);
    }
}

static void test_params(void)
{
    static const struct {
        const char *text;
        int last; /* what ends it */
        const char *want;
    } rows[] = {
        {"", 0, ""},
        {"   ", 0, ""},
        {" SIZE=10 BODY=8BITMIME SMTPUTF8", 0, "SIZE[10]BODY[8BITMIME]SMTPUTF8"},
        {" a-b=c", 0, "a-b[c]"},
        {" -a=c", -1, ""},
        {" A=", -1, ""},
        {" A==", -1, ""},
        {" A=b=c", -1, ""},
        {" A_B", -1, ""},
        {" A=\x01", -1, ""},
        {" A=\xc3\xbc", 0, "A[\xc3\xbc]"},
        {" A=\xc3", -1, ""},
        {" A  B", 0, "AB"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str rest = pn_str_of(rows[i].text);
        struct pn_smtp_param p;
        struct pn_buf got;
        int more;
        pn_buf_init(&got, 1024);
        unit_row(rows[i].text);
        while ((more = pn_smtp_param_next(&rest, &p)) > 0) {
            (void)pn_buf_adds(&got, p.key);
            if (p.has_value)
                (void)pn_buf_addf(&got, "[%.*s]", PN_FMT(p.value));
        }
        UNIT_INT(more, rows[i].last);
        UNIT_STR(pn_buf_str(&got), pn_str_of(rows[i].want));
        pn_buf_fini(&got);
    }
}

static void test_xtext(void)
{
    static const struct {
        const char *text;
        bool want;
        struct pn_str bytes;
    } rows[] = {
        {"", true, PN_STR_INIT("")},
        {"e+3Dmc2@b.test", true, PN_STR_INIT("e=mc2@b.test")},
        {"<>", true, PN_STR_INIT("<>")},
        {"a+2B+00+FF", true, PN_STR_INIT("a+\0\xff")},
        {"a+2b", false, PN_STR_INIT("")}, /* hexchar is of capitals: RFC 3461, section 4 */
        {"a+2", false, PN_STR_INIT("")},
        {"a+", false, PN_STR_INIT("")},
        {"a=b", false, PN_STR_INIT("")},
        {"a b", false, PN_STR_INIT("")},
        {"\xc3\xa4", false, PN_STR_INIT("")},
        {"0123456789012345", true, PN_STR_INIT("0123456789012345")},
        {"01234567890123456", false, PN_STR_INIT("")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf out;
        unit_row(rows[i].text);
        pn_buf_init(&out, 16);
        UNIT_INT(pn_smtp_xtext(pn_str_of(rows[i].text), &out), rows[i].want);
        if (rows[i].want)
            UNIT_STR(pn_buf_str(&out), rows[i].bytes);
        pn_buf_fini(&out);
    }
}

static void test_reply_read(void)
{
    static const struct {
        const char *line;
        bool want;
        uint16_t code;
        const char *printed;
    } rows[] = {
        {"550 5.7.1 Message refused as spam", true, 550, "550 5.7.1 Message refused as spam"},
        {"550 Refused", true, 550, "550 Refused"},
        {"250", true, 250, "250"},
        {"451 4.7.1", true, 451, "451 4.7.1"},
        {"550 5.7.1x words", true, 550, "550 5.7.1x words"},
        {"550 4.7.1 words", false},
        {"550-5.7.1 words", false},
        {"199 x", false},
        {"600 x", false},
        {"570 x", false},
        {"55", false},
        {"", false},
        {"550 a\nb", false},
        {"550 a\rb", false},
        {"550 a\x7f", false},
        {"550 \xc3\xbc", false},
        {"550 5.7.1000 x", true, 550, "550 5.7.1000 x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_smtp_reply r;
        struct pn_buf out;
        pn_buf_init(&out, 1024);
        unit_row(rows[i].line);
        UNIT_INT(pn_smtp_reply_read(pn_str_of(rows[i].line), &r), rows[i].want);
        if (rows[i].want) {
            UNIT_INT(r.code, rows[i].code);
            pn_smtp_reply_print(&out, &r);
            UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].printed));
        }
        pn_buf_fini(&out);
    }
    struct pn_smtp_reply nul = {550, {5, 7, 1}, {"a\0b", 3}};
    UNIT_TRUE(pn_smtp_reply_check(&nul) != NULL);
    nul.text = PN_STR("a\nb");
    UNIT_TRUE(pn_smtp_reply_check(&nul) == NULL);
    char lines[PN_SMTP_REPLY_LINES_MAX];
    memset(lines, '\n', sizeof lines);
    nul.text = (struct pn_str){lines, sizeof lines - 1};
    UNIT_TRUE(pn_smtp_reply_check(&nul) == NULL);
    nul.text.len++;
    UNIT_TRUE(pn_smtp_reply_check(&nul) != NULL);
}

static void test_reply_put(void)
{
    static const struct {
        const char *text, *want;
        bool status;
    } rows[] = {
        {"Ok", "250 2.0.0 Ok\r\n", true},
        {"Ok", "250 Ok\r\n", false},
        {"", "250 2.0.0 \r\n", true},
        {"a\nb\nc", "250-2.0.0 a\r\n250-2.0.0 b\r\n250 2.0.0 c\r\n", true},
        {"a\n", "250-a\r\n250 \r\n", false},
    };
    struct pn_buf out;
    pn_buf_init(&out, 100000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_smtp_reply r = {250, {2, 0, 0}, pn_str_of(rows[i].text)};
        unit_row(rows[i].text);
        pn_buf_clear(&out);
        pn_smtp_reply_put(&out, &r, rows[i].status);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    /* Long text is folded: no line passes 512, nothing but a space is lost. */
    for (size_t n = 480; n < 1600; n++) {
        char text[1600];
        memset(text, 'x', sizeof text);
        for (size_t i = 7; i < n; i += 40)
            text[i] = ' ';
        struct pn_smtp_reply r = {550, {5, 7, 1}, {text, n}};
        pn_buf_clear(&out);
        pn_smtp_reply_put(&out, &r, true);
        struct pn_str rest = pn_buf_str(&out);
        size_t words = 0, lines = 0;
        unit_row("fold");
        while (rest.len != 0) {
            struct pn_str line = pn_str_split(&rest, '\n');
            UNIT_TRUE(line.len + 1 <= PN_SMTP_REPLY_MAX);
            UNIT_INT(line.p[3], rest.len == 0 ? ' ' : '-');
            words += line.len - (sizeof "550 5.7.1 \r" - 1);
            lines++;
        }
        UNIT_TRUE(words + lines - 1 == n);
    }
    pn_buf_fini(&out);
}

static void test_reply_next(void)
{
    static const struct {
        const char *bytes;
        int want;
        const char *printed;
    } rows[] = {
        {"250 2.1.0 Ok\r\n", 1, "250 2.1.0 Ok"},
        {"250\r\n", 1, "250"},
        {"250 Ok\n", 1, "250 Ok"},
        {"250-a\r\n250-b\r\n250 c\r\n", 1, "250 a b c"},
        {"550-5.7.1 a\r\n550 5.7.1 b\r\n", 1, "550 5.7.1 a b"},
        {"550 4.7.1 a\r\n", 1, "550 4.7.1 a"},
        {"250-a\r\n251 b\r\n", -1, ""},
        {"250-a\r\n", 0, ""},
        {"25", 0, ""},
        {"25x a\r\n", -1, ""},
        {"hello\r\n", -1, ""},
        {"250_a\r\n", -1, ""},
        {"\r\n", -1, ""},
        {"250 a\x01\xff\r\n", 1, "250 a??"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = strlen(rows[i].bytes);
        for (size_t split = 0; split <= len; split++) {
            struct pn_smtp_reply_reader reader;
            struct pn_smtp_reply reply;
            struct pn_buf out, in;
            pn_buf_init(&out, 1024);
            pn_buf_init(&in, 1024);
            pn_smtp_reply_reader_init(&reader);
            unit_row(rows[i].bytes);
            int got = 0;
            for (int part = 0; part < 2 && got == 0; part++) {
                (void)pn_buf_add(&in, rows[i].bytes + (part == 0 ? 0 : split),
                                 part == 0 ? split : len - split);
                struct pn_str bytes = pn_buf_str(&in);
                got = pn_smtp_reply_next(&reader, &bytes, &reply);
                pn_buf_consume(&in, in.len - bytes.len);
            }
            UNIT_INT(got, rows[i].want);
            if (got > 0) {
                pn_smtp_reply_print(&out, &reply);
                UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].printed));
            }
            pn_smtp_reply_reader_fini(&reader);
            pn_buf_fini(&in);
            pn_buf_fini(&out);
        }
    }
}

static void test_reply_limits(void)
{
    struct pn_smtp_reply_reader reader;
    struct pn_smtp_reply reply;
    struct pn_buf in;
    struct pn_str bytes;
    pn_buf_init(&in, 1 << 20);
    pn_smtp_reply_reader_init(&reader);
    /* Text past the limit is forgotten, the reply stands. */
    for (unsigned i = 0; i < PN_SMTP_REPLY_LINES_MAX; i++)
        (void)pn_buf_addf(&in, "250%c%0100d\r\n", i + 1 < PN_SMTP_REPLY_LINES_MAX ? '-' : ' ', 1);
    bytes = pn_buf_str(&in);
    UNIT_INT(pn_smtp_reply_next(&reader, &bytes, &reply), 1);
    UNIT_INT(reply.text.len, PN_SMTP_REPLY_TEXT_MAX);
    UNIT_INT(bytes.len, 0);
    /* One line more is too many. */
    pn_buf_clear(&in);
    for (unsigned i = 0; i <= PN_SMTP_REPLY_LINES_MAX; i++)
        (void)pn_buf_addz(&in, "250-\r\n");
    bytes = pn_buf_str(&in);
    UNIT_INT(pn_smtp_reply_next(&reader, &bytes, &reply), -1);
    pn_smtp_reply_reader_fini(&reader);
    /* A line at the limit, and over it, ended or not. */
    for (size_t n = PN_SMTP_LINE_MAX - 1; n <= PN_SMTP_LINE_MAX; n++) {
        pn_smtp_reply_reader_init(&reader);
        pn_buf_clear(&in);
        (void)pn_buf_addz(&in, "250 ");
        while (in.len < n)
            (void)pn_buf_addc(&in, 'x');
        bytes = pn_buf_str(&in);
        UNIT_INT(pn_smtp_reply_next(&reader, &bytes, &reply), n == PN_SMTP_LINE_MAX ? -1 : 0);
        (void)pn_buf_addc(&in, '\n');
        bytes = pn_buf_str(&in);
        UNIT_INT(pn_smtp_reply_next(&reader, &bytes, &reply), n == PN_SMTP_LINE_MAX ? -1 : 1);
        pn_smtp_reply_reader_fini(&reader);
    }
    pn_buf_fini(&in);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"path", test_path},
        {"path_cut", test_path_cut},
        {"canonical", test_canonical},
        {"helo", test_helo},
        {"params", test_params},
        {"xtext", test_xtext},
        {"reply_read", test_reply_read},
        {"reply_put", test_reply_put},
        {"reply_next", test_reply_next},
        {"reply_limits", test_reply_limits},
        {NULL, NULL},
    };
    return unit_main("smtp_grammar", tests, argc, argv);
}
