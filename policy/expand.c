#include "expand.h"

#include "image.h"

enum { DEPTH_MAX = 31 }; /* of forward.depth, and one */

struct walk {
    const struct pn_policy *p;
    struct pn_pool *pool;
    struct pn_expansion *out;
    unsigned depth, depth_max;
    size_t count_max;
    struct {
        const struct img_alias *alias;
        struct pn_str domain;
    } path[DEPTH_MAX];
};

static enum pn_expand_end fail(struct walk *w, enum pn_expand_end end, struct pn_str address)
{
    w->out->culprit = address;
    return end;
}

/* ---- what stands for a name ---- */

static const struct img_alias *in_list(const char *base, struct img_list list, struct pn_str name)
{
    const struct img_alias *aliases = img_at(base, list.off);
    uint32_t from = 0, to = list.count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int c = pn_str_cmp(name, img_text(base, aliases[mid].name));
        if (c == 0)
            return &aliases[mid];
        if (c < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

static const struct img_alias *catch_all(const char *base, const struct pn_domain *d,
                                         const struct pn_domain *defaults, struct pn_str local)
{
    struct img_list list = d->catch_all.count != 0 ? d->catch_all : defaults->catch_all;
    bool knows = d->recipients == PN_RCPT_LIST || d->recipients == PN_RCPT_LOCAL;
    if (list.count == 0 || !knows || pn_str_eq(local, PN_STR("postmaster")) ||
        pn_str_eq(local, PN_STR("abuse")))
        return NULL;
    return img_at(base, list.off);
}

/* local: in lower case. NULL: nothing does. */
static const struct img_alias *stands_for(const struct pn_policy *p, const struct pn_domain *d,
                                          struct pn_str local)
{
    const char *base = img_policy_base(p);
    const struct pn_domain *defaults = pn_policy_default_domain(p);
    const struct pn_str names[2] = {local, img_untagged(p, local)};
    size_t count = names[1].len == local.len ? 1 : 2;
    const struct img_alias *a = NULL;
    for (size_t i = 0; i < count; i++) {
        a = in_list(base, d->aliases, names[i]);
        if (a != NULL || img_user_listed(p, d, names[i]))
            return a;
    }
    for (size_t i = 0; a == NULL && i < count; i++)
        a = in_list(base, defaults->aliases, names[i]);
    return a != NULL ? a : catch_all(base, d, defaults, names[count - 1]);
}

/* ---- the way ---- */

/* The lines from the first to the one at hand. */
static const struct pn_because *lines(struct walk *w)
{
    const char *base = img_policy_base(w->p);
    struct pn_because *by = pn_pool_alloc(w->pool, w->depth * sizeof *by);
    for (unsigned i = 0; by != NULL && i < w->depth; i++)
        by[i] = (struct pn_because){img_text(base, w->path[i].alias->where),
                                    img_text(base, w->path[i].alias->text)};
    return by;
}

/* A mailbox here has no case; what another host does with an address is not known. */
static bool is_there(const struct pn_expansion *out, struct pn_str address)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct pn_domain *d = out->targets[i].domain;
        if (pn_str_eq(out->targets[i].address, address) ||
            (d != NULL && pn_domain_is_local(d) && pn_str_ieq(out->targets[i].address, address)))
            return true;
    }
    return false;
}

static bool room(struct walk *w)
{
    struct pn_expansion *out = w->out;
    if (out->count < out->cap)
        return true;
    size_t cap = out->cap == 0 ? 4 : 2 * out->cap;
    struct pn_expand_target *more = pn_pool_alloc(w->pool, cap * sizeof *more);
    if (more == NULL)
        return false;
    for (size_t i = 0; i < out->count; i++)
        more[i] = out->targets[i];
    out->targets = more;
    out->cap = cap;
    return true;
}

static enum pn_expand_end add(struct walk *w, struct pn_str address, struct pn_str local,
                              const struct pn_domain *d)
{
    if (is_there(w->out, address))
        return PN_EXPAND_DONE;
    if (w->out->count >= w->count_max)
        return fail(w, PN_EXPAND_MANY, address);
    const struct pn_because *by = lines(w);
    if (by == NULL || !room(w))
        return fail(w, PN_EXPAND_MEMORY, address);
    w->out->targets[w->out->count++] =
        (struct pn_expand_target){address, pn_domain_user(w->p, d, local), d, by, w->depth};
    return PN_EXPAND_DONE;
}

static size_t sign_of(struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at;
}

/* A target as an address: in the domain that names it where it has none. */
static struct pn_str address_of(struct walk *w, struct pn_str target, struct pn_str domain)
{
    struct pn_buf b;
    if (sign_of(target) != 0)
        return target;
    pn_buf_init(&b, target.len + domain.len + 2);
    (void)(pn_buf_adds(&b, target) && pn_buf_addc(&b, '@') && pn_buf_adds(&b, domain));
    struct pn_str address = pn_pool_dup(w->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return address;
}

static struct pn_str lower(struct pn_pool *pool, struct pn_str s)
{
    char *copy = pn_pool_strdup(pool, s);
    for (size_t i = 0; copy != NULL && i < s.len; i++)
        copy[i] = pn_lower(copy[i]);
    return (struct pn_str){copy, s.len};
}

/* Has it been here already? The last step alone means the mailbox. */
static bool was_here(const struct walk *w, const struct img_alias *a, struct pn_str domain)
{
    for (unsigned i = 0; i < w->depth; i++)
        if (w->path[i].alias == a && pn_str_eq(w->path[i].domain, domain))
            return true;
    return false;
}

static bool names_itself(const struct walk *w, const struct img_alias *a, struct pn_str domain)
{
    return w->depth != 0 && w->path[w->depth - 1].alias == a &&
           pn_str_eq(w->path[w->depth - 1].domain, domain);
}

static enum pn_expand_end walk(struct walk *w, struct pn_str address);

static enum pn_expand_end through(struct walk *w, const struct img_alias *a, struct pn_str domain)
{
    const char *base = img_policy_base(w->p);
    const struct img_str *targets = img_at(base, a->targets.off);
    enum pn_expand_end end = PN_EXPAND_DONE;
    w->path[w->depth].alias = a;
    w->path[w->depth++].domain = domain;
    for (uint32_t i = 0; end == PN_EXPAND_DONE && i < a->targets.count; i++) {
        struct pn_str address = address_of(w, img_text(base, targets[i]), domain);
        end = address.p == NULL ? fail(w, PN_EXPAND_MEMORY, domain) : walk(w, address);
    }
    w->depth--;
    return end;
}

static enum pn_expand_end walk(struct walk *w, struct pn_str address)
{
    size_t sign = sign_of(address);
    struct pn_str domain = pn_str_slice(address, sign, address.len);
    struct pn_str local = lower(w->pool, pn_str_slice(address, 0, sign == 0 ? 0 : sign - 1));
    const struct pn_domain *d = pn_policy_domain(w->p, domain);
    if (local.p == NULL)
        return fail(w, PN_EXPAND_MEMORY, address);
    const struct img_alias *a = d == NULL ? NULL : stands_for(w->p, d, local);
    if (a == NULL || names_itself(w, a, domain))
        return d == NULL || pn_domain_has_user(w->p, d, local)
                   ? add(w, address, local, d)
                   : fail(w, PN_EXPAND_UNKNOWN, address);
    if (was_here(w, a, domain))
        return fail(w, PN_EXPAND_LOOP, address);
    if (w->depth >= w->depth_max)
        return fail(w, PN_EXPAND_DEEP, address);
    return through(w, a, domain);
}

static struct walk begin(const struct pn_policy *p, struct pn_pool *pool, struct pn_expansion *out)
{
    struct walk w = {.p = p, .pool = pool, .out = out};
    *out = (struct pn_expansion){.culprit = PN_STR("")};
    int64_t depth = pn_policy_int(p, "forward.depth"),
            count = pn_policy_int(p, "forward.recipients");
    w.depth_max = depth < 1 || depth > DEPTH_MAX ? DEPTH_MAX : (unsigned)depth;
    w.count_max = count < 1 ? 1 : (size_t)count;
    return w;
}

enum pn_expand_end img_expand(const struct pn_policy *p, const struct img_alias *a,
                              struct pn_str domain, struct pn_pool *pool, struct pn_expansion *out)
{
    struct walk w = begin(p, pool, out);
    return through(&w, a, domain);
}

enum pn_expand_end pn_expand(const struct pn_policy *p, const struct pn_domain *domain,
                             struct pn_str address, struct pn_pool *pool, struct pn_expansion *out)
{
    size_t sign = sign_of(address);
    struct pn_str local = lower(pool, pn_str_slice(address, 0, sign == 0 ? 0 : sign - 1));
    struct pn_str name = lower(pool, pn_str_slice(address, sign, address.len));
    *out = (struct pn_expansion){.culprit = address};
    if (local.p == NULL || name.p == NULL)
        return PN_EXPAND_MEMORY;
    const struct img_alias *a = stands_for(p, domain, local);
    return a == NULL ? PN_EXPAND_PLAIN : img_expand(p, a, name, pool, out);
}

void pn_expand_print(struct pn_buf *out, const struct pn_expand_target *target)
{
    for (size_t i = 0; i < target->by_count; i++)
        (void)pn_buf_addf(out, "%s%.*s%s%.*s", i == 0 ? "" : ", then ", PN_FMT(target->by[i].where),
                          target->by[i].where.len == 0 ? "" : " ", PN_FMT(target->by[i].text));
}
