/* From what was read to what is run: which rules are needed, in which order, compiled. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_capture.h"
#include "rules_eval.h"
#include "rules_known.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATTERN_MAX = 256 * 1024 };

static void drop_for(struct rules_set *set, struct rule *rule, struct postern_str why)
{
    rule->kind = RULES_NONE;
    rules_set_leave(set, (struct rules_left){rule->name, why, rule->file, rule->line, {"", 0}});
}

void rules_set_drop(struct rules_set *set, struct rule *rule, const char *why)
{
    drop_for(set, rule, (struct postern_str){why, strlen(why)});
}

/* A rule that counts is a fact of its name; what can't be one is said, not dropped in silence. */
static void check_symbol(struct rules_set *set, struct rule *r)
{
    char first = r->name.len == 0 ? '\0' : rules_lower(r->name.p[0]);

    if (!rule_is_stated(r) || (r->name.len <= RULES_SYMBOL_MAX && first >= 'a' && first <= 'z'))
        return;
    rules_set_leave(set, (struct rules_left){r->name,
                                             POSTERN_STR("name that no fact can have: of more than "
                                                         "64 letters, or with none first"),
                                             r->file,
                                             r->line,
                                             {"", 0}});
    r->nameless = true;
}

static void set_scores(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct rule *r = &set->rules[i];

        if (r->scored) {
            r->score = r->scores[set->column];
            check_symbol(set, r);
            continue;
        }
        r->score = r->nice ? -1000 : 1000;
        if (rules_starts(r->name, POSTERN_STR("T_")))
            r->score /= 100;
        check_symbol(set, r);
    }
}

/* ---- tests by name ---- */

/* "eval test NAME, which is not known here" */
static struct postern_str unknown_test(struct rules_set *set, struct postern_str name)
{
    static const char before[] = "eval test ";
    static const char behind[] = " is not known here";
    char *p = rules_alloc(&set->arena, sizeof(before) + name.len + sizeof(behind));
    size_t n = sizeof(before) - 1;

    if (p == NULL || name.len > RULES_NAME_MAX)
        return POSTERN_STR("eval test that is not known here");
    memcpy(p, before, n);
    memcpy(p + n, name.p, name.len);
    memcpy(p + n + name.len, behind, sizeof(behind));
    return (struct postern_str){p, n + name.len + sizeof(behind) - 1};
}

static void find_test(struct rules_set *set, struct rule *r)
{
    struct postern_str name;
    const char *error = rules_eval_read(r->expression, &name, r->args, &r->arg_count);

    r->eval = error == NULL ? rules_eval_find(name) : NULL;
    if (error != NULL)
        rules_set_drop(set, r, error);
    else if (r->eval == NULL && (r->network || rules_eval_is_elsewhere(name)))
        r->elsewhere = true;
    else if (r->eval == NULL)
        drop_for(set, r, unknown_test(set, name));
    else if (r->network && set->column % 2 == 0)
        r->elsewhere = true; /* without network */
    else if (r->arg_count < r->eval->least || r->arg_count > r->eval->most)
        rules_set_drop(set, r, "eval test with a wrong number of arguments");
}

static void find_tests(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->rules[i].odd_parts && set->rules[i].kind != RULES_NONE)
            rules_set_drop(set, &set->rules[i], "tflags range or concat, which are not known here");
    for (size_t i = 0; i < set->count; i++)
        if (set->rules[i].kind == RULES_EVAL && !rule_is_off(&set->rules[i]))
            find_test(set, &set->rules[i]);
}

/* ---- tags */

/* "%{NAME}", but for "\%{NAME}". */
static bool has_tag(struct postern_str s)
{
    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '%' && s.p[i + 1] == '{')
            return true;
    return false;
}

/* "(?<NAME>", "(?'NAME'" and "(?P<NAME>". */
static bool has_named_group(struct postern_str s)
{
    for (size_t i = 0; i + 3 < s.len; i++) {
        size_t at = i + 2;

        if (s.p[i] != '(' || s.p[i + 1] != '?')
            continue;
        at += s.p[at] == 'P';
        if (at + 1 < s.len && rules_in(s.p[at], "<'") && s.p[at + 1] >= 'A' && s.p[at + 1] <= 'Z')
            return true;
    }
    return false;
}

/* ---- the order of expressions: depth first, with a stack of our own ---- */

enum { UNSEEN, OPEN, DONE };

struct frame {
    uint32_t rule;
    size_t step;
};

struct walk {
    struct rules_set *set;
    struct frame *stack; /* no deeper than there are rules */
    size_t depth;
    bool no_memory;
};

static bool resolve_rule(void *arg, struct postern_str name, struct postern_str argument,
                         uint32_t *out)
{
    const struct rules_set *set = arg;
    const struct rule *rule = rules_set_find(set, name);

    if (argument.p != NULL)
        return false;
    /* A rule that nobody defined has not hit: any index beyond the set says that. */
    *out = rule == NULL ? UINT32_MAX : (uint32_t)(rule - set->rules);
    return true;
}

static void enter(struct walk *w, uint32_t index)
{
    struct rule *r = &w->set->rules[index];
    const char *error;

    r->state = DONE;
    if (rule_is_off(r) || r->elsewhere)
        return;
    r->needed = true;
    if (r->kind != RULES_META)
        return;
    error = rules_matching_expand(w->set, r);
    if (error == NULL)
        error = rules_meta_compile(&r->meta, r->expression, &w->set->arena, resolve_rule, w->set);
    if (error != NULL) {
        rules_set_drop(w->set, r, error);
        return;
    }
    r->state = OPEN;
    w->stack[w->depth++] = (struct frame){index, 0};
}

/* One step on: into a rule that is named and not seen yet, or out of this one. */
static void advance(struct walk *w)
{
    struct frame *f = &w->stack[w->depth - 1];
    struct rule *r = &w->set->rules[f->rule];

    while (f->step < r->meta.count) {
        const struct rules_step *s = &r->meta.steps[f->step++];

        if (s->op != RULES_OP_NAME || s->name == UINT32_MAX)
            continue;
        if (w->set->rules[s->name].state == OPEN) {
            rules_set_drop(w->set, r, "expression that leads back to itself");
            break;
        }
        if (w->set->rules[s->name].state == UNSEEN) {
            enter(w, s->name);
            return;
        }
    }
    r->state = DONE;
    if (r->kind == RULES_META)
        w->set->order[RULES_META][w->set->order_count[RULES_META]++] = f->rule;
    w->depth--;
}

static void walk_from(struct walk *w, uint32_t index)
{
    if (w->set->rules[index].state != UNSEEN)
        return;
    enter(w, index);
    while (w->depth > 0)
        advance(w);
}

/* Then rules that capture are needed, though nobody names them. */
static bool wants_tags(const struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->rules[i].needed && has_tag(set->rules[i].pattern.text))
            return true;
    return false;
}

static bool find_needed(struct rules_set *set)
{
    struct walk w = {.set = set};

    set->order[RULES_META] = rules_alloc(&set->arena, set->count * sizeof(uint32_t));
    w.stack = malloc((set->count + 1) * sizeof(*w.stack));
    if (w.stack == NULL || set->order[RULES_META] == NULL) {
        free(w.stack);
        return false;
    }
    for (uint32_t i = 0; i < set->count; i++)
        if (rule_is_stated(&set->rules[i]))
            walk_from(&w, i);
    if (wants_tags(set))
        for (uint32_t i = 0; i < set->count; i++)
            if (has_named_group(set->rules[i].pattern.text))
                walk_from(&w, i);
    free(w.stack);
    return true;
}

/* Facts have no small letters; a few of SpamAssassin's rules do. */
static bool make_symbol(struct rules_set *set, struct rule *r)
{
    char *p;

    r->symbol = rules_dup(&set->arena, r->name);
    p = (char *)(uintptr_t)r->symbol.p;
    for (size_t i = 0; i < r->symbol.len; i++)
        if (p[i] >= 'a' && p[i] <= 'z')
            p[i] = (char)(p[i] & ~0x20);
    return p != NULL;
}

/* ---- patterns ---- */

static bool holds(struct postern_str s, const char *what)
{
    return memmem(s.p, s.len, what, strlen(what)) != NULL;
}

/* What looks around a match may see another line there, and what looks for an end sees none
 * behind a line end that the match has taken: such a rule sees one at a time. */
static bool looks_around(struct postern_str s)
{
    static const char *const signs[] = {"(?!", "(?<", "\\z", "\\Z", "\\A", "\\G", "$"};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (holds(s, signs[i]))
            return true;
    return false;
}

static uint32_t options_of(const struct rule *r)
{
    uint32_t options = r->pattern.options | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_DUPNAMES | PCRE2_USE_OFFSET_LIMIT;

    /* These texts are many in one, a line each: "^" and "$" are of the line. */
    if ((r->kind == RULES_BODY || r->kind == RULES_URI) && !r->by_line)
        options |= PCRE2_MULTILINE;
    return options;
}

/* Where it grew too large with its tags, each as a subroutine. */
static pcre2_code *code_of(struct rules_set *set, const struct rule *r,
                           pcre2_compile_context *context, int *error)
{
    struct postern_str text = r->pattern.text;
    size_t offset;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text.p, text.len, options_of(r), error, &offset, context);

    if (code != NULL || r->tagged.p == NULL)
        return code;
    text = rules_tags_call(set, r);
    return text.p == NULL ? NULL
                          : pcre2_compile((PCRE2_SPTR)text.p, text.len, options_of(r), error,
                                          &offset, context);
}

/* "pattern that PCRE2 refuses: missing closing parenthesis" */
static struct postern_str refusal(struct rules_set *set, int error)
{
    static const char before[] = "pattern that PCRE2 refuses";
    PCRE2_UCHAR why[80];
    char text[sizeof(before) + sizeof(why) + 2];
    struct postern_str s;
    int n = pcre2_get_error_message(error, why, sizeof(why));

    n = snprintf(text, sizeof(text), "%s%s%s", before, n > 0 ? ": " : "",
                 n > 0 ? (const char *)why : "");
    s = rules_dup(&set->arena, (struct postern_str){text, n < 0 ? 0 : (size_t)n});
    return s.p == NULL ? (struct postern_str){before, sizeof(before) - 1} : s;
}

/* Of a pattern with tags what can be said without their values: only where that matches it is
 * compiled with them. */
static void compile_stand_in(struct rules_set *set, struct rule *r, pcre2_compile_context *context)
{
    size_t offset;
    int error;

    r->sought.text = rules_captures_stand_in(r->pattern.text, &set->arena);
    if (r->sought.text.p == NULL)
        return;
    r->code = pcre2_compile((PCRE2_SPTR)r->sought.text.p, r->sought.text.len, options_of(r), &error,
                            &offset, context);
    r->jit = r->code != NULL && pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
}

static void compile(struct rules_set *set, struct rule *r, pcre2_compile_context *context)
{
    int error;

    r->by_line = r->kind == RULES_RAWBODY || looks_around(r->pattern.text);
    r->takes_tags = has_tag(r->pattern.text);
    r->gives_tags = has_named_group(r->pattern.text);
    r->sought = r->pattern;
    if (r->takes_tags) {
        compile_stand_in(set, r, context);
        return;
    }
    r->code = code_of(set, r, context, &error);
    if (r->code == NULL) {
        drop_for(set, r, refusal(set, error));
        return;
    }
    /* Where there is no JIT it is slower, not wrong. */
    r->jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
}

bool rules_set_compiles(struct rules_set *set, struct rule *rule, struct postern_str *why)
{
    pcre2_compile_context *context;
    pcre2_code *code;
    int error = 0;

    if (rule->code != NULL)
        return true;
    context = pcre2_compile_context_create(NULL);
    if (context != NULL)
        (void)pcre2_set_max_pattern_length(context, PATTERN_MAX);
    code = context == NULL ? NULL : code_of(set, rule, context, &error);
    if (code == NULL)
        *why = refusal(set, error);
    pcre2_code_free(code);
    pcre2_compile_context_free(context);
    return code != NULL;
}

/* An argument that is a pattern, as the text behind "=~" would be without its slashes. */
static void compile_argument(struct rules_set *set, struct rule *r, pcre2_compile_context *context)
{
    size_t i = r->eval->pattern;
    size_t offset;
    int error;

    if (i == 0 || i > r->arg_count)
        return;
    r->code = pcre2_compile((PCRE2_SPTR)r->args[i - 1].p, r->args[i - 1].len,
                            PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context);
    if (r->code == NULL)
        drop_for(set, r, refusal(set, error));
    else
        (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
}

static void compile_redirectors(struct rules_set *set, pcre2_compile_context *context)
{
    for (size_t i = 0; i < set->redirector_count; i++) {
        const struct rules_pattern *p = &set->redirectors[i];
        size_t offset;
        int error;

        set->redirector_codes[i] =
            pcre2_compile((PCRE2_SPTR)p->text.p, p->text.len, p->options | PCRE2_NEVER_UTF, &error,
                          &offset, context);
        if (set->redirector_codes[i] != NULL)
            (void)pcre2_jit_compile(set->redirector_codes[i], PCRE2_JIT_COMPLETE);
    }
}

/* Does a rule look at where the message came from? */
static bool wants_relays(const struct rules_set *set, const struct rule *r)
{
    struct postern_str name;

    if (r->kind == RULES_EVAL)
        return r->eval != NULL && r->eval->relays;
    if (r->kind != RULES_HEADER && r->kind != RULES_EXISTS)
        return false;
    name = set->headers[r->header].name;
    return rules_istarts(name, POSTERN_STR("X-Spam-Relays-")) ||
           rules_starts(name, POSTERN_STR("ALL-"));
}

static void compile_all(struct rules_set *set, pcre2_compile_context *context)
{
    for (size_t i = 0; i < set->count; i++) {
        struct rule *r = &set->rules[i];

        if (!r->needed)
            continue;
        if (r->kind == RULES_EVAL)
            compile_argument(set, r, context);
        else if (r->kind != RULES_NONE && r->kind != RULES_META && r->kind != RULES_EXISTS)
            compile(set, r, context);
        set->wants_relays |= wants_relays(set, r);
    }
}

bool rules_set_finish(struct rules_set *set)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    bool good = context != NULL && rules_known_compile(set->known) && rules_tags_expand(set);

    set_scores(set);
    find_tests(set);
    if (good && set->count > 0)
        good = find_needed(set);
    if (good) {
        (void)pcre2_set_max_pattern_length(context, PATTERN_MAX);
        compile_all(set, context);
        compile_redirectors(set, context);
    }
    for (size_t i = 0; good && i < set->count; i++)
        if (rule_is_stated(&set->rules[i]))
            good = make_symbol(set, &set->rules[i]);
    good = good && rules_seek(set) && rules_plan(set);
    pcre2_compile_context_free(context);
    return good;
}

void rules_set_free(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        pcre2_code_free(set->rules[i].code);
    for (int kind = 0; kind < RULES_KINDS; kind++)
        rules_search_free(set->search[kind]);
    for (int kind = 0; kind < RULES_KINDS; kind++)
        rules_windows_free(set->windows[kind]);
    for (size_t i = 0; i < set->redirector_count; i++)
        pcre2_code_free(set->redirector_codes[i]);
    rules_known_free(set->known);
    rules_names_free(&set->names);
    free(set->left);
    free(set->tags);
    free(set->rules);
    free(set->table);
    free(set->headers);
    rules_arena_free(&set->arena);
    *set = (struct rules_set){.count = 0};
}
