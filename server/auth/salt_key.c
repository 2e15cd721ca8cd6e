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

static int put(int fd, const unsigned char *key)
{
    int error = pn_write_whole(fd, (struct pn_str){(const char *)key, AUTH_SALT_KEY});
    return error != 0 ? error : fsync(fd) != 0 ? errno : 0;
}

static int make(int folder, unsigned char *key)
{
    if (getrandom(key, AUTH_SALT_KEY, 0) != AUTH_SALT_KEY)
        return EIO;
    if (unlinkat(folder, NEW, 0) != 0 && errno != ENOENT) /* what a power cut left */
        return errno;
    int fd = openat(folder, NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = put(fd, key);
    (void)close(fd);
    if (error == 0 && (renameat(folder, NEW, folder, NAME) != 0 || fsync(folder) != 0))
        error = errno;
    return error;
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
