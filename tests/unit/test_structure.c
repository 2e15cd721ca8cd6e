#include "unit.h"

#include "imap_grammar.h"
#include "lines.h"
#include "structure.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct structure_row {
    const char *label;
    struct pn_str message; /* with LF ends */
    struct pn_str want;    /* BODYSTRUCTURE */
    struct pn_str body;    /* BODY */
};

#define NIL_ENVELOPE "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

static const struct structure_row rows[] = {
    {"empty", PN_STR_INIT(""),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)")},
    {"no MIME, octets as with CRLF, an unfinished line does not count",
     PN_STR_INIT("Subject: x\n\nabc\n\nde"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 9 2 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 9 2)")},
    {"all there is",
     PN_STR_INIT("Content-Type: Text/HTML; charset=\"a\\\"b\"; x*0*=''%41; x*1=b\n"
                 "Content-ID: <i@d>\nContent-Description: a\n b\nContent-MD5: Q2hlY2s=\n"
                 "Content-Transfer-Encoding: BASE64\nContent-Language: en (x), de\n"
                 "Content-Location: http://a/b\n"
                 "Content-Disposition: attachment; filename=c.html; size=1\n\nQUJD\n"),
     PN_STR_INIT("(\"Text\" \"HTML\" (\"charset\" \"a\\\"b\" \"x*0*\" \"''%41\" \"x*1\" \"b\") "
                 "\"<i@d>\" \"a b\" \"base64\" 6 1 \"Q2hlY2s=\" "
                 "(\"attachment\" (\"filename\" \"c.html\" \"size\" \"1\")) (\"en\" \"de\") "
                 "\"http://a/b\")"),
     PN_STR_INIT("(\"Text\" \"HTML\" (\"charset\" \"a\\\"b\" \"x*0*\" \"''%41\" \"x*1\" \"b\") "
                 "\"<i@d>\" \"a b\" \"base64\" 6 1)")},
    {"no text has no lines",
     PN_STR_INIT("Content-Type: application/x-y\nContent-Disposition: inline\n"
                 "Content-Language: en\n\na\nb\n"),
     PN_STR_INIT("(\"application\" \"x-y\" NIL NIL NIL \"7bit\" 6 NIL (\"inline\" NIL) (\"en\") "
                 "NIL)"),
     PN_STR_INIT("(\"application\" \"x-y\" NIL NIL NIL \"7bit\" 6)")},
    {"8-bit", PN_STR_INIT("Content-Type: a/b; name=\"\xc3\xbc\"\nContent-Description: \xff\n\n"),
     PN_STR_INIT("(\"a\" \"b\" (\"name\" {2}\r\n\xc3\xbc) NIL {1}\r\n\xff \"7bit\" 0 NIL NIL NIL "
                 "NIL)"),
     PN_STR_INIT("(\"a\" \"b\" (\"name\" {2}\r\n\xc3\xbc) NIL {1}\r\n\xff \"7bit\" 0)")},
    {"a path without quotes", PN_STR_INIT("Content-Type: a/b; name=C:\\d e\\f\n\n"),
     PN_STR_INIT("(\"a\" \"b\" (\"name\" \"C:\\\\d e\\\\f\") NIL NIL \"7bit\" 0 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"a\" \"b\" (\"name\" \"C:\\\\d e\\\\f\") NIL NIL \"7bit\" 0)")},
    {"encodings", PN_STR_INIT("Content-Transfer-Encoding: 8-bit\n\n"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"8bit\" 0 0 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"8bit\" 0 0)")},
    {"unknown encoding", PN_STR_INIT("Content-Transfer-Encoding: (c) X-Foo; x\n\n"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"X-Foo\" 0 0 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"X-Foo\" 0 0)")},
    {"unknown encoding in quotes, folded",
     PN_STR_INIT("Content-Transfer-Encoding: \"x\\y\n z\n !\"\n\n"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"xy z !\" 0 0 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"xy z !\" 0 0)")},
    {"empty encoding, disposition, language",
     PN_STR_INIT("Content-Transfer-Encoding:\nContent-Disposition:\nContent-Language: ,\n\n"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL (\"attachment\" NIL) NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)")},
    {"a type that can't be read", PN_STR_INIT("Content-Type: text; charset=x\n\n"),
     PN_STR_INIT("(\"text\" \"plain\" (\"charset\" \"x\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)"),
     PN_STR_INIT("(\"text\" \"plain\" (\"charset\" \"x\") NIL NIL \"7bit\" 0 0)")},
    {"multipart",
     PN_STR_INIT("Content-Type: multipart/alternative; boundary=b\nContent-Language: fr\n\n"
                 "preamble\n--b\n\na\n\n--b\nContent-Type: text/html\n\nbc\nd\n--b--\nepilogue\n"),
     PN_STR_INIT("((\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL)"
                 "(\"text\" \"html\" NIL NIL NIL \"7bit\" 5 1 NIL NIL NIL NIL) \"alternative\" "
                 "(\"boundary\" \"b\") NIL (\"fr\") NIL)"),
     PN_STR_INIT("((\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1)"
                 "(\"text\" \"html\" NIL NIL NIL \"7bit\" 5 1) \"alternative\")")},
    {"message and digest within multiparts",
     PN_STR_INIT("Content-Type: multipart/mixed; boundary=a\n\n--a\n"
                 "Content-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/digest;"
                 " boundary=b\n\n--b\n\nFrom: x@y\n\nz\n--b--\n--a\n\nlast\n--a--\n"),
     PN_STR_INIT("((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 87 "
                 "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                 "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 14 "
                 "(NIL NIL ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) "
                 "NIL NIL NIL NIL NIL) "
                 "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) "
                 "\"digest\" (\"boundary\" \"b\") NIL NIL NIL) 8 NIL NIL NIL NIL)"
                 "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 4 0 NIL NIL NIL NIL) "
                 "\"mixed\" (\"boundary\" \"a\") NIL NIL NIL)"),
     PN_STR_INIT("((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 87 "
                 "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                 "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 14 "
                 "(NIL NIL ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) ((NIL NIL \"x\" \"y\")) "
                 "NIL NIL NIL NIL NIL) "
                 "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 0) 2) \"digest\") 8)"
                 "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 4 0) \"mixed\")")},
    {"multipart without boundary", PN_STR_INIT("Content-Type: multipart/mixed\n\nabc\n"),
     PN_STR_INIT("((\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 1 NIL NIL NIL NIL) \"mixed\" NIL NIL "
                 "NIL NIL)"),
     PN_STR_INIT("((\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 1) \"mixed\")")},
    {"multipart without subtype, its boundary never comes",
     PN_STR_INIT("Content-Type: multipart; boundary=x\n"
                 "Content-Transfer-Encoding: base64\n\nabc\n"),
     PN_STR_INIT("((\"text\" \"plain\" NIL NIL NIL \"base64\" 5 1 NIL NIL NIL NIL) \"mixed\" "
                 "(\"boundary\" \"x\") NIL NIL NIL)"),
     PN_STR_INIT("((\"text\" \"plain\" NIL NIL NIL \"base64\" 5 1) \"mixed\")")},
    {"an encoded message is not opened",
     PN_STR_INIT("Content-Type: message/rfc822; name=a.eml\n"
                 "Content-Transfer-Encoding: base64\n\nQUJD\n"),
     PN_STR_INIT("(\"application\" \"octet-stream\" (\"name\" \"a.eml\") NIL NIL \"base64\" 6 NIL "
                 "NIL NIL NIL)"),
     PN_STR_INIT("(\"application\" \"octet-stream\" (\"name\" \"a.eml\") NIL NIL \"base64\" 6)")},
    {"message/news is none of IMAP's, message/global is",
     PN_STR_INIT("Content-Type: multipart/x; boundary=b\n\n--b\nContent-Type: message/news\n\n"
                 "A: b\n\nc\n--b\nContent-Type: message/global\n\n--b--\n"),
     PN_STR_INIT("((\"message\" \"news\" NIL NIL NIL \"7bit\" 9 NIL NIL NIL NIL)"
                 "(\"message\" \"global\" NIL NIL NIL \"7bit\" 0 " NIL_ENVELOPE
                 " (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL "
                 "NIL) \"x\" (\"boundary\" \"b\") NIL NIL NIL)"),
     PN_STR_INIT("((\"message\" \"news\" NIL NIL NIL \"7bit\" 9)"
                 "(\"message\" \"global\" NIL NIL NIL \"7bit\" 0 " NIL_ENVELOPE
                 " (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0) 0) \"x\")")},
    {"a message alone", PN_STR_INIT("Content-Type: message/rfc822\n\nSubject: s\n\nb\n"),
     PN_STR_INIT("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 "
                 "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                 "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL) 3 NIL NIL NIL "
                 "NIL)"),
     PN_STR_INIT("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 "
                 "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                 "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1) 3)")},
};

static void check_grammar(const struct pn_buf *out, bool extensible)
{
    size_t at = 0;
    const char *wrong = grammar_body(pn_buf_str(out), extensible, &at);
    UNIT_STR(pn_str_of(wrong == NULL ? "" : wrong), PN_STR(""));
}

static void check(struct pn_str content, bool extensible, struct pn_str want)
{
    struct pn_message *m = pn_message_new(content, NULL);
    struct pn_buf out;
    pn_buf_init(&out, PN_STRUCTURE_MAX);
    UNIT_TRUE(pn_structure(m, extensible, &out));
    UNIT_STR(pn_buf_str(&out), want);
    check_grammar(&out, extensible);
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
        pn_buf_clear(&crlf);
        pn_lines_init(&lines, PN_LINES_TO_CRLF);
        UNIT_TRUE(pn_lines_feed(&lines, rows[i].message, &crlf));
        check(rows[i].message, true, rows[i].want);
        check(rows[i].message, false, rows[i].body);
        check(pn_buf_str(&crlf), true, rows[i].want);
        check(pn_buf_str(&crlf), false, rows[i].body);
    }
    pn_buf_fini(&crlf);
}

static void test_limits(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].label);
        struct pn_message *m = pn_message_new(rows[i].message, NULL);
        for (size_t max = 1; max <= rows[i].want.len; max++) {
            struct pn_buf out;
            pn_buf_init(&out, max);
            (void)pn_buf_addc(&out, '>');
            UNIT_TRUE(!pn_structure(m, true, &out));
            UNIT_STR(pn_buf_str(&out), PN_STR(">"));
            pn_buf_fini(&out);
        }
        pn_message_free(&m);
    }
}

/* BODY is cut from BODYSTRUCTURE; of one that is cut short or has a byte too many, never. */
static void test_cut(void)
{
    struct pn_buf out, more;
    pn_buf_init(&out, 4096);
    pn_buf_init(&more, 4096);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].label);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_structure_cut(rows[i].want, &out));
        UNIT_STR(pn_buf_str(&out), rows[i].body);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_structure_cut(rows[i].body, &out));
        UNIT_STR(pn_buf_str(&out), rows[i].body);
        pn_buf_clear(&out);
        for (size_t cut = 0; cut < rows[i].want.len; cut++)
            UNIT_TRUE(!pn_structure_cut(pn_str_slice(rows[i].want, 0, cut), &out));
        UNIT_INT(out.len, 0);
        pn_buf_clear(&more);
        (void)pn_buf_adds(&more, rows[i].want);
        (void)pn_buf_addc(&more, ')');
        UNIT_TRUE(!pn_structure_cut(pn_buf_str(&more), &out));
        UNIT_INT(out.len, 0);
    }
    pn_buf_fini(&out);
    pn_buf_fini(&more);
}

static void fill(struct pn_buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        (void)pn_buf_addz(b, text);
}

static void check_bounded(const char *label, const struct pn_buf *content)
{
    struct pn_message *m = pn_message_new(pn_buf_str(content), NULL);
    struct pn_buf out, cut, body;
    unit_row(label);
    pn_buf_init(&out, PN_STRUCTURE_MAX);
    pn_buf_init(&cut, PN_STRUCTURE_MAX);
    pn_buf_init(&body, PN_STRUCTURE_MAX);
    UNIT_TRUE(pn_structure(m, true, &out));
    UNIT_TRUE(pn_structure_cut(pn_buf_str(&out), &cut));
    UNIT_TRUE(pn_structure(m, false, &body));
    UNIT_TRUE(out.len > PN_STRUCTURE_FULL || cut.len == body.len);
    check_grammar(&out, true);
    check_grammar(&cut, false);
    check_grammar(&body, false);
    pn_buf_fini(&out);
    pn_buf_fini(&cut);
    pn_buf_fini(&body);
    pn_message_free(&m);
}

static void test_bounded(void)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    fill(&b, "Content-Type: message/rfc822\n\n", 1000);
    check_bounded("messages within messages", &b);
    pn_buf_clear(&b);
    fill(&b, "Content-Type: multipart/mixed; boundary=b\n\n", 1);
    fill(&b, "--b\nContent-Type: message/rfc822\n\nTo: a,b,c\n\n", 12000);
    check_bounded("more siblings than are kept", &b);
    pn_buf_clear(&b);
    fill(&b, "Content-Type: multipart/mixed; boundary=b\n\n", 1);
    for (int i = 0; i < 40; i++) {
        fill(&b, "--b\nContent-Type: a/b", 1);
        fill(&b, "; a=b; \"", 20000);
        fill(&b, "\nContent-Description: ", 1);
        fill(&b, "\\", 100000);
        fill(&b, "\n\n", 1);
    }
    check_bounded("parameters and descriptions", &b);
    pn_buf_fini(&b);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"rows", test_rows}, {"limits", test_limits}, {"cut", test_cut}, {"bounded", test_bounded},
        {NULL, NULL},
    };
    return unit_main("structure", tests, argc, argv);
}
