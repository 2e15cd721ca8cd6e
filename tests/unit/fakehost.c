#include "fakehost_int.h"

#include "assert.h"
#include "mem.h"
#include "net.h"
#include "utf8.h"

#include <stdlib.h>
#include <unistd.h>

enum { POOL_MAX = 256 * 1024 * 1024, TEXT_MAX = 16 * 1024 * 1024, DETAIL_MAX = 200 };

struct fakehost *fake_of(struct postern_call *c)
{
    return c->internal;
}

static struct postern_str keep_in(struct pn_pool *pool, struct pn_str s)
{
    struct pn_str copy = pn_pool_dup(pool, s);
    pn_assert(copy.p != NULL);
    return fake_postern(copy);
}

struct postern_str fake_keep(struct fakehost *h, struct pn_str s)
{
    return keep_in(h->transaction, s);
}

static struct postern_str keep(struct fakehost *h, struct postern_str s)
{
    return fake_keep(h, fake_pn(s));
}

static bool one_line(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return false;
    return true;
}

/* ---- who ---- */

static const struct postern_client *get_client(struct postern_call *c)
{
    struct fakehost *h = fake_of(c);
    h->client.early = h->early & POSTERN_EARLY_GREETING;
    if (c->stage >= POSTERN_HELO)
        h->client.early |= h->early & POSTERN_EARLY_HELO;
    if (c->stage >= POSTERN_HEADERS)
        h->client.early |= h->early & POSTERN_EARLY_COMMAND;
    return h->ticking ? NULL : &h->client;
}

static const struct postern_envelope *get_envelope(struct postern_call *c)
{
    pn_assert(c->stage >= POSTERN_MAIL && !fake_of(c)->ticking);
    return &fake_of(c)->envelope;
}

static struct postern_str get_id(struct postern_call *c)
{
    (void)c;
    return POSTERN_STR("TEST1");
}

/* ---- facts ---- */

static int add_fact(struct fakehost *h, struct fake_fact f)
{
    if (h->fact_count == FAKE_MANY)
        return POSTERN_LIMIT;
    pn_assert(!h->prefetching && !h->ticking);
    if (!one_line(f.fact.detail) || !pn_utf8_valid(fake_pn(f.fact.detail)))
        return POSTERN_INVALID;
    if (f.fact.detail.len > DETAIL_MAX)
        f.fact.detail.len = DETAIL_MAX;
    for (size_t i = 0; i < h->fact_count; i++)
        if (pn_str_eq(fake_pn(h->facts[i].fact.name), fake_pn(f.fact.name)) &&
            pn_str_eq(fake_pn(h->facts[i].fact.detail), fake_pn(f.fact.detail)) &&
            h->facts[i].rcpt == f.rcpt && h->facts[i].given == f.given)
            return POSTERN_OK;
    f.fact.name = keep(h, f.fact.name);
    f.fact.detail = keep(h, f.fact.detail);
    h->facts[h->fact_count++] = f;
    return POSTERN_OK;
}

static const struct postern_symbol *symbol_of(struct fakehost *h, unsigned symbol)
{
    for (unsigned i = 0; i <= symbol; i++)
        pn_assert(h->plugin->symbols != NULL && h->plugin->symbols[i].name != NULL);
    return &h->plugin->symbols[symbol];
}

static int say(struct postern_call *c, struct postern_str name, struct postern_str detail,
               int32_t weight, long rcpt)
{
    struct fakehost *h = fake_of(c);
    struct postern_str plugin = fake_postern(pn_str_of(h->plugin->name));
    return add_fact(h, (struct fake_fact){.fact = {plugin, name, detail, weight}, .rcpt = rcpt});
}

static int fact(struct postern_call *c, unsigned symbol, struct postern_str detail)
{
    const struct postern_symbol *s = symbol_of(fake_of(c), symbol);
    return say(c, fake_postern(pn_str_of(s->name)), detail, s->weight, -1);
}

static int fact_weighted(struct postern_call *c, unsigned symbol, struct postern_str detail,
                         int32_t weight)
{
    const struct postern_symbol *s = symbol_of(fake_of(c), symbol);
    return say(c, fake_postern(pn_str_of(s->name)), detail, weight, -1);
}

static int fact_named(struct postern_call *c, struct postern_str name, struct postern_str detail,
                      int32_t weight)
{
    if (name.len == 0 || name.len > 64)
        return POSTERN_INVALID;
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] != '_' && !pn_is_digit(name.p[i]) && (name.p[i] < 'A' || name.p[i] > 'Z'))
            return POSTERN_INVALID;
    return say(c, name, detail, weight, -1);
}

static int fact_for(struct postern_call *c, size_t rcpt, unsigned symbol, struct postern_str detail)
{
    const struct postern_symbol *s = symbol_of(fake_of(c), symbol);
    if (rcpt >= fake_of(c)->envelope.rcpt_count)
        return POSTERN_INVALID;
    return say(c, fake_postern(pn_str_of(s->name)), detail, s->weight, (long)rcpt);
}

static int add_auth(struct fakehost *h, const struct postern_auth *a, bool given)
{
    pn_assert(!h->prefetching);
    if (h->auth_count == FAKE_MANY)
        return POSTERN_LIMIT;
    struct postern_pair *pairs = pn_pool_alloc(h->transaction, (a->count + 1) * sizeof *pairs);
    for (size_t i = 0; i < a->count; i++) {
        if (!one_line(a->properties[i].value))
            return POSTERN_INVALID;
        pairs[i].name = keep(h, a->properties[i].name);
        pairs[i].value = keep(h, a->properties[i].value);
    }
    h->auths[h->auth_count++] =
        (struct fake_auth){{keep(h, a->method), keep(h, a->result), a->count, pairs}, given};
    return POSTERN_OK;
}

static int auth(struct postern_call *c, const struct postern_auth *result)
{
    return add_auth(fake_of(c), result, false);
}

static int seen(struct postern_call *c, size_t n, struct postern_fact *out)
{
    struct fakehost *h = fake_of(c);
    for (size_t i = 0; i < h->fact_count; i++)
        if (h->facts[i].given && n-- == 0) {
            *out = h->facts[i].fact;
            return POSTERN_OK;
        }
    return POSTERN_NONE;
}

static int seen_auth(struct postern_call *c, struct postern_str method, size_t n,
                     struct postern_auth *out)
{
    struct fakehost *h = fake_of(c);
    for (size_t i = 0; i < h->auth_count; i++)
        if (h->auths[i].given && pn_str_eq(fake_pn(h->auths[i].auth.method), fake_pn(method)) &&
            n-- == 0) {
            *out = h->auths[i].auth;
            return POSTERN_OK;
        }
    return POSTERN_NONE;
}

static int put_note(struct fakehost *h, struct fake_note note)
{
    for (size_t i = 0; i < h->note_count; i++)
        if (pn_str_eq(fake_pn(h->notes[i].plugin), fake_pn(note.plugin)) &&
            pn_str_eq(fake_pn(h->notes[i].key), fake_pn(note.key))) {
            h->notes[i].value = keep(h, note.value);
            return POSTERN_OK;
        }
    if (h->note_count == FAKE_MANY)
        return POSTERN_LIMIT;
    h->notes[h->note_count++] = (struct fake_note){keep(h, note.plugin), keep(h, note.key),
                                                   keep(h, note.value), note.given};
    return POSTERN_OK;
}

static int note_set(struct postern_call *c, struct postern_str key, struct postern_str value)
{
    struct postern_str plugin = fake_postern(pn_str_of(fake_of(c)->plugin->name));
    return put_note(fake_of(c), (struct fake_note){plugin, key, value, false});
}

static int note_get(struct postern_call *c, const char *plugin, struct postern_str key,
                    struct postern_str *out)
{
    struct fakehost *h = fake_of(c);
    for (size_t i = 0; i < h->note_count; i++)
        if (pn_str_eq(fake_pn(h->notes[i].plugin), pn_str_of(plugin)) &&
            pn_str_eq(fake_pn(h->notes[i].key), fake_pn(key))) {
            *out = h->notes[i].value;
            return POSTERN_OK;
        }
    return POSTERN_NONE;
}

static void sep(struct pn_buf *b, const char *between)
{
    if (b->len != 0)
        (void)pn_buf_addz(b, between);
}

/* ---- DNS ---- */

/* Notes the question; false past the limit. */
static bool ask(struct fakehost *h, struct pn_str name, uint32_t type)
{
    struct pn_buf question;
    pn_buf_init(&question, 4096);
    (void)pn_buf_addf(&question, "%s %.*s", pn_dns_type_name((uint16_t)type), PN_FMT(name));
    struct pn_str rest = pn_buf_str(&h->asked);
    bool there = false;
    while (!there && rest.len != 0) {
        struct pn_str one = pn_str_split(&rest, ',');
        there = pn_str_ieq(pn_str_trim(one), pn_buf_str(&question));
    }
    bool ok = there || h->asked_count < h->lookups_max;
    if (ok && !there) {
        sep(&h->asked, ", ");
        (void)pn_buf_adds(&h->asked, pn_buf_str(&question));
        h->asked_count++;
    }
    pn_buf_fini(&question);
    return ok;
}

static int dns_start(struct postern_call *c, struct postern_str name, uint32_t type)
{
    struct fakehost *h = fake_of(c);
    pn_assert((h->plugin->needs & POSTERN_NEED_DNS) != 0);
    struct pn_str s = fake_pn(name);
    if (s.len != 0 && s.p[s.len - 1] == '.')
        s.len--;
    if (!pn_dns_name_ok(s))
        return POSTERN_INVALID;
    return ask(h, s, type) ? POSTERN_OK : POSTERN_LIMIT;
}

static int dns_lookup(struct postern_call *c, struct postern_str name, uint32_t type,
                      const struct postern_dns_answer **out)
{
    struct fakehost *h = fake_of(c);
    struct pn_dns_answer found;
    pn_assert(!h->prefetching);
    if (h->left_ms == 0)
        return POSTERN_DEADLINE;
    int status = dns_start(c, name, type);
    if (status != POSTERN_OK)
        return status;
    pn_dnsfile_find(h->dns, fake_pn(name), (uint16_t)type, &found);
    struct postern_dns_answer *answer = pn_pool_alloc(h->transaction, sizeof *answer);
    struct postern_dns_record *records =
        pn_pool_alloc(h->transaction, (found.count + 1) * sizeof *records);
    for (uint32_t i = 0; i < found.count; i++)
        records[i] = (struct postern_dns_record){.ttl = found.records[i].ttl,
                                                 .data = fake_postern(found.records[i].data)};
    *answer = (struct postern_dns_answer){found.rcode, found.secure, found.count, records};
    *out = answer;
    return POSTERN_OK;
}

static int dns_wait_all(struct postern_call *c)
{
    pn_assert(!fake_of(c)->prefetching);
    return fake_of(c)->left_ms == 0 ? POSTERN_DEADLINE : POSTERN_OK;
}

/* ---- time, chance, memory ---- */

static int64_t now_ms(struct postern_call *c)
{
    return fake_of(c)->now_ms;
}

static uint32_t left_ms(struct postern_call *c)
{
    struct fakehost *h = fake_of(c);
    uint32_t left = h->left_ms;

    h->left_ms -= h->pace < left ? h->pace : left;
    return left;
}

/* The same bytes in every run. */
static void random_bytes(struct postern_call *c, void *out, size_t n)
{
    (void)c;
    for (size_t i = 0; i < n; i++)
        ((unsigned char *)out)[i] = (unsigned char)(i * 151 + 7);
}

static void *alloc(struct postern_call *c, size_t n)
{
    struct fakehost *h = fake_of(c);
    if (n > h->bytes_left)
        return NULL;
    h->bytes_left -= n;
    return pn_pool_alloc(c->stage < POSTERN_MAIL ? h->life : h->transaction, n);
}

static const char *private_folder;

static struct postern_str tmp_folder(struct postern_setup *s)
{
    (void)s;
    return (struct postern_str){private_folder,
                                private_folder == NULL ? 0 : strlen(private_folder)};
}

static void write_log(struct postern_call *c, uint32_t level, struct postern_str line)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    (void)pn_buf_addf(&fake_of(c)->log, "%s: %.*s\n", levels[level], PN_FMT(line));
}

static int standing(struct postern_call *c, struct postern_str *value)
{
    struct fakehost *h = fake_of(c);
    if (h->standing.len == 0)
        return POSTERN_NONE;
    *value = fake_keep(h, pn_buf_str(&h->standing));
    return POSTERN_OK;
}

static int standing_set(struct postern_call *c, struct postern_str value)
{
    struct fakehost *h = fake_of(c);
    pn_assert(h->ticking);
    if (value.len > POSTERN_STANDING_MAX || !one_line(value))
        return POSTERN_INVALID;
    pn_buf_clear(&h->standing);
    (void)pn_buf_adds(&h->standing, fake_pn(value));
    return POSTERN_OK;
}

static void fill_table(struct postern_host *t)
{
    *t = (struct postern_host){
        .size = sizeof *t,
        .major = POSTERN_ABI_MAJOR,
        .minor = POSTERN_ABI_MINOR,
        .client = get_client,
        .envelope = get_envelope,
        .id = get_id,
        .fact = fact,
        .fact_weighted = fact_weighted,
        .fact_named = fact_named,
        .fact_for = fact_for,
        .auth = auth,
        .seen = seen,
        .seen_auth = seen_auth,
        .note_set = note_set,
        .note_get = note_get,
        .dns_lookup = dns_lookup,
        .dns_start = dns_start,
        .dns_wait_all = dns_wait_all,
        .now_ms = now_ms,
        .left_ms = left_ms,
        .random = random_bytes,
        .alloc = alloc,
        .tmp_folder = tmp_folder,
        .log = write_log,
        .standing = standing,
        .standing_set = standing_set,
    };
    fake_settings_table(t);
    fake_message_table(t);
    fake_state_table(t);
    fake_edits_table(t);
}

/* ---- what the test calls ---- */

void fakehost_dns(struct fakehost *h, const char *dns)
{
    pn_dnsfile_free(&h->dns);
    h->dns = pn_dnsfile_parse(pn_str_of(dns), "dns", &h->print);
    if (h->dns == NULL)
        pn_assert_failed(pn_buf_cstr(&h->print), __FILE__, __LINE__, __func__);
}

struct fakehost *fakehost_new(const struct postern_plugin *plugin, const struct fake_row *settings,
                              const char *dns)
{
    struct fakehost *h = pn_calloc(1, sizeof *h);
    struct pn_buf *texts[] = {&h->setup_text, &h->info, &h->edits,    &h->body,
                              &h->asked,      &h->log,  &h->standing, &h->print};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        pn_buf_init(texts[i], TEXT_MAX);
    h->plugin = plugin;
    fake_state_new(h);
    h->life = pn_pool_new(POOL_MAX);
    h->transaction = pn_pool_new(POOL_MAX);
    h->content_fd = -1;
    fakehost_dns(h, dns == NULL ? "" : dns);
    fill_table(&h->table);
    fakehost_limits(h, 1000, 16 * 1024 * 1024, 5000);
    h->now_ms = 1750000000000;
    h->client.authserv_id = POSTERN_STR("mx.here.test");
    h->client.hostname = POSTERN_STR("mx.here.test");
    fakehost_client(h, "192.0.2.1", "");
    h->setup = (struct postern_setup){&h->table, fake_settings(h, settings), NULL, h};
    if (plugin->prepare != NULL)
        h->failed = plugin->prepare(&h->setup, &h->prepared) != POSTERN_OK;
    h->setup.prepared = h->prepared;
    if (!h->failed && plugin->instance_new != NULL)
        h->failed = plugin->instance_new(&h->setup, &h->instance) != POSTERN_OK;
    h->call = (struct postern_call){.host = &h->table, .instance = h->instance, .internal = h};
    /* A start that fails says why; one that works warns at most. */
    pn_assert(!h->failed || h->setup_text.len != 0);
    return h;
}

static void transaction_end(struct fakehost *h)
{
    if (h->call.transaction != NULL && h->plugin->transaction_free != NULL)
        h->plugin->transaction_free(h->instance, h->call.transaction);
    h->call.transaction = NULL;
    fake_message_forget(h);
    fake_state_drop(h);
    pn_pool_reset(h->transaction);
    h->envelope = (struct postern_envelope){0};
    h->fact_count = h->auth_count = h->note_count = h->asked_count = 0;
    pn_buf_clear(&h->edits);
    pn_buf_clear(&h->body);
    h->new_body = false;
    pn_buf_clear(&h->asked);
    pn_buf_clear(&h->log);
}

void fakehost_reset(struct fakehost *h)
{
    transaction_end(h);
}

void fakehost_session_end(struct fakehost *h)
{
    transaction_end(h);
    if (h->call.session != NULL && h->plugin->session_free != NULL)
        h->plugin->session_free(h->instance, h->call.session);
    h->call.session = NULL;
    h->client.unknown_count = 0;
}

void fakehost_free(struct fakehost **hp)
{
    struct fakehost *h = *hp;
    if (h == NULL)
        return;
    fakehost_session_end(h);
    if (h->instance != NULL && h->plugin->instance_free != NULL)
        h->plugin->instance_free(h->instance);
    if (h->prepared != NULL && h->plugin->prepare_free != NULL)
        h->plugin->prepare_free(h->prepared);
    fake_state_free(h);
    struct pn_buf *texts[] = {&h->setup_text, &h->info, &h->edits,    &h->body,
                              &h->asked,      &h->log,  &h->standing, &h->print};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        pn_buf_fini(texts[i]);
    pn_dnsfile_free(&h->dns);
    pn_pool_free(&h->life);
    pn_pool_free(&h->transaction);
    free(h);
    *hp = NULL;
}

struct pn_str fakehost_setup_error(struct fakehost *h)
{
    return pn_buf_str(&h->setup_text);
}

struct pn_str fakehost_info(struct fakehost *h)
{
    pn_assert(h->plugin->info != NULL);
    pn_buf_clear(&h->info);
    h->informing = true;
    pn_assert(h->plugin->info(&h->setup) == POSTERN_OK);
    h->informing = false;
    return pn_buf_str(&h->info);
}

void *fakehost_instance(struct fakehost *h)
{
    return h->instance;
}

void fakehost_client(struct fakehost *h, const char *ip, const char *helo)
{
    struct pn_ip parsed;
    char text[PN_IP_TEXT_MAX];
    pn_assert(pn_ip_parse(pn_str_of(ip), &parsed));
    memcpy(h->client.ip, parsed.b, 16);
    h->client.port = 50025;
    h->client.is_ipv4 = pn_ip_is_v4(&parsed);
    h->client.ip_text = keep_in(h->life, pn_str_of(pn_ip_text(&parsed, text)));
    h->client.helo = keep_in(h->life, pn_str_of(helo));
}

void fakehost_auth_id(struct fakehost *h, const char *user)
{
    h->client.auth_id = keep_in(h->life, pn_str_of(user));
}

void fakehost_tls(struct fakehost *h, const char *version, const char *cipher, uint32_t bits)
{
    h->client.tls = 1;
    h->client.tls_version = keep_in(h->life, pn_str_of(version));
    h->client.tls_cipher = keep_in(h->life, pn_str_of(cipher));
    h->client.tls_bits = bits;
}

void fakehost_local(struct fakehost *h, const char *ip, uint16_t port)
{
    h->client.local_ip_text = keep_in(h->life, pn_str_of(ip));
    h->client.local_port = port;
}

void fakehost_unknown(struct fakehost *h, const char *line)
{
    pn_assert(h->client.unknown_count < POSTERN_UNKNOWN_MAX);
    h->client.unknown = h->unknown;
    h->unknown[h->client.unknown_count++] = keep_in(h->life, pn_str_of(line));
}

void fakehost_early(struct fakehost *h, uint32_t early)
{
    h->early = early;
}

void fakehost_envelope(struct fakehost *h, const char *from, const char *rcpts)
{
    struct pn_str rest = pn_str_of(rcpts);
    struct postern_str *list = pn_pool_alloc(h->transaction, (rest.len + 1) * sizeof *list);
    size_t count = 0;
    while (rest.len != 0) {
        struct pn_str one = pn_str_split(&rest, ' ');
        if (one.len != 0)
            list[count++] = fake_keep(h, one);
    }
    h->envelope =
        (struct postern_envelope){fake_keep(h, pn_str_of(from)), count, list, POSTERN_STR("")};
}

void fakehost_mail_args(struct fakehost *h, const char *args)
{
    h->envelope.mail_args = fake_keep(h, pn_str_of(args));
}

void fakehost_time(struct fakehost *h, int64_t now)
{
    h->now_ms = now;
}

void fakehost_give_fact(struct fakehost *h, const char *plugin, const char *name,
                        const char *detail, int32_t weight)
{
    struct postern_fact f = {fake_keep(h, pn_str_of(plugin)), fake_keep(h, pn_str_of(name)),
                             fake_keep(h, pn_str_of(detail)), weight};
    pn_assert(add_fact(h, (struct fake_fact){f, -1, true}) == POSTERN_OK);
}

void fakehost_give_auth(struct fakehost *h, const char *method, const char *result,
                        const char *properties)
{
    struct postern_pair pairs[16];
    size_t count = 0;
    struct pn_str rest = pn_str_of(properties);
    while (rest.len != 0) {
        struct pn_str value = pn_str_split(&rest, ' ');
        struct pn_str name = pn_str_split(&value, '=');
        pn_assert(count < 16);
        pairs[count++] = (struct postern_pair){fake_postern(name), fake_postern(value)};
    }
    struct postern_auth a = {fake_postern(pn_str_of(method)), fake_postern(pn_str_of(result)),
                             count, pairs};
    pn_assert(add_auth(h, &a, true) == POSTERN_OK);
}

void fakehost_give_note(struct fakehost *h, const char *plugin, const char *key, const char *value)
{
    (void)put_note(h,
                   (struct fake_note){fake_postern(pn_str_of(plugin)), fake_postern(pn_str_of(key)),
                                      fake_postern(pn_str_of(value)), true});
}

void fakehost_limits(struct fakehost *h, unsigned lookups, size_t bytes, uint32_t left)
{
    h->lookups_max = lookups;
    h->bytes_left = bytes;
    h->left_ms = left;
}

void fakehost_pace(struct fakehost *h, uint32_t ms)
{
    h->pace = ms;
}

void fakehost_tmp(const char *path)
{
    private_folder = path;
}

int fakehost_run(struct fakehost *h, enum postern_stage stage)
{
    const struct postern_plugin *p = h->plugin;
    pn_assert(!h->failed);
    h->call.stage = stage;
    if (p->on[stage] == NULL)
        return POSTERN_OK;
    if (p->prefetch[stage] != NULL) {
        struct postern_call bare = h->call;
        bare.session = bare.transaction = NULL;
        h->prefetching = true;
        p->prefetch[stage](&bare);
        h->prefetching = false;
    }
    int status = POSTERN_OK;
    if (h->call.session == NULL && p->session_new != NULL)
        status = p->session_new(&h->call, &h->call.session);
    if (status == POSTERN_OK && stage >= POSTERN_MAIL && h->call.transaction == NULL &&
        p->transaction_new != NULL)
        status = p->transaction_new(&h->call, &h->call.transaction);
    return status == POSTERN_OK ? p->on[stage](&h->call) : status;
}

int fakehost_tick(struct fakehost *h, uint32_t *next_ms)
{
    pn_assert(!h->failed && h->plugin->tick != NULL);
    h->call.stage = POSTERN_CONNECT;
    *next_ms = 60 * 60 * 1000;
    h->ticking = true;
    int status = h->plugin->tick(&h->call, next_ms);
    h->ticking = false;
    return status;
}

struct pn_str fakehost_standing(struct fakehost *h)
{
    return pn_buf_str(&h->standing);
}

void fakehost_give_standing(struct fakehost *h, const char *value)
{
    pn_buf_clear(&h->standing);
    (void)pn_buf_addz(&h->standing, value);
}

struct pn_str fakehost_facts(struct fakehost *h)
{
    pn_buf_clear(&h->print);
    for (size_t i = 0; i < h->fact_count; i++) {
        const struct fake_fact *f = &h->facts[i];
        if (f->given)
            continue;
        sep(&h->print, " ");
        (void)pn_buf_addf(&h->print, "%.*s=", PN_FMT(f->fact.name));
        (void)pn_buf_add_milli(&h->print, f->fact.weight);
        if (f->fact.detail.len != 0)
            (void)pn_buf_addf(&h->print, "(%.*s)", PN_FMT(f->fact.detail));
        if (f->rcpt >= 0)
            (void)pn_buf_addf(&h->print, "@%ld", f->rcpt);
    }
    return pn_buf_str(&h->print);
}

struct pn_str fakehost_auth(struct fakehost *h)
{
    pn_buf_clear(&h->print);
    for (size_t i = 0; i < h->auth_count; i++) {
        const struct postern_auth *a = &h->auths[i].auth;
        if (h->auths[i].given)
            continue;
        sep(&h->print, "; ");
        (void)pn_buf_addf(&h->print, "%.*s=%.*s", PN_FMT(a->method), PN_FMT(a->result));
        for (size_t k = 0; k < a->count; k++)
            (void)pn_buf_addf(&h->print, " %.*s=%.*s", PN_FMT(a->properties[k].name),
                              PN_FMT(a->properties[k].value));
    }
    return pn_buf_str(&h->print);
}

struct pn_str fakehost_notes(struct fakehost *h)
{
    pn_buf_clear(&h->print);
    for (size_t i = 0; i < h->note_count; i++) {
        if (h->notes[i].given)
            continue;
        sep(&h->print, " ");
        (void)pn_buf_addf(&h->print, "%.*s=%.*s", PN_FMT(h->notes[i].key),
                          PN_FMT(h->notes[i].value));
    }
    return pn_buf_str(&h->print);
}

struct pn_str fakehost_asked(struct fakehost *h)
{
    return pn_buf_str(&h->asked);
}

size_t fakehost_asked_count(struct fakehost *h)
{
    return h->asked_count;
}

struct pn_str fakehost_log(struct fakehost *h)
{
    return pn_buf_str(&h->log);
}
