/*
 * Macro strings (RFC 7208, section 7): their syntax, and what they expand to.
 */
#ifndef SPF_MACRO_H
#define SPF_MACRO_H

#include "spf_engine.h"
#include "spf_text.h"

enum spf_macro_use {
    SPF_MACRO_DOMAIN,  /* domain-spec: ends in ".toplabel", or in a macro */
    SPF_MACRO_ANY,     /* the value of an unknown modifier: macro-string */
    SPF_MACRO_EXPLAIN, /* explain-string: spaces too, and c, r, t */
};

bool spf_macro_ok(struct postern_str s, enum spf_macro_use use);

/* What %{p} stands for; asks DNS, so it is only called for. */
struct spf_macro_env {
    const struct spf_query *query;
    struct postern_str domain; /* the current one, %{d} */
    struct postern_str (*validated)(void *ctx);
    void *ctx;
};

/* s must be right (spf_macro_ok). Sets out->full if it does not fit. */
void spf_macro_expand(struct postern_str s, const struct spf_macro_env *env, struct spf_text *out);

#endif
