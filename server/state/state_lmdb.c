/*
 * The embedded engine: LMDB, one file.
 *
 * Writes are gathered in memory (`fresh`) and given to a thread about once a second, which
 * writes them in one transaction and syncs. Reads see fresh, then what the thread has in
 * hand, then the file; they never wait for it. In the same transaction the thread looks
 * through some of the file for what is too old, from where it stopped last time.
 *
 * In the file a key is 'v' or 'b' and the key; its value the time at which it is forgotten
 * (ms, 8 bytes, the machine's own order) and a value's bytes or a bucket's time.
 *
 * A write that fails (the file is full, or the disk) makes the engine away: with nothing
 * remembered of new senders, a greylist would put them off for ever. It tries again every
 * few seconds, after it removed what is too old.
 */
#include "state_cells.h"
#include "state_engine.h"

#include "assert.h"
#include "clock.h"
#include "log.h"
#include "mem.h"
#include "threads.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FLUSH_MS = 1000,
    RETRY_MS = 2000,
    IDLE_MS = 30 * 1000, /* between looks for what is too old, with nothing to write */
    SWEEP_MAX = 5000,    /* entries in a look */
    SWEEP_MORE = 200000, /* where nothing can be written else */
    FRESH_BYTES_MAX = 64 * 1024 * 1024,
    ROOM_MIN = 4 * 1024 * 1024,
    FILE_MODE = 0640,
    STAMP = sizeof(int64_t),
    CELL_KEY_MAX = PN_STATE_KEY_MAX + 1
};

struct lmdb {
    struct state_engine engine;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reader; /* reset between reads */
    struct state_cells fresh, writing;
    struct pn_threads *thread;
    struct pn_timer *timer;
    bool busy; /* the thread has `writing` and what is below */
    struct pn_job job;
    int result;
    char sweep_from[CELL_KEY_MAX]; /* the key to go on at */
    size_t sweep_len;              /* 0: the beginning */
    int64_t sweep_now;
    int sweep_max;
    uint64_t size; /* of what is used; the file has room beyond it to remove things in */
};

static struct lmdb *lmdb_of(struct state_engine *e)
{
    return (struct lmdb *)e; /* its first member */
}

/* ---- on the thread */

static MDB_val val_of(struct pn_str s)
{
    return (MDB_val){s.len, (void *)(uintptr_t)s.p};
}

static int write_cells(const struct lmdb *l, MDB_txn *txn)
{
    char bytes[STAMP + PN_STATE_VALUE_MAX];
    for (size_t i = 0; i < l->writing.slot_count; i++)
        for (const struct state_cell *c = l->writing.slots[i]; c != NULL; c = c->next) {
            MDB_val key = val_of(state_cell_key(c)), value = {STAMP + c->value_len, bytes};
            memcpy(bytes, &c->expires_ms, STAMP);
            memcpy(bytes + STAMP, state_cell_value(c).p, c->value_len);
            int rc = mdb_put(txn, l->dbi, &key, &value, 0);
            if (rc != 0)
                return rc;
        }
    return 0;
}

/* Pages that nobody uses; LMDB lists them in its database 0, for readers to see. */
static int free_pages(const struct lmdb *l, uint64_t *count)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    *count = 0;
    int rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t pages;
        memcpy(&pages, value.mv_data, sizeof pages);
        *count += pages;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* To remove something takes pages too: so writing ends before the file does. */
static int look_for_room(const struct lmdb *l)
{
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t unused;
    int rc = mdb_env_info(l->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(l->env, &stat);
    uint64_t used = rc == 0 ? (info.me_last_pgno + 1) * stat.ms_psize : 0;
    if (rc != 0 || used + 2 * l->writing.bytes <= l->size)
        return rc;
    rc = free_pages(l, &unused);
    bool full = rc == 0 && used + 2 * l->writing.bytes > l->size + unused * stat.ms_psize;
    return full ? MDB_MAP_FULL : rc;
}

static bool is_old(const MDB_val *value, int64_t now_ms)
{
    int64_t expires;
    if (value->mv_size < STAMP)
        return true;
    memcpy(&expires, value->mv_data, STAMP);
    return expires <= now_ms;
}

static int sweep(struct lmdb *l, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key = {l->sweep_len, l->sweep_from}, value;
    int rc = mdb_cursor_open(txn, l->dbi, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, l->sweep_len == 0 ? MDB_FIRST : MDB_SET_RANGE);
    for (int i = 0; rc == 0 && i < l->sweep_max; i++) {
        if (is_old(&value, l->sweep_now))
            rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    l->sweep_len = 0;
    if (rc == 0 && key.mv_size <= sizeof l->sweep_from) {
        memcpy(l->sweep_from, key.mv_data, key.mv_size);
        l->sweep_len = key.mv_size;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* What is too old goes first, in a transaction of its own: so a full file gets room again. */
static int in_transaction(struct lmdb *l, bool sweeping)
{
    MDB_txn *txn;
    int rc = sweeping ? 0 : look_for_room(l);
    if (rc == 0)
        rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = sweeping ? sweep(l, txn) : write_cells(l, txn);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static void run(struct pn_job *job)
{
    struct lmdb *l = (struct lmdb *)((char *)job - offsetof(struct lmdb, job));
    l->result = in_transaction(l, true);
    if (l->writing.count != 0)
        l->result = in_transaction(l, false);
}

/* ---- on the loop */

/* Not while the thread has `writing`. */
static void gather(struct lmdb *l)
{
    struct state_cells empty = l->writing;
    if (l->writing.count != 0)
        return;
    l->writing = l->fresh;
    l->fresh = empty;
}

/* The thread is made when there is something for it: the jail comes before. */
static void submit(struct lmdb *l)
{
    if (l->busy)
        return;
    if (l->thread == NULL)
        l->thread = pn_threads_new(l->engine.loop, 1, 0, "state");
    gather(l);
    l->busy = true;
    l->sweep_now = pn_clock_wall_ms();
    l->sweep_max = l->engine.away ? SWEEP_MORE : SWEEP_MAX;
    pn_threads_submit(l->thread, &l->job);
}

static void on_timer(void *arg)
{
    submit(arg);
}

static void clear(struct state_cells *c)
{
    uint64_t seed = c->seed;
    state_cells_fini(c);
    state_cells_init(c, seed);
}

static void done(struct pn_job *job)
{
    struct lmdb *l = (struct lmdb *)((char *)job - offsetof(struct lmdb, job));
    MDB_stat stat;
    l->busy = false;
    if (l->result == 0) {
        clear(&l->writing);
        if (mdb_env_stat(l->env, &stat) == 0)
            l->engine.count.entries = stat.ms_entries;
        state_engine_away(&l->engine, NULL);
    } else {
        char why[sizeof l->engine.why];
        (void)snprintf(why, sizeof why, "it can't be written: %s", mdb_strerror(l->result));
        state_engine_away(&l->engine, why);
    }
    l->engine.count.pending = l->fresh.count + l->writing.count;
    pn_timer_set(l->timer, l->result != 0 ? RETRY_MS : l->fresh.count != 0 ? FLUSH_MS : IDLE_MS);
}

static struct pn_str cell_key(char room[CELL_KEY_MAX], char kind, struct pn_str key)
{
    pn_assert(key.len < CELL_KEY_MAX);
    room[0] = kind;
    memcpy(room + 1, key.p, key.len);
    return (struct pn_str){room, key.len + 1};
}

/* What is known of a cell, and still so at that time. False: nothing. value is borrowed
 * until `unread`. */
static bool read_cell(struct lmdb *l, struct pn_str key, int64_t now_ms, struct pn_str *value)
{
    const struct state_cell *c = state_cells_find(&l->fresh, key);
    if (c == NULL)
        c = state_cells_find(&l->writing, key);
    if (c != NULL) {
        *value = state_cell_value(c);
        return c->expires_ms > now_ms;
    }
    MDB_val k = val_of(key), v;
    if (mdb_txn_renew(l->reader) != 0 || mdb_get(l->reader, l->dbi, &k, &v) != 0 ||
        is_old(&v, now_ms))
        return false;
    *value = (struct pn_str){(const char *)v.mv_data + STAMP, v.mv_size - STAMP};
    return true;
}

static void unread(struct lmdb *l)
{
    mdb_txn_reset(l->reader);
}

/* What finds no room while the file can't be written is lost, and counted. */
static void write_cell(struct lmdb *l, struct pn_str key, struct pn_str value, int64_t expires_ms)
{
    if (l->fresh.bytes > FRESH_BYTES_MAX) {
        l->engine.count.lost++;
        state_engine_away(&l->engine, "more is to be written than it can");
        return;
    }
    bool first = l->fresh.count == 0 && !l->busy && !l->engine.away;
    state_cells_set(&l->fresh, key, value, expires_ms);
    l->engine.count.pending = l->fresh.count + l->writing.count;
    if (first)
        pn_timer_set(l->timer, FLUSH_MS);
}

static void lmdb_get(struct state_engine *e, struct pn_str key, int64_t now_ms, state_answer_fn *fn,
                     void *ctx)
{
    struct lmdb *l = lmdb_of(e);
    char room[CELL_KEY_MAX];
    struct pn_str value;
    struct pn_state_answer answer = {.status = PN_STATE_IS_AWAY, .value = PN_STR("")};
    if (e->away) {
        fn(ctx, &answer);
        return;
    }
    answer.status = PN_STATE_IS_NONE;
    if (read_cell(l, cell_key(room, 'v', key), now_ms, &value)) {
        answer.status = PN_STATE_IS_OK;
        answer.value = value;
    }
    fn(ctx, &answer);
    unread(l);
}

/* The time at which a bucket is full. */
static int64_t read_bucket(struct lmdb *l, struct pn_str key, int64_t now_ms)
{
    struct pn_str value;
    int64_t full_us = 0;
    if (read_cell(l, key, now_ms, &value) && value.len == sizeof full_us)
        memcpy(&full_us, value.p, sizeof full_us);
    unread(l);
    return full_us;
}

static void write_bucket(struct lmdb *l, struct pn_str key, int64_t full_us)
{
    struct pn_str value = {(const char *)&full_us, sizeof full_us};
    write_cell(l, key, value, full_us / 1000 + 1);
}

static void lmdb_take(struct state_engine *e, struct pn_str name, int64_t now_ms,
                      const struct pn_bucket *bucket, state_answer_fn *fn, void *ctx)
{
    struct lmdb *l = lmdb_of(e);
    char room[CELL_KEY_MAX];
    uint32_t left;
    if (e->away) {
        state_answer_plain(fn, ctx, PN_STATE_IS_AWAY, 0);
        return;
    }
    struct pn_str key = cell_key(room, 'b', name);
    int64_t full_us = read_bucket(l, key, now_ms);
    bool ok = pn_bucket_take(&full_us, now_ms, bucket, &left);
    if (ok && bucket->cost != 0)
        write_bucket(l, key, full_us);
    state_answer_plain(fn, ctx, ok ? PN_STATE_IS_OK : PN_STATE_IS_NONE, left);
}

static void lmdb_give(struct state_engine *e, struct pn_str name, int64_t now_ms,
                      const struct pn_bucket *bucket, bool local)
{
    struct lmdb *l = lmdb_of(e);
    char room[CELL_KEY_MAX];
    struct pn_str key = cell_key(room, 'b', name);
    int64_t full_us = read_bucket(l, key, now_ms);
    (void)local;
    if (full_us != 0)
        write_bucket(l, key, full_us - pn_bucket_cost_us(bucket));
}

static void lmdb_put(struct state_engine *e, const struct pn_state_put *put, int64_t now_ms)
{
    char room[CELL_KEY_MAX];
    (void)now_ms;
    write_cell(lmdb_of(e), cell_key(room, 'v', put->key), put->value, put->expires_ms);
}

/* Once for what it could not write yet, once for what came meanwhile. */
static void write_rest(struct lmdb *l)
{
    for (int i = 0; l->timer != NULL && i < 2; i++) {
        gather(l);
        if (l->writing.count == 0)
            return;
        run(&l->job);
        if (l->result != 0)
            return;
        clear(&l->writing);
    }
}

static void lmdb_free(struct state_engine *e)
{
    struct lmdb *l = lmdb_of(e);
    pn_threads_free(&l->thread); /* waits for what it has in hand */
    write_rest(l);
    pn_timer_free(&l->timer);
    if (l->reader != NULL)
        mdb_txn_abort(l->reader);
    if (l->env != NULL)
        mdb_env_close(l->env);
    state_cells_fini(&l->fresh);
    state_cells_fini(&l->writing);
    free(l);
}

/* ---- opening */

static int open_env(struct lmdb *l, uint64_t size)
{
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&l->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(l->env, (size_t)(size + size / 4 + ROOM_MIN));
    if (rc == 0)
        rc = mdb_env_open(l->env, ".", MDB_NOTLS | MDB_NORDAHEAD, FILE_MODE);
    if (rc == 0)
        rc = mdb_txn_begin(l->env, NULL, 0, &txn);
    if (rc == 0)
        rc = mdb_dbi_open(txn, NULL, 0, &l->dbi);
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
        txn = NULL;
    }
    if (txn != NULL)
        mdb_txn_abort(txn);
    if (rc == 0)
        rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->reader);
    if (rc == 0) {
        mdb_txn_reset(l->reader);
        return 0;
    }
    if (l->env != NULL)
        mdb_env_close(l->env);
    l->env = NULL;
    return rc;
}

/* What can't be read is no database any more: better to forget than not to start. */
static bool set_aside(int rc)
{
    bool broken = rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_VERSION_MISMATCH ||
                  rc == MDB_PAGE_NOTFOUND || rc == MDB_INCOMPATIBLE;
    if (!broken || rename("data.mdb", "data.mdb.broken") != 0)
        return false;
    (void)unlink("lock.mdb");
    pn_error("what plugins remembered can't be read (%s); it is kept as data.mdb.broken, and "
             "they begin anew",
             mdb_strerror(rc));
    return true;
}

struct state_engine *state_lmdb_new(struct pn_loop *loop, uint64_t size, struct pn_buf *err)
{
    static const struct state_engine_ops ops = {"embedded", lmdb_get, lmdb_take,
                                                lmdb_give,  lmdb_put, lmdb_free};
    struct lmdb *l = pn_calloc(1, sizeof *l);
    l->engine.ops = &ops;
    l->engine.loop = loop;
    l->size = size;
    l->job = (struct pn_job){.run = run, .done = done};
    state_cells_init(&l->fresh, pn_clock_mono_ns());
    state_cells_init(&l->writing, l->fresh.seed);
    int rc = open_env(l, size);
    if (rc != 0 && set_aside(rc))
        rc = open_env(l, size);
    if (rc != 0) {
        (void)pn_buf_addf(err, "what plugins remember: %s", mdb_strerror(rc));
        lmdb_free(&l->engine);
        return NULL;
    }
    l->timer = pn_timer_new(loop, on_timer, l);
    pn_timer_set(l->timer, IDLE_MS);
    return &l->engine;
}
