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
 * or with the reason why it is not, then {"ok":...}.
 */
#include "command.h"
#include "answer.h"
#include "mem.h"

#include <stdlib.h>
#include <unistd.h>

enum { META_MAX = 8 * 1024 * 1024 };

/* ---- the journal ---- */

/* A message's envelope, read back for a moment if it was let go of. */
struct peek {
    struct pn_buf meta;
    struct pn_pool *pool;
    struct pn_envelope env;
};

static bool peek_init(struct peek *p, struct message *m)
{
    *p = (struct peek){.env = m->env};
    pn_buf_init(&p->meta, META_MAX);
    if (m->pool != NULL)
        return true;
    if (!spool_meta(m->queue->spool, &m->ref, &p->meta))
        return false;
    struct pn_rd rd = pn_rd_of(pn_buf_str(&p->meta));
    (void)pn_rd_u8(&rd);
    struct pn_str envelope = pn_rd_str(&rd);
    p->pool = pn_pool_new(QUEUE_POOL_MAX);
    return pn_envelope_get(envelope, p->pool, &p->env);
}

static void peek_fini(struct peek *p)
{
    pn_pool_free(&p->pool);
    pn_buf_fini(&p->meta);
}

static bool list_one(struct answer *a, struct message *m)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    struct peek p;
    bool sent = true;
    if (peek_init(&p, m)) {
        answer_begin(a);
        answer_message(a, pn_str_of(pn_queue_id_text(m->id, id)), &p.env);
        pn_json_array(&a->j, "to");
        for (uint32_t i = 0, shown = 0; i < m->rcpt_count && shown < ANSWER_RECIPIENTS; i++) {
            if (m->rcpts[i].state == RCPT_DELIVERED)
                continue;
            shown++;
            pn_json_object(&a->j, NULL);
            answer_recipient(a, &p.env.recipients[i], &m->rcpts[i]);
            pn_json_object_end(&a->j);
        }
        pn_json_array_end(&a->j);
        sent = answer_send(a, false, -1);
    }
    peek_fini(&p);
    return sent;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = (*(struct message *const *)a)->id, y = (*(struct message *const *)b)->id;
    return x < y ? -1 : x > y;
}

static void list(struct answer *a)
{
    struct queue *q = a->q;
    size_t count = 0, shown = 0;
    struct message **all = pn_calloc(q->message_count + 1, sizeof(struct message *));
    for (size_t i = 0; i < q->table_size; i++)
        for (struct message *m = q->table[i]; m != NULL; m = m->next_same)
            if (m->open > 0 && m->taking == NULL)
                all[count++] = m;
    qsort(all, count, sizeof(struct message *), by_id);
    while (shown < count && shown < ANSWER_LIST_MAX && list_one(a, all[shown]))
        shown++;
    answer_list_end(a, count, shown);
    free(all);
}

static void show(struct answer *a, struct message *m)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    struct peek p;
    int fd = -1;
    if (peek_init(&p, m))
        fd = spool_content(a->q->spool, &m->ref);
    if (fd >= 0) {
        answer_begin(a);
        answer_message(a, pn_str_of(pn_queue_id_text(m->id, id)), &p.env);
        (void)answer_send(a, false, -1);
        for (uint32_t i = 0; i < m->rcpt_count; i++) {
            answer_begin(a);
            answer_recipient(a, &p.env.recipients[i], &m->rcpts[i]);
            (void)answer_send(a, false, -1);
        }
        answer_begin(a);
        pn_json_bool(&a->j, "ok", true);
        pn_json_i64(&a->j, "size", (int64_t)p.env.size);
        (void)answer_send(a, true, fd);
        (void)close(fd);
    } else {
        answer_finish(a, "it can't be read back");
    }
    peek_fini(&p);
}

/* One message's part of a command, until what became of it is on disk. */
struct part {
    struct message_wait wait; /* first */
    struct acting *acting;
};

static void part_note(struct acting *acting, struct message *m,
                      void (*done)(struct message_wait *wait, struct message *m, int error))
{
    struct part *part = pn_calloc(1, sizeof *part);
    *part = (struct part){.wait = {.done = done}, .acting = acting};
    message_note_for(m, &part->wait);
}

static void part_end(struct acting *acting, const struct message *m, int error)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    acting_outcome(acting, pn_str_of(pn_queue_id_text(m->id, id)),
                   error == 0 ? NULL : strerror(error));
}

/* It is tried now even where the disk does not know: that does no harm. */
static void released(struct message_wait *wait, struct message *m, int error)
{
    struct part *part = (struct part *)wait;
    part_end(part->acting, m, error);
    free(part);
    if (m->heap_at == 0)
        return; /* it is tried already, or will be once it is moved */
    run_remove(m);
    run_message(m);
}

static void release(struct acting *acting, struct message *m)
{
    if (m->under_way > 0 || (m->loading && !m->moving)) {
        part_end(acting, m, 0); /* it is being tried now */
        return;
    }
    struct peek p;
    bool read = peek_init(&p, m);
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        const struct pn_recipient *to = read ? &p.env.recipients[i] : NULL;
        if (m->rcpts[i].state != RCPT_WAITING)
            continue;
        m->rcpts[i].due_ms = 0;
        m->rcpts[i].noted = false;
        if (to != NULL && to->via != PN_VIA_LOCAL)
            hop_reopen(m->queue, to->via, to->next_hop);
    }
    peek_fini(&p);
    part_note(acting, m, released);
}

static void dropped(struct message_wait *wait, struct message *m, int error)
{
    struct part *part = (struct part *)wait;
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        if (r->state != RCPT_DROPPED)
            continue;
        if (error == 0) {
            event_delivery(m, i);
        } else { /* as before */
            r->state = RCPT_WAITING;
            r->noted = true;
            m->open++;
        }
    }
    if (error != 0)
        run_later(m);
    part_end(part->acting, m, error);
    free(part);
}

/* NULL, or why not. */
static const char *prepare_drop(struct message *m)
{
    struct pn_buf meta;
    if (m->under_way > 0 || m->loading || m->writing == OP_MOVE)
        return "it is being delivered at this moment";
    pn_buf_init(&meta, META_MAX);
    bool loaded = m->pool != NULL || (spool_meta(m->queue->spool, &m->ref, &meta) &&
                                      message_set_meta(m, pn_buf_str(&meta)));
    pn_buf_fini(&meta);
    return loaded ? NULL : "it can't be read back";
}

static void drop(struct acting *acting, struct message *m)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    const char *error = prepare_drop(m);
    if (error != NULL) {
        acting_outcome(acting, pn_str_of(pn_queue_id_text(m->id, id)), error);
        return;
    }
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        if (m->rcpts[i].state == RCPT_WAITING) {
            m->rcpts[i].state = RCPT_DROPPED;
            m->rcpts[i].noted = false;
            m->open--;
        }
    run_remove(m);
    part_note(acting, m, dropped);
}

static struct message *find(struct queue *q, struct pn_str word)
{
    uint64_t id;
    struct message *m = pn_queue_id_parse(word, &id) ? message_find(q, id) : NULL;
    return m == NULL || m->taking != NULL || m->open == 0 ? NULL : m;
}

/* ---- the words ---- */

struct request {
    struct pn_str verb;
    bool held;
    struct pn_str ids[PN_COMMAND_WORDS_MAX];
    size_t count;
};

static const char *parse(const struct pn_command *c, struct request *r)
{
    *r = (struct request){.verb = c->words[0]};
    for (uint32_t i = 1; i < c->count; i++) {
        if (pn_str_eq(c->words[i], PN_STR("--held")))
            r->held = true;
        else if (pn_str_starts(c->words[i], PN_STR("-")))
            return "the queue knows no option but --held";
        else
            r->ids[r->count++] = c->words[i];
    }
    bool one = pn_str_eq(r->verb, PN_STR("show"));
    bool some = pn_str_eq(r->verb, PN_STR("release")) || pn_str_eq(r->verb, PN_STR("drop"));
    if (!one && !some && !pn_str_eq(r->verb, PN_STR("list")))
        return "the queue knows list, show, release and drop";
    if ((one && r->count != 1) || (some && r->count == 0))
        return "which message? an id is missing, or one too many";
    return NULL;
}

static void act_journal(struct acting *acting, struct pn_str id)
{
    struct message *m = find(acting->q, id);
    acting_wait(acting);
    if (m == NULL)
        acting_outcome(acting, id, "no such message");
    else if (acting->releasing)
        release(acting, m);
    else
        drop(acting, m);
}

static void act(struct queue *q, uint64_t token, const struct request *r)
{
    struct acting *acting = acting_new(q, token, pn_str_eq(r->verb, PN_STR("release")));
    for (size_t i = 0; i < r->count; i++) {
        if (r->held)
            held_answer_act(acting, r->ids[i]);
        else
            act_journal(acting, r->ids[i]);
    }
    acting_end(acting);
}

static void show_one(struct answer *a, const struct request *r)
{
    if (r->held) {
        held_answer_show(a, r->ids[0]);
        return;
    }
    struct message *m = find(a->q, r->ids[0]);
    if (m == NULL)
        answer_finish(a, "no such message");
    else
        show(a, m);
}

bool queue_command(void *ctx, struct pn_record *record)
{
    struct queue *q = ctx;
    struct pn_command c;
    struct request r;
    if (record->type != PN_REC_COMMAND || !pn_command_get(record->body, &c))
        return false;
    struct answer a = {.q = q, .token = c.token};
    pn_buf_init(&a.line, ANSWER_LINE_MAX);
    const char *error = parse(&c, &r);
    if (error != NULL)
        answer_finish(&a, error);
    else if (pn_str_eq(r.verb, PN_STR("list")) && r.held)
        held_answer_list(&a);
    else if (pn_str_eq(r.verb, PN_STR("list")))
        list(&a);
    else if (pn_str_eq(r.verb, PN_STR("show")))
        show_one(&a, &r);
    else
        act(q, c.token, &r);
    pn_buf_fini(&a.line);
    return true;
}
