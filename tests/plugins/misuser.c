/*
 * A plugin that calls the host as it never may, one way or another, chosen by its row `does`;
 * none of it crashes, and `postern plugin test` must say what is wrong.
 *
 *   need      asks for state, which is not among its needs    symbol   states one it has not
 *   row       reads a setting that it has not                 weight   of more than there is
 *   stage     reads a header before there is a message        edit     changes one there
 *   prefetch  waits in it                                     kept     uses a call that is over
 *   client    writes to what it was lent                      message  likewise
 *   number    returns what is no status                       invalid  what the host refused
 *   stranger  reads a note of a plugin that is not in `after`
 *   none      returns POSTERN_NONE, which is no failure       nothing  no mistake
 */
#include <postern/plugin.h>

#include <string.h>

static const struct postern_row rows[] = {
    {.name = "does",
     .type = POSTERN_T_CHOICE,
     .choices = "need|row|symbol|weight|stage|edit|prefetch|kept|client|message|number|invalid|"
                "stranger|none|nothing",
     .def = "nothing",
     .help = "The mistake."},
    {.name = NULL},
};

enum { SEEN };
static const struct postern_symbol symbols[] = {[SEEN] = {"MISUSER", 0, "it was called", NULL},
                                                {NULL, 0, NULL, NULL}};

/* Of a call that is over: a copy, since the next call may lie where that one did. */
static struct postern_call kept_call, *kept;

static int does(const struct postern_call *c, const char *what)
{
    struct postern_str word;
    return c->host->set_str(c->instance, "does", 0, &word) == POSTERN_OK &&
           strlen(what) == word.len && memcmp(what, word.p, word.len) == 0;
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct postern_str word, other;
    *instance = (void *)(uintptr_t)s->settings;
    if (s->host->set_str(s->settings, "does", 0, &word) == POSTERN_OK && word.len == 3 &&
        memcmp(word.p, "row", 3) == 0)
        (void)s->host->set_str(s->settings, "dose", 0, &other);
    return POSTERN_OK;
}

static void instance_free(void *instance)
{
    (void)instance;
}

static void prefetch(struct postern_call *c)
{
    const struct postern_dns_answer *a;
    if (does(c, "prefetch"))
        (void)c->host->dns_lookup(c, POSTERN_STR("a.sender.test"), POSTERN_DNS_A, &a);
}

static int on_mail(struct postern_call *c)
{
    struct postern_str value;
    if (does(c, "stage"))
        (void)c->host->header_get(c, "Subject", 0, &value);
    if (does(c, "edit"))
        (void)c->host->remove_rcpt(c, POSTERN_STR("u@here.test"));
    kept_call = *c;
    kept = &kept_call;
    return POSTERN_OK;
}

static void write_to(const struct postern_call *c, struct postern_call *call)
{
    struct postern_str content = c->host->content(call);
    if (does(c, "client"))
        ((struct postern_client *)(uintptr_t)c->host->client(call))->port++;
    if (does(c, "message") && content.len != 0 && content.len < 4096)
        ((char *)(uintptr_t)content.p)[content.len - 1]++;
}

static int on_message(struct postern_call *c)
{
    struct postern_str value;
    if (does(c, "need"))
        (void)c->host->state_get(c, POSTERN_STR("key"), &value);
    if (does(c, "symbol"))
        (void)c->host->fact(c, 7, POSTERN_STR(""));
    if (does(c, "weight"))
        (void)c->host->fact_weighted(c, SEEN, POSTERN_STR("much"), 2000000);
    if (does(c, "kept") && kept != NULL)
        (void)c->host->header_get(kept, "Subject", 0, &value);
    if (does(c, "stranger"))
        (void)c->host->note_get(c, "greylist", POSTERN_STR("key"), &value);
    write_to(c, c);
    int rc = c->host->fact(c, SEEN, POSTERN_STR("whole"));
    if (does(c, "number"))
        return 42;
    if (does(c, "invalid"))
        return POSTERN_INVALID;
    return does(c, "none") ? POSTERN_NONE : rc;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "misuser",
    .version = "1.0",
    .summary = "one call that may not be",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MAIL] = on_mail, [POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MESSAGE] = prefetch},
};
