#include "life.h"

#include "assert.h"
#include "calls.h"
#include "mem.h"
#include "plan.h"
#include "sim.h"
#include "sites.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *place = ".";

void life_place(const char *folder)
{
    place = folder;
}

/* ---- folders ---- */

struct folder {
    char path[256];
    int fd;
};

static void folder_make(struct folder *f)
{
    (void)snprintf(f->path, sizeof f->path, "%s/power.XXXXXX", place);
    pn_assert(mkdtemp(f->path) != NULL);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(f->fd >= 0);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void folder_remove(struct folder *f)
{
    enum { OPEN_MAX_ = 8 };
    (void)close(f->fd);
    pn_assert(nftw(f->path, remove_it, OPEN_MAX_, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- recording ---- */

static void note_wrong(char *to, size_t size, const struct verdict *v)
{
    if (to[0] == '\0' && v->wrong[0] != '\0')
        (void)snprintf(to, size, "%s", v->wrong);
}

/* Runs a load on the disk that life->base is; oracle: what must be found there, or NULL. */
static void run(struct life *life, const struct load *load, const struct oracle *oracle,
                uint64_t *lot, struct verdict *v)
{
    static struct server server;
    struct folder folder;
    struct verdict later = {0};
    folder_make(&folder);
    disk_write(&life->base, folder.fd, calls_know);
    life->log.inodes = (uint32_t)life->base.count;
    calls_record(&life->log);
    bool started = server_open(&server, folder.fd);
    if (oracle != NULL)
        judge(&server, started, oracle, v);
    if (started && v->wrong[0] == '\0') {
        (void)load_run(load, &server, &life->next_id, lot, &life->log, &later);
        note_wrong(life->wrong, sizeof life->wrong, &later);
    }
    server_close(&server);
    calls_record(NULL);
    calls_forget();
    folder_remove(&folder);
}

void life_record(struct life *life, const struct load *load, uint64_t seed)
{
    struct verdict v = {0};
    uint64_t lot = seed;
    *life = (struct life){.next_id = 1};
    sim_begin(seed);
    for (uint32_t i = 0; i < 3; i++)
        disk_make(&life->base, i, true);
    disk_put_name(&life->base, LOG_ROOT, "spool", 1);
    disk_put_name(&life->base, LOG_ROOT, "mail", 2);
    run(life, load, NULL, &lot, &v);
}

void life_free(struct life *life)
{
    disk_free(&life->base);
    log_free(&life->log);
}

unsigned life_syncs(const struct life *life, unsigned site)
{
    unsigned n = 0;
    for (size_t i = 0; i < life->log.count; i++)
        n += life->log.v[i].type == LOG_SYNC && life->log.v[i].site == site;
    return n;
}

/* ---- cutting ---- */

/* All that a cut's judgement needs. */
struct at {
    unsigned removed;
    const struct thoroughness *how;
    uint64_t *lot;
    struct tally *tally;
    uint32_t next_id;
    const char *where; /* of the second life, or "" */
};

static void count_verdict(struct at *at, const struct oracle *oracle, const struct verdict *v,
                          size_t cut, const char *plan)
{
    struct tally *t = at->tally;
    t->disks++;
    for (uint32_t i = 0; i < oracle->count; i++)
        t->accepted += oracle->mails[i].kept;
    t->unheard += v->unheard;
    t->repeated += v->repeated;
    t->lost += v->wrong[0] != '\0';
    if (t->wrong[0] == '\0' && v->wrong[0] != '\0')
        (void)snprintf(t->wrong, sizeof t->wrong, "%s (cut at %zu%s, %s)", v->wrong, cut, at->where,
                       plan);
}

/* What a start finds on this disk. */
static void look(const struct disk *image, const struct oracle *oracle, struct verdict *v)
{
    static struct server server;
    struct folder folder;
    folder_make(&folder);
    disk_write(image, folder.fd, NULL);
    bool started = server_open(&server, folder.fd);
    judge(&server, started, oracle, v);
    server_close(&server);
    folder_remove(&folder);
}

static bool enough(const struct at *at)
{
    return at->how->first && at->tally->lost > 0;
}

static void cut_life(const struct life *life, const struct oracle *before, struct at *at);

/* The found disk is started on, and cut again, during the start and after. */
static void live_again(const struct disk *image, const struct oracle *oracle, size_t cut,
                       const char *plan, struct at *at)
{
    enum { EACH = 2, STRIDE = 5 };
    static const struct thoroughness fewer = {.each = EACH, .stride = STRIDE};
    static const struct thoroughness fewer_first = {.each = EACH, .stride = STRIDE, .first = true};
    struct life life = {.next_id = at->next_id};
    struct verdict v = {0};
    char where[120];
    disk_copy(image, &life.base);
    run(&life, load_after(), oracle, at->lot, &v);
    if (v.wrong[0] == '\0' && life.wrong[0] != '\0')
        (void)snprintf(v.wrong, sizeof v.wrong, "%s", life.wrong);
    count_verdict(at, oracle, &v, cut, plan);
    (void)snprintf(where, sizeof where, " of the life after %zu, %s", cut, plan);
    struct at then = {at->removed, at->how->first ? &fewer_first : &fewer,
                      at->lot,     at->tally,
                      at->next_id, where};
    at->tally->second++;
    if (v.wrong[0] == '\0')
        cut_life(&life, oracle, &then);
    life_free(&life);
}

static void cut_here(const struct disk *disk, const struct oracle *oracle, size_t i, struct at *at)
{
    unsigned count = plan_count(disk, at->how->each);
    at->tally->cuts++;
    for (unsigned n = 0; n < count && !enough(at); n++) {
        struct cut cut;
        struct disk image;
        struct verdict v;
        plan_draw(disk, n, count, at->lot, &cut);
        disk_pair(disk, &cut);
        disk_cut(disk, &cut, &image);
        if (at->how->second != 0 && sim_below(at->lot, at->how->second) == 0) {
            live_again(&image, oracle, i, cut.plan, at);
        } else {
            look(&image, oracle, &v);
            count_verdict(at, oracle, &v, i, cut.plan);
        }
        disk_free(&image);
        free(cut.on);
    }
}

/* Nothing on the disk differs from how it was before this. */
static bool is_silent(const struct entry *e, unsigned removed)
{
    return e->type == LOG_MAKE || (e->type == LOG_SYNC && e->site == removed);
}

static void cut_life(const struct life *life, const struct oracle *before, struct at *at)
{
    struct disk disk;
    struct oracle *oracle = pn_alloc(sizeof *oracle);
    *oracle = *before;
    disk_copy(&life->base, &disk);
    size_t phase = sim_below(at->lot, at->how->stride);
    /* Before a site's first sync all is as if it were there. */
    bool differs = at->removed == SITE_NONE || at->how->second != 0;
    for (size_t i = 0; i < life->log.count && !enough(at); i++) {
        const struct entry *e = &life->log.v[i];
        disk_apply(&disk, e, at->removed);
        differs |= e->type == LOG_SYNC && e->site == at->removed;
        if (e->type == LOG_EVENT)
            oracle_add(oracle, &e->event);
        if (disk.slow) {
            struct verdict v = {.wrong = "a data sync finds its file's size pending: it waits for "
                                         "the file system's bookkeeping"};
            count_verdict(at, oracle, &v, i, "");
            disk.slow = false;
        }
        bool half = e->type == LOG_NAME && e->pair != 0 && e->target != LOG_NONE;
        if (differs && i % at->how->stride == phase && !is_silent(e, at->removed) && !half)
            cut_here(&disk, oracle, i, at);
    }
    disk_free(&disk);
    free(oracle);
}

void life_cut(const struct life *life, unsigned removed, const struct thoroughness *how,
              uint64_t seed, struct tally *tally)
{
    static const struct oracle nothing;
    uint64_t lot = seed;
    struct at at = {removed, how, &lot, tally, life->next_id, ""};
    cut_life(life, &nothing, &at);
}
