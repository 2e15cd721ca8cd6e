/*
 * Where a message came from: its Received fields (RFC 5321, 4.4), read as the many kinds
 * of servers write them, newest first. "[ ip=… rdns=… helo=… by=… ]" is how rules see them.
 *
 * Relays are trusted up to the first whose client is not of a trusted network; where none
 * are said, private addresses are. What comes behind was written by strangers.
 */
#ifndef RULES_RELAY_H
#define RULES_RELAY_H

#include "rules_names.h"

enum { RULES_RELAYS_MAX = 100, RULES_RECEIVED_MAX = 8 * 1024 };

struct rules_relay {
    struct postern_str ip, rdns, helo, by, ident, envelope_from, id, auth;
    bool no_rdns; /* who took it asked, and there was no name */
    bool private_ip;
    bool has_envelope_from;
};

/* RULES_FETCHED: by POP3 or IMAP; what stands above it is of the mailbox's own machine. */
enum rules_received { RULES_RELAY, RULES_NO_RELAY, RULES_FETCHED, RULES_UNPARSEABLE };

struct rules_relays {
    struct rules_relay *relay;
    size_t count;
    size_t trusted; /* the first so many are */
    unsigned unparseable;
    size_t trusted_fields; /* Received fields up to and with the last trusted relay */
};

/* One unfolded field's value. Text of the relay is from the arena. */
enum rules_received rules_received_read(struct postern_str field, struct rules_arena *a,
                                        struct rules_relay *out);
bool rules_ip_is_private(struct postern_str ip);
/* Is all of s an address? IPv6 with or without "IPv6:". */
bool rules_is_ip(struct postern_str s);
bool rules_is_ipv4(struct postern_str s);
bool rules_is_trusted(const struct rules_names *n, const struct rules_relay *r);
/* "[ ip=… ]" of relays from..to, a blank between. */
struct postern_str rules_relays_text(const struct rules_relays *r, size_t from, size_t to,
                                     struct rules_arena *a);

struct rules_text;
/* Those of the message. */
const struct rules_relays *rules_text_relays(struct rules_text *t);
/* The name of the client's address in the DNS; empty: none is known. */
struct postern_str rules_relay_client_name(struct rules_text *t);

#endif
