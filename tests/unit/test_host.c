/* The plugins' host on a message, without processes: addresses one by one. */
#include "unit.h"

#include "host.h"

#include <stdio.h>

struct rig {
    struct pn_pool *pool;
    struct pn_step step;
    struct pn_request request;
    struct host_plugin plugin;
    struct host_message message;
    struct host_call call;
    struct pn_facts facts;
};

static void rig_open(struct rig *r, struct pn_str content)
{
    static const struct postern_plugin desc = {.name = "test"};
    *r = (struct rig){.pool = pn_pool_new(HOST_POOL_MAX), .step = {.stage = POSTERN_MESSAGE}};
    r->request = (struct pn_request){.steps = &r->step, .step_count = 1, .transaction = 1};
    r->plugin.desc = &desc;
    host_message_init(&r->message, content, -1);
    host_call_init(&r->call, &r->plugin, &r->request, 0);
    pn_facts_init(&r->facts, r->pool);
    r->call.message = &r->message;
    r->call.facts = &r->facts;
    r->call.earlier = &r->facts;
    r->call.pool = r->call.life = r->pool;
}

static void rig_close(struct rig *r)
{
    host_message_fini(&r->message);
    pn_pool_free(&r->pool);
}

static int ask(struct rig *r, const char *name, size_t n, size_t k, struct postern_str *local)
{
    struct postern_str domain, display;
    return host_header_address(&r->call.call, name, n, k, local, &domain, &display);
}

/* In whatever order it is asked, the k-th is the k-th. */
static void test_any_order(void)
{
    static const char content[] = "From: a@x, friends: b@x, \"C\" <c@x>;, d@x\r\n"
                                  "To: e@x, f\r\nFrom: g@x\r\nX: \r\n\r\n";
    static const struct {
        const char *name;
        size_t n, k;
        const char *want; /* NULL: none */
    } rows[] = {
        {"From", 0, 0, "a"},  {"From", 0, 1, "b"},  {"From", 0, 1, "b"}, {"From", 0, 3, "d"},
        {"From", 0, 2, "c"},  {"From", 0, 4, NULL}, {"From", 0, 3, "d"}, {"From", 0, 9, NULL},
        {"From", 1, 0, "g"},  {"From", 1, 1, NULL}, {"From", 0, 2, "c"}, {"To", 0, 0, "e"},
        {"from", 0, 0, "a"},  {"TO", 0, 1, "f"},    {"X", 0, 0, NULL},   {"Y", 0, 0, NULL},
        {"From", 2, 0, NULL}, {"From", 0, 0, "a"},
    };
    struct rig r;
    rig_open(&r, pn_str_of(content));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct postern_str local;
        unit_row(rows[i].want == NULL ? "none" : rows[i].want);
        int rc = ask(&r, rows[i].name, rows[i].n, rows[i].k, &local);
        UNIT_TRUE((rc == POSTERN_NONE) == (rows[i].want == NULL));
        if (rc != POSTERN_NONE && rows[i].want != NULL)
            UNIT_STR(((struct pn_str){local.p, local.len}), pn_str_of(rows[i].want));
    }
    rig_close(&r);
}

static void test_long_names(void)
{
    char content[400], name[HOST_ADDRESS_NAME_MAX + 2];
    for (size_t len = HOST_ADDRESS_NAME_MAX - 2; len <= HOST_ADDRESS_NAME_MAX + 1; len++) {
        struct rig r;
        struct postern_str local;
        memset(name, 'N', len);
        name[len] = '\0';
        (void)snprintf(content, sizeof content, "%s: a@x, b@x\r\n%.*s: c@x\r\n\r\n", name,
                       (int)len - 1, name);
        rig_open(&r, pn_str_of(content));
        UNIT_INT(ask(&r, name, 0, 1, &local), POSTERN_OK);
        UNIT_TRUE(local.len == 1 && local.p[0] == 'b');
        name[len - 1] = '\0';
        UNIT_INT(ask(&r, name, 0, 0, &local), POSTERN_OK);
        UNIT_TRUE(local.len == 1 && local.p[0] == 'c');
        rig_close(&r);
    }
}

/* A walk over all of them parses each once: the walk never goes back. */
static void test_walk(void)
{
    enum { COUNT = 40000 };
    struct pn_buf b;
    struct rig r;
    struct postern_str local;
    size_t k = 0, at = 0;
    bool on = true;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_buf_addz(&b, "To: x@y");
    for (size_t i = 1; i < COUNT; i++)
        (void)pn_buf_addf(&b, ",\r\n u%zu@y", i);
    (void)pn_buf_addz(&b, "\r\n\r\n");
    rig_open(&r, pn_buf_str(&b));
    for (; ask(&r, "To", 0, k, &local) == POSTERN_OK; k++) {
        on = on && r.call.addresses.next == k + 1 && r.call.addresses.walk.at > at;
        at = r.call.addresses.walk.at;
    }
    UNIT_INT(k, COUNT);
    UNIT_TRUE(on);
    rig_close(&r);
    pn_buf_fini(&b);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"addresses in any order", test_any_order},
        {"long names", test_long_names},
        {"a walk goes on", test_walk},
        {NULL, NULL},
    };
    return unit_main("host", tests, argc, argv);
}
