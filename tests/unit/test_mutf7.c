#include "unit.h"

#include "buf.h"
#include "mutf7.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

struct pair_row {
    const char *label;
    struct pn_str mutf7, utf8;
};

static const struct pair_row pairs[] = {
    {"empty", PN_STR_INIT(""), PN_STR_INIT("")},
    {"plain", PN_STR_INIT("INBOX"), PN_STR_INIT("INBOX")},
    {"all that stand for themselves", PN_STR_INIT(" !\"#$%'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"),
     PN_STR_INIT(" !\"#$%'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~")},
    {"ampersand", PN_STR_INIT("A&-B"), PN_STR_INIT("A&B")},
    {"ampersands", PN_STR_INIT("&-&-"), PN_STR_INIT("&&")},
    {"RFC 3501", PN_STR_INIT("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
     PN_STR_INIT("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e")},
    {"one unit, four bits over", PN_STR_INIT("Entw&APw-rfe"), PN_STR_INIT("Entw\xc3\xbcrfe")},
    {"two units, two bits over", PN_STR_INIT("&AOQA9g-"), PN_STR_INIT("\xc3\xa4\xc3\xb6")},
    {"three units, none over", PN_STR_INIT("&AOQA9gD8-"), PN_STR_INIT("\xc3\xa4\xc3\xb6\xc3\xbc")},
    {"ampersand behind a shift", PN_STR_INIT("&Jjo-&-"), PN_STR_INIT("\xe2\x98\xba&")},
    {"shift behind an ampersand", PN_STR_INIT("&-&Jjo-"), PN_STR_INIT("&\xe2\x98\xba")},
    {"dash behind a shift", PN_STR_INIT("&Jjo--"), PN_STR_INIT("\xe2\x98\xba-")},
    {"surrogates", PN_STR_INIT("&2D3eAA-"), PN_STR_INIT("\xf0\x9f\x98\x80")},
    {"the last character", PN_STR_INIT("&2,,f,w-"), PN_STR_INIT("\xf4\x8f\xbf\xbf")},
    {"a control", PN_STR_INIT("a&AAE-"), PN_STR_INIT("a\x01")},
    {"delete", PN_STR_INIT("&AH8-"), PN_STR_INIT("\x7f")},
};

static void test_pairs(void)
{
    struct pn_buf out;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        unit_row(pairs[i].label);
        pn_buf_init(&out, 200);
        (void)pn_buf_addc(&out, '>');
        UNIT_TRUE(pn_mutf7_decode(pairs[i].mutf7, &out));
        UNIT_STR(pn_str_slice(pn_buf_str(&out), 1, out.len), pairs[i].utf8);
        pn_buf_clear(&out);
        UNIT_TRUE(pn_mutf7_encode(pairs[i].utf8, &out));
        UNIT_STR(pn_buf_str(&out), pairs[i].mutf7);
        pn_buf_fini(&out);
    }
}

/* Any limit below what is needed: false, and nothing left behind. */
static void test_limits(void)
{
    struct pn_buf out;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        unit_row(pairs[i].label);
        for (size_t max = 0; max < pairs[i].utf8.len; max++) {
            pn_buf_init(&out, max);
            UNIT_TRUE(!pn_mutf7_decode(pairs[i].mutf7, &out));
            UNIT_INT(out.len, 0);
            pn_buf_fini(&out);
        }
        for (size_t max = 0; max < pairs[i].mutf7.len; max++) {
            pn_buf_init(&out, max);
            UNIT_TRUE(!pn_mutf7_encode(pairs[i].utf8, &out));
            UNIT_INT(out.len, 0);
            pn_buf_fini(&out);
        }
    }
}

/* What is cut anywhere decodes to the beginning of the whole, or not at all. */
static void test_cut(void)
{
    struct pn_buf out;
    pn_buf_init(&out, 200);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        unit_row(pairs[i].label);
        for (size_t cut = 0; cut < pairs[i].mutf7.len; cut++) {
            pn_buf_clear(&out);
            if (pn_mutf7_decode(pn_str_slice(pairs[i].mutf7, 0, cut), &out))
                UNIT_TRUE(pn_str_starts(pairs[i].utf8, pn_buf_str(&out)));
            else
                UNIT_INT(out.len, 0);
        }
    }
    pn_buf_fini(&out);
}

static void test_refused(void)
{
    static const struct {
        const char *label;
        struct pn_str name;
    } rows[] = {
        {"UTF-8", PN_STR_INIT("\xc3\xbc")},
        {"a control as it is", PN_STR_INIT("a\tb")},
        {"delete as it is", PN_STR_INIT("\x7f")},
        {"NUL", PN_STR_INIT("a\0b")},
        {"NUL in a shift", PN_STR_INIT("&AAA-")},
        {"a shift that does not end", PN_STR_INIT("&Jjo")},
        {"an ampersand at the end", PN_STR_INIT("a&")},
        {"another alphabet", PN_STR_INIT("&Jj/-")},
        {"a blank in a shift", PN_STR_INIT("&Jj o-")},
        {"padding", PN_STR_INIT("&Jjo=-")},
        {"a letter that needs no shift", PN_STR_INIT("&AGE-")},
        {"an ampersand in a shift", PN_STR_INIT("&ACY-")},
        {"a letter behind one that needs it", PN_STR_INIT("&APwAYQ-")},
        {"shift behind shift", PN_STR_INIT("&Jjo-&Jjo-")},
        {"bits over that are not zero", PN_STR_INIT("&Jjp-")},
        {"a sextet over", PN_STR_INIT("&JjoA-")},
        {"one sextet", PN_STR_INIT("&A-")},
        {"two sextets", PN_STR_INIT("&AA-")},
        {"a high surrogate alone", PN_STR_INIT("&2D0-")},
        {"a low surrogate alone", PN_STR_INIT("&3gA-")},
        {"a high surrogate twice", PN_STR_INIT("&2D3YPQ-")},
        {"a high surrogate and a letter", PN_STR_INIT("&2D0A,A-")},
    };
    struct pn_buf out;
    pn_buf_init(&out, 200);
    for (size_t i = 0; i < COUNT(rows); i++) {
        unit_row(rows[i].label);
        UNIT_TRUE(!pn_mutf7_decode(rows[i].name, &out));
        UNIT_INT(out.len, 0);
    }
    unit_row("encode what is no UTF-8");
    UNIT_TRUE(!pn_mutf7_encode(PN_STR("a\xff"), &out));
    UNIT_TRUE(!pn_mutf7_encode(PN_STR("\xed\xa0\x80"), &out));
    UNIT_TRUE(!pn_mutf7_encode(PN_STR("a\0"), &out));
    UNIT_INT(out.len, 0);
    pn_buf_fini(&out);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"pairs", test_pairs}, {"limits", test_limits},
        {"cut", test_cut},     {"refused", test_refused},
        {NULL, NULL},
    };
    return unit_main("mutf7", tests, argc, argv);
}
