#include "unit.h"

#include "loader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int callback(struct postern_call *c)
{
    (void)c;
    return POSTERN_OK;
}

static int object_new(struct postern_call *c, void **object)
{
    *object = NULL;
    return callback(c);
}

static int looks(void *prepared)
{
    (void)prepared;
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

static bool has(struct pn_buf *b, const char *word)
{
    return strstr(pn_buf_cstr(b), word) != NULL;
}

static void test_load(void)
{
    static const struct {
        const char *file;
        const char *want; /* in the sentence; NULL: loads */
    } rows[] = {
        {PLUGINS "/shout.so", NULL},
        {PLUGINS "/shout_old.so", NULL},   /* 1.0, and its size */
        {PLUGINS "/shout_later.so", NULL}, /* longer, but uses nothing of it */
        {PLUGINS "/shout_uses.so", "says plugin ABI 1.0, but uses what came later than 1.1"},
        {PLUGINS "/shout_short.so", "says plugin ABI 1.1, but its descriptor has 264 bytes"},
        {PLUGINS "/shout_major.so", "built for plugin ABI 2.1, this Postern has 1.1"},
        {PLUGINS "/shout_minor.so", "built for plugin ABI 1.2, this Postern has 1.1"},
        {PLUGINS "/shout_size.so", "its descriptor has"},
        {PLUGINS "/shout_huge.so", "not a plugin's descriptor"},
        {PLUGINS "/shout_tiny.so", "not a plugin's descriptor"},
        {PLUGINS "/shout_hidden.so", "exports no `postern_plugin`"},
        {PLUGINS "/shout_name.so", "a plugin's name is"},
        {PLUGINS "/none.so", "No such file"},
        {PLUGINS, "regular file"},
        {"/dev/null", "regular file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].file);
        struct pn_plugin *p = pn_plugin_load(rows[i].file, &err);
        UNIT_INT(p != NULL, rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want) && has(&err, rows[i].file));
        else
            UNIT_INT(err.len, 0);
        if (p != NULL) {
            UNIT_TRUE(pn_plugin_desc(p)->on[POSTERN_HEADERS] != NULL);
            for (size_t k = 0; k < POSTERN_STAGES_ROOM; k++)
                UNIT_TRUE(pn_plugin_desc(p)->prefetch[k] == NULL);
            UNIT_STR(pn_str_of(pn_plugin_desc(p)->name), PN_STR("shout"));
            UNIT_INT(pn_plugin_symbols(p), 1);
        }
        pn_plugin_unload(&p);
        UNIT_TRUE(p == NULL);
        pn_buf_fini(&err);
    }
}

/* The same bytes under modes that others could write through, and bytes that are none. */
static void test_file(void)
{
    static const struct {
        const char *label;
        mode_t mode;
        bool elf;
        const char *want;
        bool foreign; /* owned by nobody we trust; root alone can make it so */
    } rows[] = {
        {"group may write", 0664, true, "others may write", false},
        {"world may write", 0646, true, "others may write", false},
        {"another's", 0644, true, "must be owned by root or by the user", true},
        {"text", 0644, false, "file too short", false},
        {"mode 0644", 0644, true, NULL, false},
    };
    char folder[] = "/tmp/pn-loader-XXXXXX", path[64];
    UNIT_TRUE(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/p.so", folder);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        if (rows[i].foreign && geteuid() != 0)
            continue;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].label);
        FILE *from = fopen(rows[i].elf ? PLUGINS "/shout.so" : "/dev/null", "r");
        FILE *to = fopen(path, "w");
        for (int c; from != NULL && to != NULL && (c = getc(from)) != EOF;)
            (void)putc(c, to);
        if (!rows[i].elf)
            (void)fputs("no plugin\n", to);
        UNIT_TRUE(fclose(to) == 0 && fclose(from) == 0 && chmod(path, rows[i].mode) == 0);
        UNIT_TRUE(!rows[i].foreign || chown(path, 65533, (gid_t)-1) == 0);
        struct pn_plugin *p = pn_plugin_load(path, &err);
        UNIT_INT(p != NULL, rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want));
        pn_plugin_unload(&p);
        pn_buf_fini(&err);
        UNIT_INT(unlink(path), 0);
    }
    UNIT_INT(rmdir(folder), 0);
}

static const struct postern_row ok_rows[] = {
    {"zone", POSTERN_T_BLOCK, POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED, NULL, 0, 0, NULL,
     (const struct postern_row[]){{"code", POSTERN_T_ADDRESS, 0, NULL, 0, 0, NULL, NULL, 0, "a"},
                                  {NULL}},
     POSTERN_T_STRING, "a zone"},
    {"mode", POSTERN_T_CHOICE, 0, "a", 0, 0, "a|b", NULL, 0, "b"},
    {NULL}};

static const struct postern_plugin good = {.size = sizeof(struct postern_plugin),
                                           .major = POSTERN_ABI_MAJOR,
                                           .name = "good",
                                           .version = "1",
                                           .rows = ok_rows,
                                           .on = {[POSTERN_CONNECT] = callback}};

#define ROW(...)                                                                                   \
    .rows = (const struct postern_row[])                                                           \
    {                                                                                              \
        {__VA_ARGS__},                                                                             \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define SYM(...)                                                                                   \
    .symbols = (const struct postern_symbol[])                                                     \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, 0, NULL                                                                          \
        }                                                                                          \
    }
#define NEED(row, value, bits)                                                                     \
    .needs_if = (const struct postern_need_if[])                                                   \
    {                                                                                              \
        {row, value, bits, 0},                                                                     \
        {                                                                                          \
            NULL, NULL, 0, 0                                                                       \
        }                                                                                          \
    }
#define AFTER(...)                                                                                 \
    .after = (const char *const[])                                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void test_check(void)
{
    static const struct postern_row deep[] = {
        {"a", POSTERN_T_BLOCK, 0, NULL, 0, 0, NULL, deep, 0, NULL}, {NULL}};
    const struct {
        const char *label;
        struct postern_plugin over; /* the fields that are set replace those of `good` */
        const char *want;
    } rows[] = {
        {"good", {0}, NULL},
        {"name of upper case", {.name = "Good"}, "name is"},
        {"name of 33", {.name = "aaaaaaaaaabbbbbbbbbbccccccccccddd"}, "name is"},
        {"name of 32", {.name = "aaaaaaaaaabbbbbbbbbbccccccccccdd"}, NULL},
        {"version with a line end", {.version = "1\n"}, "one line"},
        {"need", {.needs = 1U << 20}, "0x100000"},
        {"need by setting", {ROW("e", POSTERN_T_CHOICE, 0, "a", 0, 0, "a|bc"), NEED("e", "bc", 2)}},
        {"unknown need by setting",
         {ROW("e", POSTERN_T_CHOICE, 0, "a", 0, 0, "a|bc"), NEED("e", "bc", 1U << 20)},
         "0x100000"},
        {"need by part of a word",
         {ROW("e", POSTERN_T_CHOICE, 0, "a", 0, 0, "a|bc"), NEED("e", "b", 2)},
         "no choice"},
        {"need by two words",
         {ROW("e", POSTERN_T_CHOICE, 0, "a", 0, 0, "a|bc"), NEED("e", "a|bc", 2)},
         "no choice"},
        {"need by no row", {NEED("e", "a", 2)}, "no choice"},
        {"need by another type", {ROW("e", POSTERN_T_INT), NEED("e", "1", 2)}, "no choice"},
        {"on_failure", {.on_failure = 3}, "on_failure"},
        {"deadline", {.deadline_ms = PN_PLUGIN_DEADLINE_MAX_MS + 1}, "deadline"},
        {"row name", {ROW("A", POSTERN_T_INT)}, "row's name"},
        {"row type", {ROW("a", 99)}, "doesn't know"},
        {"row flag", {ROW("a", POSTERN_T_INT, 64)}, "doesn't know"},
        {"min, max", {ROW("a", POSTERN_T_INT, 0, NULL, 2, 1)}, "min is above"},
        {"choices", {ROW("a", POSTERN_T_CHOICE, 0, NULL, 0, 0, "a||b")}, "choices"},
        {"no choices", {ROW("a", POSTERN_T_CHOICE)}, "choices"},
        {"choices of an int", {ROW("a", POSTERN_T_INT, 0, NULL, 0, 0, "a")}, "choices"},
        {"required, default", {ROW("a", POSTERN_T_INT, POSTERN_ROW_REQUIRED, "1")}, "required"},
        {"block without rows", {ROW("a", POSTERN_T_BLOCK)}, "without rows"},
        {"rows of an int", {ROW("a", POSTERN_T_INT, 0, NULL, 0, 0, NULL, ok_rows)}, "not a block"},
        {"row twice",
         {.rows = (const struct postern_row[]){{"a", POSTERN_T_INT}, {"a", POSTERN_T_INT}, {NULL}}},
         "stands twice"},
        {"a block in itself", {.rows = deep}, "deep"},
        {"symbol name", {SYM({"lower", 0, NULL})}, "symbol's name"},
        {"symbol of the host", {SYM({"PLUGIN_FAILED", 0, NULL})}, "host's own"},
        {"another one", {SYM({"PLUGIN_EDITS_DROPPED", 0, NULL})}, "host's own"},
        {"symbol twice", {SYM({"A", 0, NULL}, {"A", 1, NULL})}, "stands twice"},
        {"weight", {SYM({"A", 1000001, NULL})}, "weight"},
        {"weight at the limit", {SYM({"A", -1000000, NULL})}, NULL},
        {"after itself", {AFTER("good")}, "after itself"},
        {"after what is no name", {AFTER("No")}, "can't be a plugin"},
        {"after", {AFTER("spf", "dkim")}, NULL},
        {"session without free", {.session_new = object_new}, "_free"},
        {"row of a later minor",
         {ROW("a", POSTERN_T_INT, 0, NULL, 0, 0, NULL, NULL, 0, NULL, {"x", NULL})},
         "doesn't know"},
        {"symbol of a later minor", {SYM({"A", 0, NULL, "x"})}, "doesn't know"},
        {"stage of a later minor", {.on = {[POSTERN_STAGES] = callback}}, "doesn't know"},
        {"the last there is room for",
         {.on = {[POSTERN_STAGES_ROOM - 1] = callback}},
         "stage 15, which this Postern doesn't know"},
        {"reserved", {.reserved = 1}, "doesn't know"},
        {"changed without prepare", {.changed = looks}, "without `prepare`"},
        {"free alone", {.prepare_free = nothing}, "without its _new"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct postern_plugin d = good;
        const struct postern_plugin *o = &rows[i].over;
        struct pn_buf err;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].label);
        d.name = o->name != NULL ? o->name : d.name;
        d.version = o->version != NULL ? o->version : d.version;
        d.rows = o->rows != NULL ? o->rows : d.rows;
        d.needs = o->needs;
        d.needs_if = o->needs_if;
        d.reserved = o->reserved;
        d.changed = o->changed;
        for (size_t k = POSTERN_STAGES; k < POSTERN_STAGES_ROOM; k++)
            d.on[k] = o->on[k];
        d.on_failure = o->on_failure;
        d.deadline_ms = o->deadline_ms;
        d.symbols = o->symbols;
        d.after = o->after;
        d.session_new = o->session_new;
        d.prepare_free = o->prepare_free;
        UNIT_INT(pn_plugin_check(&d, &err), rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want));
        pn_buf_fini(&err);
    }
    struct postern_plugin none = good;
    struct pn_buf err;
    none.on[POSTERN_CONNECT] = NULL;
    pn_buf_init(&err, 100);
    unit_row("no callback");
    UNIT_TRUE(!pn_plugin_check(&none, &err) && has(&err, "no callback"));
    pn_buf_fini(&err);
}

static void test_stages_by_setting(void)
{
    static const struct {
        const char *label;
        struct postern_stage_if row;
        const char *want;
    } rows[] = {
        {"stage by setting", {NULL, "mode", "b", 1}},
        {"stage by a block", {"zone", NULL, NULL, 1}},
        {"stage by no block", {"mode", NULL, NULL, 1}, "no block"},
        {"stage by another's row", {"zone", "mode", "b", 1}, "no choice"},
        {"stage by no choice", {"zone", "code", "b", 1}, "no choice"},
        {"stage by another word", {NULL, "mode", "c", 1}, "no choice"},
        {"stage by a row without a word", {NULL, "mode", NULL, 1}, "no choice"},
        {"stage by a word alone", {NULL, NULL, "b", 1}, "no choice"},
        {"stage without a callback", {NULL, "mode", "b", 2}, "callback"},
        {"stage not known", {NULL, "mode", "b", 1U << POSTERN_STAGES}, "callback"},
        {"stage with what came later", {NULL, "mode", "b", 1, 1}, "doesn't know"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct postern_stage_if list[] = {rows[i].row, {.stages = 0}};
        struct postern_plugin d = good;
        struct pn_buf err;
        pn_buf_init(&err, 4096);
        unit_row(rows[i].label);
        d.stages_if = list;
        UNIT_INT(pn_plugin_check(&d, &err), rows[i].want == NULL);
        if (rows[i].want != NULL)
            UNIT_TRUE(has(&err, rows[i].want));
        pn_buf_fini(&err);
    }
}

static void test_methods(void)
{
    const char *list[PN_PLUGIN_METHODS_MAX + 2] = {"spf", "x-mine"};
    struct postern_plugin d = good;
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    d.methods = list;
    UNIT_TRUE(pn_plugin_check(&d, &err));
    list[1] = "No";
    UNIT_TRUE(!pn_plugin_check(&d, &err) && has(&err, "a method is"));
    for (size_t i = 0; i <= PN_PLUGIN_METHODS_MAX; i++)
        list[i] = "a";
    UNIT_TRUE(!pn_plugin_check(&d, &err) && has(&err, "more than 16 methods"));
    pn_buf_fini(&err);
}

/* Words of the interface, frozen as well. */
static void test_words(void)
{
    static const struct {
        int is, want;
    } words[] = {
        {POSTERN_AFTER, 6},        {POSTERN_T_BLOCK, 11},      {POSTERN_NEED_OPENSSL, 64},
        {POSTERN_ROW_TITLED, 8},   {POSTERN_FAIL_SKIP, 1},     {POSTERN_INVALID, -4},
        {POSTERN_DNS_AAAA, 28},    {POSTERN_DNS_TIMEOUT, 256}, {POSTERN_TEXT_VISIBLE, 2},
        {POSTERN_LOG_ERROR, 3},    {POSTERN_STAGES_ROOM, 16},  {POSTERN_AWAY, -5},
        {POSTERN_NEED_STATE, 128}, {POSTERN_STATE_REFUSED, 2}, {POSTERN_PART, 2},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        UNIT_INT(words[i].is, words[i].want);
}

/* Frozen: a row that has to change is a new major. Structs that may grow at their end
 * have no size here. */
#if defined __LP64__
#define AT(type, member, at)                                                                       \
    {                                                                                              \
#type "." #member, offsetof(struct type, member), at                                       \
    }
#define SIZE(type, size)                                                                           \
    {                                                                                              \
#type, sizeof(struct type), size                                                           \
    }

static const struct {
    const char *what;
    size_t is, want;
} layout[] = {
    AT(postern_row, type, 8),
    AT(postern_row, def, 16),
    AT(postern_row, choices, 40),
    AT(postern_row, title_type, 56),
    AT(postern_row, reserved, 72),
    SIZE(postern_row, 88),
    AT(postern_symbol, weight, 8),
    AT(postern_symbol, reserved, 24),
    SIZE(postern_symbol, 32),
    AT(postern_setup, internal, 24),
    AT(postern_plugin, name, 8),
    AT(postern_plugin, after, 48),
    AT(postern_plugin, needs, 56),
    AT(postern_plugin, prepare, 72),
    AT(postern_plugin, instance_new, 88),
    AT(postern_plugin, transaction_free, 128),
    AT(postern_plugin, on, 136),
    AT(postern_plugin, prefetch, 264),
    AT(postern_plugin, changed, 400),
    AT(postern_plugin, tick, 408),
    AT(postern_plugin, needs_if, 392),
    AT(postern_plugin, info, 416),
    AT(postern_plugin, stages_if, 424),
    AT(postern_plugin, methods, 432),
    AT(postern_stage_if, stages, 24),
    SIZE(postern_stage_if, 32),
    AT(postern_need_if, needs, 16),
    SIZE(postern_need_if, 24),
    AT(postern_call, stage, 8),
    AT(postern_call, instance, 16),
    AT(postern_call, internal, 40),
    AT(postern_client, port, 16),
    AT(postern_client, helo, 40),
    AT(postern_client, tls, 72),
    AT(postern_client, hostname, 96),
    AT(postern_client, early, 112),
    AT(postern_client, tls_version, 120),
    AT(postern_client, tls_bits, 152),
    AT(postern_client, local_port, 156),
    AT(postern_client, local_ip_text, 160),
    AT(postern_client, unknown_count, 176),
    AT(postern_client, unknown, 184),
    AT(postern_envelope, rcpt, 24),
    AT(postern_envelope, mail_args, 32),
    SIZE(postern_pair, 32),
    AT(postern_auth, properties, 40),
    SIZE(postern_auth, 64),
    AT(postern_fact, weight, 48),
    SIZE(postern_fact, 72),
    AT(postern_dns_record, data, 8),
    SIZE(postern_dns_record, 24),
    AT(postern_dns_answer, records, 16),
    AT(postern_part, type, 8),
    AT(postern_part, body, 120),
    AT(postern_part, is_message, 140),
    SIZE(postern_part, 176),
    AT(postern_host, set_str, 8),
    AT(postern_host, setup_warn, 80),
    AT(postern_host, client, 88),
    AT(postern_host, fact, 112),
    AT(postern_host, auth, 144),
    AT(postern_host, seen, 152),
    AT(postern_host, note_set, 168),
    AT(postern_host, add_header, 184),
    AT(postern_host, dns_lookup, 200),
    AT(postern_host, now_ms, 224),
    AT(postern_host, random, 240),
    AT(postern_host, content, 248),
    AT(postern_host, header_address, 296),
    AT(postern_host, part, 312),
    AT(postern_host, url, 328),
    AT(postern_host, content_fd, 336),
    AT(postern_host, alloc, 344),
    AT(postern_host, log, 360),
    AT(postern_host, client_in, 368),
    AT(postern_host, state_get, 376),
    AT(postern_host, state_take, 392),
    AT(postern_host, insert_header, 400),
    AT(postern_host, replace_body, 416),
    AT(postern_host, remove_rcpt, 440),
    AT(postern_host, standing, 448),
    AT(postern_host, standing_set, 456),
    AT(postern_host, setup_info, 464),
    AT(postern_host, state_take_all, 472),
    AT(postern_host, domain_ascii, 480),
    AT(postern_host, client_network, 488),
    AT(postern_host, words_text, 496),
    AT(postern_bucket, interval_ms, 8),
    SIZE(postern_bucket, 24),
    AT(postern_take, bucket, 16),
    AT(postern_take, left, 40),
    AT(postern_take, status, 44),
    SIZE(postern_take, 48),
};

static void test_layout(void)
{
    for (size_t i = 0; i < sizeof layout / sizeof layout[0]; i++) {
        unit_row(layout[i].what);
        UNIT_INT(layout[i].is, layout[i].want);
    }
}
#else
static void test_layout(void)
{
}
#endif

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"load", test_load},       {"file", test_file},
        {"check", test_check},     {"stages by setting", test_stages_by_setting},
        {"methods", test_methods}, {"words", test_words},
        {"layout", test_layout},   {NULL, NULL}};
    return unit_main("loader", tests, argc, argv);
}
