/*
 * Renaming, of a folder and all below it. On disk these are as many directories of one parent, so a
 * crash could cut a rename in two: what is to be done is written down first (folders_plan.c), and
 * whoever comes next does the rest (folders_finish).
 */
#include "folders_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCAN_POOL = 64 * 1024 * 1024 };

/* ---- doing it ---- */

/* What `name`, which is `from` or below it, is called then. */
static bool renamed(struct pn_buf *out, struct pn_str name, struct pn_str from, struct pn_str to)
{
    pn_buf_clear(out);
    return pn_buf_adds(out, to) && pn_buf_adds(out, pn_str_slice(name, from.len, name.len));
}

static bool concerns(struct pn_str name, struct pn_str from)
{
    return pn_str_eq(name, from) || folder_name_below(name, from);
}

static int rename_dir(int dir, const char *from, const char *to)
{
    return renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

/* One directory. The new name's own, or another's of the same name, may not be there. */
static int move_one(struct pn_user *user, int dir, const struct on_disk *folder,
                    struct pn_str new_name)
{
    struct pn_buf place;
    pn_buf_init(&place, MAILDIR_COMPONENT_MAX + 1);
    int error = maildir_folder_name(&place, new_name) ? 0 : ENAMETOOLONG;
    if (error == 0) {
        folder_forget(user, folder->component.p);
        error = rename_dir(dir, folder->component.p, pn_buf_cstr(&place));
        /* Whoever asked for it in between has a folder that is not there. */
        folder_forget(user, folder->component.p);
        folder_forget(user, pn_buf_cstr(&place));
    }
    pn_buf_fini(&place);
    return error;
}

static int move_all(struct pn_user *user, int dir, const struct on_disk_list *list,
                    struct pn_str from, struct pn_str to)
{
    struct pn_buf name;
    int error = 0;
    pn_buf_init(&name, 2 * PN_FOLDER_NAME_MAX + 1);
    for (size_t i = 0; i < list->count; i++)
        if (concerns(list->v[i].name, from)) {
            int one = renamed(&name, list->v[i].name, from, to)
                          ? move_one(user, dir, &list->v[i], pn_buf_str(&name))
                          : ENAMETOOLONG;
            error = error != 0 ? error : one;
        }
    pn_buf_fini(&name);
    if (fsync(dir) != 0 && error == 0)
        error = errno;
    return error;
}

static int finish(struct pn_user *user, int dir, const struct renaming *plan)
{
    struct on_disk_list list;
    struct pn_pool *pool = pn_pool_new(SCAN_POOL);
    int error = folders_scan(dir, false, pool, &list), moved = 0;
    if (error == 0 && plan->from.len != 0 && plan->to.len != 0)
        moved = move_all(user, dir, &list, plan->from, plan->to);
    if (error == 0) {
        folders_scan_fini(&list);
        /* What can't be renamed, since somebody made a folder of that name, stays where it is; else
         * it is tried the next time, and keeps nobody from his folders. */
        if (moved == 0 || moved == EEXIST || moved == ENAMETOOLONG)
            error = renaming_end(dir);
    }
    pn_pool_free(&pool);
    return error;
}

int folders_finish(struct pn_user *user, int dir)
{
    struct renaming plan;
    int error = renaming_read(dir, &plan);
    if (error != 0)
        return error == ENOENT ? 0 : error;
    return plan.of_inbox ? inbox_finish(user, dir, &plan) : finish(user, dir, &plan);
}

/* ---- may it be done? ---- */

/* What a crash left of making a folder, which nobody sees as one, gives way. False: there is
 * something of that name. */
static bool clear_way(struct pn_user *user, int dir, const char *place)
{
    struct stat st;
    if (fstatat(dir, place, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT;
    return !maildir_is_whole(dir, place) && folders_remove_empty(user, dir, place) == 0;
}

/* All of them, before the first is moved. */
static enum pn_store_status check(struct pn_user *user, int dir, const struct on_disk_list *list,
                                  struct pn_str from, struct pn_str to, size_t *count)
{
    struct pn_buf name, place;
    enum pn_store_status status = PN_STORE_OK;
    pn_buf_init(&name, 2 * PN_FOLDER_NAME_MAX + 1);
    *count = 0;
    for (size_t i = 0; i < list->count && status == PN_STORE_OK; i++) {
        if (!concerns(list->v[i].name, from))
            continue;
        (*count)++;
        pn_buf_init(&place, MAILDIR_COMPONENT_MAX + 1);
        if (!renamed(&name, list->v[i].name, from, to) ||
            !maildir_folder_name(&place, pn_buf_str(&name)))
            status = PN_STORE_BAD_NAME;
        else if (folders_find(list, pn_buf_str(&name)) != NULL ||
                 !clear_way(user, dir, pn_buf_cstr(&place)))
            status = PN_STORE_EXISTS;
        pn_buf_fini(&place);
    }
    pn_buf_fini(&name);
    if (status != PN_STORE_OK)
        return status;
    return *count == 0 ? PN_STORE_NO_FOLDER : PN_STORE_OK;
}

/* The new name may be one of a level that has none of its own, but only others' below it. */
static enum pn_store_status rename_on_disk(struct pn_user *user, int dir, struct pn_str from,
                                           struct pn_str to)
{
    struct on_disk_list list;
    struct pn_pool *pool = pn_pool_new(SCAN_POOL);
    size_t count;
    int error = folders_scan(dir, false, pool, &list);
    if (error != 0) {
        pn_pool_free(&pool);
        return store_failed(NULL, "folders", error);
    }
    enum pn_store_status status = folders_find(&list, to) != NULL
                                      ? PN_STORE_EXISTS
                                      : check(user, dir, &list, from, to, &count);
    if (status == PN_STORE_OK) {
        bool planned = count > 1;
        error = planned ? renaming_write(dir, from, to, 0, 0) : 0;
        error = error != 0 ? error : move_all(user, dir, &list, from, to);
        /* A plan that failed half way stays: it is tried again. */
        if (error == 0 && planned)
            error = renaming_end(dir);
        status = error == 0        ? PN_STORE_OK
                 : error == EEXIST ? PN_STORE_EXISTS
                                   : store_failed(NULL, "rename", error);
    }
    folders_scan_fini(&list);
    pn_pool_free(&pool);
    return status;
}

/* ---- what is asked for ---- */

/* One that a crash or an error cut in two, and that is asked for again, is done when it is whole.
 */
static enum pn_store_status rename_in(struct pn_user *user, int dir, struct pn_str from,
                                      struct pn_str to)
{
    struct renaming plan;
    bool same =
        renaming_read(dir, &plan) == 0 && pn_str_eq(plan.from, from) && pn_str_eq(plan.to, to);
    int error = folders_finish(user, dir);
    if (error != 0)
        return store_failed(NULL, "folders", error);
    if (same && renaming_read(dir, &plan) == ENOENT)
        return PN_STORE_OK;
    return from.len == 0 ? inbox_rename(user, dir, to) : rename_on_disk(user, dir, from, to);
}

enum pn_store_status pn_folder_rename(struct pn_user *user, struct pn_str from, struct pn_str to)
{
    struct pn_buf a, b;
    pn_buf_init(&a, PN_FOLDER_NAME_MAX + 1);
    pn_buf_init(&b, PN_FOLDER_NAME_MAX + 1);
    enum pn_store_status status = PN_STORE_BAD_NAME;
    if (!folder_name_clean(&a, from) || !folder_name_clean(&b, to))
        goto done;
    if (b.len == 0) {
        status = PN_STORE_EXISTS;
    } else if (a.len > 0 && folder_name_below(pn_buf_str(&b), pn_buf_str(&a))) {
        status = PN_STORE_REFUSED; /* into itself */
    } else {
        (void)pthread_mutex_lock(&user->folders_lock);
        int dir = user_open_dir(user);
        status = dir < 0 ? store_failed(NULL, "mailbox", errno)
                         : rename_in(user, dir, pn_buf_str(&a), pn_buf_str(&b));
        if (dir >= 0)
            (void)close(dir);
        (void)pthread_mutex_unlock(&user->folders_lock);
    }
done:
    pn_buf_fini(&a);
    pn_buf_fini(&b);
    return status;
}
