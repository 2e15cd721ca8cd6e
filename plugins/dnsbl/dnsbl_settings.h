/*
 * What the plugin declares, and what the operator set: one instance a worker and policy
 * generation, read-only once made.
 */
#ifndef DNSBL_SETTINGS_H
#define DNSBL_SETTINGS_H

#include "dnsbl_zone.h"

enum { DNSBL_SYM_LISTED, DNSBL_SYM_ALLOWED, DNSBL_SYM_ERROR };

extern const struct postern_symbol dnsbl_symbols[];
extern const struct postern_row dnsbl_rows[];

struct dnsbl_network {
    unsigned char ip[16];
    unsigned bits;
};

struct dnsbl_instance {
    struct dnsbl_zone *zones;
    size_t zone_count;
    struct dnsbl_network *skip;
    size_t skip_count;
    size_t max_names; /* hosts of links in one message */
    unsigned kinds;   /* of all zones */
};

int dnsbl_instance_new(struct postern_setup *setup, void **instance);
void dnsbl_instance_free(void *instance);

#endif
