/* What a user has, and may have. */
#include "store_int.h"

#include "folder_name.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

void pn_store_quota_default(struct pn_store *store, uint64_t bytes, uint64_t messages)
{
    atomic_store(&store->quota_bytes, bytes);
    atomic_store(&store->quota_messages, messages);
}

void user_count(struct pn_user *user, int64_t bytes, int64_t messages)
{
    (void)pthread_mutex_lock(&user->lock);
    user->used_bytes += bytes;
    user->used_messages += messages;
    (void)pthread_mutex_unlock(&user->lock);
}

static enum pn_store_status add_folder(struct pn_user *user, struct pn_str name, int64_t *bytes,
                                       int64_t *messages)
{
    struct folder *f;
    struct pn_folder_status counts;
    enum pn_store_status status = folder_get(user, name, false, &f);
    if (f == NULL) /* a directory that is none of our folders counts nothing */
        return status == PN_STORE_TEMPORARY ? status : PN_STORE_OK;
    status = folder_counts(f, &counts);
    if (status == PN_STORE_OK) {
        *bytes += (int64_t)counts.size;
        *messages += counts.messages;
    }
    folder_put(&f);
    return status == PN_STORE_NO_FOLDER ? PN_STORE_OK : status;
}

static enum pn_store_status add_all(struct pn_user *user, int64_t *bytes, int64_t *messages)
{
    int dir = user_open_dir(user);
    DIR *entries = dir < 0 ? NULL : fdopendir(dir);
    struct pn_buf name;
    enum pn_store_status status = add_folder(user, PN_STR(""), bytes, messages);
    if (entries == NULL) {
        if (dir >= 0)
            (void)close(dir);
        return PN_STORE_TEMPORARY;
    }
    bool proper;
    pn_buf_init(&name, 4 * PN_FOLDER_NAME_MAX);
    for (struct dirent *e; status == PN_STORE_OK && (e = readdir(entries)) != NULL;) {
        pn_buf_clear(&name);
        if (e->d_name[0] == '.' && e->d_name[1] != '\0' && e->d_name[1] != '.' &&
            folder_name_of_disk(&name, pn_str_of(e->d_name), &proper))
            status = add_folder(user, pn_buf_str(&name), bytes, messages);
    }
    pn_buf_fini(&name);
    (void)closedir(entries);
    return status;
}

/* Counts what is there, once; from then on what comes and goes is added. */
static enum pn_store_status know_used(struct pn_user *user)
{
    int64_t bytes = 0, messages = 0;
    (void)pthread_mutex_lock(&user->lock);
    bool known = user->used_known;
    (void)pthread_mutex_unlock(&user->lock);
    if (known)
        return PN_STORE_OK;
    enum pn_store_status status = add_all(user, &bytes, &messages);
    (void)pthread_mutex_lock(&user->lock);
    if (status == PN_STORE_OK && !user->used_known) {
        user->used_bytes = bytes;
        user->used_messages = messages;
        user->used_known = true;
    }
    (void)pthread_mutex_unlock(&user->lock);
    return status;
}

static int limits(struct pn_user *user, struct pn_quota *out)
{
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
    bool own = error == 0 && user->marks.has_quota;
    out->bytes_limit = own ? user->marks.quota_bytes : atomic_load(&user->store->quota_bytes);
    out->messages_limit =
        own ? user->marks.quota_messages : atomic_load(&user->store->quota_messages);
    (void)pthread_mutex_unlock(&user->lock);
    return error;
}

enum pn_store_status pn_user_quota(struct pn_user *user, struct pn_quota *out)
{
    *out = (struct pn_quota){0};
    int error = limits(user, out);
    enum pn_store_status status = error != 0 ? store_status(error) : know_used(user);
    (void)pthread_mutex_lock(&user->lock);
    out->bytes = user->used_bytes > 0 ? (uint64_t)user->used_bytes : 0;
    out->messages = user->used_messages > 0 ? (uint64_t)user->used_messages : 0;
    (void)pthread_mutex_unlock(&user->lock);
    return status;
}

enum pn_store_status user_room(struct pn_user *user, uint64_t bytes, uint64_t messages)
{
    struct pn_quota q = {0};
    int error = limits(user, &q);
    if (error != 0)
        return store_status(error);
    if (q.bytes_limit == 0 && q.messages_limit == 0)
        return PN_STORE_OK; /* nothing is counted for nobody */
    enum pn_store_status status = pn_user_quota(user, &q);
    if (status != PN_STORE_OK)
        return status;
    if (q.bytes_limit > 0 && (q.bytes > q.bytes_limit || bytes > q.bytes_limit - q.bytes))
        return PN_STORE_QUOTA;
    if (q.messages_limit > 0 &&
        (q.messages > q.messages_limit || messages > q.messages_limit - q.messages))
        return PN_STORE_QUOTA;
    return PN_STORE_OK;
}

enum pn_store_status pn_user_room(struct pn_user *user, uint64_t bytes)
{
    return user_room(user, bytes, 1);
}
