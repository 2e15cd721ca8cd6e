/* A TLSA answer: a byte of flags, the rcode, then records of a length byte and that many
 * bytes (255: of all that is left). */
#include "assert.h"
#include "tls_host.h"
#include "tls_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t read_records(struct pn_str in, struct pn_dns_record records[PN_DNS_RECORDS_MAX])
{
    uint32_t count = 0;
    for (size_t at = 0; at < in.len && count < PN_DNS_RECORDS_MAX;) {
        size_t n = (unsigned char)in.p[at++];
        struct pn_str data = pn_str_slice(in, at, n == 255 ? in.len : at + n);
        records[count++] = (struct pn_dns_record){300, data};
        at += data.len;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    if (size < 2)
        return 0;
    const struct pn_dns_answer answer = {
        .secure = (data[0] & 1) != 0,
        .rcode = data[1],
        .count = read_records((struct pn_str){(const char *)data + 2, size - 2}, records),
        .records = records};
    const struct tls_way way = {(data[0] & 2) != 0, (data[0] & 4) != 0, (data[0] & 8) != 0,
                                PN_STR("mx.test"),
                                (data[0] & 16) != 0 ? PN_STR("real.test") : PN_STR("")};
    struct pn_str bases[TLS_BASES_MAX];
    if (tls_bases(&way, bases) == 0)
        return 0;
    struct tls_host *h = tls_host_of(&way, bases[0], &answer, PN_STR("a.test"), PN_STR(""));
    pn_assert((h->found == TLS_USABLE) == (h->record_count > 0));
    pn_assert(h->record_count <= answer.count);
    for (size_t i = 0; i < h->record_count; i++)
        pn_assert(pn_tlsa_usable(&h->records[i]));
    /* Records that DNSSEC proves are never followed by clear text. */
    struct tls_plan plan = tls_plan(TLS_MAY, h, (data[0] & 64) != 0, (data[0] & 32) != 0);
    if (answer.secure && answer.count > 0 && answer.rcode == PN_DNS_NOERROR)
        pn_assert(plan.use == PN_SMTP_TLS_MUST && !plan.clear_after);
    pn_assert((plan.verify == PN_TLS_BY_DANE) == (h->record_count > 0));
    tls_host_unref(&h);
    return 0;
}
