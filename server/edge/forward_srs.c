/* Senders of forwarded mail (server/smtp/srs.h): the address that it goes on under, and reports
 * that come back to such addresses. */
#include "edge.h"

#include "alabel.h"
#include "clock.h"
#include "expand.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

bool forward_secrets(struct edge_generation *g, int fd, struct pn_buf *err)
{
    if (fd < 0)
        return true;
    g->secrets = pn_pool_new_secret(2 * PN_SRS_FILE_MAX);
    struct pn_str file;
    bool ok = pn_srs_read(fd, g->secrets, &file, err) && pn_srs_secrets(&g->srs, file, err);
    g->srs.domain = pn_policy_str(g->policy, "forward.sender-domain");
    g->srs.valid_days = (uint32_t)(pn_policy_int(g->policy, "forward.valid") / DAY_MS);
    return ok;
}

static size_t sign_of(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at;
}

static int64_t now_s(const struct transaction *t)
{
    return t->now_ms / 1000;
}

/* Ours go on as they are: their domain is ours to publish. */
static bool is_ours(const struct transaction *t, struct pn_str address)
{
    struct pn_str domain = pn_str_slice(address, sign_of(address), address.len);
    return pn_str_eq(domain, t->s->gen->srs.domain) ||
           pn_policy_domain(t->s->gen->policy, domain) != NULL;
}

struct pn_str forward_sender(struct transaction *t)
{
    struct pn_alabel room;
    struct pn_buf b;
    if (t->rewritten.p != NULL)
        return t->rewritten;
    t->rewritten = PN_STR("");
    if (t->s->gen->srs.count == 0 || t->onward.len == 0 || is_ours(t, t->onward))
        return t->rewritten;
    struct pn_str ascii = pn_alabel_address(t->onward, &room);
    pn_buf_init(&b, 2 * PN_SMTP_PATH_MAX);
    if (pn_srs_make(&t->s->gen->srs, ascii.p == NULL ? t->onward : ascii, now_s(t), &b))
        t->rewritten = pn_pool_dup(t->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    if (t->rewritten.p == NULL)
        t->rewritten = PN_STR("");
    return t->rewritten;
}

/* Whom it holds: somebody of ours is looked up as any recipient is. */
static const char *stand_for(const struct transaction *t, struct txn_rcpt *r, struct pn_str to)
{
    static const struct pn_because by = {
        PN_STR_INIT(""), PN_STR_INIT("forward.sender-domain: a report on mail that we sent on")};
    const struct pn_policy *p = t->s->gen->policy;
    struct pn_expansion *x = pn_pool_alloc(t->pool, sizeof *x);
    struct pn_expand_target *target = pn_pool_alloc(t->pool, sizeof *target);
    const struct pn_domain *domain = pn_policy_domain(p, pn_str_slice(to, sign_of(to), to.len));
    struct pn_str local = pn_str_slice(to, 0, sign_of(to) - 1);
    if (x == NULL || target == NULL)
        return "452 4.5.3 Too many recipients";
    enum pn_expand_end end =
        domain == NULL ? PN_EXPAND_PLAIN : pn_expand(p, domain, to, t->pool, x);
    r->stands_for = x;
    if (end == PN_EXPAND_DONE)
        return NULL;
    if (end != PN_EXPAND_PLAIN || (domain != NULL && !pn_domain_has_user(p, domain, local)))
        return pn_policy_str(p, "replies.unknown").p;
    *target = (struct pn_expand_target){to, local, domain, &by, 1};
    *x = (struct pn_expansion){.targets = target, .count = 1, .cap = 1};
    return NULL;
}

bool forward_report(const struct transaction *t, struct txn_rcpt *r, const char **refusal)
{
    const struct pn_srs *srs = &t->s->gen->srs;
    struct pn_str domain = pn_str_slice(r->address, sign_of(r->address), r->address.len);
    struct pn_buf b;
    if (srs->count == 0 || !pn_str_ieq(domain, srs->domain) || !pn_srs_is(r->address))
        return false;
    pn_buf_init(&b, 2 * PN_SMTP_PATH_MAX);
    enum pn_srs_end end = pn_srs_open(srs, r->address, now_s(t), &b);
    struct pn_str to = end == PN_SRS_OPENED ? pn_pool_dup(t->pool, pn_buf_str(&b)) : PN_STR("");
    pn_buf_fini(&b);
    if (r->domain == NULL)
        r->domain = pn_policy_default_domain(t->s->gen->policy);
    *refusal = end == PN_SRS_STALE ? "550 5.1.1 This address was for reports, and its time is over"
               : end != PN_SRS_OPENED ? "550 5.1.1 This address was not made here"
               : t->from.len != 0     ? "550 5.7.1 This address takes nothing but reports"
               : to.p == NULL         ? "452 4.5.3 Too many recipients"
                                      : stand_for(t, r, to);
    return true;
}
