/* The plugin: what is looked up at which stage. */
#include "dnsbl_ask.h"

#include <string.h>

enum { LINKS_MAX = 2000, AUTHORS_MAX = 5 };

static bool in_network(const unsigned char ip[16], const struct dnsbl_network *net)
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    return memcmp(ip, net->ip, whole) == 0 &&
           (rest == 0 || ((ip[whole] ^ net->ip[whole]) & (0xff00U >> rest) & 0xff) == 0);
}

/* Users of ours come from anywhere. */
static bool is_skipped(const struct dnsbl_instance *in, const struct postern_client *client)
{
    for (size_t i = 0; i < in->skip_count; i++)
        if (in_network(client->ip, &in->skip[i]))
            return true;
    return client->auth_id.len != 0;
}

/* All that is to be known of client and envelope. */
static void ask_envelope(struct dnsbl_questions *q)
{
    struct postern_call *c = q->call;
    const struct postern_client *client = c->host->client(c);
    struct postern_str from = c->host->envelope(c)->from;
    if (is_skipped(q->in, client))
        return;
    if ((q->in->kinds & 1U << DNSBL_CLIENT) != 0)
        dnsbl_add_address(q, DNSBL_CLIENT, client->ip, client->is_ipv4 != 0);
    if ((q->in->kinds & 1U << DNSBL_HELO) != 0)
        dnsbl_add_name(q, DNSBL_HELO, client->helo);
    if ((q->in->kinds & 1U << DNSBL_FROM) != 0) {
        size_t at = from.len;
        while (at > 0 && from.p[at - 1] != '@')
            at--;
        dnsbl_add_name(q, DNSBL_FROM, (struct postern_str){from.p + at, from.len - at});
    }
}

static void ask_links(struct dnsbl_questions *q)
{
    struct postern_str url, host, *seen;
    size_t count = 0;
    seen = q->call->host->alloc(q->call, q->in->max_names * sizeof *seen);
    for (size_t n = 0; seen != NULL && n < LINKS_MAX && count < q->in->max_names; n++) {
        unsigned char ip[16];
        size_t i = 0;
        if (q->call->host->url(q->call, n, &url, &host) != POSTERN_OK)
            return;
        while (i < count && (seen[i].len != host.len || memcmp(seen[i].p, host.p, host.len) != 0))
            i++;
        if (i < count || host.len == 0)
            continue;
        seen[count++] = host;
        if (dnsbl_ipv4(host, ip))
            dnsbl_add_address(q, DNSBL_URL, ip, true);
        else
            dnsbl_add_name(q, DNSBL_URL, host);
    }
}

/* And of the message. */
static void ask_message(struct dnsbl_questions *q)
{
    struct postern_call *c = q->call;
    struct postern_str local, domain, display;
    if ((q->in->kinds & 1U << DNSBL_HEADER_FROM) != 0)
        for (size_t k = 0; k < AUTHORS_MAX; k++) {
            int status = c->host->header_address(c, "From", 0, k, &local, &domain, &display);
            if (status == POSTERN_NONE)
                break;
            if (status == POSTERN_OK)
                dnsbl_add_name(q, DNSBL_HEADER_FROM, domain);
        }
    if ((q->in->kinds & 1U << DNSBL_URL) != 0)
        ask_links(q);
}

static void prefetch_mail(struct postern_call *c)
{
    ask_envelope(&(struct dnsbl_questions){.call = c, .in = c->instance});
}

static int on_mail(struct postern_call *c)
{
    struct dnsbl_questions q = {.call = c, .in = c->instance};
    ask_envelope(&q);
    return dnsbl_conclude(&q);
}

static void prefetch_message(struct postern_call *c)
{
    ask_message(&(struct dnsbl_questions){.call = c, .in = c->instance});
}

static int on_message(struct postern_call *c)
{
    struct dnsbl_questions q = {.call = c, .in = c->instance};
    ask_message(&q);
    return dnsbl_conclude(&q);
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "dnsbl",
    .version = "1.0",
    .summary = "lists of addresses and names in the DNS (RFC 5782)",
    .rows = dnsbl_rows,
    .symbols = dnsbl_symbols,
    .needs = POSTERN_NEED_DNS,
    .on_failure = POSTERN_FAIL_SKIP,
    .instance_new = dnsbl_instance_new,
    .instance_free = dnsbl_instance_free,
    .on = {[POSTERN_MAIL] = on_mail, [POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MAIL] = prefetch_mail, [POSTERN_MESSAGE] = prefetch_message}};
