/* What a client wants of a server, told to OpenSSL: it does DANE itself (RFC 7671, digest
 * agility and all). What it leaves to us: PKIX usages, which mail has no use for, and that
 * names and dates of a DANE-EE certificate do not count. */
#include "net.h"
#include "tls_int.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* RFC 6698, sections 2.1.2 and 2.1.3. */
enum { CERTIFICATE, KEY };
enum { WHOLE, DIGEST_256, DIGEST_512 };

/* Parsed whole, with nothing behind it. */
static bool is_certificate(struct pn_str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    bool ok = x != NULL && p == (const unsigned char *)der.p + der.len && X509_get0_pubkey(x);
    X509_free(x);
    ERR_clear_error();
    return ok;
}

static bool is_key(struct pn_str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der.len);
    bool ok = key != NULL && p == (const unsigned char *)der.p + der.len;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}

bool pn_tlsa_usable(const struct pn_tlsa *t)
{
    if ((t->usage != PN_TLSA_TA && t->usage != PN_TLSA_EE) || t->selector > KEY)
        return false;
    switch (t->matching) {
    case WHOLE:
        return t->data.len <= UINT16_MAX &&
               (t->selector == CERTIFICATE ? is_certificate(t->data) : is_key(t->data));
    case DIGEST_256:
        return t->data.len == 32;
    case DIGEST_512:
        return t->data.len == 64;
    default:
        return false;
    }
}

bool tls_set_peer_name(SSL *ssl, const char *name)
{
    struct pn_ip ip;
    if (name == NULL || name[0] == '\0' || pn_ip_parse(pn_str_of(name), &ip))
        return false; /* RFC 6066 section 3: an address is no server name */
    if (SSL_set_tlsext_host_name(ssl, name) == 1)
        return true;
    ERR_clear_error(); /* too long to be sent: go on without */
    return false;
}

static bool add_names(SSL *ssl, const struct pn_tls_want *want)
{
    for (size_t i = 0; i < want->name_count; i++)
        if ((i == 0 ? SSL_set1_host : SSL_add1_host)(ssl, want->names[i]) != 1)
            return false;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return want->name_count > 0;
}

static bool add_records(SSL *ssl, const struct pn_tls_want *want)
{
    (void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < want->tlsa_count; i++) {
        const struct pn_tlsa *t = &want->tlsa[i];
        if (SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
                              (const unsigned char *)t->data.p, t->data.len) <= 0)
            return false;
    }
    return true;
}

bool tls_apply_want(SSL *ssl, const struct pn_tls_want *want)
{
    bool named = tls_set_peer_name(ssl, want->sni);
    if (want->tlsa_count == 0 && !want->authority) {
        (void)(named && add_names(ssl, want)); /* only to say whether it has them */
        ERR_clear_error();
        return true;
    }
    SSL_set_security_level(ssl, 1); /* what proves nothing need not be proved */
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (want->tlsa_count == 0)
        return named && add_names(ssl, want);
    return named && SSL_dane_enable(ssl, want->sni) == 1 && add_names(ssl, want) &&
           add_records(ssl, want);
}

enum pn_tls_verified tls_verified(SSL *ssl)
{
    if (SSL_get_verify_result(ssl) != X509_V_OK || SSL_get0_peer_certificate(ssl) == NULL)
        return PN_TLS_UNVERIFIED;
    if (SSL_get0_dane_authority(ssl, NULL, NULL) >= 0)
        return PN_TLS_BY_DANE;
    return SSL_get0_peername(ssl) != NULL ? PN_TLS_BY_AUTHORITY : PN_TLS_UNVERIFIED;
}
