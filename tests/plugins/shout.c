/* The worked example of <postern/plugin.h>; built with other versions and sizes too,
 * which the loader must refuse. */
#include <postern/plugin.h>

#ifndef SHOUT_MAJOR
#define SHOUT_MAJOR POSTERN_ABI_MAJOR
#endif
#ifndef SHOUT_MINOR
#define SHOUT_MINOR POSTERN_ABI_MINOR
#endif
#ifndef SHOUT_SIZE
#define SHOUT_SIZE sizeof(struct postern_plugin)
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

#ifndef SHOUT_HIDDEN
POSTERN_EXPORT
#endif
extern const struct postern_plugin postern_plugin;
const struct postern_plugin postern_plugin = {.size = SHOUT_SIZE,
                                              .major = SHOUT_MAJOR,
                                              .minor = SHOUT_MINOR,
                                              .name = SHOUT_NAME,
                                              .version = "1.0",
                                              .summary = "loud subjects",
                                              .symbols = symbols,
                                              .on = {[POSTERN_HEADERS] = on_headers}};
