#include "edit.h"

#include "mem.h"
#include "pool.h"

#include <stdlib.h>

enum {
    EDITS_MAX = 1000,
    NAME_MAX_LEN = 76,
    LINE_SOFT = 78, /* RFC 5322, section 2.1.1 */
    LINE_HARD = 998,
};

struct pn_edits {
    struct pn_pool *pool;
    struct pn_edit *v;
    size_t count, cap;
};

/* ---- checks */

static bool name_ok(struct pn_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 127 || name.p[i] == ':')
            return false;
    return name.len >= 1 && name.len <= NAME_MAX_LEN;
}

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

/* Offset behind the blanks and the word that stand at `at`: what folding keeps together. */
static size_t piece_end(struct pn_str value, size_t at)
{
    while (at < value.len && is_wsp(value.p[at]))
        at++;
    while (at < value.len && !is_wsp(value.p[at]))
        at++;
    return at;
}

static enum pn_edit_status check_unfolded(struct pn_str value)
{
    if (memchr(value.p, '\r', value.len) != NULL || memchr(value.p, '\n', value.len) != NULL)
        return PN_EDIT_BAD_VALUE;
    for (size_t at = 0, end; at < value.len; at = end) {
        end = piece_end(value, at);
        if (end - at >= LINE_HARD)
            return PN_EDIT_TOO_LONG;
    }
    return PN_EDIT_OK;
}

/* Every line end is CRLF, a blank follows, and no line is blank altogether. */
static enum pn_edit_status check_folded(struct pn_str name, struct pn_str value)
{
    struct pn_str rest = value;
    size_t before = name.len + 2;
    for (bool first = true; rest.p != NULL; first = false, before = 0) {
        struct pn_str line = pn_str_split(&rest, '\n');
        if (!first && (line.len == 0 || !is_wsp(line.p[0]) || pn_str_trim(line).len == 0))
            return PN_EDIT_BAD_VALUE;
        if (rest.p != NULL && (line.len == 0 || line.p[--line.len] != '\r'))
            return PN_EDIT_BAD_VALUE;
        if (memchr(line.p, '\r', line.len) != NULL)
            return PN_EDIT_BAD_VALUE;
        if (before + line.len > LINE_HARD)
            return PN_EDIT_TOO_LONG;
    }
    return PN_EDIT_OK;
}

enum pn_edit_status pn_edit_check(struct pn_str name, struct pn_str value, bool folded)
{
    if (!name_ok(name))
        return PN_EDIT_BAD_NAME;
    if (value.len == 0)
        return PN_EDIT_OK;
    if (memchr(value.p, '\0', value.len) != NULL)
        return PN_EDIT_BAD_VALUE;
    if (folded && memchr(value.p, '\n', value.len) != NULL)
        return check_folded(name, value);
    return check_unfolded(value);
}

const char *pn_edit_status_text(enum pn_edit_status status)
{
    static const char *const texts[] = {
        [PN_EDIT_OK] = "ok",
        [PN_EDIT_BAD_NAME] = "a header name is 1 to 76 printable ASCII bytes without a colon",
        [PN_EDIT_BAD_VALUE] = "a header value holds no CR, LF or NUL",
        [PN_EDIT_TOO_LONG] = "a word of a header value is longer than a line may be",
        [PN_EDIT_FULL] = "too many header edits",
    };
    return texts[status];
}

/* ---- the list */

struct pn_edits *pn_edits_new(size_t limit)
{
    struct pn_edits *edits = pn_calloc(1, sizeof *edits);
    edits->pool = pn_pool_new(limit);
    return edits;
}

void pn_edits_free(struct pn_edits **edits)
{
    if (*edits == NULL)
        return;
    pn_pool_free(&(*edits)->pool);
    free((*edits)->v);
    free(*edits);
    *edits = NULL;
}

static enum pn_edit_status append(struct pn_edits *edits, struct pn_edit edit)
{
    if (edits->count >= EDITS_MAX)
        return PN_EDIT_FULL;
    edit.name = pn_pool_dup(edits->pool, edit.name);
    edit.value = pn_pool_dup(edits->pool, edit.value);
    if (edit.name.p == NULL || edit.value.p == NULL)
        return PN_EDIT_FULL;
    edits->v = pn_grow(edits->v, &edits->cap, edits->count, sizeof *edits->v);
    edits->v[edits->count++] = edit;
    return PN_EDIT_OK;
}

enum pn_edit_status pn_edits_add(struct pn_edits *edits, enum pn_edit_op op, struct pn_str name,
                                 struct pn_str value, bool folded)
{
    enum pn_edit_status status = pn_edit_check(name, value, folded);
    if (op == PN_EDIT_REMOVE || op == PN_EDIT_REMOVE_RESULTS || op == PN_EDIT_ADD_AT)
        return PN_EDIT_BAD_NAME;
    return status != PN_EDIT_OK ? status : append(edits, (struct pn_edit){op, name, value, 0});
}

enum pn_edit_status pn_edits_add_at(struct pn_edits *edits, int nth, struct pn_str name,
                                    struct pn_str value, bool folded)
{
    enum pn_edit_status status = nth < 0 ? PN_EDIT_BAD_NAME : pn_edit_check(name, value, folded);
    return status != PN_EDIT_OK ? status
                                : append(edits, (struct pn_edit){PN_EDIT_ADD_AT, name, value, nth});
}

enum pn_edit_status pn_edits_remove(struct pn_edits *edits, struct pn_str name, int nth)
{
    if (!name_ok(name) || nth < -1)
        return PN_EDIT_BAD_NAME;
    return append(edits, (struct pn_edit){PN_EDIT_REMOVE, name, PN_STR(""), nth});
}

enum pn_edit_status pn_edits_remove_results(struct pn_edits *edits, struct pn_str authserv_id)
{
    return append(edits, (struct pn_edit){PN_EDIT_REMOVE_RESULTS, PN_STR("Authentication-Results"),
                                          authserv_id, 0});
}

enum pn_edit_status pn_edits_put(struct pn_edits *edits, const struct pn_edit *edit)
{
    if (edit->op == PN_EDIT_REMOVE)
        return pn_edits_remove(edits, edit->name, edit->nth);
    if (edit->op == PN_EDIT_REMOVE_RESULTS)
        return pn_edits_remove_results(edits, edit->value);
    if (edit->op == PN_EDIT_ADD_AT)
        return pn_edits_add_at(edits, edit->nth, edit->name, edit->value, true);
    return pn_edits_add(edits, edit->op, edit->name, edit->value, true);
}

size_t pn_edits_count(const struct pn_edits *edits)
{
    return edits->count;
}

const struct pn_edit *pn_edits_at(const struct pn_edits *edits, size_t index)
{
    return index < edits->count ? &edits->v[index] : NULL;
}

static const char *const op_names[] = {
    [PN_EDIT_ADD_TOP] = "add-top",
    [PN_EDIT_ADD_AFTER_TRACE] = "add-after-trace",
    [PN_EDIT_ADD_END] = "add-end",
    [PN_EDIT_REMOVE] = "remove",
    [PN_EDIT_REMOVE_RESULTS] = "remove-results",
    [PN_EDIT_ADD_AT] = "add-at",
};

const char *pn_edit_op_name(enum pn_edit_op op)
{
    return op_names[op];
}

bool pn_edit_op_find(struct pn_str name, enum pn_edit_op *out)
{
    for (size_t i = 0; i < sizeof op_names / sizeof op_names[0]; i++) {
        if (pn_str_eq(name, pn_str_of(op_names[i]))) {
            *out = (enum pn_edit_op)i;
            return true;
        }
    }
    return false;
}

/* ---- writing one field */

static void write_folded(struct pn_buf *out, struct pn_str value, struct pn_str eol)
{
    while (value.p != NULL) {
        struct pn_str line = pn_str_split(&value, '\n');
        if (value.p != NULL)
            line.len--; /* its CR */
        (void)pn_buf_adds(out, line);
        (void)pn_buf_adds(out, eol);
    }
}

void pn_field_write(struct pn_buf *out, struct pn_str name, struct pn_str value, struct pn_str eol)
{
    size_t line = out->len;
    (void)pn_buf_adds(out, name);
    (void)pn_buf_addc(out, ':');
    if (value.len != 0 && !is_wsp(value.p[0])) {
        if (out->len - line + 1 + piece_end(value, 0) > LINE_HARD) {
            (void)pn_buf_adds(out, eol);
            line = out->len;
        }
        (void)pn_buf_addc(out, ' ');
    }
    if (memchr(value.p == NULL ? "" : value.p, '\n', value.len) != NULL) {
        write_folded(out, value, eol);
        return;
    }
    while (value.len != 0 && is_wsp(value.p[value.len - 1]))
        value.len--; /* or a fold could leave a line of blanks */
    for (size_t at = 0, end; at < value.len; at = end) {
        end = piece_end(value, at);
        size_t limit = at == 0 ? LINE_HARD : LINE_SOFT;
        if (is_wsp(value.p[at]) && out->len - line + (end - at) > limit) {
            (void)pn_buf_adds(out, eol);
            line = out->len;
        }
        (void)pn_buf_add(out, value.p + at, end - at);
    }
    (void)pn_buf_adds(out, eol);
}
