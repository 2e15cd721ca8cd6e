#include "dns_shelf.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"
#include "memfile.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAYS = 4, SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW };

#define KEEP_MAX_NS (UINT64_C(300) * PN_NS_PER_S)
#define MAGIC       UINT64_C(0x31666c656873706e)

struct slot {
    atomic_uint turn; /* odd: being written */
    uint32_t len;     /* of body: name, type, answer (wire.h); 0: nothing */
    uint64_t hash;
    uint64_t stored, expires; /* monotonic ns */
    char body[DNS_SHELF_BODY];
};

struct file {
    uint64_t magic, seed;
    char pad[DNS_SHELF_SLOT - 16];
    struct slot slots[DNS_SHELF_SLOTS];
};

_Static_assert(sizeof(struct slot) == DNS_SHELF_SLOT, "a slot");
_Static_assert(DNS_SHELF_SLOTS % WAYS == 0, "whole sets");

struct pn_dns_shelf {
    struct file *file;
    int fd;
};

struct pn_dns_view {
    const struct file *file;
};

/* Where the name's slots begin. */
static size_t set_of(uint64_t hash)
{
    return hash % (DNS_SHELF_SLOTS / WAYS) * WAYS;
}

static uint64_t hash_of(const struct file *f, struct pn_str name, uint16_t type)
{
    return pn_str_hash(name, f->seed + type, false);
}

/* ---- the resolver's side */

struct pn_dns_shelf *pn_dns_shelf_new(void)
{
    int fd = pn_memfile_fd("dns");
    void *map = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof(struct file)) == 0)
        map = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_FUTURE_WRITE) != 0) {
        if (map != MAP_FAILED)
            (void)munmap(map, sizeof(struct file));
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    struct pn_dns_shelf *s = pn_calloc(1, sizeof *s);
    *s = (struct pn_dns_shelf){map, fd};
    s->file->magic = MAGIC;
    s->file->seed = pn_clock_mono_ns();
    return s;
}

void pn_dns_shelf_free(struct pn_dns_shelf **shelf)
{
    struct pn_dns_shelf *s = *shelf;
    if (s == NULL)
        return;
    *shelf = NULL;
    (void)munmap(s->file, sizeof *s->file);
    (void)close(s->fd);
    free(s);
}

int pn_dns_shelf_fd(const struct pn_dns_shelf *s)
{
    return s->fd;
}

/* The slot that has this name, else the one that expires first. */
static struct slot *slot_for(struct file *f, uint64_t hash)
{
    struct slot *set = &f->slots[set_of(hash)], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].expires < oldest->expires)
            oldest = &set[i];
    }
    return oldest;
}

static void write_slot(struct slot *s, const struct slot *head, struct pn_str body)
{
    /* Odd also where another one died while it wrote. */
    unsigned turn = atomic_load_explicit(&s->turn, memory_order_relaxed) | 1U;
    atomic_store_explicit(&s->turn, turn, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    s->len = (uint32_t)body.len;
    s->hash = head->hash;
    s->stored = head->stored;
    s->expires = head->expires;
    if (body.len != 0)
        memcpy(s->body, body.p, body.len);
    atomic_store_explicit(&s->turn, turn + 1, memory_order_release);
}

void pn_dns_shelf_put(struct pn_dns_shelf *shelf, struct pn_str name, uint16_t type,
                      const struct pn_dns_answer *answer, uint32_t ttl, uint64_t now)
{
    char room[DNS_SHELF_BODY];
    struct pn_buf b = {.p = room, .cap = sizeof room, .max = sizeof room};
    uint64_t hash = hash_of(shelf->file, name, type);
    pn_wr_str(&b, name);
    pn_wr_u16(&b, type);
    pn_dns_answer_put(&b, 0, answer);
    if (ttl == 0 || b.overflow)
        return;
    uint64_t span = (uint64_t)ttl * (PN_NS_PER_S / 10 * 9);
    if (span > KEEP_MAX_NS)
        span = KEEP_MAX_NS;
    const struct slot head = {.hash = hash, .stored = now, .expires = now + span};
    write_slot(slot_for(shelf->file, hash), &head, pn_buf_str(&b));
}

void pn_dns_shelf_clear(struct pn_dns_shelf *shelf)
{
    static const struct slot none;
    for (size_t i = 0; i < DNS_SHELF_SLOTS; i++)
        if (shelf->file->slots[i].len != 0)
            write_slot(&shelf->file->slots[i], &none, PN_STR(""));
}

/* ---- a reader's */

struct pn_dns_view *pn_dns_view_open(int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    /* It may not shrink below what is mapped. */
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 ||
        st.st_size != sizeof(struct file))
        return NULL;
    const struct file *f = mmap(NULL, sizeof *f, PROT_READ, MAP_SHARED, fd, 0);
    if (f == MAP_FAILED)
        return NULL;
    if (f->magic != MAGIC) {
        (void)munmap((void *)(uintptr_t)f, sizeof *f);
        return NULL;
    }
    struct pn_dns_view *v = pn_calloc(1, sizeof *v);
    v->file = f;
    return v;
}

void pn_dns_view_close(struct pn_dns_view **view)
{
    struct pn_dns_view *v = *view;
    if (v == NULL)
        return;
    *view = NULL;
    (void)munmap((void *)(uintptr_t)v->file, sizeof *v->file);
    free(v);
}

/* Copies it if it is this name's and whole. */
static bool copy_slot(const struct slot *s, uint64_t hash, uint64_t now, char *room, size_t *len,
                      uint64_t *stored)
{
    unsigned turn = atomic_load_explicit(&s->turn, memory_order_acquire);
    if ((turn & 1) != 0 || s->hash != hash || s->expires <= now)
        return false;
    *len = s->len;
    *stored = s->stored;
    if (*len == 0 || *len > DNS_SHELF_BODY || *stored > now)
        return false;
    memcpy(room, s->body, *len);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&s->turn, memory_order_relaxed) == turn;
}

static bool decode(struct pn_dns_found *out, size_t len, struct pn_str name, uint16_t type,
                   uint64_t age_s)
{
    struct pn_rd r = pn_rd_of((struct pn_str){out->room, len});
    struct pn_str have = pn_rd_str(&r);
    uint64_t id;
    bool same = pn_rd_u16(&r) == type && pn_rd_ok(&r) && pn_str_eq(have, name);
    if (!same || !pn_dns_answer_next(&r, &id, &out->answer, out->records) || !pn_rd_done(&r))
        return false;
    for (uint32_t i = 0; i < out->answer.count; i++) {
        uint32_t ttl = out->records[i].ttl;
        out->records[i].ttl = ttl > age_s ? ttl - (uint32_t)age_s : 0;
    }
    return true;
}

bool pn_dns_view_find(const struct pn_dns_view *v, struct pn_str name, uint16_t type, uint64_t now,
                      struct pn_dns_found *out)
{
    uint64_t hash = hash_of(v->file, name, type), stored;
    const struct slot *set = &v->file->slots[set_of(hash)];
    size_t len;
    for (size_t i = 0; i < WAYS; i++)
        if (copy_slot(&set[i], hash, now, out->room, &len, &stored))
            return decode(out, len, name, type, (now - stored) / PN_NS_PER_S);
    return false;
}
