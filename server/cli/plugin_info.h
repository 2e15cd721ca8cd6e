/*
 * What a plugin says of what it made of its settings (`info` of <postern/plugin.h>), for
 * `postern plugin show`. The plugin is prepared in a child process, which ends with it.
 */
#ifndef PN_PLUGIN_INFO_H
#define PN_PLUGIN_INFO_H

#include "buf.h"
#include "json.h"

enum pn_info_result {
    PN_INFO_SAID,
    PN_INFO_NOT_ASKED, /* there is no configuration, and it can't run without settings */
    PN_INFO_FAILED     /* err says why */
};

struct pn_info_how {
    const char *name;   /* of the plugin */
    const char *file;   /* its shared object */
    const char *config; /* a configuration that loads it; NULL: default settings */
    const char *folder; /* of the plugins of that configuration, unless it says so itself */
};

/* Lines "key, tab, value, LF" into out. */
enum pn_info_result pn_plugin_info(const struct pn_info_how *how, struct pn_buf *out,
                                   struct pn_buf *err);

/* The same lines for people, and for programs: [{"key":..., "value":...}, ...]. */
void pn_info_print(struct pn_str lines, struct pn_buf *out);
void pn_info_json(struct pn_str lines, const char *key, struct pn_json *json);

#endif
