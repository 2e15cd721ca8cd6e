/*
 * Counters and gauges: PN_REC_METRICS, any role -> admin. A record holds all that the
 * role counts, whole; admin keeps the last of each role and prints them for Prometheus,
 * with the role's name as a label. Names are Prometheus's: postern_messages_total.
 */
#ifndef PN_METRICS_H
#define PN_METRICS_H

#include "wire.h"

enum pn_metric_kind { PN_COUNTER, PN_GAUGE };
enum { PN_METRICS_MAX = 256 }; /* in a record */

struct pn_metric {
    const char *name;
    const char *labels; /* outcome="accept", or NULL */
    const char *help;
    enum pn_metric_kind kind;
    int64_t value;
};

/* As it arrives; views borrow from the body. */
struct pn_metric_view {
    struct pn_str name, labels, help;
    uint8_t kind;
    int64_t value;
};

void pn_metrics_put(struct pn_buf *out, const struct pn_metric *metrics, size_t count);
/* views is the caller's array of PN_METRICS_MAX. False: no such body, or names and
 * labels that could not stand in the text format. */
bool pn_metrics_get(struct pn_str body, struct pn_metric_view *views, size_t *count);

#endif
