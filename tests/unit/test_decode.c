#include "unit.h"

#include "charset.h"
#include "decode.h"
#include "encword.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct decode_row {
    const char *label;
    struct pn_str in, want;
};

/* Each row whole, and cut in two at every byte: the result must be the same. */
static void run_decode(enum pn_encoding encoding, const struct decode_row *rows, size_t count)
{
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    for (size_t i = 0; i < count; i++) {
        unit_row(rows[i].label);
        for (size_t cut = 0; cut <= rows[i].in.len; cut++) {
            struct pn_decoder d;
            pn_buf_clear(&out);
            pn_decoder_init(&d, encoding);
            UNIT_TRUE(pn_decoder_feed(&d, pn_str_slice(rows[i].in, 0, cut), &out));
            UNIT_TRUE(pn_decoder_feed(&d, pn_str_slice(rows[i].in, cut, rows[i].in.len), &out));
            UNIT_TRUE(pn_decoder_end(&d, &out));
            UNIT_STR(pn_buf_str(&out), rows[i].want);
        }
        pn_buf_clear(&out);
        struct pn_decoder d;
        pn_decoder_init(&d, encoding);
        for (size_t at = 0; at < rows[i].in.len; at++)
            UNIT_TRUE(pn_decoder_feed(&d, pn_str_slice(rows[i].in, at, at + 1), &out));
        UNIT_TRUE(pn_decoder_end(&d, &out));
        UNIT_STR(pn_buf_str(&out), rows[i].want);
    }
    pn_buf_fini(&out);
}

static void test_base64(void)
{
    static const struct decode_row rows[] = {
        {"empty", PN_STR_INIT(""), PN_STR_INIT("")},
        {"one", PN_STR_INIT("Zg=="), PN_STR_INIT("f")},
        {"two", PN_STR_INIT("Zm8="), PN_STR_INIT("fo")},
        {"three", PN_STR_INIT("Zm9v"), PN_STR_INIT("foo")},
        {"no padding", PN_STR_INIT("Zm9vYg"), PN_STR_INIT("foob")},
        {"one sextet is nothing", PN_STR_INIT("Zm9vY"), PN_STR_INIT("foo")},
        {"lines", PN_STR_INIT("Zm9v\r\nYmFy\r\n"), PN_STR_INIT("foobar")},
        {"lines within a group", PN_STR_INIT("Zm9\r\nvYm\nFy"), PN_STR_INIT("foobar")},
        {"junk", PN_STR_INIT("Z-m*9\tv!\xff\x80\0Y mFy"), PN_STR_INIT("foobar")},
        {"goes on behind padding", PN_STR_INIT("Zg==Zm8=Zm9v"), PN_STR_INIT("ffofoo")},
        {"padding alone", PN_STR_INIT("===="), PN_STR_INIT("")},
        {"all bits", PN_STR_INIT("AP+/gA=="), PN_STR_INIT("\0\xff\xbf\x80")},
    };
    run_decode(PN_ENCODING_BASE64, rows, COUNT(rows));
}

static void test_quoted_printable(void)
{
    static const struct decode_row rows[] = {
        {"empty", PN_STR_INIT(""), PN_STR_INIT("")},
        {"plain", PN_STR_INIT("a b\r\nc\r\n"), PN_STR_INIT("a b\r\nc\r\n")},
        {"hex", PN_STR_INIT("=3D=e4=C4=00"), PN_STR_INIT("=\xe4\xc4\0")},
        {"soft break", PN_STR_INIT("a=\r\nb=\nc"), PN_STR_INIT("abc")},
        {"soft break with blanks", PN_STR_INIT("a= \t \r\nb"), PN_STR_INIT("ab")},
        {"blanks at a line's end", PN_STR_INIT("a \t\r\nb \nc  "), PN_STR_INIT("a\r\nb\nc")},
        {"blanks within", PN_STR_INIT("a  b\t c"), PN_STR_INIT("a  b\t c")},
        {"bare CR stays", PN_STR_INIT("a\rb \rc\r"), PN_STR_INIT("a\rb \rc\r")},
        {"CR twice", PN_STR_INIT("a\r\r\n"), PN_STR_INIT("a\r\r\n")},
        {"not hex", PN_STR_INIT("=G1 =1G ==20 =x"), PN_STR_INIT("=G1 =1G =  =x")},
        {"half at the end", PN_STR_INIT("a=4"), PN_STR_INIT("a=4")},
        {"= at the end", PN_STR_INIT("a="), PN_STR_INIT("a")},
        {"= and blanks at the end", PN_STR_INIT("a=  "), PN_STR_INIT("a")},
        {"= and blanks, then text", PN_STR_INIT("a=  b"), PN_STR_INIT("a=  b")},
        {"half, then a line end", PN_STR_INIT("=4\r\n=\r="), PN_STR_INIT("=4\r\n=\r")},
        {"encoded blank stays", PN_STR_INIT("a=20\r\n"), PN_STR_INIT("a \r\n")},
    };
    run_decode(PN_ENCODING_QUOTED_PRINTABLE, rows, COUNT(rows));
}

static void test_qp_blank_limit(void)
{
    char text[PN_QP_BLANKS_MAX + 8];
    for (size_t n = PN_QP_BLANKS_MAX; n <= PN_QP_BLANKS_MAX + 3; n++) {
        struct decode_row row = {"blanks", {text, n + 2}, {"\r\n", 2}};
        memset(text, ' ', n);
        memcpy(text + n, "\r\n", 2);
        struct pn_buf out;
        pn_buf_init(&out, 4096);
        UNIT_TRUE(pn_decode(PN_ENCODING_QUOTED_PRINTABLE, row.in, &out));
        UNIT_TRUE(n > PN_QP_BLANKS_MAX || out.len == 2);
        row.want = pn_str_slice(row.in, 0, out.len);
        struct pn_buf copy;
        pn_buf_init(&copy, 4096);
        UNIT_TRUE(pn_buf_adds(&copy, pn_buf_str(&out)));
        row.want = pn_buf_str(&copy);
        run_decode(PN_ENCODING_QUOTED_PRINTABLE, &row, 1);
        pn_buf_fini(&copy);
        pn_buf_fini(&out);
    }
}

static void test_uuencode(void)
{
    static const struct decode_row rows[] = {
        {"empty", PN_STR_INIT(""), PN_STR_INIT("")},
        {"no begin", PN_STR_INIT("#0V%T\r\n"), PN_STR_INIT("")},
        {"cat", PN_STR_INIT("x\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\ny\r\n"),
         PN_STR_INIT("Cat")},
        {"two files", PN_STR_INIT("begin 644 a\n#0V%T\n`\nend\nbegin 644 b\n#0V%T\n \nend"),
         PN_STR_INIT("CatCat")},
        {"length beyond the line", PN_STR_INIT("begin 644 a\n%0V%T\nend\n"),
         PN_STR_INIT("Cat\0\0")},
        {"no end", PN_STR_INIT("begin 644 a\n\"0V$"), PN_STR_INIT("Ca")},
    };
    run_decode(PN_ENCODING_UUENCODE, rows, COUNT(rows));
}

static void test_decode_limit(void)
{
    static const struct {
        enum pn_encoding encoding;
        struct pn_str in;
    } rows[] = {
        {PN_ENCODING_BASE64, PN_STR_INIT("YWJjZGVm")},
        {PN_ENCODING_QUOTED_PRINTABLE, PN_STR_INIT("a=62c d=65f")},
        {PN_ENCODING_8BIT, PN_STR_INIT("abcdef")},
        {PN_ENCODING_UUENCODE, PN_STR_INIT("begin 644 x\n&86)C9&5F\nend\n")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pn_buf whole;
        pn_buf_init(&whole, 100);
        UNIT_TRUE(pn_decode(rows[i].encoding, rows[i].in, &whole));
        for (size_t max = 0; max < whole.len; max++) {
            struct pn_buf out;
            pn_buf_init(&out, max);
            UNIT_TRUE(!pn_decode(rows[i].encoding, rows[i].in, &out) && out.overflow);
            UNIT_STR(pn_buf_str(&out), pn_str_slice(pn_buf_str(&whole), 0, max));
            pn_buf_fini(&out);
        }
        pn_buf_fini(&whole);
    }
}

#define BAD "\xef\xbf\xbd"

static void test_charset(void)
{
    static const struct {
        const char *charset;
        struct pn_str in, want;
    } rows[] = {
        {"utf-8", PN_STR_INIT(""), PN_STR_INIT("")},
        {"utf-8", PN_STR_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
         PN_STR_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")},
        {"utf-8", PN_STR_INIT("\xef\xbb\xbfx"), PN_STR_INIT("x")},
        {"UTF8", PN_STR_INIT("a\xff\xc3z\xed\xa0\x80"), PN_STR_INIT("a" BAD BAD "z" BAD BAD BAD)},
        {"utf-8", PN_STR_INIT("a\xe2\x82"), PN_STR_INIT("a" BAD)},
        {"us-ascii", PN_STR_INIT("a\xe4 \xc3\xa4"), PN_STR_INIT("a\xc3\xa4 \xc3\xa4")},
        {"us-ascii", PN_STR_INIT("a\xe2\x82"), PN_STR_INIT("a\xc3\xa2\xe2\x80\x9a")},
        {"ISO-8859-1", PN_STR_INIT("a\xe4\x80\x81\xff"),
         PN_STR_INIT("a\xc3\xa4\xe2\x82\xac" BAD "\xc3\xbf")},
        {"no-such-set", PN_STR_INIT("a\xe4\xc3\xa4"), PN_STR_INIT("a" BAD "\xc3\xa4")},
        {"UTF-8//IGNORE", PN_STR_INIT("a\xe4z"), PN_STR_INIT("a" BAD "z")},
        {"koi8-r", PN_STR_INIT("\xf0\xd2\xc9"), PN_STR_INIT("\xd0\x9f\xd1\x80\xd0\xb8")},
        {"iso-2022-jp", PN_STR_INIT("\x1b$B$3$s\x1b(Ba"),
         PN_STR_INIT("\xe3\x81\x93\xe3\x82\x93"
                     "a")},
        {"Shift_JIS", PN_STR_INIT("\x82\xb1\x82\xf1"), PN_STR_INIT("\xe3\x81\x93\xe3\x82\x93")},
        {"gb2312", PN_STR_INIT("\xc4\xe3\xba\xc3"), PN_STR_INIT("\xe4\xbd\xa0\xe5\xa5\xbd")},
        {"big5", PN_STR_INIT("\xa7\x41\xa6\x6e"), PN_STR_INIT("\xe4\xbd\xa0\xe5\xa5\xbd")},
        {"ks_c_5601-1987", PN_STR_INIT("\xb0\xa1"), PN_STR_INIT("\xea\xb0\x80")},
        {"utf-7", PN_STR_INIT("Hi+AOQ-x"), PN_STR_INIT("Hi\xc3\xa4x")},
        {"utf-16", PN_STR_INIT("\xff\xfe\xe4\0x\0"), PN_STR_INIT("\xc3\xa4x")},
        {"utf-16", PN_STR_INIT("\xfe\xff\0\xe4\0x"), PN_STR_INIT("\xc3\xa4x")},
        {"utf-16", PN_STR_INIT("x\0y\0"), PN_STR_INIT("xy")},
        {"utf-16", PN_STR_INIT("\0x\0y"), PN_STR_INIT("xy")},
        {"utf-16", PN_STR_INIT("\0x\0"), PN_STR_INIT("x" BAD)},
        {"utf-16le", PN_STR_INIT("\x00\xdcx\0"), PN_STR_INIT(BAD "x")},
        {"euc-kr", PN_STR_INIT("\xb0\xa1\xb0"), PN_STR_INIT("\xea\xb0\x80" BAD)},
    };
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].charset);
        for (size_t cut = 0; cut <= rows[i].in.len; cut++) {
            struct pn_charset *cs = pn_charset_open(pn_str_of(rows[i].charset));
            pn_buf_clear(&out);
            UNIT_TRUE(pn_charset_feed(cs, pn_str_slice(rows[i].in, 0, cut), &out));
            UNIT_TRUE(pn_charset_feed(cs, pn_str_slice(rows[i].in, cut, rows[i].in.len), &out));
            UNIT_TRUE(pn_charset_end(cs, &out));
            UNIT_STR(pn_buf_str(&out), rows[i].want);
            pn_charset_close(&cs);
        }
        struct pn_charset *cs = pn_charset_open(pn_str_of(rows[i].charset));
        pn_buf_clear(&out);
        for (size_t at = 0; at < rows[i].in.len; at++)
            UNIT_TRUE(pn_charset_feed(cs, pn_str_slice(rows[i].in, at, at + 1), &out));
        UNIT_TRUE(pn_charset_end(cs, &out));
        UNIT_STR(pn_buf_str(&out), rows[i].want);
        pn_charset_close(&cs);
    }
    pn_buf_fini(&out);
}

static void test_charset_limit(void)
{
    static const char *const sets[] = {"utf-8", "windows-1252", "koi8-r"};
    static const struct pn_str in[] = {PN_STR_INIT("a\xc3\xa4z"), PN_STR_INIT("a\xe4z"),
                                       PN_STR_INIT("a\xf0z")};
    static const size_t want[] = {0, 1, 1, 3};
    for (size_t i = 0; i < COUNT(sets); i++) {
        for (size_t max = 0; max < 4; max++) {
            struct pn_buf out;
            pn_buf_init(&out, max);
            unit_row(sets[i]);
            UNIT_TRUE(!pn_charset_to_utf8(pn_str_of(sets[i]), in[i], &out));
            UNIT_INT(out.len, want[max]);
            pn_buf_fini(&out);
        }
    }
}

static void test_preload(void)
{
    UNIT_TRUE(pn_charset_preload() >= 50);
    UNIT_TRUE(pn_charset_known(PN_STR("Windows-1251")) && pn_charset_known(PN_STR("x-sjis")));
    UNIT_TRUE(!pn_charset_known(PN_STR("")) &&
              !pn_charset_known(PN_STR("utf-8-and-much-more-of-it")));
}

static void test_words(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {" plain \r\n text ", "plain  text"},
        {"=?utf-8?Q?a=C3=A4_b?=", "a\xc3\xa4 b"},
        {"=?UTF-8?b?w6Q=?=", "\xc3\xa4"},
        {"=?iso-8859-1*de?q?=E4?= x", "\xc3\xa4 x"},
        {"a =?utf-8?q?b?= c", "a b c"},
        {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
        {"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"},
        {"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"},
        {"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "\xc3\xa4"},        /* a character cut in two */
        {"=?utf-8?q?=C3?= =?us-ascii?q?=A4?=", BAD "\xc2\xa4"}, /* but of one charset only */
        {"=?utf-8?b?Zm9v?==?utf-8?b?YmFy?=", "foobar"},
        {"x=?utf-8?q?y?=z", "xyz"},
        {"=?utf-8?q?two words?=", "two words"},
        {"=?utf-8?q?a=?=", "a="},
        {"=?utf-8?q?What?\?=", "What?"},
        {"=?utf-8?b?YQ==?=", "a"},
        {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
        {"=?utf-8?q?open", "=?utf-8?q?open"},
        {"=?utf-8?q", "=?utf-8?q"},
        {"=?utf-8?q?", "=?utf-8?q?"},
        {"=?", "=?"},
        {"=?\?q?a?=", "=?\?q?a?="},
        {"=?utf-8?q?open =?utf-8?q?a?=", "=?utf-8?q?open a"},
        {"=?utf-8?q?\?=", ""},
        {"=?utf-8?q?a=0D=0AX:_y=00?=", "a  X: y "},
        {"=?none-such?q?=E4?=", BAD},
        {"raw \xc3\xa4", "raw \xc3\xa4"},
        {"raw \xe4", "raw \xc3\xa4"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_words_decode(pn_str_of(rows[i].in), &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    pn_buf_fini(&out);
}

static void test_unfold(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},         {" a\r\n b", "a b"}, {"a\n\tb\n c", "a\tb c"}, {"\r\n a\r\n ", "a"},
        {"a\rb", "a\rb"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 64);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].in);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_unfold(pn_str_of(rows[i].in), &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
    }
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"base64", test_base64},
        {"quoted_printable", test_quoted_printable},
        {"qp_blank_limit", test_qp_blank_limit},
        {"uuencode", test_uuencode},
        {"decode_limit", test_decode_limit},
        {"charset", test_charset},
        {"charset_limit", test_charset_limit},
        {"preload", test_preload},
        {"words", test_words},
        {"unfold", test_unfold},
        {NULL, NULL},
    };
    return unit_main("test_decode", tests, argc, argv);
}
