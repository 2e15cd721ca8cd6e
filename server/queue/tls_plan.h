/*
 * How a connection to a next hop is to be had: what the operator wants of TLS, and what DNS
 * says of the host, make a plan. Pure.
 *
 * The operator's words are a ladder; what a host publishes by DANE holds from `may` on (RFC
 * 7672: opportunistic, yet no attacker can talk us out of it):
 *
 *   what DNSSEC says    off     may                     must            dane
 *   nothing             clear   TLS if offered, clear   TLS             deferred
 *                               if its handshake breaks
 *   unusable records    clear   TLS                     TLS             deferred
 *   usable records      clear   TLS, proved             TLS, proved     TLS, proved
 *   not to be had now   clear   deferred                deferred        deferred
 *
 * By `must` alone, a host that the operator named himself has to have a certificate of that
 * name by one of the authorities, if he named some (queue.tls-authorities): whoever's name DNS
 * gave us without a proof, a certificate of that name proves nothing.
 *
 * "deferred" means that this host gets nothing; another one of the destination may.
 */
#ifndef PN_QUEUE_TLS_PLAN_H
#define PN_QUEUE_TLS_PLAN_H

#include "client.h"
#include "tls_host.h"

enum tls_level { TLS_OFF, TLS_MAY, TLS_MUST, TLS_DANE };

struct tls_plan {
    const char *refusal; /* why there is to be no connection, "4.7.5 ..."; NULL: there is */
    enum pn_smtp_tls_use use;
    enum pn_tls_verified verify; /* the least that is asked for */
    bool clear_after; /* a handshake that broke may be followed by a connection without TLS */
};

/* authorities: there are some to go by. broke: a handshake did, with this address, a moment
 * ago. */
struct tls_plan tls_plan(enum tls_level level, const struct tls_host *host, bool authorities,
                         bool broke);
/* Whether a connection that stands already is as good as the plan of a new one: the operator
 * may have changed his mind since, or the host its records. */
bool tls_plan_serves(const struct tls_plan *asked, bool encrypted, enum pn_tls_verified verified);

/* Whether it is the host that was meant: an authority's word is as good as the name it is about. */
bool tls_is_proved(const struct tls_host *host, enum pn_tls_verified verified);

#endif
