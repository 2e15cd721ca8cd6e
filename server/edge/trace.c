/* The header lines that we add: Received, Authentication-Results, the verdict; the forged ones
 * of the last two that we remove (RFC 8601, section 5); and what plugins change. */
#include "edge.h"

#include "authres.h"
#include "clock.h"
#include "date.h"
#include "received.h"

#define VERDICT "X-Postern-Verdict"

enum {
    OUR_LINES = 12,
    LINES_BYTES = 2 * PN_FACTS_EDIT_BYTES_MAX,
    RESULTS_MAX = PN_FACTS_AUTH_MAX,
    PROPERTIES_MAX = 8
};

struct list {
    struct transaction *t;
    struct pn_edit_group *group;
    size_t room;
};

/* value is copied. */
static void add(struct list *l, enum pn_hedit op, const char *name, struct pn_str value)
{
    struct pn_edit_group *g = l->group;
    if (g->count == l->room || value.p == NULL || !pn_header_value_ok(value))
        return;
    g->edits[g->count++] = (struct pn_header_edit){
        .op = (uint8_t)op, .name = pn_str_of(name), .value = pn_pool_dup(l->t->pool, value)};
}

/* What a user's program left to us: RFC 6409, section 8. */
static void add_lacking(struct list *l)
{
    const struct transaction *t = l->t;
    struct pn_buf b;
    pn_buf_init(&b, 2048);
    if (t->lacks_id)
        add(l, PN_HEDIT_AFTER_TRACE, "Message-ID", t->message_id);
    if (t->lacks_from) {
        struct pn_str from = t->from.len != 0 ? t->from : session_user(t->s);
        (void)pn_buf_addf(&b, "<%.*s>", PN_FMT(from));
        add(l, PN_HEDIT_AFTER_TRACE, "From", pn_buf_str(&b));
        pn_buf_clear(&b);
    }
    if (t->lacks_date) {
        pn_date_format(&b, t->now_ms / 1000, 0);
        add(l, PN_HEDIT_AFTER_TRACE, "Date", pn_buf_str(&b));
    }
    pn_buf_fini(&b);
}

static void add_received(struct list *l)
{
    const struct transaction *t = l->t;
    const struct session *s = t->s;
    char ip[PN_IP_TEXT_MAX];
    struct pn_buf b;
    const struct pn_smtp_server_info *info = pn_smtp_server_info(s->smtp);
    const struct pn_tls_info *tls = s->stream == NULL ? NULL : pn_stream_tls(s->stream);
    struct pn_received r = {.helo = pn_str_of(s->helo == NULL ? "" : s->helo),
                            .ptr = client_name(s),
                            .ip = pn_str_of(pn_ip_text(&s->ip, ip)),
                            .by = s->gen->hostname,
                            .id = pn_str_of(t->id_text),
                            .esmtp = info->esmtp,
                            .lmtp = s->kind == PN_LISTEN_LMTP,
                            .tls = s->tls_on,
                            .auth = s->user != NULL,
                            .hidden = s->user != NULL && s->gen->submission.hide_client,
                            .utf8 = t->smtputf8,
                            .unix_s = pn_clock_wall_ms() / 1000};
    if (t->verdict.rcpt_count == 1)
        r.rcpt = t->verdict.rcpts[0].address;
    if (tls != NULL) {
        r.tls_version = pn_str_of(tls->protocol);
        r.tls_cipher = pn_str_of(tls->cipher);
    }
    pn_buf_init(&b, 8192);
    if (pn_received_value(&r, &b))
        add(l, PN_HEDIT_TOP, "Received", pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* How facts' properties are called in the header (RFC 8601, section 2.7). */
static bool property(struct pn_str method, const struct pn_auth *a, const struct pn_pair *p,
                     struct pn_authres_property *out)
{
    static const struct {
        const char *method, *name, *ptype, *property;
    } rows[] = {
        {"dkim", "domain", "header", "d"},
        {"dkim", "selector", "header", "s"},
        {"dkim", "algorithm", "header", "a"},
        {"dmarc", "domain", "header", "from"},
        {"dmarc", "policy", "policy", "published-domain-policy"},
        {"iprev", "ip", "policy", "iprev"},
    };
    if (pn_str_eq(method, PN_STR("spf"))) {
        if (!pn_str_eq(p->name, PN_STR("domain")))
            return false;
        bool helo = pn_str_eq(pn_auth_get(a, PN_STR("identity")), PN_STR("helo"));
        *out = (struct pn_authres_property){PN_STR("smtp"),
                                            helo ? PN_STR("helo") : PN_STR("mailfrom"), p->value};
        return p->value.len != 0;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (pn_str_eq(method, pn_str_of(rows[i].method)) &&
            pn_str_eq(p->name, pn_str_of(rows[i].name)) && p->value.len != 0) {
            *out = (struct pn_authres_property){pn_str_of(rows[i].ptype),
                                                pn_str_of(rows[i].property), p->value};
            return true;
        }
    }
    size_t dot = pn_str_find(p->name, '.', 0); /* another plugin's "header.x" */
    if (dot == SIZE_MAX || dot == 0)
        return false;
    *out = (struct pn_authres_property){pn_str_slice(p->name, 0, dot),
                                        pn_str_slice(p->name, dot + 1, p->name.len), p->value};
    return true;
}

static void add_results(struct list *l)
{
    struct pn_authres results[RESULTS_MAX];
    struct pn_authres_property props[RESULTS_MAX][PROPERTIES_MAX];
    const struct pn_facts *facts = l->t->verdict.facts;
    size_t count = 0;
    struct pn_buf b;
    for (size_t i = 0; i < facts->auth_count && count < RESULTS_MAX; i++) {
        const struct pn_auth *a = &facts->auth[i];
        struct pn_authres *r = &results[count];
        *r = (struct pn_authres){
            .method = a->method, .result = a->result, .properties = props[count]};
        r->reason = pn_auth_get(a, PN_STR("reason"));
        for (uint32_t k = 0; k < a->count && r->property_count < PROPERTIES_MAX; k++)
            r->property_count +=
                property(a->method, a, &a->properties[k], &props[count][r->property_count]);
        count++;
    }
    if (facts->run_count == 0)
        return; /* no plugin looked: there is nothing that we could say */
    pn_buf_init(&b, 64 * 1024);
    if (pn_authres_value(l->t->s->gen->authserv_id, results, count, &b))
        add(l, PN_HEDIT_TOP, "Authentication-Results", pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* Of the header. */
static bool is_line(enum pn_fact_edit_op op)
{
    return op == PN_FACT_ADD_HEADER || op == PN_FACT_REMOVE_HEADER || op == PN_FACT_INSERT_HEADER ||
           op == PN_FACT_CHANGE_HEADER;
}

/* Plugins that change the header of what this recipient gets. */
static uint64_t changes(const struct transaction *t, const struct pn_verdict_rcpt *r)
{
    uint64_t plugins = 0;
    for (size_t i = 0; i < t->verdict.edit_count; i++) {
        const struct pn_verdict_edit *e = &t->verdict.edits[i];
        if (is_line(e->edit->op) && pn_verdict_edit_counts(&t->verdict, i, r->domain))
            plugins |= UINT64_C(1) << e->plugin;
    }
    return plugins;
}

static bool same_group(struct trace_group a, struct trace_group b)
{
    return a.junk == b.junk && a.plugins == b.plugins;
}

/* Two are kept for those that come when there are too many: they have no plugin's lines. */
static uint32_t find_group(struct trace_group *groups, uint32_t *count, struct trace_group g)
{
    for (unsigned more = 0;; more++) {
        for (uint32_t i = 0; i < *count; i++)
            if (same_group(groups[i], g))
                return i;
        if (*count < TRACE_GROUPS_MAX - 2 || more != 0)
            break;
        g.plugins = 0;
    }
    groups[*count] = g;
    return (*count)++;
}

uint32_t trace_groups(const struct transaction *t, struct trace_group *groups, uint16_t *of)
{
    uint32_t count = 0;
    for (size_t i = 0; i < t->verdict.rcpt_count; i++) {
        const struct pn_verdict_rcpt *r = &t->verdict.rcpts[i];
        const struct trace_group g = {r->decision.outcome == PN_JUNK, changes(t, r)};
        if (pn_verdict_gets(r))
            of[i] = (uint16_t)find_group(groups, &count, g);
    }
    return count;
}

/* The strictest of those whose header lines these are; of the others, those that get it
 * now stand before those in quarantine, who may share the lines. */
static const struct pn_verdict_rcpt *of_group(const struct pn_verdict *v, bool junk)
{
    const struct pn_verdict_rcpt *best = NULL;
    for (size_t i = 0; i < v->rcpt_count; i++) {
        const struct pn_verdict_rcpt *r = &v->rcpts[i];
        enum pn_outcome o = r->decision.outcome;
        if (!pn_verdict_gets(r) || (o == PN_JUNK) != junk)
            continue;
        if (best == NULL || o < best->decision.outcome ||
            (o == best->decision.outcome && r->decision.score > best->decision.score))
            best = r;
    }
    return best;
}

/* "junk; score=7.4; SPF_FAIL=2.5 ...; skipped=dkim": what the event says, for people. */
static void add_verdict(struct list *l, bool junk)
{
    const struct pn_verdict *v = &l->t->verdict;
    const struct pn_verdict_rcpt *r = of_group(v, junk);
    struct pn_buf b;
    if (v->facts->run_count == 0 || r == NULL)
        return;
    pn_buf_init(&b, 8192);
    (void)pn_buf_addf(&b, "%s; score=", pn_outcome_name(r->decision.outcome));
    (void)pn_buf_add_milli(&b, r->decision.score);
    (void)pn_buf_addz(&b, ";");
    for (size_t i = 0; i < v->facts->symbol_count && b.len < 4000; i++) {
        bool counts;
        const struct pn_fact *f = &v->facts->symbols[i];
        int32_t weight = pn_decide_weight(v->policy, r->domain, f, &counts);
        (void)pn_buf_addf(&b, " %.*s", PN_FMT(f->name));
        if (counts && weight != 0)
            (void)(pn_buf_addc(&b, '=') && pn_buf_add_milli(&b, weight));
    }
    for (size_t i = 0; i < v->facts->run_count && b.len < 6000; i++) {
        const struct pn_plugin_run *run = &v->facts->runs[i];
        if (run->status == PN_PLUGIN_SKIPPED || run->status == PN_PLUGIN_FAILED ||
            run->status == PN_PLUGIN_TIMEOUT)
            (void)pn_buf_addf(&b, "; not-run=%.*s", PN_FMT(run->plugin));
    }
    add(l, PN_HEDIT_TOP, VERDICT, pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* ---- what plugins change ---- */

static enum pn_wish_op wish_of(enum pn_fact_edit_op op)
{
    return op == PN_FACT_ADD_HEADER      ? PN_WISH_ADD
           : op == PN_FACT_REMOVE_HEADER ? PN_WISH_REMOVE
           : op == PN_FACT_INSERT_HEADER ? PN_WISH_INSERT
                                         : PN_WISH_CHANGE;
}

static size_t wishes_of(const struct transaction *t, uint64_t plugins, struct pn_wish *wishes)
{
    size_t count = 0;
    for (size_t i = 0; i < t->verdict.edit_count; i++) {
        const struct pn_verdict_edit *e = &t->verdict.edits[i];
        if (is_line(e->edit->op) && e->refused.len == 0 && (plugins >> e->plugin & 1) != 0)
            wishes[count++] = (struct pn_wish){wish_of(e->edit->op), e->edit->index, e->edit->name,
                                               e->edit->value};
    }
    return count;
}

/* The operations that plugins' wishes come to; NULL: none. False: the content can't be read, or
 * it is more than a header may be changed by. */
static bool resolve(const struct transaction *t, uint64_t plugins, struct pn_edits **out)
{
    struct pn_wish wishes[PN_FACTS_EDITS_MAX];
    size_t count = wishes_of(t, plugins, wishes);
    struct pn_str content, map;
    pn_edits_free(out);
    if (count == 0)
        return true;
    if (!content_header(t, &content, &map))
        return false;
    struct pn_message *m = pn_message_new(content, NULL);
    *out = pn_edits_new(LINES_BYTES);
    bool ok = m != NULL && pn_edits_resolve(*out, m, wishes, count) == PN_EDIT_OK;
    pn_message_free(&m);
    pn_unmap(&map);
    return ok;
}

/* Those that go above all other lines, or all others. */
static void add_lines(struct list *l, const struct pn_edits *edits, bool top)
{
    struct pn_edit_group *g = l->group;
    for (size_t i = 0; edits != NULL && i < pn_edits_count(edits); i++) {
        const struct pn_edit *e = pn_edits_at(edits, i);
        if ((e->op == PN_EDIT_ADD_TOP) == top)
            g->edits[g->count++] = (struct pn_header_edit){
                .op = (uint8_t)e->op, .nth = e->nth, .name = e->name, .value = e->value};
    }
}

bool trace_edits(struct transaction *t, uint32_t i, struct trace_group group,
                 struct pn_edit_group *out)
{
    struct list l = {.t = t, .group = out};
    if (!resolve(t, group.plugins, &t->lines[i]))
        return false;
    l.room = OUR_LINES + (t->lines[i] == NULL ? 0 : pn_edits_count(t->lines[i]));
    out->count = 0;
    out->edits = pn_pool_alloc(t->pool, l.room * sizeof *out->edits);
    if (out->edits == NULL)
        return false;
    add_lines(&l, t->lines[i], true);
    add_lacking(&l);
    add_received(&l);
    add_results(&l);
    add_verdict(&l, group.junk);
    if (group.junk)
        add(&l, PN_HEDIT_TOP, "X-Spam-Flag", PN_STR("YES"));
    out->edits[out->count++] = (struct pn_header_edit){
        .op = PN_HEDIT_REMOVE_RESULTS, .name = PN_STR(""), .value = t->s->gen->authserv_id};
    out->edits[out->count++] = (struct pn_header_edit){
        .op = PN_HEDIT_REMOVE, .name = PN_STR(VERDICT), .value = PN_STR("")}; /* all of them */
    add_lines(&l, t->lines[i], false);
    return true;
}

void trace_end(struct transaction *t)
{
    for (size_t i = 0; i < TRACE_GROUPS_MAX; i++)
        pn_edits_free(&t->lines[i]);
}
