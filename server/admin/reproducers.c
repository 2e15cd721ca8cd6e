#include "reproducers.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "whole.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "reproducers"

enum { NAME_BYTES = 40, ENTRIES_MAX = 100000 };

/* Names are milliseconds, all of one length, so their order is their age. */
struct entry {
    char name[NAME_BYTES]; /* without its suffix */
    uint64_t bytes;        /* of both files */
    int64_t at_ms;
};

static int open_folder(int state_fd)
{
    if (mkdirat(state_fd, FOLDER, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(state_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static uint64_t size_of(int fd, const char *name, const char *suffix)
{
    char file[NAME_BYTES + 8];
    struct stat st;
    (void)snprintf(file, sizeof file, "%s%s", name, suffix);
    return fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

static bool take_name(const char *file, struct entry *e)
{
    struct pn_str s = pn_str_of(file);
    uint64_t ms;
    if (!pn_str_ends(s, PN_STR(".json")) || s.len >= NAME_BYTES ||
        !pn_str_u64(pn_str_slice(s, 0, s.len - 5), INT64_MAX, &ms))
        return false;
    e->at_ms = (int64_t)ms;
    (void)snprintf(e->name, sizeof e->name, "%.*s", (int)(s.len - 5), file);
    return true;
}

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

/* Oldest first; owned. */
static struct entry *list(int fd, size_t *count)
{
    struct entry *all = NULL;
    size_t cap = 0;
    *count = 0;
    DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (dir == NULL)
        return NULL;
    rewinddir(dir);
    for (const struct dirent *d; (d = readdir(dir)) != NULL && *count < ENTRIES_MAX;) {
        struct entry e;
        if (!take_name(d->d_name, &e))
            continue;
        e.bytes = size_of(fd, e.name, ".json") + size_of(fd, e.name, ".eml");
        all = pn_grow(all, &cap, *count, sizeof *all);
        all[(*count)++] = e;
    }
    (void)closedir(dir);
    if (*count > 0)
        qsort(all, *count, sizeof *all, by_age);
    return all;
}

static void drop(int fd, const char *name)
{
    char file[NAME_BYTES + 8];
    (void)snprintf(file, sizeof file, "%s.eml", name);
    (void)unlinkat(fd, file, 0);
    (void)snprintf(file, sizeof file, "%s.json", name);
    (void)unlinkat(fd, file, 0);
}

/* more: messages about to be added. */
static void prune(int fd, struct reproducers_limits limits, unsigned more, uint64_t room,
                  int64_t now_ms)
{
    size_t count;
    struct entry *all = list(fd, &count);
    uint64_t bytes = room;
    for (size_t i = 0; i < count; i++)
        bytes += all[i].bytes;
    for (size_t i = 0; i < count; i++) {
        bool old = now_ms - all[i].at_ms > (int64_t)limits.age_ms;
        if (!old && count - i + more <= limits.files && bytes <= limits.bytes)
            break;
        drop(fd, all[i].name);
        bytes -= all[i].bytes;
    }
    free(all);
}

void reproducers_prune(int folder_fd, struct reproducers_limits limits, uint64_t room,
                       int64_t now_ms)
{
    int fd = open_folder(folder_fd);
    if (fd < 0)
        return;
    prune(fd, limits, 0, room, now_ms);
    (void)close(fd);
}

static bool put(int fd, const char *name, const char *suffix, struct pn_str bytes)
{
    char file[NAME_BYTES + 8];
    (void)snprintf(file, sizeof file, "%s%s", name, suffix);
    int to = openat(fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return false;
    bool whole = pn_write_whole(to, bytes) == 0;
    return close(to) == 0 && whole;
}

/* Content first: a case that is there has its content. */
static bool put_both(int fd, const char *name, struct pn_str json, struct pn_str content)
{
    struct pn_buf line;
    pn_buf_init(&line, json.len + NAME_BYTES + 64);
    (void)pn_buf_adds(&line, pn_str_slice(json, 0, json.len - 1));
    (void)pn_buf_addf(&line, ",\"file\":\"%s.eml\"}\n", name);
    bool ok = !line.overflow && put(fd, name, ".eml", content) &&
              put(fd, name, ".json", pn_buf_str(&line));
    if (!ok) {
        pn_error("a reproducer could not be written: %s", strerror(errno));
        drop(fd, name);
    }
    pn_buf_fini(&line);
    return ok;
}

/* Another one in this second is there already. */
static bool too_soon(int fd, int64_t now_ms)
{
    size_t count;
    struct entry *all = list(fd, &count);
    bool soon = count > 0 && now_ms - all[count - 1].at_ms < 1000 && now_ms >= all[count - 1].at_ms;
    free(all);
    return soon;
}

bool reproducers_keep(int folder_fd, struct reproducers_limits limits, struct pn_str json,
                      int content_fd, int64_t now_ms)
{
    char name[NAME_BYTES];
    struct pn_str content = {"", 0};
    if (limits.files == 0 || json.len < 3 || json.p[0] != '{' || json.p[json.len - 1] != '}' ||
        memchr(json.p, '\n', json.len) != NULL)
        return false;
    if (content_fd >= 0 && pn_map_fd(content_fd, true, &content) != 0)
        return false;
    uint64_t room = json.len + content.len + NAME_BYTES;
    int fd = room > limits.bytes ? -1 : open_folder(folder_fd);
    bool ok = fd >= 0 && !too_soon(fd, now_ms);
    if (ok) {
        prune(fd, limits, 1, room, now_ms);
        (void)snprintf(name, sizeof name, "%013" PRId64, now_ms);
        ok = put_both(fd, name, json, content);
    }
    if (fd >= 0)
        (void)close(fd);
    pn_unmap(&content);
    return ok;
}
