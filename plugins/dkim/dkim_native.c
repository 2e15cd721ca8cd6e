/* The engine of our own: one pass over the body for each canonical form, whatever the
 * number of signatures, and keys decoded once. */
#include "dkim_canon.h"
#include "dkim_engine.h"
#include "dkim_keycache.h"
#include "dkim_text.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

enum { DIGEST = 32 };

struct native {
    EVP_MD *sha256; /* fetched once: a fetch takes locks */
    struct dkim_keycache *keys;
};

static void native_free(void *self)
{
    struct native *n = self;

    if (n == NULL)
        return;
    EVP_MD_free(n->sha256);
    dkim_keycache_free(n->keys);
    free(n);
}

static void *native_make(void)
{
    struct native *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return NULL;
    n->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    n->keys = dkim_keycache_new();
    if (n->sha256 == NULL || n->keys == NULL) {
        native_free(n);
        return NULL;
    }
    return n;
}

/* ---- hashing: short runs are gathered, long ones hashed where they lie ---- */

struct hash {
    EVP_MD_CTX *ctx;
    bool failed;
    size_t len;
    char p[2048];
};

static void hash_flush(struct hash *h)
{
    if (h->len > 0 && EVP_DigestUpdate(h->ctx, h->p, h->len) != 1)
        h->failed = true;
    h->len = 0;
}

static void hash_add(struct hash *h, const char *p, size_t n)
{
    if (n > sizeof(h->p) - h->len)
        hash_flush(h);
    if (n > sizeof(h->p) / 2) {
        hash_flush(h);
        h->failed |= EVP_DigestUpdate(h->ctx, p, n) != 1;
        return;
    }
    memcpy(h->p + h->len, p, n);
    h->len += n;
}

static bool hash_begin(struct hash *h, const struct native *self)
{
    h->len = 0;
    h->failed = h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, self->sha256, NULL) != 1;
    return !h->failed;
}

static bool hash_end(struct hash *h, unsigned char out[DIGEST])
{
    hash_flush(h);
    return !h->failed && EVP_DigestFinal_ex(h->ctx, out, NULL) == 1;
}

/* ---- the body: one running hash, with a copy of it taken at each l= ---- */

struct body_hash {
    struct hash hash;
    EVP_MD_CTX *copy;
    uint64_t total;
    struct dkim_sig **at; /* those of this form, by l=; without l= last */
    size_t count;
    size_t done; /* whose l= was reached */
};

static int by_length(const void *a, const void *b)
{
    const struct dkim_sig *x = *(struct dkim_sig *const *)a;
    const struct dkim_sig *y = *(struct dkim_sig *const *)b;

    if (x->has_length != y->has_length)
        return x->has_length ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length;
}

static void compare(struct dkim_sig *s, const unsigned char digest[DIGEST])
{
    if (memcmp(digest, s->bh, DIGEST) != 0)
        s->check = DKIM_CHECK_BODY;
}

/* The hash of what came so far, for the next signature. */
static void body_mark(struct body_hash *b)
{
    unsigned char digest[DIGEST];
    struct dkim_sig *s = b->at[b->done++];

    hash_flush(&b->hash);
    if (b->hash.failed || EVP_MD_CTX_copy_ex(b->copy, b->hash.ctx) != 1 ||
        EVP_DigestFinal_ex(b->copy, digest, NULL) != 1)
        s->check = DKIM_CHECK_FAILED;
    else
        compare(s, digest);
}

static bool body_due(const struct body_hash *b)
{
    return b->done < b->count && b->at[b->done]->has_length;
}

static void body_emit(void *arg, const char *p, size_t n)
{
    struct body_hash *b = arg;

    while (body_due(b) && b->at[b->done]->length - b->total <= n) {
        size_t take = (size_t)(b->at[b->done]->length - b->total);

        hash_add(&b->hash, p, take);
        b->total += take;
        p += take;
        n -= take;
        body_mark(b);
    }
    b->total += n;
    if (b->done < b->count)
        hash_add(&b->hash, p, n);
}

static void body_finish(struct body_hash *b)
{
    unsigned char digest[DIGEST];
    bool good;

    while (body_due(b))
        b->at[b->done++]->check = DKIM_CHECK_LENGTH;
    for (size_t i = 0; i < b->done; i++)
        if (b->at[i]->check != DKIM_CHECK_LENGTH)
            b->at[i]->tail = b->total - b->at[i]->length;
    good = hash_end(&b->hash, digest);
    for (size_t i = b->done; i < b->count; i++) {
        if (good)
            compare(b->at[i], digest);
        else
            b->at[i]->check = DKIM_CHECK_FAILED;
    }
}

/* Leaves `check` NONE for those whose body is right. */
static void check_bodies(const struct native *self, struct body_hash *b, bool relaxed,
                         struct postern_str body, struct dkim_sig *sigs, size_t n)
{
    b->count = b->done = 0;
    b->total = 0;
    for (size_t i = 0; i < n; i++)
        if (sigs[i].result == DKIM_PENDING && sigs[i].body_relaxed == relaxed)
            b->at[b->count++] = &sigs[i];
    if (b->count == 0)
        return;
    qsort(b->at, b->count, sizeof(*b->at), by_length);
    (void)hash_begin(&b->hash, self);
    while (body_due(b) && b->at[b->done]->length == 0)
        body_mark(b);
    dkim_canon_body(relaxed, body, body_emit, b);
    body_finish(b);
}

/* ---- the header and the signature ---- */

static void hash_emit(void *arg, const char *p, size_t n)
{
    hash_add(arg, p, n);
}

/* Each name in h= takes the lowest field of that name that is not taken yet; a name
 * without one counts as an empty string (RFC 6376, section 5.4). The signature's own field is
 * none of them (section 3.5, h=). */
static bool header_digest(const struct native *self, struct hash *h, const struct dkim_message *m,
                          const struct dkim_sig *s, int32_t *next, unsigned char out[DIGEST])
{
    struct postern_str names = s->names;

    if (!hash_begin(h, self))
        return false;
    memcpy(next, m->lowest, (m->names + 1) * sizeof(*next));
    while (names.p != NULL) {
        size_t name = dkim_message_name(m, dkim_split(&names, ':'));
        int32_t field = next[name];

        if (field == (int32_t)s->field)
            field = m->fields[field].above;
        if (field == DKIM_NO_FIELD)
            continue;
        next[name] = m->fields[field].above;
        dkim_canon_field(s->header_relaxed, &m->fields[field], hash_emit, h);
    }
    dkim_canon_own(s->header_relaxed, &m->fields[s->field], s->b_from, s->b_to, hash_emit, h);
    return hash_end(h, out);
}

static int verify_rsa(const struct native *self, EVP_PKEY *key, const struct dkim_sig *s,
                      const unsigned char digest[DIGEST])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    int result = -1;

    if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(ctx, self->sha256) == 1)
        result = EVP_PKEY_verify(ctx, s->b, s->b_len, digest, DIGEST) == 1;
    EVP_PKEY_CTX_free(ctx);
    return result;
}

/* RFC 8463, section 3: PureEdDSA over the digest. */
static int verify_ed25519(EVP_PKEY *key, const struct dkim_sig *s,
                          const unsigned char digest[DIGEST])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int result = -1;

    if (ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1)
        result = EVP_DigestVerify(ctx, s->b, s->b_len, digest, DIGEST) == 1;
    EVP_MD_CTX_free(ctx);
    return result;
}

static enum dkim_check check_signature(const struct native *self, EVP_PKEY *key,
                                       const struct dkim_sig *s, const unsigned char digest[DIGEST])
{
    int good = s->alg == DKIM_RSA_SHA256 ? verify_rsa(self, key, s, digest)
                                         : verify_ed25519(key, s, digest);

    ERR_clear_error();
    if (good < 0)
        return DKIM_CHECK_FAILED;
    return good ? DKIM_CHECK_VALID : DKIM_CHECK_SIGNATURE;
}

static void check_one(const struct native *self, struct hash *h, const struct dkim_message *m,
                      struct dkim_sig *s, int32_t *next)
{
    unsigned char digest[DIGEST];
    EVP_PKEY *key = dkim_keycache_get(self->keys, s->alg, s->key.p);

    if (key == NULL) {
        s->check = DKIM_CHECK_KEY;
        return;
    }
    s->bits = (unsigned)EVP_PKEY_get_bits(key);
    if (s->alg == DKIM_ED25519_SHA256)
        s->bits = 256; /* its length; OpenSSL counts 253 */
    if (s->alg == DKIM_RSA_SHA256 && s->bits < s->min_bits)
        s->check = DKIM_CHECK_SHORT;
    else if (s->check == DKIM_CHECK_NONE && !header_digest(self, h, m, s, next, digest))
        s->check = DKIM_CHECK_FAILED;
    else if (s->check == DKIM_CHECK_NONE)
        s->check = check_signature(self, key, s, digest);
    EVP_PKEY_free(key);
}

static int native_verify(void *arg, const struct dkim_message *m, struct dkim_sig *sigs, size_t n)
{
    const struct native *self = arg;
    struct body_hash *b = malloc(sizeof(*b));
    int32_t *next = malloc((m->names + 1) * sizeof(*next));
    struct dkim_sig **at = malloc(n * sizeof(struct dkim_sig *));
    int result = -1;

    if (b == NULL)
        goto done;
    b->hash.ctx = EVP_MD_CTX_new();
    b->copy = EVP_MD_CTX_new();
    b->at = at;
    if (b->hash.ctx != NULL && b->copy != NULL && next != NULL && at != NULL) {
        check_bodies(self, b, true, m->body, sigs, n);
        check_bodies(self, b, false, m->body, sigs, n);
        for (size_t i = 0; i < n; i++)
            if (sigs[i].result == DKIM_PENDING)
                check_one(self, &b->hash, m, &sigs[i], next);
        result = 0;
    }
    EVP_MD_CTX_free(b->copy);
    EVP_MD_CTX_free(b->hash.ctx);
done:
    free(b);
    free(next);
    free(at);
    return result;
}

const struct dkim_engine dkim_engine_native = {
    .name = "native", .make = native_make, .free = native_free, .verify = native_verify};
