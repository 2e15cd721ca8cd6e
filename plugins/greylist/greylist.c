/* The plugin: one look at the pair of network and domain, when MAIL is known. */
#include "greylist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT, NEW, EARLY, PASSED, KNOWN };

static const struct postern_symbol symbols[] = {
    [WAIT] = {"GREYLIST_WAIT", 0, "To come again later; detail: why"},
    [NEW] = {"GREYLIST_NEW", 0, "Never seen, or too long ago; detail: network and domain"},
    [EARLY] = {"GREYLIST_EARLY", 0, "Came again too early; detail: how long it waited"},
    [PASSED] = {"GREYLIST_PASSED", 0, "Came again as a server does; detail: how long it waited"},
    [KNOWN] = {"GREYLIST_KNOWN", 0, "Passed before; detail: how often"},
    {NULL, 0, NULL}};

#define DAY INT64_C(86400000)

static const struct postern_row rows[] = {
    {.name = "delay",
     .type = POSTERN_T_DURATION,
     .def = "5m",
     .min = 1,
     .max = DAY,
     .help = "Who comes again after so long passes."},
    {.name = "window",
     .type = POSTERN_T_DURATION,
     .def = "2d",
     .min = 1000,
     .max = 30 * DAY,
     .help = "Who did not come again in that time is new once more."},
    {.name = "remember",
     .type = POSTERN_T_DURATION,
     .def = "35d",
     .min = 1000,
     .max = 3650 * DAY,
     .help = "Who passed passes at once for so long, from each message taken."},
    {.name = "known-after",
     .type = POSTERN_T_INT,
     .def = "5",
     .min = 1,
     .max = 1000000,
     .help = "So many messages taken make a sender well known."},
    {.name = "remember-known",
     .type = POSTERN_T_DURATION,
     .def = "180d",
     .min = 1000,
     .max = 3650 * DAY,
     .help = "And that one is remembered for so long."},
    {.name = "ipv4-bits",
     .type = POSTERN_T_INT,
     .def = "24",
     .min = 1,
     .max = 32,
     .help = "Clients of one network count as one: large senders try again from another one."},
    {.name = "ipv6-bits",
     .type = POSTERN_T_INT,
     .def = "64",
     .min = 1,
     .max = 128,
     .help = "The same for IPv6."},
    {.name = "spf-domain",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Where SPF passed for the sender's domain, whichever network counts as one."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Clients that nothing is asked of."},
    {.name = "skip-domain",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Senders' domains that nothing is asked of: x.test, or .x.test for all below it."},
    {.name = "skip-list", .type = POSTERN_T_FILE, .help = "A file of such domains, one a line."},
    {.name = NULL}};

struct instance {
    const struct postern_block *settings;
    int64_t delay_ms, window_ms, remember_ms, known_ms, known_after, bits4, bits6;
    int spf_domain;
    const struct greylist_list *list; /* what prepare read; NULL: none */
};

/* ---- settings */

static void prepare_free(void *prepared)
{
    struct greylist_list *list = prepared;
    greylist_list_free(list);
    free(list);
}

/* what: with the place of the row's n-th value before it. */
static int refuse(struct postern_setup *s, const char *row, size_t n, const char *what)
{
    char line[5000];
    struct postern_str where = s->host->set_where(s->settings, row, n);
    (void)snprintf(line, sizeof line, "%.*s: %s", (int)where.len, where.p, what);
    s->host->setup_error(s, (struct postern_str){line, strlen(line)});
    return POSTERN_ERROR;
}

/* In the template: files are open there, and nowhere else. */
static int prepare(struct postern_setup *s, void **prepared)
{
    struct postern_str path;
    char text[4096], why[200], what[sizeof text + sizeof why + 2];
    if (s->host->set_str(s->settings, "skip-list", 0, &path) != POSTERN_OK)
        return POSTERN_OK;
    struct greylist_list *list = calloc(1, sizeof *list);
    if (list == NULL)
        return POSTERN_ERROR;
    (void)snprintf(text, sizeof text, "%.*s", (int)path.len, path.p);
    if (greylist_list_read(list, text, why, sizeof why)) {
        *prepared = list;
        return POSTERN_OK;
    }
    free(list);
    (void)snprintf(what, sizeof what, "%s: %s", text, why);
    return refuse(s, "skip-list", 0, what);
}

static int check_domains(struct postern_setup *s)
{
    struct postern_str pattern;
    for (size_t n = 0; s->host->set_str(s->settings, "skip-domain", n, &pattern) == POSTERN_OK; n++)
        if (!greylist_pattern_ok(pattern))
            return refuse(s, "skip-domain", n, "expected a domain, or a dot and one");
    return POSTERN_OK;
}

static int instance_new(struct postern_setup *s, void **out)
{
    struct instance *in = calloc(1, sizeof *in);
    if (in == NULL)
        return POSTERN_ERROR;
    const struct {
        const char *row;
        int64_t *to;
    } numbers[] = {{"delay", &in->delay_ms},          {"window", &in->window_ms},
                   {"remember", &in->remember_ms},    {"remember-known", &in->known_ms},
                   {"known-after", &in->known_after}, {"ipv4-bits", &in->bits4},
                   {"ipv6-bits", &in->bits6}};
    in->settings = s->settings;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)s->host->set_int(s->settings, numbers[i].row, 0, numbers[i].to);
    (void)s->host->set_bool(s->settings, "spf-domain", &in->spf_domain);
    int rc = check_domains(s);
    if (in->delay_ms >= in->window_ms)
        rc = refuse(s, "delay", 0, "delay is not below window: nobody could pass");
    if (rc != POSTERN_OK) {
        free(in);
        return rc;
    }
    in->list = s->prepared;
    *out = in;
    return POSTERN_OK;
}

/* ---- a message */

static bool is_skipped(struct postern_call *c, const struct instance *in, struct postern_str domain)
{
    struct postern_str pattern;
    if (c->host->client(c)->auth_id.len != 0 ||
        c->host->client_in(c, in->settings, "skip") == POSTERN_OK)
        return true;
    for (size_t n = 0; c->host->set_str(in->settings, "skip-domain", n, &pattern) == POSTERN_OK;
         n++)
        if (greylist_matches(domain, pattern))
            return true;
    return in->list != NULL && greylist_list_has(in->list, domain);
}

static bool spf_passed(struct postern_call *c)
{
    struct postern_auth a;
    for (size_t n = 0; c->host->seen_auth(c, POSTERN_STR("spf"), n, &a) == POSTERN_OK; n++) {
        bool pass = a.result.len == 4 && memcmp(a.result.p, "pass", 4) == 0;
        for (size_t i = 0; pass && i < a.count; i++)
            if (a.properties[i].name.len == 8 &&
                memcmp(a.properties[i].name.p, "identity", 8) == 0 &&
                a.properties[i].value.len == 8 &&
                memcmp(a.properties[i].value.p, "mailfrom", 8) == 0)
                return true;
    }
    return false;
}

/* "17 s", "5 min", "3 h", "2 d" */
static struct postern_str span(char text[32], int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{2 * DAY, "d"}, {2 * DAY / 24, "h"}, {2 * DAY / 24 / 60, "min"}, {0, "s"}};
    size_t i = 0;
    while (ms < units[i].ms)
        i++;
    int64_t one = units[i].ms == 0 ? 1000 : units[i].ms / 2;
    int n = snprintf(text, 32, "%lld %s", (long long)(ms / one), units[i].unit);
    return (struct postern_str){text, n < 0 ? 0 : (size_t)n};
}

static int remember(struct postern_call *c, struct postern_str key,
                    const struct greylist_entry *entry, int64_t ttl_ms, uint32_t when)
{
    char value[GREYLIST_VALUE_MAX];
    size_t len = greylist_value_put(value, entry);
    return c->host->state_put(c, key, (struct postern_str){value, len}, (uint64_t)ttl_ms, when);
}

static int is_new(struct postern_call *c, const struct instance *in, struct postern_str key)
{
    const struct greylist_entry entry = {c->host->now_ms(c), 0};
    int rc = c->host->fact(c, NEW, key);
    if (rc == POSTERN_OK)
        rc = c->host->fact(c, WAIT, POSTERN_STR("new"));
    return rc != POSTERN_OK ? rc : remember(c, key, &entry, in->window_ms, POSTERN_STATE_DECIDED);
}

static int is_early(struct postern_call *c, struct postern_str waited)
{
    int rc = c->host->fact(c, EARLY, waited);
    return rc != POSTERN_OK ? rc : c->host->fact(c, WAIT, POSTERN_STR("early"));
}

/* Counted where the message is taken: spam that waits, and is refused for what it says, makes
 * nobody known. */
static int passes(struct postern_call *c, const struct instance *in, struct postern_str key,
                  struct greylist_entry *entry, struct postern_str waited)
{
    char text[32];
    int rc;
    if (entry->passes == 0) {
        rc = c->host->fact(c, PASSED, waited);
    } else {
        int n = snprintf(text, sizeof text, "%u", entry->passes);
        rc = c->host->fact(c, KNOWN, (struct postern_str){text, n < 0 ? 0 : (size_t)n});
    }
    entry->passes++;
    int64_t ttl = entry->passes >= in->known_after ? in->known_ms : in->remember_ms;
    return rc != POSTERN_OK ? rc : remember(c, key, entry, ttl, POSTERN_STATE_TAKEN);
}

static int on_mail(struct postern_call *c)
{
    const struct instance *in = c->instance;
    struct postern_str from = c->host->envelope(c)->from, value, network = POSTERN_STR("spf");
    struct greylist_entry entry;
    char text[GREYLIST_KEY_MAX], waited_text[32];
    if (is_skipped(c, in, greylist_domain(from)))
        return POSTERN_OK;
    int rc = POSTERN_OK;
    if (!in->spf_domain || from.len == 0 || !spf_passed(c))
        rc = c->host->client_network(c, (uint32_t)in->bits4, (uint32_t)in->bits6, &network);
    if (rc != POSTERN_OK)
        return rc;
    struct postern_str key = {text, greylist_key(text, network, from)};
    rc = c->host->state_get(c, key, &value);
    if (rc < 0)
        return rc;
    if (rc == POSTERN_NONE || !greylist_value_get(value, &entry))
        return is_new(c, in, key);
    int64_t waited = c->host->now_ms(c) - entry.first_ms;
    /* Written when some clock was ahead: it would be early until we are there, too. */
    if (entry.passes == 0 && waited < 0)
        return is_new(c, in, key);
    struct postern_str told = span(waited_text, waited < 0 ? 0 : waited);
    if (entry.passes == 0 && waited < in->delay_ms)
        return is_early(c, told);
    return passes(c, in, key, &entry, told);
}

static const char *const after[] = {"spf", NULL};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "greylist",
    .version = "1.0",
    .summary = "asks clients never seen to come again (RFC 6647)",
    .rows = rows,
    .symbols = symbols,
    .after = after,
    .needs = POSTERN_NEED_STATE | POSTERN_NEED_FILES,
    .on_failure = POSTERN_FAIL_SKIP,
    .prepare = prepare,
    .prepare_free = prepare_free,
    .instance_new = instance_new,
    .instance_free = free,
    .on = {[POSTERN_MAIL] = on_mail}};
