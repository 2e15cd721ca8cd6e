/* What the operator says: rows, and the servers that they make. */
#ifndef MILTER_SETTINGS_H
#define MILTER_SETTINGS_H

#include "milter_server.h"

enum { MILTER_SERVERS_MAX = 16, MILTER_NAME_MAX = 40 };

struct milter_settings {
    bool client_names; /* look them up */
    size_t count;
    struct milter_server servers[MILTER_SERVERS_MAX];
};

extern const struct postern_row milter_rows[];

/* False with a setup_error. servers are ready for use, with their locks. */
bool milter_settings_read(struct postern_setup *s, struct milter_settings *settings);
void milter_settings_free(struct milter_settings *settings);

#endif
