/* Two bytes choose the type that was asked for; the rest is the packet. */
#include "assert.h"
#include "dns_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct reply r;
    if (size < 2)
        return 0;
    uint16_t type = (uint16_t)(data[0] << 8 | data[1]);
    if (!reply_parse(&r, (struct pn_str){(const char *)data + 2, size - 2}, type))
        return 0;
    pn_assert(r.answer.count <= PN_DNS_RECORDS_MAX && r.used <= sizeof r.data);
    for (uint32_t i = 0; i < r.answer.count; i++) {
        struct pn_str d = r.answer.records[i].data;
        pn_assert(d.p >= r.data && d.p + d.len <= r.data + r.used);
        pn_assert(i == 0 || pn_str_cmp(r.answer.records[i - 1].data, d) < 0);
        /* A name that we hand out can be asked for again. */
        if ((type == PN_DNS_PTR || type == PN_DNS_NS || type == PN_DNS_CNAME) && d.len != 0)
            pn_assert(pn_dns_name_ok(d));
    }
    return 0;
}
