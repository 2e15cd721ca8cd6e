/* `engine libspf2`: the library, behind spf_guard.h. */
#include "spf_libspf2.h"

#include "spf_check.h"
#include "spf_guard.h"
#include "spf_record.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <spf2/spf.h>
#include <spf2/spf_dns.h>

/* The library always has an explanation. */
#define NO_EXPLANATION "[none]"

enum { LOCAL_MAX = 512, HELO_MAX = 255 };

struct check {
    struct spf_guard guard;
    const struct spf_query *q;
    SPF_request_t *request;
    /* the explanation that was asked for last: where it stands, for which domain, and what
     * the library got in its place */
    char explained_by[SPF_NAME_MAX + 1], explained[SPF_NAME_MAX + 1], mark[16];
    unsigned explanations;
};

/* ---- records and explanations: the library's own ways are not gone */

static SPF_errcode_t say(SPF_response_t *response, SPF_result_t result, SPF_errcode_t error)
{
    response->result = result;
    response->reason = SPF_REASON_FAILURE;
    response->err = error;
    return error;
}

static size_t count_terms(struct postern_str txt)
{
    struct spf_term term;
    struct spf_record record;
    const char *problem;
    size_t count = 0;
    if (spf_record_read(txt, &record, &problem))
        while (spf_record_next(&record.terms, &term))
            count++;
    return count;
}

/* Where terms fill more than 512 bytes of its own, or it does not like one, the library says
 * "no error" and goes on without the rest, a "-all" for instance. */
static SPF_errcode_t compile(SPF_server_t *server, SPF_response_t *response, struct postern_str txt,
                             SPF_record_t **record)
{
    char text[SPF_GUARD_RECORD_MAX + 1];
    memcpy(text, txt.p, txt.len);
    memcpy(text, "v=spf1", 6); /* it minds the case */
    text[txt.len] = '\0';
    SPF_errcode_t error = SPF_record_compile(server, response, record, text);
    if (error == SPF_E_SUCCESS &&
        (size_t)(*record)->num_mech + (*record)->num_mod < count_terms(txt))
        error = SPF_E_BIG_MECH;
    if (error == SPF_E_SUCCESS)
        return error;
    if (*record != NULL)
        SPF_record_free(*record);
    *record = NULL;
    return say(response, SPF_RESULT_PERMERROR, error);
}

static SPF_errcode_t get_record(SPF_server_t *server, SPF_request_t *request,
                                SPF_response_t *response, SPF_record_t **record)
{
    struct check *c = server->resolver->hook;
    struct postern_str records[2];
    size_t count;
    int status = spf_guard_record(&c->guard,
                                  (struct postern_str){request->cur_dom, strlen(request->cur_dom)},
                                  records, &count);
    *record = NULL;
    if (status == POSTERN_NONE)
        return say(response, SPF_RESULT_NONE, SPF_E_NOT_SPF);
    if (status != POSTERN_OK)
        return say(response, SPF_RESULT_TEMPERROR, SPF_E_DNS_ERROR);
    if (count > 1)
        return say(response, SPF_RESULT_PERMERROR, SPF_E_MULTIPLE_RECORDS);
    return compile(server, response, records[0], record);
}

static void keep(char room[SPF_NAME_MAX + 1], const char *name)
{
    (void)snprintf(room, SPF_NAME_MAX + 1, "%s", strlen(name) <= SPF_NAME_MAX ? name : "");
}

/* It wants one for each result of each record. Only the last call's is asked for, once the
 * check has failed: so this notes which that was. name stands in *buf. */
static SPF_errcode_t get_explanation(SPF_server_t *server, const char *name, char **buf,
                                     size_t *size)
{
    struct check *c = server->resolver->hook;
    keep(c->explained_by, name);
    keep(c->explained, c->request->cur_dom);
    (void)snprintf(c->mark, sizeof c->mark, "[%u]", ++c->explanations);
    if (*size < sizeof c->mark) {
        char *to = realloc(*buf, sizeof c->mark);
        if (to == NULL)
            return SPF_E_NO_MEMORY;
        *buf = to;
        *size = sizeof c->mark;
    }
    memcpy(*buf, c->mark, sizeof c->mark);
    return SPF_E_SUCCESS;
}

/* By our macros: the library's make a % of each blank, and leave what is behind as it is. */
static void explain(struct check *c, struct spf_outcome *out)
{
    struct spf_check check = {.q = c->q, .out = out};
    struct spf_text to = {out->explanation, 0, SPF_EXPLANATION_MAX, false};
    struct postern_str text;
    if (c->explained_by[0] == '\0' || c->explained[0] == '\0' ||
        spf_guard_explanation(&c->guard,
                              (struct postern_str){c->explained_by, strlen(c->explained_by)},
                              &text) != POSTERN_OK)
        return;
    spf_expand(&check, text, (struct postern_str){c->explained, strlen(c->explained)}, &to);
    if (check.status != POSTERN_OK)
        c->guard.status = check.status;
    for (size_t i = 0; i < to.len; i++)
        if (to.p[i] < ' ' || to.p[i] > '~')
            return;
    out->explanation_len = to.full ? 0 : to.len;
}

/* ---- answers */

/* The library ends the process where this is NULL: there is no memory. */
static SPF_dns_rr_t *empty(SPF_dns_server_t *dns, const char *name, ns_type type, int status)
{
    return SPF_dns_rr_new_init(dns, name, type, 0,
                               status == POSTERN_OK     ? NETDB_SUCCESS
                               : status == POSTERN_NONE ? HOST_NOT_FOUND
                                                        : TRY_AGAIN);
}

static void add(SPF_dns_rr_t *rr, struct postern_str data, bool text)
{
    if (SPF_dns_rr_buf_realloc(rr, rr->num_rr, data.len + 1) != SPF_E_SUCCESS)
        return;
    char *to = (char *)rr->rr[rr->num_rr++];
    memcpy(to, data.p, data.len);
    if (text)
        to[data.len] = '\0';
}

/* What the library may see of a record's data; empty: nothing. */
static struct postern_str seen_of(uint32_t type, struct postern_str data)
{
    const struct postern_str none = {NULL, 0};
    size_t skip = type == POSTERN_DNS_MX ? 2 : 0;
    if (type == POSTERN_DNS_A || type == POSTERN_DNS_AAAA)
        return data.len == (type == POSTERN_DNS_A ? 4 : 16) ? data : none;
    if (data.len <= skip || data.len > SPF_NAME_MAX + skip)
        return none;
    data = spf_slice(data, skip, data.len);
    return spf_guard_text_ok(data) ? data : none;
}

static SPF_dns_rr_t *find(struct check *c, SPF_dns_server_t *dns, const char *name, ns_type type)
{
    const struct postern_dns_answer *answer;
    size_t count;
    bool text = type == ns_t_mx || type == ns_t_ptr;
    int status = spf_guard_lookup(&c->guard, (struct postern_str){name, strlen(name)},
                                  (uint32_t)type, &answer, &count);
    SPF_dns_rr_t *rr = empty(dns, name, type, status);
    for (size_t i = 0; rr != NULL && status == POSTERN_OK && i < count; i++) {
        struct postern_str data = seen_of((uint32_t)type, answer->records[i].data);
        if (data.len != 0)
            add(rr, data, text);
    }
    return rr;
}

static SPF_dns_rr_t *lookup(SPF_dns_server_t *dns, const char *name, ns_type type, int cache)
{
    struct check *c = dns->hook;
    (void)cache;
    switch ((int)type) {
    case ns_t_a:
    case ns_t_aaaa:
    case ns_t_mx:
    case ns_t_ptr:
        return find(c, dns, name, type);
    default:
        return empty(dns, name, type, POSTERN_NONE);
    }
}

/* ---- a check */

static void quiet(const char *file, int line, const char *message)
{
    (void)file;
    (void)line;
    (void)message;
}

void spf_libspf2_init(void)
{
    SPF_warning_handler = quiet;
    SPF_info_handler = quiet;
    SPF_debug_handler = quiet;
}

/* It calls all mail of these a pass. */
static bool is_loopback(const struct spf_query *q)
{
    static const unsigned char one[16] = {[15] = 1};
    return q->is_ipv4 ? q->ip[12] == 127 : memcmp(q->ip, one, sizeof one) == 0;
}

static bool set_request(SPF_request_t *r, const struct spf_query *q)
{
    char helo[HELO_MAX + 1], sender[LOCAL_MAX + 1 + SPF_NAME_MAX + 2];
    struct in_addr v4;
    struct in6_addr v6;
    const char *local = q->local.len == 0 ? "postmaster" : q->local.p;
    size_t len = q->local.len == 0 ? strlen(local) : q->local.len;
    (void)snprintf(helo, sizeof helo, "%.*s", (int)q->helo.len, q->helo.p);
    (void)snprintf(sender, sizeof sender, "%.*s@%.*s", (int)len, local, (int)q->domain.len,
                   q->domain.p);
    if (helo[0] == '\0') /* it must have one */
        (void)snprintf(helo, sizeof helo, "unknown");
    memcpy(&v4, q->ip + 12, sizeof v4);
    memcpy(&v6, q->ip, sizeof v6);
    return (q->is_ipv4 ? SPF_request_set_ipv4(r, v4) : SPF_request_set_ipv6(r, v6)) ==
               SPF_E_SUCCESS &&
           SPF_request_set_helo_dom(r, helo) == SPF_E_SUCCESS &&
           SPF_request_set_env_from(r, sender) == 0;
}

static bool set_server(SPF_server_t *s, const struct spf_query *q)
{
    SPF_response_t *response = NULL;
    char receiver[HELO_MAX + 1];
    (void)snprintf(receiver, sizeof receiver, "%.*s", (int)q->receiver.len, q->receiver.p);
    bool ok =
        SPF_server_set_rec_dom(s, receiver[0] == '\0' ? "unknown" : receiver) == SPF_E_SUCCESS &&
        SPF_server_set_explanation(s, NO_EXPLANATION, &response) == SPF_E_SUCCESS;
    if (response != NULL)
        SPF_response_free(response);
    return ok;
}

static enum spf_result result_of(SPF_response_t *response, const struct spf_guard *g)
{
    if (g->refused != NULL)
        return SPF_PERMERROR;
    switch (SPF_response_result(response)) {
    case SPF_RESULT_NEUTRAL:
        return SPF_NEUTRAL;
    case SPF_RESULT_PASS:
        return SPF_PASS;
    case SPF_RESULT_FAIL:
        return SPF_FAIL;
    case SPF_RESULT_SOFTFAIL:
        return SPF_SOFTFAIL;
    case SPF_RESULT_TEMPERROR:
        return SPF_TEMPERROR;
    case SPF_RESULT_PERMERROR:
        return SPF_PERMERROR;
    case SPF_RESULT_NONE:
        return SPF_NONE;
    default: /* "we should never return this": it does, for errors that it forgot to name */
        return SPF_PERMERROR;
    }
}

static void judge(struct check *c, SPF_response_t *response, struct spf_outcome *out)
{
    const struct spf_guard *g = &c->guard;
    const char *mark = SPF_response_get_explanation(response);
    out->result = result_of(response, g);
    if (out->result == SPF_TEMPERROR || out->result == SPF_PERMERROR)
        out->problem =
            g->refused != NULL ? g->refused : SPF_strerror(SPF_response_errcode(response));
    else if (out->result == SPF_FAIL && mark != NULL && strcmp(mark, c->mark) == 0)
        explain(c, out);
}

static void no_memory(struct spf_outcome *out)
{
    out->result = SPF_TEMPERROR;
    out->problem = "libspf2 has no memory";
}

/* A server a check: the layer's state is then nobody else's. */
static int run(const struct spf_query *q, struct spf_outcome *out)
{
    struct check c = {.q = q};
    SPF_dns_server_t layer = {.lookup = lookup,
                              .get_spf = get_record,
                              .get_exp = get_explanation,
                              .name = "postern",
                              .hook = &c};
    SPF_response_t *response = NULL;
    spf_guard_init(&c.guard, q);
    SPF_server_t *server = SPF_server_new_dns(&layer, 0);
    SPF_request_t *request = server == NULL ? NULL : SPF_request_new(server);
    c.request = request;
    if (request == NULL || !set_server(server, q) || !set_request(request, q)) {
        no_memory(out);
    } else {
        (void)SPF_request_query_mailfrom(request, &response);
        if (response == NULL)
            no_memory(out);
        else
            judge(&c, response, out);
    }
    if (response != NULL)
        SPF_response_free(response);
    if (request != NULL)
        SPF_request_free(request);
    if (server != NULL)
        SPF_server_free(server);
    return c.guard.status;
}

int spf_libspf2_check(const struct spf_query *q, struct spf_outcome *out)
{
    if (is_loopback(q))
        return spf_check(q, out);
    out->problem = NULL;
    out->explanation_len = 0;
    out->result = SPF_NONE;
    if (!spf_domain_ok(q->domain))
        return POSTERN_OK;
    if (q->local.len > LOCAL_MAX || !spf_guard_text_ok(q->local) || !spf_guard_text_ok(q->domain)) {
        out->result = SPF_PERMERROR;
        out->problem = "libspf2 can't be given this sender";
        return POSTERN_OK;
    }
    return run(q, out);
}
