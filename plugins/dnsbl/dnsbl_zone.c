#include "dnsbl_zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char refused[3] = {127, 255, 255};

bool dnsbl_is_trouble(const unsigned char ip[4])
{
    return ip[0] != 127 || memcmp(ip, refused, sizeof refused) == 0;
}

static bool has_code(const struct dnsbl_code *c, const unsigned char ip[4])
{
    if (c->mask != 0)
        return ip[1] == 0 && ip[2] == 0 && (ip[3] & c->mask) != 0;
    for (unsigned i = 0; i < c->bits; i++)
        if (((ip[i / 8] ^ c->ip[i / 8]) & (0x80 >> i % 8)) != 0)
            return false;
    return true;
}

/* A hit: the heavier of it and what there is, whichever way a list weighs. */
static void add_hit(struct dnsbl_result *out, int32_t weight)
{
    if (out->meaning != DNSBL_HIT || abs(weight) > abs(out->weight))
        *out = (struct dnsbl_result){.meaning = DNSBL_HIT, .weight = weight};
}

static void judge_address(const struct dnsbl_zone *zone, const unsigned char ip[4],
                          struct dnsbl_result *out)
{
    static const unsigned char unused[4] = {127, 0, 0, 1};
    bool named = false;
    for (size_t i = 0; !dnsbl_is_trouble(ip) && i < zone->code_count; i++)
        if (has_code(&zone->codes[i], ip)) {
            named = true;
            add_hit(out, zone->codes[i].weight);
        }
    if (named)
        return;
    if (dnsbl_is_trouble(ip) || memcmp(ip, unused, sizeof unused) == 0) {
        if (out->meaning == DNSBL_NOTHING) {
            out->meaning = DNSBL_TROUBLE;
            memcpy(out->trouble, ip, sizeof out->trouble);
        }
    } else if (zone->any) {
        add_hit(out, zone->weight);
    }
}

void dnsbl_judge(const struct dnsbl_zone *zone, const struct postern_dns_answer *answer,
                 struct dnsbl_result *out)
{
    *out = (struct dnsbl_result){.meaning = DNSBL_NOTHING};
    for (size_t i = 0; i < answer->count; i++)
        if (answer->records[i].data.len == 4)
            judge_address(zone, (const unsigned char *)answer->records[i].data.p, out);
}

/* ---- text ---- */

bool dnsbl_code_parse(struct postern_str text, struct dnsbl_code *out)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.p, '/', text.len);
    struct postern_str address = {text.p, slash == NULL ? text.len : (size_t)(slash - text.p)};
    unsigned char ip[16];
    bool is_ipv4 = false;
    unsigned bits = 0;
    size_t at = slash == NULL ? text.len : address.len + 1;
    for (; at < text.len && text.p[at] >= '0' && text.p[at] <= '9' && bits <= 32; at++)
        bits = bits * 10 + (unsigned)(text.p[at] - '0');
    if (at != text.len || !dnsbl_ip(address, ip, &is_ipv4) || !is_ipv4 ||
        memchr(address.p, ':', address.len) != NULL)
        return false;
    *out = (struct dnsbl_code){.bits = slash == NULL ? 32 : bits};
    memcpy(out->ip, ip + 12, 4);
    return out->bits >= 8 && out->bits <= 32 && !dnsbl_is_trouble(out->ip);
}

bool dnsbl_zone_name(struct dnsbl_zone *zone, struct postern_str text)
{
    size_t labels = dnsbl_labels(text, zone->name, DNSBL_ZONE_MAX);
    zone->name_len = labels == 0 ? 0 : strlen(zone->name);
    return labels != 0;
}

/* ---- questions ---- */

bool dnsbl_ask_address(const struct dnsbl_zone *zone, const unsigned char ip[16], bool is_ipv4,
                       char *room)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;
    if (is_ipv4 ? !zone->ipv4 : !zone->ipv6)
        return false;
    if (is_ipv4) {
        (void)snprintf(room, DNSBL_NAME_MAX + 1, "%u.%u.%u.%u.%s", ip[15], ip[14], ip[13], ip[12],
                       zone->name);
        return true;
    }
    for (int i = 15; i >= 0; i--) {
        room[at++] = hex[ip[i] & 15];
        room[at++] = '.';
        room[at++] = hex[ip[i] >> 4];
        room[at++] = '.';
    }
    memcpy(room + at, zone->name, zone->name_len + 1); /* 64 and DNSBL_ZONE_MAX fit */
    return true;
}

bool dnsbl_ask_name(const struct dnsbl_zone *zone, struct postern_str name, char *room)
{
    if (name.len + 1 + zone->name_len > DNSBL_NAME_MAX)
        return false;
    (void)snprintf(room, DNSBL_NAME_MAX + 1, "%.*s.%s", (int)name.len, name.p, zone->name);
    return true;
}
