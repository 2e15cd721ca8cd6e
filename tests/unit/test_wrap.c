/* Lines for a terminal. */
#include "unit.h"
#include "wrap.h"

static void test_lines(void)
{
    static const struct {
        const char *label, *text;
        size_t width;
        const char *want;
    } rows[] = {
        {"empty", "", 20, ""},
        {"short", "a b\n", 20, "a b\n"},
        {"at the limit", "0123456789 012345678\n", 20, "0123456789 012345678\n"},
        {"one too many", "0123456789 0123456789\n", 20, "0123456789\n0123456789\n"},
        {"below its own beginning", "  one two three four\n", 12, "  one two\n  three four\n"},
        {"below its last column", "NAME  2  one two three\n", 16,
         "NAME  2  one two\n         three\n"},
        {"no column so far right", "one two three four  five six\n", 20,
         "one two three four\nfive six\n"},
        {"a word too long", "a 01234567890123456789 b\n", 10, "a\n01234567890123456789\nb\n"},
        {"characters, not bytes", "\xc3\xa4\xc3\xb6\xc3\xbc \xc3\xa4\xc3\xb6\xc3\xbc\n", 7,
         "\xc3\xa4\xc3\xb6\xc3\xbc \xc3\xa4\xc3\xb6\xc3\xbc\n"},
        {"no end", "one two three", 8, "one two\nthree"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf out;
        unit_row(rows[i].label);
        pn_buf_init(&out, SIZE_MAX);
        pn_wrap(pn_str_of(rows[i].text), rows[i].width, &out);
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"lines", test_lines}, {NULL, NULL}};
    return unit_main("wrap", tests, argc, argv);
}
