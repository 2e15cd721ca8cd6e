/* Passwords for next hops: the queue shows them, but may not open their files. They are read when
 * they are given, at start and at each reload, and kept nowhere here. */
#include "log.h"
#include "passwords.h"
#include "supervisor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line. Returns its length; 0: there is none, why says so. */
static size_t read_line(const char *path, char *line, size_t size, const char **why)
{
    struct stat st;
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, line, size) : -1;
    *why = fd < 0 ? strerror(errno) : got < 0 ? "it is no file that can be read" : NULL;
    if (fd >= 0)
        (void)close(fd);
    while (got > 0 && len < (size_t)got && line[len] != '\n' && line[len] != '\r' &&
           line[len] != '\0')
        len++;
    if (*why == NULL && (len == 0 || len == size))
        *why = len == 0 ? "its first line is empty" : "its first line is too long for a password";
    return *why == NULL ? len : 0;
}

static void give_one(struct child *c, const struct plan_password *p, struct pn_buf *b)
{
    char line[PN_PASSWORD_BYTES_MAX + 1];
    const char *why;
    size_t len = read_line(p->file, line, sizeof line, &why);
    if (len > 0) {
        const struct pn_hop_password password = {p->destination, {line, len}};
        pn_hop_password_put(b, &password);
        (void)child_send(c, PN_REC_PASSWORD, b, -1);
        explicit_bzero(b->p, b->len);
        pn_buf_clear(b);
    } else {
        pn_error("no mail goes to destination %.*s until the next reload: %s: %s",
                 PN_FMT(p->destination), p->file, why);
    }
    explicit_bzero(line, sizeof line);
}

void give_passwords(struct child *c, const struct plan *plan, struct pn_buf *b)
{
    for (size_t i = 0; c->kind == PEER_QUEUE && i < plan->password_count; i++)
        give_one(c, &plan->passwords[i], b);
}
