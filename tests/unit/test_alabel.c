/* Domains by their A-labels: as libidn2 has them, and our patterns around it. */
#include "unit.h"

#include "alabel.h"

struct row {
    const char *label, *in, *want; /* NULL: no name */
};

static void check(const struct row *rows, size_t count,
                  struct pn_str (*convert)(struct pn_str s, struct pn_alabel *room))
{
    for (size_t i = 0; i < count; i++) {
        struct pn_alabel room;
        unit_row(rows[i].label);
        struct pn_str got = convert(pn_str_of(rows[i].in), &room);
        UNIT_TRUE((got.p == NULL) == (rows[i].want == NULL));
        if (got.p != NULL && rows[i].want != NULL)
            UNIT_STR(got, pn_str_of(rows[i].want));
    }
    unit_row("");
}
#define CHECK(rows, convert) check((rows), sizeof(rows) / sizeof((rows)[0]), (convert))

#define U       "\xc3\xbc" /* u with two dots */
#define SHARP_S "\xc3\x9f"
#define L58     "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefgh"

static void test_domains(void)
{
    static const struct row rows[] = {
        {"empty", "", ""},
        {"ascii as it is", "Example.ORG", "Example.ORG"},
        {"a name of A-labels", "xn--bcher-kva.test", "xn--bcher-kva.test"},
        {"a U-label", "b" U "cher.test", "xn--bcher-kva.test"},
        {"a capital",
         "B\xc3\x9c"
         "CHER.Test",
         "xn--bcher-kva.test"},
        {"in two pieces",
         "bu\xcc\x88"
         "cher.test",
         "xn--bcher-kva.test"},
        {"full width", "\xef\xbd\x82" U "cher.test", "xn--bcher-kva.test"},
        {"an ideographic dot", "b" U "cher\xe3\x80\x82test", "xn--bcher-kva.test"},
        {"a deviation stays", "fa" SHARP_S ".test", "xn--fa-hia.test"},
        {"all below", ".b" U "cher.test", ".xn--bcher-kva.test"},
        {"beside an underscore", "_x.b" U "cher.test", "_x.xn--bcher-kva.test"},
        {"cyrillic", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.test", "xn--e1afmkfd.test"},
        {"no UTF-8",
         "b\xfc"
         "cher.test",
         NULL},
        {"cut short", "b\xc3", NULL},
        {"a sign that is none of IDNA2008's", "a\xe2\x80\x8b\xe2\x88\x9a b.test", NULL},
        {"a combining mark alone", "\xcc\x88x.test", NULL},
        {"a full-width @",
         "a\xef\xbc\xa0"
         "b.test",
         NULL},
        {"a full-width >",
         "a\xef\xbc\x9e"
         "b.test",
         NULL},
        {"an ideographic blank",
         "a\xe3\x80\x80"
         "b.test",
         NULL},
        {"an empty label", "b" U "cher..test", NULL},
        {"a label at its limit", L58 ".b" U "cher.test", L58 ".xn--bcher-kva.test"},
        {"one too long", L58 U ".test", NULL},
    };
    CHECK(rows, pn_alabel_domain);
}

static void test_addresses(void)
{
    static const struct row rows[] = {
        {"none", "", ""},
        {"no domain", "b" U "ro", "b" U "ro"},
        {"ascii", "a@b.test", "a@b.test"},
        {"the local part stays", "b" U "ro@b" U "cher.test", "b" U "ro@xn--bcher-kva.test"},
        {"an @ in quotes", "\"a@b\"@b" U "cher.test", "\"a@b\"@xn--bcher-kva.test"},
        {"any at one", "*@b" U "cher.test", "*@xn--bcher-kva.test"},
        {"below one", "*@*.b" U "cher.test", "*@*.xn--bcher-kva.test"},
        {"a pattern of ascii beside it", "*@mx?.b" U "cher.*", "*@mx?.xn--bcher-kva.*"},
        {"a full-width *", "*@\xef\xbc\x8a.test", NULL},
        {"an address within",
         "a@b\xef\xbc\xa0"
         "c.test",
         NULL},
        {"within a U-label", "*@b" U "ch*.test", NULL},
        {"no name", "*@b\xfc.test", NULL},
    };
    CHECK(rows, pn_alabel_address);
}

/* At the limit and beyond it nothing is written past the room: the sanitizers look on. */
static void test_long(void)
{
    char text[PN_ALABEL_MAX + 20];
    struct pn_alabel room;
    for (size_t n = PN_ALABEL_MAX - 30; n < PN_ALABEL_MAX + 5; n++) {
        memset(text, 'a', n);
        memcpy(text + n, "@*.b" U ".x", 9);
        struct pn_str s = pn_alabel_address((struct pn_str){text, n + 8}, &room);
        bool fits = n + strlen("@*.xn--b-xga.x") <= PN_ALABEL_MAX;
        UNIT_TRUE(fits ? s.p == room.p && pn_str_ends(s, PN_STR(".x")) : s.p == NULL);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"domains", test_domains},
        {"addresses and patterns", test_addresses},
        {"long ones", test_long},
        {NULL, NULL},
    };
    return unit_main("alabel", tests, argc, argv);
}
