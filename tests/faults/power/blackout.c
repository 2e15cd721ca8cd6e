/*
 * Power cuts for a live server, whose processes run with recorder.so preloaded.
 *
 *   blackout begin TAPE ROOT NAME...      what lies in ROOT/NAME is durable; a new tape begins
 *   blackout kill TAPE PID...             kill -9, between two changes of any file
 *   blackout cut TAPE SEED ROOT NAME...   all are dead: ROOT/NAME become what the disk would have
 *
 * The disk and what a cut may leave of it are disk.h's and plan.h's, as in the harness power.
 */
#include "disk.h"
#include "plan.h"
#include "sim.h"
#include "tape.h"

#include "assert.h"
#include "mem.h"
#include "str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PLANS_MOST = 48, NAMES_MOST = 8, TREE_FDS = 16 };

static struct tape_head *tape;

static void open_tape(const char *path, bool anew)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | (anew ? O_CREAT | O_TRUNC : 0), 0600);
    pn_assert(fd >= 0 && (!anew || ftruncate(fd, (off_t)TAPE_SIZE) == 0));
    void *map = mmap(NULL, TAPE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    pn_assert(map != MAP_FAILED);
    (void)close(fd);
    tape = map;
}

/* ---- begin ---- */

static void note_there(uint64_t folder, const char *name, const struct stat *st, int fd)
{
    uint64_t bytes = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    size_t n = strlen(name) + 1;
    struct tape_record r = {.type = TAPE_THERE,
                            .inode = folder,
                            .target = st->st_ino,
                            .folder = S_ISDIR(st->st_mode),
                            .name = (uint16_t)n,
                            .bytes = bytes};
    r.size = (uint32_t)((sizeof r + n + bytes + 7) & ~(uint64_t)7);
    char *to = (char *)tape + tape->end;
    memcpy(to, &r, sizeof r);
    memcpy(to + sizeof r, name, n);
    for (uint64_t at = 0; at < bytes;) {
        ssize_t got = pread(fd, to + sizeof r + n + at, bytes - at, (off_t)at);
        pn_assert(got > 0);
        at += (uint64_t)got;
    }
    tape->end += r.size;
}

static void note_tree(int dir, uint64_t folder, const char *name, unsigned depth)
{
    enum { DEPTH_MAX = 12 };
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    pn_assert(fd >= 0 && fstat(fd, &st) == 0 && depth < DEPTH_MAX);
    note_there(folder, name, &st, fd);
    if (!S_ISDIR(st.st_mode)) {
        (void)close(fd);
        return;
    }
    DIR *entries = fdopendir(fd);
    pn_assert(entries != NULL);
    for (struct dirent *e; (e = readdir(entries)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            note_tree(fd, st.st_ino, e->d_name, depth + 1);
    (void)closedir(entries);
}

static void begin(const char *path, const char *root, char *const *names)
{
    struct stat st;
    pthread_mutexattr_t shared;
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(dir >= 0 && fstat(dir, &st) == 0);
    (void)unlink(path);
    open_tape(path, true);
    pn_assert(pthread_mutexattr_init(&shared) == 0);
    (void)pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
    pn_assert(pthread_mutex_init(&tape->lock, &shared) == 0);
    tape->end = TAPE_BEGIN;
    tape->device = st.st_dev;
    for (; *names != NULL; names++)
        note_tree(dir, 0, *names, 0);
    (void)close(dir);
}

/* ---- kill ---- */

/* Gone, or a corpse that its parent did not look after yet. */
static bool is_dead(pid_t pid)
{
    char path[40], text[512];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *state = strrchr(text, ')');
    return state == NULL || (state[2] == 'Z' || state[2] == 'X');
}

static void kill_all(char *const *pids)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    int error = pthread_mutex_lock(&tape->lock);
    pn_assert(error == 0);
    for (char *const *p = pids; *p != NULL; p++)
        (void)kill((pid_t)strtol(*p, NULL, 10), SIGKILL);
    for (char *const *p = pids; *p != NULL; p++)
        while (!is_dead((pid_t)strtol(*p, NULL, 10)))
            (void)nanosleep(&moment, NULL);
    (void)pthread_mutex_unlock(&tape->lock);
}

/* ---- cut: the tape becomes a disk ---- */

/* Inodes by the kernel's number; the newest of a number is it. */
struct inodes {
    struct one {
        uint64_t real; /* 0: a free slot */
        uint32_t inode;
    } * slots; /* owned; a power of two */
    size_t size, used;
    uint32_t count;
    bool *mailbox; /* by inode: a folder new or cur; owned */
    size_t cap;
};

static struct one *slot_of(const struct inodes *all, uint64_t real)
{
    uint64_t state = real;
    size_t i = sim_random(&state) & (all->size - 1);
    while (all->slots[i].real != 0 && all->slots[i].real != real)
        i = (i + 1) & (all->size - 1);
    return &all->slots[i];
}

static void grow(struct inodes *all)
{
    enum { FIRST = 1024 };
    struct inodes more = *all;
    more.size = all->size == 0 ? FIRST : all->size * 2;
    more.slots = pn_calloc(more.size, sizeof *more.slots);
    for (size_t i = 0; i < all->size; i++)
        if (all->slots[i].real != 0)
            *slot_of(&more, all->slots[i].real) = all->slots[i];
    free(all->slots);
    *all = more;
}

static uint32_t find(const struct inodes *all, uint64_t real)
{
    return real == 0 || all->size == 0     ? LOG_NONE
           : slot_of(all, real)->real == 0 ? LOG_NONE
                                           : slot_of(all, real)->inode;
}

static uint32_t make(struct inodes *all, uint64_t real)
{
    if (all->used * 2 >= all->size)
        grow(all);
    struct one *slot = slot_of(all, real);
    all->used += slot->real == 0;
    *slot = (struct one){real, all->count};
    all->mailbox = pn_grow(all->mailbox, &all->cap, all->count, sizeof *all->mailbox);
    all->mailbox[all->count] = false;
    return all->count++;
}

struct replay {
    struct disk disk;
    struct inodes inodes;
    uint32_t pairs;
    uint64_t counts[TAPE_DATA_SYNC + 1];
};

static void apply_name(struct replay *r, uint32_t folder, const char *name, uint32_t target,
                       uint32_t pair)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", name);
    disk_apply(&r->disk,
               &(struct entry){
                   .type = LOG_NAME, .inode = folder, .name = copy, .target = target, .pair = pair},
               UINT32_MAX);
}

static void is_called(struct replay *r, uint32_t inode, const char *name)
{
    r->inodes.mailbox[inode] = strcmp(name, "new") == 0 || strcmp(name, "cur") == 0;
}

static void play_there(struct replay *r, const struct tape_record *t, const char *name)
{
    uint32_t folder = t->inode == 0 ? LOG_ROOT : find(&r->inodes, t->inode);
    uint32_t target = find(&r->inodes, t->target);
    if (target == LOG_NONE) {
        target = make(&r->inodes, t->target);
        disk_make(&r->disk, target, t->folder != 0);
        disk_put_bytes(&r->disk, target, name + t->name, t->bytes);
    }
    is_called(r, target, name);
    disk_put_name(&r->disk, folder, name, target);
}

/* Names in folders that are not ours, and of files that are not, are passed over. */
static void play_names(struct replay *r, const struct tape_record *t, const char *name)
{
    uint32_t folder = find(&r->inodes, t->inode), target;
    if (t->type == TAPE_MOVED || t->type == TAPE_SWAPPED) {
        uint32_t to = find(&r->inodes, t->at);
        target = find(&r->inodes, t->target);
        pn_assert((folder == LOG_NONE) == (to == LOG_NONE));
        if (folder == LOG_NONE || (folder == to && strcmp(name, name + t->name) == 0))
            return;
        pn_assert(target != LOG_NONE);
        uint32_t pair = r->inodes.mailbox[folder] || t->folder != 0 ? ++r->pairs : 0;
        uint32_t back = t->type == TAPE_SWAPPED ? find(&r->inodes, t->back) : LOG_NONE;
        pn_assert(back != LOG_NONE || t->type == TAPE_MOVED);
        is_called(r, target, name + t->name);
        apply_name(r, to, name + t->name, target, pair);
        apply_name(r, folder, name, back, pair);
    } else if (folder != LOG_NONE && t->type == TAPE_GONE) {
        apply_name(r, folder, name, LOG_NONE, 0);
    } else if (folder != LOG_NONE) {
        target = t->type == TAPE_LINK ? find(&r->inodes, t->target) : make(&r->inodes, t->target);
        pn_assert(target != LOG_NONE);
        if (t->type == TAPE_MADE)
            disk_make(&r->disk, target, t->folder != 0);
        is_called(r, target, name);
        apply_name(r, folder, name, target, 0);
    }
}

static void play_bytes(struct replay *r, const struct tape_record *t, char *bytes)
{
    static const uint8_t types[] = {[TAPE_WRITE] = LOG_WRITE,
                                    [TAPE_SIZE_IS] = LOG_SIZE,
                                    [TAPE_SYNC] = LOG_SYNC,
                                    [TAPE_DATA_SYNC] = LOG_SYNC};
    uint32_t inode = find(&r->inodes, t->inode);
    if (inode == LOG_NONE)
        return;
    disk_apply(&r->disk,
               &(struct entry){.type = types[t->type],
                               .inode = inode,
                               .at = t->at,
                               .size = t->type == TAPE_SIZE_IS ? t->at : t->bytes,
                               .data = bytes},
               UINT32_MAX);
}

static void play(struct replay *r)
{
    disk_make(&r->disk, LOG_ROOT, true);
    (void)make(&r->inodes, UINT64_MAX); /* the root; nothing else has that number */
    for (uint64_t at = TAPE_BEGIN; at < tape->end;) {
        struct tape_record *t = (struct tape_record *)(void *)((char *)tape + at);
        char *name = (char *)(t + 1);
        r->counts[t->type]++;
        if (t->type == TAPE_THERE)
            play_there(r, t, name);
        else if (t->type <= TAPE_SWAPPED)
            play_names(r, t, name);
        else
            play_bytes(r, t, name);
        at += t->size;
    }
}

/* ---- cut: the disk is written ---- */

/* When each was changed, by the kernel's number; and where each was written. */
static struct {
    struct inodes real;
    struct timespec *changed; /* by number in real; owned */
    size_t cap;
    struct written {
        char path[512];
        uint32_t inode;
    } * written; /* owned */
    size_t count, written_cap;
} times;

static int note_time(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)path, (void)kind, (void)ftw;
    if (find(&times.real, st->st_ino) != LOG_NONE)
        return 0;
    uint32_t n = make(&times.real, st->st_ino);
    times.changed = pn_grow(times.changed, &times.cap, n, sizeof *times.changed);
    times.changed[n] = st->st_mtim;
    return 0;
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void note_written(int root, const char *path, uint32_t inode)
{
    (void)root;
    times.written = pn_grow(times.written, &times.written_cap, times.count, sizeof *times.written);
    struct written *w = &times.written[times.count++];
    (void)snprintf(w->path, sizeof w->path, "%s", path);
    w->inode = inode;
}

/* A folder in which a name did not come has another time than it had. */
static bool came_whole(const struct replay *r, const struct cut *cut, uint32_t inode)
{
    for (size_t i = 0; i < r->disk.pending_count; i++)
        if (r->disk.pending[i].inode == inode && !cut->on[i])
            return false;
    return true;
}

static void set_times(const struct replay *r, const struct cut *cut, int root)
{
    uint64_t *real = pn_calloc(r->inodes.count, sizeof *real);
    for (size_t i = 0; i < r->inodes.size; i++)
        if (r->inodes.slots[i].real != 0)
            real[r->inodes.slots[i].inode] = r->inodes.slots[i].real;
    for (size_t i = times.count; i-- > 0;) {
        const struct written *w = &times.written[i];
        uint32_t n = find(&times.real, real[w->inode]);
        bool folder = r->disk.inodes[w->inode].folder;
        if (n == LOG_NONE || (folder && !came_whole(r, cut, w->inode)))
            continue;
        struct timespec both[2] = {times.changed[n], times.changed[n]};
        pn_assert(utimensat(root, w->path, both, AT_SYMLINK_NOFOLLOW) == 0);
    }
    free(real);
}

static void write_over(const struct replay *r, const struct cut *cut, const char *root,
                       char *const *names)
{
    struct disk image;
    char path[1024];
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(dir >= 0);
    disk_cut(&r->disk, cut, &image);
    for (; *names != NULL; names++) {
        (void)snprintf(path, sizeof path, "%s/%s", root, *names);
        pn_assert(nftw(path, note_time, TREE_FDS, FTW_PHYS) == 0);
        pn_assert(nftw(path, remove_it, TREE_FDS, FTW_DEPTH | FTW_PHYS) == 0);
    }
    disk_write(&image, dir, note_written);
    set_times(r, cut, dir);
    disk_free(&image);
    (void)close(dir);
}

static void cut_power(uint64_t seed, const char *root, char *const *names)
{
    struct replay r = {.pairs = 0};
    struct cut cut;
    uint64_t lot = seed;
    size_t came = 0;
    play(&r);
    unsigned count = plan_count(&r.disk, PLANS_MOST);
    plan_draw(&r.disk, (unsigned)sim_below(&lot, count), count, &lot, &cut);
    disk_pair(&r.disk, &cut);
    for (size_t i = 0; i < r.disk.pending_count; i++)
        came += cut.on[i] != 0;
    printf("%s: %zu of %zu pending came; %" PRIu64 " writes, %" PRIu64 " names, %" PRIu64
           " syncs\n",
           cut.plan, came, r.disk.pending_count, r.counts[TAPE_WRITE],
           r.counts[TAPE_MADE] + r.counts[TAPE_MOVED] + r.counts[TAPE_SWAPPED] +
               r.counts[TAPE_GONE] + r.counts[TAPE_LINK],
           r.counts[TAPE_SYNC] + r.counts[TAPE_DATA_SYNC]);
    write_over(&r, &cut, root, names);
}

static int usage(void)
{
    (void)fputs("usage: blackout begin TAPE ROOT NAME... | kill TAPE PID... | "
                "cut TAPE SEED ROOT NAME...\n",
                stderr);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    uint64_t seed;
    if (argc < 4)
        return usage();
    if (strcmp(argv[1], "begin") == 0 && argc > 4) {
        begin(argv[2], argv[3], argv + 4);
        return EXIT_SUCCESS;
    }
    open_tape(argv[2], false);
    if (strcmp(argv[1], "kill") == 0)
        kill_all(argv + 3);
    else if (strcmp(argv[1], "cut") == 0 && argc > 5 &&
             pn_str_u64(pn_str_of(argv[3]), UINT64_MAX, &seed))
        cut_power(seed, argv[4], argv + 5);
    else
        return usage();
    return EXIT_SUCCESS;
}
