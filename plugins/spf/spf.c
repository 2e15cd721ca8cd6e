/* The plugin: what it asks spf_engine.h, and which facts it makes of the outcome. */
#include "spf_engine.h"
#include "spf_libspf2.h"
#include "spf_text.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SYM_PASS,
    SYM_FAIL,
    SYM_SOFTFAIL,
    SYM_NEUTRAL,
    SYM_NONE,
    SYM_TEMPERROR,
    SYM_PERMERROR,
    SYM_HELO_FAIL
};

/* A failure is what forwarding makes too, so that alone it rejects nothing. */
static const struct postern_symbol symbols[] = {
    [SYM_PASS] = {"SPF_PASS", -100, "The client may send for the envelope's domain"},
    [SYM_FAIL] = {"SPF_FAIL", 2000, "The domain says that this client may not send for it"},
    [SYM_SOFTFAIL] = {"SPF_SOFTFAIL", 700, "The domain says that the client probably may not"},
    [SYM_NEUTRAL] = {"SPF_NEUTRAL", 0, "The domain says nothing of this client"},
    [SYM_NONE] = {"SPF_NONE", 0, "The domain publishes no SPF record"},
    [SYM_TEMPERROR] = {"SPF_TEMPERROR", 0, "DNS failed; later it may be known"},
    [SYM_PERMERROR] = {"SPF_PERMERROR", 300, "The domain's record can't be used"},
    [SYM_HELO_FAIL] = {"SPF_HELO_FAIL", 1000, "The name in HELO says that this client is not it"},
    {NULL, 0, NULL}};

#ifdef HAVE_LIBSPF2
#define ENGINES "native|libspf2"
#else
#define ENGINES "native"
#endif

static const struct postern_row rows[] = {
    {.name = "engine",
     .type = POSTERN_T_CHOICE,
     .def = "native",
     .choices = ENGINES,
     .help = "What evaluates: our own engine, or libspf2 behind a guard (see the README for where "
             "it errs)."},
    {.name = "check-helo",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Check the name in HELO too (RFC 7208, section 2.3); costs a lookup."},
    {.name = "void-lookups",
     .type = POSTERN_T_INT,
     .def = "2",
     .min = 0,
     .max = 10,
     .help = "Lookups without an answer that a check may make (RFC 7208, section 4.6.4)."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Relays of one's own: mail from there is not checked."},
    {.name = NULL}};

/* libspf2 has been crashed by records: nobody else shall be in its process. */
static const struct postern_need_if needs_if[] = {
#ifdef HAVE_LIBSPF2
    {"engine", "libspf2", POSTERN_NEED_ALONE, 0},
#endif
    {NULL, NULL, 0, 0}};

struct instance {
    const struct postern_block *settings;
    int (*check)(const struct spf_query *query, struct spf_outcome *out);
    bool check_helo;
    unsigned voids_max;
};

static void instance_free(void *arg)
{
    free(arg);
}

static int instance_new(struct postern_setup *setup, void **instance)
{
    const struct postern_host *h = setup->host;
    const struct postern_block *b = setup->settings;
    struct instance *in = calloc(1, sizeof *in);
    int64_t voids = SPF_VOIDS_MAX;
    int helo = 1;
    struct postern_str engine = POSTERN_STR("native");
    if (in == NULL) {
        h->setup_error(setup, POSTERN_STR("out of memory"));
        return POSTERN_ERROR;
    }
    (void)h->set_bool(b, "check-helo", &helo);
    (void)h->set_str(b, "engine", 0, &engine);
    in->check = spf_check;
#ifdef HAVE_LIBSPF2
    if (spf_ieq(engine, POSTERN_STR("libspf2"))) {
        spf_libspf2_init();
        in->check = spf_libspf2_check;
    }
#endif
    (void)h->set_int(b, "void-lookups", 0, &voids);
    in->check_helo = helo != 0;
    in->voids_max = (unsigned)voids;
    in->settings = b;
    *instance = in;
    return POSTERN_OK;
}

/* Users of ours send from anywhere; so do relays that the operator names. */
static bool is_skipped(struct postern_call *c)
{
    const struct instance *in = c->instance;
    return c->host->client(c)->auth_id.len != 0 ||
           c->host->client_in(c, in->settings, "skip") == POSTERN_OK;
}

/* ---- the engine's callbacks ---- */

static int lookup(void *ctx, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer)
{
    struct postern_call *c = ctx;
    return c->host->dns_lookup(c, name, type, answer);
}

static void start(void *ctx, struct postern_str name, uint32_t type)
{
    struct postern_call *c = ctx;
    (void)c->host->dns_start(c, name, type);
}

/* ---- facts ---- */

/* "example.net", or "example.net: more than one record". The domain is a client's word:
 * what is not printable shows as "?". */
static struct postern_str detail_of(struct postern_str domain, const char *problem, char *room,
                                    size_t max)
{
    struct spf_text t = {room, 0, max, false};
    size_t most = max - 80;
    for (size_t i = 0; i < domain.len && i < most; i++)
        spf_addc(&t, domain.p[i] > ' ' && domain.p[i] <= '~' ? domain.p[i] : '?');
    if (problem != NULL) {
        spf_add(&t, ": ", 2);
        spf_add(&t, problem, strlen(problem));
    }
    return (struct postern_str){t.p, t.len};
}

static int say(struct postern_call *c, bool helo, struct postern_str domain,
               const struct spf_outcome *o)
{
    static const unsigned symbol_of[] = {
        [SPF_NONE] = SYM_NONE,           [SPF_NEUTRAL] = SYM_NEUTRAL,
        [SPF_PASS] = SYM_PASS,           [SPF_FAIL] = SYM_FAIL,
        [SPF_SOFTFAIL] = SYM_SOFTFAIL,   [SPF_TEMPERROR] = SYM_TEMPERROR,
        [SPF_PERMERROR] = SYM_PERMERROR,
    };
    const char *result = spf_result_name(o->result);
    char room[200];
    struct postern_str shown = detail_of(domain, NULL, room, sizeof room);
    const struct postern_pair properties[] = {
        {POSTERN_STR("identity"), helo ? POSTERN_STR("helo") : POSTERN_STR("mailfrom")},
        {POSTERN_STR("domain"), shown},
        {POSTERN_STR("explanation"), {o->explanation, o->explanation_len}},
    };
    const struct postern_auth auth = {
        POSTERN_STR("spf"), {result, strlen(result)}, o->explanation_len != 0 ? 3 : 2, properties};
    int status = c->host->auth(c, &auth);
    if (status != POSTERN_OK)
        return status;
    if (!helo)
        return c->host->fact(c, symbol_of[o->result],
                             detail_of(domain, o->problem, room, sizeof room));
    return o->result == SPF_FAIL ? c->host->fact(c, SYM_HELO_FAIL, shown) : POSTERN_OK;
}

/* What a call asks for: MAIL FROM's identity, and HELO's if that is to be checked. */
struct identities {
    struct postern_str local, domain; /* of MAIL FROM, or postmaster at HELO (section 2.4) */
    struct postern_str helo;
    bool check_helo;
};

/* As it is looked up: A-labels (RFC 8616), no last dot. What can't be a name stays as it is, and
 * has no record. */
static struct postern_str name_of(struct postern_call *c, struct postern_str domain)
{
    struct postern_str name = domain;
    if (c->host->domain_ascii(c, domain, &name) != POSTERN_OK)
        name = domain;
    if (name.len != 0 && name.p[name.len - 1] == '.')
        name.len--;
    return name;
}

/* False: not to be checked. */
static bool find_identities(struct postern_call *c, struct identities *out)
{
    const struct instance *in = c->instance;
    const struct postern_client *client = c->host->client(c);
    struct postern_str from = c->host->envelope(c)->from;
    size_t at = from.len;
    if (is_skipped(c))
        return false;
    /* At the last "@". A reverse-path without one is a domain; RFC 7208, section 4.3 has
     * no word for it, and it can't pass by that. */
    while (at > 0 && from.p[at - 1] != '@')
        at--;
    *out = (struct identities){.local = at == 0 ? (struct postern_str){NULL, 0}
                                                : spf_slice(from, 0, at - 1),
                               .helo = name_of(c, client->helo)};
    out->domain = from.len == 0 ? out->helo : name_of(c, spf_slice(from, at, from.len));
    out->check_helo = in->check_helo && from.len != 0 && out->helo.len != 0;
    return true;
}

static void prefetch_mail(struct postern_call *c)
{
    struct identities ids;
    if (!find_identities(c, &ids))
        return;
    start(c, ids.domain, POSTERN_DNS_TXT);
    if (ids.check_helo && spf_find(ids.helo, '.') != ids.helo.len)
        start(c, ids.helo, POSTERN_DNS_TXT);
}

static int check(struct postern_call *c, struct spf_query *q, bool helo)
{
    const struct instance *in = c->instance;
    struct spf_outcome outcome;
    int status = in->check(q, &outcome);
    if (status != POSTERN_OK || (helo && outcome.result == SPF_NONE))
        return status;
    return say(c, helo, q->domain, &outcome);
}

static int on_mail(struct postern_call *c)
{
    const struct instance *in = c->instance;
    const struct postern_client *client = c->host->client(c);
    struct identities ids;
    if (!find_identities(c, &ids))
        return POSTERN_OK;
    struct spf_query q = {.is_ipv4 = client->is_ipv4 != 0,
                          .ip_text = client->ip_text,
                          .local = ids.local,
                          .domain = ids.domain,
                          .helo = ids.helo,
                          .receiver = client->hostname,
                          .now = c->host->now_ms(c) / 1000,
                          .voids_max = in->voids_max,
                          .lookup = lookup,
                          .start = start,
                          .ctx = c};
    memcpy(q.ip, client->ip, sizeof q.ip);
    int status = check(c, &q, false);
    if (status != POSTERN_OK || !ids.check_helo)
        return status;
    q.local = (struct postern_str){NULL, 0};
    q.domain = ids.helo;
    return check(c, &q, true);
}

static const char *const methods[] = {"spf", NULL};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "spf",
    .version = "1.0",
    .summary = "May this client send for that domain (RFC 7208)",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS,
    .on_failure = POSTERN_FAIL_DEFER,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MAIL] = on_mail},
    .prefetch = {[POSTERN_MAIL] = prefetch_mail},
    .needs_if = needs_if,
    .methods = methods};
