/* What SEARCH looks into: the folded form, the search for bytes, the shelves of a message. */
#include "fold.h"
#include "mem.h"
#include "needle.h"
#include "unit.h"
#include "words.h"

#include <stdlib.h>

static void test_fold(void)
{
    static const struct {
        const char *label, *in, *want;
    } rows[] = {
        {"empty", "", ""},
        {"ascii", "Hello, WORLD z@[", "hello, world z@["},
        {"blanks", "a \t\r\n b\nc  ", "a b c "},
        {"blanks before", "\r\n a", " a"},
        {"controls",
         "a\x01\x7f\x1f"
         "b",
         "a b"},
        {"umlaut composed", "\xc3\x9c", "u\xcc\x88"},
        {"umlaut decomposed", "U\xcc\x88", "u\xcc\x88"},
        {"sharp s stays", "\xc3\x9f", "\xc3\x9f"},
        {"greek final sigma", "\xce\xa3\xcf\x82\xcf\x83", "\xcf\x83\xcf\x83\xcf\x83"},
        {"cyrillic", "\xd0\x90\xd0\xb1", "\xd0\xb0\xd0\xb1"},
        {"long s is s", "\xc5\xbf", "s"},
        {"micro is mu", "\xc2\xb5", "\xce\xbc"},
        {"ligature", "\xef\xac\x83", "ffi"},
        {"full width", "\xef\xbc\xa1", "a"},
        {"no-break space", "a\xc2\xa0 b", "a b"},
        {"wide spaces", "\xe3\x80\x80\xe2\x80\x83", " "},
        {"line separator",
         "a\xe2\x80\xa8"
         "b",
         "a b"},
        {"soft hyphen and friends",
         "so\xc2\xad"
         "ft\xe2\x80\x8b \xef\xbb\xbf x",
         "soft x"},
        {"hangul", "\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"},
        {"hangul without final", "\xea\xb0\x80", "\xe1\x84\x80\xe1\x85\xa1"},
        {"ideograph", "\xe6\xbc\xa2", "\xe6\xbc\xa2"},
        {"mathematical letter", "\xf0\x9d\x90\x80", "a"},
        {"deseret case", "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"},
        {"no utf-8",
         "a\xff"
         "b\xe2\x82",
         "a\xef\xbf\xbd"
         "b\xef\xbf\xbd\xef\xbf\xbd"},
        {"spelled with a blank", "\xc2\xa8", " \xcc\x88"},
    };
    struct pn_buf out;
    pn_buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unit_row(rows[i].label);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_fold(pn_str_of(rows[i].in), &out));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        /* What is folded stays so. */
        size_t len = out.len;
        UNIT_TRUE(pn_fold(pn_str_of(rows[i].want), &out));
        UNIT_STR(pn_str_slice(pn_buf_str(&out), len, out.len), pn_str_of(rows[i].want));
    }
    pn_buf_fini(&out);
}

static void test_fold_limit(void)
{
    struct pn_buf out;
    for (size_t max = 0; max <= 7; max++) {
        pn_buf_init(&out, max);
        bool all = pn_fold(PN_STR("AB\xc3\x9c"
                                  "C\xce\xa3"),
                           &out);
        UNIT_TRUE(!all && out.overflow);
        static const char want[] = "abu\xcc\x88"
                                   "c";
        static const size_t lens[] = {0, 1, 2, 2, 2, 5, 6, 6};
        UNIT_STR(pn_buf_str(&out), ((struct pn_str){want, lens[max]}));
        pn_buf_fini(&out);
    }
    pn_buf_init(&out, 8);
    UNIT_TRUE(pn_fold(PN_STR("AB\xc3\x9c"
                             "C\xce\xa3"),
                      &out) &&
              !out.overflow);
    pn_buf_fini(&out);
}

/* All of it is folded already, whatever the code point: the tables have no second step. */
static void test_fold_stable(void)
{
    struct pn_buf one, two;
    pn_buf_init(&one, 100);
    pn_buf_init(&two, 100);
    for (uint32_t code = 0x80; code < 0x20000; code++) {
        char utf8[5] = {0};
        size_t n = 0;
        if (code < 0x800) {
            utf8[n++] = (char)(0xc0 | code >> 6);
        } else if (code < 0x10000) {
            utf8[n++] = (char)(0xe0 | code >> 12);
            utf8[n++] = (char)(0x80 | (code >> 6 & 63));
        } else {
            utf8[n++] = (char)(0xf0 | code >> 18);
            utf8[n++] = (char)(0x80 | (code >> 12 & 63));
            utf8[n++] = (char)(0x80 | (code >> 6 & 63));
        }
        utf8[n++] = (char)(0x80 | (code & 63));
        pn_buf_clear(&one);
        pn_buf_clear(&two);
        (void)pn_fold((struct pn_str){utf8, n}, &one);
        (void)pn_fold(pn_buf_str(&one), &two);
        if (!pn_str_eq(pn_buf_str(&one), pn_buf_str(&two)))
            UNIT_INT(code, -1);
    }
    pn_buf_fini(&one);
    pn_buf_fini(&two);
}

static void test_find(void)
{
    static const char letters[] = "aabbbbbcde e";
    srand(7);
    for (int round = 0; round < 20000; round++) {
        char hay[400], needle[24];
        struct pn_str s = {hay, (size_t)rand() % sizeof hay};
        struct pn_str n = {needle, (size_t)rand() % (round % 2 ? 4 : sizeof needle)};
        for (size_t i = 0; i < s.len; i++)
            hay[i] = letters[(size_t)rand() % (sizeof letters - 1)];
        size_t at = s.len > n.len ? (size_t)rand() % (s.len - n.len) : 0;
        for (size_t i = 0; i < n.len; i++)
            needle[i] = round % 3 && s.len > n.len ? hay[at + i]
                                                   : letters[(size_t)rand() % (sizeof letters - 1)];
        size_t from = s.len == 0 ? 0 : (size_t)rand() % (s.len + 1);
        /* Exactly as long as it says: a read beyond it is seen by the sanitizer. */
        char *exact = pn_alloc(s.len + 1);
        memcpy(exact, hay, s.len);
        exact = pn_realloc(exact, s.len == 0 ? 1 : s.len);
        struct pn_needle find;
        pn_needle_init(&find, n);
        size_t got = pn_needle_find(&find, (struct pn_str){exact, s.len}, from);
        const char *want = memmem(exact + from, s.len - from, needle, n.len);
        UNIT_INT(got, want == NULL ? SIZE_MAX : (size_t)(want - exact));
        free(exact);
    }
    struct pn_needle find;
    pn_needle_init(&find, PN_STR("x"));
    UNIT_INT(pn_needle_find(&find, PN_STR("axa"), 4), SIZE_MAX);
}

/* Marks are shown as '|' and '/'. */
static void check_words(struct pn_words *words, const char *content, const char *const *want)
{
    pn_words_read(words, pn_str_of(content));
    for (int i = 0; i < PN_WORDS_SHELVES; i++) {
        struct pn_str got = pn_words_get(words, (enum pn_words_shelf)i);
        char *shown = pn_strndup(got.p, got.len);
        for (size_t at = 0; at < got.len; at++)
            shown[at] = shown[at] == PN_WORDS_MARK     ? '|'
                        : shown[at] == PN_WORDS_INSIDE ? '/'
                                                       : shown[at];
        UNIT_STR(((struct pn_str){shown, got.len}), pn_str_of(want[i]));
        free(shown);
    }
}

static void test_words(void)
{
    static const struct {
        const char *label, *in, *want[PN_WORDS_SHELVES];
    } rows[] = {
        {"empty", "", {"", "", ""}},
        {"plain",
         "Subject: Hello\n  World\nX-A: B\n\nOne\nTwo =?utf-8?q?x?=\n",
         {"|subject: hello world", "|x-a: b", "|one two =?utf-8?q?x?= "}},
        {"encoded words",
         "SUBJECT: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?b?w5w=?=\nTo: a <a@b.test>\n\n",
         {"|subject: gru\xcc\x88\xc3\x9f"
          "eu\xcc\x88|to: a <a@b.test>",
          "", ""}},
        {"raw 8-bit field", "From: \xdc\n\n", {"|from: u\xcc\x88", "", ""}},
        {"quoted-printable",
         "Content-Type: text/plain; charset=iso-8859-1\n"
         "Content-Transfer-Encoding: quoted-printable\n\nGr=FC=\nn\n",
         {"",
          "|content-type: text/plain; charset=iso-8859-1|content-transfer-encoding: "
          "quoted-printable",
          "|gru\xcc\x88n "}},
        {"html twice: source, and seen",
         "Content-Type: text/html\n\n<p>A<b>B</b>&amp;</p>",
         {"", "|content-type: text/html", "|<p>a<b>b</b>&amp;</p>|ab&"}},
        {"multipart",
         "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\npre\n--b\nX-In: 1\n\nONE\n--b\n"
         "Content-Type: image/png\n\nTWO\n--b\nContent-Type: message/rfc822\n\nSubject: "
         "Three\n\nFOUR\n--b--\npost\n",
         {"|subject: s",
          "|content-type: multipart/mixed; boundary=b/|x-in: 1|content-type: "
          "image/png|content-type: message/rfc822|subject: three",
          "|one|four"}},
        {"multipart that has none",
         "Content-Type: multipart/mixed; boundary=b\n\nraw\n",
         {"", "|content-type: multipart/mixed; boundary=b", "|raw "}},
        {"status report",
         "Content-Type: message/delivery-status\n\nAction: Failed\n",
         {"", "|content-type: message/delivery-status", "|action: failed "}},
    };
    struct pn_words *words = pn_words_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unit_row(rows[i].label);
        check_words(words, rows[i].in, rows[i].want);
    }
    pn_words_free(&words);
}

static void test_words_limits(void)
{
    struct pn_words *words = pn_words_new();
    size_t n = 9 * 1024 * 1024;
    struct pn_buf big;
    pn_buf_init(&big, 2 * n);
    (void)pn_buf_addz(&big, "Subject: a\n\n");
    memset(pn_buf_reserve(&big, n), 'x', n);
    big.len += n;
    pn_words_read(words, pn_buf_str(&big));
    UNIT_INT(pn_words_get(words, PN_WORDS_BODY).len, 8 * 1024 * 1024);
    pn_buf_clear(&big);
    (void)pn_buf_addz(&big, "Subject: a\nTo: ");
    memset(pn_buf_reserve(&big, n), 'x', n);
    big.len += n;
    (void)pn_buf_addz(&big, "\nCc: lost\n\nbody");
    pn_words_read(words, pn_buf_str(&big));
    UNIT_INT(pn_words_get(words, PN_WORDS_SHORT).len, 256 * 1024);
    UNIT_STR(pn_words_get(words, PN_WORDS_BODY), PN_STR("\x01"
                                                        "body"));
    pn_buf_fini(&big);
    pn_words_free(&words);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"fold", test_fold}, {"fold_limit", test_fold_limit}, {"fold_stable", test_fold_stable},
        {"find", test_find}, {"words", test_words},           {"words_limits", test_words_limits},
        {NULL, NULL}};
    return unit_main("words", tests, argc, argv);
}
