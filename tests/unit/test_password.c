/* Passwords: what SASLprep makes of them, and verifiers by the RFCs' own examples. */
#include "unit.h"

#include "codec.h"
#include "password.h"

static struct pn_password password_of(struct pn_str s)
{
    struct pn_password p = {.len = s.len};
    memcpy(p.bytes, s.p, s.len);
    return p;
}

#define X16  "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16

static void test_prepare(void)
{
    static const struct {
        const char *label;
        struct pn_str in;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"ascii", PN_STR_INIT("pencil"), "pencil"},
        {"blanks stay", PN_STR_INIT(" a  b "), " a  b "},
        {"letters stay", PN_STR_INIT("USER"), "USER"},
        {"empty", PN_STR_INIT(""), NULL},
        {"a NUL", PN_STR_INIT("a\0b"), NULL},
        {"a NUL alone", PN_STR_INIT("\0"), NULL},
        {"a NUL beyond ASCII", PN_STR_INIT("\xc3\xbc\0b"), NULL},
        {"a tab", PN_STR_INIT("a\tb"), NULL},
        {"a line feed", PN_STR_INIT("a\n"), NULL},
        {"DEL", PN_STR_INIT("a\x7f"), NULL},
        {"RFC 4013: soft hyphen", PN_STR_INIT("I\xc2\xadX"), "IX"},
        {"RFC 4013: feminine ordinal", PN_STR_INIT("\xc2\xaa"), "a"},
        {"RFC 4013: roman nine", PN_STR_INIT("\xe2\x85\xa8"), "IX"},
        {"RFC 4013: bidirectional", PN_STR_INIT("\xd8\xa7\x31"), NULL},
        {"composed", PN_STR_INIT("u\xcc\x88"), "\xc3\xbc"},
        {"a blank that is none of ASCII's",
         PN_STR_INIT("a\xc2\xa0"
                     "b"),
         "a b"},
        {"nothing is left", PN_STR_INIT("\xc2\xad"), NULL},
        {"U+0085", PN_STR_INIT("a\xc2\x85"), NULL},
        {"not in Unicode 3.2", PN_STR_INIT("\xf0\x9f\x98\x80"), NULL},
        {"no UTF-8", PN_STR_INIT("a\xff"), NULL},
        {"cut short", PN_STR_INIT("a\xc3"), NULL},
        {"at the limit", PN_STR_INIT(X128 X128), X128 X128},
        {"one too many", PN_STR_INIT(X128 X128 "x"), NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_password p = password_of(rows[i].in);
        unit_row(rows[i].label);
        const char *why = pn_password_prepare(&p);
        UNIT_TRUE((why == NULL) == (rows[i].want != NULL));
        if (why == NULL && rows[i].want != NULL)
            UNIT_STR(((struct pn_str){p.bytes, p.len}), pn_str_of(rows[i].want));
    }
    /* One ligature of three bytes is 18 characters of 33 bytes. */
    struct pn_password p = {.len = 0};
    for (; p.len + 3 <= PN_PASSWORD_MAX; p.len += 3)
        memcpy(p.bytes + p.len, "\xef\xb7\xba", 3);
    unit_row("grows beyond its place");
    UNIT_TRUE(pn_password_prepare(&p) != NULL);
    unit_row("");
}

static void test_scram(void)
{
    /* RFC 7677, section 3: its salt and count; the keys worked out with another library. */
    static const char rfc[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                              "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                              "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    struct pn_password p = password_of(PN_STR("pencil")), other = password_of(PN_STR("pencim"));
    struct pn_scram scram;
    struct pn_buf b;
    UNIT_TRUE(pn_scram_parse(PN_STR(rfc), &scram));
    UNIT_TRUE(pn_password_is_scram(&p, &scram));
    UNIT_TRUE(!pn_password_is_scram(&other, &scram));
    UNIT_TRUE(pn_password_scram_keys(&p, &scram));
    pn_buf_init(&b, 1000);
    pn_scram_print(&scram, &b);
    UNIT_STR(pn_buf_str(&b), PN_STR(rfc));
    pn_buf_fini(&b);
    for (int i = 0; i < 2; i++) { /* one of the keys is another's */
        UNIT_TRUE(pn_scram_parse(PN_STR(rfc), &scram));
        (i == 0 ? scram.stored_key : scram.server_key)[PN_SCRAM_KEY - 1] ^= 1;
        UNIT_TRUE(!pn_password_is_scram(&p, &scram));
    }
}

static void test_fresh_scram(void)
{
    struct pn_password p = password_of(PN_STR("pencil"));
    struct pn_scram one, two;
    UNIT_TRUE(pn_password_scram(&p, &one) && pn_password_scram(&p, &two));
    UNIT_INT(one.iterations, PN_PASSWORD_ITERATIONS);
    UNIT_INT(one.salt_len, 16);
    UNIT_TRUE(memcmp(one.salt, two.salt, one.salt_len) != 0);
    UNIT_TRUE(pn_password_is_scram(&p, &one) && pn_password_is_scram(&p, &two));
}

static void test_yescrypt(void)
{
    struct pn_password p = password_of(PN_STR("pencil")), other = password_of(PN_STR("Pencil"));
    struct pn_password x = password_of(PN_STR("x"));
    struct pn_buf b, again;
    pn_buf_init(&b, 1000);
    pn_buf_init(&again, 1000);
    UNIT_TRUE(pn_password_yescrypt(&p, &b) && pn_password_yescrypt(&p, &again));
    UNIT_TRUE(pn_str_starts(pn_buf_str(&b), PN_STR("$y$j9T$")));
    UNIT_TRUE(!pn_str_eq(pn_buf_str(&b), pn_buf_str(&again)));
    UNIT_TRUE(pn_password_is_yescrypt(&p, pn_buf_str(&b)));
    UNIT_TRUE(!pn_password_is_yescrypt(&other, pn_buf_str(&b)));
    UNIT_TRUE(!pn_password_is_yescrypt(&p, pn_str_slice(pn_buf_str(&b), 0, b.len - 1)));
    UNIT_TRUE(!pn_password_is_yescrypt(&p, PN_STR("")));
    UNIT_TRUE(!pn_password_is_yescrypt(&p, PN_STR("pencil")));
    /* Another hash of crypt(5), and a setting without its hash, verify nothing. */
    UNIT_TRUE(!pn_password_is_yescrypt(&p, PN_STR("$1$abcdefgh$irWbblnpmw.5z7wgBnprh0")));
    UNIT_TRUE(!pn_password_is_yescrypt(&p, PN_STR("$y$j9T$abcdefgh$")));
    UNIT_TRUE(pn_password_is_yescrypt(
        &x, PN_STR("$y$j9T$abcdefgh$9WNEpu8Mx2S4KNGvbVWKM6clOSoY6.YEl7AYF4DGV04")));
    pn_buf_fini(&b);
    pn_buf_fini(&again);
}

static void test_wipe(void)
{
    struct pn_password p = password_of(PN_STR("pencil")), zero = {.len = 0};
    pn_password_wipe(&p);
    UNIT_TRUE(p.len == 0 && memcmp(p.bytes, zero.bytes, sizeof p.bytes) == 0);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"SASLprep", test_prepare},
        {"SCRAM by the RFC", test_scram},
        {"fresh SCRAM", test_fresh_scram},
        {"yescrypt", test_yescrypt},
        {"wiped", test_wipe},
        {NULL, NULL},
    };
    return unit_main("password", tests, argc, argv);
}
