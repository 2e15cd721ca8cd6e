/* What the index is told: queued, and written in transactions. */
#include "index_int.h"

#include "codec.h"
#include "wire.h"

enum { QUEUE_FULL = 1024 * 1024 };

static void seal(struct pn_buf *row, int64_t id)
{
    pn_wr_u32(row, pn_crc32c((uint32_t)id ^ (uint32_t)(id >> 32), row->p, row->len));
}

static void queue(struct index *index, enum statement op, int64_t id, const struct pn_buf *row)
{
    (void)pthread_mutex_lock(&index->queue_lock);
    size_t was = index->queue.len;
    pn_wr_u8(&index->queue, (uint8_t)op);
    pn_wr_i64(&index->queue, id);
    pn_wr_str(&index->queue, row == NULL ? PN_STR("") : pn_buf_str(row));
    if (index->queue.overflow) { /* a cache: what does not come in is made again */
        index->queue.len = was;
        index->queue.overflow = false;
        index->spilt = true;
    }
    bool full = index->queue.len > QUEUE_FULL;
    (void)pthread_mutex_unlock(&index->queue_lock);
    if (full)
        index_flush(index);
}

void index_put_folder(struct index *index, const struct index_folder *f)
{
    struct pn_buf row;
    pn_buf_init(&row, 200);
    pn_wr_u64(&row, f->modseq);
    pn_wr_u64(&row, f->history);
    pn_wr_u32(&row, f->messages);
    pn_wr_u32(&row, f->unseen);
    pn_wr_u32(&row, f->deleted);
    pn_wr_u32(&row, f->uidnext);
    pn_wr_u32(&row, f->epoch);
    pn_wr_u64(&row, f->bytes);
    pn_wr_i64(&row, f->mtime_ns[0]);
    pn_wr_i64(&row, f->mtime_ns[1]);
    seal(&row, index_key(f->uidvalidity, 0));
    queue(index, PUT_FOLDER, index_key(f->uidvalidity, 0), &row);
    pn_buf_fini(&row);
}

void index_put_msg(struct index *index, uint32_t uidvalidity, const struct index_msg *m)
{
    struct pn_buf row;
    pn_buf_init(&row, 100);
    pn_wr_u32(&row, m->size);
    pn_wr_u32(&row, m->keywords);
    pn_wr_u8(&row, (uint8_t)(m->system | (m->guessed ? INDEX_GUESSED : 0) | m->form * INDEX_FORM));
    pn_wr_u64(&row, m->modseq);
    pn_wr_i64(&row, m->date);
    if (m->surrogate != 0)
        pn_wr_u32(&row, m->surrogate);
    seal(&row, index_key(uidvalidity, m->uid));
    queue(index, PUT_MSG, index_key(uidvalidity, m->uid), &row);
    pn_buf_fini(&row);
}

void index_put_cached(struct index *index, uint32_t uidvalidity, const struct index_cached *c)
{
    struct pn_buf row;
    pn_buf_init(&row, SIZE_MAX);
    for (unsigned i = 0; i < 3; i++) {
        pn_wr_u8(&row, c->part[i].p != NULL);
        pn_wr_str(&row, c->part[i].p != NULL ? c->part[i] : PN_STR(""));
    }
    seal(&row, index_key(uidvalidity, c->uid));
    queue(index, PUT_CACHED, index_key(uidvalidity, c->uid), &row);
    pn_buf_fini(&row);
}

void index_put_vanished(struct index *index, uint32_t uidvalidity, uint64_t modseq, uint32_t first,
                        uint32_t last)
{
    struct pn_buf row;
    pn_buf_init(&row, 100);
    pn_wr_u64(&row, modseq);
    pn_wr_u32(&row, last);
    queue(index, PUT_VANISHED, index_key(uidvalidity, first), &row);
    pn_buf_fini(&row);
}

void index_drop_folder(struct index *index, uint32_t uidvalidity)
{
    queue(index, DROP_FOLDER, index_key(uidvalidity, 0), NULL);
}

static int run(sqlite3_stmt *s)
{
    int result = sqlite3_step(s);
    (void)sqlite3_reset(s);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int drop(struct index *index, enum statement which, int64_t first, int64_t last)
{
    sqlite3_stmt *s = index_statement(index, which);
    (void)sqlite3_bind_int64(s, 1, first);
    (void)sqlite3_bind_int64(s, 2, last);
    return run(s);
}

static int write_vanished(struct index *index, int64_t id, struct pn_str row)
{
    struct pn_rd r = pn_rd_of(row);
    uint32_t validity = (uint32_t)((uint64_t)id >> 32), first = (uint32_t)id;
    uint64_t modseq = pn_rd_u64(&r);
    uint32_t last = pn_rd_u32(&r);
    sqlite3_stmt *s = index_statement(index, PUT_VANISHED);
    (void)sqlite3_bind_int64(s, 1, validity);
    (void)sqlite3_bind_int64(s, 2, (int64_t)modseq);
    (void)sqlite3_bind_int64(s, 3, first);
    (void)sqlite3_bind_int64(s, 4, last);
    (void)sqlite3_bind_int64(s, 5, index_vanished_sum(validity, modseq, first, last));
    int result = run(s);
    if (result == SQLITE_OK)
        result = drop(index, DROP_MSGS, id, index_key(validity, last));
    return result == SQLITE_OK ? drop(index, DROP_CACHED, id, index_key(validity, last)) : result;
}

static int write_drop(struct index *index, int64_t id)
{
    uint32_t validity = (uint32_t)((uint64_t)id >> 32);
    int result = drop(index, DROP_MSGS, id, index_key(validity, UINT32_MAX));
    if (result == SQLITE_OK)
        result = drop(index, DROP_CACHED, id, index_key(validity, UINT32_MAX));
    sqlite3_stmt *s = index_statement(index, DROP_FOLDER);
    (void)sqlite3_bind_int64(s, 1, id);
    if (result == SQLITE_OK)
        result = run(s);
    s = index_statement(index, DROP_VANISHED);
    (void)sqlite3_bind_int64(s, 1, validity);
    return result == SQLITE_OK ? run(s) : result;
}

static int write_one(struct index *index, enum statement op, int64_t id, struct pn_str row)
{
    if (op == PUT_VANISHED)
        return write_vanished(index, id, row);
    if (op == DROP_FOLDER)
        return write_drop(index, id);
    sqlite3_stmt *s = index_statement(index, op);
    (void)sqlite3_bind_int64(s, 1, id);
    (void)sqlite3_bind_blob64(s, 2, row.p, row.len, SQLITE_STATIC);
    return run(s);
}

/* index->lock is held. */
void index_write(struct index *index)
{
    struct pn_buf queue;
    (void)pthread_mutex_lock(&index->queue_lock);
    queue = index->queue;
    bool whole = !index->spilt;
    index->spilt = false;
    pn_buf_init(&index->queue, INDEX_QUEUE_MAX);
    (void)pthread_mutex_unlock(&index->queue_lock);
    if (queue.len > 0 && !index_ready(index)) {
        whole = false;
    } else if (queue.len > 0) {
        int result = run(index_statement(index, BEGIN));
        struct pn_rd r = pn_rd_of(pn_buf_str(&queue));
        while (result == SQLITE_OK && r.p < r.end) {
            enum statement op = (enum statement)pn_rd_u8(&r);
            int64_t id = pn_rd_i64(&r);
            struct pn_str row = pn_rd_str(&r);
            result = write_one(index, op, id, row);
        }
        if (result == SQLITE_OK)
            result = run(index_statement(index, COMMIT));
        whole = whole && result == SQLITE_OK;
        if (result != SQLITE_OK)
            index_failed(index, result);
        if (whole && index->holes) {
            index->holes = false;
            index->serial++;
        }
    }
    if (!whole)
        index->lost = index->holes = true;
    pn_buf_fini(&queue);
}

void index_flush(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    index_write(index);
    (void)pthread_mutex_unlock(&index->lock);
}

size_t index_queued(struct index *index)
{
    (void)pthread_mutex_lock(&index->queue_lock);
    size_t n = index->queue.len;
    (void)pthread_mutex_unlock(&index->queue_lock);
    return n;
}
