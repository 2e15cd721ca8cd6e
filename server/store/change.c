/* Flags and removal: names change, or go; then one sync of each directory that was touched. */
#include "store_int.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { TRIES = 4 };

/* One command on a set of messages; folder->lock is held. */
struct change {
    struct pn_view *view; /* NULL: nobody's, all of the folder's are meant */
    struct folder *folder;
    int fd[2];
    bool touched[2];
    uint64_t modseq; /* 0: none was needed yet */
    int error;
    struct pn_uidset again; /* their names were not what we knew */
    enum pn_flag_op op;
    struct pn_flags flags;
    uint64_t unchanged_since;
    struct pn_uidset *modified;
    bool all; /* of an expunge: not only those that are \Deleted */
    size_t removed;
};

static enum pn_store_status begin(struct change *c)
{
    struct folder *f = c->folder;
    enum pn_store_status status = folder_look(f, false);
    c->fd[DIR_NEW] = folder_open_dir(f, "new");
    c->fd[DIR_CUR] = folder_open_dir(f, "cur");
    pn_uidset_init(&c->again, PN_UIDSET_MAX);
    if (status == PN_STORE_OK && (c->fd[DIR_NEW] < 0 || c->fd[DIR_CUR] < 0))
        status = store_status(errno);
    return status;
}

/* Makes durable what was done, together with others, letting go the lock. */
static enum pn_store_status end(struct change *c)
{
    struct folder *f = c->folder;
    struct sync_ask asks[2];
    if (c->modseq > 0) {
        if (f->modseq < c->modseq)
            f->modseq = c->modseq;
        f->row_old = true;
        folder_notify(f);
    }
    for (int dir = 0; dir < 2; dir++)
        if (c->touched[dir])
            group_ask(f, dir, c->fd[dir], &asks[dir]);
    for (int dir = 0; dir < 2; dir++) {
        int error = c->touched[dir] ? group_wait(f, dir, &asks[dir]) : 0;
        if (error != 0)
            c->error = error;
        if (c->fd[dir] >= 0)
            (void)close(c->fd[dir]);
    }
    pn_uidset_fini(&c->again);
    return store_status(c->error);
}

static bool need_modseq(struct change *c)
{
    if (c->modseq == 0)
        c->modseq = user_new_modseq(c->folder->user);
    if (c->modseq == 0)
        c->error = errno;
    return c->modseq > 0;
}

/* fn for each of uids that is there, and that the view was told of: no others are meant. Again for
 * those whose files had other names. */
static void each(struct change *c, const struct pn_uidset *uids,
                 void (*fn)(struct change *c, struct msg *m))
{
    struct folder *f = c->folder;
    struct pn_uidset todo;
    pn_uidset_init(&todo, PN_UIDSET_MAX);
    (void)pn_uidset_add_set(&todo, uids);
    for (unsigned try = 0; try < TRIES && todo.count > 0 && c->error == 0; try++) {
        struct seen before[2];
        folder_change_begin(f, before);
        for (size_t i = 0; i < todo.count && c->error == 0; i++)
            for (size_t at = folder_find(f, todo.v[i].first, NULL);
                 at < f->count && f->msgs[at].uid <= todo.v[i].last && c->error == 0; at++)
                if (c->view == NULL || pn_view_seq(c->view, f->msgs[at].uid) != 0)
                    fn(c, &f->msgs[at]);
        folder_change_end(f, before);
        pn_uidset_clear(&todo);
        (void)pn_uidset_add_set(&todo, &c->again);
        pn_uidset_clear(&c->again);
        if (todo.count > 0 && folder_look(f, true) != PN_STORE_OK)
            c->error = ENOENT;
    }
    pn_uidset_fini(&todo);
}

/* ---- flags ---- */

static uint32_t combine(enum pn_flag_op op, uint32_t now, uint32_t with)
{
    return op == PN_FLAGS_SET ? with : op == PN_FLAGS_ADD ? now | with : now & ~with;
}

/* What it is about to be is not told to this view; but what others did to it before that is. */
static void be_silent(struct change *c, const struct msg *m)
{
    struct pn_view *v = c->view;
    bool known = m->modseq <= v->modseq;
    for (size_t i = 0; i < v->silent_count && !known; i++)
        known = v->silent[i] == m->modseq && !pn_uidset_has(&v->loud, m->uid);
    if (!known)
        (void)pn_uidset_add(&v->loud, m->uid, m->uid);
    if (v->silent_count > 0 && v->silent[v->silent_count - 1] == c->modseq)
        return;
    v->silent = pn_grow(v->silent, &v->silent_cap, v->silent_count, sizeof *v->silent);
    v->silent[v->silent_count++] = c->modseq;
}

static void rename_to(struct change *c, struct msg *m, uint8_t system, uint32_t keywords)
{
    struct folder *f = c->folder;
    const char *was = folder_msg_name(f, m);
    struct pn_buf name;
    pn_buf_init(&name, 1024);
    struct pn_str base = pn_str_slice(pn_str_of(was), 0, pn_str_find(pn_str_of(was), ':', 0));
    (void)pn_buf_adds(&name, base);
    (void)mail_name_flags(&name, pn_str_of(was), system, keywords);
    if (renameat(c->fd[m->in_new ? DIR_NEW : DIR_CUR], was, c->fd[DIR_CUR], pn_buf_cstr(&name)) ==
        0) {
        c->touched[m->in_new ? DIR_NEW : DIR_CUR] = c->touched[DIR_CUR] = true;
        be_silent(c, m);
        folder_count_msg(f, m, -1);
        m->in_new = false;
        m->system = system;
        m->keywords = keywords;
        m->modseq = c->modseq;
        folder_count_msg(f, m, 1);
        folder_rename_msg(f, m, pn_buf_cstr(&name));
        folder_put_msg(f, m);
    } else if (errno == ENOENT) {
        (void)pn_uidset_add(&c->again, m->uid, m->uid);
    } else {
        c->error = errno;
    }
    pn_buf_fini(&name);
}

static void set_flags(struct change *c, struct msg *m)
{
    uint8_t system = (uint8_t)combine(c->op, m->system, c->flags.system);
    uint32_t keywords = combine(c->op, m->keywords, c->flags.keywords);
    if (m->modseq == c->modseq && c->modseq > 0)
        return; /* done the first time */
    if (m->modseq > c->unchanged_since) {
        if (c->modified != NULL)
            (void)pn_uidset_add(c->modified, m->uid, m->uid);
        return;
    }
    if ((system != m->system || keywords != m->keywords) && need_modseq(c))
        rename_to(c, m, system, keywords);
}

enum pn_store_status pn_view_store(struct pn_view *view, const struct pn_uidset *uids,
                                   enum pn_flag_op op, struct pn_flags flags,
                                   uint64_t unchanged_since, struct pn_uidset *modified)
{
    struct folder *f = view->folder;
    struct change c = {.view = view,
                       .folder = f,
                       .op = op,
                       .flags = flags,
                       .unchanged_since = unchanged_since,
                       .modified = modified};
    (void)pthread_mutex_lock(&f->lock);
    enum pn_store_status status = begin(&c);
    if (status == PN_STORE_OK)
        each(&c, uids, set_flags);
    enum pn_store_status ended = end(&c);
    (void)pthread_mutex_unlock(&f->lock);
    return status != PN_STORE_OK ? status : ended;
}

enum pn_store_status pn_view_add_keyword(struct pn_view *view, struct pn_str name, uint32_t *bit)
{
    struct folder *f = view->folder;
    (void)pthread_mutex_lock(&f->lock);
    enum pn_store_status status = folder_keyword(f, name, bit);
    (void)pthread_mutex_unlock(&f->lock);
    return status;
}

/* ---- removal ---- */

static void remove_one(struct change *c, struct msg *m)
{
    int dir = m->in_new ? DIR_NEW : DIR_CUR;
    if (!m->seen_now || (!c->all && (m->system & PN_DELETED) == 0) || !need_modseq(c))
        return;
    if (unlinkat(c->fd[dir], folder_msg_name(c->folder, m), 0) == 0) {
        m->seen_now = false;
        c->touched[dir] = true;
        c->removed++;
    } else if (errno == ENOENT) {
        (void)pn_uidset_add(&c->again, m->uid, m->uid);
    } else {
        c->error = errno;
    }
}

static enum pn_store_status expunge(struct folder *f, struct pn_view *view,
                                    const struct pn_uidset *uids, bool all)
{
    static struct pn_uidrange everything[] = {{1, UINT32_MAX}};
    static const struct pn_uidset every = {.v = everything, .count = 1, .cap = 1, .max = 1};
    struct change c = {.view = view, .folder = f, .all = all};
    (void)pthread_mutex_lock(&f->lock);
    enum pn_store_status status = begin(&c);
    for (size_t i = 0; i < f->count; i++)
        f->msgs[i].seen_now = true;
    if (status == PN_STORE_OK)
        each(&c, uids == NULL ? &every : uids, remove_one);
    if (c.removed > 0)
        folder_remove_unseen(f, c.modseq);
    enum pn_store_status ended = end(&c);
    (void)pthread_mutex_unlock(&f->lock);
    return status != PN_STORE_OK ? status : ended;
}

enum pn_store_status pn_view_expunge(struct pn_view *view, const struct pn_uidset *uids)
{
    return expunge(view->folder, view, uids, false);
}

enum pn_store_status pn_view_remove(struct pn_view *view, const struct pn_uidset *uids)
{
    return expunge(view->folder, view, uids, true);
}

enum pn_store_status folder_remove(struct folder *folder, const struct pn_uidset *uids)
{
    return expunge(folder, NULL, uids, true);
}
