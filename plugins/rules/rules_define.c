/* Lines that define rules. */
#include "rules_read.h"

static struct rule *define(struct reader *r, struct postern_str name, enum rules_kind kind)
{
    struct rule *rule = reader_rule(r, name);

    if (rule == NULL)
        return NULL;
    /* It replaces what was there, score, flags and description apart. */
    rule->kind = kind;
    rule->negate = false;
    rule->pattern = (struct rules_pattern){.options = 0};
    rule->file = r->file;
    rule->line = r->line;
    return rule;
}

static void refuse(struct reader *r, struct rule *rule, const char *why)
{
    rule->kind = RULES_NONE;
    reader_leave(r, rule->name, (struct postern_str){why, strlen(why)});
}

static void read_pattern(struct reader *r, struct rule *rule, struct postern_str text)
{
    const char *error = rules_pattern_read(&rule->pattern, text);

    if (error != NULL)
        refuse(r, rule, error);
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
    struct rule *rule = define(r, rules_word(&rest), kind);

    if (rule != NULL && !take_eval(rule, rest))
        read_pattern(r, rule, rest);
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
    return rules_trim(text);
}

static void read_match(struct reader *r, struct rule *rule, struct postern_str spec,
                       struct postern_str rest, unsigned parts)
{
    struct postern_str op = rules_word(&rest);
    struct rules_header h = {.parts = 0};
    const char *error = rules_header_read(&h, spec);

    h.parts |= parts;
    h.unset = take_unset(&rest);
    rule->negate = rules_eq(op, POSTERN_STR("!~"));
    if (error == NULL && !rule->negate && !rules_eq(op, POSTERN_STR("=~")))
        error = "header test without =~";
    if (error == NULL && !rules_set_header(r->set, h, &rule->header))
        error = "too many kinds of headers";
    if (error != NULL)
        refuse(r, rule, error);
    else
        read_pattern(r, rule, rest);
}

static void read_part_rule(struct reader *r, struct postern_str rest)
{
    struct rule *rule = define(r, rules_word(&rest), RULES_HEADER);
    struct postern_str spec = rules_word(&rest);

    if (rule != NULL && !take_eval(rule, spec))
        read_match(r, rule, spec, rest, RULES_PARTS);
}

static void read_exists(struct reader *r, struct rule *rule, struct postern_str spec)
{
    struct rules_header h = {.parts = 0};
    const char *error = rules_header_read(&h, spec);

    rule->kind = RULES_EXISTS;
    h.unset = POSTERN_STR("");
    if (error == NULL && !rules_set_header(r->set, h, &rule->header))
        error = "too many kinds of headers";
    if (error != NULL)
        refuse(r, rule, error);
}

static void read_header_rule(struct reader *r, struct postern_str rest)
{
    struct rule *rule = define(r, rules_word(&rest), RULES_HEADER);
    struct postern_str spec;

    if (rule == NULL || take_eval(rule, rest))
        return;
    spec = rules_word(&rest);
    if (rules_starts(spec, POSTERN_STR("exists:")))
        read_exists(r, rule, (struct postern_str){spec.p + 7, spec.len - 7});
    else
        read_match(r, rule, spec, rest, 0);
}

static void read_meta(struct reader *r, struct postern_str rest)
{
    struct rule *rule = define(r, rules_word(&rest), RULES_META);

    if (rule == NULL)
        return;
    rule->expression = rest;
    if (rest.len == 0)
        refuse(r, rule, "empty expression");
}

/* A rule all the same: what names it must not take it for one that has not hit. */
static void read_uri_detail(struct reader *r, struct postern_str rest)
{
    struct rule *rule = define(r, rules_word(&rest), RULES_NONE);

    if (rule != NULL)
        refuse(r, rule, "uri_detail, a test of a URI's parts, which is not known here");
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
