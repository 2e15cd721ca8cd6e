#include "verdict.h"

#include "assert.h"
#include "codec.h"
#include "dns.h"
#include "utf8.h"

#include <stdlib.h>

/* Which of the outcomes there are. */
struct mix {
    bool taken, deferred, rejected;
};

static struct mix mix_of(const struct pn_verdict *v)
{
    struct mix mix = {false, false, false};
    for (size_t i = 0; i < v->rcpt_count; i++) {
        enum pn_outcome o = v->rcpts[i].decision.outcome;
        mix.taken = mix.taken || !pn_outcome_refuses(o);
        mix.deferred = mix.deferred || o == PN_DEFER;
        mix.rejected = mix.rejected || o == PN_REJECT;
    }
    return mix;
}

static void because(struct pn_decision *d, struct pn_str text)
{
    if (d->because_count == PN_BECAUSE_MAX)
        d->because_count--; /* the last reason says most here */
    d->because[d->because_count++] = (struct pn_because){PN_STR(""), text};
}

/* The policy's words, and the name by which to ask for the message later. */
static struct pn_str taken_reply(const struct pn_verdict *v, struct pn_str words,
                                 struct pn_pool *pool)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_REPLY_MAX);
    /* Of one that was refused until the envelope proved mixed the words are a refusal's. */
    (void)pn_buf_adds(&b, words.len != 0 && words.p[0] == '2' ? words : PN_STR("250 2.0.0 Taken"));
    (void)pn_buf_addz(&b, " as ");
    (void)pn_buf_adds(&b, v->id);
    struct pn_str reply = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return reply.p == NULL ? PN_STR("250 2.0.0 Taken") : reply;
}

static void settle_mixed(struct pn_verdict *v, struct mix mix)
{
    for (size_t i = 0; i < v->rcpt_count; i++) {
        struct pn_decision *d = &v->rcpts[i].decision;
        if (mix.taken && pn_outcome_refuses(d->outcome)) {
            d->outcome = PN_QUARANTINE;
            because(d, PN_STR("mixed envelope: another recipient gets it, so it is kept apart "
                              "and not refused"));
        } else if (!mix.taken && mix.deferred && d->outcome == PN_REJECT) {
            d->outcome = PN_DEFER;
            because(d, PN_STR("mixed envelope: another recipient defers, so all are deferred"));
        }
    }
}

static void find_strictest(struct pn_verdict *v)
{
    v->strictest = 0;
    for (size_t i = 1; i < v->rcpt_count; i++)
        if (v->rcpts[i].decision.outcome > v->rcpts[v->strictest].decision.outcome)
            v->strictest = i;
    v->outcome = v->rcpts[v->strictest].decision.outcome;
}

/* What all of rcpts come to. */
static void settle(struct pn_verdict *v, bool each_replies, struct pn_pool *pool)
{
    struct mix mix = mix_of(v);
    struct pn_str refusal = PN_STR("");
    for (size_t i = 0; i < v->rcpt_count; i++) {
        const struct pn_decision *d = &v->rcpts[i].decision;
        /* What speaks for all: a deferral where anybody defers, else the rejection. */
        enum pn_outcome speaks = mix.deferred && !each_replies ? PN_DEFER : PN_REJECT;
        if (refusal.len == 0 && d->outcome == speaks)
            refusal = d->reply;
    }
    if (!each_replies)
        settle_mixed(v, mix);
    find_strictest(v);
    const struct pn_decision *worst = &v->rcpts[v->strictest].decision;
    if (!pn_outcome_refuses(v->outcome))
        v->reply = taken_reply(v, worst->reply, pool);
    else
        v->reply = each_replies || refusal.len == 0 ? worst->reply : refusal;
}

bool pn_verdict_taken(const struct pn_verdict *v)
{
    return mix_of(v).taken;
}

/* Whom the message goes to as well, unless its own policy refuses it. */
static void settle_added(struct pn_verdict *v, const struct pn_verdict_rcpt *r)
{
    if (!pn_outcome_refuses(r->decision.outcome))
        v->rcpts[v->rcpt_count++] = *r;
    else if (r->edit < v->edit_count)
        v->edits[r->edit].refused = r->decision.reply;
}

static void drop(const struct pn_verdict *v, struct pn_verdict_rcpt *r, struct pn_pool *pool)
{
    struct pn_buf b;
    pn_buf_init(&b, 200);
    (void)pn_buf_addz(&b, "removed by plugin ");
    if (r->edit < v->edit_count)
        (void)pn_buf_adds(&b, v->edits[r->edit].edit->plugin);
    struct pn_str text = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    r->decision.outcome = PN_DISCARD;
    r->decision.because_count = 0;
    because(&r->decision, text.p == NULL ? PN_STR("removed by a plugin") : text);
}

/* Nobody is left: it is taken, unless it would have been refused, and dropped. */
static void settle_none(struct pn_verdict *v, struct pn_pool *pool)
{
    if (!pn_verdict_taken(v))
        return;
    for (size_t i = 0; i < v->rcpt_count; i++)
        if (!pn_outcome_refuses(v->rcpts[i].decision.outcome))
            drop(v, &v->rcpts[i], pool);
    find_strictest(v);
}

/* Whom nobody refuses is answered so, in the words of its own decision. */
static void settle_replies(struct pn_verdict *v, struct pn_pool *pool)
{
    for (size_t i = 0; i < v->rcpt_count; i++) {
        struct pn_decision *d = &v->rcpts[i].decision;
        if (!pn_outcome_refuses(d->outcome))
            d->reply = taken_reply(v, d->reply, pool);
    }
    v->reply = v->rcpts[v->strictest].decision.reply;
}

/* Those of the client have their outcomes: what of the others? */
static void settle_others(struct pn_verdict *v, size_t all, size_t kept, size_t added,
                          struct pn_pool *pool)
{
    bool taken = pn_verdict_taken(v);
    if (kept + added == 0) {
        settle_none(v, pool);
        return;
    }
    for (size_t i = kept; taken && kept != 0 && i < kept + added; i++)
        settle_added(v, &v->rcpts[i]);
    find_strictest(v);
    for (size_t i = kept + added; i < all; i++) {
        v->rcpts[v->rcpt_count] = v->rcpts[i];
        drop(v, &v->rcpts[v->rcpt_count++], pool);
    }
}

void pn_verdict_settle(struct pn_verdict *v, bool each_replies, struct pn_pool *pool)
{
    size_t all = v->rcpt_count, kept = 0, added = 0;
    pn_assert(all > 0);
    v->each_replies = each_replies;
    for (size_t i = 0; i < all; i++) {
        kept += !v->rcpts[i].added && !v->rcpts[i].removed;
        added += v->rcpts[i].added;
    }
    v->rcpt_count = kept != 0 ? kept : added != 0 ? added : all;
    settle(v, each_replies, pool);
    settle_others(v, all, kept, added, pool);
    if (each_replies)
        settle_replies(v, pool);
}

static void replied(struct pn_verdict *v, struct pn_str reply, struct pn_str why)
{
    enum pn_outcome outcome = pn_str_starts(reply, PN_STR("4")) ? PN_DEFER : PN_REJECT;
    if (!v->each_replies)
        v->reply = reply;
    if (pn_str_starts(reply, PN_STR("2")) || !pn_verdict_taken(v))
        return;
    for (size_t i = 0; i < v->rcpt_count; i++) {
        struct pn_decision *d = &v->rcpts[i].decision;
        if (v->each_replies ? !pn_verdict_gets(&v->rcpts[i]) : v->rcpts[i].removed)
            continue;
        d->outcome = outcome;
        d->reply = reply;
        because(d, why);
    }
    v->outcome = outcome;
    if (v->each_replies) {
        find_strictest(v);
        v->reply = v->rcpts[v->strictest].decision.reply;
    }
}

const char *pn_verdict_kept(const struct pn_verdict_rcpt *r, const struct pn_expand_target *target)
{
    return target->domain == NULL && r->decision.outcome == PN_JUNK
               ? "it is junk by policy, and is not sent on to another's server"
               : NULL;
}

void pn_verdict_replied(struct pn_verdict *v, struct pn_str reply)
{
    replied(v, reply, PN_STR("it was to be taken, and could not be kept"));
}

void pn_verdict_refused(struct pn_verdict *v, struct pn_str reply)
{
    replied(v, reply, PN_STR("it was to be taken, and the next hop refused it"));
}

/* ---- JSON ---- */

static void because_json(struct pn_json *j, const struct pn_because *b)
{
    struct pn_buf text;
    pn_buf_init(&text, 4096);
    if (b->where.len != 0)
        (void)(pn_buf_adds(&text, b->where) && pn_buf_addc(&text, ' '));
    (void)pn_buf_adds(&text, b->text);
    pn_json_str(j, NULL, pn_buf_str(&text));
    pn_buf_fini(&text);
}

/* "expands": who has it in the recipient's place, by which lines; "kept": why not yet. */
static void expands_json(struct pn_json *j, const struct pn_verdict_rcpt *r)
{
    const struct pn_expansion *x = r->stands_for;
    if (x == NULL)
        return;
    pn_json_array(j, "expands");
    for (size_t i = 0; i < x->count; i++) {
        const char *kept = pn_verdict_kept(r, &x->targets[i]);
        pn_json_object(j, NULL);
        pn_json_str(j, "address", x->targets[i].address);
        pn_json_array(j, "by");
        for (size_t k = 0; k < x->targets[i].by_count; k++)
            because_json(j, &x->targets[i].by[k]);
        pn_json_array_end(j);
        if (kept != NULL)
            pn_json_str(j, "kept", pn_str_of(kept));
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
}

static void recipients_json(struct pn_json *j, const struct pn_verdict *v)
{
    pn_json_array(j, "recipients");
    for (size_t i = 0; i < v->rcpt_count; i++) {
        const struct pn_verdict_rcpt *r = &v->rcpts[i];
        const struct pn_decision *d = &r->decision;
        pn_json_object(j, NULL);
        pn_json_str(j, "address", r->address);
        pn_json_str(j, "outcome", pn_str_of(pn_outcome_name(d->outcome)));
        pn_json_milli(j, "score", d->score);
        pn_json_str(j, "reply",
                    pn_outcome_refuses(d->outcome) || v->each_replies ? d->reply : v->reply);
        pn_json_array(j, "because");
        for (size_t k = 0; k < d->because_count; k++)
            because_json(j, &d->because[k]);
        pn_json_array_end(j);
        expands_json(j, r);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
}

/* Weights as they count for the strictest recipient: they sum to the score. "own": the plugin's,
 * where that is another. */
static void symbols_json(struct pn_json *j, const struct pn_verdict *v)
{
    const struct pn_verdict_rcpt *worst = &v->rcpts[v->strictest];
    pn_json_array(j, "symbols");
    for (size_t i = 0; i < v->facts->symbol_count; i++) {
        const struct pn_fact *f = &v->facts->symbols[i];
        bool counts;
        int32_t weight = pn_decide_weight(v->policy, worst->domain, f, &counts);
        bool other = f->rcpt != PN_FACT_ALL_RCPTS && f->rcpt != worst->index;
        pn_json_object(j, NULL);
        pn_json_str(j, "name", f->name);
        pn_json_str(j, "plugin", f->plugin);
        pn_json_milli(j, "weight", counts ? weight : 0);
        if (f->weight != (counts ? weight : 0))
            pn_json_milli(j, "own", f->weight);
        pn_json_str(j, "detail", f->detail);
        if (f->rcpt < v->envelope_count)
            pn_json_str(j, "recipient", v->envelope[f->rcpt]);
        if (!counts || other)
            pn_json_bool(j, "counts", false);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
}

/* A word, and not said before: a name that stands twice in an object is read as anything. */
static bool property_shown(const struct pn_auth *a, uint32_t i)
{
    struct pn_str name = a->properties[i].name;
    for (size_t k = 0; k < name.len; k++)
        if (!pn_is_alpha(name.p[k]) && !pn_is_digit(name.p[k]) && name.p[k] != '-' &&
            name.p[k] != '_' && name.p[k] != '.')
            return false;
    for (uint32_t k = 0; k < i; k++)
        if (pn_str_eq(a->properties[k].name, name))
            return false;
    return name.len != 0 && !pn_str_eq(name, PN_STR("result")) &&
           !pn_str_eq(name, PN_STR("plugin"));
}

static void auth_object(struct pn_json *j, const char *key, const struct pn_auth *a)
{
    pn_json_object(j, key);
    pn_json_str(j, "result", a->result);
    for (uint32_t i = 0; i < a->count; i++) {
        char name[64];
        uint64_t number;
        struct pn_str p = a->properties[i].name;
        if (p.len >= sizeof name || !property_shown(a, i))
            continue;
        memcpy(name, p.p, p.len);
        name[p.len] = '\0';
        if (strcmp(name, "bits") == 0 && pn_str_u64(a->properties[i].value, INT32_MAX, &number))
            pn_json_i64(j, name, (int64_t)number);
        else
            pn_json_str(j, name, a->properties[i].value);
    }
    if (!pn_str_eq(a->plugin, a->method))
        pn_json_str(j, "plugin", a->plugin);
    pn_json_object_end(j);
}

/* dmarc and arc have one result a message; every other method has a list. */
static void auth_json(struct pn_json *j, const struct pn_facts *facts)
{
    static const char *const single[] = {"dmarc", "arc"};
    static const char *const lists[] = {"spf", "dkim", "iprev", "auth"};
    const struct pn_auth *a;
    pn_json_object(j, "auth");
    for (size_t m = 0; m < sizeof lists / sizeof lists[0]; m++) {
        struct pn_str method = pn_str_of(lists[m]);
        if (m > 1 && pn_facts_auth(facts, method, 0) == NULL)
            continue;
        pn_json_array(j, lists[m]);
        for (size_t n = 0; (a = pn_facts_auth(facts, method, n)) != NULL; n++)
            auth_object(j, NULL, a);
        pn_json_array_end(j);
    }
    for (size_t m = 0; m < sizeof single / sizeof single[0]; m++)
        if ((a = pn_facts_auth(facts, pn_str_of(single[m]), 0)) != NULL)
            auth_object(j, single[m], a);
    pn_json_object_end(j);
}

static void plugins_json(struct pn_json *j, const struct pn_facts *facts)
{
    static const char *const names[] = {[PN_PLUGIN_OK] = "ok",
                                        [PN_PLUGIN_FAILED] = "failed",
                                        [PN_PLUGIN_TIMEOUT] = "timeout",
                                        [PN_PLUGIN_SKIPPED] = "skipped",
                                        [PN_PLUGIN_GIVEN] = "given"};
    pn_json_array(j, "plugins");
    for (size_t i = 0; i < facts->run_count; i++) {
        const struct pn_plugin_run *run = &facts->runs[i];
        pn_json_object(j, NULL);
        pn_json_str(j, "name", run->plugin);
        pn_json_str(j, "status", pn_str_of(names[run->status]));
        pn_json_milli(j, "ms", run->us);
        if (run->reason.len != 0)
            pn_json_str(j, "reason", run->reason);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
}

/* A record's data as a person would write it. */
static void answer_json(struct pn_json *j, uint16_t type, struct pn_str data)
{
    char text[PN_IP_TEXT_MAX];
    struct pn_ip ip = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    if ((type == PN_DNS_A && data.len == 4) || (type == PN_DNS_AAAA && data.len == 16)) {
        memcpy(ip.b + 16 - data.len, data.p, data.len);
        pn_json_str(j, NULL, pn_str_of(pn_ip_text(&ip, text)));
    } else if (type == PN_DNS_MX && data.len >= 2) {
        struct pn_buf b;
        pn_buf_init(&b, 512);
        (void)pn_buf_addf(&b, "%u %.*s",
                          (unsigned)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]),
                          (int)(data.len - 2), data.p + 2);
        pn_json_str(j, NULL, pn_buf_str(&b));
        pn_buf_fini(&b);
    } else {
        pn_json_str(j, NULL, data);
    }
}

static void dns_json(struct pn_json *j, const struct pn_facts *facts)
{
    pn_json_array(j, "dns");
    for (size_t i = 0; i < facts->dns_count; i++) {
        const struct pn_dns_seen *d = &facts->dns[i];
        const char *type = pn_dns_type_name(d->type);
        const char *rcode = pn_dns_rcode_name(d->rcode);
        pn_json_object(j, NULL);
        pn_json_str(j, "name", d->name);
        pn_json_str(j, "type", pn_str_of(type == NULL ? "other" : type));
        pn_json_str(j, "rcode", pn_str_of(rcode == NULL ? "other" : rcode));
        pn_json_bool(j, "secure", d->secure);
        pn_json_array(j, "answers");
        for (uint32_t k = 0; k < d->count; k++)
            answer_json(j, d->type, d->answers[k]);
        pn_json_array_end(j);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
}

/* As text where it is, else in base64. */
static void value_json(struct pn_json *j, struct pn_str value)
{
    struct pn_buf b;
    if (pn_utf8_valid(value)) {
        pn_json_str(j, "value", value);
        return;
    }
    pn_buf_init(&b, SIZE_MAX);
    pn_base64_encode(&b, value);
    pn_json_str(j, "value64", pn_buf_str(&b));
    pn_buf_fini(&b);
}

void pn_state_json(struct pn_json *j, const struct pn_state_seen *s)
{
    static const char *const ops[] = {"get", "put", "take"};
    static const char *const gets[] = {"none", "ok", "away"}, *const takes[] = {"no", "ok", "away"};
    static const char *const fates[] = {"decided", "taken", "refused"};
    pn_json_object(j, NULL);
    pn_json_str(j, "op", pn_str_of(ops[s->op]));
    pn_json_str(j, "plugin", s->plugin);
    pn_json_str(j, "key", s->key);
    if (s->op != PN_STATE_PUT)
        pn_json_str(j, "result", pn_str_of((s->op == PN_STATE_GET ? gets : takes)[s->result]));
    if (s->op == PN_STATE_PUT || (s->op == PN_STATE_GET && s->result == PN_STATE_OK))
        value_json(j, s->value);
    if (s->op == PN_STATE_PUT) {
        pn_json_milli(j, "ttl", (int64_t)s->ttl_ms);
        pn_json_str(j, "when", pn_str_of(fates[s->when]));
    }
    if (s->op == PN_STATE_TAKE)
        pn_json_i64(j, "left", s->left);
    if (s->local)
        pn_json_bool(j, "local", true);
    pn_json_i64(j, "step", s->step);
    pn_json_object_end(j);
}

static void state_json(struct pn_json *j, const struct pn_facts *facts)
{
    size_t standings = 0;
    for (size_t i = 0; i < facts->state_count; i++)
        standings += facts->state[i].op == PN_STATE_STANDING;
    if (facts->state_count == standings)
        return;
    pn_json_array(j, "state");
    for (size_t i = 0; i < facts->state_count; i++)
        if (facts->state[i].op != PN_STATE_STANDING)
            pn_state_json(j, &facts->state[i]);
    pn_json_array_end(j);
}

void pn_standing_json(struct pn_json *j, const struct pn_facts *facts)
{
    bool any = false;
    for (size_t i = 0; i < facts->state_count; i++) {
        const struct pn_state_seen *s = &facts->state[i];
        if (s->op != PN_STATE_STANDING)
            continue;
        if (!any)
            pn_json_array(j, "standing");
        any = true;
        pn_json_object(j, NULL);
        pn_json_str(j, "plugin", s->plugin);
        pn_json_str(j, "value", s->value);
        pn_json_i64(j, "step", s->step);
        pn_json_object_end(j);
    }
    if (any)
        pn_json_array_end(j);
}

void pn_verdict_json(struct pn_json *j, const struct pn_verdict *v)
{
    pn_json_str(j, "id", v->id);
    if (v->file.len != 0)
        pn_json_str(j, "file", v->file);
    pn_json_str(j, "outcome", pn_str_of(pn_outcome_name(v->outcome)));
    pn_json_str(j, "reply", v->reply);
    pn_json_milli(j, "score", v->rcpts[v->strictest].decision.score);
    recipients_json(j, v);
    symbols_json(j, v);
    auth_json(j, v->facts);
    plugins_json(j, v->facts);
    pn_verdict_edits_json(j, v);
    dns_json(j, v->facts);
    state_json(j, v->facts);
    pn_standing_json(j, v->facts);
}
