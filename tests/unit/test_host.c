/* The plugins' host on a message, without processes: addresses one by one, proposed edits. */
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

static struct postern_str text(const char *p)
{
    return (struct postern_str){p, strlen(p)};
}

/* What each function takes, by stage, and how it is recorded. */
static void test_edits(void)
{
    static char long_value[16 * 1024 + 2];
    enum { ADD, REMOVE, INSERT, CHANGE, FROM, TO, NOT_TO };
    static const struct {
        const char *label;
        unsigned call;
        const char *name, *value;
        size_t n;
        int want, want_early; /* from HEADERS on, and before */
    } rows[] = {
        {"add", ADD, "X-A", "v", 0, POSTERN_OK, POSTERN_OK},
        {"add folded", ADD, "X-A", "v\r\n w", 0, POSTERN_OK, POSTERN_OK},
        {"add another line", ADD, "X-A", "v\r\nB: w", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"remove", REMOVE, "X-A", "", 3, POSTERN_OK, POSTERN_OK},
        {"insert", INSERT, "X-A", "v", 7, POSTERN_OK, POSTERN_INVALID},
        {"insert nothing", INSERT, "X-A", "", 0, POSTERN_OK, POSTERN_INVALID},
        {"insert without a name", INSERT, "", "v", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"insert CR", INSERT, "X-A", "a\rb", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"insert LF", INSERT, "X-A", "a\n b", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"insert folded", INSERT, "X-A", "a\r\n\tb", 0, POSTERN_OK, POSTERN_INVALID},
        {"insert a fold that is none", INSERT, "X-A", "a\r\n", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"insert too far", INSERT, "X-A", "a", (size_t)UINT32_MAX + 1, POSTERN_INVALID,
         POSTERN_INVALID},
        {"insert at the limit", INSERT, "X-A", long_value + 1, 0, POSTERN_OK, POSTERN_INVALID},
        {"insert too long", INSERT, "X-A", long_value, 0, POSTERN_INVALID, POSTERN_INVALID},
        {"insert what is no UTF-8", INSERT, "X-A", "\xff", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"change", CHANGE, "X-A", "v", 2, POSTERN_OK, POSTERN_INVALID},
        {"change to nothing", CHANGE, "X-A", "", 0, POSTERN_OK, POSTERN_INVALID},
        {"change a bad name", CHANGE, "X A", "v", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"from", FROM, "", "a@b.test", 0, POSTERN_OK, POSTERN_INVALID},
        {"from null", FROM, "", "", 0, POSTERN_OK, POSTERN_INVALID},
        {"from nowhere", FROM, "", "a", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"from two lines", FROM, "", "a@b.test\r\n c", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"one more", TO, "", "a@b.test", 0, POSTERN_OK, POSTERN_INVALID},
        {"one more, nobody", TO, "", "", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"one more, a tab", TO, "", "a\t@b.test", 0, POSTERN_INVALID, POSTERN_INVALID},
        {"one less", NOT_TO, "", "a@b.test", 0, POSTERN_OK, POSTERN_INVALID},
        {"one less, nobody", NOT_TO, "", "", 0, POSTERN_INVALID, POSTERN_INVALID},
    };
    static const unsigned ops[] = {
        PN_FACT_ADD_HEADER,  PN_FACT_REMOVE_HEADER, PN_FACT_INSERT_HEADER, PN_FACT_CHANGE_HEADER,
        PN_FACT_CHANGE_FROM, PN_FACT_ADD_RCPT,      PN_FACT_REMOVE_RCPT};
    memset(long_value, 'x', sizeof long_value - 1);
    for (size_t i = 0; i < 4 * sizeof rows / sizeof rows[0]; i++) {
        static const unsigned stages[] = {POSTERN_HEADERS, POSTERN_MESSAGE, POSTERN_RCPT,
                                          POSTERN_AFTER};
        size_t k = i / 4;
        struct postern_str name = text(rows[k].name), value = text(rows[k].value);
        struct rig r;
        rig_open(&r, PN_STR("\r\n"));
        struct postern_call *c = &r.call.call;
        r.step.stage = (uint8_t)stages[i % 4];
        unit_row(rows[k].label);
        int got = rows[k].call == ADD      ? c->host->add_header(c, name, value)
                  : rows[k].call == REMOVE ? c->host->remove_header(c, name, rows[k].n)
                  : rows[k].call == INSERT ? c->host->insert_header(c, rows[k].n, name, value)
                  : rows[k].call == CHANGE ? c->host->change_header(c, name, rows[k].n, value)
                  : rows[k].call == FROM   ? c->host->change_from(c, value)
                  : rows[k].call == TO     ? c->host->add_rcpt(c, value)
                                           : c->host->remove_rcpt(c, value);
        UNIT_INT(got, i % 4 < 2 ? rows[k].want : rows[k].want_early);
        UNIT_INT(r.facts.edit_count, got == POSTERN_OK);
        if (r.facts.edit_count == 1) {
            UNIT_INT(r.facts.edits[0].op, ops[rows[k].call]);
            UNIT_STR(r.facts.edits[0].plugin, PN_STR("test"));
            UNIT_STR(r.facts.edits[0].name, pn_str_of(rows[k].name));
            UNIT_STR(r.facts.edits[0].value, pn_str_of(rows[k].value));
            UNIT_INT(r.facts.edits[0].index, rows[k].n);
        }
        rig_close(&r);
    }
}

/* Chunks parted by '|'; a '0' is a NUL. */
static void test_body(void)
{
    static const struct {
        const char *chunks, *want; /* NULL: not whole */
        const char *status;        /* of each chunk: ok, bad, limit */
    } rows[] = {
        {"", "", "o"},
        {"a\r\n", "a\r\n", "o"},
        {"a\r|\nb", "a\r\nb", "oo"},
        {"a\r|b", "a\r", "ob"},
        {"a\n", "", "b"},
        {"a|\n", "a", "ob"},
        {"\n", "", "b"},
        {"a\rb", "", "b"},
        {"a0b|c", "c", "bo"},
        {"a\r||\n", "a\r\n", "ooo"},
        {"12345678|9", NULL, "ol"},
        {"1234567|89|8", NULL, "oll"},
        {"123456789", NULL, "l"},
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        bool kept = i % 2 == 0; /* or only counted */
        struct pn_memfile file = {.fd = -1};
        struct pn_str rest = pn_str_of(rows[i / 2].chunks), body;
        struct rig r;
        unit_row(rows[i / 2].chunks);
        rig_open(&r, PN_STR("\r\n"));
        r.call.body = kept ? &file : NULL;
        r.call.body_max = 8;
        for (size_t k = 0; rest.p != NULL; k++) {
            struct pn_str chunk = pn_str_split(&rest, '|');
            char bytes[16];
            for (size_t b = 0; b < chunk.len; b++)
                bytes[b] = chunk.p[b] == '0' ? '\0' : chunk.p[b];
            char want = rows[i / 2].status[k];
            UNIT_INT(host_replace_body(&r.call.call, (struct postern_str){bytes, chunk.len}),
                     want == 'o'   ? POSTERN_OK
                     : want == 'b' ? POSTERN_INVALID
                                   : POSTERN_LIMIT);
        }
        bool any = strpbrk(rows[i / 2].status, "ol") != NULL;
        UNIT_INT(r.facts.edit_count, any);
        const char *whole = rows[i / 2].want;
        if (any)
            UNIT_INT(r.facts.edits[0].index, whole == NULL ? PN_FACT_BODY_BROKEN : strlen(whole));
        if (whole != NULL)
            UNIT_INT(file.len, kept ? strlen(whole) : 0);
        if (whole != NULL && file.fd >= 0 && pn_map_fd(file.fd, false, &body) == 0) {
            UNIT_STR(body, pn_str_of(rows[i / 2].want));
            pn_unmap(&body);
        }
        pn_memfile_fini(&file);
        rig_close(&r);
    }
    struct rig early;
    rig_open(&early, PN_STR("\r\n"));
    early.step.stage = POSTERN_RCPT;
    UNIT_INT(host_replace_body(&early.call.call, POSTERN_STR("")), POSTERN_INVALID);
    UNIT_INT(early.facts.edit_count, 0);
    rig_close(&early);
}

/* All together are bounded, whatever one plugin says. */
static void test_edits_bounded(void)
{
    static char value[16 * 1024];
    struct rig r;
    unsigned taken = 0;
    memset(value, 'x', sizeof value);
    rig_open(&r, PN_STR("\r\n"));
    while (host_insert_header(&r.call.call, 0, POSTERN_STR("X"),
                              (struct postern_str){value, sizeof value}) == POSTERN_OK)
        taken++;
    UNIT_INT(taken, (PN_FACTS_EDIT_BYTES_MAX - 1) / (sizeof value + 1));
    UNIT_INT(r.facts.edit_count, 0); /* and none of them counts, nor any that comes later */
    UNIT_INT(host_add_rcpt(&r.call.call, POSTERN_STR("a@b")), POSTERN_LIMIT);
    UNIT_INT(host_replace_body(&r.call.call, POSTERN_STR("")), POSTERN_LIMIT);
    UNIT_INT(host_add_rcpt(&r.call.call, POSTERN_STR("")), POSTERN_INVALID);
    UNIT_INT(r.facts.edit_count, 0);
    UNIT_TRUE(r.call.edits_dropped);
    rig_close(&r);
    rig_open(&r, PN_STR("\r\n"));
    for (taken = 0; taken < PN_FACTS_EDITS_MAX; taken++)
        UNIT_INT(host_add_rcpt(&r.call.call, POSTERN_STR("a@b")), POSTERN_OK);
    UNIT_INT(r.facts.edit_count, PN_FACTS_EDITS_MAX);
    UNIT_INT(host_change_from(&r.call.call, POSTERN_STR("")), POSTERN_LIMIT);
    UNIT_INT(r.facts.edit_count, 0);
    rig_close(&r);
}

static void test_client_network(void)
{
    static const struct {
        const char *ip;
        uint32_t bits4, bits6;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"192.0.2.255", 24, 64, "192.0.2.0/24"},
        {"192.0.2.255", 31, 64, "192.0.2.254/31"},
        {"192.0.2.255", 32, 64, "192.0.2.255/32"},
        {"192.0.2.255", 0, 64, "0.0.0.0/0"},
        {"2001:db8:1:2:3::4", 24, 64, "2001:db8:1:2::/64"},
        {"2001:db8:1:2:3::4", 24, 128, "2001:db8:1:2:3::4/128"},
        {"2001:db8::4", 24, 0, "::/0"},
        {"192.0.2.1", 33, 64, NULL},
        {"2001:db8::4", 24, 129, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        struct postern_str out = {"", 0};
        unit_row(rows[i].ip);
        rig_open(&r, PN_STR(""));
        UNIT_TRUE(pn_ip_parse(pn_str_of(rows[i].ip), &r.request.client));
        host_call_init(&r.call, &r.plugin, &r.request, 0);
        r.call.pool = r.pool;
        int rc = r.call.call.host->client_network(&r.call.call, rows[i].bits4, rows[i].bits6, &out);
        UNIT_INT(rc, rows[i].want == NULL ? POSTERN_INVALID : POSTERN_OK);
        UNIT_STR(((struct pn_str){out.p, out.len}),
                 pn_str_of(rows[i].want == NULL ? "" : rows[i].want));
        rig_close(&r);
    }
}

/* Encoded words of any value, with a message or before there is one. */
static void test_words_text(void)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"", ""},
        {" plain\r\n\tfolded ", "plain\tfolded"},
        {"name=\"=?utf-8?B?aW52b2ljZS5leGU=?=\"", "name=\"invoice.exe\""},
        {"=?utf-8?q?a?=\r\n =?utf-8?q?b?= c", "ab c"},
        {"=?iso-8859-1?q?=FC?=", "\xc3\xbc"},
        {"=?utf-8?q?open", "=?utf-8?q?open"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        struct postern_str out = {"", 0}, value = {rows[i].value, strlen(rows[i].value)};
        unit_row(rows[i].value);
        rig_open(&r, PN_STR(""));
        r.call.message = i % 2 == 0 ? NULL : &r.message;
        UNIT_INT(r.call.call.host->words_text(&r.call.call, value, &out), POSTERN_OK);
        UNIT_STR(((struct pn_str){out.p, out.len}), pn_str_of(rows[i].want));
        rig_close(&r);
    }
}

/* Commands that we don't know are told from their step on. */
static void test_unknown(void)
{
    struct pn_str lines[] = {PN_STR_INIT("A 1"), PN_STR_INIT("B"), PN_STR_INIT("C")};
    uint32_t steps[] = {1, 1, 3};
    struct pn_step all[] = {
        {POSTERN_CONNECT, 0, 1}, {POSTERN_HELO, 0, 1}, {POSTERN_MAIL, 0, 1}, {POSTERN_RCPT, 1, 1}};
    static const size_t want[] = {0, 2, 2, 3};
    for (unsigned i = 0; i < 4; i++) {
        struct rig r;
        rig_open(&r, PN_STR(""));
        r.request.steps = all;
        r.request.step_count = 4;
        r.request.unknown = lines;
        r.request.unknown_steps = steps;
        r.request.unknown_count = 3;
        host_call_init(&r.call, &r.plugin, &r.request, i);
        const struct postern_client *client = r.call.call.host->client(&r.call.call);
        UNIT_INT(client->unknown_count, want[i]);
        for (size_t k = 0; k < client->unknown_count; k++)
            UNIT_STR(((struct pn_str){client->unknown[k].p, client->unknown[k].len}), lines[k]);
        rig_close(&r);
    }
}

/* What a client did not wait for is told from its own stage on, whenever that is run. */
static void test_early(void)
{
    static const struct {
        uint32_t stage, early, want;
    } rows[] = {
        {POSTERN_CONNECT, 0, 0}, {POSTERN_CONNECT, 7, 1}, {POSTERN_HELO, 7, 3},
        {POSTERN_HELO, 4, 0},    {POSTERN_RCPT, 7, 3},    {POSTERN_HEADERS, 7, 7},
        {POSTERN_MESSAGE, 6, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        rig_open(&r, PN_STR(""));
        r.step.stage = (uint8_t)rows[i].stage;
        r.request.flags = PN_REQUEST_TLS | rows[i].early << PN_REQUEST_EARLY_SHIFT;
        host_call_init(&r.call, &r.plugin, &r.request, 0);
        UNIT_INT(r.call.call.host->client(&r.call.call)->early, rows[i].want);
        UNIT_INT(r.call.call.host->client(&r.call.call)->tls, 1);
        rig_close(&r);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"addresses in any order", test_any_order},
        {"long names", test_long_names},
        {"a walk goes on", test_walk},
        {"early clients", test_early},
        {"unknown commands", test_unknown},
        {"networks of clients", test_client_network},
        {"encoded words of any value", test_words_text},
        {"edits", test_edits},
        {"a new body", test_body},
        {"edits are bounded", test_edits_bounded},
        {NULL, NULL},
    };
    return unit_main("host", tests, argc, argv);
}
