/* The statements of a domain, and of the defaults: what policy is made of. */
#include "model.h"

#include "alabel.h"
#include "buf.h"

enum { TEXT_MAX = 600 };

/* ---- pieces ---- */

static struct pn_str pooled(struct model *m, struct pn_buf *b)
{
    struct pn_str s = pn_pool_dup(m->p.pool, pn_buf_str(b));
    pn_buf_fini(b);
    return s.p == NULL ? PN_STR("") : s;
}

/* A statement's words as explanations show them; the reply is left out. */
static struct pn_str text_of(struct model *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static struct pn_str text_of(struct model *m, const char *fmt, ...)
{
    struct pn_buf b;
    va_list ap;
    pn_buf_init(&b, TEXT_MAX);
    va_start(ap, fmt);
    if (!pn_buf_addv(&b, fmt, ap))
        (void)pn_buf_addz(&b, "(a statement too long to show)");
    va_end(ap);
    return pooled(m, &b);
}

static struct pn_str milli(struct model *m, int32_t thousandths)
{
    struct pn_buf b;
    pn_buf_init(&b, 32);
    (void)pn_buf_add_milli(&b, thousandths);
    return pooled(m, &b);
}

/* Takes the next token if it is this bare word. */
static bool take_word(struct pn_lex *lex, const char *word)
{
    struct pn_token t = pn_lex_peek(lex);
    if (t.kind != PN_TOK_WORD || !pn_str_eq(t.text, pn_str_of(word)))
        return false;
    (void)pn_lex_next(lex);
    return true;
}

static void expected(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                     const char *what)
{
    struct pn_token t = pn_lex_peek(lex);
    if (t.kind != PN_TOK_BAD)
        pn_error_at(m->p.problems, t.at, "%s does not go on '%.*s', expected %s",
                    pn_token_name(m->p.pool, &t), PN_FMT(name->text), what);
    pn_lex_skip_statement(lex);
}

/* One of the words, ended by NULL; its index, or -1 with a problem. */
static int one_of(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                  const char *const *words, const char *what)
{
    for (int i = 0; words[i] != NULL; i++)
        if (take_word(lex, words[i]))
            return i;
    expected(m, lex, name, what);
    return -1;
}

static bool value(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                  struct pn_token *out, const char *what)
{
    const char *owner = pn_pool_strdup(m->p.pool, name->text);
    return pn_parse_value(&m->p, lex, out, owner == NULL ? "this" : owner, what);
}

static bool weight(struct model *m, struct pn_lex *lex, const struct pn_token *name, int32_t *out)
{
    struct pn_token t;
    if (!value(m, lex, name, &t, "a weight such as 4, -1.5, 0.25"))
        return false;
    if (pn_weight_parse(t.text, out))
        return true;
    pn_error_at(m->p.problems, t.at, "%s does not fit '%.*s', expected a weight such as 4, -1.5",
                pn_token_name(m->p.pool, &t), PN_FMT(name->text));
    return false;
}

static int reply_class(enum pn_outcome outcome)
{
    return outcome == PN_REJECT ? 5 : outcome == PN_DEFER ? 4 : 2;
}

/* A string that stands here is the reply. */
static struct pn_str reply(struct model *m, struct pn_lex *lex, enum pn_outcome outcome)
{
    struct pn_token t = pn_lex_peek(lex);
    struct pn_buf err;
    if (t.kind != PN_TOK_STRING)
        return PN_STR("");
    (void)pn_lex_next(lex);
    pn_buf_init(&err, TEXT_MAX);
    if (!pn_reply_check(t.text, reply_class(outcome), &err))
        pn_error_at(m->p.problems, t.at, "%s is no reply that can %s, expected %.*s",
                    pn_token_name(m->p.pool, &t), pn_outcome_name(outcome),
                    PN_FMT(pn_buf_str(&err)));
    pn_buf_fini(&err);
    return t.text;
}

/* Notes that this stands here; a file may say a thing once. */
static void once(struct model *m, struct pn_place *there, const struct pn_token *name)
{
    if (there->source == name->at.source && there->source != NULL)
        pn_error_at(m->p.problems, name->at, "'%.*s' is set twice, the first time in line %u",
                    PN_FMT(name->text), (unsigned)there->line);
    *there = name->at;
}

/* ---- who it is for, and where it goes ---- */

static void parse_recipients(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                             struct pn_token name)
{
    static const char *const words[] = {"list", "verify", "local", "any", NULL};
    int kind = one_of(m, lex, &name, words, "list FILE, verify, local or any");
    struct pn_token file;
    once(m, &policy->recipients_at, &name);
    if (kind < 0)
        return;
    policy->recipients = (enum pn_recipients)kind;
    if (policy->recipients == PN_RCPT_LIST && value(m, lex, &name, &file, "the name of a file")) {
        policy->list = file.text;
        policy->list_at = file.at;
    }
}

static void parse_route(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                        struct pn_token name)
{
    static const char *const words[] = {"local", "smtp", "lmtp", NULL};
    static const char example[] = "an address with a port such as 127.0.0.1:25 or [::1]:24";
    int kind = one_of(m, lex, &name, words, "smtp ADDRESS:PORT, lmtp ADDRESS:PORT or local");
    struct pn_token t;
    if (kind < 0)
        return;
    once(m, &policy->route_at, &name);
    policy->route = (enum pn_route_kind)kind;
    policy->host = PN_STR("");
    if (policy->route == PN_ROUTE_LOCAL || !value(m, lex, &name, &t, example))
        return;
    policy->host = t.text;
    if (!pn_endpoint_parse(t.text, &policy->ip, &policy->port))
        pn_error_at(m->p.problems, t.at, "%s is no next hop, expected %s",
                    pn_token_name(m->p.pool, &t), example);
}

static void parse_mixed(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                        struct pn_token name)
{
    static const char *const words[] = {"quarantine", "split", NULL};
    int kind = one_of(m, lex, &name, words, "quarantine or split");
    if (kind < 0)
        return;
    once(m, &policy->mixed_at, &name);
    policy->mixed_split = kind == 1;
}

static void plugin_switch(struct model *m, const struct pn_token *t, struct model_policy *policy,
                          bool off)
{
    const char *names[IMG_PLUGINS_MAX + 1] = {NULL};
    for (size_t i = 0; i < m->plugin_count; i++) {
        if (pn_str_eq(m->plugins[i].name, t->text)) {
            *(off ? &policy->off : &policy->on) |= UINT64_C(1) << i;
            return;
        }
        names[i] = m->plugins[i].desc->name;
    }
    const char *hit = pn_suggest(t->text, names);
    /* scan may run with some of the plugins only. */
    if (!m->c->restrict_plugins)
        pn_error_at(m->p.problems, t->at, "no plugin %s is configured%s%s%s",
                    pn_token_name(m->p.pool, t), hit == NULL ? "" : ", did you mean '",
                    hit == NULL ? "" : hit, hit == NULL ? "" : "'?");
}

static void parse_plugins(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                          struct pn_token name)
{
    static const char *const words[] = {"off", "on", NULL};
    int kind = one_of(m, lex, &name, words, "off NAME or on NAME");
    struct pn_token t;
    do {
        if (kind < 0 || !value(m, lex, &name, &t, "the name of a plugin"))
            return;
        plugin_switch(m, &t, policy, kind == 0);
        t = pn_lex_peek(lex);
    } while (t.kind == PN_TOK_COMMA && pn_lex_next(lex).kind == PN_TOK_COMMA);
}

/* ---- thresholds ---- */

static void parse_threshold(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                            struct pn_token name)
{
    static const struct {
        const char *name;
        int index;
        enum pn_outcome outcome;
    } kinds[] = {{"junk", IMG_JUNK, PN_JUNK},
                 {"quarantine", IMG_QUARANTINE, PN_QUARANTINE},
                 {"reject", IMG_REJECT, PN_REJECT}};
    size_t k = 0;
    while (!pn_str_eq(name.text, pn_str_of(kinds[k].name)))
        k++;
    struct model_threshold *t = &policy->thresholds[kinds[k].index];
    if (!take_word(lex, "at")) {
        expected(m, lex, &name, "'at' and a score");
        return;
    }
    int32_t at;
    if (!weight(m, lex, &name, &at))
        return;
    once(m, &t->at, &name);
    t->weight = at;
    t->reply = reply(m, lex, kinds[k].outcome);
    struct pn_str score = milli(m, at);
    t->text = text_of(m, "%s when score >= %.*s", kinds[k].name, PN_FMT(score));
}

/* ---- on SYMBOL ---- */

static bool is_symbol(struct pn_str s)
{
    bool ok = s.len > 0 && s.len <= 64 && s.p[0] >= 'A' && s.p[0] <= 'Z';
    for (size_t i = 0; i < s.len; i++)
        ok = ok && ((s.p[i] >= 'A' && s.p[i] <= 'Z') || pn_is_digit(s.p[i]) || s.p[i] == '_');
    return ok;
}

/* Rules read from files have names that nobody declares, so an unknown one is no error;
 * one that is nearly a declared one is most likely a slip. */
static void check_symbol(struct model *m, const struct pn_token *t)
{
    static const char *const none[] = {NULL};
    const char *const *names = m->known_symbols == NULL ? none : m->known_symbols;
    for (size_t i = 0; i < m->known_count; i++)
        if (pn_str_eq(pn_str_of(names[i]), t->text))
            return;
    const char *hit = pn_suggest(t->text, names);
    if (hit != NULL && pn_edit_distance(t->text, pn_str_of(hit), 2) <= 2)
        pn_warning_at(m->p.problems, t->at, "no plugin declares %s, did you mean '%s'?",
                      pn_token_name(m->p.pool, t), hit);
}

/* Of those that say the same thing the emitter keeps the last. */
static void add_rule(struct model *m, struct model_policy *policy, struct model_rule rule)
{
    struct model_rule *add = pn_pool_alloc(m->p.pool, sizeof *add);
    if (add == NULL)
        return;
    *add = rule;
    if (policy->last_rule == NULL)
        policy->rules = add;
    else
        policy->last_rule->next = add;
    policy->last_rule = add;
    policy->rule_count++;
}

/* "with its reply": the words that the fact brings, where they can say this. */
static bool parse_with(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                       struct model_rule *rule)
{
    if (!take_word(lex, "with"))
        return true;
    rule->its_reply =
        pn_outcome_refuses(rule->outcome) && take_word(lex, "its") && take_word(lex, "reply");
    if (!rule->its_reply)
        expected(m, lex, name, "'with its reply' behind reject or defer");
    return rule->its_reply;
}

static bool parse_effect(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                         struct model_rule *rule)
{
    static const char *const words[] = {"accept", "junk",   "quarantine", "discard", "defer",
                                        "reject", "weight", "none",       NULL};
    static const enum pn_outcome outcomes[] = {PN_ACCEPT,  PN_JUNK,  PN_QUARANTINE,
                                               PN_DISCARD, PN_DEFER, PN_REJECT};
    int kind = one_of(m, lex, name, words,
                      "weight N, or one of accept, junk, quarantine, discard, defer, reject, none");
    if (kind < 0)
        return false;
    rule->has_weight = kind == 6;
    if (rule->has_weight)
        return weight(m, lex, name, &rule->weight);
    rule->takes_back = kind == 7;
    if (rule->takes_back)
        return true;
    rule->outcome = outcomes[kind];
    if (!parse_with(m, lex, name, rule))
        return false;
    rule->reply = reply(m, lex, rule->outcome);
    return true;
}

static struct pn_str action_text(struct model *m, const struct model_rule *rule)
{
    const char *name = pn_outcome_name(rule->outcome);
    return rule->its_reply ? text_of(m, "%s with its reply", name) : pn_str_of(name);
}

static void parse_on(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                     struct pn_token name)
{
    struct model_rule rule = {.at = name.at, .reply = PN_STR(""), .detail = PN_STR("")};
    struct pn_token symbol, detail;
    if (!value(m, lex, &name, &symbol, "a symbol such as SPF_FAIL"))
        return;
    if (!is_symbol(symbol.text))
        pn_error_at(m->p.problems, symbol.at, "%s is no symbol, expected A-Z, 0-9 and _",
                    pn_token_name(m->p.pool, &symbol));
    bool is_new;
    rule.symbol = pn_intern_add(&m->symbols, symbol.text, &is_new);
    if (is_new)
        check_symbol(m, &symbol);
    if (take_word(lex, "detail")) {
        if (!value(m, lex, &name, &detail, "a pattern such as \"zen*\""))
            return;
        rule.has_detail = true;
        rule.detail = detail.text;
    }
    if (!parse_effect(m, lex, &name, &rule))
        return;
    struct pn_str number = milli(m, rule.weight);
    struct pn_str what = rule.has_weight   ? text_of(m, "weight %.*s", PN_FMT(number))
                         : rule.takes_back ? PN_STR("none")
                                           : action_text(m, &rule);
    rule.text = rule.has_detail ? text_of(m, "on %.*s detail \"%.*s\" %.*s", PN_FMT(symbol.text),
                                          PN_FMT(rule.detail), PN_FMT(what))
                                : text_of(m, "on %.*s %.*s", PN_FMT(symbol.text), PN_FMT(what));
    add_rule(m, policy, rule);
}

/* ---- allow and deny ---- */

/* Senders are looked at by their A-labels. */
static bool by_alabel(struct model *m, struct pn_str address, struct pn_str *out)
{
    struct pn_alabel room;
    struct pn_str s = pn_alabel_address(address, &room);
    *out = s.p == room.p ? pn_pool_dup(m->p.pool, s) : s;
    return out->p != NULL;
}

static bool parse_pattern(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                          struct model_entry *entry, struct pn_str *written)
{
    static const char address[] = "an address pattern such as \"*@partner.example\", or \"<>\"";
    struct pn_token t;
    const char *what = entry->kind == IMG_FROM     ? address
                       : entry->kind == IMG_CLIENT ? "a network such as 192.0.2.0/24"
                                                   : "a user's name or a pattern";
    if (!value(m, lex, name, &t, what))
        return false;
    entry->pattern = *written = t.text;
    bool ok = t.text.len != 0;
    if (entry->kind == IMG_FROM)
        ok = pn_str_eq(t.text, PN_STR("<>")) ||
             (pn_str_find(t.text, '@', 0) != SIZE_MAX && by_alabel(m, t.text, &entry->pattern));
    else if (entry->kind == IMG_CLIENT)
        ok = pn_net_parse(t.text, &entry->net);
    if (!ok)
        pn_error_at(m->p.problems, t.at, "%s does not fit '%.*s', expected %s",
                    pn_token_name(m->p.pool, &t), PN_FMT(name->text), what);
    return true;
}

static bool parse_condition(struct model *m, struct pn_lex *lex, const struct pn_token *name,
                            struct model_entry *entry)
{
    static const char *const methods[] = {"spf", "dkim", "dmarc", NULL};
    int kind = one_of(m, lex, name, methods, "spf pass, dkim pass or dmarc pass");
    if (kind < 0)
        return false;
    entry->condition = (enum img_condition)(IMG_IF_SPF + kind);
    if (take_word(lex, "pass"))
        return true;
    expected(m, lex, name, "'pass'");
    return false;
}

static void add_entry(struct model *m, struct model_policy *policy, bool deny,
                      const struct model_entry *entry)
{
    struct model_entry *add = pn_pool_alloc(m->p.pool, sizeof *add);
    struct model_entry **first = deny ? &policy->deny : &policy->allow;
    struct model_entry **last = deny ? &policy->last_deny : &policy->last_allow;
    if (add == NULL)
        return;
    *add = *entry;
    if (*last == NULL)
        *first = add;
    else
        (*last)->next = add;
    *last = add;
}

static void parse_entry(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                        struct pn_token name)
{
    static const char *const kinds[] = {"from", "client", "auth", NULL};
    static const char *const methods[] = {"", " if spf pass", " if dkim pass", " if dmarc pass"};
    bool deny = pn_str_eq(name.text, PN_STR("deny"));
    int kind = one_of(m, lex, &name, kinds, "from PATTERN, client NETWORK or auth PATTERN");
    struct model_entry entry = {.at = name.at, .reply = PN_STR("")};
    struct pn_str written;
    if (kind < 0)
        return;
    entry.kind = (enum img_entry_kind)kind;
    if (!parse_pattern(m, lex, &name, &entry, &written))
        return;
    if (!deny && entry.kind == IMG_FROM && take_word(lex, "if") &&
        !parse_condition(m, lex, &name, &entry))
        return;
    if (deny)
        entry.reply = reply(m, lex, PN_REJECT);
    entry.text = text_of(m, "%.*s %s %.*s%s", PN_FMT(name.text), kinds[kind], PN_FMT(written),
                         methods[entry.condition]);
    add_entry(m, policy, deny, &entry);
}

const struct model_statement model_statements[] = {
    {"recipients", parse_recipients, "recipients list FILE | verify | local | any",
     "Who can be written to: names in a file, whom the next hop takes, local users, anybody."},
    {"route", parse_route, "route smtp ADDRESS:PORT | lmtp ADDRESS:PORT | local",
     "Where accepted mail goes."},
    {"alias", model_parse_alias, "alias NAME to WHO, ...",
     "Mail for that name goes to others: names of this domain, or addresses anywhere. One that "
     "names itself keeps its mailbox."},
    {"alias-file", model_parse_alias_file, "alias-file FILE",
     "Aliases from a file, one a line: `name: who, who`, or `name@domain: who` for that domain "
     "alone."},
    {"catch-all", model_parse_catch_all, "catch-all WHO, ...",
     "Who has the mail for names that the domain does not know; without it they are refused."},
    {"mailbox", model_parse_mailbox,
     "mailbox { quota SIZE; quota-messages N; over-quota defer | reject; tag-folders yes | no; "
     "folders { drafts NAME; sent NAME; junk NAME; trash NAME; archive NAME } }",
     "What differs for the mailboxes of this domain from `mailbox` at the top."},
    {"mixed", parse_mixed, "mixed quarantine | split",
     "When outcomes differ within a message: quarantine where policy says reject, or take one "
     "policy's recipients at a time."},
    {"plugins", parse_plugins, "plugins off NAME, ... | on NAME, ...",
     "Whose facts do not count here; `on` takes back what the defaults say."},
    {"junk", parse_threshold, "junk at SCORE [\"250 2.0.0 TEXT\"]",
     "Deliver as junk from this score on."},
    {"quarantine", parse_threshold, "quarantine at SCORE [\"250 2.0.0 TEXT\"]",
     "Hold for a person's look from this score on."},
    {"reject", parse_threshold, "reject at SCORE [\"550 5.7.1 TEXT\"]",
     "Refuse from this score on."},
    {"on", parse_on, "on SYMBOL [detail PATTERN] weight N | OUTCOME [\"REPLY\"] | none",
     "What a fact weighs, or what becomes of a message that has it: accept, junk, quarantine, "
     "discard, defer, reject. A domain's line takes the place of the defaults' action; `none` does "
     "no more than that."},
    {"allow", parse_entry,
     "allow from PATTERN [if spf|dkim|dmarc pass] | client NETWORK | auth PATTERN",
     "Accept whatever else is known; only a deny line is stronger."},
    {"deny", parse_entry, "deny from PATTERN | client NETWORK | auth PATTERN [\"550 5.7.1 TEXT\"]",
     "Refuse whatever else is known."},
    {NULL, NULL, NULL, NULL},
};

/* What lies in the domain itself makes no policy of its own. */
static bool is_of_domain(const struct model_statement *s)
{
    return s->parse == parse_recipients || s->parse == parse_route || s->parse == parse_mixed ||
           s->parse == model_parse_alias || s->parse == model_parse_alias_file ||
           s->parse == model_parse_catch_all || s->parse == model_parse_mailbox;
}

struct body {
    struct model *m;
    struct model_policy *policy;
};

static bool on_statement(struct pn_parser *p, void *ctx, struct pn_lex *lex, struct pn_token name)
{
    const struct body *body = ctx;
    (void)p;
    for (const struct model_statement *s = model_statements; s->name != NULL; s++) {
        if (pn_str_eq(pn_str_of(s->name), name.text)) {
            s->parse(body->m, lex, body->policy, name);
            body->policy->any = body->policy->any || !is_of_domain(s);
            return true;
        }
    }
    return false;
}

void model_policy_body(struct model *m, struct pn_lex *lex, struct model_policy *policy,
                       struct pn_place open)
{
    const char *names[32];
    size_t n = 0;
    for (const struct model_statement *s = model_statements; s->name != NULL; s++)
        names[n++] = s->name;
    names[n++] = "include";
    names[n] = NULL;
    struct body ctx = {m, policy};
    const struct pn_body body = {on_statement, names, &ctx, "statement"};
    pn_parse_body(&m->p, lex, &body, open);
}
