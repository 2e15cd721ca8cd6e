#include "authres.h"
#include "edit.h"
#include "mem.h"
#include "message_priv.h"

#include <stdlib.h>

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

/* A field that goes, as a range of the content. */
struct drop {
    size_t from, to;
};

/* Where a line comes that stands before a field. */
struct place {
    size_t at; /* of the content */
    size_t edit;
};

struct render {
    const struct pn_edits *edits;
    const struct pn_message *m;
    struct pn_segments *out;
    struct drop *drops; /* owned; ascending once all are there */
    size_t drop_count, drop_cap;
    size_t drop;          /* the first at or behind `at` */
    struct place *places; /* owned; ascending */
    size_t place_count, place_cap;
    size_t place; /* the first that is not yet rendered */
    size_t at;    /* of the content: what is behind it is not yet rendered */
};

/* ---- what goes */

static void add_drop(struct render *r, struct drop drop)
{
    r->drops = pn_grow(r->drops, &r->drop_cap, r->drop_count, sizeof *r->drops);
    r->drops[r->drop_count++] = drop;
}

/* Of one operation, while the fields are passed. */
struct removal {
    const struct pn_edit *edit;
    int32_t seen;
    struct drop last; /* where the last one is wanted; to 0: none yet */
};

static void try_removal(struct render *r, struct removal *removal, struct pn_str name,
                        struct pn_str value, struct drop field)
{
    const struct pn_edit *e = removal->edit;
    if (!pn_str_ieq(name, e->name))
        return;
    removal->seen++;
    if (e->op == PN_EDIT_REMOVE_RESULTS) {
        if (pn_authres_claims(value, e->value))
            add_drop(r, field);
    } else if (e->nth == 0 || e->nth == removal->seen) {
        add_drop(r, field);
    }
    if (e->op == PN_EDIT_REMOVE && e->nth < 0)
        removal->last = field;
}

/* The fields that the message keeps; the end of the last one. */
static size_t pass_fields(struct render *r, struct removal *removals, size_t count)
{
    const struct pn_message *m = r->m;
    size_t fields = 0, end = 0;
    const struct pn_field *f = pn_part_fields(m, NULL, &fields);
    for (size_t i = 0; i < fields; i++, f++) {
        end = f->end + f->eol;
        struct drop field = {f->at, end};
        for (size_t k = 0; k < count; k++)
            try_removal(r, &removals[k], pn_field_name(m, f), pn_field_value(m, f), field);
    }
    return end;
}

/*
 * A header may hold more fields than the message keeps, and behind them may stand what
 * must go: forged results. So the rest of it, up to `end`, is passed line by line.
 */
static void pass_rest(struct render *r, struct removal *removals, size_t count, size_t at,
                      size_t end)
{
    struct pn_str content = pn_message_content(r->m), line;
    while (at < end) {
        struct drop field = {at, at};
        size_t colon = 0, eol, value;
        line = scan_line(content.p + at, content.p + end);
        size_t name = header_name_length(line, &colon);
        value = at + colon + 1;
        do {
            at += line.len;
            eol = scan_eol(line);
            line = at < end ? scan_line(content.p + at, content.p + end) : PN_STR("");
        } while (line.len != 0 && (line.p[0] == ' ' || line.p[0] == '\t'));
        field.to = at;
        for (size_t k = 0; k < count && name != 0; k++)
            try_removal(r, &removals[k], pn_str_slice(content, field.from, field.from + name),
                        pn_str_slice(content, value, at - eol), field);
    }
}

static void pass_header(struct render *r, struct removal *removals, size_t count)
{
    const struct pn_part *root = pn_message_part(r->m, 0);
    size_t at = pass_fields(r, removals, count);
    if ((root->flags & PN_PART_FIELDS_CUT) != 0)
        pass_rest(r, removals, count, at, root->body);
}

static int compare_drops(const void *a, const void *b)
{
    const struct drop *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static void find_drops(struct render *r)
{
    size_t count = 0, all = pn_edits_count(r->edits);
    struct removal *removals = pn_calloc(all + 1, sizeof *removals);
    for (size_t i = 0; i < all; i++) {
        const struct pn_edit *e = pn_edits_at(r->edits, i);
        if (e->op == PN_EDIT_REMOVE || e->op == PN_EDIT_REMOVE_RESULTS)
            removals[count++].edit = e;
    }
    if (count != 0)
        pass_header(r, removals, count);
    for (size_t i = 0; i < count; i++)
        if (removals[i].last.to != 0)
            add_drop(r, removals[i].last);
    if (r->drop_count > 1)
        qsort(r->drops, r->drop_count, sizeof *r->drops, compare_drops);
    free(removals);
}

/* ---- what stays, and what comes */

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

/* Copies content up to `end`, without what goes. */
static void copy_to(struct render *r, size_t end)
{
    for (; r->drop < r->drop_count && r->drops[r->drop].from < end; r->drop++) {
        const struct drop *d = &r->drops[r->drop];
        if (d->from < r->at) /* named by two operations */
            continue;
        add_segment(r->out, false, r->at, d->from - r->at);
        r->at = d->to;
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

/* Does what is rendered so far end within a line? */
static bool line_is_open(const struct render *r)
{
    if (r->out->count == 0)
        return false;
    const struct pn_segment *last = &r->out->v[r->out->count - 1];
    const char *base = last->p == NULL ? pn_message_content(r->m).p : r->out->text.p;
    return base[last->at + last->len - 1] != '\n';
}

static void add_line(struct render *r, const struct pn_edit *e)
{
    struct pn_buf *text = &r->out->text;
    struct pn_str eol = pn_message_eol(r->m);
    size_t from = text->len;
    if (line_is_open(r))
        (void)pn_buf_adds(text, eol);
    pn_field_write(text, e->name, e->value, eol);
    add_text(r, from);
}

static void add_lines(struct render *r, enum pn_edit_op op)
{
    for (size_t i = 0; i < pn_edits_count(r->edits); i++) {
        const struct pn_edit *e = pn_edits_at(r->edits, i);
        if (e->op == op)
            add_line(r, e);
    }
}

static size_t trace_end(const struct render *r)
{
    size_t end = 0, count = 0;
    const struct pn_field *f = pn_part_fields(r->m, NULL, &count);
    for (size_t i = 0; i < count; i++, f++) {
        struct pn_str name = pn_field_name(r->m, f);
        if (pn_str_ieq(name, PN_STR("Received")) || pn_str_ieq(name, PN_STR("Return-Path")))
            end = f->end + f->eol;
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

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->edit > y->edit) - (x->edit < y->edit);
}

static void find_places(struct render *r)
{
    size_t count = 0, end = header_end(r->m);
    const struct pn_field *fields = pn_part_fields(r->m, NULL, &count);
    for (size_t i = 0; i < pn_edits_count(r->edits); i++) {
        const struct pn_edit *e = pn_edits_at(r->edits, i);
        if (e->op != PN_EDIT_ADD_AT)
            continue;
        size_t at = (size_t)e->nth < count ? fields[e->nth].at : end;
        r->places = pn_grow(r->places, &r->place_cap, r->place_count, sizeof *r->places);
        r->places[r->place_count++] = (struct place){at, i};
    }
    if (r->place_count > 1)
        qsort(r->places, r->place_count, sizeof *r->places, compare_places);
}

/* Copies up to `end`, with the lines that come before it. */
static void render_to(struct render *r, size_t end)
{
    for (; r->place < r->place_count && r->places[r->place].at < end; r->place++) {
        copy_to(r, r->places[r->place].at);
        add_line(r, pn_edits_at(r->edits, r->places[r->place].edit));
    }
    copy_to(r, end);
}

/* Content without any header, not even the empty line: lines of ours need one behind them. */
static void add_empty_line(struct render *r)
{
    size_t from = r->out->text.len;
    if (pn_message_part(r->m, 0)->body != 0 || r->out->count == 0)
        return;
    (void)pn_buf_adds(&r->out->text, pn_message_eol(r->m));
    add_text(r, from);
}

void pn_edits_render(const struct pn_edits *edits, const struct pn_message *m,
                     struct pn_segments *s)
{
    struct render r = {.edits = edits, .m = m, .out = s};
    s->count = 0;
    s->size = 0;
    pn_buf_clear(&s->text);
    if (edits != NULL) {
        find_drops(&r);
        find_places(&r);
        add_lines(&r, PN_EDIT_ADD_TOP);
        render_to(&r, trace_end(&r));
        add_lines(&r, PN_EDIT_ADD_AFTER_TRACE);
        render_to(&r, header_end(m));
        for (; r.place < r.place_count; r.place++)
            add_line(&r, pn_edits_at(edits, r.places[r.place].edit));
        add_lines(&r, PN_EDIT_ADD_END);
        add_empty_line(&r);
    }
    copy_to(&r, pn_message_content(m).len);
    free(r.drops);
    free(r.places);
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
