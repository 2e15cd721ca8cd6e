#include "rules_meta.h"

#include <stdlib.h>

struct compile {
    struct postern_str rest;
    struct rules_step *steps;
    size_t count;
    unsigned depth;
    rules_resolve *resolve;
    void *arg;
    const char *error;
};

static void add(struct compile *c, struct rules_step step)
{
    if (c->error != NULL)
        return;
    if (c->count == RULES_META_STEPS_MAX)
        c->error = "expression too long";
    else
        c->steps[c->count++] = step;
}

static char next_byte(struct compile *c)
{
    c->rest = rules_trim(c->rest);
    return c->rest.len == 0 ? '\0' : c->rest.p[0];
}

static void skip(struct compile *c, size_t n)
{
    c->rest.p += n;
    c->rest.len -= n;
}

static void number(struct compile *c)
{
    char text[32] = "";
    bool point = false;
    size_t n = 0;

    for (; n < c->rest.len && n < sizeof(text) - 1; n++) {
        if (!rules_is_digit(c->rest.p[n]) && (c->rest.p[n] != '.' || point))
            break;
        point = point || c->rest.p[n] == '.';
        text[n] = c->rest.p[n];
    }
    skip(c, n);
    add(c, (struct rules_step){.op = RULES_OP_NUMBER, .number = strtod(text, NULL)});
}

/* "plugin(Mail::X)": the argument runs to the closing bracket. */
static void name(struct compile *c)
{
    struct rules_step step = {.op = RULES_OP_NAME};
    struct postern_str word = {c->rest.p, 0};
    struct postern_str argument = {NULL, 0};

    while (word.len < c->rest.len && (rules_is_word(word.p[word.len]) || word.p[word.len] == ':'))
        word.len++;
    skip(c, word.len);
    if (next_byte(c) == '(') {
        const char *end = memchr(c->rest.p, ')', c->rest.len);

        if (end == NULL) {
            c->error = "bracket without its end";
            return;
        }
        argument = (struct postern_str){c->rest.p + 1, (size_t)(end - c->rest.p) - 1};
        skip(c, argument.len + 2);
        argument = rules_trim(argument);
    }
    if (!c->resolve(c->arg, word, argument, &step.name))
        c->error = "a name that means nothing here";
    add(c, step);
}

static void expression(struct compile *c, unsigned level);

static void unary(struct compile *c)
{
    char b = next_byte(c);

    if (++c->depth > RULES_META_DEPTH_MAX && c->error == NULL)
        c->error = "expression nested too deeply";
    if (c->error != NULL) {
        c->depth--;
        return;
    }
    if (b == '!' || b == '-') {
        skip(c, 1);
        unary(c);
        add(c, (struct rules_step){.op = b == '!' ? RULES_OP_NOT : RULES_OP_NEGATE});
    } else if (b == '(') {
        skip(c, 1);
        expression(c, 0);
        if (next_byte(c) == ')')
            skip(c, 1);
        else if (c->error == NULL)
            c->error = "bracket without its end";
    } else if (rules_is_digit(b) || b == '.') {
        number(c);
    } else if (rules_is_word(b)) {
        name(c);
    } else {
        c->error = "operand missing";
    }
    c->depth--;
}

/* The operator of that level at this place. */
static bool operator_at(struct compile *c, unsigned level, enum rules_op *op)
{
    static const struct {
        const char *text;
        unsigned level;
        enum rules_op op;
    } table[] = {
        {"||", 0, RULES_OP_OR},      {"&&", 1, RULES_OP_AND},     {"==", 2, RULES_OP_EQ},
        {"!=", 2, RULES_OP_NE},      {"<=", 2, RULES_OP_LE},      {">=", 2, RULES_OP_GE},
        {"<", 2, RULES_OP_LT},       {">", 2, RULES_OP_GT},       {"+", 3, RULES_OP_ADD},
        {"-", 3, RULES_OP_SUBTRACT}, {"*", 4, RULES_OP_MULTIPLY}, {"/", 4, RULES_OP_DIVIDE}};

    (void)next_byte(c);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct postern_str text = {table[i].text, strlen(table[i].text)};

        if (!rules_starts(c->rest, text))
            continue;
        if (table[i].level != level)
            return false;
        *op = table[i].op;
        skip(c, text.len);
        return true;
    }
    return false;
}

enum { LEVELS = 5 };

static void expression(struct compile *c, unsigned level)
{
    enum rules_op op;

    if (level == LEVELS) {
        unary(c);
        return;
    }
    expression(c, level + 1);
    while (c->error == NULL && operator_at(c, level, &op)) {
        expression(c, level + 1);
        add(c, (struct rules_step){.op = op});
    }
}

const char *rules_meta_compile(struct rules_meta *m, struct postern_str text, struct rules_arena *a,
                               rules_resolve *resolve, void *arg)
{
    static const char no_memory[] = "out of memory";
    struct rules_step *steps;
    struct compile c = {.rest = text, .resolve = resolve, .arg = arg};
    size_t most = text.len < RULES_META_STEPS_MAX ? text.len + 1 : RULES_META_STEPS_MAX;

    /* No more steps than bytes. */
    c.steps = rules_alloc(a, most * sizeof(*c.steps));
    if (c.steps == NULL)
        return no_memory;
    expression(&c, 0);
    if (c.error == NULL && next_byte(&c) != '\0')
        c.error = "operator missing";
    if (c.error != NULL)
        return c.error;
    steps = c.steps;
    *m = (struct rules_meta){steps, c.count};
    return NULL;
}

/* ---- running ---- */

static struct rules_value known(double number)
{
    return (struct rules_value){number, true};
}

static struct rules_value both(enum rules_op op, struct rules_value a, struct rules_value b)
{
    bool decided = op == RULES_OP_AND ? (a.known && a.number == 0) || (b.known && b.number == 0)
                                      : (a.known && a.number != 0) || (b.known && b.number != 0);

    if (decided)
        return known(op == RULES_OP_OR);
    return (struct rules_value){op == RULES_OP_AND, a.known && b.known};
}

struct rules_value rules_meta_two(enum rules_op op, double a, double b)
{
    switch (op) {
    case RULES_OP_EQ:
        return known(a == b);
    case RULES_OP_NE:
        return known(a != b);
    case RULES_OP_LT:
        return known(a < b);
    case RULES_OP_LE:
        return known(a <= b);
    case RULES_OP_GT:
        return known(a > b);
    case RULES_OP_GE:
        return known(a >= b);
    case RULES_OP_ADD:
        return known(a + b);
    case RULES_OP_SUBTRACT:
        return known(a - b);
    case RULES_OP_MULTIPLY:
        return known(a * b);
    default:
        return (struct rules_value){b == 0 ? 0 : a / b, b != 0};
    }
}

static struct rules_value binary(enum rules_op op, struct rules_value a, struct rules_value b)
{
    if (op == RULES_OP_AND || op == RULES_OP_OR)
        return both(op, a, b);
    if (!a.known || !b.known)
        return (struct rules_value){0, false};
    return rules_meta_two(op, a.number, b.number);
}

/* A tree whose operators nest no deeper than the compiler lets them needs a stack of at
 * most this: each nesting holds one operand a level of precedence. */
enum { STACK_MAX = (RULES_META_DEPTH_MAX + 2) * (LEVELS + 1) };

struct rules_value rules_meta_run(const struct rules_meta *m, rules_lookup *lookup, const void *arg)
{
    struct rules_value stack[STACK_MAX];
    size_t n = 0;

    for (size_t i = 0; i < m->count; i++) {
        const struct rules_step *s = &m->steps[i];

        switch (s->op) {
        case RULES_OP_NUMBER:
            stack[n++] = known(s->number);
            break;
        case RULES_OP_NAME:
            stack[n++] = lookup(arg, s->name);
            break;
        case RULES_OP_NOT:
            stack[n - 1].number = stack[n - 1].number == 0;
            break;
        case RULES_OP_NEGATE:
            stack[n - 1].number = -stack[n - 1].number;
            break;
        default:
            stack[n - 2] = binary(s->op, stack[n - 2], stack[n - 1]);
            n--;
            break;
        }
    }
    return n == 1 ? stack[0] : (struct rules_value){0, false};
}
