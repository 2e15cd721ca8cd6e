#include "server.h"

#include "assert.h"
#include "calls.h"
#include "content.h"
#include "held.h"
#include "mem.h"
#include "memfile.h"
#include "segment.h"
#include "sim.h"
#include "spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A job with all that its record borrows. */
struct record_job {
    struct spool_op op;
    struct server *server;
    enum job_type type;
    uint32_t id, who, value;
    struct pn_buf meta;
    char *content; /* aligned; owned */
};

/* ---- start and end ---- */

void server_layout(int root)
{
    pn_assert(mkdirat(root, "spool", 0700) == 0 && mkdirat(root, "mail", 0700) == 0);
}

static void answered(struct record_job *job)
{
    static const enum event_type good[] = {EV_KEPT, EV_NOTED, EV_ENDED};
    static const enum event_type bad[] = {EV_REFUSED, EV_NOTE_FAILED, EV_END_FAILED};
    const struct spool *spool = job->server->spool;
    enum event_type what =
        (job->op.error == 0 ? good : bad)[job->type == JOB_MOVE ? JOB_MAIL : job->type];
    if (what == EV_REFUSED && !spool->writable && spool->newest != NULL && spool->newest->failed)
        what = EV_REFUSED_UNSURELY;
    if (job->type != JOB_MOVE)
        calls_event(what, job->id, job->who, job->value);
}

/* On the spool's thread: from here on the answer is out. */
static void on_finished(void *ctx, struct spool_op *ops)
{
    struct server *s = ctx;
    (void)pthread_mutex_lock(&s->lock);
    for (; ops != NULL; ops = ops->next) {
        answered((struct record_job *)ops);
        s->finished++;
    }
    (void)pthread_cond_signal(&s->cond);
    (void)pthread_mutex_unlock(&s->lock);
}

static void on_alarm(void *ctx, const char *sentence)
{
    struct server *s = ctx;
    if (strstr(sentence, "nobody was answered") != NULL)
        return; /* true, and no damage */
    if (s->alarms++ == 0)
        (void)snprintf(s->alarm, sizeof s->alarm, "%s", sentence);
}

static void found_message(void *ctx, uint64_t id, struct pn_str meta, const struct spool_ref *ref)
{
    struct server *s = ctx;
    pn_assert(id < MAILS_MAX);
    struct at_hand *m = &s->mails[id];
    if (m->live)
        spool_release(s->spool, &m->ref);
    *m = (struct at_hand){.live = true, .found_twice = m->live, .ref = *ref};
    m->malformed = !mail_meta_get((uint32_t)id, meta, m->states);
}

static void found_note(void *ctx, uint64_t id, struct pn_str meta)
{
    struct server *s = ctx;
    pn_assert(id < MAILS_MAX);
    struct at_hand *m = &s->mails[id];
    if (m->live)
        m->malformed |= !mail_note_get(meta, m->states);
}

static void found_end(void *ctx, uint64_t id)
{
    struct server *s = ctx;
    pn_assert(id < MAILS_MAX);
    if (s->mails[id].live)
        spool_release(s->spool, &s->mails[id].ref);
    s->mails[id].live = false;
}

static bool wanted(void *ctx, uint64_t number)
{
    const struct server *s = ctx;
    for (uint32_t i = 0; i < MAILS_MAX; i++)
        if (s->mails[i].live && s->mails[i].ref.content_file == number)
            return true;
    return false;
}

static bool start_spool(struct server *s)
{
    const struct spool_settings settings = {.segment_bytes = SERVER_SEGMENT,
                                            .spares = 2,
                                            .finished = on_finished,
                                            .alarm = on_alarm,
                                            .ctx = s};
    const struct spool_found found = {found_message, found_note, found_end, s, &s->spool};
    struct pn_buf err;
    uint64_t removed;
    pn_buf_init(&err, sizeof s->error - 1);
    s->spool = spool_open(s->folder, &settings, &found, &err);
    (void)snprintf(s->error, sizeof s->error, "%.*s", PN_FMT(pn_buf_str(&err)));
    if (s->spool == NULL) {
        pn_buf_fini(&err);
        return false;
    }
    s->held = held_folder(s->folder);
    pn_assert(s->held >= 0);
    s->frozen = frozen_load(s->folder, &err);
    (void)snprintf(s->error, sizeof s->error, "%.*s", PN_FMT(pn_buf_str(&err)));
    pn_buf_fini(&err);
    return s->frozen != NULL &&
           content_sweep(spool_content_folder(s->spool), wanted, s, &s->next_file, &removed) == 0;
}

bool server_open(struct server *s, int root)
{
    *s = (struct server){.root = root, .held = -1};
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->cond, NULL);
    s->folder = openat(root, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->mail = openat(root, "mail", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pn_assert(s->folder >= 0 && s->mail >= 0);
    s->store = pn_store_new(s->mail, PN_STR("mx.test"));
    return start_spool(s);
}

static void close_rest(struct server *s)
{
    pn_store_free(&s->store);
    free(s->frozen);
    s->frozen = NULL;
    if (s->held >= 0)
        (void)close(s->held);
    (void)close(s->folder);
    (void)close(s->mail);
    s->held = -1;
}

void server_close(struct server *s)
{
    spool_close(&s->spool);
    close_rest(s);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->cond);
}

void server_kill(struct server *s)
{
    sim_kill_others();
    for (struct segment *g = s->spool->oldest; g != NULL; g = g->newer) {
        (void)close(g->fd);
        segment_close_write(g);
    }
    (void)close(s->spool->lock_fd);
    (void)close(s->spool->content_fd);
    s->spool = NULL; /* its memory stays with its threads, which never go on */
    close_rest(s);
}

/* ---- records ---- */

static void put_content(struct record_job *job)
{
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    mail_content(job->id, &text);
    size_t room = (text.len + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    job->content = aligned_alloc(SEGMENT_PAGE, room);
    pn_assert(job->content != NULL);
    memset(job->content, 0, room);
    memcpy(job->content, text.p, text.len);
    job->op.content = (struct pn_str){job->content, text.len};
    job->op.paged = mail_is_paged(job->id);
    pn_buf_fini(&text);
}

/* Large content goes to its file first; 0 or errno. */
static int put_file(struct server *s, struct record_job *job)
{
    int ro, from;
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    mail_content(job->id, &text);
    from = pn_memfile_of("content", pn_buf_str(&text));
    pn_assert(from >= 0);
    job->op.content_file = s->next_file++;
    job->op.content_size = text.len;
    int error = content_copy(spool_content_folder(s->spool), job->op.content_file, from, text.len,
                             &job->op.content_crc, &ro);
    (void)close(from);
    if (error == 0)
        (void)close(ro);
    pn_buf_fini(&text);
    return error;
}

/* False: it came to nothing. */
static bool prepare(struct server *s, struct record_job *job)
{
    static const uint8_t types[] = {SPOOL_MESSAGE, SPOOL_PROGRESS, SPOOL_END, SPOOL_MESSAGE};
    struct at_hand *m = &s->mails[job->id];
    job->op.type = types[job->type];
    job->op.id = job->id;
    if (job->type == JOB_NOTE) {
        job->who = job->id % RCPTS;
        job->value = ++m->states[job->who];
        mail_note(job->who, job->value, &job->meta);
        calls_event(EV_NOTE, job->id, job->who, job->value);
    } else if (job->type == JOB_END) {
        calls_event(EV_END, job->id, 0, 0);
    } else {
        mail_meta(job->id, m->states, &job->meta);
    }
    if (job->type == JOB_MAIL) {
        calls_event(EV_OFFERED, job->id, 0, 0);
        if (mail_has_file(job->id) && (job->op.error = put_file(s, job)) != 0) {
            answered(job);
            return false;
        }
    } else if (job->type == JOB_MOVE && m->ref.content_file != 0) {
        job->op.content_file = m->ref.content_file;
        job->op.content_size = m->ref.content_size;
        job->op.content_crc = m->ref.content_crc;
    }
    if ((job->type == JOB_MAIL || job->type == JOB_MOVE) && job->op.content_file == 0)
        put_content(job);
    job->op.meta = pn_buf_str(&job->meta);
    return true;
}

/* What follows from the answer. */
static void conclude(struct server *s, const struct record_job *job)
{
    struct at_hand *m = &s->mails[job->id];
    bool ok = job->op.error == 0;
    int content = spool_content_folder(s->spool);
    if (job->type == JOB_MAIL && ok) {
        *m = (struct at_hand){.live = true, .ref = job->op.ref};
    } else if (job->type == JOB_MAIL && job->op.content_file != 0) {
        (void)content_remove(content, job->op.content_file);
    } else if (job->type == JOB_END && ok) {
        uint64_t file = m->ref.content_file;
        spool_release(s->spool, &m->ref);
        m->live = false;
        if (file != 0)
            (void)content_remove(content, file);
    } else if (job->type == JOB_MOVE && ok) {
        spool_release(s->spool, &m->ref);
        m->ref = job->op.ref;
    }
}

/* What was submitted before a kill stays where threads that never go on may look. */
static struct record_job *stopped[256];
static unsigned stopped_count;

static void await(struct server *s, struct record_job *jobs, const bool *given, unsigned n)
{
    unsigned wanted_count = 0;
    for (unsigned i = 0; i < n; i++)
        wanted_count += given[i];
    (void)pthread_mutex_lock(&s->lock);
    while (s->finished < wanted_count)
        (void)pthread_cond_wait(&s->cond, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < n; i++) {
        conclude(s, &jobs[i]);
        pn_buf_fini(&jobs[i].meta);
        free(jobs[i].content);
    }
    free(jobs);
}

void server_batch(struct server *s, const struct job *list, unsigned n, bool wait)
{
    struct record_job *jobs = pn_calloc(n, sizeof *jobs);
    bool given[SERVER_BATCH_MAX];
    pn_assert(n > 0 && n <= SERVER_BATCH_MAX);
    for (unsigned i = 0; i < n; i++) {
        jobs[i] = (struct record_job){.server = s, .type = list[i].type, .id = list[i].id};
        jobs[i].op.lazy = list[i].lazy;
        pn_buf_init(&jobs[i].meta, 1000);
        given[i] = prepare(s, &jobs[i]);
    }
    s->finished = 0;
    for (unsigned i = 0; i < n; i++)
        if (given[i])
            spool_submit(s->spool, &jobs[i].op);
    if (wait) {
        await(s, jobs, given, n);
    } else {
        pn_assert(stopped_count < sizeof stopped / sizeof stopped[0]);
        stopped[stopped_count++] = jobs;
    }
}

/* ---- held mail, mailboxes, frozen domains ---- */

bool server_hold(struct server *s, uint32_t id)
{
    static const uint32_t index = 0;
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    mail_content(id, &text);
    int content = pn_memfile_of("content", pn_buf_str(&text));
    const struct held h = {
        .id = id, .reason = PN_STR("a reason"), .indices = &index, .count = 1, .size = text.len};
    pn_assert(content >= 0);
    calls_event(EV_HOLD, id, 0, 0);
    int error = held_put(s->held, &h, content);
    calls_event(error == 0 ? EV_HELD : EV_HOLD_FAILED, id, 0, 0);
    s->kept_aside[id] = error == 0;
    (void)close(content);
    pn_buf_fini(&text);
    return error == 0;
}

bool server_drop(struct server *s, uint32_t id)
{
    char name[HELD_NAME_MAX];
    calls_event(EV_DROP, id, 0, 0);
    int error = held_remove(s->held, held_name(id, 0, name));
    if (error == 0)
        error = held_settle(s->held);
    calls_event(error == 0 ? EV_DROPPED : EV_DROP_FAILED, id, 0, 0);
    s->kept_aside[id] = false;
    return error == 0;
}

bool server_deliver(struct server *s, uint32_t id)
{
    char user[32];
    struct pn_buf text, why;
    pn_buf_init(&text, SIZE_MAX);
    pn_buf_init(&why, 1000);
    mail_content(id, &text);
    const struct pn_delivery d = {.user = pn_str_of(mail_user(id, user)),
                                  .folder = pn_str_of(mail_folder(id)),
                                  .reverse_path = PN_STR("s@from.test"),
                                  .content = pn_buf_str(&text)};
    calls_event(EV_DELIVER, id, 0, 0);
    bool ok = pn_store_deliver(s->store, &d, &why) == PN_STORE_OK;
    calls_event(ok ? EV_DELIVERED : EV_DELIVER_FAILED, id, 0, 0);
    pn_buf_fini(&text);
    pn_buf_fini(&why);
    return ok;
}

uint32_t server_frozen_id(const char *glob)
{
    unsigned id;
    return sscanf(glob, "m%u.test", &id) == 1 && id < MAILS_MAX ? id : MAILS_MAX;
}

void server_freeze(struct server *s, uint32_t id)
{
    char glob[32];
    (void)snprintf(glob, sizeof glob, "m%u.test", id);
    struct frozen *next = frozen_with(s->frozen, pn_str_of(glob), 1);
    bool thaw = next == NULL;
    if (thaw)
        next = frozen_without(s->frozen, pn_str_of(glob));
    pn_assert(next != NULL);
    calls_event(thaw ? EV_THAW : EV_FREEZE, id, 0, 0);
    bool ok = frozen_store(next, s->folder) == 0;
    struct frozen *was = ok ? s->frozen : next;
    s->frozen = ok ? next : s->frozen;
    free(was);
    if (thaw)
        calls_event(ok ? EV_THAWED : EV_THAW_FAILED, id, 0, 0);
    else
        calls_event(ok ? EV_FROZEN : EV_FREEZE_FAILED, id, 0, 0);
}
