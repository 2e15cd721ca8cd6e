/* A user's own quota, in postern-user; what is used is counted by user.c. */
#include "store_int.h"

enum pn_store_status pn_user_quota_set(struct pn_user *user, bool own, uint64_t bytes,
                                       uint64_t messages)
{
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
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
