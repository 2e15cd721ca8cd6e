#include "dns.h"

#include "assert.h"
#include "net.h"

#include <stdlib.h>

static const struct {
    uint16_t type;
    const char *name;
} types[] = {
    {PN_DNS_A, "A"},     {PN_DNS_NS, "NS"},     {PN_DNS_CNAME, "CNAME"},
    {PN_DNS_SOA, "SOA"}, {PN_DNS_PTR, "PTR"},   {PN_DNS_MX, "MX"},
    {PN_DNS_TXT, "TXT"}, {PN_DNS_AAAA, "AAAA"}, {PN_DNS_TLSA, "TLSA"},
};

const char *pn_dns_type_name(uint16_t type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type)
            return types[i].name;
    return NULL;
}

bool pn_dns_type_of(struct pn_str name, uint16_t *type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (pn_str_ieq(pn_str_of(types[i].name), name)) {
            *type = types[i].type;
            return true;
        }
    return false;
}

const char *pn_dns_rcode_name(uint16_t rcode)
{
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                        "NXRRSET", "NOTAUTH", "NOTZONE"};
    if (rcode == PN_DNS_TIMEOUT)
        return "TIMEOUT";
    return rcode < sizeof names / sizeof names[0] ? names[rcode] : "OTHER";
}

/* One byte of a label, its escape undone. Returns the bytes of text used, 0: malformed. */
static size_t label_byte(struct pn_str s, unsigned char *out)
{
    if (s.p[0] != '\\') {
        *out = (unsigned char)pn_lower(s.p[0]);
        return 1;
    }
    if (s.len < 2)
        return 0;
    if (!pn_is_digit(s.p[1])) {
        *out = (unsigned char)pn_lower(s.p[1]);
        return 2;
    }
    uint64_t v;
    if (s.len < 4 || !pn_str_u64(pn_str_slice(s, 1, 4), 255, &v))
        return 0;
    *out = (unsigned char)pn_lower((char)v);
    return 4;
}

size_t pn_dns_name_to_wire(struct pn_str name, unsigned char wire[PN_DNS_NAME_MAX])
{
    size_t len = 1, label = 0; /* label: where the open label's length byte is */
    if (pn_str_eq(name, PN_STR("."))) {
        wire[0] = 0;
        return 1;
    }
    for (size_t i = 0; i < name.len;) {
        if (name.p[i] == '.') {
            if (len == label + 1)
                return 0;
            wire[label] = (unsigned char)(len - label - 1);
            label = len++;
            i++;
            if (len > PN_DNS_NAME_MAX)
                return 0;
            continue;
        }
        /* The byte, and behind it the root's length byte, must fit. */
        if (len + 1 >= PN_DNS_NAME_MAX || len - label > 63)
            return 0;
        size_t used = label_byte(pn_str_slice(name, i, name.len), &wire[len++]);
        if (used == 0)
            return 0;
        i += used;
    }
    if (len == 1)
        return 0;
    if (len > label + 1) { /* no last dot */
        wire[label] = (unsigned char)(len - label - 1);
        label = len++;
    }
    wire[label] = 0;
    return len;
}

struct pn_str pn_dns_name_undotted(struct pn_str name)
{
    size_t escapes = 0;
    if (!pn_str_ends(name, PN_STR(".")))
        return name;
    while (escapes + 1 < name.len && name.p[name.len - 2 - escapes] == '\\')
        escapes++;
    return escapes % 2 != 0 ? name : pn_str_slice(name, 0, name.len - 1);
}

bool pn_dns_name_ok(struct pn_str name)
{
    unsigned char wire[PN_DNS_NAME_MAX];
    return pn_dns_name_to_wire(name, wire) > 1;
}

void pn_dns_name_to_text(struct pn_buf *out, const unsigned char *wire)
{
    for (size_t i = 0; wire[i] != 0; i += 1U + wire[i]) {
        if (i != 0)
            (void)pn_buf_addc(out, '.');
        for (size_t j = i + 1; j <= i + wire[i]; j++) {
            if (wire[j] <= ' ' || wire[j] >= 0x7f)
                (void)pn_buf_addf(out, "\\%03u", (unsigned)wire[j]);
            else if (wire[j] == '.' || wire[j] == '\\')
                (void)pn_buf_addf(out, "\\%c", wire[j]);
            else
                (void)pn_buf_addc(out, (char)wire[j]);
        }
    }
}

void pn_dns_reverse(struct pn_buf *out, const struct pn_ip *ip, struct pn_str suffix)
{
    if (pn_ip_is_v4(ip)) {
        const unsigned char *b = pn_ip_v4(ip);
        (void)pn_buf_addf(out, "%u.%u.%u.%u.", b[3], b[2], b[1], b[0]);
        (void)pn_buf_adds(out, suffix.len != 0 ? suffix : PN_STR("in-addr.arpa"));
        return;
    }
    for (int i = 15; i >= 0; i--)
        (void)pn_buf_addf(out, "%x.%x.", ip->b[i] & 15U, (unsigned)(ip->b[i] >> 4));
    (void)pn_buf_adds(out, suffix.len != 0 ? suffix : PN_STR("ip6.arpa"));
}

static int by_data(const void *a, const void *b)
{
    const struct pn_dns_record *x = a, *y = b;
    return pn_str_cmp(x->data, y->data);
}

uint32_t pn_dns_sort(struct pn_dns_record *records, uint32_t count)
{
    uint32_t kept = 0;
    if (count == 0)
        return 0;
    qsort(records, count, sizeof *records, by_data);
    for (uint32_t i = 1; i < count; i++)
        if (!pn_str_eq(records[i].data, records[kept].data))
            records[++kept] = records[i];
    return kept + 1;
}

void pn_dns_ask_put(struct pn_buf *out, const struct pn_dns_ask *ask)
{
    pn_wr_u64(out, ask->id);
    pn_wr_u16(out, ask->type);
    pn_wr_u32(out, ask->deadline_ms);
    pn_wr_str(out, ask->name);
}

bool pn_dns_ask_next(struct pn_rd *r, struct pn_dns_ask *ask)
{
    ask->id = pn_rd_u64(r);
    ask->type = pn_rd_u16(r);
    ask->deadline_ms = pn_rd_u32(r);
    ask->name = pn_rd_str(r);
    return pn_rd_ok(r) && pn_dns_name_ok(ask->name);
}

bool pn_dns_asks_each(struct pn_str body, void (*fn)(void *ctx, const struct pn_dns_ask *ask),
                      void *ctx)
{
    struct pn_rd r = pn_rd_of(body);
    struct pn_dns_ask ask;
    bool ok = body.len != 0;
    while (ok && !pn_rd_done(&r)) {
        ok = pn_dns_ask_next(&r, &ask);
        if (ok)
            fn(ctx, &ask);
    }
    return ok;
}

bool pn_dns_ask_get(struct pn_str body, struct pn_dns_ask *ask)
{
    struct pn_rd r = pn_rd_of(body);
    return pn_dns_ask_next(&r, ask) && pn_rd_done(&r);
}

/* What the byte behind the rcode says. */
enum { ANSWER_SECURE = 1, ANSWER_TARGET = 2, ANSWER_FLAGS = 3 };

void pn_dns_answer_put(struct pn_buf *out, uint64_t id, const struct pn_dns_answer *answer)
{
    pn_assert(answer->count <= PN_DNS_RECORDS_MAX);
    pn_wr_u64(out, id);
    pn_wr_u16(out, answer->rcode);
    pn_wr_u8(out, (uint8_t)((answer->secure ? ANSWER_SECURE : 0) |
                            (answer->target.len > 0 ? ANSWER_TARGET : 0)));
    if (answer->target.len > 0)
        pn_wr_str(out, answer->target);
    pn_wr_u32(out, answer->count);
    for (uint32_t i = 0; i < answer->count; i++) {
        pn_wr_u32(out, answer->records[i].ttl);
        pn_wr_str(out, answer->records[i].data);
    }
}

bool pn_dns_answer_next(struct pn_rd *r, uint64_t *id, struct pn_dns_answer *answer,
                        struct pn_dns_record *records)
{
    *id = pn_rd_u64(r);
    *answer = (struct pn_dns_answer){.rcode = pn_rd_u16(r), .records = records};
    uint8_t flags = pn_rd_u8(r);
    answer->target = (flags & ANSWER_TARGET) != 0 ? pn_rd_str(r) : PN_STR("");
    bool told = (flags & ANSWER_TARGET) == 0 || pn_dns_name_ok(answer->target);
    uint32_t count = pn_rd_count(r, 8);
    if (flags > ANSWER_FLAGS || !told || count > PN_DNS_RECORDS_MAX)
        return false;
    answer->secure = (flags & ANSWER_SECURE) != 0;
    answer->count = count;
    for (uint32_t i = 0; i < count; i++) {
        records[i].ttl = pn_rd_u32(r);
        records[i].data = pn_rd_str(r);
    }
    return pn_rd_ok(r);
}

bool pn_dns_answer_get(struct pn_str body, uint64_t *id, struct pn_dns_answer *answer,
                       struct pn_dns_record *records)
{
    struct pn_rd r = pn_rd_of(body);
    return pn_dns_answer_next(&r, id, answer, records) && pn_rd_done(&r);
}
