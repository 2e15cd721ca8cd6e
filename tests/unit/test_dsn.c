#include "unit.h"

#include "dsn.h"

static const struct dsn plain = {.hostname = PN_STR_INIT("mx.here.test"),
                                 .id = PN_STR_INIT("0abc"),
                                 .about = PN_STR_INIT("0def"),
                                 .to = PN_STR_INIT("s@from.test"),
                                 .arrived_ms = 1700000000000,
                                 .now_ms = 1700000001000,
                                 .content = PN_STR_INIT("Subject: a\r\nX: b\r\n\r\nbody\r\n")};

static bool has(struct pn_str s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.len; i++)
        if (memcmp(s.p + i, text, n) == 0)
            return true;
    return false;
}

static size_t count(struct pn_str s, const char *text)
{
    size_t n = strlen(text), found = 0;
    for (size_t i = 0; i + n <= s.len; i++)
        found += memcmp(s.p + i, text, n) == 0;
    return found;
}

static void test_status(void)
{
    static const struct {
        const char *label, *reply;
        bool expired;
        const char *want;
    } rows[] = {
        {"its own", "550 5.1.1 No such user", false, "Status: 5.1.1\r\n"},
        {"none", "550 No such user", false, "Status: 5.0.0\r\n"},
        {"only a number", "550 5", false, "Status: 5.0.0\r\n"},
        {"another class", "550 2.0.0 ok", false, "Status: 5.0.0\r\n"},
        {"too long a number", "550 5.1.1111111111 x", false, "Status: 5.0.0\r\n"},
        {"nothing", "", false, "Status: 5.0.0\r\n"},
        {"no subject", "550 5..1 x", false, "Status: 5.0.0\r\n"},
        {"no detail", "550 5.1. x", false, "Status: 5.0.0\r\n"},
        {"no class", "550 55.1.1 x", false, "Status: 5.0.0\r\n"},
        {"time is over", "451 4.2.1 Not now", true, "Status: 4.4.7\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn_recipient to = {.address = PN_STR("u@dest.test"),
                                   .reply = pn_str_of(rows[i].reply),
                                   .expired = rows[i].expired};
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        d.recipients = &to;
        d.count = 1;
        unit_row(rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        UNIT_TRUE(has(pn_buf_str(&b), rows[i].want));
        pn_buf_fini(&b);
    }
}

/* What strangers said can't end a line, a field or a part. */
static void test_hostile(void)
{
    struct dsn_recipient to = {
        .address = PN_STR("u\r\n--=_0abc--\r\n@x"),
        .orcpt = PN_STR("rfc822;a\nStatus: 2.0.0"),
        .reply = PN_STR("550 5.1.1 a\r\n\r\n--=_0abc\r\nContent-Type: text/html\r\n\r\n\001<b>"),
        .server = PN_STR("x\r\nX: y")};
    struct dsn d = plain;
    struct pn_buf b;
    pn_buf_init(&b, 100000);
    d.envid = PN_STR("e\r\nBcc: all@x");
    d.recipients = &to;
    d.count = 1;
    UNIT_TRUE(dsn_write(&b, &d));
    struct pn_str s = pn_buf_str(&b);
    UNIT_INT(count(s, "\r\n--=_0abc"), 4);
    UNIT_INT(count(s, "\r\nStatus: "), 1);
    UNIT_TRUE(!has(s, "\r\nBcc") && !has(s, "\r\nX: y") && !has(s, "\001"));
    for (size_t i = 0; i < s.len; i++) /* every line ends with CR LF */
        UNIT_TRUE((s.p[i] != '\n' || s.p[i - 1] == '\r') && (s.p[i] != '\r' || s.p[i + 1] == '\n'));
    pn_buf_fini(&b);
}

/* What is beyond ASCII has its own types (RFC 6533); a hop is named without its port. */
static void test_types(void)
{
    static const struct {
        const char *label, *address, *reply, *server, *header, *want[4];
    } rows[] = {
        {"plain",
         "u@x.test",
         "550 5.1.1 No",
         "192.0.2.1:2525",
         "A: b\r\n",
         {"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n",
          "\r\nFinal-Recipient: rfc822; u@x.test\r\n", "\r\nRemote-MTA: dns; [192.0.2.1]\r\n",
          "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n"}},
        {"an address",
         "\xc3\xbc@x.test",
         "550 5.1.1 \xc3\xbc",
         "[2001:db8::1]:25",
         "A: \xc3\xbc\r\n",
         {"Content-Type: message/global-delivery-status\r\n"
          "Content-Transfer-Encoding: quoted-printable\r\n",
          "\r\nFinal-Recipient: utf-8; =C3=BC@x.test\r\n",
          "\r\nRemote-MTA: dns; [IPv6:2001:db8::1]\r\n",
          "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: "
          "quoted-printable\r\n\r\nA: =C3=BC\r\n"}},
        {"only words",
         "u@x.test",
         "550 5.1.1 \xc3\xbc",
         "mx.next.test:25",
         "A: \xfc\r\n",
         {"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n",
          "\r\nDiagnostic-Code: smtp; 550 5.1.1 ??\r\n", "\r\nRemote-MTA: dns; mx.next.test\r\n",
          "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: "
          "quoted-printable\r\n\r\nA: =FC\r\n"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn_recipient to = {.address = pn_str_of(rows[i].address),
                                   .reply = pn_str_of(rows[i].reply),
                                   .server = pn_str_of(rows[i].server)};
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        d.recipients = &to;
        d.count = 1;
        d.content = pn_str_of(rows[i].header);
        unit_row(rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        for (size_t k = 0; k < 4; k++)
            UNIT_TRUE(has(pn_buf_str(&b), rows[i].want[k]));
        UNIT_TRUE(pn_str_is_ascii(pn_buf_str(&b)));
        pn_buf_fini(&b);
    }
}

/* Quoted-printable: lines of 76 at most, blanks at their ends and '=' written out. */
static void test_quoted(void)
{
    char header[400] = "A: \xc3\xbc = ";
    struct dsn d = plain;
    struct pn_buf b;
    memset(header + 8, 'x', 301);
    memcpy(header + 309, " \r\nB: c\r\n", 10);
    pn_buf_init(&b, 100000);
    d.content = pn_str_of(header);
    UNIT_TRUE(dsn_write(&b, &d));
    struct pn_str s = pn_buf_str(&b);
    UNIT_TRUE(has(s, "\r\nA: =C3=BC =3D xxx") && has(s, "=20\r\nB: c\r\n"));
    for (size_t from = 0, at; (at = pn_str_find(s, '\n', from)) != SIZE_MAX; from = at + 1)
        UNIT_TRUE(at - 1 - from <= 76);
    pn_buf_fini(&b);
}

/* The header is quoted alone, whole lines of it, to a limit. */
static void test_header(void)
{
    static char large[100 * 1024];
    memset(large, 'x', sizeof large);
    static const struct {
        const char *label, *content, *want;
    } rows[] = {
        {"no body", "A: b\r\n", "\r\n\r\nA: b\r\n\r\n--=_0abc--\r\n"},
        {"no line end", "A: b", "\r\n\r\nA: b\r\n\r\n--=_0abc--\r\n"},
        {"no header", "\r\nbody\r\n", "\r\n\r\n\r\n\r\n--=_0abc--\r\n"},
        {"empty", "", "\r\n\r\n\r\n\r\n--=_0abc--\r\n"},
    };
    for (size_t i = 0; i <= sizeof rows / sizeof rows[0]; i++) {
        bool limit = i == sizeof rows / sizeof rows[0];
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        d.content = limit ? (struct pn_str){large, sizeof large} : pn_str_of(rows[i].content);
        unit_row(limit ? "one endless line" : rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        UNIT_TRUE(limit ? b.len < 5000 : pn_str_ends(pn_buf_str(&b), pn_str_of(rows[i].want)));
        pn_buf_fini(&b);
    }
    struct pn_buf small;
    pn_buf_init(&small, 100);
    UNIT_TRUE(!dsn_write(&small, &plain));
    pn_buf_fini(&small);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"status", test_status}, {"hostile", test_hostile},
                                             {"types", test_types},   {"quoted", test_quoted},
                                             {"header", test_header}, {NULL, NULL}};
    return unit_main("dsn", tests, argc, argv);
}
