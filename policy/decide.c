#include "image.h"

#include "alabel.h"
#include "pool.h"
#include "value.h"

enum {
    CARRIERS_MAX = 8,  /* facts named as reasons for a score */
    TAKEN_BACK_MAX = 4 /* lines named for what they took back */
};

const char *pn_outcome_name(enum pn_outcome outcome)
{
    static const char *const names[] = {
        [PN_ACCEPT] = "accept",   [PN_JUNK] = "junk",   [PN_QUARANTINE] = "quarantine",
        [PN_DISCARD] = "discard", [PN_DEFER] = "defer", [PN_REJECT] = "reject"};
    return names[outcome];
}

/* What one decision works with. A domain's own lines come before the defaults'. */
struct view {
    const char *base;
    const struct img_header *h;
    const struct img_policy *own, *defaults; /* defaults: NULL where own is it */
    const struct pn_decide_input *in;
    struct pn_str sender; /* by its A-label */
    struct pn_pool *pool;
    struct pn_decision *out;
};

static struct view view_of(const struct pn_policy *p, const struct pn_domain *domain)
{
    const char *base = img_policy_base(p);
    const struct img_header *h = img_header(base);
    const struct img_policy *policies = img_at(base, h->policies.off);
    return (struct view){.base = base,
                         .h = h,
                         .own = &policies[domain->policy],
                         .defaults = domain->policy == 0 ? NULL : &policies[0]};
}

/* ---- the lines that speak of a fact ---- */

static const struct img_rule *first_rule(const struct view *v, struct img_list list,
                                         uint32_t symbol, const struct img_rule **end)
{
    const struct img_rule *rules = img_at(v->base, list.off);
    uint32_t from = 0, to = list.count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (rules[mid].symbol < symbol)
            from = mid + 1;
        else
            to = mid;
    }
    *end = rules + list.count;
    return rules + from;
}

static const struct img_rule *rule_in(const struct view *v, const struct img_policy *policy,
                                      uint32_t symbol, const struct pn_fact *fact, uint32_t flag)
{
    const struct img_rule *end, *r = first_rule(v, policy->rules, symbol, &end);
    for (; r < end && r->symbol == symbol; r++)
        if ((r->flags & flag) != 0 && ((r->flags & IMG_HAS_DETAIL) == 0 ||
                                       pn_str_glob(img_text(v->base, r->detail), fact->detail)))
            return r;
    return NULL;
}

static const struct img_rule *rule_for(const struct view *v, uint32_t symbol,
                                       const struct pn_fact *fact, uint32_t flag)
{
    const struct img_rule *r = symbol == IMG_NONE ? NULL : rule_in(v, v->own, symbol, fact, flag);
    if (r == NULL && symbol != IMG_NONE && v->defaults != NULL)
        r = rule_in(v, v->defaults, symbol, fact, flag);
    return r;
}

/*
 * A domain's own line on a fact, weight or action, takes the place of the action that the
 * defaults have for it: who reads "on X weight 6" aloud does not expect that it is refused
 * unweighed. *instead: the action that is not in force for that reason, and *by what line.
 */
static const struct img_rule *action_for(const struct view *v, uint32_t symbol,
                                         const struct pn_fact *fact, const struct img_rule **by,
                                         const struct img_rule **instead)
{
    const uint32_t any = IMG_HAS_WEIGHT | IMG_HAS_ACTION;
    const struct img_rule *r = NULL, *inherited = NULL;
    *by = *instead = NULL;
    if (symbol == IMG_NONE)
        return NULL;
    r = rule_in(v, v->own, symbol, fact, IMG_HAS_ACTION);
    if (v->defaults != NULL)
        inherited = rule_in(v, v->defaults, symbol, fact, IMG_HAS_ACTION);
    if (inherited != NULL && (inherited->flags & IMG_TAKES_BACK) != 0)
        inherited = NULL;
    if (r != NULL && (r->flags & IMG_TAKES_BACK) == 0)
        return r;
    *by = r != NULL ? r : rule_in(v, v->own, symbol, fact, any);
    *instead = *by == NULL ? NULL : inherited;
    return *by == NULL ? inherited : NULL;
}

static uint32_t symbol_of(const struct view *v, const struct pn_fact *fact)
{
    return img_lookup(v->base, v->h->symbol_slots, v->h->symbols, sizeof(struct img_str),
                      fact->name, false);
}

static uint32_t plugin_of(const struct view *v, struct pn_str name)
{
    const struct pn_plugin_row *rows = img_at(v->base, v->h->plugins.off);
    for (uint32_t i = 0; i < v->h->plugins.count; i++)
        if (pn_str_eq(img_text(v->base, rows[i].name), name))
            return i;
    return IMG_NONE;
}

static bool masked(const struct view *v, struct pn_str plugin)
{
    uint32_t i = v->own->masked == 0 ? IMG_NONE : plugin_of(v, plugin);
    return i != IMG_NONE && (v->own->masked >> i & 1) != 0;
}

static bool is_failure(const struct pn_fact *fact)
{
    return pn_str_eq(fact->name, PN_STR(PN_SYMBOL_FAILED));
}

/* Of a failure the plugin that failed is in the detail. */
static bool fact_counts(const struct view *v, const struct pn_fact *fact)
{
    return !masked(v, fact->plugin) && !(is_failure(fact) && masked(v, fact->detail));
}

int32_t pn_decide_weight(const struct pn_policy *p, const struct pn_domain *domain,
                         const struct pn_fact *fact, bool *counts)
{
    struct view v = view_of(p, domain);
    *counts = fact_counts(&v, fact);
    const struct img_rule *r = rule_for(&v, symbol_of(&v, fact), fact, IMG_HAS_WEIGHT);
    return !*counts ? 0 : r != NULL ? r->weight : fact->weight;
}

static bool refuses_on_fact(const struct view *v, const struct img_policy *policy)
{
    const struct img_rule *rules = img_at(v->base, policy->rules.off);
    for (uint32_t i = 0; i < policy->rules.count; i++)
        if ((rules[i].flags & IMG_HAS_ACTION) != 0 &&
            pn_outcome_refuses((enum pn_outcome)rules[i].outcome))
            return true;
    return false;
}

bool pn_domain_acts_early(const struct pn_policy *p, const struct pn_domain *domain)
{
    const struct view v = view_of(p, domain);
    return refuses_on_fact(&v, v.own) || (v.defaults != NULL && refuses_on_fact(&v, v.defaults));
}

/* ---- reasons ---- */

static struct pn_str keep(const struct view *v, struct pn_str s)
{
    struct pn_str copy = pn_pool_dup(v->pool, s);
    return copy.p == NULL ? PN_STR("") : copy;
}

static void because(const struct view *v, struct pn_str where, struct pn_str text)
{
    struct pn_decision *out = v->out;
    for (size_t i = 0; i < out->because_count; i++)
        if (pn_str_eq(out->because[i].where, where) && pn_str_eq(out->because[i].text, text))
            return;
    if (out->because_count < PN_BECAUSE_MAX)
        out->because[out->because_count++] = (struct pn_because){keep(v, where), keep(v, text)};
}

static void because_line(const struct view *v, struct img_str where, struct img_str text)
{
    because(v, img_text(v->base, where), img_text(v->base, text));
}

static void settle_with(const struct view *v, enum pn_outcome outcome, struct pn_str text)
{
    struct pn_str copy = pn_pool_dup(v->pool, text);
    v->out->outcome = outcome;
    /* A pool at its end leaves the mapping's own bytes: they live as long as the policy. */
    v->out->reply = copy.p == NULL ? text : copy;
}

static void settle(const struct view *v, enum pn_outcome outcome, struct img_str reply,
                   enum img_reply general)
{
    settle_with(v, outcome, img_text(v->base, reply.len != 0 ? reply : v->h->replies[general]));
}

static enum img_reply reply_for(enum pn_outcome outcome)
{
    return outcome == PN_REJECT  ? IMG_REPLY_REJECT
           : outcome == PN_DEFER ? IMG_REPLY_DEFER
                                 : IMG_REPLY_ACCEPT;
}

/* ---- deny and allow ---- */

static struct pn_str domain_part(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at == 0 ? PN_STR("") : pn_str_slice(address, at, address.len);
}

static bool sender_matches(const struct view *v, const struct img_entry *e)
{
    if (e->domain.len == 0)
        return v->sender.len == 0;
    return pn_str_glob(img_text(v->base, e->pattern), v->sender);
}

static bool who_matches(const struct view *v, const struct img_entry *e)
{
    struct pn_net net = {.bits = (uint8_t)e->bits};
    memcpy(net.ip.b, e->ip, sizeof net.ip.b);
    switch (e->kind) {
    case IMG_CLIENT:
        return pn_net_has(&net, &v->in->client);
    case IMG_AUTH:
        return v->in->auth_id.len != 0 &&
               pn_str_glob(img_text(v->base, e->pattern), v->in->auth_id);
    default:
        return sender_matches(v, e);
    }
}

static struct pn_str method_of(uint32_t condition)
{
    return condition == IMG_IF_SPF    ? PN_STR("spf")
           : condition == IMG_IF_DKIM ? PN_STR("dkim")
                                      : PN_STR("dmarc");
}

/*
 * What passed vouches for a domain, and only for that one: a pass of somebody else's
 * domain beside a forged reverse-path allows nothing. Where the pattern leaves the local
 * part open it is held against the domain that passed (a newsletter's reverse-path is
 * often its sender's); else the reverse-path must match and be of that domain.
 */
static bool vouched(const struct view *v, const struct img_entry *e, const struct pn_auth *auth)
{
    struct pn_alabel room;
    struct pn_str domain = pn_alabel_domain(pn_auth_get(auth, PN_STR("domain")), &room);
    if (!pn_str_ieq(auth->result, PN_STR("pass")) || domain.len == 0)
        return false;
    if (e->condition == IMG_IF_SPF &&
        !pn_str_ieq(pn_auth_get(auth, PN_STR("identity")), PN_STR("mailfrom")))
        return false;
    if (e->condition != IMG_IF_SPF && pn_str_eq(img_text(v->base, e->local), PN_STR("*")))
        return pn_str_glob(img_text(v->base, e->domain), domain);
    return sender_matches(v, e) && pn_str_ieq(domain_part(v->sender), domain);
}

static bool entry_matches(const struct view *v, const struct img_entry *e)
{
    if (e->condition == IMG_ALWAYS)
        return who_matches(v, e);
    const struct pn_str method = method_of(e->condition);
    const struct pn_auth *auth = pn_facts_auth(v->in->facts, method, 0);
    /* Before content it is not known yet: hold back, the end decides. */
    if (auth == NULL && v->in->early)
        return sender_matches(v, e);
    for (size_t n = 1; auth != NULL; auth = pn_facts_auth(v->in->facts, method, n++))
        if (vouched(v, e, auth))
            return true;
    return false;
}

static const struct img_entry *entry_in(const struct view *v, struct img_list list)
{
    const struct img_entry *entries = img_at(v->base, list.off);
    for (uint32_t i = 0; i < list.count; i++)
        if (entry_matches(v, &entries[i]))
            return &entries[i];
    return NULL;
}

static bool decide_entries(const struct view *v, bool deny)
{
    const struct img_entry *e = entry_in(v, deny ? v->own->deny : v->own->allow);
    if (e == NULL && v->defaults != NULL)
        e = entry_in(v, deny ? v->defaults->deny : v->defaults->allow);
    if (e == NULL)
        return false;
    because_line(v, e->where, e->text);
    settle(v, deny ? PN_REJECT : PN_ACCEPT, e->reply, deny ? IMG_REPLY_REJECT : IMG_REPLY_ACCEPT);
    return true;
}

/* ---- facts ---- */

/* A fact that weighs much, as a reason for a score. */
struct carrier {
    const struct pn_fact *fact;
    const struct img_rule *rule; /* that set its weight, or NULL */
    int32_t weight;
};

struct found {
    int64_t score;
    struct taken_back {
        const struct img_rule *by, *instead;
    } taken_back[TAKEN_BACK_MAX];
    size_t taken_back_count;
    struct carrier carriers[CARRIERS_MAX]; /* heaviest first */
    size_t carrier_count;
    const struct img_rule *action; /* the strictest */
    struct carrier acted;          /* the fact that it speaks of */
    enum pn_outcome failure;       /* PN_ACCEPT: none */
    const struct pn_fact *failed;
};

static void carry(struct found *f, struct carrier c)
{
    size_t at = f->carrier_count;
    if (c.weight <= 0)
        return;
    while (at > 0 && f->carriers[at - 1].weight < c.weight)
        at--;
    if (at == CARRIERS_MAX)
        return;
    size_t last = f->carrier_count < CARRIERS_MAX ? f->carrier_count++ : CARRIERS_MAX - 1;
    memmove(&f->carriers[at + 1], &f->carriers[at], (last - at) * sizeof c);
    f->carriers[at] = c;
}

static unsigned on_failure(const struct view *v, const struct pn_fact *fact)
{
    const struct pn_plugin_row *rows = img_at(v->base, v->h->plugins.off);
    uint32_t i = plugin_of(v, fact->detail);
    return i == IMG_NONE ? (unsigned)POSTERN_FAIL_DEFER : rows[i].on_failure;
}

static void note_failure(const struct view *v, struct found *f, const struct pn_fact *fact)
{
    unsigned what = on_failure(v, fact);
    enum pn_outcome outcome = what == POSTERN_FAIL_SKIP         ? PN_ACCEPT
                              : what == POSTERN_FAIL_QUARANTINE ? PN_QUARANTINE
                                                                : PN_DEFER;
    if (outcome > f->failure) {
        f->failure = outcome;
        f->failed = fact;
    }
}

/* "on X weight 6, not 'on X reject' of strict.conf:24:5" */
static void because_taken_back(const struct view *v, const struct found *f)
{
    for (size_t i = 0; i < f->taken_back_count; i++) {
        const struct taken_back *t = &f->taken_back[i];
        struct pn_buf text;
        pn_buf_init(&text, 2000);
        (void)pn_buf_adds(&text, img_text(v->base, t->by->text));
        (void)pn_buf_addz(&text, ", not '");
        (void)pn_buf_adds(&text, img_text(v->base, t->instead->text));
        (void)pn_buf_addz(&text, "' of ");
        (void)pn_buf_adds(&text, img_text(v->base, t->instead->where));
        because(v, img_text(v->base, t->by->where), pn_buf_str(&text));
        pn_buf_fini(&text);
    }
}

static bool may_act(const struct view *v, enum pn_outcome outcome)
{
    return !v->in->early || outcome == PN_DEFER || outcome == PN_REJECT;
}

static void look_at(const struct view *v, struct found *f, const struct pn_fact *fact)
{
    uint32_t symbol = symbol_of(v, fact);
    const struct img_rule *weight = rule_for(v, symbol, fact, IMG_HAS_WEIGHT);
    const struct img_rule *by, *instead, *action = action_for(v, symbol, fact, &by, &instead);
    int32_t w = weight != NULL ? weight->weight : fact->weight;
    f->score += w;
    carry(f, (struct carrier){fact, weight, w});
    if (instead != NULL && may_act(v, (enum pn_outcome)instead->outcome) &&
        f->taken_back_count < TAKEN_BACK_MAX)
        f->taken_back[f->taken_back_count++] = (struct taken_back){by, instead};
    if (action != NULL && may_act(v, (enum pn_outcome)action->outcome) &&
        (f->action == NULL || action->outcome > f->action->outcome)) {
        f->action = action;
        f->acted = (struct carrier){fact, weight, w};
    }
    if (is_failure(fact))
        note_failure(v, f, fact);
}

static void look(const struct view *v, struct found *f)
{
    const struct pn_facts *facts = v->in->facts;
    for (size_t i = 0; i < facts->symbol_count; i++) {
        const struct pn_fact *fact = &facts->symbols[i];
        if ((fact->rcpt == PN_FACT_ALL_RCPTS || fact->rcpt == v->in->rcpt) && fact_counts(v, fact))
            look_at(v, f, fact);
    }
}

static bool decide_failure(const struct view *v, const struct found *f)
{
    if (f->failure == PN_ACCEPT || !may_act(v, f->failure))
        return false;
    const struct pn_plugin_row *rows = img_at(v->base, v->h->plugins.off);
    uint32_t i = plugin_of(v, f->failed->detail);
    struct pn_buf text;
    pn_buf_init(&text, 300);
    (void)pn_buf_addz(&text, "plugin ");
    (void)pn_buf_adds(&text, f->failed->detail);
    (void)pn_buf_addf(&text, " failed: on_failure %s", pn_outcome_name(f->failure));
    because(v, i == IMG_NONE ? PN_STR("") : img_text(v->base, rows[i].where), pn_buf_str(&text));
    pn_buf_fini(&text);
    settle(v, f->failure, (struct img_str){0, 0},
           f->failure == PN_DEFER ? IMG_REPLY_FAILURE : IMG_REPLY_ACCEPT);
    return true;
}

/* "DNSBL_LISTED 4 (zen)" */
static void because_carrier(const struct view *v, const struct carrier *c)
{
    struct pn_buf text;
    pn_buf_init(&text, 400);
    (void)pn_buf_adds(&text, c->fact->name);
    (void)pn_buf_addc(&text, ' ');
    (void)pn_buf_add_milli(&text, c->weight);
    if (c->fact->detail.len != 0) {
        (void)pn_buf_addz(&text, " (");
        (void)pn_buf_adds(&text, c->fact->detail);
        (void)pn_buf_addc(&text, ')');
    }
    because(v, c->rule == NULL ? PN_STR("") : img_text(v->base, c->rule->where), pn_buf_str(&text));
    pn_buf_fini(&text);
}

/*
 * The reply that a fact brings in its detail: all of it, or what stands behind a ": ". It is a
 * stranger's: taken only where it is a reply that can say this outcome (pn_reply_check); else
 * empty.
 */
static struct pn_str reply_of(const struct pn_fact *fact, enum pn_outcome outcome)
{
    struct pn_str found = PN_STR("");
    struct pn_buf err;
    pn_buf_init(&err, 400);
    for (size_t at = 0; found.len == 0 && at < fact->detail.len;) {
        struct pn_str rest = pn_str_slice(fact->detail, at, fact->detail.len);
        pn_buf_clear(&err);
        if (pn_reply_check(rest, outcome == PN_REJECT ? 5 : 4, &err))
            found = rest;
        const char *colon = memmem(rest.p, rest.len, ": ", 2);
        at = colon == NULL ? fact->detail.len : (size_t)(colon + 2 - fact->detail.p);
    }
    pn_buf_fini(&err);
    return found;
}

static bool decide_action(const struct view *v, const struct found *f)
{
    if (f->action == NULL)
        return false;
    enum pn_outcome outcome = (enum pn_outcome)f->action->outcome;
    because_line(v, f->action->where, f->action->text);
    because_carrier(v, &f->acted);
    struct pn_str own = PN_STR("");
    if ((f->action->flags & IMG_ITS_REPLY) != 0)
        own = reply_of(f->acted.fact, outcome);
    if (own.len != 0)
        settle_with(v, outcome, own);
    else
        settle(v, outcome, f->action->reply, reply_for(outcome));
    return true;
}

static bool decide_score(const struct view *v, const struct found *f)
{
    static const enum pn_outcome outcomes[IMG_THRESHOLDS] = {
        [IMG_REJECT] = PN_REJECT, [IMG_QUARANTINE] = PN_QUARANTINE, [IMG_JUNK] = PN_JUNK};
    for (int i = 0; i < IMG_THRESHOLDS && !v->in->early; i++) {
        const struct img_threshold *t = &v->own->thresholds[i];
        if (t->set == 0 || f->score < t->at)
            continue;
        because_line(v, t->where, t->text);
        for (size_t k = 0; k < f->carrier_count; k++)
            because_carrier(v, &f->carriers[k]);
        because_taken_back(v, f);
        settle(v, outcomes[i], t->reply, reply_for(outcomes[i]));
        return true;
    }
    return false;
}

static int32_t clamp(int64_t score)
{
    return score > INT32_MAX ? INT32_MAX : score < INT32_MIN ? INT32_MIN : (int32_t)score;
}

static void decide(const struct view *v, struct found *found)
{
    look(v, found);
    v->out->score = clamp(found->score);
    if (decide_entries(v, true) || decide_entries(v, false) || decide_failure(v, found) ||
        decide_action(v, found) || decide_score(v, found))
        return;
    because(v, PN_STR(""),
            v->in->early ? PN_STR("nothing known yet speaks against it")
                         : PN_STR("no line of the policy speaks against it"));
    because_taken_back(v, found);
    settle(v, PN_ACCEPT, (struct img_str){0, 0}, IMG_REPLY_ACCEPT);
}

/* Who gets a user's mail has no use for our doubts: it waits for somebody's look. */
static void hold_submitted(const struct view *v)
{
    struct pn_decision *out = v->out;
    if (v->in->early || v->in->auth_id.len == 0)
        return;
    if (out->outcome == PN_JUNK)
        out->outcome = PN_QUARANTINE;
    if (v->in->held.len == 0 || out->outcome > PN_QUARANTINE)
        return;
    out->because_count = 0;
    because(v, PN_STR(""), v->in->held);
    settle(v, PN_QUARANTINE, (struct img_str){0, 0}, IMG_REPLY_ACCEPT);
}

void pn_decide(const struct pn_policy *p, const struct pn_domain *domain,
               const struct pn_decide_input *in, struct pn_pool *pool, struct pn_decision *out)
{
    struct view v = view_of(p, domain);
    struct pn_alabel room;
    struct found found = {.failure = PN_ACCEPT};
    *out = (struct pn_decision){.outcome = PN_ACCEPT};
    v.in = in;
    v.sender = pn_alabel_address(in->sender, &room);
    if (v.sender.p == NULL)
        v.sender = in->sender;
    v.pool = pool;
    v.out = out;
    decide(&v, &found);
    hold_submitted(&v);
}
