#include "suppress.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TABLE = 16384,
    STORE_MS = 5000, /* behind the first change */
    LINE = SUPPRESS_ADDRESS_MAX + SUPPRESS_REPLY_MAX + 32
};

struct entry {
    struct entry *next_same; /* in the table */
    struct entry *next, **at;
    int64_t until_ms;
    size_t address_len, reply_len;
    char text[]; /* the address, then the reply */
};

struct suppress {
    struct entry *table[TABLE];
    struct entry *first, **end; /* the oldest first */
    size_t count;
    uint64_t seed;
    int folder;
    struct pn_threads *threads;
    struct pn_timer *timer;
    bool dirty, storing;
};

static struct pn_str address_of(const struct entry *e)
{
    return (struct pn_str){e->text, e->address_len};
}

static struct pn_str reply_of(const struct entry *e)
{
    return (struct pn_str){e->text + e->address_len, e->reply_len};
}

static struct entry **slot_of(struct suppress *s, struct pn_str address)
{
    return &s->table[pn_str_hash(address, s->seed, true) % TABLE];
}

static struct entry *find(const struct suppress *s, struct pn_str address)
{
    struct entry *e = s->table[pn_str_hash(address, s->seed, true) % TABLE];
    while (e != NULL && !pn_str_ieq(address_of(e), address))
        e = e->next_same;
    return e;
}

static void drop(struct suppress *s, struct entry *e)
{
    struct entry **at = slot_of(s, address_of(e));
    while (*at != e)
        at = &(*at)->next_same;
    *at = e->next_same;
    *e->at = e->next;
    if (e->next != NULL)
        e->next->at = e->at;
    else
        s->end = e->at;
    s->count--;
    free(e);
}

static void put(struct suppress *s, struct pn_str address, struct pn_str reply, int64_t until_ms)
{
    struct entry *e = pn_calloc(1, sizeof *e + address.len + reply.len);
    struct entry **slot = slot_of(s, address);
    e->until_ms = until_ms;
    e->address_len = address.len;
    e->reply_len = reply.len;
    memcpy(e->text, address.p, address.len);
    memcpy(e->text + address.len, reply.p, reply.len);
    e->next_same = *slot;
    *slot = e;
    e->at = s->end;
    *s->end = e;
    s->end = &e->next;
    s->count++;
}

/* Without a byte that parts lines or words of the file. */
static bool is_plain(struct pn_str s, bool spaces)
{
    bool ok = true;
    for (size_t i = 0; i < s.len && ok; i++)
        ok = (uint8_t)s.p[i] > (spaces ? 0x1f : ' ') && s.p[i] != 0x7f;
    return ok;
}

bool suppress_is_hard(const struct pn_smtp_reply *reply)
{
    static const struct pn_smtp_status nobody[] = {{5, 1, 1}, {5, 1, 6}, {5, 1, 10}, {5, 2, 1}};
    bool hard = false;
    for (size_t i = 0; i < sizeof nobody / sizeof nobody[0]; i++)
        hard |= reply->status.x == nobody[i].x && reply->status.y == nobody[i].y &&
                reply->status.z == nobody[i].z;
    return hard && pn_smtp_reply_class(reply) == 5;
}

/* ---- the file ---- */

struct storing {
    struct pn_job job; /* first */
    struct suppress *s;
    struct pn_buf bytes;
    int error;
};

static void store_run(struct pn_job *job)
{
    struct storing *t = (struct storing *)job;
    t->error = t->bytes.overflow ? EFBIG
                                 : pn_replace_whole(t->s->folder, "suppressed", "suppressed.new",
                                                    pn_buf_str(&t->bytes));
}

static void store_done(struct pn_job *job)
{
    struct storing *t = (struct storing *)job;
    t->s->storing = false;
    if (t->error != 0)
        pn_warn("file suppressed could not be written: %s", strerror(t->error));
    if (t->s->dirty)
        pn_timer_set(t->s->timer, STORE_MS);
    pn_buf_fini(&t->bytes);
    free(t);
}

static void on_store(void *ctx)
{
    struct suppress *s = ctx;
    if (s->storing || !s->dirty)
        return;
    struct storing *t = pn_calloc(1, sizeof *t);
    *t = (struct storing){.job = {.run = store_run, .done = store_done}, .s = s};
    pn_buf_init(&t->bytes, (size_t)SUPPRESS_MAX * LINE);
    for (const struct entry *e = s->first; e != NULL; e = e->next)
        (void)pn_buf_addf(&t->bytes, "%lld %.*s %.*s\n", (long long)e->until_ms,
                          PN_FMT(address_of(e)), PN_FMT(reply_of(e)));
    s->dirty = false;
    s->storing = true;
    pn_threads_submit(s->threads, &t->job);
}

static void changed(struct suppress *s)
{
    if (!s->dirty && !s->storing)
        pn_timer_set(s->timer, STORE_MS);
    s->dirty = true;
}

static void decode(struct suppress *s, struct pn_str bytes)
{
    while (bytes.len > 0) {
        struct pn_str reply = pn_str_split(&bytes, '\n');
        struct pn_str until = pn_str_split(&reply, ' ');
        struct pn_str address = reply.p == NULL ? reply : pn_str_split(&reply, ' ');
        uint64_t ms;
        if (reply.p != NULL && pn_str_u64(until, INT64_MAX, &ms))
            suppress_add(s, address, reply, (int64_t)ms);
    }
}

static void load(struct suppress *s)
{
    struct stat st;
    int fd = openat(s->folder, "suppressed", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return;
    int error = fd < 0 || fstat(fd, &st) != 0             ? errno
                : st.st_size > (off_t)SUPPRESS_MAX * LINE ? EFBIG
                                                          : 0;
    size_t size = error == 0 ? (size_t)st.st_size : 0;
    char *bytes = pn_alloc(size + 1);
    if (error == 0)
        error = pn_read_whole_at(fd, bytes, size, 0, EIO);
    if (error == 0)
        decode(s, (struct pn_str){bytes, size});
    else
        pn_warn("file suppressed: %s; it is begun anew", strerror(error));
    if (fd >= 0)
        (void)close(fd);
    free(bytes);
}

struct suppress *suppress_new(struct pn_loop *loop, struct pn_threads *threads, int folder)
{
    struct suppress *s = pn_calloc(1, sizeof *s);
    s->end = &s->first;
    s->folder = folder;
    s->threads = threads;
    if (getrandom(&s->seed, sizeof s->seed, 0) < 0) /* strangers choose addresses */
        s->seed = pn_clock_mono_ns();
    s->timer = pn_timer_new(loop, on_store, s);
    load(s);
    s->dirty = false;
    return s;
}

void suppress_end(struct suppress *s)
{
    if (s != NULL)
        on_store(s);
}

void suppress_free(struct suppress **suppress)
{
    struct suppress *s = *suppress;
    *suppress = NULL;
    if (s == NULL)
        return;
    while (s->first != NULL)
        drop(s, s->first);
    pn_timer_free(&s->timer);
    free(s);
}

/* ---- what is in it ---- */

void suppress_add(struct suppress *s, struct pn_str address, struct pn_str reply, int64_t until_ms)
{
    reply = pn_str_slice(reply, 0, SUPPRESS_REPLY_MAX);
    if (address.len == 0 || address.len > SUPPRESS_ADDRESS_MAX || !is_plain(address, false) ||
        !is_plain(reply, true))
        return;
    struct entry *old = find(s, address);
    if (old != NULL)
        drop(s, old);
    else if (s->count == SUPPRESS_MAX)
        drop(s, s->first);
    put(s, address, reply, until_ms);
    changed(s);
}

bool suppress_find(const struct suppress *s, struct pn_str address, int64_t now_ms,
                   struct suppressed *out)
{
    const struct entry *e = find(s, address);
    if (e == NULL || e->until_ms <= now_ms)
        return false;
    *out = (struct suppressed){address_of(e), reply_of(e), e->until_ms};
    return true;
}

bool suppress_remove(struct suppress *s, struct pn_str address)
{
    struct entry *e = find(s, address);
    if (e == NULL)
        return false;
    drop(s, e);
    changed(s);
    return true;
}

size_t suppress_count(const struct suppress *s)
{
    return s->count;
}

void suppress_each(const struct suppress *s, void (*fn)(void *ctx, const struct suppressed *one),
                   void *ctx)
{
    for (const struct entry *e = s->first; e != NULL; e = e->next) {
        const struct suppressed one = {address_of(e), reply_of(e), e->until_ms};
        fn(ctx, &one);
    }
}
