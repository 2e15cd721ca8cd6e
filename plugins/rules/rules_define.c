/* Lines that define rules. */
#include "rules_read.h"

/* The rule that a line defines, which takes the place of what was there but for score, flags and
 * description. *old is that, for a line that turns out not to be understood. */
static struct rule *define(struct reader *r, struct postern_str name, enum rules_kind kind,
                           struct rule *old)
{
    struct rule *rule = reader_rule(r, name);

    if (rule == NULL)
        return NULL;
    *old = *rule;
    rule->kind = kind;
    rule->negate = false;
    rule->pattern = (struct rules_pattern){.options = 0};
    rule->file = r->file;
    rule->line = r->line;
    return rule;
}

/* What was defined before stays. */
static void refuse(struct reader *r, struct rule *rule, const struct rule *old, const char *why)
{
    if (old->kind != RULES_NONE)
        *rule = *old;
    rule->kind = old->kind;
    reader_leave(r, rule->name, (struct postern_str){why, strlen(why)});
}

static void read_pattern(struct reader *r, struct rule *rule, const struct rule *old,
                         struct postern_str text)
{
    const char *error = rules_pattern_read(&rule->pattern, text);
    struct postern_str why;

    if (error != NULL)
        refuse(r, rule, old, error);
    else if (old->kind != RULES_NONE && !rule->replace && !rules_set_compiles(r->set, rule, &why)) {
        *rule = *old;
        reader_leave(r, rule->name, why);
    }
}

/* "eval:NAME(…)": which tests there are is looked up when the set is finished. */
static bool take_eval(struct rule *rule, struct postern_str rest)
{
    if (!rules_starts(rest, POSTERN_STR("eval:")))
        return false;
    rule->kind = RULES_EVAL;
    rule->expression = rules_trim((struct postern_str){rest.p + 5, rest.len - 5});
    return true;
}

static void read_text_rule(struct reader *r, enum rules_kind kind, struct postern_str rest)
{
    struct rule old;
    struct rule *rule = define(r, rules_word(&rest), kind, &old);

    if (rule != NULL && !take_eval(rule, rest))
        read_pattern(r, rule, &old, rest);
}

/* ---- header rules ---- */

/* "[if-unset: TEXT]" at the end of a header rule; takes it off. */
static struct postern_str take_unset(struct postern_str *rest)
{
    static const char open[] = "[if-unset:";
    const char *at = rest->len == 0 || rest->p[rest->len - 1] != ']'
                         ? NULL
                         : memmem(rest->p, rest->len, open, sizeof(open) - 1);
    struct postern_str text = {"", 0};

    if (at == NULL)
        return text;
    text.p = at + sizeof(open) - 1;
    text.len = (size_t)(rest->p + rest->len - 1 - text.p);
    rest->len = (size_t)(at - rest->p);
    *rest = rules_trim(*rest);
    while (text.len > 0 && rules_is_blank(text.p[0]))
        text.p++, text.len--;
    return text;
}

/* "Subject =~ /…/", with blanks around the operator or without: what is looked at, with the
 * operator behind it taken off the rest; .p NULL: there is no operator. */
static struct postern_str take_operand(struct postern_str *rest, bool *negate)
{
    struct postern_str operand = {rest->p, 0};

    while (operand.len + 1 < rest->len && !rules_is_blank(rest->p[operand.len]) &&
           !(rules_in(rest->p[operand.len], "=!") && rest->p[operand.len + 1] == '~'))
        operand.len++;
    *rest = rules_trim((struct postern_str){rest->p + operand.len, rest->len - operand.len});
    *negate = rules_starts(*rest, POSTERN_STR("!~"));
    if (!*negate && !rules_starts(*rest, POSTERN_STR("=~")))
        return (struct postern_str){NULL, 0};
    *rest = rules_trim((struct postern_str){rest->p + 2, rest->len - 2});
    return operand;
}

static void read_match(struct reader *r, struct rule *rule, const struct rule *old,
                       struct postern_str rest, unsigned parts)
{
    struct rules_header h = {.parts = 0};
    struct postern_str spec = take_operand(&rest, &rule->negate);
    const char *error = spec.p == NULL ? "header test without =~" : rules_header_read(&h, spec);

    if (error == NULL && parts != 0 && (h.parts & ~(unsigned)RULES_RAW) != 0)
        error = "part of a header that parts of a message don't have";
    h.parts |= parts;
    h.unset = take_unset(&rest);
    if (error == NULL && !rules_set_header(r->set, h, &rule->header))
        error = "too many kinds of headers";
    if (error != NULL)
        refuse(r, rule, old, error);
    else
        read_pattern(r, rule, old, rest);
}

static void read_part_rule(struct reader *r, struct postern_str rest)
{
    struct rule old;
    struct rule *rule = define(r, rules_word(&rest), RULES_HEADER, &old);

    if (rule != NULL && !take_eval(rule, rest))
        read_match(r, rule, &old, rest, RULES_PARTS);
}

/* "exists:Subject", and nothing else. */
static void read_exists(struct reader *r, struct rule *rule, const struct rule *old,
                        struct postern_str spec)
{
    struct rules_header h = {.parts = 0};
    const char *error = rules_header_read(&h, spec);

    rule->kind = RULES_EXISTS;
    h.unset = POSTERN_STR("");
    if (error == NULL && h.parts != 0)
        error = "exists: of a part of a header";
    if (error == NULL && !rules_set_header(r->set, h, &rule->header))
        error = "too many kinds of headers";
    if (error != NULL)
        refuse(r, rule, old, error);
}

static void read_header_rule(struct reader *r, struct postern_str rest)
{
    struct rule old;
    struct rule *rule = define(r, rules_word(&rest), RULES_HEADER, &old);

    if (rule == NULL || take_eval(rule, rest))
        return;
    if (rules_starts(rest, POSTERN_STR("exists:")))
        read_exists(r, rule, &old, (struct postern_str){rest.p + 7, rest.len - 7});
    else
        read_match(r, rule, &old, rest, 0);
}

/* Names may be defined later. */
static bool any_name(void *arg, struct postern_str name, struct postern_str argument, uint32_t *out)
{
    (void)arg;
    (void)name;
    *out = 0;
    return argument.p == NULL;
}

static void read_meta(struct reader *r, struct postern_str rest)
{
    struct rules_arena scratch = {.used = 0};
    struct rules_meta m;
    struct rule old;
    struct rule *rule = define(r, rules_word(&rest), RULES_META, &old);
    const char *error = NULL;

    if (rule == NULL)
        return;
    rule->expression = rest;
    if (rest.len == 0)
        error = "empty expression";
    else if (old.kind != RULES_NONE && memmem(rest.p, rest.len, "rules_matching", 14) == NULL)
        error = rules_meta_compile(&m, rest, &scratch, any_name, NULL);
    rules_arena_free(&scratch);
    if (error != NULL)
        refuse(r, rule, &old, error);
}

/* A rule all the same: what names it must not take it for one that has not hit. */
static void read_uri_detail(struct reader *r, struct postern_str rest)
{
    struct rule old;
    struct rule *rule = define(r, rules_word(&rest), RULES_NONE, &old);

    old.kind = RULES_NONE;
    if (rule != NULL)
        refuse(r, rule, &old, "uri_detail, a test of a URI's parts, which is not known here");
}

bool reader_define(struct reader *r, struct postern_str word, struct postern_str rest)
{
    static const struct {
        const char *word;
        enum rules_kind kind;
    } texts[] = {
        {"body", RULES_BODY}, {"rawbody", RULES_RAWBODY}, {"full", RULES_FULL}, {"uri", RULES_URI}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (rules_is(word, texts[i].word)) {
            read_text_rule(r, texts[i].kind, rest);
            return true;
        }
    if (rules_eq(word, POSTERN_STR("header")))
        read_header_rule(r, rest);
    else if (rules_eq(word, POSTERN_STR("mimeheader")))
        read_part_rule(r, rest);
    else if (rules_eq(word, POSTERN_STR("meta")))
        read_meta(r, rest);
    else if (rules_eq(word, POSTERN_STR("uri_detail")))
        read_uri_detail(r, rest);
    else
        return false;
    return true;
}
