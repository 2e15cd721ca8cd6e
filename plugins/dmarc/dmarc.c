/* The plugin: the author's domain, what SPF and DKIM found, and which facts the engine's
 * outcome makes. */
#include "dmarc_engine.h"

#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>

enum { SYM_NONE, SYM_PASS, SYM_FAIL, SYM_QUARANTINE, SYM_REJECT, SYM_TEMPERROR, SYM_BAD_FROM };

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
    {NULL, 0, NULL}};

static const struct postern_row rows[] = {
    {.name = "organizational-domain",
     .type = POSTERN_T_CHOICE,
     .def = "treewalk",
     .choices = "treewalk|psl",
     .help = "How a domain's organization is found: the tree walk of RFC 9989, or a list of "
             "public suffixes, as RFC 7489 did."},
    {.name = "public-suffix-list",
     .type = POSTERN_T_FILE,
     .help = "The list for `psl`; without it the one that libpsl was built with."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Relays of one's own: mail from there is not checked."},
    {.name = NULL}};

enum { AUTHORS_MAX = 4, ADDRESSES_MAX = 50, IDENTIFIERS_MAX = 32 };

struct instance {
    const psl_ctx_t *psl; /* NULL: tree walk */
    const struct postern_block *settings;
};

/* ---- settings ---- */

static bool wants_list(const struct postern_setup *s)
{
    struct postern_str how;
    return s->host->set_str(s->settings, "organizational-domain", 0, &how) == POSTERN_OK &&
           how.len == 3;
}

/* Shared by the workers; the list is some megabytes. */
static int prepare(struct postern_setup *s, void **prepared)
{
    struct postern_str path;
    char room[4096];
    if (!wants_list(s))
        return POSTERN_OK;
    if (s->host->set_str(s->settings, "public-suffix-list", 0, &path) != POSTERN_OK) {
        if (psl_builtin() != NULL)
            return POSTERN_OK;
        s->host->setup_error(s, POSTERN_STR("libpsl was built without a list: set "
                                            "public-suffix-list"));
        return POSTERN_ERROR;
    }
    (void)snprintf(room, sizeof room, "%.*s", (int)path.len, path.p);
    *prepared = path.len < sizeof room ? psl_load_file(room) : NULL;
    if (*prepared != NULL)
        return POSTERN_OK;
    (void)snprintf(room, sizeof room, "%.*s: no list of public suffixes can be read there",
                   (int)(path.len > 1000 ? 1000 : path.len), path.p);
    s->host->setup_error(s, (struct postern_str){room, strlen(room)});
    return POSTERN_ERROR;
}

static void prepare_free(void *prepared)
{
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
    if (wants_list(s))
        in->psl = s->prepared != NULL ? s->prepared : psl_builtin();
    in->settings = s->settings;
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

/* ---- who is the author ---- */

struct authors {
    struct dmarc_name list[AUTHORS_MAX];
    size_t count;
    const char *problem; /* why the field is not as it should be; NULL: it is */
};

static void add_author(struct authors *a, const struct dmarc_name *domain)
{
    for (size_t i = 0; i < a->count; i++)
        if (dmarc_name_eq(&a->list[i], domain))
            return;
    if (a->count != 0)
        a->problem = "authors of several domains";
    if (a->count < AUTHORS_MAX)
        a->list[a->count++] = *domain;
}

/* Of several From fields each is read: a reader may show any of them. */
static void find_authors(struct postern_call *c, struct authors *a)
{
    struct postern_str value, local, domain, display;
    size_t fields = 0, addresses = 0;
    *a = (struct authors){.count = 0};
    for (; fields < AUTHORS_MAX && c->host->header_get(c, "From", fields, &value) == POSTERN_OK;
         fields++)
        for (size_t k = 0;; k++, addresses++) {
            struct dmarc_name name;
            int status = c->host->header_address(c, "From", fields, k, &local, &domain, &display);
            if (status == POSTERN_NONE)
                break;
            if (addresses == ADDRESSES_MAX) {
                a->problem = "too many addresses";
                break;
            }
            if (status != POSTERN_OK)
                a->problem = "malformed address";
            else if (!dmarc_name_of(domain, &name))
                a->problem = "no domain name in an address";
            else
                add_author(a, &name);
        }
    if (fields == 0)
        a->problem = "no From field";
    else if (fields > 1)
        a->problem = "more than one From field";
    else if (a->count == 0 && a->problem == NULL)
        a->problem = "no address";
}

/* ---- what was authenticated ---- */

struct identifiers {
    struct dmarc_identifier list[IDENTIFIERS_MAX];
    size_t count;
};

static bool is_word(struct postern_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static struct postern_str property(const struct postern_auth *a, const char *name)
{
    for (size_t i = 0; i < a->count; i++)
        if (is_word(a->properties[i].name, name))
            return a->properties[i].value;
    return (struct postern_str){NULL, 0};
}

/* DMARC takes SPF's MAIL FROM identity only (RFC 9989, section 4.4.2). */
static void add_identifier(struct identifiers *ids, const struct postern_auth *a, bool dkim)
{
    struct dmarc_identifier id = {.dkim = dkim, .temporary = is_word(a->result, "temperror")};
    if (ids->count == IDENTIFIERS_MAX || (!id.temporary && !is_word(a->result, "pass")) ||
        (!dkim && is_word(property(a, "identity"), "helo")) ||
        !dmarc_name_of(property(a, "domain"), &id.domain))
        return;
    for (size_t i = 0; i < ids->count; i++)
        if (ids->list[i].dkim == dkim && ids->list[i].temporary == id.temporary &&
            dmarc_name_eq(&ids->list[i].domain, &id.domain))
            return;
    ids->list[ids->count++] = id;
}

static void find_identifiers(struct postern_call *c, struct identifiers *ids)
{
    struct postern_auth a;
    ids->count = 0;
    for (size_t n = 0; c->host->seen_auth(c, POSTERN_STR("spf"), n, &a) == POSTERN_OK; n++)
        add_identifier(ids, &a, false);
    for (size_t n = 0; c->host->seen_auth(c, POSTERN_STR("dkim"), n, &a) == POSTERN_OK; n++)
        add_identifier(ids, &a, true);
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

static int say(struct postern_call *c, const struct dmarc_name *author,
               const struct dmarc_outcome *o)
{
    char room[DMARC_NAME_MAX + 60];
    struct postern_pair properties[5] = {{POSTERN_STR("domain"), dmarc_name_str(author)}};
    size_t count = 1;
    if (o->record_domain.len != 0)
        properties[count++] =
            (struct postern_pair){POSTERN_STR("record_domain"), dmarc_name_str(&o->record_domain)};
    if (o->org_domain.len != 0)
        properties[count++] =
            (struct postern_pair){POSTERN_STR("org_domain"), dmarc_name_str(&o->org_domain)};
    if (o->policy != DMARC_POLICY_UNSET) {
        properties[count++] =
            (struct postern_pair){POSTERN_STR("policy"), text_of(dmarc_policy_name(o->policy))};
        properties[count++] = (struct postern_pair){POSTERN_STR("disposition"),
                                                    text_of(dmarc_policy_name(o->disposition))};
    }
    const struct postern_auth auth = {POSTERN_STR("dmarc"), text_of(dmarc_result_name(o->result)),
                                      count, properties};
    int status = c->host->auth(c, &auth);
    if (status != POSTERN_OK)
        return status;
    (void)snprintf(room, sizeof room, "%s%s%s", author->p, o->problem == NULL ? "" : ": ",
                   o->problem == NULL ? "" : o->problem);
    return c->host->fact(c, symbol_of(o), text_of(room));
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
                                   const struct identifiers *ids)
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
    struct authors authors;
    if (is_skipped(c))
        return;
    find_authors(c, &authors);
    for (size_t i = 0; i < authors.count; i++) {
        const struct dmarc_query q = query_of(c, &authors.list[i], NULL);
        dmarc_start(&q);
    }
}

static int on_message(struct postern_call *c)
{
    struct authors authors;
    struct identifiers ids;
    struct dmarc_outcome worst = {.result = DMARC_NONE}, outcome;
    size_t at = 0;
    if (is_skipped(c))
        return POSTERN_OK;
    find_authors(c, &authors);
    if (authors.problem != NULL)
        (void)c->host->fact(c, SYM_BAD_FROM, text_of(authors.problem));
    if (authors.count == 0) {
        const struct postern_auth auth = {POSTERN_STR("dmarc"), POSTERN_STR("permerror"), 0, NULL};
        return c->host->auth(c, &auth);
    }
    find_identifiers(c, &ids);
    for (size_t i = 0; i < authors.count; i++) {
        const struct dmarc_query q = query_of(c, &authors.list[i], &ids);
        int status = dmarc_check(&q, &outcome);
        if (status != POSTERN_OK)
            return status;
        if (i == 0 || severity(&outcome) > severity(&worst)) {
            worst = outcome;
            at = i;
        }
    }
    return say(c, &authors.list[at], &worst);
}

static const char *const after[] = {"spf", "dkim", NULL};

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
    .on_failure = POSTERN_FAIL_DEFER,
    .prepare = prepare,
    .prepare_free = prepare_free,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MESSAGE] = prefetch_message}};
