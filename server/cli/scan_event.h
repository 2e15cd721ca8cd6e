/*
 * --event: the event of a message as the case to be judged again. All that was recorded of its
 * session, its envelope, DNS, lasting state, standings, time and seeds is given back; and what
 * was found by plugins that asked beyond the host (a daemon answers differently tomorrow) is
 * taken from the event in place of their run: symbols, authentication results and edits.
 *
 * Not in an event: the bytes of a new body (its size and digest are), a plugin's notes for others,
 * bytes that are no UTF-8. Whatever the server alone decides on a recipient that a plugin adds
 * (lists, relays, limits) is taken as it was recorded.
 *
 * Owned: all that a case of it borrows.
 */
#ifndef PN_SCAN_EVENT_H
#define PN_SCAN_EVENT_H

#include "scan_input.h"
#include "verdict.h"

struct pn_scan_event;

/* The event's line, alone in a file ("-": standard input), into *c, whose `event` it is. NULL
 * with a sentence in err. */
struct pn_scan_event *pn_scan_event_read(const char *path, struct pn_scan_case *c,
                                         struct pn_buf *err);
void pn_scan_event_free(struct pn_scan_event **event);

/* These plugins' facts are to be taken from the event (names parted by commas); NULL: of those
 * that have a network, and of those that did not end well then. */
void pn_scan_event_given(struct pn_scan_event *event, const char *list);
bool pn_scan_event_gives(const struct pn_scan_event *event, struct pn_str plugin, bool network);
/* What that plugin found, into facts. False: more than facts hold. */
bool pn_scan_event_facts(const struct pn_scan_event *event, struct pn_str plugin,
                         struct pn_facts *facts);

/* An edit of the facts, as the event has it. */
struct pn_scan_recorded {
    bool given;
    struct pn_str value, because; /* because: why it was refused; empty: it was made */
};
/* A copy of facts with what was given put where the event has it; the rest keeps its order.
 * recorded: beside its edits, in pool. *body: which edit has the new body, there and then here.
 * False: the pool's limit. */
bool pn_scan_event_order(const struct pn_scan_event *event, const struct pn_facts *facts,
                         struct pn_facts *out, struct pn_scan_recorded **recorded, size_t *body,
                         struct pn_pool *pool);
/* Behind pn_verdict_edits: what only the server could refuse is refused as it was. */
void pn_scan_recorded_refusals(struct pn_verdict *v, const struct pn_scan_recorded *recorded);
/* True: the new body is one that was given, and is as the event says; *broken: it came to none. */
bool pn_scan_recorded_body(struct pn_verdict *v, const struct pn_scan_recorded *recorded,
                           bool *broken);

#endif
