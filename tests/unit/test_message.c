#include "unit.h"

#include "message.h"
#include "message_invariants.h"
#include "param.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* "LF" text to CRLF. */
static struct pn_str crlf(struct pn_buf *out, struct pn_str lf)
{
    pn_buf_clear(out);
    for (size_t i = 0; i < lf.len; i++) {
        if (lf.p[i] == '\n')
            (void)pn_buf_addc(out, '\r');
        (void)pn_buf_addc(out, lf.p[i]);
    }
    return pn_buf_str(out);
}

/* ---- headers */

static void add_fields(struct pn_buf *out, const struct pn_message *m)
{
    size_t count = 0;
    const struct pn_field *f = pn_part_fields(m, NULL, &count);
    for (size_t i = 0; i < count; i++, f++) {
        (void)pn_buf_adds(out, pn_field_name(m, f));
        (void)pn_buf_addz(out, f->flags & PN_FIELD_MALFORMED ? "!" : "=");
        (void)pn_buf_adds(out, pn_field_value(m, f));
        (void)pn_buf_addf(out, "%d|", f->eol);
    }
    (void)pn_buf_addz(out, "> ");
    (void)pn_buf_adds(out, pn_message_body(m));
}

static void test_header(void)
{
    static const struct {
        const char *label, *in, *want;
    } rows[] = {
        {"empty", "", "> "},
        {"empty line only", "\r\n", "> "},
        {"body only", "\r\nx", "> x"},
        {"one", "A: b\r\n\r\nx", "A= b2|> x"},
        {"LF only", "A: b\n\nx\n", "A= b1|> x\n"},
        {"mixed line ends", "A: b\nB: c\r\n\nx", "A= b1|B= c2|> x"},
        {"no body", "A: b\r\n", "A= b2|> "},
        {"no line end", "A: b", "A= b0|> "},
        {"no value", "A:\r\n\r\n", "A=2|> "},
        {"folded", "A: b\r\n c\r\n\td\r\nB: e\r\n\r\n", "A= b\r\n c\r\n\td2|B= e2|> "},
        {"blank line continues", "A: b\r\n \r\nB: c\r\n\r\nx", "A= b\r\n 2|B= c2|> x"},
        {"blanks before the colon", "A \t: b\r\n\r\n", "A= b2|> "},
        {"CR within", "A: b\rc\r\n\r\n", "A= b\rc2|> "},
        {"mbox line", "From a@b Mon Jan  1 00:00:00 2024\nA: b\n\nx",
         "!From a@b Mon Jan  1 00:00:00 20241|A= b1|> x"},
        {"stray line", "A: b\r\nstray\r\nC: d\r\n\r\nx", "A= b2|!stray2|C= d2|> x"},
        {"stray lines are one", "A: b\r\nstray\r\nmore\r\n\tof it\r\nC: d\r\n\r\n",
         "A= b2|!stray\r\nmore\r\n\tof it2|C= d2|> "},
        {"no empty line", "A: b\r\nbody\r\n\r\nmore", "A= b2|> body\r\n\r\nmore"},
        {"no header", "body: no it is not a\r\n", "body= no it is not a2|> "},
        {"no header at all", "some text\r\nmore\r\n\r\nend", "> some text\r\nmore\r\n\r\nend"},
        {"begins with a blank", " A: b\r\n\r\nx", ">  A: b\r\n\r\nx"},
        {"begins with a blank, goes on", " x\r\nA: b\r\n\r\ny", "! x2|A= b2|> y"},
        {"colon first", ": b\r\nA: b\r\n\r\n", "!: b2|A= b2|> "},
        {"8-bit name", "\xc3\xa4: b\r\nA: b\r\n\r\n", "!\xc3\xa4: b2|A= b2|> "},
        {"no colon, no line end", "A", "> A"},
        {"delimiter without empty line", "A: b\r\n--b\r\nC: d\r\n\r\nx",
         "A= b2|> --b\r\nC: d\r\n\r\nx"},
        {"dashes in a name", "--A: b\r\n\r\nx", "--A= b2|> x"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_message *m = pn_message_new(pn_str_of(rows[i].in), NULL);
        pn_buf_clear(&out);
        add_fields(&out, m);
        unit_row(rows[i].label);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        UNIT_INT(pn_message_parts(m), 1);
        pn_message_free(&m);
        UNIT_TRUE(m == NULL);
    }
    pn_buf_fini(&out);
}

static void test_find(void)
{
    static const struct {
        const char *name;
        int nth;
        const char *want; /* NULL: none */
    } rows[] = {
        {"A", 1, "1"},   {"a", 2, "2"},   {"A", 3, "3"},    {"A", 4, NULL}, {"A", -1, "3"},
        {"A", -3, "1"},  {"A", -4, NULL}, {"A", 0, NULL},   {"B", 1, "x"},  {"b", -1, "x"},
        {"AB", 1, NULL}, {"", 1, NULL},   {"Bb", -1, NULL},
    };
    struct pn_message *m =
        pn_message_new(PN_STR("A:1\r\nB:x\r\nstray\r\na:2\r\nA :3\r\n\r\nA:4"), NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct pn_field *f = pn_field_find(m, NULL, pn_str_of(rows[i].name), rows[i].nth);
        unit_row(rows[i].name);
        UNIT_TRUE((f != NULL) == (rows[i].want != NULL));
        if (f != NULL)
            UNIT_STR(pn_field_value(m, f), pn_str_of(rows[i].want));
    }
    UNIT_INT(pn_field_count(m, NULL, PN_STR("A")), 3);
    UNIT_INT(pn_field_count(m, NULL, PN_STR("stray")), 0);
    UNIT_STR(pn_field_line(m, pn_field_find(m, NULL, PN_STR("b"), 1)), PN_STR("B:x\r\n"));
    UNIT_STR(pn_message_eol(m), PN_STR("\r\n"));
    UNIT_TRUE(pn_message_reset(m, PN_STR("C: 1\n\n")));
    UNIT_STR(pn_message_eol(m), PN_STR("\n"));
    UNIT_INT(pn_field_count(m, NULL, PN_STR("A")), 0);
    UNIT_INT(pn_field_count(m, NULL, PN_STR("C")), 1);
    pn_message_free(&m);
}

/* ---- the tree */

static const struct {
    unsigned flag;
    const char *word;
} flag_words[] = {
    {PN_PART_NO_BOUNDARY, "no-boundary"}, {PN_PART_NO_DELIMITER, "no-delimiter"},
    {PN_PART_NO_END, "no-end"},           {PN_PART_NEAR_BOUNDARY, "near"},
    {PN_PART_HEADER_CUT, "header-cut"},   {PN_PART_TOO_DEEP, "too-deep"},
    {PN_PART_BAD_TYPE, "bad-type"},       {PN_PART_BAD_ENCODING, "bad-encoding"},
    {PN_PART_REPEATED, "repeated"},       {PN_PART_FIELDS_CUT, "fields-cut"},
    {PN_PART_TOO_MANY, "too-many"},
};

/* One line a part: dots for its depth, type, flags, lines, a leaf's body. */
static void add_tree(struct pn_buf *out, const struct pn_message *m)
{
    for (size_t i = 0; i < pn_message_parts(m); i++) {
        const struct pn_part *part = pn_message_part(m, i);
        for (int d = 0; d < part->depth; d++)
            (void)pn_buf_addc(out, '.');
        (void)pn_buf_adds(out, pn_part_type(m, part));
        (void)pn_buf_addc(out, '/');
        (void)pn_buf_adds(out, pn_part_subtype(m, part));
        for (size_t f = 0; f < COUNT(flag_words); f++)
            if (part->flags & flag_words[f].flag)
                (void)pn_buf_addf(out, " %s", flag_words[f].word);
        (void)pn_buf_addf(out, " %u", part->lines);
        if (part->kind == PN_PART_LEAF) {
            (void)pn_buf_addz(out, " [");
            (void)pn_buf_adds(out, pn_part_body(m, part));
            (void)pn_buf_addc(out, ']');
        }
        (void)pn_buf_addc(out, '\n');
    }
}

struct tree_row {
    const char *label, *in, *want; /* both with LF; run with CRLF too */
    struct pn_message_limits limits;
};

static void run_tree(const struct tree_row *row, struct pn_str in, bool with_crlf)
{
    struct pn_message_limits limits =
        row->limits.parts == 0 ? pn_message_limits_default : row->limits;
    struct pn_buf out, want;
    struct pn_message *m = pn_message_new(in, &limits);
    pn_buf_init(&out, 65536);
    pn_buf_init(&want, 65536);
    pn_message_mime(m);
    pn_message_mime(m);
    add_tree(&out, m);
    if (with_crlf) { /* the lines of the dump are ours and stay */
        struct pn_buf lf;
        pn_buf_init(&lf, 65536);
        for (size_t i = 0; i < out.len; i++)
            if (out.p[i] != '\r')
                (void)pn_buf_addc(&lf, out.p[i]);
        pn_buf_fini(&out);
        out = lf;
    }
    UNIT_STR(pn_buf_str(&out), pn_str_of(row->want));
    const char *wrong = message_invariants(m, &limits);
    UNIT_STR(pn_str_of(wrong == NULL ? "" : wrong), PN_STR(""));
    /* Cut off at every byte: other trees, the same rules. */
    for (size_t n = 0; n <= in.len; n++) {
        (void)pn_message_reset(m, pn_str_slice(in, 0, n));
        pn_message_mime(m);
        wrong = message_invariants(m, &limits);
        UNIT_STR(pn_str_of(wrong == NULL ? "" : wrong), PN_STR(""));
    }
    pn_message_free(&m);
    pn_buf_fini(&want);
    pn_buf_fini(&out);
}

static void run_trees(const struct tree_row *rows, size_t count)
{
    struct pn_buf text;
    pn_buf_init(&text, 65536);
    for (size_t i = 0; i < count; i++) {
        unit_row(rows[i].label);
        run_tree(&rows[i], pn_str_of(rows[i].in), false);
        run_tree(&rows[i], crlf(&text, pn_str_of(rows[i].in)), true);
    }
    pn_buf_fini(&text);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"

static void test_tree(void)
{
    static const struct tree_row rows[] = {
        {"empty", "", "text/plain header-cut 0 []\n"},
        {"plain", "A: b\n\nx\ny\n", "text/plain 2 [x\ny\n]\n"},
        {"last line open", "\nx\ny", "text/plain 2 [x\ny]\n"},
        {"typed", "Content-Type: TEXT/Html; charset=x\n\n", "TEXT/Html 0 []\n"},
        {"comments in a type", "Content-Type: (a) text (b) / (c(d)) html (e)\n\n",
         "text/html 0 []\n"},
        {"two parts", MIXED "pre\n--b\n\nx\n--b\nContent-Type: text/html\n\ny\n\n--b--\npost\n",
         "multipart/mixed 11\n.text/plain 1 [x]\n.text/html 1 [y\n]\n"},
        {"empty part", MIXED "--b\n\n--b--", "multipart/mixed 3\n.text/plain 0 []\n"},
        {"part without empty line", MIXED "--b\nA: b\n--b\n--b--\n",
         "multipart/mixed 4\n.text/plain header-cut 0 []\n.text/plain header-cut 0 []\n"},
        {"no empty line before the first part",
         "Content-Type: multipart/mixed; boundary=b\n--b\n\nx\n--b--\n",
         "multipart/mixed header-cut 4\n.text/plain 1 [x]\n"},
        {"part without header", MIXED "--b\nhello you\nthere: no\n\nx\n--b--\n",
         "multipart/mixed 6\n.text/plain 1 [x]\n"},
        {"part without header at all", MIXED "--b\nhello you\nmore\n\nx\n--b--\n",
         "multipart/mixed 6\n.text/plain header-cut 4 [hello you\nmore\n\nx]\n"},
        {"no end", MIXED "--b\n\nx\n", "multipart/mixed no-end 3\n.text/plain 1 [x\n]\n"},
        {"end alone", MIXED "--b--\nx\n", "multipart/mixed 2\n"},
        {"no delimiter", MIXED "x\n", "multipart/mixed no-delimiter no-end 1\n"},
        {"no boundary", "Content-Type: multipart/mixed\n\n--b\n\nx\n",
         "multipart/mixed no-boundary 3 [--b\n\nx\n]\n"},
        {"empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n",
         "multipart/mixed no-boundary 3 [--\n\nx\n]\n"},
        {"blanks behind", MIXED "--b \t\n\nx\n--b-- \n", "multipart/mixed 4\n.text/plain 1 [x]\n"},
        {"goes on", MIXED "--b\n\nx\n--bc\n--b--c\n--b--\n",
         "multipart/mixed near 6\n.text/plain 1 [x]\n.text/plain header-cut 0 []\n"},
        {"a delimiter ends the content", MIXED "--b\n\nx\n--b\n",
         "multipart/mixed no-end 4\n.text/plain 1 [x]\n"},
        {"dashes that are none", MIXED "--b\n\n--\n-b\n -b\n--a\nx--b\n--b--\n",
         "multipart/mixed 8\n.text/plain 5 [--\n-b\n -b\n--a\nx--b]\n"},
        {"boundary that ends in dashes",
         "Content-Type: multipart/mixed; boundary=\"b--\"\n\n--b--\n\nx\n--b----\n",
         "multipart/mixed 4\n.text/plain 1 [x]\n"},
        {"quoted boundary with blank and escape",
         "Content-Type: multipart/mixed; boundary=\"a \\\"b \"\n\n--a \"b\n\nx\n--a \"b--\n",
         "multipart/mixed 4\n.text/plain 1 [x]\n"},
        {"boundary in pieces",
         "Content-Type: multipart/mixed; boundary*1=b; boundary*0=a\n\n--ab\n\nx\n--ab--\n",
         "multipart/mixed 4\n.text/plain 1 [x]\n"},
        {"boundary folded away", "Content-Type: multipart/mixed;\n boundary=b\n\n--b\n\nx\n--b--\n",
         "multipart/mixed 4\n.text/plain 1 [x]\n"},
    };
    run_trees(rows, COUNT(rows));
}

#define OUTER "Content-Type: multipart/mixed; boundary=a\n\n--a\n"

static void test_nested(void)
{
    static const struct tree_row rows[] = {
        {"nested", OUTER MIXED "--b\n\nx\n--b--\n--a\n\ny\n--a--\n",
         "multipart/mixed 11\n.multipart/mixed 4\n..text/plain 1 [x]\n.text/plain 1 [y]\n"},
        {"one boundary begins the other",
         OUTER "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\nx\n--ab--\n--a\n\ny\n--a--\n",
         "multipart/mixed 11\n.multipart/mixed 4\n..text/plain 1 [x]\n.text/plain 1 [y]\n"},
        {"the longest boundary is meant, whichever level it is of",
         "Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/mixed; "
         "boundary=a\n\n--a\n\nx\n--ab\n\ny\n--ab--\n",
         "multipart/mixed 10\n.multipart/mixed no-end 3\n..text/plain 1 [x]\n.text/plain 1 [y]\n"},
        {"inner without end", OUTER MIXED "--b\n\nx\n--a\n\ny\n--a--\n",
         "multipart/mixed 10\n.multipart/mixed no-end 3\n..text/plain 1 [x]\n.text/plain 1 [y]\n"},
        {"all without end", OUTER MIXED "--b\n\nx",
         "multipart/mixed no-end 6\n.multipart/mixed no-end 3\n..text/plain 1 [x]\n"},
        {"the same boundary twice", MIXED "--b\n" MIXED "--b\n\nx\n--b--\n--b\n\ny\n--b--\n",
         "multipart/mixed 11\n.multipart/mixed 4\n..text/plain 1 [x]\n.text/plain 1 [y]\n"},
        {"outer closed first", OUTER MIXED "--b\n\nx\n--a--\n--b\n\ny\n--b--\n",
         "multipart/mixed 11\n.multipart/mixed no-end 3\n..text/plain 1 [x]\n"},
        {"parts behind the end are none", MIXED "--b\n\nx\n--b--\n--b\n\ny\n",
         "multipart/mixed 7\n.text/plain 1 [x]\n"},
        {"message", "Content-Type: message/rfc822\n\nA: b\n\nx\n",
         "message/rfc822 3\n.text/plain 1 [x\n]\n"},
        {"message in a message",
         "Content-Type: message/rfc822\n\nContent-Type: message/RFC822\n\n\nx",
         "message/rfc822 4\n.message/RFC822 2\n..text/plain 1 [x]\n"},
        {"message, empty", "Content-Type: message/rfc822\n\n",
         "message/rfc822 0\n.text/plain header-cut 0 []\n"},
        {"message with parts of its own",
         OUTER "Content-Type: message/rfc822\n\n" MIXED "--b\n\nx\n--b--\n--a\n\ny\n--a--\n",
         "multipart/mixed 13\n.message/rfc822 6\n..multipart/mixed 4\n...text/plain 1 [x]\n"
         ".text/plain 1 [y]\n"},
        {"message cut by a delimiter in its header",
         OUTER "Content-Type: message/rfc822\n\nA: b\n--a--\n",
         "multipart/mixed 5\n.message/rfc822 1\n..text/plain header-cut 0 []\n"},
        {"encoded message is a leaf",
         "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYg==\n",
         "message/rfc822 bad-encoding 1 [QTogYg==\n]\n"},
        {"encoded multipart is read as it is",
         "Content-Transfer-Encoding: base64\n" MIXED "--b\n\nx\n--b--\n",
         "multipart/mixed bad-encoding 4\n.text/plain 1 [x]\n"},
        {"digest",
         "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\nx\n--b\n"
         "Content-Type: text/plain\n\ny\n--b\n--b--\n",
         "multipart/digest 11\n.message/rfc822 3\n..text/plain 1 [x]\n.text/plain 1 [y]\n"
         ".message/rfc822 header-cut 0\n..text/plain header-cut 0 []\n"},
    };
    run_trees(rows, COUNT(rows));
}

static void test_odd_types(void)
{
    static const struct tree_row rows[] = {
        {"no subtype", "Content-Type: text\n\nx", "text/plain bad-type 1 [x]\n"},
        {"nothing", "Content-Type:\n\nx", "text/plain bad-type 1 [x]\n"},
        {"no type", "Content-Type: ; charset=x\n\nx", "text/plain bad-type 1 [x]\n"},
        {"slash", "Content-Type: /html\n\nx", "text/plain bad-type 1 [x]\n"},
        {"open comment", "Content-Type: text/html (\n\nx", "text/html 1 [x]\n"},
        {"multipart alone", "Content-Type: multipart; boundary=b\n\n--b\n\nx\n--b--",
         "multipart/mixed bad-type 4\n.text/plain 1 [x]\n"},
        {"no semicolon", "Content-Type: multipart/mixed boundary=b\n\n--b\n\nx\n--b--",
         "multipart/mixed 4\n.text/plain 1 [x]\n"},
        {"twice", "Content-Type: text/html\nContent-Type: text/plain\n\nx",
         "text/html repeated 1 [x]\n"},
        {"unknown encoding", "Content-Transfer-Encoding: rot13\n\nx",
         "text/plain bad-encoding 1 [x]\n"},
    };
    run_trees(rows, COUNT(rows));
}

static void test_limits(void)
{
    static const struct tree_row rows[] = {
        {"depth 0",
         MIXED "--b\n\nx\n--b--",
         "multipart/mixed too-deep 4 [--b\n\nx\n--b--]\n",
         {10, 10, 0}},
        {"depth 1",
         OUTER MIXED "--b\n\nx\n--b--\n--a\n\ny\n--a--\n",
         "multipart/mixed 11\n.multipart/mixed too-deep 4 [--b\n\nx\n--b--]\n.text/plain 1 [y]\n",
         {10, 10, 1}},
        {"parts at the limit",
         MIXED "--b\n\nx\n--b\n\ny\n--b--",
         "multipart/mixed 7\n.text/plain 1 [x]\n.text/plain 1 [y]\n",
         {10, 3, 5}},
        {"one part too many",
         MIXED "--b\n\nx\n--b\n\ny\n--b--",
         "multipart/mixed too-many 7\n.text/plain 1 [x]\n",
         {10, 2, 5}},
        {"a message at the limit",
         "Content-Type: message/rfc822\n\nA: b\n\nx",
         "message/rfc822 too-many 3\n",
         {10, 1, 5}},
        {"fields: the first header gets half, rounded up",
         "Content-Type: text/html\nA: b\n c\nC: d\n\nx",
         "text/html fields-cut 1 [x]\n",
         {3, 1, 5}},
        {"fields: exactly",
         "Content-Type: text/html\nA: b\n c\n\nx",
         "text/html 1 [x]\n",
         {4, 1, 5}},
        {"no fields", "Content-Type: text/html\n\nx", "text/plain fields-cut 1 [x]\n", {0, 1, 5}},
    };
    run_trees(rows, COUNT(rows));
    struct pn_str huge = {"", UINT32_MAX};
    UNIT_TRUE(pn_message_new(huge, NULL) == NULL);
}

/* 50,000 parts nested or side by side, cut by the caps: linear, or this test takes minutes. */
static void test_hostile(void)
{
    static const char *const lines[] = {
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        "Content-Type: message/rfc822\n\n",
        "\n--b\n",
        "--b\nA: b\n",
        "--a\n",
        "A\n",
        "--b--\n",
    };
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    for (size_t i = 0; i < COUNT(lines); i++) {
        pn_buf_clear(&text);
        (void)pn_buf_addz(&text, lines[0]);
        for (int n = 0; n < 50000; n++)
            (void)pn_buf_addz(&text, lines[i]);
        struct pn_message *m = pn_message_new(pn_buf_str(&text), NULL);
        pn_message_mime(m);
        const char *wrong = message_invariants(m, &pn_message_limits_default);
        unit_row(lines[i]);
        UNIT_STR(pn_str_of(wrong == NULL ? "" : wrong), PN_STR(""));
        pn_message_free(&m);
    }
    pn_buf_fini(&text);
}

static void test_preamble(void)
{
    static const char text[] = MIXED "pre\n--b\n\nx\n--b--\npost\n";
    struct pn_message *m = pn_message_new(PN_STR(text), NULL);
    pn_message_mime(m);
    const struct pn_part *root = pn_message_part(m, 0);
    UNIT_STR(pn_str_slice(pn_message_content(m), root->body, root->preamble_end), PN_STR("pre\n"));
    UNIT_STR(pn_str_slice(pn_message_content(m), root->epilogue, root->end), PN_STR("post\n"));
    UNIT_STR(pn_part_header(m, pn_part_child(m, root)), PN_STR("\n"));
    UNIT_TRUE(pn_part_parent(m, root) == NULL && pn_part_next(m, root) == NULL);
    UNIT_TRUE(pn_part_child(m, pn_part_child(m, root)) == NULL);
    UNIT_TRUE(pn_part_is(m, root, PN_STR("Multipart"), PN_STR("")));
    UNIT_TRUE(!pn_part_is(m, root, PN_STR("multipart"), PN_STR("related")));
    pn_message_free(&m);
}

/* ---- parameters */

static void test_param(void)
{
    static const struct {
        const char *value, *name, *want; /* NULL: none */
    } rows[] = {
        {"", "a", NULL},
        {"text/plain; charset=utf-8", "charset", "utf-8"},
        {" text/plain;CHARSET = \"utf-8\" ; x=y", "charset", "utf-8"},
        {"text/plain; charset=us-ascii (Plain text)", "charset", "us-ascii"},
        {"text/plain; a=b; charset=x; charset=y", "charset", "x"},
        {"text/plain; acharset=x", "charset", NULL},
        {"text/plain;; charset=x;;", "charset", "x"},
        {"text/plain charset=x", "charset", "x"},
        {"text/plain; charset=\"x\" name=y", "name", "y"},
        {"text/plain; charset=x name=y", "charset", "x"},
        {"text/plain; charset=x name=y", "name", "y"},
        {"a; filename=two words.txt ; b=c", "filename", "two words.txt"},
        {"a; filename=f(1).txt", "filename", "f(1).txt"},
        {"a; filename=", "filename", ""},
        {"a; filename", "filename", NULL},
        {"a; filename=\"", "filename", ""},
        {"a; filename=\"open; b=c", "filename", "open; b=c"},
        {"a; filename=\"q\\\"\\\\ \\x\"", "filename", "q\"\\ x"},
        {"a; filename=\"fo\r\n ld\"", "filename", "fo ld"},
        {"a; filename*=utf-8'de'a%C3%A4%zz%4", "filename", "a\xc3\xa4%zz%4"},
        {"a; filename*=iso-8859-1''%E4", "filename", "\xc3\xa4"},
        {"a; filename*=%E4", "filename", "\xc3\xa4"},
        {"a; filename*=''%E4", "filename", "\xc3\xa4"},
        {"a; filename*=utf-8''a%00%0d%0Ab", "filename", "ab"},
        {"a; filename=x; filename*=utf-8''y", "filename", "y"},
        {"a; filename*0=a; filename*1=b; filename*3=d", "filename", "ab"},
        {"a; filename*1=b; filename*0=a", "filename", "ab"},
        {"a; filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=\"%41\"", "filename",
         "\xc3\xa4%41"},
        {"a; filename*1=b", "filename", NULL},
        {"a; filename*01=b; filename*0=a", "filename", "ab"},
        {"a; filename*128=b; filename*0=a", "filename", "a"},
        {"a; filename=\"=?utf-8?q?=C3=A4?=\"", "filename", "\xc3\xa4"},
        {"a; filename=\"\xe4\"", "filename", "\xc3\xa4"},
        {"a; =x; \"q\"; b=c", "b", "c"},
        {"a (; b=c", "b", NULL},
        {"a (x) ; (y) b (z) = (w) c", "b", "c"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 256);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].value);
        pn_buf_clear(&out);
        (void)pn_buf_addz(&out, "<");
        bool found = pn_param_get(pn_str_of(rows[i].value), pn_str_of(rows[i].name), &out);
        UNIT_TRUE(found == (rows[i].want != NULL));
        UNIT_STR(pn_str_slice(pn_buf_str(&out), 1, out.len),
                 pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
    }
    pn_buf_fini(&out);
}

static void test_part_params(void)
{
    static const char text[] = "Content-Type: text/plain; name=n; charset=\"koi8-r\"\r\n"
                               "Content-Disposition: (c) Attachment; filename=f\r\n\r\n";
    struct pn_message *m = pn_message_new(PN_STR(text), NULL);
    struct pn_buf out;
    pn_buf_init(&out, 64);
    pn_message_mime(m);
    const struct pn_part *part = pn_message_part(m, 0);
    UNIT_STR(pn_part_disposition(m, part), PN_STR("Attachment"));
    UNIT_TRUE(pn_part_filename(m, part, &out) && pn_part_param(m, part, PN_STR("charset"), &out));
    UNIT_STR(pn_buf_str(&out), PN_STR("fkoi8-r"));
    UNIT_TRUE(pn_message_reset(m, PN_STR("Content-Type: a/b; name=n\r\n\r\n")));
    pn_message_mime(m);
    pn_buf_clear(&out);
    part = pn_message_part(m, 0);
    UNIT_TRUE(pn_part_filename(m, part, &out) && !pn_part_param(m, part, PN_STR("x"), &out));
    UNIT_STR(pn_buf_str(&out), PN_STR("n"));
    UNIT_STR(pn_part_disposition(m, part), PN_STR(""));
    pn_buf_fini(&out);
    pn_message_free(&m);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"header", test_header},
        {"find", test_find},
        {"tree", test_tree},
        {"nested", test_nested},
        {"odd_types", test_odd_types},
        {"limits", test_limits},
        {"hostile", test_hostile},
        {"preamble", test_preamble},
        {"param", test_param},
        {"part_params", test_part_params},
        {NULL, NULL},
    };
    return unit_main("test_message", tests, argc, argv);
}
