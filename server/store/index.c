#include "index.h"

#include "clock.h"
#include "codec.h"
#include "log.h"
#include "maildir.h"
#include "mem.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GUESSED = 128, FORM = 32, FORMS = 3 /* beside the system flags of a row */ };
enum { VERSION = 2, QUEUE_MAX = 256 * 1024 * 1024, QUEUE_FULL = 1024 * 1024 };

enum statement {
    BEGIN,
    COMMIT,
    PUT_FOLDER,
    PUT_MSG,
    PUT_CACHED,
    PUT_VANISHED,
    DROP_MSGS,
    DROP_CACHED,
    DROP_FOLDER,
    DROP_VANISHED,
    GET_FOLDER,
    GET_MSGS,
    GET_CACHED,
    GET_VANISHED,
    STATEMENTS
};

static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [PUT_FOLDER] = "REPLACE INTO folder(id, row) VALUES(?1, ?2)",
    [PUT_MSG] = "REPLACE INTO message(id, row) VALUES(?1, ?2)",
    [PUT_CACHED] = "REPLACE INTO cached(id, row) VALUES(?1, ?2)",
    [PUT_VANISHED] = "REPLACE INTO vanished(folder, modseq, first, last, sum) "
                     "VALUES(?1, ?2, ?3, ?4, ?5)",
    [DROP_MSGS] = "DELETE FROM message WHERE id BETWEEN ?1 AND ?2",
    [DROP_CACHED] = "DELETE FROM cached WHERE id BETWEEN ?1 AND ?2",
    [DROP_FOLDER] = "DELETE FROM folder WHERE id = ?1",
    [DROP_VANISHED] = "DELETE FROM vanished WHERE folder = ?1",
    [GET_FOLDER] = "SELECT row FROM folder WHERE id = ?1",
    [GET_MSGS] = "SELECT id, row FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
    [GET_CACHED] = "SELECT id, row FROM cached WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
    [GET_VANISHED] = "SELECT modseq, first, last, sum FROM vanished "
                     "WHERE folder = ?1 AND modseq > ?2 ORDER BY first",
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS folder(id INTEGER PRIMARY KEY, row BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS message(id INTEGER PRIMARY KEY, row BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS cached(id INTEGER PRIMARY KEY, row BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS vanished(folder INTEGER, modseq INTEGER, first INTEGER,"
    " last INTEGER, sum INTEGER, PRIMARY KEY(folder, modseq, first)) WITHOUT ROWID;";

struct index {
    int root;
    const char *place;
    pthread_mutex_t lock;
    sqlite3 *db; /* NULL: closed */
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t used_ns;
    unsigned serial;
    bool lost;  /* something that was queued could not be written */
    bool holes; /* and who had queued it does not know yet: by serial, when it can be written again
                 */
    pthread_mutex_t queue_lock;
    struct pn_buf queue;
    bool spilt; /* the queue had no room */
};

struct index *index_new(int root, const char *place)
{
    struct index *index = pn_calloc(1, sizeof *index);
    index->root = root;
    index->place = place;
    (void)pthread_mutex_init(&index->lock, NULL);
    (void)pthread_mutex_init(&index->queue_lock, NULL);
    pn_buf_init(&index->queue, QUEUE_MAX);
    return index;
}

/* ---- the file ---- */

static void close_file(struct index *index)
{
    for (unsigned i = 0; i < STATEMENTS; i++) {
        (void)sqlite3_finalize(index->statements[i]);
        index->statements[i] = NULL;
    }
    (void)sqlite3_close(index->db);
    index->db = NULL;
}

/* The directory it lies in, made if need be; -1 with errno. */
static int open_dir(const struct index *index)
{
    int user = maildir_open_dir(index->root, index->place);
    if (user < 0)
        return -1;
    (void)mkdirat(user, "postern", 0700);
    int dir = maildir_open_dir(user, "postern");
    int error = errno;
    (void)close(user);
    errno = error;
    return dir;
}

static const char *const files[] = {"index.db", "index.db-wal", "index.db-shm", "index.db-journal"};

static void remove_file(int dir)
{
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
        (void)unlinkat(dir, files[i], 0);
}

static int version_of(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        version = sqlite3_column_int(s, 0);
    (void)sqlite3_finalize(s);
    return version;
}

static int set_up(sqlite3 *db)
{
    char text[64];
    (void)snprintf(text, sizeof text, "PRAGMA user_version=%d", VERSION);
    int result = sqlite3_exec(db,
                              "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                              "PRAGMA synchronous=OFF; PRAGMA cache_size=-4000;"
                              "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON",
                              NULL, NULL, NULL);
    int version = result == SQLITE_OK ? version_of(db) : -1;
    if (result == SQLITE_OK && version != 0 && version != VERSION)
        return version < 0 ? SQLITE_CORRUPT : SQLITE_NOTADB; /* another version's: made anew */
    if (result == SQLITE_OK && version == 0)
        result = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (result == SQLITE_OK && version == 0)
        result = sqlite3_exec(db, text, NULL, NULL, NULL);
    return result;
}

static bool spoilt(int result)
{
    return (result & 255) == SQLITE_CORRUPT || (result & 255) == SQLITE_NOTADB ||
           (result & 255) == SQLITE_ERROR || (result & 255) == SQLITE_MISMATCH;
}

static int open_in(struct index *index, int dir)
{
    char path[64];
    struct stat st;
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
        if (fstatat(dir, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
            (void)unlinkat(dir, files[i], 0); /* SQLite would follow a link */
    if (fstatat(dir, files[0], &st, AT_SYMLINK_NOFOLLOW) != 0) {
        remove_file(dir); /* a log that is left of another file is no part of a new one */
        index->serial++;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/index.db", dir);
    int result = sqlite3_open_v2(
        path, &index->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = set_up(index->db);
    for (unsigned i = 0; i < STATEMENTS && result == SQLITE_OK; i++)
        result = sqlite3_prepare_v3(index->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &index->statements[i], NULL);
    if (result != SQLITE_OK)
        close_file(index);
    return result;
}

static int open_file(struct index *index)
{
    int dir = open_dir(index);
    if (dir < 0)
        return SQLITE_CANTOPEN;
    int result = open_in(index, dir);
    (void)close(dir);
    return result;
}

static void begin_anew(struct index *index, const char *why)
{
    int dir = open_dir(index);
    pn_warn("the index of %s is made anew: %s", index->place, why);
    close_file(index);
    if (dir >= 0) {
        remove_file(dir);
        (void)close(dir);
    }
}

void index_forget(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    begin_anew(index, "so it was asked");
    (void)pthread_mutex_unlock(&index->lock);
}

/* index->lock is held. False: not now. */
static bool ready(struct index *index)
{
    index->used_ns = pn_clock_mono_ns();
    if (index->db != NULL)
        return true;
    int result = open_file(index);
    if (spoilt(result)) {
        begin_anew(index, sqlite3_errstr(result));
        result = open_file(index);
    }
    if (result != SQLITE_OK)
        pn_warn("the index of %s can't be opened: %s", index->place, sqlite3_errstr(result));
    return result == SQLITE_OK;
}

/* What a statement answered that should not have. */
static void failed(struct index *index, int result)
{
    if (spoilt(result))
        begin_anew(index, sqlite3_errstr(result));
    else
        close_file(index); /* no room, I/O: it may be right the next time */
}

static sqlite3_stmt *statement(struct index *index, enum statement which)
{
    sqlite3_stmt *s = index->statements[which];
    (void)sqlite3_reset(s);
    return s;
}

static int64_t key(uint32_t uidvalidity, uint32_t uid)
{
    return (int64_t)((uint64_t)uidvalidity << 32 | uid);
}

/* ---- rows: fields and a sum over them and their key ---- */

static void seal(struct pn_buf *row, int64_t id)
{
    pn_wr_u32(row, pn_crc32c((uint32_t)id ^ (uint32_t)(id >> 32), row->p, row->len));
}

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

static uint32_t vanished_sum(uint32_t validity, uint64_t modseq, uint32_t first, uint32_t last)
{
    const uint64_t v[] = {validity, modseq, (uint64_t)first << 32 | last};
    return pn_crc32c(0, v, sizeof v);
}

/* ---- the queue ---- */

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
    seal(&row, key(f->uidvalidity, 0));
    queue(index, PUT_FOLDER, key(f->uidvalidity, 0), &row);
    pn_buf_fini(&row);
}

void index_put_msg(struct index *index, uint32_t uidvalidity, const struct index_msg *m)
{
    struct pn_buf row;
    pn_buf_init(&row, 100);
    pn_wr_u32(&row, m->size);
    pn_wr_u32(&row, m->keywords);
    pn_wr_u8(&row, (uint8_t)(m->system | (m->guessed ? GUESSED : 0) | m->form * FORM));
    pn_wr_u64(&row, m->modseq);
    pn_wr_i64(&row, m->date);
    if (m->surrogate != 0)
        pn_wr_u32(&row, m->surrogate);
    seal(&row, key(uidvalidity, m->uid));
    queue(index, PUT_MSG, key(uidvalidity, m->uid), &row);
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
    seal(&row, key(uidvalidity, c->uid));
    queue(index, PUT_CACHED, key(uidvalidity, c->uid), &row);
    pn_buf_fini(&row);
}

void index_put_vanished(struct index *index, uint32_t uidvalidity, uint64_t modseq, uint32_t first,
                        uint32_t last)
{
    struct pn_buf row;
    pn_buf_init(&row, 100);
    pn_wr_u64(&row, modseq);
    pn_wr_u32(&row, last);
    queue(index, PUT_VANISHED, key(uidvalidity, first), &row);
    pn_buf_fini(&row);
}

void index_drop_folder(struct index *index, uint32_t uidvalidity)
{
    queue(index, DROP_FOLDER, key(uidvalidity, 0), NULL);
}

static int run(sqlite3_stmt *s)
{
    int result = sqlite3_step(s);
    (void)sqlite3_reset(s);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

static int drop(struct index *index, enum statement which, int64_t first, int64_t last)
{
    sqlite3_stmt *s = statement(index, which);
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
    sqlite3_stmt *s = statement(index, PUT_VANISHED);
    (void)sqlite3_bind_int64(s, 1, validity);
    (void)sqlite3_bind_int64(s, 2, (int64_t)modseq);
    (void)sqlite3_bind_int64(s, 3, first);
    (void)sqlite3_bind_int64(s, 4, last);
    (void)sqlite3_bind_int64(s, 5, vanished_sum(validity, modseq, first, last));
    int result = run(s);
    if (result == SQLITE_OK)
        result = drop(index, DROP_MSGS, id, key(validity, last));
    return result == SQLITE_OK ? drop(index, DROP_CACHED, id, key(validity, last)) : result;
}

static int write_drop(struct index *index, int64_t id)
{
    uint32_t validity = (uint32_t)((uint64_t)id >> 32);
    int result = drop(index, DROP_MSGS, id, key(validity, UINT32_MAX));
    if (result == SQLITE_OK)
        result = drop(index, DROP_CACHED, id, key(validity, UINT32_MAX));
    sqlite3_stmt *s = statement(index, DROP_FOLDER);
    (void)sqlite3_bind_int64(s, 1, id);
    if (result == SQLITE_OK)
        result = run(s);
    s = statement(index, DROP_VANISHED);
    (void)sqlite3_bind_int64(s, 1, validity);
    return result == SQLITE_OK ? run(s) : result;
}

static int write_one(struct index *index, enum statement op, int64_t id, struct pn_str row)
{
    if (op == PUT_VANISHED)
        return write_vanished(index, id, row);
    if (op == DROP_FOLDER)
        return write_drop(index, id);
    sqlite3_stmt *s = statement(index, op);
    (void)sqlite3_bind_int64(s, 1, id);
    (void)sqlite3_bind_blob64(s, 2, row.p, row.len, SQLITE_STATIC);
    return run(s);
}

/* index->lock is held. */
static void flush(struct index *index)
{
    struct pn_buf queue;
    (void)pthread_mutex_lock(&index->queue_lock);
    queue = index->queue;
    bool whole = !index->spilt;
    index->spilt = false;
    pn_buf_init(&index->queue, QUEUE_MAX);
    (void)pthread_mutex_unlock(&index->queue_lock);
    if (queue.len > 0 && !ready(index)) {
        whole = false;
    } else if (queue.len > 0) {
        int result = run(statement(index, BEGIN));
        struct pn_rd r = pn_rd_of(pn_buf_str(&queue));
        while (result == SQLITE_OK && r.p < r.end) {
            enum statement op = (enum statement)pn_rd_u8(&r);
            int64_t id = pn_rd_i64(&r);
            struct pn_str row = pn_rd_str(&r);
            result = write_one(index, op, id, row);
        }
        if (result == SQLITE_OK)
            result = run(statement(index, COMMIT));
        whole = whole && result == SQLITE_OK;
        if (result != SQLITE_OK)
            failed(index, result);
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
    flush(index);
    (void)pthread_mutex_unlock(&index->lock);
}

size_t index_queued(struct index *index)
{
    (void)pthread_mutex_lock(&index->queue_lock);
    size_t n = index->queue.len;
    (void)pthread_mutex_unlock(&index->queue_lock);
    return n;
}

bool index_rest(struct index *index, uint64_t idle_ns)
{
    (void)pthread_mutex_lock(&index->lock);
    flush(index);
    bool rests = index->db == NULL;
    if (!rests && pn_clock_mono_ns() - index->used_ns >= idle_ns) {
        close_file(index);
        rests = true;
    }
    (void)pthread_mutex_unlock(&index->lock);
    return rests;
}

unsigned index_serial(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    (void)ready(index);
    unsigned serial = index->serial;
    (void)pthread_mutex_unlock(&index->lock);
    return serial;
}

bool index_free(struct index **index)
{
    if (*index == NULL)
        return true;
    index_flush(*index);
    bool whole = !(*index)->lost;
    close_file(*index);
    pn_buf_fini(&(*index)->queue);
    (void)pthread_mutex_destroy(&(*index)->lock);
    (void)pthread_mutex_destroy(&(*index)->queue_lock);
    free(*index);
    *index = NULL;
    return whole;
}

/* ---- reading ---- */

/* Locks, and writes what is queued. False: nothing is locked. */
static bool enter(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    flush(index);
    if (ready(index))
        return true;
    (void)pthread_mutex_unlock(&index->lock);
    return false;
}

/* result: of the last step; bad: a row was not what was written. */
static bool leave(struct index *index, sqlite3_stmt *s, int result, bool bad)
{
    (void)sqlite3_reset(s);
    if (bad)
        begin_anew(index, "a row is damaged");
    else if (result != SQLITE_DONE && result != SQLITE_ROW)
        failed(index, result);
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
    int64_t id = key(uidvalidity, 0);
    *out = (struct index_folder){.uidvalidity = uidvalidity};
    if (!enter(index))
        return false;
    sqlite3_stmt *s = statement(index, GET_FOLDER);
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
    m->guessed = (m->system & GUESSED) != 0;
    m->form = m->system / FORM % (FORMS + 1);
    m->system %= FORM;
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
    sqlite3_stmt *s = statement(index, GET_MSGS);
    (void)sqlite3_bind_int64(s, 1, key(uidvalidity, 1));
    (void)sqlite3_bind_int64(s, 2, key(uidvalidity, UINT32_MAX));
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
    sqlite3_stmt *s = statement(index, GET_CACHED);
    (void)sqlite3_bind_int64(s, 1, key(uidvalidity, first));
    (void)sqlite3_bind_int64(s, 2, key(uidvalidity, last));
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
    sqlite3_stmt *s = statement(index, GET_VANISHED);
    (void)sqlite3_bind_int64(s, 1, uidvalidity);
    (void)sqlite3_bind_int64(s, 2, (int64_t)(modseq > INT64_MAX ? INT64_MAX : modseq));
    while (!bad && (result = sqlite3_step(s)) == SQLITE_ROW) {
        uint32_t first = (uint32_t)sqlite3_column_int64(s, 1);
        uint32_t last = (uint32_t)sqlite3_column_int64(s, 2);
        bad = (uint32_t)sqlite3_column_int64(s, 3) !=
              vanished_sum(uidvalidity, (uint64_t)sqlite3_column_int64(s, 0), first, last);
        if (!bad)
            fn(ctx, first, last);
    }
    return leave(index, s, result, bad);
}
