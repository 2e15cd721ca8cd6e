/*
 * Folders that are deleted. A directory can't be removed at once with what is in it: it is first
 * moved out of sight, below "postern/", in one step that is synced; then nobody finds it any more,
 * and what a crash leaves of it is swept when the next one is removed or the user comes. What has
 * no mail goes by itself, and only ever as a directory that is empty: whoever puts a message there
 * at the same moment keeps it.
 */
#include "folders_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char hidden[] = "postern", prefix[] = "gone-";

static int open_dir(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Empties a directory: files, and with depth left those in it. fd is taken. */
static void empty(int fd, unsigned depth)
{
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        (void)close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            unlinkat(dirfd(d), e->d_name, 0) == 0)
            continue;
        int below = depth > 0 ? open_dir(dirfd(d), e->d_name) : -1;
        if (below >= 0) {
            empty(below, depth - 1);
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(d);
}

/* A Maildir has files in directories; others' programs may have put one level more there. */
static void remove_all(int at, const char *name)
{
    enum { DEPTH = 3 };
    int fd = open_dir(at, name);
    if (fd >= 0)
        empty(fd, DEPTH);
    (void)unlinkat(at, name, AT_REMOVEDIR);
}

static int open_hidden(int dir)
{
    if (mkdirat(dir, hidden, 0700) != 0 && errno != EEXIST)
        return -1;
    return open_dir(dir, hidden);
}

int folders_remove(int dir, const char *component)
{
    char name[64];
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return EIO;
    (void)snprintf(name, sizeof name, "%s%016llx", prefix, (unsigned long long)number);
    int to = open_hidden(dir);
    int error = to < 0 ? errno : 0;
    if (error == 0 && renameat(dir, component, to, name) != 0)
        error = errno;
    /* Where it goes to first: a crash between the two leaves it here or there. */
    if (error == 0 && (fsync(to) != 0 || fsync(dir) != 0))
        error = errno;
    if (error == 0)
        remove_all(to, name);
    if (to >= 0)
        (void)close(to);
    return error;
}

/* tmp first: without it nobody sees a folder. 0, or errno of what is in the way. */
static int take_apart(int dir, const char *component)
{
    static const char *const dirs[] = {"tmp", "new", "cur"};
    int error = 0, at = maildir_open_dir(dir, component);
    if (at < 0)
        return errno;
    for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0] && error == 0; i++)
        if (unlinkat(at, dirs[i], AT_REMOVEDIR) != 0 && errno != ENOENT)
            error = errno;
    if (error == 0)
        folder_marks_remove(at);
    (void)close(at);
    if (error == 0 && unlinkat(dir, component, AT_REMOVEDIR) != 0)
        error = errno;
    return error;
}

int folders_remove_empty(struct pn_user *user, int dir, const char *component)
{
    folder_forget(user, component);
    (void)pthread_mutex_lock(&user->lock); /* no worker of ours makes it anew meanwhile */
    bool whole = maildir_is_whole(dir, component);
    int error = take_apart(dir, component);
    if (error != 0 && whole)
        (void)maildir_make(dir, component);
    else if (error == 0 && fsync(dir) != 0)
        error = errno;
    (void)pthread_mutex_unlock(&user->lock);
    folder_forget(user, component);
    return error;
}

void folders_sweep(int dir)
{
    int own = open_dir(dir, hidden);
    DIR *d = own < 0 ? NULL : fdopendir(own);
    if (d == NULL) {
        if (own >= 0)
            (void)close(own);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, prefix, sizeof prefix - 1) == 0)
            remove_all(dirfd(d), e->d_name);
    (void)closedir(d);
}
