#include "making.h"

#include "mem.h"
#include "team.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { BYTES_MAX = 32 * 1024 * 1024 /* of parts at a time, but for what helpers have at hand */ };

void making_init(struct making *m, struct folder *folder, struct team *team)
{
    *m = (struct making){.folder = folder, .team = team, .fd = {-1, -1}};
    pn_buf_init(&m->names, SIZE_MAX);
}

static void drop_parts(struct made *made)
{
    for (unsigned i = 0; i < 3; i++)
        pn_buf_fini(&made->parts[i]);
}

void making_clear(struct making *m)
{
    for (; m->next < m->count; m->next++)
        drop_parts(&m->v[m->next]);
    m->count = m->next = 0;
    m->names.len = 0;
    atomic_store(&m->bytes, 0);
}

void making_fini(struct making *m)
{
    making_clear(m);
    pn_buf_fini(&m->names);
    free(m->v);
}

void making_add(struct making *m, uint32_t uid)
{
    m->v = pn_grow(m->v, &m->cap, m->count, sizeof *m->v);
    struct made *made = &m->v[m->count++];
    *made = (struct made){.uid = uid, .name = SIZE_MAX};
    for (unsigned i = 0; i < 3; i++)
        pn_buf_init(&made->parts[i], 0);
}

/* Names as memory has them now: who finds no such file looks again. */
static void look_up(struct making *m)
{
    struct folder *f = m->folder;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < m->count; i++) {
        bool found;
        size_t at = folder_find(f, m->v[i].uid, &found);
        if (!found)
            continue;
        const char *name = folder_msg_name(f, &f->msgs[at]);
        m->v[i].name = m->names.len;
        m->v[i].guessed = f->msgs[at].guessed;
        mail_know(f, &f->msgs[at], &m->v[i].known);
        m->v[i].dir = f->msgs[at].in_new ? DIR_NEW : DIR_CUR;
        (void)pn_buf_add(&m->names, name, strlen(name) + 1);
    }
    (void)pthread_mutex_unlock(&f->lock);
}

static int open_one(const struct making *m, const struct made *made)
{
    int fd = -1;
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    if (made->name != SIZE_MAX && m->fd[made->dir] >= 0) {
        const char *name = m->names.p + made->name;
        fd = openat(m->fd[made->dir], name, flags | O_NOATIME); /* else each inode is written */
        if (fd < 0 && errno == EPERM)                           /* it is not ours */
            fd = openat(m->fd[made->dir], name, flags);
    }
    return fd >= 0 ? fd : mail_open(m->folder, made->uid);
}

static void make(struct making *m, struct made *made)
{
    struct pn_content content;
    int fd = open_one(m, made);
    made->tried = true;
    made->whole = fd >= 0 && mail_read(fd, &made->known, &content) == 0;
    if (!made->whole)
        return;
    if (made->guessed)
        made->size = mail_size(content.bytes);
    mail_describe(content.bytes, made->parts, &made->form);
    made->kept = mail_is_whole(content.bytes, &made->known) && pn_content_is_whole(&content);
    pn_content_done(&content);
    for (unsigned i = 0; i < 3; i++)
        (void)atomic_fetch_add(&m->bytes, made->parts[i].len);
}

/* On any thread. What finds no room is made when it is asked for. */
static void make_one(void *ctx, size_t i)
{
    struct making *m = ctx;
    if (atomic_load(&m->bytes) < BYTES_MAX)
        make(m, &m->v[i]);
}

static void keep(const struct making *m, const struct made *made)
{
    struct index_cached row = {.uid = made->uid};
    for (unsigned i = 0; i < 3; i++)
        row.part[i] = made->parts[i].p == NULL ? PN_STR("") : pn_buf_str(&made->parts[i]);
    if (made->kept && made->parts[0].len > 0)
        index_put_cached(m->folder->user->index, m->folder->marks.uidvalidity, &row);
}

/* Sizes that were guessed are known now. What can't be read stays as it was guessed. */
static void tell_size(struct folder *f, struct msg *msg, const struct made *made)
{
    folder_set_size(f, msg,
                    !made->whole              ? msg->size
                    : made->size < UINT32_MAX ? (uint32_t)made->size
                                              : UINT32_MAX);
}

/* And forms. */
static void tell_sizes(const struct making *m, size_t from, size_t to)
{
    struct folder *f = m->folder;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = from; i < to; i++) {
        const struct made *made = &m->v[i];
        bool found;
        size_t at = folder_find(f, made->uid, &found);
        if (found && made->kept)
            folder_set_form(f, &f->msgs[at], made->form);
        if (made->guessed && made->tried && found && f->msgs[at].guessed)
            tell_size(f, &f->msgs[at], made);
    }
    (void)pthread_mutex_unlock(&f->lock);
}

void making_run(struct making *m)
{
    if (m->count == 0)
        return;
    look_up(m);
    m->fd[DIR_NEW] = folder_open_dir(m->folder, "new");
    m->fd[DIR_CUR] = folder_open_dir(m->folder, "cur");
    team_run(m->team, m->count, make_one, m);
    for (unsigned i = 0; i < 2; i++) {
        if (m->fd[i] >= 0)
            (void)close(m->fd[i]);
        m->fd[i] = -1;
    }
    for (size_t i = 0; i < m->count; i++)
        keep(m, &m->v[i]);
    tell_sizes(m, 0, m->count);
    user_busy(m->folder->user);
}

const struct made *making_find(struct making *m, uint32_t uid)
{
    for (; m->next < m->count && m->v[m->next].uid < uid; m->next++)
        drop_parts(&m->v[m->next]);
    if (m->next == m->count || m->v[m->next].uid != uid)
        return NULL;
    struct made *made = &m->v[m->next];
    if (!made->tried) {
        make(m, made);
        keep(m, made);
        tell_sizes(m, m->next, m->next + 1);
    }
    return made;
}
