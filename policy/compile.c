#include "model.h"

#include "alabel.h"
#include "buf.h"
#include "mem.h"

#include <stdlib.h>
#include <unistd.h>

static const struct pn_place nowhere = {NULL, 0, 0};

static void model_init(struct model *m, const struct pn_compile *c, struct pn_pool *pool,
                       struct pn_problems *problems)
{
    *m = (struct model){.c = c};
    pn_sources_init(&m->sources, pool, problems, c->file);
    m->p = (struct pn_parser){pool, problems, &m->sources, c->root};
    pn_intern_init(&m->domain_names);
    pn_intern_init(&m->symbols);
    pn_intern_init(&m->list_paths);
}

static void model_fini(struct model *m)
{
    pn_intern_fini(&m->domain_names);
    pn_intern_fini(&m->symbols);
    for (uint32_t i = 0; i < m->list_paths.count; i++)
        free(m->lists[i].users);
    free(m->lists);
    pn_intern_fini(&m->list_paths);
    free(m->domains);
    free(m->known_symbols);
    free(m->symbol_owners);
}

/* ---- the top level ---- */

/* Puts a block aside, its body unread. */
static void put_aside(struct model *m, struct pn_lex *lex, struct pn_token name, int kind)
{
    struct model_later *later = pn_pool_alloc(m->p.pool, sizeof *later);
    struct pn_place open;
    if (later == NULL)
        return;
    later->kind = kind;
    later->at = name.at;
    later->lex = *lex;
    if (m->last_later == NULL)
        m->later = later;
    else
        m->last_later->next = later;
    m->last_later = later;
    struct pn_token title = pn_lex_peek(lex);
    if (kind == LATER_DOMAIN && pn_token_is_value(&title))
        (void)pn_lex_next(lex);
    if (pn_lex_open(lex, &open))
        pn_lex_skip_block(lex, open);
    else
        pn_lex_skip_statement(lex);
}

static const char *const block_names[] = {"plugins", "defaults", "domain", "submitted"};

static bool on_top(struct pn_parser *p, void *ctx, struct pn_lex *lex, struct pn_token name)
{
    struct model *m = ctx;
    for (int kind = LATER_PLUGINS; kind <= LATER_SUBMITTED; kind++) {
        if (pn_str_eq(name.text, pn_str_of(block_names[kind]))) {
            put_aside(m, lex, name, kind);
            return true;
        }
    }
    return pn_tree_statement(p, lex, m->core, name);
}

static bool parse_top(struct model *m)
{
    const struct pn_source *source = m->c->text.p != NULL
                                         ? pn_source_of(&m->sources, m->c->file, m->c->text)
                                         : pn_source_read(&m->sources, m->c->file, nowhere);
    const char *names[64];
    size_t n = 0;
    m->core = pn_tree_block_new(&m->p, pn_core_rows, nowhere);
    if (source == NULL || m->core == NULL)
        return false;
    for (const struct postern_row *row = pn_core_rows; row->name != NULL; row++)
        names[n++] = row->name;
    for (size_t i = 0; i < sizeof block_names / sizeof block_names[0]; i++)
        names[n++] = block_names[i];
    names[n++] = "include";
    names[n] = NULL;
    const struct pn_body body = {on_top, names, m, "setting"};
    struct pn_lex lex;
    pn_lex_init(&lex, source, m->p.pool, m->p.problems);
    pn_parse_body(&m->p, &lex, &body, nowhere);
    pn_tree_finish(&m->p, m->core, "the configuration");
    return true;
}

/* ---- blocks put aside ---- */

static void run_later(struct model *m, int kind,
                      void (*run)(struct model *m, struct pn_lex *lex, struct pn_place at))
{
    for (struct model_later *later = m->later; later != NULL; later = later->next) {
        if ((int)later->kind == kind) {
            struct pn_lex lex = later->lex;
            run(m, &lex, later->at);
        }
    }
}

static void parse_policy(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                         const char *what, struct pn_place at)
{
    struct pn_place open;
    if (pn_lex_open(lex, &open))
        model_policy_body(m, lex, policy, open);
    else
        pn_error_at(m->p.problems, at, "'%s' without a block, expected '{'", what);
}

static void parse_defaults(struct model *m, struct pn_lex *lex, struct pn_place at)
{
    parse_policy(m, lex, &m->defaults, "defaults", at);
}

/* Labels, parted by dots; a dot in front stands for all below. */
bool model_domain_name_ok(struct pn_str s)
{
    size_t label = 0;
    bool ok = s.len > 0 && s.len <= 255;
    for (size_t i = s.len > 0 && s.p[0] == '.'; i < s.len; i++) {
        ok = ok && (unsigned char)s.p[i] > ' ' && strchr("@*\x7f", s.p[i]) == NULL &&
             (s.p[i] != '.' || label != 0);
        label = s.p[i] == '.' ? 0 : label + 1;
    }
    return ok && label != 0;
}

struct pn_str model_lower(struct pn_pool *pool, struct pn_str s)
{
    char *copy = pn_pool_strdup(pool, s);
    for (size_t i = 0; copy != NULL && i < s.len; i++)
        copy[i] = pn_lower(copy[i]);
    return copy == NULL ? PN_STR("") : (struct pn_str){copy, s.len};
}

/* By its A-labels, in lower case. */
static struct pn_str domain_name(struct model *m, const struct pn_token *name)
{
    struct pn_alabel room;
    struct pn_str s = pn_alabel_domain(name->text, &room);
    if (s.p == NULL || !model_domain_name_ok(s))
        pn_error_at(m->p.problems, name->at,
                    "%s is no domain, expected a name such as \"example.org\" or \".example.org\"",
                    pn_token_name(m->p.pool, name));
    return model_lower(m->p.pool, s.p == NULL ? name->text : s);
}

static void parse_domain(struct model *m, struct pn_lex *lex, struct pn_place at)
{
    struct pn_token name;
    bool is_new;
    if (!pn_parse_value(&m->p, lex, &name, "domain", "a domain's name"))
        return;
    struct model_policy *policy = pn_pool_alloc(m->p.pool, sizeof *policy);
    if (policy == NULL)
        return;
    struct model_domain domain = {domain_name(m, &name), at, policy};
    uint32_t number = pn_intern_add(&m->domain_names, domain.name, &is_new);
    if (!is_new)
        pn_error_at(m->p.problems, name.at,
                    "domain '%.*s' is there twice, first in line %u of %.*s", PN_FMT(domain.name),
                    (unsigned)m->domains[number].at.line,
                    PN_FMT(m->domains[number].at.source->name));
    parse_policy(m, lex, policy, "domain", at);
    if (!is_new)
        return;
    m->domains = pn_grow(m->domains, &m->domain_cap, m->domain_count, sizeof *m->domains);
    m->domains[m->domain_count++] = domain;
    if (policy->recipients_at.source == NULL && m->defaults.recipients_at.source == NULL)
        pn_error_at(m->p.problems, at,
                    "domain '%.*s' does not say who can be written to, expected 'recipients list "
                    "FILE', 'verify', 'local' or 'any'",
                    PN_FMT(domain.name));
}

/* Of mail that users submit: a policy that no domain's name leads to. */
static void parse_submitted(struct model *m, struct pn_lex *lex, struct pn_place at)
{
    bool is_new;
    uint32_t number = pn_intern_add(&m->domain_names, PN_STR(IMG_SUBMITTED), &is_new);
    if (is_new) {
        struct model_policy *policy = pn_pool_alloc(m->p.pool, sizeof *policy);
        if (policy == NULL)
            return;
        m->domains = pn_grow(m->domains, &m->domain_cap, m->domain_count, sizeof *m->domains);
        m->domains[m->domain_count++] = (struct model_domain){PN_STR(IMG_SUBMITTED), at, policy};
    }
    struct model_policy *policy = m->domains[number].policy;
    parse_policy(m, lex, policy, "submitted", at);
    if (policy->recipients_at.source != NULL || policy->route_at.source != NULL)
        pn_error_at(m->p.problems, at,
                    "'submitted' says what becomes of users' mail; its recipients are anybody, and "
                    "its route is that of their domain or by MX");
}

static void know(struct model *m, const char *symbol)
{
    m->known_symbols =
        pn_grow(m->known_symbols, &m->known_cap, m->known_count + 1, sizeof *m->known_symbols);
    m->known_symbols[m->known_count++] = symbol;
    m->known_symbols[m->known_count] = NULL;
}

/* A symbol is one plugin's: what policy says of SPF_FAIL is meant for the check that spf made. */
static void declare(struct model *m, struct pn_intern *declared, const struct model_plugin *plugin)
{
    const struct postern_symbol *s = plugin->desc->symbols;
    for (; s != NULL && s->name != NULL; s++) {
        bool is_new;
        uint32_t number = pn_intern_add(declared, pn_str_of(s->name), &is_new);
        if (is_new) {
            m->symbol_owners =
                pn_grow(m->symbol_owners, &m->owners_cap, number, sizeof *m->symbol_owners);
            m->symbol_owners[number] = plugin;
            know(m, s->name);
            continue;
        }
        const struct model_plugin *owner = m->symbol_owners[number];
        pn_error_at(m->p.problems, plugin->at,
                    "plugin '%.*s' declares the symbol %s, and so does plugin '%.*s' in line %u of "
                    "%.*s, expected one of them only",
                    PN_FMT(plugin->name), s->name, PN_FMT(owner->name), (unsigned)owner->at.line,
                    PN_FMT(owner->at.source->name));
    }
}

static void know_symbols(struct model *m)
{
    struct pn_intern declared;
    pn_intern_init(&declared);
    know(m, PN_SYMBOL_FAILED);
    know(m, PN_SYMBOL_DROPPED);
    for (size_t i = 0; i < m->plugin_count; i++)
        declare(m, &declared, &m->plugins[i]);
    pn_intern_fini(&declared);
}

/* ---- what only the whole shows ---- */

/* The machine's own name where none is set, so that every role has the same. */
static void settle_names(struct model *m)
{
    const struct pn_tree_value *smtp = pn_tree_value(m->core, "smtp");
    struct pn_tree_entry *hostname = pn_tree_entry(smtp->block, "hostname");
    struct pn_tree_entry *authserv = pn_tree_entry(smtp->block, "authserv-id");
    char name[256] = "";
    if (hostname->count == 0) {
        if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
            memcpy(name, "localhost", sizeof "localhost");
        struct pn_tree_value *value = pn_pool_alloc(m->p.pool, sizeof *value);
        if (value == NULL)
            return;
        value->data.text = pn_pool_dup(m->p.pool, pn_str_of(name));
        *hostname = (struct pn_tree_entry){value, value, 1};
        pn_sources_mix(&m->sources, pn_str_of(name));
    }
    if (authserv->count == 0) {
        struct pn_tree_value *value = pn_pool_alloc(m->p.pool, sizeof *value);
        if (value == NULL)
            return;
        value->data.text = hostname->first->data.text;
        *authserv = (struct pn_tree_entry){value, value, 1};
    }
}

/* What clients read, and what stands in header lines: a host's name, or an address in
 * brackets. */
static bool host_name_ok(struct pn_str s)
{
    bool ok = s.len > 0 && s.len <= 255;
    for (size_t i = 0; i < s.len; i++)
        ok = ok && (pn_is_alpha(s.p[i]) || pn_is_digit(s.p[i]) || strchr("-._:[]", s.p[i]) != NULL);
    return ok;
}

static void check_name(struct model *m, const struct pn_tree_block *smtp, const char *row,
                       bool (*is_ok)(struct pn_str s), const char *expected)
{
    const struct pn_tree_value *v = pn_tree_value(smtp, row);
    if (v != NULL && v->at.source != NULL && !is_ok(v->data.text))
        pn_error_at(m->p.problems, v->at, "'%.*s' does not fit '%s', expected %s",
                    PN_FMT(v->data.text), row, expected);
}

static bool delimiter_ok(struct pn_str s)
{
    return s.len == 0 || (s.len == 1 && s.p[0] > ' ' && s.p[0] < 127 && s.p[0] != '@' &&
                          !pn_is_alpha(s.p[0]) && !pn_is_digit(s.p[0]));
}

/* A word that goes to the server of lasting state. */
static bool state_word_ok(struct pn_str s)
{
    bool ok = s.len <= 64;
    for (size_t i = 0; i < s.len; i++)
        ok = ok && s.p[i] > ' ' && s.p[i] < 127;
    return ok;
}

static void check_state(struct model *m)
{
    const struct pn_tree_block *state = pn_tree_value(m->core, "state")->block;
    const struct pn_tree_value *user = pn_tree_value(state, "user");
    const char *expected = "up to 64 printable bytes without a blank";
    check_name(m, state, "prefix", state_word_ok, expected);
    check_name(m, state, "user", state_word_ok, expected);
    if (user != NULL && pn_tree_value(state, "password-file") == NULL)
        pn_error_at(m->p.problems, user->at, "'user' without a password, expected 'password-file'");
}

static void check_names(struct model *m)
{
    const struct pn_tree_block *smtp = pn_tree_value(m->core, "smtp")->block;
    check_name(m, smtp, "hostname", host_name_ok, "a host's name such as mx.example.org");
    check_name(m, smtp, "authserv-id", host_name_ok, "a name such as mx.example.org");
    check_name(m, smtp, "delimiter", delimiter_ok, "one sign such as +, or \"\" for none");
}

static const struct model_threshold *threshold(const struct model *m, const struct model_policy *p,
                                               int i)
{
    return p->thresholds[i].at.source != NULL ? &p->thresholds[i] : &m->defaults.thresholds[i];
}

/* A milder line behind a stricter one never acts: most likely a slip. */
static void check_thresholds(struct model *m, const struct model_policy *policy)
{
    for (int mild = IMG_QUARANTINE; mild <= IMG_JUNK; mild++) {
        const struct model_threshold *a = threshold(m, policy, mild);
        for (int strict = IMG_REJECT; a->at.source != NULL && strict < mild; strict++) {
            const struct model_threshold *b = threshold(m, policy, strict);
            if (b->at.source != NULL && b->weight <= a->weight)
                pn_warning_at(m->p.problems, a->at, "'%.*s' never acts, because of '%.*s'",
                              PN_FMT(a->text), PN_FMT(b->text));
        }
    }
}

/* Users log in over TLS only, unless those who read their mail here may do without. */
static bool needs_tls(struct model *m, int64_t kind)
{
    static const bool kinds[] = {
        [PN_LISTEN_SMTPS] = true, [PN_LISTEN_SUBMISSION] = true, [PN_LISTEN_SUBMISSIONS] = true,
        [PN_LISTEN_IMAP] = true,  [PN_LISTEN_IMAPS] = true,      [PN_LISTEN_POP3] = true,
        [PN_LISTEN_POP3S] = true};
    const struct pn_tree_value *mailbox = pn_tree_value(m->core, "mailbox");
    const struct pn_tree_value *plain =
        mailbox == NULL ? NULL : pn_tree_value(mailbox->block, "plain-login");
    if ((kind == PN_LISTEN_IMAP || kind == PN_LISTEN_POP3) && plain != NULL &&
        pn_str_eq(plain->data.text, PN_STR("loopback")))
        return false;
    return kind >= 0 && (size_t)kind < sizeof kinds && kinds[kind];
}

static void check_listener(struct model *m, const struct pn_tree_value *listen)
{
    struct pn_str kind = listen->block->title;
    if (needs_tls(m, listen->data.number) && pn_tree_value(m->core, "tls") == NULL)
        pn_error_at(m->p.problems, listen->block->title_at,
                    "'%.*s' needs a certificate, expected 'tls { certificate FILE key FILE }'",
                    PN_FMT(kind));
}

/* An address and port as a key; "" for none. */
static struct pn_str listener_key(struct model *m, const struct pn_tree_value *address)
{
    char key[sizeof address->data.net.ip.b + sizeof address->data.number];
    if (address == NULL)
        return PN_STR("");
    memcpy(key, address->data.net.ip.b, sizeof address->data.net.ip.b);
    memcpy(key + sizeof address->data.net.ip.b, &address->data.number, sizeof address->data.number);
    return pn_pool_dup(m->p.pool, (struct pn_str){key, sizeof key});
}

static void check_listeners(struct model *m)
{
    const struct pn_tree_value **first = NULL; /* by the number of their key */
    size_t cap = 0;
    struct pn_intern seen;
    pn_intern_init(&seen);
    for (const struct pn_tree_value *v = pn_tree_value(m->core, "listen"); v != NULL; v = v->next) {
        const struct pn_tree_value *address = pn_tree_value(v->block, "address");
        struct pn_str key = listener_key(m, address);
        bool is_new;
        check_listener(m, v);
        if (key.len == 0)
            continue;
        uint32_t number = pn_intern_add(&seen, key, &is_new);
        if (is_new) {
            first = pn_grow(first, &cap, number, sizeof *first);
            first[number] = address;
        } else {
            pn_error_at(m->p.problems, address->at, "'%.*s' is listened on twice, first in line %u",
                        PN_FMT(address->data.text), (unsigned)first[number]->at.line);
        }
    }
    free(first);
    pn_intern_fini(&seen);
}

static void check_policies(struct model *m)
{
    check_thresholds(m, &m->defaults);
    for (size_t i = 0; i < m->domain_count; i++)
        check_thresholds(m, m->domains[i].policy);
}

static bool out_of_memory(struct model *m)
{
    /* A pool at its limit shows here too: whoever met it first may have been silent. */
    if (pn_pool_alloc(m->p.pool, 64 * 1024) != NULL)
        return false;
    pn_error_in(m->p.problems, m->c->file, "the configuration is too large");
    return true;
}

bool pn_compile_run(const struct pn_compile *c, struct pn_pool *pool, struct pn_problems *problems,
                    struct pn_buf *image)
{
    struct model m;
    bool ok = false;
    model_init(&m, c, pool, problems);
    if (parse_top(&m)) {
        run_later(&m, LATER_PLUGINS, model_plugins);
        model_plan(&m);
        know_symbols(&m);
        run_later(&m, LATER_DEFAULTS, parse_defaults);
        run_later(&m, LATER_DOMAIN, parse_domain);
        run_later(&m, LATER_SUBMITTED, parse_submitted);
        settle_names(&m);
        check_names(&m);
        check_state(&m);
        check_listeners(&m);
        model_destinations(&m);
        model_signs(&m);
        model_forward(&m);
        model_mailboxes(&m);
        check_policies(&m);
        ok = !out_of_memory(&m) && problems->errors == 0 && model_emit(&m, image) &&
             problems->errors == 0;
    }
    model_fini(&m);
    return ok;
}
