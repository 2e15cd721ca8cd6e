/*
 * The PROXY protocol's header (HAProxy's proxy-protocol.txt, versions 1 and 2): a
 * balancer tells whose connection it passes on. Pure; shown the front of the input.
 *
 * Believe it only from networks that the configuration names, and there demand it: a
 * peer that may leave it out could choose who it is.
 *
 * Of version 2's extensions the checksum is verified where it is given; the others are
 * checked in form and passed over.
 */
#ifndef PN_PROXY_H
#define PN_PROXY_H

#include "net.h"

/* The longest header that is read; what claims to be longer is bad. */
enum { PN_PROXY_V1_MAX = 107, PN_PROXY_MAX = 2048 };

enum pn_proxy_status {
    PN_PROXY_MORE, /* the beginning of one */
    PN_PROXY_BAD,
    PN_PROXY_OK
};

struct pn_proxy {
    size_t len;                /* of the header: what follows is the client's */
    bool local;                /* it names no client: the connection's own addresses stand */
    struct pn_ip source, dest; /* unless local */
    uint16_t source_port, dest_port;
};

enum pn_proxy_status pn_proxy_parse(struct pn_str bytes, struct pn_proxy *out);

#endif
