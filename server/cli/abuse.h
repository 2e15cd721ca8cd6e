/*
 * Counting abuse in an event log: who sent what was not accepted, by client address,
 * network (IPv4 /24, IPv6 /64), sender domain and symbol. Lines are fed one at a time;
 * a line that is no message event, or older than asked for, is passed over; a line that
 * is no JSON (a log cut short by a crash) is counted as damaged, never fatal.
 */
#ifndef PN_ABUSE_H
#define PN_ABUSE_H

#include "buf.h"

#include <stdio.h>

struct pn_abuse;

enum { PN_ABUSE_OUTCOMES = 6 }; /* accept junk quarantine discard defer reject */

struct pn_abuse_totals {
    uint64_t messages, damaged;
    uint64_t outcomes[PN_ABUSE_OUTCOMES];
    struct pn_str first, last; /* time stamps of the first and last message counted */
};

/* since: an RFC 3339 time in UTC, compared as text; empty: everything. Borrowed. */
struct pn_abuse *pn_abuse_new(struct pn_str since);
void pn_abuse_free(struct pn_abuse **abuse);
void pn_abuse_line(struct pn_abuse *abuse, struct pn_str line);
struct pn_abuse_totals pn_abuse_totals(const struct pn_abuse *abuse);

/* The rows with the most messages that were not accepted, at most top a table. */
void pn_abuse_print(struct pn_abuse *abuse, size_t top, FILE *to);
void pn_abuse_print_json(struct pn_abuse *abuse, size_t top, FILE *to);

/* "90m", "24h", "7d" before now, or a date, or a date and time: an RFC 3339 time into
 * out. False for anything else. */
bool pn_abuse_since(struct pn_str text, int64_t now_ms, struct pn_buf *out);

#endif
