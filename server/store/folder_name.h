/*
 * Names of folders: as users see them, and as a Maildir++ has them on disk.
 *
 * A name is UTF-8, '/' between levels, no level empty, no control character in it. "" and INBOX
 * in any case are the INBOX; as a first level of others it is INBOX in capitals.
 *
 * On disk all levels are one component behind dots (".Lists.Dev"), each in modified UTF-7 (RFC
 * 3501, section 5.1.3) as Courier and Dovecot have it, a dot within a level as "&AC4-". A
 * component that is no such name, which another program made, is shown by its bytes where these
 * are UTF-8 ("R&D" on disk is R&D): so a name has two components it may stand for,
 * and where both are there the proper one counts.
 */
#ifndef PN_FOLDER_NAME_H
#define PN_FOLDER_NAME_H

#include "buf.h"

enum {
    PN_FOLDER_LEVELS_MAX = 16,
    PN_FOLDER_NAME_MAX = 200 /* bytes of UTF-8; less where the name on disk gets too long */
};

bool folder_is_inbox(struct pn_str name);
/* Appends the one spelling of a name: "" for the INBOX. False: no folder can have it. */
bool folder_name_clean(struct pn_buf *out, struct pn_str name);
/* Appends the name of a component; the component as it should be for that name, then: proper;
 * else its bytes. False: it is no folder of a Maildir++. */
bool folder_name_of_disk(struct pn_buf *out, struct pn_str component, bool *proper);
/* Appends the component that another program may have made for a name: its own bytes. */
bool folder_name_plain(struct pn_buf *out, struct pn_str name);
/* The level above: "Lists" of "Lists/Dev"; of a top level .p is NULL. */
struct pn_str folder_name_parent(struct pn_str name);
/* Is it a level, or levels, below top? */
bool folder_name_below(struct pn_str name, struct pn_str top);
/* The order of lists: the INBOX (as "" or by name) and what is below it first, then by level, so
 * that a folder is followed by all that are below it. */
int folder_name_cmp(struct pn_str a, struct pn_str b);

#endif
