#include "unit.h"

#include "dsn.h"

static const struct dsn_recipient nobody = {.address = PN_STR_INIT("u@dest.test")};
static const struct dsn plain = {.hostname = PN_STR_INIT("mx.here.test"),
                                 .id = PN_STR_INIT("0xyz"),
                                 .boundary = PN_STR_INIT("0abc"),
                                 .about = PN_STR_INIT("0def"),
                                 .to = PN_STR_INIT("s@from.test"),
                                 .arrived_ms = 1700000000000,
                                 .now_ms = 1700000001000,
                                 .recipients = &nobody,
                                 .count = 1,
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
        uint8_t action;
        bool expired;
        const char *want;
    } rows[] = {
        {"its own", "550 5.1.1 No such user", DSN_FAILED, false, "5.1.1"},
        {"alone", "550 5.1.1", DSN_FAILED, false, "5.1.1"},
        {"large numbers", "550 5.100.999 x", DSN_FAILED, false, "5.100.999"},
        {"none", "550 No such user", DSN_FAILED, false, "5.0.0"},
        {"only a number", "550 5", DSN_FAILED, false, "5.0.0"},
        {"only a code", "550", DSN_FAILED, false, "5.0.0"},
        {"another class", "550 2.0.0 ok", DSN_FAILED, false, "5.0.0"},
        {"a lesser class", "550 4.2.1 later", DSN_FAILED, false, "5.0.0"},
        {"too long a number", "550 5.1.1111 x", DSN_FAILED, false, "5.0.0"},
        {"a leading zero", "550 5.01.1 x", DSN_FAILED, false, "5.0.0"},
        {"nothing", "", DSN_FAILED, false, "5.0.0"},
        {"no subject", "550 5..1 x", DSN_FAILED, false, "5.0.0"},
        {"no detail", "550 5.1. x", DSN_FAILED, false, "5.0.0"},
        {"four numbers", "550 5.1.1.1 x", DSN_FAILED, false, "5.0.0"},
        {"no class", "550 55.1.1 x", DSN_FAILED, false, "5.0.0"},
        {"time is over", "451 4.2.1 Not now", DSN_FAILED, true, "4.4.7"},
        {"delayed", "451 4.2.1 Not now", DSN_DELAYED, false, "4.2.1"},
        {"delayed without a status", "451 Not now", DSN_DELAYED, false, "4.0.0"},
        {"delayed by ourselves", "the worker is away", DSN_DELAYED, false, "4.0.0"},
        {"delivered", "250 2.1.5 Ok", DSN_DELIVERED, false, "2.1.5"},
        {"delivered, no status", "250 Ok", DSN_DELIVERED, false, "2.0.0"},
        {"relayed", "250 2.6.0 Queued", DSN_RELAYED, false, "2.6.0"},
        {"relayed, another class", "250 5.6.0 Queued", DSN_RELAYED, false, "2.0.0"},
        {"expanded", "250 2.0.0 To others", DSN_EXPANDED, false, "2.0.0"},
    };
    static const char *const actions[] = {"failed", "delayed", "delivered", "relayed", "expanded"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn_recipient to = {.action = rows[i].action,
                                   .address = PN_STR("u@dest.test"),
                                   .reply = pn_str_of(rows[i].reply),
                                   .expired = rows[i].expired};
        struct dsn d = plain;
        struct pn_buf b, want;
        pn_buf_init(&b, 100000);
        pn_buf_init(&want, 1000);
        d.recipients = &to;
        (void)pn_buf_addf(&want, "\r\nAction: %s\r\nStatus: %s\r\n", actions[rows[i].action],
                          rows[i].want);
        unit_row(rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        UNIT_TRUE(has(pn_buf_str(&b), pn_buf_cstr(&want)));
        pn_buf_fini(&b);
        pn_buf_fini(&want);
    }
}

/* Every field that RFC 3464 and RFC 3461, section 6.3 ask for, in their order, and none that
 * may not be there. */
static void test_fields(void)
{
    const struct dsn_recipient all = {.action = DSN_DELAYED,
                                      .address = PN_STR("U@Dest.test"),
                                      .orcpt = PN_STR("rfc822;Alias+2Bx@dest.test"),
                                      .reply = PN_STR("451 4.2.1 Not now"),
                                      .server = PN_STR("mx.next.test:25"),
                                      .until_ms = 1700000090000};
    const struct dsn_recipient ours = {.action = DSN_FAILED,
                                       .address = PN_STR("u@dest.test"),
                                       .reply = PN_STR("the worker is away")};
    static const struct {
        const char *label, *hostname, *envid, *helo, *client;
        bool all;
        const char *want;
    } rows[] = {
        {"all", "mx.here.test", "Q+2Bq", "c.test", "192.0.2.7", true,
         "Original-Envelope-Id: Q+q\r\nReporting-MTA: dns; mx.here.test\r\n"
         "Received-From-MTA: dns; c.test (192.0.2.7)\r\n"
         "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nX-Postern-Queue-ID: 0def\r\n\r\n"
         "Original-Recipient: rfc822;Alias+x@dest.test\r\n"
         "Final-Recipient: rfc822; U@Dest.test\r\nAction: delayed\r\nStatus: 4.2.1\r\n"
         "Remote-MTA: dns; mx.next.test\r\nDiagnostic-Code: smtp; 451 4.2.1 Not now\r\n"
         "Will-Retry-Until: Tue, 14 Nov 2023 22:14:50 +0000\r\n\r\n--=_0abc\r\n"},
        {"none that is not known", "localhost", "", "", "", false,
         "\r\n\r\nReporting-MTA: x-local-hostname; localhost\r\n"
         "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nX-Postern-Queue-ID: 0def\r\n\r\n"
         "Final-Recipient: rfc822; u@dest.test\r\nAction: failed\r\nStatus: 5.0.0\r\n"
         "Diagnostic-Code: x-postern; the worker is away\r\n\r\n--=_0abc\r\n"},
        {"a comment in a name", "mx.here.test", "", "c.test (really)", "192.0.2.7", false,
         "Reporting-MTA: dns; mx.here.test\r\nArrival-Date: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        d.hostname = pn_str_of(rows[i].hostname);
        d.envid = pn_str_of(rows[i].envid);
        d.helo = pn_str_of(rows[i].helo);
        d.client = pn_str_of(rows[i].client);
        d.recipients = rows[i].all ? &all : &ours;
        unit_row(rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        UNIT_TRUE(has(pn_buf_str(&b), rows[i].want));
        pn_buf_fini(&b);
    }
}

/* The mail's own header; what it is about by what it holds. */
static void test_subjects(void)
{
    static const struct {
        const char *label;
        uint8_t first, second;
        const char *want;
    } rows[] = {
        {"failed", DSN_FAILED, DSN_FAILED, "\r\nSubject: Undelivered mail returned to sender\r\n"},
        {"some failed", DSN_DELAYED, DSN_FAILED,
         "\r\nSubject: Undelivered mail returned to sender\r\n"},
        {"delayed", DSN_DELAYED, DSN_DELAYED,
         "\r\nSubject: Your mail is delayed, and still being tried\r\n"},
        {"delivered", DSN_DELIVERED, DSN_RELAYED, "\r\nSubject: Your mail was delivered\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn_recipient to[2] = {nobody, nobody};
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        to[0].action = rows[i].first;
        to[1].action = rows[i].second;
        d.recipients = to;
        d.count = 2;
        unit_row(rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        struct pn_str s = pn_buf_str(&b);
        UNIT_TRUE(has(s, rows[i].want));
        UNIT_TRUE(has(s, "From: Mail Delivery System <postmaster@mx.here.test>\r\n"
                         "To: <s@from.test>\r\n"));
        UNIT_TRUE(has(s, "\r\nMessage-ID: <0xyz@mx.here.test>\r\n"
                         "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                         "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                         "\tboundary=\"=_0abc\"\r\n"));
        UNIT_INT(count(s, "Will-Retry-Until"), 0);
        pn_buf_fini(&b);
    }
}

/* How much goes back, and how: RET, RFC 6522 section 3, RFC 6533 section 4.5. */
static void test_returned(void)
{
    enum { FULL = 1, EIGHT = 2 };
    static const char ascii[] = "Subject: a\r\n\r\nbody=\r\n--=_0abcd\r\n";
    static const char high[] = "Subject: a\r\n\r\n\xe4\r\n";
    static const char global[] = "Subject: \xc3\xa4\r\n\r\n\xc3\xbc\r\n";
    static const char odd[] = "Subject: \xe4\r\n\r\nb\r\n";
    static const struct {
        const char *label, *content;
        uint8_t action;
        unsigned flags;
        const char *want;
    } rows[] = {
        {"header", ascii, DSN_FAILED, 0,
         "text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: "
         "a\r\n\r\n--=_0abc--"},
        {"all", ascii, DSN_FAILED, FULL,
         "message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: a\r\n\r\nbody=\r\n"
         "--=_0abcd\r\n\r\n--=_0abc--"},
        {"all, but nobody failed", ascii, DSN_DELIVERED, FULL,
         "text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: "
         "a\r\n\r\n--=_0abc--"},
        {"all, but it waits", ascii, DSN_DELAYED, FULL,
         "text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: "
         "a\r\n\r\n--=_0abc--"},
        {"8 bits, a way not known", high, DSN_FAILED, FULL,
         "text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: "
         "a\r\n\r\n--=_0abc--"},
        {"8 bits, a way that takes them", high, DSN_FAILED, FULL | EIGHT,
         "message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: a\r\n\r\n\xe4\r\n\r\n"},
        {"UTF-8 header", global, DSN_FAILED, 0,
         "message/global-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
         "Subject: =C3=A4\r\n\r\n--=_0abc--"},
        {"UTF-8 header, all", global, DSN_FAILED, FULL,
         "message/global\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
         "Subject: =C3=A4\r\n\r\n=C3=BC\r\n\r\n--=_0abc--"},
        {"UTF-8 header, all, as it is", global, DSN_FAILED, FULL | EIGHT,
         "message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
         "Subject: \xc3\xa4\r\n\r\n\xc3\xbc\r\n\r\n--=_0abc--"},
        {"UTF-8 header alone, as it is", global, DSN_FAILED, EIGHT,
         "message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
         "Subject: \xc3\xa4\r\n\r\n--=_0abc--"},
        {"no UTF-8", odd, DSN_FAILED, FULL,
         "text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
         "Subject: =E4\r\n\r\n--=_0abc--"},
        {"no UTF-8, as it is", odd, DSN_FAILED, FULL | EIGHT,
         "message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: \xe4\r\n\r\nb\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn_recipient to = {.action = rows[i].action, .address = PN_STR("u@dest.test")};
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        d.recipients = &to;
        d.content = pn_str_of(rows[i].content);
        d.full = rows[i].flags & FULL;
        d.eight = rows[i].flags & EIGHT;
        unit_row(rows[i].label);
        UNIT_TRUE(dsn_write(&b, &d));
        UNIT_TRUE(has(pn_buf_str(&b), rows[i].want));
        UNIT_TRUE(d.eight || pn_str_is_ascii(pn_buf_str(&b)));
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
    d.helo = PN_STR("h\r\nBcc: all@x");
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
        const char *label, *address, *orcpt, *reply, *server, *header, *want[4];
        bool smtputf8;
    } rows[] = {
        {"plain",
         "u@x.test",
         "",
         "550 5.1.1 No",
         "192.0.2.1:2525",
         "A: b\r\n",
         {"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n",
          "\r\nFinal-Recipient: rfc822; u@x.test\r\n", "\r\nRemote-MTA: dns; [192.0.2.1]\r\n",
          "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n"}},
        {"an address",
         "\xc3\xbc@x.test",
         "",
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
         "",
         "550 5.1.1 \xc3\xbc",
         "mx.next.test:25",
         "A: \xfc\r\n",
         {"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n",
          "\r\nDiagnostic-Code: smtp; 550 5.1.1 ?\r\n", "\r\nRemote-MTA: dns; mx.next.test\r\n",
          "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: "
          "quoted-printable\r\n\r\nA: =FC\r\n"}},
        {"words of a message with SMTPUTF8",
         "u@x.test",
         "",
         "550 5.1.1 \xc3\xbc \xff",
         "2001:db8::1",
         "A: b\r\n",
         {"Content-Type: message/global-delivery-status\r\n",
          "\r\nDiagnostic-Code: smtp; 550 5.1.1 =C3=BC ?\r\n",
          "\r\nRemote-MTA: dns; [IPv6:2001:db8::1]\r\n", "text/rfc822-headers\r\n"},
         true},
        {"ORCPT, once escaped",
         "u@x.test",
         "utf-8;\\x{FC}@x.test",
         "550 5.1.1 No",
         "192.0.2.1",
         "A: b\r\n",
         {"Content-Type: message/global-delivery-status\r\n",
          "\r\nOriginal-Recipient: utf-8;=C3=BC@x.test\r\n",
          "\r\nFinal-Recipient: rfc822; u@x.test\r\n", "\r\nRemote-MTA: dns; [192.0.2.1]\r\n"}},
        {"ORCPT, no address of its type",
         "u@x.test",
         "utf-8;a\\x{0A}b",
         "550 5.1.1 No",
         "192.0.2.1",
         "A: b\r\n",
         {"Content-Type: message/delivery-status\r\n",
          "\r\nOriginal-Recipient: utf-8;a\\x{0A}b\r\n",
          "\r\nFinal-Recipient: rfc822; u@x.test\r\n", "text/rfc822-headers\r\n"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dsn_recipient to = {.address = pn_str_of(rows[i].address),
                                   .orcpt = pn_str_of(rows[i].orcpt),
                                   .reply = pn_str_of(rows[i].reply),
                                   .server = pn_str_of(rows[i].server)};
        struct dsn d = plain;
        struct pn_buf b;
        pn_buf_init(&b, 100000);
        d.recipients = &to;
        d.count = 1;
        d.content = pn_str_of(rows[i].header);
        d.smtputf8 = rows[i].smtputf8;
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
    static const struct unit_test tests[] = {
        {"status", test_status},     {"fields", test_fields},   {"subjects", test_subjects},
        {"returned", test_returned}, {"hostile", test_hostile}, {"types", test_types},
        {"quoted", test_quoted},     {"header", test_header},   {NULL, NULL}};
    return unit_main("dsn", tests, argc, argv);
}
