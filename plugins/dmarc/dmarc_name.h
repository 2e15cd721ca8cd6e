/*
 * Domain names as DMARC compares them: lower case, without stray dots at the ends. Those of
 * other scripts are A-labels before they come here (the host's domain_ascii).
 */
#ifndef DMARC_NAME_H
#define DMARC_NAME_H

#include <postern/plugin.h>

#include <stdbool.h>
#include <string.h>

enum { DMARC_NAME_MAX = 246 }; /* "_dmarc." goes in front: 253 */

struct dmarc_name {
    size_t len; /* 0: none */
    char p[DMARC_NAME_MAX + 1];
};

/* False, and an empty name: empty labels, labels over 63 bytes, an address literal, letters
 * beyond ASCII, or too long. */
bool dmarc_name_of(struct postern_str text, struct dmarc_name *out);

static inline struct postern_str dmarc_name_str(const struct dmarc_name *n)
{
    return (struct postern_str){n->p, n->len};
}

static inline bool dmarc_name_eq(const struct dmarc_name *a, const struct dmarc_name *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* Is a the same as b, or below it? */
bool dmarc_name_below(const struct dmarc_name *a, const struct dmarc_name *b);
size_t dmarc_name_labels(const struct dmarc_name *n);
/* The last so many labels; all of them if there are no more. */
void dmarc_name_tail(const struct dmarc_name *n, size_t labels, struct dmarc_name *out);

#endif
