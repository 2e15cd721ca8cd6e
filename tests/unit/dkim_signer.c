#include "dkim_signer.h"

#include "assert.h"
#include "codec.h"

#include <openssl/x509.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One line, without its CRLF, in the relaxed form. */
static void relaxed_line(struct pn_buf *out, struct pn_str line)
{
    bool blank = false;

    for (size_t i = 0; i < line.len; i++) {
        if (is_blank(line.p[i])) {
            blank = true;
            continue;
        }
        if (blank)
            (void)pn_buf_addc(out, ' ');
        blank = false;
        (void)pn_buf_addc(out, line.p[i]);
    }
}

void signer_body(struct pn_buf *out, bool relaxed, struct pn_str body)
{
    size_t empty = 0;
    bool any = false;

    while (body.len > 0) {
        size_t n = 0;
        struct pn_buf line;

        while (n < body.len && !(body.p[n] == '\r' && n + 1 < body.len && body.p[n + 1] == '\n'))
            n++;
        pn_buf_init(&line, SIZE_MAX);
        if (relaxed)
            relaxed_line(&line, pn_str_slice(body, 0, n));
        else
            (void)pn_buf_add(&line, body.p, n);
        body = pn_str_slice(body, n + 2, body.len);
        if (line.len == 0) {
            empty++;
        } else {
            for (; empty > 0; empty--)
                (void)pn_buf_addz(out, "\r\n");
            (void)pn_buf_adds(out, pn_buf_str(&line));
            (void)pn_buf_addz(out, "\r\n");
            any = true;
        }
        pn_buf_fini(&line);
    }
    if (!any && !relaxed)
        (void)pn_buf_addz(out, "\r\n");
}

void signer_field(struct pn_buf *out, bool relaxed, struct pn_str field)
{
    size_t colon = pn_str_find(field, ':', 0);
    struct pn_str name = pn_str_trim(pn_str_slice(field, 0, colon));
    struct pn_buf value;

    if (!relaxed) {
        (void)pn_buf_adds(out, field);
        return;
    }
    for (size_t i = 0; i < name.len; i++)
        (void)pn_buf_addc(out, pn_lower(name.p[i]));
    (void)pn_buf_addc(out, ':');
    pn_buf_init(&value, SIZE_MAX);
    for (size_t i = colon + 1; i < field.len; i++)
        if (field.p[i] != '\r' && field.p[i] != '\n')
            (void)pn_buf_addc(&value, field.p[i]);
    relaxed_line(out, pn_str_trim(pn_buf_str(&value)));
    pn_buf_fini(&value);
}

/* The lowest field of that name among the first *end bytes; *end goes to its start. */
static struct pn_str lowest(struct pn_str header, struct pn_str name, size_t *end)
{
    struct pn_str best = {NULL, 0};
    size_t at = 0;

    while (at < *end) {
        size_t to = at;

        do
            to = pn_str_find(header, '\n', to) + 1;
        while (to < header.len && is_blank(header.p[to]));
        struct pn_str field = pn_str_slice(header, at, to - 2);
        struct pn_str its = pn_str_slice(field, 0, pn_str_find(field, ':', 0));

        if (pn_str_ieq(pn_str_trim(its), name))
            best = field;
        at = to;
    }
    if (best.p != NULL)
        *end = (size_t)(best.p - header.p);
    return best;
}

static void canonical_header(struct pn_buf *out, bool relaxed, struct pn_str header,
                             const char *names)
{
    struct pn_str rest = pn_str_of(names);
    struct pn_str seen[64];
    size_t ends[64];
    size_t count = 0;

    while (rest.p != NULL) {
        struct pn_str name = pn_str_trim(pn_str_split(&rest, ':'));
        size_t i = 0;

        while (i < count && !pn_str_ieq(seen[i], name))
            i++;
        pn_assert(i < 64);
        if (i == count) {
            seen[count] = name;
            ends[count++] = header.len;
        }
        struct pn_str field = lowest(header, name, &ends[i]);

        if (field.p == NULL) {
            ends[i] = 0;
            continue;
        }
        signer_field(out, relaxed, field);
        (void)pn_buf_addz(out, "\r\n");
    }
}

static void digest(const struct signer_spec *spec, struct pn_str bytes, unsigned char out[32],
                   unsigned *len)
{
    const EVP_MD *md = spec->sha1 ? EVP_sha1() : EVP_sha256();

    pn_assert(EVP_Digest(bytes.p, bytes.len, out, len, md, NULL) == 1);
}

static void add_base64(struct pn_buf *out, const void *p, size_t n)
{
    pn_base64_encode(out, (struct pn_str){p, n});
}

static void add_signature(struct pn_buf *out, const struct signer_spec *spec, struct pn_str signed_)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool rsa = EVP_PKEY_get_base_id(spec->key) == EVP_PKEY_RSA;
    const EVP_MD *md = spec->sha1 ? EVP_sha1() : EVP_sha256();
    unsigned char sig[2048], hash[32];
    size_t len = sizeof(sig);
    unsigned n;

    if (!rsa) { /* RFC 8463: over the hash, not the text */
        digest(spec, signed_, hash, &n);
        signed_ = (struct pn_str){(const char *)hash, n};
    }
    pn_assert(EVP_DigestSignInit(ctx, NULL, rsa ? md : NULL, NULL, spec->key) == 1);
    pn_assert(EVP_DigestSign(ctx, sig, &len, (const unsigned char *)signed_.p, signed_.len) == 1);
    EVP_MD_CTX_free(ctx);
    add_base64(out, sig, len);
}

static bool says_relaxed(const char *canon, bool body)
{
    const char *slash = canon == NULL ? NULL : strchr(canon, '/');

    if (body)
        return slash != NULL && strcmp(slash + 1, "relaxed") == 0;
    return canon != NULL && strncmp(canon, "relaxed", 7) == 0;
}

static const char *algorithm(const struct signer_spec *spec)
{
    if (spec->a != NULL)
        return spec->a;
    if (EVP_PKEY_get_base_id(spec->key) != EVP_PKEY_RSA)
        return "ed25519-sha256";
    return spec->sha1 ? "rsa-sha1" : "rsa-sha256";
}

void signer_sign(struct pn_buf *out, const struct signer_spec *spec, struct pn_str header,
                 struct pn_str body)
{
    struct pn_buf canon, field;
    unsigned char hash[32];
    unsigned len;

    pn_buf_init(&canon, SIZE_MAX);
    pn_buf_init(&field, SIZE_MAX);
    signer_body(&canon, says_relaxed(spec->canon, true), body);
    digest(spec,
           pn_str_slice(pn_buf_str(&canon), 0, spec->length < 0 ? canon.len : (size_t)spec->length),
           hash, &len);
    (void)pn_buf_addf(&field, "DKIM-Signature: v=1; a=%s; d=%s; s=%s;\r\n\t", algorithm(spec),
                      spec->domain, spec->selector);
    if (spec->canon != NULL)
        (void)pn_buf_addf(&field, "c=%s; ", spec->canon);
    if (spec->length >= 0)
        (void)pn_buf_addf(&field, "l=%ld; ", spec->length);
    (void)pn_buf_addf(&field, "%sh=%s;\r\n\tbh=", spec->tags == NULL ? "" : spec->tags,
                      spec->names);
    add_base64(&field, hash, len);
    (void)pn_buf_addz(&field, ";\r\n\tb=");
    pn_buf_clear(&canon);
    canonical_header(&canon, says_relaxed(spec->canon, false), header, spec->names);
    signer_field(&canon, says_relaxed(spec->canon, false), pn_buf_str(&field));
    add_signature(&field, spec, pn_buf_str(&canon));
    (void)pn_buf_addz(&field, "\r\n");
    pn_assert(!field.overflow && pn_buf_adds(out, pn_buf_str(&field)));
    pn_buf_fini(&canon);
    pn_buf_fini(&field);
}

void signer_record(struct pn_buf *out, EVP_PKEY *key)
{
    unsigned char raw[32];
    size_t len = sizeof(raw);

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        unsigned char *der = NULL;
        int n = i2d_PUBKEY(key, &der);

        pn_assert(n > 0);
        (void)pn_buf_addz(out, "v=DKIM1; k=rsa; p=");
        add_base64(out, der, (size_t)n);
        OPENSSL_free(der);
        return;
    }
    pn_assert(EVP_PKEY_get_raw_public_key(key, raw, &len) == 1);
    (void)pn_buf_addz(out, "v=DKIM1; k=ed25519; p=");
    add_base64(out, raw, len);
}
