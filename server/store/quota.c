/* A user's own quota, in postern-user; what is used is counted by used.c. */
#include "store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const char noted[] = ".postern-quotas"; /* no domain begins with a dot */

void store_quotas_begin(struct pn_store *store)
{
    atomic_store(&store->has_quotas, faccessat(store->root, noted, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

bool pn_store_has_quotas(const struct pn_store *store)
{
    return atomic_load(&store->has_quotas);
}

int store_quotas_note(struct pn_store *store)
{
    if (atomic_load(&store->has_quotas))
        return 0;
    int fd = openat(store->root, noted, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    int root = error == 0 ? openat(store->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (error == 0 && (root < 0 || fsync(root) != 0))
        error = errno;
    if (root >= 0)
        (void)close(root);
    if (error == 0)
        atomic_store(&store->has_quotas, true);
    return error;
}

enum pn_store_status pn_user_quota_set(struct pn_user *user, bool own, uint64_t bytes,
                                       uint64_t messages)
{
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
    error = error == 0 && own ? store_quotas_note(user->store) : error;
    if (error == 0) {
        struct user_marks *m = &user->marks;
        const bool had = m->has_quota;
        const uint64_t had_bytes = m->quota_bytes, had_messages = m->quota_messages;
        m->has_quota = own;
        m->quota_bytes = own ? bytes : 0;
        m->quota_messages = own ? messages : 0;
        error = user_marks_write(user);
        if (error != 0) {
            m->has_quota = had;
            m->quota_bytes = had_bytes;
            m->quota_messages = had_messages;
        }
    }
    (void)pthread_mutex_unlock(&user->lock);
    return error == 0 ? PN_STORE_OK : store_failed(NULL, "postern-user", error);
}
