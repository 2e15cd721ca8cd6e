/* The name of the client in the DNS, as the host finds it. */
#include "rules_client.h"

#include "rules_text_in.h"

#include <stdio.h>

enum { NAME_ROOM = 80, NAMES_MAX = 3 };

/* "7.2.0.192.in-addr.arpa" */
static struct postern_str reverse_name(const struct postern_client *c, char out[NAME_ROOM])
{
    static const char digits[] = "0123456789abcdef";
    int n = 0;

    if (c->is_ipv4) {
        n = snprintf(out, NAME_ROOM, "%u.%u.%u.%u.in-addr.arpa", c->ip[15], c->ip[14], c->ip[13],
                     c->ip[12]);
        return (struct postern_str){out, n < 0 ? 0 : (size_t)n};
    }
    for (size_t i = 16; i-- > 0;) {
        out[n++] = digits[c->ip[i] & 15];
        out[n++] = '.';
        out[n++] = digits[c->ip[i] >> 4];
        out[n++] = '.';
    }
    memcpy(out + n, "ip6.arpa", 8);
    return (struct postern_str){out, (size_t)n + 8};
}

void rules_client_prefetch(struct postern_call *c)
{
    char name[NAME_ROOM];

    (void)c->host->dns_start(c, reverse_name(c->host->client(c), name), POSTERN_DNS_PTR);
}

static bool ask(struct postern_call *c, struct postern_str name, uint32_t type,
                const struct postern_dns_answer **answer)
{
    *answer = NULL;
    return c->host->dns_lookup(c, name, type, answer) == POSTERN_OK && *answer != NULL &&
           (*answer)->rcode == POSTERN_DNS_NOERROR;
}

/* Anybody may write any name for his own address: it counts where it leads back. */
static bool is_address_of(struct postern_call *call, const struct postern_client *c,
                          struct postern_str name)
{
    size_t from = c->is_ipv4 ? 12 : 0;
    const struct postern_dns_answer *answer;

    if (!ask(call, name, c->is_ipv4 ? POSTERN_DNS_A : POSTERN_DNS_AAAA, &answer))
        return false;
    for (size_t i = 0; i < answer->count; i++)
        if (answer->records[i].data.len == sizeof(c->ip) - from &&
            memcmp(answer->records[i].data.p, c->ip + from, sizeof(c->ip) - from) == 0)
            return true;
    return false;
}

struct postern_str rules_relay_client_name(struct rules_text *t)
{
    const struct postern_client *c = t->call->host->client(t->call);
    const struct postern_dns_answer *answer = NULL;
    char name[NAME_ROOM];

    if (!ask(t->call, reverse_name(c, name), POSTERN_DNS_PTR, &answer))
        return POSTERN_STR("");
    for (size_t i = 0; i < answer->count && i < NAMES_MAX; i++)
        if (is_address_of(t->call, c, answer->records[i].data))
            return rules_dup(&t->arena, answer->records[i].data);
    return POSTERN_STR("");
}
