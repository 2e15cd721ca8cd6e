/*
 * The patterns of LIST and LSUB (RFC 9051, section 6.3.9): '*' stands for anything, '%' for
 * anything but the '/' between levels. A pattern is worked out once; to match a name then costs a
 * few words of work a byte, whatever the pattern is.
 */
#ifndef IMAP_LIST_PATTERN_H
#define IMAP_LIST_PATTERN_H

#include "pool.h"
#include "str.h"

struct list_pattern;

/* Of reference and name, which are put together as they are; UTF-8. Pooled; NULL: the pool's limit.
 */
struct list_pattern *list_pattern_new(struct pn_pool *pool, struct pn_str reference,
                                      struct pn_str name);
/* name: of a folder, at most PN_FOLDER_NAME_MAX bytes. INBOX as a first level is without case. */
bool list_pattern_matches(const struct list_pattern *pattern, struct pn_str name);

#endif
