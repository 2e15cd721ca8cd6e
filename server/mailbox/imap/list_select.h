/*
 * Which folders LIST and LSUB answer with, and what they say of each: RFC 9051, section 6.3.9 (RFC
 * 5258, 6154), RFC 3501, section 6.3.9. Pure: from all folders of a user to the rows of an answer.
 */
#ifndef IMAP_LIST_SELECT_H
#define IMAP_LIST_SELECT_H

#include "folders.h"
#include "list_pattern.h"
#include "pool.h"

/* Selection options; RECURSIVEMATCH only beside SUBSCRIBED or SPECIAL-USE. */
enum { LIST_SUBSCRIBED = 1, LIST_SPECIAL_USE = 2, LIST_RECURSIVE = 4, LIST_REMOTE = 8 };

struct list_ask {
    bool lsub;
    unsigned select;
    struct list_pattern **patterns;
    size_t pattern_count;
};

struct list_row {
    const struct pn_folder_entry *entry; /* borrowed from the list */
    bool below; /* CHILDINFO: folders below it are as selected; of LSUB: only these are */
};

struct list_rows {
    struct list_row *v; /* pooled, in the order of the list */
    size_t count;
};

/* Under way: ten thousand folders and dozens of patterns may take seconds. */
struct list_choice {
    const struct pn_folder_list *folders; /* borrowed */
    const struct list_ask *ask;           /* borrowed */
    struct list_known *known;             /* pooled; one a folder */
    size_t next;
    struct list_rows rows; /* once it is made */
};

/* folders: with each level above of every one. False: the pool's limit. */
bool list_choice_init(struct list_choice *choice, const struct pn_folder_list *folders,
                      const struct list_ask *ask, struct pn_pool *pool);
/* Works until the deadline (ns), but for some folders at least. True: the rows are there. */
bool list_choose(struct list_choice *choice, uint64_t deadline);

#endif
