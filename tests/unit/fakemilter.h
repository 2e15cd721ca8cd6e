/*
 * A milter of ours, on a thread and a UNIX socket: plays a script, and writes down what it heard.
 *
 * A script is a list of what is answered to which command, parted by blanks. Further entries
 * of a command are for its further times; the last one holds on. What is not there is answered
 * as a milter does that has nothing to say (and O by version 6, all actions, all steps).
 *
 *   O(6|1ff|100400|0 j {client_addr})   options: version, actions, steps in hex; a stage and names
 *   C=c  M=r  B=c,s                     answers to a command; a list is several, '.' none
 *   R=y(550 5.7.1 No)                   answers with texts, parted by '|', numbers in front
 *   E=h(X-Name|value),i(1|A|b),m(2|A|),b(text),q(why),+(<a@b.test>),c
 *   E=X  E=W                            lets go; hangs until we let go
 *   E=Z(7fffffff)                       a packet that says it has so many bytes
 *   E=!(...)                            the same as text: command and data, sent as they are
 *
 * What it heard: "O C[192.0.2.1]|4|1234|192.0.2.1 H(x) M(<a@a.test>) ... Q", an item a command,
 * a "/" between connections. Macros: D(M|i=TEST1|...).
 */
#ifndef FAKEMILTER_H
#define FAKEMILTER_H

#include "str.h"

struct fakemilter;

/* bytewise: each byte of an answer is a write of its own. */
struct fakemilter *fakemilter_new(const char *path, const char *script, bool bytewise);
/* Waits until so many connections are over. */
void fakemilter_wait_gone(struct fakemilter *m, unsigned connections);
/* It stops listening; what it heard, when all who were connected are gone. Owned by it. */
struct pn_str fakemilter_heard(struct fakemilter *m);
void fakemilter_free(struct fakemilter **m);

#endif
