/*
 * Destinations: what the configuration says of domains that mail is delivered to.
 *
 *   destination "example.net" { route mx | smtp "host:port" | lmtp "host:port"
 *                               tls off|may|must|dane   auth user "u" password-file "f"
 *                               connections N   messages-per-connection N
 *                               rate N per DURATION   retry LIST   expire DURATION }
 *
 * A block speaks for one domain, for all below it (".example.net"), or for all that no other
 * block names ("*"): names are A-labels in lower case. What a block does not say, queue.*
 * says; that is in these structs already. Which one a recipient's domain has the queue looks
 * up in an index of its own (server/queue/dest.h).
 *
 * Strings are borrowed from the policy. No password is here: its file's name is.
 */
#ifndef PN_DESTINATION_H
#define PN_DESTINATION_H

#include "policy.h"

enum { PN_DEST_RETRIES_MAX = 32 };

/* The choices' own numbers. */
enum pn_dest_route { PN_DEST_MX, PN_DEST_SMTP, PN_DEST_LMTP };
enum pn_dest_tls { PN_DEST_TLS_OFF, PN_DEST_TLS_MAY, PN_DEST_TLS_MUST, PN_DEST_TLS_DANE };

struct pn_destination {
    struct pn_str name; /* empty: nobody's, all by queue.* */
    enum pn_dest_route route;
    struct pn_str next_hop; /* "host:port"; empty with MX */
    enum pn_dest_tls tls;
    struct pn_str user, password_file; /* empty: no AUTH */
    bool plain;                        /* it may show the password itself */
    uint32_t connections;              /* to each next hop */
    uint64_t messages_per_connection;
    uint64_t rate, rate_ms; /* recipients in that time; 0: no limit */
    uint64_t retry_ms[PN_DEST_RETRIES_MAX];
    size_t retry_count; /* at least one */
    uint64_t expire_ms;
};

size_t pn_policy_destination_count(const struct pn_policy *p);
void pn_policy_destination(const struct pn_policy *p, size_t i, struct pn_destination *out);
/* What holds for domains that no block names. */
void pn_policy_destination_none(const struct pn_policy *p, struct pn_destination *out);

/* A next hop as written: "host:port", "192.0.2.1:25", "[2001:db8::1]:25"; without a port 25. */
struct pn_hop_name {
    struct pn_str host; /* empty: an address */
    struct pn_ip ip;
    uint16_t port;
};
bool pn_hop_name(struct pn_str text, struct pn_hop_name *out);

#endif
