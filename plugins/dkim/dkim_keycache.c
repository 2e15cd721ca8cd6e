#include "dkim_keycache.h"

#include "dkim_rsa.h"
#include "dkim_text.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    SLOTS = 512,
    WAYS = 2,        /* a key may lie in either of two neighbouring slots */
    KEY_MAX = 2304,  /* bytes of DER: RSA of 16,384 bits, with room */
    TEXT_MAX = 4096, /* bytes of a text that is kept: KEY_MAX as base64, and folds */
    EXPONENT_MAX = 64,
    ED25519_LEN = 32 /* RFC 8463, section 4 */
};

struct entry {
    EVP_PKEY *pkey;
    enum dkim_algorithm alg;
    size_t len;
    char *text;
};

struct dkim_keycache {
    pthread_mutex_t lock;
    unsigned turn; /* which way is given up next */
    struct entry slot[SLOTS];
};

struct dkim_keycache *dkim_keycache_new(void)
{
    struct dkim_keycache *cache = calloc(1, sizeof(*cache));

    if (cache != NULL && pthread_mutex_init(&cache->lock, NULL) != 0) {
        free(cache);
        return NULL;
    }
    return cache;
}

static void entry_clear(struct entry *e)
{
    EVP_PKEY_free(e->pkey);
    free(e->text);
    *e = (struct entry){.len = 0};
}

void dkim_keycache_free(struct dkim_keycache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        entry_clear(&cache->slot[i]);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* An exponent as long as its number makes a verification cost what a hundred others do. OpenSSL
 * has this limit for numbers over 3,072 bits only. */
static bool exponent_ok(const EVP_PKEY *pkey)
{
    BIGNUM *e = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
              BN_num_bits(e) <= EXPONENT_MAX;

    BN_free(e);
    return ok;
}

static EVP_PKEY *decode_rsa(const unsigned char *der, long n)
{
    const unsigned char *at = der;
    EVP_PKEY *pkey = dkim_rsa_key(der, (size_t)n);

    if (pkey != NULL)
        at = der + n;
    else
        pkey = d2i_PUBKEY(NULL, &at, n);
    /* RFC 6376 names the bare RSAPublicKey, everyone publishes SubjectPublicKeyInfo. */
    if (pkey == NULL) {
        at = der;
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, n);
    }
    if (pkey != NULL &&
        (at != der + n || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA || !exponent_ok(pkey))) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

static EVP_PKEY *decode(enum dkim_algorithm alg, struct postern_str p)
{
    unsigned char der[KEY_MAX];
    long n = dkim_base64(p, der, sizeof(der));
    EVP_PKEY *pkey = NULL;

    if (n <= 0)
        return NULL;
    if (alg == DKIM_RSA_SHA256)
        pkey = decode_rsa(der, n);
    else if (n == ED25519_LEN)
        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, der, (size_t)n);
    ERR_clear_error();
    return pkey;
}

static size_t slot_of(struct postern_str p)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < p.len; i++)
        h = (h ^ (unsigned char)p.p[i]) * 1099511628211U;
    return (h ^ h >> 32) % (SLOTS - WAYS + 1);
}

static EVP_PKEY *find(struct dkim_keycache *cache, size_t slot, enum dkim_algorithm alg,
                      struct postern_str p)
{
    EVP_PKEY *pkey = NULL;

    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = slot; i < slot + WAYS; i++) {
        struct entry *e = &cache->slot[i];

        if (e->pkey != NULL && e->alg == alg && e->len == p.len &&
            memcmp(e->text, p.p, p.len) == 0 && EVP_PKEY_up_ref(e->pkey) == 1) {
            pkey = e->pkey;
            break;
        }
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return pkey;
}

static void keep(struct dkim_keycache *cache, size_t slot, enum dkim_algorithm alg,
                 struct postern_str p, EVP_PKEY *pkey)
{
    char *text = p.len > TEXT_MAX ? NULL : malloc(p.len);
    struct entry *e;

    if (text == NULL || EVP_PKEY_up_ref(pkey) != 1) {
        free(text);
        return;
    }
    memcpy(text, p.p, p.len);
    (void)pthread_mutex_lock(&cache->lock);
    e = &cache->slot[slot];
    if (e->pkey != NULL)
        e = &cache->slot[slot + cache->turn++ % WAYS];
    entry_clear(e);
    *e = (struct entry){.pkey = pkey, .alg = alg, .len = p.len, .text = text};
    (void)pthread_mutex_unlock(&cache->lock);
}

EVP_PKEY *dkim_keycache_get(struct dkim_keycache *cache, enum dkim_algorithm alg,
                            struct postern_str p)
{
    size_t slot = slot_of(p);
    EVP_PKEY *pkey = find(cache, slot, alg, p);

    if (pkey != NULL)
        return pkey;
    pkey = decode(alg, p);
    if (pkey != NULL)
        keep(cache, slot, alg, p, pkey);
    return pkey;
}
