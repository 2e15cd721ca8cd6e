/*
 * Next hops, one for each address or domain and destination block: for each a line of parcels (a
 * message and those of its recipients who get the same bytes), its addresses, and a few connections
 * that are kept and reused.
 *
 *   hop.c     the table; what waits, and what becomes of it
 *   hop_line.h  the line of parcels, fair between senders
 *   hop_turn.h  who may open a connection and when: limits, back-off, rates
 *   conn.c    one connection: the SMTP engine (server/smtp) on a stream
 *   names.c   addresses of a next hop, asked of the resolver
 *   mx.h      which of them, in which order
 *   tls_*.h   what their hosts publish of TLS, and what is made of it
 *   shun.h    which of them are left alone for now
 *
 * A hop that can't be reached fails its whole line at once and stays closed for a little
 * while, so that ten thousand messages cost one connection attempt.
 */
#ifndef PN_QUEUE_HOP_H
#define PN_QUEUE_HOP_H

#include "hop_line.h"
#include "queue_int.h"
#include "tls_plan.h"

enum { HOP_TABLE = 1024, HOP_ADDRESSES_MAX = 16, HOP_SWEEP_MIN = 1024 };

struct hop_address {
    struct pn_ip ip;
    uint16_t port;
};

/* A recipient that an edge asks about; goes before parcels, for a client waits. */
struct probe {
    struct probe *next;
    struct hop *hop;
    struct edge_peer *peer;
    uint64_t token;
    char *address; /* owned */
    /* Or a message to be cut through, then without peer; NULL and no peer: it is given up. */
    struct cut *cut;
};

struct hop {
    struct hop *next_same; /* in the table */
    struct queue *queue;
    uint8_t via;       /* enum pn_via */
    char *name;        /* as the envelope, or the destination's route, has it; owned */
    struct dest *dest; /* by whose settings it works; counted */
    struct line line;
    struct probe *first_probe, **probe_end;
    size_t probes;
    struct conn *conns;
    unsigned conn_count;
    unsigned connecting; /* of those, not ready yet */
    unsigned cuts;       /* messages that are cut through, or wait for that (cut.h) */
    bool queued;         /* for hop_flush */
    struct hop *next_queued;
    struct hop_address addresses[HOP_ADDRESSES_MAX];
    struct tls_host *hosts[HOP_ADDRESSES_MAX]; /* of each address, what it says of TLS; counted */
    bool broke[HOP_ADDRESSES_MAX]; /* a handshake did that we may do without: no more TLS there */
    size_t address_count;
    size_t current;           /* address in use; address_count: all failed */
    uint64_t addresses_until; /* ns; then they are asked for anew */
    bool resolving;
    uint64_t closed_until; /* ns */
    char *closed_why;      /* owned: "4.4.1 Connection refused" */

    /* hop_turn.c's */
    unsigned window;    /* connections it may have now; 0: none was needed yet */
    uint16_t broken;    /* sessions in a row */
    uint16_t fails;     /* times in a row that it was closed */
    uint64_t pace_ns;   /* from one parcel's end to the next, while parcels wait */
    uint64_t done_ns;   /* the last one's */
    uint64_t turned_ns; /* when the last that was turned away is to come again */
    uint64_t turned_id; /* its message, and how many of it come then */
    uint32_t turned_count;
    uint64_t rate_due_ns; /* when the next recipient is due by the rate alone */
    struct pn_timer *rate_timer;
    struct turns *turns; /* those that wait for others' connections; NULL: it does not */
    struct hop *turn_next, **turn_at;
};

/* Parcels and probes. */
static inline size_t hop_waiting(const struct hop *hop)
{
    return hop->line.parcels + hop->probes;
}

/* conn.c */
struct conn;
/* Begins a connection to the current address. */
void conn_open(struct hop *hop);
/* Gives a parcel to an idle connection of the hop; false: none is. */
bool conn_give_idle(struct hop *hop);
/* Ends what is idle, and lets what is busy finish. */
void conn_drain(struct hop *hop);
/* Ends the connection that has been idle longest, whosever it is, or the one of those to the
 * network of ip. */
void conn_close_idle(struct queue *q, const struct pn_ip *ip);

/* hop.c, for conn.c and names.c */
struct parcel *hop_take(struct hop *hop);
struct probe *hop_take_probe(struct hop *hop);
/* A connection to that address did not become ready; text begins with an enhanced status. */
void hop_conn_failed(struct hop *hop, size_t address, struct pn_str text, struct attempt *by);
void hop_pump(struct hop *hop);
/* How a connection to that address is to be had now. */
struct tls_plan hop_tls_plan(const struct hop *hop, size_t address);
/* Every waiting parcel is settled so; the hop stays closed if `close_it`. */
void hop_fail(struct hop *hop, uint16_t code, struct pn_str text, bool close_it);
/* The same, by what a server did. */
void hop_fail_by(struct hop *hop, uint16_t code, struct pn_str text, bool close_it,
                 struct attempt *by);

/* Where mail to that address goes: its destination's route takes the place of MX. */
struct hop *hop_of(struct queue *q, uint8_t via, struct pn_str name, struct pn_str address);
/* Puts a question in line and lets the line move. */
void hop_probe(struct queue *q, uint8_t via, struct pn_str name, struct pn_str address,
               struct probe *p);

/* verify.c: the answer to one that is out of its line; frees it. of_rcpt: RCPT was what the
 * next hop answered. */
void probe_settle(struct probe *p, bool of_rcpt, uint16_t code, struct pn_str text);

/* names.c: fills the hop's addresses, then pumps or fails it; maybe before it returns. */
void names_find(struct hop *hop);
/* They are to be asked for anew. */
void names_forget(struct hop *hop);
void names_init(struct queue *q);
void names_peer(struct queue *q, struct pn_peer *peer);
void names_end(struct queue *q);

#endif
