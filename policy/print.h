/*
 * What a configuration comes to, for people and programs: `postern config show`; and
 * what can be configured: `postern config rows`, `postern plugin show`.
 *
 * Settings are printed in the language they are written in, each with the place that it
 * came from; with `all` the defaults too. What is printed with `all` compiles to the same
 * settings and policies again.
 */
#ifndef PN_PRINT_H
#define PN_PRINT_H

#include "json.h"
#include "policy.h"
#include "rows.h"

void pn_policy_print(const struct pn_policy *p, bool all, struct pn_buf *out);
/* One object: settings, plugins, domains; the defaults are the domain without a name. */
void pn_policy_print_json(const struct pn_policy *p, bool all, struct pn_buf *out);

/* A table of rows: full name, type, default, limits, help. prefix may be "". */
void pn_rows_print(const struct postern_row *rows, const char *prefix, struct pn_buf *out);
/* The same as members of an open array. */
void pn_rows_json(const struct postern_row *rows, const char *prefix, struct pn_json *json);
/* The statements of a domain: how they are written, and what they say. */
void pn_statements_print(struct pn_buf *out);
void pn_statements_json(struct pn_json *json);

#endif
