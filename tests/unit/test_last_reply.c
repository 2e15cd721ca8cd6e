#include "last_reply.h"
#include "unit.h"

#include <stdio.h>

static void test_kept_once(void)
{
    struct replies *all = replies_new();
    const char *a = reply_keep(all, PN_STR("451 4.3.0 Later"));
    const char *b = reply_keep(all, PN_STR("451 4.3.0 Later"));
    const char *c = reply_keep(all, PN_STR("451 4.3.0 Late"));
    UNIT_TRUE(a == b);
    UNIT_STR(pn_str_of(a), pn_str_of("451 4.3.0 Later"));
    UNIT_STR(pn_str_of(c), pn_str_of("451 4.3.0 Late"));
    UNIT_INT(replies_count(all), 2);
    reply_drop(all, a);
    UNIT_INT(replies_count(all), 2);
    UNIT_STR(pn_str_of(b), pn_str_of("451 4.3.0 Later"));
    reply_drop(all, b);
    UNIT_INT(replies_count(all), 1);
    reply_drop(all, c);
    UNIT_INT(replies_count(all), 0);
    replies_free(&all);
    UNIT_TRUE(all == NULL);
    replies_free(&all);
}

static void test_none(void)
{
    struct replies *all = replies_new();
    UNIT_TRUE(reply_keep(all, PN_STR("")) == NULL);
    reply_drop(all, NULL);
    UNIT_INT(replies_count(all), 0);
    replies_free(&all);
}

/* Past several growths, each text stays where it is. */
static void test_many(void)
{
    enum { MANY = 5000 };
    static const char *kept[MANY];
    struct replies *all = replies_new();
    char text[32];
    for (int i = 0; i < MANY; i++) {
        int n = snprintf(text, sizeof text, "450 4.7.1 <%d>", i);
        kept[i] = reply_keep(all, (struct pn_str){text, (size_t)n});
    }
    UNIT_INT(replies_count(all), MANY);
    for (int i = 0; i < MANY; i++) {
        int n = snprintf(text, sizeof text, "450 4.7.1 <%d>", i);
        UNIT_STR(pn_str_of(kept[i]), pn_str_of(text));
        UNIT_TRUE(reply_keep(all, (struct pn_str){text, (size_t)n}) == kept[i]);
    }
    for (int i = 0; i < MANY; i++) {
        reply_drop(all, kept[i]);
        reply_drop(all, kept[i]);
    }
    UNIT_INT(replies_count(all), 0);
    replies_free(&all);
}

/* With very many different ones, of new ones the status alone is kept. */
static void test_status(void)
{
    enum { MORE = 1000 };
    static const char *kept[REPLIES_WHOLE + MORE];
    static const struct {
        const char *text, *want;
    } rows[] = {{"450 4.7.1 <x>: wait", "450 4.7.1"},
                {"450 wait", "450"},
                {"wait", "wait"},
                {"451 4.3.0", "451 4.3.0"},
                {"a-word-without-end-to-it", "a-word-without-"}};
    struct replies *all = replies_new();
    char text[32];
    for (int i = 0; i < REPLIES_WHOLE + MORE; i++) {
        int n = snprintf(text, sizeof text, "450 4.7.1 <%d>", i);
        kept[i] = reply_keep(all, (struct pn_str){text, (size_t)n});
    }
    UNIT_INT(replies_count(all), REPLIES_WHOLE + 1);
    UNIT_STR(pn_str_of(kept[REPLIES_WHOLE]), PN_STR("450 4.7.1"));
    UNIT_STR(pn_str_of(kept[3]), PN_STR("450 4.7.1 <3>"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *one = reply_keep(all, pn_str_of(rows[i].text));
        UNIT_STR(pn_str_of(one), pn_str_of(rows[i].want));
        reply_drop(all, one);
    }
    for (int i = 0; i < REPLIES_WHOLE + MORE; i++)
        reply_drop(all, kept[i]);
    UNIT_INT(replies_count(all), 0);
    replies_free(&all);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"kept_once", test_kept_once},
                                             {"none", test_none},
                                             {"many", test_many},
                                             {"status", test_status},
                                             {NULL, NULL}};
    return unit_main("last_reply", tests, argc, argv);
}
