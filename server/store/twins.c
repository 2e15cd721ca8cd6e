/*
 * Folders that another program copied, small file and all (cp -a): two of one UIDVALIDITY. A client
 * could live with that, the index can't, which knows folders by it. The small file has the inode of
 * the directory that it was written for, so that a copy is known as one at any time, as long as its
 * original is there; what a backup brought back, to other inodes, is what it was.
 */
#include "store_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* One in memory that is another directory. */
static bool has_known_twin(const struct folder *f, const struct stat *own)
{
    bool found = false;
    for (const struct folder *o = f->user->folders; o != NULL && !found; o = o->next) {
        struct stat other;
        int fd = o->marks.uidvalidity == f->marks.uidvalidity ? folder_open_dir(o, NULL) : -1;
        if (fd < 0)
            continue;
        found =
            fstat(fd, &other) == 0 && (own->st_ino != other.st_ino || own->st_dev != other.st_dev);
        (void)close(fd);
    }
    return found;
}

/* Is name, in the user's directory, the one that the small file was written for, and has it so? */
static bool is_original(const struct folder *f, int user, const char *name)
{
    struct folder_marks marks;
    struct stat st;
    if (fstatat(user, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode) ||
        st.st_ino != f->marks.directory)
        return false;
    int dir = maildir_open_dir(user, name);
    bool same = false;
    if (dir >= 0 && folder_marks_read(dir, &marks) == 0) {
        same = marks.uidvalidity == f->marks.uidvalidity;
        folder_marks_fini(&marks);
    }
    if (dir >= 0)
        (void)close(dir);
    return same;
}

static bool has_original(const struct folder *f)
{
    int user = user_open_dir(f->user);
    DIR *entries = user < 0 ? NULL : fdopendir(user);
    bool found = false;
    if (entries == NULL && user >= 0)
        (void)close(user);
    for (struct dirent *e; entries != NULL && !found && (e = readdir(entries)) != NULL;)
        found = e->d_name[0] == '.' && strcmp(e->d_name, "..") != 0 &&
                is_original(f, dirfd(entries), e->d_name);
    if (entries != NULL)
        (void)closedir(entries);
    return found;
}

bool folder_is_copy(const struct folder *f, int dir)
{
    struct stat own;
    if (fstat(dir, &own) != 0)
        return false;
    bool elsewhere = f->marks.directory != 0 && f->marks.directory != own.st_ino;
    if (has_known_twin(f, &own) || (elsewhere && has_original(f)))
        return true;
    if (elsewhere) /* brought here: its own from now on. If not now, then with the next number */
        (void)folder_marks_write(dir, &f->marks, false);
    return false;
}
