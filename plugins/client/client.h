/*
 * What a name says by itself, without a question to anybody: client_helo.c (the argument of
 * HELO, RFC 5321 sections 4.1.3 and 4.1.4) and client_name.c (a name of the reverse zone).
 * Bytes are foreign in both. Views are borrowed.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <postern/plugin.h>

#include <stdbool.h>

enum { CLIENT_NAME_MAX = 253 }; /* RFC 1035, as text without the last dot */

enum client_helo {
    CLIENT_HELO_NAME,        /* of a host: labels of letters, digits and hyphens, with a dot */
    CLIENT_HELO_SHORT,       /* one label, or below a name that is each network's own */
    CLIENT_HELO_LITERAL,     /* [192.0.2.7], [IPv6:2001:db8::7] */
    CLIENT_HELO_LITERAL_BAD, /* in brackets, but no address */
    CLIENT_HELO_ADDRESS,     /* an address without brackets */
    CLIENT_HELO_BAD          /* none of these */
};

/* ip: of LITERAL and ADDRESS, IPv4 as ::ffff:a.b.c.d. */
enum client_helo client_helo_read(struct postern_str helo, unsigned char ip[16]);

/* Whether the name holds the address, as names do that a provider gives to a whole range:
 * its octets in either order (7-2-0-192), padded (192000002007) or as hex digits. */
bool client_name_has_address(struct postern_str name, const unsigned char ip[16], bool is_ipv4);
/* The first word of a label that speaks of a range (dsl, dhcp, pool, ...), before the last two
 * labels, which are the provider's own name. Empty: none. more: one that the operator added;
 * n counts from 0. */
struct postern_str client_name_word(struct postern_str name,
                                    bool (*more)(void *ctx, size_t n, struct postern_str *word),
                                    void *ctx);

bool client_same(struct postern_str a, struct postern_str b); /* without case */

#endif
