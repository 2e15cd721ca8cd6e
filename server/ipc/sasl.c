#include "sasl.h"

#include "assert.h"

static const char *const mechanisms[PN_SASL_MECHANISMS] = {
    [PN_SASL_PLAIN] = "PLAIN",
    [PN_SASL_LOGIN] = "LOGIN",
    [PN_SASL_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [PN_SASL_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
};

const char *pn_sasl_mechanism_name(enum pn_sasl_mechanism mechanism)
{
    pn_assert((size_t)mechanism < PN_SASL_MECHANISMS);
    return mechanisms[mechanism];
}

bool pn_sasl_mechanism_find(struct pn_str name, enum pn_sasl_mechanism *out)
{
    for (size_t i = 0; i < PN_SASL_MECHANISMS; i++) {
        if (!pn_str_ieq(name, pn_str_of(mechanisms[i])))
            continue;
        *out = (enum pn_sasl_mechanism)i;
        return true;
    }
    return false;
}

bool pn_sasl_mechanism_fits(enum pn_sasl_mechanism mechanism, bool tls, bool exporter)
{
    return tls && (mechanism != PN_SASL_SCRAM_SHA_256_PLUS || exporter);
}

bool pn_sasl_plain_ok(enum pn_sasl_service service, const struct pn_ip *ip, bool allowed)
{
    return allowed && (service == PN_SASL_IMAP || service == PN_SASL_POP3) && pn_ip_is_loopback(ip);
}

const char *pn_sasl_service_name(enum pn_sasl_service service)
{
    static const char *const names[PN_SASL_SERVICES] = {
        [PN_SASL_SMTP] = "smtp",
        [PN_SASL_LMTP] = "lmtp",
        [PN_SASL_IMAP] = "imap",
        [PN_SASL_POP3] = "pop3",
    };
    pn_assert((size_t)service < PN_SASL_SERVICES);
    return names[service];
}

/* The bytes are the buffer's or the loop's scratch, never read-only memory. */
void pn_sasl_wipe(struct pn_str body)
{
    if (body.len != 0)
        explicit_bzero((void *)(uintptr_t)body.p, body.len);
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
    return out->len <= max;
}

void pn_sasl_begin_put(struct pn_buf *out, const struct pn_sasl_begin *begin)
{
    pn_wr_u64(out, begin->id);
    pn_wr_u8(out, begin->service);
    pn_wr_u8(out, begin->mechanism);
    pn_wr_u8(out, begin->tls);
    pn_wr_u8(out, begin->has_initial);
    (void)pn_buf_add(out, begin->ip.b, sizeof begin->ip.b);
    pn_wr_str(out, begin->session);
    pn_wr_str(out, begin->exporter);
    pn_wr_str(out, begin->initial);
}

static bool get_ip(struct pn_rd *r, struct pn_ip *ip)
{
    for (size_t i = 0; i < sizeof ip->b; i++)
        ip->b[i] = pn_rd_u8(r);
    return pn_rd_ok(r);
}

bool pn_sasl_begin_get(struct pn_str body, struct pn_sasl_begin *begin)
{
    struct pn_rd r = pn_rd_of(body);
    *begin = (struct pn_sasl_begin){.id = pn_rd_u64(&r)};
    begin->service = pn_rd_u8(&r);
    begin->mechanism = pn_rd_u8(&r);
    bool ok = get_bool(&r, &begin->tls) && get_bool(&r, &begin->has_initial) &&
              get_ip(&r, &begin->ip) && get_str(&r, PN_SASL_SESSION_MAX, &begin->session) &&
              get_str(&r, PN_SASL_EXPORTER, &begin->exporter) &&
              get_str(&r, PN_SASL_MESSAGE_MAX, &begin->initial);
    return ok && pn_rd_done(&r) && begin->service < PN_SASL_SERVICES &&
           begin->mechanism < PN_SASL_MECHANISMS &&
           (begin->exporter.len == 0 || (begin->exporter.len == PN_SASL_EXPORTER && begin->tls)) &&
           (begin->has_initial || begin->initial.len == 0);
}

void pn_sasl_answer_put(struct pn_buf *out, const struct pn_sasl_answer *answer)
{
    pn_wr_u64(out, answer->id);
    pn_wr_str(out, answer->message);
}

bool pn_sasl_answer_get(struct pn_str body, struct pn_sasl_answer *answer)
{
    struct pn_rd r = pn_rd_of(body);
    answer->id = pn_rd_u64(&r);
    return get_str(&r, PN_SASL_MESSAGE_MAX, &answer->message) && pn_rd_done(&r);
}

void pn_sasl_cancel_put(struct pn_buf *out, uint64_t id)
{
    pn_wr_u64(out, id);
}

bool pn_sasl_cancel_get(struct pn_str body, uint64_t *id)
{
    struct pn_rd r = pn_rd_of(body);
    *id = pn_rd_u64(&r);
    return pn_rd_done(&r);
}

void pn_sasl_said_put(struct pn_buf *out, const struct pn_sasl_said *said)
{
    pn_wr_u64(out, said->id);
    pn_wr_u8(out, said->status);
    pn_wr_str(out, said->message);
    pn_wr_str(out, said->user);
    pn_wr_str(out, said->senders);
    pn_wr_str(out, said->token);
    pn_wr_u32(out, said->worker);
}

bool pn_sasl_said_get(struct pn_str body, struct pn_sasl_said *said)
{
    struct pn_rd r = pn_rd_of(body);
    *said = (struct pn_sasl_said){.id = pn_rd_u64(&r)};
    said->status = pn_rd_u8(&r);
    bool ok = get_str(&r, PN_SASL_MESSAGE_MAX, &said->message) &&
              get_str(&r, PN_SASL_USER_MAX, &said->user) &&
              get_str(&r, PN_SASL_SENDERS_MAX, &said->senders) &&
              get_str(&r, PN_SASL_TOKEN, &said->token);
    said->worker = pn_rd_u32(&r);
    if (!ok || !pn_rd_done(&r) || said->status >= PN_SASL_STATUSES)
        return false;
    if (said->token.len != 0 && (said->token.len != PN_SASL_TOKEN || said->status != PN_SASL_OK))
        return false;
    if (said->status != PN_SASL_CHALLENGE && said->message.len != 0)
        return false;
    return said->status == PN_SASL_OK ? said->user.len != 0 && pn_sasl_senders_ok(said->senders)
                                      : said->user.len == 0 && said->senders.len == 0;
}

bool pn_sasl_plain(struct pn_buf *out, struct pn_str user, struct pn_str password)
{
    if (pn_str_find(user, '\0', 0) != SIZE_MAX || pn_str_find(password, '\0', 0) != SIZE_MAX ||
        user.len + password.len + 2 > PN_SASL_MESSAGE_MAX)
        return false;
    return pn_buf_addc(out, '\0') && pn_buf_adds(out, user) && pn_buf_addc(out, '\0') &&
           pn_buf_adds(out, password);
}

/* ---- who may send as whom */

static bool sender_ok(struct pn_str sender)
{
    if (pn_str_eq(sender, PN_STR("*")))
        return true;
    size_t at = pn_str_find(sender, '@', 0);
    if (at == SIZE_MAX || at + 1 == sender.len || pn_str_find(sender, '@', at + 1) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < sender.len; i++)
        if ((unsigned char)sender.p[i] <= ' ' || sender.p[i] == 0x7f || sender.p[i] == '*')
            return false;
    return true;
}

bool pn_sasl_senders_ok(struct pn_str senders)
{
    if (senders.len > PN_SASL_SENDERS_MAX)
        return false;
    for (struct pn_str rest = senders; rest.len != 0 && rest.p != NULL;) {
        if (rest.p[rest.len - 1] == ',' || !sender_ok(pn_str_split(&rest, ',')))
            return false;
    }
    return true;
}

bool pn_sasl_may_send(struct pn_str user, struct pn_str senders, struct pn_str address)
{
    size_t at = address.len; /* of the last sign: a quoted local part may hold others */
    while (at != 0 && address.p[at - 1] != '@')
        at--;
    if (user.len == 0 || at < 2 || at == address.len)
        return false;
    if (pn_str_ieq(address, user))
        return true;
    struct pn_str domain = pn_str_slice(address, at - 1, address.len);
    for (struct pn_str rest = senders; rest.len != 0 && rest.p != NULL;) {
        struct pn_str sender = pn_str_split(&rest, ',');
        bool all = pn_str_eq(sender, PN_STR("*"));
        bool is_domain = sender.len != 0 && sender.p[0] == '@';
        if (all || pn_str_ieq(sender, is_domain ? domain : address))
            return true;
    }
    return false;
}
