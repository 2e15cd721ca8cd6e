/*
 * Reading new and cur: what is there against what memory, or the index, knows.
 *
 * A file belongs to the folder if its name has the folder's UIDVALIDITY and a UID that was given.
 * So it does if its UID is written down beside (uidlist.h). All others are strangers': they get a
 * UID, in the order of their names' times, and are renamed (strangers.c).
 * new is read before cur, as files go from new to cur; one that is missing is believed only when a
 * second reading does not have it either, for a rename under way can hide it from one.
 */
#include "scan_int.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "uidlist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND_MAX = 8 * 1024 * 1024, LOST_MAX = 1024 * 1024 /* UIDs */ };

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
    if (parsed.uidvalidity != f->marks.uidvalidity || parsed.uid >= f->uidnext) {
        /* A mark that is older than the mail, of a backup: nobody else may get that UID. */
        if (parsed.uidvalidity == f->marks.uidvalidity && parsed.uid > l->highest &&
            parsed.uid - f->uidnext < LOST_MAX)
            l->highest = parsed.uid;
        found.uid = f->list != NULL ? uidlist_get(f->list, uidlist_key(text)) : 0;
        if (found.uid >= f->uidnext)
            found.uid = 0;
        found.listed = found.uid != 0;
    }
    if (found.uid != 0 && f->coming != NULL && coming_has(f, found.uid))
        return; /* it comes when it is durable */
    if (l->count >= FOUND_MAX || !pn_buf_add(&l->names, name, text.len + 1)) {
        l->full = true;
        return;
    }
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
    l->full = false;
    int error = scan_stat(l->folder, l->before);
    for (unsigned dir = 0; dir < 2 && error == 0; dir++)
        error = read_dir(l, dir);
    if (error == 0 && !in_order(l))
        qsort(l->v, l->count, sizeof *l->v, by_uid);
    return error == 0 && l->full ? EFBIG : error; /* what is not read is not missing */
}

/* ---- two files of one UID ---- */

/* Of a rename that a crash, or our reading, cut in two one name is left; a copy is a stranger's. */
static void settle_two(struct listing *l, struct found *a, struct found *b)
{
    struct stat sa, sb;
    if (fstatat(l->fd[a->dir], found_name(l, a), &sa, AT_SYMLINK_NOFOLLOW) != 0) {
        *a = *b;
        b->drop = true;
    } else if (fstatat(l->fd[b->dir], found_name(l, b), &sb, AT_SYMLINK_NOFOLLOW) != 0) {
        b->drop = true;
    } else if (sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev) {
        bool first = a->dir < b->dir; /* what is in cur came later */
        (void)unlinkat(l->fd[first ? a->dir : b->dir], found_name(l, first ? a : b), 0);
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

/* ---- against what is known ---- */

/* True: a flag is not as it was. */
static bool take(struct folder *f, struct msg *m, const struct found *found, const char *name,
                 uint64_t *modseq)
{
    m->seen_now = true;
    m->in_new = found->dir == DIR_NEW;
    m->foreign = found->listed;
    if (strcmp(folder_msg_name(f, m), name) != 0)
        folder_rename_msg(f, m, name);
    if (m->system == found->system && m->keywords == found->keywords)
        return false;
    if (*modseq == 0)
        *modseq = user_any_modseq(f->user);
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
            *flags |= take(f, &f->msgs[i++], found, found_name(l, found), modseq);
        else
            found->uid = 0; /* it was expunged, and somebody brought it back */
    }
    return missing + (f->count - i);
}

void listing_sort(struct listing *l)
{
    if (l->count > 0 && !in_order(l))
        qsort(l->v, l->count, sizeof *l->v, by_uid);
    for (l->strangers = 0; l->strangers < l->count && l->v[l->strangers].uid == 0;)
        l->strangers++;
}

/* Flags that were found stand, and are told. What was not found may be there all the same: only who
 * removes messages knows which are gone. */
static enum pn_store_status half_read(struct folder *f, uint64_t modseq, bool flags, int error)
{
    for (size_t k = 0; k < f->count; k++)
        f->msgs[k].seen_now = f->msgs[k].seen_before;
    f->row_old = f->row_old || flags;
    if (flags && f->modseq < modseq) {
        f->modseq = modseq;
        folder_notify(f);
    }
    return store_status(error);
}

static enum pn_store_status again(struct listing *l)
{
    struct folder *f = l->folder;
    uint64_t modseq = 0;
    bool flags = false;
    for (size_t k = 0; k < f->count; k++)
        f->msgs[k].seen_before = f->msgs[k].seen_now;
    size_t missing = match(l, &modseq, &flags);
    if (missing > 0) {
        int error = listing_read(l);
        if (error != 0)
            return half_read(f, modseq, flags, error);
        settle_same(l);
        missing = match(l, &modseq, &flags);
    }
    listing_sort(l);
    if (missing > 0) {
        if (modseq == 0)
            modseq = user_any_modseq(f->user);
        folder_remove_unseen(f, modseq);
    }
    if (flags && f->modseq < modseq)
        f->modseq = modseq;
    f->row_old = f->row_old || flags || missing > 0;
    return PN_STORE_OK;
}

/* ---- both ---- */

/* UIDs that are not in names. Without what is written down their messages would get others. */
static enum pn_store_status read_list(struct folder *f)
{
    int dir = folder_open_dir(f, NULL);
    int error = dir < 0 ? errno : uidlist_read(dir, f->marks.uidvalidity, &f->list);
    if (dir >= 0)
        (void)close(dir);
    if (error == EBADMSG)
        pn_warn("postern-uids of %s/%s is damaged: its messages get other UIDs", f->user->place,
                f->place);
    return error == ENOENT || error == EBADMSG ? PN_STORE_OK : store_status(error);
}

static enum pn_store_status listing_open(struct listing *l)
{
    l->euid = geteuid();
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
    enum pn_store_status status = f->loaded || f->list != NULL ? PN_STORE_OK : read_list(f);
    if (status == PN_STORE_OK)
        status = listing_open(&l);
    if (status == PN_STORE_OK) {
        settle_same(&l);
        if (f->loaded)
            status = again(&l);
        else
            load_folder(&l);
    }
    if (status == PN_STORE_OK && l.strangers > 0) {
        renamed = scan_stat(f, own) == 0;
        /* UIDs are shown in their order. And what can't be written can be read all the same. */
        later = f->coming != NULL || strangers_adopt(&l, &modseq) != PN_STORE_OK;
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
