#include "index_int.h"

#include "clock.h"
#include "codec.h"
#include "log.h"
#include "maildir.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 2, LOOK_S = 5 /* whether its file is still there */ };

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

struct index *index_new(int root, const char *place)
{
    struct index *index = pn_calloc(1, sizeof *index);
    index->root = root;
    index->place = place;
    (void)pthread_mutex_init(&index->lock, NULL);
    (void)pthread_mutex_init(&index->queue_lock, NULL);
    pn_buf_init(&index->queue, INDEX_QUEUE_MAX);
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

bool index_is_in(int user)
{
    int dir = maildir_open_dir(user, "postern");
    bool is = dir >= 0 && faccessat(dir, files[0], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (dir >= 0)
        (void)close(dir);
    return is;
}

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
        return version < 0 ? SQLITE_CORRUPT : SQLITE_SCHEMA; /* another version's: made anew */
    if (result == SQLITE_OK && version == 0)
        result = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (result == SQLITE_OK && version == 0)
        result = sqlite3_exec(db, text, NULL, NULL, NULL);
    return result;
}

static bool spoilt(int result)
{
    return (result & 255) == SQLITE_CORRUPT || (result & 255) == SQLITE_NOTADB ||
           (result & 255) == SQLITE_ERROR || (result & 255) == SQLITE_MISMATCH ||
           (result & 255) == SQLITE_SCHEMA;
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
    if (fstatat(dir, files[0], &st, AT_SYMLINK_NOFOLLOW) == 0) {
        index->device = st.st_dev;
        index->inode = st.st_ino;
    }
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

void index_damaged(struct index *index, const char *why)
{
    index->damaged = true;
    begin_anew(index, why);
}

/* What a statement, or opening it, answered that is not for now alone. */
static void spoilt_by(struct index *index, int result)
{
    if ((result & 255) == SQLITE_SCHEMA)
        begin_anew(index, "it is another version's");
    else
        index_damaged(index, sqlite3_errstr(result));
}

/* Its handle would go on with a file that nobody finds again. */
static void look(struct index *index)
{
    struct stat st;
    index->looked_ns = pn_clock_mono_ns();
    int dir = index->db == NULL ? -1 : open_dir(index);
    if (dir < 0)
        return;
    bool other = fstatat(dir, files[0], &st, AT_SYMLINK_NOFOLLOW) == 0
                     ? st.st_ino != index->inode || st.st_dev != index->device
                     : errno == ENOENT;
    (void)close(dir);
    if (other)
        begin_anew(index, "others removed its file");
}

void index_look(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    look(index);
    (void)pthread_mutex_unlock(&index->lock);
}

void index_forget(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    index->damaged = false;
    begin_anew(index, "so it was asked");
    (void)pthread_mutex_unlock(&index->lock);
}

/* index->lock is held. False: not now. */
bool index_ready(struct index *index)
{
    index->used_ns = pn_clock_mono_ns();
    if (index->db != NULL)
        return true;
    int result = open_file(index);
    if (spoilt(result)) {
        spoilt_by(index, result);
        result = open_file(index);
    }
    if (result != SQLITE_OK)
        pn_warn("the index of %s can't be opened: %s", index->place, sqlite3_errstr(result));
    return result == SQLITE_OK;
}

/* What a statement answered that should not have. */
void index_failed(struct index *index, int result)
{
    if (spoilt(result))
        spoilt_by(index, result);
    else
        close_file(index); /* no room, I/O: it may be right the next time */
}

sqlite3_stmt *index_statement(struct index *index, enum statement which)
{
    sqlite3_stmt *s = index->statements[which];
    (void)sqlite3_reset(s);
    return s;
}

int64_t index_key(uint32_t uidvalidity, uint32_t uid)
{
    return (int64_t)((uint64_t)uidvalidity << 32 | uid);
}

uint32_t index_vanished_sum(uint32_t validity, uint64_t modseq, uint32_t first, uint32_t last)
{
    const uint64_t v[] = {validity, modseq, (uint64_t)first << 32 | last};
    return pn_crc32c(0, v, sizeof v);
}

bool index_rest(struct index *index, uint64_t idle_ns)
{
    (void)pthread_mutex_lock(&index->lock);
    if (pn_clock_mono_ns() - index->looked_ns >= LOOK_S * (uint64_t)PN_NS_PER_S)
        look(index);
    index_write(index);
    bool rests = index->db == NULL;
    if (!rests && pn_clock_mono_ns() - index->used_ns >= idle_ns) {
        close_file(index);
        rests = true;
    }
    (void)pthread_mutex_unlock(&index->lock);
    return rests;
}

bool index_was_damaged(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    bool was = index->damaged;
    index->damaged = false;
    (void)pthread_mutex_unlock(&index->lock);
    return was;
}

unsigned index_serial(struct index *index)
{
    (void)pthread_mutex_lock(&index->lock);
    (void)index_ready(index);
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
