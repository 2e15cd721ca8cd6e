#include "tls_host.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

enum { TLSA_HEAD = 3 }; /* usage, selector, matching type */

struct tls_host *tls_host_new(struct pn_str name, enum tls_found found)
{
    struct tls_host *h = pn_calloc(1, sizeof *h);
    h->refs = 1;
    h->found = found;
    h->name = pn_strndup(name.len == 0 ? "" : name.p, name.len);
    return h;
}

struct tls_host *tls_host_ref(struct tls_host *host)
{
    host->refs++;
    return host;
}

void tls_host_unref(struct tls_host **host)
{
    struct tls_host *h = *host;
    *host = NULL;
    if (h == NULL || --h->refs > 0)
        return;
    for (size_t i = 0; i < h->name_count; i++)
        free(h->names[i]);
    free(h->records);
    free(h->base);
    free(h->name);
    free(h);
}

unsigned tls_bases(const struct tls_way *way, struct pn_str bases[TLS_BASES_MAX])
{
    unsigned count = 0;
    bool alias = way->target.len > 0 && !pn_str_ieq(way->target, way->name);
    if (!way->secure_list)
        return 0;
    if (alias && way->secure)
        bases[count++] = way->target;
    if (way->secure || (alias && way->secure_alias))
        bases[count++] = way->name;
    return count;
}

bool tls_question(uint16_t port, struct pn_str base, struct pn_buf *out)
{
    return pn_buf_addf(out, "_%u._tcp.%.*s", port, PN_FMT(base)) && pn_dns_name_ok(pn_buf_str(out));
}

static void add_name(struct tls_host *h, struct pn_str name)
{
    name = pn_dns_name_undotted(name);
    for (size_t i = 0; i < h->name_count; i++)
        if (pn_str_ieq(pn_str_of(h->names[i]), name))
            return;
    if (name.len == 0 || memchr(name.p, '\0', name.len) != NULL)
        return;
    pn_assert(h->name_count < TLS_NAMES_MAX);
    h->names[h->name_count++] = pn_strndup(name.p, name.len);
}

static bool parse(struct pn_str data, struct pn_tlsa *out)
{
    if (data.len <= TLSA_HEAD)
        return false;
    *out = (struct pn_tlsa){(uint8_t)data.p[0], (uint8_t)data.p[1], (uint8_t)data.p[2],
                            pn_str_slice(data, TLSA_HEAD, data.len)};
    return pn_tlsa_usable(out);
}

/* One block: the records, then their bytes. */
static void keep_records(struct tls_host *h, const struct pn_dns_answer *answer)
{
    struct pn_tlsa one;
    size_t bytes = 0;
    for (uint32_t i = 0; i < answer->count; i++)
        bytes += answer->records[i].data.len;
    h->records = pn_alloc(answer->count * sizeof *h->records + bytes);
    char *at = (char *)(h->records + answer->count);
    for (uint32_t i = 0; i < answer->count; i++) {
        if (!parse(answer->records[i].data, &one))
            continue;
        memcpy(at, one.data.p, one.data.len);
        one.data.p = at;
        at += one.data.len;
        h->records[h->record_count++] = one;
    }
}

static enum tls_found found_of(const struct pn_dns_answer *answer)
{
    if (answer->rcode != PN_DNS_NOERROR && answer->rcode != PN_DNS_NXDOMAIN)
        return TLS_UNSURE;
    return answer->secure && answer->count > 0 ? TLS_UNUSABLE : TLS_NOTHING;
}

struct tls_host *tls_host_of(const struct tls_way *way, struct pn_str base,
                             const struct pn_dns_answer *answer, struct pn_str domain,
                             struct pn_str domain_target)
{
    struct tls_host *h = tls_host_new(way->name, found_of(answer));
    if (h->found != TLS_UNUSABLE)
        return h;
    h->base = pn_strndup(base.p, base.len);
    add_name(h, base);
    add_name(h, way->name); /* the alias led from it securely */
    add_name(h, domain);
    add_name(h, domain_target);
    keep_records(h, answer);
    if (h->record_count > 0)
        h->found = TLS_USABLE;
    return h;
}

struct pn_tls_want tls_want_of(const struct tls_host *h, enum pn_tls_verified verify)
{
    struct pn_tls_want want = {.sni = h->base != NULL ? h->base : h->name,
                               .authority = verify == PN_TLS_BY_AUTHORITY,
                               .names = (const char *const *)&h->name,
                               .name_count = h->name[0] != '\0'};
    if (verify != PN_TLS_BY_DANE)
        return want;
    pn_assert(h->found == TLS_USABLE);
    want.names = (const char *const *)h->names;
    want.name_count = h->name_count;
    want.tlsa = h->records;
    want.tlsa_count = h->record_count;
    return want;
}
