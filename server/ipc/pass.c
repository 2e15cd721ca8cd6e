#include "pass.h"

#include <string.h>

static void put_token(struct pn_buf *out, const unsigned char token[PN_PASS_TOKEN])
{
    (void)pn_buf_add(out, token, PN_PASS_TOKEN);
}

static void get_token(struct pn_rd *r, unsigned char token[PN_PASS_TOKEN])
{
    for (size_t i = 0; i < PN_PASS_TOKEN; i++)
        token[i] = pn_rd_u8(r);
}

static bool is_service(uint8_t service)
{
    return service == PN_SASL_IMAP || service == PN_SASL_POP3;
}

static bool get_bool(struct pn_rd *r, bool *out)
{
    uint8_t v = pn_rd_u8(r);
    *out = v == 1;
    return v <= 1;
}

static bool get_str(struct pn_rd *r, size_t max, struct pn_str *out)
{
    *out = pn_rd_str(r);
    return pn_rd_ok(r) && out->len <= max;
}

/* What may stand in an event or in a reply. */
static bool get_line(struct pn_rd *r, size_t max, struct pn_str *out)
{
    if (!get_str(r, max, out))
        return false;
    for (size_t i = 0; i < out->len; i++)
        if ((unsigned char)out->p[i] < ' ' || out->p[i] == 0x7f)
            return false;
    return true;
}

void pn_pass_put(struct pn_buf *out, const struct pn_pass *pass)
{
    put_token(out, pass->token);
    pn_wr_u8(out, pass->service);
    pn_wr_str(out, pass->user);
}

bool pn_pass_get(struct pn_str body, struct pn_pass *pass)
{
    struct pn_rd r = pn_rd_of(body);
    get_token(&r, pass->token);
    pass->service = pn_rd_u8(&r);
    return get_line(&r, PN_SASL_USER_MAX, &pass->user) && pn_rd_done(&r) && pass->user.len != 0 &&
           is_service(pass->service);
}

void pn_pass_known_put(struct pn_buf *out, const struct pn_pass_known *known)
{
    put_token(out, known->token);
    pn_wr_u8(out, known->noted);
}

bool pn_pass_known_get(struct pn_str body, struct pn_pass_known *known)
{
    struct pn_rd r = pn_rd_of(body);
    get_token(&r, known->token);
    return get_bool(&r, &known->noted) && pn_rd_done(&r);
}

void pn_session_put(struct pn_buf *out, const struct pn_session *s)
{
    pn_wr_u64(out, s->id);
    put_token(out, s->token);
    pn_wr_u8(out, s->service);
    pn_wr_str(out, s->user);
    pn_wr_str(out, s->session);
    pn_wr_str(out, s->tag);
    (void)pn_buf_add(out, s->ip.b, sizeof s->ip.b);
    pn_wr_u16(out, s->port);
    pn_wr_u8(out, s->relayed);
    pn_wr_str(out, s->tls);
    pn_wr_str(out, s->cipher);
    pn_wr_str(out, s->ahead);
}

static bool get_peer(struct pn_rd *r, struct pn_session *s)
{
    for (size_t i = 0; i < sizeof s->ip.b; i++)
        s->ip.b[i] = pn_rd_u8(r);
    s->port = pn_rd_u16(r);
    return get_bool(r, &s->relayed) && get_line(r, PN_SESSION_TLS_MAX, &s->tls) &&
           get_line(r, PN_SESSION_TLS_MAX, &s->cipher);
}

bool pn_session_get(struct pn_str body, struct pn_session *s)
{
    struct pn_rd r = pn_rd_of(body);
    s->id = pn_rd_u64(&r);
    get_token(&r, s->token);
    s->service = pn_rd_u8(&r);
    return is_service(s->service) && get_line(&r, PN_SASL_USER_MAX, &s->user) && s->user.len != 0 &&
           get_line(&r, PN_SASL_SESSION_MAX, &s->session) &&
           get_line(&r, PN_SESSION_TAG_MAX, &s->tag) && get_peer(&r, s) &&
           get_str(&r, PN_SESSION_AHEAD_MAX, &s->ahead) && pn_rd_done(&r);
}

void pn_session_taken_put(struct pn_buf *out, const struct pn_session_taken *taken)
{
    pn_wr_u64(out, taken->id);
    pn_wr_u8(out, taken->word);
}

bool pn_session_taken_get(struct pn_str body, struct pn_session_taken *taken)
{
    struct pn_rd r = pn_rd_of(body);
    taken->id = pn_rd_u64(&r);
    taken->word = pn_rd_u8(&r);
    return pn_rd_done(&r) && taken->word < PN_SESSION_WORDS;
}

void pn_session_left_put(struct pn_buf *out, const struct pn_session_left *left)
{
    pn_wr_u64(out, left->id);
    pn_wr_u32(out, left->serial);
    pn_wr_u64(out, left->bytes);
}

bool pn_session_left_get(struct pn_str body, struct pn_session_left *left)
{
    struct pn_rd r = pn_rd_of(body);
    left->id = pn_rd_u64(&r);
    left->serial = pn_rd_u32(&r);
    left->bytes = pn_rd_u64(&r);
    return pn_rd_done(&r);
}
