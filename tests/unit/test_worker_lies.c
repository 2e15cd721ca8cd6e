/*
 * A worker that was taken over: the test speaks for it, in records that no plugin's host
 * would send. What it says of its own plugin counts, and nothing else.
 */
#include "memfile.h"
#include "page.h"
#include "request.h"
#include "unit.h"
#include "world.h"

#include <unistd.h>

static const char *const files[] = {PLUGINS "/calm.so", PLUGINS "/trouble.so", NULL};
static const unsigned groups[] = {0, 1};

struct liar {
    struct world world;
    struct pn_channel *channel;
    struct pn_page *page;
    /* What it answers, with the facts of a plugin that it names. */
    const char *name;
    uint8_t plugin;
    uint32_t step;
    void (*lie)(struct pn_facts *f, struct pn_str plugin);
    int body;       /* a descriptor that it sends along; 0: none */
    bool says_body; /* that its plugin proposed that one */
    unsigned asked;
    bool ended;
};

static void a_symbol(struct pn_facts *f, struct pn_str plugin)
{
    UNIT_TRUE(pn_facts_add_symbol(
        f, &(struct pn_fact){PN_STR("LIE"), plugin, PN_STR(""), 1000, PN_FACT_ALL_RCPTS}));
}

static void a_result(struct pn_facts *f, struct pn_str plugin)
{
    UNIT_TRUE(
        pn_facts_add_auth(f, &(struct pn_auth){.plugin = plugin, PN_STR("spf"), PN_STR("pass")}));
}

static void a_note(struct pn_facts *f, struct pn_str plugin)
{
    UNIT_TRUE(pn_facts_set_note(f, &(struct pn_note){plugin, PN_STR("k"), PN_STR("v")}));
}

static void an_edit(struct pn_facts *f, struct pn_str plugin)
{
    UNIT_TRUE(pn_facts_add_edit(
        f,
        &(struct pn_fact_edit){.plugin = plugin, .name = PN_STR("X-Lie"), .value = PN_STR("v")}));
}

static void a_body(struct pn_facts *f, struct pn_str plugin)
{
    UNIT_TRUE(
        pn_facts_add_edit(f, &(struct pn_fact_edit){.op = PN_FACT_REPLACE_BODY, .plugin = plugin}));
}

static void a_run(struct pn_facts *f, struct pn_str plugin)
{
    UNIT_TRUE(pn_facts_add_run(f, &(struct pn_plugin_run){plugin, PN_PLUGIN_OK, 1, PN_STR("")}));
}

static void answer(struct liar *l, uint64_t id)
{
    struct pn_pool *pool = pn_pool_new(1 << 20);
    struct pn_buf facts, body;
    struct pn_facts f;
    pn_buf_init(&facts, 1 << 16);
    pn_buf_init(&body, 1 << 16);
    pn_facts_init(&f, pool);
    if (l->lie != NULL)
        l->lie(&f, pn_str_of(l->name));
    pn_facts_put(&facts, &f);
    if (l->lie == NULL)
        (void)pn_buf_addz(&facts, "no facts");
    struct pn_finding finding = {
        .step = l->step, .plugin = l->plugin, .body = l->says_body, .facts = pn_buf_str(&facts)};
    UNIT_TRUE(
        pn_findings_put(&body, &(struct pn_findings){.id = id, .count = 1, .items = &finding}));
    UNIT_TRUE(
        pn_channel_send(l->channel, PN_REC_CHECK_DONE, pn_buf_str(&body), &l->body, l->body != 0));
    pn_buf_fini(&body);
    pn_buf_fini(&facts);
    pn_pool_free(&pool);
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct liar *l = ctx;
    struct pn_pool *pool = pn_pool_new(1 << 20);
    struct pn_request q;
    if (record->type == PN_REC_CHECK && pn_request_get(record->body, pool, &q)) {
        l->asked++;
        answer(l, q.id);
    }
    pn_pool_free(&pool);
    return true;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    (void)how;
    ((struct liar *)ctx)->ended = true;
}

/* The worker of calm's group; trouble's is an honest one. */
static void liar_up(struct liar *l)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    int pair[2], fd = -1;
    struct pn_buf tag;
    world_init(&l->world, files, groups);
    l->world.plan->plugins[1].stages = 0; /* it waits for nobody else */
    world_workers(&l->world, 0);
    UNIT_INT(pn_channel_pair(pair), 0);
    l->channel = pn_channel_new(l->world.loop, pair[1], &ops, l, 1 << 20);
    l->page = pn_page_new(&fd);
    UNIT_TRUE(l->page != NULL);
    pn_buf_init(&tag, 16);
    pn_page_tag_put(&tag, &(struct pn_page_tag){1});
    UNIT_TRUE(pn_channel_send(l->channel, PN_REC_CHECK_PAGE, pn_buf_str(&tag), &fd, 1));
    pn_buf_fini(&tag);
    (void)close(fd);
    struct pn_peer peer = {.role = PN_ROLE_FILTER, .number = 1, .generation = 1, .fd = pair[0]};
    pn_runner_add_worker(l->world.runner, &peer);
}

static void liar_down(struct liar *l)
{
    world_down(&l->world);
    pn_page_unmap((const struct pn_page **)&l->page);
}

static void test_names(void)
{
    static const struct {
        const char *label, *name;
        void (*lie)(struct pn_facts *f, struct pn_str plugin);
        unsigned want; /* calm's status */
    } rows[] = {
        {"its own symbol", "calm", a_symbol, PN_PLUGIN_OK},
        {"its own result", "calm", a_result, PN_PLUGIN_OK},
        {"its own note", "calm", a_note, PN_PLUGIN_OK},
        {"its own edit", "calm", an_edit, PN_PLUGIN_OK},
        {"another's symbol", "trouble", a_symbol, PN_PLUGIN_FAILED},
        {"another's result", "spf", a_result, PN_PLUGIN_FAILED},
        {"another's note", "trouble", a_note, PN_PLUGIN_FAILED},
        {"another's edit", "trouble", an_edit, PN_PLUGIN_FAILED},
        {"a run of its own telling", "calm", a_run, PN_PLUGIN_FAILED},
        {"no facts at all", "calm", NULL, PN_PLUGIN_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct liar l = {.name = rows[i].name, .lie = rows[i].lie};
        unit_row(rows[i].label);
        liar_up(&l);
        struct pn_check *c = session_begin(&l.world, "192.0.2.1");
        UNIT_INT(run_to(&l.world, c, POSTERN_CONNECT), PN_CHECK_WHOLE);
        const struct pn_facts *f = pn_check_facts(c);
        UNIT_INT(l.asked, 1);
        UNIT_INT(status_of(f, "calm"), rows[i].want);
        bool failed = rows[i].want == PN_PLUGIN_FAILED;
        UNIT_TRUE(has_fact(f, "calm", "PLUGIN_FAILED", "calm") == failed);
        UNIT_INT(f->symbol_count, failed || rows[i].lie == a_symbol);
        UNIT_INT(f->auth_count, !failed && rows[i].lie == a_result);
        UNIT_INT(f->note_count, !failed && rows[i].lie == a_note);
        UNIT_INT(f->edit_count, !failed && rows[i].lie == an_edit);
        UNIT_INT(f->run_count, 1);
        pn_check_free(&c);
        pn_channel_free(&l.channel);
        liar_down(&l);
    }
}

/* Plugins and steps that it was not asked about are passed over. */
static void test_places(void)
{
    static const struct {
        const char *label;
        uint8_t plugin;
        uint32_t step;
    } rows[] = {{"a plugin of another group", 1, 0},
                {"a plugin that is not there", 9, 0},
                {"a step that is not there", 0, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct liar l = {
            .name = "calm", .lie = a_symbol, .plugin = rows[i].plugin, .step = rows[i].step};
        unit_row(rows[i].label);
        liar_up(&l);
        struct pn_check *c = session_begin(&l.world, "192.0.2.1");
        UNIT_INT(run_to(&l.world, c, POSTERN_CONNECT), PN_CHECK_WHOLE);
        UNIT_INT(pn_check_facts(c)->symbol_count, 0);
        UNIT_INT(status_of(pn_check_facts(c), "calm"), PN_PLUGIN_SKIPPED);
        pn_check_free(&c);
        pn_channel_free(&l.channel);
        liar_down(&l);
    }
}

/* A new body counts with an edit that speaks of one, of a plugin that may. */
static void test_bodies(void)
{
    static const struct {
        const char *label;
        void (*lie)(struct pn_facts *f, struct pn_str plugin);
        unsigned edits;
        bool sends, says, want;
    } rows[] = {
        {"granted", a_body, PN_EDITS_BODY, true, true, true},
        {"not granted", a_body, PN_EDITS_ALL & ~(unsigned)PN_EDITS_BODY, true, true, false},
        {"no edit speaks of it", an_edit, PN_EDITS_BODY, true, true, false},
        {"nobody says it is his", a_body, PN_EDITS_BODY, true, false, false},
        {"it did not come", a_body, PN_EDITS_BODY, false, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct liar l = {.name = "calm", .lie = rows[i].lie, .says_body = rows[i].says};
        size_t edit = 99;
        unit_row(rows[i].label);
        l.body = rows[i].sends ? pn_memfile_of("body", PN_STR("x")) : 0;
        liar_up(&l);
        l.world.plan->plugins[0].edits = rows[i].edits;
        struct pn_check *c = session_begin(&l.world, "192.0.2.1");
        session_mail(c, "a@b.test", "u@here.test");
        UNIT_INT(run_to(&l.world, c, POSTERN_MAIL), PN_CHECK_WHOLE);
        UNIT_INT(status_of(pn_check_facts(c), "calm"), PN_PLUGIN_OK);
        UNIT_INT(pn_check_body(c, &edit) >= 0, rows[i].want);
        if (rows[i].want)
            UNIT_INT(edit, 0);
        pn_check_reset(c);
        UNIT_INT(pn_check_body(c, &edit), -1);
        pn_check_free(&c);
        pn_channel_free(&l.channel);
        if (rows[i].sends)
            (void)close(l.body);
        liar_down(&l);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"names", test_names}, {"places", test_places}, {"bodies", test_bodies}, {NULL, NULL}};
    return unit_main("worker_lies", tests, argc, argv);
}
