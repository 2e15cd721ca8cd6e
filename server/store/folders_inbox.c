/*
 * RENAME INBOX (RFC 9051, section 6.3.6): its messages go to a new folder, and it stays, empty.
 * What is about to be done is written down first: whoever comes after a crash moves the rest. What
 * a crash left in both folders is one file with two names, as MOVE makes them, and loses the one in
 * INBOX (but where the file system has no links: then it is there twice). What came into INBOX
 * since, with a UID above those that were meant, stays there.
 */
#include "folders_int.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct inodes {
    uint64_t *v; /* owned, sorted */
    size_t count, cap;
};

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void add_inodes(struct inodes *all, const struct folder *f, const char *sub)
{
    int fd = folder_open_dir(f, sub);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL && fd >= 0)
        (void)close(fd);
    for (struct dirent *e; entries != NULL && (e = readdir(entries)) != NULL;) {
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        all->v = pn_grow(all->v, &all->cap, all->count, sizeof *all->v);
        all->v[all->count++] = st.st_ino;
    }
    if (entries != NULL)
        (void)closedir(entries);
}

/* Which of INBOX's messages that were meant have their second names there; f: INBOX. */
static void find_in_both(struct folder *f, uint32_t below, const struct inodes *there,
                         struct pn_uidset *out)
{
    (void)pthread_mutex_lock(&f->lock);
    int fd[2] = {folder_open_dir(f, "new"), folder_open_dir(f, "cur")};
    for (size_t i = 0; i < f->count && f->msgs[i].uid < below; i++) {
        struct stat st;
        int dir = fd[f->msgs[i].in_new ? DIR_NEW : DIR_CUR];
        if (dir < 0 || fstatat(dir, folder_msg_name(f, &f->msgs[i]), &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        uint64_t number = st.st_ino;
        if (st.st_nlink > 1 &&
            bsearch(&number, there->v, there->count, sizeof number, by_number) != NULL)
            (void)pn_uidset_add(out, f->msgs[i].uid, f->msgs[i].uid);
    }
    for (unsigned i = 0; i < 2; i++)
        if (fd[i] >= 0)
            (void)close(fd[i]);
    (void)pthread_mutex_unlock(&f->lock);
}

/* What a crash left in both is taken out of INBOX. */
static enum pn_store_status remove_moved(struct pn_view *view, uint32_t below, struct pn_str to)
{
    struct folder *f;
    struct inodes there = {NULL, 0, 0};
    struct pn_uidset both;
    enum pn_store_status status = folder_get(view->folder->user, to, false, &f);
    if (f == NULL)
        return status;
    pn_uidset_init(&both, PN_UIDSET_MAX);
    add_inodes(&there, f, "new");
    add_inodes(&there, f, "cur");
    if (there.count > 0) {
        qsort(there.v, there.count, sizeof *there.v, by_number);
        find_in_both(view->folder, below, &there, &both);
    }
    if (both.count > 0)
        status = pn_view_remove(view, &both);
    pn_uidset_fini(&both);
    free(there.v);
    folder_put(&f);
    return status;
}

static enum pn_store_status move_below(struct pn_view *view, uint32_t below, struct pn_str to)
{
    struct pn_uidset uids;
    struct pn_copied copied = {0};
    enum pn_store_status status = PN_STORE_OK;
    if (below <= 1)
        return status;
    pn_uidset_init(&uids, PN_UIDSET_MAX);
    (void)pn_uidset_add(&uids, 1, below - 1);
    status = pn_view_copy(view, &uids, to, true, &copied);
    pn_copied_fini(&copied);
    pn_uidset_fini(&uids);
    return status;
}

/* It was there, or not yet. */
static enum pn_store_status make(struct pn_user *user, int dir, struct pn_str to)
{
    enum pn_store_status status = folders_create(user, dir, to);
    return status == PN_STORE_EXISTS ? PN_STORE_OK : status;
}

int inbox_finish(struct pn_user *user, int dir, const struct renaming *plan)
{
    struct pn_view *view = NULL;
    struct pn_view_info info;
    enum pn_store_status status = make(user, dir, plan->to);
    if (status == PN_STORE_OK)
        status = pn_view_open(user, PN_STR("INBOX"), false, NULL, NULL, &view);
    if (status == PN_STORE_OK) {
        pn_view_info(view, &info);
        if (info.uidvalidity == plan->uidvalidity) {
            status = remove_moved(view, plan->below, plan->to);
            if (status == PN_STORE_OK)
                status = move_below(view, plan->below, plan->to);
        }
        pn_view_close(&view);
    }
    /* What can't be done now is tried the next time, and keeps nobody from his folders. */
    return status == PN_STORE_TEMPORARY || status == PN_STORE_FULL ? 0 : renaming_end(dir);
}

/* Nothing was moved: it is as if it had never been asked for. Else, or where a delivery found the
 * new folder already, the plan stays. */
static void undo(struct pn_user *user, int dir, struct pn_str to)
{
    struct pn_buf place;
    pn_buf_init(&place, MAILDIR_COMPONENT_MAX + 1);
    if (maildir_folder_name(&place, to) &&
        folders_remove_empty(user, dir, pn_buf_cstr(&place)) == 0)
        (void)renaming_end(dir);
    pn_buf_fini(&place);
}

static enum pn_store_status move(struct pn_view *view, int dir, struct pn_str to)
{
    struct pn_view_info info;
    struct pn_user *user = pn_view_user(view);
    pn_view_info(view, &info);
    int error = renaming_write(dir, PN_STR(""), to, info.uidvalidity, info.uidnext);
    enum pn_store_status status =
        error == 0 ? folders_create(user, dir, to) : store_failed(NULL, "rename", error);
    if (status != PN_STORE_OK) {
        (void)renaming_end(dir);
        return status;
    }
    status = move_below(view, info.uidnext, to);
    if (status != PN_STORE_OK) {
        undo(user, dir, to);
        return status;
    }
    error = renaming_end(dir);
    return error == 0 ? PN_STORE_OK : store_failed(NULL, "rename", error);
}

enum pn_store_status inbox_rename(struct pn_user *user, int dir, struct pn_str to)
{
    struct pn_view *view;
    enum pn_store_status status = folders_may_create(user, dir, to);
    if (status == PN_STORE_OK)
        status = pn_view_open(user, PN_STR("INBOX"), false, NULL, NULL, &view);
    if (status == PN_STORE_OK) {
        status = move(view, dir, to);
        pn_view_close(&view);
    }
    return status;
}
