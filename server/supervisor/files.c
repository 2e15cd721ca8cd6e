/* Users, folders, the control socket, certificates and keys, the resolver's file: what only
 * the supervisor may open. */
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "sign_key.h"
#include "srs.h"
#include "supervisor_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PEM_MAX = 28 * 1024, KEYS_BYTES = 64 * 1024 * 1024 };

/* ---- users */

bool files_users(struct supervisor *sup, struct pn_buf *err)
{
    if (!sup->drop)
        return true;
    for (int role = PN_ROLE_COMPILE; role < PN_ROLE_COUNT; role++) {
        char name[64];
        (void)snprintf(name, sizeof name, "postern-%s", pn_role_name((enum pn_role)role));
        errno = 0;
        const struct passwd *pw = getpwnam(name);
        if (pw == NULL || pw->pw_uid == 0 || pw->pw_gid == 0) {
            (void)pn_buf_addf(err,
                              "the role user %s %s: make the role users by 'systemd-sysusers "
                              "%s', or keep privileges by --no-drop",
                              name, pw == NULL ? "is missing" : "is root", PN_SYSUSERS_FILE);
            return false;
        }
        sup->uid[role] = pw->pw_uid;
        sup->gid[role] = pw->pw_gid;
    }
    return true;
}

/* ---- folders */

/* 1: made, 0: it was there, -1 with errno. */
static int make_path(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part || path[0] != '/') {
        errno = EINVAL;
        return -1;
    }
    memcpy(part, path, len + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    if (mkdir(part, 0750) == 0)
        return 1;
    return errno == EEXIST ? 0 : -1;
}

static bool is_empty(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = again < 0 ? NULL : fdopendir(again);
    bool empty = dir != NULL;
    for (struct dirent *e; empty && (e = readdir(dir)) != NULL;)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (dir != NULL)
        (void)closedir(dir);
    else if (again >= 0)
        (void)close(again);
    return empty;
}

/* A folder of root's becomes the role's if we made it, or nothing is in it. Another one holds
 * what we know nothing of: a slip in the configuration must not give it away. */
static bool own_folder(int fd, bool made, const char *path, const struct folder_owner *owner,
                       struct pn_buf *err)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_uid == owner->uid)
        return true;
    if (st.st_uid != 0)
        (void)pn_buf_addf(err, "folder %s: it is another user's, not postern-%s's", path,
                          owner->role);
    else if (!made && !is_empty(fd))
        (void)pn_buf_addf(err,
                          "folder %s: it is root's and not empty, so it is not given to "
                          "postern-%s; name another one, or, if it is meant: chown -R "
                          "postern-%s: %s",
                          path, owner->role, owner->role, path);
    else if (fchown(fd, owner->uid, owner->gid) == 0)
        return true;
    else
        (void)pn_buf_addf(err, "folder %s: %s", path, strerror(errno));
    return false;
}

int files_open_folder(const char *path, const struct folder_owner *owner, struct pn_buf *err)
{
    int made = make_path(path);
    int fd = made < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        (void)pn_buf_addf(err, "folder %s: %s", path, strerror(errno));
    if (fd < 0 || owner == NULL || own_folder(fd, made == 1, path, owner, err))
        return fd;
    (void)close(fd);
    return -1;
}

static int open_folder(const struct supervisor *sup, const char *path, enum pn_role role,
                       struct pn_buf *err)
{
    const struct folder_owner owner = {pn_role_name(role), sup->uid[role], sup->gid[role]};
    return files_open_folder(path, sup->drop ? &owner : NULL, err);
}

bool files_folders(struct supervisor *sup, const struct plan *plan, struct pn_buf *err)
{
    static const enum pn_role owners[PN_FOLDER_COUNT] = {
        [PN_FOLDER_SPOOL] = PN_ROLE_QUEUE,    [PN_FOLDER_MAIL] = PN_ROLE_MAILBOX,
        [PN_FOLDER_LOG] = PN_ROLE_ADMIN,      [PN_FOLDER_STATE] = PN_ROLE_ADMIN,
        [PN_FOLDER_PRIVATE] = PN_ROLE_FILTER, [PN_FOLDER_PLUGINS] = PN_ROLE_STATE,
        [PN_FOLDER_AUTH] = PN_ROLE_AUTH,
    };
    for (int i = 0; i < PN_FOLDER_COUNT; i++) {
        struct pn_folder *f = &sup->folders[i];
        if (plan->folders[i] == NULL)
            continue;
        char *path = pn_pool_strdup(sup->pool, pn_str_of(plan->folders[i]));
        *f =
            (struct pn_folder){(uint8_t)i, pn_str_of(path), open_folder(sup, path, owners[i], err)};
        if (f->fd < 0)
            return false;
    }
    return true;
}

int files_private(const struct supervisor *sup, uint32_t group, char *path, size_t size)
{
    const char *run = sup->now.serial != 0 ? sup->now.plan.run : sup->next.plan.run;
    int n = snprintf(path, size, "%s/group-%u", run, group);
    struct pn_buf err;
    pn_buf_init(&err, 2 * PATH_MAX);
    int fd = n < 0 || (size_t)n >= size ? -1 : open_folder(sup, path, PN_ROLE_FILTER, &err);
    if (fd < 0)
        pn_error("%s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    return fd;
}

/* ---- the control socket */

static bool answers(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool there = fd >= 0 && (connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 ||
                             errno == EAGAIN); /* its backlog is full */
    if (fd >= 0)
        (void)close(fd);
    return there;
}

/* A socket that somebody answers at is not ours to replace: a second start by mistake must
 * not take the operator's line to the server that runs. What is left of one that was killed
 * answers for a moment yet. */
static bool is_free(const struct sockaddr_un *addr)
{
    enum { TRIES = 50, WAIT_MS = 100 };
    for (int i = 0; i < TRIES; i++) {
        if (!answers(addr))
            return true;
        (void)poll(NULL, 0, WAIT_MS);
    }
    errno = EADDRINUSE;
    return false;
}

bool files_control_socket(struct supervisor *sup, const struct plan *plan, struct pn_buf *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/control.sock", plan->run);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path) {
        (void)pn_buf_addf(err, "%s/control.sock: the path is too long for a socket", plan->run);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && make_path(plan->run) >= 0 && is_free(&addr) &&
              (unlink(addr.sun_path) == 0 || errno == ENOENT) &&
              bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
              chmod(addr.sun_path, 0660) == 0 && listen(fd, 64) == 0;
    if (ok) {
        sup->control_socket = fd;
        return true;
    }
    (void)pn_buf_addf(err, "%s: %s", addr.sun_path,
                      errno == EADDRINUSE ? "a server that runs answers here: stop it first, or "
                                            "start this one with another --root"
                                          : strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return false;
}

/* ---- certificates and keys */

/* The bytes of a file of at most PEM_MAX, in the pool. */
static bool read_pem(struct pn_pool *pool, const char *path, struct pn_str *out, struct pn_buf *err)
{
    char bytes[PEM_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && len < sizeof bytes) {
        n = read(fd, bytes + len, sizeof bytes - len);
        len += n > 0 ? (size_t)n : 0;
    }
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    if (n < 0 || len > PEM_MAX) {
        (void)pn_buf_addf(err, "%s: %s", path,
                          n < 0 ? strerror(saved) : "larger than 28 KiB: no certificate or key");
        return false;
    }
    *out = pn_pool_dup(pool, (struct pn_str){bytes, len});
    explicit_bzero(bytes, sizeof bytes);
    return out->p != NULL;
}

static bool read_identities(struct coming *coming, struct pn_buf *err)
{
    const struct plan *plan = &coming->plan;
    coming->identities = pn_calloc(plan->tls_count, sizeof coming->identities[0]);
    for (size_t i = 0; i < plan->tls_count; i++) {
        const struct plan_tls *row = &plan->tls[i];
        struct pn_tls_identity *id = &coming->identities[i];
        id->name = row->name;
        if (!read_pem(coming->keys, row->certificate, &id->chain_pem, err) ||
            !read_pem(coming->keys, row->key, &id->key_pem, err))
            return false;
    }
    coming->identity_count = plan->tls_count;
    if (plan->tls_count == 0)
        return true;
    /* A bad one is a refusal here, not a dead edge later. */
    struct pn_tls_context *tls = pn_tls_server_new(coming->identities, coming->identity_count, err);
    bool ok = tls != NULL;
    pn_tls_unref(&tls);
    return ok;
}

/* A file that others may read is no reason not to sign, but to be told of. */
static bool read_sign(struct coming *coming, const struct plan_sign *row, struct pn_buf *err)
{
    struct pn_sign_pem *to = &coming->signs[coming->sign_count];
    struct stat st;
    *to = (struct pn_sign_pem){.domain = row->domain, .selector = row->selector};
    if (!read_pem(coming->keys, row->file, &to->pem, err))
        return false;
    coming->sign_count++;
    if (stat(row->file, &st) == 0 && (st.st_mode & 077) != 0)
        pn_warn("%s: others than its owner may use this key (chmod 600)", row->file);
    EVP_PKEY *key = pn_sign_key_read(to->pem);
    bool ok = key != NULL && pn_sign_key_algorithm(key) != NULL;
    if (!ok)
        (void)pn_buf_addf(err, "%s: %s", row->file,
                          key == NULL ? "no private key in it (PEM, without a passphrase)"
                                      : "DKIM has RSA keys of 1024 bits and more, and Ed25519");
    EVP_PKEY_free(key);
    return ok;
}

bool files_keys(struct coming *coming, struct pn_buf *err)
{
    const struct plan *plan = &coming->plan;
    coming->certificates = certificates_mark(plan);
    coming->keys = pn_pool_new_secret(KEYS_BYTES);
    coming->signs = pn_calloc(plan->sign_count + 1, sizeof coming->signs[0]);
    bool ok = read_identities(coming, err);
    for (size_t i = 0; ok && i < plan->sign_count; i++)
        ok = read_sign(coming, &plan->signs[i], err);
    return ok;
}

static bool open_file(const char *path, int *fd, struct pn_buf *err)
{
    struct stat st;
    if (path == NULL)
        return true;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool opened = *fd >= 0 && fstat(*fd, &st) == 0;
    if (opened && S_ISREG(st.st_mode))
        return true;
    (void)pn_buf_addf(err, "%s: %s", path, opened ? "not a file" : strerror(errno));
    return false;
}

/* A copy of it that stays as it was looked at, whatever becomes of the file: an edge that starts
 * anew gets no other one. A bad one is a refusal here, not edges that stay behind later. */
static bool take_secrets(int fd, int *out, struct pn_buf *err)
{
    struct pn_srs srs;
    struct pn_str file;
    struct stat st;
    struct pn_pool *pool = pn_pool_new_secret(2 * PN_SRS_FILE_MAX);
    bool ok = pn_srs_read(fd, pool, &file, err) && pn_srs_secrets(&srs, file, err);
    if (ok)
        *out = pn_memfile_of("secrets", file);
    if (ok && *out < 0)
        (void)pn_buf_addz(err, strerror(errno));
    if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0)
        pn_warn("forward.secret-file: others than its owner may read it (chmod 600)");
    pn_pool_free(&pool);
    return ok && *out >= 0;
}

bool files_secrets(struct coming *coming, struct pn_buf *err)
{
    const char *path = coming->plan.secret_file;
    struct pn_buf why;
    int fd = -1;
    if (path == NULL)
        return true;
    pn_buf_init(&why, 200);
    bool opened = open_file(path, &fd, err);
    bool ok = opened && take_secrets(fd, &coming->secret_fd, &why);
    if (opened && !ok)
        (void)pn_buf_addf(err, "%s: %s", path, pn_buf_cstr(&why));
    if (fd >= 0)
        (void)close(fd);
    pn_buf_fini(&why);
    return ok;
}

bool files_for_roles(struct coming *coming, struct pn_buf *err)
{
    return open_file(coming->plan.dns_file, &coming->dns_file_fd, err) &&
           open_file(coming->plan.authorities, &coming->authorities_fd, err) &&
           files_secrets(coming, err);
}

void coming_fini(struct coming *coming)
{
    if (coming->policy_fd >= 0 && coming->serial != 0)
        (void)close(coming->policy_fd);
    if (coming->dns_file_fd >= 0)
        (void)close(coming->dns_file_fd);
    if (coming->secret_fd >= 0)
        (void)close(coming->secret_fd);
    if (coming->users_fd >= 0)
        (void)close(coming->users_fd);
    if (coming->authorities_fd >= 0)
        (void)close(coming->authorities_fd);
    free(coming->identities);
    free(coming->signs);
    pn_pool_free(&coming->keys);
    plan_fini(&coming->plan);
    *coming = (struct coming){
        .policy_fd = -1, .dns_file_fd = -1, .secret_fd = -1, .users_fd = -1, .authorities_fd = -1};
}

void files_close(struct supervisor *sup)
{
    for (int i = 0; i < PN_FOLDER_COUNT; i++)
        if (sup->folders[i].fd >= 0)
            (void)close(sup->folders[i].fd);
    if (sup->limits_fd >= 0)
        (void)close(sup->limits_fd);
    if (sup->control_socket >= 0)
        (void)close(sup->control_socket);
}
