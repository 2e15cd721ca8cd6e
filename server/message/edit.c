#include "edit.h"

#include "authres.h"
#include "lex.h"
#include "mem.h"
#include "message_priv.h"
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
    if (op == PN_EDIT_REMOVE || op == PN_EDIT_REMOVE_RESULTS)
        return PN_EDIT_BAD_NAME;
    return status != PN_EDIT_OK ? status : append(edits, (struct pn_edit){op, name, value, 0});
}

enum pn_edit_status pn_edits_remove(struct pn_edits *edits, struct pn_str name, int nth)
{
    if (!name_ok(name))
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

/* ---- rendering */

void pn_segments_init(struct pn_segments *s)
{
    *s = (struct pn_segments){.v = NULL};
    pn_buf_init(&s->text, SIZE_MAX);
}

void pn_segments_fini(struct pn_segments *s)
{
    free(s->v);
    pn_buf_fini(&s->text);
    *s = (struct pn_segments){.v = NULL};
}

struct render {
    const struct pn_edits *edits;
    const struct pn_message *m;
    struct pn_segments *out;
    const struct pn_field *fields;
    size_t field_count, field; /* field: the first at or behind `at` */
    bool *drop;                /* of each field; NULL: none */
    size_t at;                 /* of the content, what is behind it is not yet rendered */
};

static void add_segment(struct pn_segments *s, bool text, uint64_t at, uint64_t len)
{
    struct pn_segment *last = s->count == 0 ? NULL : &s->v[s->count - 1];
    s->size += len;
    if (len == 0)
        return;
    if (last != NULL && (last->p != NULL) == text && last->at + last->len == at) {
        last->len += len;
        return;
    }
    s->v = pn_grow(s->v, &s->cap, s->count, sizeof *s->v);
    s->v[s->count++] = (struct pn_segment){text ? "" : NULL, at, len};
}

/* Copies content up to `end`, without dropped fields. */
static void copy_to(struct render *r, size_t end)
{
    for (; r->field < r->field_count && r->fields[r->field].at < end; r->field++) {
        const struct pn_field *f = &r->fields[r->field];
        if (r->drop == NULL || !r->drop[r->field])
            continue;
        add_segment(r->out, false, r->at, f->at - r->at);
        r->at = f->end + f->eol;
    }
    if (end > r->at) {
        add_segment(r->out, false, r->at, end - r->at);
        r->at = end;
    }
}

static void add_text(struct render *r, size_t from)
{
    add_segment(r->out, true, from, r->out->text.len - from);
}

static bool has_op(const struct pn_edits *edits, enum pn_edit_op op)
{
    for (size_t i = 0; i < edits->count; i++)
        if (edits->v[i].op == op)
            return true;
    return false;
}

/* Does what is rendered so far end within a line? */
static bool line_is_open(const struct render *r)
{
    if (r->out->count == 0)
        return false;
    const struct pn_segment *last = &r->out->v[r->out->count - 1];
    const char *base = last->p == NULL ? pn_message_content(r->m).p : r->out->text.p;
    return base[last->at + last->len - 1] != '\n';
}

static void add_lines(struct render *r, enum pn_edit_op op)
{
    struct pn_buf *text = &r->out->text;
    struct pn_str eol = pn_message_eol(r->m);
    size_t from = text->len;
    if (!has_op(r->edits, op))
        return;
    if (line_is_open(r))
        (void)pn_buf_adds(text, eol);
    for (size_t i = 0; i < r->edits->count; i++)
        if (r->edits->v[i].op == op)
            pn_field_write(text, r->edits->v[i].name, r->edits->v[i].value, eol);
    add_text(r, from);
}

static void mark_results(struct render *r, struct pn_str authserv_id)
{
    for (size_t i = 0; i < r->field_count; i++)
        if (pn_str_ieq(pn_field_name(r->m, &r->fields[i]), PN_STR("Authentication-Results")) &&
            pn_authres_claims(pn_field_value(r->m, &r->fields[i]), authserv_id))
            r->drop[i] = true;
}

static void mark_named(struct render *r, const struct pn_edit *e)
{
    const struct pn_field *f = NULL;
    if (e->nth != 0) {
        f = pn_field_find(r->m, NULL, e->name, e->nth);
        if (f != NULL)
            r->drop[f - r->fields] = true;
        return;
    }
    while ((f = pn_field_next(r->m, NULL, e->name, f)) != NULL)
        r->drop[f - r->fields] = true;
}

static void mark_drops(struct render *r)
{
    if (r->field_count == 0 ||
        !(has_op(r->edits, PN_EDIT_REMOVE) || has_op(r->edits, PN_EDIT_REMOVE_RESULTS)))
        return;
    r->drop = pn_calloc(r->field_count, sizeof *r->drop);
    for (size_t i = 0; i < r->edits->count; i++) {
        if (r->edits->v[i].op == PN_EDIT_REMOVE)
            mark_named(r, &r->edits->v[i]);
        else if (r->edits->v[i].op == PN_EDIT_REMOVE_RESULTS)
            mark_results(r, r->edits->v[i].value);
    }
}

static size_t trace_end(const struct render *r)
{
    size_t end = 0;
    for (size_t i = 0; i < r->field_count; i++) {
        struct pn_str name = pn_field_name(r->m, &r->fields[i]);
        if (pn_str_ieq(name, PN_STR("Received")) || pn_str_ieq(name, PN_STR("Return-Path")))
            end = r->fields[i].end + r->fields[i].eol;
        else if (name.len != 0)
            break;
    }
    return end;
}

static size_t header_end(const struct pn_message *m)
{
    const struct pn_part *root = pn_message_part(m, 0);
    if (root->flags & PN_PART_HEADER_CUT)
        return root->body;
    return root->body - scan_eol(pn_part_header(m, root));
}

/* Content without any header, not even the empty line: lines of ours need one behind them. */
static bool needs_empty_line(const struct render *r)
{
    const struct pn_part *root = pn_message_part(r->m, 0);
    return root->body == 0 && r->out->count != 0;
}

void pn_edits_render(const struct pn_edits *edits, const struct pn_message *m,
                     struct pn_segments *s)
{
    struct render r = {.edits = edits, .m = m, .out = s};
    s->count = 0;
    s->size = 0;
    pn_buf_clear(&s->text);
    if (edits != NULL) {
        r.fields = pn_part_fields(m, NULL, &r.field_count);
        mark_drops(&r);
        add_lines(&r, PN_EDIT_ADD_TOP);
        copy_to(&r, trace_end(&r));
        add_lines(&r, PN_EDIT_ADD_AFTER_TRACE);
        copy_to(&r, header_end(m));
        add_lines(&r, PN_EDIT_ADD_END);
        if (needs_empty_line(&r)) {
            size_t from = s->text.len;
            (void)pn_buf_adds(&s->text, pn_message_eol(m));
            add_text(&r, from);
        }
    }
    copy_to(&r, pn_message_content(m).len);
    free(r.drop);
    for (size_t i = 0; i < s->count; i++)
        if (s->v[i].p != NULL)
            s->v[i].p = s->text.p + s->v[i].at;
}

struct pn_str pn_segment_bytes(const struct pn_segment *segment, const struct pn_message *m)
{
    if (segment->p != NULL)
        return (struct pn_str){segment->p, (size_t)segment->len};
    return pn_str_slice(pn_message_content(m), (size_t)segment->at,
                        (size_t)(segment->at + segment->len));
}
