/* The worked example of <postern/plugin.h>; built with other versions and sizes too,
 * which the loader must refuse. */
#include <postern/plugin.h>

#ifndef SHOUT_MAJOR
#define SHOUT_MAJOR POSTERN_ABI_MAJOR
#endif
#ifndef SHOUT_MINOR
#define SHOUT_MINOR POSTERN_ABI_MINOR
#endif
#ifndef SHOUT_NAME
#define SHOUT_NAME "shout"
#endif

enum { SYM_SHOUTING };
static const struct postern_symbol symbols[] = {
    [SYM_SHOUTING] = {"SUBJECT_SHOUTS", 1500, "Subject has no small letter"}, {NULL, 0, NULL}};

static int on_headers(struct postern_call *c)
{
    struct postern_str subject;
    if (c->host->header_get(c, "Subject", 0, &subject) != POSTERN_OK)
        return POSTERN_OK;
    for (size_t i = 0; i < subject.len; i++)
        if (subject.p[i] >= 'a' && subject.p[i] <= 'z')
            return POSTERN_OK;
    return c->host->fact(c, SYM_SHOUTING, POSTERN_STR("whole subject"));
}

/* 1.0's descriptor, written out once more: the header may not move a byte of it. */
struct plugin_1_0 {
    uint32_t size;
    uint16_t major, minor;
    const char *name, *version, *summary;
    const struct postern_row *rows;
    const struct postern_symbol *symbols;
    const char *const *after;
    uint32_t needs, on_failure, deadline_ms, reserved;
    void (*prepare)(void), (*prepare_free)(void);
    void (*instance_new)(void), (*instance_free)(void);
    void (*session_new)(void), (*session_free)(void);
    void (*transaction_new)(void), (*transaction_free)(void);
    int (*on[16])(struct postern_call *call);
};

#if defined SHOUT_OLD
#define SHOUT_TYPE struct plugin_1_0
#elif defined SHOUT_LATER
/* A later header's, with a member that this one doesn't know. */
struct later {
    struct postern_plugin now;
    const void *more;
};
#define SHOUT_TYPE struct later
#else
#define SHOUT_TYPE struct postern_plugin
#endif

#ifndef SHOUT_SIZE
#define SHOUT_SIZE sizeof(SHOUT_TYPE)
#endif
#define SHOUT                                                                                      \
    .size = SHOUT_SIZE, .major = SHOUT_MAJOR, .minor = SHOUT_MINOR, .name = SHOUT_NAME,            \
    .version = "1.0", .summary = "loud subjects", .symbols = symbols,                              \
    .on = {[POSTERN_HEADERS] = on_headers}

#ifndef SHOUT_HIDDEN
POSTERN_EXPORT
#endif
extern const SHOUT_TYPE postern_plugin;
#ifdef SHOUT_LATER
const SHOUT_TYPE postern_plugin = {{SHOUT}, SHOUT_LATER};
#else
const SHOUT_TYPE postern_plugin = {SHOUT};
#endif
