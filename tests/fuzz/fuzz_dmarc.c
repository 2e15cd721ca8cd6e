/*
 * Lines: the author's domain, an identifier, and then records, which the names of the walk
 * get in turn.
 */
#include "assert.h"
#include "dmarc_engine.h"
#include "str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct pn_str records, rest;
    struct postern_dns_record record;
    struct postern_dns_answer answer;
    unsigned asked;
};

static int lookup(void *ctx, struct postern_str name, uint32_t type,
                  const struct postern_dns_answer **answer)
{
    struct world *w = ctx;
    pn_assert(name.len <= 253 && memchr(name.p, '\0', name.len) == NULL);
    w->asked++;
    if (w->rest.p == NULL)
        w->rest = w->records;
    struct pn_str txt = w->rest.p == NULL ? PN_STR("") : pn_str_split(&w->rest, '\n');
    w->record = (struct postern_dns_record){.ttl = 1, .data = {txt.p, txt.len}};
    w->answer = (struct postern_dns_answer){.count = txt.len != 0, .records = &w->record};
    if (pn_str_eq(txt, PN_STR("nx")))
        w->answer = (struct postern_dns_answer){.rcode = POSTERN_DNS_NXDOMAIN};
    if (pn_str_eq(txt, PN_STR("late")))
        w->answer = (struct postern_dns_answer){.rcode = POSTERN_DNS_TIMEOUT};
    *answer = &w->answer;
    (void)type;
    return POSTERN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str rest = {(const char *)data, size};
    struct pn_str author = pn_str_split(&rest, '\n');
    struct pn_str identifier = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '\n');
    struct world w = {.records = rest, .rest = rest};
    struct dmarc_identifier ids[2] = {{.dkim = false}, {.dkim = true, .temporary = true}};
    struct dmarc_query q = {.identifiers = ids, .identifier_count = 2, .lookup = lookup, .ctx = &w};
    struct dmarc_outcome out;
    if (!dmarc_name_of((struct postern_str){author.p, author.len}, &q.author) ||
        !dmarc_name_of((struct postern_str){identifier.p, identifier.len}, &ids[0].domain))
        return 0;
    ids[1].domain = ids[0].domain;
    pn_assert(dmarc_check(&q, &out) == POSTERN_OK);
    pn_assert(w.asked <= 3 * DMARC_WALK_MAX + 1);
    pn_assert(out.result == DMARC_FAIL || out.disposition == DMARC_POLICY_NONE);
    if (out.record_domain.len != 0)
        pn_assert(dmarc_name_below(&q.author, &out.record_domain));
    if (out.org_domain.len != 0)
        pn_assert(dmarc_name_below(&q.author, &out.org_domain));
    return 0;
}
