/*
 * DMARC policy records (RFC 9989, sections 4.7 and 4.8): v first and exactly "DMARC1";
 * unknown tags ignored, pct, rf and ri of RFC 7489 among them; what is wrong in a tag
 * that has a default gives the default. Of a tag given twice the first counts.
 */
#ifndef DMARC_RECORD_H
#define DMARC_RECORD_H

#include <postern/plugin.h>

#include <stdbool.h>

enum dmarc_policy {
    DMARC_POLICY_UNSET, /* no such tag, or no such value */
    DMARC_POLICY_NONE,
    DMARC_POLICY_QUARANTINE,
    DMARC_POLICY_REJECT
};

enum dmarc_psd { DMARC_PSD_U, DMARC_PSD_Y, DMARC_PSD_N };

struct dmarc_record {
    enum dmarc_policy p, sp, np;
    enum dmarc_psd psd;
    bool strict_dkim, strict_spf;
    bool testing; /* t=y */
    /* As they stand; of the TXT, empty: none. rua has a URI that is right. */
    struct postern_str rua, fo;
    bool usable; /* section 4.10.1: p is right, and sp and np are if given; or p=none stands
                  * for it all, since rua names somebody who wants to know */
};

/* Is this TXT a DMARC record of this version? */
bool dmarc_record_is(struct postern_str txt);
/* Of such a one. */
void dmarc_record_read(struct postern_str txt, struct dmarc_record *out);
/* "none", "quarantine", "reject". */
const char *dmarc_policy_name(enum dmarc_policy policy);

#endif
