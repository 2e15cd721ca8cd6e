/*
 * A plugin with a tick, for tests. It looks up the TXT of "tick.test" and does what that says:
 * crash, hang, fail, else it is left as the standing ("-": nothing); what a tick may not do is
 * tried first, and "bad" left where any of it was allowed. Each stage states what standing
 * it finds.
 */
#include <postern/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND, NOTHING };
static const struct postern_symbol symbols[] = {[FOUND] = {"TICKER_FOUND", 0, "a standing"},
                                                [NOTHING] = {"TICKER_NOTHING", 0, "none"},
                                                {NULL, 0, NULL}};

static int is(struct postern_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

/* How many of these were allowed. */
static int forbidden(struct postern_call *c)
{
    static char text[POSTERN_STANDING_MAX + 1];
    struct postern_str s = {text, sizeof text};
    const struct postern_host *h = c->host;
    int taken = h->client(c) != NULL;
    taken += h->envelope(c) != NULL;
    taken += h->content(c).len != 0;
    taken += h->state_get(c, POSTERN_STR("k"), &s) != POSTERN_INVALID;
    memset(text, 'x', sizeof text);
    taken += h->standing_set(c, (struct postern_str){text, sizeof text}) != POSTERN_INVALID;
    taken += h->standing_set(c, POSTERN_STR("a\nb")) != POSTERN_INVALID;
    taken += h->standing(c, &s) == POSTERN_INVALID;
    (void)h->fact(c, FOUND, POSTERN_STR("from a tick"));
    return taken;
}

static volatile unsigned sink;

static int tick(struct postern_call *c, uint32_t *next_ms)
{
    const struct postern_dns_answer *a;
    int rc = c->host->dns_lookup(c, POSTERN_STR("tick.test"), POSTERN_DNS_TXT, &a);
    if (rc != POSTERN_OK)
        return rc;
    *next_ms = 1000;
    if (a->count == 0)
        return POSTERN_OK;
    struct postern_str word = a->records[0].data;
    if (is(word, "crash"))
        abort();
    while (is(word, "hang"))
        sink++;
    if (is(word, "fail"))
        return POSTERN_ERROR;
    if (forbidden(c) != 0)
        word = POSTERN_STR("bad");
    return c->host->standing_set(c, is(word, "-") ? POSTERN_STR("") : word);
}

static int call(struct postern_call *c)
{
    static const char *const stages[] = {"connect", "helo",    "mail", "rcpt",
                                         "headers", "message", "after"};
    struct postern_str s, again;
    char text[100];
    if (c->host->standing_set(c, POSTERN_STR("mine")) != POSTERN_INVALID)
        return POSTERN_ERROR;
    int rc = c->host->standing(c, &s);
    if (rc < 0)
        return rc;
    if (rc == POSTERN_NONE)
        return c->host->fact(c, NOTHING, POSTERN_STR(""));
    if (c->host->standing(c, &again) != POSTERN_OK || again.len != s.len)
        return POSTERN_ERROR;
    int n = snprintf(text, sizeof text, "%s %.*s", stages[c->stage], (int)s.len, s.p);
    return c->host->fact(c, FOUND, (struct postern_str){text, (size_t)n});
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "ticker",
    .version = "1.0",
    .summary = "has a tick, for tests",
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS | POSTERN_NEED_STATE,
    .on = {[POSTERN_CONNECT] = call, [POSTERN_MAIL] = call, [POSTERN_MESSAGE] = call},
    .tick = tick};
