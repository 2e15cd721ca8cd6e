#include "clamav_tmp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 40 }; /* deeper than the scanner unpacks */

/* Empties the folder; closes it. */
static void empty(int folder, unsigned depth)
{
    DIR *d = fdopendir(folder);
    const struct dirent *e;

    if (d == NULL) {
        (void)close(folder);
        return;
    }
    while ((e = readdir(d)) != NULL) {
        int sub;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0 || depth == 0)
            continue;
        sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0) {
            empty(sub, depth - 1);
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(d);
}

static void remove_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        empty(fd, DEPTH_MAX);
    (void)rmdir(path);
}

static bool is_gone(const char *name)
{
    char *end;
    long pid;

    if (name[0] != 'w' || name[1] < '1' || name[1] > '9')
        return false;
    pid = strtol(name + 1, &end, 10);
    return *end == '\0' && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void sweep(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    char path[4096];

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL) {
        int n;

        if (!is_gone(e->d_name))
            continue;
        n = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (n > 0 && (size_t)n < sizeof(path))
            remove_folder(path);
    }
    (void)closedir(d);
}

char *clamav_tmp_new(struct postern_str folder)
{
    char *path = malloc(folder.len + 32);

    if (path == NULL)
        return NULL;
    memcpy(path, folder.p, folder.len);
    path[folder.len] = '\0';
    sweep(path);
    (void)snprintf(path + folder.len, 32, "/w%ld", (long)getpid());
    remove_folder(path); /* of an earlier process with our number */
    if (mkdir(path, 0700) == 0)
        return path;
    free(path);
    return NULL;
}

void clamav_tmp_free(char *path)
{
    if (path == NULL)
        return;
    remove_folder(path);
    free(path);
}
