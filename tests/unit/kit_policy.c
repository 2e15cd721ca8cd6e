#include "kit_policy.h"

#include "buf.h"

#include <stdio.h>

static int nothing(struct postern_call *call)
{
    (void)call;
    return POSTERN_OK;
}

static const struct postern_row code_rows[] = {
    {.name = "weight", .type = POSTERN_T_WEIGHT, .flags = POSTERN_ROW_REQUIRED, .help = "W"},
    {.name = "note", .type = POSTERN_T_STRING, .help = "N"},
    {.name = NULL},
};

static const struct postern_row zone_rows[] = {
    {.name = "code",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .title_type = POSTERN_T_ADDRESS,
     .rows = code_rows,
     .help = "C"},
    {.name = "timeout",
     .type = POSTERN_T_DURATION,
     .def = "2s",
     .min = 1,
     .max = 60000,
     .help = "T"},
    {.name = NULL},
};

static const struct postern_row cache_rows[] = {
    {.name = "size", .type = POSTERN_T_SIZE, .def = "1m", .help = "S"},
    {.name = NULL},
};

static const struct postern_row login_rows[] = {
    {.name = "user", .type = POSTERN_T_STRING, .flags = POSTERN_ROW_REQUIRED, .help = "U"},
    {.name = NULL},
};

static const struct postern_row alpha_rows[] = {
    {.name = "word", .type = POSTERN_T_STRING, .def = "plain", .help = "A word"},
    {.name = "words",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .def = "one two",
     .help = "Words"},
    {.name = "count", .type = POSTERN_T_INT, .def = "3", .min = -5, .max = 10, .help = "I"},
    {.name = "flag", .type = POSTERN_T_BOOL, .def = "yes", .help = "B"},
    {.name = "size", .type = POSTERN_T_SIZE, .help = "S"},
    {.name = "wait", .type = POSTERN_T_DURATION, .help = "D"},
    {.name = "load", .type = POSTERN_T_WEIGHT, .help = "W"},
    {.name = "peer", .type = POSTERN_T_ADDRESS, .help = "A"},
    {.name = "nets", .type = POSTERN_T_NETWORK, .flags = POSTERN_ROW_LIST, .help = "N"},
    {.name = "data", .type = POSTERN_T_FILE, .help = "F"},
    {.name = "where", .type = POSTERN_T_FOLDER, .help = "O"},
    {.name = "mode", .type = POSTERN_T_CHOICE, .choices = "fast|slow", .def = "slow", .help = "C"},
    {.name = "zone",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .title_type = POSTERN_T_STRING,
     .rows = zone_rows,
     .help = "Z"},
    {.name = "cache", .type = POSTERN_T_BLOCK, .rows = cache_rows, .help = "K"},
    {.name = "login", .type = POSTERN_T_BLOCK, .rows = login_rows, .help = "L"},
    {.name = NULL},
};

static const struct postern_symbol alpha_symbols[] = {
    {"ALPHA_HIT", 2000, "hit"}, {"ALPHA_MISS", -500, "miss"}, {NULL, 0, NULL}};
static const struct postern_symbol beta_symbols[] = {{"BETA_LISTED", 4000, "listed"},
                                                     {NULL, 0, NULL}};

static const struct postern_symbol thief_symbols[] = {
    {"THIEF", 0, "its own"}, {"BETA_LISTED", 0, "beta's"}, {NULL, 0, NULL}};

static const struct postern_row twin_rows[] = {
    {.name = "engine", .type = POSTERN_T_CHOICE, .def = "own", .choices = "own|lone|remote"},
    {.name = NULL}};
static const struct postern_need_if twin_needs[] = {{"engine", "lone", POSTERN_NEED_ALONE, 0},
                                                    {"engine", "remote", POSTERN_NEED_NETWORK, 0},
                                                    {NULL, NULL, 0, 0}};

static const char *const beta_methods[] = {"x-beta", "iprev", NULL};
static const char *const after_alpha[] = {"alpha", "absent", NULL};
static const char *const after_loopa[] = {"loopa", NULL};
static const char *const after_loopb[] = {"loopb", NULL};

static const struct postern_row staged_look_rows[] = {
    {.name = "at", .type = POSTERN_T_CHOICE, .choices = "first|last"},
    {.name = "of",
     .type = POSTERN_T_CHOICE,
     .flags = POSTERN_ROW_LIST,
     .def = "client",
     .choices = "client|helo|links"},
    {.name = NULL}};
static const struct postern_row staged_rows[] = {
    {.name = "mode", .type = POSTERN_T_CHOICE, .def = "quick", .choices = "quick|whole"},
    {.name = "look",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .title_type = POSTERN_T_STRING,
     .rows = staged_look_rows},
    {.name = NULL}};
static const struct postern_stage_if staged_stages[] = {
    {NULL, "mode", "whole", 1U << POSTERN_HEADERS, 0},
    {"look", "at", "first", 1U << POSTERN_CONNECT, 0},
    {"look", "at", "last", 1U << POSTERN_MESSAGE, 0},
    {"look", "of", "helo", 1U << POSTERN_HELO, 0},
    {"look", "of", "links", 1U << POSTERN_MESSAGE, 0},
    {"look", NULL, NULL, 1U << POSTERN_MAIL, 0},
    {NULL, NULL, NULL, 0, 0}};

#define HEAD                                                                                       \
    .size = sizeof(struct postern_plugin), .major = POSTERN_ABI_MAJOR, .minor = POSTERN_ABI_MINOR, \
    .version = "1.0", .summary = "for tests"

static const struct postern_plugin plugins[] = {
    {HEAD, .name = "alpha", .rows = alpha_rows, .symbols = alpha_symbols, .needs = POSTERN_NEED_DNS,
     .on = {[POSTERN_MAIL] = nothing, [POSTERN_MESSAGE] = nothing}},
    {HEAD, .name = "beta", .methods = beta_methods, .symbols = beta_symbols, .after = after_alpha,
     .deadline_ms = 1500, .on_failure = POSTERN_FAIL_SKIP, .on = {[POSTERN_MESSAGE] = nothing}},
    {HEAD, .name = "gamma", .needs = POSTERN_NEED_ALONE | POSTERN_NEED_TMP,
     .on_failure = POSTERN_FAIL_QUARANTINE, .on = {[POSTERN_MESSAGE] = nothing}},
    {HEAD, .name = "loopa", .after = after_loopb},
    {HEAD, .name = "loopb", .after = after_loopa},
    {HEAD, .name = "thief", .symbols = thief_symbols},
    {HEAD, .name = "netty", .needs = POSTERN_NEED_NETWORK},
    {HEAD, .name = "twin", .rows = twin_rows, .needs_if = twin_needs,
     .on = {[POSTERN_MAIL] = nothing}},
    {HEAD, .name = "staged", .rows = staged_rows, .stages_if = staged_stages,
     .on = {[POSTERN_CONNECT] = nothing,
            [POSTERN_HELO] = nothing,
            [POSTERN_MAIL] = nothing,
            [POSTERN_RCPT] = nothing,
            [POSTERN_HEADERS] = nothing,
            [POSTERN_MESSAGE] = nothing}},
};

static const struct postern_plugin *known;

void kit_know(const struct postern_plugin *plugin)
{
    known = plugin;
}

const struct postern_plugin *kit_plugin(void *ctx, struct pn_str name, const char *path,
                                        struct pn_buf *err)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++)
        if (pn_str_eq(pn_str_of(plugins[i].name), name))
            return &plugins[i];
    if (known != NULL && pn_str_eq(pn_str_of(known->name), name))
        return known;
    (void)pn_buf_addf(err, "%s: not there", path);
    return NULL;
}

void kit_open(struct kit *k, const char *text, const char *folder)
{
    char file[4096];
    *k = (struct kit){.pool = pn_pool_new(64 * 1024 * 1024)};
    pn_problems_init(&k->problems, k->pool);
    pn_buf_init(&k->image, SIZE_MAX);
    (void)snprintf(file, sizeof file, "%st.conf", folder);
    const struct pn_compile c = {.file = pn_str_of(pn_pool_strdup(k->pool, pn_str_of(file))),
                                 .text = pn_str_of(text),
                                 .plugin_folder = PN_STR("/plugins"),
                                 .find_plugin = kit_plugin};
    if (!pn_compile_run(&c, k->pool, &k->problems, &k->image))
        return;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    k->policy = pn_policy_of(pn_buf_str(&k->image), &err);
    if (k->policy == NULL)
        printf("%.*s\n", PN_FMT(pn_buf_str(&err)));
    pn_buf_fini(&err);
}

void kit_close(struct kit *k)
{
    pn_policy_unref(&k->policy);
    pn_buf_fini(&k->image);
    pn_pool_free(&k->pool);
}

struct pn_str kit_problems(struct kit *k)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    pn_problems_print(&out, &k->problems, false);
    struct pn_str s = pn_pool_dup(k->pool, pn_buf_str(&out));
    pn_buf_fini(&out);
    return s;
}
