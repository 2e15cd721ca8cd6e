/* What stream_tls.c needs of a context. Nobody outside server/event includes this. */
#ifndef PN_TLS_INT_H
#define PN_TLS_INT_H

#include "tls.h"

#include <openssl/ssl.h>

SSL_CTX *tls_context_ssl(struct pn_tls_context *tls);
/* tls_want.c. Sends the name (SNI), if it is one that can be sent; false: not. */
bool tls_set_peer_name(SSL *ssl, const char *name);
/* False: it can't be had so, and no handshake must be made. */
bool tls_apply_want(SSL *ssl, const struct pn_tls_want *want);
/* Once the handshake is done. */
enum pn_tls_verified tls_verified(SSL *ssl);
/* The first error of OpenSSL's queue as a short text; empties the queue. */
void tls_error_text(char *text, size_t size);

#endif
