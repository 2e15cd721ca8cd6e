/* Runner and workers together: messages, trouble of every kind, and workers killed. */
#include "clock.h"
#include "log.h"
#include "unit.h"
#include "world.h"

#include <stdio.h>
#include <unistd.h>

static const char *const two[] = {PLUGINS "/trouble.so", PLUGINS "/plain.so", NULL};
static const unsigned one_group[] = {0, 0}, two_groups[] = {0, 1};

/* A whole message, in one run or stage by stage: the same ledger. */
static void one_message(struct world *w, bool eager, struct pn_buf *out)
{
    struct pn_check *c = session_begin(w, "192.0.2.1");
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_CONNECT), PN_CHECK_WHOLE);
    pn_check_helo(c, PN_STR("friend"));
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_HELO), PN_CHECK_WHOLE);
    session_mail(c, "a@b.test", "u@here.test");
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
    pn_check_rcpt(c, PN_STR("v@here.test"), UINT64_MAX);
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
    int fd = session_content(c, "hello");
    if (eager)
        UNIT_INT(run_to(w, c, POSTERN_HEADERS), PN_CHECK_WHOLE);
    UNIT_INT(run_to(w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    ledger_text(pn_check_facts(c), out);
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_COUNT", "message 7 5"));
    pn_check_free(&c);
    (void)close(fd);
}

static void test_message(void)
{
    struct world w;
    struct pn_buf first, again;
    pn_buf_init(&first, 100000);
    for (int groups = 0; groups < 2; groups++)
        for (int eager = 0; eager < 2; eager++) {
            unit_row(eager ? "stage by stage" : "in one run");
            world_up(&w, two, groups ? two_groups : one_group, 1);
            pn_buf_init(&again, 100000);
            one_message(&w, eager, &again);
            if (first.len == 0)
                (void)pn_buf_adds(&first, pn_buf_str(&again));
            UNIT_STR(pn_buf_str(&again), pn_buf_str(&first));
            pn_buf_fini(&again);
            world_down(&w);
        }
    pn_buf_fini(&first);
}

/* Where the trouble's word goes, by stage. */
struct words {
    const char *ip, *helo, *from, *rcpt, *subject;
};

static void one_trouble(struct world *w, const struct words *t, enum pn_plugin_status want)
{
    struct pn_check *c = session_begin(w, t->ip != NULL ? t->ip : "192.0.2.1");
    pn_check_helo(c, pn_str_of(t->helo != NULL ? t->helo : "friend"));
    session_mail(c, t->from != NULL ? t->from : "a@b.test",
                 t->rcpt != NULL ? t->rcpt : "u@here.test");
    int fd = session_content(c, t->subject != NULL ? t->subject : "hello");
    UNIT_INT(run_to(w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    const struct pn_facts *f = pn_check_facts(c);
    bool failed = want == PN_PLUGIN_FAILED || want == PN_PLUGIN_TIMEOUT;
    UNIT_INT(status_of(f, "trouble"), want);
    UNIT_INT(has_fact(f, "trouble", "PLUGIN_FAILED", "trouble"), failed);
    UNIT_INT(has_fact(f, "trouble", "TROUBLE_NONE", "message"), !failed && t->subject == NULL);
    /* The one beside it is not touched, though it died with it. */
    UNIT_INT(status_of(f, "calm"), PN_PLUGIN_OK);
    UNIT_TRUE(has_fact(f, "calm", "TROUBLE_NONE", "connect"));
    UNIT_TRUE(has_fact(f, "calm", "TROUBLE_NONE", "message"));
    pn_check_free(&c);
    (void)close(fd);
}

static const char *const with_calm[] = {PLUGINS "/trouble.so", PLUGINS "/calm.so", NULL};

/* Every kind of trouble at some stage, every stage with some trouble, on the first call of
 * a worker: that message fails in that plugin, and the next one is fine. */
static void test_trouble(void)
{
    static const struct {
        const char *label;
        struct words words;
        enum pn_plugin_status want;
        bool counts; /* as a failure alone in a worker */
    } rows[] = {
        {"crash at connect", {.ip = "192.0.2.66"}, PN_PLUGIN_FAILED, true},
        {"crash at helo", {.helo = "crash-helo"}, PN_PLUGIN_FAILED, true},
        {"crash at mail", {.from = "crash-mail@b.test"}, PN_PLUGIN_FAILED, true},
        {"crash at rcpt", {.rcpt = "crash-rcpt@b.test"}, PN_PLUGIN_FAILED, true},
        {"crash at headers", {.subject = "crash-headers"}, PN_PLUGIN_FAILED, true},
        {"wild write", {.subject = "wild-message"}, PN_PLUGIN_FAILED, true},
        {"error", {.subject = "fail-message"}, PN_PLUGIN_FAILED, false},
        {"facts without end", {.subject = "many-message"}, PN_PLUGIN_OK, false},
        {"nonsense", {.subject = "bad-message"}, PN_PLUGIN_OK, false},
        {"waiting in prefetch", {.subject = "early-message"}, PN_PLUGIN_OK, false},
        {"stack overflow", {.subject = "deep-message"}, PN_PLUGIN_FAILED, true},
        {"exit", {.subject = "quit-message"}, PN_PLUGIN_FAILED, true},
        {"a leak", {.subject = "leak-message"}, PN_PLUGIN_OK, false},
    };
    struct world w;
    world_up(&w, with_calm, one_group, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        unsigned before = w.failures;
        one_trouble(&w, &rows[i].words, rows[i].want);
        UNIT_INT(w.failures - before, rows[i].counts);
        one_trouble(&w, &(struct words){0}, PN_PLUGIN_OK);
    }
    world_down(&w);
}

/* What outstays its deadline. The one beside it has all the time it needs. */
static void test_late(void)
{
    static const struct {
        const char *label, *subject;
        bool counts;
    } rows[] = {
        {"hang", "hang-message", true},
        {"an answer that never comes", "dns-message-never.test", false},
    };
    struct world w;
    world_init(&w, with_calm, one_group);
    w.plan->plugins[0].deadline_ms = WORLD_HANG_MS;
    world_workers(&w, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        unsigned before = w.failures;
        one_trouble(&w, &(struct words){.subject = rows[i].subject}, PN_PLUGIN_TIMEOUT);
        UNIT_INT(w.failures - before, rows[i].counts);
    }
    world_down(&w);
}

/* ---- many at once, while workers are killed */

enum { SESSIONS = 60 };

struct many {
    struct pn_check *check;
    int fd;
    struct run run;
};

static void many_begin(struct world *w, struct many *m, unsigned number)
{
    static const char *const subjects[] = {"hello", "slow-message", "dns-message-a.test ",
                                           "crash-message"};
    char ip[32];
    (void)snprintf(ip, sizeof ip, "192.0.2.%u", number % 50 + 1);
    *m = (struct many){.check = session_begin(w, ip)};
    pn_check_helo(m->check, PN_STR("friend"));
    session_mail(m->check, "a@b.test", "u@here.test");
    m->fd = session_content(m->check, subjects[number % 20 == 3 ? 3 : number % 3]);
    UNIT_TRUE(pn_check_run(m->check, POSTERN_MESSAGE, run_done, &m->run));
}

/* Ledgers of all sessions, behind one another. */
static void run_many(struct world *w, unsigned kills, struct pn_buf *out)
{
    static struct many all[SESSIONS];
    for (unsigned i = 0; i < SESSIONS; i++)
        many_begin(w, &all[i], i);
    uint64_t until = pn_clock_mono_ns() + UINT64_C(120) * PN_NS_PER_S;
    for (unsigned turn = 0, over = 0; over < SESSIONS && pn_clock_mono_ns() < until; turn++) {
        pn_loop_turn(w->loop, 5);
        if (turn % 4 == 3 && kills > 0) {
            world_kill(w, turn * 7);
            kills--;
        }
        over = 0;
        for (unsigned i = 0; i < SESSIONS; i++)
            over += all[i].run.over;
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        UNIT_TRUE(all[i].run.over);
        ledger_text(pn_check_facts(all[i].check), out);
        UNIT_INT(has_fact(pn_check_facts(all[i].check), "trouble", "PLUGIN_FAILED", "trouble"),
                 i % 20 == 3);
        pn_check_free(&all[i].check);
        (void)close(all[i].fd);
    }
}

static void test_killed(void)
{
    struct world w;
    struct pn_runner_stats stats;
    struct pn_buf calm, hunted;
    pn_buf_init(&calm, 1 << 20);
    pn_buf_init(&hunted, 1 << 20);
    world_up(&w, with_calm, one_group, 2);
    run_many(&w, 0, &calm);
    run_many(&w, 12, &hunted);
    UNIT_STR(pn_buf_str(&hunted), pn_buf_str(&calm));
    pn_runner_stats(w.runner, &stats);
    UNIT_TRUE(stats.worker_deaths >= 12 && stats.replays > 0);
    UNIT_INT(w.failures, 6);
    UNIT_INT(stats.inflight, 0);
    world_down(&w);
    pn_buf_fini(&calm);
    pn_buf_fini(&hunted);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"message", test_message},
                                             {"trouble", test_trouble},
                                             {"late", test_late},
                                             {"killed", test_killed},
                                             {NULL, NULL}};
    pn_log_init("test", PN_LOG_ERROR);
    return unit_main("filters", tests, argc, argv);
}
