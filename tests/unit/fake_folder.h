/* A folder in memory in place of the store's view.h, as far as POP3 needs it: for the POP3 engine's
 * tests, fuzzer and bench. One view at a time. */
#ifndef FAKE_FOLDER_H
#define FAKE_FOLDER_H

#include "view.h"

struct fake_mail {
    struct pn_str content; /* borrowed; p NULL: it can't be read */
    uint32_t uid, size;
    bool gone;    /* another session removed it */
    bool removed; /* by this one */
};

struct fake_folder {
    struct fake_mail *mails; /* owned */
    size_t count;
    uint32_t uidvalidity;
    enum pn_store_status open_status, store_status;
    unsigned open;    /* views */
    unsigned reading; /* contents that are not done */
    unsigned users;   /* closes of the user */
    bool downgrade;   /* what the view was told last */
};

extern struct fake_folder fake_folder;

void fake_folder_clear(void);
void fake_folder_add(struct pn_str content);
/* What pn_engine_start.user is. */
struct pn_user *fake_user(void);

#endif
