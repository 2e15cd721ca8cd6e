#include "unit.h"

#include "authres.h"
#include "edit.h"
#include "encword.h"
#include "lines.h"
#include "received.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- checks and folding */

static char long_text[4096];

static struct pn_str repeat(char c, size_t n)
{
    memset(long_text, c, n);
    return (struct pn_str){long_text, n};
}

static void test_check(void)
{
    static const struct {
        struct pn_str name, value;
        bool folded;
        enum pn_edit_status want;
    } rows[] = {
        {PN_STR_INIT("X"), PN_STR_INIT("a b"), false, PN_EDIT_OK},
        {PN_STR_INIT("X"), PN_STR_INIT(""), false, PN_EDIT_OK},
        {PN_STR_INIT("X"), PN_STR_INIT("\xc3\xa4 \x01"), false, PN_EDIT_OK},
        {PN_STR_INIT(""), PN_STR_INIT("a"), false, PN_EDIT_BAD_NAME},
        {PN_STR_INIT("X:"), PN_STR_INIT("a"), false, PN_EDIT_BAD_NAME},
        {PN_STR_INIT("X Y"), PN_STR_INIT("a"), false, PN_EDIT_BAD_NAME},
        {PN_STR_INIT("X\r\nY"), PN_STR_INIT("a"), false, PN_EDIT_BAD_NAME},
        {PN_STR_INIT("X\0"), PN_STR_INIT("a"), false, PN_EDIT_BAD_NAME},
        {PN_STR_INIT("\xc3\xa4"), PN_STR_INIT("a"), false, PN_EDIT_BAD_NAME},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\nY: b"), false, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\n b"), false, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\n"), false, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r"), false, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\0b"), false, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\n b\r\n\tc"), true, PN_EDIT_OK},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\nb"), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\n b"), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\r\n b"), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\n \r\n b"), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\n"), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\n "), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r"), true, PN_EDIT_BAD_VALUE},
        {PN_STR_INIT("X"), PN_STR_INIT("a\r\n b\0"), true, PN_EDIT_BAD_VALUE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].value.p);
        UNIT_INT(pn_edit_check(rows[i].name, rows[i].value, rows[i].folded), rows[i].want);
    }
    UNIT_INT(pn_edit_check(repeat('n', 76), PN_STR("a"), false), PN_EDIT_OK);
    UNIT_INT(pn_edit_check(repeat('n', 77), PN_STR("a"), false), PN_EDIT_BAD_NAME);
    UNIT_INT(pn_edit_check(PN_STR("X"), repeat('v', 997), false), PN_EDIT_OK);
    UNIT_INT(pn_edit_check(PN_STR("X"), repeat('v', 998), false), PN_EDIT_TOO_LONG);
}

static void test_fold(void)
{
    struct pn_buf out, value, back;
    pn_buf_init(&out, 100000);
    pn_buf_init(&value, 100000);
    pn_buf_init(&back, 100000);
    for (size_t word = 1; word < 998; word += word < 90 ? 1 : 100) {
        pn_buf_clear(&value);
        pn_buf_clear(&out);
        pn_buf_clear(&back);
        for (size_t i = 0; i < 5; i++) {
            (void)pn_buf_addz(&value, i == 0 ? "" : i % 2 ? " " : "\t");
            (void)pn_buf_adds(&value, repeat('v', word));
        }
        UNIT_INT(pn_edit_check(PN_STR("Name"), pn_buf_str(&value), false), PN_EDIT_OK);
        pn_field_write(&out, PN_STR("Name"), pn_buf_str(&value), PN_STR("\r\n"));
        UNIT_TRUE(pn_unfold(pn_str_slice(pn_buf_str(&out), 5, out.len), &back));
        UNIT_STR(pn_buf_str(&back), pn_buf_str(&value));
        struct pn_str rest = pn_buf_str(&out);
        for (struct pn_str line; rest.p != NULL && rest.len != 0;) {
            line = pn_str_split(&rest, '\n');
            UNIT_TRUE(line.len <= 999 && line.p[line.len - 1] == '\r');
            UNIT_TRUE(line.len <= 79 || line.len <= word + 7);
        }
    }
    pn_buf_clear(&out);
    pn_field_write(&out, PN_STR("A"), PN_STR(" b \t "), PN_STR("\n"));
    pn_field_write(&out, PN_STR("B"), PN_STR(""), PN_STR("\n"));
    pn_field_write(&out, PN_STR("C"), PN_STR("a\r\n b"), PN_STR("\n"));
    UNIT_STR(pn_buf_str(&out), PN_STR("A: b\nB:\nC: a\n b\n"));
    pn_buf_fini(&back);
    pn_buf_fini(&value);
    pn_buf_fini(&out);
}

/* ---- rendering */

#define TRACE "Return-Path: <a@b>\r\nReceived: x\r\n"
#define REST  "From: a\r\nTo: b\r\nTo: c\r\nTo: d\r\n"

static void render(struct pn_buf *out, const struct pn_edits *edits, struct pn_str content,
                   size_t *segments)
{
    struct pn_segments s;
    struct pn_message *m = pn_message_new(content, NULL);
    pn_segments_init(&s);
    pn_edits_render(edits, m, &s);
    pn_buf_clear(out);
    for (size_t i = 0; i < s.count; i++)
        (void)pn_buf_adds(out, pn_segment_bytes(&s.v[i], m));
    UNIT_INT(out->len, s.size);
    *segments = s.count;
    pn_segments_fini(&s);
    pn_message_free(&m);
}

static void test_render(void)
{
    static const struct {
        const char *label;
        enum pn_edit_op op;
        const char *name, *value;
        int nth;
        const char *in, *want;
    } rows[] = {
        {"top", PN_EDIT_ADD_TOP, "X", "y", 0, TRACE REST "\r\nb", "X: y\r\n" TRACE REST "\r\nb"},
        {"after trace", PN_EDIT_ADD_AFTER_TRACE, "X", "y", 0, TRACE REST "\r\nb",
         TRACE "X: y\r\n" REST "\r\nb"},
        {"after no trace", PN_EDIT_ADD_AFTER_TRACE, "X", "y", 0, REST "\r\nb",
         "X: y\r\n" REST "\r\nb"},
        {"end", PN_EDIT_ADD_END, "X", "y", 0, TRACE REST "\r\nb", TRACE REST "X: y\r\n\r\nb"},
        {"end, LF", PN_EDIT_ADD_END, "X", "y", 0, "A: b\n\nb\n", "A: b\nX: y\n\nb\n"},
        {"end, no body", PN_EDIT_ADD_END, "X", "y", 0, REST, REST "X: y\r\n"},
        {"end, last line open", PN_EDIT_ADD_END, "X", "y", 0, "A: b", "A: b\r\nX: y\r\n"},
        {"end, no empty line", PN_EDIT_ADD_END, "X", "y", 0, "A: b\r\nbody\r\n",
         "A: b\r\nX: y\r\nbody\r\n"},
        {"empty header", PN_EDIT_ADD_TOP, "X", "y", 0, "\r\nb", "X: y\r\n\r\nb"},
        {"no header", PN_EDIT_ADD_TOP, "X", "y", 0, "some text\r\n", "X: y\r\n\r\nsome text\r\n"},
        {"no content", PN_EDIT_ADD_TOP, "X", "y", 0, "", "X: y\r\n\r\n"},
        {"mbox line", PN_EDIT_ADD_AFTER_TRACE, "X", "y", 0, "From a 1\r\n" TRACE REST "\r\n",
         "From a 1\r\n" TRACE "X: y\r\n" REST "\r\n"},
        {"remove first", PN_EDIT_REMOVE, "to", "", 1, REST "\r\nb",
         "From: a\r\nTo: c\r\nTo: d\r\n\r\nb"},
        {"remove second", PN_EDIT_REMOVE, "To", "", 2, REST "\r\nb",
         "From: a\r\nTo: b\r\nTo: d\r\n\r\nb"},
        {"remove last", PN_EDIT_REMOVE, "To", "", -1, REST "\r\nb",
         "From: a\r\nTo: b\r\nTo: c\r\n\r\nb"},
        {"remove all", PN_EDIT_REMOVE, "To", "", 0, REST "\r\nb", "From: a\r\n\r\nb"},
        {"remove what is not there", PN_EDIT_REMOVE, "To", "", 4, REST "\r\nb", REST "\r\nb"},
        {"remove folded", PN_EDIT_REMOVE, "X", "", 1, "X: a\r\n b\r\n\tc\r\nY: d\r\n\r\n",
         "Y: d\r\n\r\n"},
        {"remove all there is", PN_EDIT_REMOVE, "X", "", 0, "X: a\r\nX: b\r\n\r\nX: c", "\r\nX: c"},
        {"results", PN_EDIT_REMOVE_RESULTS, "", "mx.example", 0,
         "Authentication-Results: mx.example; spf=pass\r\nA: b\r\n"
         "authentication-results: (c) MX.Example. 1; none\r\n"
         "Authentication-Results: other.example; spf=pass\r\n\r\n",
         "A: b\r\nAuthentication-Results: other.example; spf=pass\r\n\r\n"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_edits *edits = pn_edits_new(8192);
        struct pn_str name = pn_str_of(rows[i].name), value = pn_str_of(rows[i].value);
        size_t segments = 0;
        unit_row(rows[i].label);
        enum pn_edit_status status = rows[i].op == PN_EDIT_REMOVE
                                         ? pn_edits_remove(edits, name, rows[i].nth)
                                     : rows[i].op == PN_EDIT_REMOVE_RESULTS
                                         ? pn_edits_remove_results(edits, value)
                                         : pn_edits_add(edits, rows[i].op, name, value, false);
        UNIT_INT(status, PN_EDIT_OK);
        render(&out, edits, pn_str_of(rows[i].in), &segments);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_edits_free(&edits);
    }
    pn_buf_fini(&out);
}

static void test_many(void)
{
    static const char content[] = TRACE REST "\r\nbody";
    struct pn_edits *edits = pn_edits_new(8192);
    struct pn_buf out;
    size_t segments = 0;
    pn_buf_init(&out, 4096);
    render(&out, NULL, PN_STR(content), &segments);
    UNIT_INT(segments, 1);
    UNIT_STR(pn_buf_str(&out), PN_STR(content));
    render(&out, edits, PN_STR(content), &segments);
    UNIT_INT(segments, 1);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_END, PN_STR("E"), PN_STR("1"), false), PN_EDIT_OK);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("T"), PN_STR("1"), false), PN_EDIT_OK);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("T"), PN_STR("2\r\n x"), true),
             PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("From"), 1), PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("From"), -1), PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("Received"), 0), PN_EDIT_OK);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_AFTER_TRACE, PN_STR("A"), PN_STR("1"), false),
             PN_EDIT_OK);
    render(&out, edits, PN_STR(content), &segments);
    UNIT_STR(
        pn_buf_str(&out),
        PN_STR("T: 1\r\nT: 2\r\n x\r\nReturn-Path: <a@b>\r\nA: 1\r\nTo: b\r\nTo: c\r\nTo: d\r\n"
               "E: 1\r\n\r\nbody"));
    UNIT_INT(segments, 6);
    /* A last line without its end that goes leaves no empty line behind. */
    render(&out, edits, PN_STR("From: a"), &segments);
    UNIT_STR(pn_buf_str(&out), PN_STR("T: 1\r\nT: 2\r\n x\r\nA: 1\r\nE: 1\r\n"));
    UNIT_INT(pn_edits_count(edits), 7);
    UNIT_STR(pn_edits_at(edits, 3)->name, PN_STR("From"));
    UNIT_TRUE(pn_edits_at(edits, 7) == NULL);
    pn_edits_free(&edits);
    pn_buf_fini(&out);
}

/* What must go stands behind more fields than a message keeps. */
static void test_beyond_limit(void)
{
    struct pn_edits *edits = pn_edits_new(8192);
    struct pn_buf in, want, out;
    size_t segments = 0;
    pn_buf_init(&in, 1 << 20);
    pn_buf_init(&want, 1 << 20);
    pn_buf_init(&out, 1 << 20);
    for (int i = 0; i < 25000; i++) {
        const char *line = i == 24999   ? "Authentication-Results: mx.example; spf=pass\r\n"
                           : i == 24998 ? "X: last\r\n"
                           : i == 15000 ? "X: second\r\n"
                           : i == 100   ? "X: first\r\n"
                                        : "A: b\r\n";
        (void)pn_buf_addz(&in, line);
        if (i != 24999 && i != 24998 && i != 15000)
            (void)pn_buf_addz(&want, line);
    }
    (void)pn_buf_addz(&in, "\r\nX: body\r\n");
    (void)pn_buf_addz(&want, "\r\nX: body\r\n");
    UNIT_INT(pn_edits_remove_results(edits, PN_STR("mx.example")), PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("X"), 2), PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("X"), -1), PN_EDIT_OK);
    render(&out, edits, pn_buf_str(&in), &segments);
    UNIT_TRUE(pn_str_eq(pn_buf_str(&out), pn_buf_str(&want)));
    UNIT_INT(segments, 3);
    pn_edits_free(&edits);
    pn_buf_fini(&in);
    pn_buf_fini(&want);
    pn_buf_fini(&out);
}

/* The same with folds, blanks before the colon and lines that are no fields, and so many
 * of them that reading the rest of the header again for each piece of it would take minutes. */
static void test_far_beyond_limit(void)
{
    enum { FIELDS = 3000000 };
    static const char go[] = "Authentication-Results :\r\n mx.example\r\n\t; spf=pass\r\n";
    static const char stay[] = "no field\r\n Authentication-Results: mx.example\r\n"
                               "Authentication-Results: other.example;\r\n mx.example\r\n";
    struct pn_edits *edits = pn_edits_new(8192);
    struct pn_buf in, want, out;
    size_t segments = 0;
    pn_buf_init(&in, 1 << 25);
    pn_buf_init(&want, 1 << 25);
    pn_buf_init(&out, 1 << 25);
    for (int i = 0; i < FIELDS; i++) {
        (void)pn_buf_addz(&in, i == FIELDS / 2 ? go : i == FIELDS / 3 ? stay : "A:\r\n");
        (void)pn_buf_addz(&want, i == FIELDS / 2 ? "" : i == FIELDS / 3 ? stay : "A:\r\n");
    }
    (void)pn_buf_addz(&in, go);
    (void)pn_buf_addz(&in, "\r\nbody");
    (void)pn_buf_addz(&want, "\r\nbody");
    UNIT_INT(pn_edits_remove_results(edits, PN_STR("mx.example")), PN_EDIT_OK);
    render(&out, edits, pn_buf_str(&in), &segments);
    UNIT_TRUE(pn_str_eq(pn_buf_str(&out), pn_buf_str(&want)));
    UNIT_INT(segments, 3);
    pn_edits_free(&edits);
    pn_buf_fini(&in);
    pn_buf_fini(&want);
    pn_buf_fini(&out);
}

static void test_edit_limits(void)
{
    struct pn_edits *edits = pn_edits_new(2048);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_REMOVE, PN_STR("X"), PN_STR("y"), false),
             PN_EDIT_BAD_NAME);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("X:"), PN_STR("y"), false),
             PN_EDIT_BAD_NAME);
    UNIT_INT(pn_edits_remove(edits, PN_STR("X:"), 1), PN_EDIT_BAD_NAME);
    UNIT_INT(pn_edits_remove(edits, PN_STR("X"), -2), PN_EDIT_BAD_NAME);
    UNIT_INT(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("X"), repeat('v', 900), false),
             PN_EDIT_OK);
    enum pn_edit_status status = PN_EDIT_OK;
    for (int i = 0; i < 3; i++)
        status = pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("X"), repeat('v', 900), false);
    UNIT_INT(status, PN_EDIT_FULL);
    pn_edits_free(&edits);
    edits = pn_edits_new(1 << 20);
    for (int i = 0; i < 1000; i++)
        UNIT_INT(pn_edits_remove(edits, PN_STR("X"), i), PN_EDIT_OK);
    UNIT_INT(pn_edits_remove(edits, PN_STR("X"), 1), PN_EDIT_FULL);
    pn_edits_free(&edits);
    enum pn_edit_op op = PN_EDIT_ADD_TOP;
    for (int i = PN_EDIT_ADD_TOP; i <= PN_EDIT_REMOVE_RESULTS; i++) {
        UNIT_TRUE(pn_edit_op_find(pn_str_of(pn_edit_op_name((enum pn_edit_op)i)), &op));
        UNIT_INT(op, i);
    }
    UNIT_TRUE(!pn_edit_op_find(PN_STR("add"), &op));
    for (int i = PN_EDIT_OK; i <= PN_EDIT_FULL; i++)
        UNIT_TRUE(pn_edit_status_text((enum pn_edit_status)i)[0] != '\0');
}

/* ---- lines */

static void test_lines(void)
{
    static const struct {
        enum pn_lines_mode mode;
        const char *in, *want;
    } rows[] = {
        {PN_LINES_TO_LF, "", ""},
        {PN_LINES_TO_LF, "a\r\nb\r\n\r\n", "a\nb\n\n"},
        {PN_LINES_TO_LF, "a\rb\r\r\nc\nd\r", "a\rb\r\nc\nd\r"},
        {PN_LINES_TO_LF, "\r", "\r"},
        {PN_LINES_TO_CRLF, "", ""},
        {PN_LINES_TO_CRLF, "a\nb\r\n\n", "a\r\nb\r\n\r\n"},
        {PN_LINES_TO_CRLF, "a\rb\r\r\nc\r", "a\rb\r\r\nc\r"},
        {PN_LINES_TO_CRLF, "\n", "\r\n"},
        {PN_LINES_DOTS, "", ".\r\n"},
        {PN_LINES_DOTS, ".", "..\r\n.\r\n"},
        {PN_LINES_DOTS, ".\r\n", "..\r\n.\r\n"},
        {PN_LINES_DOTS, "a.b\r\n..\r\nc", "a.b\r\n...\r\nc\r\n.\r\n"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 64);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_str in = pn_str_of(rows[i].in);
        unit_row(rows[i].in);
        for (size_t a = 0; a <= in.len; a++) {
            for (size_t b = a; b <= in.len; b++) {
                struct pn_lines l;
                pn_buf_clear(&out);
                pn_lines_init(&l, rows[i].mode);
                UNIT_TRUE(pn_lines_feed(&l, pn_str_slice(in, 0, a), &out) &&
                          pn_lines_feed(&l, pn_str_slice(in, a, b), &out) &&
                          pn_lines_feed(&l, pn_str_slice(in, b, in.len), &out) &&
                          pn_lines_end(&l, &out));
                UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
            }
        }
    }
    pn_buf_fini(&out);
    struct pn_lines l;
    pn_buf_init(&out, 3);
    pn_lines_init(&l, PN_LINES_TO_CRLF);
    UNIT_TRUE(pn_lines_feed(&l, PN_STR("a"), &out));
    UNIT_TRUE(!pn_lines_feed(&l, PN_STR("\n\n"), &out));
    UNIT_STR(pn_buf_str(&out), PN_STR("a"));
    UNIT_TRUE(pn_lines_feed(&l, PN_STR("\n"), &out));
    UNIT_STR(pn_buf_str(&out), PN_STR("a\r\n"));
    pn_buf_fini(&out);
}

/* ---- Authentication-Results */

static void test_authres_write(void)
{
    static const struct pn_authres_property spf[] = {
        {PN_STR_INIT("smtp"), PN_STR_INIT("mailfrom"), PN_STR_INIT("a@b.example")}};
    static const struct pn_authres_property dkim[] = {
        {PN_STR_INIT("header"), PN_STR_INIT("d"), PN_STR_INIT("b.example")},
        {PN_STR_INIT("header"), PN_STR_INIT("s"), PN_STR_INIT("a b\"\\\r\n\xff")}};
    static const struct pn_authres results[] = {
        {PN_STR_INIT("spf"), PN_STR_INIT("pass"), {NULL, 0}, {NULL, 0}, spf, 1},
        {PN_STR_INIT("dkim"), PN_STR_INIT("fail"), PN_STR_INIT("bad hash"), PN_STR_INIT("x (y)"),
         dkim, 2},
        {PN_STR_INIT("dmarc\r\n"), PN_STR_INIT("none"), {NULL, 0}, {NULL, 0}, NULL, 0},
    };
    struct pn_buf out;
    pn_buf_init(&out, 8192);
    UNIT_TRUE(pn_authres_value(PN_STR("mx.example"), NULL, 0, &out));
    UNIT_STR(pn_buf_str(&out), PN_STR("mx.example; none"));
    pn_buf_clear(&out);
    UNIT_TRUE(pn_authres_value(PN_STR("mx.example"), results, 3, &out));
    UNIT_STR(pn_buf_str(&out),
             PN_STR("mx.example;\r\n\tspf=pass smtp.mailfrom=a@b.example;\r\n\tdkim=fail "
                    "(x \\(y\\)) reason=\"bad hash\" header.d=b.example\r\n\theader.s=\"a "
                    "b\\\"\\\\\?\?\?\";\r\n\tdmarc\?\?=none"));
    UNIT_INT(pn_edit_check(PN_STR("Authentication-Results"), pn_buf_str(&out), true), PN_EDIT_OK);
    for (size_t max = 0; max < out.len; max++) {
        struct pn_buf small;
        pn_buf_init(&small, max);
        UNIT_TRUE(!pn_authres_value(PN_STR("mx.example"), results, 3, &small));
        UNIT_INT(small.len, 0);
        pn_buf_fini(&small);
    }
    pn_buf_clear(&out);
    struct pn_authres huge = results[0];
    huge.reason = repeat('\\', 4000);
    UNIT_TRUE(pn_authres_value(PN_STR("mx example"), &huge, 1, &out));
    UNIT_INT(pn_edit_check(PN_STR("Authentication-Results"), pn_buf_str(&out), true), PN_EDIT_OK);
    pn_buf_clear(&out);
    const struct pn_authres_property odd = {huge.reason, huge.reason, huge.reason};
    huge.method = huge.result = huge.comment = huge.reason;
    huge.properties = &odd;
    huge.property_count = 1;
    UNIT_TRUE(pn_authres_value(huge.reason, &huge, 1, &out));
    UNIT_INT(pn_edit_check(PN_STR("Authentication-Results"), pn_buf_str(&out), true), PN_EDIT_OK);
    pn_buf_fini(&out);
}

static void test_authres_id(void)
{
    static const struct {
        const char *value, *id; /* NULL: none */
        bool claims;            /* in the name of mx.example */
    } rows[] = {
        {" mx.example; spf=pass", "mx.example", true},
        {"MX.Example.;none", "mx.example", true},
        {" (c) mx.example (d) 1 (e) ; none", "mx.example", true},
        {"\"mx.example\"; none", "mx.example", true},
        {"\"m\\x.example\" ; none", "mx.example", true},
        {"\r\n mx.example\r\n ; none", "mx.example", true},
        {"mx.example", "mx.example", true},
        {"mx.example/1; none", "mx.example/1", true},
        {"mx.example:25; none", "mx.example:25", true},
        {"mx.example.org; none", "mx.example.org", false},
        {"mx.examples; none", "mx.examples", false},
        {"mx.exampl; none", "mx.exampl", false},
        {"a.mx.example; none", "a.mx.example", false},
        {"; spf=pass", NULL, false},
        {"", NULL, false},
        {"(mx.example; none", NULL, false},
        {"spf=pass; mx.example", "spf=pass", false},
    };
    struct pn_buf out;
    pn_buf_init(&out, 256);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].value);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_authres_id(pn_str_of(rows[i].value), &out) == (rows[i].id != NULL));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].id == NULL ? "" : rows[i].id));
        UNIT_TRUE(pn_authres_claims(pn_str_of(rows[i].value), PN_STR("mx.example")) ==
                  rows[i].claims);
        UNIT_TRUE(pn_authres_claims(pn_str_of(rows[i].value), PN_STR("MX.example.")) ==
                  rows[i].claims);
    }
    pn_buf_fini(&out);
}

static void test_authres_read(void)
{
    static const struct {
        const char *value;
        bool id;
        const char *want;
    } rows[] = {
        {"mx.example; none", true, ""},
        {"mx.example", true, ""},
        {"spf=pass smtp.mailfrom=a@b; dkim=pass header.d=c", false,
         "spf=pass smtp.mailfrom=a@b dkim=pass header.d=c "},
        {"mx.example 1; spf=pass (x; y) smtp.mailfrom=b\r\n ;\tdkim/1 = fail reason=\"b h\" "
         "header . d = \"q q\"",
         true, "spf=pass smtp.mailfrom=b dkim=fail reason:b h header.d=q q "},
        {"dkim=pass header.b=abc=", false, "dkim=pass header.b=abc= "},
        {";;spf=pass;", false, "spf=pass "},
        {"", false, ""},
        /* malformed */
        {"spf", false, "!"},
        {"spf=pass =", false, "spf=pass !"},
        {"spf=pass mailfrom=x", false, "spf=pass .mailfrom=x !"},
        {"smtp.mailfrom=x", false, "smtp.mailfrom=x !"},
        {"spf=pass dkim", false, "spf=pass !"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_authres_walk walk;
        struct pn_authres_item item;
        unit_row(rows[i].value);
        pn_buf_clear(&out);
        pn_authres_start(&walk, pn_str_of(rows[i].value), rows[i].id);
        while (pn_authres_next(&walk, &item)) {
            if (item.kind == PN_AUTHRES_PROPERTY) {
                (void)pn_buf_adds(&out, item.ptype);
                (void)pn_buf_addc(&out, '.');
            }
            (void)pn_buf_adds(&out, item.name);
            (void)pn_buf_addc(&out, item.kind == PN_AUTHRES_REASON ? ':' : '=');
            (void)pn_buf_adds(&out, item.value);
            (void)pn_buf_addc(&out, ' ');
        }
        if (walk.malformed)
            (void)pn_buf_addc(&out, '!');
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    pn_buf_fini(&out);
}

/* ---- Received, Return-Path */

static void test_received(void)
{
    struct pn_received r = {.helo = PN_STR("client.example"),
                            .ip = PN_STR("192.0.2.1"),
                            .by = PN_STR("mx.example"),
                            .id = PN_STR("4XyZ"),
                            .unix_s = 1795309323};
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    UNIT_TRUE(pn_received_value(&r, &out));
    UNIT_STR(pn_buf_str(&out),
             PN_STR("from client.example ([192.0.2.1])\r\n\tby mx.example with SMTP id 4XyZ;\r\n\t"
                    "Sun, 22 Nov 2026 01:02:03 +0000"));
    r.helo = PN_STR("x\r\ny (z)\xff\xc3\xa4");
    r.ptr = PN_STR("ptr.example");
    r.ip = PN_STR("2001:db8::1");
    r.rcpt = PN_STR("u>\r\n@d");
    r.esmtp = r.tls = r.auth = true;
    r.tls_version = PN_STR("TLSv1.3");
    r.tls_cipher = PN_STR("TLS_AES_128_GCM_SHA256");
    pn_buf_clear(&out);
    UNIT_TRUE(pn_received_value(&r, &out));
    UNIT_STR(pn_buf_str(&out),
             PN_STR("from x\?\?y\?\?z\?\?\? (ptr.example [IPv6:2001:db8::1])\r\n\tby "
                    "mx.example with ESMTPSA id 4XyZ\r\n\tfor <u\?\?\?@d>\r\n\ttls "
                    "TLS_AES_128_GCM_SHA256 (TLSv1.3);\r\n\tSun, 22 Nov 2026 01:02:03 +0000"));
    UNIT_INT(pn_edit_check(PN_STR("Received"), pn_buf_str(&out), true), PN_EDIT_OK);
    for (size_t max = 0; max < out.len; max++) {
        struct pn_buf small;
        pn_buf_init(&small, max);
        UNIT_TRUE(!pn_received_value(&r, &small) && small.len == 0);
        pn_buf_fini(&small);
    }
    pn_buf_clear(&out);
    r.utf8 = true; /* then the header may have such names */
    UNIT_TRUE(pn_received_value(&r, &out));
    UNIT_TRUE(pn_str_starts(pn_buf_str(&out), PN_STR("from x\?\?y\?\?z\?\?\xc3\xa4 (")));
    pn_buf_clear(&out);
    r.hidden = true;
    UNIT_TRUE(pn_received_value(&r, &out));
    UNIT_TRUE(pn_str_starts(pn_buf_str(&out), PN_STR("by mx.example with UTF8SMTPSA id")));
    r.hidden = false;
    pn_buf_clear(&out);
    r.helo = r.ptr = r.id = r.rcpt = repeat('a', 4000);
    UNIT_TRUE(pn_received_value(&r, &out));
    UNIT_INT(pn_edit_check(PN_STR("Received"), pn_buf_str(&out), true), PN_EDIT_OK);
    pn_buf_clear(&out);
    UNIT_TRUE(pn_return_path_value(PN_STR(""), &out));
    UNIT_TRUE(pn_return_path_value(PN_STR("a@b\r\nX:"), &out));
    UNIT_STR(pn_buf_str(&out), PN_STR("<><a@b\?\?X:>"));
    pn_buf_fini(&out);
}

static void test_protocol(void)
{
    static const struct {
        bool esmtp, lmtp, tls, auth, utf8;
        const char *want;
    } rows[] = {
        {false, false, false, false, false, "SMTP"},
        {true, false, false, false, false, "ESMTP"},
        {true, false, true, false, false, "ESMTPS"},
        {true, false, false, true, false, "ESMTPA"},
        {true, false, true, true, false, "ESMTPSA"},
        {false, true, false, false, false, "LMTP"},
        {false, true, true, true, false, "LMTPSA"},
        {true, false, false, false, true, "UTF8SMTP"},
        {true, false, true, true, true, "UTF8SMTPSA"},
        {false, true, true, false, true, "UTF8LMTPS"},
        {false, false, true, false, false, "ESMTPS"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_received r = {.esmtp = rows[i].esmtp,
                                .lmtp = rows[i].lmtp,
                                .tls = rows[i].tls,
                                .auth = rows[i].auth,
                                .utf8 = rows[i].utf8};
        unit_row(rows[i].want);
        UNIT_STR(pn_str_of(pn_received_protocol(&r)), pn_str_of(rows[i].want));
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"check", test_check},
        {"fold", test_fold},
        {"render", test_render},
        {"many", test_many},
        {"beyond_limit", test_beyond_limit},
        {"far_beyond_limit", test_far_beyond_limit},
        {"edit_limits", test_edit_limits},
        {"lines", test_lines},
        {"authres_write", test_authres_write},
        {"authres_id", test_authres_id},
        {"authres_read", test_authres_read},
        {"received", test_received},
        {"protocol", test_protocol},
        {NULL, NULL},
    };
    return unit_main("test_edit", tests, argc, argv);
}
