/* The rules plugin's search changes nothing: what is stated is what trying all rules states. */
#include "unit.h"

#include "buf.h"
#include "rules_both.h"
#include "rules_str.h"

#include <stdio.h>
#include <stdlib.h>

/* What the search, the order of asking and the keys of expressions have to get right. */
static const char RULES[] = "body LONG_STRING /wonderful offer/i\n"
                            "body SHORT_STRING /sex/i\n"
                            "body ALTERNATIVES /(?:cheap|costly) (?:pills|watches)/i\n"
                            "body REACH /act.{0,20}today/i\n"
                            "body REACH_ANY /act.*today/i\n"
                            "body WINDOWS /[vu][i1!][a4@]gr[a4@]/i\n"
                            "body WINDOWS_START /\\b[cs][a4@]l[li1]\\s[nm][o0]w\\b/i\n"
                            "body WINDOWS_ROW /(?:[a4][bc]{2}[0-9]\\s?){3}/i\n"
                            "body OVER_LINES /offer\\s+act/i\n"
                            "body AT_START /^offer/\n"
                            "body AT_END /today\\s*$/\n"
                            "body NOT_BEHIND /(?<!wonderful )offer/i\n"
                            "body __COUNTED /[ao]ct/i\n"
                            "tflags __COUNTED multiple\n"
                            "body __COUNTED_4 /pills/i\n"
                            "tflags __COUNTED_4 multiple maxhits=4\n"
                            "body __COUNTED_ROW /[vu][i1!]a?gr/i\n"
                            "tflags __COUNTED_ROW multiple\n"
                            "body NO_SUBJECT /today/i\n"
                            "tflags NO_SUBJECT nosubject\n"
                            "body ALWAYS /\\S{12}/\n"
                            "body TAGS /(?<WORD>costly|cheap) watches/i\n"
                            "body TAKEN /%{WORD} pills/i\n"
                            "body TAKEN_BEHIND /(?<!now )%{WORD} watches/i\n"
                            "body TAKEN_NOT /pills (?!%{WORD})/i\n"
                            "body TAKEN_ATOMIC /(?>%{WORD} )watches/i\n"
                            "header TAKEN_HDR Subject =~ /%{WORD} pills/i\n"
                            "header TAKEN_HDR_NOT Subject !~ /%{WORD} pills/i\n"
                            "rawbody RAW /<b>\\s*offer/i\n"
                            "rawbody RAW_ROW /(?:<[a-z]>\\s*){2}/i\n"
                            "full FULL_TEXT /Subject: .*offer/i\n"
                            "uri URI_STRING /pills\\.test/i\n"
                            "uri URI_ROW /[0-9]{3}/\n"
                            "header HDR Subject =~ /offer/i\n"
                            "header HDR_NOT Subject !~ /offer/i\n"
                            "header HDR_FEW X-Odd =~ /act/i\n"
                            "header HDR_FEW_NOT X-Odd !~ /act/i\n"
                            "header HDR_UNSET X-Odd =~ /^none$/ [if-unset: none]\n"
                            "header HDR_ANY X-Odd =~ /^\\w+ \\w+$/\n"
                            "header HDR_EXISTS exists:X-Odd\n"
                            "header HDR_ALL ALL =~ /\\nX-Odd: \\w/i\n"
                            "mimeheader PART Content-Type =~ /html/i\n"
                            "mimeheader PART_NOT Content-Type !~ /html/i\n"
                            "meta M_AND LONG_STRING && !HDR\n"
                            "meta M_COUNT __COUNTED > 2 && __COUNTED_4 < 4\n"
                            "meta M_SUM (LONG_STRING + SHORT_STRING + WINDOWS + AT_END + HDR) > 2\n"
                            "meta M_ROW __COUNTED_ROW == 2\n"
                            "meta M_PRODUCT __COUNTED * 2 > __COUNTED_4 + 1\n"
                            "meta M_QUOTIENT __COUNTED / __COUNTED_4 > 1\n"
                            "meta M_NOT !(LONG_STRING || SHORT_STRING)\n"
                            "meta M_UNKNOWN NEVER_UNDERSTOOD || WINDOWS\n"
                            "meta M_UNKNOWN_NOT !NEVER_UNDERSTOOD && WINDOWS\n"
                            "body NEVER_UNDERSTOOD /(/\n"
                            "meta M_EXISTS HDR_EXISTS && !HDR_FEW\n"
                            "meta __N0 (WINDOWS || HDR_EXISTS) && !SHORT_STRING\n";

static uint32_t seed = 11;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % n;
}

/* Expressions that lead deeper than may be followed in one go. */
static void add_nested(struct pn_buf *b)
{
    for (int i = 1; i < 60; i++)
        (void)pn_buf_addf(b, i % 3 == 0 ? "meta __N%d !__N%d\n" : "meta __N%d __N%d || HDR_ANY\n",
                          i, i - 1);
    (void)pn_buf_addz(b, "meta M_NESTED __N59\n");
}

/* Words of the rules' own patterns, so that messages are near to what they look for. */
struct words {
    struct pn_str word[4000];
    uint32_t count;
};

static void take_words(struct words *w, struct pn_str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t from = i;

        while (i < text.len && rules_is_word(text.p[i]))
            i++;
        if (i - from >= 2 && w->count < 4000)
            w->word[w->count++] = pn_str_slice(text, from, i);
        i += i == from;
    }
}

static void add_words(struct pn_buf *b, const struct words *w, uint32_t n)
{
    static const char *const own[] = {
        "wonderful",  "offer",         "sex",        "cheap", "costly",
        "pills",      "watches",       "act",        "today", "v1agra",
        "uiagr4",     "c4ll",          "now",        "abb1",  "4cc2 abc3",
        "vigr",       "<b>",           "<i>",        "oct",   "http://pills.test/123/",
        "offer\nact", "cheap watches", "cheap pills"};
    static const char *const gaps[] = {" ", " ", " ", " ", "\n", "\n\n", ", ", "-", ""};

    for (; n > 0; n--) {
        if (draw(2) == 0)
            (void)pn_buf_addz(b, own[draw(sizeof(own) / sizeof(own[0]))]);
        else
            (void)pn_buf_adds(b, w->word[draw(w->count)]);
        (void)pn_buf_addz(b, gaps[draw(sizeof(gaps) / sizeof(gaps[0]))]);
    }
}

static void add_line(struct pn_buf *b, const struct words *w, const char *name, uint32_t n)
{
    struct pn_buf value;

    pn_buf_init(&value, 1 << 16);
    add_words(&value, w, n);
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] == '\n')
            value.p[i] = ' ';
    (void)pn_buf_addf(b, "%s: %.*s\n", name, (int)value.len, value.p == NULL ? "" : value.p);
    pn_buf_fini(&value);
}

static void make_message(struct pn_buf *b, const struct words *w)
{
    add_line(b, w, "Subject", 1 + draw(6));
    add_line(b, w, "From", 1 + draw(3));
    if (draw(2) == 0)
        add_line(b, w, "X-Odd", draw(3));
    (void)pn_buf_addz(b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n");
    for (uint32_t parts = 1 + draw(2); parts > 0; parts--) {
        (void)pn_buf_addf(b, "--b\nContent-Type: text/%s\n\n", draw(2) == 0 ? "plain" : "html");
        add_words(b, w, draw(60));
        (void)pn_buf_addz(b, "\n");
    }
    (void)pn_buf_addz(b, "--b--\n");
}

static bool states(struct pn_str facts, const char *name)
{
    return memmem(facts.p, facts.len, name, strlen(name)) != NULL;
}

static void compare(struct rules_both *b, const struct words *w, int messages)
{
    static const char *const want[] = {"WINDOWS_START", "WINDOWS_ROW", "TAKEN",   "M_SUM",
                                       "M_ROW",         "M_NESTED",    "HDR_ANY", "M_QUOTIENT"};
    bool met[8] = {false};

    for (int i = 0; i < messages; i++) {
        struct pn_buf message;
        struct pn_str searched, plain;

        pn_buf_init(&message, 1 << 20);
        make_message(&message, w);
        rules_both_run(b, pn_buf_str(&message), &searched, &plain);
        unit_row("a message");
        UNIT_STR(searched, plain);
        for (int k = 0; k < 8; k++)
            met[k] |= states(plain, want[k]);
        pn_buf_fini(&message);
    }
    for (int k = 0; k < 8; k++) {
        unit_row(want[k]);
        UNIT_TRUE(met[k]);
    }
}

static struct pn_str read_default(struct pn_buf *b)
{
    FILE *f = fopen(RULES_DEFAULT, "rb");
    char block[4096];
    size_t n;

    pn_buf_init(b, 1 << 20);
    while (f != NULL && (n = fread(block, 1, sizeof(block), f)) > 0)
        (void)pn_buf_add(b, block, n);
    if (f != NULL)
        (void)fclose(f);
    return pn_buf_str(b);
}

static void test_same(void)
{
    static struct words words;
    struct rules_both *b = rules_both_new();
    struct pn_buf file, own;

    pn_buf_init(&own, 1 << 20);
    (void)pn_buf_addz(&own, RULES);
    add_nested(&own);
    rules_both_read(b, "own.cf", pn_buf_str(&own));
    rules_both_read(b, "default.cf", read_default(&file));
    rules_both_state_all(b);
    UNIT_TRUE(rules_both_finish(b));
    take_words(&words, pn_buf_str(&file));
    UNIT_TRUE(words.count > 100);
    compare(b, &words, 400);
    pn_buf_fini(&file);
    pn_buf_fini(&own);
    rules_both_free(&b);
}

/* More strings than are kept of a rule, and of all of them. */
static void test_many_marks(void)
{
    struct rules_both *b = rules_both_new();
    struct pn_buf rules, message;
    struct pn_str searched, plain;

    pn_buf_init(&rules, 1 << 20);
    pn_buf_init(&message, 1 << 20);
    for (int i = 0; i < 300; i++)
        (void)pn_buf_addf(&rules,
                          "body R%d /pills.{0,40}now%d\\b/\nbody C%d /pills/\ntflags C%d multiple\n"
                          "meta M%d C%d > %d\n",
                          i, i, i, i, i, i, i);
    (void)pn_buf_addz(&message, "Subject: x\n\n");
    for (int i = 0; i < 280; i++)
        (void)pn_buf_addf(&message, "pills and now%d%s", i * 3, i % 20 == 19 ? "\n\n" : " ");
    rules_both_read(b, "many.cf", pn_buf_str(&rules));
    UNIT_TRUE(rules_both_finish(b));
    rules_both_run(b, pn_buf_str(&message), &searched, &plain);
    UNIT_STR(searched, plain);
    UNIT_TRUE(states(plain, "R297") && states(plain, "M279") && !states(plain, "M280"));
    pn_buf_fini(&rules);
    pn_buf_fini(&message);
    rules_both_free(&b);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"searched and plain", test_same}, {"very many strings", test_many_marks}, {NULL, NULL}};

    return unit_main("rules, both ways", tests, argc, argv);
}
