#include "unit.h"

#include "envelope.h"
#include "imap_grammar.h"
#include "lines.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct envelope_row {
    const char *label;
    struct pn_str header, want; /* header with LF ends */
};

#define NILS4 " NIL NIL NIL NIL"

static const struct envelope_row rows[] = {
    {"empty", PN_STR_INIT(""), PN_STR_INIT("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"RFC 3501",
     PN_STR_INIT("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n"
                 "From: Terry Gray <gray@cac.washington.edu>\n"
                 "Subject: IMAP4rev1 WG mtg summary and minutes\n"
                 "To: imap@cac.washington.edu\n"
                 "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
                 "Message-Id: <B27397-0100000@cac.washington.edu>\n\n"),
     PN_STR_INIT("(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
                 "\"IMAP4rev1 WG mtg summary and minutes\" "
                 "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                 "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                 "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                 "((NIL NIL \"imap\" \"cac.washington.edu\")) "
                 "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
                 "(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
                 "\"<B27397-0100000@cac.washington.edu>\")")},
    {"each field its own place",
     PN_STR_INIT("Bcc: b@x\nCc: c@x\nTo: t@x\nReply-To: r@x\nSender: s@x\nFrom: f@x\n"
                 "In-Reply-To: <i@x>\nMessage-ID: <m@x>\nSubject: s\nDate: d\n\n"),
     PN_STR_INIT("(\"d\" \"s\" ((NIL NIL \"f\" \"x\")) ((NIL NIL \"s\" \"x\")) "
                 "((NIL NIL \"r\" \"x\")) ((NIL NIL \"t\" \"x\")) ((NIL NIL \"c\" \"x\")) "
                 "((NIL NIL \"b\" \"x\")) \"<i@x>\" \"<m@x>\")")},
    {"there but empty",
     PN_STR_INIT("Date:\nSubject: \nFrom: \nSender:\nReply-To:\nTo:\nCc: ,\nBcc:\n"
                 "In-Reply-To:\nMessage-ID:\n\n"),
     PN_STR_INIT("(\"\" \"\" NIL NIL NIL NIL NIL NIL \"\" \"\")")},
    {"empty sender is the author", PN_STR_INIT("From: a@b\nSender:\nReply-To: ()\n"),
     PN_STR_INIT("(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
                 "((NIL NIL \"a\" \"b\"))" NILS4 " NIL)")},
    {"sender without an author", PN_STR_INIT("Sender: a@b\n"),
     PN_STR_INIT("(NIL NIL NIL ((NIL NIL \"a\" \"b\")) NIL" NILS4 " NIL)")},
    {"folds", PN_STR_INIT("Subject: a\n b\n\tc\n  \n d\n\n"),
     PN_STR_INIT("(NIL \"a b\tc   d\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"blanks around", PN_STR_INIT("Subject : \t a b \t\n\n"),
     PN_STR_INIT("(NIL \"a b\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"quotes and backslashes", PN_STR_INIT("Subject: a \"b\" \\c\n"),
     PN_STR_INIT("(NIL \"a \\\"b\\\" \\\\c\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"encoded words stay", PN_STR_INIT("Subject: =?utf-8?q?=C3=BC?=\n"),
     PN_STR_INIT("(NIL \"=?utf-8?q?=C3=BC?=\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"8-bit is a literal", PN_STR_INIT("Subject: \xc3\xbc \xe4\nMessage-ID: x\n"),
     PN_STR_INIT("(NIL {4}\r\n\xc3\xbc \xe4 NIL NIL NIL NIL NIL NIL NIL \"x\")")},
    {"bare CR is a literal, NUL is none", PN_STR_INIT("Subject: a\rb\0c\n"),
     PN_STR_INIT("(NIL {5}\r\na\rb\x80"
                 "c NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"the first of a name counts", PN_STR_INIT("Subject: 1\nsubject: 2\nDATE: 3\nDate: 4\n"),
     PN_STR_INIT("(\"3\" \"1\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
    {"addresses of all of a name", PN_STR_INIT("To: a@b\nX: y\nto: c@d\nTO: ,\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL "
                 "NIL)")},
    {"names",
     PN_STR_INIT(
         "To: \"A \\\"B\\\" C\" <a@b>, D (x) \"E, F\"\n G <c@d>,\n e@f (H I), \"\" <j@k>\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((\"A \\\"B\\\" C\" NIL \"a\" \"b\")"
                 "(\"D E, F G\" NIL \"c\" \"d\")(\"H I\" NIL \"e\" \"f\")(NIL NIL \"j\" \"k\")) "
                 "NIL NIL NIL NIL)")},
    {"8-bit names and addresses", PN_STR_INIT("To: \xc3\xa4 <\xc3\xb6@\xc3\xbc>\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL (({2}\r\n\xc3\xa4 NIL {2}\r\n\xc3\xb6 {2}\r\n\xc3\xbc)) "
                 "NIL NIL NIL NIL)")},
    {"local parts", PN_STR_INIT("To: \"a b\"@c, d . (x) e @ f . g, \"h\\\"i\"@j, <k@[1.2.3.4]>\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((NIL NIL \"a b\" \"c\")(\"x\" NIL \"d.e\" \"f.g\")"
                 "(NIL NIL \"h\\\"i\" \"j\")(NIL NIL \"k\" \"[1.2.3.4]\")) NIL NIL NIL NIL)")},
    {"a route", PN_STR_INIT("To: A <@b,@c:d@e>\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((\"A\" \"@b,@c\" \"d\" \"e\")) NIL NIL NIL NIL)")},
    {"groups", PN_STR_INIT("To: a@b, A \"B\": c@d, E <f@g>;, undisclosed-recipients:;, h@i\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"A B\" NIL)"
                 "(NIL NIL \"c\" \"d\")(\"E\" NIL \"f\" \"g\")(NIL NIL NIL NIL)"
                 "(NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)"
                 "(NIL NIL \"h\" \"i\")) NIL NIL NIL NIL)")},
    {"a group that does not end, then a field", PN_STR_INIT("Cc: g: a@b\nCc: c@d\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")"
                 "(NIL NIL NIL NIL)(NIL NIL \"c\" \"d\")) NIL NIL NIL)")},
    {"a group without a name", PN_STR_INIT("To: :a@b;\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((NIL NIL \"\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) "
                 "NIL NIL NIL NIL)")},
    {"no domain", PN_STR_INIT("To: root, A <b>, c@, D <>, <@e>\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((NIL NIL \"root\" \"\")(\"A\" NIL \"b\" \"\")"
                 "(NIL NIL \"c\" \"\")(\"D\" NIL \"\" \"\")(NIL NIL \"\" \"e\")) "
                 "NIL NIL NIL NIL)")},
    {"names that are no addresses",
     PN_STR_INIT("To: Undisclosed recipients, \"John\", =?utf-8?q?a?=\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((\"Undisclosed recipients\" NIL \"\" \"\")"
                 "(\"John\" NIL \"\" \"\")(\"=?utf-8?q?a?=\" NIL \"\" \"\")) NIL NIL NIL NIL)")},
    {"quotes that do not end", PN_STR_INIT("To: \"a <b@c>, d@e\n"),
     PN_STR_INIT("(NIL NIL NIL NIL NIL ((\"a\" NIL \"b\" \"c\")(NIL NIL \"d\" \"e\")) "
                 "NIL NIL NIL NIL)")},
    {"no header is read beyond its end", PN_STR_INIT("Subject: a\n\nFrom: b@c\n"),
     PN_STR_INIT("(NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
};

static void check(struct pn_str content, struct pn_str want)
{
    struct pn_message *m = pn_message_new(content, NULL);
    struct pn_buf out;
    pn_buf_init(&out, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope(m, NULL, &out));
    size_t at = 0;
    UNIT_STR(pn_buf_str(&out), want);
    UNIT_TRUE(grammar_envelope(pn_buf_str(&out), &at) == NULL);
    pn_buf_fini(&out);
    pn_message_free(&m);
}

/* LF and CRLF say the same. */
static void test_rows(void)
{
    struct pn_buf crlf;
    pn_buf_init(&crlf, 4096);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_lines lines;
        unit_row(rows[i].label);
        check(rows[i].header, rows[i].want);
        pn_buf_clear(&crlf);
        pn_lines_init(&lines, PN_LINES_TO_CRLF);
        UNIT_TRUE(pn_lines_feed(&lines, rows[i].header, &crlf));
        check(pn_buf_str(&crlf), rows[i].want);
    }
    pn_buf_fini(&crlf);
}

/* At any limit below: false, and nothing left behind. */
static void test_limits(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].label);
        struct pn_message *m = pn_message_new(rows[i].header, NULL);
        for (size_t max = 1; max <= rows[i].want.len; max++) {
            struct pn_buf out;
            pn_buf_init(&out, max);
            (void)pn_buf_addc(&out, '>');
            UNIT_TRUE(!pn_envelope(m, NULL, &out));
            UNIT_STR(pn_buf_str(&out), PN_STR(">"));
            pn_buf_fini(&out);
        }
        pn_message_free(&m);
    }
}

static void fill(struct pn_buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        (void)pn_buf_addz(b, text);
}

/* A header of nothing but short addresses, many times the limit of a list. */
static void test_bounded(void)
{
    struct pn_buf header, out;
    pn_buf_init(&header, SIZE_MAX);
    pn_buf_init(&out, PN_ENVELOPE_MAX);
    fill(&header, "Subject: ", 1);
    fill(&header, "\"", 100000);
    fill(&header, "\nMessage-ID: <a@b>\nFrom: g:", 1);
    fill(&header, "a,", 1000000);
    fill(&header, "\nTo: ", 1);
    fill(&header, "(", 100000);
    fill(&header, "\nCc: ", 1);
    fill(&header, "x:;", 100000);
    struct pn_message *m = pn_message_new(pn_buf_str(&header), NULL);
    UNIT_TRUE(pn_envelope(m, NULL, &out));
    UNIT_TRUE(out.len < PN_ENVELOPE_MAX);
    UNIT_TRUE(out.len > (size_t)4 * PN_ENVELOPE_LIST - 1000);
    UNIT_TRUE(pn_str_starts(pn_buf_str(&out), PN_STR("(NIL \"\\\"\\\"")));
    UNIT_TRUE(pn_str_ends(pn_buf_str(&out), PN_STR(" NIL NIL \"<a@b>\")")));
    size_t at = 0;
    UNIT_TRUE(grammar_envelope(pn_buf_str(&out), &at) == NULL);
    pn_message_free(&m);
    pn_buf_fini(&header);
    pn_buf_fini(&out);
}

/* A domain literal of the longest, with a fold in it: the CR of CRLF does not count. */
static void test_long_literal(void)
{
    static const char *const folds[] = {"\n ", "\r\n "};
    for (size_t i = 0; i < 2; i++) {
        struct pn_buf header, want;
        unit_row(i == 0 ? "LF" : "CRLF");
        pn_buf_init(&header, 1000);
        pn_buf_init(&want, 1000);
        fill(&header, "To: a@[", 1);
        fill(&header, "x", 252);
        fill(&header, folds[i], 1);
        fill(&header, "]", 1);
        fill(&want, "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"[", 1);
        fill(&want, "x", 252);
        fill(&want, "]\")) NIL NIL NIL NIL)", 1);
        check(pn_buf_str(&header), pn_buf_str(&want));
        pn_buf_fini(&header);
        pn_buf_fini(&want);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"rows", test_rows},
        {"limits", test_limits},
        {"bounded", test_bounded},
        {"long literal", test_long_literal},
        {NULL, NULL},
    };
    return unit_main("envelope", tests, argc, argv);
}
