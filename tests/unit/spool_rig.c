#include "spool_rig.h"

#include "assert.h"
#include "memfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void finished(void *ctx, struct spool_op *ops)
{
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    for (; ops != NULL; ops = ops->next)
        rig->finished++;
    (void)pthread_cond_signal(&rig->cond);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void alarmed(void *ctx, const char *sentence)
{
    struct rig *rig = ctx;
    (void)pthread_mutex_lock(&rig->lock);
    rig->alarms++;
    (void)snprintf(rig->last_alarm, sizeof rig->last_alarm, "%s", sentence);
    (void)pthread_mutex_unlock(&rig->lock);
}

static void note(struct rig *rig, uint8_t type, uint64_t id, struct pn_str meta,
                 const struct spool_ref *ref)
{
    pn_assert(rig->found_count < RIG_FOUND_MAX);
    struct rig_found *f = &rig->found[rig->found_count++];
    *f = (struct rig_found){.id = id, .type = type};
    f->meta_len = meta.len < RIG_TEXT_MAX ? meta.len : RIG_TEXT_MAX;
    if (f->meta_len > 0)
        memcpy(f->meta, meta.p, f->meta_len);
    if (ref != NULL)
        f->ref = *ref;
}

static void found_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    note(ctx, SPOOL_MESSAGE, id, meta, ref);
}

static void found_progress(void *ctx, uint64_t id, struct pn_str meta)
{
    note(ctx, SPOOL_PROGRESS, id, meta, NULL);
}

static void found_end(void *ctx, uint64_t id)
{
    note(ctx, SPOOL_END, id, PN_STR(""), NULL);
}

void rig_init(struct rig *rig)
{
    *rig = (struct rig){.path = "spool.XXXXXX", .folder = -1};
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->cond, NULL);
    pn_assert(mkdtemp(rig->path) != NULL);
    rig->folder = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(rig->folder >= 0);
    rig->settings = (struct spool_settings){.segment_bytes = RIG_SEGMENT,
                                            .spares = 1,
                                            .lazy_ms = 1,
                                            .retry_ms = 10,
                                            .finished = finished,
                                            .alarm = alarmed,
                                            .ctx = rig};
}

/* Calls fn for each file; names are gathered by the callee. */
static void each_file(int folder, void (*fn)(int folder, const char *name, void *arg), void *arg)
{
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(again);
    pn_assert(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.')
            fn(folder, e->d_name, arg);
    (void)closedir(dir);
}

static void remove_one(int folder, const char *name, void *arg)
{
    (void)arg;
    (void)unlinkat(folder, name, 0);
}

void rig_fini(struct rig *rig)
{
    rig_close(rig);
    int content = openat(rig->folder, "content", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (content >= 0) {
        each_file(content, remove_one, NULL);
        (void)close(content);
        (void)unlinkat(rig->folder, "content", AT_REMOVEDIR);
    }
    each_file(rig->folder, remove_one, NULL);
    (void)close(rig->folder);
    (void)rmdir(rig->path);
    (void)pthread_cond_destroy(&rig->cond);
    (void)pthread_mutex_destroy(&rig->lock);
}

bool rig_open(struct rig *rig)
{
    const struct spool_found found = {found_message, found_progress, found_end, rig, NULL};
    struct pn_buf err;
    pn_buf_init(&err, sizeof rig->error - 1);
    rig->found_count = 0;
    rig->spool = spool_open(rig->folder, &rig->settings, &found, &err);
    (void)snprintf(rig->error, sizeof rig->error, "%.*s", PN_FMT(pn_buf_str(&err)));
    pn_buf_fini(&err);
    return rig->spool != NULL;
}

void rig_close(struct rig *rig)
{
    spool_close(&rig->spool);
}

struct spool_op rig_message(uint64_t id, const char *meta, struct pn_str content)
{
    return (struct spool_op){
        .type = SPOOL_MESSAGE, .id = id, .meta = pn_str_of(meta), .content = content};
}

void rig_put(struct rig *rig, struct spool_op *ops, size_t n)
{
    (void)pthread_mutex_lock(&rig->lock);
    rig->finished = 0;
    (void)pthread_mutex_unlock(&rig->lock);
    for (size_t i = 0; i < n; i++)
        spool_submit(rig->spool, &ops[i]);
    (void)pthread_mutex_lock(&rig->lock);
    while (rig->finished < n)
        (void)pthread_cond_wait(&rig->cond, &rig->lock);
    (void)pthread_mutex_unlock(&rig->lock);
}

int rig_put_message(struct rig *rig, uint64_t id, const char *meta, struct pn_str content,
                    struct spool_ref *ref)
{
    struct spool_op op = rig_message(id, meta, content);
    rig_put(rig, &op, 1);
    if (ref != NULL)
        *ref = op.ref;
    return op.error;
}

int rig_put_mark(struct rig *rig, uint8_t type, uint64_t id, const char *meta)
{
    struct spool_op op = {.type = type, .id = id, .meta = pn_str_of(meta)};
    rig_put(rig, &op, 1);
    return op.error;
}

struct pn_str rig_found_text(const struct rig *rig, unsigned n)
{
    static char text[RIG_TEXT_MAX * 2];
    static const char *const names[] = {"", "message", "progress", "end"};
    if (n >= rig->found_count)
        return PN_STR("");
    const struct rig_found *f = &rig->found[n];
    int len = snprintf(text, sizeof text, "%s %" PRIu64 "%s%.*s", names[f->type], f->id,
                       f->meta_len > 0 ? " " : "", (int)f->meta_len, f->meta);
    return (struct pn_str){text, (size_t)len};
}

bool rig_content(const struct rig *rig, const struct spool_ref *ref, struct pn_buf *out)
{
    struct pn_str view;
    int fd = spool_content(rig->spool, ref);
    if (fd < 0)
        return false;
    pn_assert(pn_map_fd(fd, false, &view) == 0);
    (void)pn_buf_adds(out, view);
    pn_unmap(&view);
    (void)close(fd);
    return true;
}

bool rig_file_get(const struct rig *rig, const char *name, struct pn_buf *out)
{
    struct stat st;
    int fd = openat(rig->folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    pn_assert(fstat(fd, &st) == 0);
    char *to = pn_buf_reserve(out, (size_t)st.st_size);
    pn_assert(to != NULL && read(fd, to, (size_t)st.st_size) == st.st_size);
    out->len += (size_t)st.st_size;
    (void)close(fd);
    return true;
}

void rig_file_put(const struct rig *rig, const char *name, struct pn_str bytes)
{
    int fd = openat(rig->folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pn_assert(fd >= 0 && write(fd, bytes.p, bytes.len) == (ssize_t)bytes.len);
    (void)close(fd);
}

struct count {
    const char *prefix;
    unsigned n;
};

static void count_one(int folder, const char *name, void *arg)
{
    struct count *c = arg;
    (void)folder;
    c->n += strncmp(name, c->prefix, strlen(c->prefix)) == 0;
}

unsigned rig_count(const struct rig *rig, const char *prefix)
{
    struct count c = {prefix, 0};
    each_file(rig->folder, count_one, &c);
    return c.n;
}
