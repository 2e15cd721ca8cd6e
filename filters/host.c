#include "host.h"

#include "alabel.h"
#include "block.h"
#include "clock.h"
#include "log.h"
#include "utf8.h"

/* ---- who, when, and the rest that fits no other file */

static const struct postern_client *client(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    return h->tick ? NULL : &h->client;
}

static const struct postern_envelope *envelope(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    return h->step->stage >= POSTERN_MAIL ? &h->envelope : NULL;
}

static struct postern_str id(struct postern_call *c)
{
    return host_str(host_of(c)->request->log_id);
}

static int64_t now_ms(struct postern_call *c)
{
    struct host_call *h = host_of(c);
    return h->request->now_ms[pn_request_phase(h->step->stage)];
}

static uint32_t left_ms(struct postern_call *c)
{
    uint64_t now = pn_clock_mono_ns(), deadline = host_of(c)->deadline;
    return deadline > now ? (uint32_t)((deadline - now) / PN_NS_PER_MS) : 0;
}

/* SplitMix64: a stream that depends on seed, plugin and step alone. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void random_bytes(struct postern_call *c, void *out, size_t n)
{
    for (char *at = out; n > 0;) {
        uint64_t word = next_random(&host_of(c)->random);
        size_t take = n < sizeof word ? n : sizeof word;
        memcpy(at, &word, take);
        at += take;
        n -= take;
    }
}

static int client_in(struct postern_call *c, const struct postern_block *b, const char *row)
{
    return pn_block_has_ip(b, row, host_of(c)->client.ip);
}

static int domain_ascii(struct postern_call *c, struct postern_str domain, struct postern_str *out)
{
    struct pn_alabel room;
    struct pn_str ascii = pn_alabel_domain(host_view(domain), &room);
    if (ascii.p == NULL && domain.len != 0)
        return POSTERN_INVALID;
    if (ascii.p == room.p && (ascii = pn_pool_dup(host_of(c)->pool, ascii)).p == NULL)
        return POSTERN_LIMIT;
    *out = host_str(ascii);
    return POSTERN_OK;
}

static int client_network(struct postern_call *c, uint32_t bits4, uint32_t bits6,
                          struct postern_str *out)
{
    struct pn_ip ip;
    char text[PN_IP_TEXT_MAX + 5];
    struct pn_buf b = {.p = text, .cap = sizeof text, .max = sizeof text};
    if (bits4 > 32 || bits6 > 128)
        return POSTERN_INVALID;
    memcpy(ip.b, host_of(c)->client.ip, sizeof ip.b);
    struct pn_net net = pn_net_of(&ip, bits4, bits6);
    pn_net_print(&b, &net);
    struct pn_str kept = pn_pool_dup(host_of(c)->pool, pn_buf_str(&b));
    if (kept.p == NULL)
        return POSTERN_LIMIT;
    *out = host_str(kept);
    return POSTERN_OK;
}

static void *alloc(struct postern_call *c, size_t n)
{
    return pn_pool_alloc(host_of(c)->life, n);
}

static void log_line(struct postern_call *c, uint32_t level, struct postern_str line)
{
    struct host_call *h = host_of(c);
    enum pn_log_level to =
        level <= (uint32_t)POSTERN_LOG_ERROR ? (enum pn_log_level)level : PN_LOG_ERROR;
    struct pn_str text = pn_str_slice(host_view(line), 0, 1000);
    pn_log(to, "%s: %.*s: %.*s", h->plugin->desc->name, PN_FMT(h->request->log_id), PN_FMT(text));
}

bool host_line_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return pn_utf8_valid(s);
}

/* ---- setup */

void host_setup_init(struct host_setup *s, const struct host_plugin *plugin, struct pn_buf *err)
{
    *s = (struct host_setup){.plugin = plugin, .err = err};
    s->setup = (struct postern_setup){.host = &host_table,
                                      .settings = plugin->settings,
                                      .prepared = plugin->prepared,
                                      .internal = s};
}

void host_setup_error(struct postern_setup *setup, struct postern_str sentence)
{
    struct host_setup *s = setup->internal;
    if (s->err->len != 0)
        (void)pn_buf_addz(s->err, "; ");
    (void)pn_buf_adds(s->err, pn_str_slice(host_view(sentence), 0, 1000));
}

void host_setup_warn(struct postern_setup *setup, struct postern_str sentence)
{
    struct host_setup *s = setup->internal;
    struct pn_str text = pn_str_slice(host_view(sentence), 0, 1000);
    pn_warn("%s: %.*s", s->plugin->desc->name, PN_FMT(text));
}

static bool info_key_ok(struct pn_str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!pn_is_digit(key.p[i]) && key.p[i] != '-' && (key.p[i] < 'a' || key.p[i] > 'z'))
            return false;
    return key.len >= 1 && key.len <= HOST_INFO_KEY_MAX;
}

int host_setup_info(struct postern_setup *setup, struct postern_str key, struct postern_str value)
{
    struct host_setup *s = setup->internal;
    if (s->info == NULL || !info_key_ok(host_view(key)) || value.len > HOST_INFO_VALUE_MAX ||
        !host_line_ok(host_view(value)))
        return POSTERN_INVALID;
    if (s->info->len + key.len + value.len + 2 > HOST_INFO_MAX)
        return POSTERN_LIMIT;
    (void)pn_buf_addf(s->info, "%.*s\t", PN_FMT(host_view(key)));
    (void)pn_buf_adds(s->info, host_view(value));
    (void)pn_buf_addc(s->info, '\n');
    return POSTERN_OK;
}

struct postern_str host_tmp_folder(struct postern_setup *setup)
{
    return host_str(((struct host_setup *)setup->internal)->plugin->tmp_folder);
}

/* ---- a call */

/* Each from the stage on in which it can be known whenever the stage is called. */
static uint32_t early_at(const struct pn_request *q, unsigned stage)
{
    uint32_t known = POSTERN_EARLY_GREETING;
    if (stage >= POSTERN_HELO)
        known |= POSTERN_EARLY_HELO;
    if (stage >= POSTERN_HEADERS)
        known |= POSTERN_EARLY_COMMAND;
    return (q->flags & PN_REQUEST_EARLY) >> PN_REQUEST_EARLY_SHIFT & known;
}

static size_t unknown_by(const struct pn_request *q, unsigned step)
{
    size_t n = 0;
    while (n < q->unknown_count && q->unknown_steps[n] <= step)
        n++;
    return n;
}

static void fill_client(struct host_call *c, const struct pn_request *q, unsigned stage)
{
    memcpy(c->client.ip, q->client.b, sizeof c->client.ip);
    c->client.port = q->port;
    c->client.is_ipv4 = pn_ip_is_v4(&q->client);
    c->client.ip_text = host_str(pn_str_of(pn_ip_text(&q->client, c->ip_text)));
    c->client.helo = host_str(stage >= POSTERN_HELO ? q->helo : PN_STR(""));
    c->client.auth_id = host_str(q->auth_id);
    c->client.tls = (q->flags & PN_REQUEST_TLS) != 0;
    c->client.authserv_id = c->client.hostname = host_str(q->hostname);
    c->client.early = early_at(q, stage);
    c->client.tls_version = host_str(q->tls_version);
    c->client.tls_cipher = host_str(q->tls_cipher);
    c->client.tls_bits = q->tls_bits;
    c->client.local_port = q->local_port;
    c->client.local_ip_text =
        host_str(pn_str_of(q->local_port == 0 ? "" : pn_ip_text(&q->local, c->local_ip_text)));
    c->client.unknown_count = unknown_by(q, c->step_number);
    c->client.unknown = (const void *)q->unknown;
}

void host_call_init(struct host_call *c, const struct host_plugin *plugin,
                    const struct pn_request *q, unsigned step)
{
    const struct pn_step *s = &q->steps[step];
    *c = (struct host_call){.plugin = plugin, .request = q, .step = s, .step_number = step};
    c->call = (struct postern_call){
        .host = &host_table, .stage = s->stage, .instance = plugin->instance, .internal = c};
    fill_client(c, q, s->stage);
    /* Same shape: counted views. */
    _Static_assert(sizeof(struct postern_str) == sizeof(struct pn_str), "views differ");
    c->envelope = (struct postern_envelope){.from = host_str(q->from),
                                            .rcpt_count = s->rcpts,
                                            .rcpt = (const void *)q->rcpts,
                                            .mail_args = host_str(q->mail_args)};
    c->random = pn_str_hash(pn_str_of(plugin->desc->name),
                            q->seed[pn_request_phase(s->stage)] + step, false);
}

const struct postern_host host_table = {
    .size = sizeof(struct postern_host),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .set_str = pn_block_str,
    .set_int = pn_block_int,
    .set_bool = pn_block_bool,
    .set_net = pn_block_net,
    .set_block = pn_block_block,
    .set_count = pn_block_count,
    .set_title = pn_block_title,
    .set_where = pn_block_where,
    .setup_error = host_setup_error,
    .setup_warn = host_setup_warn,
    .client = client,
    .envelope = envelope,
    .id = id,
    .fact = host_fact,
    .fact_weighted = host_fact_weighted,
    .fact_named = host_fact_named,
    .fact_for = host_fact_for,
    .auth = host_auth,
    .seen = host_seen,
    .seen_auth = host_seen_auth,
    .note_set = host_note_set,
    .note_get = host_note_get,
    .add_header = host_add_header,
    .remove_header = host_remove_header,
    .dns_lookup = host_dns_lookup,
    .dns_start = host_dns_start,
    .dns_wait_all = host_dns_wait_all,
    .now_ms = now_ms,
    .left_ms = left_ms,
    .random = random_bytes,
    .content = host_content,
    .body = host_body,
    .header_count = host_header_count,
    .header_at = host_header_at,
    .header_get = host_header_get,
    .header_text = host_header_text,
    .header_address = host_header_address,
    .part_count = host_part_count,
    .part = host_part,
    .part_text = host_part_text,
    .url = host_url,
    .content_fd = host_content_fd,
    .alloc = alloc,
    .tmp_folder = host_tmp_folder,
    .log = log_line,
    .client_in = client_in,
    .state_get = host_state_get,
    .state_put = host_state_put,
    .state_take = host_state_take,
    .insert_header = host_insert_header,
    .change_header = host_change_header,
    .replace_body = host_replace_body,
    .change_from = host_change_from,
    .add_rcpt = host_add_rcpt,
    .remove_rcpt = host_remove_rcpt,
    .standing = host_standing_get,
    .standing_set = host_standing_set,
    .setup_info = host_setup_info,
    .state_take_all = host_state_take_all,
    .domain_ascii = domain_ascii,
    .client_network = client_network,
    .words_text = host_words_text,
};
