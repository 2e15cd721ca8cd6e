/* Parts of values: addresses and names in them, hosts, addresses of hosts. */
#include "rules_text_in.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { IP_MAX = 45 }; /* bytes of the longest address */

/* The field whose raw text that is. */
static struct rules_field *field_of(struct rules_text *t, struct postern_str raw)
{
    size_t count;
    struct rules_field *f = rules_fields(t, &count);

    for (size_t i = 0; i < count; i++)
        if (f[i].raw.p == raw.p)
            return &f[i];
    return NULL;
}

/* A name that was encoded is decoded by the host: with its address, or where it finds none
 * as the k-th name of the whole field's text. */
static struct postern_str decoded_name(struct rules_text *t, const struct rules_header *h,
                                       struct postern_str raw, size_t k, struct postern_str name)
{
    struct rules_field *f =
        rules_is_plain(name) || (h->parts & RULES_RAW) != 0 ? NULL : field_of(t, raw);
    struct postern_str title =
        f == NULL ? (struct postern_str){NULL, 0} : rules_dup(&t->arena, f->name);
    struct rules_address *all;
    struct postern_str local;
    struct postern_str domain;
    struct postern_str display;

    if (title.p == NULL)
        return name;
    if (t->call->host->header_address(t->call, title.p, f->nth, k, &local, &domain, &display) ==
            POSTERN_OK &&
        display.len > 0)
        return display;
    all = rules_alloc(&t->arena, (k + 1) * sizeof(*all));
    if (all == NULL || rules_addresses(rules_field_value(t, f), &t->arena, all, k + 1) <= k)
        return name;
    return all[k].name.len > 0 ? all[k].name : all[k].address;
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
                (void)rules_list_push(t, &out, decoded_name(t, h, from->p[i], k, a[k].name));
            else if ((h->parts & RULES_ADDR) != 0 && a[k].address.len > 0)
                (void)rules_list_push(t, &out, a[k].address);
    }
    return out;
}

static bool is_host_byte(char c)
{
    return rules_is_word(c) || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

/* Labels of 1 to 63 bytes, no hyphen at an end, no underscore in the last two. */
static bool has_good_labels(struct postern_str host)
{
    size_t dots = 0;
    size_t from = 0;

    for (size_t i = 0; i < host.len; i++)
        dots += host.p[i] == '.';
    for (size_t i = 0; i <= host.len; i++) {
        if (i < host.len && host.p[i] == '_' && dots < 2)
            return false;
        if (i < host.len && host.p[i] != '.')
            continue;
        if (i == from || i - from > 63 || host.p[from] == '-' || host.p[i - 1] == '-')
            return false;
        from = i + 1;
        dots--;
    }
    return host.len <= 253;
}

/* From there on, if it ends in a top level domain. */
static struct postern_str host_at(const struct rules_set *set, struct postern_str s, size_t at)
{
    struct postern_str host = {s.p + at, 0};

    while (at + host.len < s.len && is_host_byte(host.p[host.len]))
        host.len++;
    if (host.len > 0 && host.p[host.len - 1] == '.') /* of the sentence */
        host.len--;
    if (host.len == 0 || !has_good_labels(host) || !rules_domain_valid(&set->names, host))
        host.p = NULL;
    return host;
}

/* The last host behind an at sign, else the first of all. */
static struct postern_str host_in(const struct rules_set *set, struct postern_str s)
{
    struct postern_str host = {NULL, 0};

    for (size_t at = s.len; at-- > 0 && host.p == NULL;)
        if (s.p[at] == '@')
            host = host_at(set, s, at + 1);
    for (size_t at = 0; at < s.len && host.p == NULL; at++)
        if (is_host_byte(s.p[at]) && (at == 0 || !is_host_byte(s.p[at - 1])))
            host = host_at(set, s, at);
    return host;
}

/* Of an address, which is one already, all behind its at sign; of other text what looks so. */
static struct postern_str host_of(struct rules_text *t, const struct rules_header *h,
                                  struct postern_str s)
{
    const char *at = (h->parts & RULES_ADDR) == 0 ? NULL : memrchr(s.p, '@', s.len);
    struct postern_str host = {NULL, 0};

    if ((h->parts & RULES_ADDR) == 0)
        host = host_in(t->set, s);
    else if (at != NULL && at + 1 < s.p + s.len)
        host = (struct postern_str){at + 1, (size_t)(s.p + s.len - at) - 1};
    if (host.p == NULL || (h->parts & RULES_DOMAIN) == 0)
        return host;
    while (host.len > 0 && host.p[host.len - 1] == '.')
        host.len--;
    return rules_lower_dup(&t->arena, rules_domain_of(&t->set->names, host));
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

/* Is that all of an address, and no piece of more digits or labels? */
static bool is_whole_ip(struct postern_str s, size_t at, size_t len)
{
    char behind = at + len < s.len ? s.p[at + len] : '\0';

    return !rules_is_word(behind) && behind != '.' &&
           rules_is_ip((struct postern_str){s.p + at, len});
}

/* The first address of a host in text; reversed where asked for. */
static struct postern_str ip_in(struct rules_text *t, struct postern_str s, bool reversed)
{
    for (size_t at = 0; at < s.len; at++) {
        size_t len = 0;

        if (!is_ip_byte(s.p[at]) || (at > 0 && (rules_is_word(s.p[at - 1]) || s.p[at - 1] == '.')))
            continue;
        while (at + len < s.len && len < IP_MAX && is_ip_byte(s.p[at + len]))
            len++;
        for (size_t n = len; n > 1; n--)
            if (is_whole_ip(s, at, n)) {
                struct postern_str ip = {s.p + at, n};

                return reversed ? reversed_ip(t, ip) : ip;
            }
        at += len;
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
                                  ? host_of(t, h, l.p[i])
                                  : ip_in(t, l.p[i], (h->parts & RULES_REVIP) != 0));
    return out;
}
