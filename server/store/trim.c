/* What nobody has open is let go: folders beyond a limit of memory, users beyond one of number. */
#include "store_int.h"

#include "mem.h"

#include <stdlib.h>

/* A folder loaded that nobody has open. */
struct idle {
    struct pn_user *user;
    struct folder *folder;
    uint64_t turn;
    size_t bytes;
};

struct idle_list {
    struct idle *v; /* owned */
    size_t count, cap, bytes;
};

static int by_turn(const void *a, const void *b)
{
    const struct idle *x = a, *y = b;
    return x->turn < y->turn ? -1 : x->turn > y->turn;
}

/* All users, each held: their own locks may be held by who waits for the disk. */
static struct pn_user **hold_all(struct pn_store *store, size_t *count)
{
    struct pn_user **v;
    *count = 0;
    (void)pthread_mutex_lock(&store->lock);
    v = pn_calloc(store->user_count + 1, sizeof(struct pn_user *));
    for (size_t i = 0; i < store->user_slots; i++)
        for (struct pn_user *u = store->users[i]; u != NULL; u = u->next) {
            u->refs++;
            v[(*count)++] = u;
        }
    (void)pthread_mutex_unlock(&store->lock);
    return v;
}

static void let_go(struct pn_store *store, struct pn_user **v, size_t count)
{
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < count; i++)
        v[i]->refs--;
    (void)pthread_mutex_unlock(&store->lock);
    free(v);
}

static void add_idle(struct idle_list *list, struct pn_user *user)
{
    (void)pthread_mutex_lock(&user->lock);
    for (struct folder *f = user->folders; f != NULL; f = f->next)
        if (f->refs == 0 && f->loaded) {
            list->v = pn_grow(list->v, &list->cap, list->count, sizeof *list->v);
            list->v[list->count] = (struct idle){user, f, f->turn, folder_bytes(f)};
            list->bytes += list->v[list->count++].bytes;
        }
    (void)pthread_mutex_unlock(&user->lock);
}

/* False: it was deleted meanwhile, or opened. */
static bool free_idle(const struct idle *idle)
{
    bool still = false;
    (void)pthread_mutex_lock(&idle->user->lock);
    for (struct folder **at = &idle->user->folders; *at != NULL && !still;)
        if (*at == idle->folder && idle->folder->refs == 0) {
            *at = idle->folder->next;
            idle->user->folder_turns++;
            folder_free(idle->folder);
            still = true;
        } else {
            at = &(*at)->next;
        }
    (void)pthread_mutex_unlock(&idle->user->lock);
    return still;
}

static void trim_folders(struct pn_store *store)
{
    struct idle_list list = {NULL, 0, 0, 0};
    size_t count;
    struct pn_user **users = hold_all(store, &count);
    for (size_t i = 0; i < count; i++)
        add_idle(&list, users[i]);
    if (list.bytes > STORE_MEMORY_MAX && list.count > 1)
        qsort(list.v, list.count, sizeof *list.v, by_turn);
    for (size_t i = 0; i < list.count && list.bytes > STORE_MEMORY_MAX; i++)
        if (free_idle(&list.v[i]))
            list.bytes -= list.v[i].bytes;
    free(list.v);
    let_go(store, users, count);
}

/* Of a user whom nobody has open, so that nobody changes it. */
static bool has_loaded(const struct pn_user *user)
{
    bool loaded = false;
    for (const struct folder *f = user->folders; f != NULL; f = f->next)
        loaded = loaded || f->loaded || f->refs > 0;
    return loaded;
}

/* One who is to go, from the slot at or behind *from, on its way out; NULL: none. */
static struct pn_user *take_one(struct pn_store *store, size_t *from)
{
    struct pn_user *user = NULL;
    (void)pthread_mutex_lock(&store->lock);
    for (; user == NULL && *from < store->user_slots && store->user_count > store->users_idle;
         *from += user == NULL)
        for (struct pn_user **at = &store->users[*from]; *at != NULL; at = &(*at)->next)
            if ((*at)->refs == 0 && !has_loaded(*at)) {
                user = *at;
                *at = user->next;
                store->user_count--;
                store->leaving = user;
                break;
            }
    (void)pthread_mutex_unlock(&store->lock);
    return user;
}

static void trim_users(struct pn_store *store)
{
    enum { AT_A_TIME = 200 }; /* each writes its small file, and indices wait to be written, too */
    size_t from = 0;
    for (unsigned i = 0; i < AT_A_TIME; i++) {
        struct pn_user *user = take_one(store, &from);
        if (user == NULL)
            break;
        user_rest(user);
        (void)pthread_mutex_lock(&store->lock);
        store->leaving = NULL;
        (void)pthread_cond_broadcast(&store->left);
        (void)pthread_mutex_unlock(&store->lock);
        user_free(user);
    }
}

void store_trim(struct pn_store *store)
{
    trim_folders(store);
    trim_users(store);
}
