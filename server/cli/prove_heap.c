#include "prove_heap.h"

#include "assert.h"
#include "prove_blame.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- counts and live blocks, in shared memory */

struct block {
    uintptr_t p; /* 0: free, 1: was one */
    uint32_t size;
    uintptr_t site;
};

static struct heap {
    struct heap_counts counts;
    struct block blocks[HEAP_SITES_MAX];
} * heap;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of blocks, in this process */
static bool keeps_blocks;
static uint32_t passed; /* the round in which this process is not counted; 0: none */
static _Thread_local unsigned inside;

struct heap_counts *heap_init(void)
{
    void *map = mmap(NULL, sizeof *heap, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(map != MAP_FAILED);
    heap = map;
    return &heap->counts;
}

static bool passes(void)
{
    return passed != 0 && passed == atomic_load(&heap->counts.round);
}

void heap_pass(void)
{
    passed = atomic_load(&heap->counts.round);
}

void heap_reset(bool keeps)
{
    keeps_blocks = keeps;
    if (!passes()) {
        atomic_store(&heap->counts.asked, 0);
        atomic_store(&heap->counts.failed, 0);
    }
    if (!keeps)
        return;
    memset(heap->blocks, 0, sizeof heap->blocks);
    atomic_store(&heap->counts.live, 0);
    atomic_store(&heap->counts.live_bytes, 0);
}

void heap_enter(void)
{
    inside++;
}

void heap_leave(void)
{
    inside--;
}

bool heap_may(void)
{
    if (passes())
        return true;
    uint64_t n = atomic_fetch_add(&heap->counts.asked, 1) + 1;
    if (n != atomic_load(&heap->counts.fail_at))
        return true;
    atomic_store(&heap->counts.failed, 1);
    return false;
}

static struct block *slot_of(uintptr_t p, bool to_add)
{
    size_t at = (size_t)((p >> 4) * 0x9e3779b97f4a7c15U) % HEAP_SITES_MAX;
    for (size_t i = 0; i < HEAP_SITES_MAX; i++, at = (at + 1) % HEAP_SITES_MAX) {
        struct block *b = &heap->blocks[at];
        if (b->p == p || (to_add && b->p <= 1))
            return b;
        if (b->p == 0)
            return NULL;
    }
    return NULL;
}

static void add(void *p, size_t size, uintptr_t site)
{
    if (p == NULL || !keeps_blocks)
        return;
    (void)pthread_mutex_lock(&lock);
    struct block *b = slot_of((uintptr_t)p, true);
    if (b != NULL) {
        *b = (struct block){(uintptr_t)p, (uint32_t)(size > UINT32_MAX ? UINT32_MAX : size), site};
        atomic_fetch_add(&heap->counts.live, 1);
        atomic_fetch_add(&heap->counts.live_bytes, b->size);
    }
    (void)pthread_mutex_unlock(&lock);
}

/* Whether it was one of ours. */
static bool drop(const void *p)
{
    if (p == NULL || !keeps_blocks)
        return false;
    (void)pthread_mutex_lock(&lock);
    struct block *b = slot_of((uintptr_t)p, false);
    if (b != NULL) {
        atomic_fetch_sub(&heap->counts.live, 1);
        atomic_fetch_sub(&heap->counts.live_bytes, b->size);
        b->p = 1;
    }
    (void)pthread_mutex_unlock(&lock);
    return b != NULL;
}

void heap_site(struct pn_buf *out)
{
    uintptr_t best = 0;
    size_t most = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < HEAP_SITES_MAX; i++) {
        size_t n = 0;
        uint64_t size = 0;
        if (heap->blocks[i].p <= 1 || heap->blocks[i].site == best)
            continue;
        for (size_t k = i; k < HEAP_SITES_MAX; k++)
            if (heap->blocks[k].p > 1 && heap->blocks[k].site == heap->blocks[i].site) {
                n++;
                size += heap->blocks[k].size;
            }
        if (n > most) {
            most = n;
            bytes = size;
            best = heap->blocks[i].site;
        }
    }
    Dl_info info;
    if (best == 0 || dladdr((void *)best, &info) == 0)
        return;
    const char *slash = strrchr(info.dli_fname, '/');
    (void)pn_buf_addf(
        out, "%s+0x%zx%s%s (%zu blocks, %llu bytes)", slash == NULL ? info.dli_fname : slash + 1,
        best - (uintptr_t)info.dli_fbase, info.dli_sname == NULL ? "" : " in ",
        info.dli_sname == NULL ? "" : info.dli_sname, most, (unsigned long long)bytes);
}

/* ---- what stands in for malloc and its kin */

#define SITE ((uintptr_t)__builtin_return_address(0))

static bool refused(void)
{
    if (inside == 0 || heap_may())
        return false;
    blame_refused();
    errno = ENOMEM;
    return true;
}

static void *took(void *p, size_t size, uintptr_t site)
{
    if (inside != 0)
        add(p, size, site);
    return p;
}

static void *led_malloc(size_t n)
{
    return refused() ? NULL : took(malloc(n), n, SITE);
}

static void *led_calloc(size_t count, size_t n)
{
    return refused() ? NULL : took(calloc(count, n), count * n, SITE);
}

static void *led_realloc(void *p, size_t n)
{
    if (refused())
        return NULL;
    bool ours = drop(p);
    void *q = realloc(p, n);
    if (ours || inside != 0)
        add(q != NULL || n == 0 ? q : p, n, SITE);
    return q;
}

static void *led_reallocarray(void *p, size_t count, size_t n)
{
    if (n != 0 && count > SIZE_MAX / n) {
        errno = ENOMEM;
        return NULL;
    }
    return led_realloc(p, count * n);
}

static void led_free(void *p)
{
    (void)drop(p);
    free(p);
}

static int led_posix_memalign(void **out, size_t align, size_t n)
{
    if (refused())
        return ENOMEM;
    int rc = posix_memalign(out, align, n);
    if (rc == 0)
        (void)took(*out, n, SITE);
    return rc;
}

static void *led_aligned_alloc(size_t align, size_t n)
{
    return refused() ? NULL : took(aligned_alloc(align, n), n, SITE);
}

static const struct lead {
    const char *name;
    void (*to)(void);
} leads[] = {
    {"malloc", (void (*)(void))led_malloc},
    {"calloc", (void (*)(void))led_calloc},
    {"realloc", (void (*)(void))led_realloc},
    {"reallocarray", (void (*)(void))led_reallocarray},
    {"free", (void (*)(void))led_free},
    {"posix_memalign", (void (*)(void))led_posix_memalign},
    {"aligned_alloc", (void (*)(void))led_aligned_alloc},
    {"memalign", (void (*)(void))led_aligned_alloc},
};

/* ---- relocations */

/* The start-up code of the C library and the sanitizers must have what they had. */
static bool stays(const char *path)
{
    static const char *const names[] = {"ld-linux", "linux-vdso", "libasan",  "libubsan",
                                        "liblsan",  "libtsan",    "vgpreload"};
    if (path[0] == '\0') /* the program itself */
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strstr(path, names[i]) != NULL)
            return true;
    return false;
}

#if defined __x86_64__
enum { TYPE_COPY = R_X86_64_COPY };
#elif defined __aarch64__
enum { TYPE_COPY = R_AARCH64_COPY };
#else
#error "say what a copy relocation is here"
#endif

struct object {
    uintptr_t base;
    const ElfW(Sym) * symbols;
    const char *names;
    struct pn_buf *err;
    bool ok;
};

/* Where a function begins, as the linker writes it. */
static void *lead_of(const char *name)
{
    void *at = NULL;
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++)
        if (strcmp(name, leads[i].name) == 0)
            memcpy(&at, &leads[i].to, sizeof at);
    return at;
}

/* Behind its start the linker made the table read-only. */
static void put(struct object *o, void **at, void *to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)at & ~(page - 1);
    if (*at == to)
        return;
    if (mprotect((void *)from, page, PROT_READ | PROT_WRITE) != 0) {
        (void)pn_buf_addf(o->err, "a plugin's calls can't be led: %s", strerror(errno));
        o->ok = false;
        return;
    }
    *at = to;
}

static void lead_table(struct object *o, const ElfW(Rela) * rela, size_t size)
{
    for (size_t i = 0; i < size / sizeof *rela && o->ok; i++) {
        size_t symbol = ELF64_R_SYM(rela[i].r_info);
        void *to = symbol == 0 ? NULL : lead_of(o->names + o->symbols[symbol].st_name);
        if (to != NULL && rela[i].r_addend == 0 && ELF64_R_TYPE(rela[i].r_info) != TYPE_COPY)
            put(o, (void **)(o->base + rela[i].r_offset), to);
    }
}

static uintptr_t absolute(const struct object *o, uintptr_t p)
{
    return p < o->base ? o->base + p : p; /* the linker has added it, or not (vdso) */
}

static void lead_object(const struct link_map *map, struct object *o)
{
    const ElfW(Rela) *rela = NULL, *jumps = NULL;
    size_t rela_size = 0, jumps_size = 0;
    o->base = map->l_addr;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        uintptr_t p = absolute(o, d->d_un.d_ptr);
        if (d->d_tag == DT_SYMTAB)
            o->symbols = (const void *)p;
        else if (d->d_tag == DT_STRTAB)
            o->names = (const void *)p;
        else if (d->d_tag == DT_RELA)
            rela = (const void *)p;
        else if (d->d_tag == DT_RELASZ)
            rela_size = d->d_un.d_val;
        else if (d->d_tag == DT_JMPREL)
            jumps = (const void *)p;
        else if (d->d_tag == DT_PLTRELSZ)
            jumps_size = d->d_un.d_val;
    }
    if (o->symbols == NULL || o->names == NULL)
        return;
    if (rela != NULL)
        lead_table(o, rela, rela_size);
    if (jumps != NULL)
        lead_table(o, jumps, jumps_size);
}

bool heap_lead(struct pn_buf *err)
{
    struct link_map *map = NULL;
    void *self = dlopen(NULL, RTLD_NOW);
    bool ok = self != NULL && dlinfo(self, RTLD_DI_LINKMAP, &map) == 0;
    while (ok && map->l_prev != NULL)
        map = map->l_prev;
    for (; ok && map != NULL; map = map->l_next) {
        struct object o = {.err = err, .ok = true};
        if (!stays(map->l_name))
            lead_object(map, &o);
        ok = o.ok;
    }
    if (self != NULL)
        (void)dlclose(self);
    return ok;
}
