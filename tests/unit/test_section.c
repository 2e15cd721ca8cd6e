#include "unit.h"

#include "lines.h"
#include "section.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- the spec */

static void test_spec(void)
{
    static const struct {
        const char *label;
        struct pn_str in, want; /* want: written again; .p is NULL: refused */
    } rows[] = {
        {"all", PN_STR_INIT("]"), PN_STR_INIT("")},
        {"text", PN_STR_INIT("text]<0.1>"), PN_STR_INIT("TEXT")},
        {"header", PN_STR_INIT("Header]"), PN_STR_INIT("HEADER")},
        {"numbers", PN_STR_INIT("1.2.30]"), PN_STR_INIT("1.2.30")},
        {"the largest number", PN_STR_INIT("4294967295]"), PN_STR_INIT("4294967295")},
        {"mime", PN_STR_INIT("1.mime]"), PN_STR_INIT("1.MIME")},
        {"header of a part", PN_STR_INIT("1.2.HEADER]"), PN_STR_INIT("1.2.HEADER")},
        {"fields", PN_STR_INIT("HEADER.FIELDS (From To)]"), PN_STR_INIT("HEADER.FIELDS (From To)")},
        {"not, of a part", PN_STR_INIT("3.header.fields.not (X)] BODY[]"),
         PN_STR_INIT("3.HEADER.FIELDS.NOT (X)")},
        {"quoted", PN_STR_INIT("HEADER.FIELDS (\"From\" \"a b\" \"]\")]"),
         PN_STR_INIT("HEADER.FIELDS (From \"a b\" \"]\")")},
        {"literals", PN_STR_INIT("HEADER.FIELDS ({4}\r\nFrom {2+}\r\n\") {0}\r\n)]"),
         PN_STR_INIT("HEADER.FIELDS (From {2}\r\n\") \"\")")},
        {"a bracket in an atom", PN_STR_INIT("HEADER.FIELDS (a]b)]"),
         PN_STR_INIT("HEADER.FIELDS (\"a]b\")")},
        {"escapes", PN_STR_INIT("HEADER.FIELDS (\"a\\\"b\\\\\" {3}\r\na\\b)]"),
         PN_STR_INIT("HEADER.FIELDS (\"a\\\"b\\\\\" {3}\r\na\\b)")},
        {"an escape of what needs none", PN_STR_INIT("HEADER.FIELDS (\"a\\b\")]"), {NULL, 0}},
        {"NUL in quotes", PN_STR_INIT("HEADER.FIELDS (\"a\0b\")]"), {NULL, 0}},
        {"NUL in a literal", PN_STR_INIT("HEADER.FIELDS ({1}\r\n\0)]"), {NULL, 0}},
        {"no end", PN_STR_INIT(""), {NULL, 0}},
        {"no end behind a number", PN_STR_INIT("1"), {NULL, 0}},
        {"zero", PN_STR_INIT("0]"), {NULL, 0}},
        {"leading zero", PN_STR_INIT("01]"), {NULL, 0}},
        {"too large", PN_STR_INIT("4294967296]"), {NULL, 0}},
        {"dot at the end", PN_STR_INIT("1.]"), {NULL, 0}},
        {"two dots", PN_STR_INIT("1..2]"), {NULL, 0}},
        {"dot first", PN_STR_INIT(".1]"), {NULL, 0}},
        {"mime of nothing", PN_STR_INIT("MIME]"), {NULL, 0}},
        {"unknown word", PN_STR_INIT("BODY]"), {NULL, 0}},
        {"word and number", PN_STR_INIT("TEXT.1]"), {NULL, 0}},
        {"no list", PN_STR_INIT("HEADER.FIELDS]"), {NULL, 0}},
        {"empty list", PN_STR_INIT("HEADER.FIELDS ()]"), {NULL, 0}},
        {"blank at the end of the list", PN_STR_INIT("HEADER.FIELDS (a )]"), {NULL, 0}},
        {"two blanks", PN_STR_INIT("HEADER.FIELDS (a  b)]"), {NULL, 0}},
        {"no blank", PN_STR_INIT("HEADER.FIELDS(a)]"), {NULL, 0}},
        {"list not closed", PN_STR_INIT("HEADER.FIELDS (a]"), {NULL, 0}},
        {"quote not closed", PN_STR_INIT("HEADER.FIELDS (\"a)]"), {NULL, 0}},
        {"literal too short", PN_STR_INIT("HEADER.FIELDS ({9}\r\na)]"), {NULL, 0}},
        {"literal that is none", PN_STR_INIT("HEADER.FIELDS ({a}\r\na)]"), {NULL, 0}},
        {"8-bit", PN_STR_INIT("HEADER.FIELDS (\xc3)]"), {NULL, 0}},
        {"blank", PN_STR_INIT(" ]"), {NULL, 0}},
    };
    struct pn_buf out;
    pn_buf_init(&out, 200);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_section section;
        unit_row(rows[i].label);
        size_t len = pn_section_parse(rows[i].in, &section);
        UNIT_TRUE((len == SIZE_MAX) == (rows[i].want.p == NULL));
        if (len == SIZE_MAX)
            continue;
        UNIT_TRUE(len < rows[i].in.len && rows[i].in.p[len] == ']');
        for (size_t cut = 0; cut <= len; cut++)
            UNIT_INT(pn_section_parse(pn_str_slice(rows[i].in, 0, cut), &section), SIZE_MAX);
        (void)pn_section_parse(rows[i].in, &section);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_section_write(&section, &out));
        UNIT_STR(pn_buf_str(&out), rows[i].want);
    }
    pn_buf_fini(&out);
}

static void test_spec_limits(void)
{
    struct pn_buf b;
    struct pn_section section;
    pn_buf_init(&b, SIZE_MAX);
    for (int i = 0; i < PN_SECTION_DEPTH; i++)
        (void)pn_buf_addz(&b, i == 0 ? "1" : ".1");
    (void)pn_buf_addc(&b, ']');
    UNIT_INT(pn_section_parse(pn_buf_str(&b), &section), b.len - 1);
    b.len--;
    (void)pn_buf_addz(&b, ".1]");
    UNIT_INT(pn_section_parse(pn_buf_str(&b), &section), SIZE_MAX);
    for (size_t more = 0; more < 2; more++) {
        pn_buf_clear(&b);
        (void)pn_buf_addz(&b, "HEADER.FIELDS (");
        for (size_t i = 0; i < PN_SECTION_NAMES_MAX - 1 + more; i++)
            (void)pn_buf_addc(&b, i % 100 == 99 ? ' ' : 'a');
        (void)pn_buf_addz(&b, ")]");
        UNIT_INT(pn_section_parse(pn_buf_str(&b), &section), more != 0 ? SIZE_MAX : b.len - 1);
        pn_buf_clear(&b);
        (void)pn_buf_addz(&b, "HEADER.FIELDS (");
        for (size_t i = 0; i < PN_SECTION_NAMES + more; i++)
            (void)pn_buf_addz(&b, i == 0 ? "a" : " a");
        (void)pn_buf_addz(&b, ")]");
        UNIT_INT(pn_section_parse(pn_buf_str(&b), &section), more != 0 ? SIZE_MAX : b.len - 1);
    }
    pn_buf_fini(&b);
}

/* ---- what a section is */

static const char message[] =
    "From: a@b\nSubject: x\n y\nX-Odd: 1\nMIME-Version: 1.0\n"
    "Content-Type: multipart/mixed; boundary=b\n\npreamble\n"
    "--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"
    "a=3Db =\nc\nd\n\n"
    "--b\nContent-Type: message/rfc822\nContent-ID: <2>\n\n"
    "Subject: in\n\nin body\n\n"
    "--b\nContent-Type: message/rfc822\n\n"
    "Subject: in2\nContent-Type: multipart/x; boundary=c\n\n--c\n\none\n--c\n"
    "Content-Transfer-Encoding: base64\n\nAAEC\nAwQ=\n--c--\n"
    "--b\nContent-Type: multipart/y\nContent-Transfer-Encoding: base64\n\nQUJD\n"
    "--b\nContent-Transfer-Encoding: x-odd\n\nz\n"
    "--b--\nepilogue\n";

#define PART3                                                                                      \
    "Subject: in2\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c\r\n"       \
    "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAwQ=\r\n--c--"

struct section_row {
    const char *label;
    struct pn_str spec, want; /* want.p is NULL: no such part */
};

static const struct section_row sections[] = {
    {"header", PN_STR_INIT("HEADER]"),
     PN_STR_INIT("From: a@b\r\nSubject: x\r\n y\r\nX-Odd: 1\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: multipart/mixed; boundary=b\r\n\r\n")},
    {"fields", PN_STR_INIT("HEADER.FIELDS (subject \"from\")]"),
     PN_STR_INIT("From: a@b\r\nSubject: x\r\n y\r\n\r\n")},
    {"fields, none", PN_STR_INIT("HEADER.FIELDS (fro To)]"), PN_STR_INIT("\r\n")},
    {"fields but", PN_STR_INIT("HEADER.FIELDS.NOT (from x-odd Content-Type)]"),
     PN_STR_INIT("Subject: x\r\n y\r\nMIME-Version: 1.0\r\n\r\n")},
    {"fields but none", PN_STR_INIT("HEADER.FIELDS.NOT (To)]"),
     PN_STR_INIT("From: a@b\r\nSubject: x\r\n y\r\nX-Odd: 1\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: multipart/mixed; boundary=b\r\n\r\n")},
    {"1", PN_STR_INIT("1]"), PN_STR_INIT("a=3Db =\r\nc\r\nd\r\n")},
    {"1.mime", PN_STR_INIT("1.MIME]"),
     PN_STR_INIT(
         "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")},
    {"of a text no header", PN_STR_INIT("1.HEADER]"), {NULL, 0}},
    {"of a text no text", PN_STR_INIT("1.TEXT]"), {NULL, 0}},
    {"of a text no part", PN_STR_INIT("1.1]"), {NULL, 0}},
    {"2", PN_STR_INIT("2]"), PN_STR_INIT("Subject: in\r\n\r\nin body\r\n")},
    {"2.mime", PN_STR_INIT("2.MIME]"),
     PN_STR_INIT("Content-Type: message/rfc822\r\nContent-ID: <2>\r\n\r\n")},
    {"2.header", PN_STR_INIT("2.HEADER]"), PN_STR_INIT("Subject: in\r\n\r\n")},
    {"2.text", PN_STR_INIT("2.TEXT]"), PN_STR_INIT("in body\r\n")},
    {"2.1, its only part", PN_STR_INIT("2.1]"), PN_STR_INIT("in body\r\n")},
    {"2.1.mime", PN_STR_INIT("2.1.MIME]"), PN_STR_INIT("Subject: in\r\n\r\n")},
    {"2.1.1", PN_STR_INIT("2.1.1]"), {NULL, 0}},
    {"2.2", PN_STR_INIT("2.2]"), {NULL, 0}},
    {"3", PN_STR_INIT("3]"), PN_STR_INIT(PART3)},
    {"3.header.fields", PN_STR_INIT("3.HEADER.FIELDS (Subject)]"),
     PN_STR_INIT("Subject: in2\r\n\r\n")},
    {"3.1, of the multipart in it", PN_STR_INIT("3.1]"), PN_STR_INIT("one")},
    {"3.2", PN_STR_INIT("3.2]"), PN_STR_INIT("AAEC\r\nAwQ=")},
    {"3.3", PN_STR_INIT("3.3]"), {NULL, 0}},
    {"4, a multipart without parts", PN_STR_INIT("4]"), PN_STR_INIT("QUJD")},
    {"4.1, what it says", PN_STR_INIT("4.1]"), PN_STR_INIT("QUJD")},
    {"4.1.mime", PN_STR_INIT("4.1.MIME]"), {NULL, 0}},
    {"4.2", PN_STR_INIT("4.2]"), {NULL, 0}},
    {"5", PN_STR_INIT("5]"), PN_STR_INIT("z")},
    {"6", PN_STR_INIT("6]"), {NULL, 0}},
};

static const struct section_row binaries[] = {
    {"quoted-printable", PN_STR_INIT("1]"), PN_STR_INIT("a=b c\r\nd\r\n")},
    {"a message as it stands", PN_STR_INIT("3]"), PN_STR_INIT(PART3)},
    {"base64", PN_STR_INIT("3.2]"), PN_STR_INIT("\0\1\2\3\4")},
    {"not encoded", PN_STR_INIT("3.1]"), PN_STR_INIT("one")},
    {"a multipart without parts as it stands", PN_STR_INIT("4]"), PN_STR_INIT("QUJD")},
    {"what it says decoded", PN_STR_INIT("4.1]"), PN_STR_INIT("ABC")},
    {"no such part", PN_STR_INIT("7]"), {NULL, 0}},
};

static enum pn_octets_status open_it(struct pn_reader *r, const struct pn_section *section,
                                     bool binary, struct pn_octets *o)
{
    return binary ? pn_octets_open_binary(r, section, o) : pn_octets_open(r, section, o);
}

/* All of a partial, in slices. */
static void read_partial(struct pn_reader *r, const struct pn_section *section, bool binary,
                         size_t offset, size_t count, size_t slice, struct pn_str want)
{
    struct pn_octets o;
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    UNIT_INT(open_it(r, section, binary, &o), PN_OCTETS_OK);
    UNIT_INT(o.size, want.len);
    pn_octets_partial(&o, offset, count);
    want = pn_str_slice(want, offset, offset + count);
    UNIT_INT(pn_octets_left(&o), want.len);
    while (pn_octets_left(&o) > 0 && out.len < want.len) {
        size_t len = out.len, left = want.len - len;
        UNIT_TRUE(pn_octets_read(&o, slice, &out));
        UNIT_INT(out.len - len, left < slice ? left : slice);
    }
    UNIT_INT(pn_octets_left(&o), 0);
    UNIT_STR(pn_buf_str(&out), want);
    pn_buf_fini(&out);
}

static void check_section(struct pn_reader *r, const struct section_row *row, bool binary)
{
    struct pn_section section;
    struct pn_octets o;
    unit_row(row->label);
    UNIT_TRUE(pn_section_parse(row->spec, &section) != SIZE_MAX);
    if (row->want.p == NULL) {
        UNIT_INT(open_it(r, &section, binary, &o), PN_OCTETS_NONE);
        return;
    }
    for (size_t slice = 1; slice <= row->want.len + 1; slice++)
        read_partial(r, &section, binary, 0, SIZE_MAX, slice, row->want);
    for (size_t from = 0; from <= row->want.len + 1; from++)
        for (size_t count = 1; count <= row->want.len - (from < row->want.len ? from : 0) + 1;
             count += count < 12 ? 1 : 17)
            read_partial(r, &section, binary, from, count, 7, row->want);
}

static void check_all(struct pn_str content, struct pn_str whole)
{
    struct pn_reader *r = pn_reader_new(content);
    struct pn_section section;
    struct pn_octets o;
    for (size_t i = 0; i < COUNT(sections); i++)
        check_section(r, &sections[i], false);
    for (size_t i = 0; i < COUNT(binaries); i++)
        check_section(r, &binaries[i], true);
    struct section_row all = {"all", PN_STR_INIT("]"), whole};
    check_section(r, &all, false);
    check_section(r, &all, true);
    UNIT_INT(pn_reader_size(r), whole.len);
    unit_row("unknown encoding");
    (void)pn_section_parse(PN_STR("5]"), &section);
    UNIT_INT(pn_octets_open_binary(r, &section, &o), PN_OCTETS_UNKNOWN_CTE);
    pn_reader_free(&r);
}

/* LF and CRLF say the same. */
static void test_sections(void)
{
    struct pn_lines lines;
    struct pn_buf crlf;
    pn_buf_init(&crlf, 4096);
    pn_lines_init(&lines, PN_LINES_TO_CRLF);
    UNIT_TRUE(pn_lines_feed(&lines, pn_str_of(message), &crlf));
    check_all(pn_str_of(message), pn_buf_str(&crlf));
    check_all(pn_buf_str(&crlf), pn_buf_str(&crlf));
    pn_buf_fini(&crlf);
}

/* Messages that are no multipart, and headers that end early. */
static void test_odd(void)
{
    static const struct {
        const char *label;
        struct pn_str message, spec, want;
    } rows[] = {
        {"empty", PN_STR_INIT(""), PN_STR_INIT("]"), PN_STR_INIT("")},
        {"empty, its header", PN_STR_INIT(""), PN_STR_INIT("HEADER]"), PN_STR_INIT("")},
        {"empty, its fields", PN_STR_INIT(""), PN_STR_INIT("HEADER.FIELDS (a)]"),
         PN_STR_INIT("\r\n")},
        {"empty, its text", PN_STR_INIT(""), PN_STR_INIT("TEXT]"), PN_STR_INIT("")},
        {"empty, its part", PN_STR_INIT(""), PN_STR_INIT("1]"), PN_STR_INIT("")},
        {"no header", PN_STR_INIT("\na\n"), PN_STR_INIT("HEADER.FIELDS.NOT (a)]"),
         PN_STR_INIT("\r\n")},
        {"text", PN_STR_INIT("A: b\n\nc\n"), PN_STR_INIT("TEXT]"), PN_STR_INIT("c\r\n")},
        {"its one part", PN_STR_INIT("A: b\n\nc\n"), PN_STR_INIT("1]"), PN_STR_INIT("c\r\n")},
        {"no second one", PN_STR_INIT("A: b\n\nc\n"), PN_STR_INIT("2]"), {NULL, 0}},
        {"none below", PN_STR_INIT("A: b\n\nc\n"), PN_STR_INIT("1.1]"), {NULL, 0}},
        {"the part's header is the message's", PN_STR_INIT("A: b\n\nc\n"), PN_STR_INIT("1.MIME]"),
         PN_STR_INIT("A: b\r\n\r\n")},
        {"header without an end", PN_STR_INIT("A: b\nC: d"), PN_STR_INIT("HEADER]"),
         PN_STR_INIT("A: b\r\nC: d")},
        {"its fields", PN_STR_INIT("A: b\nC: d"), PN_STR_INIT("HEADER.FIELDS (C)]"),
         PN_STR_INIT("C: d\r\n\r\n")},
        {"its other fields", PN_STR_INIT("A: b\nC: d"), PN_STR_INIT("HEADER.FIELDS (A)]"),
         PN_STR_INIT("A: b\r\n\r\n")},
        {"all but the first", PN_STR_INIT("A: b\nC: d"), PN_STR_INIT("HEADER.FIELDS.NOT (A)]"),
         PN_STR_INIT("C: d\r\n\r\n")},
        {"all but the last", PN_STR_INIT("A: b\nC: d"), PN_STR_INIT("HEADER.FIELDS.NOT (C)]"),
         PN_STR_INIT("A: b\r\n\r\n")},
        {"what is no field is not named", PN_STR_INIT("From x y\nA: b\n\n"),
         PN_STR_INIT("HEADER.FIELDS.NOT (A)]"), PN_STR_INIT("From x y\r\n\r\n")},
        {"a message alone", PN_STR_INIT("Content-Type: message/rfc822\n\nA: b\n\nc\n"),
         PN_STR_INIT("1]"), PN_STR_INIT("A: b\r\n\r\nc\r\n")},
        {"its header", PN_STR_INIT("Content-Type: message/rfc822\n\nA: b\n\nc\n"),
         PN_STR_INIT("1.HEADER]"), PN_STR_INIT("A: b\r\n\r\n")},
        {"its text", PN_STR_INIT("Content-Type: message/rfc822\n\nA: b\n\nc\n"),
         PN_STR_INIT("1.1]"), PN_STR_INIT("c\r\n")},
        {"NUL", PN_STR_INIT("A: b\0c\n\nd\0"), PN_STR_INIT("]"),
         PN_STR_INIT("A: b\x80"
                     "c\r\n\r\nd\x80")},
        {"bare CR", PN_STR_INIT("A: b\rc\r\n\n\r\n\r\r\nd\r"), PN_STR_INIT("]"),
         PN_STR_INIT("A: b\rc\r\n\r\n\r\n\r\r\nd\r")},
        {"multipart without a boundary", PN_STR_INIT("Content-Type: multipart/x\n\na\n"),
         PN_STR_INIT("1]"), PN_STR_INIT("a\r\n")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_reader *r = pn_reader_new(rows[i].message);
        struct section_row row = {rows[i].label, rows[i].spec, rows[i].want};
        check_section(r, &row, false);
        pn_reader_free(&r);
    }
}

/* ---- sizes and places in content of many blocks */

/* Line lengths and line ends from a fixed sequence, so that blocks begin everywhere in them. */
static void build(struct pn_buf *content, struct pn_buf *crlf, size_t size)
{
    uint32_t x = 12345;
    struct pn_lines lines;
    while (content->len < size) {
        x = x * 1664525 + 1013904223;
        for (uint32_t n = x >> 26; n > 0; n--)
            (void)pn_buf_addc(content, (char)('a' + n % 26));
        (void)pn_buf_addz(content, (x >> 20 & 7) == 0 ? "\r\n" : (x >> 20 & 7) == 1 ? "\r" : "\n");
    }
    pn_lines_init(&lines, PN_LINES_TO_CRLF);
    UNIT_TRUE(pn_lines_feed(&lines, pn_buf_str(content), crlf));
}

static void test_crlf(void)
{
    struct pn_buf content, crlf, out;
    pn_buf_init(&content, SIZE_MAX);
    pn_buf_init(&crlf, SIZE_MAX);
    pn_buf_init(&out, SIZE_MAX);
    build(&content, &crlf, (size_t)5 * PN_CRLF_BLOCK + 100);
    struct pn_crlf c;
    for (size_t from = 0; from < crlf.len; from += 97) {
        /* backwards too: the places before need nothing new */
        size_t offset = from % 2 == 0 ? from : crlf.len - from;
        pn_crlf_init(&c, pn_buf_str(&content));
        for (size_t again = 0; again < 2; again++) {
            struct pn_crlf_place place = pn_crlf_seek(&c, 0, offset);
            UNIT_INT(pn_crlf_size(&c, 0, place.at) + place.half, offset);
            size_t room = from % 300 + 1;
            pn_buf_clear(&out);
            char *to = pn_buf_reserve(&out, room);
            out.len = pn_crlf_copy(pn_buf_str(&content), &place, content.len, 'x', to, room);
            UNIT_STR(pn_buf_str(&out), pn_str_slice(pn_buf_str(&crlf), offset, offset + room));
            offset = offset / 2;
        }
        pn_crlf_fini(&c);
    }
    pn_crlf_init(&c, pn_buf_str(&content));
    UNIT_INT(pn_crlf_size(&c, 0, content.len), crlf.len);
    for (size_t from = 0; from < content.len; from += 101) {
        size_t half = pn_crlf_size(&c, 0, from);
        UNIT_INT(pn_crlf_size(&c, from, content.len), crlf.len - half);
        struct pn_crlf_place place = pn_crlf_seek(&c, from, 50);
        UNIT_INT(pn_crlf_size(&c, from, place.at) + place.half,
                 crlf.len - half < 50 ? crlf.len - half : 50);
    }
    pn_crlf_fini(&c);
    pn_buf_fini(&content);
    pn_buf_fini(&crlf);
    pn_buf_fini(&out);
}

/* A decoded part of many pieces, read in partials that follow each other and that do not. */
static void test_binary_partials(void)
{
    struct pn_buf content, want;
    pn_buf_init(&content, SIZE_MAX);
    pn_buf_init(&want, SIZE_MAX);
    (void)pn_buf_addz(&content, "Content-Transfer-Encoding: base64\n\n");
    for (unsigned i = 0; i < 9000; i++) {
        (void)pn_buf_addz(&content, "QUJDREVGR0hJ\n");
        (void)pn_buf_addz(&want, "ABCDEFGHI");
    }
    struct pn_reader *r = pn_reader_new(pn_buf_str(&content));
    struct pn_section section;
    (void)pn_section_parse(PN_STR("1]"), &section);
    for (size_t from = 0; from < want.len; from += 10000)
        read_partial(r, &section, true, from, 4000, 1000, pn_buf_str(&want));
    for (size_t from = want.len; from > 30000; from -= 30000)
        read_partial(r, &section, true, from - 30000, 4000, 4000, pn_buf_str(&want));
    struct pn_octets a, b;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    UNIT_INT(pn_octets_open_binary(r, &section, &a), PN_OCTETS_OK);
    UNIT_INT(pn_octets_open_binary(r, &section, &b), PN_OCTETS_OK);
    pn_octets_partial(&b, 40000, 10);
    UNIT_TRUE(pn_octets_read(&a, 20000, &out));
    UNIT_TRUE(pn_octets_read(&b, 5, &out));
    UNIT_TRUE(pn_octets_read(&a, 20005, &out));
    out.len = 0;
    UNIT_TRUE(pn_octets_read(&b, 5, &out));
    UNIT_STR(pn_buf_str(&out), pn_str_slice(pn_buf_str(&want), 40005, 40010));
    pn_reader_free(&r);
    pn_buf_fini(&out);
    pn_buf_fini(&content);
    pn_buf_fini(&want);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"spec", test_spec},
        {"spec limits", test_spec_limits},
        {"sections", test_sections},
        {"odd", test_odd},
        {"crlf", test_crlf},
        {"binary partials", test_binary_partials},
        {NULL, NULL},
    };
    return unit_main("section", tests, argc, argv);
}
