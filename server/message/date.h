/*
 * Dates of RFC 5322, section 3.3, with the obsolete forms of 4.3 (two-digit years,
 * named zones, comments) and what software writes beside the grammar: no weekday,
 * a missing comma, no seconds, "GMT+0100", ISO 8601.
 */
#ifndef PN_DATE_H
#define PN_DATE_H

#include "buf.h"

/* Seconds since 1970 UTC, and the zone in minutes east of it (may be NULL); -0000 and
 * unknown zones are 0. A leap second counts as the second before. False: no date. */
bool pn_date_parse(struct pn_str value, int64_t *unix_s, int *zone_min);
/* "Sun, 22 Nov 2026 01:02:03 +0000"; years 1900 to 9999, zone within a day. */
void pn_date_format(struct pn_buf *out, int64_t unix_s, int zone_min);

#endif
