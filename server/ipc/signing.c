#include "signing.h"

enum { NAME_MAX_LEN = 253, KEY_BYTES_MIN = 8 + 3 * 4 };

/* What goes into a header: a name or a word, and nothing that could end it. */
static bool word_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!pn_is_alpha(s.p[i]) && !pn_is_digit(s.p[i]) && strchr("-._", s.p[i]) == NULL)
            return false;
    return s.len != 0 && s.len <= NAME_MAX_LEN;
}

void pn_sign_pem_put(struct pn_buf *out, const struct pn_sign_pem *pem)
{
    pn_wr_str(out, pem->domain);
    pn_wr_str(out, pem->selector);
    pn_wr_str(out, pem->pem);
}

bool pn_sign_pem_get(struct pn_str body, struct pn_sign_pem *pem)
{
    struct pn_rd r = pn_rd_of(body);
    pem->domain = pn_rd_str(&r);
    pem->selector = pn_rd_str(&r);
    pem->pem = pn_rd_str(&r);
    return pn_rd_done(&r) && word_ok(pem->domain) && word_ok(pem->selector) &&
           pem->pem.len <= PN_SIGN_PEM_MAX;
}

void pn_sign_keys_put(struct pn_buf *out, const struct pn_sign_keys *keys)
{
    pn_wr_u8(out, (uint8_t)((keys->first ? 1 : 0) | (keys->last ? 2 : 0)));
    pn_wr_u32(out, keys->count);
}

void pn_sign_key_put(struct pn_buf *out, const struct pn_sign_key *key)
{
    pn_wr_u64(out, key->id);
    pn_wr_str(out, key->domain);
    pn_wr_str(out, key->selector);
    pn_wr_str(out, key->algorithm);
}

bool pn_sign_keys_get(struct pn_rd *r, struct pn_sign_keys *keys)
{
    uint8_t flags = pn_rd_u8(r);
    keys->first = (flags & 1) != 0;
    keys->last = (flags & 2) != 0;
    keys->count = pn_rd_count(r, KEY_BYTES_MIN);
    return pn_rd_ok(r) && flags < 4;
}

bool pn_sign_key_next(struct pn_rd *r, struct pn_sign_key *key)
{
    key->id = pn_rd_u64(r);
    key->domain = pn_rd_str(r);
    key->selector = pn_rd_str(r);
    key->algorithm = pn_rd_str(r);
    return pn_rd_ok(r) && word_ok(key->domain) && word_ok(key->selector) && word_ok(key->algorithm);
}

void pn_sign_ask_put(struct pn_buf *out, const struct pn_sign_ask *ask)
{
    pn_wr_u64(out, ask->token);
    pn_wr_u64(out, ask->key);
    (void)pn_buf_add(out, ask->digest, sizeof ask->digest);
}

bool pn_sign_ask_get(struct pn_str body, struct pn_sign_ask *ask)
{
    struct pn_rd r = pn_rd_of(body);
    ask->token = pn_rd_u64(&r);
    ask->key = pn_rd_u64(&r);
    if (!pn_rd_ok(&r) || (size_t)(r.end - r.p) != sizeof ask->digest)
        return false;
    memcpy(ask->digest, r.p, sizeof ask->digest);
    return true;
}

void pn_sign_answer_put(struct pn_buf *out, const struct pn_sign_answer *answer)
{
    pn_wr_u64(out, answer->token);
    pn_wr_str(out, answer->signature);
}

bool pn_sign_answer_get(struct pn_str body, struct pn_sign_answer *answer)
{
    struct pn_rd r = pn_rd_of(body);
    answer->token = pn_rd_u64(&r);
    answer->signature = pn_rd_str(&r);
    return pn_rd_done(&r) && answer->signature.len <= PN_SIGN_ANSWER_MAX;
}
