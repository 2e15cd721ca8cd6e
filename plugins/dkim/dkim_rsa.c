#include "dkim_rsa.h"

#include <openssl/core_names.h>
#include <string.h>

enum { INTEGER = 0x02, BIT_STRING = 0x03, SEQUENCE = 0x30, INTEGER_MAX = 2048 };

struct der {
    const unsigned char *p;
    size_t len;
};

/* The value of the next element, which has this tag and a length in the shortest form. */
static int take(struct der *from, unsigned tag, struct der *value)
{
    size_t head = 2, len;

    if (from->len < 2 || from->p[0] != tag)
        return 0;
    len = from->p[1];
    if (len > 0x82 || len == 0x80)
        return 0;
    if (len > 0x80) {
        size_t bytes = len - 0x80;

        head += bytes;
        if (from->len < head)
            return 0;
        len = from->p[2];
        if (bytes == 2)
            len = len << 8 | from->p[3];
        if (len < (bytes == 1 ? 0x80U : 0x100U))
            return 0;
    }
    if (len > from->len - head)
        return 0;
    *value = (struct der){from->p + head, len};
    *from = (struct der){from->p + head + len, from->len - head - len};
    return 1;
}

/* A positive number without needless zeros, as little-endian bytes. */
static int take_number(struct der *from, unsigned char out[INTEGER_MAX], size_t *len)
{
    struct der v;

    if (!take(from, INTEGER, &v) || v.len == 0 || v.p[0] >= 0x80)
        return 0;
    if (v.p[0] == 0) {
        if (v.len < 2 || v.p[1] < 0x80)
            return 0;
        v = (struct der){v.p + 1, v.len - 1};
    }
    if (v.len > INTEGER_MAX)
        return 0;
    for (size_t i = 0; i < v.len; i++)
        out[i] = v.p[v.len - 1 - i];
    *len = v.len;
    return 1;
}

static EVP_PKEY *key_of(unsigned char *n, size_t n_len, unsigned char *e, size_t e_len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, n_len),
                           OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, e_len),
                           OSSL_PARAM_construct_end()};

    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

EVP_PKEY *dkim_rsa_key(const unsigned char *bytes, size_t len)
{
    static const unsigned char rsa[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                        0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    unsigned char n[INTEGER_MAX], e[INTEGER_MAX];
    size_t n_len, e_len;
    struct der all = {bytes, len}, info, algorithm, bits, numbers;

    if (!take(&all, SEQUENCE, &info) || all.len != 0 || !take(&info, SEQUENCE, &algorithm) ||
        algorithm.len != sizeof(rsa) || memcmp(algorithm.p, rsa, sizeof(rsa)) != 0)
        return NULL;
    if (!take(&info, BIT_STRING, &bits) || info.len != 0 || bits.len == 0 || bits.p[0] != 0)
        return NULL;
    bits = (struct der){bits.p + 1, bits.len - 1};
    if (!take(&bits, SEQUENCE, &numbers) || bits.len != 0 || !take_number(&numbers, n, &n_len) ||
        !take_number(&numbers, e, &e_len) || numbers.len != 0)
        return NULL;
    return key_of(n, n_len, e, e_len);
}
