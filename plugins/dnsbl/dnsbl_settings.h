/*
 * What the plugin declares, and what the operator set: one instance a worker and policy
 * generation, read-only once made.
 */
#ifndef DNSBL_SETTINGS_H
#define DNSBL_SETTINGS_H

#include "dnsbl_zone.h"

enum {
    DNSBL_SYM_LISTED,
    DNSBL_SYM_ALLOWED,
    DNSBL_SYM_ERROR,
    DNSBL_SYM_SUSPENDED,
    DNSBL_SYM_LEFT_OUT
};

extern const struct postern_symbol dnsbl_symbols[];
extern const struct postern_row dnsbl_rows[];

struct dnsbl_instance {
    const struct postern_block *settings;
    const psl_ctx_t *suffixes; /* of prepare; NULL: no zone asks for registered domains */
    struct dnsbl_zone *zones;
    size_t zone_count;
    char (*skip)[DNSBL_NAME_MAX + 1]; /* domains */
    size_t skip_count;
    size_t max_hosts;     /* of links in one message */
    size_t max_questions; /* of one message */
    uint32_t prove_ms;
    unsigned kinds; /* of all zones */
    bool proofs;    /* some zone is to be proved */
    bool spares;    /* some zone spares the others questions */
};

int dnsbl_prepare(struct postern_setup *setup, void **prepared);
void dnsbl_prepare_free(void *prepared);
int dnsbl_instance_new(struct postern_setup *setup, void **instance);
void dnsbl_instance_free(void *instance);

#endif
