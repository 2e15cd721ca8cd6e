#include "loader.h"

#include "facts.h"

#include <stdarg.h>

static bool bad(struct pn_buf *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool bad(struct pn_buf *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)pn_buf_addv(err, fmt, ap);
    va_end(ap);
    return false;
}

/* a-z, 0-9, - (and _ where `under`), a letter first. */
static bool word_ok(const char *name, size_t max, bool under)
{
    if (name == NULL || name[0] < 'a' || name[0] > 'z')
        return false;
    size_t n = strnlen(name, max + 1);
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!(c >= 'a' && c <= 'z') && !pn_is_digit(c) && c != '-' && !(under && c == '_'))
            return false;
    }
    return n <= max;
}

bool pn_symbol_name_ok(struct pn_str name)
{
    if (name.len == 0 || name.len > PN_SYMBOL_NAME_MAX || name.p[0] < 'A' || name.p[0] > 'Z')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        if (!(c >= 'A' && c <= 'Z') && !pn_is_digit(c) && c != '_')
            return false;
    }
    return true;
}

static bool text_ok(const char *text)
{
    size_t n = text == NULL ? 0 : strnlen(text, PN_PLUGIN_TEXT_MAX + 1);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return n <= PN_PLUGIN_TEXT_MAX;
}

/* Words parted by '|', none empty. */
static bool choices_ok(const char *choices)
{
    struct pn_str rest = pn_str_of(choices);
    if (rest.len == 0 || rest.len > 1024)
        return false;
    while (rest.p != NULL)
        if (pn_str_split(&rest, '|').len == 0)
            return false;
    return true;
}

static bool block_row_ok(const struct postern_row *r, struct pn_buf *err)
{
    if (r->rows == NULL)
        return bad(err, "row \"%s\" is a block without rows", r->name);
    if (r->def != NULL || (r->flags & POSTERN_ROW_LIST) != 0)
        return bad(err, "row \"%s\" is a block: it has no default and is no list", r->name);
    if ((r->flags & POSTERN_ROW_TITLED) != 0 &&
        ((unsigned)r->title_type >= POSTERN_T_BLOCK || r->title_type == POSTERN_T_CHOICE))
        return bad(err, "row \"%s\" has a title of no known type", r->name);
    return true;
}

static bool value_row_ok(const struct postern_row *r, struct pn_buf *err)
{
    if (r->rows != NULL || (r->flags & (POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED)) != 0)
        return bad(err, "row \"%s\" is not a block, but has rows or a block's flags", r->name);
    if (r->type == POSTERN_T_CHOICE ? !choices_ok(r->choices) : r->choices != NULL)
        return bad(err, "row \"%s\": choices are words parted by '|', and for type choice",
                   r->name);
    if (r->def != NULL && (r->flags & POSTERN_ROW_REQUIRED) != 0)
        return bad(err, "row \"%s\" is required and has a default", r->name);
    return true;
}

static bool row_ok(const struct postern_row *r, struct pn_buf *err)
{
    const unsigned flags =
        POSTERN_ROW_REQUIRED | POSTERN_ROW_LIST | POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED;
    if (!word_ok(r->name, PN_PLUGIN_NAME_MAX, true))
        return bad(err,
                   "row \"%.40s\": a row's name is 1 to %d of a-z, 0-9, - and _, a letter first",
                   r->name, PN_PLUGIN_NAME_MAX);
    if ((unsigned)r->type > POSTERN_T_BLOCK || (r->flags & ~flags) != 0)
        return bad(err, "row \"%s\" has a type or flag that this Postern doesn't know", r->name);
    if (r->min > r->max)
        return bad(err, "row \"%s\": its min is above its max", r->name);
    if (r->reserved[0] != NULL || r->reserved[1] != NULL)
        return bad(err, "row \"%s\" uses what this Postern doesn't know", r->name);
    if (!text_ok(r->help))
        return bad(err, "row \"%s\": help is one line of at most %d bytes", r->name,
                   PN_PLUGIN_TEXT_MAX);
    return r->type == POSTERN_T_BLOCK ? block_row_ok(r, err) : value_row_ok(r, err);
}

static bool rows_ok(const struct postern_row *rows, unsigned depth, struct pn_buf *err)
{
    if (depth > PN_PLUGIN_ROW_DEPTH)
        return bad(err, "blocks lie more than %d deep", PN_PLUGIN_ROW_DEPTH);
    for (size_t i = 0; rows != NULL && rows[i].name != NULL; i++) {
        if (i >= PN_PLUGIN_ROWS_MAX)
            return bad(err, "more than %d rows in a block", PN_PLUGIN_ROWS_MAX);
        if (!row_ok(&rows[i], err))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(rows[j].name, rows[i].name) == 0)
                return bad(err, "row \"%s\" stands twice", rows[i].name);
        if (rows[i].type == POSTERN_T_BLOCK && !rows_ok(rows[i].rows, depth + 1, err))
            return false;
    }
    return true;
}

static bool symbols_ok(const struct postern_symbol *s, struct pn_buf *err)
{
    for (size_t i = 0; s != NULL && s[i].name != NULL; i++) {
        if (i >= PN_PLUGIN_SYMBOLS_MAX)
            return bad(err, "more than %d symbols", PN_PLUGIN_SYMBOLS_MAX);
        if (!pn_symbol_name_ok((struct pn_str){s[i].name, strnlen(s[i].name, 256)}))
            return bad(err, "a symbol's name is 1 to %d of A-Z, 0-9 and _", PN_SYMBOL_NAME_MAX);
        if (pn_symbol_is_ours(pn_str_of(s[i].name)))
            return bad(err, "symbol %s is the host's own", s[i].name);
        if (s[i].weight > PN_PLUGIN_WEIGHT_MAX || s[i].weight < -PN_PLUGIN_WEIGHT_MAX)
            return bad(err, "symbol %s: a weight is at most %d thousandths", s[i].name,
                       PN_PLUGIN_WEIGHT_MAX);
        if (s[i].reserved != NULL)
            return bad(err, "symbol %s uses what this Postern doesn't know", s[i].name);
        if (!text_ok(s[i].help))
            return bad(err, "symbol %s: help is one line of at most %d bytes", s[i].name,
                       PN_PLUGIN_TEXT_MAX);
        for (size_t j = 0; j < i; j++)
            if (strcmp(s[j].name, s[i].name) == 0)
                return bad(err, "symbol %s stands twice", s[i].name);
    }
    return true;
}

static bool after_ok(const struct postern_plugin *d, struct pn_buf *err)
{
    for (size_t i = 0; d->after != NULL && d->after[i] != NULL; i++) {
        if (i >= PN_PLUGIN_AFTER_MAX)
            return bad(err, "more than %d plugins in `after`", PN_PLUGIN_AFTER_MAX);
        if (!word_ok(d->after[i], PN_PLUGIN_NAME_MAX, false))
            return bad(err, "`after` names what can't be a plugin");
        if (strcmp(d->after[i], d->name) == 0)
            return bad(err, "runs after itself");
    }
    return true;
}

static bool calls_ok(const struct postern_plugin *d, struct pn_buf *err)
{
    bool any = false;
    for (size_t i = 0; i < POSTERN_STAGES; i++)
        any |= d->on[i] != NULL;
    for (size_t i = POSTERN_STAGES; i < POSTERN_STAGES_ROOM; i++)
        if (d->on[i] != NULL || d->prefetch[i] != NULL)
            return bad(err, "has a callback for stage %zu, which this Postern doesn't know", i);
    if (!any)
        return bad(err, "has no callback");
    if ((d->session_new == NULL) != (d->session_free == NULL) ||
        (d->transaction_new == NULL) != (d->transaction_free == NULL))
        return bad(err, "what has a _new has a _free");
    if ((d->instance_free != NULL && d->instance_new == NULL) ||
        (d->prepare_free != NULL && d->prepare == NULL))
        return bad(err, "a _free without its _new");
    if (d->changed != NULL && d->prepare == NULL)
        return bad(err, "`changed` without `prepare`");
    return true;
}

static bool needs_ok(unsigned needs, struct pn_buf *err)
{
    const unsigned known = POSTERN_NEED_DNS | POSTERN_NEED_FILES | POSTERN_NEED_TMP |
                           POSTERN_NEED_NETWORK | POSTERN_NEED_ALONE | POSTERN_NEED_THREADS |
                           POSTERN_NEED_OPENSSL | POSTERN_NEED_STATE;
    return (needs & ~known) == 0 ||
           bad(err, "asks for a need that this Postern doesn't know (bits 0x%x)", needs & ~known);
}

static bool has_choice(const struct postern_row *rows, const char *name, const char *value)
{
    size_t len = strlen(value);
    for (; rows != NULL && rows->name != NULL; rows++) {
        if (strcmp(rows->name, name) != 0 || rows->type != POSTERN_T_CHOICE)
            continue;
        for (const char *word = rows->choices; *word != '\0'; word += *word == '|') {
            size_t n = strcspn(word, "|");
            if (n == len && memcmp(word, value, n) == 0)
                return true;
            word += n;
        }
    }
    return false;
}

static bool needs_if_ok(const struct postern_plugin *d, struct pn_buf *err)
{
    size_t i = 0;
    for (const struct postern_need_if *n = d->needs_if; n != NULL && n->row != NULL; n++, i++) {
        if (i >= PN_PLUGIN_NEEDS_MAX)
            return bad(err, "more than %d needs by setting", PN_PLUGIN_NEEDS_MAX);
        if (n->value == NULL || !has_choice(d->rows, n->row, n->value))
            return bad(err, "a need by setting names what is no choice of a row");
        if (n->reserved != 0)
            return bad(err, "uses what this Postern doesn't know");
        if (!needs_ok(n->needs, err))
            return false;
    }
    return true;
}

static const struct postern_row *block_rows(const struct postern_row *rows, const char *name)
{
    for (; rows != NULL && rows->name != NULL; rows++)
        if (strcmp(rows->name, name) == 0 && rows->type == POSTERN_T_BLOCK)
            return rows->rows;
    return NULL;
}

static bool stages_if_ok(const struct postern_plugin *d, struct pn_buf *err)
{
    size_t i = 0;
    for (const struct postern_stage_if *s = d->stages_if; s != NULL && s->stages != 0; s++, i++) {
        if (i >= PN_PLUGIN_STAGES_MAX)
            return bad(err, "more than %d stages by setting", PN_PLUGIN_STAGES_MAX);
        const struct postern_row *rows = s->block == NULL ? d->rows : block_rows(d->rows, s->block);
        if (s->block != NULL && rows == NULL)
            return bad(err, "a stage by setting names what is no block of its rows");
        if ((s->row == NULL) != (s->value == NULL) ||
            (s->row != NULL && !has_choice(rows, s->row, s->value)))
            return bad(err, "a stage by setting names what is no choice of a row");
        if (s->reserved != 0)
            return bad(err, "uses what this Postern doesn't know");
        for (unsigned n = 0; n < 32; n++)
            if ((s->stages >> n & 1) != 0 && (n >= POSTERN_STAGES || d->on[n] == NULL))
                return bad(err, "a stage by setting is none that it has a callback for");
    }
    return true;
}

static bool methods_ok(const struct postern_plugin *d, struct pn_buf *err)
{
    for (size_t i = 0; d->methods != NULL && d->methods[i] != NULL; i++) {
        if (i >= PN_PLUGIN_METHODS_MAX)
            return bad(err, "more than %d methods", PN_PLUGIN_METHODS_MAX);
        if (!word_ok(d->methods[i], PN_PLUGIN_NAME_MAX, false))
            return bad(err, "a method is 1 to %d of a-z, 0-9 and -", PN_PLUGIN_NAME_MAX);
    }
    return true;
}

bool pn_plugin_check(const struct postern_plugin *d, struct pn_buf *err)
{
    if (!word_ok(d->name, PN_PLUGIN_NAME_MAX, false))
        return bad(err, "a plugin's name is 1 to %d of a-z, 0-9 and -", PN_PLUGIN_NAME_MAX);
    if (d->version == NULL || !text_ok(d->version) || !text_ok(d->summary))
        return bad(err, "version and summary are one line of at most %d bytes", PN_PLUGIN_TEXT_MAX);
    if (!needs_ok(d->needs, err))
        return false;
    if (d->reserved != 0)
        return bad(err, "uses what this Postern doesn't know");
    if ((unsigned)d->on_failure > POSTERN_FAIL_QUARANTINE)
        return bad(err, "its on_failure is none of defer, skip, quarantine");
    if (d->deadline_ms > PN_PLUGIN_DEADLINE_MAX_MS)
        return bad(err, "its deadline is over %d ms", PN_PLUGIN_DEADLINE_MAX_MS);
    return rows_ok(d->rows, 1, err) && symbols_ok(d->symbols, err) && after_ok(d, err) &&
           calls_ok(d, err) && needs_if_ok(d, err) && stages_if_ok(d, err) && methods_ok(d, err);
}
