#include "identity.h"

#include "assert.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static void add_pem(struct pn_buf *out, BIO *bio)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    pn_assert(pn_buf_add(out, p, (size_t)n));
    BIO_free(bio);
}

void identity_make(const char *name, struct pn_buf *cert, struct pn_buf *key)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    pn_assert(pair != NULL && x != NULL);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                     (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(x, X509_get_subject_name(x));
    (void)X509_set_pubkey(x, pair);
    pn_assert(X509_sign(x, pair, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    (void)PEM_write_bio_X509(bio, x);
    add_pem(cert, bio);
    bio = BIO_new(BIO_s_mem());
    (void)PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL);
    add_pem(key, bio);
    X509_free(x);
    EVP_PKEY_free(pair);
}
