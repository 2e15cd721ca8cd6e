#include "mx.h"

static const struct mx_refusal not_now = {451, "4.4.3 The next hop's name can't be resolved now"};

/* splitmix64: seeds in a row give numbers that have nothing in common. */
static uint64_t next_random(struct mx *mx)
{
    uint64_t x = mx->seed += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Below n, which is small: what the remainder prefers can't be measured. */
static uint32_t below(struct mx *mx, uint32_t n)
{
    return (uint32_t)(next_random(mx) % n);
}

static uint16_t preference_of(const struct pn_dns_record *r)
{
    return (uint16_t)((unsigned char)r->data.p[0] << 8 | (unsigned char)r->data.p[1]);
}

static struct pn_str name_of(const struct pn_dns_record *r)
{
    return pn_dns_name_undotted(pn_str_slice(r->data, 2, r->data.len));
}

/* Records as they are to be tried: sorted by data they are by preference already. */
static void put_in_order(struct mx *mx, const struct pn_dns_answer *answer, uint16_t *order)
{
    for (uint32_t i = 0, run = 0; i < answer->count; i++) {
        if (preference_of(&answer->records[run]) != preference_of(&answer->records[i]))
            run = i;
        uint32_t at = run + below(mx, i - run + 1);
        order[i] = order[at];
        order[at] = (uint16_t)i;
    }
}

/* How many of them come before the preference at which ourselves stand. */
static uint32_t before_us(struct mx *mx, const struct pn_dns_answer *answer,
                          struct pn_str ourselves)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < answer->count; i++) {
        if (preference_of(&answer->records[end]) != preference_of(&answer->records[i]))
            end = i;
        if (ourselves.len > 0 && pn_str_ieq(name_of(&answer->records[i]), ourselves)) {
            mx->loop = true;
            return end;
        }
    }
    return answer->count;
}

static bool well_formed(const struct pn_dns_answer *answer)
{
    for (uint32_t i = 0; i < answer->count; i++)
        if (answer->records[i].data.len < 2)
            return false;
    return answer->count <= PN_DNS_RECORDS_MAX;
}

unsigned mx_list(struct mx *mx, const struct pn_dns_answer *answer, struct pn_str ourselves,
                 struct pn_str names[MX_HOSTS_MAX])
{
    uint16_t order[PN_DNS_RECORDS_MAX];
    mx->missing = answer->rcode == PN_DNS_NXDOMAIN;
    mx->unsure = !well_formed(answer) || (answer->rcode != PN_DNS_NOERROR && !mx->missing);
    mx->listed = answer->rcode == PN_DNS_NOERROR && answer->count > 0;
    if (!mx->listed || mx->unsure)
        return 0;
    mx->null = answer->count == 1 && name_of(&answer->records[0]).len == 0;
    if (mx->null)
        return 0;
    put_in_order(mx, answer, order);
    uint32_t end = before_us(mx, answer, ourselves);
    for (uint32_t i = 0; i < end && mx->count < MX_HOSTS_MAX; i++) {
        const struct pn_dns_record *r = &answer->records[order[i]];
        mx->hosts[mx->count] = (struct mx_host){.preference = preference_of(r)};
        names[mx->count++] = name_of(r);
    }
    return mx->count;
}

bool mx_alone(struct mx *mx, struct pn_str name, struct pn_str ourselves)
{
    mx->loop = pn_str_ieq(pn_dns_name_undotted(name), ourselves);
    mx->count = mx->loop ? 0 : 1;
    mx->hosts[0] = (struct mx_host){0};
    return !mx->loop;
}

/* Of more than there is room for, each has the same chance to stay and to be first. */
void mx_add(struct mx *mx, unsigned host, const struct pn_ip *ip)
{
    struct mx_host *h = &mx->hosts[host];
    enum mx_family family = pn_ip_is_v4(ip) ? MX_IPV4 : MX_IPV6;
    struct pn_ip *ips = h->ips[family];
    uint32_t n = h->seen[family]++, at = below(mx, n + 1);
    if (n < MX_FAMILY_MAX)
        ips[n] = ips[at];
    if (at < MX_FAMILY_MAX)
        ips[at] = *ip;
}

static uint32_t held(const struct mx_host *h, enum mx_family family)
{
    return h->seen[family] < MX_FAMILY_MAX ? h->seen[family] : MX_FAMILY_MAX;
}

/* The first preference that is not tried. */
static uint32_t limit_of(const struct mx *mx)
{
    for (unsigned i = 0; i < mx->count; i++)
        if (mx->hosts[i].ours)
            return mx->hosts[i].preference;
    return UINT16_MAX + 1;
}

size_t mx_addresses(const struct mx *mx, struct mx_address *out, size_t max)
{
    uint32_t limit = limit_of(mx);
    size_t n = 0;
    for (unsigned i = 0; i < mx->count && mx->hosts[i].preference < limit; i++) {
        const struct mx_host *h = &mx->hosts[i];
        for (uint32_t k = 0; k < MX_FAMILY_MAX; k++)
            for (enum mx_family family = MX_IPV6; family < MX_FAMILIES; family++)
                if (k < held(h, family) && n < max)
                    out[n++] = (struct mx_address){h->ips[family][k], i};
    }
    return n;
}

struct mx_refusal mx_refusal(const struct mx *mx)
{
    uint32_t limit = limit_of(mx);
    if (mx->null)
        return (struct mx_refusal){556, "5.1.10 The domain takes no mail"};
    if (mx->unsure)
        return not_now;
    for (unsigned i = 0; i < mx->count && mx->hosts[i].preference < limit; i++)
        if (mx->hosts[i].unsure)
            return not_now;
    if (mx->loop || limit <= UINT16_MAX)
        return (struct mx_refusal){554, "5.4.6 The domain's mail comes to this server, which "
                                        "does not know it: it would go round in a loop"};
    if (mx->missing)
        return (struct mx_refusal){550, "5.1.2 There is no such domain"};
    if (mx->listed)
        return (struct mx_refusal){550, "5.4.4 None of the domain's mail servers has an address "
                                        "that mail can go to"};
    return (struct mx_refusal){550, "5.1.2 The domain has no mail server"};
}

bool mx_literal(struct pn_str domain, struct pn_ip *ip)
{
    if (domain.len < 3 || domain.p[0] != '[' || domain.p[domain.len - 1] != ']')
        return false;
    struct pn_str inside = pn_str_slice(domain, 1, domain.len - 1);
    bool six = pn_str_istarts(inside, PN_STR("IPv6:"));
    if (six)
        inside = pn_str_slice(inside, 5, inside.len);
    return pn_ip_parse(inside, ip) && six == (pn_str_find(inside, ':', 0) != SIZE_MAX);
}

bool mx_may_go(const struct pn_ip *ip)
{
    bool v4 = pn_ip_is_v4(ip);
    unsigned char first = v4 ? pn_ip_v4(ip)[0] : ip->b[0];
    static const struct pn_ip any6;
    if (v4)
        return first != 0 && first != 127 && first < 224;
    return first != 0xff && !pn_ip_is_loopback(ip) && !pn_ip_eq(ip, &any6);
}
