/*
 * The places in our code that sync, by the address they return to, and their names: the
 * function that calls, as this program's own symbol table has it (where a static function
 * was inlined, the one around it), and what it was first seen to sync, so "segment_begin:
 * folder spool". Places of one name count as one.
 */
#ifndef POWER_SITES_H
#define POWER_SITES_H

#include <stdbool.h>
#include <stdint.h>

enum { SITES_MAX = 64, SITE_NONE = SITES_MAX };

/* The number of the place that returns to `address` and syncs `what`. */
uint16_t site_of(const void *address, const char *what);
unsigned site_count(void);
const char *site_name(unsigned site);

#endif
