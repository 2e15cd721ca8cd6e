/* APPEND: bytes go to files of tmp as they come; at the end all arrive together. */
#include "store_int.h"

#include "clock.h"
#include "lines.h"
#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK = 64 * 1024,
    DESCRIBE_MAX = 4 * 1024 * 1024,
    DESCRIBED_MAX = 16 * 1024 * 1024, /* of all messages; what is more is made when asked for */
    MESSAGES_MAX = 10000,
    UNSYNCED_MAX = 32 /* files that are synced one behind the other, once most are written */
};

struct pn_append {
    struct pn_user *user;
    struct folder *folder;
    struct arrival *v;
    size_t count, cap;
    int tmp, fd;                /* fd: of the message under way; -1 */
    int unsynced[UNSYNCED_MAX]; /* of those before it; closed when they are */
    size_t unsynced_count;
    struct pn_lines lines;
    struct pn_buf out;  /* LF bytes that are not written */
    struct pn_buf text; /* all of them, while they are few: to be described */
    bool text_whole, cr;
    uint64_t bytes;   /* of all, with CRLF */
    size_t described; /* bytes of what is kept for the index */
    enum pn_store_status status;
    bool committed;
};

struct pn_append *pn_append_new(struct pn_user *user, struct pn_str folder,
                                enum pn_store_status *status)
{
    struct folder *f;
    *status = folder_get(user, folder, false, &f);
    if (f == NULL)
        return NULL;
    struct pn_append *a = pn_calloc(1, sizeof *a);
    *a = (struct pn_append){.user = user, .folder = f, .fd = -1};
    a->tmp = folder_open_dir(f, "tmp");
    if (a->tmp < 0) {
        *status = errno == ENOENT ? PN_STORE_NO_FOLDER : store_status(errno);
        folder_put(&f);
        free(a);
        return NULL;
    }
    pn_buf_init(&a->out, 4 * CHUNK);
    pn_buf_init(&a->text, DESCRIBE_MAX);
    return a;
}

static void fail(struct pn_append *a, enum pn_store_status status)
{
    if (a->status == PN_STORE_OK)
        a->status = status;
}

static void write_out(struct pn_append *a)
{
    struct pn_str bytes = pn_buf_str(&a->out);
    struct arrival *v = &a->v[a->count - 1];
    if (bytes.len == 0 || a->status != PN_STORE_OK)
        return;
    int error = pn_write_whole(a->fd, bytes);
    uint64_t size = mail_size(bytes);
    if (a->cr && bytes.p[0] == '\n') /* its CR went out before */
        size--;
    a->cr = bytes.p[bytes.len - 1] == '\r';
    v->file_size += bytes.len;
    a->bytes += size;
    if (error != 0)
        fail(a, store_status(error));
    else if (size > UINT32_MAX - v->size)
        fail(a, PN_STORE_LIMIT);
    else
        v->size += (uint32_t)size;
    a->text_whole = a->text_whole && pn_buf_adds(&a->text, bytes);
    pn_buf_clear(&a->out);
}

static void describe(struct pn_append *a, struct arrival *v)
{
    size_t bytes = 0;
    mail_describe(pn_buf_str(&a->text), v->cached, &v->form);
    for (unsigned i = 0; i < 3; i++)
        bytes += v->cached[i].len;
    if (bytes <= DESCRIBED_MAX - a->described) {
        a->described += bytes;
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        pn_buf_fini(&v->cached[i]);
        pn_buf_init(&v->cached[i], 0);
    }
}

/* What came so far is durable, or the append fails. */
static void sync_all(struct pn_append *a)
{
    for (size_t i = 0; i < a->unsynced_count; i++) {
        if (a->status == PN_STORE_OK && fsync(a->unsynced[i]) != 0)
            fail(a, store_status(errno));
        (void)close(a->unsynced[i]);
    }
    a->unsynced_count = 0;
}

/* The disk may begin with it; the first sync of several is one for all then. */
static void sync_later(struct pn_append *a, int fd)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    a->unsynced[a->unsynced_count++] = fd;
    if (a->unsynced_count == UNSYNCED_MAX)
        sync_all(a);
}

/* Ends the message under way: it is whole. */
static void finish(struct pn_append *a)
{
    struct arrival *v = a->count > 0 ? &a->v[a->count - 1] : NULL;
    if (a->fd < 0 || v == NULL)
        return;
    const struct timespec times[2] = {{.tv_sec = (time_t)v->date}, {.tv_sec = (time_t)v->date}};
    struct stat st;
    if (!pn_lines_end(&a->lines, &a->out))
        fail(a, PN_STORE_LIMIT);
    write_out(a);
    if (a->status == PN_STORE_OK && (futimens(a->fd, times) != 0 || fstat(a->fd, &st) != 0))
        fail(a, store_status(errno));
    else if (a->status == PN_STORE_OK)
        v->date = st.st_mtime; /* no file may have that year: what an index made anew would say */
    if (a->status == PN_STORE_OK && a->text_whole)
        describe(a, v);
    sync_later(a, a->fd);
    a->fd = -1;
    pn_buf_fini(&a->text);
    pn_buf_init(&a->text, DESCRIBE_MAX);
}

static uint32_t keyword_bits(struct pn_append *a, const struct pn_str *keywords, size_t count)
{
    uint32_t bits = 0;
    (void)pthread_mutex_lock(&a->folder->lock);
    for (size_t i = 0; i < count; i++) {
        uint32_t bit;
        enum pn_store_status status = folder_keyword(a->folder, keywords[i], &bit);
        if (status != PN_STORE_OK && status != PN_STORE_LIMIT)
            fail(a, status); /* one without a letter is left behind, the mail is not */
        bits |= bit;
    }
    (void)pthread_mutex_unlock(&a->folder->lock);
    return bits;
}

enum pn_store_status pn_append_begin(struct pn_append *a, uint32_t system_flags,
                                     const struct pn_str *keywords, size_t keyword_count,
                                     int64_t date)
{
    struct pn_buf name;
    finish(a);
    if (a->count >= MESSAGES_MAX)
        fail(a, PN_STORE_LIMIT);
    if (a->count > 0 && a->status == PN_STORE_OK) /* not only when all of them fill the disk */
        fail(a, user_room(a->user, a->bytes, a->count));
    uint32_t bits = keyword_bits(a, keywords, keyword_count);
    if (a->status != PN_STORE_OK)
        return a->status;
    pn_buf_init(&name, 256);
    store_unique(a->user->store, &name);
    a->fd = openat(a->tmp, pn_buf_cstr(&name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                   0600);
    if (a->fd < 0) {
        fail(a, store_status(errno));
    } else {
        a->v = pn_grow(a->v, &a->cap, a->count, sizeof *a->v);
        a->v[a->count++] =
            (struct arrival){.tmp = pn_strndup(name.p, name.len),
                             .system = (uint8_t)system_flags,
                             .keywords = bits,
                             .date = date == INT64_MIN ? pn_clock_wall_ms() / 1000 : date};
        pn_lines_init(&a->lines, PN_LINES_TO_LF);
        a->text_whole = true;
        a->cr = false;
    }
    pn_buf_fini(&name);
    return a->status;
}

bool pn_append_feed(struct pn_append *a, struct pn_str bytes)
{
    if (a->fd < 0)
        fail(a, PN_STORE_REFUSED);
    if (a->status == PN_STORE_OK && bytes.len > 0 && memchr(bytes.p, '\0', bytes.len) != NULL)
        fail(a, PN_STORE_REFUSED);
    for (size_t at = 0; at < bytes.len && a->status == PN_STORE_OK; at += CHUNK) {
        if (!pn_lines_feed(&a->lines, pn_str_slice(bytes, at, at + CHUNK), &a->out))
            fail(a, PN_STORE_LIMIT);
        if (a->out.len >= CHUNK)
            write_out(a);
    }
    return a->status == PN_STORE_OK;
}

unsigned pn_append_use(const struct pn_append *a)
{
    struct folder *folder = a->folder;
    (void)pthread_mutex_lock(&folder->lock);
    unsigned use = folder->marks.use;
    (void)pthread_mutex_unlock(&folder->lock);
    return use;
}

enum pn_store_status pn_append_commit(struct pn_append *a, uint32_t *uidvalidity,
                                      struct pn_uidset *uids, struct pn_buf *why)
{
    uint32_t first = 0;
    finish(a);
    sync_all(a);
    if (a->status == PN_STORE_OK)
        fail(a, user_room(a->user, a->bytes, a->count));
    if (a->status == PN_STORE_OK) {
        fail(a, arrive(a->folder, a->v, a->count, DIR_CUR, &first, why));
        a->committed = true;
    } else {
        (void)pn_buf_addz(why, "the message can't be stored");
    }
    *uidvalidity = a->folder->marks.uidvalidity;
    if (a->status == PN_STORE_OK && a->count > 0)
        (void)pn_uidset_add(uids, first, first + (uint32_t)a->count - 1);
    return a->status;
}

void pn_append_free(struct pn_append **append)
{
    struct pn_append *a = *append;
    *append = NULL;
    if (a == NULL)
        return;
    if (a->fd >= 0)
        (void)close(a->fd);
    fail(a, PN_STORE_TEMPORARY); /* nothing is synced for nothing */
    sync_all(a);
    for (size_t i = 0; i < a->count; i++) {
        if (!a->committed)
            (void)unlinkat(a->tmp, a->v[i].tmp, 0);
        arrival_fini(&a->v[i]);
    }
    (void)close(a->tmp);
    pn_buf_fini(&a->out);
    pn_buf_fini(&a->text);
    folder_put(&a->folder);
    free(a->v);
    free(a);
}
