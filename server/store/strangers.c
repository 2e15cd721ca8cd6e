/*
 * Files of others' making become messages. A few are renamed at once, to names with their UIDs. Of
 * many the UIDs are written down (uidlist.h), which is durable with one sync, and the renames, and
 * the reading that finds their sizes, follow when nobody waits (later.c).
 */
#include "scan_int.h"

#include "clock.h"
#include "mem.h"
#include "uidlist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 255, AT_ONCE = 200 /* as long as nobody notices */ };

/* ---- names ---- */

bool stranger_name(struct folder *f, const struct msg *m, const char *was, uint64_t file_size,
                   struct pn_buf *out)
{
    struct mail_name parsed;
    struct pn_str text = pn_str_of(was);
    size_t info = pn_str_find(text, ':', 0);
    mail_name_parse(text, &parsed);
    pn_buf_clear(out);
    bool ok = mail_name_make(out, parsed.base, file_size, m->size, f->marks.uidvalidity, m->uid) &&
              (info == SIZE_MAX || pn_buf_adds(out, pn_str_slice(text, info, text.len)));
    if (ok && out->len <= NAME_MAX_LEN)
        return true;
    pn_buf_clear(out); /* a base of its own is too long */
    store_unique(f->user->store, out);
    char *base = pn_strndup(out->p, out->len);
    pn_buf_clear(out);
    ok = mail_name_make(out, pn_str_of(base), file_size, m->size, f->marks.uidvalidity, m->uid) &&
         (m->in_new || mail_name_flags(out, PN_STR(""), m->system, m->keywords));
    free(base);
    return ok;
}

/* ---- what an inode says ---- */

bool found_stat(const struct listing *l, const struct found *found, struct msg *out)
{
    struct stat st;
    *out = (struct msg){.uid = found->uid,
                        .size = found->size,
                        .date = pn_clock_wall_ms() / 1000,
                        .system = found->system,
                        .keywords = found->keywords,
                        .in_new = found->dir == DIR_NEW,
                        .foreign = found->listed,
                        .guessed = found->size == 0};
    if (fstatat(l->fd[found->dir], found_name(l, found), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    out->date = st.st_mtim.tv_sec;
    if (out->guessed)
        out->size = (uint32_t)(st.st_size < UINT32_MAX ? st.st_size : UINT32_MAX);
    return l->euid == 0 || (st.st_uid == l->euid && (st.st_mode & S_IRUSR) != 0);
}

/* ---- in order ---- */

struct dated {
    uint64_t time;
    const char *name;
    struct found found;
};

static uint64_t time_in(const char *name)
{
    uint64_t n = 0;
    for (; pn_is_digit(*name) && n < UINT64_MAX / 100; name++)
        n = n * 10 + (uint64_t)(*name - '0');
    return n;
}

static int by_time(const void *a, const void *b)
{
    const struct dated *x = a, *y = b;
    return x->time != y->time ? (x->time < y->time ? -1 : 1) : strcmp(x->name, y->name);
}

static void sort_strangers(struct listing *l)
{
    struct dated *v = pn_calloc(l->strangers, sizeof *v);
    for (size_t i = 0; i < l->strangers; i++) {
        const char *name = found_name(l, &l->v[i]);
        v[i] = (struct dated){time_in(name), name, l->v[i]};
    }
    qsort(v, l->strangers, sizeof *v, by_time);
    for (size_t i = 0; i < l->strangers; i++)
        l->v[i] = v[i].found;
    free(v);
}

/* ---- UIDs ---- */

struct adoption {
    struct listing *l;
    struct msg *msgs; /* as many; owned */
    struct pn_buf name;
    bool listed; /* their UIDs are written down, but of the odd ones */
    bool renamed[2];
};

/* Renames one to its new UID; false: it is gone, or can't be renamed; or read: drop is set then,
 * and the UID may be another's. */
static bool rename_now(struct adoption *a, struct found *found, struct msg *m)
{
    struct listing *l = a->l;
    struct stat st;
    int dir = l->fd[found->dir];
    const char *was = found_name(l, found);
    uint64_t size = m->size;
    found->drop = fstatat(dir, was, &st, AT_SYMLINK_NOFOLLOW) != 0;
    if (m->guessed && !found->drop)
        size = mail_size_of(dir, was, &m->form);
    found->drop = found->drop || size > UINT32_MAX;
    if (found->drop)
        return false;
    m->size = (uint32_t)size;
    m->guessed = false;
    if (!stranger_name(l->folder, m, was, (uint64_t)st.st_size, &a->name) ||
        renameat(dir, was, dir, pn_buf_cstr(&a->name)) != 0)
        return false;
    a->renamed[found->dir] = true;
    return true;
}

/* Those that can be are put on the list. What is odd about the others is seen when they are
 * renamed. */
static void list_all(struct adoption *a, struct uidlist *list, uint32_t uid)
{
    struct listing *l = a->l;
    for (size_t i = 0; i < l->strangers; i++, uid++) {
        struct found *found = &l->v[i];
        struct msg *m = &a->msgs[i];
        m->foreign = found->plain && m->size < UINT32_MAX / 2 &&
                     uidlist_add(list, uidlist_key(pn_str_of(found_name(l, found))), uid);
    }
}

/* Their UIDs durably, before anyone is told. False: not now; all goes as with a few. */
static bool write_down(struct adoption *a, uint32_t first)
{
    struct folder *f = a->l->folder;
    struct uidlist *list = f->list != NULL ? f->list : uidlist_new();
    size_t before = uidlist_count(list);
    list_all(a, list, first);
    int dir = folder_open_dir(f, NULL);
    bool ok = dir >= 0 && uidlist_write(dir, f->marks.uidvalidity, list) == 0;
    if (dir >= 0)
        (void)close(dir);
    if (ok)
        f->list = list;
    else if (f->list != NULL)
        uidlist_cut(list, before);
    else
        uidlist_free(&list);
    for (size_t i = 0; i < a->l->strangers && !ok; i++)
        a->msgs[i].foreign = false;
    return ok;
}

/* Into the folder, all in order of their UIDs. The next UID is returned. */
static uint32_t take_in(struct adoption *a, uint32_t uid, uint64_t *modseq)
{
    struct listing *l = a->l;
    struct folder *f = l->folder;
    int64_t bytes = 0, messages = 0;
    for (size_t i = 0; i < l->strangers; i++) {
        struct msg *m = &a->msgs[i];
        struct found *found = &l->v[i];
        m->uid = uid;
        bool in = m->foreign || rename_now(a, found, m);
        uid += a->listed || !found->drop;
        if (!in)
            continue;
        if (*modseq == 0)
            *modseq = user_any_modseq(f->user);
        m->modseq = *modseq;
        m->seen_now = true;
        folder_append(f, m, m->foreign ? found_name(l, found) : pn_buf_cstr(&a->name));
        folder_put_msg(f, m);
        bytes += m->size;
        messages++;
    }
    if (messages > 0 && f->loaded)
        folder_used(f, bytes, messages);
    return uid;
}

enum pn_store_status strangers_adopt(struct listing *l, uint64_t *modseq)
{
    struct folder *f = l->folder;
    struct adoption a = {.l = l};
    size_t plain = 0;
    if (l->highest >= f->uidnext)
        f->uidnext = l->highest + 1;
    uint32_t first = folder_give_uids(f, (uint32_t)l->strangers);
    if (first == 0)
        return store_status(errno);
    sort_strangers(l);
    a.msgs = pn_calloc(l->strangers, sizeof *a.msgs);
    pn_buf_init(&a.name, 1024);
    for (size_t i = 0; i < l->strangers; i++) {
        l->v[i].listed = false;
        l->v[i].plain = found_stat(l, &l->v[i], &a.msgs[i]);
        plain += l->v[i].plain;
    }
    /* What can't be read comes again at each look, and would cost its UIDs each time. */
    a.listed = plain > AT_ONCE && write_down(&a, first);
    f->uidnext = take_in(&a, first, modseq); /* nobody else was given one meanwhile */
    if (a.listed)
        later_begin(f);
    for (unsigned dir = 0; dir < 2; dir++)
        if (a.renamed[dir])
            (void)fsync(l->fd[dir]); /* else they come under other UIDs: not lost */
    pn_buf_fini(&a.name);
    free(a.msgs);
    return PN_STORE_OK;
}
