#include "signer_keys.h"

#include "mem.h"

#include <stdlib.h>

enum { POOL_BYTES = 16 * 1024 * 1024 };

/* It follows from what the key is called and from what is published of it. */
static bool make_id(struct signer_key *k)
{
    struct pn_buf text;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_addf(&text, "%.*s %.*s ", PN_FMT(k->row.domain), PN_FMT(k->row.selector));
    bool ok = pn_sign_key_record(k->key, &text) &&
              EVP_Digest(text.p, text.len, hash, &len, EVP_sha256(), NULL) == 1;
    memcpy(&k->row.id, hash, ok ? sizeof k->row.id : 0);
    pn_buf_fini(&text);
    return ok;
}

static const char *add(struct signer_keys *keys, const struct pn_sign_pem *pem)
{
    struct signer_key *k = &keys->keys[keys->count];
    k->key = pn_sign_key_read(pem->pem);
    if (k->key == NULL)
        return "no private key in it (PEM, without a passphrase)";
    keys->count++;
    const char *algorithm = pn_sign_key_algorithm(k->key);
    if (algorithm == NULL)
        return "DKIM has RSA keys of 1024 bits and more, and Ed25519";
    k->row.algorithm = pn_str_of(algorithm);
    k->row.domain = pn_pool_dup(keys->pool, pem->domain);
    k->row.selector = pn_pool_dup(keys->pool, pem->selector);
    if (k->row.domain.p == NULL || k->row.selector.p == NULL)
        return "too many keys";
    return make_id(k) ? NULL : "OpenSSL can't use it";
}

struct signer_keys *signer_keys_new(const struct pn_generation *gen, struct pn_buf *err)
{
    struct signer_keys *keys = pn_calloc(1, sizeof *keys);
    keys->refs = 1;
    keys->pool = pn_pool_new(POOL_BYTES);
    keys->keys = pn_calloc(gen->sign_count + 1, sizeof *keys->keys);
    for (size_t i = 0; i < gen->sign_count; i++) {
        const char *wrong = add(keys, &gen->signs[i]);
        if (wrong == NULL)
            continue;
        (void)pn_buf_addf(err, "key %.*s of %.*s: %s", PN_FMT(gen->signs[i].selector),
                          PN_FMT(gen->signs[i].domain), wrong);
        signer_keys_unref(&keys);
        return NULL;
    }
    return keys;
}

struct signer_keys *signer_keys_ref(struct signer_keys *keys)
{
    keys->refs++;
    return keys;
}

void signer_keys_unref(struct signer_keys **from)
{
    struct signer_keys *keys = *from;
    *from = NULL;
    if (keys == NULL || --keys->refs != 0)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->keys[i].key);
    free(keys->keys);
    pn_pool_free(&keys->pool);
    free(keys);
}

EVP_PKEY *signer_keys_find(const struct signer_keys *keys, uint64_t id)
{
    for (size_t i = 0; keys != NULL && i < keys->count; i++)
        if (keys->keys[i].row.id == id)
            return keys->keys[i].key;
    return NULL;
}
