/*
 * What policy says of mailboxes here: quotas, what is said of a full one, and the names of the
 * folders that have a use (RFC 6154). Each setting by itself: what the user's domain says in its
 * `mailbox` block, else what stands in `mailbox` at the top. (What a user has of his own the store
 * keeps, and it comes before both: store.h.)
 *
 * Views borrow from the policy. May be called from any thread that holds it.
 */
#ifndef PN_MAILBOX_POLICY_H
#define PN_MAILBOX_POLICY_H

#include "policy.h"

enum pn_policy_folder {
    PN_FOLDER_OF_DRAFTS,
    PN_FOLDER_OF_SENT,
    PN_FOLDER_OF_JUNK,
    PN_FOLDER_OF_TRASH,
    PN_FOLDER_OF_ARCHIVE,
    PN_POLICY_FOLDERS
};

struct pn_mailbox_limit {
    uint64_t value;      /* 0: none */
    struct pn_str where; /* the line that says it; empty: nobody does */
};

struct pn_mailbox_policy {
    struct pn_mailbox_limit bytes, messages; /* of users without a quota of their own */
    bool full_rejects;                       /* a full mailbox: 552, not 452 */
    bool tag_folders;                        /* user+folder@ goes into that folder */
    struct pn_str folders[PN_POLICY_FOLDERS];
};

/* domain: of the user's address; NULL, or one without mailboxes: what holds for all. */
void pn_policy_mailbox(const struct pn_policy *p, const struct pn_domain *domain,
                       struct pn_mailbox_policy *out);
/* The same for a user as roles name him: "u@here.test", or "u" without a domain. */
void pn_policy_mailbox_of(const struct pn_policy *p, struct pn_str user,
                          struct pn_mailbox_policy *out);
/* Is there a quota for users of that domain, unless they have their own? Fast: for RCPT. */
bool pn_domain_has_quota(const struct pn_policy *p, const struct pn_domain *domain);

#endif
