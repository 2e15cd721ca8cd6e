/*
 * What other programs do to folders that sessions have open. A session that waits in IDLE asks for
 * nothing, so the keeper looks in its place, every few seconds: two calls of the kernel a folder,
 * and the same on a local disk and on one of the network, where nothing would tell of a change.
 */
#include "store_int.h"

#include "mem.h"

#include <stdlib.h>

bool watch_is_wanted(const struct pn_user *user)
{
    return atomic_load(&user->watched) > 0;
}

void watch_begin(struct pn_user *user)
{
    (void)atomic_fetch_add(&user->watched, 1);
    if (atomic_fetch_add(&user->store->watched, 1) == 0)
        keeper_wake(user->store);
}

void watch_end(struct pn_user *user)
{
    (void)atomic_fetch_sub(&user->watched, 1);
    (void)atomic_fetch_sub(&user->store->watched, 1);
}

/* Those in memory, each held. */
static struct folder **hold_folders(struct pn_user *user, size_t *count)
{
    struct folder **v = NULL;
    size_t cap = 0;
    *count = 0;
    (void)pthread_mutex_lock(&user->lock);
    for (struct folder *f = user->folders; f != NULL; f = f->next) {
        if (f->refs == 0) /* no view has it */
            continue;
        v = pn_grow(v, &cap, *count, sizeof(struct folder *));
        v[(*count)++] = f;
        f->refs++;
    }
    (void)pthread_mutex_unlock(&user->lock);
    return v;
}

/* What it finds is told to the views. Nobody asked: it counts as no look of theirs. */
static void look(struct folder *f)
{
    (void)pthread_mutex_lock(&f->lock);
    uint64_t looked_ns = f->looked_ns;
    if (f->views != NULL)
        (void)folder_look(f, false);
    f->looked_ns = looked_ns;
    (void)pthread_mutex_unlock(&f->lock);
}

void watch_look(struct pn_user *user)
{
    size_t count;
    struct folder **folders = hold_folders(user, &count);
    for (size_t i = 0; i < count; i++) {
        look(folders[i]);
        folder_put(&folders[i]);
    }
    free(folders);
}
