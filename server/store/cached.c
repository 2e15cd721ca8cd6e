/* What the index keeps of contents, for long ranges; what it lacks is made from the files. */
#include "making.h"
#include "store_int.h"

#include "mem.h"

#include <stdlib.h>

enum { CHUNK = 256, ROWS_MAX = 100000 };

/* Rows of the index, copied: no lock is held while the caller has them. */
struct shelf {
    struct pn_buf bytes;
    struct row {
        uint32_t uid;
        bool there[3];
        size_t at[3], len[3];
    } * rows;
    size_t count, cap, next;
    unsigned what;
    struct making making; /* what they lack */
};

static void put_on_shelf(void *ctx, const struct index_cached *c)
{
    struct shelf *s = ctx;
    s->rows = pn_grow(s->rows, &s->cap, s->count, sizeof *s->rows);
    struct row *row = &s->rows[s->count++];
    *row = (struct row){.uid = c->uid};
    for (unsigned i = 0; i < 3; i++) {
        row->there[i] = c->part[i].p != NULL;
        if ((s->what >> i & 1) == 0 || !row->there[i])
            continue;
        row->at[i] = s->bytes.len;
        row->len[i] = c->part[i].len;
        (void)pn_buf_adds(&s->bytes, c->part[i]);
    }
}

static bool has_all(const struct row *row, unsigned what)
{
    for (unsigned i = 0; i < 3; i++)
        if ((what >> i & 1) != 0 && !row->there[i])
            return false;
    return true;
}

static struct pn_str part(const struct shelf *s, const struct row *row, unsigned i)
{
    return (s->what >> i & 1) == 0 ? PN_STR("")
                                   : (struct pn_str){s->bytes.p + row->at[i], row->len[i]};
}

static const struct row *find_row(struct shelf *s, uint32_t uid)
{
    while (s->next < s->count && s->rows[s->next].uid < uid)
        s->next++;
    return s->next < s->count && s->rows[s->next].uid == uid ? &s->rows[s->next] : NULL;
}

/* From the files what the index lacks, kept for the next time. */
static void make_lacking(const struct pn_view *v, struct shelf *s, uint32_t seq, uint32_t end)
{
    making_clear(&s->making);
    for (; seq <= end; seq++) {
        uint32_t uid = pn_view_uid(v, seq);
        const struct row *row = find_row(s, uid);
        if (row == NULL || !has_all(row, s->what))
            making_add(&s->making, uid);
    }
    s->next = 0;
    making_run(&s->making);
}

static bool shows_others(const struct pn_view *v, const struct shelf *s)
{
    return v->plain && (s->what & PN_CACHED_SHOWN) != 0;
}

/* Of what the view shows, where that is not what the index keeps: from the content, each time. */
static bool tell_shown(struct pn_view *v, uint32_t seq, unsigned what,
                       bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    struct pn_buf parts[3];
    struct pn_content content;
    struct form form;
    struct pn_cached c = {seq, PN_STR(""), PN_STR(""), PN_STR(""), false};
    struct pn_str *to[3] = {&c.envelope, &c.structure, &c.header};
    if (pn_view_show(v, seq, &content) != PN_READ_OK)
        return fn(ctx, &c);
    mail_describe(content.bytes, parts, &form);
    c.whole = true;
    for (unsigned i = 0; i < 3; i++)
        if ((what >> i & 1) != 0 && parts[i].p != NULL)
            *to[i] = pn_buf_str(&parts[i]);
    bool more = fn(ctx, &c);
    for (unsigned i = 0; i < 3; i++)
        pn_buf_fini(&parts[i]);
    pn_content_done(&content);
    return more;
}

static bool tell_made(struct pn_view *v, struct shelf *s, uint32_t seq,
                      bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    const struct made *m = making_find(&s->making, pn_view_uid(v, seq));
    if (shows_others(v, s) && m != NULL && m->whole && m->form.kind == FORM_INTERNATIONAL)
        return tell_shown(v, seq, s->what, fn, ctx);
    struct pn_cached c = {seq, PN_STR(""), PN_STR(""), PN_STR(""), m != NULL && m->whole};
    struct pn_str *to[3] = {&c.envelope, &c.structure, &c.header};
    for (unsigned i = 0; i < 3; i++)
        if ((s->what >> i & 1) != 0 && c.whole && m->parts[i].p != NULL)
            *to[i] = pn_buf_str(&m->parts[i]);
    return fn(ctx, &c);
}

static bool tell(struct pn_view *v, struct shelf *s, uint32_t seq,
                 bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    uint32_t uid = pn_view_uid(v, seq);
    const struct row *row = find_row(s, uid);
    if (row == NULL || !has_all(row, s->what))
        return tell_made(v, s, seq, fn, ctx);
    if (shows_others(v, s) && folder_form(v->folder, uid).kind != FORM_PLAIN)
        return tell_shown(v, seq, s->what, fn, ctx);
    const struct pn_cached c = {seq, part(s, row, 0), part(s, row, 1), part(s, row, 2), true};
    return fn(ctx, &c);
}

uint32_t pn_view_cached(struct pn_view *v, uint32_t first, uint32_t last, unsigned what,
                        bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    struct shelf s = {.what = what};
    uint32_t seq = first < 1 ? 1 : first;
    bool more = true;
    if (last > v->count)
        last = (uint32_t)v->count;
    pn_buf_init(&s.bytes, SIZE_MAX);
    making_init(&s.making, v->folder, v->folder->user->store->team);
    while (seq <= last && more) {
        uint32_t end = last - seq < CHUNK ? last : seq + CHUNK - 1;
        s.count = s.next = 0;
        pn_buf_clear(&s.bytes);
        (void)index_cached_get(v->folder->user->index, v->folder->marks.uidvalidity,
                               pn_view_uid(v, seq), pn_view_uid(v, end), ROWS_MAX, put_on_shelf,
                               &s);
        make_lacking(v, &s, seq, end);
        while (seq <= end && (more = tell(v, &s, seq, fn, ctx)))
            seq++;
    }
    making_fini(&s.making);
    pn_buf_fini(&s.bytes);
    free(s.rows);
    return seq;
}
