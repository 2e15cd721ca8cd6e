/* What the runner makes of plans, sessions and time. */
#include "clock.h"
#include "dns_shelf.h"
#include "json.h"
#include "log.h"
#include "unit.h"
#include "world.h"

#include <unistd.h>

static const char *const two[] = {PLUGINS "/calm.so", PLUGINS "/trouble.so", NULL};
static const unsigned one_group[] = {0, 0}, two_groups[] = {0, 1};

static int begin_message(struct world *w, struct pn_check **c, const char *subject)
{
    *c = session_begin(w, "192.0.2.1");
    pn_check_helo(*c, PN_STR("friend"));
    session_mail(*c, "a@b.test", "u@here.test");
    return session_content(*c, subject);
}

static void end_message(struct pn_check **c, int fd)
{
    pn_check_free(c);
    (void)close(fd);
}

/* A session whose worker dies between stages counts on as if nothing had been. */
static void test_moved(void)
{
    struct world w;
    struct pn_check *c;
    world_up(&w, two, one_group, 1);
    int fd = begin_message(&w, &c, "hello");
    UNIT_INT(run_to(&w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_COUNT", "rcpt 4 2"));
    world_kill(&w, 0);
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_COUNT", "message 6 4"));
    UNIT_INT(status_of(pn_check_facts(c), "trouble"), PN_PLUGIN_OK);
    /* A second message of the same session: its transaction counts anew. */
    pn_check_reset(c);
    (void)close(fd);
    UNIT_INT(pn_check_facts(c)->symbol_count, 8);
    session_mail(c, "a@b.test", "u@here.test");
    fd = session_content(c, "again");
    world_kill(&w, 0);
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_COUNT", "message 6 4"));
    end_message(&c, fd);
    world_down(&w);
}

/* Stages that are run again by a second HELO, or not at all by a plugin that nobody wants. */
static void test_stages(void)
{
    struct world w;
    struct pn_check *c;
    world_up(&w, two, one_group, 1);
    int fd = begin_message(&w, &c, "hello");
    UNIT_INT(run_to(&w, c, POSTERN_HELO), PN_CHECK_WHOLE);
    UNIT_TRUE(!pn_check_run(c, POSTERN_CONNECT, NULL, NULL)); /* nothing is due */
    (void)close(fd);
    pn_check_helo(c, PN_STR("other"));
    UNIT_TRUE(!has_fact(pn_check_facts(c), "calm", "TROUBLE_NONE", "helo"));
    UNIT_TRUE(has_fact(pn_check_facts(c), "calm", "TROUBLE_NONE", "connect"));
    pn_check_mail(c, &(struct pn_check_mail){.from = PN_STR(""), .id = PN_STR("m2")});
    pn_check_rcpt(c, PN_STR("u@here.test"), 1); /* wants calm only */
    fd = session_content(c, "crash-message");
    pn_check_skip(c, 0);
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    UNIT_TRUE(has_fact(pn_check_facts(c), "calm", "TROUBLE_NONE", "message"));
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_NONE", "mail"));
    UNIT_TRUE(!has_fact(pn_check_facts(c), "trouble", "TROUBLE_NONE", "rcpt"));
    UNIT_INT(w.failures, 0);
    end_message(&c, fd);
    world_down(&w);
}

/* Facts given for a plugin stand for it. */
static void test_given(void)
{
    struct world w;
    struct pn_check *c;
    struct pn_pool *pool = pn_pool_new(100000);
    struct pn_facts given;
    pn_facts_init(&given, pool);
    struct pn_auth auth = {
        .plugin = PN_STR("trouble"), .method = PN_STR("spf"), .result = PN_STR("pass")};
    UNIT_TRUE(pn_facts_add_auth(&given, &auth));
    world_up(&w, two, one_group, 1);
    int fd = begin_message(&w, &c, "crash-message");
    pn_check_give(c, 1, &given);
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    UNIT_INT(status_of(pn_check_facts(c), "trouble"), PN_PLUGIN_GIVEN);
    UNIT_TRUE(pn_facts_auth(pn_check_facts(c), PN_STR("spf"), 0) != NULL);
    UNIT_INT(w.failures, 0);
    end_message(&c, fd);
    world_down(&w);
    pn_pool_free(&pool);
}

/* Plugins that wait for one of another group run behind it, in every stage; the order of
 * the ledger is the plan's. */
static void test_waves(void)
{
    struct world w;
    struct pn_check *c;
    struct pn_buf apart, together;
    pn_buf_init(&apart, 100000);
    pn_buf_init(&together, 100000);
    for (int i = 0; i < 2; i++) {
        world_init(&w, two, i == 0 ? two_groups : one_group);
        w.plan->plugins[1].after = i == 0 ? 1 : 0;
        w.plan->plugins[1].local = i == 0 ? 0 : 1;
        world_workers(&w, 1);
        int fd = begin_message(&w, &c, "hello");
        UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
        ledger_text(pn_check_facts(c), i == 0 ? &apart : &together);
        end_message(&c, fd);
        struct pn_runner_stats stats;
        pn_runner_stats(w.runner, &stats);
        UNIT_INT(stats.requests, i == 0 ? 12 : 1);
        world_down(&w);
    }
    UNIT_STR(pn_buf_str(&apart), pn_buf_str(&together));
    pn_buf_fini(&apart);
    pn_buf_fini(&together);
}

/* A run that nobody waits for, and the rest asked while it is under way or over: the ledger
 * is that of one run. */
static void test_head_start(void)
{
    struct world w;
    struct pn_buf whole, parts;
    pn_buf_init(&whole, 100000);
    pn_buf_init(&parts, 100000);
    world_up(&w, two, one_group, 1);
    UNIT_TRUE(pn_runner_at_leisure(w.runner));
    for (int i = 0; i < 3; i++) {
        struct pn_check *c = session_begin(&w, "192.0.2.1");
        session_mail(c, "a@b.test", "u@here.test");
        if (i > 0) {
            UNIT_TRUE(pn_check_run(c, POSTERN_RCPT, NULL, NULL));
            UNIT_TRUE(!pn_runner_at_leisure(w.runner)); /* one worker, one request */
        }
        for (int turns = 0; i == 2 && !pn_runner_at_leisure(w.runner) && turns < 1000; turns++)
            pn_loop_turn(w.loop, 10);
        int fd = session_content(c, "hello");
        UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
        pn_buf_clear(&parts);
        ledger_text(pn_check_facts(c), i == 0 ? &whole : &parts);
        if (i > 0)
            UNIT_STR(pn_buf_str(&parts), pn_buf_str(&whole));
        end_message(&c, fd);
    }
    world_down(&w);
    pn_buf_fini(&whole);
    pn_buf_fini(&parts);
}

/* `alone yes`: one message a process, and no worker is left behind. */
static void test_alone(void)
{
    struct world w;
    struct pn_check *c;
    world_init(&w, two, two_groups);
    w.plan->plugins[1].alone = true;
    world_workers(&w, 1);
    for (int i = 0; i < 3; i++) {
        int fd = begin_message(&w, &c, i == 1 ? "crash-message" : "hello");
        UNIT_INT(run_to(&w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
        UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
        UNIT_INT(status_of(pn_check_facts(c), "trouble"), i == 1 ? PN_PLUGIN_FAILED : PN_PLUGIN_OK);
        UNIT_TRUE(i == 1 || has_fact(pn_check_facts(c), "trouble", "TROUBLE_COUNT", "message 6 4"));
        end_message(&c, fd);
    }
    UNIT_INT(w.solos, 4); /* one each, and one for what the crash left to do */
    world_down(&w);
}

/* The message's time is up: what is known counts, what is missing is named. */
static void test_budget(void)
{
    struct world w;
    struct pn_check *c;
    world_init(&w, two, two_groups);
    world_workers(&w, 1);
    int fd = begin_message(&w, &c, "hello"); /* the workers are there, and warm */
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    end_message(&c, fd);
    w.plan->budget_ms = 500 * unit_patience();
    fd = begin_message(&w, &c, "hang-message");
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_PART); /* the call itself has a minute */
    UNIT_INT(status_of(pn_check_facts(c), "calm"), PN_PLUGIN_OK);
    UNIT_INT(status_of(pn_check_facts(c), "trouble"), PN_PLUGIN_SKIPPED);
    UNIT_TRUE(has_fact(pn_check_facts(c), "calm", "TROUBLE_NONE", "message"));
    end_message(&c, fd);
    w.refill = false;
    world_kill(&w, 0);
    world_kill(&w, 1);
    while (w.children[0].resolver != NULL || w.children[1].resolver != NULL)
        pn_loop_turn(w.loop, 10);
    /* Nobody to ask at all is a failure: on_failure says what it means. */
    fd = begin_message(&w, &c, "hello");
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_PART);
    UNIT_INT(status_of(pn_check_facts(c), "calm"), PN_PLUGIN_FAILED);
    UNIT_TRUE(has_fact(pn_check_facts(c), "calm", "PLUGIN_FAILED", "calm"));
    end_message(&c, fd);
    world_down(&w);
}

/* Its call outstayed its deadline, and the message's time is up before the replay says so: that
 * is a failure. A scanner that a message holds up must not be one that found nothing. */
static void test_budget_of_suspects(void)
{
    struct world w;
    struct pn_check *c;
    struct run r = {0};
    world_init(&w, two, two_groups);
    w.plan->plugins[1].deadline_ms = WORLD_HANG_MS;
    w.no_solos = true;
    world_workers(&w, 1);
    int fd = begin_message(&w, &c, "hang-message");
    UNIT_TRUE(pn_check_run(c, POSTERN_MESSAGE, run_done, &r));
    uint64_t until = pn_clock_mono_ns() + UINT64_C(60) * PN_NS_PER_S;
    while (w.solos == 0 && pn_clock_mono_ns() < until)
        pn_loop_turn(w.loop, 20);
    UNIT_TRUE(w.solos > 0 && !r.over);
    w.plan->budget_ms = 1;
    while (!r.over && pn_clock_mono_ns() < until)
        pn_loop_turn(w.loop, 20);
    UNIT_TRUE(r.over && r.end == PN_CHECK_PART);
    UNIT_INT(status_of(pn_check_facts(c), "calm"), PN_PLUGIN_OK);
    UNIT_INT(status_of(pn_check_facts(c), "trouble"), PN_PLUGIN_FAILED);
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "PLUGIN_FAILED", "trouble"));
    end_message(&c, fd);
    world_down(&w);
}

/* Three plugins wait for a name, in two stages: it is asked once. */
static void test_dns(void)
{
    static const char *const three[] = {PLUGINS "/plain.so", PLUGINS "/trouble.so",
                                        PLUGINS "/calm.so", NULL};
    static const unsigned groups[] = {0, 0, 0};
    struct world w;
    struct pn_check *c;
    world_up(&w, three, groups, 1);
    w.delay_ms = 60;
    int fd = begin_message(&w, &c, "dns-headers-a.test dns-message-a.test ");
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    UNIT_TRUE(has_fact(pn_check_facts(c), "plain", "TROUBLE_ANSWER", "alpha"));
    UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_ANSWER", "alpha"));
    UNIT_INT(w.asked, 1);
    UNIT_INT(pn_check_facts(c)->dns_count, 1);
    end_message(&c, fd);
    world_down(&w);
}

/* What one message asked, another worker's next one finds on the shelf; both record it. */
static void test_shared_dns(void)
{
    struct world w;
    world_init(&w, two, one_group);
    w.shelf = pn_dns_shelf_new();
    UNIT_TRUE(w.shelf != NULL);
    world_workers(&w, 1);
    for (int i = 0; i < 3; i++) {
        struct pn_check *c;
        int fd = begin_message(&w, &c, "dns-message-a.test ");
        UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
        UNIT_TRUE(has_fact(pn_check_facts(c), "trouble", "TROUBLE_ANSWER", "alpha"));
        UNIT_INT(pn_check_facts(c)->dns_count, 1);
        end_message(&c, fd);
    }
    UNIT_INT(w.asked, 1);
    world_down(&w);
    pn_dns_shelf_free(&w.shelf);
}

/* Sessions that go away while their checks are under way. */
static void test_abandon(void)
{
    struct world w;
    struct pn_check *c;
    struct pn_runner_stats stats;
    world_up(&w, two, one_group, 1);
    for (int i = 0; i < 20; i++) {
        struct run r = {0};
        int fd = begin_message(&w, &c, i % 2 ? "slow-message" : "crash-message");
        UNIT_TRUE(pn_check_run(c, POSTERN_MESSAGE, run_done, &r));
        for (int k = 0; k < i % 5; k++)
            pn_loop_turn(w.loop, 5);
        if (i % 3 == 0)
            pn_check_reset(c);
        end_message(&c, fd);
    }
    uint64_t until = pn_clock_mono_ns() + UINT64_C(60) * PN_NS_PER_S;
    do {
        pn_loop_turn(w.loop, 20);
        pn_runner_stats(w.runner, &stats);
    } while (stats.inflight > 0 && pn_clock_mono_ns() < until);
    UNIT_INT(stats.inflight, 0);
    world_down(&w);
}

static void unknown_is(const struct pn_check *c, const char *want)
{
    struct pn_buf b;
    pn_buf_init(&b, 10000);
    struct pn_json j = pn_json_to(&b);
    pn_json_object(&j, NULL);
    pn_check_told_json(c, &j);
    pn_json_object_end(&j);
    size_t at = pn_str_find(pn_buf_str(&b), '[', 0);
    UNIT_STR(pn_str_slice(pn_buf_str(&b), at, b.len), pn_str_of(want));
    pn_buf_fini(&b);
}

/* Commands that we don't know come before the next step, whatever becomes of the others. */
static void test_unknown(void)
{
    struct world w;
    struct pn_check *c;
    char text[POSTERN_UNKNOWN_BYTES + 1];
    world_up(&w, two, one_group, 1);
    c = session_begin(&w, "192.0.2.1");
    unknown_is(c, "");
    pn_check_unknown(c, PN_STR("A"), PN_CHECK_NOW);
    pn_check_helo(c, PN_STR("friend"));
    pn_check_unknown(c, PN_STR("B \xff"), PN_CHECK_NOW);
    session_mail(c, "a@b.test", "u@here.test");
    UNIT_INT(run_to(&w, c, POSTERN_RCPT), PN_CHECK_WHOLE);
    pn_check_unknown(c, PN_STR(""), PN_CHECK_NOW);
#define TWO "[{\"line\":\"A\",\"step\":1},{\"line64\":\"QiD/\",\"step\":2},"
    unknown_is(c, TWO "{\"line\":\"\",\"step\":4}]}");
    int fd = session_content(c, "hello");
    UNIT_INT(run_to(&w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    unknown_is(c, TWO "{\"line\":\"\",\"step\":4}]}");
    pn_check_reset(c); /* the message is over: the next one's first step is told */
    unknown_is(c, TWO "{\"line\":\"\",\"step\":2}]}");
    pn_check_unknown(c, PN_STR("C"), 1); /* never before one that came before */
    pn_check_unknown(c, PN_STR("D"), PN_CHECK_NOW);
    unknown_is(c, TWO "{\"line\":\"\",\"step\":2},{\"line\":\"C\",\"step\":2}]}");
    pn_check_helo(c, PN_STR("other"));
    unknown_is(c, "[{\"line\":\"A\",\"step\":1},{\"line64\":\"QiD/\",\"step\":1},"
                  "{\"line\":\"\",\"step\":1},{\"line\":\"C\",\"step\":1}]}");
    pn_check_tls(c, &(struct pn_check_tls){.version = PN_STR("TLSv1.3")});
    unknown_is(c, "");
    memset(text, 'x', sizeof text);
    pn_check_unknown(c, (struct pn_str){text, sizeof text}, PN_CHECK_NOW);
    struct pn_buf cut;
    pn_buf_init(&cut, 1000);
    (void)pn_buf_addf(&cut, "[{\"line\":\"%.*s\",\"step\":1}]}", POSTERN_UNKNOWN_BYTES, text);
    unknown_is(c, pn_buf_cstr(&cut));
    pn_buf_fini(&cut);
    end_message(&c, fd);
    world_down(&w);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"moved", test_moved},
                                             {"stages", test_stages},
                                             {"given", test_given},
                                             {"waves", test_waves},
                                             {"head_start", test_head_start},
                                             {"alone", test_alone},
                                             {"budget", test_budget},
                                             {"budget of suspects", test_budget_of_suspects},
                                             {"dns", test_dns},
                                             {"shared_dns", test_shared_dns},
                                             {"abandon", test_abandon},
                                             {"unknown", test_unknown},
                                             {NULL, NULL}};
    pn_log_init("test", PN_LOG_ERROR);
    return unit_main("runner", tests, argc, argv);
}
