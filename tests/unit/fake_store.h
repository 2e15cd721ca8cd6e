/*
 * A store in memory behind store.h, folders.h (list only) and view.h, for tests and fuzzers of
 * engines: it does what the real one promises, at once, and nothing by itself. The clock stands
 * still at FAKE_NOW, UIDVALIDITY of a folder counts up from 1000. Several sessions may share the
 * user; one thread.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "view.h"

enum { FAKE_NOW = 1700000000 };

/* With an INBOX, Junk and Archive of their special uses. Owned; closed by pn_user_close. */
struct pn_user *fake_user(void);
/* The same once more. */
struct pn_user *fake_user_again(struct pn_user *user);
/* LF ends; date FAKE_NOW. Its UID. */
uint32_t fake_deliver(struct pn_user *user, const char *folder, struct pn_str content);
/* Another program removes it. */
void fake_remove(struct pn_user *user, const char *folder, uint32_t uid);
/* The folder is no more. */
void fake_delete(struct pn_user *user, const char *folder);
/* What pn_user_room allows at most. */
void fake_room(struct pn_user *user, uint64_t bytes);

#endif
