#include "unit.h"

#include "abuse.h"

#include <stdlib.h>

static void feed(struct pn_abuse *abuse, const char *line)
{
    pn_abuse_line(abuse, pn_str_of(line));
}

static void test_counts(void)
{
    struct pn_abuse *abuse = pn_abuse_new(PN_STR("2026-11-22"));
    feed(abuse, "{\"ts\":\"2026-11-21T23:59:59.999Z\",\"event\":\"message\",\"outcome\":\"reject\","
                "\"client\":{\"ip\":\"192.0.2.1\"},\"envelope\":{\"from\":\"a@old.test\"}}");
    feed(abuse, "{\"ts\":\"2026-11-22T00:00:00.000Z\",\"event\":\"message\",\"outcome\":\"reject\","
                "\"client\":{\"ip\":\"192.0.2.1\"},\"envelope\":{\"from\":\"a@Bad.test\"},"
                "\"symbols\":[{\"name\":\"A\"},{\"name\":\"B\"},{\"name\":\"A\"}]}");
    feed(abuse, "{\"ts\":\"2026-11-22T00:00:01.000Z\",\"event\":\"message\",\"outcome\":\"accept\","
                "\"client\":{\"ip\":\"192.0.2.9\"},\"envelope\":{\"from\":\"\"},\"symbols\":[]}");
    feed(abuse, "{\"ts\":\"2026-11-22T00:00:02.000Z\",\"event\":\"role-died\"}");
    feed(abuse, "{\"ts\":\"2026-11-22T00:00:02");
    struct pn_abuse_totals totals = pn_abuse_totals(abuse);
    UNIT_INT(totals.messages, 2);
    UNIT_INT(totals.damaged, 1);
    UNIT_INT(totals.outcomes[0], 1);
    UNIT_INT(totals.outcomes[5], 1);
    UNIT_STR(totals.last, PN_STR("2026-11-22T00:00:01.000Z"));
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    pn_abuse_print_json(abuse, 1, to);
    (void)fclose(to);
    UNIT_STR(
        ((struct pn_str){text, len}),
        PN_STR("{\"messages\":2,\"damaged\":1,\"first\":\"2026-11-22T00:00:00.000Z\","
               "\"last\":\"2026-11-22T00:00:01.000Z\",\"outcomes\":{\"accept\":1,\"junk\":0,"
               "\"quarantine\":0,\"discard\":0,\"defer\":0,\"reject\":1},\"clients\":[{\"key\":"
               "\"192.0.2.1\",\"messages\":1,\"outcomes\":{\"accept\":0,\"junk\":0,"
               "\"quarantine\":0,\"discard\":0,\"defer\":0,\"reject\":1}}],\"networks\":[{"
               "\"key\":\"192.0.2.0/24\",\"messages\":2,\"outcomes\":{\"accept\":1,\"junk\":0,"
               "\"quarantine\":0,\"discard\":0,\"defer\":0,\"reject\":1}}],\"sender_domains\":"
               "[{\"key\":\"Bad.test\",\"messages\":1,\"outcomes\":{\"accept\":0,\"junk\":0,"
               "\"quarantine\":0,\"discard\":0,\"defer\":0,\"reject\":1}}],\"symbols\":[{"
               "\"key\":\"A\",\"messages\":1,\"outcomes\":{\"accept\":0,\"junk\":0,"
               "\"quarantine\":0,\"discard\":0,\"defer\":0,\"reject\":1}}]}\n"));
    free(text);
    pn_abuse_free(&abuse);
}

/* Not ours, but JSON: a message event that has nothing else. */
static void test_bare(void)
{
    struct pn_abuse *abuse = pn_abuse_new(PN_STR(""));
    feed(abuse, "{\"event\":\"message\",\"outcome\":\"junk\"}");
    feed(abuse, "{\"event\":\"message\",\"outcome\":\"junk\"}");
    feed(abuse, "[]");
    struct pn_abuse_totals totals = pn_abuse_totals(abuse);
    UNIT_INT(totals.messages, 2);
    UNIT_INT(totals.damaged, 1);
    UNIT_STR(totals.first, PN_STR(""));
    UNIT_STR(totals.last, PN_STR(""));
    pn_abuse_free(&abuse);
}

static void test_many(void)
{
    struct pn_abuse *abuse = pn_abuse_new(PN_STR(""));
    for (int i = 0; i < 2000; i++) {
        struct pn_buf b;
        pn_buf_init(&b, 1000);
        (void)pn_buf_addf(&b,
                          "{\"ts\":\"2026-11-22T00:00:00.000Z\",\"event\":\"message\",\"outcome\":"
                          "\"junk\",\"client\":{\"ip\":\"2001:db8:%x::1\"},\"envelope\":{\"from\":"
                          "\"a@d%d.test\"},\"symbols\":[{\"name\":\"X\"}]}",
                          i, i % 700);
        pn_abuse_line(abuse, pn_buf_str(&b));
        pn_buf_fini(&b);
    }
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    pn_abuse_print(abuse, 3, to);
    (void)fclose(to);
    UNIT_TRUE(strstr(text, "2000 messages from") != NULL && strstr(text, "and 1997 more") != NULL);
    UNIT_TRUE(strstr(text, "and 697 more") != NULL);
    free(text);
    pn_abuse_free(&abuse);
}

/* What a stranger wrote stays in its column, and moves no cursor. */
static void test_shown(void)
{
    struct pn_abuse *abuse = pn_abuse_new(PN_STR(""));
    feed(abuse, "{\"ts\":\"\\u001b[2J\",\"event\":\"message\",\"outcome\":\"junk\",\"client\":{},"
                "\"envelope\":{\"from\":\"a@\\u009b31m\xc3\xa9\\n.test\"}}");
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    pn_abuse_print(abuse, 3, to);
    (void)fclose(to);
    UNIT_TRUE(strstr(text, "messages from ?[2J to ?[2J, junk 1\n") != NULL);
    UNIT_TRUE(strstr(text, "\n  ?31m\xc3\xa9?.test                                          1 ") !=
              NULL);
    free(text);
    pn_abuse_free(&abuse);
}

static void test_since(void)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {{"1h", "2026-11-22T00:02:03.456Z"},
                {"2d", "2026-11-20T01:02:03.456Z"},
                {"2026-11-22", "2026-11-22"},
                {"2026-11-22T08:00:00Z", "2026-11-22T08:00:00"},
                {"2026-11-22T08:00", NULL},
                {"2026-99-99", NULL},
                {"2026-00-01", NULL},
                {"2026-13-01", NULL},
                {"2026-01-00", NULL},
                {"2026-04-31", NULL},
                {"2026-04-30", "2026-04-30"},
                {"2026-02-29", NULL},
                {"2024-02-29", "2024-02-29"},
                {"2100-02-29", NULL},
                {"2000-02-29", "2000-02-29"},
                {"2026-12-31T23:59:60", "2026-12-31T23:59:60"},
                {"2026-11-22T24:00:00", NULL},
                {"2026-11-22T08:60:00", NULL},
                {"2026-11-22T08:00:61Z", NULL},
                {"yesterday", NULL},
                {"h", NULL},
                {"", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        pn_buf_init(&b, 64);
        unit_row(rows[i].text);
        bool ok = pn_abuse_since(pn_str_of(rows[i].text), 1795309323456, &b);
        UNIT_INT(ok, rows[i].want != NULL);
        if (ok && rows[i].want != NULL)
            UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want));
        pn_buf_fini(&b);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"counts", test_counts}, {"bare", test_bare},
                                             {"many", test_many},     {"shown", test_shown},
                                             {"since", test_since},   {NULL, NULL}};
    return unit_main("abuse", tests, argc, argv);
}
