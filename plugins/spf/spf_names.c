/* Names of the client (sections 5.5 and 7.3), and the names that terms are about. */
#include "spf_check.h"

#include "spf_macro.h"

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

/* Its names by PTR, at most as many as may be looked at; NULL: none. */
static const struct postern_dns_answer *client_names(struct spf_check *c, size_t *count)
{
    const struct postern_dns_answer *answer = NULL;
    char room[80];
    struct spf_text name = {room, 0, sizeof room, false};
    const struct spf_macro_env env = {c->q, {NULL, 0}, NULL, NULL};
    spf_macro_expand(c->q->is_ipv4 ? POSTERN_STR("%{ir}.in-addr.arpa")
                                   : POSTERN_STR("%{ir}.ip6.arpa"),
                     &env, &name);
    *count = 0;
    if (spf_lookup(c, (struct postern_str){name.p, name.len}, POSTERN_DNS_PTR, &answer) !=
        POSTERN_OK)
        return NULL;
    *count = answer->count < SPF_PTR_MAX ? answer->count : SPF_PTR_MAX;
    return answer;
}

static bool is_validated(struct spf_check *c, struct postern_str name)
{
    const struct postern_dns_answer *answer;
    /* Names of answers are text with escapes already. */
    int status = c->q->lookup(c->q->ctx, name, spf_address_type(c), &answer);
    if (status == POSTERN_DEADLINE)
        c->status = status;
    return status == POSTERN_OK && answer->rcode == POSTERN_DNS_NOERROR &&
           spf_has_address(c, answer, c->q->is_ipv4 ? 32 : 128);
}

enum spf_match spf_match_ptr(struct spf_check *c, struct postern_str domain)
{
    size_t count;
    const struct postern_dns_answer *names = client_names(c, &count);
    for (size_t i = 0; i < count; i++)
        if (is_below(names->records[i].data, domain))
            spf_start(c, names->records[i].data, spf_address_type(c));
    for (size_t i = 0; i < count; i++)
        if (is_below(names->records[i].data, domain) && is_validated(c, names->records[i].data))
            return SPF_MATCH_YES;
    return SPF_MATCH_NO;
}

/* %{p}: the domain itself before a name below it before any other. */
struct validated_of {
    struct spf_check *check;
    struct postern_str domain;
};

static void find_validated(struct spf_check *c, struct postern_str domain)
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
    struct spf_check *c = of->check;
    if (!spf_ieq((struct postern_str){c->validated_for, c->validated_for_len}, of->domain)) {
        find_validated(c, of->domain);
        memcpy(c->validated_for, of->domain.p, of->domain.len);
        c->validated_for_len = of->domain.len;
    }
    return c->validated_len == 0 ? POSTERN_STR("unknown")
                                 : (struct postern_str){c->validated, c->validated_len};
}

/* ---- domain-specs ---- */

void spf_expand(struct spf_check *c, struct postern_str spec, struct postern_str domain,
                struct spf_text *out)
{
    struct validated_of of = {c, domain};
    const struct spf_macro_env env = {c->q, domain, validated_name, &of};
    spf_macro_expand(spec, &env, out);
}

/* The term's domain: the current one without a spec. Names over 253 bytes lose labels from
 * the left (section 7.3). False: it does not fit even so. */
bool spf_target(struct spf_check *c, struct postern_str spec, struct postern_str domain,
                char room[SPF_EXPANDED_MAX], struct postern_str *out)
{
    struct spf_text text = {room, 0, SPF_EXPANDED_MAX, false};
    *out = domain;
    if (spec.len == 0)
        return true;
    spf_expand(c, spec, domain, &text);
    *out = (struct postern_str){text.p, text.len};
    if (out->len != 0 && out->p[out->len - 1] == '.')
        out->len--;
    while (out->len > SPF_NAME_MAX) {
        size_t dot = spf_find(*out, '.');
        *out = dot == out->len ? (struct postern_str){NULL, 0} : spf_slice(*out, dot + 1, out->len);
    }
    return !text.full && out->len != 0;
}
