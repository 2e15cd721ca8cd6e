/* From what was read to what is run: which rules are needed, in which order, compiled. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_set.h"

#include <pcre2.h>
#include <stdlib.h>

enum { PATTERN_MAX = 32 * 1024 };

static void drop(struct rules_set *set, struct rule *rule, const char *why)
{
    rule->kind = RULES_NONE;
    rules_set_skip(set, why, rule->file, rule->line);
}

static void default_scores(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct rule *r = &set->rules[i];

        if (r->scored)
            continue;
        r->score = r->nice ? -1000 : 1000;
        if (rules_starts(r->name, POSTERN_STR("T_")))
            r->score /= 100;
    }
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
    /* A rule that nobody defined: any index beyond the set is unknown. */
    *out = rule == NULL ? UINT32_MAX : (uint32_t)(rule - set->rules);
    return true;
}

static void enter(struct walk *w, uint32_t index)
{
    struct rule *r = &w->set->rules[index];
    const char *error;

    r->needed = true;
    r->state = DONE;
    if (r->kind != RULES_META)
        return;
    error = rules_meta_compile(&r->meta, r->expression, &w->set->arena, resolve_rule, w->set);
    if (error != NULL) {
        drop(w->set, r, error);
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
            drop(w->set, r, "expression that leads back to itself");
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

static bool find_needed(struct rules_set *set)
{
    struct walk w = {.set = set};

    set->order[RULES_META] = rules_alloc(&set->arena, set->count * sizeof(uint32_t));
    w.stack = malloc((set->count + 1) * sizeof(*w.stack));
    if (w.stack == NULL || set->order[RULES_META] == NULL) {
        free(w.stack);
        return false;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->rules[i].state != UNSEEN || !rule_is_stated(&set->rules[i]))
            continue;
        enter(&w, i);
        while (w.depth > 0)
            advance(&w);
    }
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

static uint32_t options_of(const struct rule *r)
{
    uint32_t options =
        r->pattern.options | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;

    /* These texts are many in one, a line each: "^" and "$" are of the line. */
    if (r->kind == RULES_BODY || r->kind == RULES_URI)
        options |= PCRE2_MULTILINE;
    return options;
}

static void compile(struct rules_set *set, struct rule *r, pcre2_compile_context *context)
{
    size_t offset;
    int error;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)r->pattern.text.p, r->pattern.text.len,
                                     options_of(r), &error, &offset, context);

    if (code == NULL) {
        drop(set, r, "pattern that PCRE2 refuses");
        return;
    }
    /* Where there is no JIT it is slower, not wrong. */
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    r->code = code;
}

static bool add_literals(struct rules_set *set, uint32_t index)
{
    struct rule *r = &set->rules[index];
    struct postern_str literals[RULES_LITERALS_MAX];
    size_t lead = 0;
    size_t longest = 0;
    size_t n = rules_pattern_literals(&r->pattern, &set->arena, literals, &lead);

    r->shortest = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t mark = rules_search_add(set->search[r->kind], literals[i], index);

        if (mark == 0)
            return false;
        longest = mark > longest ? mark : longest;
        r->shortest = mark < r->shortest ? mark : r->shortest;
    }
    r->has_literals = n > 0;
    r->reach = lead >= RULES_LEAD_ANY ? RULES_LEAD_ANY : lead + longest;
    return true;
}

static bool has_search(enum rules_kind kind)
{
    return kind == RULES_BODY || kind == RULES_RAWBODY || kind == RULES_FULL || kind == RULES_URI;
}

static bool order_kind(struct rules_set *set, enum rules_kind kind)
{
    uint32_t *order = rules_alloc(&set->arena, set->count * sizeof(*order));
    bool any = false;

    if (order == NULL || (has_search(kind) && (set->search[kind] = rules_search_new()) == NULL))
        return false;
    set->order[kind] = order;
    for (uint32_t i = 0; i < set->count; i++) {
        if (!set->rules[i].needed || set->rules[i].kind != kind)
            continue;
        order[set->order_count[kind]++] = i;
        if (has_search(kind) && !add_literals(set, i))
            return false;
        any |= set->rules[i].has_literals;
    }
    if (!any) {
        rules_search_free(set->search[kind]);
        set->search[kind] = NULL;
    }
    return true;
}

bool rules_set_finish(struct rules_set *set)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    bool good = context != NULL;

    default_scores(set);
    if (good && set->count > 0)
        good = find_needed(set);
    if (good)
        (void)pcre2_set_max_pattern_length(context, PATTERN_MAX);
    for (size_t i = 0; good && i < set->count; i++) {
        struct rule *r = &set->rules[i];

        if (r->needed && r->kind != RULES_NONE && r->kind != RULES_META && r->kind != RULES_EXISTS)
            compile(set, r, context);
        if (rule_is_stated(r))
            good = make_symbol(set, r);
    }
    for (int kind = RULES_HEADER; good && set->count > 0 && kind < RULES_META; kind++)
        good = order_kind(set, (enum rules_kind)kind);
    pcre2_compile_context_free(context);
    return good;
}

void rules_set_free(struct rules_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        pcre2_code_free(set->rules[i].code);
    for (int kind = 0; kind < RULES_KINDS; kind++)
        rules_search_free(set->search[kind]);
    free(set->rules);
    free(set->table);
    free(set->headers);
    rules_arena_free(&set->arena);
    *set = (struct rules_set){.count = 0};
}
