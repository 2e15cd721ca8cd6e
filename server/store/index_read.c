/* What the index says. */
#include "index_int.h"

#include "codec.h"
#include "wire.h"

static bool unseal(struct pn_str *row, int64_t id)
{
    if (row->len < 4)
        return false;
    struct pn_rd tail = pn_rd_of(pn_str_slice(*row, row->len - 4, row->len));
    row->len -= 4;
    return pn_rd_u32(&tail) == pn_crc32c((uint32_t)id ^ (uint32_t)(id >> 32), row->p, row->len);
}

static struct pn_str column(sqlite3_stmt *s, int i)
{
    const void *p = sqlite3_column_blob(s, i);
    return (struct pn_str){p, p == NULL ? 0 : (size_t)sqlite3_column_bytes(s, i)};
}

/* Locks, and writes what is queued. False: nothing is locked. */
static bool enter(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    index_write(index);
    if (index_ready(index))
        return true;
    (void)pthread_mutex_unlock(&index->lock);
    return false;
}

/* result: of the last step; bad: a row was not what was written. */
static bool leave(struct index *index, sqlite3_stmt *s, int result, bool bad)
{
    (void)sqlite3_reset(s);
    if (bad)
        index_damaged(index, "a row is damaged");
    else if (result != SQLITE_DONE && result != SQLITE_ROW)
        index_failed(index, result);
    (void)pthread_mutex_unlock(&index->lock);
    return !bad && (result == SQLITE_DONE || result == SQLITE_ROW);
}

static bool read_folder(struct pn_str row, struct index_folder *out)
{
    struct pn_rd r = pn_rd_of(row);
    out->modseq = pn_rd_u64(&r);
    out->history = pn_rd_u64(&r);
    out->messages = pn_rd_u32(&r);
    out->unseen = pn_rd_u32(&r);
    out->deleted = pn_rd_u32(&r);
    out->uidnext = pn_rd_u32(&r);
    out->epoch = pn_rd_u32(&r);
    out->bytes = pn_rd_u64(&r);
    out->mtime_ns[0] = pn_rd_i64(&r);
    out->mtime_ns[1] = pn_rd_i64(&r);
    return pn_rd_done(&r);
}

bool index_folder_get(struct index *index, uint32_t uidvalidity, struct index_folder *out)
{
    int64_t id = index_key(uidvalidity, 0);
    *out = (struct index_folder){.uidvalidity = uidvalidity};
    if (!enter(index))
        return false;
    sqlite3_stmt *s = index_statement(index, GET_FOLDER);
    (void)sqlite3_bind_int64(s, 1, id);
    int result = sqlite3_step(s);
    bool found = result == SQLITE_ROW, bad = false;
    if (found) {
        struct pn_str row = column(s, 0);
        bad = !unseal(&row, id) || !read_folder(row, out);
    }
    return leave(index, s, result, bad) && found;
}

static bool read_msg(struct pn_str row, struct index_msg *m)
{
    struct pn_rd r = pn_rd_of(row);
    m->size = pn_rd_u32(&r);
    m->keywords = pn_rd_u32(&r);
    m->system = pn_rd_u8(&r);
    m->guessed = (m->system & INDEX_GUESSED) != 0;
    m->form = m->system / INDEX_FORM % (INDEX_FORMS + 1);
    m->system %= INDEX_FORM;
    m->modseq = pn_rd_u64(&r);
    m->date = pn_rd_i64(&r);
    m->surrogate = r.p < r.end ? pn_rd_u32(&r) : 0;
    return pn_rd_done(&r);
}

bool index_messages(struct index *index, uint32_t uidvalidity,
                    void (*fn)(void *ctx, const struct index_msg *msg), void *ctx)
{
    int result;
    bool bad = false;
    if (!enter(index))
        return false;
    sqlite3_stmt *s = index_statement(index, GET_MSGS);
    (void)sqlite3_bind_int64(s, 1, index_key(uidvalidity, 1));
    (void)sqlite3_bind_int64(s, 2, index_key(uidvalidity, UINT32_MAX));
    while (!bad && (result = sqlite3_step(s)) == SQLITE_ROW) {
        struct index_msg m = {.uid = (uint32_t)sqlite3_column_int64(s, 0)};
        struct pn_str row = column(s, 1);
        bad = !unseal(&row, sqlite3_column_int64(s, 0)) || !read_msg(row, &m);
        if (!bad)
            fn(ctx, &m);
    }
    return leave(index, s, result, bad);
}

static bool read_cached(struct pn_str row, struct index_cached *c)
{
    struct pn_rd r = pn_rd_of(row);
    for (unsigned i = 0; i < 3; i++) {
        bool there = pn_rd_u8(&r) != 0;
        c->part[i] = pn_rd_str(&r);
        if (!there)
            c->part[i] = (struct pn_str){NULL, 0};
        else if (c->part[i].p == NULL)
            c->part[i] = PN_STR("");
    }
    return pn_rd_done(&r);
}

bool index_cached_get(struct index *index, uint32_t uidvalidity, uint32_t first, uint32_t last,
                      size_t max, void (*fn)(void *ctx, const struct index_cached *cached),
                      void *ctx)
{
    int result;
    bool bad = false;
    if (!enter(index))
        return false;
    sqlite3_stmt *s = index_statement(index, GET_CACHED);
    (void)sqlite3_bind_int64(s, 1, index_key(uidvalidity, first));
    (void)sqlite3_bind_int64(s, 2, index_key(uidvalidity, last));
    (void)sqlite3_bind_int64(s, 3, (int64_t)max);
    while (!bad && (result = sqlite3_step(s)) == SQLITE_ROW) {
        struct index_cached c = {.uid = (uint32_t)sqlite3_column_int64(s, 0)};
        struct pn_str row = column(s, 1);
        bad = !unseal(&row, sqlite3_column_int64(s, 0)) || !read_cached(row, &c);
        if (!bad)
            fn(ctx, &c);
    }
    return leave(index, s, result, bad);
}

bool index_vanished_get(struct index *index, uint32_t uidvalidity, uint64_t modseq,
                        void (*fn)(void *ctx, uint32_t first, uint32_t last), void *ctx)
{
    int result;
    bool bad = false;
    if (!enter(index))
        return false;
    if (index->holes) {
        (void)pthread_mutex_unlock(&index->lock);
        return false;
    }
    sqlite3_stmt *s = index_statement(index, GET_VANISHED);
    (void)sqlite3_bind_int64(s, 1, uidvalidity);
    (void)sqlite3_bind_int64(s, 2, (int64_t)(modseq > INT64_MAX ? INT64_MAX : modseq));
    while (!bad && (result = sqlite3_step(s)) == SQLITE_ROW) {
        uint32_t first = (uint32_t)sqlite3_column_int64(s, 1);
        uint32_t last = (uint32_t)sqlite3_column_int64(s, 2);
        bad = (uint32_t)sqlite3_column_int64(s, 3) !=
              index_vanished_sum(uidvalidity, (uint64_t)sqlite3_column_int64(s, 0), first, last);
        if (!bad)
            fn(ctx, first, last);
    }
    return leave(index, s, result, bad);
}
