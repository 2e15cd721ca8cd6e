/* A plugin with lasting state, for tests: takes a token, says what an earlier message left, and
 * leaves something itself; then crashes, or fails, where the sender's address says so. */
#include <postern/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT, FOUND };
static const struct postern_symbol symbols[] = {[LEFT] = {"HOARD_LEFT", 0, "tokens"},
                                                [FOUND] = {"HOARD_FOUND", 0, "what was put"},
                                                {NULL, 0, NULL}};

static int on_mail(struct postern_call *c)
{
    static const struct postern_bucket bucket = {
        .capacity = 100, .cost = 1, .interval_ms = 864000000};
    struct postern_str from = c->host->envelope(c)->from, value = {"nothing", 7};
    char text[32];
    uint32_t left;
    int rc = c->host->state_take(c, POSTERN_STR("bucket"), &bucket, &left);
    if (rc >= 0)
        rc = c->host->state_take(c, POSTERN_STR("bucket"), &bucket, &left);
    int n = snprintf(text, sizeof text, "%u", left);
    if (rc >= 0)
        rc = c->host->fact(c, LEFT, (struct postern_str){text, (size_t)n});
    if (rc >= 0)
        rc = c->host->state_get(c, POSTERN_STR("last"), &value);
    if (rc >= 0)
        rc = c->host->fact(c, FOUND, value);
    if (rc >= 0)
        rc = c->host->state_put(c, POSTERN_STR("last"), from, 3600000, POSTERN_STATE_DECIDED);
    if (memmem(from.p, from.len, "crash", 5) != NULL)
        abort();
    return memmem(from.p, from.len, "fail", 4) != NULL ? POSTERN_ERROR : rc;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {.size = sizeof(struct postern_plugin),
                                                             .major = POSTERN_ABI_MAJOR,
                                                             .minor = POSTERN_ABI_MINOR,
                                                             .name = "hoard",
                                                             .version = "1.0",
                                                             .summary = "keeps what it finds",
                                                             .symbols = symbols,
                                                             .needs = POSTERN_NEED_STATE,
                                                             .on = {[POSTERN_MAIL] = on_mail}};
