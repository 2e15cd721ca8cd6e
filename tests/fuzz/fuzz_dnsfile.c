/* A DNS file up to the first NUL byte; behind it names to ask for, one a line. */
#include "assert.h"
#include "dnsfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written and read, an answer is the same. */
static void again(struct pn_str name, uint16_t type, const struct pn_dns_answer *a)
{
    struct pn_buf text, err;
    struct pn_dns_answer b;
    if (type == 0 || !pn_dns_name_ok(name))
        return;
    pn_buf_init(&text, 1024 * 1024);
    pn_buf_init(&err, 1024);
    pn_dnsfile_put(&text, pn_dns_name_undotted(name), type, a);
    struct pn_dnsfile *f = pn_dnsfile_parse(pn_buf_str(&text), "again", &err);
    pn_assert(f != NULL && !text.overflow);
    pn_dnsfile_find(f, name, type, &b);
    pn_assert(a->rcode == b.rcode && a->secure == b.secure && a->count == b.count);
    for (uint32_t i = 0; i < b.count; i++)
        pn_assert(pn_str_eq(a->records[i].data, b.records[i].data));
    pn_dnsfile_free(&f);
    pn_buf_fini(&text);
    pn_buf_fini(&err);
}

static void ask(const struct pn_dnsfile *f, struct pn_str name)
{
    static const uint16_t types[] = {PN_DNS_A, PN_DNS_TXT, PN_DNS_MX, PN_DNS_CNAME, 0, 65280};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct pn_dns_answer a;
        pn_dnsfile_find(f, name, types[i], &a);
        pn_assert(a.count <= PN_DNS_RECORDS_MAX && (a.rcode == 0 || a.count == 0));
        again(name, types[i], &a);
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
