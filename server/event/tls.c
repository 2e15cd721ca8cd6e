#include "tls.h"

#include "assert.h"
#include "mem.h"
#include "tls_int.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>

struct named {
    char *name; /* lower case; "" for the default */
    SSL_CTX *ssl;
};

struct pn_tls_context {
    atomic_uint refs;
    struct named *ids; /* the first is the default */
    bool authorities;  /* a client's has some */
    size_t count;
};

void tls_error_text(char *text, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    (void)snprintf(text, size, "%s", reason == NULL ? "TLS failed" : reason);
    ERR_clear_error();
}

SSL_CTX *tls_context_ssl(struct pn_tls_context *tls)
{
    return tls->ids[0].ssl;
}

/* An encrypted key is an error, never a question on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return 0;
}

static BIO *bio_of(struct pn_str pem)
{
    return pem.len > INT32_MAX ? NULL : BIO_new_mem_buf(pem.p, (int)pem.len);
}

static bool use_chain(SSL_CTX *ssl, struct pn_str pem)
{
    BIO *bio = bio_of(pem);
    X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
    bool ok = cert != NULL && SSL_CTX_use_certificate(ssl, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        ok = SSL_CTX_add0_chain_cert(ssl, cert) == 1;
        if (!ok)
            X509_free(cert);
    }
    if (ok) /* the end of the PEM text is reported as an error */
        ERR_clear_error();
    BIO_free(bio);
    return ok;
}

static bool use_key(SSL_CTX *ssl, struct pn_str pem)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(ssl, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static SSL_CTX *ssl_new(const SSL_METHOD *method)
{
    SSL_CTX *ssl = SSL_CTX_new(method);
    pn_assert(ssl != NULL && SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ssl, 0);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* One receive for a record's head and body. */
    SSL_CTX_set_read_ahead(ssl, 1);
    return ssl;
}

static struct pn_tls_context *context_new(size_t count)
{
    struct pn_tls_context *tls = pn_calloc(1, sizeof *tls);
    tls->ids = pn_calloc(count, sizeof tls->ids[0]);
    atomic_init(&tls->refs, 1);
    return tls;
}

static bool name_matches(const char *pattern, struct pn_str name)
{
    struct pn_str p = pn_str_of(pattern);
    if (!pn_str_starts(p, PN_STR("*.")))
        return p.len != 0 && pn_str_ieq(p, name);
    size_t dot = pn_str_find(name, '.', 0); /* the star stands for one label */
    return dot != SIZE_MAX && dot > 0 &&
           pn_str_ieq(pn_str_slice(p, 1, p.len), pn_str_slice(name, dot, name.len));
}

/* An unknown name gets the default certificate: mail clients often send none that
 * we know, and a handshake that fails would send their mail in the clear. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    struct pn_tls_context *tls = arg;
    struct pn_str name = pn_str_of(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    (void)alert;
    if (name.len != 0 && name.p[name.len - 1] == '.')
        name.len--;
    for (size_t wild = 0; wild < 2; wild++) {
        for (size_t i = 0; i < tls->count && name.len != 0; i++) {
            if ((tls->ids[i].name[0] == '*') == (wild == 1) &&
                name_matches(tls->ids[i].name, name)) {
                (void)SSL_set_SSL_CTX(ssl, tls->ids[i].ssl);
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return name.len == 0 ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

static bool add_identity(struct pn_tls_context *tls, const struct pn_tls_identity *id,
                         struct pn_buf *err)
{
    struct named *n = &tls->ids[tls->count++];
    const char *what = NULL;
    n->name = pn_strndup(id->name.p, id->name.len);
    n->ssl = ssl_new(TLS_server_method());
    (void)SSL_CTX_set_tlsext_servername_callback(n->ssl, on_server_name);
    (void)SSL_CTX_set_tlsext_servername_arg(n->ssl, tls);
    ERR_clear_error();
    if (!use_chain(n->ssl, id->chain_pem))
        what = "the certificate is no PEM certificate chain";
    else if (!use_key(n->ssl, id->key_pem))
        what = "the private key is no unencrypted PEM key that fits the certificate";
    else if (SSL_CTX_check_private_key(n->ssl) != 1)
        what = "the private key does not belong to the certificate";
    if (what == NULL)
        return true;
    char text[96];
    tls_error_text(text, sizeof text);
    (void)pn_buf_addf(err, "%s (%s)", what, text);
    return false;
}

struct pn_tls_context *pn_tls_server_new(const struct pn_tls_identity *ids, size_t count,
                                         struct pn_buf *err)
{
    pn_assert(count > 0);
    struct pn_tls_context *tls = context_new(count);
    for (size_t i = 0; i < count; i++) {
        if (!add_identity(tls, &ids[i], err)) {
            pn_tls_unref(&tls);
            return NULL;
        }
    }
    return tls;
}

/* Certificates alone: what else stands there (keys, lists of revoked ones) is passed over. */
static bool use_authorities(struct pn_tls_context *tls, struct pn_str pem)
{
    BIO *bio = bio_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(tls->ids[0].ssl);
    X509 *cert;
    bool ok = bio != NULL;
    while (ok && (cert = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL)) != NULL) {
        ok = X509_STORE_add_cert(store, cert) == 1;
        tls->authorities |= ok;
        X509_free(cert);
    }
    ok = ok && tls->authorities &&
         ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the end of the text */
    if (ok)
        ERR_clear_error();
    BIO_free(bio);
    return ok;
}

bool pn_tls_has_authorities(const struct pn_tls_context *tls)
{
    return tls->authorities;
}

struct pn_tls_context *pn_tls_client_new(struct pn_str authorities, struct pn_buf *err)
{
    struct pn_tls_context *tls = context_new(1);
    tls->count = 1;
    tls->ids[0] = (struct named){pn_strdup(""), ssl_new(TLS_client_method())};
    SSL_CTX_set_verify(tls->ids[0].ssl, SSL_VERIFY_NONE, NULL);
    /* Weak beats none: without TLS the same mail would go in the clear. */
    if (SSL_CTX_set_cipher_list(tls->ids[0].ssl, "DEFAULT:@SECLEVEL=0") != 1 ||
        SSL_CTX_dane_enable(tls->ids[0].ssl) != 1) {
        char text[96];
        tls_error_text(text, sizeof text);
        (void)pn_buf_addz(err, text);
        pn_tls_unref(&tls);
        return NULL;
    }
    ERR_clear_error();
    if (authorities.len != 0 && !use_authorities(tls, authorities)) {
        char text[96];
        tls_error_text(text, sizeof text);
        (void)pn_buf_addf(err, "the authorities are no PEM certificates (%s)", text);
        pn_tls_unref(&tls);
    }
    return tls;
}

struct pn_tls_context *pn_tls_ref(struct pn_tls_context *tls)
{
    (void)atomic_fetch_add(&tls->refs, 1);
    return tls;
}

void pn_tls_unref(struct pn_tls_context **tls)
{
    struct pn_tls_context *t = *tls;
    *tls = NULL;
    if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    for (size_t i = 0; i < t->count; i++) {
        free(t->ids[i].name);
        SSL_CTX_free(t->ids[i].ssl);
    }
    free(t->ids);
    free(t);
}
