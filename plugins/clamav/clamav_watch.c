#include "clamav_watch.h"

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct place {
    char *path;
    DIR *folder; /* NULL: a file, or nothing yet */
};

struct clamav_watch {
    struct place *places;
    size_t count, room;
    uint64_t loaded, seen, said;
};

/* clamav's documentation, "File formats" and "YARA rules". */
static const char *const extensions[] = {
    "cvd", "cld", "cud", "db",   "hdb", "hdu",  "hsb", "hsu", "mdb",  "mdu", "msb", "msu", "ndb",
    "ndu", "ldb", "ldu", "sdb",  "zmd", "rmd",  "cdb", "cat", "crb",  "cbc", "ftm", "fp",  "sfp",
    "gdb", "idb", "ign", "ign2", "imp", "info", "ioc", "pdb", "pwdb", "wdb", "yar", "yara"};

static int is_signatures(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof(extensions) / sizeof(extensions[0]); i++)
        if (strcmp(dot + 1, extensions[i]) == 0)
            return 1;
    return 0;
}

static void mix(uint64_t *mark, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        *mark = (*mark ^ (value & 0xff)) * 1099511628211U;
}

static uint64_t mark_of(const struct stat *st, int folder)
{
    uint64_t mark = 14695981039346656037U;

    mix(&mark, (uint64_t)st->st_dev);
    mix(&mark, (uint64_t)st->st_ino);
    if (folder) /* its times tell of files that are no concern of ours */
        return mark;
    mix(&mark, (uint64_t)st->st_size);
    mix(&mark, (uint64_t)st->st_mtim.tv_sec);
    mix(&mark, (uint64_t)st->st_mtim.tv_nsec);
    mix(&mark, (uint64_t)st->st_ctim.tv_sec);
    mix(&mark, (uint64_t)st->st_ctim.tv_nsec);
    return mark;
}

/* A sum: the order of a folder's files is nobody's promise. */
static uint64_t look_into(DIR *folder)
{
    uint64_t sum = 0;
    const struct dirent *e;

    rewinddir(folder);
    while ((e = readdir(folder)) != NULL) {
        struct stat st;

        if (!is_signatures(e->d_name) || fstatat(dirfd(folder), e->d_name, &st, 0) != 0)
            continue;
        uint64_t mark = mark_of(&st, 0);

        for (const char *p = e->d_name; *p != '\0'; p++)
            mix(&mark, (unsigned char)*p);
        sum += mark;
    }
    return sum;
}

static uint64_t look_at(const struct place *p)
{
    struct stat st;
    uint64_t mark = stat(p->path, &st) == 0 ? mark_of(&st, S_ISDIR(st.st_mode)) : 0;

    return p->folder == NULL ? mark : mark + look_into(p->folder);
}

static uint64_t look(const struct clamav_watch *w)
{
    uint64_t mark = 0;

    for (size_t i = 0; i < w->count; i++)
        mix(&mark, look_at(&w->places[i]));
    return mark;
}

struct clamav_watch *clamav_watch_new(void)
{
    return calloc(1, sizeof(struct clamav_watch));
}

void clamav_watch_free(struct clamav_watch *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->count; i++) {
        free(w->places[i].path);
        if (w->places[i].folder != NULL)
            (void)closedir(w->places[i].folder);
    }
    free(w->places);
    free(w);
}

int clamav_watch_add(struct clamav_watch *w, const char *path)
{
    struct place *p;

    if (w->count == w->room) {
        size_t room = w->room == 0 ? 8 : 2 * w->room;

        p = realloc(w->places, room * sizeof(*p));
        if (p == NULL)
            return 0;
        w->places = p;
        w->room = room;
    }
    p = &w->places[w->count];
    p->path = strdup(path);
    if (p->path == NULL)
        return 0;
    p->folder = opendir(path);
    w->count++;
    mix(&w->loaded, look_at(p));
    w->seen = w->said = w->loaded;
    return 1;
}

int clamav_watch_changed(struct clamav_watch *w)
{
    uint64_t now = look(w);
    int rests = now == w->seen;

    w->seen = now;
    if (!rests || now == w->loaded || now == w->said)
        return 0;
    w->said = now;
    return 1;
}
