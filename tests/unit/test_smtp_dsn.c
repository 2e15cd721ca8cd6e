/* The parameters that ask for delivery status notifications (RFC 3461, 6533). */
#include "unit.h"

#include "dsn_param.h"

#define X10  "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define U10  "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
#define U100 U10 U10 U10 U10 U10 U10 U10 U10 U10 U10

static void test_notify(void)
{
    enum { S = PN_SMTP_NOTIFY_SUCCESS, F = PN_SMTP_NOTIFY_FAILURE, D = PN_SMTP_NOTIFY_DELAY };
    static const struct {
        const char *value;
        uint8_t want; /* 0: refused */
        const char *put;
    } rows[] = {
        {"NEVER", PN_SMTP_NOTIFY_NEVER, "NEVER"},
        {"never", PN_SMTP_NOTIFY_NEVER, "NEVER"},
        {"SUCCESS", S, "SUCCESS"},
        {"Failure", F, "FAILURE"},
        {"DELAY", D, "DELAY"},
        {"DELAY,FAILURE,SUCCESS", S | F | D, "SUCCESS,FAILURE,DELAY"},
        {"SUCCESS,SUCCESS", S, "SUCCESS"},
        {",SUCCESS,,DELAY,", S | D, "SUCCESS,DELAY"},
        {"", 0, ""},
        {",", 0, ""},
        {"NEVER,", 0, ""},
        {"NEVER,SUCCESS", 0, ""},
        {"SUCCESS,NEVER", 0, ""},
        {"SUCCESSFUL", 0, ""},
        {"SUCCESS;DELAY", 0, ""},
        {"SUCCESS, DELAY", 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t got;
        struct pn_buf b;
        pn_buf_init(&b, 100);
        unit_row(rows[i].value);
        UNIT_INT(pn_smtp_notify_parse(pn_str_of(rows[i].value), &got), rows[i].want != 0);
        if (rows[i].want != 0) {
            UNIT_INT(got, rows[i].want);
            pn_smtp_notify_put(&b, got);
            UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].put));
        }
        pn_buf_fini(&b);
    }
}

static void test_ret(void)
{
    static const struct {
        const char *value;
        uint8_t want;
    } rows[] = {{"FULL", 'F'}, {"hdrs", 'H'}, {"", 0}, {"FUL", 0}, {"FULLY", 0}, {"HDRS,FULL", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t got;
        unit_row(rows[i].value);
        UNIT_INT(pn_smtp_ret_parse(pn_str_of(rows[i].value), &got), rows[i].want != 0);
        UNIT_INT(got, rows[i].want);
    }
}

static void test_envid(void)
{
    static const struct {
        const char *value;
        bool want;
        const char *shown;
    } rows[] = {
        {"QQ314159", true, "QQ314159"},
        {"a+2Bb+3Dc+20d", true, "a+b=c d"},
        {"tab+09", true, "tab\t"},
        {"+41", true, "A"},
        {"", false, ""},
        {"a=b", false, ""},
        {"a b", false, ""},
        {"a+", false, ""},
        {"a+4", false, ""},
        {"a+4g", false, ""},
        {"lower case +3d", false, ""},
        {"NUL+00", false, ""},
        {"LF+0A", false, ""},
        {"CR+0D", false, ""},
        {"DEL+7F", false, ""},
        {"beyond+FC", false, ""},
        {"\xc3\xbc", false, ""},
        {X100, true, X100},
        {X100 "x", false, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        pn_buf_init(&b, 1000);
        unit_row(rows[i].value);
        UNIT_INT(pn_smtp_envid_ok(pn_str_of(rows[i].value)), rows[i].want);
        if (rows[i].want) {
            pn_smtp_envid_show(&b, pn_str_of(rows[i].value));
            UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].shown));
        }
        pn_buf_fini(&b);
    }
}

enum { NO, ASCII, UTF8 }; /* taken: never; always; with SMTPUTF8 */

static void test_orcpt(void)
{
    static const struct {
        const char *value;
        int want;
        const char *ascii, *narrow, *wide; /* on its way, and in a report */
    } rows[] = {
        {"rfc822;Bob@X.test", ASCII, "rfc822;Bob@X.test", "rfc822;Bob@X.test", "rfc822;Bob@X.test"},
        {"RFC822;u+2Bx@x.test", ASCII, "RFC822;u+2Bx@x.test", "RFC822;u+x@x.test",
         "RFC822;u+x@x.test"},
        {"rfc822;a+20b", ASCII, "rfc822;a+20b", "rfc822;a b", "rfc822;a b"},
        {"rfc822;", ASCII, "rfc822;", "rfc822;", "rfc822;"},
        {"rfc822;a;b", ASCII, "rfc822;a;b", "rfc822;a;b", "rfc822;a;b"},
        {"x400;/c+3Dno", ASCII, "x400;/c+3Dno", "x400;/c=no", "x400;/c=no"},
        {"rfc822;a\\x{FC}", ASCII, "rfc822;a\\x{FC}", "rfc822;a\\x{FC}", "rfc822;a\\x{FC}"},
        {"utf-8;u@x.test", ASCII, "utf-8;u@x.test", "utf-8;u@x.test", "utf-8;u@x.test"},
        {"utf-8;\xc3\xbc@x.test", UTF8, "utf-8;\\x{FC}@x.test", "utf-8;\\x{FC}@x.test",
         "utf-8;\xc3\xbc@x.test"},
        {"UTF-8;\\x{fc}@x.test", ASCII, "UTF-8;\\x{fc}@x.test", "UTF-8;\\x{fc}@x.test",
         "UTF-8;\xc3\xbc@x.test"},
        {"utf-8;\\x{20AC}\\x{1F600}a@x.test", ASCII, "utf-8;\\x{20AC}\\x{1F600}a@x.test",
         "utf-8;\\x{20AC}\\x{1F600}a@x.test",
         "utf-8;\xe2\x82\xac\xf0\x9f\x98\x80"
         "a@x.test"},
        {"utf-8;\xf0\x9f\x98\x80@x.test", UTF8, "utf-8;\\x{1F600}@x.test",
         "utf-8;\\x{1F600}@x.test", "utf-8;\xf0\x9f\x98\x80@x.test"},
        {"utf-8;a\\x{2B}b@x.test", ASCII, "utf-8;a\\x{2B}b@x.test", "utf-8;a\\x{2B}b@x.test",
         "utf-8;a+b@x.test"},
        /* No address of that type: as it is. */
        {"utf-8;a\\x{0A}b@x.test", ASCII, "utf-8;a\\x{0A}b@x.test", "utf-8;a\\x{0A}b@x.test",
         "utf-8;a\\x{0A}b@x.test"},
        {"utf-8;a\\x{00}@x.test", ASCII, "utf-8;a\\x{00}@x.test", "utf-8;a\\x{00}@x.test",
         "utf-8;a\\x{00}@x.test"},
        {"utf-8;\\x{D800}@x.test", ASCII, "utf-8;\\x{D800}@x.test", "utf-8;\\x{D800}@x.test",
         "utf-8;\\x{D800}@x.test"},
        {"utf-8;\\x{110000}@x.test", ASCII, "utf-8;\\x{110000}@x.test", "utf-8;\\x{110000}@x.test",
         "utf-8;\\x{110000}@x.test"},
        {"utf-8;\\x{F}@x.test", ASCII, "utf-8;\\x{F}@x.test", "utf-8;\\x{F}@x.test",
         "utf-8;\\x{F}@x.test"},
        {"utf-8;\\x{00000FC}@x.test", ASCII, "utf-8;\\x{00000FC}@x.test",
         "utf-8;\\x{00000FC}@x.test", "utf-8;\\x{00000FC}@x.test"},
        {"utf-8;\\x{FC@x.test", ASCII, "utf-8;\\x{FC@x.test", "utf-8;\\x{FC@x.test",
         "utf-8;\\x{FC@x.test"},
        {"utf-8;a+2Bb@x.test", ASCII, "utf-8;a+2Bb@x.test", "utf-8;a+2Bb@x.test",
         "utf-8;a+2Bb@x.test"},
        {"utf-8;\xc3\xbc", UTF8, "utf-8;\\x{FC}", "utf-8;\\x{FC}", "utf-8;\xc3\xbc"},
        {"", NO},
        {"rfc822", NO},
        {";u@x.test", NO},
        {"rfc 822;u", NO},
        {"rfc.822;u", NO},
        {"rfc\xc3\xbc;u", NO},
        {"rfc822;a=b", NO},
        {"rfc822;a b", NO},
        {"rfc822;a+0Ab", NO},
        {"rfc822;a+0ab", NO},
        {"rfc822;a+FC", NO},
        {"rfc822;\xc3\xbc@x.test", NO},
        {"utf-8;", NO},
        {"utf-8;a=b", NO},
        {"utf-8;\xff@x.test", NO},
        {"rfc822;" X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxx", ASCII},
        {"rfc822;" X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxxx", NO},
        {"utf-8;" U100 U100 U100 U100 U10 U10 U10 U10 U10 U10 U10 U10 U10 "xxxx", UTF8},
        {"utf-8;" U100 U100 U100 U100 U10 U10 U10 U10 U10 U10 U10 U10 U10 "xxxxx", NO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_str value = pn_str_of(rows[i].value);
        struct pn_buf b;
        pn_buf_init(&b, 10000);
        unit_row(rows[i].value);
        UNIT_INT(pn_smtp_orcpt_ok(value, false), rows[i].want == ASCII);
        UNIT_INT(pn_smtp_orcpt_ok(value, true), rows[i].want != NO);
        pn_smtp_orcpt_put_ascii(&b, value);
        UNIT_TRUE(pn_str_is_ascii(pn_buf_str(&b)));
        if (rows[i].ascii != NULL) {
            UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].ascii));
            pn_buf_clear(&b);
            pn_smtp_orcpt_show(&b, value, false);
            UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].narrow));
            pn_buf_clear(&b);
            pn_smtp_orcpt_show(&b, value, true);
            UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].wide));
        }
        pn_buf_fini(&b);
    }
}

static void test_make(void)
{
    static const struct {
        const char *address, *want;
    } rows[] = {
        {"u@x.test", "rfc822;u@x.test"},
        {"u+x=y@x.test", "rfc822;u+2Bx+3Dy@x.test"},
        {"\"a b\"@x.test", "rfc822;\"a+20b\"@x.test"},
        {"\xc3\xbc+a=b@x.test", "utf-8;\xc3\xbc\\x{2B}a\\x{3D}b@x.test"},
        {"\"\xc3\xbc \\\\\"@x.test", "utf-8;\"\xc3\xbc\\x{20}\\x{5C}\\x{5C}\"@x.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b, back;
        struct pn_str address = pn_str_of(rows[i].address);
        pn_buf_init(&b, 1000);
        pn_buf_init(&back, 1000);
        unit_row(rows[i].address);
        pn_smtp_orcpt_make(&b, address);
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want));
        UNIT_TRUE(pn_smtp_orcpt_ok(pn_buf_str(&b), true));
        pn_smtp_orcpt_show(&back, pn_buf_str(&b), true);
        UNIT_TRUE(pn_str_ends(pn_buf_str(&back), address));
        pn_buf_fini(&b);
        pn_buf_fini(&back);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"notify", test_notify}, {"ret", test_ret},
                                             {"envid", test_envid},   {"orcpt", test_orcpt},
                                             {"make", test_make},     {NULL, NULL}};
    return unit_main("smtp_dsn", tests, argc, argv);
}
