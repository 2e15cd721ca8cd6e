#include "spf_guard.h"

#include "spf_check.h"
#include "spf_macro.h"
#include "spf_record.h"

void spf_guard_init(struct spf_guard *g, const struct spf_query *q)
{
    *g = (struct spf_guard){.q = q};
}

static int refuse(struct spf_guard *g, const char *why)
{
    g->refused = why;
    return POSTERN_ERROR;
}

bool spf_guard_text_ok(struct postern_str s)
{
    return s.len == 0 || memchr(s.p, '\0', s.len) == NULL;
}

/* ---- records */

static const char *screen_terms(struct postern_str txt)
{
    size_t terms = 0, term = 0;
    for (size_t i = 0; i < txt.len; i++) {
        if (txt.p[i] == ' ') {
            term = 0;
            continue;
        }
        terms += term == 0;
        if (++term > SPF_GUARD_TERM_MAX)
            return "a term is longer than libspf2 is given";
    }
    return terms > SPF_GUARD_TERMS_MAX ? "more terms than libspf2 is given" : NULL;
}

const char *spf_guard_screen(struct postern_str txt)
{
    struct spf_record record;
    const char *problem = NULL;
    if (txt.len > SPF_GUARD_RECORD_MAX)
        return "the record is longer than libspf2 is given";
    problem = screen_terms(txt);
    if (problem == NULL)
        (void)spf_record_read(txt, &record, &problem);
    return problem;
}

/* ---- questions */

/* POSTERN_OK with an answer that has records, POSTERN_NONE, POSTERN_ERROR. */
static int ask(struct spf_guard *g, struct postern_str name, uint32_t type,
               const struct postern_dns_answer **answer)
{
    if (g->refused != NULL || g->status != POSTERN_OK)
        return POSTERN_ERROR;
    if (++g->asked > SPF_GUARD_ASKED_MAX)
        return refuse(g, "more lookups than a record may ask for");
    int status = spf_ask(g->q, name, type, answer);
    if (status == POSTERN_DEADLINE)
        g->status = status;
    return status == POSTERN_OK || status == POSTERN_NONE ? status : POSTERN_ERROR;
}

static int count_term(struct spf_guard *g)
{
    return ++g->terms <= SPF_LOOKUPS_MAX ? POSTERN_OK
                                         : refuse(g, "more than 10 terms that ask DNS");
}

int spf_guard_record(struct spf_guard *g, struct postern_str name, struct postern_str records[2],
                     size_t *count)
{
    const struct postern_dns_answer *answer;
    bool first = !g->begun;
    if (name.len != 0 && name.p[name.len - 1] == '.')
        name.len--;
    *count = 0;
    g->begun = true;
    if (!first && count_term(g) != POSTERN_OK)
        return POSTERN_ERROR;
    int status = spf_domain_ok(name) ? ask(g, name, POSTERN_DNS_TXT, &answer) : POSTERN_NONE;
    if (status != POSTERN_OK)
        return status;
    for (size_t i = 0; i < answer->count && *count < 2; i++) {
        struct postern_str txt = answer->records[i].data;
        if (!spf_record_is(txt))
            continue;
        const char *problem = spf_guard_screen(txt);
        if (problem != NULL)
            return refuse(g, problem);
        records[(*count)++] = txt;
    }
    return *count == 0 ? POSTERN_NONE : POSTERN_OK;
}

/* Trouble here leaves the result as it is (section 6.2): there is no explanation then. */
int spf_guard_explanation(struct spf_guard *g, struct postern_str name, struct postern_str *text)
{
    const struct postern_dns_answer *answer;
    int status = spf_ask(g->q, name, POSTERN_DNS_TXT, &answer);
    if (status == POSTERN_DEADLINE)
        g->status = status;
    if (status != POSTERN_OK || answer->count != 1)
        return POSTERN_NONE;
    *text = answer->records[0].data;
    return spf_macro_ok(*text, SPF_MACRO_EXPLAIN) ? POSTERN_OK : POSTERN_NONE;
}

/* FNV-1a, without case. Two names of one hash make a count too low by one term, and all
 * questions are counted besides. */
static uint32_t hash_of(struct postern_str name)
{
    uint32_t h = 2166136261U;
    if (name.len != 0 && name.p[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)spf_lower(name.p[i])) * 16777619U;
    return h;
}

static void remember(struct spf_guard *g, struct postern_str name, bool of_ptr)
{
    if (g->name_count == SPF_GUARD_NAMES_MAX)
        return; /* then its address counts as a term */
    g->names[g->name_count].hash = hash_of(name);
    g->names[g->name_count++].of_ptr = of_ptr;
}

static bool knows(const struct spf_guard *g, struct postern_str name, bool *of_ptr)
{
    uint32_t h = hash_of(name);
    for (size_t i = 0; i < g->name_count; i++)
        if (g->names[i].hash == h) {
            *of_ptr = g->names[i].of_ptr;
            return true;
        }
    return false;
}

int spf_guard_lookup(struct spf_guard *g, struct postern_str name, uint32_t type,
                     const struct postern_dns_answer **answer, size_t *count)
{
    bool address = type == POSTERN_DNS_A || type == POSTERN_DNS_AAAA;
    bool of_ptr = type == POSTERN_DNS_PTR;
    *count = 0;
    if (!(address && knows(g, name, &of_ptr)) && count_term(g) != POSTERN_OK)
        return POSTERN_ERROR;
    int status = ask(g, name, type, answer);
    /* Section 5.5: trouble on the way to the client's names is no match. */
    if (of_ptr && status == POSTERN_ERROR && g->refused == NULL && g->status == POSTERN_OK)
        return POSTERN_NONE;
    if (status == POSTERN_NONE && !of_ptr && ++g->voids > g->q->voids_max)
        return refuse(g, "too many lookups without an answer");
    if (status != POSTERN_OK)
        return status;
    *count = (*answer)->count;
    if (type == POSTERN_DNS_MX && *count > SPF_MX_MAX)
        return refuse(g, "more than 10 mail exchangers");
    if (type == POSTERN_DNS_PTR && *count > SPF_PTR_MAX)
        *count = SPF_PTR_MAX; /* more are not looked at */
    for (size_t i = 0; i < *count && !address; i++) {
        struct postern_str data = (*answer)->records[i].data;
        if (type == POSTERN_DNS_PTR || data.len > 2)
            remember(g, type == POSTERN_DNS_PTR ? data : spf_slice(data, 2, data.len), of_ptr);
    }
    return POSTERN_OK;
}
