/* What the index keeps of contents, for long ranges; what it lacks is made from the files. */
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

/* From the file; kept for the next time. */
static bool make(struct pn_view *v, uint32_t seq, struct pn_buf parts[3])
{
    struct folder *f = v->folder;
    struct pn_content content;
    if (pn_view_read(v, seq, &content) != PN_READ_OK)
        return false;
    mail_describe(content.bytes, parts);
    pn_content_done(&content);
    struct index_cached row = {.uid = pn_view_uid(v, seq)};
    for (unsigned i = 0; i < 3; i++)
        row.part[i] = parts[i].p == NULL ? PN_STR("") : pn_buf_str(&parts[i]);
    if (parts[0].len > 0)
        index_put_cached(f->user->index, f->marks.uidvalidity, &row);
    user_busy(f->user);
    return true;
}

static bool tell_made(struct pn_view *v, uint32_t seq, unsigned what,
                      bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    struct pn_buf parts[3];
    for (unsigned i = 0; i < 3; i++)
        pn_buf_init(&parts[i], 0);
    struct pn_cached c = {seq, PN_STR(""), PN_STR(""), PN_STR(""), make(v, seq, parts)};
    struct pn_str *to[3] = {&c.envelope, &c.structure, &c.header};
    for (unsigned i = 0; i < 3; i++)
        if ((what >> i & 1) != 0 && parts[i].p != NULL)
            *to[i] = pn_buf_str(&parts[i]);
    bool more = fn(ctx, &c);
    for (unsigned i = 0; i < 3; i++)
        pn_buf_fini(&parts[i]);
    return more;
}

static bool tell(struct pn_view *v, struct shelf *s, uint32_t seq,
                 bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    const struct row *row = find_row(s, pn_view_uid(v, seq));
    if (row == NULL || !has_all(row, s->what))
        return tell_made(v, seq, s->what, fn, ctx);
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
    while (seq <= last && more) {
        uint32_t end = last - seq < CHUNK ? last : seq + CHUNK - 1;
        s.count = s.next = 0;
        pn_buf_clear(&s.bytes);
        (void)index_cached_get(v->folder->user->index, v->folder->marks.uidvalidity,
                               pn_view_uid(v, seq), pn_view_uid(v, end), ROWS_MAX, put_on_shelf,
                               &s);
        while (seq <= end && (more = tell(v, &s, seq, fn, ctx)))
            seq++;
    }
    pn_buf_fini(&s.bytes);
    free(s.rows);
    return seq;
}
