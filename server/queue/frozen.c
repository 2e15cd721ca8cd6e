#include "frozen.h"

#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = FROZEN_GLOB_MAX + 32, FILE_MAX = FROZEN_MAX * LINE_MAX_BYTES };

static struct frozen *frozen_new(size_t count)
{
    struct frozen *f = pn_calloc(1, sizeof *f + count * sizeof f->domains[0]);
    f->count = count;
    return f;
}

bool frozen_glob_ok(struct pn_str glob)
{
    bool ok = glob.len > 0 && glob.len <= FROZEN_GLOB_MAX && glob.p[0] != '-';
    for (size_t i = 0; i < glob.len && ok; i++)
        ok = (uint8_t)glob.p[i] > ' ' && glob.p[i] != 0x7f && glob.p[i] != '@';
    return ok;
}

static void set(struct frozen_domain *to, struct pn_str glob, int64_t since_ms)
{
    to->since_ms = since_ms;
    memcpy(to->glob, glob.p, glob.len);
    to->glob[glob.len] = '\0';
}

static size_t place_of(const struct frozen *f, struct pn_str glob)
{
    size_t i = 0;
    while (i < f->count && !pn_str_ieq(pn_str_of(f->domains[i].glob), glob))
        i++;
    return i;
}

struct frozen *frozen_with(const struct frozen *f, struct pn_str glob, int64_t now_ms)
{
    if (f->count >= FROZEN_MAX || place_of(f, glob) < f->count)
        return NULL;
    struct frozen *next = frozen_new(f->count + 1);
    memcpy(next->domains, f->domains, f->count * sizeof f->domains[0]);
    set(&next->domains[f->count], glob, now_ms);
    return next;
}

struct frozen *frozen_without(const struct frozen *f, struct pn_str glob)
{
    size_t at = place_of(f, glob);
    if (at == f->count)
        return NULL;
    struct frozen *next = frozen_new(f->count - 1);
    for (size_t i = 0, to = 0; i < f->count; i++)
        if (i != at)
            next->domains[to++] = f->domains[i];
    return next;
}

bool frozen_holds(const struct frozen *f, struct pn_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct pn_str domain = pn_str_slice(address, at, address.len);
    bool held = false;
    for (size_t i = 0; i < f->count && at > 0 && !held; i++)
        held = pn_str_glob(pn_str_of(f->domains[i].glob), domain);
    return held;
}

/* ---- the file ---- */

static struct frozen *decode(struct pn_str bytes, struct pn_buf *err)
{
    struct frozen *f = frozen_new(FROZEN_MAX);
    f->count = 0;
    while (bytes.len > 0) {
        struct pn_str glob = pn_str_split(&bytes, '\n');
        struct pn_str since = pn_str_split(&glob, ' ');
        uint64_t ms;
        if (f->count == FROZEN_MAX || !pn_str_u64(since, INT64_MAX, &ms) || !frozen_glob_ok(glob)) {
            (void)pn_buf_addf(err, "file frozen, line %zu: a time and a domain were expected",
                              f->count + 1);
            free(f);
            return NULL;
        }
        set(&f->domains[f->count++], glob, (int64_t)ms);
    }
    return f;
}

struct frozen *frozen_load(int folder, struct pn_buf *err)
{
    struct stat st;
    int fd = openat(folder, "frozen", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return frozen_new(0);
    int error = fd < 0 || fstat(fd, &st) != 0 ? errno : st.st_size > FILE_MAX ? EFBIG : 0;
    size_t size = error == 0 ? (size_t)st.st_size : 0;
    char *bytes = pn_alloc(size + 1);
    if (error == 0)
        error = pn_read_whole_at(fd, bytes, size, 0, EIO);
    if (error != 0)
        (void)pn_buf_addf(err, "file frozen: %s", strerror(error));
    struct frozen *f = error == 0 ? decode((struct pn_str){bytes, size}, err) : NULL;
    if (fd >= 0)
        (void)close(fd);
    free(bytes);
    return f;
}

int frozen_store(const struct frozen *f, int folder)
{
    struct pn_buf b;
    pn_buf_init(&b, FILE_MAX);
    for (size_t i = 0; i < f->count; i++)
        (void)pn_buf_addf(&b, "%lld %s\n", (long long)f->domains[i].since_ms, f->domains[i].glob);
    int error =
        b.overflow ? EFBIG : pn_replace_whole(folder, "frozen", "frozen.new", pn_buf_str(&b));
    if (error == 0 && fsync(folder) != 0)
        error = errno;
    pn_buf_fini(&b);
    return error;
}
