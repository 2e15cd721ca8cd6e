/*
 * What an operator asks (ipc/command.h), in words behind "queue":
 *
 *   list [--held]            one line a message, then {"ok":true,"count":N,"shown":M}
 *   show ID [--held]         the message, then a line a recipient, then {"ok":true,"size":N}
 *                            with its content
 *   release ID... [--held]   tries it now; held: takes it out and delivers it
 *   drop ID... [--held]      gives it up, and tells nobody
 *
 * Without --held it is about the journal. ID is the queue id; of held mail also ID.N, as
 * list prints it. release and drop answer a line for each message once that is on disk,
 * or with the reason why it is not, then {"ok":...}. What can't be read back says so in
 * "damaged"; it is shown as it lies there, released to be tried once more, or dropped.
 */
#include "asked.h"
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
    *part =
        (struct asked_part){.asked = asked, .target = &asked->targets[asked->dealt++], .fd = -1};
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
    bool looks = asked->verb == ASKED_LIST || asked->verb == ASKED_SHOW;
    return &asked->q->asked[looks];
}

static void submit(struct asked *asked, void (*run)(struct pn_job *), void (*done)(struct pn_job *))
{
    asked->job = (struct pn_job){.run = run, .done = done};
    if (!asked->q->closed) /* else nobody is there to be answered */
        pn_threads_submit(asked->q->threads, &asked->job);
}

static void finish(struct asked *asked)
{
    struct asked **line = line_of(asked);
    if (asked->verb == ASKED_LIST)
        answer_list_end(&asked->a, asked->total, asked->shown);
    else if (asked->verb != ASKED_SHOW)
        answer_finish(&asked->a, asked->any_failed ? "not all of it could be done" : NULL);
    *line = asked->next;
    pn_buf_fini(&asked->a.line);
    free(asked->targets);
    free(asked);
    next_in_line(line);
}

/* A show has answered by itself, unless there was nothing to show. */
static void answer_part(struct asked *asked, const struct asked_part *part)
{
    const char *error = part->failed != 0 ? strerror(part->failed) : part->error;
    asked->any_failed |= error != NULL;
    if (asked->verb == ASKED_SHOW && error != NULL)
        answer_finish(&asked->a, error);
    else if (asked->verb == ASKED_RELEASE || asked->verb == ASKED_DROP)
        answer_outcome(&asked->a, pn_str_of(part->target->name),
                       asked->verb == ASKED_RELEASE ? "released" : "dropped", error);
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
    bool changes = asked->verb == ASKED_RELEASE || asked->verb == ASKED_DROP;
    if (changes && asked->kind->settle != NULL)
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
            answer_outcome(&asked->a, pn_str_of(part->target->name), NULL, strerror(part->failed));
        if (part->error != NULL || part->failed != 0)
            one_less(asked);
        else
            asked->kind->act(part);
    }
    one_less(asked);
}

static void step(struct asked *asked)
{
    while (asked->part_count < ASKED_PARTS && asked->dealt < asked->target_count && !asked->stopped)
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

static void next_in_line(struct asked **line)
{
    struct asked *asked = *line;
    if (asked == NULL)
        return;
    if (asked->kind->find_on_pool) {
        submit(asked, find_run, find_done);
    } else {
        asked->kind->find(asked);
        step(asked);
    }
}

/* ---- the words ---- */

static const char *put_word(struct asked *asked, struct pn_str word)
{
    if (word.len == 0 || word.len >= ASKED_WORD_MAX)
        return "that is no id";
    memcpy(asked->words[asked->word_count++], word.p, word.len);
    return NULL;
}

static const char *parse(const struct pn_command *c, struct asked *asked)
{
    static const char *const verbs[] = {"list", "show", "release", "drop"};
    const char *error = NULL;
    size_t verb = 0;
    while (verb < 4 && !pn_str_eq(c->words[0], pn_str_of(verbs[verb])))
        verb++;
    asked->verb = (enum asked_verb)verb;
    asked->kind = &asked_journal;
    for (uint32_t i = 1; i < c->count && error == NULL; i++) {
        if (pn_str_eq(c->words[i], PN_STR("--held")))
            asked->kind = &asked_held;
        else if (pn_str_starts(c->words[i], PN_STR("-")))
            return "the queue knows no option but --held";
        else
            error = put_word(asked, c->words[i]);
    }
    if (verb == 4)
        return "the queue knows list, show, release and drop";
    if (error == NULL && ((asked->verb == ASKED_SHOW && asked->word_count != 1) ||
                          (asked->verb >= ASKED_RELEASE && asked->word_count == 0)))
        return "which message? an id is missing, or one too many";
    return error;
}

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
    struct asked *asked = pn_calloc(1, sizeof *asked);
    asked->q = ctx;
    asked->a = (struct answer){.q = ctx, .token = c.token};
    pn_buf_init(&asked->a.line, ANSWER_LINE_MAX);
    const char *error = parse(&c, asked);
    if (error == NULL && stand_in_line(asked))
        return true;
    answer_finish(&asked->a, error == NULL ? "too many commands at once" : error);
    pn_buf_fini(&asked->a.line);
    free(asked);
    return true;
}
