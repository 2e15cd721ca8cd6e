/* Commands as they are gathered (imap_lex.h) and read (imap_token.h). Each dialogue is fed whole,
 * cut in two at every byte, and byte by byte: what is told must be the same. */
#include "imap_capability.h"
#include "imap_lex.h"
#include "imap_token.h"
#include "unit.h"

#include <stdio.h>

static const struct pn_imap_limits small = {.text_max = 64, .nonsync_max = 20, .skip_max = 200};

struct dialogue {
    const char *label, *input;
    char literals; /* 'k' keep, 's' stream, 'r' refuse */
    const char *want;
};

/* What is told, as text: [command] (+ continuation) <streamed> ... */
static void tell(struct pn_imap_lex *lex, char literals, struct pn_str in, struct pn_buf *out)
{
    struct pn_str bytes;
    for (;;) {
        switch (pn_imap_lex_feed(lex, &in, &bytes)) {
        case PN_IMAP_MORE:
            UNIT_INT(in.len, 0);
            return;
        case PN_IMAP_LITERAL:
            (void)pn_buf_addz(out, lex->literal.binary ? "~" : "");
            if (literals == 's') {
                (void)pn_buf_addf(out, "[%.*s]", PN_FMT(pn_imap_lex_text(lex)));
                pn_imap_lex_stream(lex);
            } else if (literals == 'r') {
                pn_imap_lex_refuse(lex);
                break;
            } else if (!pn_imap_lex_keep(lex)) {
                break;
            }
            (void)pn_buf_addz(out, lex->literal.sync ? "+" : "");
            break;
        case PN_IMAP_BYTES:
            (void)pn_buf_adds(out, bytes);
            break;
        case PN_IMAP_COMMAND:
            (void)pn_buf_addf(out, "[%.*s]", PN_FMT(pn_imap_lex_text(lex)));
            pn_imap_lex_next(lex);
            break;
        case PN_IMAP_REFUSED:
            (void)pn_buf_addf(out, "<%.*s>", PN_FMT(pn_imap_lex_tag(lex)));
            pn_imap_lex_next(lex);
            break;
        case PN_IMAP_FLOOD:
            (void)pn_buf_addz(out, "!");
            return;
        }
    }
}

static void play(const struct dialogue *d, size_t cut, size_t step)
{
    struct pn_imap_lex lex;
    struct pn_buf out;
    struct pn_str in = pn_str_of(d->input);
    pn_imap_lex_init(&lex, &small);
    pn_buf_init(&out, 4096);
    for (size_t at = 0; at < in.len;) {
        size_t to = at == 0 && cut > 0 ? cut : at + step;
        tell(&lex, d->literals, pn_str_slice(in, at, to), &out);
        at = to;
        if (pn_str_ends(pn_buf_str(&out), PN_STR("!")))
            break;
    }
    UNIT_STR(pn_buf_str(&out), pn_str_of(d->want));
    pn_imap_lex_fini(&lex);
    pn_buf_fini(&out);
}

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10

static const struct dialogue dialogues[] = {
    {"a line", "a NOOP\r\n", 'k', "[a NOOP]"},
    {"two lines, bare LF", "a NOOP\nb NOOP\r\n", 'k', "[a NOOP][b NOOP]"},
    {"an empty line", "\r\na x\r\n", 'k', "[][a x]"},
    {"a CR within is the tokens' affair", "a\rb\r\n", 'k', "[a\rb]"},
    {"no line end yet", "a NOOP", 'k', ""},
    {"a literal", "a L {3}\r\nabc d\r\n", 'k', "+[a L {3}\r\nabc d]"},
    {"behind a bare LF, too", "a L {3}\nabc d\n", 'k', "+[a L {3}\r\nabc d]"},
    {"of nothing", "a L {0}\r\n\r\n", 'k', "+[a L {0}\r\n]"},
    {"unasked", "a L {3+}\r\nabc {2}\r\nde\r\n", 'k', "+[a L {3+}\r\nabc {2}\r\nde]"},
    {"a line end in it", "a L {4+}\r\n\r\n\r\n\r\nb X\r\n", 'k', "[a L {4+}\r\n\r\n\r\n][b X]"},
    {"what looks like one in a literal", "a {7+}\r\na {3}\r\nb\r\n", 'k', "[a {7+}\r\na {3}\r\nb]"},
    {"binary", "a ~{1}\r\nx\r\n", 'k', "~+[a ~{1}\r\nx]"},
    {"no literal: no digits", "a {}\r\nb {+}\r\nc }\r\nd {1-}\r\n", 'k',
     "[a {}][b {+}][c }][d {1-}]"},
    {"no literal: not at the end", "a {3} \r\n", 'k', "[a {3} ]"},
    {"streamed", "a A {3}\r\nabc\r\nb X\r\n", 's', "[a A {3}\r\n]+abc[][b X]"},
    {"streamed twice", "a A {3}\r\nabc (\\Seen) {1+}\r\ny\r\n", 's',
     "[a A {3}\r\n]+abc[ (\\Seen) {1+}\r\n]y[]"},
    {"streamed, of nothing", "a A {0+}\r\n\r\n", 's', "[a A {0+}\r\n][]"},
    {"refused", "a L {3}\r\nb NOOP\r\n", 'r', "<a>[b NOOP]"},
    {"refused, unasked", "a L {3+}\r\n\r\n\r x {2+}\r\n\r\n\r\nb X\r\n", 'r', "<a>[b X]"},
    {"line at the limit", "a " X50 X10 "\r\n", 'k', "<a>"},
    {"line that just fits", "a " X50 "xxxxxxxxx\r\n", 'k', "[a " X50 "xxxxxxxxx]"},
    {"line too long", "a " X50 X50 "\r\nb X\r\n", 'k', "<a>[b X]"},
    {"too long and a literal behind it", "a " X50 X50 " {2+}\r\nb \r\nc X\r\n", 'k', "<a>[c X]"},
    {"too long, and the client waits", "a " X50 X50 " {2}\r\nb X\r\n", 'k', "<a>[b X]"},
    {"no tag in it", X50 X50 "\r\nb X\r\n", 'k', "<>[b X]"},
    {"literal too big", "a L {99}\r\nb X\r\n", 'k', "<a>[b X]"},
    {"unasked beyond LITERAL-", "a L {21+}\r\n" X10 X10 "x\r\nb X\r\n", 'k', "<a>[b X]"},
    {"a size of 30 digits", "a L {" X10 "}\r\nb {111111111122222222223333333333}\r\n", 'k',
     "[a L {" X10 "}]<b>"},
    {"a flood of a line", "a " X50 X50 X50 X50 X50 X50, 'k', "!"},
    {"a flood of a literal", "a {201+}\r\nx", 'k', "!"},
};

static void test_dialogues(void)
{
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        const struct dialogue *d = &dialogues[i];
        unit_row(d->label);
        play(d, 0, SIZE_MAX / 2);
        play(d, 0, 1);
        for (size_t cut = 1; cut < strlen(d->input); cut++)
            play(d, cut, SIZE_MAX / 2);
    }
}

static void test_raw(void)
{
    struct pn_imap_lex lex;
    struct pn_str in = PN_STR("DONE {3}\r\n{1}\r\n"), bytes;
    pn_imap_lex_init(&lex, &small);
    pn_imap_lex_raw(&lex);
    UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_COMMAND);
    UNIT_STR(pn_imap_lex_text(&lex), PN_STR("DONE {3}"));
    pn_imap_lex_next(&lex);
    UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_LITERAL);
    pn_imap_lex_fini(&lex);
}

/* A lost command in each state comes to its end, and the next one is heard. */
static void test_lose(void)
{
    static const char *const begun[] = {"a LOG", "a L {3+}\r\na", "a ~{3+}\r\n", "a L {0+}\r\n"};
    static const char *const rest[] = {"IN x\r\n", "bc y\r\n", "abc\r\n", " y\r\n"};
    for (size_t i = 0; i < 4; i++) {
        struct pn_imap_lex lex;
        struct pn_str in = pn_str_of(begun[i]), bytes;
        unit_row(begun[i]);
        pn_imap_lex_init(&lex, &small);
        if (pn_imap_lex_feed(&lex, &in, &bytes) == PN_IMAP_LITERAL) {
            UNIT_TRUE(pn_imap_lex_keep(&lex));
            UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_MORE);
        }
        pn_imap_lex_lose(&lex);
        in = pn_str_of(rest[i]);
        UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_REFUSED);
        UNIT_STR(pn_imap_lex_tag(&lex), PN_STR("a"));
        pn_imap_lex_next(&lex);
        in = PN_STR("b NOOP\r\n");
        UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_COMMAND);
        pn_imap_lex_fini(&lex);
    }
}

/* A password's text stands in one place, and not there afterwards. */
static void test_secret(void)
{
    static const struct pn_imap_limits secret = {
        .text_max = 300, .nonsync_max = 20, .skip_max = 200, .secret = true};
    struct pn_imap_lex lex;
    struct pn_str in = PN_STR("a LOGIN "), bytes;
    pn_imap_lex_init(&lex, &secret);
    UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_MORE);
    const char *first = pn_imap_lex_text(&lex).p;
    in = PN_STR("{3+}\r\nabc " X50 X50 X50 "\r\n");
    UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_LITERAL);
    UNIT_TRUE(pn_imap_lex_keep(&lex));
    UNIT_INT(pn_imap_lex_feed(&lex, &in, &bytes), PN_IMAP_COMMAND);
    UNIT_TRUE(pn_imap_lex_text(&lex).p == first);
    pn_imap_lex_next(&lex);
    UNIT_INT(lex.text.cap, 0);
    pn_imap_lex_fini(&lex);
}

/* ---- tokens ---- */

typedef bool (*reader)(struct pn_imap_args *args, struct pn_str *out);

static bool flag_set_number(struct pn_imap_args *args, struct pn_str *out)
{
    static char digits[32];
    uint64_t n;
    if (!pn_imap_number64(args, &n))
        return false;
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    *out = pn_str_of(digits);
    return true;
}

static const struct {
    const char *label;
    reader read;
    const char *text, *want, *rest; /* want NULL: it is none */
} tokens[] = {
    {"tag", pn_imap_tag, "A.1-x] y", "A.1-x]", " y"},
    {"tag without plus", pn_imap_tag, "+ y", NULL, "+ y"},
    {"tag: nothing", pn_imap_tag, " y", NULL, " y"},
    {"atom", pn_imap_atom, "BODY[TEXT](", "BODY[TEXT]", "("},
    {"atom ends at a wildcard", pn_imap_atom, "a*b", "a", "*b"},
    {"atom of 8 bits", pn_imap_atom, "\xc3\xa9", NULL, "\xc3\xa9"},
    {"atom: a control", pn_imap_atom, "\x7f", NULL, "\x7f"},
    {"quoted", pn_imap_string, "\"a b\" c", "a b", " c"},
    {"quoted: nothing in it", pn_imap_string, "\"\"", "", ""},
    {"quoted: escapes", pn_imap_string, "\"a\\\"\\\\b\"x", "a\"\\b", "x"},
    {"quoted: another escape", pn_imap_string, "\"a\\nb\"", NULL, "\"a\\nb\""},
    {"quoted: no end", pn_imap_string, "\"ab", NULL, "\"ab"},
    {"quoted: backslash at the end", pn_imap_string, "\"ab\\", NULL, "\"ab\\"},
    {"quoted: CR", pn_imap_string, "\"a\rb\"", NULL, "\"a\rb\""},
    {"quoted: UTF-8", pn_imap_string, "\"\xc3\xa9\"", "\xc3\xa9", ""},
    {"quoted: other 8 bits", pn_imap_string, "\"\xe9\"", NULL, "\"\xe9\""},
    {"literal", pn_imap_string, "{3}\r\na\"b)", "a\"b", ")"},
    {"literal unasked", pn_imap_string, "{1+}\r\nab", "a", "b"},
    {"literal cut", pn_imap_string, "{3}\r\nab", NULL, "{3}\r\nab"},
    {"literal without line end", pn_imap_string, "{1}a", NULL, "{1}a"},
    {"astring", pn_imap_astring, "a]b c", "a]b", " c"},
    {"nstring nil", pn_imap_nstring, "nil)", "", ")"},
    {"nstring: no other atom", pn_imap_nstring, "nile", NULL, "nile"},
    {"list pattern", pn_imap_list_mailbox, "a.%*] b", "a.%*]", " b"},
    {"list pattern quoted", pn_imap_list_mailbox, "\"\" b", "", " b"},
    {"set", pn_imap_set, "1:3,7,* FLAGS", "1:3,7,*", " FLAGS"},
    {"saved set", pn_imap_set, "$ x", "$", " x"},
    {"set: none", pn_imap_set, "x", NULL, "x"},
    {"flag", pn_imap_flag, "\\Seen)", "\\Seen", ")"},
    {"keyword", pn_imap_flag, "$Junk \\Seen", "$Junk", " \\Seen"},
    {"flag: any", pn_imap_flag, "\\*", NULL, "\\*"},
    {"number", flag_set_number, "12a", "12", "a"},
    {"number of 63 bits", flag_set_number, "9223372036854775807", "9223372036854775807", ""},
    {"one more", flag_set_number, "9223372036854775808", NULL, "9223372036854775808"},
    {"21 digits", flag_set_number, "000000000000000000001", NULL, "000000000000000000001"},
};

static void test_tokens(void)
{
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct pn_pool *pool = pn_pool_new(4096);
        struct pn_imap_args args = {pn_str_of(tokens[i].text), pool};
        struct pn_str got = PN_STR("");
        unit_row(tokens[i].label);
        UNIT_INT(tokens[i].read(&args, &got), tokens[i].want != NULL);
        UNIT_STR(args.rest, pn_str_of(tokens[i].rest));
        if (tokens[i].want != NULL)
            UNIT_STR(got, pn_str_of(tokens[i].want));
        pn_pool_free(&pool);
    }
}

static void test_no_nul(void)
{
    struct pn_imap_args args = {.rest = {"{3}\r\na\0b", 8}};
    struct pn_str got;
    UNIT_TRUE(!pn_imap_string(&args, &got));
    args.rest = (struct pn_str){"\"a\0b\"", 5};
    UNIT_TRUE(!pn_imap_string(&args, &got));
}

static const struct {
    const char *label;
    struct pn_str text;
    bool utf8, astring;
    const char *want;
} written[] = {
    {"plain", PN_STR_INIT("a b"), false, false, "\"a b\""},
    {"escapes", PN_STR_INIT("a\"b\\"), false, false, "\"a\\\"b\\\\\""},
    {"line end", PN_STR_INIT("a\r\nb"), false, false, "{4}\r\na\r\nb"},
    {"UTF-8 where it may not be", PN_STR_INIT("\xc3\xa9"), false, false, "{2}\r\n\xc3\xa9"},
    {"UTF-8 where it may be", PN_STR_INIT("\xc3\xa9"), true, false, "\"\xc3\xa9\""},
    {"other bytes", PN_STR_INIT("\xe9"), true, false, "{1}\r\n\xe9"},
    {"a NUL", PN_STR_INIT("a\0b"), true, false, "{2}\r\nab"},
    {"atom", PN_STR_INIT("INBOX"), false, true, "INBOX"},
    {"no atom", PN_STR_INIT("a b"), false, true, "\"a b\""},
    {"nothing", PN_STR_INIT(""), false, true, "\"\""},
    {"nil", PN_STR_INIT("nil"), false, true, "\"nil\""},
};

static void test_put(void)
{
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        struct pn_buf out;
        pn_buf_init(&out, 100);
        unit_row(written[i].label);
        if (written[i].astring)
            pn_imap_put_astring(&out, written[i].text, written[i].utf8);
        else
            pn_imap_put_string(&out, written[i].text, written[i].utf8);
        UNIT_STR(pn_buf_str(&out), pn_str_of(written[i].want));
        pn_buf_fini(&out);
    }
}

static void test_capabilities(void)
{
    const struct pn_imap_offer offer = {.starttls = true, .auth = PN_STR("PLAIN LOGIN")};
    struct pn_buf out;
    pn_buf_init(&out, 4096);
    pn_imap_capability_before(&out, &offer);
    UNIT_TRUE(pn_str_starts(pn_buf_str(&out), PN_STR("IMAP4rev1 ")));
    UNIT_TRUE(
        pn_str_ends(pn_buf_str(&out), PN_STR(" STARTTLS LOGINDISABLED AUTH=PLAIN AUTH=LOGIN")));
    pn_buf_clear(&out);
    pn_imap_capability_after(&out);
    UNIT_TRUE(strstr(pn_buf_cstr(&out), "LITERAL+") != NULL);
    UNIT_TRUE(strstr(pn_buf_cstr(&out), "STARTTLS") == NULL);
    UNIT_TRUE(strstr(pn_buf_cstr(&out), "LITERAL-") == NULL);
    UNIT_TRUE(pn_imap_capability_is("SASL-IR", PN_IMAP_BEFORE_LOGIN));
    UNIT_TRUE(!pn_imap_capability_is("SASL-IR", PN_IMAP_AFTER_LOGIN));
    UNIT_TRUE(!pn_imap_capability_is("X-NONE", PN_IMAP_AFTER_LOGIN));
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"dialogues", test_dialogues},
        {"raw", test_raw},
        {"lose", test_lose},
        {"secret", test_secret},
        {"tokens", test_tokens},
        {"no nul", test_no_nul},
        {"put", test_put},
        {"capabilities", test_capabilities},
        {NULL, NULL},
    };
    return unit_main("imap_lex", tests, argc, argv);
}
