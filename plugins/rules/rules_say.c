#include "rules_say.h"

#include <stdio.h>

enum { TEXT_MAX = 600, PATH_TEXT_MAX = 200, LINE_TEXT_MAX = 80 };

static int length(struct postern_str s, size_t max)
{
    return (int)(s.len < max ? s.len : max);
}

/* ---- at start ---- */

static void warn(struct postern_setup *s, const char *text, int n)
{
    if (n > 0 && n < TEXT_MAX)
        s->host->setup_warn(s, (struct postern_str){text, (size_t)n});
}

/* Each line that is left out, with the rule that it would have made. */
static void name_left(struct postern_setup *s, const struct rules_set *set)
{
    char text[TEXT_MAX];

    for (size_t i = 0; i < set->left_count; i++) {
        const struct rules_left *l = &set->left[i];

        warn(s, text,
             snprintf(text, sizeof(text), "%.*s:%u: not used%s%.*s: %.*s",
                      length(l->file, PATH_TEXT_MAX), l->file.p, l->line,
                      l->name.len > 0 ? ", rule " : "", length(l->name, RULES_NAME_MAX), l->name.p,
                      length(l->why, RULES_NAME_MAX), l->why.p));
    }
    if (set->skipped > set->left_count)
        warn(s, text,
             snprintf(text, sizeof(text), "%zu more lines of rules not used",
                      set->skipped - set->left_count));
}

static void count_left(struct postern_setup *s, const struct rules_set *set)
{
    struct rules_reason reasons[RULES_REASONS_MAX];
    size_t n = rules_set_reasons(set, reasons, RULES_REASONS_MAX);
    unsigned others = set->skipped;
    char text[TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        const struct rules_reason *r = &reasons[i];

        warn(s, text,
             snprintf(text, sizeof(text), "%u line%s of rules not used: %.*s (first %.*s:%u)",
                      r->count, r->count == 1 ? "" : "s", length(r->why, RULES_NAME_MAX), r->why.p,
                      length(r->file, PATH_TEXT_MAX), r->file.p, r->line));
        others -= r->count;
    }
    if (others > 0)
        warn(s, text,
             snprintf(text, sizeof(text), "%u more lines of rules not used for other reasons",
                      others));
}

void rules_say_left(struct postern_setup *s, const struct rules_set *set)
{
    struct postern_str how = POSTERN_STR("count");

    (void)s->host->set_str(s->settings, "unused", 0, &how);
    if (rules_eq(how, POSTERN_STR("name")))
        name_left(s, set);
    else
        count_left(s, set);
}

/* ---- to postern plugin show ---- */

struct teller {
    struct postern_setup *s;
    char text[TEXT_MAX];
    int status;
};

/* Names and lines come from files: what is no plain text in them is shown as "?". */
static void tell(struct teller *t, const char *key, int n)
{
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(t->text) ? (size_t)n : sizeof(t->text) - 1;

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)t->text[i] < ' ' || (unsigned char)t->text[i] >= 0x7f)
            t->text[i] = '?';
    if (t->status == POSTERN_OK)
        t->status = t->s->host->setup_info(t->s, (struct postern_str){key, strlen(key)},
                                           (struct postern_str){t->text, len});
}

#define TELL(t, key, ...) tell((t), (key), snprintf((t)->text, sizeof((t)->text), __VA_ARGS__))

static bool has_pattern(enum rules_kind kind)
{
    return kind == RULES_HEADER || kind == RULES_BODY || kind == RULES_RAWBODY ||
           kind == RULES_FULL || kind == RULES_URI;
}

struct tally {
    unsigned defined[RULES_KINDS], run[RULES_KINDS];
    unsigned patterns, compiled, patterns_run, mime;
    unsigned off, unnamed, elsewhere, stated;
};

static void count_pattern(struct teller *t, struct rules_set *set, struct rule *r,
                          struct tally *sum)
{
    struct postern_str why = POSTERN_STR("");

    sum->patterns++;
    sum->patterns_run += r->needed;
    sum->mime += r->kind == RULES_HEADER && (set->headers[r->header].parts & RULES_PARTS) != 0;
    if (rules_set_compiles(set, r, &why))
        sum->compiled++;
    else
        TELL(t, "left-out-rule", "%.*s %.*s:%u: %.*s", length(r->name, RULES_NAME_MAX), r->name.p,
             length(r->file, PATH_TEXT_MAX), r->file.p, r->line, length(why, TEXT_MAX), why.p);
}

static void count(struct teller *t, struct rules_set *set, struct tally *sum)
{
    for (size_t i = 0; i < set->count; i++) {
        struct rule *r = &set->rules[i];

        if (r->kind == RULES_NONE)
            continue;
        sum->defined[r->kind]++;
        sum->run[r->kind] += r->needed;
        sum->stated += r->needed && rule_is_stated(r);
        sum->elsewhere += r->elsewhere;
        sum->off += !r->elsewhere && rule_is_off(r);
        sum->unnamed += !r->elsewhere && !r->needed && !rule_is_off(r);
        if (has_pattern(r->kind))
            count_pattern(t, set, r, sum);
    }
}

static void tell_kinds(struct teller *t, const struct tally *sum)
{
    static const char *const names[RULES_KINDS] = {
        [RULES_HEADER] = "header", [RULES_EXISTS] = "header-exists",
        [RULES_BODY] = "body",     [RULES_RAWBODY] = "rawbody",
        [RULES_FULL] = "full",     [RULES_URI] = "uri",
        [RULES_EVAL] = "eval",     [RULES_META] = "meta"};

    for (int k = RULES_HEADER; k < RULES_KINDS; k++)
        TELL(t, names[k], "%u defined, %u run", sum->defined[k], sum->run[k]);
    TELL(t, "mimeheader", "%u, counted among header", sum->mime);
}

/* Lines that would have made a rule, or others. */
static void tell_left(struct teller *t, const struct rules_set *set, bool rules)
{
    for (size_t i = 0; i < set->left_count; i++) {
        const struct rules_left *l = &set->left[i];

        if ((l->name.len > 0) != rules)
            continue;
        if (rules)
            TELL(t, "left-out-rule", "%.*s %.*s:%u: %.*s", length(l->name, RULES_NAME_MAX),
                 l->name.p, length(l->file, PATH_TEXT_MAX), l->file.p, l->line,
                 length(l->why, RULES_NAME_MAX), l->why.p);
        else
            TELL(t, "left-out-line", "%.*s:%u: %.*s: %.*s", length(l->file, PATH_TEXT_MAX),
                 l->file.p, l->line, length(l->text, LINE_TEXT_MAX), l->text.p,
                 length(l->why, RULES_NAME_MAX), l->why.p);
    }
}

static void tell_elsewhere(struct teller *t, const struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct rule *r = &set->rules[i];

        if (r->elsewhere && r->kind != RULES_NONE)
            TELL(t, "elsewhere-rule", "%.*s %.*s:%u: %.*s: counts as not hit",
                 length(r->name, RULES_NAME_MAX), r->name.p, length(r->file, PATH_TEXT_MAX),
                 r->file.p, r->line, length(r->expression, LINE_TEXT_MAX), r->expression.p);
    }
}

int rules_say_info(struct postern_setup *s, struct rules_set *set)
{
    struct teller t = {.s = s, .status = POSTERN_OK};
    struct tally sum = {.patterns = 0};

    count(&t, set, &sum);
    tell_left(&t, set, true);
    tell_elsewhere(&t, set);
    tell_left(&t, set, false);
    TELL(&t, "score-set", "%u", set->column);
    TELL(&t, "patterns", "%u defined, %u of them compiled by PCRE2, %u run", sum.patterns,
         sum.compiled, sum.patterns_run);
    tell_kinds(&t, &sum);
    TELL(&t, "facts", "%u rules can state one", sum.stated);
    TELL(&t, "not-run", "%u score 0, %u no rule that counts names them", sum.off, sum.unnamed);
    TELL(&t, "elsewhere", "%u rules ask the network, learn, or go by a user's lists",
         sum.elsewhere);
    TELL(&t, "left-out", "%u rules, %u other lines",
         sum.patterns - sum.compiled + set->skipped_rules, set->skipped - set->skipped_rules);
    if (set->skipped > set->left_count)
        TELL(&t, "left-out-more", "%zu lines that are counted only",
             (size_t)set->skipped - set->left_count);
    return t.status;
}
