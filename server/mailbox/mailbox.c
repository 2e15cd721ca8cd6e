#include "mailbox.h"

#include "charset.h"
#include "handover.h"
#include "log.h"
#include "mailbox_int.h"
#include "mem.h"
#include "memfile.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS = 16,        /* syncs that wait for the disk at a time */
    UNDER_WAY_MAX = 512, /* more are answered "try again" */
    ANSWER_QUEUE = 1024 * 1024,
    EDIT_BYTES = 1024 * 1024,
    ANEW_MS = 10 * 1000,
    STACK = 512 * 1024
};

struct job {
    struct pn_job job; /* first: a pn_job is its job */
    struct peer *peer;
    struct pn_buf body; /* the record's, copied */
    int content_fd;
    uint64_t token;
    uint16_t code;
    struct pn_buf text;
    struct pn_str user, folder; /* of one that was delivered; in body, or pool */
    struct pn_pool *pool;
};

bool peer_send(struct peer *peer, uint16_t type, struct pn_str body)
{
    return peer->channel != NULL && pn_channel_send(peer->channel, type, body, NULL, 0);
}

static void answer(struct peer *peer, uint64_t token, uint16_t code, struct pn_str text)
{
    struct pn_buf b;
    const struct pn_delivered d = {token, {code, text}};
    if (peer->channel == NULL)
        return; /* who asked is gone, and asks again */
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    pn_delivered_put(&b, &d);
    if (!pn_channel_send(peer->channel, PN_REC_DELIVERED, pn_buf_str(&b), NULL, 0))
        pn_warn("an answer could not be sent");
    pn_buf_fini(&b);
}

/* Role records name an edit as the message layer does, in the same order. */
static bool edits_of(const struct pn_edit_group *group, struct pn_edits *edits)
{
    _Static_assert((int)PN_HEDIT_TOP == PN_EDIT_ADD_TOP &&
                       (int)PN_HEDIT_AFTER_TRACE == PN_EDIT_ADD_AFTER_TRACE &&
                       (int)PN_HEDIT_END == PN_EDIT_ADD_END &&
                       (int)PN_HEDIT_REMOVE == PN_EDIT_REMOVE &&
                       (int)PN_HEDIT_REMOVE_RESULTS == PN_EDIT_REMOVE_RESULTS &&
                       (int)PN_HEDIT_AT == PN_EDIT_ADD_AT,
                   "one order of edits");
    for (uint32_t i = 0; i < group->count; i++) {
        const struct pn_header_edit *e = &group->edits[i];
        const struct pn_edit edit = {(enum pn_edit_op)e->op, e->name, e->value, e->nth};
        if (pn_edits_put(edits, &edit) != PN_EDIT_OK)
            return false;
    }
    return true;
}

/* rejects: a mailbox that is full says so for good. */
static void set_result(struct job *job, enum pn_store_status status, bool rejects,
                       const struct pn_buf *why)
{
    static const struct {
        uint16_t code;
        const char *text;
    } rows[] = {[PN_STORE_OK] = {250, "2.0.0 Delivered"},
                [PN_STORE_TEMPORARY] = {451, "4.3.0 Mailbox not writable now"},
                [PN_STORE_FULL] = {452, "4.3.1 No room for the message"},
                [PN_STORE_BAD_NAME] = {550, "5.1.1 No such mailbox"},
                [PN_STORE_NO_FOLDER] = {451, "4.3.0 Mailbox not writable now"},
                [PN_STORE_EXISTS] = {451, "4.3.0 Mailbox not writable now"},
                [PN_STORE_QUOTA] = {452, "4.2.2 Mailbox is full"},
                [PN_STORE_LIMIT] = {451, "4.3.0 Mailbox not writable now"},
                [PN_STORE_REFUSED] = {451, "4.3.0 Mailbox not writable now"}};
    bool full = status == PN_STORE_QUOTA && rejects;
    job->code = full ? 552 : rows[status].code;
    (void)pn_buf_addz(&job->text, full ? "5.2.2 Mailbox is full" : rows[status].text);
    if (status == PN_STORE_TEMPORARY || status == PN_STORE_FULL)
        pn_warn("delivery failed: %.*s", PN_FMT(pn_buf_str(why)));
}

static void deliver(struct job *job, const struct pn_deliver *d, struct pn_str content)
{
    struct mailbox *mb = job->peer->mailbox;
    struct pn_edits *edits = pn_edits_new(EDIT_BYTES);
    struct pn_buf why;
    pn_buf_init(&why, 500);
    if (!sole_has(mb, d->user)) {
        job->code = 451;
        (void)pn_buf_addz(&job->text, "4.3.2 Another worker has the mailbox, try again");
    } else if (edits_of(&d->edits, edits)) {
        const struct pn_delivery delivery = {.user = d->user,
                                             .folder = placing(mb, d, &job->pool),
                                             .reverse_path = d->reverse_path,
                                             .content = content,
                                             .edits = edits};
        enum pn_store_status status = pn_store_deliver(mb->store, &delivery, &why);
        set_result(job, status, status == PN_STORE_QUOTA && mailbox_full_rejects(mb, d->user),
                   &why);
        if (status == PN_STORE_OK) {
            job->user = d->user;
            job->folder = delivery.folder;
        }
    } else {
        (void)pn_buf_addz(&why, "an edit of the header can't be made");
        set_result(job, PN_STORE_TEMPORARY, false, &why);
    }
    pn_buf_fini(&why);
    pn_edits_free(&edits);
}

/* On a thread of the pool. */
static void job_run(struct pn_job *base)
{
    struct job *job = (struct job *)base;
    struct pn_pool *pool = pn_pool_new(PN_ENVELOPE_MAX);
    struct pn_deliver d;
    struct pn_str content;
    job->code = 451;
    if (!pn_deliver_get(pn_buf_str(&job->body), pool, &d)) {
        (void)pn_buf_addz(&job->text, "4.3.0 Malformed delivery");
    } else if (pn_map_fd(job->content_fd, true, &content) != 0) {
        (void)pn_buf_addz(&job->text, "4.3.0 Content can't be read");
    } else {
        if (content.len == d.size)
            deliver(job, &d, content);
        else
            (void)pn_buf_addz(&job->text, "4.3.0 Content is not whole");
        pn_unmap(&content);
    }
    pn_pool_free(&pool);
}

static void peer_release(struct peer *peer)
{
    if (peer->channel != NULL || peer->jobs > 0)
        return;
    for (struct peer **at = &peer->mailbox->peers; *at != NULL; at = &(*at)->next)
        if (*at == peer) {
            *at = peer->next;
            break;
        }
    free(peer);
}

void mailbox_peer_done(struct peer *peer)
{
    peer->jobs--;
    peer_release(peer);
}

static void job_free(struct job *job)
{
    struct peer *peer = job->peer;
    (void)close(job->content_fd);
    pn_buf_fini(&job->body);
    pn_buf_fini(&job->text);
    pn_pool_free(&job->pool);
    free(job);
    mailbox_peer_done(peer);
}

void mailbox_stop_if_idle(struct mailbox *mb)
{
    if (mb->draining && pn_threads_busy(mb->threads) == 0 && mb->visits == NULL &&
        !indexer_runs(mb->indexer))
        pn_loop_stop(mb->loop);
}

static void job_done(struct pn_job *base)
{
    struct job *job = (struct job *)base;
    struct mailbox *mb = job->peer->mailbox;
    answer(job->peer, job->token, job->code, pn_buf_str(&job->text));
    mailbox_tell_quotas(mb);
    if (job->user.len != 0 && !mb->draining)
        indexer_note(mb->indexer, job->user, job->folder);
    job_free(job);
    mailbox_stop_if_idle(mb);
}

static bool start_job(struct peer *peer, struct pn_str body, int content_fd)
{
    struct mailbox *mb = peer->mailbox;
    struct pn_rd r = pn_rd_of(body);
    uint64_t token = pn_rd_u64(&r);
    if (!pn_rd_ok(&r) || content_fd < 0)
        return false;
    bool alone = sole_alone(mb);
    if (!alone || pn_threads_busy(mb->threads) >= UNDER_WAY_MAX) {
        answer(peer, token, 451,
               alone ? PN_STR("4.3.2 Too many deliveries at once")
                     : PN_STR("4.3.2 Mailboxes change hands, try again in a moment"));
        (void)close(content_fd);
        return true;
    }
    struct job *job = pn_calloc(1, sizeof *job);
    *job = (struct job){.job = {.run = job_run, .done = job_done},
                        .peer = peer,
                        .content_fd = content_fd,
                        .token = token};
    pn_buf_init(&job->body, PN_ENVELOPE_MAX);
    pn_buf_init(&job->text, 500);
    (void)pn_buf_adds(&job->body, body);
    peer->jobs++;
    pn_threads_submit(mb->threads, &job->job);
    return true;
}

static bool on_deliver(struct peer *peer, struct pn_record *record)
{
    struct pn_handover h;
    if (!pn_handover_open(record, &h))
        return false;
    bool ok = h.body.len <= PN_ENVELOPE_MAX && start_job(peer, h.body, h.content_fd);
    if (!ok && h.content_fd >= 0)
        (void)close(h.content_fd);
    pn_handover_close(&h);
    return ok;
}

/* Only auth lets in: an edge that was taken over can't. */
static bool on_record(void *ctx, struct pn_record *record)
{
    struct peer *peer = ctx;
    bool auth = peer->role == PN_ROLE_AUTH, edge = peer->role == PN_ROLE_EDGE;
    switch (record->type) {
    case PN_REC_DELIVER:
        return !auth && on_deliver(peer, record);
    case PN_REC_QUOTA_ASK:
        return edge && mailbox_quota_ask(peer, record->body);
    case PN_REC_PASS:
        return auth && sessions_pass(peer, record->body);
    case PN_REC_SESSION:
        return edge && sessions_open(peer, record, false);
    case PN_REC_SESSION_YOURS:
        return edge && sessions_yours(peer, record->body);
    case PN_REC_SESSION_LEFT:
        return edge && sessions_left_said(peer, record->body);
    case PN_REC_SESSIONS_END:
        if (edge)
            sessions_relay_ends(peer);
        return edge;
    default:
        return false;
    }
}

/* We could not take its content; who asks has it yet. */
static bool on_cut(void *ctx, struct pn_record *record)
{
    struct peer *peer = ctx;
    struct pn_handover h;
    if (record->type == PN_REC_SESSION && peer->role == PN_ROLE_EDGE)
        return sessions_open(peer, record, true);
    if (record->type != PN_REC_DELIVER || !pn_handover_open(record, &h))
        return record->type == PN_REC_DELIVER;
    struct pn_rd r = pn_rd_of(h.body);
    uint64_t token = pn_rd_u64(&r);
    if (pn_rd_ok(&r))
        answer(peer, token, 451, PN_STR("4.3.2 No descriptor left for the message"));
    if (h.content_fd >= 0)
        (void)close(h.content_fd);
    pn_handover_close(&h);
    return true;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct peer *peer = ctx;
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("%s sent what it may not; its channel is closed",
                 pn_role_name((enum pn_role)peer->role));
    pn_channel_free(&peer->channel);
    sessions_peer_gone(peer);
    peer_release(peer);
}

static void on_peer(void *ctx, struct pn_peer *from)
{
    struct mailbox *mb = ctx;
    static const struct pn_channel_ops ops = {
        .on_record = on_record, .on_end = on_end, .on_cut = on_cut};
    if (pn_admin_link_peer(mb->admin, from) ||
        (from->role != PN_ROLE_EDGE && from->role != PN_ROLE_QUEUE && from->role != PN_ROLE_AUTH))
        return;
    struct peer *peer = pn_calloc(1, sizeof *peer);
    *peer = (struct peer){.next = mb->peers, .mailbox = mb, .role = from->role};
    peer->channel = pn_channel_new(mb->loop, from->fd, &ops, peer, ANSWER_QUEUE);
    from->fd = -1;
    mb->peers = peer;
    mailbox_tell_quotas(mb);
}

static void on_drain_end(void *ctx)
{
    struct mailbox *mb = ctx;
    pn_loop_stop(mb->loop);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct mailbox *mb = ctx;
    mb->draining = true;
    pn_timer_set(mb->drain_timer, limit_ms);
    sessions_drain(mb);
    mailbox_stop_if_idle(mb);
}

/* Users move to other workers, or threads change: begun anew this role has it right. */
static bool takes_in_place(const struct mailbox_settings *old, const struct mailbox_settings *set)
{
    return old->mailboxes == set->mailboxes && old->threads == set->threads;
}

/* p is the one before then: whoever reads it on a thread has it still. */
static void policy_set(struct mailbox *mb, struct pn_policy **p)
{
    struct pn_policy *before = mb->policy;
    (void)pthread_mutex_lock(&mb->policy_lock);
    mb->policy = *p;
    (void)pthread_mutex_unlock(&mb->policy_lock);
    *p = before;
}

static void on_generation(void *ctx, struct pn_generation *gen)
{
    struct mailbox *mb = ctx;
    struct mailbox_settings set;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct pn_policy *p = mailbox_settings_of(gen, &set, &err);
    if (p == NULL) {
        pn_error("the new settings can't be used, the old ones stay: %s", pn_buf_cstr(&err));
    } else if (takes_in_place(&mb->settings, &set)) {
        mb->settings = set;
        policy_set(mb, &p);
    } else if (!mb->draining) {
        pn_info("begins anew, as the new settings want it");
        on_drain(mb, ANEW_MS);
    }
    pn_policy_unref(&p);
    pn_generation_free(&gen);
    pn_buf_fini(&err);
}

static bool begin(struct pn_role_life *life, struct pn_buf *err)
{
    struct mailbox *mb = life->ctx;
    if (pn_role_env_folder(life->env, PN_FOLDER_MAIL) == NULL) {
        (void)pn_buf_addz(err, "no mail folder was given");
        return false;
    }
    mb->policy = mailbox_settings_of(life->env->gen, &mb->settings, err);
    if (mb->policy == NULL)
        return false;
    pn_generation_free(&life->env->gen); /* nothing more is read from it */
    (void)pn_charset_preload();          /* for SEARCH */
    mb->loop = life->loop;
    mb->admission = admission_new();
    visit_event_begin(mb);
    pn_admin_link_commands(mb->admin, mailbox_command);
    return true;
}

static bool open_store(struct pn_role_life *life, struct pn_buf *err)
{
    struct mailbox *mb = life->ctx;
    char host[256] = "localhost";
    (void)err;
    (void)gethostname(host, sizeof host - 1);
    mb->store = pn_store_new(pn_role_env_folder(life->env, PN_FOLDER_MAIL)->fd, pn_str_of(host));
    pn_store_rules(mb->store, &mailbox_store_rules, mb);
    mb->threads = pn_threads_new(mb->loop, THREADS, STACK, "deliver");
    mb->crew = crew_new(mb->loop, mb->settings.threads, "session");
    mb->indexer = indexer_new(mb);
    mb->drain_timer = pn_timer_new(mb->loop, on_drain_end, mb);
    mb->number = life->env->start.number;
    sole_begin(mb, pn_role_env_folder(life->env, PN_FOLDER_MAIL)->fd);
    return true;
}

static void join(struct pn_role_life *life)
{
    struct mailbox *mb = life->ctx;
    pn_admin_link_control(mb->admin, life->control);
}

static void end(struct pn_role_life *life)
{
    struct mailbox *mb = life->ctx;
    mb->draining = false;
    sessions_free(mb);
    indexer_free(&mb->indexer);
    crew_free(&mb->crew);
    pn_threads_free(&mb->threads);
    while (mb->peers != NULL) {
        struct peer *peer = mb->peers;
        pn_channel_free(&peer->channel);
        peer_release(peer);
    }
    if (mb->store != NULL)
        pn_store_free(&mb->store);
    sole_end(mb);
    admission_free(&mb->admission);
    visit_event_end(mb);
    pn_timer_free(&mb->drain_timer);
    pn_policy_unref(&mb->policy);
}

int pn_mailbox_main(struct pn_role_env *env)
{
    static const struct pn_role_steps steps = {
        .jail = PN_JAIL_MAILBOX,
        .control = {on_generation, on_peer, on_drain, NULL},
        .begin = begin,
        .open = open_store,
        .join = join,
        .end = end,
    };
    struct mailbox mb = {.policy_lock = PTHREAD_MUTEX_INITIALIZER, .sole_fd = -1};
    return pn_role_run(env, &steps, &mb);
}
