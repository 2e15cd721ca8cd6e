/*
 * The file of users on disk: read whole, and written so that whoever reads sees the old one
 * or the new one, after a power cut too: a file beside it (.NAME.new), synced, put in its
 * place, the folder synced. One writer at a time: others wait for its lock, which is on the
 * file itself and is asked for again where the file was replaced meanwhile.
 *
 * A new file has the mode 0640; one that is there keeps owner and group, and its mode but
 * what 0640 does not give. A symbolic link is followed, and stays. Codes are errno's.
 */
#ifndef PN_USERSTORE_H
#define PN_USERSTORE_H

#include "buf.h"

#include <sys/types.h>

enum pn_userstore_mode {
    PN_USERSTORE_READ,
    PN_USERSTORE_WRITE, /* locked till it is closed */
    PN_USERSTORE_CREATE /* that too, and made if there is none */
};

struct pn_userstore {
    int fd;
    char *path;         /* owned; without symbolic links */
    struct pn_buf text; /* what the file holds: verifiers, wiped when it is closed */
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

/* 0 or an errno: EFBIG beyond PN_USERFILE_MAX, EINVAL for what is no regular file. To be
 * closed in both cases. */
int pn_userstore_open(struct pn_userstore *store, const char *path, enum pn_userstore_mode mode);
/* Once, of one that was opened to write. 0, or an errno. */
int pn_userstore_write(struct pn_userstore *store, struct pn_str text);
void pn_userstore_close(struct pn_userstore *store);

#endif
