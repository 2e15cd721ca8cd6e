/*
 * The users as auth knows them: the file of users, read whole, as it was at one moment. It is
 * counted: a login under way keeps those that it began with. Verifiers lie in memory that is
 * wiped when the last reference goes. One thread.
 */
#ifndef AUTH_USERS_H
#define AUTH_USERS_H

#include "userfile.h"

struct auth_users;

/* What fd holds, from its beginning; fd stays the caller's. NULL with a sentence in err ("line 3,
 * column 7: ..."): no file of users, or one that can't be read. */
struct auth_users *auth_users_read(int fd, struct pn_buf *err);
struct auth_users *auth_users_ref(struct auth_users *users);
void auth_users_unref(struct auth_users **users);
size_t auth_users_count(const struct auth_users *users);
/* By the name in its one form; NULL: nobody. Borrowed from users. */
const struct pn_user *auth_users_find(const struct auth_users *users, struct pn_str name);
/* Whom else he may send as (ipc/sasl.h). */
struct pn_str auth_user_senders(const struct pn_user *user);

#endif
