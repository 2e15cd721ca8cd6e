#include "tls_search.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

static char *copy(struct pn_str s)
{
    return s.len == 0 ? NULL : pn_strndup(s.p, s.len);
}

void tls_search_listed(struct tls_search *s, struct pn_str domain,
                       const struct pn_dns_answer *answer)
{
    pn_assert(s->domain == NULL);
    s->domain = copy(pn_dns_name_undotted(domain));
    s->domain_target = copy(answer->target);
    s->secure_list = answer->secure;
}

void tls_search_trusted(struct tls_search *s)
{
    s->secure_list = s->trusted = true;
}

void tls_search_begin(struct tls_search *s, unsigned host, struct pn_str name, unsigned questions)
{
    struct tls_search_host *h = &s->hosts[host];
    pn_assert(h->name == NULL);
    h->name = copy(pn_dns_name_undotted(name));
    h->waits = questions;
    h->way = (struct tls_way){.secure_list = s->secure_list, .name = pn_str_of(h->name)};
}

/* An error is not secure; where one of two answers is, the zone is signed. */
void tls_search_addresses(struct tls_search *s, unsigned host, const struct pn_dns_answer *answer)
{
    struct tls_search_host *h = &s->hosts[host];
    bool told = answer->rcode == PN_DNS_NOERROR || answer->rcode == PN_DNS_NXDOMAIN;
    pn_assert(h->waits > 0);
    h->waits--;
    h->way.secure |= told && answer->secure;
    h->has_address |= told && answer->count > 0;
    if (told && answer->target.len > 0 && h->target == NULL) {
        h->target = copy(answer->target);
        h->way.target = pn_str_of(h->target);
    }
}

static bool settle(struct tls_search_host *h, enum tls_found found)
{
    h->host = tls_host_new(h->way.name, found);
    return false;
}

bool tls_search_next(struct tls_search *s, unsigned host, uint16_t *type, struct pn_buf *name)
{
    struct tls_search_host *h = &s->hosts[host];
    struct pn_str bases[TLS_BASES_MAX];
    if (h->host != NULL || h->waits > 0)
        return false;
    if (!h->way.secure_list || !h->has_address)
        return settle(h, TLS_NOTHING);
    if (!h->way.secure && h->target != NULL && !h->alias_known) {
        *type = PN_DNS_CNAME;
        return pn_buf_addz(name, h->name);
    }
    for (unsigned count = tls_bases(&h->way, bases); h->tried < count; h->tried++) {
        pn_buf_clear(name);
        *type = PN_DNS_TLSA;
        if (tls_question(s->port, bases[h->tried], name))
            return true;
    }
    return settle(h, TLS_NOTHING);
}

void tls_search_answer(struct tls_search *s, unsigned host, uint16_t type,
                       const struct pn_dns_answer *answer)
{
    struct tls_search_host *h = &s->hosts[host];
    struct pn_str bases[TLS_BASES_MAX];
    pn_assert(h->host == NULL);
    if (type == PN_DNS_CNAME) {
        h->alias_known = true;
        h->way.secure_alias = answer->secure && answer->count > 0;
        if (answer->rcode != PN_DNS_NOERROR && answer->rcode != PN_DNS_NXDOMAIN)
            (void)settle(h, TLS_UNSURE);
        return;
    }
    pn_assert(h->tried < tls_bases(&h->way, bases));
    h->host = tls_host_of(&h->way, bases[h->tried++], answer, pn_str_of(s->domain),
                          pn_str_of(s->domain_target));
    if (h->host->found == TLS_NOTHING)
        tls_host_unref(&h->host); /* the next base, if there is one */
}

struct tls_host *tls_search_found(struct tls_search *s, unsigned host)
{
    struct tls_search_host *h = &s->hosts[host];
    if (h->host == NULL)
        (void)settle(h, TLS_UNSURE);
    h->host->trusted = s->trusted;
    return tls_host_ref(h->host);
}

void tls_search_fini(struct tls_search *s)
{
    for (unsigned i = 0; i < MX_HOSTS_MAX; i++) {
        tls_host_unref(&s->hosts[i].host);
        free(s->hosts[i].name);
        free(s->hosts[i].target);
    }
    free(s->domain);
    free(s->domain_target);
}
