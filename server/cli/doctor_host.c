#include "doctor.h"

#include "block.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/timex.h>

/* ---- our addresses ---- */

static void add_address(struct doctor *d, const struct pn_ip *ip)
{
    bool there = pn_ip_is_loopback(ip);
    for (size_t i = 0; i < d->address_count && !there; i++)
        there = pn_ip_eq(&d->addresses[i], ip);
    if (!there && d->address_count < DOCTOR_ADDRESSES_MAX)
        d->addresses[d->address_count++] = *ip;
}

static bool is_any(const struct pn_ip *ip)
{
    struct pn_ip four, six;
    return (pn_ip_parse(PN_STR("0.0.0.0"), &four) && pn_ip_eq(ip, &four)) ||
           (pn_ip_parse(PN_STR("::"), &six) && pn_ip_eq(ip, &six));
}

/* Nobody on the Internet knows us by these (RFC 6890). */
static bool is_private(const struct pn_ip *ip)
{
    static const char *const nets[] = {"10.0.0.0/8",    "172.16.0.0/12",  "192.168.0.0/16",
                                       "100.64.0.0/10", "169.254.0.0/16", "fc00::/7",
                                       "fe80::/10"};
    struct pn_net net;
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
        if (pn_net_parse(pn_str_of(nets[i]), &net) && pn_net_has(&net, ip))
            return true;
    return false;
}

static void add_interfaces(struct doctor *d, bool v4)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        struct pn_ip ip;
        uint16_t port;
        if (i->ifa_addr != NULL && (i->ifa_flags & IFF_UP) != 0 &&
            pn_endpoint_of_sockaddr(i->ifa_addr, &ip, &port) && pn_ip_is_v4(&ip) == v4 &&
            !is_private(&ip))
            add_address(d, &ip);
    }
    freeifaddrs(all);
}

void doctor_addresses(struct doctor *d)
{
    struct pn_listen l;
    bool said = d->address_count > 0;
    for (size_t i = 0; i < pn_policy_listen_count(d->policy) && !said; i++) {
        pn_policy_listen(d->policy, i, &l);
        if (l.kind != PN_LISTEN_SMTP)
            continue;
        if (is_any(&l.ip))
            add_interfaces(d, pn_ip_is_v4(&l.ip));
        else if (!is_private(&l.ip))
            add_address(d, &l.ip);
    }
    if (d->address_count > 0)
        return;
    /* Behind a router: the name says by which address others reach us. */
    for (int v4 = 0; v4 < 2; v4++) {
        struct pn_dns_answer a =
            doctor_ask(d, v4 ? PN_DNS_A : PN_DNS_AAAA, "%.*s", PN_FMT(d->hostname));
        for (uint32_t i = 0; i < a.count; i++) {
            struct pn_ip ip = {0};
            struct pn_str s = a.records[i].data;
            char text[PN_IP_TEXT_MAX];
            int n = v4 ? snprintf(text, sizeof text, "%u.%u.%u.%u", (uint8_t)s.p[0],
                                  (uint8_t)s.p[1], (uint8_t)s.p[2], (uint8_t)s.p[3])
                       : 0;
            if (v4 ? pn_ip_parse((struct pn_str){text, (size_t)n}, &ip)
                   : (memcpy(&ip, s.p, sizeof ip), true))
                add_address(d, &ip);
        }
    }
    if (d->address_count == 0)
        doctor_say(d, DOCTOR_NOTE, "address",
                   "no public address is known of this server: say it with --address");
    else
        doctor_say(d, DOCTOR_NOTE, "address",
                   "it listens at no public address itself: those of its name are looked at");
}

/* ---- names ---- */

static bool has_address(const struct pn_dns_answer *a, const struct pn_ip *ip)
{
    struct pn_str want = pn_ip_is_v4(ip) ? (struct pn_str){(const char *)pn_ip_v4(ip), 4}
                                         : (struct pn_str){(const char *)ip, 16};
    for (uint32_t i = 0; i < a->count; i++)
        if (pn_str_eq(a->records[i].data, want))
            return true;
    return false;
}

static void look_at_name(struct doctor *d)
{
    bool dotted = pn_str_find(d->hostname, '.', 0) != SIZE_MAX;
    if (dotted)
        doctor_say(d, DOCTOR_OK, "name", "it calls itself %.*s", PN_FMT(d->hostname));
    else
        doctor_say(d, DOCTOR_FIX, "name",
                   "it calls itself %.*s, which is no name of the DNS: set smtp { hostname }",
                   PN_FMT(d->hostname));
}

static void look_at_address(struct doctor *d, const struct pn_ip *ip)
{
    char text[PN_IP_TEXT_MAX];
    bool v4 = pn_ip_is_v4(ip);
    struct pn_dns_answer a =
        doctor_ask(d, v4 ? PN_DNS_A : PN_DNS_AAAA, "%.*s", PN_FMT(d->hostname));
    (void)pn_ip_text(ip, text);
    if (has_address(&a, ip)) {
        doctor_say(d, DOCTOR_OK, "address", "%.*s has %s", PN_FMT(d->hostname), text);
    } else if (doctor_unsure(&a)) {
        doctor_say(d, DOCTOR_NOTE, "address", "%.*s: %s", PN_FMT(d->hostname), doctor_none(&a));
    } else {
        doctor_say(d, DOCTOR_FIX, "address", "%.*s does not lead to %s", PN_FMT(d->hostname), text);
        doctor_publish(d, "%.*s. IN %s %s", PN_FMT(d->hostname), v4 ? "A" : "AAAA", text);
    }
}

/* The name of an address must lead back to it; best is the name in our EHLO. */
static void look_at_pointer(struct doctor *d, const struct pn_ip *ip)
{
    char text[PN_IP_TEXT_MAX];
    struct pn_buf name;
    pn_buf_init(&name, DOCTOR_NAME_MAX);
    pn_dns_reverse(&name, ip, PN_STR(""));
    (void)pn_ip_text(ip, text);
    struct pn_dns_answer ptr = doctor_ask(d, PN_DNS_PTR, "%.*s", PN_FMT(pn_buf_str(&name)));
    struct pn_str confirmed = {NULL, 0};
    for (uint32_t i = 0; i < ptr.count; i++) {
        struct pn_dns_answer a = doctor_ask(d, pn_ip_is_v4(ip) ? PN_DNS_A : PN_DNS_AAAA, "%.*s",
                                            PN_FMT(ptr.records[i].data));
        if (has_address(&a, ip) &&
            (confirmed.p == NULL || pn_str_ieq(ptr.records[i].data, d->hostname)))
            confirmed = ptr.records[i].data;
    }
    bool ours = confirmed.p != NULL && pn_str_ieq(confirmed, d->hostname);
    if (ours)
        doctor_say(d, DOCTOR_OK, "ptr", "%s is %.*s, there and back", text, PN_FMT(confirmed));
    else if (confirmed.p != NULL)
        doctor_say(d, DOCTOR_NOTE, "ptr", "%s is %.*s, there and back; %.*s would be better", text,
                   PN_FMT(confirmed), PN_FMT(d->hostname));
    else if (doctor_unsure(&ptr))
        doctor_say(d, DOCTOR_NOTE, "ptr", "%s: %s", text, doctor_none(&ptr));
    else if (ptr.count == 0)
        doctor_say(d, DOCTOR_FIX, "ptr",
                   "%s has no name, and many servers refuse such: whoever gave you the address "
                   "publishes it",
                   text);
    else
        doctor_say(d, DOCTOR_FIX, "ptr", "%s is %.*s, which does not lead back to it", text,
                   PN_FMT(ptr.records[0].data));
    if (confirmed.p == NULL && !doctor_unsure(&ptr))
        doctor_publish(d, "%.*s. IN PTR %.*s.", PN_FMT(pn_buf_str(&name)), PN_FMT(d->hostname));
    pn_buf_fini(&name);
}

/* ---- lists ---- */

static size_t all_zones(const struct doctor *d, struct pn_str *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < d->zone_count && n < max; i++)
        out[n++] = d->zones[i];
    for (size_t p = 0; p < pn_policy_plugin_count(d->policy); p++) {
        const struct pn_plugin_row *row = pn_policy_plugin(d->policy, p);
        const struct postern_block *zone, *settings = pn_plugin_settings(d->policy, row);
        if (!pn_str_eq(pn_plugin_name(row), PN_STR("dnsbl")))
            continue;
        for (size_t i = 0; n < max && pn_block_block(settings, "zone", i, &zone) == POSTERN_OK;
             i++) {
            struct postern_str title = pn_block_title(zone);
            int allow = 0;
            (void)pn_block_bool(zone, "allow", &allow);
            if (!allow)
                out[n++] = (struct pn_str){title.p, title.len};
        }
    }
    return n;
}

static void look_at_lists(struct doctor *d, const struct pn_ip *ip)
{
    struct pn_str zones[2 * DOCTOR_ZONES_MAX];
    size_t count = all_zones(d, zones, sizeof zones / sizeof zones[0]);
    char text[PN_IP_TEXT_MAX];
    (void)pn_ip_text(ip, text);
    for (size_t i = 0; i < count; i++) {
        struct pn_buf name;
        pn_buf_init(&name, 2 * DOCTOR_NAME_MAX);
        pn_dns_reverse(&name, ip, zones[i]);
        struct pn_dns_answer a = doctor_ask(d, PN_DNS_A, "%.*s", PN_FMT(pn_buf_str(&name)));
        /* RFC 5782, section 2.3; 127.255.255.0/24 is how lists refuse a question. */
        bool listed = a.count > 0 && a.records[0].data.p[0] == 127 &&
                      !(a.records[0].data.p[1] == (char)255 && a.records[0].data.p[2] == (char)255);
        if (listed)
            doctor_say(d, DOCTOR_FIX, "dnsbl", "%s is on %.*s: ask there why, and to be taken off",
                       text, PN_FMT(zones[i]));
        else if (doctor_unsure(&a) || a.count > 0)
            doctor_say(d, DOCTOR_NOTE, "dnsbl", "%.*s: %s", PN_FMT(zones[i]),
                       a.count > 0 ? "the list does not answer us" : doctor_none(&a));
        else
            doctor_say(d, DOCTOR_OK, "dnsbl", "%s is not on %.*s", text, PN_FMT(zones[i]));
        pn_buf_fini(&name);
    }
}

static void look_at_clock(struct doctor *d)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    if (state < 0)
        doctor_say(d, DOCTOR_NOTE, "clock", "the system does not say whether it is kept right");
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0)
        doctor_say(d, DOCTOR_FIX, "clock",
                   "nothing keeps it right; signatures, DNSSEC and certificates need that: run an "
                   "NTP client");
    else
        doctor_say(d, DOCTOR_OK, "clock", "it is kept right, to %.3f s", (double)t.maxerror / 1e6);
}

void doctor_host(struct doctor *d)
{
    struct pn_str zones[1];
    look_at_name(d);
    for (size_t i = 0; i < d->address_count; i++) {
        look_at_address(d, &d->addresses[i]);
        look_at_pointer(d, &d->addresses[i]);
        look_at_lists(d, &d->addresses[i]);
    }
    if (all_zones(d, zones, 1) == 0)
        doctor_say(d, DOCTOR_NOTE, "dnsbl",
                   "no list is configured: --dnsbl ZONE asks one about these addresses");
    look_at_clock(d);
}
