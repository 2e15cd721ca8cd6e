#include "tree.h"

#include "buf.h"

#include <errno.h>
#include <sys/stat.h>

enum { TREE_DEPTH_MAX = 16, NAMES_MAX = 300, NAMES_SHOWN = 12, WHAT_MAX = 400 };

static const struct postern_row *row_of(const struct pn_tree_block *block, struct pn_str name)
{
    return pn_row_find(block->rows, name.p, name.len);
}

static struct pn_tree_entry *entry_of(const struct pn_tree_block *block,
                                      const struct postern_row *row)
{
    return &block->entries[row - block->rows];
}

struct pn_tree_entry *pn_tree_entry(const struct pn_tree_block *block, const char *name)
{
    const struct postern_row *row = row_of(block, pn_str_of(name));
    return row == NULL ? NULL : entry_of(block, row);
}

struct pn_tree_value *pn_tree_value(const struct pn_tree_block *block, const char *name)
{
    struct pn_tree_entry *entry = pn_tree_entry(block, name);
    return entry == NULL ? NULL : entry->first;
}

static void *take(struct pn_parser *p, size_t n)
{
    void *got = pn_pool_alloc(p->pool, n);
    if (got == NULL)
        pn_error_in(p->problems, PN_STR("configuration"), "too large: no memory left for it");
    return got;
}

struct pn_tree_block *pn_tree_block_new(struct pn_parser *p, const struct postern_row *rows,
                                        struct pn_place at)
{
    size_t count = 0;
    while (rows != NULL && rows[count].name != NULL)
        count++;
    struct pn_tree_block *block = take(p, sizeof *block);
    struct pn_tree_entry *entries = take(p, count * sizeof *entries);
    if (block == NULL || entries == NULL)
        return NULL;
    *block = (struct pn_tree_block){
        .rows = rows, .entries = entries, .title = PN_STR(""), .at = at, .title_at = at};
    return block;
}

static struct pn_tree_value *append(struct pn_parser *p, struct pn_tree_entry *entry,
                                    struct pn_place at)
{
    struct pn_tree_value *value = take(p, sizeof *value);
    if (value == NULL)
        return NULL;
    value->at = at;
    if (entry->last == NULL)
        entry->first = value;
    else
        entry->last->next = value;
    entry->last = value;
    entry->count++;
    return value;
}

/* ---- what stands where a name should ---- */

static void suggest(struct pn_parser *p, const struct pn_body *body, const struct pn_token *name)
{
    const char *hit = pn_suggest(name->text, body->names);
    const char *shown = pn_token_name(p->pool, name);
    if (hit != NULL) {
        pn_error_at(p->problems, name->at, "unknown %s %s, did you mean '%s'?", body->what, shown,
                    hit);
        return;
    }
    struct pn_buf all;
    size_t n = 0;
    pn_buf_init(&all, WHAT_MAX);
    for (; body->names[n] != NULL && n < NAMES_SHOWN; n++)
        (void)pn_buf_addf(&all, "%s%s", n == 0 ? "one of " : ", ", body->names[n]);
    if (body->names[n] != NULL) {
        bool plugin = false; /* each has it, and nobody else */
        for (n = 0; body->names[n] != NULL; n++)
            plugin = plugin || strcmp(body->names[n], "grant") == 0;
        pn_buf_clear(&all);
        (void)pn_buf_addf(&all, "one that 'postern %s' names",
                          plugin ? "plugin show" : "config rows");
    }
    pn_error_at(p->problems, name->at, "unknown %s %s, expected %.*s", body->what, shown,
                PN_FMT(pn_buf_str(&all)));
    pn_buf_fini(&all);
}

static void include(struct pn_parser *p, struct pn_lex *lex, const struct pn_body *body)
{
    struct pn_token path;
    struct pn_str *files;
    size_t count;
    if (!pn_parse_value(p, lex, &path, "include", "the name of a file") ||
        !pn_sources_glob(p->sources, path.text, path.at, &files, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct pn_source *source = pn_source_read(p->sources, files[i], path.at);
        struct pn_lex inner;
        if (source == NULL)
            continue;
        pn_lex_init(&inner, source, p->pool, p->problems);
        pn_parse_body(p, &inner, body, (struct pn_place){NULL, 0, 0});
    }
}

static void named(struct pn_parser *p, struct pn_lex *lex, const struct pn_body *body,
                  struct pn_token name)
{
    if (pn_str_eq(name.text, PN_STR("include"))) {
        include(p, lex, body);
    } else if (!body->statement(p, body->ctx, lex, name)) {
        suggest(p, body, &name);
        pn_lex_skip_statement(lex);
    }
}

void pn_parse_body(struct pn_parser *p, struct pn_lex *lex, const struct pn_body *body,
                   struct pn_place open)
{
    for (;;) {
        struct pn_token token = pn_lex_next(lex);
        switch (token.kind) {
        case PN_TOK_LINE:
        case PN_TOK_BAD:
            break;
        case PN_TOK_WORD:
            named(p, lex, body, token);
            break;
        case PN_TOK_END:
            if (open.source != NULL)
                pn_error_at(p->problems, open, "block without its end, expected '}'");
            return;
        case PN_TOK_CLOSE:
            if (open.source != NULL)
                return;
            pn_error_at(p->problems, token.at, "'}' without a block, expected a %s", body->what);
            break;
        case PN_TOK_OPEN:
            pn_error_at(p->problems, token.at, "'{' without a name, expected a %s", body->what);
            pn_lex_skip_block(lex, token.at);
            break;
        default:
            pn_error_at(p->problems, token.at, "%s stands alone, expected a %s",
                        pn_token_name(p->pool, &token), body->what);
            pn_lex_skip_statement(lex);
        }
    }
}

bool pn_parse_value(struct pn_parser *p, struct pn_lex *lex, struct pn_token *out,
                    const char *owner, const char *expected)
{
    *out = pn_lex_peek(lex);
    if (pn_token_is_value(out)) {
        (void)pn_lex_next(lex);
        return true;
    }
    if (out->kind != PN_TOK_BAD)
        pn_error_at(p->problems, out->at, "%s stands where '%s' needs its value, expected %s",
                    pn_token_name(p->pool, out), owner, expected);
    pn_lex_skip_statement(lex);
    return false;
}

/* ---- values by their rows ---- */

static bool is_path(const struct postern_row *row)
{
    return row->type == POSTERN_T_FILE || row->type == POSTERN_T_FOLDER ||
           (int)row->type == PN_T_PATH;
}

/* What the operator names must be there, as far as we may look. */
static void check_path(struct pn_parser *p, const struct postern_row *row,
                       const struct pn_tree_value *value, struct pn_str given)
{
    struct stat st;
    bool folder = row->type == POSTERN_T_FOLDER;
    if (stat(value->data.text.p, &st) == 0) {
        if (S_ISDIR(st.st_mode) != folder)
            pn_error_at(p->problems, value->at, "'%.*s' is a %s, expected a %s", PN_FMT(given),
                        folder ? "file" : "folder", folder ? "folder" : "file");
    } else if (errno == ENOENT || errno == ENOTDIR) {
        pn_error_at(p->problems, value->at, "'%.*s' is not there, expected a %s", PN_FMT(given),
                    folder ? "folder" : "file");
    }
}

static void check_soon(struct pn_parser *p, const struct pn_tree_value *value, struct pn_str given)
{
    struct stat st;
    if (stat(value->data.text.p, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        pn_warning_at(p->problems, value->at,
                      "'%.*s' is not there yet: the server starts without it", PN_FMT(given));
}

static void settle_path(struct pn_parser *p, const struct postern_row *row,
                        struct pn_tree_value *value)
{
    struct pn_str given = value->data.text;
    bool by_operator = value->at.source != NULL;
    value->data.text = pn_sources_path(p->sources, given);
    if (!by_operator && (row->flags & PN_ROW_UNDER_ROOT) != 0 && p->root.len != 0) {
        struct pn_buf b;
        pn_buf_init(&b, SIZE_MAX);
        (void)pn_buf_adds(&b, p->root);
        (void)pn_buf_adds(&b, given);
        value->data.text = pn_sources_path(p->sources, pn_buf_str(&b));
        pn_buf_fini(&b);
    }
    if (by_operator && (int)row->type != PN_T_PATH)
        check_path(p, row, value, given);
    else if (by_operator && (row->flags & PN_ROW_SOON) != 0 &&
             !pn_str_eq(given, pn_str_of(row->def)))
        check_soon(p, value, given);
}

/* An explanation for a value of this row: "a duration such as ...". */
static const char *expected(struct pn_parser *p, const struct postern_row *row)
{
    struct pn_buf b;
    struct pn_value_data data;
    pn_buf_init(&b, WHAT_MAX);
    /* No type but STRING takes this text, so that each says what it wants. */
    if (row->type == POSTERN_T_STRING || pn_value_parse(row, PN_STR(""), &data, &b))
        (void)pn_buf_addz(&b, "text");
    const char *text = pn_pool_strdup(p->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return text == NULL ? "a value" : text;
}

/* Of a default, which stands nowhere, its block is named. */
static void refuse_value(struct pn_parser *p, struct pn_place block, const struct postern_row *row,
                         const struct pn_token *token, struct pn_buf *err)
{
    const char *why = pn_buf_cstr(err), *text = pn_token_name(p->pool, token);
    why = why == NULL ? "another value" : why;
    if (token->at.source != NULL)
        pn_error_at(p->problems, token->at, "%s does not fit '%s', expected %s", text, row->name,
                    why);
    else /* a mistake of whoever wrote the row */
        pn_error_at(p->problems, block, "the default %s of row '%s' does not fit it, expected %s",
                    text, row->name, why);
}

static void set_again(struct pn_parser *p, const struct postern_row *row,
                      const struct pn_tree_value *old, struct pn_place at)
{
    pn_error_at(p->problems, at, "'%s' is set twice, the first time in line %u", row->name,
                (unsigned)old->at.line);
}

static void store(struct pn_parser *p, const struct pn_tree_block *block,
                  const struct postern_row *row, const struct pn_token *token)
{
    struct pn_tree_entry *entry = entry_of(block, row);
    struct pn_value_data data;
    struct pn_buf err;
    pn_buf_init(&err, WHAT_MAX);
    bool ok = pn_value_parse(row, token->text, &data, &err);
    if (!ok)
        refuse_value(p, block->at, row, token, &err);
    pn_buf_fini(&err);
    entry->refused = entry->refused || !ok;
    if (!ok)
        return;
    if ((row->flags & POSTERN_ROW_LIST) == 0 && entry->count != 0) {
        if (entry->first->at.source == token->at.source)
            set_again(p, row, entry->first, token->at);
        *entry = (struct pn_tree_entry){.count = 0};
    }
    struct pn_tree_value *value = append(p, entry, token->at);
    if (value == NULL)
        return;
    value->data = data;
    if (is_path(row))
        settle_path(p, row, value);
}

/* Whether a bare word on this line begins the next statement instead of being one more
 * value of a list. */
static bool begins_statement(const struct pn_tree_block *block, const struct pn_token *token)
{
    if (token->kind != PN_TOK_WORD)
        return false;
    for (; block != NULL; block = block->outer)
        if (row_of(block, token->text) != NULL)
            return true;
    return false;
}

static void parse_list(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block,
                       const struct postern_row *row)
{
    struct pn_token token;
    if (!pn_parse_value(p, lex, &token, row->name, expected(p, row)))
        return;
    store(p, block, row, &token);
    for (;;) {
        token = pn_lex_peek(lex);
        if (token.kind == PN_TOK_COMMA) {
            (void)pn_lex_next(lex);
            while (pn_lex_peek(lex).kind == PN_TOK_LINE && pn_lex_peek(lex).text.len == 0)
                (void)pn_lex_next(lex);
            if (!pn_parse_value(p, lex, &token, row->name, expected(p, row)))
                return;
        } else if (pn_token_is_value(&token) && !begins_statement(block, &token)) {
            (void)pn_lex_next(lex);
        } else {
            return;
        }
        store(p, block, row, &token);
    }
}

/* ---- blocks ---- */

static bool parse_title(struct pn_parser *p, struct pn_lex *lex, const struct postern_row *row,
                        struct pn_token *title, struct pn_value_data *data)
{
    const struct postern_row as = {.name = row->name,
                                   .type = row->title_type,
                                   .min = row->min,
                                   .max = row->max,
                                   .choices = row->choices};
    struct pn_buf err;
    if (!pn_parse_value(p, lex, title, row->name, expected(p, &as)))
        return false;
    pn_buf_init(&err, WHAT_MAX);
    bool ok = pn_value_parse(&as, title->text, data, &err);
    if (!ok)
        refuse_value(p, title->at, &as, title, &err);
    pn_buf_fini(&err);
    return true;
}

static void check_title(struct pn_parser *p, const struct postern_row *row,
                        const struct pn_tree_entry *entry, const struct pn_token *title)
{
    if ((row->flags & PN_ROW_SAME_TITLE) != 0)
        return;
    if ((row->flags & POSTERN_ROW_REPEAT) == 0 && entry->count != 0)
        set_again(p, row, entry->first, title->at);
    for (const struct pn_tree_value *v = entry->first; v != NULL; v = v->next)
        if (pn_str_eq(v->block->title, title->text)) {
            struct pn_str first = pn_place_text(p->pool, v->block->title_at);
            pn_error_at(p->problems, title->at, "%s '%.*s' is there twice, the first time at %.*s",
                        row->name, PN_FMT(title->text), PN_FMT(first));
            return;
        }
}

/* The block that the statement is about: a new one, or the only one of that name. */
static struct pn_tree_block *block_for(struct pn_parser *p, struct pn_tree_entry *entry,
                                       const struct postern_row *row, struct pn_place at)
{
    if ((row->flags & (POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED)) == 0 && entry->count != 0)
        return entry->first->block;
    struct pn_tree_block *block = pn_tree_block_new(p, row->rows, at);
    struct pn_tree_value *value = block == NULL ? NULL : append(p, entry, at);
    if (value != NULL)
        value->block = block;
    return value == NULL ? NULL : block;
}

static void parse_bare(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block)
{
    for (const struct postern_row *row = block->rows; row != NULL && row->name != NULL; row++) {
        struct pn_token token = pn_lex_peek(lex);
        if ((row->flags & PN_ROW_BARE) == 0 || !pn_token_is_value(&token) ||
            begins_statement(block, &token))
            continue;
        (void)pn_lex_next(lex);
        store(p, block, row, &token);
    }
}

/* Rows of the block behind its title, on the same line; how many. */
static size_t parse_inline(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block)
{
    for (size_t n = 0;; n++) {
        struct pn_token token = pn_lex_peek(lex);
        if (token.kind != PN_TOK_WORD || row_of(block, token.text) == NULL)
            return n;
        (void)pn_lex_next(lex);
        (void)pn_tree_statement(p, lex, block, token);
    }
}

static void parse_block(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *outer,
                        const struct postern_row *row, struct pn_place at)
{
    struct pn_tree_entry *entry = entry_of(outer, row);
    struct pn_token title = {.text = PN_STR(""), .at = at};
    struct pn_value_data data = {.text = PN_STR("")};
    bool titled = (row->flags & POSTERN_ROW_TITLED) != 0;
    struct pn_token look = pn_lex_peek(lex);
    if (titled && ((row->flags & PN_ROW_TITLE_MAY) == 0 || look.kind == PN_TOK_STRING)) {
        if (!parse_title(p, lex, row, &title, &data))
            return;
    }
    if (titled)
        check_title(p, row, entry, &title);
    struct pn_tree_block *block = block_for(p, entry, row, at);
    struct pn_place open;
    if (block == NULL)
        return;
    entry->last->data = data;
    block->title = title.text;
    block->title_at = title.at;
    block->outer = outer;
    parse_bare(p, lex, block);
    if (pn_lex_open(lex, &open)) {
        block->outer = NULL;
        pn_tree_body(p, lex, block, open);
        return;
    }
    if (parse_inline(p, lex, block) == 0 && !titled) {
        look = pn_lex_peek(lex);
        pn_error_at(p->problems, look.at, "%s stands where '%s' needs its block, expected '{'",
                    pn_token_name(p->pool, &look), row->name);
    }
}

bool pn_tree_statement(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block,
                       struct pn_token name)
{
    const struct postern_row *row = row_of(block, name.text);
    if (row == NULL)
        return false;
    struct pn_token token;
    if (row->type == POSTERN_T_BLOCK)
        parse_block(p, lex, block, row, name.at);
    else if ((row->flags & POSTERN_ROW_LIST) != 0)
        parse_list(p, lex, block, row);
    else if (pn_parse_value(p, lex, &token, row->name, expected(p, row)))
        store(p, block, row, &token);
    return true;
}

static bool by_rows(struct pn_parser *p, void *ctx, struct pn_lex *lex, struct pn_token name)
{
    return pn_tree_statement(p, lex, ctx, name);
}

void pn_tree_body(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block,
                  struct pn_place open)
{
    const char *names[NAMES_MAX + 2];
    size_t n = 0;
    for (const struct postern_row *row = block->rows; row != NULL && row->name != NULL; row++)
        if (n < NAMES_MAX)
            names[n++] = row->name;
    names[n++] = "include";
    names[n] = NULL;
    const struct pn_body body = {by_rows, names, block, "setting"};
    pn_parse_body(p, lex, &body, open);
}

/* ---- defaults ---- */

static bool needs_something(const struct postern_row *rows)
{
    for (const struct postern_row *row = rows; row != NULL && row->name != NULL; row++)
        if ((row->flags & POSTERN_ROW_REQUIRED) != 0)
            return true;
    return false;
}

static void set_default(struct pn_parser *p, struct pn_tree_block *block,
                        const struct postern_row *row)
{
    struct pn_source *source = pn_pool_alloc(p->pool, sizeof *source);
    struct pn_lex lex;
    if (source == NULL)
        return;
    *source = (struct pn_source){
        .name = PN_STR("default"), .shown = PN_STR("default"), .text = pn_str_of(row->def)};
    pn_lex_init(&lex, source, p->pool, p->problems);
    for (struct pn_token token = pn_lex_next(&lex); token.kind != PN_TOK_END;
         token = pn_lex_next(&lex)) {
        token.at = (struct pn_place){NULL, 0, 0};
        if (pn_token_is_value(&token))
            store(p, block, row, &token);
    }
}

static void finish(struct pn_parser *p, struct pn_tree_block *block, const char *what, int depth);

static void finish_row(struct pn_parser *p, struct pn_tree_block *block,
                       const struct postern_row *row, const char *what, int depth)
{
    struct pn_tree_entry *entry = entry_of(block, row);
    bool is_block = row->type == POSTERN_T_BLOCK;
    unsigned several = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED;
    if (entry->count == 0 && entry->refused)
        return;
    if (entry->count == 0 && (row->flags & POSTERN_ROW_REQUIRED) != 0)
        pn_error_at(p->problems, block->at, "%s has no '%s', expected one: %s", what, row->name,
                    row->help == NULL ? pn_row_type_name(row) : row->help);
    else if (entry->count == 0 && is_block && (row->flags & several) == 0 &&
             !needs_something(row->rows))
        (void)block_for(p, entry, row, (struct pn_place){NULL, 0, 0});
    else if (entry->count == 0 && !is_block && row->def != NULL)
        set_default(p, block, row);
    for (struct pn_tree_value *v = entry->first; is_block && v != NULL; v = v->next)
        finish(p, v->block, row->name, depth + 1);
}

static void finish(struct pn_parser *p, struct pn_tree_block *block, const char *what, int depth)
{
    if (depth >= TREE_DEPTH_MAX)
        return;
    for (const struct postern_row *row = block->rows; row != NULL && row->name != NULL; row++)
        finish_row(p, block, row, what, depth);
}

void pn_tree_finish(struct pn_parser *p, struct pn_tree_block *block, const char *what)
{
    finish(p, block, what, 0);
}
