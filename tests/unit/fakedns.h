/*
 * A name server on 127.0.0.1 for tests: answers from a DNS FILE (dnsfile.h) over UDP, on
 * the loop of the test. What the file says of a name:
 *
 *   TIMEOUT            it is silent
 *   SERVFAIL, ...      that rcode
 *   else               the records, as much as fits a packet
 *
 * An RRSIG of the name (TYPE46 \# ...) goes along with the records of its type. A name that
 * begins with "slow-" is answered after 100 ms. Forwarders are what it plays:
 * any name is its own.
 */
#ifndef FAKEDNS_H
#define FAKEDNS_H

#include "loop.h"

struct fakedns;

struct fakedns *fakedns_new(struct pn_loop *loop, const char *dns);
void fakedns_free(struct fakedns **server);
uint16_t fakedns_port(const struct fakedns *server);
/* Packets that came in. */
unsigned fakedns_questions(const struct fakedns *server);
/* From now on each answer is cut to so many bytes. */
void fakedns_cut(struct fakedns *server, unsigned bytes);

#endif
