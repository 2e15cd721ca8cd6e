/*
 * freeze DOMAIN..., thaw DOMAIN..., frozen: what an operator wants of domains (frozen.h).
 *
 * A change answers a line for each domain once it is on disk, {"domain":...,"did":"frozen"} or
 * why it was not, then {"ok":...,"did":"frozen","done":N,"failed":M}; frozen answers
 * {"domain":...,"since":...} for each, then the count.
 *
 * What was frozen is looked for after a thaw, some of the table at a time, and is due at once.
 */
#include "command_frozen.h"
#include "answer.h"
#include "clock.h"
#include "command.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLOTS_A_STEP = 1024 };

/* One change on its way. */
struct freezing {
    struct pn_job job; /* first */
    struct answer a;
    struct frozen *next;
    bool thaw;
    uint32_t count;
    const char *error[PN_COMMAND_WORDS_MAX]; /* of each; static; NULL: none */
    char globs[PN_COMMAND_WORDS_MAX][FROZEN_GLOB_MAX + 1];
    int failed; /* errno */
};

/* ---- thawing ---- */

static void thaw_message(struct message *m)
{
    bool any = false;
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        any |= r->frozen;
        if (r->frozen)
            r->due_ms = 0; /* if it is still frozen, its turn says so */
        r->frozen = false;
    }
    if (!any || m->heap_at == 0)
        return; /* or it is at hand just now, and rests with that time */
    run_remove(m);
    run_later(m);
}

static void thaw_some(void *ctx)
{
    struct queue *q = ctx;
    size_t end = q->thaw_at + SLOTS_A_STEP;
    for (; q->thaw_at < q->table_size && q->thaw_at < end; q->thaw_at++)
        for (struct message *m = q->table[q->thaw_at]; m != NULL; m = m->next_same)
            thaw_message(m);
    if (q->thaw_at < q->table_size)
        pn_timer_set(q->thaw_timer, 0);
}

/* From the start, even if it is under way. A table that grows meanwhile moves messages to
 * later slots alone. */
static void thaw_all(struct queue *q)
{
    q->thaw_at = 0;
    pn_timer_set(q->thaw_timer, 0);
}

bool frozen_init(struct queue *q, struct pn_buf *err)
{
    q->frozen = frozen_load(q->folder, err);
    q->thaw_timer = pn_timer_new(q->loop, thaw_some, q);
    return q->frozen != NULL;
}

/* ---- commands ---- */

static void answer_all(struct answer *a)
{
    const struct frozen *frozen = a->q->frozen;
    for (size_t i = 0; i < frozen->count; i++) {
        answer_begin(a);
        pn_json_str(&a->j, "domain", pn_str_of(frozen->domains[i].glob));
        answer_time(a, "since", frozen->domains[i].since_ms);
        (void)answer_send(a, false, -1);
    }
    answer_list_end(a, frozen->count, frozen->count);
}

static void answer_change(struct freezing *f)
{
    struct answer *a = &f->a;
    const char *did = f->thaw ? "thawed" : "frozen";
    uint32_t done = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const char *error =
            f->error[i] == NULL && f->failed != 0 ? strerror(f->failed) : f->error[i];
        answer_begin(a);
        pn_json_str(&a->j, "domain", pn_str_of(f->globs[i]));
        pn_json_str(&a->j, error == NULL ? "did" : "error", pn_str_of(error == NULL ? did : error));
        (void)answer_send(a, false, -1);
        done += error == NULL;
    }
    answer_begin(a);
    pn_json_bool(&a->j, "ok", done == f->count);
    if (done < f->count)
        pn_json_str(&a->j, "error", PN_STR("not all of it could be done"));
    pn_json_str(&a->j, "did", pn_str_of(did));
    pn_json_i64(&a->j, "done", done);
    pn_json_i64(&a->j, "failed", f->count - done);
    (void)answer_send(a, true, -1);
}

/* On the pool. */
static void store(struct pn_job *job)
{
    struct freezing *f = (struct freezing *)job;
    f->failed = frozen_store(f->next, f->a.q->folder);
}

static void stored(struct pn_job *job)
{
    struct freezing *f = (struct freezing *)job;
    struct queue *q = f->a.q;
    q->freezing = false;
    if (f->failed == 0) {
        free(q->frozen);
        q->frozen = f->next;
        if (f->thaw)
            thaw_all(q);
    } else {
        free(f->next);
    }
    answer_change(f);
    pn_buf_fini(&f->a.line);
    free(f);
}

static void put_domain(struct freezing *f, struct pn_str word, int64_t now_ms)
{
    uint32_t i = f->count++;
    struct frozen *next = NULL;
    if (!frozen_glob_ok(word)) {
        memcpy(f->globs[i], "?", 2);
        f->error[i] = "that is no domain";
        return;
    }
    memcpy(f->globs[i], word.p, word.len);
    next = f->thaw ? frozen_without(f->next, word) : frozen_with(f->next, word, now_ms);
    if (next == NULL) {
        f->error[i] = f->thaw                       ? "it is not frozen"
                      : f->next->count < FROZEN_MAX ? "it is frozen already"
                                                    : "too many domains are frozen";
        return;
    }
    free(f->next);
    f->next = next;
}

static void change(struct queue *q, const struct pn_command *c, bool thaw)
{
    struct freezing *f = pn_calloc(1, sizeof *f);
    int64_t now_ms = pn_clock_wall_ms();
    f->a = (struct answer){.q = q, .token = c->token};
    f->thaw = thaw;
    f->job = (struct pn_job){.run = store, .done = stored};
    f->next = pn_calloc(1, sizeof *f->next + q->frozen->count * sizeof q->frozen->domains[0]);
    memcpy(f->next, q->frozen, sizeof *f->next + q->frozen->count * sizeof q->frozen->domains[0]);
    pn_buf_init(&f->a.line, ANSWER_LINE_MAX);
    for (uint32_t i = 1; i < c->count; i++)
        put_domain(f, c->words[i], now_ms);
    q->freezing = true;
    pn_threads_submit(q->threads, &f->job);
}

bool frozen_command(struct queue *q, const struct pn_command *c)
{
    bool freeze = pn_str_eq(c->words[0], PN_STR("freeze"));
    bool thaw = pn_str_eq(c->words[0], PN_STR("thaw"));
    const char *error = NULL;
    if (!freeze && !thaw && !pn_str_eq(c->words[0], PN_STR("frozen")))
        return false;
    if (freeze || thaw)
        error = c->count < 2  ? "which domains?"
                : q->freezing ? "another change is being written; ask again"
                : q->closed   ? "the queue is ending"
                              : NULL;
    else if (c->count > 1)
        error = "frozen expects nothing behind it";
    if (error == NULL && (freeze || thaw)) {
        change(q, c, thaw);
        return true;
    }
    struct answer a = {.q = q, .token = c->token};
    pn_buf_init(&a.line, ANSWER_LINE_MAX);
    if (error != NULL)
        answer_finish(&a, error);
    else
        answer_all(&a);
    pn_buf_fini(&a.line);
    return true;
}
