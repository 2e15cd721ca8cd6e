#include <stdio.h>
#include <sys/types.h>

#include <opendmarc/dmarc.h>

/* Its words for policies are macros, and the same as ours. */
enum {
    LIB_PASS = DMARC_POLICY_PASS,
    LIB_REJECT = DMARC_POLICY_REJECT,
    LIB_QUARANTINE = DMARC_POLICY_QUARANTINE,
    LIB_NONE = DMARC_POLICY_NONE
};
#undef DMARC_POLICY_PASS
#undef DMARC_POLICY_REJECT
#undef DMARC_POLICY_QUARANTINE
#undef DMARC_POLICY_NONE

#include "dmarc_opendmarc.h"

static OPENDMARC_LIB_T library;

bool dmarc_opendmarc_init(const char *path)
{
    size_t len = strlen(path);
    library = (OPENDMARC_LIB_T){.tld_type = OPENDMARC_TLD_TYPE_MOZILLA};
    if (len >= sizeof library.tld_source_file)
        return false;
    memcpy(library.tld_source_file, path, len + 1);
    return opendmarc_policy_library_init(&library) == DMARC_PARSE_OKAY;
}

void dmarc_opendmarc_fini(void)
{
    if (library.tld_type != OPENDMARC_TLD_TYPE_NONE)
        (void)opendmarc_policy_library_shutdown(&library);
    library.tld_type = OPENDMARC_TLD_TYPE_NONE;
}

/* ---- what it is given. It takes text that it does not change, but does not say so. */

static u_char *text_of(const struct dmarc_name *n)
{
    union {
        const char *from;
        u_char *to;
    } u = {.from = n->p};
    return u.to;
}

/* RFC 7489's tags of a record that was read. */
static void record_text(const struct dmarc_record *r, char room[100])
{
    bool sp = r->sp != DMARC_POLICY_UNSET;
    (void)snprintf(room, 100, "v=DMARC1; p=%s%s%s; adkim=%c; aspf=%c", dmarc_policy_name(r->p),
                   sp ? "; sp=" : "", sp ? dmarc_policy_name(r->sp) : "",
                   r->strict_dkim ? 's' : 'r', r->strict_spf ? 's' : 'r');
}

/* RFC 7489, section 6.6.3: the author's domain, then the organizational one. */
static int find_record(const struct dmarc_query *q, struct dmarc_outcome *out)
{
    dmarc_registrable(q, &q->author, &out->org_domain);
    out->record_domain = q->author;
    int status = dmarc_get_record(q, &q->author, &out->record);
    if (status == POSTERN_NONE && !dmarc_name_eq(&q->author, &out->org_domain)) {
        out->record_domain = out->org_domain;
        status = dmarc_get_record(q, &out->org_domain, &out->record);
    }
    if (status != POSTERN_OK)
        out->record_domain.len = 0;
    return status;
}

static int store(DMARC_POLICY_T *p, const struct dmarc_query *q, struct dmarc_outcome *out)
{
    bool own = dmarc_name_eq(&out->record_domain, &q->author);
    union {
        char text[100];
        u_char bytes[100];
    } record;
    static u_char selector[] = "-";
    int status = opendmarc_policy_store_from_domain(p, text_of(&q->author));
    for (size_t i = 0; i < q->identifier_count && status == DMARC_PARSE_OKAY; i++) {
        const struct dmarc_identifier *id = &q->identifiers[i];
        if (id->temporary)
            continue;
        status = id->dkim ? opendmarc_policy_store_dkim(p, text_of(&id->domain), selector,
                                                        DMARC_POLICY_DKIM_OUTCOME_PASS, NULL)
                          : opendmarc_policy_store_spf(p, text_of(&id->domain),
                                                       DMARC_POLICY_SPF_OUTCOME_PASS,
                                                       DMARC_POLICY_SPF_ORIGIN_MAILFROM, NULL);
    }
    record_text(&out->record, record.text);
    return status != DMARC_PARSE_OKAY
               ? status
               : opendmarc_policy_store_dmarc(p, record.bytes, text_of(&q->author),
                                              own ? NULL : text_of(&out->org_domain));
}

/* ---- what it says */

static bool any_open(const struct dmarc_query *q, const struct dmarc_name *org)
{
    for (size_t i = 0; i < q->identifier_count; i++)
        if (q->identifiers[i].temporary && dmarc_name_below(&q->identifiers[i].domain, org))
            return true;
    return false;
}

static void judge(DMARC_POLICY_T *p, const struct dmarc_query *q, struct dmarc_outcome *out)
{
    int dkim = 0, spf = 0;
    int enforce = opendmarc_get_policy_to_enforce(p); /* first: it aligns */
    (void)opendmarc_policy_fetch_alignment(p, &dkim, &spf);
    out->spf_aligned = spf == DMARC_POLICY_SPF_ALIGNMENT_PASS;
    out->dkim_aligned = dkim == DMARC_POLICY_DKIM_ALIGNMENT_PASS;
    out->policy = out->record.p;
    if (!dmarc_name_eq(&out->record_domain, &q->author) && out->record.sp != DMARC_POLICY_UNSET)
        out->policy = out->record.sp;
    switch (enforce) {
    case LIB_PASS:
        out->result = DMARC_PASS;
        return;
    case LIB_REJECT:
        out->disposition = DMARC_POLICY_REJECT;
        break;
    case LIB_QUARANTINE:
        out->disposition = DMARC_POLICY_QUARANTINE;
        break;
    case LIB_NONE:
        out->disposition = DMARC_POLICY_NONE;
        break;
    default:
        out->result = DMARC_NONE;
        out->problem = "libopendmarc can't use the record";
        return;
    }
    out->policy = out->disposition;
    out->result = DMARC_FAIL;
    if (any_open(q, &out->org_domain)) {
        out->result = DMARC_TEMPERROR;
        out->disposition = DMARC_POLICY_NONE;
        out->problem = "SPF or DKIM had a temporary error";
    }
}

int dmarc_opendmarc_check(const struct dmarc_query *q, struct dmarc_outcome *out)
{
    *out = (struct dmarc_outcome){.policy = DMARC_POLICY_UNSET, .disposition = DMARC_POLICY_NONE};
    int status = find_record(q, out);
    if (status == POSTERN_DEADLINE || status == POSTERN_NONE)
        return status == POSTERN_NONE ? POSTERN_OK : status;
    if (status != POSTERN_OK) {
        out->result = DMARC_TEMPERROR;
        out->problem = "a record could not be looked up";
        return POSTERN_OK;
    }
    if (!out->record.usable) {
        out->problem = "the record has no policy that can be used";
        return POSTERN_OK;
    }
    static u_char anybody[] = "0.0.0.0"; /* it only keeps the address */
    DMARC_POLICY_T *p = opendmarc_policy_connect_init(anybody, DMARC_POLICY_IP_TYPE_IPV4);
    if (p == NULL || store(p, q, out) != DMARC_PARSE_OKAY) {
        out->result = DMARC_TEMPERROR;
        out->problem = "libopendmarc can't be given this message";
    } else {
        judge(p, q, out);
    }
    if (p != NULL)
        (void)opendmarc_policy_connect_shutdown(p);
    return POSTERN_OK;
}
