/* The plugin: the author's domain, what SPF and DKIM found, and which facts the engine's
 * outcome makes. */
#include "dmarc_find.h"
#include "dmarc_opendmarc.h"

#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SYM_NONE,
    SYM_PASS,
    SYM_FAIL,
    SYM_QUARANTINE,
    SYM_REJECT,
    SYM_TEMPERROR,
    SYM_BAD_FROM,
    SYM_FORWARDED
};

/* Mailing lists and forwarders fail DMARC in good faith, so that a failure weighs much
 * and yet rejects nothing alone (RFC 9989, section 7.4). */
static const struct postern_symbol symbols[] = {
    [SYM_NONE] = {"DMARC_NONE", 0, "The author's domain publishes no policy that applies"},
    [SYM_PASS] = {"DMARC_PASS", -500, "SPF or DKIM vouch for the author's domain"},
    [SYM_FAIL] = {"DMARC_FAIL", 1000, "Neither does; the domain asks for nothing (p=none, t=y)"},
    [SYM_QUARANTINE] = {"DMARC_QUARANTINE", 4000, "Neither does; the domain asks for suspicion"},
    [SYM_REJECT] = {"DMARC_REJECT", 6000, "Neither does; the domain asks for rejection"},
    [SYM_TEMPERROR] = {"DMARC_TEMPERROR", 0, "DNS failed; later it may be known"},
    [SYM_BAD_FROM] = {"DMARC_BAD_FROM", 2000,
                      "The From field names no author, or several, or can't be read"},
    [SYM_FORWARDED] = {"DMARC_FORWARDED", 0,
                       "Neither does, but it came by a known forwarder and is not held to it"},
    {NULL, 0, NULL}};

#ifdef HAVE_LIBOPENDMARC
#define ENGINES "native|libopendmarc"
#else
#define ENGINES "native"
#endif

static const struct postern_row rows[] = {
    {.name = "engine",
     .type = POSTERN_T_CHOICE,
     .def = "native",
     .choices = ENGINES,
     .help = "What aligns and judges: our own engine, or libopendmarc, by RFC 7489 (see the README "
             "for where it errs)."},
    {.name = "organizational-domain",
     .type = POSTERN_T_CHOICE,
     .def = "treewalk",
     .choices = "treewalk|psl",
     .help = "How a domain's organization is found: the tree walk of RFC 9989, or a list of "
             "public suffixes, as RFC 7489 did."},
    {.name = "public-suffix-list",
     .type = POSTERN_T_FILE,
     .help = "The list for `psl` and libopendmarc; without it the system's."},
    {.name = "forwarder",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Known forwarders: mail from there that fails is DMARC_FORWARDED, and no more."},
    {.name = "forwarder-domain",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Known forwarders and lists by a domain that SPF or DKIM proves."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Relays of one's own: mail from there is not checked."},
    {.name = NULL}};

static const struct postern_need_if needs_if[] = {
    {.row = "organizational-domain", .value = "psl", .needs = POSTERN_NEED_FILES},
#ifdef HAVE_LIBOPENDMARC
    {.row = "engine", .value = "libopendmarc", .needs = POSTERN_NEED_FILES},
#endif
    {.row = NULL}};

/* Debian's, for libopendmarc, which reads text only; libpsl knows where its own lies. */
#define SYSTEM_LIST "/usr/share/publicsuffix/public_suffix_list.dat"

struct instance {
    const psl_ctx_t *psl; /* NULL: tree walk */
    const struct postern_block *settings;
    int (*check)(const struct dmarc_query *query, struct dmarc_outcome *out);
};

/* ---- settings ---- */

static bool is_set_to(const struct postern_setup *s, const char *row, const char *word)
{
    struct postern_str value;
    return s->host->set_str(s->settings, row, 0, &value) == POSTERN_OK &&
           value.len == strlen(word) && memcmp(value.p, word, value.len) == 0;
}

static bool wants_library(const struct postern_setup *s)
{
    return is_set_to(s, "engine", "libopendmarc");
}

static bool wants_list(const struct postern_setup *s)
{
    return wants_library(s) || is_set_to(s, "organizational-domain", "psl");
}

/* The row's, or "". */
static void list_path(const struct postern_setup *s, char room[4096])
{
    struct postern_str path;
    room[0] = '\0';
    if (s->host->set_str(s->settings, "public-suffix-list", 0, &path) == POSTERN_OK &&
        path.len < 4096)
        (void)snprintf(room, 4096, "%.*s", (int)path.len, path.p);
}

static int no_list(struct postern_setup *s, const char *path)
{
    char room[1200];
    (void)snprintf(room, sizeof room, "%.1000s: no list of public suffixes can be read there",
                   path);
    s->host->setup_error(s, (struct postern_str){room, strlen(room)});
    return POSTERN_ERROR;
}

static int prepare_library(struct postern_setup *s, const char *path)
{
#ifdef HAVE_LIBOPENDMARC
    if (!dmarc_opendmarc_init(path))
        return no_list(s, path);
    s->host->setup_warn(s, POSTERN_STR("libopendmarc ignores strict alignment, and lets mail of "
                                       "b.example pass for a.example where the name below the "
                                       "suffix is one letter"));
#else
    (void)s;
    (void)path;
#endif
    return POSTERN_OK;
}

/* Shared by the workers; the list is some megabytes. The system's list may be younger than
 * the one in libpsl, and is taken then. */
static int prepare(struct postern_setup *s, void **prepared)
{
    char path[4096];
    if (!wants_list(s))
        return POSTERN_OK;
    list_path(s, path);
    *prepared = path[0] == '\0' ? psl_latest(NULL) : psl_load_file(path);
    if (*prepared == NULL)
        return no_list(s, path[0] == '\0' ? "public-suffix-list is not set" : path);
    return wants_library(s) ? prepare_library(s, path[0] == '\0' ? SYSTEM_LIST : path) : POSTERN_OK;
}

static void prepare_free(void *prepared)
{
#ifdef HAVE_LIBOPENDMARC
    dmarc_opendmarc_fini();
#endif
    psl_free(prepared);
}

static void instance_free(void *arg)
{
    free(arg);
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *in = calloc(1, sizeof *in);
    if (in == NULL) {
        s->host->setup_error(s, POSTERN_STR("out of memory"));
        return POSTERN_ERROR;
    }
    in->psl = s->prepared;
    in->settings = s->settings;
    in->check = dmarc_check;
#ifdef HAVE_LIBOPENDMARC
    if (wants_library(s))
        in->check = dmarc_opendmarc_check;
#endif
    *instance = in;
    return POSTERN_OK;
}

/* Users of ours send as themselves; what a relay of ours took was checked there. */
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

/* libpsl wants lower case and no last dot, which a dmarc_name is. */
static const char *registrable(void *ctx, const char *name)
{
    struct postern_call *c = ctx;
    const struct instance *in = c->instance;
    return psl_registrable_domain(in->psl, name);
}

/* ---- facts ---- */

static unsigned symbol_of(const struct dmarc_outcome *o)
{
    switch (o->result) {
    case DMARC_PASS:
        return SYM_PASS;
    case DMARC_TEMPERROR:
        return SYM_TEMPERROR;
    case DMARC_NONE:
        return SYM_NONE;
    default:
        return o->disposition == DMARC_POLICY_REJECT       ? SYM_REJECT
               : o->disposition == DMARC_POLICY_QUARANTINE ? SYM_QUARANTINE
                                                           : SYM_FAIL;
    }
}

static struct postern_str text_of(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

struct properties {
    struct postern_pair list[24];
    size_t count;
};

/* Of what a domain publishes only what a line can show. */
static void put(struct properties *p, const char *name, struct postern_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] < ' ' || value.p[i] > '~')
            return;
    if (value.len != 0 && value.len <= 1000)
        p->list[p->count++] = (struct postern_pair){text_of(name), value};
}

static void put_policy(struct properties *p, const char *name, enum dmarc_policy policy)
{
    if (policy != DMARC_POLICY_UNSET)
        put(p, name, text_of(dmarc_policy_name(policy)));
}

static struct postern_str pass_or_fail(bool pass)
{
    return pass ? POSTERN_STR("pass") : POSTERN_STR("fail");
}

/* What the row of an aggregate report wants to know besides (RFC 9990, section 3.1): how
 * each mechanism did, what was published and how it was found, and where to the report goes. */
static void put_report(struct properties *p, const struct dmarc_outcome *o, bool by_list)
{
    const struct dmarc_record *r = &o->record;
    put(p, "spf", pass_or_fail(o->spf_aligned));
    put(p, "dkim", pass_or_fail(o->dkim_aligned));
    put_policy(p, "p", r->p);
    put_policy(p, "sp", r->sp);
    put_policy(p, "np", r->np);
    put(p, "adkim", r->strict_dkim ? POSTERN_STR("s") : POSTERN_STR("r"));
    put(p, "aspf", r->strict_spf ? POSTERN_STR("s") : POSTERN_STR("r"));
    put(p, "testing", r->testing ? POSTERN_STR("y") : POSTERN_STR("n"));
    put(p, "discovery", by_list ? POSTERN_STR("psl") : POSTERN_STR("treewalk"));
    put(p, "fo", r->fo);
    put(p, "rua", r->rua);
}

/* Why the disposition is not the policy: RFC 9990's word for it. */
static void put_override(struct properties *p, const struct dmarc_outcome *o,
                         struct postern_str forwarder)
{
    if (o->result != DMARC_FAIL)
        return;
    if (forwarder.len != 0) {
        put(p, "override", POSTERN_STR("trusted_forwarder"));
        put(p, "override_comment", forwarder);
    } else if (o->disposition != o->policy) {
        put(p, "override", POSTERN_STR("policy_test_mode"));
    }
}

/* forwarder: who is known to have forwarded it; empty: nobody. */
static int say(struct postern_call *c, const struct dmarc_name *author, struct dmarc_outcome *o,
               struct postern_str forwarder)
{
    const struct instance *in = c->instance;
    char room[2 * DMARC_NAME_MAX + 60];
    struct properties p = {.count = 0};
    bool forwarded = o->result == DMARC_FAIL && forwarder.len != 0;
    unsigned symbol = forwarded ? SYM_FORWARDED : symbol_of(o);
    if (forwarded)
        o->disposition = DMARC_POLICY_NONE;
    put(&p, "domain", dmarc_name_str(author));
    put(&p, "record_domain", dmarc_name_str(&o->record_domain));
    put(&p, "org_domain", dmarc_name_str(&o->org_domain));
    if (o->policy != DMARC_POLICY_UNSET) {
        put_policy(&p, "policy", o->policy);
        put_policy(&p, "disposition", o->disposition);
        put_report(&p, o, in->psl != NULL);
        put_override(&p, o, forwarder);
    }
    const struct postern_auth auth = {POSTERN_STR("dmarc"), text_of(dmarc_result_name(o->result)),
                                      p.count, p.list};
    int status = c->host->auth(c, &auth);
    if (status != POSTERN_OK)
        return status;
    const char *problem = forwarded ? "by " : o->problem == NULL ? "" : o->problem;
    (void)snprintf(room, sizeof room, "%s%s%s%.*s", author->p, *problem == '\0' ? "" : ": ",
                   problem, forwarded ? (int)forwarder.len : 0, forwarder.p);
    return c->host->fact(c, symbol, text_of(room));
}

/* ---- known forwarders ---- */

static bool is_proven(struct postern_call *c, const struct postern_auth *a,
                      const struct dmarc_name *domain)
{
    struct dmarc_name name;
    return dmarc_is_word(a->result, "pass") &&
           dmarc_find_name(c, dmarc_property(a, "domain"), &name) && dmarc_name_eq(&name, domain);
}

/* Any identity counts: a list signs as itself, a forwarder may send as itself. */
static bool is_forwarder(struct postern_call *c, const struct dmarc_name *domain)
{
    static const struct postern_str methods[] = {{"spf", 3}, {"dkim", 4}};
    struct postern_auth a;
    for (size_t m = 0; m < 2; m++)
        for (size_t n = 0; c->host->seen_auth(c, methods[m], n, &a) == POSTERN_OK; n++)
            if (is_proven(c, &a, domain))
                return true;
    return false;
}

static struct postern_str find_forwarder(struct postern_call *c)
{
    const struct instance *in = c->instance;
    struct postern_str row;
    struct dmarc_name domain;
    if (c->host->client_in(c, in->settings, "forwarder") == POSTERN_OK)
        return c->host->client(c)->ip_text;
    for (size_t n = 0; c->host->set_str(in->settings, "forwarder-domain", n, &row) == POSTERN_OK;
         n++)
        if (dmarc_find_name(c, row, &domain) && is_forwarder(c, &domain))
            return row;
    return (struct postern_str){NULL, 0};
}

/* Of several authors the one that fails with the strictest wish counts; a pass only if
 * all pass. */
static unsigned severity(const struct dmarc_outcome *o)
{
    static const unsigned of[] = {
        [DMARC_PASS] = 0, [DMARC_NONE] = 1, [DMARC_TEMPERROR] = 2, [DMARC_FAIL] = 3};
    return of[o->result] + (o->result == DMARC_FAIL ? (unsigned)o->disposition : 0);
}

static struct dmarc_query query_of(struct postern_call *c, const struct dmarc_name *author,
                                   const struct dmarc_identifiers *ids)
{
    const struct instance *in = c->instance;
    return (struct dmarc_query){.author = *author,
                                .identifiers = ids == NULL ? NULL : ids->list,
                                .identifier_count = ids == NULL ? 0 : ids->count,
                                .lookup = lookup,
                                .start = start,
                                .registrable = in->psl == NULL ? NULL : registrable,
                                .ctx = c};
}

static void prefetch_message(struct postern_call *c)
{
    struct dmarc_authors authors;
    if (is_skipped(c))
        return;
    dmarc_find_authors(c, &authors);
    for (size_t i = 0; i < authors.count; i++) {
        const struct dmarc_query q = query_of(c, &authors.list[i], NULL);
        dmarc_start(&q);
    }
}

/* DMARC_BAD_FROM says why. */
static int state_permerror(struct postern_call *c)
{
    const struct postern_auth auth = {POSTERN_STR("dmarc"), POSTERN_STR("permerror"), 0, NULL};
    return c->host->auth(c, &auth);
}

static int on_message(struct postern_call *c)
{
    struct dmarc_authors authors;
    struct dmarc_identifiers ids;
    struct dmarc_outcome worst = {.result = DMARC_NONE}, outcome;
    const struct instance *in = c->instance;
    size_t at = 0;
    if (is_skipped(c))
        return POSTERN_OK;
    dmarc_find_authors(c, &authors);
    if (authors.problem != NULL)
        (void)c->host->fact(c, SYM_BAD_FROM, text_of(authors.problem));
    if (authors.count == 0)
        return state_permerror(c);
    dmarc_find_identifiers(c, &ids);
    for (size_t i = 0; i < authors.count; i++) {
        const struct dmarc_query q = query_of(c, &authors.list[i], &ids);
        int status = in->check(&q, &outcome);
        if (status != POSTERN_OK)
            return status;
        if (i == 0 || severity(&outcome) > severity(&worst)) {
            worst = outcome;
            at = i;
        }
    }
    /* Of whom nothing is known there may be one whose domain asks for rejection. */
    if (authors.unread && worst.result != DMARC_FAIL)
        return state_permerror(c);
    return say(c, &authors.list[at], &worst, find_forwarder(c));
}

static const char *const after[] = {"spf", "dkim", NULL};

static const char *const methods[] = {"dmarc", NULL};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "dmarc",
    .version = "1.0",
    .summary = "Does the author's domain stand behind this message (RFC 9989)",
    .rows = rows,
    .symbols = symbols,
    .after = after,
    .needs = POSTERN_NEED_DNS,
    .needs_if = needs_if,
    .on_failure = POSTERN_FAIL_DEFER,
    .prepare = prepare,
    .prepare_free = prepare_free,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MESSAGE] = prefetch_message},
    .methods = methods};
