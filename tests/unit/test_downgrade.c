#include "unit.h"

#include "downgrade.h"
#include "lines.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define INVALID     "<invalid@internationalized-address.invalid>"

/* The surrogate, or a copy of what is no internationalized message; true: it was one. */
static bool downgrade(struct pn_str content, struct pn_buf *out)
{
    struct pn_message *m = pn_message_new(content, NULL);
    bool is = pn_is_international(m);
    if (is) {
        pn_downgrade(m, out);
    } else {
        pn_buf_init(out, content.len + 1);
        (void)pn_buf_adds(out, content);
    }
    pn_message_free(&m);
    return is;
}

/* ---- which messages */

static void test_which(void)
{
    static const struct {
        const char *label;
        struct pn_str in;
        bool want;
    } rows[] = {
        {"empty", PN_STR_INIT(""), false},
        {"ASCII", PN_STR_INIT("Subject: a\n\nb\n"), false},
        {"an 8-bit body", PN_STR_INIT("Subject: a\n\n\xc3\xa9\n"), false},
        {"UTF-8 in the header", PN_STR_INIT("Subject: \xc3\xa9\n\nb\n"), true},
        {"no end of the header", PN_STR_INIT("Subject: \xc3\xa9"), true},
        {"Latin 1", PN_STR_INIT("Subject: \xe9\n\nb\n"), false},
        {"both", PN_STR_INIT("Subject: \xc3\xa9\nX: \xe9\n\nb\n"), false},
        {"a character cut", PN_STR_INIT("Subject: \xc3\nX: a\n\nb\n"), false},
        {"overlong", PN_STR_INIT("Subject: \xc0\xaf\n\nb\n"), false},
        {"in a part's header",
         PN_STR_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\nX: \xc3\xa9\n\nx\n--b--\n"),
         true},
        {"Latin 1 in a part's header",
         PN_STR_INIT("Subject: \xc3\xa9\nContent-Type: multipart/mixed; boundary=b\n\n"
                     "--b\nX: \xe9\n\nx\n--b--\n"),
         false},
        {"in a preamble and a body",
         PN_STR_INIT("Content-Type: multipart/mixed; boundary=b\n\n\xc3\xa9: x\n"
                     "--b\nX: a\n\n\xc3\xa9\n--b--\n"),
         false},
        {"in a message inside",
         PN_STR_INIT("Content-Type: message/rfc822\n\nSubject: \xc3\xa9\n\nx\n"), true},
        {"in one that is encoded",
         PN_STR_INIT("Content-Type: message/global\nContent-Transfer-Encoding: base64\n\n"
                     "Subject: \xc3\xa9\n\nx\n"),
         false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_buf out;
        unit_row(rows[i].label);
        UNIT_TRUE(downgrade(rows[i].in, &out) == rows[i].want);
        pn_buf_fini(&out);
    }
}

/* ---- fields */

static const struct {
    const char *label;
    const char *in, *want; /* one header field each, with its LF */
} fields[] = {
    {"ASCII stays as it is", "X-A:b\n  c \nTo: a,b\n", "X-A:b\n  c \nTo: a,b\n"},
    {"subject",
     "Subject: Gr\xc3\xbc\xc3\x9f"
     "e\n",
     "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\n"},
    {"subject, folded", "Subject: \xc3\xa9\n\tx\n", "Subject: =?UTF-8?B?w6kJeA==?=\n"},
    {"subject that is encoded in part", "Subject: =?UTF-8?Q?=C3=A9?= \xc3\xa9\n",
     "Subject: =?UTF-8?B?w6kgw6k=?=\n"},
    {"a long subject, no character cut",
     "SUBJECT: \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n",
     "SUBJECT: =?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?=\n"
     " =?UTF-8?B?w6k=?=\n"},
    {"a name that leaves no room for a word", "Content-Description: \xc3\xa9\n",
     "Content-Description:\n =?UTF-8?B?w6k=?=\n"},
    {"a display name", "From: J\xc3\xb6rg Ma <j@x.test>\n",
     "From: =?UTF-8?B?SsO2cmcgTWE=?=\n <j@x.test>\n"},
    {"a display name in quotes", "From: \"J\xc3\xb6rg, Ma\" <\"j j\"@x.test>\n",
     "From: =?UTF-8?B?SsO2cmcsIE1h?=\n <\"j j\"@x.test>\n"},
    {"a comment as name", "From: j@x.test (J\xc3\xb6rg)\n",
     "From: =?UTF-8?B?SsO2cmc=?=\n <j@x.test>\n"},
    {"an address", "From: <j\xc3\xb6@x.test>\n",
     "From: =?UTF-8?B?asO2QHgudGVzdA==?=\n " INVALID "\n"},
    {"an address with a name", "Sender: Jo <jo@\xc3\xb6.test>\n",
     "Sender: =?UTF-8?B?Sm8gPGpvQMO2LnRlc3Q+?=\n " INVALID "\n"},
    {"no address", "To: J\xc3\xb6rg\n", "To: =?UTF-8?B?SsO2cmc=?=\n " INVALID "\n"},
    {"some of a list", "To: a@b.test, \xc3\xa9@b.test,\n C <c@d.test>\n",
     "To: a@b.test,\n =?UTF-8?B?w6lAYi50ZXN0?=\n " INVALID ",\n C <c@d.test>\n"},
    {"a group", "Cc: \xc3\xa9: a@b.test, \xc3\xa9@b.test;, x@y.test\n",
     "Cc: =?UTF-8?B?w6k=?=:\n a@b.test,\n =?UTF-8?B?w6lAYi50ZXN0?=\n " INVALID ";,\n x@y.test\n"},
    {"an empty group", "Bcc: \xc3\xa9:;\n", "Bcc: =?UTF-8?B?w6k=?=:;\n"},
    {"a long name of a list", "Resent-Reply-To: \xc3\xa9 <a@b.test>\n",
     "Resent-Reply-To:\n =?UTF-8?B?w6k=?=\n <a@b.test>\n"},
    {"return path", "Return-Path: <\xc3\xa9@b.test>\n", "Return-Path: " INVALID "\n"},
    {"nothing but separators", "To: , \xc2\xa0\n", "To: =?UTF-8?B?wqA=?=\n " INVALID "\n"},
    {"a parameter", "Content-Type: text/plain; charset=utf-8; name=\"\xc3\xa9 \\\"a.txt\"\n",
     "Content-Type: text/plain;\n charset=utf-8;\n name*=UTF-8''%C3%A9%20%22a.txt\n"},
    {"a long one",
     "Content-Disposition: attachment; filename=\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
     "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9; size=3\n",
     "Content-Disposition: attachment;\n"
     " filename*0*=UTF-8''%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9;\n"
     " filename*1*=%C3%A9;\n size=3\n"},
    {"a comment in it", "Content-Disposition: inline (\xc3\xa9)\n",
     "Content-Disposition: inline\n"},
    {"a charset", "Content-Type: text/plain; charset=\xc3\xa9\n", "Content-Type: text/plain\n"},
    {"a type that is none", "Content-Type: t\xc3\xa9xt/plain; a=b\n",
     "Content-Type: text/plain;\n a=b\n"},
    {"its second type", "Content-Type: text/html\nContent-Type: \xc3\xa9/x\n",
     "Content-Type: text/html\n"},
    {"what RFC 2231 says",
     "Content-Type: text/plain; name*=utf-8''\xc3\xa9; a*0=\xc3\xa9; \xc3\xa9=a\n",
     "Content-Type: text/plain\n"},
    {"a boundary in pieces",
     "Content-Type: multipart/mixed; boundary*0=a; boundary*1=\xc3\xa9; c=d\n",
     "Content-Type: multipart/mixed;\n c=d\n"},
    {"a disposition that is none", "Content-Disposition: \xc3\xa9; a=b\n", ""},
    {"an encoding with a comment", "Content-Transfer-Encoding: base64 (\xc3\xa9)\n",
     "Content-Transfer-Encoding: base64\n"},
    {"an encoding that is none", "Content-Transfer-Encoding: \xc3\xa9\n",
     "Content-Transfer-Encoding: x-unknown\n"},
    {"other fields go", "X-A: 1\nX-B: \xc3\xa9\n \xc3\xa9\nX-C: 2\nMessage-ID: <\xc3\xa9@x>\n",
     "X-A: 1\nX-C: 2\n"},
    {"lines that are no fields", "From \xc3\xa9\n a\nX: 1\n", "X: 1\n"},
    {"a continuation of nothing", " \xc3\xa9\nX: 1\n", "X: 1\n"},
};

/* Another header makes it one wherever its own is ASCII. */
static void test_fields(void)
{
    for (size_t i = 0; i < COUNT(fields); i++)
        for (unsigned crlf = 0; crlf < 2; crlf++) {
            struct pn_buf in, want, out;
            struct pn_lines lines;
            unit_row(fields[i].label);
            pn_buf_init(&in, 10000);
            pn_buf_init(&want, 10000);
            const char *const text[2] = {fields[i].in, fields[i].want};
            for (unsigned k = 0; k < 2; k++) {
                struct pn_buf *to = k == 0 ? &in : &want;
                pn_lines_init(&lines, crlf != 0 ? PN_LINES_TO_CRLF : PN_LINES_TO_LF);
                (void)pn_lines_feed(&lines, pn_str_of(text[k]), to);
                (void)pn_lines_feed(&lines, pn_str_of(k == 0 ? "Keywords: \xc3\xa9\n" : ""), to);
                (void)pn_lines_feed(&lines, PN_STR("\n\xc3\xa9 body\n"), to);
            }
            UNIT_TRUE(downgrade(pn_buf_str(&in), &out));
            UNIT_STR(pn_buf_str(&out), pn_buf_str(&want));
            pn_buf_fini(&in);
            pn_buf_fini(&want);
            pn_buf_fini(&out);
        }
}

/* ---- trees */

static void test_tree(void)
{
    static const char in[] = "Subject: \xc3\xa9\nContent-Type: multipart/mixed; boundary=b\n\n"
                             "pr\xc3\xa9"
                             "amble\n"
                             "--b\nContent-Type: text/plain\n"
                             "Content-Disposition: attachment; filename=\"\xc3\xa9.txt\"\n\n"
                             "b\xc3\xb6"
                             "dy\n"
                             "--b\nContent-Type: message/global\n\n"
                             "From: \xc3\xa9@x.test\nSubject: x\n\ninside \xc3\xa9\n"
                             "--b\nContent-Type: message/global; a=b\n"
                             "Content-Transfer-Encoding: base64\n\nAAAA\n"
                             "--b--\nepilogue \xc3\xa9\n";
    static const char want[] = "Subject: =?UTF-8?B?w6k=?=\n"
                               "Content-Type: multipart/mixed; boundary=b\n\n"
                               "pr\xc3\xa9"
                               "amble\n"
                               "--b\nContent-Type: text/plain\n"
                               "Content-Disposition: attachment;\n filename*=UTF-8''%C3%A9.txt\n\n"
                               "b\xc3\xb6"
                               "dy\n"
                               "--b\nContent-Type: message/rfc822\n\n"
                               "From: =?UTF-8?B?w6lAeC50ZXN0?=\n " INVALID "\n"
                               "Subject: x\n\ninside \xc3\xa9\n"
                               "--b\nContent-Type: message/global; a=b\n"
                               "Content-Transfer-Encoding: base64\n\nAAAA\n"
                               "--b--\nepilogue \xc3\xa9\n";
    struct pn_buf out;
    UNIT_TRUE(downgrade(pn_str_of(in), &out));
    UNIT_STR(pn_buf_str(&out), pn_str_of(want));
    pn_buf_fini(&out);
}

/* Wherever it ends: what comes out has no header beyond ASCII, and needs nothing more. */
static void check_surrogate(struct pn_str content)
{
    struct pn_buf once, twice;
    if (downgrade(content, &once)) {
        UNIT_TRUE(!downgrade(pn_buf_str(&once), &twice));
        UNIT_TRUE(once.len <= content.len + PN_DOWNGRADE_MORE);
        pn_buf_fini(&twice);
    }
    pn_buf_fini(&once);
}

static void test_cut(void)
{
    struct pn_buf all;
    pn_buf_init(&all, 100000);
    (void)pn_buf_addz(&all, "Content-Type: multipart/mixed; boundary=b\n");
    for (size_t i = 0; i < COUNT(fields); i++)
        (void)pn_buf_addz(&all, fields[i].in);
    (void)pn_buf_addz(&all, "\n--b\n");
    for (size_t i = 0; i < COUNT(fields); i++)
        (void)pn_buf_addz(&all, fields[i].in);
    (void)pn_buf_addz(&all, "\nx\n--b--\n");
    for (size_t cut = 0; cut <= all.len; cut++)
        check_surrogate(pn_str_slice(pn_buf_str(&all), 0, cut));
    pn_buf_fini(&all);
}

/* ---- bounds */

static void add_times(struct pn_buf *to, const char *what, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)pn_buf_addz(to, what);
}

static void test_bounds(void)
{
    enum { MANY = 200000 };
    static const struct {
        const char *label, *front, *item, *back;
    } rows[] = {
        {"addresses", "To: ", "\xc3\xa9@\xc3\xa9,", "x@y\n"},
        {"fields", "", "To: \xc3\xa9\n", ""},
        {"a subject", "Subject: ", "\xc3\xa9 ", "\n"},
        {"parameters", "Content-Disposition: a", ";\xc3\xa9=\xc3\xa9;a=\xc3\xa9", "\n"},
        {"a file's name", "Content-Disposition: a;filename=", "\xc3\xa9", "\n"},
        {"a type", "Content-Type: text/plain", ";a=\xc3\xa9", "\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_buf in, out;
        unit_row(rows[i].label);
        pn_buf_init(&in, SIZE_MAX);
        (void)pn_buf_addz(&in, rows[i].front);
        add_times(&in, rows[i].item, MANY);
        (void)pn_buf_addf(&in, "%s\nbody\n", rows[i].back);
        bool is = downgrade(pn_buf_str(&in), &out);
        UNIT_TRUE(is == (i != 1)); /* beyond the limits of message.h it goes as it is */
        UNIT_TRUE(out.len <= in.len + PN_DOWNGRADE_MORE);
        UNIT_TRUE(pn_str_ends(pn_buf_str(&out), PN_STR("\nbody\n")));
        if (is)
            UNIT_TRUE(pn_str_is_ascii(pn_buf_str(&out)));
        pn_buf_fini(&in);
        pn_buf_fini(&out);
    }
}

/* However much a type could take: what stands behind it is all there. */
static void test_bounds_of_types(void)
{
    enum { MANY = 100000, BODY = 4000000, PARTS = 2000, NAME = 600 };
    struct pn_buf in, out;
    unit_row("a type before a long body");
    pn_buf_init(&in, SIZE_MAX);
    (void)pn_buf_addz(&in, "Content-Type: text/plain");
    add_times(&in, ";a=\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 2 * MANY);
    (void)pn_buf_addz(&in, "\n\n");
    add_times(&in, "0123456789012345678901234567890123456\r\n", BODY / 39);
    (void)pn_buf_addz(&in, "\nbody\n");
    UNIT_TRUE(downgrade(pn_buf_str(&in), &out));
    UNIT_TRUE(out.len >= BODY - 39 && pn_str_ends(pn_buf_str(&out), PN_STR("\nbody\n")));
    pn_buf_fini(&in);
    pn_buf_fini(&out);
    unit_row("types of many parts");
    pn_buf_init(&in, SIZE_MAX);
    (void)pn_buf_addz(&in, "Content-Type: multipart/mixed; boundary=b\n\n");
    for (size_t i = 0; i < PARTS; i++) {
        (void)pn_buf_addz(&in, "--b\nContent-Type: text/plain; name=");
        add_times(&in, "\xc3\xa9", NAME);
        (void)pn_buf_addz(&in, "\n\n\xc3\xa9 part\n");
    }
    (void)pn_buf_addz(&in, "--b--\nbody\n");
    UNIT_TRUE(downgrade(pn_buf_str(&in), &out));
    UNIT_TRUE(out.len <= in.len + PN_DOWNGRADE_MORE);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&out), PN_STR("\xc3\xa9 part\n--b--\nbody\n")));
    size_t types = 0;
    for (struct pn_str rest = pn_buf_str(&out); rest.p != NULL;)
        types += pn_str_starts(pn_str_split(&rest, '\n'), PN_STR("Content-Type: text/plain"));
    UNIT_TRUE(types == PARTS);
    pn_buf_fini(&in);
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"which messages", test_which},
        {"fields", test_fields},
        {"trees", test_tree},
        {"cut at every byte", test_cut},
        {"bounds", test_bounds},
        {"bounds of types", test_bounds_of_types},
        {NULL, NULL},
    };
    return unit_main("downgrade", tests, argc, argv);
}
