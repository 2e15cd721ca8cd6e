#include "queue.h"

#include "command_frozen.h"
#include "command_suppress.h"
#include "content.h"
#include "held.h"
#include "hop.h"
#include "last_reply.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "queue_int.h"
#include "role.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { THREADS = 8, STACK = 256 * 1024 };

/* ---- the spool's calls ---- */

/* Finished ops on their way from the spool's thread to the loop. */
struct batch {
    struct queue *queue;
    struct spool_op *ops;
};

static struct message *message_of(struct spool_op *op)
{
    return ((struct message_work *)((char *)op - offsetof(struct message_work, op)))->m;
}

static void on_batch(void *arg)
{
    struct batch *batch = arg;
    for (struct spool_op *op = batch->ops, *next; op != NULL; op = next) {
        next = op->next;
        message_written(message_of(op));
    }
    free(batch);
}

static void on_finished(void *ctx, struct spool_op *ops)
{
    struct queue *q = ctx;
    struct batch *batch = pn_alloc(sizeof *batch);
    *batch = (struct batch){q, ops};
    pn_loop_post(q->loop, on_batch, batch);
}

static void on_alarm(void *ctx, const char *sentence)
{
    (void)ctx;
    pn_error("spool: %s", sentence);
}

/* ---- recovery ---- */

static void found_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    struct queue *q = ctx;
    struct message *m = message_find(q, id);
    if (m != NULL)
        message_free(m); /* moved: the later record counts; its states are whole */
    m = message_new(q, id);
    m->ref = *ref;
    if (!message_set_meta(m, meta))
        message_damage(m, "its record can't be decoded");
    message_unload(m);
}

static void found_note(void *ctx, uint64_t id, struct pn_str meta)
{
    struct message *m = message_find(ctx, id);
    char text[PN_QUEUE_ID_TEXT_MAX];
    if (m != NULL && !message_add_note(m, meta))
        pn_error("a note about message %s can't be decoded", pn_queue_id_text(id, text));
}

static void found_end(void *ctx, uint64_t id)
{
    struct message *m = message_find(ctx, id);
    if (m != NULL)
        message_free(m);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct numbers {
    uint64_t *v;
    size_t count, cap;
};

static bool wanted(void *ctx, uint64_t number)
{
    const struct numbers *files = ctx;
    return files->count > 0 &&
           bsearch(&number, files->v, files->count, sizeof number, by_value) != NULL;
}

/* Removes content files that no message names. */
static void sweep(struct queue *q)
{
    struct numbers files = {0};
    uint64_t removed = 0;
    for (size_t i = 0; i < q->table_size; i++)
        for (struct message *m = q->table[i]; m != NULL; m = m->next_same)
            if (m->ref.content_file != 0) {
                files.v = pn_grow(files.v, &files.cap, files.count, sizeof *files.v);
                files.v[files.count++] = m->ref.content_file;
            }
    if (files.count > 0)
        qsort(files.v, files.count, sizeof *files.v, by_value);
    int error =
        content_sweep(spool_content_folder(q->spool), wanted, &files, &q->next_file, &removed);
    if (error != 0)
        pn_error("content files could not be swept: %s", strerror(error));
    if (removed > 0)
        pn_info("%llu orphaned content files removed", (unsigned long long)removed);
    free(files.v);
}

static void start_recovered(struct queue *q)
{
    size_t count = 0;
    struct message **all = pn_calloc(q->message_count + 1, sizeof(struct message *));
    for (size_t i = 0; i < q->table_size; i++)
        for (struct message *m = q->table[i]; m != NULL; m = m->next_same)
            all[count++] = m;
    for (size_t i = 0; i < count; i++) {
        if (message_damaged(all[i]) != NULL)
            continue; /* a newer binary may decode it */
        if (all[i]->open == 0)
            message_note(all[i]); /* only its end was not written */
        else
            run_later(all[i]);
    }
    if (count > 0)
        pn_info("%zu messages in the queue", count);
    free(all);
}

static bool open_spool(struct queue *q, struct pn_buf *err)
{
    const struct spool_settings settings = {.segment_bytes = q->settings.segment_bytes,
                                            .finished = on_finished,
                                            .alarm = on_alarm,
                                            .ctx = q};
    const struct spool_found found = {found_message, found_note, found_end, q, &q->spool};
    q->spool = spool_open(q->folder, &settings, &found, err);
    if (q->spool == NULL)
        return false;
    q->held = held_folder(q->folder);
    if (q->held < 0) {
        (void)pn_buf_addf(err, "folder held: %s", strerror(errno));
        return false;
    }
    sweep(q);
    q->age_timer = pn_timer_new(q->loop, bounce_expire_held, q);
    bounce_expire_held(q);
    start_recovered(q);
    return true;
}

/* ---- control ---- */

static void on_peer(void *ctx, struct pn_peer *peer)
{
    struct queue *q = ctx;
    if (pn_admin_link_peer(q->admin, peer) || pn_signer_link_peer(q->signer, peer))
        return;
    if (peer->role == PN_ROLE_EDGE)
        take_peer(q, peer);
    else if (peer->role == PN_ROLE_MAILBOX)
        local_peer(q, peer);
    else if (peer->role == PN_ROLE_RESOLVER)
        names_peer(q, peer);
}

static void use_dests(struct queue *q, const struct pn_policy *p, const struct pn_generation *gen)
{
    struct dests *old = q->dests;
    q->dests =
        dests_new(p, gen == NULL ? NULL : gen->passwords, gen == NULL ? 0 : gen->password_count);
    hop_rebind(q);
    dests_free(&old);
}

/* Takes the mapping of gen and works by it from now on. */
static bool use_policy(struct queue *q, struct pn_generation *gen, struct pn_buf *err)
{
    if (gen == NULL || gen->policy_fd < 0)
        return true; /* none was given: the defaults serve */
    struct pn_policy *p = pn_policy_open(gen->policy_fd, err);
    gen->policy_fd = -1;
    if (p == NULL)
        return false;
    pn_policy_unref(&q->policy);
    q->policy = p;
    settings_read(&q->settings, p);
    if (q->settings.connections_max > 2 * q->fds_max)
        q->settings.connections_max = (unsigned)(2 * q->fds_max);
    use_dests(q, p, gen);
    return true;
}

/* A new context, by whom gen says that servers may be believed. */
static bool use_authorities(struct queue *q, struct pn_generation *gen, struct pn_buf *err)
{
    struct pn_str pem = PN_STR("");
    int fd = gen == NULL ? -1 : gen->authorities_fd;
    if (fd >= 0 && pn_map_fd(fd, false, &pem) != 0) {
        (void)pn_buf_addf(err, "queue.tls-authorities: %s", strerror(errno));
        return false;
    }
    struct pn_tls_context *tls = pn_tls_client_new(pem, err);
    if (fd >= 0)
        pn_unmap(&pem);
    if (tls == NULL && fd >= 0)
        (void)pn_buf_addz(err, ": queue.tls-authorities");
    if (tls == NULL)
        return false;
    pn_tls_unref(&q->tls);
    q->tls = tls;
    return true;
}

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    if (!use_policy(ctx, gen, &err))
        pn_error("the new policy was not taken: %s", pn_buf_cstr(&err));
    else if (!use_authorities(ctx, gen, &err))
        pn_error("authorities stay those of before: %s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    pn_generation_free(&gen);
}

static void stop_if_idle(void *ctx)
{
    struct queue *q = ctx;
    if (q->active == 0 && q->moving == 0 && q->ops == 0 && pn_threads_busy(q->threads) == 0)
        pn_loop_stop(q->loop);
    else
        pn_timer_set(q->drain_timer, 10);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct queue *q = ctx;
    (void)limit_ms; /* what is under way when the supervisor loses patience is tried again */
    q->draining = true;
    hop_drain_all(q);
    stop_if_idle(q);
}

/* Each message at hand holds a descriptor, each connection one. */
static void raise_limit(struct queue *q)
{
    enum { WANTED = 64 * 1024, SMALL = 1024 };
    struct rlimit r = {SMALL, SMALL};
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        rlim_t most = r.rlim_max < WANTED ? r.rlim_max : WANTED;
        if (r.rlim_cur < most)
            r.rlim_cur = most;
        (void)setrlimit(RLIMIT_NOFILE, &r);
        (void)getrlimit(RLIMIT_NOFILE, &r);
    }
    q->fds_max = (size_t)r.rlim_cur / 4;
    q->active_max = q->fds_max < QUEUE_ACTIVE_MAX ? q->fds_max : QUEUE_ACTIVE_MAX;
}

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct queue *q = life->ctx;
    const struct pn_folder *folder = pn_role_env_folder(life->env, PN_FOLDER_SPOOL);
    if (folder == NULL) {
        (void)pn_buf_addz(err, "no spool folder was given");
        return false;
    }
    raise_limit(q);
    q->folder = folder->fd;
    q->ids.tag = PN_QUEUE_ID_TAG_MAX;
    return true;
}

static bool open_queue(struct pn_role_life *life, struct pn_buf *err)
{
    struct queue *q = life->ctx;
    settings_default(&q->settings);
    use_dests(q, NULL, NULL);
    if (!use_policy(q, life->env->gen, err))
        return false;
    if (!use_authorities(q, life->env->gen, err))
        return false;
    q->loop = life->loop;
    q->threads = pn_threads_new(q->loop, THREADS, STACK, "queue");
    q->drain_timer = pn_timer_new(q->loop, stop_if_idle, q);
    event_init(q);
    q->signer = pn_signer_link_new(q->loop);
    q->replies = replies_new();
    run_init(q);
    local_init(q);
    hop_init(q);
    verify_init(q);
    move_init(q);
    take_init(q);
    suppress_init(q);
    return frozen_init(q, err) && open_spool(q, err);
}

static void join(struct pn_role_life *life)
{
    struct queue *q = life->ctx;
    q->control = life->control;
    pn_admin_link_control(q->admin, q->control);
    pn_signer_link_control(q->signer, q->control);
}

/* What is left is in the spool; the process ends now, and its memory with it. */
static void end(struct pn_role_life *life)
{
    struct queue *q = life->ctx;
    if (q->spool == NULL)
        return; /* it never served */
    q->draining = q->closed = true;
    take_end_all(q);
    local_end_all(q);
    suppress_end(q->suppress);
    pn_threads_free(&q->threads);
    suppress_free(&q->suppress);
    spool_close(&q->spool);
    settings_fini(&q->settings);
    dests_free(&q->dests);
}

int pn_queue_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_QUEUE,
        .control = {on_generation, on_peer, on_drain, NULL},
        .begin = begin,
        .open = open_queue,
        .join = join,
        .end = end,
    };
    static struct queue q;
    return pn_role_run(env, &steps, &q);
}
