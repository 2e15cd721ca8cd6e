/*
 * Survivors: messages that have waited for long in the journal's oldest segment, which
 * keeps all younger ones from being freed. They are written again at the journal's end,
 * whole with their recipients' states; the later record counts, and the segment goes.
 *
 * Only while the journal is more than twice as large as what lives in it (spool_move_from):
 * so each byte is moved seldom, and a queue that is simply full moves nothing.
 */
#include "queue_int.h"

#include "clock.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 2000, AT_ONCE_MAX = 64 };

/* One message on its way, from the pool's reading to the spool's answer. */
struct move {
    struct pn_job job; /* first */
    struct message *m;
    struct pn_buf meta;
    int content_fd;
    int error;
};

static void read_back(struct pn_job *job)
{
    struct move *mv = (struct move *)job;
    struct message *m = mv->m;
    if (!spool_meta(m->queue->spool, &m->ref, &mv->meta))
        mv->error = errno;
    else if (m->ref.content_file == 0 &&
             (mv->content_fd = spool_content(m->queue->spool, &m->ref)) < 0)
        mv->error = errno;
}

/* Nothing came of it, or all: the message rests as before, unless it is damaged. */
static void end(struct message *m)
{
    m->queue->moving--;
    m->moving = false;
    message_unload(m);
    if (message_damaged(m) == NULL)
        run_later(m);
    message_note(m);
}

static void write_again(struct pn_job *job)
{
    struct move *mv = (struct move *)job;
    struct message *m = mv->m;
    char id[PN_QUEUE_ID_TEXT_MAX];
    m->loading = false;
    message_unload(m);
    bool ok = mv->error == 0 && message_set_meta(m, pn_buf_str(&mv->meta));
    if (ok && mv->content_fd >= 0) {
        message_hold(m, mv->content_fd);
        mv->content_fd = -1;
    }
    if (!ok || m->queue->closed || !message_write_again(m)) {
        int error = mv->error != 0 ? mv->error : EBADMSG;
        if (!ok && !run_unreadable(m, error))
            pn_warn("message %s can't be moved to the journal's end: %s",
                    pn_queue_id_text(m->id, id), strerror(error));
        end(m);
    }
    if (mv->content_fd >= 0)
        (void)close(mv->content_fd);
    pn_buf_fini(&mv->meta);
    free(mv);
}

void move_written(struct message *m)
{
    if (m->work->op.error == 0) {
        struct spool_ref old = m->ref;
        m->ref = m->work->op.ref;
        spool_release(m->queue->spool, &old);
    }
    end(m);
}

static void begin(struct message *m)
{
    struct move *mv = pn_calloc(1, sizeof *mv);
    *mv = (struct move){.job = {.run = read_back, .done = write_again}, .m = m, .content_fd = -1};
    pn_buf_init(&mv->meta, m->ref.meta_len);
    run_remove(m);
    m->loading = m->moving = true;
    m->queue->moving++;
    pn_threads_submit(m->queue->threads, &mv->job);
}

static void look(void *arg)
{
    struct queue *q = arg;
    const struct segment *oldest = q->draining ? NULL : spool_move_from(q->spool);
    for (size_t i = 0; i < q->table_size && oldest != NULL && q->moving < AT_ONCE_MAX; i++)
        for (struct message *m = q->table[i]; m != NULL; m = m->next_same)
            /* In the heap: nothing is under way. */
            if (m->ref.segment == oldest && m->heap_at != 0 && m->writing == OP_NONE &&
                q->moving < AT_ONCE_MAX)
                begin(m);
    pn_timer_set(q->move_timer, LOOK_MS);
}

void move_init(struct queue *q)
{
    q->move_timer = pn_timer_new(q->loop, look, q);
    pn_timer_set(q->move_timer, LOOK_MS);
}
