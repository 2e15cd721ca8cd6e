/* Making and deleting folders. */
#include "folders_int.h"

#include <errno.h>
#include <unistd.h>

enum { SCAN_POOL = 64 * 1024 * 1024 };

/* What create and delete begin with: the lock, the user's directory, all that is there. */
struct change {
    struct pn_user *user;
    int dir;
    struct pn_pool *pool;
    struct on_disk_list list;
};

static enum pn_store_status begin(struct change *c, struct pn_user *user, bool with_use)
{
    *c = (struct change){.user = user, .dir = -1, .pool = pn_pool_new(SCAN_POOL)};
    (void)pthread_mutex_lock(&user->folders_lock);
    c->dir = user_open_dir(user);
    int error = c->dir < 0 ? errno : folders_finish(user, c->dir);
    error = error != 0 ? error : folders_scan(c->dir, with_use, c->pool, &c->list);
    return error == 0 ? PN_STORE_OK : store_failed(NULL, "folders", error);
}

static void end(struct change *c)
{
    folders_scan_fini(&c->list);
    if (c->dir >= 0)
        (void)close(c->dir);
    (void)pthread_mutex_unlock(&c->user->folders_lock);
    pn_pool_free(&c->pool);
}

static bool use_taken(const struct change *c, enum pn_special_use use)
{
    for (size_t i = 0; i < c->list.count; i++)
        if (c->list.v[i].use == use)
            return true;
    return false;
}

/* ---- create ---- */

static enum pn_store_status set_use(struct folder *folder, enum pn_special_use use)
{
    int dir = folder_open_dir(folder, NULL), error = dir < 0 ? errno : 0;
    if (error == 0) {
        (void)pthread_mutex_lock(&folder->lock);
        enum pn_special_use before = folder->marks.use;
        folder->marks.use = use;
        error = folder_marks_write(dir, &folder->marks, true);
        if (error != 0)
            folder->marks.use = before;
        (void)pthread_mutex_unlock(&folder->lock);
        (void)close(dir);
    }
    return error == 0 ? PN_STORE_OK : store_failed(NULL, "postern-folder", error);
}

/* Made if it is not there. */
static enum pn_store_status make(const struct change *c, struct pn_str name,
                                 enum pn_special_use use)
{
    struct pn_user *user = c->user;
    struct folder *folder;
    enum pn_store_status status = folder_get(user, name, true, &folder);
    /* Others removed what memory still has, or a crash left a directory without its tmp. */
    if (status == PN_STORE_OK && !maildir_is_whole(c->dir, folder->place)) {
        folder_forget(user, folder->place);
        status = store_status(folder_make_dirs(folder));
        folder_put(&folder);
        if (status == PN_STORE_OK)
            status = folder_get(user, name, true, &folder);
    }
    if (status != PN_STORE_OK)
        return status;
    if (use != PN_USE_NONE)
        status = set_use(folder, use);
    folder_put(&folder);
    return status;
}

static enum pn_store_status may_create(const struct change *c, struct pn_str name,
                                       enum pn_special_use use)
{
    if (folders_find(&c->list, name) != NULL)
        return PN_STORE_EXISTS;
    if (use != PN_USE_NONE && (use == PN_USE_FLAGGED || use_taken(c, use)))
        return PN_STORE_REFUSED; /* of a view of flagged messages; or it would be the second */
    if (c->list.count + 1 >= PN_FOLDERS_MAX)
        return PN_STORE_LIMIT;
    return PN_STORE_OK;
}

static enum pn_store_status create(struct change *c, struct pn_str name, enum pn_special_use use)
{
    enum pn_store_status status = may_create(c, name, use);
    return status == PN_STORE_OK ? make(c, name, use) : status;
}

static enum pn_store_status in_locked(struct pn_user *user, int dir, struct pn_str name,
                                      bool make_it)
{
    struct change c = {.user = user, .dir = dir, .pool = pn_pool_new(SCAN_POOL)};
    struct pn_buf place;
    pn_buf_init(&place, MAILDIR_COMPONENT_MAX + 1);
    int error = folders_scan(dir, false, c.pool, &c.list);
    enum pn_store_status status = PN_STORE_OK;
    if (error != 0)
        status = store_failed(NULL, "folders", error);
    else if (!maildir_folder_name(&place, name))
        status = PN_STORE_BAD_NAME;
    else
        status = make_it ? create(&c, name, PN_USE_NONE) : may_create(&c, name, PN_USE_NONE);
    if (error == 0)
        folders_scan_fini(&c.list);
    pn_pool_free(&c.pool);
    pn_buf_fini(&place);
    return status;
}

enum pn_store_status folders_may_create(struct pn_user *user, int dir, struct pn_str name)
{
    return in_locked(user, dir, name, false);
}

enum pn_store_status folders_create(struct pn_user *user, int dir, struct pn_str name)
{
    return in_locked(user, dir, name, true);
}

enum pn_store_status pn_folder_create(struct pn_user *user, struct pn_str name,
                                      enum pn_special_use use)
{
    struct change c;
    struct pn_buf clean;
    pn_buf_init(&clean, PN_FOLDER_NAME_MAX + 1);
    enum pn_store_status status = PN_STORE_BAD_NAME;
    if (folder_name_clean(&clean, name))
        status = clean.len == 0 ? PN_STORE_EXISTS : PN_STORE_OK;
    if (status == PN_STORE_OK) {
        status = begin(&c, user, use != PN_USE_NONE);
        if (status == PN_STORE_OK)
            status = create(&c, pn_buf_str(&clean), use);
        end(&c);
    }
    pn_buf_fini(&clean);
    return status;
}

/* ---- delete ---- */

/* What of the folder other places know of. */
static void forget(struct pn_user *user, int dir, const char *component)
{
    struct folder_marks marks = {0};
    int fd = maildir_open_dir(dir, component);
    if (fd >= 0 && folder_marks_read(fd, &marks) == 0) {
        index_drop_folder(user->index, marks.uidvalidity);
        folder_marks_fini(&marks);
    }
    if (fd >= 0)
        (void)close(fd);
}

static enum pn_store_status remove_folder(struct change *c, struct pn_str name)
{
    const struct on_disk *folder = folders_find(&c->list, name);
    if (folder == NULL)
        return PN_STORE_NO_FOLDER;
    folder_forget(c->user, folder->component.p);
    forget(c->user, c->dir, folder->component.p);
    int error = folders_remove(c->dir, folder->component.p);
    /* Whoever asked for it in between has a folder that is not there. */
    folder_forget(c->user, folder->component.p);
    (void)pthread_mutex_lock(&c->user->lock);
    c->user->used_known = false; /* counted anew */
    c->user->folder_turns++;
    (void)pthread_mutex_unlock(&c->user->lock);
    return error == 0 ? PN_STORE_OK : store_failed(NULL, "folder", error);
}

enum pn_store_status pn_folder_delete(struct pn_user *user, struct pn_str name)
{
    struct change c;
    struct pn_buf clean;
    pn_buf_init(&clean, PN_FOLDER_NAME_MAX + 1);
    enum pn_store_status status = PN_STORE_BAD_NAME;
    if (folder_name_clean(&clean, name))
        status = clean.len == 0 ? PN_STORE_REFUSED : PN_STORE_OK;
    if (status == PN_STORE_OK) {
        status = begin(&c, user, false);
        if (status == PN_STORE_OK)
            status = remove_folder(&c, pn_buf_str(&clean));
        end(&c);
    }
    pn_buf_fini(&clean);
    return status;
}

/* ---- special use ---- */

static const struct {
    enum pn_special_use use;
    struct pn_str name;
} special[] = {
    {PN_USE_DRAFTS, PN_STR_INIT("Drafts")},   {PN_USE_SENT, PN_STR_INIT("Sent")},
    {PN_USE_JUNK, PN_STR_INIT("Junk")},       {PN_USE_TRASH, PN_STR_INIT("Trash")},
    {PN_USE_ARCHIVE, PN_STR_INIT("Archive")},
};

/* Appends its clean name, as policy has it. */
static void special_name(const struct pn_user *user, size_t i, struct pn_buf *out)
{
    struct pn_buf name;
    const struct pn_store *store = user->store;
    pn_buf_init(&name, 4 * PN_FOLDER_NAME_MAX);
    if (store->rules != NULL)
        store->rules->folder(store->rules_ctx, pn_user_address(user), special[i].use, &name);
    if (!folder_name_clean(out, pn_buf_str(&name)) || out->len == 0) {
        pn_buf_clear(out);
        (void)pn_buf_adds(out, special[i].name);
    }
    pn_buf_fini(&name);
}

/* A folder that is there already gets the use, but none that has another. */
static enum pn_store_status make_one_special(struct change *c, struct pn_str name,
                                             enum pn_special_use use)
{
    const struct on_disk *there = folders_find(&c->list, name);
    if (use_taken(c, use) || (there != NULL && there->use != PN_USE_NONE))
        return PN_STORE_OK;
    enum pn_store_status status = make(c, name, use);
    return status == PN_STORE_OK ? pn_folder_subscribe(c->user, name, true) : status;
}

static enum pn_store_status make_special(struct change *c)
{
    enum pn_store_status status = PN_STORE_OK;
    for (size_t i = 0; i < sizeof special / sizeof special[0] && status == PN_STORE_OK; i++) {
        struct pn_buf name;
        pn_buf_init(&name, PN_FOLDER_NAME_MAX + 1);
        special_name(c->user, i, &name);
        status = make_one_special(c, pn_buf_str(&name), special[i].use);
        pn_buf_fini(&name);
    }
    return status;
}

/* Once in a user's life, so that what he deletes stays deleted. */
static enum pn_store_status note_made(struct pn_user *user)
{
    (void)pthread_mutex_lock(&user->lock);
    user->marks.special_made = true;
    int error = user_marks_write(user);
    if (error != 0)
        user->marks.special_made = false;
    (void)pthread_mutex_unlock(&user->lock);
    return error == 0 ? PN_STORE_OK : store_failed(NULL, "postern-user", error);
}

/* What a process left half done that is no more, before a session sees the half. */
static void finish_once(struct pn_user *user)
{
    (void)pthread_mutex_lock(&user->folders_lock);
    int dir = user->finished ? -1 : user_open_dir(user);
    if (dir >= 0)
        folders_sweep(dir);
    user->finished = user->finished || (dir >= 0 && folders_finish(user, dir) == 0);
    if (dir >= 0)
        (void)close(dir);
    (void)pthread_mutex_unlock(&user->folders_lock);
}

enum pn_store_status pn_folders_make_special(struct pn_user *user)
{
    struct change c;
    finish_once(user);
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
    bool made = error == 0 && user->marks.special_made;
    (void)pthread_mutex_unlock(&user->lock);
    if (error != 0 || made)
        return error == 0 ? PN_STORE_OK : store_failed(NULL, "postern-user", error);
    enum pn_store_status status = begin(&c, user, true);
    if (status == PN_STORE_OK)
        status = make_special(&c);
    end(&c);
    return status == PN_STORE_OK ? note_made(user) : status;
}
