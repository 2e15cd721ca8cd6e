/* One of the disks that a cut may leave, in memory and as files. */
#include "disk.h"

#include "assert.h"
#include "mem.h"
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy_inode(const struct inode *from, struct inode *to)
{
    to->folder = from->folder;
    to->size = from->size;
    to->cap = from->cap;
    if (from->cap > 0) {
        to->bytes = pn_alloc(from->cap);
        memcpy(to->bytes, from->bytes, from->cap);
    }
    for (size_t i = 0; i < from->names.count; i++) {
        to->names.v = pn_grow(to->names.v, &to->names.cap, i, sizeof *to->names.v);
        to->names.v[to->names.count++] =
            (struct name){pn_strdup(from->names.v[i].name), from->names.v[i].target};
    }
}

/* Its durable part, as one where nothing is pending. */
static void begin_image(const struct disk *d, struct disk *image)
{
    *image = (struct disk){0};
    if (d->count > 0)
        disk_make(image, (uint32_t)d->count - 1, false);
    for (size_t i = 0; i < d->count; i++)
        copy_inode(&d->inodes[i], &image->inodes[i]);
}

static void fill(char *to, uint64_t n, uint64_t *state)
{
    for (uint64_t i = 0; i < n; i++)
        to[i] = (char)(sim_random(state) >> 11);
}

static void grow_to(struct inode *n, uint64_t size)
{
    if (size <= n->cap)
        return;
    n->bytes = pn_realloc(n->bytes, size);
    memset(n->bytes + n->cap, 0, size - n->cap);
    n->cap = size;
}

static void put_name(struct names *names, const char *name, uint32_t target)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->v[i].name, name) != 0)
        i++;
    if (i == names->count) {
        names->v = pn_grow(names->v, &names->cap, i, sizeof *names->v);
        names->v[names->count++] = (struct name){pn_strdup(name), target};
    }
    names->v[i].target = target; /* LOG_NONE: left out when it is written */
}

/* Garbage for what a size covers that never had bytes; the bytes that came lie over it. */
static void put_garbage(const struct disk *d, const struct cut *cut, struct disk *image)
{
    uint64_t state = cut->seed;
    for (size_t i = 0; i < d->pending_count && cut->garbage; i++) {
        const struct pending *p = &d->pending[i];
        struct inode *n = p->type == PENDING_SIZE && cut->on[i] ? &image->inodes[p->inode] : NULL;
        uint64_t had = n == NULL ? 0 : d->inodes[p->inode].size;
        if (n == NULL || p->at <= had)
            continue;
        grow_to(n, p->at);
        had = (had + SECTOR - 1) / SECTOR * SECTOR;
        if (p->at > had)
            fill(n->bytes + had, p->at - had, &state);
    }
}

static void put_pending(const struct disk *d, const struct cut *cut, struct disk *image)
{
    for (size_t i = 0; i < d->pending_count; i++) {
        const struct pending *p = &d->pending[i];
        struct inode *n = &image->inodes[p->inode];
        if (!cut->on[i] && i != cut->torn)
            continue;
        if (p->type == PENDING_SIZE) {
            n->size = p->at;
        } else if (p->type == PENDING_NAME) {
            put_name(&n->names, p->name, p->target);
        } else {
            grow_to(n, p->at + SECTOR);
            memcpy(n->bytes + p->at, p->sector, i == cut->torn ? cut->torn_bytes : SECTOR);
        }
    }
}

static void spoil(const struct disk *d, const struct cut *cut, struct disk *image)
{
    if (cut->spoilt == SIZE_MAX)
        return;
    const struct pending *p = &d->pending[cut->spoilt];
    uint64_t at = p->at / BLOCK * BLOCK, state = cut->seed;
    grow_to(&image->inodes[p->inode], at + BLOCK);
    fill(image->inodes[p->inode].bytes + at, BLOCK, &state);
}

void disk_cut(const struct disk *d, const struct cut *cut, struct disk *image)
{
    begin_image(d, image);
    put_garbage(d, cut, image);
    put_pending(d, cut, image);
    spoil(d, cut, image);
    for (size_t i = 0; i < image->count; i++) {
        struct inode *n = &image->inodes[i];
        grow_to(n, n->size);
        n->now = pn_alloc(n->cap + 1);
        n->now_size = n->size;
        n->now_cap = n->cap;
        if (n->cap > n->size) /* beyond the end is nothing, should it grow again */
            memset(n->bytes + n->size, 0, n->cap - n->size);
        if (n->cap > 0)
            memcpy(n->now, n->bytes, n->cap);
    }
}

void disk_copy(const struct disk *from, struct disk *to)
{
    static const struct cut nothing = {.torn = SIZE_MAX, .spoilt = SIZE_MAX};
    pn_assert(from->pending_count == 0);
    disk_cut(from, &nothing, to);
}

/* ---- as files ---- */

struct written {
    const struct disk *image;
    char (*paths)[512]; /* of each inode once it was written; "": not yet */
    int root;
    disk_known *known;
};

static void write_file(const struct written *w, const struct inode *n, const char *path)
{
    int fd = openat(w->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    pn_assert(fd >= 0);
    for (uint64_t at = 0; at < n->size;) {
        ssize_t done = pwrite(fd, n->bytes + at, n->size - at, (off_t)at);
        pn_assert(done > 0);
        at += (uint64_t)done;
    }
    (void)close(fd);
}

static void write_folder(struct written *w, uint32_t folder, unsigned depth);

static void write_one(struct written *w, uint32_t inode, const char *path, unsigned depth)
{
    enum { DEPTH_MAX = 8 };
    const struct inode *n = &w->image->inodes[inode];
    char *first = w->paths[inode];
    if (n->folder && first[0] != '\0')
        return; /* a folder has one name: the other is what fsck takes away */
    if (first[0] != '\0') {
        pn_assert(linkat(w->root, first, w->root, path, 0) == 0);
        return;
    }
    (void)snprintf(first, sizeof w->paths[0], "%s", path);
    if (n->folder)
        pn_assert(mkdirat(w->root, path, 0700) == 0 && depth < DEPTH_MAX);
    else
        write_file(w, n, path);
    if (w->known != NULL)
        w->known(w->root, path, inode);
    if (n->folder)
        write_folder(w, inode, depth + 1);
}

static void write_folder(struct written *w, uint32_t folder, unsigned depth)
{
    const struct names *names = &w->image->inodes[folder].names;
    char path[512];
    for (size_t i = 0; i < names->count; i++) {
        const struct name *name = &names->v[i];
        if (name->target == LOG_NONE)
            continue;
        bool top = folder == LOG_ROOT;
        int n = snprintf(path, sizeof path, "%s%s%s", top ? "" : w->paths[folder], top ? "" : "/",
                         name->name);
        pn_assert(n > 0 && (size_t)n < sizeof path);
        write_one(w, name->target, path, depth);
    }
}

void disk_write(const struct disk *image, int root, disk_known *known)
{
    struct written w = {image, pn_calloc(image->count, sizeof *w.paths), root, known};
    (void)snprintf(w.paths[LOG_ROOT], sizeof w.paths[LOG_ROOT], ".");
    if (known != NULL)
        known(root, ".", LOG_ROOT);
    write_folder(&w, LOG_ROOT, 0);
    free(w.paths);
}
