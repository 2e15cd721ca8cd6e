/*
 * One worker a user, though their count changes: then users move, and those who had them have ten
 * seconds for their sessions' last words. Each worker holds a lock for its life that says how many
 * there are, on the mail folder itself: the byte of that number. Who begins serves nobody before
 * all locks on other bytes are gone; until then what comes is put off.
 *
 * The locks are an open file's own (F_OFD_...), and go with it however its process ends.
 */
#include "log.h"
#include "mailbox_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_free(int fd, off_t from, off_t len)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = len};
    return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK;
}

/* A system that has no such locks gives none to look at, either. */
void sole_begin(struct mailbox *mb, int folder)
{
    mb->count = mb->settings.mailboxes;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = mb->count, .l_len = 1};
    mb->sole_fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mb->sole_fd < 0 || fcntl(mb->sole_fd, F_OFD_SETLK, &lock) != 0)
        pn_warn("no lock on the mail folder: %s", strerror(errno));
}

void sole_end(struct mailbox *mb)
{
    if (mb->sole_fd >= 0)
        (void)close(mb->sole_fd);
    mb->sole_fd = -1;
}

bool sole_alone(struct mailbox *mb)
{
    off_t count = mb->count;
    if (!mb->alone)
        mb->alone = mb->sole_fd < 0 || ((count == 0 || is_free(mb->sole_fd, 0, count)) &&
                                        is_free(mb->sole_fd, count + 1, 0));
    return mb->alone;
}

bool sole_has(const struct mailbox *mb, struct pn_str user)
{
    return mb->count < 2 || pn_mailbox_of(user, mb->count) == mb->number;
}
