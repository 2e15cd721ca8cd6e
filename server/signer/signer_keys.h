/*
 * The keys of one generation, counted: a signature under way keeps them. Threads may sign by
 * them at once; counts change on the loop's thread alone.
 */
#ifndef PN_SIGNER_KEYS_H
#define PN_SIGNER_KEYS_H

#include "control.h"
#include "sign_key.h"

struct signer_key {
    struct pn_sign_key row; /* strings owned by the set's pool */
    EVP_PKEY *key;
};

struct signer_keys {
    unsigned refs;
    struct signer_key *keys; /* those of a domain together */
    size_t count;
    struct pn_pool *pool;
};

/* One reference is the caller's. NULL with a sentence in err: one of them is no key. */
struct signer_keys *signer_keys_new(const struct pn_generation *gen, struct pn_buf *err);
struct signer_keys *signer_keys_ref(struct signer_keys *keys);
void signer_keys_unref(struct signer_keys **keys);
/* NULL: it is not among them. */
EVP_PKEY *signer_keys_find(const struct signer_keys *keys, uint64_t id);

#endif
