/*
 * example: finds words in the Subject that the operator does not want to see there.
 *
 * A plugin states facts, policy decides: this one never refuses a message. All that it may
 * do stands in <postern/plugin.h>, which reads as a manual; postern-plugin(3) says the same.
 */
#include <postern/plugin.h>

#include <stdlib.h>
#include <strings.h>

/* What an operator may set: one row feeds the parser, its errors, and the manual. */
static const struct postern_row rows[] = {
    {.name = "word",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .def = "casino",
     .help = "Words that the Subject should not hold."},
    {.name = NULL},
};

/* What it can find. A name is for ever; policy may change the weight (thousandths). */
enum { SYM_WORD };
static const struct postern_symbol symbols[] = {
    [SYM_WORD] = {"EXAMPLE_WORD", 1500, "The Subject holds an unwanted word", NULL},
    {NULL, 0, NULL, NULL},
};

/* Made once a worker, before any message, and only read from then on: callbacks of many
 * messages run at once. */
struct instance {
    size_t count;
    struct postern_str words[]; /* views into the settings, which live as long */
};

static int instance_new(struct postern_setup *setup, void **instance)
{
    size_t count = setup->host->set_count(setup->settings, "word");
    struct instance *i = malloc(sizeof *i + count * sizeof i->words[0]);
    if (i == NULL)
        return POSTERN_ERROR;
    i->count = 0;
    while (i->count < count && setup->host->set_str(setup->settings, "word", i->count,
                                                    &i->words[i->count]) == POSTERN_OK)
        i->count++;
    *instance = i;
    return POSTERN_OK;
}

/* Strings are counted, and hold whatever a stranger sent. */
static int holds(struct postern_str text, struct postern_str word)
{
    for (size_t i = 0; word.len != 0 && i + word.len <= text.len; i++)
        if (strncasecmp(text.p + i, word.p, word.len) == 0)
            return 1;
    return 0;
}

static int on_headers(struct postern_call *call)
{
    const struct instance *instance = call->instance;
    struct postern_str subject;
    if (call->host->header_text(call, "Subject", 0, &subject) != POSTERN_OK)
        return POSTERN_OK; /* no Subject: nothing to say of it */
    for (size_t i = 0; i < instance->count; i++) {
        int rc = POSTERN_OK;
        if (holds(subject, instance->words[i]))
            rc = call->host->fact(call, SYM_WORD, instance->words[i]);
        if (rc != POSTERN_OK)
            return rc;
    }
    return POSTERN_OK;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "example",
    .version = "0.1",
    .summary = "unwanted words in the Subject",
    .rows = rows,
    .symbols = symbols,
    .needs = 0, /* no DNS, no files, no network: and so it gets none */
    .on_failure = POSTERN_FAIL_SKIP,
    .instance_new = instance_new,
    .instance_free = free,
    .on = {[POSTERN_HEADERS] = on_headers},
};
