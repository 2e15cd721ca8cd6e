#include "held.h"

#include "clock.h"
#include "codec.h"
#include "mem.h"
#include "memfile.h"
#include "record.h"
#include "whole.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { META_VERSION = 1 };

/* A file of its own has no place in a segment. */
static const struct record_place nowhere;

int held_folder(int spool_folder)
{
    if (mkdirat(spool_folder, "held", 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(spool_folder, "held", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

const char *held_name(uint64_t id, uint32_t index, char name[HELD_NAME_MAX])
{
    char text[PN_QUEUE_ID_TEXT_MAX];
    (void)snprintf(name, HELD_NAME_MAX, "%s.%u", pn_queue_id_text(id, text), index);
    return name;
}

bool held_name_parse(const char *name, uint64_t *id, uint32_t *index)
{
    uint64_t n = 0;
    struct pn_str rest = pn_str_of(name);
    struct pn_str first = pn_str_split(&rest, '.');
    bool ok = pn_queue_id_parse(first, id) && rest.p != NULL &&
              pn_str_u64(rest, PN_ENVELOPE_RECIPIENTS_MAX, &n);
    *index = (uint32_t)n;
    return ok;
}

const char *held_kind_name(uint8_t kind)
{
    return kind == HELD_QUARANTINE ? "quarantine" : "held";
}

static void meta_put(struct pn_buf *out, const struct held *h)
{
    pn_wr_u8(out, META_VERSION);
    pn_wr_u8(out, h->kind);
    pn_wr_i64(out, h->since_ms);
    pn_wr_str(out, h->reason);
    pn_wr_str(out, h->envelope);
    pn_wr_u32(out, h->count);
    for (uint32_t i = 0; i < h->count; i++)
        pn_wr_u32(out, h->indices[i]);
}

static bool meta_get(struct pn_str meta, struct pn_pool *pool, struct held *h)
{
    struct pn_rd r = pn_rd_of(meta);
    if (pn_rd_u8(&r) != META_VERSION)
        return false;
    h->kind = pn_rd_u8(&r);
    h->since_ms = pn_rd_i64(&r);
    h->reason = pn_rd_str(&r);
    h->envelope = pn_rd_str(&r);
    h->count = pn_rd_count(&r, 4);
    uint32_t *indices = pn_pool_alloc(pool, h->count * sizeof *indices);
    if (indices == NULL)
        return false;
    for (uint32_t i = 0; i < h->count; i++)
        indices[i] = pn_rd_u32(&r);
    h->indices = indices;
    return pn_rd_done(&r) && h->kind < HELD_KIND_COUNT && h->count > 0;
}

static int write_file(int fd, const struct held *h, struct pn_str content)
{
    struct pn_buf meta;
    char header[RECORD_HEADER];
    uint32_t seed = record_seed(&nowhere);
    pn_buf_init(&meta, RECORD_META_MAX);
    meta_put(&meta, h);
    struct record record = {.type = RECORD_MESSAGE,
                            .last = true,
                            .id = h->id,
                            .meta_len = (uint32_t)meta.len,
                            .content_len = content.len,
                            .content_size = content.len,
                            .meta_crc = pn_crc32c(seed, meta.p, meta.len),
                            .content_crc = pn_crc32c(seed, content.p, content.len)};
    record_lay(&record, 0);
    record_put(header, &record, &nowhere);
    int error = meta.overflow ? EFBIG : pn_write_whole(fd, (struct pn_str){header, sizeof header});
    if (error == 0)
        error = pn_write_whole(fd, pn_buf_str(&meta));
    if (error == 0)
        error = pn_write_whole(fd, content);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    pn_buf_fini(&meta);
    return error;
}

int held_put(int folder, const struct held *h, int content_fd)
{
    char name[HELD_NAME_MAX], tmp[HELD_NAME_MAX + 8];
    struct pn_str content;
    (void)held_name(h->id, h->indices[0], name);
    (void)snprintf(tmp, sizeof tmp, "new-%s", name);
    if (pn_map_fd(content_fd, true, &content) != 0)
        return errno;
    int fd = pn_make_anew(folder, tmp, 0);
    int error = fd < 0 ? errno : write_file(fd, h, content);
    if (fd >= 0)
        (void)close(fd);
    if (error == 0 && (renameat(folder, tmp, folder, name) != 0 || fsync(folder) != 0))
        error = errno;
    if (error != 0 && fd >= 0)
        (void)unlinkat(folder, tmp, 0);
    pn_unmap(&content);
    return error;
}

/* Opens the file and reads its header; *fd is the caller's if 0. */
static int open_file(int folder, const char *name, struct record *record, int *fd)
{
    char header[RECORD_HEADER];
    struct stat st;
    *fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return errno;
    int error =
        fstat(*fd, &st) != 0 ? errno : pn_read_whole_at(*fd, header, sizeof header, 0, EBADMSG);
    if (error == 0 && record_get(header, &nowhere, (uint64_t)st.st_size, record) != RECORD_GOOD)
        error = EBADMSG;
    if (error != 0)
        (void)close(*fd);
    return error;
}

int held_get(int folder, const char *name, struct pn_buf *bytes, struct pn_pool *pool,
             struct held *h)
{
    struct record r;
    int fd, error = open_file(folder, name, &r, &fd);
    if (error != 0)
        return error;
    pn_buf_clear(bytes);
    char *to = pn_buf_reserve(bytes, r.meta_len);
    error = to == NULL ? EFBIG : pn_read_whole_at(fd, to, r.meta_len, RECORD_HEADER, EBADMSG);
    (void)close(fd);
    if (error != 0)
        return error;
    bytes->len = r.meta_len;
    *h = (struct held){.id = r.id, .size = r.content_size};
    if (pn_crc32c(record_seed(&nowhere), to, r.meta_len) != r.meta_crc ||
        !meta_get(pn_buf_str(bytes), pool, h))
        return EBADMSG;
    return 0;
}

int held_content(int folder, const char *name, int *out)
{
    struct record r;
    int fd, error = open_file(folder, name, &r, &fd);
    if (error != 0)
        return error;
    char *bytes = pn_alloc((size_t)r.content_len);
    error = pn_read_whole_at(fd, bytes, (size_t)r.content_len, r.content_at, EBADMSG);
    (void)close(fd);
    if (error == 0 &&
        pn_crc32c(record_seed(&nowhere), bytes, (size_t)r.content_len) != r.content_crc)
        error = EBADMSG;
    if (error == 0) {
        *out = pn_memfile_of("held", (struct pn_str){bytes, (size_t)r.content_len});
        error = *out < 0 ? errno : 0;
    }
    free(bytes);
    return error;
}

int held_remove(int folder, const char *name)
{
    return unlinkat(folder, name, 0) != 0 ? errno : 0;
}

int held_settle(int folder)
{
    return fsync(folder) != 0 ? errno : 0;
}

/* Half-written files of an earlier process: no process writes one for so long. */
enum { UNFINISHED_S = 3600 };

size_t held_expire(int folder, int64_t before_s)
{
    size_t removed = 0;
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    if (dir == NULL) {
        if (again >= 0)
            (void)close(again);
        return 0;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        uint64_t id;
        uint32_t index;
        bool unfinished = strncmp(e->d_name, "new-", 4) == 0;
        if ((!unfinished && !held_name_parse(e->d_name, &id, &index)) ||
            fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        int64_t limit = unfinished ? pn_clock_wall_ms() / 1000 - UNFINISHED_S : before_s;
        if (st.st_mtime < limit && unlinkat(folder, e->d_name, 0) == 0)
            removed += !unfinished;
    }
    (void)closedir(dir);
    return removed;
}
