/* Parts of values: addresses and names in them, hosts, addresses of hosts. */
#include "rules_text_in.h"

#include <arpa/inet.h>
#include <stdio.h>

/* A name that was encoded is decoded by the host, which does so field by field. */
static struct postern_str decoded_name(struct rules_text *t, const struct rules_header *h,
                                       size_t field, size_t k, struct postern_str name)
{
    struct postern_str local;
    struct postern_str domain;
    struct postern_str display;

    if (rules_is_plain(name) || (h->parts & RULES_RAW) != 0)
        return name;
    if (t->call->host->header_address(t->call, h->cstr, field, k, &local, &domain, &display) !=
        POSTERN_OK)
        return name;
    return display;
}

/* In the field that has most: what parts them is a comma, or a semicolon that ends a group. */
static size_t most_addresses(const struct rules_list_of *from)
{
    size_t most = 1;

    for (size_t i = 0; i < from->count; i++) {
        size_t n = 1;

        for (size_t k = 0; k < from->p[i].len && n < RULES_ADDRESSES_MAX; k++)
            n += from->p[i].p[k] == ',' || from->p[i].p[k] == ';';
        most = n > most ? n : most;
    }
    return most;
}

static struct rules_list_of addresses_of(struct rules_text *t, const struct rules_header *h,
                                         const struct rules_list_of *from)
{
    struct rules_list_of out = {.count = 0};
    size_t most = most_addresses(from);
    struct rules_address *a = rules_alloc(&t->arena, most * sizeof(*a));

    for (size_t i = 0; a != NULL && i < from->count; i++) {
        size_t n = rules_addresses(from->p[i], &t->arena, a, most);

        for (size_t k = 0; k < n; k++)
            if ((h->parts & RULES_NAME) != 0 && a[k].name.len > 0)
                (void)rules_list_push(t, &out, decoded_name(t, h, i, k, a[k].name));
            else if ((h->parts & RULES_ADDR) != 0 && a[k].address.len > 0)
                (void)rules_list_push(t, &out, a[k].address);
    }
    return out;
}

static bool is_host_byte(char c)
{
    return (rules_is_word(c) && c != '_') || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

/* From there on, if it ends in a top level domain. */
static struct postern_str host_at(const struct rules_set *set, struct postern_str s, size_t at)
{
    struct postern_str host = {s.p + at, 0};

    while (at + host.len < s.len && is_host_byte(host.p[host.len]))
        host.len++;
    while (host.len > 0 && (host.p[host.len - 1] == '.' || host.p[host.len - 1] == '-'))
        host.len--;
    if (host.len == 0 || !rules_domain_valid(&set->names, host))
        host.p = NULL;
    return host;
}

/* The first host behind an at sign, else the first of all. */
static struct postern_str host_in(const struct rules_set *set, struct postern_str s, bool domain)
{
    struct postern_str host = {NULL, 0};

    for (size_t at = 0; at < s.len && host.p == NULL; at++)
        if (s.p[at] == '@')
            host = host_at(set, s, at + 1);
    for (size_t at = 0; at < s.len && host.p == NULL; at++)
        if (is_host_byte(s.p[at]) && (at == 0 || !is_host_byte(s.p[at - 1])))
            host = host_at(set, s, at);
    return domain && host.p != NULL ? rules_domain_of(&set->names, host) : host;
}

/* "1.2.0.192", and of IPv6 a digit each: "1.0.0. ... .2". */
static struct postern_str reversed_ip(struct rules_text *t, struct postern_str ip)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char b[16];
    char text[64];
    int n;

    if (ip.len >= sizeof(text))
        return (struct postern_str){NULL, 0};
    memcpy(text, ip.p, ip.len);
    text[ip.len] = '\0';
    if (inet_pton(AF_INET, text, b) == 1) {
        n = snprintf(text, sizeof(text), "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
        return rules_dup(&t->arena, (struct postern_str){text, n < 0 ? 0 : (size_t)n});
    }
    if (inet_pton(AF_INET6, text, b) != 1)
        return (struct postern_str){NULL, 0};
    n = 0;
    for (size_t i = sizeof(b); i-- > 0;) {
        text[n++] = digits[b[i] & 15];
        text[n++] = '.';
        text[n++] = digits[b[i] >> 4];
        text[n++] = '.';
    }
    return rules_dup(&t->arena, (struct postern_str){text, (size_t)n - 1});
}

static bool is_ip_byte(char c)
{
    return rules_is_digit(c) || c == '.' || c == ':' ||
           (rules_lower(c) >= 'a' && rules_lower(c) <= 'f');
}

/* The first address of a host in text; reversed where asked for. */
static struct postern_str ip_in(struct rules_text *t, struct postern_str s, bool reversed)
{
    for (size_t at = 0; at < s.len; at++) {
        struct postern_str ip = {s.p + at, 0};

        if (!is_ip_byte(s.p[at]) || (at > 0 && (rules_is_word(s.p[at - 1]) || s.p[at - 1] == '.')))
            continue;
        while (at + ip.len < s.len && is_ip_byte(ip.p[ip.len]))
            ip.len++;
        at += ip.len;
        while (ip.len > 0 && (ip.p[ip.len - 1] == '.' || ip.p[ip.len - 1] == ':') &&
               !rules_is_ip(ip))
            ip.len--;
        if (rules_is_ip(ip))
            return reversed ? reversed_ip(t, ip) : ip;
    }
    return (struct postern_str){NULL, 0};
}

struct rules_list_of rules_narrowed(struct rules_text *t, const struct rules_header *h,
                                    struct rules_list_of l)
{
    struct rules_list_of out = {.count = 0};

    if (l.count > 1 && (h->parts & RULES_FIRST) != 0)
        l.count = 1;
    else if (l.count > 1 && (h->parts & RULES_LAST) != 0)
        l = (struct rules_list_of){l.p + l.count - 1, 1, 1};
    if ((h->parts & (RULES_ADDR | RULES_NAME)) != 0)
        l = addresses_of(t, h, &l);
    if ((h->parts & (RULES_HOST | RULES_IP)) == 0)
        return l;
    for (size_t i = 0; i < l.count; i++)
        (void)rules_list_push(t, &out,
                              (h->parts & RULES_HOST) != 0
                                  ? host_in(t->set, l.p[i], (h->parts & RULES_DOMAIN) != 0)
                                  : ip_in(t, l.p[i], (h->parts & RULES_REVIP) != 0));
    return out;
}
