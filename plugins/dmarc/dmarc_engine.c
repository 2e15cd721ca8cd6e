#include "dmarc_engine.h"

#include <stdio.h>

/* A record, and whose it is. */
struct found {
    struct dmarc_name domain;
    struct dmarc_record record;
};

/* What a tree walk brought: records from the longest name to the shortest. */
struct walk {
    struct found found[DMARC_WALK_MAX];
    size_t count;
    struct dmarc_name start, org;
};

const char *dmarc_result_name(enum dmarc_result result)
{
    static const char *const names[] = {"none", "pass", "fail", "temperror"};
    return names[result];
}

/* ---- records ---- */

static struct postern_str policy_name(const struct dmarc_name *domain, char room[256])
{
    int len = snprintf(room, 256, "_dmarc.%s", domain->p);
    return (struct postern_str){room, (size_t)len};
}

static void start(const struct dmarc_query *q, const struct dmarc_name *domain)
{
    char room[256];
    if (q->start != NULL)
        q->start(q->ctx, policy_name(domain, room), POSTERN_DNS_TXT);
}

int dmarc_get_record(const struct dmarc_query *q, const struct dmarc_name *domain,
                     struct dmarc_record *out)
{
    char room[256];
    const struct postern_dns_answer *answer;
    struct postern_str txt = {NULL, 0};
    size_t count = 0;
    int status = q->lookup(q->ctx, policy_name(domain, room), POSTERN_DNS_TXT, &answer);
    if (status == POSTERN_INVALID)
        return POSTERN_NONE;
    if (status != POSTERN_OK)
        return status;
    if (answer->rcode != POSTERN_DNS_NOERROR)
        return answer->rcode == POSTERN_DNS_NXDOMAIN ? POSTERN_NONE : POSTERN_ERROR;
    for (size_t i = 0; i < answer->count; i++)
        if (dmarc_record_is(answer->records[i].data)) {
            txt = answer->records[i].data;
            count++;
        }
    if (count != 1)
        return POSTERN_NONE;
    dmarc_record_read(txt, out);
    return POSTERN_OK;
}

/* ---- organizational domains ---- */

/* The n-th name of a walk: the domain, then its last seven labels at most, then one less
 * each time. False: there are no more. */
static bool walk_name(const struct dmarc_name *start_at, size_t n, struct dmarc_name *out)
{
    size_t labels = dmarc_name_labels(start_at), most = DMARC_WALK_MAX - 1;
    size_t top = labels - 1 < most ? labels - 1 : most;
    if (n > top)
        return false;
    dmarc_name_tail(start_at, n == 0 ? labels : top - (n - 1), out);
    return true;
}

/* Section 4.10.2. */
static void choose_org(struct walk *w)
{
    w->org = w->start;
    for (size_t i = 0; i < w->count; i++) {
        const struct found *f = &w->found[i];
        if (f->record.psd == DMARC_PSD_N) {
            w->org = f->domain;
            return;
        }
        if (f->record.psd == DMARC_PSD_Y && !dmarc_name_eq(&f->domain, &w->start)) {
            dmarc_name_tail(&w->start, dmarc_name_labels(&f->domain) + 1, &w->org);
            return;
        }
    }
    if (w->count != 0)
        w->org = w->found[w->count - 1].domain;
}

static void start_tree(const struct dmarc_query *q, const struct dmarc_name *domain)
{
    struct dmarc_name name;
    for (size_t n = 0; walk_name(domain, n, &name); n++)
        start(q, &name);
}

static int walk_tree(const struct dmarc_query *q, const struct dmarc_name *domain, struct walk *w)
{
    struct dmarc_name name;
    w->count = 0;
    w->start = *domain;
    start_tree(q, domain);
    for (size_t n = 0; walk_name(domain, n, &name); n++) {
        struct found *f = &w->found[w->count];
        int status = dmarc_get_record(q, &name, &f->record);
        if (status == POSTERN_NONE)
            continue;
        if (status != POSTERN_OK)
            return status;
        f->domain = name;
        w->count++;
        if (f->record.psd != DMARC_PSD_U)
            break;
    }
    choose_org(w);
    return POSTERN_OK;
}

void dmarc_registrable(const struct dmarc_query *q, const struct dmarc_name *domain,
                       struct dmarc_name *org)
{
    const char *text = q->registrable(q->ctx, domain->p);
    if (text == NULL || !dmarc_name_of((struct postern_str){text, strlen(text)}, org))
        *org = *domain;
}

/* RFC 7489's way: two names at most. */
static void start_list(const struct dmarc_query *q, const struct dmarc_name *domain,
                       struct dmarc_name *org)
{
    dmarc_registrable(q, domain, org);
    start(q, domain);
    if (!dmarc_name_eq(domain, org))
        start(q, org);
}

static int walk_list(const struct dmarc_query *q, const struct dmarc_name *domain, struct walk *w)
{
    w->count = 0;
    w->start = *domain;
    start_list(q, domain, &w->org);
    bool two = !dmarc_name_eq(domain, &w->org);
    for (unsigned i = 0; i < (two ? 2U : 1U); i++) {
        struct found *f = &w->found[w->count];
        f->domain = i == 0 ? *domain : w->org;
        int status = dmarc_get_record(q, &f->domain, &f->record);
        if (status == POSTERN_OK)
            w->count++;
        else if (status != POSTERN_NONE)
            return status;
    }
    return POSTERN_OK;
}

void dmarc_start(const struct dmarc_query *q)
{
    struct dmarc_name org;
    if (q->registrable != NULL)
        start_list(q, &q->author, &org);
    else
        start_tree(q, &q->author);
}

static int walk(const struct dmarc_query *q, const struct dmarc_name *domain, struct walk *w)
{
    return q->registrable != NULL ? walk_list(q, domain, w) : walk_tree(q, domain, w);
}

/* ---- alignment ---- */

/* author_org: known already. */
static int align(const struct dmarc_query *q, const struct dmarc_name *author,
                 const struct dmarc_name *author_org, const struct dmarc_name *identifier,
                 bool strict)
{
    struct walk w;
    if (dmarc_name_eq(author, identifier))
        return POSTERN_OK;
    if (strict || !dmarc_name_below(identifier, author_org))
        return POSTERN_NONE;
    if (dmarc_name_eq(identifier, author_org))
        return POSTERN_OK;
    if (q->registrable != NULL)
        dmarc_registrable(q, identifier, &w.org);
    else {
        int status = walk_tree(q, identifier, &w);
        if (status != POSTERN_OK)
            return status;
    }
    return dmarc_name_eq(&w.org, author_org) ? POSTERN_OK : POSTERN_NONE;
}

int dmarc_align(const struct dmarc_query *q, const struct dmarc_name *author,
                const struct dmarc_name *identifier, bool strict)
{
    struct walk w;
    if (author->len == 0 || identifier->len == 0)
        return POSTERN_NONE;
    int status = strict ? POSTERN_OK : walk(q, author, &w);
    return status == POSTERN_OK ? align(q, author, &w.org, identifier, strict) : status;
}

/* ---- policy ---- */

/* Section 4.10.1: the record of the author domain, of the organizational domain, or of
 * the public suffix above that. NULL: none of them has one. */
static const struct found *choose_record(const struct walk *w)
{
    const struct found *suffix = NULL;
    for (size_t i = 0; i < w->count; i++) {
        const struct found *f = &w->found[i];
        if (dmarc_name_eq(&f->domain, &w->start))
            return f;
    }
    for (size_t i = 0; i < w->count; i++) {
        const struct found *f = &w->found[i];
        if (dmarc_name_eq(&f->domain, &w->org))
            return f;
        if (f->record.psd == DMARC_PSD_Y)
            suffix = f;
    }
    return suffix;
}

/* RFC 8020: a name that is NXDOMAIN does not exist. In doubt it does. */
static int exists(const struct dmarc_query *q, const struct dmarc_name *domain, bool *out)
{
    const struct postern_dns_answer *answer;
    int status = q->lookup(q->ctx, dmarc_name_str(domain), POSTERN_DNS_A, &answer);
    *out = status != POSTERN_OK || answer->rcode != POSTERN_DNS_NXDOMAIN;
    return status == POSTERN_DEADLINE ? status : POSTERN_OK;
}

static int choose_policy(const struct dmarc_query *q, const struct found *f,
                         enum dmarc_policy *policy)
{
    const struct dmarc_record *r = &f->record;
    bool there = true;
    *policy = r->p;
    if (dmarc_name_eq(&f->domain, &q->author))
        return POSTERN_OK;
    if (r->sp != DMARC_POLICY_UNSET)
        *policy = r->sp;
    if (r->np == DMARC_POLICY_UNSET || r->np == *policy)
        return POSTERN_OK;
    int status = exists(q, &q->author, &there);
    if (!there)
        *policy = r->np;
    return status;
}

static enum dmarc_policy one_less(enum dmarc_policy policy)
{
    return policy == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE : DMARC_POLICY_NONE;
}

/* Section 5.3.5: any identifier that aligns makes a pass. One that might, were its check not
 * in trouble, leaves it open (section 5.3.6). All are looked at: a report tells of both kinds. */
static int judge(const struct dmarc_query *q, const struct walk *w, const struct dmarc_record *r,
                 struct dmarc_outcome *out)
{
    out->result = DMARC_FAIL;
    for (size_t i = 0; i < q->identifier_count; i++) {
        const struct dmarc_identifier *id = &q->identifiers[i];
        bool *aligned = id->dkim ? &out->dkim_aligned : &out->spf_aligned;
        if (*aligned || (id->temporary && out->result == DMARC_PASS))
            continue;
        int status =
            align(q, &q->author, &w->org, &id->domain, id->dkim ? r->strict_dkim : r->strict_spf);
        if (status == POSTERN_DEADLINE)
            return status;
        if (status == POSTERN_OK && !id->temporary) {
            *aligned = true;
            out->result = DMARC_PASS;
            out->problem = NULL;
        } else if (status != POSTERN_NONE && out->result != DMARC_PASS) {
            out->result = DMARC_TEMPERROR;
            out->problem = status == POSTERN_OK ? id->dkim ? "DKIM had a temporary error"
                                                           : "SPF had a temporary error"
                                                : "a lookup failed";
        }
    }
    out->disposition = out->result != DMARC_FAIL ? DMARC_POLICY_NONE
                       : r->testing              ? one_less(out->policy)
                                                 : out->policy;
    return POSTERN_OK;
}

int dmarc_check(const struct dmarc_query *q, struct dmarc_outcome *out)
{
    struct walk w;
    *out = (struct dmarc_outcome){.policy = DMARC_POLICY_UNSET, .disposition = DMARC_POLICY_NONE};
    int status = walk(q, &q->author, &w);
    if (status == POSTERN_DEADLINE)
        return status;
    if (status != POSTERN_OK) {
        out->result = DMARC_TEMPERROR;
        out->problem = "a record could not be looked up";
        return POSTERN_OK;
    }
    out->org_domain = w.org;
    const struct found *f = choose_record(&w);
    if (f == NULL)
        return POSTERN_OK;
    out->record_domain = f->domain;
    if (!f->record.usable) { /* section 4.10.1: no DMARC processing, nor by a parent's record */
        out->problem = "the record has no policy that can be used";
        return POSTERN_OK;
    }
    out->record = f->record;
    status = choose_policy(q, f, &out->policy);
    return status == POSTERN_OK ? judge(q, &w, &f->record, out) : status;
}
