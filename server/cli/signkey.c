#include "signkey.h"

#include "sign_key.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 65536 };

EVP_PKEY *pn_signkey_new(size_t bits)
{
    return bits == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                     : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
}

/* The entry of a folder that was just made. */
static int sync_parent(int fd)
{
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = parent < 0 || fsync(parent) != 0 ? errno : 0;
    if (parent >= 0)
        (void)close(parent);
    return error;
}

int pn_signkey_folder(const char *path, bool make)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || !make || (mkdir(path, 0700) != 0 && errno != EEXIST))
        return fd;
    if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    int error = sync_parent(fd);
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

const char *pn_signkey_folder_wrong(int folder)
{
    struct stat st;
    if (fstat(folder, &st) != 0)
        return strerror(errno);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return "neither root's nor yours: no place for keys";
    return (st.st_mode & 022) != 0 ? "others may write it: no place for keys (chmod go-w)" : NULL;
}

static int write_synced(int fd, struct pn_str bytes)
{
    /* Whatever the umask takes away. */
    int error = fchmod(fd, 0600) != 0 ? errno : pn_write_whole(fd, bytes);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    return error;
}

static int save_bytes(int folder, const char *file, struct pn_str bytes)
{
    int fd = openat(folder, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = write_synced(fd, bytes);
    if (close(fd) != 0 && error == 0)
        error = errno;
    if (error == 0 && fsync(folder) != 0)
        error = errno;
    if (error != 0)
        (void)unlinkat(folder, file, 0);
    return error;
}

int pn_signkey_save(int folder, const char *file, EVP_PKEY *key)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    int error = ENOMEM;
    if (pem != NULL && PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1) {
        long len = BIO_get_mem_data(pem, &bytes);
        error = save_bytes(folder, file, (struct pn_str){bytes, (size_t)len});
    }
    (void)BIO_free(pem); /* wipes it */
    return error;
}

static int load_from(int fd, EVP_PKEY **key, bool *open_to_others)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > KEY_FILE_MAX)
        return S_ISDIR(st.st_mode) ? EISDIR : EBADMSG;
    *open_to_others = (st.st_mode & 077) != 0;
    size_t len = (size_t)st.st_size;
    char *bytes = OPENSSL_malloc(len);
    if (bytes == NULL)
        return ENOMEM;
    int error = pn_read_whole_at(fd, bytes, len, 0, EBADMSG);
    if (error == 0 && (*key = pn_sign_key_read((struct pn_str){bytes, len})) == NULL)
        error = EBADMSG;
    OPENSSL_clear_free(bytes, len);
    return error;
}

int pn_signkey_load(int folder, const char *file, EVP_PKEY **key, bool *open_to_others)
{
    *key = NULL;
    /* Not to wait for whoever writes a FIFO. */
    int fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno;
    int error = load_from(fd, key, open_to_others);
    (void)close(fd);
    return error;
}
