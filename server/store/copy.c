/*
 * COPY and MOVE: files are linked into the other folder's tmp, and arrive there. Of two who move
 * one message the second comes when the first is done, and finds it gone: it is never in two
 * folders.
 */
#include "store_int.h"

#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct copy {
    struct folder *from, *to;
    struct arrival *v;
    uint32_t *uids; /* of the source */
    size_t count, cap, uid_cap;
    uint32_t first; /* of the copies */
    int tmp;
};

/* What is to be copied, as it is now; from->lock is held. */
static uint64_t choose(struct copy *c, const struct pn_view *view, const struct pn_uidset *uids)
{
    const struct folder *f = c->from;
    uint64_t bytes = 0;
    for (size_t i = 0; i < uids->count; i++)
        for (size_t at = folder_find(f, uids->v[i].first, NULL);
             at < f->count && f->msgs[at].uid <= uids->v[i].last; at++) {
            const struct msg *m = &f->msgs[at];
            struct mail_name parsed;
            if (pn_view_seq(view, m->uid) == 0)
                continue; /* not told of yet: not meant */
            mail_name_parse(pn_str_of(folder_msg_name(f, m)), &parsed);
            c->v = pn_grow(c->v, &c->cap, c->count, sizeof *c->v);
            c->uids = pn_grow(c->uids, &c->uid_cap, c->count, sizeof *c->uids);
            c->v[c->count] = (struct arrival){.file_size = parsed.file_size,
                                              .size = m->size,
                                              .system = m->system,
                                              .keywords = m->keywords,
                                              .date = m->date,
                                              .form = m->form};
            c->uids[c->count++] = m->uid;
            bytes += m->size;
        }
    return bytes;
}

static int copy_bytes(int from, int tmp, const char *name, int64_t date)
{
    enum { CHUNK = 64 * 1024 };
    const struct timespec times[2] = {{.tv_sec = date}, {.tv_sec = date}};
    int to = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0)
        return errno;
    char *chunk = pn_alloc(CHUNK);
    int error = 0;
    for (ssize_t n; error == 0 && (n = read(from, chunk, CHUNK)) != 0;)
        error = n > 0            ? pn_write_whole(to, (struct pn_str){chunk, (size_t)n})
                : errno == EINTR ? 0
                                 : errno;
    if (error == 0 && (futimens(to, times) != 0 || fsync(to) != 0))
        error = errno;
    (void)close(to);
    free(chunk);
    if (error != 0)
        (void)unlinkat(tmp, name, 0);
    return error;
}

/* The name that a message's file has now; linked where the file system can. ENOENT: it is gone. */
static int link_one(struct copy *c, uint32_t uid, struct arrival *a)
{
    struct folder *f = c->from;
    bool found;
    int error = ENOENT;
    (void)pthread_mutex_lock(&f->lock);
    size_t at = folder_find(f, uid, &found);
    int dir = found ? folder_open_dir(f, f->msgs[at].in_new ? "new" : "cur") : -1;
    if (dir >= 0) {
        error = linkat(dir, folder_msg_name(f, &f->msgs[at]), c->tmp, a->tmp, 0) != 0 ? errno : 0;
        (void)close(dir);
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (!found || error == 0)
        return error;
    /* Renamed meanwhile, or of a file system, or count of links, that won't: by bytes. */
    int fd = mail_open(f, uid);
    if (fd < 0)
        return errno;
    error = copy_bytes(fd, c->tmp, a->tmp, a->date);
    (void)close(fd);
    return error == ENOENT ? ESTALE : error; /* not the message is gone, but where it was to go */
}

/* All into tmp; those that are gone are left out. */
static int link_all(struct copy *c)
{
    struct pn_buf name;
    size_t kept = 0;
    int error = 0;
    pn_buf_init(&name, 256);
    for (size_t i = 0; i < c->count && error == 0; i++) {
        struct stat st;
        struct arrival *a = &c->v[i];
        pn_buf_clear(&name);
        store_unique(c->to->user->store, &name);
        a->tmp = pn_strndup(name.p, name.len);
        error = link_one(c, c->uids[i], a);
        if (error == 0 && fstatat(c->tmp, a->tmp, &st, AT_SYMLINK_NOFOLLOW) == 0)
            /* A name that says another size is right: the file was cut, and may be mended. */
            a->file_size = a->file_size != 0 ? a->file_size : (uint64_t)st.st_size;
        bool gone = error == ENOENT;
        if (gone) {
            arrival_fini(a);
            error = 0;
        } else {
            c->uids[kept] = c->uids[i];
            c->v[kept++] = *a;
            if (kept <= i)
                *a = (struct arrival){0};
        }
    }
    if (error == 0)
        c->count = kept;
    pn_buf_fini(&name);
    return error;
}

/* Letters of the one folder for those of the other. */
static enum pn_store_status map_keywords(struct copy *c)
{
    uint32_t used = 0, map[PN_KEYWORDS_MAX] = {0};
    char *names[PN_KEYWORDS_MAX] = {NULL};
    enum pn_store_status status = PN_STORE_OK;
    for (size_t i = 0; i < c->count; i++)
        used |= c->v[i].keywords;
    if (used == 0 || c->from == c->to)
        return status;
    (void)pthread_mutex_lock(&c->from->lock);
    for (unsigned k = 0; k < PN_KEYWORDS_MAX; k++)
        if ((used >> k & 1) != 0 && c->from->marks.keywords[k] != NULL)
            names[k] = pn_strdup(c->from->marks.keywords[k]);
    (void)pthread_mutex_unlock(&c->from->lock);
    (void)pthread_mutex_lock(&c->to->lock);
    for (unsigned k = 0; k < PN_KEYWORDS_MAX; k++) {
        if (names[k] != NULL && status == PN_STORE_OK)
            status = folder_keyword(c->to, pn_str_of(names[k]), &map[k]);
        free(names[k]);
    }
    (void)pthread_mutex_unlock(&c->to->lock);
    if (status == PN_STORE_LIMIT)
        status = PN_STORE_OK; /* a keyword without a letter is left behind, the mail is not */
    for (size_t i = 0; i < c->count; i++) {
        uint32_t mapped = 0;
        for (unsigned k = 0; k < PN_KEYWORDS_MAX; k++)
            mapped |= (c->v[i].keywords >> k & 1) != 0 ? map[k] : 0;
        c->v[i].keywords = mapped;
    }
    return status;
}

static void drop_tmp(struct copy *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->v[i].tmp != NULL)
            (void)unlinkat(c->tmp, c->v[i].tmp, 0);
}

static enum pn_store_status run(struct copy *c, struct pn_copied *out)
{
    c->tmp = folder_open_dir(c->to, "tmp");
    if (c->tmp < 0)
        return store_status(errno);
    enum pn_store_status status = store_status(link_all(c));
    if (status == PN_STORE_OK)
        status = map_keywords(c);
    if (status != PN_STORE_OK)
        drop_tmp(c);
    else
        status = arrive(c->to, c->v, c->count, DIR_CUR, &c->first, NULL);
    out->uidvalidity = c->to->marks.uidvalidity;
    for (size_t i = 0; i < c->count && status == PN_STORE_OK; i++) {
        (void)pn_uidset_add(&out->from, c->uids[i], c->uids[i]);
        (void)pn_uidset_add(&out->to, c->first + (uint32_t)i, c->first + (uint32_t)i);
    }
    (void)close(c->tmp);
    return status;
}

/* What could not be removed where it was is no more where it went to; but if that folder is gone,
 * the copy may be all that is left. */
static void take_back(const struct copy *c, const struct pn_copied *out)
{
    struct pn_uidset back;
    pn_uidset_init(&back, PN_UIDSET_MAX);
    (void)pthread_mutex_lock(&c->from->lock);
    for (size_t i = 0; i < c->count && !c->from->gone; i++) {
        bool found;
        (void)folder_find(c->from, c->uids[i], &found);
        if (found)
            (void)pn_uidset_add(&back, c->first + (uint32_t)i, c->first + (uint32_t)i);
    }
    (void)pthread_mutex_unlock(&c->from->lock);
    if (out->to.count > 0 && back.count > 0)
        (void)folder_remove(c->to, &back);
    pn_uidset_fini(&back);
}

static enum pn_store_status copy_or_move(struct copy *c, struct pn_view *view,
                                         const struct pn_uidset *uids, bool move,
                                         struct pn_copied *out)
{
    folder_sizes(c->from, uids, false); /* they are told in names */
    (void)pthread_mutex_lock(&c->from->lock);
    enum pn_store_status status = folder_look(c->from, false);
    uint64_t bytes = status == PN_STORE_OK ? choose(c, view, uids) : 0;
    (void)pthread_mutex_unlock(&c->from->lock);
    if (status == PN_STORE_OK && !move)
        status = user_room(c->from->user, bytes, c->count);
    if (status == PN_STORE_OK)
        status = run(c, out);
    if (status == PN_STORE_OK && move && out->from.count > 0) {
        status = pn_view_remove(view, &out->from);
        if (status != PN_STORE_OK)
            take_back(c, out);
    }
    return status;
}

void pn_copied_fini(struct pn_copied *copied)
{
    pn_uidset_fini(&copied->from);
    pn_uidset_fini(&copied->to);
}

enum pn_store_status pn_view_copy(struct pn_view *view, const struct pn_uidset *uids,
                                  struct pn_str folder, bool move, struct pn_copied *out)
{
    struct pn_user *user = view->folder->user;
    struct copy c = {.from = view->folder};
    *out = (struct pn_copied){0};
    pn_uidset_init(&out->from, PN_UIDSET_MAX);
    pn_uidset_init(&out->to, PN_UIDSET_MAX);
    enum pn_store_status status = folder_get(user, folder, false, &c.to);
    if (c.to == NULL)
        return status;
    if (move)
        (void)pthread_mutex_lock(&c.from->moves);
    status = copy_or_move(&c, view, uids, move, out);
    if (move)
        (void)pthread_mutex_unlock(&c.from->moves);
    for (size_t i = 0; i < c.count; i++)
        arrival_fini(&c.v[i]);
    free(c.v);
    free(c.uids);
    folder_put(&c.to);
    return status;
}
