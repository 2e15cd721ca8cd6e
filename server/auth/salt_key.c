#include "salt_key.h"

#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "salt-key"
#define NEW  ".salt-key.new"

static int make(int folder, unsigned char *key)
{
    if (getrandom(key, AUTH_SALT_KEY, 0) != AUTH_SALT_KEY)
        return EIO;
    struct pn_str bytes = {(const char *)key, AUTH_SALT_KEY};
    int error = pn_replace_whole(folder, NAME, NEW, bytes);
    return error == 0 && fsync(folder) != 0 ? errno : error;
}

bool auth_salt_key(int folder, unsigned char key[AUTH_SALT_KEY], struct pn_buf *err)
{
    struct stat st;
    int fd = openat(folder, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int error = fd >= 0 ? 0 : errno == ENOENT ? make(folder, key) : errno;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != AUTH_SALT_KEY)) {
        (void)pn_buf_addz(err, "auth/" NAME " in the state folder is no file of 32 bytes; "
                               "without it a new one is made");
        (void)close(fd);
        return false;
    }
    if (fd >= 0) {
        error = pn_read_whole_at(fd, key, AUTH_SALT_KEY, 0, EIO);
        (void)close(fd);
    }
    if (error != 0)
        (void)pn_buf_addf(err, "auth/" NAME " in the state folder: %s", strerror(error));
    return error == 0;
}
