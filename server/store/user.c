/* The root and its users: who is in memory, and their small files. */
#include "store_int.h"

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "team.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS_FIRST = 64 };

struct pn_store *pn_store_new(int root, struct pn_str host)
{
    struct pn_store *store = pn_calloc(1, sizeof *store);
    struct pn_buf name;
    pn_buf_init(&name, 100);
    /* As the Maildir description asks: no slash, no colon in a name. */
    for (size_t i = 0; i < host.len; i++)
        if (host.p[i] == '/' || host.p[i] == ':')
            (void)pn_buf_addf(&name, "\\%03o", (unsigned)host.p[i]);
        else if ((unsigned char)host.p[i] > ' ' && host.p[i] != 127 && host.p[i] != ',')
            (void)pn_buf_addc(&name, host.p[i]);
    store->root = root;
    store->host = pn_strndup(name.len > 0 ? name.p : "localhost", name.len > 0 ? name.len : 9);
    store->user_slots = SLOTS_FIRST;
    store->users_idle = STORE_USERS_IDLE;
    store->users = pn_calloc(store->user_slots, sizeof(struct pn_user *));
    store_quotas_begin(store);
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->left, NULL);
    pn_buf_fini(&name);
    store->team = team_new();
    keeper_start(store);
    return store;
}

/* ---- one user ---- */

static struct pn_user *user_new(struct pn_store *store, struct pn_str name, struct pn_str place)
{
    struct pn_user *user = pn_calloc(1, sizeof *user);
    user->store = store;
    user->name = pn_strndup(name.p, name.len);
    user->place = pn_strndup(place.p, place.len);
    (void)pthread_mutex_init(&user->lock, NULL);
    (void)pthread_mutex_init(&user->folders_lock, NULL);
    (void)pthread_mutex_init(&user->counting, NULL);
    user->index = index_new(store->root, user->place);
    return user;
}

/* When the machine was booted; a second or two may be between two answers. */
static uint64_t booted_at(void)
{
    struct timespec now, up;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0 ||
        now.tv_sec <= up.tv_sec)
        return 1;
    return (uint64_t)(now.tv_sec - up.tv_sec);
}

static bool is_this_boot(uint64_t booted)
{
    enum { TOLERANCE_S = 5 };
    uint64_t now = booted_at();
    return booted + TOLERANCE_S >= now && booted <= now + TOLERANCE_S;
}

/* A right end. Nobody waits for it to be durable: without it more is told than needed. */
static void write_exact(struct pn_user *user)
{
    bool stale = user->marks_read && user->marks.uidvalidity != 0 && user->marks.exact == 0;
    int dir = stale ? user_open_dir(user) : -1;
    if (dir < 0)
        return;
    user->marks.exact = booted_at();
    user->marks.modseq = user->modseq + 1;
    (void)user_marks_write_to(dir, &user->marks, false);
    (void)close(dir);
}

void user_rest(struct pn_user *user)
{
    while (user->folders != NULL) {
        struct folder *f = user->folders;
        user->folders = f->next;
        folder_free(f);
    }
    if (index_free(&user->index))
        write_exact(user);
}

void user_free(struct pn_user *user)
{
    user_marks_fini(&user->marks);
    (void)pthread_mutex_destroy(&user->lock);
    (void)pthread_mutex_destroy(&user->folders_lock);
    (void)pthread_mutex_destroy(&user->counting);
    free(user->name);
    free(user->place);
    free(user);
}

void pn_store_free(struct pn_store **store)
{
    struct pn_store *s = *store;
    if (s == NULL)
        return;
    keeper_stop(s);
    team_free(&s->team);
    for (size_t i = 0; i < s->user_slots; i++)
        while (s->users[i] != NULL) {
            struct pn_user *user = s->users[i];
            s->users[i] = user->next;
            user_rest(user);
            user_free(user);
        }
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->left);
    free(s->users);
    free(s->host);
    free(s);
    *store = NULL;
}

bool user_path(const struct pn_user *user, const char *place, struct pn_buf *out)
{
    return pn_buf_addz(out, user->place) &&
           (place[0] == '\0' || (pn_buf_addc(out, '/') && pn_buf_addz(out, place)));
}

int user_open_dir(const struct pn_user *user)
{
    return maildir_open_dir(user->store->root, user->place);
}

void user_forget_index(struct pn_user *user)
{
    index_forget(user->index);
}

struct pn_str pn_user_address(const struct pn_user *user)
{
    return pn_str_of(user->name);
}

/* ---- all users; store->lock is held ---- */

static struct pn_user **slot_of(struct pn_store *store, struct pn_str place)
{
    return &store->users[pn_str_hash(place, 0, false) % store->user_slots];
}

static void more_slots(struct pn_store *store)
{
    struct pn_user **old = store->users;
    size_t slots = store->user_slots;
    store->user_slots *= 4;
    store->users = pn_calloc(store->user_slots, sizeof(struct pn_user *));
    for (size_t i = 0; i < slots; i++)
        while (old[i] != NULL) {
            struct pn_user *user = old[i], **to = slot_of(store, pn_str_of(user->place));
            old[i] = user->next;
            user->next = *to;
            *to = user;
        }
    free(old);
}

static struct pn_user *find_or_add(struct pn_store *store, struct pn_str name, struct pn_str place)
{
    /* While its small file is being written nobody else may read that. */
    while (store->leaving != NULL && pn_str_eq(pn_str_of(store->leaving->place), place))
        (void)pthread_cond_wait(&store->left, &store->lock);
    struct pn_user **slot = slot_of(store, place);
    for (struct pn_user *user = *slot; user != NULL; user = user->next)
        if (pn_str_eq(pn_str_of(user->place), place))
            return user;
    struct pn_user *user = user_new(store, name, place);
    user->next = *slot;
    *slot = user;
    if (++store->user_count > 2 * store->user_slots)
        more_slots(store);
    return user;
}

static int ensure_maildir(struct pn_user *user)
{
    (void)pthread_mutex_lock(&user->lock);
    int fd = user->made ? -1 : user_open_dir(user);
    int tmp = fd < 0 ? -1 : maildir_open_dir(fd, "tmp");
    int error = tmp >= 0 || user->made ? 0 : errno;
    if (tmp >= 0)
        (void)close(tmp);
    if (fd >= 0)
        (void)close(fd);
    if (error == ENOENT)
        error = maildir_make(user->store->root, user->place);
    user->made = error == 0;
    (void)pthread_mutex_unlock(&user->lock);
    return error;
}

struct pn_user *pn_user_open(struct pn_store *store, struct pn_str name,
                             enum pn_store_status *status, struct pn_buf *why)
{
    struct pn_buf place;
    struct pn_user *user = NULL;
    pn_buf_init(&place, PLACE_MAX);
    if (!maildir_user_path(&place, name)) {
        (void)pn_buf_addz(why, "no mailbox can have this name");
        *status = PN_STORE_BAD_NAME;
    } else {
        (void)pthread_mutex_lock(&store->lock);
        user = find_or_add(store, name, pn_buf_str(&place));
        user->refs++;
        (void)pthread_mutex_unlock(&store->lock);
        int error = ensure_maildir(user);
        *status = error == 0 ? PN_STORE_OK : store_failed(why, "mailbox", error);
        if (error != 0)
            pn_user_close(&user);
    }
    pn_buf_fini(&place);
    return user;
}

void pn_user_close(struct pn_user **user)
{
    struct pn_user *u = *user;
    *user = NULL;
    if (u == NULL)
        return;
    struct pn_store *store = u->store;
    (void)pthread_mutex_lock(&store->lock);
    u->refs--;
    u->turn = atomic_fetch_add(&store->turn, 1);
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- postern-user ---- */

/* The highest UIDVALIDITY that a folder has; 0: there is none. 0 or errno. */
static int highest_uidvalidity(int dir, uint32_t *out)
{
    uint32_t highest = 0;
    int error = 0, copy = maildir_open_dir(dir, ".");
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (entries == NULL)
        error = errno;
    if (entries == NULL && copy >= 0)
        (void)close(copy);
    for (struct dirent *e; error == 0 && (errno = 0, e = readdir(entries)) != NULL;) {
        struct folder_marks marks;
        if (e->d_name[0] != '.' || strcmp(e->d_name, "..") == 0)
            continue;
        int at = maildir_open_dir(dir, e->d_name);
        int one = at < 0 ? errno : folder_marks_read(at, &marks);
        if (one == EMFILE || one == ENFILE || one == ENOMEM)
            error = one;
        if (one == 0) {
            if (marks.uidvalidity > highest)
                highest = marks.uidvalidity;
            folder_marks_fini(&marks);
        }
        if (at >= 0)
            (void)close(at);
    }
    error = error == 0 ? errno : error;
    if (entries != NULL)
        (void)closedir(entries);
    *out = highest;
    return error;
}

/* Above all that can have been given: one a microsecond, since 1970. */
static uint64_t modseq_of_now(void)
{
    return (uint64_t)pn_clock_wall_ms() * 1000;
}

/* A file that is lost, or was never there: numbers go on above all that can have been given. */
static int begin_marks(struct pn_user *user, int dir)
{
    uint32_t highest;
    int error = highest_uidvalidity(dir, &highest);
    if (error != 0)
        return error;
    user->marks = (struct user_marks){.uidvalidity = highest, .modseq = 1, .epoch = 1};
    if (user->marks.uidvalidity > 0) {
        user->marks.modseq = modseq_of_now();
        user->marks.epoch = (uint32_t)(pn_clock_wall_ms() / 1000);
    }
    return 0;
}

int user_marks(struct pn_user *user)
{
    if (user->marks_read)
        return 0;
    int dir = user_open_dir(user);
    if (dir < 0)
        return errno;
    int error = user_marks_read(dir, &user->marks);
    if (error == EBADMSG)
        pn_warn("postern-user of %s is damaged: made anew", user->place);
    if (error == EBADMSG || error == ENOENT)
        error = begin_marks(user, dir);
    bool has_index = index_is_in(dir);
    (void)close(dir);
    if (error != 0)
        return error;
    user->modseq = user->marks.modseq - 1;
    user->marks_read = true;
    if (user->marks.has_quota) /* of a root without the note; who reads him next tries again */
        (void)store_quotas_note(user->store);
    /* One who is new has no index yet, and the file comes with the first folder. */
    bool is_new = user->marks.uidvalidity == 0;
    /* Left out of a backup that is restored now: what clients were told since is not known, and
     * nothing may come under a number that they had. The next one is written before it is told. */
    if (!is_new && !has_index && user->modseq < modseq_of_now())
        user->modseq = modseq_of_now();
    if (!is_new && (user->marks.exact == 0 || !is_this_boot(user->marks.exact))) {
        user->marks.epoch++;
        user->marks.exact = 0;
        error = user_marks_write(user); /* durable before a row of the index says so */
        user->marks_read = error == 0;
    }
    if (error != 0)
        user_marks_fini(&user->marks);
    return error;
}

int user_marks_write(struct pn_user *user)
{
    int dir = user_open_dir(user);
    if (dir < 0)
        return errno;
    if (user->marks.uidvalidity == 0) /* nothing was given yet: not 0 in a file */
        user->marks.uidvalidity = 1;
    if (user->marks.modseq < user->modseq + 1 + MODSEQ_BLOCK / 2) /* while it is written anyway */
        user->marks.modseq = user->modseq + 1 + MODSEQ_BLOCK;
    int error = user_marks_write_to(dir, &user->marks, true);
    (void)close(dir);
    return error;
}

uint32_t user_give_uidvalidity(struct pn_user *user)
{
    uint32_t validity = 0;
    int error = user_marks(user);
    if (error == 0) {
        int64_t now = pn_clock_wall_ms() / 1000;
        uint32_t was = user->marks.uidvalidity;
        validity = now > was && now < UINT32_MAX ? (uint32_t)now : was + 1;
        user->marks.uidvalidity = validity;
        error = user_marks_write(user);
        if (error != 0) {
            user->marks.uidvalidity = was;
            validity = 0;
        }
    }
    errno = error;
    return validity;
}

uint32_t user_new_uidvalidity(struct pn_user *user)
{
    (void)pthread_mutex_lock(&user->lock);
    uint32_t validity = user_give_uidvalidity(user);
    int error = errno;
    (void)pthread_mutex_unlock(&user->lock);
    errno = error;
    return validity;
}

uint64_t user_new_modseq(struct pn_user *user)
{
    uint64_t modseq = 0;
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
    if (error == 0 && (user->marks.exact != 0 || user->modseq + 1 >= user->marks.modseq)) {
        uint64_t was = user->marks.modseq, was_exact = user->marks.exact;
        user->marks.exact = 0;
        user->marks.modseq = user->modseq + 1 + MODSEQ_BLOCK;
        error = user_marks_write(user);
        if (error != 0) {
            user->marks.modseq = was;
            user->marks.exact = was_exact;
        }
    }
    if (error == 0)
        modseq = ++user->modseq;
    (void)pthread_mutex_unlock(&user->lock);
    errno = error;
    return modseq;
}

uint64_t user_any_modseq(struct pn_user *user)
{
    uint64_t modseq = user_new_modseq(user);
    if (modseq == 0) {
        (void)pthread_mutex_lock(&user->lock);
        modseq = user->modseq > 0 ? user->modseq : 1;
        (void)pthread_mutex_unlock(&user->lock);
    }
    return modseq;
}
