#include "spf_check.h"

#include "spf_macro.h"
#include "spf_record.h"

static enum spf_result check_domain(struct spf_check *c, struct postern_str domain, bool explain);

const char *spf_result_name(enum spf_result result)
{
    static const char *const names[] = {"none",     "neutral",   "pass",     "fail",
                                        "softfail", "temperror", "permerror"};
    return names[result];
}

static enum spf_result fail_with(struct spf_check *c, enum spf_result result, const char *problem)
{
    c->out->problem = problem;
    return result;
}

static unsigned bits_of(const struct spf_check *c, const struct spf_term *t)
{
    return c->q->is_ipv4 ? t->bits4 : t->bits6;
}

static bool in_term_network(const struct spf_check *c, const struct spf_term *t)
{
    if (t->kind == SPF_IP4)
        return c->q->is_ipv4 && spf_in_network(c, t->network + 12, t->bits4);
    return t->kind == SPF_IP6 && !c->q->is_ipv4 && spf_in_network(c, t->network, t->bits6);
}

/* Labels of 1 to 63 bytes, two at least (section 4.3). */
bool spf_domain_ok(struct postern_str domain)
{
    size_t label = 0, dots = 0;
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

static enum spf_match match_address(struct spf_check *c, const struct spf_term *t,
                                    struct postern_str name)
{
    const struct postern_dns_answer *answer;
    enum spf_match m = spf_term_lookup(c, name, spf_address_type(c), &answer);
    return m == SPF_MATCH_YES && !spf_has_address(c, answer, bits_of(c, t)) ? SPF_MATCH_NO : m;
}

static enum spf_match match_mx(struct spf_check *c, const struct spf_term *t,
                               struct postern_str domain)
{
    const struct postern_dns_answer *mx, *answer;
    enum spf_match m = spf_term_lookup(c, domain, POSTERN_DNS_MX, &mx);
    if (m != SPF_MATCH_YES)
        return m;
    if (mx->count > SPF_MX_MAX)
        return spf_error_with(c, SPF_MATCH_PERMERROR, "more than 10 mail exchangers");
    for (size_t i = 0; i < mx->count; i++)
        if (mx->records[i].data.len > 2)
            spf_start(c, spf_slice(mx->records[i].data, 2, mx->records[i].data.len),
                      spf_address_type(c));
    for (size_t i = 0; i < mx->count; i++) {
        struct postern_str name = mx->records[i].data;
        if (name.len <= 2) /* "." takes no mail */
            continue;
        m = spf_term_lookup(c, spf_slice(name, 2, name.len), spf_address_type(c), &answer);
        if (m == SPF_MATCH_YES && spf_has_address(c, answer, bits_of(c, t)))
            return SPF_MATCH_YES;
        if (m != SPF_MATCH_YES && m != SPF_MATCH_NO)
            return m;
    }
    return SPF_MATCH_NO;
}

static enum spf_match match_exists(struct spf_check *c, struct postern_str domain)
{
    const struct postern_dns_answer *answer;
    return spf_term_lookup(c, domain, POSTERN_DNS_A, &answer);
}

/* Section 5.2's table. */
static enum spf_match match_include(struct spf_check *c, struct postern_str domain)
{
    switch (check_domain(c, domain, false)) {
    case SPF_PASS:
        return SPF_MATCH_YES;
    case SPF_FAIL:
    case SPF_SOFTFAIL:
    case SPF_NEUTRAL:
        return SPF_MATCH_NO;
    case SPF_TEMPERROR:
        return SPF_MATCH_TEMPERROR;
    case SPF_NONE:
        return spf_error_with(c, SPF_MATCH_PERMERROR, "include of a domain without a record");
    default:
        return SPF_MATCH_PERMERROR;
    }
}

static bool count_lookup(struct spf_check *c)
{
    return ++c->lookups <= SPF_LOOKUPS_MAX;
}

static enum spf_match match_term(struct spf_check *c, const struct spf_term *t,
                                 struct postern_str domain)
{
    char room[SPF_EXPANDED_MAX];
    struct postern_str name;
    switch (t->kind) {
    case SPF_ALL:
        return SPF_MATCH_YES;
    case SPF_IP4:
    case SPF_IP6:
        return in_term_network(c, t) ? SPF_MATCH_YES : SPF_MATCH_NO;
    case SPF_REDIRECT:
    case SPF_EXP:
    case SPF_UNKNOWN:
        return SPF_MATCH_NO;
    default:
        break;
    }
    if (!count_lookup(c))
        return spf_error_with(c, SPF_MATCH_PERMERROR, "more than 10 terms that ask DNS");
    if (!spf_target(c, t->spec, domain, room, &name))
        return t->kind == SPF_INCLUDE
                   ? spf_error_with(c, SPF_MATCH_PERMERROR, "include of no domain")
                   : SPF_MATCH_NO;
    switch (t->kind) {
    case SPF_INCLUDE:
        return match_include(c, name);
    case SPF_A:
        return match_address(c, t, name);
    case SPF_MX:
        return match_mx(c, t, name);
    case SPF_PTR:
        return spf_match_ptr(c, name);
    default:
        return match_exists(c, name);
    }
}

/* ---- explanations (section 6.2) ---- */

/* Any error at all: as if there were no exp. */
static void explain(struct spf_check *c, struct postern_str spec, struct postern_str domain)
{
    char room[SPF_EXPANDED_MAX];
    struct postern_str name;
    const struct postern_dns_answer *answer;
    struct spf_text text = {c->out->explanation, 0, SPF_EXPLANATION_MAX, false};
    if (!spf_target(c, spec, domain, room, &name) ||
        spf_lookup(c, name, POSTERN_DNS_TXT, &answer) != POSTERN_OK || answer->count != 1 ||
        !spf_macro_ok(answer->records[0].data, SPF_MACRO_EXPLAIN))
        return;
    spf_expand(c, answer->records[0].data, domain, &text);
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
static void start_terms(struct spf_check *c, const struct spf_record *record,
                        struct postern_str rest, struct postern_str domain)
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
            spf_start(c, name, spf_address_type(c));
        else if (t.kind == SPF_MX)
            spf_start(c, name, POSTERN_DNS_MX);
        else if (t.kind == SPF_EXISTS)
            spf_start(c, name, POSTERN_DNS_A);
        else if (t.kind != SPF_PTR)
            spf_start(c, name, POSTERN_DNS_TXT);
    }
}

static enum spf_result qualified(char qualifier)
{
    return qualifier == '-'   ? SPF_FAIL
           : qualifier == '~' ? SPF_SOFTFAIL
           : qualifier == '?' ? SPF_NEUTRAL
                              : SPF_PASS;
}

static enum spf_result redirect(struct spf_check *c, const struct spf_record *record,
                                struct postern_str domain, bool explain_it)
{
    char room[SPF_EXPANDED_MAX];
    struct postern_str name;
    if (!count_lookup(c))
        return fail_with(c, SPF_PERMERROR, "more than 10 terms that ask DNS");
    if (!spf_target(c, record->redirect, domain, room, &name))
        return fail_with(c, SPF_PERMERROR, "redirect to no domain");
    enum spf_result result = check_domain(c, name, explain_it);
    return result == SPF_NONE ? fail_with(c, SPF_PERMERROR, "redirect to a domain without a record")
                              : result;
}

static enum spf_result evaluate(struct spf_check *c, const struct spf_record *record,
                                struct postern_str domain, bool explain_it)
{
    struct postern_str rest = record->terms;
    struct spf_term t;
    bool started = false;
    for (struct postern_str here = rest; spf_record_next(&rest, &t); here = rest) {
        if (!started && asks_dns(t.kind))
            start_terms(c, record, here, domain);
        started = started || asks_dns(t.kind);
        enum spf_match m = match_term(c, &t, domain);
        if (c->status != POSTERN_OK || m == SPF_MATCH_TEMPERROR)
            return SPF_TEMPERROR;
        if (m == SPF_MATCH_PERMERROR)
            return SPF_PERMERROR;
        if (m == SPF_MATCH_NO)
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
static enum spf_result check_domain(struct spf_check *c, struct postern_str domain, bool explain_it)
{
    const struct postern_dns_answer *answer;
    struct spf_record record;
    const char *problem = NULL;
    size_t count;
    if (!spf_domain_ok(domain))
        return SPF_NONE;
    int status = spf_lookup(c, domain, POSTERN_DNS_TXT, &answer);
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
    struct spf_check c = {.q = query, .out = out};
    out->problem = NULL;
    out->explanation_len = 0;
    out->result = check_domain(&c, query->domain, true);
    return c.status;
}
