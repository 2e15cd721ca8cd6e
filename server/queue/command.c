/*
 * What an operator asks (ipc/command.h), in words behind "queue":
 *
 *   list [FILTER] [--held]   one line a message, then {"ok":true,"count":N,"shown":M}
 *   show ID [--held]         the message, then a line a recipient, then {"ok":true,"size":N}
 *                            with its content
 *   retry WHICH              tries it now
 *   release WHICH [--held]   the same; held: takes it out and delivers it
 *   drop WHICH [--held]      gives it up, and tells nobody
 *   hold WHICH               takes it out of the queue, to where held mail is
 *   bounce WHICH             gives it up, and tells the sender, as if its next hop had
 *                            refused it: where a report would be backscatter it is held
 *
 *   freeze DOMAIN..., thaw DOMAIN..., frozen       command_frozen.c
 *   suppress list, suppress remove ADDRESS...      command_suppress.c
 *
 * Without --held it is about the journal. WHICH is ID..., FILTER, or --all: without any of
 * them nothing is done. ID is the queue id; of held mail also ID.N, as list prints it. FILTER
 * is some of --from GLOB --to GLOB --domain GLOB --older AGE --newer AGE --reason GLOB --user GLOB,
 * and means those recipients alone for which all of it holds, of the mail that waits; a held file
 * is changed as a whole, so all of its recipients must be meant.
 *
 * What changes something answers a line for each message once that is on disk, or with the
 * reason why it is not, then {"ok":...,"did":"dropped","done":N,"failed":M}; of very many the
 * first have a line, all are counted. With --dry-run nothing is done, and the lines say "would"
 * instead of "did". What can't be read back says so in
 * "damaged"; it is shown as it lies there, released to be tried once more, or dropped.
 */
#include "asked.h"
#include "clock.h"
#include "command_frozen.h"
#include "command_suppress.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- parts ---- */

struct asked_target *asked_add(struct asked *asked)
{
    asked->targets =
        pn_grow(asked->targets, &asked->target_cap, asked->target_count, sizeof *asked->targets);
    struct asked_target *t = &asked->targets[asked->target_count++];
    *t = (struct asked_target){0};
    return t;
}

void asked_refuse(struct asked *asked, const char *word, const char *why)
{
    struct asked_target *t = asked_add(asked);
    t->why = why;
    memcpy(t->name, word, strlen(word) + 1);
}

bool asked_envelope(struct asked_part *part, struct pn_str envelope)
{
    part->pool = pn_pool_new(QUEUE_POOL_MAX);
    if (pn_envelope_get(envelope, part->pool, &part->env))
        return true;
    pn_pool_free(&part->pool);
    return false;
}

static void part_init(struct asked *asked, struct asked_part *part)
{
    *part = (struct asked_part){.asked = asked, .target = &part->own, .fd = -1};
    if (asked->dealt < asked->target_count) {
        part->target = &asked->targets[asked->dealt++];
    } else {
        part->own.id = asked->ids[asked->id_dealt++];
        (void)pn_queue_id_text(part->own.id, part->own.name);
    }
    pn_buf_init(&part->bytes, PN_ENVELOPE_MAX * 2);
    part->error = part->target->why;
    if (part->error == NULL && asked->kind->begin != NULL)
        asked->kind->begin(part);
}

static void part_fini(struct asked_part *part)
{
    if (part->fd >= 0)
        (void)close(part->fd);
    pn_pool_free(&part->pool);
    pn_buf_fini(&part->bytes);
}

/* ---- a command, step by step ---- */

static void step(struct asked *asked);
static void next_in_line(struct asked **line);

static struct asked **line_of(const struct asked *asked)
{
    return &asked->q->asked[!asked_changes(asked)];
}

static void submit(struct asked *asked, void (*run)(struct pn_job *), void (*done)(struct pn_job *))
{
    asked->job = (struct pn_job){.run = run, .done = done};
    if (!asked->q->closed) /* else nobody is there to be answered */
        pn_threads_submit(asked->q->threads, &asked->job);
}

static void answer_changed(struct asked *asked)
{
    struct answer *a = &asked->a;
    answer_begin(a);
    pn_json_bool(&a->j, "ok", asked->failed == 0);
    if (asked->failed > 0)
        pn_json_str(&a->j, "error", PN_STR("not all of it could be done"));
    pn_json_str(&a->j, asked->dry ? "would" : "did", pn_str_of(asked_rows[asked->verb].did));
    pn_json_i64(&a->j, "done", (int64_t)asked->done);
    pn_json_i64(&a->j, "failed", (int64_t)asked->failed);
    (void)answer_send(a, true, -1);
}

static void finish(struct asked *asked)
{
    struct asked **line = line_of(asked);
    if (asked->verb == ASKED_LIST)
        answer_list_end(&asked->a, asked->total, asked->shown);
    else if (asked->verb != ASKED_SHOW)
        answer_changed(asked);
    *line = asked->next;
    pn_buf_fini(&asked->a.line);
    free(asked->targets);
    free(asked->ids);
    free(asked);
    next_in_line(line);
}

/* A show has answered by itself, unless there was nothing to show. */
static void answer_part(struct asked *asked, const struct asked_part *part)
{
    const char *error = part->failed != 0 ? strerror(part->failed) : part->error;
    const char *did = part->instead != NULL ? part->instead : asked_rows[asked->verb].did;
    if (asked->verb == ASKED_SHOW && error != NULL)
        answer_finish(&asked->a, error);
    if (!asked_changes(asked) || (part->passed_over && error == NULL))
        return;
    asked->failed += error != NULL;
    asked->done += error == NULL;
    if (asked->done + asked->failed <= ANSWER_LIST_MAX)
        answer_outcome(&asked->a, pn_str_of(part->target->name), asked->dry ? "would" : "did", did,
                       error);
}

static void settled(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    for (size_t i = 0; i < asked->part_count; i++) {
        answer_part(asked, &asked->parts[i]);
        part_fini(&asked->parts[i]);
    }
    asked->part_count = 0;
    step(asked);
}

static void settle_run(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    asked->kind->settle(asked);
}

static void one_less(struct asked *asked)
{
    if (--asked->open > 0)
        return;
    if (asked_changes(asked) && !asked->dry && asked->kind->settle != NULL)
        submit(asked, settle_run, settled);
    else
        settled(&asked->job);
}

void asked_part_end(struct asked_part *part, const char *error)
{
    part->error = error;
    one_less(part->asked);
}

static void read_run(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    for (size_t i = 0; i < asked->part_count; i++)
        if (asked->parts[i].error == NULL)
            asked->kind->read(&asked->parts[i]);
}

/* They may all end at once: one is counted for us until the last was begun. */
static void read_done(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    size_t count = asked->part_count;
    asked->open = count + 1;
    for (size_t i = 0; i < count; i++) {
        struct asked_part *part = &asked->parts[i];
        if (part->ref.segment != NULL)
            spool_release(asked->q->spool, &part->ref);
        if (part->failed != 0 && asked->verb == ASKED_LIST)
            answer_outcome(&asked->a, pn_str_of(part->target->name), "did", NULL,
                           strerror(part->failed));
        if (part->error != NULL || part->failed != 0)
            one_less(asked);
        else
            asked->kind->act(part);
    }
    one_less(asked);
}

static void step(struct asked *asked)
{
    while (asked->part_count < ASKED_PARTS && !asked->stopped &&
           (asked->dealt < asked->target_count || asked->id_dealt < asked->id_count))
        part_init(asked, &asked->parts[asked->part_count++]);
    if (asked->part_count == 0)
        finish(asked);
    else
        submit(asked, read_run, read_done);
}

static void find_run(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    asked->kind->find(asked);
}

static void find_done(struct pn_job *job)
{
    step((struct asked *)job);
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* In the order in which they came. A list that picks nothing out tells the first of them. */
static void sort_run(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    if (asked->id_count > 0)
        qsort(asked->ids, asked->id_count, sizeof *asked->ids, by_id);
    if (asked->verb == ASKED_LIST && !asked->filter.any) {
        asked->total = asked->id_count;
        if (asked->id_count > ANSWER_LIST_MAX)
            asked->id_count = ANSWER_LIST_MAX;
    }
}

/* Between two steps the loop turns: a way over the pool, where nothing is to be done. */
static void scan_run(struct pn_job *job)
{
    (void)job;
}

static void scan_done(struct pn_job *job)
{
    struct asked *asked = (struct asked *)job;
    if (asked->kind->scan(asked))
        submit(asked, scan_run, scan_done);
    else
        submit(asked, sort_run, find_done);
}

static void next_in_line(struct asked **line)
{
    struct asked *asked = *line;
    if (asked == NULL)
        return;
    asked->now_ms = pn_clock_wall_ms();
    if (asked_for_all(asked) && asked->kind->scan != NULL) {
        scan_done(&asked->job);
    } else if (asked->kind->find_on_pool) {
        submit(asked, find_run, find_done);
    } else {
        asked->kind->find(asked);
        step(asked);
    }
}

/* ---- its turn ---- */

static bool stand_in_line(struct asked *asked)
{
    struct asked **line = line_of(asked), **end = line;
    size_t count = 0;
    for (; *end != NULL; count++)
        end = &(*end)->next;
    if (count >= ASKED_WAITING_MAX)
        return false;
    *end = asked;
    if (end == line)
        next_in_line(line);
    return true;
}

bool queue_command(void *ctx, struct pn_record *record)
{
    struct pn_command c;
    if (record->type != PN_REC_COMMAND || !pn_command_get(record->body, &c))
        return false;
    if (frozen_command(ctx, &c) || suppress_command(ctx, &c))
        return true;
    struct asked *asked = pn_calloc(1, sizeof *asked);
    asked->q = ctx;
    asked->a = (struct answer){.q = ctx, .token = c.token};
    pn_buf_init(&asked->a.line, ANSWER_LINE_MAX);
    const char *error = asked_parse(asked, &c);
    if (error == NULL && stand_in_line(asked))
        return true;
    answer_finish(&asked->a, error == NULL ? "too many commands at once" : error);
    pn_buf_fini(&asked->a.line);
    free(asked);
    return true;
}
