/*
 * Next hops, one for each address or domain and destination block: for each a line of parcels (a
 * message and those of its recipients who get the same bytes), its addresses, and a few connections
 * that are kept and reused.
 *
 *   hop.c     the table; parcels; who gets a connection
 *   conn.c    one connection: the SMTP engine (server/smtp) on a stream
 *   names.c   addresses of a next hop, asked of the resolver
 *   mx.h      which of them, in which order
 *   shun.h    which of them are left alone for now
 *
 * A hop that can't be reached fails its whole line at once and stays closed for a little
 * while, so that ten thousand messages cost one connection attempt.
 */
#ifndef PN_QUEUE_HOP_H
#define PN_QUEUE_HOP_H

#include "queue_int.h"

enum {
    HOP_TABLE = 1024,
    HOP_ADDRESSES_MAX = 16,
    HOP_LINE_MAX = 250, /* parcels that wait; more come again in a second: a slow server must
                         * not take all places of messages under way */
    HOP_SWEEP_MIN = 1024,
    PARCEL_RECIPIENTS_MAX = 100 /* RFC 5321, section 4.5.3.1.8: what any server takes */
};

struct hop_address {
    struct pn_ip ip;
    uint16_t port;
};

/* Some recipients of a message that go in one transaction; pins the message. */
struct parcel {
    struct parcel *next;
    struct message *m;
    uint32_t count;
    uint32_t indices[PARCEL_RECIPIENTS_MAX];
};

/* A recipient that an edge asks about; goes before parcels, for a client waits. */
struct probe {
    struct probe *next;
    struct hop *hop;
    struct edge_peer *peer;
    uint64_t token;
    char *address; /* owned */
};

struct hop {
    struct hop *next_same; /* in the table */
    struct queue *queue;
    uint8_t via;       /* enum pn_via */
    char *name;        /* as the envelope, or the destination's route, has it; owned */
    struct dest *dest; /* by whose settings it works; counted */
    struct parcel *first, **end;
    size_t waiting; /* parcels and probes */
    struct probe *first_probe, **probe_end;
    struct conn *conns;
    unsigned conn_count;
    unsigned connecting; /* of those, not ready yet */
    bool queued;         /* for hop_flush */
    struct hop *next_queued;
    struct hop_address addresses[HOP_ADDRESSES_MAX];
    size_t address_count;
    size_t current;           /* address in use; address_count: all failed */
    uint64_t addresses_until; /* ns; then they are asked for anew */
    bool resolving;
    bool plain;            /* TLS failed here, and we may do without */
    uint64_t closed_until; /* ns */
    char *closed_why;      /* owned: "4.4.1 Connection refused" */
};

/* conn.c */
struct conn;
/* Begins a connection to the current address. */
void conn_open(struct hop *hop);
/* Gives a parcel to an idle connection of the hop; false: none is. */
bool conn_give_idle(struct hop *hop);
/* Ends what is idle, and lets what is busy finish. */
void conn_drain(struct hop *hop);

/* hop.c, for conn.c and names.c */
struct parcel *hop_take(struct hop *hop);
struct probe *hop_take_probe(struct hop *hop);
void parcel_free(struct parcel *p);
/* A connection to that address did not become ready; text begins with an enhanced status. */
void hop_conn_failed(struct hop *hop, size_t address, struct pn_str text);
void hop_pump(struct hop *hop);
/* Every waiting parcel is settled so; the hop stays closed if `close_it`. */
void hop_fail(struct hop *hop, uint16_t code, struct pn_str text, bool close_it);

/* Puts a question in line and lets the line move. */
void hop_probe(struct queue *q, uint8_t via, struct pn_str name, struct pn_str address,
               struct probe *p);

/* verify.c: the answer to one that is out of its line; frees it. of_rcpt: RCPT was what the
 * next hop answered. */
void probe_settle(struct probe *p, bool of_rcpt, uint16_t code, struct pn_str text);

/* names.c: fills the hop's addresses, then pumps or fails it; maybe before it returns. */
void names_find(struct hop *hop);
void names_init(struct queue *q);
void names_peer(struct queue *q, struct pn_peer *peer);
void names_end(struct queue *q);

#endif
