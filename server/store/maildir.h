/* The shape of a Maildir++ on disk: names, folders. Blocking; results are 0 or errno. */
#ifndef PN_STORE_MAILDIR_H
#define PN_STORE_MAILDIR_H

#include "buf.h"

enum { MAILDIR_COMPONENT_MAX = 255 };

/* Appends name as one path component: letters, digits and -_+=@.,~ stay (not a dot at the
 * front), all else is %XX. False: empty, or longer than a component can be. */
bool maildir_component(struct pn_buf *out, struct pn_str name);
/* Appends the path of a user's Maildir below the root. */
bool maildir_user_path(struct pn_buf *out, struct pn_str user);
/* Appends the Maildir++ name of a folder: "Junk" is ".Junk", "Lists/Dev" ".Lists.Dev"; INBOX
 * ("") is nothing (folder_name.h). */
bool maildir_folder_name(struct pn_buf *out, struct pn_str folder);

/* Opens the directory path below root, never leaving it: root itself may be reached by a link, what
 * is below is directories all the way. -1 with errno; ELOOP: a link. */
int maildir_open_dir(int root, const char *path);
/* A file for reading, likewise; nothing is waited for. */
int maildir_open_file(int root, const char *path);
/* Makes path and all above it, each synced into its parent, with tmp, new and cur. */
int maildir_make(int root, const char *path);
/* Whether path ("": root) is a Maildir, whose making came to its end: one without tmp is none.
 * False only where that is sure. */
bool maildir_is_whole(int root, const char *path);

#endif
