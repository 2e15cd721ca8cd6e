/*
 * Reading new and cur: what is there against what memory, or the index, knows.
 *
 * A file belongs to the folder if its name has the folder's UIDVALIDITY and a UID that was given.
 * All others are strangers': they get a UID, in the order of their names' times, and are renamed.
 * new is read before cur, as files go from new to cur; one that is missing is believed only when a
 * second reading does not have it either, for a rename under way can hide it from one.
 */
#include "store_int.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND_MAX = 8 * 1024 * 1024, NAME_MAX_LEN = 255 };

struct found {
    uint32_t uid; /* 0: a stranger's */
    uint32_t size, keywords;
    uint32_t name; /* offset */
    uint8_t system, dir;
    bool drop; /* not one of the folder's messages */
};

struct listing {
    struct folder *folder;
    int fd[2];
    struct found *v;
    size_t count, cap;
    struct pn_buf names;
    size_t strangers;
    struct seen before[2];
};

/* ---- reading ---- */

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int scan_stat(const struct folder *folder, struct seen out[2])
{
    struct pn_buf path;
    int error = 0;
    pn_buf_init(&path, PLACE_MAX + 10);
    (void)user_path(folder->user, folder->place, &path);
    size_t n = path.len;
    for (unsigned i = 0; i < 2 && error == 0; i++) {
        struct stat st;
        path.len = n;
        (void)pn_buf_addz(&path, i == DIR_NEW ? "/new" : "/cur");
        if (fstatat(folder->user->store->root, pn_buf_cstr(&path), &st, AT_SYMLINK_NOFOLLOW) != 0)
            error = errno;
        else if (!S_ISDIR(st.st_mode))
            error = ENOTDIR;
        else
            out[i] = (struct seen){mtime_ns(&st), false};
    }
    pn_buf_fini(&path);
    return error;
}

static const char *name_of(const struct listing *l, const struct found *found)
{
    return l->names.p + found->name;
}

static void add_found(struct listing *l, const char *name, unsigned dir)
{
    struct mail_name parsed;
    const struct folder *f = l->folder;
    struct pn_str text = pn_str_of(name);
    mail_name_parse(text, &parsed);
    struct found found = {.uid = parsed.uid,
                          .size = parsed.size,
                          .keywords = parsed.keywords,
                          .system = parsed.system,
                          .dir = (uint8_t)dir,
                          .name = (uint32_t)l->names.len};
    if (parsed.uidvalidity != f->marks.uidvalidity || parsed.uid >= f->uidnext)
        found.uid = 0;
    if (found.uid != 0 && f->coming != NULL && coming_has(f, found.uid))
        return; /* it comes when it is durable */
    if (l->count >= FOUND_MAX || !pn_buf_add(&l->names, name, text.len + 1))
        return;
    l->v = pn_grow(l->v, &l->cap, l->count, sizeof *l->v);
    l->v[l->count++] = found;
}

/* Links, pipes and directories are no messages, and never will be: nobody looks at them twice. */
static bool is_file(int dir, const struct dirent *e)
{
    struct stat st;
    if (e->d_name[0] == '.' || e->d_type != DT_UNKNOWN)
        return e->d_name[0] != '.' && e->d_type == DT_REG;
    return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int read_dir(struct listing *l, unsigned dir)
{
    int copy = openat(l->fd[dir], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (entries == NULL) {
        int error = errno;
        if (copy >= 0)
            (void)close(copy);
        return error;
    }
    errno = 0;
    for (struct dirent *e; (e = readdir(entries)) != NULL; errno = 0)
        if (is_file(l->fd[dir], e))
            add_found(l, e->d_name, dir);
    int error = errno;
    (void)closedir(entries);
    return error;
}

static int by_uid(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid < y->uid ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name; /* in the order they were read */
}

static bool in_order(const struct listing *l)
{
    for (size_t i = 1; i < l->count; i++)
        if (by_uid(&l->v[i - 1], &l->v[i]) > 0)
            return false;
    return true;
}

static int listing_read(struct listing *l)
{
    l->count = l->strangers = 0;
    l->names.len = 0;
    int error = scan_stat(l->folder, l->before);
    for (unsigned dir = 0; dir < 2 && error == 0; dir++)
        error = read_dir(l, dir);
    if (error == 0 && !in_order(l))
        qsort(l->v, l->count, sizeof *l->v, by_uid);
    return error;
}

/* ---- two files of one UID ---- */

/* Of a rename that a crash, or our reading, cut in two one name is left; a copy is a stranger's. */
static void settle_two(struct listing *l, struct found *a, struct found *b)
{
    struct stat sa, sb;
    if (fstatat(l->fd[a->dir], name_of(l, a), &sa, AT_SYMLINK_NOFOLLOW) != 0) {
        *a = *b;
        b->drop = true;
    } else if (fstatat(l->fd[b->dir], name_of(l, b), &sb, AT_SYMLINK_NOFOLLOW) != 0) {
        b->drop = true;
    } else if (sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev) {
        bool first = a->dir < b->dir; /* what is in cur came later */
        (void)unlinkat(l->fd[first ? a->dir : b->dir], name_of(l, first ? a : b), 0);
        if (first)
            *a = *b;
        b->drop = true;
    } else {
        b->uid = 0;
    }
}

static void settle_same(struct listing *l)
{
    size_t kept = 0, start = 0;
    bool sort = false;
    while (start < l->count && l->v[start].uid == 0)
        start++;
    for (size_t i = start + 1, head = start; i < l->count; i++)
        if (l->v[i].uid == l->v[head].uid) {
            settle_two(l, &l->v[head], &l->v[i]);
            sort = sort || l->v[i].uid == 0;
        } else {
            head = i;
        }
    for (size_t i = 0; i < l->count; i++)
        if (!l->v[i].drop)
            l->v[kept++] = l->v[i];
    l->count = kept;
    if (sort)
        qsort(l->v, l->count, sizeof *l->v, by_uid);
    for (l->strangers = 0; l->strangers < l->count && l->v[l->strangers].uid == 0;)
        l->strangers++;
}

/* ---- strangers ---- */

static uint64_t time_in(const char *name)
{
    uint64_t n = 0;
    for (; pn_is_digit(*name) && n < UINT64_MAX / 100; name++)
        n = n * 10 + (uint64_t)(*name - '0');
    return n;
}

static const struct listing *sorting; /* qsort has no context; below sort_lock */
static pthread_mutex_t sort_lock = PTHREAD_MUTEX_INITIALIZER;

static int by_time(const void *a, const void *b)
{
    const char *x = name_of(sorting, a), *y = name_of(sorting, b);
    uint64_t tx = time_in(x), ty = time_in(y);
    return tx != ty ? (tx < ty ? -1 : 1) : strcmp(x, y);
}

static int64_t date_of(const struct listing *l, const struct found *found)
{
    struct stat st;
    if (fstatat(l->fd[found->dir], name_of(l, found), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return pn_clock_wall_ms() / 1000;
    return st.st_mtim.tv_sec;
}

/* Renames one to its new UID; false: it is gone, or can't be renamed; or read: drop is set then,
 * and the UID may be another's. */
static bool adopt(struct listing *l, struct found *found, uint32_t uid, struct pn_buf *name)
{
    struct mail_name parsed;
    struct stat st;
    const char *was = name_of(l, found);
    struct pn_str text = pn_str_of(was);
    found->drop = fstatat(l->fd[found->dir], was, &st, AT_SYMLINK_NOFOLLOW) != 0;
    mail_name_parse(text, &parsed);
    uint64_t size =
        parsed.size != 0 || found->drop ? parsed.size : mail_size_of(l->fd[found->dir], was);
    found->drop = found->drop || size > UINT32_MAX;
    if (found->drop)
        return false;
    pn_buf_clear(name);
    bool ok = mail_name_make(name, parsed.base, (uint64_t)st.st_size, (uint32_t)size,
                             l->folder->marks.uidvalidity, uid);
    size_t info = pn_str_find(text, ':', 0);
    if (ok && info != SIZE_MAX)
        ok = pn_buf_adds(name, pn_str_slice(text, info, text.len));
    if (!ok || name->len > NAME_MAX_LEN) { /* a base of its own is too long */
        pn_buf_clear(name);
        store_unique(l->folder->user->store, name);
        char *base = pn_strndup(name->p, name->len);
        pn_buf_clear(name);
        (void)mail_name_make(name, pn_str_of(base), (uint64_t)st.st_size, (uint32_t)size,
                             l->folder->marks.uidvalidity, uid);
        if (found->dir == DIR_CUR)
            (void)mail_name_flags(name, PN_STR(""), found->system, found->keywords);
        free(base);
    }
    found->size = (uint32_t)size;
    return renameat(l->fd[found->dir], was, l->fd[found->dir], pn_buf_cstr(name)) == 0;
}

static enum pn_store_status adopt_all(struct listing *l, uint64_t *modseq)
{
    struct folder *f = l->folder;
    struct pn_buf name;
    uint32_t first = folder_give_uids(f, (uint32_t)l->strangers);
    bool done[2] = {false, false};
    int64_t bytes = 0, messages = 0;
    if (first == 0)
        return store_status(errno);
    (void)pthread_mutex_lock(&sort_lock);
    sorting = l;
    qsort(l->v, l->strangers, sizeof *l->v, by_time);
    (void)pthread_mutex_unlock(&sort_lock);
    uint32_t uid = first;
    pn_buf_init(&name, 1024);
    for (size_t i = 0; i < l->strangers; i++) {
        struct found *found = &l->v[i];
        int64_t date = date_of(l, found);
        bool adopted = adopt(l, found, uid, &name);
        uid += !found->drop;
        if (!adopted)
            continue;
        if (*modseq == 0)
            *modseq = user_new_modseq(f->user);
        done[found->dir] = true;
        const struct msg m = {.uid = uid - 1,
                              .size = found->size,
                              .modseq = *modseq,
                              .date = date,
                              .keywords = found->keywords,
                              .system = found->system,
                              .in_new = found->dir == DIR_NEW,
                              .seen_now = true};
        folder_append(f, &m, pn_buf_cstr(&name));
        folder_put_msg(f, &m);
        bytes += m.size;
        messages++;
    }
    pn_buf_fini(&name);
    f->uidnext = uid; /* nobody else was given one meanwhile */
    for (unsigned dir = 0; dir < 2; dir++)
        if (done[dir])
            (void)fsync(l->fd[dir]); /* else they come under other UIDs: not lost */
    if (messages > 0 && f->loaded)
        folder_used(f, bytes, messages);
    return PN_STORE_OK;
}

/* ---- against what is known ---- */

/* True: a flag is not as it was. */
static bool take(struct folder *f, struct msg *m, const struct found *found, const char *name,
                 uint64_t *modseq)
{
    m->seen_now = true;
    m->in_new = found->dir == DIR_NEW;
    if (strcmp(folder_msg_name(f, m), name) != 0)
        folder_rename_msg(f, m, name);
    if (m->system == found->system && m->keywords == found->keywords)
        return false;
    if (*modseq == 0)
        *modseq = user_new_modseq(f->user);
    folder_count_msg(f, m, -1);
    m->system = found->system;
    m->keywords = found->keywords;
    folder_count_msg(f, m, 1);
    m->modseq = *modseq;
    folder_put_msg(f, m);
    return true;
}

/* Of messages in memory. How many were not found. */
static size_t match(struct listing *l, uint64_t *modseq, bool *flags)
{
    struct folder *f = l->folder;
    size_t missing = 0, i = 0;
    for (size_t k = 0; k < f->count; k++)
        f->msgs[k].seen_now = false;
    for (size_t j = l->strangers; j < l->count; j++) {
        struct found *found = &l->v[j];
        for (; i < f->count && f->msgs[i].uid < found->uid; i++)
            missing++;
        if (i < f->count && f->msgs[i].uid == found->uid)
            *flags |= take(f, &f->msgs[i++], found, name_of(l, found), modseq);
        else
            found->uid = 0; /* it was expunged, and somebody brought it back */
    }
    return missing + (f->count - i);
}

static void to_strangers(struct listing *l)
{
    if (l->count > 0 && !in_order(l))
        qsort(l->v, l->count, sizeof *l->v, by_uid);
    for (l->strangers = 0; l->strangers < l->count && l->v[l->strangers].uid == 0;)
        l->strangers++;
}

static enum pn_store_status again(struct listing *l)
{
    struct folder *f = l->folder;
    uint64_t modseq = 0;
    bool flags = false;
    size_t missing = match(l, &modseq, &flags);
    if (missing > 0) {
        int error = listing_read(l);
        if (error != 0)
            return store_status(error);
        settle_same(l);
        missing = match(l, &modseq, &flags);
    }
    to_strangers(l);
    if (missing > 0) {
        if (modseq == 0)
            modseq = user_new_modseq(f->user);
        folder_remove_unseen(f, modseq);
    }
    if (flags && f->modseq < modseq)
        f->modseq = modseq;
    f->row_old = f->row_old || flags || missing > 0;
    return PN_STORE_OK;
}

/* ---- the first time: against the index ---- */

struct rows {
    struct index_msg *v;
    size_t count, cap;
};

static void add_row(void *ctx, const struct index_msg *msg)
{
    struct rows *rows = ctx;
    rows->v = pn_grow(rows->v, &rows->cap, rows->count, sizeof *rows->v);
    rows->v[rows->count++] = *msg;
}

static void add_vanished(void *ctx, uint32_t first, uint32_t last)
{
    (void)pn_uidset_add(ctx, first, last);
}

/* What the index had and the disk has not. */
static void note_missing(struct folder *f, const struct pn_uidset *missing, uint64_t modseq)
{
    for (size_t i = 0; i < missing->count; i++)
        index_put_vanished(f->user->index, f->marks.uidvalidity, modseq, missing->v[i].first,
                           missing->v[i].last);
}

static uint64_t modseq_now(struct folder *f, uint64_t *modseq)
{
    if (*modseq == 0)
        *modseq = user_new_modseq(f->user);
    return *modseq;
}

static void load_one(struct listing *l, const struct found *found, const struct index_msg *row,
                     uint64_t *modseq)
{
    struct folder *f = l->folder;
    bool same = row != NULL && row->system == found->system && row->keywords == found->keywords;
    struct msg m = {.uid = found->uid,
                    .size = found->size,
                    .keywords = found->keywords,
                    .system = found->system,
                    .in_new = found->dir == DIR_NEW};
    if (m.size == 0 && row != NULL)
        m.size = row->size;
    else if (m.size == 0)
        m.size = (uint32_t)mail_size_of(l->fd[found->dir], name_of(l, found));
    m.date = row != NULL ? row->date : date_of(l, found);
    m.modseq = same ? row->modseq : modseq_now(f, modseq);
    folder_append(f, &m, name_of(l, found));
    if (!same || row->renewed)
        folder_put_msg(f, &m);
}

static void load_all(struct listing *l, const struct rows *rows, uint64_t *modseq)
{
    struct folder *f = l->folder;
    struct pn_uidset missing, vanished;
    size_t i = 0;
    pn_uidset_init(&missing, PN_UIDSET_MAX);
    pn_uidset_init(&vanished, PN_UIDSET_MAX);
    if (rows->count > 0)
        (void)index_vanished_get(f->user->index, f->marks.uidvalidity, 0, add_vanished, &vanished);
    for (size_t j = l->strangers; j < l->count; j++) {
        struct found *found = &l->v[j];
        for (; i < rows->count && rows->v[i].uid < found->uid; i++)
            (void)pn_uidset_add(&missing, rows->v[i].uid, rows->v[i].uid);
        bool known = i < rows->count && rows->v[i].uid == found->uid;
        if (!known && pn_uidset_has(&vanished, found->uid))
            found->uid = 0;
        else
            load_one(l, found, known ? &rows->v[i] : NULL, modseq);
        i += known;
    }
    for (; i < rows->count; i++)
        if (!coming_has(f, rows->v[i].uid))
            (void)pn_uidset_add(&missing, rows->v[i].uid, rows->v[i].uid);
    if (missing.count > 0)
        note_missing(f, &missing, modseq_now(f, modseq));
    pn_uidset_fini(&missing);
    pn_uidset_fini(&vanished);
}

/* What a crash left in tmp long ago, as the Maildir description has it. */
static void sweep_tmp(const struct folder *f)
{
    enum { OLD_S = 36 * 3600 };
    struct timespec now;
    int fd = folder_open_dir(f, "tmp");
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL && fd >= 0)
        (void)close(fd);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    for (struct dirent *e; entries != NULL && (e = readdir(entries)) != NULL;) {
        struct stat st;
        if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && now.tv_sec - st.st_ctim.tv_sec > OLD_S)
            (void)unlinkat(fd, e->d_name, 0);
    }
    if (entries != NULL)
        (void)closedir(entries);
}

/* A client may have been told of a change that no row has: each message changed, for all we know.
 */
static void renew(struct rows *rows, uint64_t modseq)
{
    for (size_t i = 0; i < rows->count; i++) {
        rows->v[i].modseq = modseq;
        rows->v[i].renewed = true;
    }
}

/* What was counted of the folder while it was not in memory, against what is there. */
static void recount(struct folder *f, const struct rows *rows)
{
    int64_t bytes = (int64_t)f->bytes;
    for (size_t i = 0; i < rows->count; i++)
        bytes -= rows->v[i].size;
    folder_used(f, bytes, (int64_t)f->count - (int64_t)rows->count);
}

static void first_time(struct listing *l)
{
    struct folder *f = l->folder;
    struct index_folder row;
    struct rows rows = {0};
    uint64_t modseq = 0;
    sweep_tmp(f);
    bool known = index_folder_get(f->user->index, f->marks.uidvalidity, &row);
    (void)index_messages(f->user->index, f->marks.uidvalidity, add_row, &rows);
    if (!known || row.epoch != f->epoch) { /* a crash: what was queued for the index is lost */
        row.history = modseq_now(f, &modseq);
        row.modseq = modseq;
        renew(&rows, modseq);
    }
    load_all(l, &rows, &modseq);
    recount(f, &rows);
    to_strangers(l);
    f->history = row.history;
    f->modseq = row.modseq;
    if (f->modseq < modseq)
        f->modseq = modseq;
    for (size_t i = 0; i < f->count; i++)
        if (f->modseq < f->msgs[i].modseq)
            f->modseq = f->msgs[i].modseq;
    f->row_old = true;
    f->loaded = true;
    f->index_serial = index_serial(f->user->index);
    free(rows.v);
}

/* ---- both ---- */

static enum pn_store_status listing_open(struct listing *l)
{
    l->fd[DIR_NEW] = folder_open_dir(l->folder, "new");
    l->fd[DIR_CUR] = folder_open_dir(l->folder, "cur");
    int error = l->fd[DIR_NEW] < 0 || l->fd[DIR_CUR] < 0 ? errno : listing_read(l);
    return error == ENOENT ? PN_STORE_NO_FOLDER : store_status(error);
}

static void listing_close(struct listing *l)
{
    for (unsigned i = 0; i < 2; i++)
        if (l->fd[i] >= 0)
            (void)close(l->fd[i]);
    free(l->v);
    pn_buf_fini(&l->names);
}

/* own: as the directories were just before own renames, where there were some. What others did
 * between the reading and those is looked for at once, the next time. */
static void set_seen(struct listing *l, const struct seen *own, bool later)
{
    enum { TICK_NS = 20000000 };
    struct folder *f = l->folder;
    struct seen after[2];
    bool have = own != NULL && scan_stat(f, after) == 0;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    for (unsigned i = 0; i < 2; i++) {
        f->seen[i] = have ? after[i] : l->before[i];
        f->seen[i].soon = have || now_ns - f->seen[i].mtime_ns < TICK_NS;
        if (later) /* strangers wait: again soon, not at every look */
            f->seen[i].soon = true;
        if (have && own[i].mtime_ns != l->before[i].mtime_ns)
            f->seen[i].mtime_ns = 0;
    }
    f->scanned_at = (uint64_t)now_ns;
}

enum pn_store_status scan_folder(struct folder *f)
{
    struct listing l = {.folder = f, .fd = {-1, -1}};
    uint64_t started = pn_clock_mono_ns(), modseq = 0, before = f->modseq;
    bool renamed = false, was_loaded = f->loaded, later = false;
    struct seen own[2];
    pn_buf_init(&l.names, UINT32_MAX);
    enum pn_store_status status = listing_open(&l);
    if (status == PN_STORE_OK) {
        settle_same(&l);
        if (f->loaded)
            status = again(&l);
        else
            first_time(&l);
    }
    if (status == PN_STORE_OK && l.strangers > 0) {
        renamed = scan_stat(f, own) == 0;
        /* UIDs are shown in their order. And what can't be written can be read all the same. */
        later = f->coming != NULL || adopt_all(&l, &modseq) != PN_STORE_OK;
        if (f->modseq < modseq)
            f->modseq = modseq;
        f->row_old = true;
    }
    if (status == PN_STORE_OK) {
        set_seen(&l, renamed ? own : NULL, later);
        if (was_loaded && f->modseq > before)
            folder_notify(f);
    }
    f->scan_ns = pn_clock_mono_ns() - started;
    listing_close(&l);
    return status;
}
