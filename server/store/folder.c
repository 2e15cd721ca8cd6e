/* Folders in memory: who is known, and the messages of those that are loaded. */
#include "store_int.h"

#include "clock.h"
#include "folder_name.h"
#include "log.h"
#include "mem.h"
#include "uidlist.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one folder ---- */

static struct folder *folder_new(struct pn_user *user, struct pn_str name, const char *place)
{
    struct folder *f = pn_calloc(1, sizeof *f);
    f->user = user;
    f->place = pn_strdup(place);
    f->name = pn_strndup(name.p, name.len);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_mutex_init(&f->moves, NULL);
    for (unsigned i = 0; i < 2; i++)
        (void)pthread_cond_init(&f->group[i].wake, NULL);
    return f;
}

/* What memory has of its messages goes. */
static void unload(struct folder *f)
{
    free(f->msgs);
    free(f->names);
    free(f->dead);
    if (f->uids != NULL && --f->uids->refs == 0)
        free(f->uids);
    f->msgs = f->dead = NULL;
    f->names = NULL;
    f->uids = NULL;
    f->count = f->cap = f->dead_count = f->dead_cap = f->dead_kept = 0;
    f->names_len = f->names_cap = f->names_waste = 0;
    uidlist_free(&f->list);
    f->loaded = false;
}

/* The next UID exactly, so that no number is left out after a right end. Nobody waits for it: if it
 * does not come, the higher mark holds. */
static void write_exact(struct folder *f)
{
    struct folder_marks exact = f->marks;
    int dir = f->gone ? -1 : folder_open_dir(f, NULL);
    exact.uidnext = f->uidnext;
    exact.exact = true;
    if (dir >= 0)
        (void)folder_marks_write(dir, &exact, false);
    if (dir >= 0)
        (void)close(dir);
}

void folder_free(struct folder *f)
{
    if (f->loaded && f->row_old && !f->gone)
        folder_put_row(f);
    if (f->given)
        write_exact(f);
    unload(f);
    folder_marks_fini(&f->marks);
    for (unsigned i = 0; i < 2; i++)
        (void)pthread_cond_destroy(&f->group[i].wake);
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_mutex_destroy(&f->moves);
    free(f->place);
    free(f->name);
    free(f);
}

size_t folder_bytes(const struct folder *f)
{
    return sizeof *f + f->cap * sizeof *f->msgs + f->names_cap +
           (f->uids == NULL ? 0 : f->uids->cap * sizeof f->uids->v[0]);
}

int folder_open_dir(const struct folder *f, const char *sub)
{
    struct pn_buf path;
    pn_buf_init(&path, PLACE_MAX + 10);
    (void)user_path(f->user, f->place, &path);
    if (sub != NULL) {
        (void)pn_buf_addc(&path, '/');
        (void)pn_buf_addz(&path, sub);
    }
    int fd = maildir_open_dir(f->user->store->root, pn_buf_cstr(&path));
    int error = errno;
    pn_buf_fini(&path);
    errno = error;
    return fd;
}

/* ---- its small file ---- */

static int new_marks(struct folder *f, int dir)
{
    uint32_t validity = user_give_uidvalidity(f->user);
    if (validity == 0)
        return errno;
    f->marks.uidvalidity = validity;
    f->marks.uidnext = 1 + UID_BLOCK;
    f->marks.exact = false;
    f->marks.use = PN_USE_NONE;
    f->uidnext = 1;
    f->given = true;
    return folder_marks_write(dir, &f->marks, true);
}

/* user->lock is held. */
static int read_marks(struct folder *f)
{
    int dir = folder_open_dir(f, NULL);
    if (dir < 0)
        return errno;
    int error = folder_marks_read(dir, &f->marks);
    f->uidnext = f->marks.uidnext;
    if (error == EBADMSG)
        pn_warn("postern-folder of %s/%s is damaged: it gets a new UIDVALIDITY", f->user->place,
                f->place);
    bool copy = error == 0 && folder_is_copy(f, dir);
    if (copy) {
        pn_warn("%s/%s is a copy of another folder: it gets a new UIDVALIDITY", f->user->place,
                f->place);
        user_forget_index(f->user);
    }
    if (error == EBADMSG || error == ENOENT || copy)
        error = new_marks(f, dir);
    (void)close(dir);
    if (error == 0)
        error = user_marks(f->user);
    f->epoch = f->user->marks.epoch;
    return error;
}

static int make_dirs(struct pn_user *user, const char *place)
{
    struct pn_buf path;
    pn_buf_init(&path, PLACE_MAX);
    (void)user_path(user, place, &path);
    int error = maildir_make(user->store->root, user->place);
    if (error == 0 && place[0] != '\0')
        error = maildir_make(user->store->root, pn_buf_cstr(&path));
    pn_buf_fini(&path);
    return error;
}

int folder_make_dirs(const struct folder *f)
{
    return make_dirs(f->user, f->place);
}

static struct folder *find(struct pn_user *user, const char *place)
{
    struct folder *f = user->folders;
    while (f != NULL && strcmp(f->place, place) != 0)
        f = f->next;
    return f;
}

/* A directory whose making was cut is no folder to anybody. */
static bool is_made(const struct folder *f)
{
    struct pn_buf path;
    pn_buf_init(&path, PLACE_MAX);
    (void)user_path(f->user, f->place, &path);
    bool made = maildir_is_whole(f->user->store->root, pn_buf_cstr(&path));
    pn_buf_fini(&path);
    return made;
}

/* user->lock is held. */
static int open_new(struct pn_user *user, struct pn_str name, const char *place, bool create,
                    struct folder **out)
{
    struct folder *f = folder_new(user, name, place);
    int error = is_made(f) ? read_marks(f) : ENOENT;
    if (error == ENOENT && create) {
        error = make_dirs(user, place);
        error = error == 0 ? read_marks(f) : error;
        f->count_round = user->count_round; /* all that it will have came since */
    }
    if (error != 0) {
        f->gone = true;
        folder_free(f);
        f = NULL;
    } else {
        f->next = user->folders;
        user->folders = f;
    }
    *out = f;
    return f != NULL ? 0 : error;
}

enum pn_store_status folder_get(struct pn_user *user, struct pn_str name, bool create,
                                struct folder **out)
{
    struct pn_buf place, clean;
    int error = 0;
    *out = NULL;
    pn_buf_init(&place, PLACE_MAX);
    pn_buf_init(&clean, 4 * PN_FOLDER_NAME_MAX);
    error = folder_name_clean(&clean, name) ? folder_place(user, pn_buf_str(&clean), &place)
                                            : ENAMETOOLONG;
    if (error != 0) {
        pn_buf_fini(&place);
        pn_buf_fini(&clean);
        return store_status(error);
    }
    (void)pthread_mutex_lock(&user->lock);
    *out = find(user, pn_buf_cstr(&place));
    if (*out == NULL)
        error = open_new(user, clean.len == 0 ? PN_STR("INBOX") : pn_buf_str(&clean),
                         pn_buf_cstr(&place), create, out);
    if (*out != NULL)
        (*out)->refs++;
    (void)pthread_mutex_unlock(&user->lock);
    pn_buf_fini(&place);
    pn_buf_fini(&clean);
    bool none = error == ENOENT || error == ENOTDIR || (error == ELOOP && !create); /* a link */
    return none ? PN_STORE_NO_FOLDER : store_status(error);
}

void folder_put(struct folder **folder)
{
    struct folder *f = *folder;
    *folder = NULL;
    if (f == NULL)
        return;
    struct pn_user *user = f->user;
    (void)pthread_mutex_lock(&user->lock);
    bool last = --f->refs == 0;
    f->turn = atomic_fetch_add(&user->store->turn, 1);
    if (last && f->gone) /* it is in no list any more */
        folder_free(f);
    (void)pthread_mutex_unlock(&user->lock);
}

void folder_forget(struct pn_user *user, const char *place)
{
    (void)pthread_mutex_lock(&user->lock);
    struct folder *f = find(user, place);
    if (f != NULL)
        f->refs++;
    (void)pthread_mutex_unlock(&user->lock);
    if (f == NULL)
        return;
    (void)pthread_mutex_lock(&f->lock); /* nobody is given a UID behind what is written */
    (void)pthread_mutex_lock(&user->lock);
    if (!f->gone && f->given) /* before its directory has another name */
        write_exact(f);
    f->given = false;
    for (struct folder **at = &user->folders; *at != NULL; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            break;
        }
    f->gone = true;
    user->folder_turns++;
    (void)pthread_mutex_unlock(&user->lock);
    folder_notify(f);
    (void)pthread_mutex_unlock(&f->lock);
    folder_put(&f);
}

uint32_t folder_give_uids(struct folder *f, uint32_t n)
{
    if (f->uidnext > UINT32_MAX - UID_BLOCK || n > UINT32_MAX - UID_BLOCK - f->uidnext) {
        errno = EOVERFLOW;
        return 0;
    }
    if (f->uidnext + n > f->marks.uidnext || f->marks.exact) {
        uint32_t was = f->marks.uidnext;
        int dir = folder_open_dir(f, NULL);
        f->marks.uidnext = f->uidnext + n + UID_BLOCK;
        f->marks.exact = false;
        int error = dir < 0 ? errno : folder_marks_write(dir, &f->marks, true);
        if (dir >= 0)
            (void)close(dir);
        if (error != 0) {
            f->marks.uidnext = was;
            errno = error;
            return 0;
        }
    }
    uint32_t first = f->uidnext;
    f->uidnext += n;
    f->given = true;
    return first;
}

/* ---- messages in memory ---- */

size_t folder_find(const struct folder *f, uint32_t uid, bool *found)
{
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (f->msgs[mid].uid < uid)
            low = mid + 1;
        else
            high = mid;
    }
    if (found != NULL)
        *found = low < f->count && f->msgs[low].uid == uid;
    return low;
}

const char *folder_msg_name(const struct folder *f, const struct msg *msg)
{
    return f->names + msg->name;
}

void folder_count_msg(struct folder *f, const struct msg *msg, int sign)
{
    uint64_t s = (uint64_t)(int64_t)sign;
    f->bytes += s * msg->size;
    f->unseen += (msg->system & PN_SEEN) == 0 ? s : 0;
    f->deleted += (msg->system & PN_DELETED) != 0 ? s : 0;
    f->guessed += msg->guessed ? s : 0;
    f->guessed_bytes += msg->guessed ? s * msg->size : 0;
    f->grown_bytes += msg->form.size > msg->size ? s * (msg->form.size - msg->size) : 0;
}

static uint32_t add_name(struct folder *f, const char *name)
{
    size_t n = strlen(name) + 1;
    if (f->names_len + n > f->names_cap) {
        f->names_cap = f->names_cap * 3 / 2 + n + 64;
        f->names = pn_realloc(f->names, f->names_cap);
    }
    memcpy(f->names + f->names_len, name, n);
    f->names_len += n;
    return (uint32_t)(f->names_len - n);
}

/* Names that nobody has any more make room. */
static void tidy_names(struct folder *f)
{
    char *old = f->names;
    if (f->names_waste < 4096 || f->names_waste < f->names_len / 2)
        return;
    f->names_cap = f->names_len - f->names_waste + 64;
    f->names = pn_alloc(f->names_cap);
    f->names_len = f->names_waste = 0;
    for (size_t i = 0; i < f->count; i++)
        f->msgs[i].name = add_name(f, old + f->msgs[i].name);
    free(old);
}

void folder_rename_msg(struct folder *f, struct msg *msg, const char *name)
{
    size_t was = strlen(f->names + msg->name), n = strlen(name);
    if (n <= was) {
        memcpy(f->names + msg->name, name, n + 1);
        f->names_waste += was - n;
    } else {
        f->names_waste += was + 1;
        msg->name = add_name(f, name);
        tidy_names(f);
    }
}

static struct uids *uids_new(size_t cap)
{
    struct uids *u = pn_alloc(sizeof *u + cap * sizeof u->v[0]);
    u->refs = 1;
    u->cap = cap;
    return u;
}

/* A list that has room for one more; views keep theirs. */
static void more_uids(struct folder *f)
{
    struct uids *old = f->uids;
    if (old != NULL && f->count < old->cap)
        return;
    f->uids = uids_new(f->count < 4 ? 4 : f->count + f->count / 2);
    if (old != NULL) {
        memcpy(f->uids->v, old->v, f->count * sizeof old->v[0]);
        if (--old->refs == 0)
            free(old);
    }
}

void folder_append(struct folder *f, const struct msg *msg, const char *name)
{
    if (f->count == f->cap) {
        f->cap = f->cap + f->cap / 2 + 4;
        f->msgs = pn_realloc(f->msgs, f->cap * sizeof *f->msgs);
    }
    more_uids(f);
    f->uids->v[f->count] = msg->uid;
    f->msgs[f->count] = *msg;
    f->msgs[f->count].name = add_name(f, name);
    f->count++;
    folder_count_msg(f, msg, 1);
}

/* Does a view count that UID that has not heard of all that the folder has lost? */
static bool is_counted(const struct folder *f, uint32_t uid)
{
    for (const struct pn_view *v = f->views; v != NULL; v = v->next)
        if (pn_view_seq(v, uid) != 0)
            return true;
    return false;
}

/* Those that nobody counts any more. Now and then, that it costs little: there are never more than
 * twice as many as views count, and some. */
static void thin_dead(struct folder *f)
{
    enum { FEW = 1000 };
    size_t kept = 0;
    if (f->dead_count < FEW || f->dead_count < 2 * f->dead_kept)
        return;
    for (size_t i = 0; i < f->dead_count; i++)
        if (is_counted(f, f->dead[i].uid))
            f->dead[kept++] = f->dead[i];
    f->dead_count = f->dead_kept = kept;
    if (kept == 0) {
        free(f->dead);
        f->dead = NULL;
        f->dead_cap = 0;
    }
}

/* Keeps what views may ask about one that is gone. */
static void bury(struct folder *f, const struct msg *msg)
{
    if (!is_counted(f, msg->uid))
        return;
    f->dead = pn_grow(f->dead, &f->dead_cap, f->dead_count, sizeof *f->dead);
    f->dead[f->dead_count++] = *msg;
}

/* Those before `old` are in order, and those behind it: all are to be, in one pass. */
static void merge_dead(struct folder *f, size_t old)
{
    size_t to = f->dead_count, fresh = to - old;
    if (old == 0 || fresh == 0 || f->dead[old - 1].uid < f->dead[old].uid)
        return;
    struct msg *v = pn_alloc(fresh * sizeof *v);
    memcpy(v, f->dead + old, fresh * sizeof *v);
    while (fresh > 0)
        if (old > 0 && f->dead[old - 1].uid > v[fresh - 1].uid)
            f->dead[--to] = f->dead[--old];
        else
            f->dead[--to] = v[--fresh];
    free(v);
}

/* Ranges of what was expunged, on the way to the index. */
static void put_vanished(struct folder *f, uint64_t modseq, const struct pn_uidset *uids)
{
    for (size_t i = 0; i < uids->count; i++)
        index_put_vanished(f->user->index, f->marks.uidvalidity, modseq, uids->v[i].first,
                           uids->v[i].last);
    if (uids->count > 0)
        user_busy(f->user);
}

void folder_remove_unseen(struct folder *f, uint64_t modseq)
{
    struct pn_uidset gone;
    size_t kept = 0, buried = f->dead_count;
    int64_t bytes = 0;
    pn_uidset_init(&gone, PN_UIDSET_MAX);
    for (size_t i = 0; i < f->count; i++) {
        struct msg *m = &f->msgs[i];
        if (m->seen_now) {
            f->msgs[kept++] = *m;
            continue;
        }
        bury(f, m);
        folder_count_msg(f, m, -1);
        bytes += m->size;
        f->names_waste += strlen(f->names + m->name) + 1;
        (void)pn_uidset_add(&gone, m->uid, m->uid);
    }
    merge_dead(f, buried);
    thin_dead(f);
    if (kept < f->count) {
        size_t removed = f->count - kept;
        struct uids *old = f->uids;
        f->uids = uids_new(kept + kept / 8 + 4);
        for (size_t i = 0; i < kept; i++)
            f->uids->v[i] = f->msgs[i].uid;
        if (old != NULL && --old->refs == 0)
            free(old);
        f->count = kept;
        f->row_old = true;
        if (f->modseq < modseq)
            f->modseq = modseq;
        put_vanished(f, modseq, &gone);
        folder_used(f, -bytes, -(int64_t)removed);
        tidy_names(f);
        folder_notify(f);
    }
    pn_uidset_fini(&gone);
}

/* ---- the index ---- */

void folder_put_msg(struct folder *f, const struct msg *m)
{
    const struct index_msg row = {.uid = m->uid,
                                  .size = m->size,
                                  .keywords = m->keywords,
                                  .system = m->system,
                                  .guessed = m->guessed,
                                  .modseq = m->modseq,
                                  .date = m->date,
                                  .form = (uint8_t)m->form.kind,
                                  .surrogate = m->form.size};
    index_put_msg(f->user->index, f->marks.uidvalidity, &row);
    user_busy(f->user);
}

void folder_put_row(struct folder *f)
{
    if (index_serial(f->user->index) != f->index_serial)
        f->history = f->modseq; /* it was begun anew, and nobody has looked at the folder since */
    bool vague = f->guessed > 0 || f->grown_bytes > 0; /* bytes are: who asks is to load it */
    const struct index_folder row = {
        .uidvalidity = f->marks.uidvalidity,
        .modseq = f->modseq,
        .history = f->history,
        .messages = (uint32_t)f->count,
        .unseen = (uint32_t)f->unseen,
        .deleted = (uint32_t)f->deleted,
        .uidnext = f->uidnext,
        .epoch = f->epoch,
        .bytes = f->bytes,
        .mtime_ns = {vague || f->seen[0].soon ? 0 : f->seen[0].mtime_ns,
                     vague || f->seen[1].soon ? 0 : f->seen[1].mtime_ns}};
    index_put_folder(f->user->index, &row);
    f->row_old = false;
    user_busy(f->user);
}

/* ---- what others did ---- */

static struct timespec now_real(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

void folder_change_begin(struct folder *f, struct seen before[2])
{
    if (f->loaded && scan_stat(f, before) != 0)
        before[0] = before[1] = (struct seen){0};
}

void folder_change_end(struct folder *f, const struct seen before[2])
{
    struct seen after[2];
    if (!f->loaded || scan_stat(f, after) != 0)
        return;
    for (unsigned i = 0; i < 2; i++)
        if (before[i].mtime_ns == f->seen[i].mtime_ns &&
            after[i].mtime_ns != f->seen[i].mtime_ns) /* else somebody was there before us */
            f->seen[i] = (struct seen){after[i].mtime_ns, true};
    f->row_old = true;
}

/* All rows again: the index was begun anew. */
static void refill_index(struct folder *f)
{
    f->history = f->modseq;
    for (size_t i = 0; i < f->count; i++)
        folder_put_msg(f, &f->msgs[i]);
    folder_put_row(f);
}

/* Whether the directories must be read. A clock that ticks slower than changes come hides some:
 * then once more when it went on, not all the time, nor while we rename one after the other. */
static bool changed(const struct folder *f, const struct seen now[2])
{
    enum { TICK_NS = 20000000, PAUSE = 50 };
    const uint64_t pause_min = 1000000000, pause_max = 10000000000;
    struct timespec t = now_real();
    int64_t now_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    uint64_t pause = f->scan_ns * PAUSE;
    pause = pause < pause_min ? pause_min : pause > pause_max ? pause_max : pause;
    for (unsigned i = 0; i < 2; i++) {
        if (now[i].mtime_ns != f->seen[i].mtime_ns)
            return true;
        if (f->seen[i].soon && !atomic_load(&f->later.due) && now_ns - now[i].mtime_ns > TICK_NS &&
            (uint64_t)now_ns - f->scanned_at > pause)
            return true;
    }
    return false;
}

enum pn_store_status folder_look(struct folder *f, bool hard)
{
    struct seen now[2];
    f->looked_ns = pn_clock_mono_ns();
    if (f->gone)
        return PN_STORE_NO_FOLDER;
    int error = scan_stat(f, now);
    if (error == ENOENT || error == ENOTDIR) {
        user_count_again(f);
        return PN_STORE_NO_FOLDER;
    }
    if (error != 0)
        return store_status(error);
    enum pn_store_status status = PN_STORE_OK;
    if (!f->loaded || hard || changed(f, now))
        status = scan_folder(f);
    if (status == PN_STORE_OK) {
        unsigned serial = index_serial(f->user->index);
        if (serial != f->index_serial)
            refill_index(f);
        f->index_serial = serial;
    }
    return status;
}

/* What comes and goes from now on is counted by itself. */
static void begin_since(struct folder *f, unsigned round)
{
    (void)pthread_mutex_lock(&f->user->lock);
    f->count_round = round;
    f->since_bytes = f->since_messages = 0;
    (void)pthread_mutex_unlock(&f->user->lock);
}

enum pn_store_status folder_counts(struct folder *f, unsigned round, struct pn_folder_status *out)
{
    struct seen now[2];
    struct index_folder row;
    enum pn_store_status status = PN_STORE_OK;
    (void)pthread_mutex_lock(&f->lock);
    bool known = !f->loaded && !f->gone && f->coming == NULL && scan_stat(f, now) == 0 &&
                 index_folder_get(f->user->index, f->marks.uidvalidity, &row) &&
                 row.epoch == f->epoch && row.mtime_ns[0] == now[0].mtime_ns &&
                 row.mtime_ns[1] == now[1].mtime_ns && row.mtime_ns[0] != 0 && row.mtime_ns[1] != 0;
    if (known) {
        *out = (struct pn_folder_status){row.messages, row.unseen, row.deleted, 0, 0,
                                         row.modseq,   row.bytes};
    } else {
        status = folder_look(f, false);
        *out = (struct pn_folder_status){(uint32_t)f->count,
                                         (uint32_t)f->unseen,
                                         (uint32_t)f->deleted,
                                         0,
                                         0,
                                         f->modseq,
                                         f->bytes};
    }
    out->uidnext = f->uidnext;
    out->uidvalidity = f->marks.uidvalidity;
    if (round != 0 && status == PN_STORE_OK)
        begin_since(f, round);
    (void)pthread_mutex_unlock(&f->lock);
    return status;
}
