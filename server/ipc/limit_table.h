/*
 * What is counted over all edges: sessions and rates per address and per network, and
 * the caps on sessions, messages and bytes in flight.
 *
 * One table of fixed size in shared memory, position-independent, without a lock: an
 * edge that is killed at any moment leaves nothing held. Each edge counts what it has
 * open (sessions, messages, bytes) in a column of its own; who opens the table for an
 * edge number clears that column, so a crash costs nothing but its own counts. Two live
 * edges never share a number. The supervisor makes the table and passes it in
 * PN_REC_LIMITS.
 *
 * A rate is "n a minute" by the generic cell rate algorithm: n at once, then one each
 * 60/n s. It needs one word, and an entry with no session whose rates have recovered
 * says nothing: its place is free for others. Where all places for a key are taken, one
 * without sessions gives way; if each has sessions, the new one is not counted (`missed`).
 * So a stranger with many addresses can't make us use memory, and at worst weakens
 * limits. Keys are hashed with a secret of the table's.
 *
 * A user's entry is one like an address's, with a rate of an hour and the time until which all he
 * sends is held.
 *
 * Networks are IPv4 /24 and IPv6 /64. A network's limits are looked at first, so that
 * addresses of a network that is refused take no places.
 */
#ifndef PN_LIMIT_TABLE_H
#define PN_LIMIT_TABLE_H

#include "net.h"

struct pn_limits;

enum { PN_LIMITS_EDGES_MAX = 64, PN_LIMITS_ENTRIES = 32 * 1024 };

enum pn_rate { PN_RATE_CONNECT, PN_RATE_MAIL, PN_RATE_RCPT, PN_RATE_COUNT };

/* 0: no limit. */
struct pn_limit_rules {
    uint32_t address_sessions, network_sessions;             /* at once */
    uint32_t address[PN_RATE_COUNT], network[PN_RATE_COUNT]; /* a minute */
};

enum pn_limit {
    PN_LIMIT_NONE, /* go on */
    PN_LIMIT_ADDRESS_SESSIONS,
    PN_LIMIT_NETWORK_SESSIONS,
    PN_LIMIT_ADDRESS_RATE,
    PN_LIMIT_NETWORK_RATE
};

/* "sessions per address": for the event. */
const char *pn_limit_name(enum pn_limit limit);

/* A memory file for a table of so many entries (PN_LIMITS_ENTRIES), whose size can't be
 * changed any more: an fd, or -1 with errno. Pages are used as entries are. */
int pn_limits_create(uint32_t entries);
/* Maps the table of fd (borrowed), as edge number `edge`. NULL with errno: EINVAL for
 * what is no such table. */
struct pn_limits *pn_limits_open(int fd, unsigned edge);
/* What is still counted stays so until an edge of this number opens it again. */
void pn_limits_close(struct pn_limits **limits);

/* Where a session is counted; in the session's own struct. */
struct pn_limits_ticket {
    uint32_t slots[2]; /* address, network; 0: nowhere */
};

/* A new session: counted, if the result is PN_LIMIT_NONE, until pn_limits_leave. */
enum pn_limit pn_limits_enter(struct pn_limits *limits, const struct pn_limit_rules *rules,
                              const struct pn_ip *ip, uint64_t now_ns,
                              struct pn_limits_ticket *ticket);
void pn_limits_leave(struct pn_limits *limits, struct pn_limits_ticket *ticket);
/* One event of a rate; what is refused is not counted. */
enum pn_limit pn_limits_rate(struct pn_limits *limits, const struct pn_limit_rules *rules,
                             const struct pn_ip *ip, enum pn_rate rate, uint64_t now_ns);
/* An account that sends: n recipients more at once, of at most per_hour in an hour. Who sends
 * more is held for hold_ns from then on, whatever he sends. */
enum pn_user_rate {
    PN_USER_FREE,
    PN_USER_HELD,
    PN_USER_NOTICED /* held, from now on */
};
enum pn_user_rate pn_limits_user(struct pn_limits *limits, struct pn_str user, uint32_t per_hour,
                                 uint64_t hold_ns, uint32_t n, uint64_t now_ns);
/* Sessions or rate events that found no place, since the table was made. */
uint64_t pn_limits_missed(const struct pn_limits *limits);

/* ---- caps over all clients */

enum pn_cap { PN_CAP_SESSIONS, PN_CAP_MESSAGES, PN_CAP_BYTES, PN_CAP_COUNT };

/* Adds n to what this edge has open, unless all edges together would then be over max. */
bool pn_cap_take(struct pn_limits *limits, enum pn_cap cap, uint64_t n, uint64_t max);
void pn_cap_give(struct pn_limits *limits, enum pn_cap cap, uint64_t n);
uint64_t pn_cap_sum(const struct pn_limits *limits, enum pn_cap cap);

#endif
