/* What stream_tls.c needs of a context. Nobody outside server/event includes this. */
#ifndef PN_TLS_INT_H
#define PN_TLS_INT_H

#include "tls.h"

#include <openssl/ssl.h>

SSL_CTX *tls_context_ssl(struct pn_tls_context *tls);
/* The first error of OpenSSL's queue as a short text; empties the queue. */
void tls_error_text(char *text, size_t size);

#endif
