#include "disk.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static void pending_free(struct pending *p)
{
    free(p->sector);
    free(p->name);
}

void disk_free(struct disk *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct inode *n = &d->inodes[i];
        for (size_t k = 0; k < n->names.count; k++)
            free(n->names.v[k].name);
        free(n->names.v);
        free(n->bytes);
        free(n->now);
    }
    for (size_t i = 0; i < d->pending_count; i++)
        pending_free(&d->pending[i]);
    free(d->inodes);
    free(d->pending);
    *d = (struct disk){0};
}

void disk_make(struct disk *d, uint32_t inode, bool folder)
{
    while (d->count <= inode) {
        d->inodes = pn_grow(d->inodes, &d->cap, d->count, sizeof *d->inodes);
        d->inodes[d->count++] = (struct inode){0};
    }
    d->inodes[inode].folder = folder;
}

/* Room for size bytes; what is new is zeros. */
static void reserve(char **bytes, uint64_t *cap, uint64_t size)
{
    if (size <= *cap)
        return;
    uint64_t more = (size + BLOCK - 1) / BLOCK * BLOCK;
    *bytes = pn_realloc(*bytes, more);
    memset(*bytes + *cap, 0, more - *cap);
    *cap = more;
}

void disk_put_bytes(struct disk *d, uint32_t inode, const char *bytes, uint64_t size)
{
    struct inode *n = &d->inodes[inode];
    if (size == 0)
        return;
    reserve(&n->bytes, &n->cap, size);
    reserve(&n->now, &n->now_cap, size);
    memcpy(n->bytes, bytes, size);
    memcpy(n->now, bytes, size);
    n->size = n->now_size = size;
}

static void set_name(struct names *names, const char *name, uint32_t target)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->v[i].name, name) != 0)
        i++;
    if (i < names->count && target != LOG_NONE) {
        names->v[i].target = target;
    } else if (i < names->count) {
        free(names->v[i].name);
        names->v[i] = names->v[--names->count];
    } else if (target != LOG_NONE) {
        names->v = pn_grow(names->v, &names->cap, names->count, sizeof *names->v);
        names->v[names->count++] = (struct name){pn_strdup(name), target};
    }
}

void disk_put_name(struct disk *d, uint32_t folder, const char *name, uint32_t target)
{
    set_name(&d->inodes[folder].names, name, target);
}

static void put_sector(struct inode *n, uint64_t at, const char *sector)
{
    reserve(&n->bytes, &n->cap, at + SECTOR);
    memcpy(n->bytes + at, sector, SECTOR);
}

/* ---- as things happen ---- */

static struct pending *wait_for_disk(struct disk *d, enum pending_type type, uint32_t inode)
{
    d->pending = pn_grow(d->pending, &d->pending_cap, d->pending_count, sizeof *d->pending);
    struct pending *p = &d->pending[d->pending_count++];
    *p = (struct pending){.type = (uint8_t)type, .inode = inode};
    return p;
}

static void resize(struct disk *d, uint32_t inode, uint64_t size)
{
    struct inode *n = &d->inodes[inode];
    if (size == n->now_size)
        return;
    reserve(&n->now, &n->now_cap, size);
    if (size < n->now_size)
        memset(n->now + size, 0, n->now_size - size);
    n->now_size = size;
    wait_for_disk(d, PENDING_SIZE, inode)->at = size;
}

static void write_bytes(struct disk *d, const struct entry *e)
{
    struct inode *n = &d->inodes[e->inode];
    reserve(&n->now, &n->now_cap, e->at + e->size + SECTOR);
    memcpy(n->now + e->at, e->data, e->size);
    if (e->at + e->size > n->now_size)
        resize(d, e->inode, e->at + e->size);
    for (uint64_t at = e->at / SECTOR * SECTOR; at < e->at + e->size; at += SECTOR) {
        struct pending *p = wait_for_disk(d, PENDING_SECTOR, e->inode);
        p->at = at;
        p->sector = pn_alloc(SECTOR);
        memcpy(p->sector, n->now + at, SECTOR);
    }
}

static void settle(struct disk *d, const struct pending *p)
{
    struct inode *n = &d->inodes[p->inode];
    if (p->type == PENDING_SECTOR)
        put_sector(n, p->at, p->sector);
    else if (p->type == PENDING_SIZE)
        n->size = p->at;
    else
        set_name(&n->names, p->name, p->target);
}

/* A later version of the same thing is durable: the earlier one, adrift, can't come now. */
static bool is_outdone(const struct disk *d, size_t i)
{
    const struct pending *p = &d->pending[i];
    for (size_t k = i + 1; k < d->pending_count; k++) {
        const struct pending *q = &d->pending[k];
        if (!q->adrift && q->inode == p->inode && q->type == p->type &&
            (p->type == PENDING_SIZE || (p->type == PENDING_SECTOR && q->at == p->at) ||
             (p->type == PENDING_NAME && strcmp(q->name, p->name) == 0)))
            return true;
    }
    return false;
}

static void tie_pairs(const struct disk *d, struct cut *cut)
{
    for (size_t i = 0; i < d->pending_count; i++)
        for (size_t k = i + 1; k < d->pending_count && d->pending[i].pair != 0; k++)
            if (d->pending[k].pair == d->pending[i].pair)
                cut->on[k] = cut->on[i];
}

/* What was renamed twice has not come to its last name without the first. */
void disk_pair(const struct disk *d, struct cut *cut)
{
    tie_pairs(d, cut);
    for (size_t k = d->pending_count; k-- > 0;)
        for (size_t i = 0; i < k && d->pending[k].pair != 0 && cut->on[k]; i++)
            if (d->pending[i].pair != 0 && d->pending[i].target == d->pending[k].target)
                cut->on[i] = 1;
    tie_pairs(d, cut);
}

/* The other name of a rename that comes whole, in another folder. */
static void settle_pairs(struct disk *d, uint32_t inode)
{
    for (size_t i = 0; i < d->pending_count; i++)
        for (size_t k = 0; k < d->pending_count && d->pending[i].pair != 0; k++) {
            struct pending *p = &d->pending[k];
            if (d->pending[i].inode == inode && !d->pending[i].adrift && p->inode != inode &&
                p->inode != LOG_NONE && p->pair == d->pending[i].pair) {
                settle(d, p);
                p->inode = LOG_NONE;
            }
        }
}

static void sync_inode(struct disk *d, const struct entry *e)
{
    size_t left = 0;
    settle_pairs(d, e->inode);
    for (size_t i = 0; i < d->pending_count; i++)
        if (d->pending[i].inode == e->inode && d->pending[i].adrift && is_outdone(d, i))
            d->pending[i].inode = LOG_NONE; /* none's: gone below */
    for (size_t i = 0; i < d->pending_count; i++) {
        struct pending *p = &d->pending[i];
        if (p->inode == e->inode && !p->adrift) {
            settle(d, p);
            d->slow |= e->data_only && p->type == PENDING_SIZE;
        } else if (p->inode != LOG_NONE) {
            d->pending[left++] = *p;
            continue;
        }
        pending_free(p);
    }
    d->pending_count = left;
}

void disk_apply(struct disk *d, const struct entry *e, unsigned removed)
{
    switch (e->type) {
    case LOG_MAKE:
        disk_make(d, e->inode, e->folder);
        break;
    case LOG_WRITE:
        write_bytes(d, e);
        break;
    case LOG_SIZE:
        resize(d, e->inode, e->size);
        break;
    case LOG_NAME: {
        struct pending *p = wait_for_disk(d, PENDING_NAME, e->inode);
        p->name = pn_strdup(e->name);
        p->target = e->target;
        p->pair = e->pair;
        break;
    }
    case LOG_SYNC:
        if (e->site != removed)
            sync_inode(d, e);
        break;
    case LOG_SYNC_LOST:
        for (size_t i = 0; i < d->pending_count; i++)
            d->pending[i].adrift |= d->pending[i].inode == e->inode;
        break;
    default:
        break;
    }
}
