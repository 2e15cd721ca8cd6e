/* The line of a next hop: whose turn it is, how parcels are filled and split, who finds room. */
#include "hop_line.h"
#include "unit.h"

#include <stdio.h>

/* What run.c does when a message's last pin goes; here messages are on the stack. */
enum { MESSAGES = 4, RECIPIENTS = 300 };

struct mails {
    struct message m[MESSAGES];
    struct message_work work[MESSAGES];
    struct pn_recipient to[RECIPIENTS];
};

static const char *const senders[MESSAGES] = {"list@bulk.test", "a@one.test", "b@two.test",
                                              "c@bulk.test"};

static void mails_init(struct mails *all)
{
    *all = (struct mails){.m[0].rcpt_count = RECIPIENTS};
    for (size_t i = 0; i < MESSAGES; i++) {
        all->m[i].work = &all->work[i];
        all->m[i].under_way = 1; /* so that it does not come to rest */
        all->work[i].env.reverse_path = pn_str_of(senders[i]);
        all->work[i].env.recipients = all->to;
    }
    for (size_t i = 0; i < RECIPIENTS; i++)
        all->to[i].group = i >= 250;
}

/* Takes one; its message by number, "-" for none. */
static void taken(const struct mails *all, struct line *line, uint32_t most, struct pn_buf *out)
{
    struct parcel *p = line_take(line, most);
    if (p == NULL) {
        (void)pn_buf_addz(out, "- ");
        return;
    }
    (void)pn_buf_addf(out, "%u:%u+%u ", (unsigned)(p->m - all->m), (unsigned)p->indices[0],
                      (unsigned)p->count);
    parcel_free(p);
}

/* A list's mail fills its parcels by group, and others' goes in between. */
static void test_turns(void)
{
    static struct mails all;
    struct line line;
    struct pn_buf got;
    mails_init(&all);
    line_init(&line);
    pn_buf_init(&got, 1000);
    for (uint32_t i = 0; i < RECIPIENTS; i++)
        UNIT_TRUE(line_put(&line, &all.m[0], i, 100));
    UNIT_INT(line.parcels, 4);
    UNIT_INT(line.ordinary, 0);
    for (size_t i = 1; i < MESSAGES; i++)
        UNIT_TRUE(line_put(&line, &all.m[i], 0, 100));
    UNIT_INT(line.parcels, 7);
    UNIT_INT(line.ordinary, 3);
    UNIT_INT(all.m[0].under_way, 5);
    for (int i = 0; i < 8; i++)
        taken(&all, &line, PARCEL_RECIPIENTS_MAX, &got);
    UNIT_STR(pn_buf_str(&got), PN_STR("0:0+100 1:0+1 2:0+1 0:100+100 0:200+50 0:250+50 3:0+1 - "));
    UNIT_INT(line.parcels, 0);
    UNIT_INT(line.ordinary, 0);
    UNIT_INT(all.m[0].under_way, 1);
    pn_buf_fini(&got);
}

/* What a rate lets through is cut off a parcel, and the rest keeps its place in the flow. */
static void test_split(void)
{
    static struct mails all;
    struct line line;
    struct pn_buf got;
    mails_init(&all);
    line_init(&line);
    pn_buf_init(&got, 1000);
    for (uint32_t i = 0; i < 120; i++)
        UNIT_TRUE(line_put(&line, &all.m[0], i, 100));
    UNIT_TRUE(line_put(&line, &all.m[1], 0, 100));
    taken(&all, &line, 0, &got);
    taken(&all, &line, 30, &got);
    taken(&all, &line, 30, &got);
    taken(&all, &line, 70, &got);
    taken(&all, &line, 100, &got);
    taken(&all, &line, 100, &got);
    UNIT_STR(pn_buf_str(&got), PN_STR("- 0:0+30 1:0+1 0:30+70 0:100+20 - "));
    UNIT_INT(all.m[0].under_way, 1);
    pn_buf_fini(&got);
}

/* One sender gets half of the places, two a third each; who is new finds room to the last. */
static void test_room(void)
{
    static struct mails all;
    struct line line;
    struct pn_buf got;
    mails_init(&all);
    line_init(&line);
    for (uint32_t i = 0; i < 250; i++) /* three parcels of four places: two find room */
        UNIT_INT(line_put(&line, &all.m[0], i, 4), i < 200);
    UNIT_TRUE(line_put(&line, &all.m[1], 0, 4));
    UNIT_TRUE(line_put(&line, &all.m[1], 1, 4));  /* in the same parcel */
    UNIT_TRUE(!line_put(&line, &all.m[3], 0, 4)); /* of the list's domain */
    UNIT_TRUE(line_put(&line, &all.m[2], 0, 4));
    UNIT_TRUE(!line_put(&line, &all.m[3], 0, 4));
    UNIT_INT(line.parcels, 4);
    pn_buf_init(&got, 1000);
    for (int i = 0; i < 5; i++)
        taken(&all, &line, PARCEL_RECIPIENTS_MAX, &got);
    UNIT_STR(pn_buf_str(&got), PN_STR("0:0+100 1:0+2 2:0+1 0:100+100 - "));
    pn_buf_fini(&got);
}

static void test_sender(void)
{
    static const struct {
        const char *label, *a, *b;
        uint32_t flags;
        bool same;
    } rows[] = {
        {"strangers of one domain", "x@a.test", "y@A.test", 0, true},
        {"of two", "x@a.test", "x@b.test", 0, false},
        {"nobody", "", "x@a.test", 0, false},
        {"users of ours", "x@a.test", "y@a.test", PN_ENV_SUBMITTED, false},
        {"one user", "x@a.test", "X@a.test", PN_ENV_SUBMITTED, true},
        {"one user's VERP", "x+b=c.test@a.test", "x+d=e.test@a.test", PN_ENV_SUBMITTED, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        const struct pn_envelope a = {.reverse_path = pn_str_of(rows[i].a), .flags = rows[i].flags};
        const struct pn_envelope b = {.reverse_path = pn_str_of(rows[i].b), .flags = rows[i].flags};
        UNIT_INT(line_sender(&a) == line_sender(&b), rows[i].same);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"turns", test_turns},
                                             {"split", test_split},
                                             {"room", test_room},
                                             {"sender", test_sender},
                                             {NULL, NULL}};
    return unit_main("hop_line", tests, argc, argv);
}
