/* A compiled policy as text, in the language that it was written in. */
#include "print.h"

#include "image.h"

enum { COMMENT_COLUMN = 48 };

struct printer {
    const struct pn_policy *p;
    const char *base;
    struct pn_buf *out;
    size_t line; /* where the line at hand begins */
    unsigned depth;
    bool all;
};

/* ---- words ---- */

static void quoted(struct pn_buf *out, struct pn_str s)
{
    (void)pn_buf_addc(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            (void)pn_buf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            (void)pn_buf_addf(out, "\\x%02x", c);
        else
            (void)pn_buf_addc(out, (char)c);
    }
    (void)pn_buf_addc(out, '"');
}

static bool needs_quotes(uint32_t type)
{
    return type == POSTERN_T_STRING || type == POSTERN_T_FILE || type == POSTERN_T_FOLDER ||
           type == PN_T_PATH || type == PN_T_REPLY;
}

static void word(struct printer *w, uint32_t type, struct pn_str s)
{
    if (needs_quotes(type))
        quoted(w->out, s);
    else
        (void)pn_buf_adds(w->out, s);
}

static void begin(struct printer *w)
{
    w->line = w->out->len;
    for (unsigned i = 0; i < w->depth; i++)
        (void)pn_buf_addz(w->out, "    ");
}

static void comment(struct printer *w, struct pn_str text)
{
    do
        (void)pn_buf_addc(w->out, ' ');
    while (w->out->len - w->line < COMMENT_COLUMN);
    (void)pn_buf_addz(w->out, "# ");
    (void)pn_buf_adds(w->out, text.len == 0 ? PN_STR("default") : text);
    (void)pn_buf_addc(w->out, '\n');
}

static void end_line(struct printer *w, struct img_str where)
{
    comment(w, img_text(w->base, where));
}

static void open_block(struct printer *w)
{
    (void)pn_buf_addz(w->out, " {\n");
    w->depth++;
}

static void close_block(struct printer *w)
{
    w->depth--;
    begin(w);
    (void)pn_buf_addz(w->out, "}\n");
}

/* ---- settings ---- */

static bool anything(const struct printer *w, const struct postern_block *b)
{
    const struct img_row *rows = img_at(w->base, b->rows.off);
    for (uint32_t i = 0; i < b->rows.count; i++) {
        const struct img_value *v = img_at(w->base, rows[i].values.off);
        for (uint32_t k = 0; k < rows[i].values.count; k++)
            if (w->all || v[k].where.len != 0)
                return true;
    }
    return false;
}

static void print_block(struct printer *w, const struct postern_block *b);

static void print_values(struct printer *w, const struct img_row *row)
{
    const struct img_value *v = img_at(w->base, row->values.off);
    if (row->values.count == 0 || (v[0].where.len == 0 && !w->all))
        return;
    begin(w);
    (void)pn_buf_adds(w->out, img_text(w->base, row->name));
    for (uint32_t i = 0; i < row->values.count; i++) {
        (void)pn_buf_addz(w->out, i == 0 ? " " : ", ");
        word(w, row->type, img_text(w->base, v[i].text));
    }
    end_line(w, v[0].where);
}

static void print_inner(struct printer *w, const struct img_row *row, const struct img_value *v)
{
    const struct postern_block *b = img_at(w->base, v->block);
    struct pn_str title = img_text(w->base, b->title);
    bool titled = (row->flags & POSTERN_ROW_TITLED) != 0;
    if (!anything(w, b) && (v->where.len == 0 || !titled))
        return;
    begin(w);
    (void)pn_buf_adds(w->out, img_text(w->base, row->name));
    if (titled && (title.len != 0 || (row->flags & PN_ROW_TITLE_MAY) == 0)) {
        (void)pn_buf_addc(w->out, ' ');
        quoted(w->out, title);
    }
    open_block(w);
    print_block(w, b);
    close_block(w);
}

static void print_block(struct printer *w, const struct postern_block *b)
{
    const struct img_row *rows = img_at(w->base, b->rows.off);
    for (uint32_t i = 0; i < b->rows.count; i++) {
        const struct img_value *v = img_at(w->base, rows[i].values.off);
        if (rows[i].type != POSTERN_T_BLOCK)
            print_values(w, &rows[i]);
        for (uint32_t k = 0; rows[i].type == POSTERN_T_BLOCK && k < rows[i].values.count; k++)
            print_inner(w, &rows[i], &v[k]);
    }
}

static void print_plugins(struct printer *w)
{
    size_t n = pn_policy_plugin_count(w->p);
    if (n == 0)
        return;
    begin(w);
    (void)pn_buf_addz(w->out, "plugins");
    open_block(w);
    for (size_t i = 0; i < n; i++) {
        const struct pn_plugin_row *row = pn_policy_plugin(w->p, i);
        const struct postern_block *b = pn_plugin_settings(w->p, row);
        begin(w);
        (void)pn_buf_adds(w->out, pn_plugin_name(row));
        if (anything(w, b)) {
            open_block(w);
            print_block(w, b);
            close_block(w);
        } else {
            end_line(w, row->where);
        }
    }
    close_block(w);
}

/* ---- policies ---- */

static void print_reply(struct printer *w, struct img_str reply)
{
    if (reply.len == 0)
        return;
    (void)pn_buf_addc(w->out, ' ');
    quoted(w->out, img_text(w->base, reply));
}

static void print_threshold(struct printer *w, const struct img_policy *p, int i, const char *name)
{
    const struct img_threshold *t = &p->thresholds[i];
    if (t->set == 0)
        return;
    begin(w);
    (void)pn_buf_addf(w->out, "%s at ", name);
    (void)pn_buf_add_milli(w->out, t->at);
    print_reply(w, t->reply);
    end_line(w, t->where);
}

/* Whether a domain's line takes the place of an action of the defaults. */
static bool replaces(const char *base, const struct img_rule *own, const struct img_rule *inherited)
{
    return own->symbol == inherited->symbol &&
           (inherited->flags & (IMG_HAS_ACTION | IMG_TAKES_BACK)) == IMG_HAS_ACTION &&
           ((own->flags & IMG_HAS_DETAIL) == 0 ||
            ((inherited->flags & IMG_HAS_DETAIL) != 0 &&
             pn_str_eq(img_text(base, own->detail), img_text(base, inherited->detail))));
}

/* The place of a rule, and what it takes the place of. */
static void end_rule(struct printer *w, const struct img_rule *r, const struct img_policy *defaults)
{
    struct pn_buf text;
    const struct img_rule *d = defaults == NULL ? NULL : img_at(w->base, defaults->rules.off);
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_adds(&text, img_text(w->base, r->where));
    for (uint32_t i = 0; d != NULL && i < defaults->rules.count; i++) {
        if (!replaces(w->base, r, &d[i]))
            continue;
        (void)pn_buf_addz(&text, ", not '");
        (void)pn_buf_adds(&text, img_text(w->base, d[i].text));
        (void)pn_buf_addz(&text, "' of ");
        (void)pn_buf_adds(&text, img_text(w->base, d[i].where));
    }
    comment(w, pn_buf_str(&text));
    pn_buf_fini(&text);
}

/* defaults: NULL for the defaults themselves. */
static void print_rules(struct printer *w, const struct img_policy *p,
                        const struct img_policy *defaults)
{
    const struct img_rule *r = img_at(w->base, p->rules.off);
    const struct img_str *symbols = img_at(w->base, img_header(w->base)->symbols.off);
    for (uint32_t i = 0; i < p->rules.count; i++) {
        begin(w);
        (void)pn_buf_addz(w->out, "on ");
        (void)pn_buf_adds(w->out, img_text(w->base, symbols[r[i].symbol]));
        if ((r[i].flags & IMG_HAS_DETAIL) != 0) {
            (void)pn_buf_addz(w->out, " detail ");
            quoted(w->out, img_text(w->base, r[i].detail));
        }
        if ((r[i].flags & IMG_HAS_WEIGHT) != 0) {
            (void)pn_buf_addz(w->out, " weight ");
            (void)pn_buf_add_milli(w->out, r[i].weight);
        } else if ((r[i].flags & IMG_TAKES_BACK) != 0) {
            (void)pn_buf_addz(w->out, " none");
        } else {
            (void)pn_buf_addf(w->out, " %s%s", pn_outcome_name((enum pn_outcome)r[i].outcome),
                              (r[i].flags & IMG_ITS_REPLY) != 0 ? " with its reply" : "");
            print_reply(w, r[i].reply);
        }
        end_rule(w, &r[i], defaults);
    }
}

static void print_entries(struct printer *w, struct img_list list, const char *verb)
{
    static const char *const kinds[] = {"from", "client", "auth"};
    static const char *const conditions[] = {"", " if spf pass", " if dkim pass", " if dmarc pass"};
    const struct img_entry *e = img_at(w->base, list.off);
    for (uint32_t i = 0; i < list.count; i++) {
        begin(w);
        (void)pn_buf_addf(w->out, "%s %s ", verb, kinds[e[i].kind]);
        if (e[i].kind == IMG_CLIENT)
            (void)pn_buf_adds(w->out, img_text(w->base, e[i].pattern));
        else
            quoted(w->out, img_text(w->base, e[i].pattern));
        (void)pn_buf_addz(w->out, conditions[e[i].condition]);
        print_reply(w, e[i].reply);
        end_line(w, e[i].where);
    }
}

static void print_switches(struct printer *w, uint64_t mask, const char *verb)
{
    for (size_t i = 0; i < pn_policy_plugin_count(w->p); i++) {
        if ((mask >> i & 1) == 0)
            continue;
        begin(w);
        (void)pn_buf_addf(w->out, "plugins %s ", verb);
        (void)pn_buf_adds(w->out, pn_plugin_name(pn_policy_plugin(w->p, i)));
        (void)pn_buf_addc(w->out, '\n');
    }
}

/* defaults: NULL for the defaults themselves. */
static void print_policy(struct printer *w, const struct img_policy *p,
                         const struct img_policy *defaults)
{
    const uint64_t masked_else = defaults == NULL ? 0 : defaults->masked;
    print_threshold(w, p, IMG_JUNK, "junk");
    print_threshold(w, p, IMG_QUARANTINE, "quarantine");
    print_threshold(w, p, IMG_REJECT, "reject");
    print_rules(w, p, defaults);
    print_entries(w, p->deny, "deny");
    print_entries(w, p->allow, "allow");
    print_switches(w, p->masked & ~masked_else, "off");
    print_switches(w, masked_else & ~p->masked, "on");
}

static void print_address(struct printer *w, const struct pn_domain *d)
{
    static const char *const recipients[] = {"list", "verify", "local", "any"};
    static const char *const routes[] = {"local", "smtp", "lmtp"};
    begin(w);
    (void)pn_buf_addf(w->out, "recipients %s", recipients[d->recipients]);
    if (d->recipients == PN_RCPT_LIST) {
        (void)pn_buf_addc(w->out, ' ');
        quoted(w->out, img_text(w->base, d->list));
    }
    end_line(w, d->recipients_where);
    begin(w);
    (void)pn_buf_addf(w->out, "route %s", routes[d->route]);
    if (d->route != PN_ROUTE_LOCAL) {
        (void)pn_buf_addc(w->out, ' ');
        (void)pn_buf_adds(w->out, img_text(w->base, d->host));
    }
    end_line(w, d->route_where);
    begin(w);
    (void)pn_buf_addf(w->out, "mixed %s\n", d->mixed_split ? "split" : "quarantine");
}

static void print_targets(struct printer *w, const struct img_alias *a)
{
    const struct img_str *targets = img_at(w->base, a->targets.off);
    for (uint32_t i = 0; i < a->targets.count; i++) {
        (void)pn_buf_addz(w->out, i == 0 ? " " : ", ");
        quoted(w->out, img_text(w->base, targets[i]));
    }
    end_line(w, a->where);
}

static void print_aliases(struct printer *w, const struct pn_domain *d)
{
    const struct img_alias *a = img_at(w->base, d->aliases.off);
    for (uint32_t i = 0; i < d->aliases.count; i++) {
        begin(w);
        (void)pn_buf_addz(w->out, "alias ");
        quoted(w->out, img_text(w->base, a[i].name));
        (void)pn_buf_addz(w->out, " to");
        print_targets(w, &a[i]);
    }
    if (d->catch_all.count == 0)
        return;
    begin(w);
    (void)pn_buf_addz(w->out, "catch-all");
    print_targets(w, img_at(w->base, d->catch_all.off));
}

static void print_mailbox(struct printer *w, const struct pn_domain *d)
{
    const struct postern_block *b = d->mailbox == 0 ? NULL : img_at(w->base, d->mailbox);
    if (b == NULL || !anything(w, b))
        return;
    begin(w);
    (void)pn_buf_addz(w->out, "mailbox");
    open_block(w);
    print_block(w, b);
    close_block(w);
}

static void print_domains(struct printer *w)
{
    const struct img_header *h = img_header(w->base);
    const struct pn_domain *d = img_at(w->base, h->domains.off);
    const struct img_policy *policies = img_at(w->base, h->policies.off);
    for (uint32_t i = 0; i < h->domains.count; i++) {
        bool submitted = pn_str_eq(img_text(w->base, d[i].name), PN_STR(IMG_SUBMITTED));
        begin(w);
        (void)pn_buf_addz(w->out, i == 0 ? "defaults" : submitted ? "submitted" : "domain ");
        if (i != 0 && !submitted)
            quoted(w->out, img_text(w->base, d[i].name));
        open_block(w);
        if (!submitted) {
            print_address(w, &d[i]);
            print_aliases(w, &d[i]);
            print_mailbox(w, &d[i]);
        }
        if (i == 0 || d[i].policy != 0)
            print_policy(w, &policies[d[i].policy], i == 0 ? NULL : &policies[0]);
        close_block(w);
    }
}

void pn_policy_print(const struct pn_policy *p, bool all, struct pn_buf *out)
{
    struct printer w = {.p = p, .base = img_policy_base(p), .out = out, .all = all};
    print_block(&w, img_at(w.base, img_header(w.base)->core));
    print_plugins(&w);
    print_domains(&w);
}

/* ---- as JSON ---- */

struct writer {
    const char *base;
    struct pn_json *json;
    bool all;
};

static void json_place(const struct writer *w, struct img_str where)
{
    if (where.len == 0)
        pn_json_bool(w->json, "default", true);
    else
        pn_json_str(w->json, "where", img_text(w->base, where));
}

static void json_block(const struct writer *w, const struct postern_block *b, struct pn_str prefix);

static void json_values(const struct writer *w, const struct img_row *row, struct pn_str name)
{
    const struct img_value *v = img_at(w->base, row->values.off);
    bool list = (row->flags & POSTERN_ROW_LIST) != 0;
    if (row->values.count == 0 || (v[0].where.len == 0 && !w->all))
        return;
    pn_json_object(w->json, NULL);
    pn_json_str(w->json, "name", name);
    if (list)
        pn_json_array(w->json, "values");
    for (uint32_t i = 0; i < row->values.count; i++)
        pn_json_str(w->json, list ? NULL : "value", img_text(w->base, v[i].text));
    if (list)
        pn_json_array_end(w->json);
    json_place(w, v[0].where);
    pn_json_object_end(w->json);
}

/* "plugins.dnsbl.zone[bl.test].timeout" */
static void json_row(const struct writer *w, const struct img_row *row, struct pn_str prefix)
{
    const struct img_value *v = img_at(w->base, row->values.off);
    struct pn_buf name;
    pn_buf_init(&name, SIZE_MAX);
    (void)pn_buf_adds(&name, prefix);
    (void)pn_buf_adds(&name, img_text(w->base, row->name));
    if (row->type != POSTERN_T_BLOCK)
        json_values(w, row, pn_buf_str(&name));
    size_t length = name.len;
    for (uint32_t i = 0; row->type == POSTERN_T_BLOCK && i < row->values.count; i++) {
        const struct postern_block *b = img_at(w->base, v[i].block);
        if ((row->flags & POSTERN_ROW_TITLED) != 0) {
            (void)pn_buf_addc(&name, '[');
            (void)pn_buf_adds(&name, img_text(w->base, b->title));
            (void)pn_buf_addc(&name, ']');
        }
        (void)pn_buf_addc(&name, '.');
        json_block(w, b, pn_buf_str(&name));
        name.len = length;
    }
    pn_buf_fini(&name);
}

static void json_block(const struct writer *w, const struct postern_block *b, struct pn_str prefix)
{
    const struct img_row *rows = img_at(w->base, b->rows.off);
    for (uint32_t i = 0; i < b->rows.count; i++)
        json_row(w, &rows[i], prefix);
}

static void json_line(const struct writer *w, struct img_str where, struct img_str text,
                      struct img_str reply)
{
    pn_json_object(w->json, NULL);
    pn_json_str(w->json, "line", img_text(w->base, text));
    if (reply.len != 0)
        pn_json_str(w->json, "reply", img_text(w->base, reply));
    pn_json_str(w->json, "where", img_text(w->base, where));
    pn_json_object_end(w->json);
}

static void json_rule(const struct writer *w, const struct img_rule *r,
                      const struct img_policy *defaults)
{
    const struct img_rule *d = defaults == NULL ? NULL : img_at(w->base, defaults->rules.off);
    pn_json_object(w->json, NULL);
    pn_json_str(w->json, "line", img_text(w->base, r->text));
    if (r->reply.len != 0)
        pn_json_str(w->json, "reply", img_text(w->base, r->reply));
    pn_json_str(w->json, "where", img_text(w->base, r->where));
    pn_json_array(w->json, "not");
    for (uint32_t i = 0; d != NULL && i < defaults->rules.count; i++)
        if (replaces(w->base, r, &d[i]))
            json_line(w, d[i].where, d[i].text, d[i].reply);
    pn_json_array_end(w->json);
    pn_json_object_end(w->json);
}

/* defaults: NULL for the defaults themselves. */
static void json_policy(const struct writer *w, const struct img_policy *p,
                        const struct img_policy *defaults)
{
    const struct img_rule *r = img_at(w->base, p->rules.off);
    const struct img_list lists[] = {p->deny, p->allow};
    pn_json_array(w->json, "policy");
    for (int i = 0; i < IMG_THRESHOLDS; i++)
        if (p->thresholds[i].set != 0)
            json_line(w, p->thresholds[i].where, p->thresholds[i].text, p->thresholds[i].reply);
    for (uint32_t i = 0; i < p->rules.count; i++)
        json_rule(w, &r[i], defaults);
    for (int k = 0; k < 2; k++) {
        const struct img_entry *e = img_at(w->base, lists[k].off);
        for (uint32_t i = 0; i < lists[k].count; i++)
            json_line(w, e[i].where, e[i].text, e[i].reply);
    }
    pn_json_array_end(w->json);
}

static void json_aliases(const struct writer *w, struct img_list list)
{
    const struct img_alias *a = img_at(w->base, list.off);
    for (uint32_t i = 0; i < list.count; i++) {
        const struct img_str *targets = img_at(w->base, a[i].targets.off);
        pn_json_object(w->json, NULL);
        if (a[i].name.len != 0)
            pn_json_str(w->json, "alias", img_text(w->base, a[i].name));
        else
            pn_json_bool(w->json, "catch_all", true);
        pn_json_array(w->json, "to");
        for (uint32_t k = 0; k < a[i].targets.count; k++)
            pn_json_str(w->json, NULL, img_text(w->base, targets[k]));
        pn_json_array_end(w->json);
        pn_json_str(w->json, "where", img_text(w->base, a[i].where));
        pn_json_object_end(w->json);
    }
}

static void json_domain(const struct writer *w, const struct pn_domain *d)
{
    static const char *const recipients[] = {"list", "verify", "local", "any"};
    static const char *const routes[] = {"local", "smtp", "lmtp"};
    const struct img_policy *policies = img_at(w->base, img_header(w->base)->policies.off);
    pn_json_object(w->json, NULL);
    pn_json_str(w->json, "domain", img_text(w->base, d->name));
    pn_json_str(w->json, "recipients", pn_str_of(recipients[d->recipients]));
    pn_json_i64(w->json, "users", d->users.count);
    pn_json_str(w->json, "route", pn_str_of(routes[d->route]));
    pn_json_str(w->json, "host", img_text(w->base, d->host));
    pn_json_str(w->json, "mixed", d->mixed_split ? PN_STR("split") : PN_STR("quarantine"));
    pn_json_i64(w->json, "group", d->group);
    pn_json_array(w->json, "aliases");
    json_aliases(w, d->aliases);
    json_aliases(w, d->catch_all);
    pn_json_array_end(w->json);
    pn_json_array(w->json, "mailbox");
    if (d->mailbox != 0)
        json_block(w, img_at(w->base, d->mailbox), PN_STR("mailbox."));
    pn_json_array_end(w->json);
    json_policy(w, &policies[d->policy], d->policy == 0 ? NULL : &policies[0]);
    pn_json_object_end(w->json);
}

static void json_plugins(const struct writer *w, const struct pn_policy *p)
{
    for (size_t i = 0; i < pn_policy_plugin_count(p); i++) {
        const struct pn_plugin_row *row = pn_policy_plugin(p, i);
        pn_json_object(w->json, NULL);
        pn_json_str(w->json, "name", pn_plugin_name(row));
        pn_json_str(w->json, "file", pn_plugin_file(row));
        pn_json_str(w->json, "version", img_text(w->base, row->version));
        pn_json_i64(w->json, "rank", pn_plugin_rank(row));
        pn_json_i64(w->json, "group", pn_plugin_group(row));
        pn_json_i64(w->json, "deadline_ms", pn_plugin_deadline_ms(row));
        pn_json_array(w->json, "settings");
        json_block(w, pn_plugin_settings(p, row), PN_STR(""));
        pn_json_array_end(w->json);
        pn_json_object_end(w->json);
    }
}

void pn_policy_print_json(const struct pn_policy *p, bool all, struct pn_buf *out)
{
    struct pn_json json = pn_json_to(out);
    struct writer w = {.base = img_policy_base(p), .json = &json, .all = all};
    const struct img_header *h = img_header(w.base);
    const struct pn_domain *d = img_at(w.base, h->domains.off);
    pn_json_object(&json, NULL);
    pn_json_str(&json, "generation", pn_policy_generation(p));
    pn_json_array(&json, "settings");
    json_block(&w, img_at(w.base, h->core), PN_STR(""));
    pn_json_array_end(&json);
    pn_json_array(&json, "plugins");
    json_plugins(&w, p);
    pn_json_array_end(&json);
    pn_json_array(&json, "domains");
    for (uint32_t i = 0; i < h->domains.count; i++)
        json_domain(&w, &d[i]);
    pn_json_array_end(&json);
    pn_json_object_end(&json);
    (void)pn_buf_addc(out, '\n');
}
