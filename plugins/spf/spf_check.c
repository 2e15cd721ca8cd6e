#include "spf_engine.h"

#include "spf_macro.h"
#include "spf_record.h"

enum { EXPANDED_MAX = 2048, ESCAPED_MAX = 2 * SPF_NAME_MAX };

/* One check, over all records that it leads to. */
struct check {
    const struct spf_query *q;
    struct spf_outcome *out;
    unsigned lookups, voids;
    int status; /* POSTERN_DEADLINE: unwind */
    /* %{p}, for the domain it was last asked for */
    char validated[SPF_NAME_MAX], validated_for[SPF_NAME_MAX];
    size_t validated_len, validated_for_len;
};

/* What became of a term; the error is the whole check's. */
enum match { MATCH_NO, MATCH_YES, MATCH_TEMPERROR, MATCH_PERMERROR };

static enum spf_result check_domain(struct check *c, struct postern_str domain, bool explain);

const char *spf_result_name(enum spf_result result)
{
    static const char *const names[] = {"none",     "neutral",   "pass",     "fail",
                                        "softfail", "temperror", "permerror"};
    return names[result];
}

static enum spf_result fail_with(struct check *c, enum spf_result result, const char *problem)
{
    c->out->problem = problem;
    return result;
}

static enum match error_with(struct check *c, enum match error, const char *problem)
{
    c->out->problem = problem;
    return error;
}

/* ---- names and DNS ---- */

/* As text for the callbacks: a backslash is a byte of the name, not an escape. False: it
 * can't be a name. */
static bool escape_name(struct postern_str name, char room[ESCAPED_MAX], struct postern_str *out)
{
    struct spf_text t = {room, 0, ESCAPED_MAX, false};
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '\\')
            spf_addc(&t, '\\');
        spf_addc(&t, name.p[i]);
    }
    *out = (struct postern_str){t.p, t.len};
    return !t.full;
}

/* POSTERN_OK with an answer, POSTERN_NONE: no such name or no such record (void), else an
 * error. A name that can't be has no records. */
static int lookup(struct check *c, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer)
{
    char room[ESCAPED_MAX];
    struct postern_str text;
    if (!escape_name(name, room, &text))
        return POSTERN_NONE;
    int status = c->q->lookup(c->q->ctx, text, type, answer);
    if (status == POSTERN_INVALID)
        return POSTERN_NONE;
    if (status == POSTERN_DEADLINE)
        c->status = status;
    if (status != POSTERN_OK)
        return POSTERN_ERROR;
    if ((*answer)->rcode == POSTERN_DNS_NXDOMAIN)
        return POSTERN_NONE;
    if ((*answer)->rcode != POSTERN_DNS_NOERROR)
        return POSTERN_ERROR;
    return (*answer)->count == 0 ? POSTERN_NONE : POSTERN_OK;
}

static void start(struct check *c, struct postern_str name, uint32_t type)
{
    char room[ESCAPED_MAX];
    struct postern_str text;
    if (c->q->start != NULL && escape_name(name, room, &text))
        c->q->start(c->q->ctx, text, type);
}

/* A lookup of a term: too many without an answer are an error (section 4.6.4). */
static enum match term_lookup(struct check *c, struct postern_str name, uint32_t type,
                              const struct postern_dns_answer **answer)
{
    int status = lookup(c, name, type, answer);
    if (status == POSTERN_OK)
        return MATCH_YES;
    if (status != POSTERN_NONE)
        return error_with(c, MATCH_TEMPERROR, "a lookup failed");
    if (++c->voids > c->q->voids_max)
        return error_with(c, MATCH_PERMERROR, "too many lookups without an answer");
    return MATCH_NO;
}

static uint32_t address_type(const struct check *c)
{
    return c->q->is_ipv4 ? POSTERN_DNS_A : POSTERN_DNS_AAAA;
}

/* The first bits of both; of IPv4 those of the last four bytes. */
static bool in_network(const struct check *c, const unsigned char *network, unsigned bits)
{
    const unsigned char *ip = c->q->ip + (c->q->is_ipv4 ? 12 : 0);
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(ip, network, whole) != 0)
        return false;
    return rest == 0 || ((ip[whole] ^ network[whole]) & (0xff00U >> rest) & 0xff) == 0;
}

static bool has_address(const struct check *c, const struct postern_dns_answer *a, unsigned bits)
{
    size_t len = c->q->is_ipv4 ? 4 : 16;
    for (size_t i = 0; i < a->count; i++)
        if (a->records[i].data.len == len &&
            in_network(c, (const unsigned char *)a->records[i].data.p, bits))
            return true;
    return false;
}

static unsigned bits_of(const struct check *c, const struct spf_term *t)
{
    return c->q->is_ipv4 ? t->bits4 : t->bits6;
}

static bool in_term_network(const struct check *c, const struct spf_term *t)
{
    if (t->kind == SPF_IP4)
        return c->q->is_ipv4 && in_network(c, t->network + 12, t->bits4);
    return t->kind == SPF_IP6 && !c->q->is_ipv4 && in_network(c, t->network, t->bits6);
}

/* Is name the domain, or below it? */
static bool is_below(struct postern_str name, struct postern_str domain)
{
    if (domain.len != 0 && domain.p[domain.len - 1] == '.')
        domain.len--;
    if (name.len < domain.len)
        return false;
    size_t at = name.len - domain.len;
    return spf_ieq(spf_slice(name, at, name.len), domain) && (at == 0 || name.p[at - 1] == '.');
}

/* ---- names of the client (sections 5.5 and 7.3) ---- */

/* Its names by PTR, at most as many as may be looked at; NULL: none. */
static const struct postern_dns_answer *client_names(struct check *c, size_t *count)
{
    const struct postern_dns_answer *answer = NULL;
    char room[80];
    struct spf_text name = {room, 0, sizeof room, false};
    const struct spf_macro_env env = {c->q, {NULL, 0}, NULL, NULL};
    spf_macro_expand(c->q->is_ipv4 ? POSTERN_STR("%{ir}.in-addr.arpa")
                                   : POSTERN_STR("%{ir}.ip6.arpa"),
                     &env, &name);
    *count = 0;
    if (lookup(c, (struct postern_str){name.p, name.len}, POSTERN_DNS_PTR, &answer) != POSTERN_OK)
        return NULL;
    *count = answer->count < SPF_PTR_MAX ? answer->count : SPF_PTR_MAX;
    return answer;
}

static bool is_validated(struct check *c, struct postern_str name)
{
    const struct postern_dns_answer *answer;
    /* Names of answers are text with escapes already. */
    int status = c->q->lookup(c->q->ctx, name, address_type(c), &answer);
    if (status == POSTERN_DEADLINE)
        c->status = status;
    return status == POSTERN_OK && answer->rcode == POSTERN_DNS_NOERROR &&
           has_address(c, answer, c->q->is_ipv4 ? 32 : 128);
}

static enum match match_ptr(struct check *c, struct postern_str domain)
{
    size_t count;
    const struct postern_dns_answer *names = client_names(c, &count);
    for (size_t i = 0; i < count; i++)
        if (is_below(names->records[i].data, domain))
            start(c, names->records[i].data, address_type(c));
    for (size_t i = 0; i < count; i++)
        if (is_below(names->records[i].data, domain) && is_validated(c, names->records[i].data))
            return MATCH_YES;
    return MATCH_NO;
}

/* %{p}: the domain itself before a name below it before any other. */
struct validated_of {
    struct check *check;
    struct postern_str domain;
};

static void find_validated(struct check *c, struct postern_str domain)
{
    size_t count;
    unsigned best = 0;
    const struct postern_dns_answer *names = client_names(c, &count);
    c->validated_len = 0;
    for (size_t i = 0; i < count; i++) {
        struct postern_str name = names->records[i].data;
        unsigned rank = !is_below(name, domain) ? 1 : name.len > domain.len ? 2 : 3;
        if (rank <= best || name.len > SPF_NAME_MAX || !is_validated(c, name))
            continue;
        best = rank;
        memcpy(c->validated, name.p, name.len);
        c->validated_len = name.len;
    }
}

/* domain: at most SPF_NAME_MAX bytes, and at least one. */
static struct postern_str validated_name(void *ctx)
{
    const struct validated_of *of = ctx;
    struct check *c = of->check;
    if (!spf_ieq((struct postern_str){c->validated_for, c->validated_for_len}, of->domain)) {
        find_validated(c, of->domain);
        memcpy(c->validated_for, of->domain.p, of->domain.len);
        c->validated_for_len = of->domain.len;
    }
    return c->validated_len == 0 ? POSTERN_STR("unknown")
                                 : (struct postern_str){c->validated, c->validated_len};
}

/* ---- domain-specs ---- */

static void expand(struct check *c, struct postern_str spec, struct postern_str domain,
                   struct spf_text *out)
{
    struct validated_of of = {c, domain};
    const struct spf_macro_env env = {c->q, domain, validated_name, &of};
    spf_macro_expand(spec, &env, out);
}

/* The term's domain: the current one without a spec. Names over 253 bytes lose labels from
 * the left (section 7.3). False: it does not fit even so. */
static bool target(struct check *c, struct postern_str spec, struct postern_str domain,
                   char room[EXPANDED_MAX], struct postern_str *out)
{
    struct spf_text text = {room, 0, EXPANDED_MAX, false};
    *out = domain;
    if (spec.len == 0)
        return true;
    expand(c, spec, domain, &text);
    *out = (struct postern_str){text.p, text.len};
    if (out->len != 0 && out->p[out->len - 1] == '.')
        out->len--;
    while (out->len > SPF_NAME_MAX) {
        size_t dot = spf_find(*out, '.');
        *out = dot == out->len ? (struct postern_str){NULL, 0} : spf_slice(*out, dot + 1, out->len);
    }
    return !text.full && out->len != 0;
}

/* Labels of 1 to 63 bytes, two at least (section 4.3). */
static bool domain_ok(struct postern_str domain)
{
    size_t label = 0, dots = 0;
    if (domain.len != 0 && domain.p[domain.len - 1] == '.')
        domain.len--;
    for (size_t i = 0; i < domain.len; i++) {
        if (domain.p[i] != '.') {
            if (++label > 63)
                return false;
            continue;
        }
        if (label == 0)
            return false;
        label = 0;
        dots++;
    }
    return label != 0 && dots != 0 && domain.len <= SPF_NAME_MAX;
}

/* ---- mechanisms ---- */

static enum match match_address(struct check *c, const struct spf_term *t, struct postern_str name)
{
    const struct postern_dns_answer *answer;
    enum match m = term_lookup(c, name, address_type(c), &answer);
    return m == MATCH_YES && !has_address(c, answer, bits_of(c, t)) ? MATCH_NO : m;
}

static enum match match_mx(struct check *c, const struct spf_term *t, struct postern_str domain)
{
    const struct postern_dns_answer *mx, *answer;
    enum match m = term_lookup(c, domain, POSTERN_DNS_MX, &mx);
    if (m != MATCH_YES)
        return m;
    if (mx->count > SPF_MX_MAX)
        return error_with(c, MATCH_PERMERROR, "more than 10 mail exchangers");
    for (size_t i = 0; i < mx->count; i++)
        if (mx->records[i].data.len > 2)
            start(c, spf_slice(mx->records[i].data, 2, mx->records[i].data.len), address_type(c));
    for (size_t i = 0; i < mx->count; i++) {
        struct postern_str name = mx->records[i].data;
        if (name.len <= 2) /* "." takes no mail */
            continue;
        m = term_lookup(c, spf_slice(name, 2, name.len), address_type(c), &answer);
        if (m == MATCH_YES && has_address(c, answer, bits_of(c, t)))
            return MATCH_YES;
        if (m != MATCH_YES && m != MATCH_NO)
            return m;
    }
    return MATCH_NO;
}

static enum match match_exists(struct check *c, struct postern_str domain)
{
    const struct postern_dns_answer *answer;
    return term_lookup(c, domain, POSTERN_DNS_A, &answer);
}

/* Section 5.2's table. */
static enum match match_include(struct check *c, struct postern_str domain)
{
    switch (check_domain(c, domain, false)) {
    case SPF_PASS:
        return MATCH_YES;
    case SPF_FAIL:
    case SPF_SOFTFAIL:
    case SPF_NEUTRAL:
        return MATCH_NO;
    case SPF_TEMPERROR:
        return MATCH_TEMPERROR;
    case SPF_NONE:
        return error_with(c, MATCH_PERMERROR, "include of a domain without a record");
    default:
        return MATCH_PERMERROR;
    }
}

static bool count_lookup(struct check *c)
{
    return ++c->lookups <= SPF_LOOKUPS_MAX;
}

static enum match match_term(struct check *c, const struct spf_term *t, struct postern_str domain)
{
    char room[EXPANDED_MAX];
    struct postern_str name;
    switch (t->kind) {
    case SPF_ALL:
        return MATCH_YES;
    case SPF_IP4:
    case SPF_IP6:
        return in_term_network(c, t) ? MATCH_YES : MATCH_NO;
    case SPF_REDIRECT:
    case SPF_EXP:
    case SPF_UNKNOWN:
        return MATCH_NO;
    default:
        break;
    }
    if (!count_lookup(c))
        return error_with(c, MATCH_PERMERROR, "more than 10 terms that ask DNS");
    if (!target(c, t->spec, domain, room, &name))
        return t->kind == SPF_INCLUDE ? error_with(c, MATCH_PERMERROR, "include of no domain")
                                      : MATCH_NO;
    switch (t->kind) {
    case SPF_INCLUDE:
        return match_include(c, name);
    case SPF_A:
        return match_address(c, t, name);
    case SPF_MX:
        return match_mx(c, t, name);
    case SPF_PTR:
        return match_ptr(c, name);
    default:
        return match_exists(c, name);
    }
}

/* ---- explanations (section 6.2) ---- */

/* Any error at all: as if there were no exp. */
static void explain(struct check *c, struct postern_str spec, struct postern_str domain)
{
    char room[EXPANDED_MAX];
    struct postern_str name;
    const struct postern_dns_answer *answer;
    struct spf_text text = {c->out->explanation, 0, SPF_EXPLANATION_MAX, false};
    if (!target(c, spec, domain, room, &name) ||
        lookup(c, name, POSTERN_DNS_TXT, &answer) != POSTERN_OK || answer->count != 1 ||
        !spf_macro_ok(answer->records[0].data, SPF_MACRO_EXPLAIN))
        return;
    expand(c, answer->records[0].data, domain, &text);
    for (size_t i = 0; i < text.len; i++) /* macros may bring in a client's bytes */
        if (text.p[i] < ' ' || text.p[i] > '~')
            return;
    c->out->explanation_len = text.full ? 0 : text.len;
}

/* ---- records ---- */

/* The one SPF record of the answer; *count tells how many there are. */
static struct postern_str select_record(const struct postern_dns_answer *answer, size_t *count)
{
    struct postern_str found = {NULL, 0};
    *count = 0;
    for (size_t i = 0; i < answer->count; i++)
        if (spf_record_is(answer->records[i].data)) {
            found = answer->records[i].data;
            ++*count;
        }
    return found;
}

static bool asks_dns(enum spf_kind kind)
{
    return kind == SPF_INCLUDE || kind == SPF_A || kind == SPF_MX || kind == SPF_PTR ||
           kind == SPF_EXISTS;
}

/* Starts what the literal terms from here on will ask, as far as the limit lets them and
 * up to one that surely matches. What holds a macro waits for its turn. */
static void start_terms(struct check *c, const struct spf_record *record, struct postern_str rest,
                        struct postern_str domain)
{
    unsigned left = SPF_LOOKUPS_MAX - c->lookups;
    struct spf_term t;
    while (c->q->start != NULL && left > 0 && spf_record_next(&rest, &t)) {
        struct postern_str name = t.spec.len == 0 ? domain : t.spec;
        if (t.kind == SPF_ALL || in_term_network(c, &t))
            return;
        bool redirects = t.kind == SPF_REDIRECT && !record->has_all;
        if ((!asks_dns(t.kind) && !redirects) || spf_find(name, '%') != name.len)
            continue;
        left--;
        if (t.kind == SPF_A)
            start(c, name, address_type(c));
        else if (t.kind == SPF_MX)
            start(c, name, POSTERN_DNS_MX);
        else if (t.kind == SPF_EXISTS)
            start(c, name, POSTERN_DNS_A);
        else if (t.kind != SPF_PTR)
            start(c, name, POSTERN_DNS_TXT);
    }
}

static enum spf_result qualified(char qualifier)
{
    return qualifier == '-'   ? SPF_FAIL
           : qualifier == '~' ? SPF_SOFTFAIL
           : qualifier == '?' ? SPF_NEUTRAL
                              : SPF_PASS;
}

static enum spf_result redirect(struct check *c, const struct spf_record *record,
                                struct postern_str domain, bool explain_it)
{
    char room[EXPANDED_MAX];
    struct postern_str name;
    if (!count_lookup(c))
        return fail_with(c, SPF_PERMERROR, "more than 10 terms that ask DNS");
    if (!target(c, record->redirect, domain, room, &name))
        return fail_with(c, SPF_PERMERROR, "redirect to no domain");
    enum spf_result result = check_domain(c, name, explain_it);
    return result == SPF_NONE ? fail_with(c, SPF_PERMERROR, "redirect to a domain without a record")
                              : result;
}

static enum spf_result evaluate(struct check *c, const struct spf_record *record,
                                struct postern_str domain, bool explain_it)
{
    struct postern_str rest = record->terms;
    struct spf_term t;
    bool started = false;
    for (struct postern_str here = rest; spf_record_next(&rest, &t); here = rest) {
        if (!started && asks_dns(t.kind))
            start_terms(c, record, here, domain);
        started = started || asks_dns(t.kind);
        enum match m = match_term(c, &t, domain);
        if (c->status != POSTERN_OK || m == MATCH_TEMPERROR)
            return SPF_TEMPERROR;
        if (m == MATCH_PERMERROR)
            return SPF_PERMERROR;
        if (m == MATCH_NO)
            continue;
        enum spf_result result = qualified(t.qualifier);
        if (result == SPF_FAIL && explain_it && record->exp.len != 0)
            explain(c, record->exp, domain);
        return result;
    }
    if (record->redirect.len != 0 && !record->has_all)
        return redirect(c, record, domain, explain_it);
    return SPF_NEUTRAL;
}

/* check_host() for one domain; explain: an exp of it counts (not inside an include). */
static enum spf_result check_domain(struct check *c, struct postern_str domain, bool explain_it)
{
    const struct postern_dns_answer *answer;
    struct spf_record record;
    const char *problem = NULL;
    size_t count;
    if (!domain_ok(domain))
        return SPF_NONE;
    int status = lookup(c, domain, POSTERN_DNS_TXT, &answer);
    if (status == POSTERN_NONE)
        return SPF_NONE;
    if (status != POSTERN_OK)
        return fail_with(c, SPF_TEMPERROR, "a record could not be looked up");
    struct postern_str txt = select_record(answer, &count);
    if (count == 0)
        return SPF_NONE;
    if (count > 1)
        return fail_with(c, SPF_PERMERROR, "more than one record");
    if (!spf_record_read(txt, &record, &problem))
        return fail_with(c, SPF_PERMERROR, problem);
    return evaluate(c, &record, domain, explain_it);
}

int spf_check(const struct spf_query *query, struct spf_outcome *out)
{
    struct check c = {.q = query, .out = out};
    out->problem = NULL;
    out->explanation_len = 0;
    out->result = check_domain(&c, query->domain, true);
    return c.status;
}
