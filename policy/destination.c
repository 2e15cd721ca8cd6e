#include "destination.h"

#include "assert.h"
#include "block.h"
#include "image.h"

static const struct img_row *row_of(const struct postern_block *b, const char *name)
{
    const struct img_row *row = img_row_find(b, pn_str_of(name));
    pn_assert(row != NULL);
    return row;
}

/* The first value of a row, or NULL. */
static const struct img_value *first(const struct postern_block *b, const char *name)
{
    const struct img_row *row = row_of(b, name);
    return row->values.count == 0 ? NULL : img_at(img_block_base(b), row->values.off);
}

static struct pn_str text_of(const struct postern_block *b, const char *name)
{
    const struct img_value *v = first(b, name);
    return v == NULL ? PN_STR("") : img_text(img_block_base(b), v->text);
}

static const struct postern_block *inner(const struct postern_block *b, const struct img_value *v)
{
    return img_at(img_block_base(b), v->block);
}

static int64_t number(const struct postern_block *b, const char *name, int64_t none)
{
    const struct img_value *v = first(b, name);
    return v == NULL ? none : v->number;
}

static const struct img_row *blocks(const struct pn_policy *p)
{
    const char *base = img_policy_base(p);
    return row_of(img_at(base, img_header(base)->core), "destination");
}

size_t pn_policy_destination_count(const struct pn_policy *p)
{
    return blocks(p)->values.count;
}

static void add_retries(struct pn_destination *out, const struct postern_block *b)
{
    const struct img_row *row = row_of(b, "retry");
    const struct img_value *v = img_at(img_block_base(b), row->values.off);
    if (row->values.count == 0)
        return; /* the general ones stay */
    for (out->retry_count = 0;
         out->retry_count < row->values.count && out->retry_count < PN_DEST_RETRIES_MAX;
         out->retry_count++)
        out->retry_ms[out->retry_count] = (uint64_t)v[out->retry_count].number;
}

void pn_policy_destination_none(const struct pn_policy *p, struct pn_destination *out)
{
    *out = (struct pn_destination){
        .name = PN_STR(""),
        .route = PN_DEST_MX,
        .next_hop = PN_STR(""),
        .tls = (enum pn_dest_tls)pn_policy_int(p, "queue.tls"),
        .user = PN_STR(""),
        .password_file = PN_STR(""),
        .connections = (uint32_t)pn_policy_int(p, "queue.connections-per-hop"),
        .messages_per_connection = (uint64_t)pn_policy_int(p, "queue.messages-per-connection"),
        .expire_ms = (uint64_t)pn_policy_int(p, "queue.expire")};
    for (int64_t ms; out->retry_count < PN_DEST_RETRIES_MAX &&
                     pn_policy_int_at(p, "queue.retry", out->retry_count, &ms);)
        out->retry_ms[out->retry_count++] = (uint64_t)ms;
}

void pn_policy_destination(const struct pn_policy *p, size_t i, struct pn_destination *out)
{
    const char *base = img_policy_base(p);
    const struct img_value *all = img_at(base, blocks(p)->values.off);
    pn_assert(i < pn_policy_destination_count(p));
    const struct postern_block *b = img_at(base, all[i].block);
    const struct img_value *route = first(b, "route"), *auth = first(b, "auth");
    const struct img_value *rate = first(b, "rate");
    pn_policy_destination_none(p, out);
    out->name = img_text(base, b->title);
    if (route != NULL) {
        out->route = (enum pn_dest_route)route->number;
        out->next_hop = text_of(inner(b, route), "next-hop");
    }
    out->tls = (enum pn_dest_tls)number(b, "tls", (int64_t)out->tls);
    if (auth != NULL) {
        out->user = text_of(inner(b, auth), "user");
        out->password_file = text_of(inner(b, auth), "password-file");
        out->plain = number(inner(b, auth), "plain", 0) != 0;
        if (out->tls < PN_DEST_TLS_MUST)
            out->tls = PN_DEST_TLS_MUST; /* queue.tls was meant for others */
    }
    out->connections = (uint32_t)number(b, "connections", out->connections);
    out->messages_per_connection =
        (uint64_t)number(b, "messages-per-connection", (int64_t)out->messages_per_connection);
    if (rate != NULL) {
        out->rate = (uint64_t)rate->number;
        out->rate_ms = (uint64_t)number(inner(b, rate), "per", 0);
    }
    add_retries(out, b);
    out->expire_ms = (uint64_t)number(b, "expire", (int64_t)out->expire_ms);
}

/* ---- next hops ---- */

static bool host_ok(struct pn_str s)
{
    size_t label = 0;
    bool ok = s.len > 0 && s.len <= 253;
    for (size_t i = 0; i < s.len; i++) {
        ok = ok && (pn_is_alpha(s.p[i]) || pn_is_digit(s.p[i]) || s.p[i] == '-' || s.p[i] == '_' ||
                    (s.p[i] == '.' && label != 0));
        label = s.p[i] == '.' ? 0 : label + 1;
    }
    return ok;
}

bool pn_hop_name(struct pn_str text, struct pn_hop_name *out)
{
    enum { SMTP_PORT = 25 };
    size_t colon = pn_str_find(text, ':', 0);
    uint64_t port = SMTP_PORT;
    *out = (struct pn_hop_name){.host = PN_STR(""), .port = SMTP_PORT};
    if (pn_endpoint_parse(text, &out->ip, &out->port) || pn_ip_parse(text, &out->ip))
        return out->port != 0;
    out->host = pn_str_slice(text, 0, colon == SIZE_MAX ? text.len : colon);
    if (colon != SIZE_MAX &&
        (!pn_str_u64(pn_str_slice(text, colon + 1, text.len), UINT16_MAX, &port) || port == 0))
        return false;
    out->port = (uint16_t)port;
    return host_ok(out->host);
}
