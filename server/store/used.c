/* What a user has, and may have. */
#include "store_int.h"

#include "folder_name.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void pn_store_quota_default(struct pn_store *store, uint64_t bytes, uint64_t messages)
{
    atomic_store(&store->quota_bytes, bytes);
    atomic_store(&store->quota_messages, messages);
}

void pn_store_rules(struct pn_store *store, const struct pn_store_rules *rules, void *ctx)
{
    store->rules = rules;
    store->rules_ctx = ctx;
}

/* ---- counting what is there, while more comes and goes ---- */

/* Folders of a count under way: held, so that none forgets what came after it was counted. */
struct count {
    struct pn_user *user;
    unsigned round;
    struct folder **v; /* owned, each held */
    size_t count, cap;
    int64_t bytes, messages;
};

void folder_used(struct folder *f, int64_t bytes, int64_t messages)
{
    struct pn_user *user = f->user;
    (void)pthread_mutex_lock(&user->lock);
    if (user->used_known) {
        user->used_bytes += bytes;
        user->used_messages += messages;
    } else if (f->count_round == user->count_round) { /* else it is still to be counted, if ever */
        f->since_bytes += bytes;
        f->since_messages += messages;
    }
    (void)pthread_mutex_unlock(&user->lock);
}

void user_count_again(const struct folder *f)
{
    struct pn_user *user = f->user;
    (void)pthread_mutex_lock(&user->lock);
    if (user->used_known)
        user->used_known = false;
    else if (f->count_round == user->count_round)
        user->folder_turns++;
    (void)pthread_mutex_unlock(&user->lock);
}

static enum pn_store_status add_folder(struct count *c, struct pn_str name, const char *place)
{
    struct folder *f;
    struct pn_folder_status counts;
    enum pn_store_status status = folder_get(c->user, name, false, &f);
    if (f == NULL) /* a directory that is none of our folders counts nothing */
        return status == PN_STORE_TEMPORARY ? status : PN_STORE_OK;
    if (strcmp(f->place, place) != 0) { /* another directory of its name */
        folder_put(&f);
        return PN_STORE_OK;
    }
    status = folder_counts(f, c->round, &counts);
    if (status == PN_STORE_OK) {
        c->bytes += (int64_t)counts.size;
        c->messages += counts.messages;
    }
    c->v = pn_grow(c->v, &c->cap, c->count, sizeof(struct folder *));
    c->v[c->count++] = f;
    return status == PN_STORE_NO_FOLDER ? PN_STORE_OK : status;
}

static enum pn_store_status add_all(struct count *c)
{
    int dir = user_open_dir(c->user);
    DIR *entries = dir < 0 ? NULL : fdopendir(dir);
    struct pn_buf name;
    enum pn_store_status status = add_folder(c, PN_STR(""), "");
    if (entries == NULL) {
        if (dir >= 0)
            (void)close(dir);
        return PN_STORE_TEMPORARY;
    }
    bool proper;
    pn_buf_init(&name, 4 * PN_FOLDER_NAME_MAX);
    for (struct dirent *e; status == PN_STORE_OK && (e = readdir(entries)) != NULL;) {
        pn_buf_clear(&name);
        if (e->d_name[0] == '.' && e->d_name[1] != '\0' && e->d_name[1] != '.' &&
            folder_name_of_disk(&name, pn_str_of(e->d_name), &proper))
            status = add_folder(c, pn_buf_str(&name), e->d_name);
    }
    pn_buf_fini(&name);
    (void)closedir(entries);
    return status;
}

/* One round of all. False: a folder went meanwhile, or has another name: what was counted may be
 * short of it, or have it twice. */
static bool count_all(struct pn_user *user, unsigned round, enum pn_store_status *status)
{
    struct count c = {.user = user, .round = round};
    (void)pthread_mutex_lock(&user->lock);
    unsigned turns = user->folder_turns;
    (void)pthread_mutex_unlock(&user->lock);
    *status = add_all(&c);
    (void)pthread_mutex_lock(&user->lock);
    bool same = turns == user->folder_turns;
    for (const struct folder *f = user->folders; f != NULL; f = f->next)
        if (f->count_round == round) {
            c.bytes += f->since_bytes;
            c.messages += f->since_messages;
        }
    if (*status == PN_STORE_OK) {
        user->used_bytes = c.bytes;
        user->used_messages = c.messages;
        user->used_known = same;
    }
    (void)pthread_mutex_unlock(&user->lock);
    for (size_t i = 0; i < c.count; i++)
        folder_put(&c.v[i]);
    free(c.v);
    return same;
}

/* Counts what is there, once; from then on what comes and goes is added. Who meets folders that
 * change all the time has the last count, and the next one counts again. */
static enum pn_store_status know_used(struct pn_user *user)
{
    enum { TRIES = 4 };
    enum pn_store_status status = PN_STORE_OK;
    bool done = false;
    (void)pthread_mutex_lock(&user->counting);
    for (unsigned i = 0; i < TRIES && !done && status == PN_STORE_OK; i++) {
        (void)pthread_mutex_lock(&user->lock);
        done = user->used_known;
        unsigned round = done ? 0 : ++user->count_round;
        (void)pthread_mutex_unlock(&user->lock);
        done = done || count_all(user, round, &status);
    }
    (void)pthread_mutex_unlock(&user->counting);
    return status;
}

static void limits_of_others(const struct pn_user *user, struct pn_quota *out)
{
    struct pn_store *store = user->store;
    out->bytes_limit = atomic_load(&store->quota_bytes);
    out->messages_limit = atomic_load(&store->quota_messages);
    if (store->rules != NULL)
        store->rules->quota(store->rules_ctx, pn_user_address(user), &out->bytes_limit,
                            &out->messages_limit);
}

static int limits(struct pn_user *user, struct pn_quota *out)
{
    (void)pthread_mutex_lock(&user->lock);
    int error = user_marks(user);
    out->own = error == 0 && user->marks.has_quota;
    if (out->own) {
        out->bytes_limit = user->marks.quota_bytes;
        out->messages_limit = user->marks.quota_messages;
    } else {
        limits_of_others(user, out);
    }
    (void)pthread_mutex_unlock(&user->lock);
    return error;
}

enum pn_store_status pn_user_quota(struct pn_user *user, struct pn_quota *out)
{
    *out = (struct pn_quota){0};
    int error = limits(user, out);
    enum pn_store_status status = error != 0 ? store_status(error) : know_used(user);
    (void)pthread_mutex_lock(&user->lock);
    out->bytes = user->used_bytes > 0 ? (uint64_t)user->used_bytes : 0;
    out->messages = user->used_messages > 0 ? (uint64_t)user->used_messages : 0;
    (void)pthread_mutex_unlock(&user->lock);
    return status;
}

enum pn_store_status user_room(struct pn_user *user, uint64_t bytes, uint64_t messages)
{
    struct pn_quota q = {0};
    int error = limits(user, &q);
    if (error != 0)
        return store_status(error);
    if (q.bytes_limit == 0 && q.messages_limit == 0)
        return PN_STORE_OK; /* nothing is counted for nobody */
    enum pn_store_status status = pn_user_quota(user, &q);
    if (status != PN_STORE_OK)
        return status;
    if (q.bytes_limit > 0 && (q.bytes > q.bytes_limit || bytes > q.bytes_limit - q.bytes))
        return PN_STORE_QUOTA;
    if (q.messages_limit > 0 &&
        (q.messages > q.messages_limit || messages > q.messages_limit - q.messages))
        return PN_STORE_QUOTA;
    return PN_STORE_OK;
}

enum pn_store_status pn_user_room(struct pn_user *user, uint64_t bytes)
{
    return user_room(user, bytes, 1);
}
