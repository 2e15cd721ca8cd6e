/*
 * Recipients that stand for others (aliases, forwards, catch-all: policy/expand.h). They are
 * looked up at RCPT, so that nobody unknown is taken; the message is decided on for the address
 * that it was sent to; who has it in its place is worked out when it is handed over.
 *
 * Each copy that goes to somebody else says for whom it came: Delivered-To, above all lines. A
 * message that comes with such a line for a recipient has been here already: it loops.
 */
#include "edge.h"

#include "expand.h"
#include "intern.h"
#include "message.h"

enum {
    BY_MAX = 600,
    EDITS_MAX = PN_ENVELOPE_EDITS_MAX / 2,
    EDITS_BYTES_MAX = PN_ENVELOPE_MAX / 4,
    LOOK_BACK = 100 /* lines of Delivered-To; more is a loop whatever they say */
};

/* ---- RCPT ---- */

static const char *refusal_of(const struct transaction *t, enum pn_expand_end end)
{
    switch (end) {
    case PN_EXPAND_LOOP:
    case PN_EXPAND_DEEP:
        return "554 5.4.6 The aliases of this address go round in a circle";
    case PN_EXPAND_UNKNOWN:
        return pn_policy_str(t->s->gen->policy, "replies.unknown").p;
    case PN_EXPAND_MANY:
        return "554 5.3.5 This address stands for too many others";
    default:
        return "452 4.5.3 Too many recipients";
    }
}

const char *forward_find(const struct transaction *t, struct txn_rcpt *r)
{
    const struct pn_policy *p = t->s->gen->policy;
    struct pn_expansion x;
    enum pn_expand_end end = pn_expand(p, r->home, r->address, t->pool, &x);
    if (end == PN_EXPAND_PLAIN)
        return NULL;
    if (end != PN_EXPAND_DONE)
        return refusal_of(t, end);
    size_t max = (size_t)pn_policy_int(p, "forward.recipients");
    struct pn_expansion *kept = pn_pool_alloc(t->pool, sizeof *kept);
    if (kept == NULL || (t->expanded != 0 && t->expanded + x.count > max) ||
        t->rcpt_count + t->expanded + x.count > PN_ENVELOPE_RECIPIENTS_MAX)
        return "452 4.5.3 Too many recipients, send to this one apart";
    *kept = x;
    r->stands_for = kept;
    return NULL;
}

/* ---- loops ---- */

/* Whom its Delivered-To lines name; read once, by the first that asks. */
static void read_delivered(struct transaction *t)
{
    struct pn_str header, map;
    const struct pn_str name = PN_STR("Delivered-To");
    const struct pn_field *f;
    if (t->delivered != NULL)
        return;
    t->delivered = pn_pool_alloc(t->pool, LOOK_BACK * sizeof *t->delivered);
    if (t->delivered == NULL || t->size == 0 || !content_header(t, &header, &map))
        return;
    struct pn_message *m = pn_message_new(header, NULL);
    for (int n = 1; m != NULL && (f = pn_field_find(m, NULL, name, n)) != NULL; n++) {
        t->delivered_many = n > LOOK_BACK;
        if (t->delivered_many)
            break;
        struct pn_str who = pn_str_slice(pn_str_trim(pn_field_value(m, f)), 0, PN_SMTP_PATH_MAX);
        t->delivered[t->delivered_count++] = pn_pool_dup(t->pool, who);
    }
    pn_message_free(&m);
    pn_unmap(&map);
}

static bool loops(struct transaction *t, struct pn_str address)
{
    read_delivered(t);
    for (size_t i = 0; i < t->delivered_count; i++)
        if (t->delivered[i].p != NULL && pn_str_ieq(t->delivered[i], address))
            return true;
    return t->delivered_many;
}

void forward_decide(struct transaction *t, struct pn_verdict_rcpt *v)
{
    struct pn_decision *d = &v->decision;
    if (v->stands_for == NULL || pn_outcome_refuses(d->outcome) || !loops(t, v->address))
        return;
    d->outcome = PN_REJECT;
    d->reply = PN_STR("554 5.4.6 The message was forwarded from this address before: it loops");
    d->because_count = 1;
    d->because[0] =
        (struct pn_because){PN_STR(""), PN_STR("a Delivered-To line of it names this address")};
}

/* ---- where it goes ---- */

/* Where the domain begins. */
static size_t sign_of(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at;
}

struct pn_str forward_user(struct transaction *t, struct pn_str address, struct pn_str local)
{
    struct pn_buf b;
    pn_buf_init(&b, 1024);
    (void)pn_buf_addf(&b, "%.*s@%.*s", PN_FMT(local),
                      PN_FMT(pn_str_slice(address, sign_of(address), address.len)));
    struct pn_str user = pn_pool_dup(t->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return user;
}

void forward_route(struct transaction *t, const struct pn_domain *domain, struct pn_str local,
                   struct pn_recipient *out)
{
    struct pn_route route;
    struct pn_buf b;
    out->user = out->folder = out->next_hop = PN_STR("");
    if (domain == NULL) {
        out->via = PN_VIA_MX;
        out->next_hop = pn_str_slice(out->address, sign_of(out->address), out->address.len);
        return;
    }
    pn_domain_route(t->s->gen->policy, domain, &route);
    if (route.kind == PN_ROUTE_LOCAL) {
        out->via = PN_VIA_LOCAL;
        out->user = forward_user(t, out->address, local);
        out->folder = out->hand == PN_HAND_JUNK ? PN_STR("Junk") : PN_STR("");
        return;
    }
    pn_buf_init(&b, 512);
    pn_endpoint_print(&b, &route.ip, route.port);
    out->via = route.kind == PN_ROUTE_LMTP ? PN_VIA_LMTP : PN_VIA_SMTP;
    out->next_hop = pn_pool_dup(t->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
}

/* ---- the envelope ---- */

size_t forward_room(const struct transaction *t, size_t *groups)
{
    size_t rcpts = 0;
    *groups = TRACE_GROUPS_MAX;
    for (size_t i = 0; i < t->verdict.rcpt_count; i++) {
        const struct pn_expansion *x = t->verdict.rcpts[i].stands_for;
        rcpts += x == NULL ? 1 : x->count + 1; /* and its report: dsn_expand */
        *groups += x != NULL;
    }
    return rcpts;
}

static uint64_t bytes_of(const struct pn_edit_group *g)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < g->count; i++)
        bytes += g->edits[i].name.len + g->edits[i].value.len;
    return bytes;
}

/* The lines of a group, and above them for whom this came. Where all of them together would
 * come to too much it is the group as it is: then the hops count. False: the pool's limit. */
static bool mark(struct forwarder *f, struct pn_str address, uint16_t *group)
{
    struct pn_envelope *env = f->env;
    const struct pn_edit_group *from = &env->groups[*group];
    uint64_t bytes = bytes_of(from);
    if (f->edits + from->count >= EDITS_MAX || f->bytes + bytes > EDITS_BYTES_MAX ||
        env->group_count >= PN_ENVELOPE_GROUPS_MAX)
        return true;
    struct pn_edit_group *to = &env->groups[env->group_count];
    *to = (struct pn_edit_group){from->count + 1, NULL};
    to->edits = pn_pool_alloc(f->t->pool, to->count * sizeof *to->edits);
    if (to->edits == NULL)
        return false;
    to->edits[0] = (struct pn_header_edit){
        .op = PN_HEDIT_TOP, .name = PN_STR("Delivered-To"), .value = address};
    for (uint32_t i = 0; i < from->count; i++)
        to->edits[i + 1] = from->edits[i];
    f->edits += to->count;
    f->bytes += bytes;
    *group = (uint16_t)env->group_count++;
    return true;
}

/* Once is enough, whoever it came for. */
static bool append(struct forwarder *f, const struct pn_recipient *to)
{
    bool is_new = true;
    if (f->expands)
        (void)pn_intern_add(&f->seen, to->address, &is_new);
    if (is_new)
        f->env->recipients[f->env->recipient_count++] = *to;
    return is_new;
}

static struct pn_str explain(struct transaction *t, struct pn_str address,
                             const struct pn_expand_target *target)
{
    struct pn_buf b;
    pn_buf_init(&b, 16 * 1024);
    (void)(pn_buf_adds(&b, address) && pn_buf_addz(&b, ", by "));
    pn_expand_print(&b, target);
    struct pn_str text = pn_pool_dup(t->pool, pn_str_slice(pn_buf_str(&b), 0, BY_MAX));
    pn_buf_fini(&b);
    return text.p == NULL ? PN_STR("") : text;
}

static void fill(struct forwarder *f, const struct pn_verdict_rcpt *v,
                 const struct pn_expand_target *target, struct pn_recipient *to)
{
    const char *kept = pn_verdict_kept(v, target);
    to->address = target->address;
    to->by = explain(f->t, v->address, target);
    if (kept != NULL) {
        to->hand = PN_HAND_QUARANTINE;
        to->reason = pn_str_of(kept);
    }
    if (target->domain == NULL)
        to->from = forward_sender(f->t);
    forward_route(f->t, target->domain, target->local, to);
}

bool forward_put(struct forwarder *f, const struct pn_verdict_rcpt *v,
                 const struct pn_recipient *to)
{
    struct pn_recipient copy = *to;
    if (v->stands_for == NULL) {
        (void)append(f, to);
        return true;
    }
    if (!mark(f, v->address, &copy.group))
        return false;
    struct pn_recipient alias;
    if (dsn_expand(&copy, v->address, v->stands_for->count, &alias))
        f->env->recipients[f->env->recipient_count++] = alias;
    for (size_t i = 0; i < v->stands_for->count; i++) {
        struct pn_recipient one = copy;
        fill(f, v, &v->stands_for->targets[i], &one);
        (void)append(f, &one);
    }
    return true;
}

void forward_begin(struct forwarder *f, struct transaction *t, struct pn_envelope *env)
{
    *f = (struct forwarder){.t = t, .env = env};
    for (size_t i = 0; i < t->verdict.rcpt_count; i++)
        f->expands = f->expands || t->verdict.rcpts[i].stands_for != NULL;
    pn_intern_init(&f->seen);
}

void forward_end(struct forwarder *f)
{
    pn_intern_fini(&f->seen);
}
