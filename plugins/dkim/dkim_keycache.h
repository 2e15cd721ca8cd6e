/*
 * Decoded public keys by the text of their record. Decoding costs more than verifying,
 * and mail comes from few domains: a cached key is never wrong, since its text is what
 * it was made from. Fixed size; safe for several threads.
 */
#ifndef DKIM_KEYCACHE_H
#define DKIM_KEYCACHE_H

#include "dkim_sig.h"

#include <openssl/evp.h>

struct dkim_keycache;

struct dkim_keycache *dkim_keycache_new(void);
void dkim_keycache_free(struct dkim_keycache *cache);
/* The key of base64 text p, one reference of the caller's (EVP_PKEY_free); NULL: it can't
 * be decoded, is of another kind, or has an exponent over 64 bits. */
EVP_PKEY *dkim_keycache_get(struct dkim_keycache *cache, enum dkim_algorithm alg,
                            struct postern_str p);

#endif
