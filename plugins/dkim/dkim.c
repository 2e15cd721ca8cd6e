/* The plugin: what it asks of the host, and which facts it makes of the verdicts. The
 * steps between stand in dkim_engine.h. */
#include "dkim_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SYM_VALID,
    SYM_INVALID,
    SYM_NONE,
    SYM_TEMPERROR,
    SYM_PERMERROR,
    SYM_WEAK_KEY,
    SYM_SHA1,
    SYM_PARTIAL_BODY,
    SYM_MULTIPLE_FROM,
    SYM_TOO_MANY,
    SYM_EXPIRED,
    SYM_FUTURE,
    SYM_TESTING,
    SYM_FROM_UNSIGNED,
    SYM_FROM_ADDED,
    SYM_OVERSIGNED
};

/* A broken signature is to be worth no less than none (RFC 6376, section 6.3): forwarders
 * and lists break them. So these weights are small; DMARC draws the conclusions. */
static const struct postern_symbol symbols[] = {
    [SYM_VALID] = {"DKIM_VALID", -100, "A signature verified; detail: its domain"},
    [SYM_INVALID] = {"DKIM_INVALID", 200, "A signature did not verify"},
    [SYM_NONE] = {"DKIM_NONE", 0, "The message has no signature"},
    [SYM_TEMPERROR] = {"DKIM_TEMPERROR", 0, "A key could not be looked up now"},
    [SYM_PERMERROR] = {"DKIM_PERMERROR", 100, "A signature or its key can't be used"},
    [SYM_WEAK_KEY] = {"DKIM_WEAK_KEY", 100, "An RSA key shorter than min-bits (RFC 8301)"},
    [SYM_SHA1] = {"DKIM_SHA1", 100, "A signature by rsa-sha1, not accepted (RFC 8301)"},
    [SYM_PARTIAL_BODY] = {"DKIM_PARTIAL_BODY", 500, "l= leaves text behind it unsigned"},
    [SYM_MULTIPLE_FROM] = {"DKIM_MULTIPLE_FROM", 2500,
                           "More than one From field: readers may "
                           "show another than the signed one"},
    [SYM_TOO_MANY] = {"DKIM_TOO_MANY", 500, "More signatures than max-signatures"},
    [SYM_EXPIRED] = {"DKIM_EXPIRED", 0, "A signature whose time (x=) is over"},
    [SYM_FUTURE] = {"DKIM_FUTURE", 500, "A signature made (t=) later than now"},
    [SYM_TESTING] = {"DKIM_TESTING", 0, "The key says that its domain is testing (t=y)"},
    [SYM_FROM_UNSIGNED] = {"DKIM_FROM_UNSIGNED", 500, "A signature that does not sign From"},
    [SYM_FROM_ADDED] = {"DKIM_FROM_ADDED", 500,
                        "A valid signature, and more From fields than it signs"},
    [SYM_OVERSIGNED] = {"DKIM_OVERSIGNED", 0,
                        "A valid signature that another From field would break"},
    {NULL, 0, NULL}};

static const struct postern_row rows[] = {
    {.name = "engine",
     .type = POSTERN_T_CHOICE,
     .def = "native",
     .choices = "native|libopendkim",
     .help = "What verifies: our own engine on OpenSSL, or libopendkim (slower)."},
    {.name = "max-signatures",
     .type = POSTERN_T_INT,
     .def = "10",
     .min = 1,
     .max = 50, /* the host keeps 64 results of a message, all plugins' together */
     .help = "Signatures checked in one message, from the top; each costs a DNS lookup."},
    {.name = "min-bits",
     .type = POSTERN_T_INT,
     .def = "1024",
     .min = 512,
     .max = 8192,
     .help = "Shorter RSA keys do not count; RFC 8301 forbids those under 1024 bits."},
    {.name = "clock-skew",
     .type = POSTERN_T_DURATION,
     .def = "1h",
     .min = 0,
     .max = INT64_C(7) * 24 * 3600 * 1000,
     .help = "A signature may say that it was made so much later than now (t=), not more."},
    {.name = NULL}};

struct instance {
    const struct dkim_engine *engine;
    void *state;
    size_t max;
    int64_t skew; /* seconds */
    unsigned min_bits;
};

static void instance_free(void *arg)
{
    struct instance *in = arg;

    in->engine->free(in->state);
    free(in);
}

static int instance_new(struct postern_setup *setup, void **instance)
{
    const struct postern_host *h = setup->host;
    struct instance *in = calloc(1, sizeof(*in));
    struct postern_str engine;
    int64_t max;
    int64_t bits;
    int64_t skew;

    if (in == NULL || h->set_str(setup->settings, "engine", 0, &engine) != POSTERN_OK ||
        h->set_int(setup->settings, "max-signatures", 0, &max) != POSTERN_OK ||
        h->set_int(setup->settings, "min-bits", 0, &bits) != POSTERN_OK ||
        h->set_int(setup->settings, "clock-skew", 0, &skew) != POSTERN_OK) {
        free(in);
        return POSTERN_ERROR;
    }
    in->engine = engine.len == 6 ? &dkim_engine_native : &dkim_engine_opendkim;
    in->max = (size_t)max;
    in->min_bits = (unsigned)bits;
    in->skew = skew / 1000;
    in->state = in->engine->make();
    if (in->state == NULL) {
        h->setup_error(setup, POSTERN_STR("the DKIM engine's library refused to start"));
        free(in);
        return POSTERN_ERROR;
    }
    *instance = in;
    return POSTERN_OK;
}

/* ---- keys ---- */

static struct postern_str text_of(const char *cstr)
{
    return (struct postern_str){cstr, strlen(cstr)};
}

/* All keys at once, then each. */
static int keys_get(struct postern_call *c, struct dkim_sig *sigs, size_t n)
{
    const struct postern_dns_answer *answer;
    int status = POSTERN_OK;

    for (size_t i = 0; i < n && status != POSTERN_DEADLINE; i++)
        if (sigs[i].result == DKIM_PENDING)
            status = c->host->dns_start(c, text_of(sigs[i].query), POSTERN_DNS_TXT);
    if (status != POSTERN_DEADLINE)
        status = c->host->dns_wait_all(c);
    for (size_t i = 0; i < n && status != POSTERN_DEADLINE; i++) {
        if (sigs[i].result != DKIM_PENDING)
            continue;
        status = c->host->dns_lookup(c, text_of(sigs[i].query), POSTERN_DNS_TXT, &answer);
        dkim_key_choose(&sigs[i], status == POSTERN_OK ? answer : NULL);
    }
    return status == POSTERN_DEADLINE ? status : POSTERN_OK;
}

static int verify(struct postern_call *c, const struct dkim_message *m, struct dkim_sig *sigs,
                  size_t n)
{
    const struct instance *in = c->instance;
    bool pending = false;
    int status = keys_get(c, sigs, n);

    if (status != POSTERN_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        pending |= sigs[i].result == DKIM_PENDING;
    if (pending && in->engine->verify(in->state, m, sigs, n) != 0)
        return POSTERN_ERROR;
    for (size_t i = 0; i < n; i++)
        dkim_sig_judge(&sigs[i]);
    return POSTERN_OK;
}

/* ---- what is stated ---- */

static int state_result(struct postern_call *c, const struct dkim_sig *s)
{
    struct postern_pair pairs[6];
    struct postern_auth a = {POSTERN_STR("dkim"), dkim_result_word(s->result), 0, pairs};
    char bits[12];
    int len = snprintf(bits, sizeof(bits), "%u", s->bits);

    pairs[a.count++] = (struct postern_pair){POSTERN_STR("signature"), dkim_signature_word(s)};
    if (s->reason != NULL)
        pairs[a.count++] = (struct postern_pair){POSTERN_STR("reason"), text_of(s->reason)};
    if (s->domain[0] != '\0')
        pairs[a.count++] = (struct postern_pair){POSTERN_STR("domain"), text_of(s->domain)};
    if (s->selector[0] != '\0')
        pairs[a.count++] = (struct postern_pair){POSTERN_STR("selector"), text_of(s->selector)};
    if (s->algorithm.len > 0)
        pairs[a.count++] = (struct postern_pair){POSTERN_STR("algorithm"), s->algorithm};
    if (s->bits > 0 && len > 0)
        pairs[a.count++] = (struct postern_pair){POSTERN_STR("bits"), {bits, (size_t)len}};
    return c->host->auth(c, &a);
}

static int state_fact(struct postern_call *c, unsigned symbol, const struct dkim_sig *s)
{
    char detail[400];
    const char *domain = s->domain[0] != '\0' ? s->domain : "?";
    int n = symbol == SYM_VALID || s->reason == NULL
                ? snprintf(detail, sizeof(detail), "%s", domain)
                : snprintf(detail, sizeof(detail), "%s: %s", domain, s->reason);

    return c->host->fact(c, symbol, (struct postern_str){detail, n < 0 ? 0 : (size_t)n});
}

static int state_facts(struct postern_call *c, const struct dkim_sig *s)
{
    static const struct {
        unsigned flag, symbol;
    } flags[] = {{DKIM_SIG_WEAK_KEY, SYM_WEAK_KEY},
                 {DKIM_SIG_SHA1, SYM_SHA1},
                 {DKIM_SIG_PARTIAL, SYM_PARTIAL_BODY},
                 {DKIM_SIG_EXPIRED, SYM_EXPIRED},
                 {DKIM_SIG_FUTURE, SYM_FUTURE},
                 {DKIM_SIG_TESTING, SYM_TESTING},
                 {DKIM_SIG_FROM_UNSIGNED, SYM_FROM_UNSIGNED},
                 {DKIM_SIG_FROM_ADDED, SYM_FROM_ADDED},
                 {DKIM_SIG_OVERSIGNED, SYM_OVERSIGNED}};
    int status = POSTERN_OK;

    if (s->result == DKIM_PASS)
        status = state_fact(c, SYM_VALID, s);
    else if (s->result == DKIM_FAIL && (s->flags & DKIM_SIG_TESTING) == 0)
        status = state_fact(c, SYM_INVALID, s);
    else if (s->result == DKIM_TEMPERROR)
        status = state_fact(c, SYM_TEMPERROR, s);
    else if (s->result == DKIM_PERMERROR)
        status = state_fact(c, SYM_PERMERROR, s);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && status == POSTERN_OK; i++)
        if ((s->flags & flags[i].flag) != 0)
            status = state_fact(c, flags[i].symbol, s);
    return status;
}

static int state_count(struct postern_call *c, unsigned symbol, size_t n)
{
    char detail[24];
    int len = snprintf(detail, sizeof(detail), "%zu", n);

    return c->host->fact(c, symbol, (struct postern_str){detail, len < 0 ? 0 : (size_t)len});
}

static int state_none(struct postern_call *c)
{
    static const struct postern_auth none = {
        {"dkim", sizeof("dkim") - 1}, {"none", sizeof("none") - 1}, 0, NULL};
    int status = c->host->auth(c, &none);

    return status == POSTERN_OK ? c->host->fact(c, SYM_NONE, POSTERN_STR("")) : status;
}

static size_t sigs_read(struct postern_call *c, const struct dkim_message *m, struct dkim_sig *sigs,
                        size_t max)
{
    const struct instance *in = c->instance;
    struct dkim_terms terms = {c->host->now_ms(c) / 1000, in->skew, in->min_bits, c};

    return dkim_sigs_read(m, sigs, max, &terms);
}

static int check(struct postern_call *c, const struct dkim_message *m)
{
    const struct instance *in = c->instance;
    size_t max = m->signatures < in->max ? m->signatures : in->max;
    struct dkim_sig *sigs = malloc(max * sizeof(*sigs));
    size_t n;
    int status;

    if (sigs == NULL)
        return POSTERN_ERROR;
    n = sigs_read(c, m, sigs, max);
    status = verify(c, m, sigs, n);
    for (size_t i = 0; i < n && status == POSTERN_OK; i++) {
        status = state_result(c, &sigs[i]);
        if (status == POSTERN_OK)
            status = state_facts(c, &sigs[i]);
    }
    if (status == POSTERN_OK && m->signatures > max)
        status = state_count(c, SYM_TOO_MANY, m->signatures);
    free(sigs);
    return status;
}

/* Everything before the body; the host hands both out of one piece of memory. */
static struct postern_str header_of(struct postern_str content, struct postern_str body)
{
    if (body.len > 0 && body.p >= content.p && body.p <= content.p + content.len)
        content.len = (size_t)(body.p - content.p);
    return content;
}

static int on_message(struct postern_call *c)
{
    struct postern_str content = c->host->content(c);
    struct postern_str body = c->host->body(c);
    struct dkim_message m;
    int status = POSTERN_OK;

    if (dkim_message_read(&m, header_of(content, body), body) != 0)
        return POSTERN_ERROR;
    if (m.froms > 1)
        status = state_count(c, SYM_MULTIPLE_FROM, m.froms);
    if (status == POSTERN_OK)
        status = m.signatures == 0 ? state_none(c) : check(c, &m);
    dkim_message_fini(&m);
    return status;
}

/* Reads the signatures once more than need be, which is far less than a wait costs. */
static void prefetch_message(struct postern_call *c)
{
    const struct instance *in = c->instance;
    struct postern_str content = c->host->content(c);
    struct postern_str body = c->host->body(c);
    struct dkim_message m;

    if (dkim_message_read(&m, header_of(content, body), body) != 0)
        return;
    size_t max = m.signatures < in->max ? m.signatures : in->max;
    struct dkim_sig *sigs = max == 0 ? NULL : malloc(max * sizeof(*sigs));
    size_t n = sigs == NULL ? 0 : sigs_read(c, &m, sigs, max);
    for (size_t i = 0; i < n; i++)
        if (sigs[i].result == DKIM_PENDING)
            (void)c->host->dns_start(c, text_of(sigs[i].query), POSTERN_DNS_TXT);
    free(sigs);
    dkim_message_fini(&m);
}

static const char *const methods[] = {"dkim", NULL};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "dkim",
    .version = "1.0",
    .summary = "DKIM signatures (RFC 6376, 8301, 8463)",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS | POSTERN_NEED_OPENSSL,
    .on_failure = POSTERN_FAIL_DEFER,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MESSAGE] = prefetch_message},
    .methods = methods};
