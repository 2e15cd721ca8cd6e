/*
 * Files for large content, which an edge fills while it comes in. A file belongs to the
 * edge that asked, until a TAKE names it; it is removed when the edge drops it or goes.
 * What a crash leaves is an orphan, and swept at start.
 */
#include "queue_int.h"

#include "content.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILES_MAX = 4096 /* of one edge */ };

struct edge_file {
    struct edge_file *next;
    uint64_t number;
    int ro; /* owned */
};

/* Making or removing a file may wait for the disk. */
struct file_job {
    struct pn_job job; /* first */
    struct queue *queue;
    struct edge_peer *peer; /* of a want; counted in its takes */
    uint64_t token, number;
    int rw, ro, error;
};

/* ---- want ---- */

static void answer(struct edge_peer *peer, const struct pn_content_file *file, const int *fds,
                   unsigned nfds)
{
    struct pn_buf b;
    if (peer->channel == NULL)
        return;
    pn_buf_init(&b, 1000);
    pn_content_file_put(&b, file);
    if (!pn_channel_send(peer->channel, PN_REC_CONTENT_FILE, pn_buf_str(&b), fds, nfds))
        pn_warn("a content file could not be given to an edge");
    pn_buf_fini(&b);
}

static void refuse(struct edge_peer *peer, uint64_t token, struct pn_str why)
{
    answer(peer, &(struct pn_content_file){token, 0, {452, why}}, NULL, 0);
}

static void want_run(struct pn_job *job)
{
    struct file_job *f = (struct file_job *)job;
    f->error = content_create(spool_content_folder(f->queue->spool), f->number, &f->rw, &f->ro);
}

static void remove_later(struct queue *q, uint64_t number);

static void want_done(struct pn_job *job)
{
    struct file_job *f = (struct file_job *)job;
    struct edge_peer *peer = f->peer;
    if (f->error != 0) {
        pn_warn("no content file could be made: %s", strerror(f->error));
        refuse(peer, f->token, PN_STR("4.3.1 No room for the message now"));
    } else if (peer->channel == NULL) {
        (void)close(f->rw);
        (void)close(f->ro);
        remove_later(f->queue, f->number);
    } else {
        struct edge_file *file = pn_alloc(sizeof *file);
        *file = (struct edge_file){peer->files, f->number, f->ro};
        peer->files = file;
        peer->file_count++;
        const int fds[2] = {f->rw, f->ro};
        answer(peer, &(struct pn_content_file){f->token, f->number, {250, PN_STR("2.0.0 Ok")}}, fds,
               2);
        (void)close(f->rw);
    }
    free(f);
    take_peer_release(peer);
}

bool take_file_want(struct edge_peer *peer, struct pn_str body)
{
    struct queue *q = peer->queue;
    struct pn_content_want want;
    struct pn_str text;
    if (!pn_content_want_get(body, &want))
        return false;
    if (take_objection(q, &text) != 0) {
        refuse(peer, want.token, text);
        return true;
    }
    if (peer->file_count >= FILES_MAX) {
        refuse(peer, want.token, PN_STR("4.3.2 Too many large messages at once"));
        return true;
    }
    struct file_job *f = pn_alloc(sizeof *f);
    *f = (struct file_job){.job = {.run = want_run, .done = want_done},
                           .queue = q,
                           .peer = peer,
                           .token = want.token,
                           .number = q->next_file++};
    peer->takes++;
    pn_threads_submit(q->threads, &f->job);
    return true;
}

/* ---- the end of a file ---- */

static void remove_run(struct pn_job *job)
{
    struct file_job *f = (struct file_job *)job;
    f->error = content_remove(spool_content_folder(f->queue->spool), f->number);
}

static void remove_done(struct pn_job *job)
{
    struct file_job *f = (struct file_job *)job;
    if (f->error != 0 && f->error != ENOENT)
        pn_warn("a content file could not be removed: %s", strerror(f->error));
    free(f);
}

static void remove_later(struct queue *q, uint64_t number)
{
    struct file_job *f = pn_alloc(sizeof *f);
    *f = (struct file_job){
        .job = {.run = remove_run, .done = remove_done}, .queue = q, .number = number};
    pn_threads_submit(q->threads, &f->job);
}

int take_file_claim(struct edge_peer *peer, uint64_t number)
{
    for (struct edge_file **at = &peer->files; *at != NULL; at = &(*at)->next) {
        struct edge_file *file = *at;
        if (file->number != number)
            continue;
        int ro = file->ro;
        *at = file->next;
        peer->file_count--;
        free(file);
        return ro;
    }
    return -1;
}

bool take_file_drop(struct edge_peer *peer, struct pn_str body)
{
    struct pn_content_file drop;
    if (!pn_content_file_get(body, &drop))
        return false;
    int ro = take_file_claim(peer, drop.file);
    if (ro < 0)
        return true; /* a TAKE that failed had it: gone already */
    (void)close(ro);
    remove_later(peer->queue, drop.file);
    return true;
}

void take_files_end(struct edge_peer *peer)
{
    while (peer->files != NULL) {
        uint64_t number = peer->files->number;
        (void)close(take_file_claim(peer, number));
        remove_later(peer->queue, number);
    }
}
