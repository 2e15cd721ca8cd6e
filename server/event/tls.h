/*
 * TLS contexts: certificates and keys read once, by the supervisor, and used by
 * edge and queue. Shared by many streams, counted, so a reload replaces a context
 * while older connections keep theirs.
 */
#ifndef PN_TLS_H
#define PN_TLS_H

#include "buf.h"

#include <sys/socket.h>

struct pn_tls_context;

struct pn_tls_info {
    const char *protocol; /* "TLSv1.3" */
    const char *cipher;   /* OpenSSL's name */
    unsigned bits;
    const char *sni; /* what the client named, or NULL */
};

/* One certificate chain and key, PEM as bytes (no file is opened here). */
struct pn_tls_identity {
    struct pn_str name; /* SNI name it serves ("*.x.test" allowed); empty: the default */
    struct pn_str chain_pem;
    struct pn_str key_pem;
};

/* A server context for these identities, at least one; the first is the default.
 * NULL with a sentence in err. TLS 1.2 and up, no renegotiation, tickets off. */
struct pn_tls_context *pn_tls_server_new(const struct pn_tls_identity *ids, size_t count,
                                         struct pn_buf *err);
/* A client context that takes any certificate (opportunistic TLS, RFC 7435). */
struct pn_tls_context *pn_tls_client_new(struct pn_buf *err);
struct pn_tls_context *pn_tls_ref(struct pn_tls_context *tls);
void pn_tls_unref(struct pn_tls_context **tls);

#endif
