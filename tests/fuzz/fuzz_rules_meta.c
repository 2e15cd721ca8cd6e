/* Expressions: names of small letters are known or not by their first one. Asked name by name
 * they come to the same. */
#include "rules_decide.h"

#include <math.h>
#include <stdlib.h>

enum { NAMES = 512 };

/* Names that are unknown are so from the start. */
struct world {
    uint8_t state[NAMES];
    double number[NAMES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool resolve(void *arg, struct postern_str name, struct postern_str argument, uint32_t *out)
{
    (void)arg;
    *out = (uint32_t)(((unsigned char)name.p[0] + argument.len) % NAMES);
    return name.len < 8;
}

static struct rules_value lookup(const void *arg, uint32_t name)
{
    (void)arg;
    return (struct rules_value){(double)name - 97, name % 4 != 0};
}

static struct rules_guess bounds(const void *arg, uint32_t name)
{
    struct rules_value v = lookup(NULL, name);

    (void)arg;
    return (struct rules_guess){v.number - name % 3, v.number + name % 5, false, false, false};
}

static void ask(void *arg, uint32_t name)
{
    struct world *w = arg;

    w->state[name] = rules_state_of(lookup(NULL, name));
    w->number[name] = lookup(NULL, name).number;
}

static uint32_t cost(const void *arg, uint32_t name)
{
    (void)arg;
    return name % 7;
}

static void compare_with_tree(const struct rules_meta *m, struct rules_arena *a)
{
    struct world w;
    struct rules_answers answers = {w.state, w.number, bounds, ask, &w};
    struct rules_value want = rules_meta_run(m, lookup, NULL);
    struct rules_value got;
    struct rules_tree t;

    for (uint32_t i = 0; i < NAMES; i++)
        w.state[i] = lookup(NULL, i).known ? RULES_OPEN : RULES_UNKNOWN;
    if (rules_tree_new(&t, m, cost, NULL, a) != NULL)
        return;
    got = rules_tree_decide(&t, &answers);
    if (got.known != want.known ||
        (want.known && got.number != want.number && !(isnan(got.number) && isnan(want.number))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules_arena a = {.used = 0};
    struct rules_meta m;
    struct postern_str text = {(const char *)data, size};

    if (rules_meta_compile(&m, text, &a, resolve, NULL) == NULL) {
        if (m.count == 0 || m.count > RULES_META_STEPS_MAX)
            abort();
        compare_with_tree(&m, &a);
    }
    rules_arena_free(&a);
    return 0;
}
