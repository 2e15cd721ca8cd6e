/*
 * What follows the first look at a Maildir that others filled, when nobody waits: the index gets
 * what it lacks of them, the newest first, their sizes are counted, and the files are renamed to
 * names with their UIDs. Then nothing is left in postern-uids, and it goes. Each step may be the
 * last before a crash: a file has the same UID by its old name and by its new one.
 */
#include "store_int.h"

#include "clock.h"
#include "making.h"
#include "mem.h"
#include "uidlist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILLED = 128, RENAMED = 16, SIZED = 256 /* messages at a time */ };
enum {
    PACE_NS = 1000000, /* between renames, for those who want the lock */
    QUIET_MS = 1000,   /* nobody has looked at the folder for so long: it may be renamed */
    PATIENCE_S = 60,   /* for that */
    PAUSE_MS = 200
};

void later_begin(struct folder *f)
{
    f->later.fill_to = UINT32_MAX;
    f->later.rename_from = 0;
    f->later.begun_ns = pn_clock_mono_ns();
    atomic_store(&f->later.due, true);
    if (!atomic_exchange(&f->user->later, true))
        keeper_wake(f->user->store);
}

/* ---- sizes ---- */

void folder_set_size(struct folder *f, struct msg *m, uint32_t size)
{
    int64_t more = (int64_t)size - (int64_t)m->size;
    folder_count_msg(f, m, -1);
    m->size = size;
    m->guessed = false;
    folder_count_msg(f, m, 1);
    folder_put_msg(f, m);
    f->row_old = true;
    folder_used(f, more, 0);
}

/* The next of uids from *uid on that are guessed, or of no known form; none: *uid is 0. */
static void some_guessed(struct folder *f, const struct pn_uidset *uids, bool forms, uint32_t *uid,
                         struct making *m)
{
    uint32_t from = *uid;
    *uid = 0;
    making_clear(m);
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < uids->count && (forms || f->guessed > 0); i++) {
        uint32_t first = uids->v[i].first > from ? uids->v[i].first : from;
        for (size_t at = folder_find(f, first, NULL);
             at < f->count && f->msgs[at].uid <= uids->v[i].last && m->count < SIZED; at++) {
            *uid = f->msgs[at].uid;
            if (f->msgs[at].guessed || (forms && f->msgs[at].form.kind == FORM_UNKNOWN))
                making_add(m, *uid);
        }
    }
    (void)pthread_mutex_unlock(&f->lock);
    *uid = m->count == 0 ? 0 : *uid + 1;
}

void folder_sizes(struct folder *f, const struct pn_uidset *uids, bool forms)
{
    struct making m;
    uint32_t uid = 1;
    making_init(&m, f, f->user->store->team);
    while (uid != 0) {
        some_guessed(f, uids, forms, &uid, &m);
        making_run(&m);
    }
    making_fini(&m);
}

void pn_view_mail_sized(struct pn_view *v, uint32_t seq, uint32_t last, struct pn_mail *out)
{
    pn_view_mail(v, seq, out);
    if (!out->guessed)
        return;
    struct pn_uidset uids;
    pn_uidset_init(&uids, 1);
    if (last > v->count)
        last = (uint32_t)v->count;
    if (last < seq || last - seq >= SIZED)
        last = last < seq ? seq : seq + SIZED - 1;
    (void)pn_uidset_add(&uids, out->uid, pn_view_uid(v, last));
    folder_sizes(v->folder, &uids, v->plain);
    pn_uidset_fini(&uids);
    pn_view_mail(v, seq, out);
}

/* ---- what the index lacks ---- */

struct fill {
    uint32_t uids[FILLED]; /* ascending */
    bool there[FILLED];
    size_t count;
};

/* The highest below fill_to that others made; the lock is held. */
static void choose(struct folder *f, struct fill *fill)
{
    size_t at = folder_find(f, f->later.fill_to, NULL);
    size_t n = FILLED;
    while (at > 0 && n > 0) {
        const struct msg *m = &f->msgs[--at];
        f->later.fill_to = m->uid;
        if (m->foreign || m->guessed)
            fill->uids[--n] = m->uid;
    }
    if (at == 0)
        f->later.fill_to = 0;
    fill->count = FILLED - n;
    memmove(fill->uids, fill->uids + n, fill->count * sizeof fill->uids[0]);
    for (size_t i = 0; i < fill->count; i++)
        fill->there[i] = false;
}

static void note_there(void *ctx, const struct index_cached *c)
{
    struct fill *fill = ctx;
    for (size_t low = 0, high = fill->count; low < high;) {
        size_t mid = low + (high - low) / 2;
        if (fill->uids[mid] == c->uid) {
            fill->there[mid] = c->part[0].p != NULL;
            return;
        }
        if (fill->uids[mid] < c->uid)
            low = mid + 1;
        else
            high = mid;
    }
}

/* Which of them are guessed, whatever the index has. The lock is held. */
static void note_guessed(const struct folder *f, struct fill *fill)
{
    for (size_t i = 0; i < fill->count; i++) {
        bool found;
        size_t at = folder_find(f, fill->uids[i], &found);
        fill->there[i] = fill->there[i] && !(found && f->msgs[at].guessed);
    }
}

static void fill_some(struct folder *f, struct making *m)
{
    struct fill fill;
    (void)pthread_mutex_lock(&f->lock);
    choose(f, &fill);
    (void)pthread_mutex_unlock(&f->lock);
    if (fill.count == 0)
        return;
    (void)index_cached_get(f->user->index, f->marks.uidvalidity, fill.uids[0],
                           fill.uids[fill.count - 1], SIZE_MAX / 2, note_there, &fill);
    (void)pthread_mutex_lock(&f->lock);
    note_guessed(f, &fill);
    (void)pthread_mutex_unlock(&f->lock);
    making_clear(m);
    for (size_t i = 0; i < fill.count; i++)
        if (!fill.there[i])
            making_add(m, fill.uids[i]);
    making_run(m);
}

/* ---- names ---- */

static void rename_one(struct folder *f, const int fd[2], struct msg *m, struct pn_buf *name)
{
    struct stat st;
    int dir = fd[m->in_new ? DIR_NEW : DIR_CUR];
    const char *was = folder_msg_name(f, m);
    if (fstatat(dir, was, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !stranger_name(f, m, was, (uint64_t)st.st_size, name) ||
        renameat(dir, was, dir, pn_buf_cstr(name)) != 0)
        return; /* others renamed it, which is seen; or it keeps its name, and its place on the list
                 */
    m->foreign = false;
    folder_rename_msg(f, m, pn_buf_cstr(name));
}

/* The lock is held. */
static void rename_some(struct folder *f, const int fd[2])
{
    struct seen before[2];
    struct pn_buf name;
    size_t at = folder_find(f, f->later.rename_from, NULL), n = 0;
    pn_buf_init(&name, 1024);
    folder_change_begin(f, before);
    for (; at < f->count && n < RENAMED; at++)
        if (f->msgs[at].foreign && !f->msgs[at].guessed) {
            rename_one(f, fd, &f->msgs[at], &name);
            n++;
        }
    folder_change_end(f, before);
    f->later.rename_from = at < f->count ? f->msgs[at].uid : UINT32_MAX;
    pn_buf_fini(&name);
}

/* The lock is held. */
static bool has_foreign(const struct folder *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->msgs[i].foreign)
            return true;
    return false;
}

/* All are renamed: once that is durable the list is needed no more. */
static void end_list(struct folder *f, const int fd[2])
{
    int error = fsync(fd[DIR_NEW]) != 0 || fsync(fd[DIR_CUR]) != 0 ? errno : 0;
    int dir = folder_open_dir(f, NULL);
    (void)pthread_mutex_lock(&f->lock);
    if (error == 0 && dir >= 0 && !f->gone && !has_foreign(f) && uidlist_remove(dir) == 0)
        uidlist_free(&f->list);
    (void)pthread_mutex_unlock(&f->lock);
    if (dir >= 0)
        (void)close(dir);
}

/* ---- a folder ---- */

enum step { FILL, RENAME, WAIT, END };

/* The lock is held. */
static enum step next_step(const struct folder *f)
{
    uint64_t now = pn_clock_mono_ns();
    if (f->gone)
        return END;
    if (f->later.fill_to > 0)
        return FILL;
    if (f->later.rename_from == UINT32_MAX || !has_foreign(f))
        return END;
    bool quiet = now - f->looked_ns >= (uint64_t)QUIET_MS * 1000000 ||
                 now - f->later.begun_ns >= (uint64_t)PATIENCE_S * PN_NS_PER_S;
    return quiet || f->views == NULL ? RENAME : WAIT;
}

/* Rests a moment behind renames. */
static void pace(void)
{
    const struct timespec t = {.tv_nsec = PACE_NS};
    (void)nanosleep(&t, NULL);
}

static enum step step(struct folder *f, const int fd[2], struct making *m)
{
    (void)pthread_mutex_lock(&f->lock);
    enum step what = next_step(f);
    bool ends_list = what == END && f->list != NULL && !f->gone && !has_foreign(f);
    if (what == RENAME)
        rename_some(f, fd);
    if (what == END) {
        atomic_store(&f->later.due, false);
        if (!f->gone && f->views == NULL && f->row_old)
            folder_put_row(f);
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (what == FILL)
        fill_some(f, m);
    else if (what == RENAME)
        pace();
    else if (ends_list)
        end_list(f, fd);
    return what;
}

/* True: it waits for a quiet moment. */
static bool work(struct folder *f, uint64_t until_ns)
{
    struct making m;
    const int fd[2] = {folder_open_dir(f, "new"), folder_open_dir(f, "cur")};
    enum step at = FILL;
    if (fd[DIR_NEW] < 0 || fd[DIR_CUR] < 0) { /* the next look at it begins again */
        atomic_store(&f->later.due, false);
        at = END;
    }
    making_init(&m, f, NULL);
    while ((at == FILL || at == RENAME) && pn_clock_mono_ns() < until_ns)
        at = step(f, fd, &m);
    making_fini(&m);
    for (unsigned i = 0; i < 2; i++)
        if (fd[i] >= 0)
            (void)close(fd[i]);
    return at == WAIT;
}

/* The nth where something is to be done, held. */
static struct folder *find_due(struct pn_user *user, unsigned nth)
{
    (void)pthread_mutex_lock(&user->lock);
    struct folder *f = user->folders;
    while (f != NULL && (!atomic_load(&f->later.due) || nth-- > 0))
        f = f->next;
    if (f != NULL)
        f->refs++;
    (void)pthread_mutex_unlock(&user->lock);
    return f;
}

unsigned later_work(struct pn_user *user, unsigned ms)
{
    const uint64_t until = pn_clock_mono_ns() + (uint64_t)ms * 1000000;
    struct folder *f;
    unsigned waiting = 0;
    while ((f = find_due(user, waiting)) != NULL) {
        waiting += work(f, until);
        folder_put(&f);
        if (pn_clock_mono_ns() >= until)
            return 1;
    }
    return waiting > 0 ? PAUSE_MS : 0;
}
