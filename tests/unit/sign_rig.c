#include "sign_rig.h"

#include "assert.h"
#include "dkim_engine.h"
#include "sign_header.h"

#include <stdio.h>

enum { SIGS = 8 };

void sign_rig_body(struct pn_str body, size_t piece, unsigned char hash[PN_SIGN_HASH])
{
    struct pn_sign_body *b = pn_sign_body_new();
    pn_assert(b != NULL);
    for (size_t at = 0; at < body.len; at += piece)
        pn_sign_body_add(b, pn_str_slice(body, at, at + piece));
    pn_assert(pn_sign_body_end(b, hash));
    pn_sign_body_free(&b);
}

static void add_signature(const struct pn_sign_header *h, const unsigned char *hash, EVP_PKEY *key,
                          size_t number, struct pn_edits *edits)
{
    unsigned char digest[PN_SIGN_HASH];
    char selector[32];
    struct pn_buf value, signature;
    pn_buf_init(&value, SIZE_MAX);
    pn_buf_init(&signature, PN_SIGNATURE_MAX);
    (void)snprintf(selector, sizeof selector, "s%zu", number);
    const struct pn_sign_terms terms = {.algorithm = pn_str_of(pn_sign_key_algorithm(key)),
                                        .domain = PN_STR("a.test"),
                                        .selector = pn_str_of(selector),
                                        .unix_s = SIGN_RIG_NOW,
                                        .body_hash = hash};
    pn_assert(pn_sign_field(h, &terms, &value, digest));
    pn_assert(pn_sign_key_sign(key, digest, &signature));
    pn_sign_field_end(&value, pn_buf_str(&signature));
    pn_assert(pn_edits_add(edits, PN_EDIT_ADD_TOP, PN_STR("DKIM-Signature"), pn_buf_str(&value),
                           true) == PN_EDIT_OK);
    pn_buf_fini(&value);
    pn_buf_fini(&signature);
}

static void render(struct pn_str content, const struct pn_edits *edits, struct pn_buf *out)
{
    struct pn_message *m = pn_message_new(content, NULL);
    struct pn_segments segments;
    pn_segments_init(&segments);
    pn_edits_render(edits, m, &segments);
    for (size_t i = 0; i < segments.count; i++)
        pn_assert(pn_buf_adds(out, pn_segment_bytes(&segments.v[i], m)));
    pn_segments_fini(&segments);
    pn_message_free(&m);
}

const char *sign_rig_sign(struct pn_str content, struct pn_edits *edits, EVP_PKEY *const *keys,
                          size_t count, size_t piece, struct pn_buf *out)
{
    struct pn_sign_header h;
    unsigned char hash[PN_SIGN_HASH];
    struct pn_edits *none = edits == NULL ? pn_edits_new(65536) : NULL;
    const char *why = pn_sign_header_read(&h, content, edits);
    edits = edits == NULL ? none : edits;
    if (why == NULL) {
        sign_rig_body(pn_str_slice(content, h.body, content.len), piece, hash);
        for (size_t i = 0; i < count; i++)
            add_signature(&h, hash, keys[i], i, edits);
        render(content, edits, out);
    }
    pn_edits_free(&none);
    pn_sign_header_fini(&h);
    return why;
}

/* As a receiver has it: parted at the first empty line. */
static void part(struct pn_str sent, struct postern_str *header, struct postern_str *body)
{
    const char *gap = memmem(sent.p, sent.len, "\r\n\r\n", 4);
    size_t at = gap == NULL ? sent.len : (size_t)(gap - sent.p) + 4;
    *header = (struct postern_str){sent.p, at};
    *body = (struct postern_str){sent.p + at, sent.len - at};
}

static void choose(struct dkim_sig *sig, EVP_PKEY *const *keys, size_t count, struct pn_buf *record)
{
    struct postern_dns_record r;
    struct postern_dns_answer a = {.records = &r, .rcode = POSTERN_DNS_NXDOMAIN};
    size_t number = (size_t)(sig->selector[1] - '0');
    pn_buf_clear(record);
    if (sig->selector[0] == 's' && number < count && pn_sign_key_record(keys[number], record)) {
        r.data = (struct postern_str){record->p, record->len};
        a.rcode = POSTERN_DNS_NOERROR;
        a.count = 1;
    }
    dkim_key_choose(sig, &a);
}

size_t sign_rig_verify(unsigned engine, struct pn_str sent, EVP_PKEY *const *keys, size_t count,
                       struct pn_buf *words)
{
    static const struct dkim_engine *const engines[SIGN_RIG_ENGINES] = {&dkim_engine_native,
                                                                        &dkim_engine_opendkim};
    static struct dkim_sig sigs[SIGS];
    static void *states[SIGN_RIG_ENGINES];
    struct pn_buf records[SIGS];
    struct dkim_message m;
    struct postern_str header, body;
    size_t good = 0;
    if (states[engine] == NULL)
        states[engine] = engines[engine]->make();
    pn_assert(states[engine] != NULL);
    part(sent, &header, &body);
    pn_assert(dkim_message_read(&m, header, body) == 0);
    size_t n = dkim_sigs_read(&m, sigs, SIGS, &(struct dkim_terms){SIGN_RIG_NOW, 3600, 1024, NULL});
    for (size_t i = 0; i < n; i++) {
        pn_buf_init(&records[i], 65536);
        if (sigs[i].result == DKIM_PENDING)
            choose(&sigs[i], keys, count, &records[i]);
    }
    if (n != 0)
        pn_assert(engines[engine]->verify(states[engine], &m, sigs, n) == 0);
    for (size_t i = 0; i < n; i++) {
        dkim_sig_judge(&sigs[i]);
        good += sigs[i].result == DKIM_PASS;
        if (sigs[i].reason != NULL)
            (void)pn_buf_addf(words, "%s;", sigs[i].reason);
        if ((sigs[i].flags & DKIM_SIG_OVERSIGNED) != 0)
            (void)pn_buf_addz(words, "oversigned;");
        pn_buf_fini(&records[i]);
    }
    dkim_message_fini(&m);
    return good;
}
