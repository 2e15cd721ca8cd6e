/* Renames become durable together, and their messages visible in the order of their UIDs. */
#include "store_int.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void group_ask(struct folder *folder, int dir, int fd, struct sync_ask *ask)
{
    struct group *g = &folder->group[dir];
    *ask = (struct sync_ask){.next = g->asks, .fd = fd};
    g->asks = ask;
}

/* Syncs for all who asked until now. */
static void lead(struct folder *folder, int dir)
{
    struct group *g = &folder->group[dir];
    struct sync_ask *asks = g->asks;
    g->asks = NULL;
    g->running = true;
    (void)pthread_mutex_unlock(&folder->lock);
    /* That in which the renames were made: by now the folder's name may be another's. A folder that
     * moves is another one in memory, so all who ask have the same. */
    int error = fsync(asks->fd) != 0 ? errno : 0;
    (void)pthread_mutex_lock(&folder->lock);
    g->running = false;
    while (asks != NULL) {
        struct sync_ask *ask = asks;
        asks = ask->next;
        ask->error = error;
        ask->done = true;
    }
    (void)pthread_cond_broadcast(&g->wake);
}

int group_wait(struct folder *folder, int dir, struct sync_ask *ask)
{
    struct group *g = &folder->group[dir];
    while (!ask->done)
        if (g->running)
            (void)pthread_cond_wait(&g->wake, &folder->lock);
        else
            lead(folder, dir);
    return ask->error;
}

void coming_add(struct folder *folder, struct coming *coming)
{
    coming->next = NULL;
    if (folder->coming == NULL)
        folder->coming = coming;
    else
        folder->coming_last->next = coming;
    folder->coming_last = coming;
}

bool coming_has(const struct folder *folder, uint32_t uid)
{
    /* They are in order, and what is given between them is theirs. */
    return folder->coming != NULL && uid >= folder->coming->msg.uid &&
           uid <= folder->coming_last->msg.uid;
}

static void put_cached(struct folder *folder, const struct coming *c)
{
    struct index_cached row = {.uid = c->msg.uid};
    if (c->cached[0].len == 0)
        return;
    for (unsigned i = 0; i < 3; i++)
        row.part[i] = c->cached[i].p == NULL ? PN_STR("") : pn_buf_str(&c->cached[i]);
    index_put_cached(folder->user->index, folder->marks.uidvalidity, &row);
}

static void publish(struct folder *folder, struct coming *c)
{
    if (folder->loaded) {
        folder_append(folder, &c->msg, c->name);
        folder->row_old = true;
    }
    if (folder->modseq < c->msg.modseq)
        folder->modseq = c->msg.modseq;
    folder_put_msg(folder, &c->msg);
    put_cached(folder, c);
    folder_used(folder, c->msg.size, 1);
}

void coming_publish(struct folder *folder)
{
    bool some = false;
    uint64_t modseq = 0;
    while (folder->coming != NULL && (folder->coming->done || folder->coming->dropped)) {
        struct coming *c = folder->coming;
        folder->coming = c->next;
        if (!c->dropped) {
            if (!some)
                modseq = user_any_modseq(folder->user);
            some = true;
            c->msg.modseq = modseq;
            publish(folder, c);
        }
        free(c->name);
        for (unsigned i = 0; i < 3; i++)
            pn_buf_fini(&c->cached[i]);
        free(c);
    }
    if (some)
        folder_notify(folder);
}
