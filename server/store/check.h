/*
 * Looking a user's mailbox through, and making his index anew, while he and others use it: for the
 * operator (`postern mailbox check|rebuild`). Both take as long as the mail is large, and block on
 * the disk; users who are at work are served meanwhile.
 *
 * A fault is a message that can't be read or whose bytes are not what its name says, or one of
 * which the index says what is not so, or an index that was found damaged since the last check,
 * which is made anew wherever that is found. A fault of the index is mended by a rebuild; one of a
 * message is told by both, and nothing that is made of its bytes is kept, so that it is gone with
 * the fault.
 */
#ifndef PN_STORE_CHECK_H
#define PN_STORE_CHECK_H

#include "store.h"

/* Is there a mailbox of that name? Not the same as whether there could be one. */
bool pn_store_has_user(const struct pn_store *store, struct pn_str name);

/* All on the thread that asked. Strings are borrowed for the call. */
struct pn_check_ops {
    /* Some more of a folder's messages are done; at its end done is `of`. False: it is to end. */
    bool (*progress)(void *ctx, struct pn_str folder, uint32_t done, uint32_t of);
    /* uid 0: of the folder itself; folder "": of the mailbox. */
    void (*fault)(void *ctx, struct pn_str folder, uint32_t uid, const char *what);
};

struct pn_check_sum {
    uint64_t folders, messages, bytes, faults;
};

enum pn_store_status pn_user_check(struct pn_user *user, const struct pn_check_ops *ops, void *ctx,
                                   struct pn_check_sum *out);
/* The index, and the words for SEARCH, are made from nothing; then it is as a check. */
enum pn_store_status pn_user_rebuild(struct pn_user *user, const struct pn_check_ops *ops,
                                     void *ctx, struct pn_check_sum *out);

#endif
