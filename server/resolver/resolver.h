/*
 * The resolver role: all DNS of the server, one shared cache.
 *
 * PN_REC_DNS_ASK comes from edge, filter workers and queue, each over its own channel;
 * PN_REC_DNS_ANSWER goes back, in any order (dns.h). asks.h says who gets a slot, and
 * upstream.h who answers: libunbound, or a file. Settings are the rows of `resolver`;
 * a reload that changes none of them keeps the cache.
 */
#ifndef PN_RESOLVER_H
#define PN_RESOLVER_H

#include "control.h"

pn_role_main pn_resolver_main;

#endif
