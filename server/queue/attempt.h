/*
 * What one try at a server of a next hop was like, for event lines: which server, whether over
 * TLS, and how we knew who it was. Made with each mail on a connection, and with each connection
 * that came to nothing; kept with the recipients that it settled while their message is at hand.
 *
 * Counted; the role's loop alone.
 */
#ifndef PN_QUEUE_ATTEMPT_H
#define PN_QUEUE_ATTEMPT_H

#include "hop.h"

#include "json.h"

struct attempt;

/* At a host of hop's, from now on. tls: NULL while in clear. */
struct attempt *attempt_new(const struct hop *hop, const struct tls_host *host,
                            const struct hop_address *to, const struct pn_tls_info *tls);
/* The handshake was done. */
void attempt_encrypted(struct attempt *a, const struct pn_tls_info *tls);
struct attempt *attempt_ref(struct attempt *a);
void attempt_unref(struct attempt **a);

/* It settles that recipient now; NULL: no server does. */
void attempt_settles(struct message *m, uint32_t index, struct attempt *a);
/* What settled the recipient, as members of the object at hand; none where no server did. */
void attempt_json(const struct message *m, uint32_t index, struct pn_json *j);
/* The same of a try that settles nobody: a connection that came to nothing. */
void attempt_print(const struct attempt *a, struct pn_json *j);
/* The server that settled it, by name or (in ip) by address; empty: none did. */
struct pn_str attempt_server(const struct message *m, uint32_t index, char ip[PN_IP_TEXT_MAX]);
/* Its message is let go of. */
void attempts_forget(struct message_work *w, uint32_t count);

#endif
