/*
 * The tests that rule files name: "eval:html_tag_exists('body')". Each is a function of the
 * message and of the rule's arguments, known by SpamAssassin's name for it.
 */
#ifndef RULES_EVAL_H
#define RULES_EVAL_H

#include "rules_text.h"

typedef struct postern_str rules_args[RULES_ARGS_MAX];

/* A call: the arguments as written, without quotes. */
struct rules_eval_call {
    struct rules_text *text;
    const struct postern_str *arg;
    size_t args;
    void *pattern; /* pcre2_code of the argument that is one; NULL: none */
};

/* Not 0: it hits. */
typedef double rules_eval_fn(const struct rules_eval_call *c);

struct rules_eval {
    const char *name;
    rules_eval_fn *fn;
    unsigned least, most; /* arguments */
    unsigned pattern;     /* which of them is a pattern, counted from 1; 0: none */
    bool relays;          /* looks at where the message came from */
};

/* NULL: there is no such test. */
const struct rules_eval *rules_eval_find(struct postern_str name);
/* Does SpamAssassin's test of that name ask the network, learn, or go by its own user's
 * lists? Then other plugins, or the policy, do that. */
bool rules_eval_is_elsewhere(struct postern_str name);
/* Takes "name('a', 2)" apart; NULL, or what is wrong. */
const char *rules_eval_read(struct postern_str text, struct postern_str *name, rules_args args,
                            size_t *count);

/* ---- for the tests' own files ---- */

double rules_arg_number(const struct rules_eval_call *c, size_t i);
bool rules_arg_is(const struct rules_eval_call *c, size_t i, const char *word);
/* Does the call's pattern match? In limits of its own. */
bool rules_arg_matches(const struct rules_eval_call *c, struct postern_str s);
/* min <= or < value <= max: SpamAssassin's ranges, "undef" and "inf" as open ends. */
bool rules_arg_range(const struct rules_eval_call *c, size_t min, double value);

/* Tables of tests, each ended by a NULL name. */
extern const struct rules_eval rules_eval_header[];
extern const struct rules_eval rules_eval_origin[];
extern const struct rules_eval rules_eval_date[];
extern const struct rules_eval rules_eval_html[];
extern const struct rules_eval rules_eval_mime[];
extern const struct rules_eval rules_eval_body[];
extern const struct rules_eval rules_eval_freemail[];
extern const struct rules_eval rules_eval_image[];

#endif
