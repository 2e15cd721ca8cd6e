/* Lines of a rule file, into the set. */
#include "rules_set.h"

#include <stdlib.h>

/* SpamAssassin's version whose syntax this is, as "if (version >= 4.0)" wants it. */
#define version      4.000001
#define perl_version 5.036

enum { IFS_MAX = 32, WORDS_MAX = 4 };

struct reader {
    struct rules_set *set;
    struct postern_str file;
    unsigned line;
    rules_load *load;
    void *arg;
    unsigned depth; /* of includes */

    unsigned ifs;      /* open "if" lines */
    unsigned skipping; /* the outermost of them that skips; 0: none */
    const char *skip_why;
    bool no_memory;
};

static void skip_line(struct reader *r, const char *why)
{
    rules_set_skip(r->set, why, r->file, r->line);
}

static bool is_rule_name(struct postern_str s)
{
    if (s.len == 0 || s.len > RULES_NAME_MAX || rules_is_digit(s.p[0]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!rules_is_word(s.p[i]))
            return false;
    return true;
}

/* The rule that a line is about; NULL: the line was counted. */
static struct rule *rule_named(struct reader *r, struct postern_str name)
{
    struct rule *rule;

    if (!is_rule_name(name)) {
        skip_line(r, "malformed name of a rule");
        return NULL;
    }
    rule = rules_set_rule(r->set, name);
    if (rule == NULL && r->set->count >= RULES_MAX)
        skip_line(r, "too many rules");
    else if (rule == NULL)
        r->no_memory = true;
    return rule;
}

/* A definition replaces what was there, score, flags and description apart. */
static struct rule *define(struct reader *r, struct postern_str name, enum rules_kind kind)
{
    struct rule *rule = rule_named(r, name);

    if (rule == NULL)
        return NULL;
    rule->kind = kind;
    rule->negate = false;
    rule->file = r->file;
    rule->line = r->line;
    return rule;
}

static void refuse(struct reader *r, struct rule *rule, const char *why)
{
    rule->kind = RULES_NONE;
    skip_line(r, why);
}

static bool is_eval(struct postern_str s)
{
    return rules_starts(s, POSTERN_STR("eval:"));
}

static void read_pattern(struct reader *r, struct rule *rule, struct postern_str text)
{
    const char *error = rules_pattern_read(&rule->pattern, text);

    if (error != NULL)
        refuse(r, rule, error);
    else if (memmem(rule->pattern.text.p, rule->pattern.text.len, "%{", 2) != NULL)
        refuse(r, rule, "pattern with captured tags");
}

static void read_text_rule(struct reader *r, enum rules_kind kind, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    struct rule *rule = define(r, name, kind);

    if (rule == NULL)
        return;
    if (is_eval(rest))
        refuse(r, rule, "eval test");
    else
        read_pattern(r, rule, rest);
}

/* ---- header rules ---- */

static const char *read_header_name(struct rules_header *h, struct postern_str spec)
{
    const char *colon = memchr(spec.p, ':', spec.len);
    struct postern_str part;

    h->name = spec;
    h->part = RULES_VALUE;
    if (colon != NULL) {
        h->name.len = (size_t)(colon - spec.p);
        part = (struct postern_str){colon + 1, spec.len - h->name.len - 1};
        if (rules_eq(part, POSTERN_STR("raw")))
            h->part = RULES_RAW;
        else if (rules_eq(part, POSTERN_STR("addr")))
            h->part = RULES_ADDR;
        else if (rules_eq(part, POSTERN_STR("name")))
            h->part = RULES_NAME;
        else
            return "part of a header that is not known here";
    }
    if (h->name.len == 0 || h->name.len > RULES_NAME_MAX)
        return "malformed name of a header";
    for (size_t i = 0; i < h->name.len; i++)
        if ((unsigned char)h->name.p[i] <= ' ' || (unsigned char)h->name.p[i] >= 0x7f)
            return "malformed name of a header";
    if (rules_starts(h->name, POSTERN_STR("X-Spam-Relays-")))
        return "pseudo header that is not known here";
    return NULL;
}

/* The same text is made once, whoever looks at it. MESSAGEID is not MessageID. */
static bool header_index(struct reader *r, struct rules_header h, uint32_t *out)
{
    struct rules_set *set = r->set;
    struct postern_str name;

    for (size_t i = 0; i < set->header_count; i++)
        if (rules_eq(set->headers[i].name, h.name) && set->headers[i].part == h.part &&
            rules_eq(set->headers[i].unset, h.unset)) {
            *out = (uint32_t)i;
            return true;
        }
    if (set->headers == NULL)
        set->headers = calloc(RULES_HEADERS_MAX, sizeof(*set->headers));
    name = rules_dup(&set->arena, h.name);
    if (set->headers == NULL || name.p == NULL) {
        r->no_memory = true;
        return false;
    }
    if (set->header_count == RULES_HEADERS_MAX)
        return false;
    h.name = name;
    h.cstr = name.p;
    set->headers[set->header_count] = h;
    *out = (uint32_t)set->header_count++;
    return true;
}

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
                       struct postern_str rest, bool of_parts)
{
    struct postern_str op = rules_word(&rest);
    struct rules_header h = {.part = RULES_VALUE};
    const char *error = read_header_name(&h, spec);

    if (of_parts)
        h.part = RULES_PARTS;
    h.unset = take_unset(&rest);
    rule->negate = rules_eq(op, POSTERN_STR("!~"));
    if (error == NULL && !rule->negate && !rules_eq(op, POSTERN_STR("=~")))
        error = "header test without =~";
    if (error == NULL && !header_index(r, h, &rule->header))
        error = "too many kinds of headers";
    if (error != NULL)
        refuse(r, rule, error);
    else
        read_pattern(r, rule, rest);
}

static void read_part_rule(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    struct rule *rule = define(r, name, RULES_HEADER);
    struct postern_str spec = rules_word(&rest);

    if (rule != NULL)
        read_match(r, rule, spec, rest, true);
}

static void read_header_rule(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    struct rule *rule = define(r, name, RULES_HEADER);
    struct postern_str spec;
    struct rules_header h = {.part = RULES_VALUE};
    const char *error;

    if (rule == NULL)
        return;
    if (is_eval(rest)) {
        refuse(r, rule, "eval test");
        return;
    }
    spec = rules_word(&rest);
    if (!rules_starts(spec, POSTERN_STR("exists:"))) {
        read_match(r, rule, spec, rest, false);
        return;
    }
    error = read_header_name(&h, (struct postern_str){spec.p + 7, spec.len - 7});
    if (error == NULL && !header_index(r, h, &rule->header))
        error = "too many kinds of headers";
    rule->kind = RULES_EXISTS;
    if (error != NULL)
        refuse(r, rule, error);
}

/* ---- what is said about rules ---- */

static void read_meta(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    struct rule *rule = define(r, name, RULES_META);

    if (rule == NULL)
        return;
    rule->expression = rest;
    if (rest.len == 0)
        refuse(r, rule, "empty expression");
}

static void read_describe(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    struct rule *rule = rule_named(r, name);

    if (rule != NULL)
        rule->describe = rest;
}

/* Thousandths; false for what is no number of a sensible size. */
static bool read_number(struct postern_str s, int32_t *out)
{
    char text[32];
    char *end;
    double d;

    if (s.len >= 2 && s.p[0] == '(' && s.p[s.len - 1] == ')')
        s = (struct postern_str){s.p + 1, s.len - 2};
    if (s.len == 0 || s.len >= sizeof(text))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    d = strtod(text, &end);
    if (*end != '\0' || !(d > -10000 && d < 10000))
        return false;
    *out = (int32_t)(d * 1000 + (d < 0 ? -0.5 : 0.5));
    return true;
}

/* Of four scores the second is for network tests without a statistical filter: here. */
static void read_score(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    int32_t scores[WORDS_MAX] = {0};
    bool relative = rest.len > 0 && rest.p[0] == '(';
    size_t n = 0;
    struct rule *rule;

    while (rest.len > 0 && n < WORDS_MAX)
        if (!read_number(rules_word(&rest), &scores[n++])) {
            skip_line(r, "malformed score");
            return;
        }
    if (n == 0 || rest.len > 0) {
        skip_line(r, "malformed score");
        return;
    }
    rule = rule_named(r, name);
    if (rule == NULL)
        return;
    rule->score = (relative ? rule->score : 0) + scores[n == WORDS_MAX ? 1 : 0];
    rule->scored = true;
}

static void read_tflags(struct reader *r, struct postern_str rest)
{
    struct postern_str name = rules_word(&rest);
    struct rule *rule = rule_named(r, name);

    while (rule != NULL && rest.len > 0) {
        struct postern_str flag = rules_word(&rest);
        int32_t n;

        if (rules_eq(flag, POSTERN_STR("multiple")))
            rule->multiple = true;
        else if (rules_eq(flag, POSTERN_STR("nice")))
            rule->nice = true;
        else if (rules_eq(flag, POSTERN_STR("nosubject")))
            rule->no_subject = true;
        else if (rules_starts(flag, POSTERN_STR("maxhits=")) &&
                 read_number((struct postern_str){flag.p + 8, flag.len - 8}, &n) && n > 0)
            rule->max_hits = (uint32_t)n / 1000;
    }
}

/* ---- conditions ---- */

/* Of SpamAssassin's plugins, the one whose rules are understood here. */
static bool is_known_plugin(struct postern_str name)
{
    return rules_eq(name, POSTERN_STR("Mail::SpamAssassin::Plugin::MIMEHeader"));
}

static bool resolve_condition(void *arg, struct postern_str name, struct postern_str argument,
                              uint32_t *out)
{
    (void)arg;
    if (rules_eq(name, POSTERN_STR("version"))) {
        *out = 1;
        return true;
    }
    if (rules_eq(name, POSTERN_STR("perl_version"))) {
        *out = 2;
        return true;
    }
    *out = rules_eq(name, POSTERN_STR("plugin")) && is_known_plugin(argument) ? 3 : 0;
    return rules_eq(name, POSTERN_STR("plugin")) || rules_eq(name, POSTERN_STR("can")) ||
           rules_eq(name, POSTERN_STR("has")) || rules_eq(name, POSTERN_STR("local_tests_only")) ||
           rules_eq(name, POSTERN_STR("true")) || rules_eq(name, POSTERN_STR("false"));
}

static struct rules_value lookup_condition(const void *arg, uint32_t name)
{
    static const double values[] = {0, version, perl_version, 1};

    (void)arg;
    return (struct rules_value){values[name], true};
}

static void open_if(struct reader *r, bool holds, const char *why)
{
    r->ifs++;
    if (r->skipping == 0 && !holds) {
        r->skipping = r->ifs;
        r->skip_why = why;
    }
}

static void read_if(struct reader *r, struct postern_str rest)
{
    struct rules_meta m;
    struct rules_arena a = {.used = 0};
    struct rules_value v = {0, false};
    const char *error = rules_meta_compile(&m, rest, &a, resolve_condition, NULL);

    if (error == NULL)
        v = rules_meta_run(&m, lookup_condition, NULL);
    rules_arena_free(&a);
    if (error != NULL && r->skipping == 0)
        skip_line(r, "condition that is not understood");
    open_if(r, v.known && v.number != 0, "under a condition that does not hold");
}

static void read_else(struct reader *r)
{
    if (r->ifs == 0)
        skip_line(r, "else without if");
    else if (r->skipping == 0)
        r->skipping = r->ifs, r->skip_why = "under a condition that does not hold";
    else if (r->skipping == r->ifs)
        r->skipping = 0;
}

static void read_endif(struct reader *r)
{
    if (r->ifs == 0) {
        skip_line(r, "endif without if");
        return;
    }
    if (r->skipping == r->ifs)
        r->skipping = 0;
    r->ifs--;
}

/* True where the line was about conditions. */
static bool read_condition(struct reader *r, struct postern_str word, struct postern_str rest)
{
    if (rules_eq(word, POSTERN_STR("ifplugin")))
        open_if(r, is_known_plugin(rest), "for a plugin of SpamAssassin's");
    else if (rules_eq(word, POSTERN_STR("if")))
        read_if(r, rest);
    else if (rules_eq(word, POSTERN_STR("else")))
        read_else(r);
    else if (rules_eq(word, POSTERN_STR("endif")))
        read_endif(r);
    else
        return false;
    return true;
}

/* ---- lines ---- */

static bool read_text(struct reader *r, struct postern_str text);

static void read_include(struct reader *r, struct postern_str path)
{
    struct reader inner = {.set = r->set, .load = r->load, .arg = r->arg, .depth = r->depth + 1};
    struct postern_str text = {NULL, 0};

    if (r->depth == RULES_INCLUDES_MAX || r->load == NULL) {
        skip_line(r, "include nested too deeply");
        return;
    }
    text = r->load(r->arg, &r->set->arena, path);
    inner.file = rules_dup(&r->set->arena, path);
    if (text.p == NULL || inner.file.p == NULL) {
        skip_line(r, "include of a file that can't be read");
        return;
    }
    if (!read_text(&inner, text))
        r->no_memory = true;
}

static void read_setting(struct reader *r, struct postern_str word, struct postern_str rest)
{
    static const struct {
        const char *word;
        enum rules_kind kind;
    } texts[] = {
        {"body", RULES_BODY}, {"rawbody", RULES_RAWBODY}, {"full", RULES_FULL}, {"uri", RULES_URI}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (rules_eq(word, (struct postern_str){texts[i].word, strlen(texts[i].word)})) {
            read_text_rule(r, texts[i].kind, rest);
            return;
        }
    if (rules_eq(word, POSTERN_STR("header")))
        read_header_rule(r, rest);
    else if (rules_eq(word, POSTERN_STR("mimeheader")))
        read_part_rule(r, rest);
    else if (rules_eq(word, POSTERN_STR("meta")))
        read_meta(r, rest);
    else if (rules_eq(word, POSTERN_STR("describe")))
        read_describe(r, rest);
    else if (rules_eq(word, POSTERN_STR("score")))
        read_score(r, rest);
    else if (rules_eq(word, POSTERN_STR("tflags")))
        read_tflags(r, rest);
    else if (rules_eq(word, POSTERN_STR("include")))
        read_include(r, rest);
    else if (!rules_eq(word, POSTERN_STR("lang")) && !rules_eq(word, POSTERN_STR("priority")) &&
             !rules_eq(word, POSTERN_STR("test")) &&
             !rules_eq(word, POSTERN_STR("require_version")))
        skip_line(r, "setting that is not for rules");
}

/* "#" begins a comment unless a backslash stands before it, which then goes. In place. */
static struct postern_str without_comment(char *p, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (p[i] == '#' && (n == 0 || p[n - 1] != '\\'))
            break;
        if (p[i] == '#')
            n--;
        p[n++] = p[i];
    }
    return rules_trim((struct postern_str){p, n});
}

static void read_line(struct reader *r, struct postern_str line)
{
    struct postern_str word = rules_word(&line);

    if (word.len == 0 || read_condition(r, word, line))
        return;
    if (r->skipping != 0)
        skip_line(r, r->skip_why);
    else
        read_setting(r, word, line);
}

static bool read_text(struct reader *r, struct postern_str text)
{
    while (text.len > 0 && !r->no_memory) {
        const char *lf = memchr(text.p, '\n', text.len);
        size_t len = lf == NULL ? text.len : (size_t)(lf - text.p);

        r->line++;
        /* The text is the set's own, and writable. */
        read_line(r, without_comment((char *)(uintptr_t)text.p, len));
        len += lf != NULL;
        text.p += len;
        text.len -= len;
    }
    if (r->ifs > 0)
        skip_line(r, "if without endif");
    return !r->no_memory;
}

bool rules_set_read(struct rules_set *set, struct postern_str name, struct postern_str text,
                    rules_load *load, void *arg)
{
    struct reader r = {.set = set, .load = load, .arg = arg};

    r.file = rules_dup(&set->arena, name);
    return r.file.p != NULL && read_text(&r, text);
}
