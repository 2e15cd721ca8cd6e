/* What can be configured: the manual's tables. */
#include "print.h"

#include "model.h"
#include "value.h"

#include <inttypes.h>

enum { DEPTH_MAX = 8, NAME_WIDTH = 34, TYPE_WIDTH = 12 };

static void pad(struct pn_buf *out, size_t from, size_t width)
{
    do
        (void)pn_buf_addc(out, ' ');
    while (out->len - from < width);
}

static void amount(struct pn_buf *out, const struct postern_row *row, int64_t v)
{
    if (row->type == POSTERN_T_SIZE)
        pn_size_print(out, v);
    else if (row->type == POSTERN_T_DURATION)
        pn_duration_print(out, v);
    else if (row->type == POSTERN_T_WEIGHT)
        (void)pn_buf_add_milli(out, v);
    else
        (void)pn_buf_addf(out, "%" PRId64, v);
}

static bool has_limits(const struct postern_row *row)
{
    return (int)row->type != PN_T_REPLY && (row->min != 0 || row->max != 0);
}

static void full_name(struct pn_buf *out, const char *prefix, const struct postern_row *row)
{
    (void)pn_buf_addf(out, "%s%s", prefix, row->name);
    if (row->type == POSTERN_T_BLOCK && (row->flags & PN_ROW_TITLE_MAY) != 0)
        (void)pn_buf_addz(out, "[TITLE]");
    else if (row->type == POSTERN_T_BLOCK && (row->flags & POSTERN_ROW_TITLED) != 0)
        (void)pn_buf_addz(out, " TITLE");
}

static void print_row(struct pn_buf *out, const struct postern_row *row, const char *prefix)
{
    size_t line = out->len;
    full_name(out, prefix, row);
    pad(out, line, NAME_WIDTH);
    size_t column = out->len;
    (void)pn_buf_addz(out, pn_row_type_name(row));
    if (row->type != POSTERN_T_BLOCK || row->choices != NULL || has_limits(row) ||
        (row->flags & POSTERN_ROW_REQUIRED) != 0)
        pad(out, column, TYPE_WIDTH);
    size_t begin = out->len;
    if ((row->flags & POSTERN_ROW_REQUIRED) != 0)
        (void)pn_buf_addz(out, "required");
    else if (row->type != POSTERN_T_BLOCK)
        (void)pn_buf_addf(out, "default %s", row->def == NULL ? "none" : row->def);
    if (has_limits(row)) {
        (void)pn_buf_addz(out, out->len == begin ? "" : "; ");
        amount(out, row, row->min);
        (void)pn_buf_addz(out, " to ");
        amount(out, row, row->max);
    }
    if (row->choices != NULL) {
        (void)pn_buf_addz(out, out->len == begin ? "one of " : "; one of ");
        for (struct pn_str rest = pn_str_of(row->choices); rest.p != NULL;) {
            struct pn_str word = pn_str_split(&rest, '|');
            (void)pn_buf_addf(out, "%.*s%s", PN_FMT(word), rest.p == NULL ? "" : ", ");
        }
    }
    (void)pn_buf_addc(out, '\n');
    if (row->help != NULL)
        (void)pn_buf_addf(out, "    %s\n", row->help);
}

static void print_rows(const struct postern_row *rows, const char *prefix, struct pn_buf *out,
                       int depth)
{
    for (const struct postern_row *row = rows; row != NULL && row->name != NULL; row++) {
        print_row(out, row, prefix);
        if (row->type != POSTERN_T_BLOCK || depth >= DEPTH_MAX)
            continue;
        struct pn_buf inner;
        pn_buf_init(&inner, SIZE_MAX);
        (void)pn_buf_addf(&inner, "%s%s.", prefix, row->name);
        print_rows(row->rows, pn_buf_cstr(&inner), out, depth + 1);
        pn_buf_fini(&inner);
    }
}

void pn_rows_print(const struct postern_row *rows, const char *prefix, struct pn_buf *out)
{
    print_rows(rows, prefix, out, 0);
}

static void json_limit(struct pn_json *json, const struct postern_row *row, const char *key,
                       int64_t v)
{
    struct pn_buf b;
    pn_buf_init(&b, 100);
    amount(&b, row, v);
    pn_json_str(json, key, pn_buf_str(&b));
    pn_buf_fini(&b);
}

static void json_row(struct pn_json *json, const struct postern_row *row, const char *prefix)
{
    struct pn_buf name;
    pn_buf_init(&name, SIZE_MAX);
    (void)pn_buf_addf(&name, "%s%s", prefix, row->name);
    pn_json_object(json, NULL);
    pn_json_str(json, "name", pn_buf_str(&name));
    pn_json_str(json, "type", pn_str_of(pn_row_type_name(row)));
    if (row->def != NULL)
        pn_json_str(json, "default", pn_str_of(row->def));
    if (has_limits(row)) {
        json_limit(json, row, "min", row->min);
        json_limit(json, row, "max", row->max);
    }
    if (row->choices != NULL)
        pn_json_str(json, "choices", pn_str_of(row->choices));
    pn_json_bool(json, "required", (row->flags & POSTERN_ROW_REQUIRED) != 0);
    pn_json_bool(json, "titled", (row->flags & POSTERN_ROW_TITLED) != 0);
    if (row->help != NULL)
        pn_json_str(json, "help", pn_str_of(row->help));
    pn_json_object_end(json);
    pn_buf_fini(&name);
}

static void json_rows(const struct postern_row *rows, const char *prefix, struct pn_json *json,
                      int depth)
{
    for (const struct postern_row *row = rows; row != NULL && row->name != NULL; row++) {
        json_row(json, row, prefix);
        if (row->type != POSTERN_T_BLOCK || depth >= DEPTH_MAX)
            continue;
        struct pn_buf inner;
        pn_buf_init(&inner, SIZE_MAX);
        (void)pn_buf_addf(&inner, "%s%s.", prefix, row->name);
        json_rows(row->rows, pn_buf_cstr(&inner), json, depth + 1);
        pn_buf_fini(&inner);
    }
}

void pn_rows_json(const struct postern_row *rows, const char *prefix, struct pn_json *json)
{
    json_rows(rows, prefix, json, 0);
}

void pn_statements_print(struct pn_buf *out)
{
    for (const struct model_statement *s = model_statements; s->name != NULL; s++)
        (void)pn_buf_addf(out, "%s\n    %s\n", s->usage, s->help);
}

void pn_statements_json(struct pn_json *json)
{
    for (const struct model_statement *s = model_statements; s->name != NULL; s++) {
        pn_json_object(json, NULL);
        pn_json_str(json, "name", pn_str_of(s->name));
        pn_json_str(json, "usage", pn_str_of(s->usage));
        pn_json_str(json, "help", pn_str_of(s->help));
        pn_json_object_end(json);
    }
}
