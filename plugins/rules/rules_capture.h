/*
 * What rules capture for others: a group "(?<NAME>…)" of one that hits stands for "%{NAME}"
 * in the pattern of another, which is then compiled for this message alone.
 */
#ifndef RULES_CAPTURE_H
#define RULES_CAPTURE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include "rules_pattern.h"

#include <pcre2.h>

enum { RULES_CAPTURES_MAX = 32, RULES_CAPTURE_MAX = 512 };

struct rules_captures {
    struct {
        struct postern_str name, value;
    } item[RULES_CAPTURES_MAX];
    size_t count;
};

/* Keeps the named groups of a match, copied to the arena. */
void rules_captures_take(struct rules_captures *c, const pcre2_code *code,
                         const pcre2_match_data *data, struct postern_str text,
                         struct rules_arena *a);
/* NULL: a name in it has no value, or PCRE2 refuses it. Free with pcre2_code_free. */
pcre2_code *rules_captures_compile(const struct rules_captures *c, const struct rules_pattern *p,
                                   struct rules_arena *a);

/* The pattern with something that all values match in the place of its tags: it matches
 * wherever the pattern does, whatever is captured. .p NULL: that can't be said, or memory ran
 * out. */
struct postern_str rules_captures_stand_in(struct postern_str pattern, struct rules_arena *a);

#endif
