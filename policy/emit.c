/* From the model to the image: flat, aligned, every string once. */
#include "model.h"

#include "assert.h"
#include "buf.h"
#include "mem.h"
#include "rows.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct emit {
    struct model *m;
    struct pn_buf *out;
    struct pn_intern strings;
    uint32_t *offsets; /* of strings, by number */
    size_t offset_cap;
    struct pn_intern groups; /* policies by what they say */
    struct pn_intern lists;  /* files of recipients, for domains that they do not name */
    struct img_list *users;  /* of those lists */
    size_t users_cap;
    struct img_policy *policies; /* owned */
    size_t policy_count, policy_cap;
    bool aliases; /* there are any */
};

static const struct pn_place nowhere = {NULL, 0, 0};

/* ---- bytes ---- */

static uint32_t put(struct emit *e, const void *p, size_t n)
{
    static const char zeros[8];
    size_t pad = (8 - e->out->len % 8) % 8;
    (void)pn_buf_add(e->out, zeros, pad);
    uint32_t off = (uint32_t)e->out->len;
    (void)pn_buf_add(e->out, p, n);
    return off;
}

static struct img_list put_list(struct emit *e, const void *p, size_t count, size_t size)
{
    return (struct img_list){put(e, p, count * size), (uint32_t)count};
}

static void patch(struct emit *e, uint32_t off, const void *p, size_t n)
{
    if (!e->out->overflow)
        memcpy(e->out->p + off, p, n);
}

static struct img_str put_str(struct emit *e, struct pn_str s)
{
    bool is_new;
    uint32_t number = pn_intern_add(&e->strings, s.p == NULL ? PN_STR("") : s, &is_new);
    if (is_new) {
        e->offsets = pn_grow(e->offsets, &e->offset_cap, number, sizeof *e->offsets);
        e->offsets[number] = (uint32_t)e->out->len;
        (void)pn_buf_adds(e->out, s);
        (void)pn_buf_addc(e->out, '\0');
    }
    return (struct img_str){e->offsets[number], (uint32_t)s.len};
}

static struct img_str put_where(struct emit *e, struct pn_place at)
{
    return put_str(e, pn_place_text(e->m->p.pool, at));
}

/* ---- settings ---- */

static uint32_t put_block(struct emit *e, const struct pn_tree_block *block, int depth);

static struct img_list put_values(struct emit *e, const struct pn_tree_entry *entry)
{
    struct img_value *values = pn_calloc(entry->count + 1U, sizeof *values);
    uint32_t n = 0;
    for (const struct pn_tree_value *v = entry->first; v != NULL; v = v->next, n++) {
        values[n] = (struct img_value){.number = v->data.number,
                                       .text = put_str(e, v->data.text),
                                       .where = put_where(e, v->at),
                                       .bits = v->data.net.bits};
        memcpy(values[n].ip, v->data.net.ip.b, sizeof values[n].ip);
    }
    struct img_list list = put_list(e, values, n, sizeof *values);
    free(values);
    return list;
}

/* Blocks lie behind the block that holds them, so that a reader can prove there is no
 * circle. */
static void put_inner(struct emit *e, const struct pn_tree_entry *entry, struct img_list values,
                      int depth)
{
    uint32_t n = 0;
    for (const struct pn_tree_value *v = entry->first; v != NULL; v = v->next, n++) {
        uint32_t inner = v->block == NULL ? 0 : put_block(e, v->block, depth + 1);
        size_t field =
            values.off + n * sizeof(struct img_value) + offsetof(struct img_value, block);
        patch(e, (uint32_t)field, &inner, sizeof inner);
    }
}

static uint32_t put_block(struct emit *e, const struct pn_tree_block *block, int depth)
{
    pn_assert(depth < IMG_BLOCK_DEPTH);
    size_t count = 0;
    while (block->rows != NULL && block->rows[count].name != NULL)
        count++;
    struct postern_block head = {.self = 0};
    head.title = put_str(e, block->title);
    head.where = put_where(e, block->at);
    uint32_t self = put(e, &head, sizeof head);
    struct img_row *rows = pn_calloc(count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        rows[i].name = put_str(e, pn_str_of(block->rows[i].name));
        rows[i].type = (uint32_t)block->rows[i].type;
        rows[i].flags = block->rows[i].flags;
        rows[i].values = put_values(e, &block->entries[i]);
    }
    head.self = self;
    head.rows = put_list(e, rows, count, sizeof *rows);
    patch(e, self, &head, sizeof head);
    for (size_t i = 0; i < count; i++)
        put_inner(e, &block->entries[i], rows[i].values, depth);
    free(rows);
    return self;
}

static struct img_list put_plugins(struct emit *e)
{
    struct pn_plugin_row rows[IMG_PLUGINS_MAX] = {0};
    for (size_t i = 0; i < e->m->plugin_count; i++) {
        const struct model_plugin *p = &e->m->plugins[i];
        struct pn_plugin_row *row = &rows[i];
        row->name = put_str(e, p->name);
        row->file = put_str(e, p->file);
        row->version = put_str(e, pn_str_of(p->desc->version));
        row->where = put_where(e, p->at);
        row->needs = p->needs;
        row->edits = p->edits;
        row->methods = p->methods;
        row->stages = p->stages;
        row->rank = p->rank;
        row->after = p->after;
        row->group = p->group;
        row->on_failure = p->on_failure;
        row->deadline_ms = p->deadline_ms;
        row->alone = p->alone;
        row->settings = put_block(e, p->block, 0);
    }
    for (size_t i = 0; i < e->m->plugin_count; i++)
        rows[i].self = (uint32_t)((e->out->len + 7) / 8 * 8 + i * sizeof rows[0]);
    return put_list(e, rows, e->m->plugin_count, sizeof rows[0]);
}

/* ---- policies ---- */

struct ruled {
    const struct model_rule *rule;
    uint32_t order;
};

/* Those with a detail first, in the order of the file. */
static int by_symbol(const void *a, const void *b)
{
    const struct ruled *x = a, *y = b;
    if (x->rule->symbol != y->rule->symbol)
        return x->rule->symbol < y->rule->symbol ? -1 : 1;
    if (x->rule->has_detail != y->rule->has_detail)
        return x->rule->has_detail ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool same_condition(const struct model_rule *a, const struct model_rule *b)
{
    return a->has_weight == b->has_weight && a->has_detail == b->has_detail &&
           pn_str_eq(a->detail, b->detail);
}

/* A weight in a later file: who reads "on X weight 6" there does not expect that an action of
 * the file before is still in force, where no weight is looked at. */
static bool takes_back(const struct model_rule *later, const struct model_rule *action)
{
    return later->has_weight && !action->has_weight && later->has_detail == action->has_detail &&
           pn_str_eq(later->detail, action->detail) && later->at.source != action->at.source;
}

/* Whether a later line of the run says it again; in one file that is a slip. */
static bool said_again(struct emit *e, const struct ruled *rules, size_t i, size_t end)
{
    for (size_t k = i + 1; k < end; k++) {
        if (takes_back(rules[k].rule, rules[i].rule))
            return true;
        if (!same_condition(rules[i].rule, rules[k].rule))
            continue;
        if (rules[i].rule->at.source == rules[k].rule->at.source)
            pn_error_at(e->m->p.problems, rules[k].rule->at,
                        "'%.*s' is set twice, the first time in line %u",
                        PN_FMT(rules[k].rule->text), (unsigned)rules[i].rule->at.line);
        return true;
    }
    return false;
}

static struct img_rule rule_of(struct emit *e, const struct model_rule *r)
{
    unsigned flags = (r->has_detail ? IMG_HAS_DETAIL : 0U) | (r->takes_back ? IMG_TAKES_BACK : 0U) |
                     (r->its_reply ? IMG_ITS_REPLY : 0U);
    return (struct img_rule){.symbol = r->symbol,
                             .flags = flags | (r->has_weight ? IMG_HAS_WEIGHT : IMG_HAS_ACTION),
                             .weight = r->has_weight ? r->weight : 0,
                             .outcome = r->has_weight ? 0 : (uint32_t)r->outcome,
                             .detail = put_str(e, r->detail),
                             .reply = put_str(e, r->reply),
                             .where = put_where(e, r->at),
                             .text = put_str(e, r->text)};
}

static struct img_list put_rules(struct emit *e, const struct model_policy *policy)
{
    size_t n = 0, kept = 0;
    struct ruled *rules = pn_calloc(policy->rule_count + 1U, sizeof *rules);
    struct img_rule *out = pn_calloc(policy->rule_count + 1U, sizeof *out);
    for (const struct model_rule *r = policy->rules; r != NULL; r = r->next, n++)
        rules[n] = (struct ruled){r, (uint32_t)n};
    qsort(rules, n, sizeof *rules, by_symbol);
    for (size_t i = 0, end = 0; i < n; i++) {
        while (end < n && rules[end].rule->symbol == rules[i].rule->symbol)
            end++;
        if (!said_again(e, rules, i, end))
            out[kept++] = rule_of(e, rules[i].rule);
    }
    struct img_list list = put_list(e, out, kept, sizeof *out);
    free(rules);
    free(out);
    return list;
}

static struct img_list put_entries(struct emit *e, const struct model_entry *first)
{
    size_t n = 0;
    for (const struct model_entry *x = first; x != NULL; x = x->next)
        n++;
    struct img_entry *out = pn_calloc(n + 1, sizeof *out), *to = out;
    for (const struct model_entry *x = first; x != NULL; x = x->next, to++) {
        size_t sign = x->pattern.len;
        while (sign > 0 && x->pattern.p[sign - 1] != '@')
            sign--;
        bool address = x->kind == IMG_FROM && sign > 0;
        *to = (struct img_entry){.kind = x->kind, .condition = x->condition, .bits = x->net.bits};
        memcpy(to->ip, x->net.ip.b, sizeof to->ip);
        to->pattern = put_str(e, x->pattern);
        to->local = put_str(e, address ? pn_str_slice(x->pattern, 0, sign - 1) : PN_STR(""));
        to->domain =
            put_str(e, address ? pn_str_slice(x->pattern, sign, x->pattern.len) : PN_STR(""));
        to->reply = put_str(e, x->reply);
        to->where = put_where(e, x->at);
        to->text = put_str(e, x->text);
    }
    struct img_list list = put_list(e, out, n, sizeof *out);
    free(out);
    return list;
}

static void put_threshold(struct emit *e, const struct model_policy *policy, int i,
                          struct img_threshold *out)
{
    const struct model_threshold *t = &policy->thresholds[i];
    if (t->at.source == NULL)
        t = &e->m->defaults.thresholds[i];
    *out = (struct img_threshold){.at = t->at.source == NULL ? 0 : t->weight,
                                  .set = t->at.source != NULL,
                                  .reply = put_str(e, t->reply),
                                  .where = put_where(e, t->at),
                                  .text = put_str(e, t->text)};
}

static void say(struct pn_buf *b, struct img_str s)
{
    /* Strings are there once, so that the offset stands for the text. */
    (void)pn_buf_add(b, &s, sizeof s);
}

/* What the policy says, places left out: policies that say the same are one group. */
static uint32_t group_of(struct emit *e, const struct img_policy *p, bool is_defaults,
                         bool mixed_split)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    for (int i = 0; i < IMG_THRESHOLDS; i++) {
        (void)pn_buf_add(&b, &p->thresholds[i].at, sizeof p->thresholds[i].at);
        (void)pn_buf_add(&b, &p->thresholds[i].set, sizeof p->thresholds[i].set);
        say(&b, p->thresholds[i].reply);
    }
    (void)pn_buf_add(&b, &p->masked, sizeof p->masked);
    (void)pn_buf_addc(&b, mixed_split ? 's' : 'q');
    for (uint32_t i = 0; i < p->rules.count && !is_defaults && !e->out->overflow; i++) {
        struct img_rule r;
        memcpy(&r, e->out->p + p->rules.off + i * sizeof r, sizeof r);
        r.where = r.text = (struct img_str){0, 0};
        (void)pn_buf_add(&b, &r, sizeof r);
    }
    const struct img_list lists[2] = {p->deny, p->allow};
    for (int k = 0; k < 2; k++) {
        (void)pn_buf_addc(&b, '|');
        for (uint32_t i = 0; i < lists[k].count && !is_defaults && !e->out->overflow; i++) {
            struct img_entry x;
            memcpy(&x, e->out->p + lists[k].off + i * sizeof x, sizeof x);
            x.where = x.text = (struct img_str){0, 0};
            (void)pn_buf_add(&b, &x, sizeof x);
        }
    }
    struct pn_str key = pn_pool_dup(e->m->p.pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return pn_intern_add(&e->groups, key.p == NULL ? PN_STR("") : key, NULL);
}

/* Its index. */
static uint32_t put_policy(struct emit *e, const struct model_policy *policy)
{
    const struct model_policy *defaults = &e->m->defaults;

    struct img_policy p = {.rules = put_rules(e, policy),
                           .deny = put_entries(e, policy->deny),
                           .allow = put_entries(e, policy->allow)};
    for (int i = 0; i < IMG_THRESHOLDS; i++)
        put_threshold(e, policy, i, &p.thresholds[i]);
    p.masked = policy->off | (defaults->off & ~defaults->on & ~policy->on);

    e->policies = pn_grow(e->policies, &e->policy_cap, e->policy_count, sizeof *e->policies);
    e->policies[e->policy_count] = p;
    return (uint32_t)e->policy_count++;
}

/* ---- domains ---- */

static struct img_list put_users(struct emit *e, struct pn_str path, struct pn_place at,
                                 struct pn_str domain)
{
    uint32_t number, count;
    bool shared;
    struct pn_str *users = model_users(e->m, path, at, domain, &count, &shared);
    struct img_list list;
    if (shared && pn_intern_find(&e->lists, path, &number)) {
        free(users);
        return e->users[number];
    }
    struct img_str *out = pn_calloc(count + 1U, sizeof *out);
    for (uint32_t i = 0; i < count; i++)
        out[i] = put_str(e, users[i]);
    list = put_list(e, out, count, sizeof *out);
    free(out);
    free(users);
    if (shared) {
        number = pn_intern_add(&e->lists, path, NULL);
        e->users = pn_grow(e->users, &e->users_cap, number, sizeof *e->users);
        e->users[number] = list;
    }
    return list;
}

static void put_recipients(struct emit *e, const struct model_domain *domain,
                           const struct model_policy *said, struct pn_domain *out)
{
    const struct pn_tree_value *users = pn_tree_value(e->m->core, "users");
    out->recipients = (uint32_t)said->recipients;
    if (said->recipients == PN_RCPT_LIST)
        out->users = put_users(e, said->list, said->list_at, domain->name);
    else if (said->recipients == PN_RCPT_LOCAL && users != NULL)
        out->users = put_users(e, users->data.text, users->at, domain->name);
    else if (said->recipients == PN_RCPT_LOCAL)
        pn_error_at(e->m->p.problems, said->recipients_at,
                    "'recipients local' without local users, expected 'users FILE' at the top");
}

/* Absolute, so that it names the same file wherever it is printed. */
static struct pn_str list_path(struct emit *e, const struct model_policy *said)
{
    return said->recipients_at.source != NULL && said->recipients == PN_RCPT_LIST
               ? pn_sources_path(&e->m->sources, said->list)
               : PN_STR("");
}

/* ---- aliases ---- */

static struct img_alias alias_of(struct emit *e, const struct model_alias *a)
{
    struct img_str *targets = pn_calloc(a->count + 1U, sizeof *targets);
    for (uint32_t i = 0; i < a->count; i++)
        targets[i] = put_str(e, a->targets[i]);
    struct img_alias out = {.name = put_str(e, a->name),
                            .targets = put_list(e, targets, a->count, sizeof *targets),
                            .where = put_where(e, a->at),
                            .text = put_str(e, a->text)};
    free(targets);
    return out;
}

static void put_aliases(struct emit *e, const struct model_domain *domain, struct pn_domain *out)
{
    struct model_policy *own = domain->policy;
    model_sort_aliases(e->m, own, domain->name);
    struct img_alias *aliases = pn_calloc(own->by_name_count + 1U, sizeof *aliases);
    for (uint32_t i = 0; i < own->by_name_count; i++)
        aliases[i] = alias_of(e, own->by_name[i]);
    out->aliases = put_list(e, aliases, own->by_name_count, sizeof *aliases);
    if (own->catch_all != NULL)
        aliases[0] = alias_of(e, own->catch_all);
    out->catch_all = put_list(e, aliases, own->catch_all != NULL, sizeof *aliases);
    e->aliases = e->aliases || own->by_name_count != 0 || own->catch_all != NULL;
    free(aliases);
}

static struct pn_domain domain_of(struct emit *e, const struct model_domain *domain)
{
    const struct model_policy *own = domain->policy, *defaults = &e->m->defaults;
    const struct model_policy *route = own->route_at.source != NULL ? own : defaults;
    const struct model_policy *said = own->recipients_at.source != NULL ? own : defaults;
    struct pn_domain out = {.recipients = PN_RCPT_ANY, .route = PN_ROUTE_LOCAL};
    out.name = put_str(e, domain->name);
    out.recipients_where = put_where(e, said->recipients_at);
    out.route_where = put_where(e, route->route_at);
    out.list = put_str(e, list_path(e, said));
    out.policy = own == defaults || !own->any ? 0 : put_policy(e, own);
    out.mixed_split = own->mixed_at.source != NULL ? own->mixed_split : defaults->mixed_split;
    out.group = group_of(e, &e->policies[out.policy], out.policy == 0, out.mixed_split);
    if (said->recipients_at.source != NULL)
        put_recipients(e, domain, said, &out);
    if (route->route_at.source != NULL) {
        out.route = (uint32_t)route->route;
        out.port = route->port;
        memcpy(out.ip, route->ip.b, sizeof out.ip);
    }
    out.host = put_str(e, route->host);
    put_aliases(e, domain, &out);
    const struct pn_tree_value *mailbox = model_mailbox(own);
    out.mailbox = mailbox == NULL ? 0 : put_block(e, mailbox->block, 0);
    if (said->recipients == PN_RCPT_VERIFY && said->recipients_at.source != NULL &&
        out.route == PN_ROUTE_LOCAL)
        pn_error_at(e->m->p.problems, said->recipients_at,
                    "'recipients verify' asks the next hop, expected a route to one");
    return out;
}

static struct img_list put_domains(struct emit *e)
{
    struct model_domain defaults = {PN_STR(""), nowhere, &e->m->defaults};
    size_t n = e->m->domain_count + 1;
    struct pn_domain *domains = pn_calloc(n, sizeof *domains);
    (void)put_policy(e, &e->m->defaults);
    domains[0] = domain_of(e, &defaults);
    for (size_t i = 1; i < n; i++)
        domains[i] = domain_of(e, &e->m->domains[i - 1]);
    struct img_list list = put_list(e, domains, n, sizeof *domains);
    free(domains);
    return list;
}

/* ---- tables ---- */

/* name(i) for 0 <= i < count, in the order of the numbers. */
static struct img_list put_slots(struct emit *e, const struct pn_str *names, uint32_t count,
                                 uint32_t first, bool fold)
{
    uint32_t size = 8;
    while (size / 2 <= count)
        size *= 2;
    uint32_t *slots = pn_calloc(size, sizeof *slots);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)pn_str_hash(names[i], 0, fold) & (size - 1);
        while (slots[at] != 0)
            at = (at + 1) & (size - 1);
        slots[at] = i + first + 1;
    }
    struct img_list list = put_list(e, slots, size, sizeof *slots);
    free(slots);
    return list;
}

static struct img_list put_symbols(struct emit *e)
{
    const struct pn_intern *symbols = &e->m->symbols;
    struct img_str *out = pn_calloc(symbols->count + 1U, sizeof *out);
    for (uint32_t i = 0; i < symbols->count; i++)
        out[i] = put_str(e, symbols->strings[i]);
    struct img_list list = put_list(e, out, symbols->count, sizeof *out);
    free(out);
    return list;
}

static void put_replies(struct emit *e, struct img_header *h)
{
    static const char *const names[IMG_REPLIES] = {[IMG_REPLY_ACCEPT] = "accept",
                                                   [IMG_REPLY_REJECT] = "reject",
                                                   [IMG_REPLY_DEFER] = "defer",
                                                   [IMG_REPLY_FAILURE] = "failure"};
    const struct pn_tree_block *block = pn_tree_value(e->m->core, "replies")->block;
    for (int i = 0; i < IMG_REPLIES; i++)
        h->replies[i] = put_str(e, pn_tree_value(block, names[i])->data.text);
}

static struct img_str put_generation(struct emit *e)
{
    char text[40];
    const struct pn_sources *s = &e->m->sources;
    int n = snprintf(text, sizeof text, "%016" PRIx64, s->hash[0] ^ s->hash[1]);
    pn_assert(n > 0 && (size_t)n < sizeof text);
    return put_str(e, pn_pool_dup(e->m->p.pool, (struct pn_str){text, (size_t)n}));
}

/* What makes another image without being in a file. */
static void mix_rest(struct model *m)
{
    pn_sources_mix(&m->sources, m->c->root);
    for (size_t i = 0; i < m->plugin_count; i++) {
        pn_sources_mix(&m->sources, m->plugins[i].name);
        pn_sources_mix(&m->sources, pn_str_of(m->plugins[i].desc->version));
    }
}

static void emit_all(struct emit *e)
{
    struct img_header h = {.magic = IMG_MAGIC_BYTES, .version = IMG_VERSION};
    (void)put(e, &h, sizeof h);
    h.core = put_block(e, e->m->core, 0);
    h.plugins = put_plugins(e);
    h.groups = e->m->groups;
    h.domains = put_domains(e);
    h.policies = put_list(e, e->policies, e->policy_count, sizeof *e->policies);
    h.symbols = put_symbols(e);
    h.domain_slots = put_slots(e, e->m->domain_names.strings, e->m->domain_names.count, 1, true);
    h.symbol_slots = put_slots(e, e->m->symbols.strings, e->m->symbols.count, 0, false);
    put_replies(e, &h);
    mix_rest(e->m);
    h.generation = put_generation(e);
    (void)put(e, NULL, 0);
    h.size = (uint32_t)e->out->len;
    patch(e, 0, &h, sizeof h);
}

/* What only the image shows. */
static void try_aliases(struct emit *e)
{
    struct pn_buf err;
    if (!e->aliases || e->out->overflow)
        return;
    pn_buf_init(&err, 1000);
    struct pn_policy *p = pn_policy_of(pn_buf_str(e->out), &err);
    pn_assert(p != NULL);
    model_try_aliases(e->m, p);
    pn_policy_unref(&p);
    pn_buf_fini(&err);
}

bool model_emit(struct model *m, struct pn_buf *image)
{
    struct emit e = {.m = m};
    struct pn_buf out;
    pn_buf_init(&out, PN_IMAGE_MAX);
    e.out = &out;
    pn_intern_init(&e.strings);
    pn_intern_init(&e.groups);
    pn_intern_init(&e.lists);
    emit_all(&e);
    try_aliases(&e);
    bool ok = !out.overflow && pn_buf_adds(image, pn_buf_str(&out));
    if (!ok)
        pn_error_in(m->p.problems, m->c->file, "the configuration is too large");
    pn_intern_fini(&e.strings);
    pn_intern_fini(&e.groups);
    pn_intern_fini(&e.lists);
    free(e.offsets);
    free(e.users);
    free(e.policies);
    pn_buf_fini(&out);
    return ok;
}
