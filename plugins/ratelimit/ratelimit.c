/* The plugin: each limit at its stage. */
#include "ratelimit.h"

#include <stdlib.h>

enum { RATELIMIT };

static const struct postern_symbol symbols[] = {
    [RATELIMIT] = {"RATELIMIT", 0, "More than a limit allows; detail: the limit's name"},
    {NULL, 0, NULL}};

static int instance_new(struct postern_setup *s, void **out)
{
    struct ratelimit_instance *in = calloc(1, sizeof *in);
    if (in == NULL)
        return POSTERN_ERROR;
    if (!ratelimit_settings(s, in)) {
        free(in);
        return POSTERN_ERROR;
    }
    *out = in;
    return POSTERN_OK;
}

static void instance_free(void *instance)
{
    free(instance);
}

static bool counts(struct postern_call *c, const struct ratelimit_limit *l)
{
    bool user = c->host->client(c)->auth_id.len != 0;
    return l->stage == c->stage && !(l->users == RATELIMIT_USERS && !user) &&
           !(l->users == RATELIMIT_STRANGERS && user) &&
           c->host->client_in(c, l->block, "skip") != POSTERN_OK;
}

/* At RCPT every recipient comes by itself. */
static uint32_t cost_of(struct postern_call *c, const struct ratelimit_limit *l)
{
    size_t n = 1;
    if (l->cost == RATELIMIT_RECIPIENTS && c->stage > POSTERN_RCPT)
        n = c->host->envelope(c)->rcpt_count;
    else if (l->cost == RATELIMIT_KILOBYTES)
        n = (c->host->content(c).len + 1023) / 1024;
    return n > 1000000 ? 1000000 : (uint32_t)n;
}

static int is_over(struct postern_call *c, const struct ratelimit_limit *l)
{
    if (c->stage == POSTERN_RCPT) /* those before this one were within it */
        return c->host->fact_for(c, c->host->envelope(c)->rcpt_count - 1, RATELIMIT, l->name);
    return c->host->fact(c, RATELIMIT, l->name);
}

/* All of a stage at once. */
struct asked {
    const struct ratelimit_limit *limits[RATELIMIT_MAX];
    struct postern_take takes[RATELIMIT_MAX];
    char keys[RATELIMIT_MAX][RATELIMIT_KEY_MAX];
    size_t count;
};

static void add(struct postern_call *c, struct asked *a, const struct ratelimit_limit *l)
{
    struct postern_take *t = &a->takes[a->count];
    size_t len = ratelimit_key(c, l, a->keys[a->count]);
    if (len == 0)
        return;
    *t = (struct postern_take){.key = {a->keys[a->count], len}, .bucket = l->bucket};
    t->bucket.cost = cost_of(c, l);
    a->limits[a->count++] = l;
}

static int on_stage(struct postern_call *c)
{
    const struct ratelimit_instance *in = c->instance;
    struct asked a;
    a.count = 0;
    for (size_t i = 0; i < in->count; i++)
        if (counts(c, &in->limits[i]))
            add(c, &a, &in->limits[i]);
    int rc = a.count == 0 ? POSTERN_OK : c->host->state_take_all(c, a.takes, a.count);
    for (size_t i = 0; rc == POSTERN_OK && i < a.count; i++)
        if (a.takes[i].status == POSTERN_NONE)
            rc = is_over(c, a.limits[i]);
    return rc;
}

/* Where each limit counts, as ratelimit_settings has it: a stage that none counts at is not
 * called. */
static const struct postern_stage_if stages_if[] = {
    {.block = "limit", .row = "stage", .value = "connect", .stages = 1 << POSTERN_CONNECT},
    {.block = "limit", .row = "stage", .value = "helo", .stages = 1 << POSTERN_HELO},
    {.block = "limit", .row = "stage", .value = "mail", .stages = 1 << POSTERN_MAIL},
    {.block = "limit", .row = "stage", .value = "rcpt", .stages = 1 << POSTERN_RCPT},
    {.block = "limit", .row = "stage", .value = "headers", .stages = 1 << POSTERN_HEADERS},
    {.block = "limit", .row = "stage", .value = "message", .stages = 1 << POSTERN_MESSAGE},
    {.block = "limit", .row = "cost", .value = "kilobytes", .stages = 1 << POSTERN_HEADERS},
    {.block = "limit", .row = "key", .value = "recipient", .stages = 1 << POSTERN_RCPT},
    {.block = "limit", .row = "key", .value = "recipient-domain", .stages = 1 << POSTERN_RCPT},
    {.block = "limit", .row = "cost", .value = "recipients", .stages = 1 << POSTERN_RCPT},
    {.block = "limit", .stages = 1 << POSTERN_MAIL},
    {.stages = 0}};

/* Those that share a worker with this one: to wait for others would cost every message. */
static const char *const after[] = {"spf",   "dkim",   "dmarc",    "dnsbl",
                                    "rules", "client", "greylist", NULL};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "ratelimit",
    .version = "1.0",
    .summary = "token buckets by keys made of what is known of a message",
    .rows = ratelimit_rows,
    .symbols = symbols,
    .after = after,
    .needs = POSTERN_NEED_STATE,
    .on_failure = POSTERN_FAIL_SKIP,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_CONNECT] = on_stage,
           [POSTERN_HELO] = on_stage,
           [POSTERN_MAIL] = on_stage,
           [POSTERN_RCPT] = on_stage,
           [POSTERN_HEADERS] = on_stage,
           [POSTERN_MESSAGE] = on_stage},
    .stages_if = stages_if};
