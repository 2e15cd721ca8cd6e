/* A DNS file up to the first NUL byte; behind it names to ask for, one a line. */
#include "assert.h"
#include "dnsfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct pn_dnsfile *f, struct pn_str name)
{
    static const uint16_t types[] = {PN_DNS_A, PN_DNS_TXT, PN_DNS_MX, PN_DNS_CNAME, 0, 65280};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct pn_dns_answer a;
        pn_dnsfile_find(f, name, types[i], &a);
        pn_assert(a.count <= PN_DNS_RECORDS_MAX && (a.rcode == 0 || a.count == 0));
        for (uint32_t k = 1; k < a.count; k++)
            pn_assert(pn_str_cmp(a.records[k - 1].data, a.records[k].data) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str names = {(const char *)data, size};
    struct pn_str text = pn_str_split(&names, '\0');
    struct pn_buf err;
    pn_buf_init(&err, 1024);
    struct pn_dnsfile *f = pn_dnsfile_parse(text, "file", &err);
    pn_assert((f == NULL) == (err.len != 0));
    while (f != NULL && names.p != NULL)
        ask(f, pn_str_split(&names, '\n'));
    pn_dnsfile_free(&f);
    pn_buf_fini(&err);
    return 0;
}
