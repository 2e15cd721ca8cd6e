/* Which folders there are, and what is known of each. */
#include "folders.h"

#include "folders_int.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- on disk ---- */

static const struct pn_str inbox = PN_STR_INIT("INBOX");

/* 0: it is a folder, and *use is known if asked for. Without tmp it is being made, or is another
 * program's of another kind. */
static int look_at(int dir, const char *component, bool with_use, enum pn_special_use *use)
{
    struct folder_marks marks = {0};
    struct stat st;
    *use = PN_USE_NONE;
    int fd = openat(dir, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fstatat(fd, "tmp", &st, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
    if (error == 0 && !S_ISDIR(st.st_mode))
        error = ENOTDIR;
    if (error == 0 && with_use && folder_marks_read(fd, &marks) == 0) {
        *use = marks.use;
        folder_marks_fini(&marks);
    }
    (void)close(fd);
    return error;
}

/* Two of one name lie side by side, the proper one first. */
struct found {
    struct on_disk folder;
    bool proper;
};

static int by_name(const void *a, const void *b)
{
    const struct found *left = a, *right = b;
    int cmp = folder_name_cmp(left->folder.name, right->folder.name);
    return cmp != 0 ? cmp : (int)right->proper - (int)left->proper;
}

struct scan {
    struct pn_pool *pool;
    struct found *v; /* owned */
    size_t count, cap;
    struct pn_buf name;
};

static int scan_entry(struct scan *s, int dir, const char *component, bool with_use)
{
    struct found f = {.proper = false};
    pn_buf_clear(&s->name);
    if (!folder_name_of_disk(&s->name, pn_str_of(component), &f.proper))
        return 0;
    int error = look_at(dir, component, with_use, &f.folder.use);
    if (error != 0) /* it is none; but one that can't be opened now is there all the same */
        return error == EMFILE || error == ENFILE || error == ENOMEM ? error : 0;
    f.folder.component = pn_str_of(pn_pool_strdup(s->pool, pn_str_of(component)));
    f.folder.name = pn_pool_dup(s->pool, pn_buf_str(&s->name));
    if (f.folder.component.p == NULL || f.folder.name.p == NULL)
        return ENOMEM;
    s->v = pn_grow(s->v, &s->cap, s->count, sizeof *s->v);
    s->v[s->count++] = f;
    return 0;
}

static int scan_all(struct scan *s, int dir, bool with_use)
{
    int error = 0, own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = own < 0 ? NULL : fdopendir(own);
    if (d == NULL) {
        error = errno;
        if (own >= 0)
            (void)close(own);
        return error;
    }
    struct dirent *e;
    while (error == 0 && (errno = 0, e = readdir(d)) != NULL)
        if (e->d_name[0] == '.' && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN))
            error = scan_entry(s, dir, e->d_name, with_use);
    error = error != 0 ? error : errno;
    (void)closedir(d);
    return error;
}

int folders_scan(int dir, bool with_use, struct pn_pool *pool, struct on_disk_list *out)
{
    struct scan s = {.pool = pool};
    *out = (struct on_disk_list){NULL, 0, 0};
    pn_buf_init(&s.name, 2 * MAILDIR_COMPONENT_MAX);
    int error = scan_all(&s, dir, with_use);
    pn_buf_fini(&s.name);
    if (error == 0 && s.count > 0) {
        qsort(s.v, s.count, sizeof *s.v, by_name);
        out->v = pn_calloc(s.count, sizeof *out->v);
        for (size_t i = 0; i < s.count; i++)
            if (i == 0 || !pn_str_eq(s.v[i].folder.name, s.v[i - 1].folder.name))
                out->v[out->count++] = s.v[i].folder;
    }
    free(s.v);
    return error;
}

const struct on_disk *folders_find(const struct on_disk_list *list, struct pn_str name)
{
    size_t from = 0, to = list->count;
    while (from < to) {
        size_t at = from + (to - from) / 2;
        int cmp = folder_name_cmp(list->v[at].name, name);
        if (cmp == 0)
            return &list->v[at];
        if (cmp < 0)
            from = at + 1;
        else
            to = at;
    }
    return NULL;
}

void folders_scan_fini(struct on_disk_list *list)
{
    free(list->v);
    *list = (struct on_disk_list){NULL, 0, 0};
}

/* ---- the list ---- */

struct listing {
    struct pn_folder_entry *v; /* owned */
    size_t count, cap;
};

static void put(struct listing *l, struct pn_folder_entry e)
{
    l->v = pn_grow(l->v, &l->cap, l->count, sizeof *l->v);
    l->v[l->count++] = e;
}

/* And each level above, which need not be there itself. */
static void put_with_levels(struct listing *l, struct pn_folder_entry e)
{
    put(l, e);
    for (struct pn_str up = folder_name_parent(e.name); up.p != NULL; up = folder_name_parent(up))
        put(l, (struct pn_folder_entry){.name = up});
}

static int entries_by_name(const void *a, const void *b)
{
    const struct pn_folder_entry *left = a, *right = b;
    return folder_name_cmp(left->name, right->name);
}

/* One entry a name, with all that is known of it. */
static void join_same(struct listing *l)
{
    size_t n = 0;
    qsort(l->v, l->count, sizeof *l->v, entries_by_name);
    for (size_t i = 0; i < l->count; i++) {
        const struct pn_folder_entry *e = &l->v[i];
        if (n == 0 || !pn_str_eq(l->v[n - 1].name, e->name)) {
            l->v[n++] = *e;
            continue;
        }
        l->v[n - 1].exists |= e->exists;
        l->v[n - 1].subscribed |= e->subscribed;
        if (e->use != PN_USE_NONE)
            l->v[n - 1].use = e->use;
    }
    l->count = n;
}

/* Each folder follows those above it, so these are the last ones met of their levels. */
static void find_children(struct listing *l)
{
    struct pn_folder_entry *above[PN_FOLDER_LEVELS_MAX + 1] = {NULL};
    for (size_t i = 0; i < l->count; i++) {
        unsigned depth = 0;
        for (size_t at = 0; (at = pn_str_find(l->v[i].name, '/', at)) != SIZE_MAX; at++)
            depth++;
        above[depth] = &l->v[i];
        for (unsigned d = 0; l->v[i].exists && d < depth; d++)
            above[d]->children = true;
    }
}

/* False: the pool's limit. */
static bool put_subscribed(struct listing *l, struct pn_user *user, struct pn_pool *pool)
{
    bool ok = true;
    (void)pthread_mutex_lock(&user->lock);
    for (size_t i = 0; i < user->marks.subscribed_count && ok; i++) {
        struct pn_str name = pn_pool_dup(pool, pn_str_of(user->marks.subscribed[i]));
        ok = name.p != NULL;
        if (ok)
            put_with_levels(l, (struct pn_folder_entry){.name = name, .subscribed = true});
    }
    (void)pthread_mutex_unlock(&user->lock);
    return ok;
}

static int read_marks(struct pn_user *user)
{
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
    (void)pthread_mutex_unlock(&user->lock);
    return error;
}

static int gather(struct pn_user *user, int dir, struct pn_pool *pool, struct listing *l)
{
    struct on_disk_list disk;
    (void)pthread_mutex_lock(&user->folders_lock);
    int error = folders_finish(user, dir);
    (void)pthread_mutex_unlock(&user->folders_lock);
    error = error != 0 ? error : read_marks(user);
    error = error != 0 ? error : folders_scan(dir, true, pool, &disk);
    if (error != 0)
        return error;
    put(l, (struct pn_folder_entry){.name = inbox, .exists = true});
    for (size_t i = 0; i < disk.count; i++)
        put_with_levels(l, (struct pn_folder_entry){
                               .name = disk.v[i].name, .use = disk.v[i].use, .exists = true});
    folders_scan_fini(&disk);
    return put_subscribed(l, user, pool) ? 0 : ENOMEM;
}

enum pn_store_status pn_folders_list(struct pn_user *user, struct pn_pool *pool,
                                     struct pn_folder_list *out)
{
    struct listing l = {NULL, 0, 0};
    *out = (struct pn_folder_list){NULL, 0};
    int dir = user_open_dir(user), error = dir < 0 ? errno : gather(user, dir, pool, &l);
    if (dir >= 0)
        (void)close(dir);
    if (error == 0) {
        join_same(&l);
        find_children(&l);
        out->v = pn_pool_alloc(pool, l.count * sizeof *l.v);
        out->count = out->v == NULL ? 0 : l.count;
        error = out->v == NULL ? ENOMEM : 0;
    }
    for (size_t i = 0; i < out->count; i++)
        out->v[i] = l.v[i];
    free(l.v);
    return error == 0        ? PN_STORE_OK
           : error == ENOMEM ? PN_STORE_LIMIT
                             : store_failed(NULL, "folders", error);
}

/* ---- one folder ---- */

int folder_place(struct pn_user *user, struct pn_str name, struct pn_buf *out)
{
    int error = 0;
    struct pn_buf plain, clean;
    enum pn_special_use use;
    size_t start = out->len;
    if (!maildir_folder_name(out, name))
        return ENAMETOOLONG;
    if (out->len == start)
        return 0;
    pn_buf_init(&plain, MAILDIR_COMPONENT_MAX + 1);
    pn_buf_init(&clean, PN_FOLDER_NAME_MAX + 1);
    /* Only names that are written differently have another one. */
    if (folder_name_clean(&clean, name) && folder_name_plain(&plain, pn_buf_str(&clean)) &&
        !pn_str_eq(pn_buf_str(&plain), pn_str_slice(pn_buf_str(out), start, out->len))) {
        int dir = user_open_dir(user);
        error = dir < 0 ? errno : look_at(dir, pn_buf_cstr(out) + start, false, &use);
        if (error == ENOENT)
            error = look_at(dir, pn_buf_cstr(&plain), false, &use);
        else if (error == 0)
            error = EEXIST;
        if (error == 0) {
            out->len = start;
            (void)pn_buf_adds(out, pn_buf_str(&plain));
        }
        /* Who can't look must not make a second one, which would hide the first. */
        error = error == EMFILE || error == ENFILE || error == ENOMEM ? error : 0;
        if (dir >= 0)
            (void)close(dir);
    }
    pn_buf_fini(&plain);
    pn_buf_fini(&clean);
    return out->overflow ? ENAMETOOLONG : error;
}

enum pn_store_status pn_folder_status(struct pn_user *user, struct pn_str name,
                                      struct pn_folder_status *out)
{
    struct folder *folder;
    *out = (struct pn_folder_status){0};
    enum pn_store_status status = folder_get(user, name, false, &folder);
    if (status == PN_STORE_OK) {
        status = folder_counts(folder, 0, out);
        (void)pthread_mutex_lock(&folder->lock);
        /* Never less than the sizes that a session is told are together (RFC 8438). */
        out->size += folder->guessed_bytes + folder->grown_bytes;
        (void)pthread_mutex_unlock(&folder->lock);
        folder_put(&folder);
    }
    return status;
}

/* ---- subscriptions ---- */

static size_t subscription(const struct user_marks *marks, struct pn_str name)
{
    size_t i = 0;
    while (i < marks->subscribed_count && !pn_str_eq(pn_str_of(marks->subscribed[i]), name))
        i++;
    return i;
}

/* user->lock is held. 0 or errno; EDQUOT: too many. */
static int change_subscription(struct pn_user *user, struct pn_str name, bool subscribed)
{
    struct user_marks *m = &user->marks;
    int error = user_marks(user);
    if (error != 0)
        return error;
    size_t at = subscription(m, name), last;
    if ((at < m->subscribed_count) == subscribed)
        return 0;
    if (subscribed) {
        if (m->subscribed_count >= PN_FOLDERS_MAX)
            return EDQUOT;
        m->subscribed =
            pn_grow(m->subscribed, &m->subscribed_cap, m->subscribed_count, sizeof *m->subscribed);
        m->subscribed[m->subscribed_count++] = pn_strndup(name.p, name.len);
        error = user_marks_write(user);
        if (error != 0)
            free(m->subscribed[--m->subscribed_count]);
        return error;
    }
    last = m->subscribed_count - 1;
    char *gone = m->subscribed[at];
    m->subscribed[at] = m->subscribed[last];
    m->subscribed_count = last;
    error = user_marks_write(user);
    if (error == 0) {
        free(gone);
        return 0;
    }
    m->subscribed[last] = m->subscribed[at];
    m->subscribed[at] = gone;
    m->subscribed_count = last + 1;
    return error;
}

enum pn_store_status pn_folder_subscribe(struct pn_user *user, struct pn_str name, bool subscribed)
{
    struct pn_buf clean;
    pn_buf_init(&clean, PN_FOLDER_NAME_MAX + 1);
    if (!folder_name_clean(&clean, name)) {
        pn_buf_fini(&clean);
        return PN_STORE_BAD_NAME;
    }
    (void)pthread_mutex_lock(&user->lock);
    int error = change_subscription(user, clean.len == 0 ? inbox : pn_buf_str(&clean), subscribed);
    (void)pthread_mutex_unlock(&user->lock);
    pn_buf_fini(&clean);
    return error == 0        ? PN_STORE_OK
           : error == EDQUOT ? PN_STORE_LIMIT
                             : store_failed(NULL, "postern-user", error);
}
