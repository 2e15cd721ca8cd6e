/* The plugin: what is looked up at which stage. */
#include "dnsbl_ask.h"
#include "dnsbl_proof.h"

#include <string.h>

enum {
    LINKS_MAX = 2000,
    AUTHORS_MAX = 5,
    OF_ENVELOPE = 1 << DNSBL_CLIENT | 1 << DNSBL_HELO | 1 << DNSBL_FROM,
    OF_MESSAGE = 1 << DNSBL_HEADER_FROM | 1 << DNSBL_URL
};

/* Users of ours come from anywhere. */
static bool is_skipped(struct postern_call *c, const struct dnsbl_instance *in)
{
    return c->host->client(c)->auth_id.len != 0 ||
           c->host->client_in(c, in->settings, "skip") == POSTERN_OK;
}

/* All that is to be known of client and envelope. */
static void gather_envelope(struct dnsbl_questions *q)
{
    struct postern_call *c = q->call;
    const struct postern_client *client = c->host->client(c);
    struct postern_str from = c->host->envelope(c)->from;
    if ((q->in->kinds & OF_ENVELOPE) == 0 || is_skipped(c, q->in))
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

/* Each host once, up to a limit. */
static void gather_links(struct dnsbl_questions *q)
{
    struct postern_str url, host, *seen;
    size_t count = 0;
    seen = q->call->host->alloc(q->call, q->in->max_hosts * sizeof *seen);
    q->no_memory = q->no_memory || seen == NULL;
    for (size_t n = 0; seen != NULL && n < LINKS_MAX && !q->more_hosts; n++) {
        unsigned char ip[16];
        bool is_ipv4;
        size_t i = 0;
        if (q->call->host->url(q->call, n, &url, &host) != POSTERN_OK)
            return;
        while (i < count && (seen[i].len != host.len || memcmp(seen[i].p, host.p, host.len) != 0))
            i++;
        if (i < count || host.len == 0)
            continue;
        q->more_hosts = count == q->in->max_hosts;
        if (q->more_hosts)
            return;
        seen[count++] = host;
        if (dnsbl_ip(host, ip, &is_ipv4))
            dnsbl_add_address(q, DNSBL_URL, ip, is_ipv4);
        else
            dnsbl_add_name(q, DNSBL_URL, host);
    }
}

/* And of the message. */
static void gather_message(struct dnsbl_questions *q)
{
    struct postern_call *c = q->call;
    struct postern_str local, domain, display;
    gather_envelope(q);
    dnsbl_earlier(q);
    if ((q->in->kinds & 1U << DNSBL_HEADER_FROM) != 0)
        for (size_t k = 0; k < AUTHORS_MAX; k++) {
            int status = c->host->header_address(c, "From", 0, k, &local, &domain, &display);
            if (status == POSTERN_NONE)
                break;
            if (status == POSTERN_OK)
                dnsbl_add_name(q, DNSBL_HEADER_FROM, domain);
        }
    if ((q->in->kinds & 1U << DNSBL_URL) != 0)
        gather_links(q);
}

/* Starts what the stage will look up, or does all of it. */
static int look_up(struct postern_call *c, unsigned kinds, void (*gather)(struct dnsbl_questions *),
                   bool prefetch)
{
    struct dnsbl_questions q = {.call = c, .in = c->instance};
    if ((q.in->kinds & kinds) == 0)
        return POSTERN_OK;
    int status = dnsbl_begin(&q);
    if (status != POSTERN_OK)
        return status;
    gather(&q);
    if (!prefetch)
        return dnsbl_conclude(&q);
    dnsbl_start(&q);
    return POSTERN_OK;
}

static void prefetch_mail(struct postern_call *c)
{
    (void)look_up(c, OF_ENVELOPE, gather_envelope, true);
}

static int on_mail(struct postern_call *c)
{
    return look_up(c, OF_ENVELOPE, gather_envelope, false);
}

static void prefetch_message(struct postern_call *c)
{
    (void)look_up(c, OF_MESSAGE, gather_message, true);
}

static int on_message(struct postern_call *c)
{
    return look_up(c, OF_MESSAGE, gather_message, false);
}

static const struct postern_stage_if stages_if[] = {
    {.block = "zone", .row = "check", .value = "client", .stages = 1 << POSTERN_MAIL},
    {.block = "zone", .row = "check", .value = "helo", .stages = 1 << POSTERN_MAIL},
    {.block = "zone", .row = "check", .value = "from", .stages = 1 << POSTERN_MAIL},
    {.block = "zone", .row = "check", .value = "header-from", .stages = 1 << POSTERN_MESSAGE},
    {.block = "zone", .row = "check", .value = "url", .stages = 1 << POSTERN_MESSAGE},
    {.stages = 0}};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "dnsbl",
    .version = "1.1",
    .summary = "lists of addresses and names in the DNS (RFC 5782)",
    .rows = dnsbl_rows,
    .symbols = dnsbl_symbols,
    .needs = POSTERN_NEED_DNS,
    .on_failure = POSTERN_FAIL_SKIP,
    .prepare = dnsbl_prepare,
    .prepare_free = dnsbl_prepare_free,
    .instance_new = dnsbl_instance_new,
    .instance_free = dnsbl_instance_free,
    .on = {[POSTERN_MAIL] = on_mail, [POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MAIL] = prefetch_mail, [POSTERN_MESSAGE] = prefetch_message},
    .tick = dnsbl_tick,
    .stages_if = stages_if};
