#include "auth_users.h"

#include "mem.h"
#include "sasl.h"
#include "whole.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct auth_users {
    unsigned refs;
    char *text; /* owned, wiped */
    size_t size;
    struct pn_userfile file; /* views of text */
};

struct auth_users *auth_users_ref(struct auth_users *users)
{
    users->refs++;
    return users;
}

void auth_users_unref(struct auth_users **users)
{
    struct auth_users *u = *users;
    *users = NULL;
    if (u == NULL || --u->refs != 0)
        return;
    pn_userfile_fini(&u->file);
    explicit_bzero(u->text, u->size);
    free(u->text);
    free(u);
}

static struct pn_str senders_of(struct pn_str options)
{
    struct pn_str key, value;
    while (pn_user_option(&options, &key, &value))
        if (pn_str_eq(key, PN_STR("senders")))
            return value;
    return PN_STR("");
}

struct pn_str auth_user_senders(const struct pn_user *user)
{
    return senders_of(user->options);
}

static bool refuse(struct pn_buf *err, unsigned line, unsigned column, const char *text)
{
    (void)pn_buf_addf(err, "line %u, column %u: %s", line, column, text);
    return false;
}

static bool parse(struct auth_users *u, struct pn_buf *err)
{
    struct pn_userfile_error error;
    if (!pn_userfile_read(&u->file, (struct pn_str){u->text, u->size}, &error))
        return refuse(err, error.line, error.column, error.text);
    for (size_t i = 0; i < u->file.count; i++) {
        const struct pn_user *user = &u->file.users[i];
        struct pn_str senders = auth_user_senders(user);
        if (!pn_sasl_senders_ok(senders))
            return refuse(err, user->number, (unsigned)(senders.p - user->line.p) + 1,
                          "expected senders=ADDRESS,@DOMAIN,... or senders=*");
    }
    return true;
}

static bool size_of(int fd, size_t *size, struct pn_buf *err)
{
    struct stat st;
    *size = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > PN_USERFILE_MAX) {
        (void)pn_buf_addz(err, "no file, or larger than 64 MiB");
        return false;
    }
    *size = (size_t)st.st_size;
    return true;
}

struct auth_users *auth_users_read(int fd, struct pn_buf *err)
{
    size_t size;
    if (!size_of(fd, &size, err))
        return NULL;
    struct auth_users *u = pn_calloc(1, sizeof *u);
    *u = (struct auth_users){.refs = 1, .text = pn_calloc(1, size + 1), .size = size};
    int error = size == 0 ? 0 : pn_read_whole_at(fd, u->text, size, 0, EIO);
    if (error != 0)
        (void)pn_buf_addf(err, "%s", strerror(error));
    if (error != 0 || !parse(u, err))
        auth_users_unref(&u);
    return u;
}

size_t auth_users_count(const struct auth_users *users)
{
    return users->file.count;
}

const struct pn_user *auth_users_find(const struct auth_users *users, struct pn_str name)
{
    return pn_userfile_find(&users->file, name);
}
