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

/* How a client knows that the server is who it wants. */
enum pn_tls_verified { PN_TLS_UNVERIFIED, PN_TLS_BY_AUTHORITY, PN_TLS_BY_DANE };

struct pn_tls_info {
    const char *protocol; /* "TLSv1.3" */
    const char *cipher;   /* OpenSSL's name */
    unsigned bits;
    const char *sni; /* what the client named, or NULL */
    enum pn_tls_verified verified;
};

/* Certificate usages of a TLSA record that mail has use for (RFC 7218). */
enum { PN_TLSA_TA = 2, PN_TLSA_EE = 3 };

/* A TLSA record (RFC 6698, section 2.1). */
struct pn_tlsa {
    uint8_t usage, selector, matching;
    struct pn_str data; /* borrowed */
};

/*
 * What a client wants of a server; all borrowed for the call that takes it. With records the
 * handshake fails unless one of them matches (RFC 7671): DANE-EE(3) whatever names and dates
 * the certificate has, DANE-TA(2) only if it also has one of the names. Without, and with
 * `authority`, it fails unless one of the context's authorities signed for one of the names;
 * without both it is only said whether one did.
 */
struct pn_tls_want {
    const char *sni; /* NULL or an address: none is sent */
    const char *const *names;
    size_t name_count;
    const struct pn_tlsa *tlsa; /* each is pn_tlsa_usable; none: any certificate will do */
    size_t tlsa_count;
    bool authority;
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
/* Whether a client here can go by it: DANE-TA(2) or DANE-EE(3) (RFC 7672, section 3.1), a
 * selector and matching type that are known, data of the right length, or that are a
 * certificate or key where they are said to be one. */
bool pn_tlsa_usable(const struct pn_tlsa *tlsa);

/* A client context that takes any certificate (opportunistic TLS, RFC 7435), unless a
 * stream's pn_tls_want says otherwise. authorities: PEM certificates, "": none. */
struct pn_tls_context *pn_tls_client_new(struct pn_str authorities, struct pn_buf *err);
bool pn_tls_has_authorities(const struct pn_tls_context *tls);
struct pn_tls_context *pn_tls_ref(struct pn_tls_context *tls);
void pn_tls_unref(struct pn_tls_context **tls);

#endif
