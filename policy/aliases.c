/* `alias`, `alias-file` and `catch-all`: whose mail goes where, and whether that ends well. */
#include "model.h"

#include "alabel.h"
#include "buf.h"
#include "expand.h"
#include "mem.h"

#include <stdlib.h>

enum { LOCAL_PART_MAX = 256, ADDRESS_MAX = 254, CHECK_POOL = 64 * 1024 * 1024 };

static const char target_what[] = "a name of this domain, or an address such as bert@example.org";

/* ---- names and targets ---- */

/* What an address holds without quotes (RFC 5321, section 4.1.2; beyond ASCII RFC 6531). */
static bool local_ok(struct pn_str s)
{
    bool ok = s.len != 0 && s.len <= LOCAL_PART_MAX && s.p[0] != '.' && s.p[s.len - 1] != '.';
    for (size_t i = 0; ok && i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        ok = c > ' ' && c != 0x7f && strchr("()<>[]:;@\\,\"", c) == NULL &&
             (c != '.' || s.p[i - 1] != '.');
    }
    return ok;
}

static struct pn_str lower(struct model *m, struct pn_str s)
{
    char *copy = pn_pool_strdup(m->p.pool, s);
    for (size_t i = 0; copy != NULL && i < s.len; i++)
        copy[i] = pn_lower(copy[i]);
    return copy == NULL ? PN_STR("") : (struct pn_str){copy, s.len};
}

static size_t sign_of(struct pn_str s)
{
    size_t at = s.len;
    while (at > 0 && s.p[at - 1] != '@')
        at--;
    return at;
}

/* By its A-labels, in lower case; empty: it is none. */
static struct pn_str domain_of(struct model *m, struct pn_str s)
{
    struct pn_alabel room;
    struct pn_str domain = pn_alabel_domain(s, &room);
    bool ok = domain.p != NULL && domain.len != 0 && domain.p[0] != '.';
    for (size_t i = 0; ok && i < domain.len; i++)
        ok = pn_is_alpha(domain.p[i]) || pn_is_digit(domain.p[i]) ||
             strchr("-_.", domain.p[i]) != NULL;
    return ok ? lower(m, domain) : PN_STR("");
}

static bool target_of(struct model *m, struct pn_str text, struct pn_str *out)
{
    size_t sign = sign_of(text);
    *out = text;
    if (sign == 0)
        return local_ok(text);
    struct pn_str local = pn_str_slice(text, 0, sign - 1);
    struct pn_str domain = domain_of(m, pn_str_slice(text, sign, text.len));
    if (!local_ok(local) || !pn_str_is_ascii(local) || domain.len == 0 ||
        local.len + 1 + domain.len > ADDRESS_MAX)
        return false;
    struct pn_buf b;
    pn_buf_init(&b, ADDRESS_MAX + 2);
    (void)(pn_buf_adds(&b, local) && pn_buf_addc(&b, '@') && pn_buf_adds(&b, domain));
    *out = pn_pool_dup(m->p.pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return out->p != NULL;
}

static void add_target(struct model *m, struct pn_place at, struct pn_str text,
                       struct model_alias *a)
{
    struct pn_str target;
    if (!target_of(m, text, &target)) {
        struct pn_str shown = pn_str_slice(text, 0, 80);
        pn_error_at(m->p.problems, at, "'%.*s' is nobody that mail can go to, expected %s",
                    PN_FMT(shown), target_what);
        return;
    }
    if (a->count == a->cap) {
        uint32_t cap = a->cap == 0 ? 4 : 2 * a->cap;
        struct pn_str *more = pn_pool_alloc(m->p.pool, cap * sizeof *more);
        if (more == NULL)
            return;
        for (uint32_t i = 0; i < a->count; i++)
            more[i] = a->targets[i];
        a->targets = more;
        a->cap = cap;
    }
    a->targets[a->count++] = target;
}

/* How explanations show it. */
static void set_text(struct model *m, struct model_alias *a)
{
    struct pn_buf b;
    pn_buf_init(&b, 600);
    if (a->name.len == 0)
        (void)pn_buf_addz(&b, "catch-all");
    else
        (void)pn_buf_addf(&b, "alias \"%.*s\"", PN_FMT(a->name));
    a->text = pn_pool_dup(m->p.pool, pn_buf_str(&b));
    pn_buf_fini(&b);
}

static void add_alias(struct model *m, struct model_policy *policy, const struct model_alias *a)
{
    struct model_alias *add = pn_pool_alloc(m->p.pool, sizeof *add);
    if (add == NULL || a->count == 0)
        return;
    *add = *a;
    set_text(m, add);
    add->order = policy->alias_count++;
    if (policy->last_alias == NULL)
        policy->aliases = add;
    else
        policy->last_alias->next = add;
    policy->last_alias = add;
}

/* ---- statements ---- */

/* A bare word that begins the next statement on the line. */
static bool begins_statement(const struct pn_token *t)
{
    if (t->kind != PN_TOK_WORD)
        return false;
    for (const struct model_statement *s = model_statements; s->name != NULL; s++)
        if (pn_str_eq(t->text, pn_str_of(s->name)))
            return true;
    return pn_str_eq(t->text, PN_STR("include"));
}

static bool next_value(struct model *m, struct pn_lex *lex, const char *owner, bool first,
                       struct pn_token *out)
{
    *out = pn_lex_peek(lex);
    if (!first && out->kind == PN_TOK_COMMA) {
        (void)pn_lex_next(lex);
        while (pn_lex_peek(lex).kind == PN_TOK_LINE && pn_lex_peek(lex).text.len == 0)
            (void)pn_lex_next(lex);
        first = true;
    }
    if (first)
        return pn_parse_value(&m->p, lex, out, owner, target_what);
    if (!pn_token_is_value(out) || begins_statement(out))
        return false;
    (void)pn_lex_next(lex);
    return true;
}

static void read_targets(struct model *m, struct pn_lex *lex, const char *owner,
                         struct model_alias *a)
{
    struct pn_token t;
    for (bool first = true; next_value(m, lex, owner, first, &t); first = false)
        add_target(m, t.at, t.text, a);
}

void model_parse_alias(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                       struct pn_token name)
{
    struct pn_token key, to;
    struct model_alias a = {.at = name.at, .domain = PN_STR("")};
    if (!pn_parse_value(&m->p, lex, &key, "alias", "a name such as \"info\""))
        return;
    a.name = lower(m, key.text);
    to = pn_lex_peek(lex);
    if (!local_ok(key.text) || pn_str_eq(key.text, PN_STR("*"))) {
        pn_error_at(m->p.problems, key.at, "'%.*s' is no alias, expected %s",
                    PN_FMT(pn_str_slice(key.text, 0, 80)),
                    pn_str_eq(key.text, PN_STR("*")) ? "'catch-all' for all other names"
                                                     : "a name alone, what stands before the @");
        pn_lex_skip_statement(lex);
    } else if (to.kind != PN_TOK_WORD || !pn_str_eq(to.text, PN_STR("to"))) {
        if (to.kind != PN_TOK_BAD)
            pn_error_at(m->p.problems, to.at, "%s does not go on 'alias', expected 'to' and %s",
                        pn_token_name(m->p.pool, &to), target_what);
        pn_lex_skip_statement(lex);
    } else {
        (void)pn_lex_next(lex);
        read_targets(m, lex, "to", &a);
        add_alias(m, policy, &a);
    }
}

void model_parse_catch_all(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                           struct pn_token name)
{
    struct model_alias a = {.at = name.at, .name = PN_STR(""), .domain = PN_STR("")};
    const struct model_alias *there = policy->catch_all;
    if (there != NULL && there->at.source == name.at.source)
        pn_error_at(m->p.problems, name.at, "'catch-all' is set twice, the first time in line %u",
                    (unsigned)there->at.line);
    read_targets(m, lex, "catch-all", &a);
    policy->catch_all = pn_pool_alloc(m->p.pool, sizeof a);
    if (policy->catch_all == NULL)
        return;
    set_text(m, &a);
    *policy->catch_all = a;
}

/* ---- a file of aliases: `info: anna, bert@example.org` ---- */

struct reader {
    struct model *m;
    struct model_policy *policy;
    struct model_alias alias; /* name.p NULL: none was begun */
    struct pn_place at;       /* of the line */
    struct pn_str line;
};

static struct pn_place place_of(const struct reader *r, struct pn_str part)
{
    struct pn_place at = r->at;
    for (const char *p = r->line.p; p < part.p; p++)
        at.column += ((unsigned char)*p & 0xc0) != 0x80;
    return at;
}

static struct pn_str unquoted(struct pn_str s)
{
    bool quoted = s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"';
    return quoted ? pn_str_slice(s, 1, s.len - 1) : s;
}

/* What other programs do for such a line, we don't. */
static bool is_action(struct pn_str s)
{
    return s.len != 0 && (s.p[0] == '|' || s.p[0] == '/' || s.p[0] == ':');
}

static void read_target(struct reader *r, struct pn_str part)
{
    struct pn_str text = unquoted(part);
    if (is_action(text)) {
        pn_error_at(r->m->p.problems, place_of(r, part),
                    "'%.*s': mail is not given to programs, files or lists in other files, "
                    "expected %s",
                    PN_FMT(pn_str_slice(text, 0, 80)), target_what);
        return;
    }
    /* The mailbox itself, in the classic form: an alias that names itself is that here. */
    if (text.len > 1 && text.p[0] == '\\' &&
        pn_str_ieq(pn_str_slice(text, 1, text.len), r->alias.name))
        text = pn_str_slice(text, 1, text.len);
    add_target(r->m, place_of(r, part), text, &r->alias);
}

static void read_parts(struct reader *r, struct pn_str rest)
{
    while (rest.len != 0) {
        bool quoted = false;
        size_t end = 0;
        for (; end < rest.len && (quoted || rest.p[end] != ','); end++)
            quoted ^= rest.p[end] == '"';
        struct pn_str part = pn_str_trim(pn_str_slice(rest, 0, end));
        rest = pn_str_slice(rest, end == rest.len ? end : end + 1, rest.len);
        if (part.len != 0)
            read_target(r, part);
    }
}

static void end_alias(struct reader *r)
{
    if (r->alias.name.p == NULL)
        return;
    if (r->alias.count == 0)
        pn_error_at(r->m->p.problems, r->alias.at, "'%.*s' goes to nobody, expected %s",
                    PN_FMT(r->alias.name), target_what);
    add_alias(r->m, r->policy, &r->alias);
    r->alias = (struct model_alias){.name = {NULL, 0}};
}

static void begin_alias(struct reader *r, struct pn_str line)
{
    size_t colon = pn_str_find(line, ':', 0);
    struct pn_str name =
        unquoted(pn_str_trim(pn_str_slice(line, 0, colon == SIZE_MAX ? 0 : colon)));
    size_t sign = sign_of(name);
    struct pn_str local = sign == 0 ? name : pn_str_slice(name, 0, sign - 1);
    struct pn_str domain =
        sign == 0 ? PN_STR("") : domain_of(r->m, pn_str_slice(name, sign, name.len));
    end_alias(r);
    if (colon == SIZE_MAX || !local_ok(local) || (sign != 0 && domain.len == 0)) {
        pn_error_at(r->m->p.problems, place_of(r, line),
                    "'%.*s' is no alias, expected one a line: name: who, who",
                    PN_FMT(pn_str_slice(line, 0, 80)));
        return;
    }
    r->alias =
        (struct model_alias){.at = place_of(r, line), .name = lower(r->m, local), .domain = domain};
    read_parts(r, pn_str_slice(line, colon + 1, line.len));
}

static void read_line(struct reader *r)
{
    struct pn_str text = pn_str_trim(r->line);
    bool goes_on = r->line.len != 0 && (r->line.p[0] == ' ' || r->line.p[0] == '\t');
    if (text.len == 0 || text.p[0] == '#')
        return;
    if (!goes_on)
        begin_alias(r, text);
    else if (r->alias.name.p != NULL)
        read_parts(r, text);
    else
        pn_error_at(r->m->p.problems, place_of(r, text),
                    "a line that goes on, and no alias before it, expected name: who, who");
}

void model_parse_alias_file(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                            struct pn_token name)
{
    struct pn_token file;
    (void)name;
    if (!pn_parse_value(&m->p, lex, &file, "alias-file", "the name of a file"))
        return;
    const struct pn_source *source = pn_source_read(&m->sources, file.text, file.at);
    if (source == NULL)
        return;
    struct reader r = {.m = m, .policy = policy, .at = {source, 0, 1}};
    for (struct pn_str rest = source->text; rest.p != NULL;) {
        r.line = pn_str_split(&rest, '\n');
        r.at.line++;
        read_line(&r);
    }
    end_alias(&r);
}

/* ---- in order ---- */

static int by_name(const void *a, const void *b)
{
    const struct model_alias *x = *(struct model_alias *const *)a;
    const struct model_alias *y = *(struct model_alias *const *)b;
    int c = pn_str_cmp(x->name, y->name);
    return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

void model_sort_aliases(struct model *m, struct model_policy *policy, struct pn_str domain)
{
    size_t n = 0;
    policy->by_name_count = 0;
    policy->by_name = pn_pool_alloc(m->p.pool, (policy->alias_count + 1U) * sizeof(void *));
    if (policy->by_name == NULL)
        return;
    for (struct model_alias *a = policy->aliases; a != NULL; a = a->next)
        if (a->domain.len == 0 || pn_str_eq(a->domain, domain))
            policy->by_name[n++] = a;
    qsort(policy->by_name, n, sizeof *policy->by_name, by_name);
    for (size_t i = 0; i < n; i++) {
        struct model_alias *a = policy->by_name[i];
        const struct model_alias *next = i + 1 < n ? policy->by_name[i + 1] : NULL;
        bool again = next != NULL && pn_str_eq(next->name, a->name);
        if (again && next->at.source == a->at.source)
            pn_error_at(m->p.problems, next->at,
                        "alias '%.*s' is set twice, the first time in line %u", PN_FMT(a->name),
                        (unsigned)a->at.line);
        if (!again)
            policy->by_name[policy->by_name_count++] = a;
    }
}

/* ---- whether all of them end well ---- */

struct trial {
    struct model *m;
    const struct pn_policy *p;
    const struct pn_domain *domain;
    struct pn_str name; /* of a domain that is written to */
};

static void complain(const struct trial *t, const struct model_alias *a, enum pn_expand_end end,
                     const struct pn_expansion *out)
{
    struct pn_problems *problems = t->m->p.problems;
    struct pn_str who = out->culprit;
    if (end == PN_EXPAND_LOOP)
        pn_error_at(problems, a->at, "%.*s goes round in a circle, by %.*s", PN_FMT(a->text),
                    PN_FMT(who));
    else if (end == PN_EXPAND_DEEP)
        pn_error_at(problems, a->at, "%.*s leads on over more than forward.depth aliases, to %.*s",
                    PN_FMT(a->text), PN_FMT(who));
    else if (end == PN_EXPAND_MANY)
        pn_error_at(problems, a->at, "%.*s stands for more addresses than forward.recipients",
                    PN_FMT(a->text));
    else if (end == PN_EXPAND_UNKNOWN)
        pn_error_at(problems, a->at, "%.*s leads to %.*s, whom that domain does not know",
                    PN_FMT(a->text), PN_FMT(who));
    else if (end == PN_EXPAND_MEMORY)
        pn_error_at(problems, a->at, "%.*s is too large", PN_FMT(a->text));
}

static void try_one(const struct trial *t, const struct model_alias *a,
                    const struct img_alias *compiled)
{
    struct pn_pool *pool = pn_pool_new(CHECK_POOL);
    struct pn_expansion out;
    complain(t, a, img_expand(t->p, compiled, t->name, pool, &out), &out);
    pn_pool_free(&pool);
}

static void try_policy(const struct trial *t, const struct model_policy *policy,
                       const struct pn_domain *of)
{
    const char *base = img_policy_base(t->p);
    const struct img_alias *aliases = img_at(base, of->aliases.off);
    for (uint32_t i = 0; i < policy->by_name_count; i++)
        try_one(t, policy->by_name[i], &aliases[i]);
    bool knows = t->domain->recipients == PN_RCPT_LIST || t->domain->recipients == PN_RCPT_LOCAL;
    if (policy->catch_all == NULL)
        return;
    if (knows)
        try_one(t, policy->catch_all, img_at(base, of->catch_all.off));
    else if (of == t->domain)
        pn_error_at(t->m->p.problems, policy->catch_all->at,
                    "'catch-all' where every name is taken or asked for, expected 'recipients list "
                    "FILE' or 'recipients local'");
}

/* A name below ".x.test", to try it by. */
static struct pn_str name_for(struct model *m, struct pn_str name)
{
    struct pn_buf b;
    pn_buf_init(&b, 300);
    (void)((name.p[0] != '.' || pn_buf_addz(&b, "any")) && pn_buf_adds(&b, name));
    struct pn_str out = pn_pool_dup(m->p.pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return out.p == NULL ? name : out;
}

void model_try_aliases(struct model *m, const struct pn_policy *p)
{
    const struct pn_domain *defaults = pn_policy_default_domain(p);
    for (size_t i = 0; i < m->domain_count; i++) {
        const struct model_domain *d = &m->domains[i];
        struct trial t = {.m = m, .p = p, .name = name_for(m, d->name)};
        t.domain = pn_policy_domain(p, t.name);
        if (t.domain == NULL)
            continue;
        try_policy(&t, d->policy, t.domain);
        try_policy(&t, &m->defaults, defaults);
    }
}
