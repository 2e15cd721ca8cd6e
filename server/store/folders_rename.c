/*
 * Renaming, of a folder and all below it. On disk these are as many directories of one parent, so a
 * crash could cut a rename in two: what is to be done is written down first, in postern/rename,
 * and whoever comes next does the rest (folders_finish).
 */
#include "folders_int.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char hidden[] = "postern", plan[] = "postern/rename", fresh[] = "postern/rename.new";

enum { SCAN_POOL = 64 * 1024 * 1024, PLAN_MAX = 2 * PN_FOLDER_NAME_MAX + 2 };

/* ---- the plan: two names, a line each ---- */

static int plan_sync(int dir)
{
    int fd = openat(dir, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    return error;
}

static int plan_write(int dir, struct pn_str from, struct pn_str to)
{
    char text[PLAN_MAX + 1];
    int n = snprintf(text, sizeof text, "%.*s\n%.*s\n", PN_FMT(from), PN_FMT(to));
    if (n < 0 || (size_t)n >= sizeof text)
        return ENAMETOOLONG;
    if (mkdirat(dir, hidden, 0700) != 0 && errno != EEXIST)
        return errno;
    int fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = pn_write_whole(fd, (struct pn_str){text, (size_t)n});
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    (void)close(fd);
    if (error == 0 && renameat(dir, fresh, dir, plan) != 0)
        error = errno;
    error = error != 0 ? error : plan_sync(dir);
    /* It may have been made just now. */
    return error == 0 && fsync(dir) != 0 ? errno : error;
}

static int plan_end(int dir)
{
    return unlinkat(dir, plan, 0) != 0 && errno != ENOENT ? errno : plan_sync(dir);
}

/* The two names, in text; 0, or errno: ENOENT if there is none. */
static int plan_read(int dir, char text[PLAN_MAX + 1], struct pn_str *from, struct pn_str *to)
{
    int fd = openat(dir, plan, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t n = read(fd, text, PLAN_MAX);
    int error = n < 0 ? errno : 0;
    (void)close(fd);
    struct pn_str rest = {text, n < 0 ? 0 : (size_t)n};
    *from = pn_str_split(&rest, '\n');
    *to = rest.p == NULL ? PN_STR("") : pn_str_split(&rest, '\n');
    return error;
}

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

/* One directory. The new name's own, or another's of the same name, may not be there. */
static int move_one(struct pn_user *user, int dir, const struct on_disk *folder,
                    struct pn_str new_name)
{
    struct pn_buf place;
    pn_buf_init(&place, MAILDIR_COMPONENT_MAX + 1);
    int error = maildir_folder_name(&place, new_name) ? 0 : ENAMETOOLONG;
    if (error == 0) {
        folder_forget(user, folder->component.p);
        if (renameat2(dir, folder->component.p, dir, pn_buf_cstr(&place), RENAME_NOREPLACE) != 0)
            error = errno;
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

int folders_finish(struct pn_user *user, int dir)
{
    char text[PLAN_MAX + 1];
    struct pn_str from, to;
    struct on_disk_list list;
    int error = plan_read(dir, text, &from, &to);
    if (error != 0)
        return error == ENOENT ? 0 : error;
    struct pn_pool *pool = pn_pool_new(SCAN_POOL);
    error = folders_scan(dir, false, pool, &list);
    /* What can't be renamed now, since somebody made a folder of that name, stays where it is. */
    if (error == 0 && from.len != 0 && to.len != 0)
        (void)move_all(user, dir, &list, from, to);
    if (error == 0) {
        folders_scan_fini(&list);
        error = plan_end(dir);
    }
    pn_pool_free(&pool);
    return error;
}

/* ---- may it be done? ---- */

static enum pn_store_status check(const struct on_disk_list *list, struct pn_str from,
                                  struct pn_str to, size_t *count)
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
        else if (folders_find(list, pn_buf_str(&name)) != NULL)
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
    int error = folders_finish(user, dir);
    error = error != 0 ? error : folders_scan(dir, false, pool, &list);
    if (error != 0) {
        pn_pool_free(&pool);
        return store_failed(NULL, "folders", error);
    }
    enum pn_store_status status =
        folders_find(&list, to) != NULL ? PN_STORE_EXISTS : check(&list, from, to, &count);
    if (status == PN_STORE_OK) {
        bool planned = count > 1;
        error = planned ? plan_write(dir, from, to) : 0;
        error = error != 0 ? error : move_all(user, dir, &list, from, to);
        /* A plan that failed half way stays: it is tried again. */
        if (error == 0 && planned)
            error = plan_end(dir);
        status = error == 0 ? PN_STORE_OK : store_failed(NULL, "rename", error);
    }
    folders_scan_fini(&list);
    pn_pool_free(&pool);
    return status;
}

/* ---- of INBOX ---- */

/* It stays, empty. */
static enum pn_store_status move_inbox(struct pn_user *user, struct pn_str to)
{
    struct pn_view *view;
    enum pn_store_status status = pn_folder_create(user, to, PN_USE_NONE);
    if (status == PN_STORE_OK)
        status = pn_view_open(user, PN_STR("INBOX"), false, NULL, NULL, &view);
    if (status != PN_STORE_OK)
        return status;
    struct pn_uidset all;
    struct pn_copied copied = {0};
    pn_uidset_init(&all, PN_UIDSET_MAX);
    for (uint32_t seq = 1; seq <= pn_view_count(view) && status == PN_STORE_OK; seq++)
        if (!pn_uidset_add(&all, pn_view_uid(view, seq), pn_view_uid(view, seq)))
            status = PN_STORE_LIMIT;
    if (status == PN_STORE_OK && all.count > 0) {
        status = pn_view_copy(view, &all, to, true, &copied);
        pn_copied_fini(&copied);
    }
    pn_uidset_fini(&all);
    pn_view_close(&view);
    return status;
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
    } else if (a.len == 0) {
        status = move_inbox(user, pn_buf_str(&b));
    } else if (folder_name_below(pn_buf_str(&b), pn_buf_str(&a))) {
        status = PN_STORE_REFUSED; /* into itself */
    } else {
        (void)pthread_mutex_lock(&user->folders_lock);
        int dir = user_open_dir(user);
        status = dir < 0 ? store_failed(NULL, "mailbox", errno)
                         : rename_on_disk(user, dir, pn_buf_str(&a), pn_buf_str(&b));
        if (dir >= 0)
            (void)close(dir);
        (void)pthread_mutex_unlock(&user->folders_lock);
    }
done:
    pn_buf_fini(&a);
    pn_buf_fini(&b);
    return status;
}
