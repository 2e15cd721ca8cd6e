#include "dns.h"

#include "assert.h"
#include "net.h"

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
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (pn_str_ieq(name, pn_str_of(types[i].name))) {
            *type = types[i].type;
            return true;
        }
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

bool pn_dns_name_ok(struct pn_str name)
{
    if (name.len == 0 || name.len > 253)
        return false;
    size_t label = 0;
    for (size_t i = 0; i <= name.len; i++) {
        if (i == name.len || name.p[i] == '.') {
            if (label == 0 || label > 63)
                return false;
            label = 0;
        } else {
            label++;
        }
    }
    return true;
}

void pn_dns_reverse(struct pn_buf *out, const struct pn_ip *ip, struct pn_str suffix)
{
    static const char hex[] = "0123456789abcdef";
    bool v4 = pn_ip_is_v4(ip);
    for (size_t i = 16; i > (v4 ? 12 : 0); i--) {
        unsigned char byte = ip->b[i - 1];
        if (v4)
            (void)pn_buf_addf(out, "%u.", byte);
        else
            (void)pn_buf_addf(out, "%c.%c.", hex[byte & 15], hex[byte >> 4]);
    }
    if (suffix.len != 0)
        (void)pn_buf_adds(out, suffix);
    else
        (void)pn_buf_addz(out, v4 ? "in-addr.arpa" : "ip6.arpa");
}

void pn_dns_ask_put(struct pn_buf *out, const struct pn_dns_ask *ask)
{
    pn_wr_u64(out, ask->id);
    pn_wr_u16(out, ask->type);
    pn_wr_u32(out, ask->deadline_ms);
    pn_wr_str(out, ask->name);
}

bool pn_dns_ask_get(struct pn_str body, struct pn_dns_ask *ask)
{
    struct pn_rd r = pn_rd_of(body);
    ask->id = pn_rd_u64(&r);
    ask->type = pn_rd_u16(&r);
    ask->deadline_ms = pn_rd_u32(&r);
    ask->name = pn_rd_str(&r);
    return pn_rd_done(&r) && pn_dns_name_ok(ask->name);
}

void pn_dns_answer_put(struct pn_buf *out, uint64_t id, const struct pn_dns_answer *answer)
{
    pn_assert(answer->count <= PN_DNS_RECORDS_MAX);
    pn_wr_u64(out, id);
    pn_wr_u16(out, answer->rcode);
    pn_wr_u8(out, answer->secure);
    pn_wr_u32(out, answer->count);
    for (uint32_t i = 0; i < answer->count; i++) {
        pn_wr_u32(out, answer->records[i].ttl);
        pn_wr_str(out, answer->records[i].data);
    }
}

bool pn_dns_answer_get(struct pn_str body, uint64_t *id, struct pn_dns_answer *answer,
                       struct pn_dns_record *records)
{
    struct pn_rd r = pn_rd_of(body);
    *id = pn_rd_u64(&r);
    answer->rcode = pn_rd_u16(&r);
    uint8_t secure = pn_rd_u8(&r);
    answer->secure = secure == 1;
    answer->count = pn_rd_count(&r, 8);
    answer->records = records;
    if (answer->count > PN_DNS_RECORDS_MAX || secure > 1)
        return false;
    for (uint32_t i = 0; i < answer->count; i++) {
        records[i].ttl = pn_rd_u32(&r);
        records[i].data = pn_rd_str(&r);
    }
    return pn_rd_done(&r);
}
