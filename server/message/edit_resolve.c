#include "edit.h"
#include "mem.h"

#include <stdlib.h>

/* A line of the header as it comes to stand. */
struct item {
    int32_t field;              /* of those received; ABOVE: what is added at the top; NEW */
    bool gone;                  /* removed, or another line stands in its place */
    uint32_t nth;               /* a received one: which of its name */
    const struct pn_wish *line; /* ours; NULL: as received */
};

enum { ABOVE = -1, NEW = -2 };

struct header {
    const struct pn_message *m;
    struct item *items; /* owned */
    size_t count, cap;
    bool cut; /* there are more fields than the message keeps */
};

static void place(struct header *h, size_t at, struct item item)
{
    h->items = pn_grow(h->items, &h->cap, h->count, sizeof *h->items);
    memmove(h->items + at + 1, h->items + at, (h->count - at) * sizeof *h->items);
    h->items[at] = item;
    h->count++;
}

static void begin(struct header *h)
{
    size_t count = 0;
    (void)pn_part_fields(h->m, NULL, &count);
    h->cut = (pn_message_part(h->m, 0)->flags & PN_PART_FIELDS_CUT) != 0;
    place(h, 0, (struct item){.field = ABOVE});
    for (size_t i = 0; i < count; i++)
        place(h, h->count, (struct item){.field = (int32_t)i});
}

static struct pn_str name_of(const struct header *h, const struct item *item)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(h->m, NULL, &count);
    return item->field < 0 ? PN_STR("") : pn_field_name(h->m, &fields[item->field]);
}

/* Behind what is at the top, the trace lines received, and what was added there before. */
static size_t behind_trace(const struct header *h)
{
    size_t to = 0;
    while (h->items[to].field != ABOVE)
        to++;
    for (size_t k = ++to; k < h->count; k++) {
        struct pn_str name = name_of(h, &h->items[k]);
        if (pn_str_ieq(name, PN_STR("Received")) || pn_str_ieq(name, PN_STR("Return-Path")))
            to = k + 1;
        else if (name.len != 0)
            break;
    }
    while (to < h->count && h->items[to].field == NEW)
        to++;
    return to;
}

/* The index-th field of that name, as received; NULL: there is none. */
static struct item *find(struct header *h, const struct pn_wish *w)
{
    uint32_t n = 0;
    for (size_t i = 0; i < h->count; i++) {
        struct item *item = &h->items[i];
        if (item->field < 0 || !pn_str_ieq(name_of(h, item), w->name) || n++ != w->index)
            continue;
        item->nth = w->index;
        return item;
    }
    return NULL;
}

static void add(struct header *h, const struct pn_wish *w)
{
    place(h, behind_trace(h), (struct item){.field = NEW, .line = w});
}

static void insert(struct header *h, const struct pn_wish *w)
{
    size_t i = 0;
    for (uint32_t before = 0; i < h->count && before < w->index; i++)
        before += !h->items[i].gone || h->items[i].line != NULL;
    place(h, i, (struct item){.field = NEW, .line = w});
}

static void change(struct header *h, const struct pn_wish *w)
{
    struct item *item = find(h, w);
    bool empty = w->op == PN_WISH_REMOVE || w->value.len == 0;
    if (item != NULL) {
        item->gone = true;
        item->line = empty ? NULL : w;
    } else if (!empty) {
        add(h, w);
    }
}

/* The operations for one line of ours at items[at]. */
static enum pn_edit_status emit_line(const struct header *h, size_t at, struct pn_edits *edits)
{
    const struct pn_wish *w = h->items[at].line;
    size_t k = at;
    while (k < h->count && h->items[k].field == NEW)
        k++;
    if (k == h->count)
        return pn_edits_add(edits, PN_EDIT_ADD_END, w->name, w->value, true);
    if (h->items[k].field == ABOVE)
        return pn_edits_add(edits, PN_EDIT_ADD_TOP, w->name, w->value, true);
    return pn_edits_add_at(edits, h->items[k].field, w->name, w->value, true);
}

static enum pn_edit_status emit(const struct header *h, struct pn_edits *edits)
{
    enum pn_edit_status status = PN_EDIT_OK;
    for (size_t i = 0; i < h->count && status == PN_EDIT_OK; i++) {
        const struct item *item = &h->items[i];
        if (item->field >= 0 && item->gone)
            status = pn_edits_remove(edits, name_of(h, item), (int)item->nth + 1);
        if (status == PN_EDIT_OK && item->line != NULL)
            status = emit_line(h, i, edits);
    }
    return status;
}

enum pn_edit_status pn_edits_resolve(struct pn_edits *edits, const struct pn_message *m,
                                     const struct pn_wish *wishes, size_t count)
{
    struct header h = {.m = m};
    enum pn_edit_status status = PN_EDIT_OK;
    begin(&h);
    for (size_t i = 0; i < count && status == PN_EDIT_OK; i++) {
        const struct pn_wish *w = &wishes[i];
        bool by_name = w->op == PN_WISH_REMOVE || w->op == PN_WISH_CHANGE;
        /* Beyond what the message keeps it may be there all the same. */
        if (by_name && h.cut && w->index < INT32_MAX && find(&h, w) == NULL)
            status = pn_edits_remove(edits, w->name, (int)w->index + 1);
        if (by_name)
            change(&h, w);
        else if (w->op == PN_WISH_ADD)
            add(&h, w);
        else
            insert(&h, w);
    }
    if (status == PN_EDIT_OK)
        status = emit(&h, edits);
    free(h.items);
    return status;
}
