/* "rules_matching(__A_*)" in an expression: the sum of all rules of such names. */
#include "rules_buf.h"
#include "rules_set.h"

#include <stdlib.h>

enum { EXPANDED_MAX = 64 * 1024 };

static const struct postern_str word = {"rules_matching(", 15};

/* With case, as names of rules have it. A star is tried again one byte further on, only the
 * last one. */
static bool matches(struct postern_str glob, struct postern_str name)
{
    size_t g = 0;
    size_t star = SIZE_MAX;
    size_t from = 0;

    for (size_t i = 0; i < name.len;) {
        if (g < glob.len && glob.p[g] == '*') {
            star = g++;
            from = i;
        } else if (g < glob.len && (glob.p[g] == '?' || glob.p[g] == name.p[i])) {
            g++;
            i++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.p[g] == '*')
        g++;
    return g == glob.len;
}

static void add_sum(const struct rules_set *set, const struct rule *self, struct postern_str glob,
                    struct rules_buf *b)
{
    bool any = false;

    rules_buf_char(b, '(');
    for (size_t i = 0; i < set->count; i++) {
        const struct rule *r = &set->rules[i];

        if (r == self || r->line == 0 || !matches(glob, r->name))
            continue;
        if (any)
            rules_buf_add(b, POSTERN_STR(" + "));
        rules_buf_add(b, r->name);
        any = true;
    }
    rules_buf_add(b, any ? POSTERN_STR(")") : POSTERN_STR("0)"));
}

const char *rules_matching_expand(struct rules_set *set, struct rule *rule)
{
    struct rules_buf b = {.max = EXPANDED_MAX};
    struct postern_str rest = rule->expression;
    const char *at = memmem(rest.p, rest.len, word.p, word.len);
    const char *error = NULL;

    if (at == NULL)
        return NULL;
    while (at != NULL) {
        struct postern_str glob = {at + word.len, (size_t)(rest.p + rest.len - at) - word.len};
        const char *end = memchr(glob.p, ')', glob.len);

        if (end == NULL)
            break;
        glob.len = (size_t)(end - glob.p);
        rules_buf_add(&b, (struct postern_str){rest.p, (size_t)(at - rest.p)});
        add_sum(set, rule, rules_trim(glob), &b);
        rest = (struct postern_str){end + 1, (size_t)(rest.p + rest.len - end) - 1};
        at = memmem(rest.p, rest.len, word.p, word.len);
    }
    rules_buf_add(&b, rest);
    if (b.len == b.max)
        error = "expression that grows too long";
    else
        rule->expression = rules_dup(&set->arena, rules_buf_str(&b));
    free(b.p);
    return rule->expression.p == NULL ? "out of memory" : error;
}
