#include "sign_key.h"

#include "codec.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { RSA_BITS_MIN = 1024, RSA_BITS_MAX = 8 * PN_SIGNATURE_MAX, ED25519_BYTES = 32 };

static int no_passphrase(char *to, int size, int writing, void *user)
{
    (void)to, (void)size, (void)writing, (void)user;
    return -1;
}

EVP_PKEY *pn_sign_key_read(struct pn_str pem)
{
    BIO *bio = pem.len > INT_MAX ? NULL : BIO_new_mem_buf(pem.p, (int)pem.len);
    if (bio == NULL)
        return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    (void)BIO_free(bio);
    return key;
}

const char *pn_sign_key_algorithm(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "ED25519"))
        return "ed25519-sha256";
    bool rsa = EVP_PKEY_is_a(key, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    return rsa ? "rsa-sha256" : NULL;
}

bool pn_sign_key_record(EVP_PKEY *key, struct pn_buf *out)
{
    unsigned char raw[ED25519_BYTES], *der = NULL;
    size_t len = sizeof raw;
    if (pn_sign_key_algorithm(key) == NULL)
        return false;
    if (EVP_PKEY_is_a(key, "RSA")) {
        int n = i2d_PUBKEY(key, &der);
        if (n <= 0)
            return false;
        (void)pn_buf_addz(out, "v=DKIM1; k=rsa; p=");
        pn_base64_encode(out, (struct pn_str){(char *)der, (size_t)n});
        OPENSSL_free(der);
        return true;
    }
    if (EVP_PKEY_get_raw_public_key(key, raw, &len) != 1)
        return false;
    (void)pn_buf_addz(out, "v=DKIM1; k=ed25519; p=");
    pn_base64_encode(out, (struct pn_str){(char *)raw, len});
    return true;
}

static bool sign_rsa(EVP_PKEY *key, const unsigned char *digest, unsigned char *to, size_t *len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
              EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
              EVP_PKEY_sign(ctx, to, len, digest, PN_SIGN_HASH) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* RFC 8463, section 3: PureEdDSA over the digest. */
static bool sign_ed25519(EVP_PKEY *key, const unsigned char *digest, unsigned char *to, size_t *len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(ctx, to, len, digest, PN_SIGN_HASH) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool pn_sign_key_sign(EVP_PKEY *key, const unsigned char digest[PN_SIGN_HASH], struct pn_buf *out)
{
    unsigned char signature[PN_SIGNATURE_MAX];
    size_t len = sizeof signature;
    bool ok = pn_sign_key_algorithm(key) != NULL &&
              (EVP_PKEY_is_a(key, "RSA") ? sign_rsa(key, digest, signature, &len)
                                         : sign_ed25519(key, digest, signature, &len));
    ERR_clear_error();
    return ok && pn_buf_add(out, signature, len);
}
