#include "milter_client.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 5 }; /* of PTR records that are confirmed */

size_t milter_reverse(const struct postern_client *client, char *room)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *ip = client->ip;
    size_t n = 0;
    int len;

    if (client->is_ipv4) {
        len = snprintf(room, MILTER_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa", ip[15], ip[14], ip[13],
                       ip[12]);
        return len < 0 ? 0 : (size_t)len;
    }
    for (int i = 15; i >= 0; i--) {
        room[n++] = hex[ip[i] & 15];
        room[n++] = '.';
        room[n++] = hex[ip[i] >> 4];
        room[n++] = '.';
    }
    memcpy(room + n, "ip6.arpa", sizeof("ip6.arpa"));
    return n + sizeof("ip6.arpa") - 1;
}

static bool has_address(const struct postern_dns_answer *answer,
                        const struct postern_client *client)
{
    const unsigned char *ip = client->is_ipv4 ? client->ip + 12 : client->ip;
    size_t len = client->is_ipv4 ? 4 : 16;

    for (size_t i = 0; i < answer->count; i++)
        if (answer->records[i].data.len == len && memcmp(answer->records[i].data.p, ip, len) == 0)
            return true;
    return false;
}

static bool is_host(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.len > 0 && s.len < MILTER_HOST_MAX;
}

static void copy(char *room, struct postern_str s)
{
    memcpy(room, s.p, s.len);
    room[s.len] = '\0';
}

static const char *confirm(struct milter_client *out, struct postern_call *c,
                           const struct postern_dns_answer *names)
{
    const struct postern_client *client = c->host->client(c);
    const uint32_t type = client->is_ipv4 ? POSTERN_DNS_A : POSTERN_DNS_AAAA;
    const char *word = "FORGED";

    for (size_t i = 0; i < names->count && i < NAMES_MAX; i++) {
        const struct postern_dns_answer *answer;
        struct postern_str name = names->records[i].data;

        if (!is_host(name))
            continue;
        if (out->ptr[0] == '\0')
            copy(out->ptr, name);
        if (c->host->dns_lookup(c, name, type, &answer) != POSTERN_OK) {
            word = "TEMP";
        } else if (has_address(answer, client)) {
            copy(out->name, name);
            copy(out->ptr, name);
            return "OK";
        } else if (answer->rcode != POSTERN_DNS_NOERROR && answer->rcode != POSTERN_DNS_NXDOMAIN) {
            word = "TEMP";
        }
    }
    return out->ptr[0] == '\0' ? "FAIL" : word;
}

static const char *look(struct milter_client *out, struct postern_call *c)
{
    char room[MILTER_REVERSE_MAX];
    size_t len = milter_reverse(c->host->client(c), room);
    const struct postern_dns_answer *answer;

    if (c->host->dns_lookup(c, (struct postern_str){room, len}, POSTERN_DNS_PTR, &answer) !=
        POSTERN_OK)
        return "TEMP";
    if (answer->rcode == POSTERN_DNS_NOERROR)
        return confirm(out, c, answer);
    return answer->rcode == POSTERN_DNS_NXDOMAIN ? "FAIL" : "TEMP";
}

void milter_client_fill(struct milter_client *out, struct postern_call *c, bool look_up)
{
    const struct postern_client *client = c->host->client(c);
    char address[64];

    memset(out, 0, sizeof(*out));
    (void)snprintf(address, sizeof(address), "[%s%.*s]",
                   client->is_ipv4 ? "" : "IPv6:", (int)client->ip_text.len, client->ip_text.p);
    memcpy(out->name, address, strlen(address) + 1);
    out->resolve = look_up ? look(out, c) : "";
    (void)snprintf(out->both, sizeof(out->both), "%s%s%s", out->name,
                   out->name[0] == '[' ? "" : " ", out->name[0] == '[' ? "" : address);
    (void)snprintf(out->port, sizeof(out->port), "%u", (unsigned)client->port);
}
