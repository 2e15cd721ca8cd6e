/* Ticks of plugins in workers, and the standing that messages find. */
#include "clock.h"
#include "log.h"
#include "unit.h"
#include "world.h"

#include <stdio.h>
#include <unistd.h>

static const char *const files[] = {PLUGINS "/ticker.so", PLUGINS "/calm.so", NULL};
static const unsigned groups[] = {0, 0};

/* A world whose tick.test says this; workers are due. */
static void begin(struct world *w, const char *says)
{
    char zone[200];
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    (void)snprintf(zone, sizeof zone, "tick.test TXT \"%s\"\n", says);
    world_init(w, files, groups);
    pn_dnsfile_free(&w->zone);
    w->zone = pn_dnsfile_parse(pn_str_of(zone), "zone", &err);
    UNIT_TRUE(w->zone != NULL);
    pn_buf_fini(&err);
}

/* What a message finds; a given standing may be set on it first. */
static void one_message(struct world *w, const struct pn_state_seen *given, struct pn_buf *out)
{
    struct pn_check *c = session_begin(w, "192.0.2.1");
    if (given != NULL)
        UNIT_TRUE(pn_check_standing(c, given->plugin, given->value, given->step));
    pn_check_helo(c, PN_STR("friend"));
    session_mail(c, "a@b.test", "u@here.test");
    int fd = session_content(c, "hello");
    UNIT_INT(run_to(w, c, POSTERN_MESSAGE), PN_CHECK_WHOLE);
    const struct pn_facts *f = pn_check_facts(c);
    UNIT_INT(status_of(f, "ticker"), PN_PLUGIN_OK);
    UNIT_INT(status_of(f, "calm"), PN_PLUGIN_OK);
    pn_buf_clear(out);
    for (size_t i = 0; i < f->symbol_count; i++)
        if (pn_str_eq(f->symbols[i].plugin, PN_STR("ticker")))
            (void)pn_buf_addf(out, "%.*s(%.*s) ", PN_FMT(f->symbols[i].name),
                              PN_FMT(f->symbols[i].detail));
    for (size_t i = 0; i < f->state_count; i++)
        (void)pn_buf_addf(out, "%.*s@%u ", PN_FMT(f->state[i].value), f->state[i].step);
    pn_check_free(&c);
    (void)close(fd);
}

/* Messages until one finds that; the worker's first tick runs beside them. */
static void expect(struct world *w, const char *want)
{
    struct pn_buf b;
    uint64_t until = pn_clock_mono_ns() + (uint64_t)WORLD_PATIENCE_MS * PN_NS_PER_MS;
    pn_buf_init(&b, 10000);
    do
        one_message(w, NULL, &b);
    while (!pn_str_eq(pn_buf_str(&b), pn_str_of(want)) && pn_clock_mono_ns() < until);
    UNIT_STR(pn_buf_str(&b), pn_str_of(want));
    pn_buf_fini(&b);
}

static void test_standing(void)
{
    struct world w;
    begin(&w, "all is well");
    world_workers(&w, 1);
    /* Recorded once, of the first stage that found it. */
    expect(&w, "TICKER_FOUND(connect all is well) TICKER_FOUND(mail all is well) "
               "TICKER_FOUND(message all is well) all is well@0 ");
    world_down(&w);
}

/* Replaced, and taken back, by later ticks. */
static void test_later(void)
{
    struct world w;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    begin(&w, "one");
    world_workers(&w, 1);
    expect(&w, "TICKER_FOUND(connect one) TICKER_FOUND(mail one) TICKER_FOUND(message one) one@0 ");
    pn_dnsfile_free(&w.zone);
    w.zone = pn_dnsfile_parse(PN_STR("tick.test TXT -\n"), "zone", &err);
    expect(&w, "TICKER_NOTHING() ");
    world_down(&w);
    pn_buf_fini(&err);
}

static void test_given(void)
{
    static const struct {
        uint32_t step;
        const char *want;
    } rows[] = {
        {0, "TICKER_FOUND(connect g) TICKER_FOUND(mail g) TICKER_FOUND(message g) g@0 "},
        {1, "TICKER_NOTHING() TICKER_FOUND(mail g) TICKER_FOUND(message g) g@1 "},
        {2, "TICKER_NOTHING() TICKER_FOUND(mail g) TICKER_FOUND(message g) g@2 "},
        {3, "TICKER_NOTHING() TICKER_FOUND(message g) g@3 "},
    };
    struct world w;
    begin(&w, "live");
    world_workers(&w, 1);
    expect(&w, "TICKER_FOUND(connect live) TICKER_FOUND(mail live) TICKER_FOUND(message live) "
               "live@0 ");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_state_seen given = {
            .plugin = PN_STR("ticker"), .value = PN_STR("g"), .step = rows[i].step};
        struct pn_buf b;
        pn_buf_init(&b, 10000);
        one_message(&w, &given, &b);
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want));
        pn_buf_fini(&b);
    }
    char text[POSTERN_STANDING_MAX + 1] = {0};
    struct pn_check *c = session_begin(&w, "192.0.2.1");
    UNIT_TRUE(!pn_check_standing(c, PN_STR("ticker"), (struct pn_str){text, sizeof text}, 0));
    pn_check_free(&c);
    world_down(&w);
}

/* A tick that fails, crashes or hangs: no message suffers. */
static void test_trouble(void)
{
    static const struct {
        const char *says;
        uint64_t deaths; /* of workers, that are to be seen */
    } rows[] = {{"fail", 0}, {"crash", 3}, {"hang", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct pn_runner_stats stats = {.worker_deaths = 0};
        uint64_t until = pn_clock_mono_ns() + (uint64_t)WORLD_PATIENCE_MS * PN_NS_PER_MS;
        unit_row(rows[i].says);
        begin(&w, rows[i].says);
        w.plan->plugins[0].deadline_ms = WORLD_HANG_MS;
        world_workers(&w, 1);
        struct pn_buf b;
        pn_buf_init(&b, 10000);
        do {
            one_message(&w, NULL, &b);
            UNIT_STR(pn_buf_str(&b), PN_STR("TICKER_NOTHING() "));
            pn_runner_stats(w.runner, &stats);
        } while (stats.worker_deaths < rows[i].deaths && pn_clock_mono_ns() < until);
        UNIT_TRUE(stats.worker_deaths >= rows[i].deaths);
        UNIT_INT(w.failures, 0);
        pn_buf_fini(&b);
        world_down(&w);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"standing", test_standing},
                                             {"later", test_later},
                                             {"given", test_given},
                                             {"trouble", test_trouble},
                                             {NULL, NULL}};
    pn_log_init("test", PN_LOG_ERROR);
    return unit_main("ticks", tests, argc, argv);
}
