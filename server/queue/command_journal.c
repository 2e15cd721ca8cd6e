/* Commands about messages in the journal. */
#include "asked.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Kept, and not at its end. */
static bool is_there(const struct message *m)
{
    return m->taking == NULL && (m->open > 0 || m->damaged != NULL);
}

static struct message *find_message(struct queue *q, uint64_t id)
{
    struct message *m = message_find(q, id);
    return m != NULL && is_there(m) ? m : NULL;
}

/* ---- which ---- */

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct asked_target *)a)->id, y = ((const struct asked_target *)b)->id;
    return x < y ? -1 : x > y;
}

/* A heap whose first is the largest keeps the smallest ids. */
static void sift(struct asked_target *v, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && v[child + 1].id > v[child].id)
            child++;
        if (v[child].id <= v[at].id)
            return;
        struct asked_target t = v[at];
        v[at] = v[child];
        v[child] = t;
    }
}

static void keep_smallest(struct asked *asked, uint64_t id)
{
    if (asked->target_count < ANSWER_LIST_MAX) {
        asked_add(asked)->id = id;
        if (asked->target_count == ANSWER_LIST_MAX)
            for (size_t i = ANSWER_LIST_MAX; i > 0; i--)
                sift(asked->targets, asked->target_count, i - 1);
    } else if (id < asked->targets[0].id) {
        asked->targets[0].id = id;
        sift(asked->targets, asked->target_count, 0);
    }
}

static void find_all(struct asked *asked)
{
    struct queue *q = asked->q;
    for (size_t i = 0; i < q->table_size; i++)
        for (struct message *m = q->table[i]; m != NULL; m = m->next_same)
            if (is_there(m)) {
                asked->total++;
                keep_smallest(asked, m->id);
            }
    if (asked->target_count != 0)
        qsort(asked->targets, asked->target_count, sizeof *asked->targets, by_id);
}

static void find(struct asked *asked)
{
    if (asked->verb == ASKED_LIST)
        find_all(asked);
    for (size_t i = 0; i < asked->word_count; i++) {
        uint64_t id;
        if (!pn_queue_id_parse(pn_str_of(asked->words[i]), &id) ||
            find_message(asked->q, id) == NULL)
            asked_refuse(asked, asked->words[i], "no such message");
        else
            asked_add(asked)->id = id;
    }
    for (size_t i = 0; i < asked->target_count; i++)
        if (asked->targets[i].why == NULL)
            (void)pn_queue_id_text(asked->targets[i].id, asked->targets[i].name);
}

/* ---- reading back what was let go of ---- */

static void begin(struct asked_part *part)
{
    struct queue *q = part->asked->q;
    const struct message *m = find_message(q, part->target->id);
    if (m == NULL) {
        part->error = "no such message";
    } else if (m->pool == NULL || part->asked->verb == ASKED_SHOW) {
        part->ref = m->ref;
        spool_keep(q->spool, &part->ref);
    }
}

/* On the pool. What can't be read is left out; act sees what there is. */
static void read_back(struct asked_part *part)
{
    struct spool *spool = part->asked->q->spool;
    if (part->ref.segment == NULL)
        return;
    if (spool_meta(spool, &part->ref, &part->bytes))
        (void)asked_envelope(part, message_envelope_in(pn_buf_str(&part->bytes)));
    if (part->asked->verb != ASKED_SHOW)
        return;
    part->fd = spool_content(spool, &part->ref);
    part->damaged = part->fd < 0;
    if (part->fd < 0)
        part->fd = spool_content_as_is(spool, &part->ref);
}

/* NULL: it can't be decoded. */
static const struct pn_envelope *envelope_of(const struct asked_part *part, const struct message *m)
{
    const struct pn_envelope *env = m->pool != NULL      ? &m->env
                                    : part->pool != NULL ? &part->env
                                                         : NULL;
    return env != NULL && env->recipient_count == m->rcpt_count ? env : NULL;
}

static void put_message(struct answer *a, const struct asked_part *part, const struct message *m,
                        const struct pn_envelope *env)
{
    struct pn_str id = pn_str_of(part->target->name);
    answer_begin(a);
    if (env != NULL)
        answer_message(a, id, env);
    else
        pn_json_str(&a->j, "id", id);
    if (m->damaged != NULL)
        pn_json_str(&a->j, "damaged", pn_str_of(m->damaged));
}

static bool list_one(struct asked_part *part, struct message *m)
{
    struct answer *a = &part->asked->a;
    const struct pn_envelope *env = envelope_of(part, m);
    put_message(a, part, m, env);
    pn_json_array(&a->j, "to");
    for (uint32_t i = 0, shown = 0; env != NULL && i < m->rcpt_count && shown < ANSWER_RECIPIENTS;
         i++) {
        if (m->rcpts[i].state == RCPT_DELIVERED)
            continue;
        shown++;
        pn_json_object(&a->j, NULL);
        answer_recipient(a, &env->recipients[i], &m->rcpts[i]);
        pn_json_object_end(&a->j);
    }
    pn_json_array_end(&a->j);
    return answer_send(a, false, -1);
}

static const char *show_one(struct asked_part *part, struct message *m)
{
    struct answer *a = &part->asked->a;
    const struct pn_envelope *env = envelope_of(part, m);
    if (part->fd < 0)
        return "it can't be read back";
    put_message(a, part, m, env);
    (void)answer_send(a, false, -1);
    for (uint32_t i = 0; env != NULL && i < m->rcpt_count; i++) {
        answer_begin(a);
        answer_recipient(a, &env->recipients[i], &m->rcpts[i]);
        (void)answer_send(a, false, -1);
    }
    answer_begin(a);
    pn_json_bool(&a->j, "ok", true);
    pn_json_i64(&a->j, "size", (int64_t)m->ref.content_size);
    if (part->damaged)
        pn_json_str(&a->j, "damaged", PN_STR("its bytes are not those that were written"));
    (void)answer_send(a, true, part->fd);
    return NULL;
}

/* ---- release and drop ---- */

static void end(struct asked_part *part, int error)
{
    part->failed = error;
    asked_part_end(part, NULL);
}

/* It is tried now even where the disk does not know: that does no harm. */
static void released(struct message_wait *wait, struct message *m, int error)
{
    struct asked_part *part = (struct asked_part *)wait;
    end(part, error);
    if (m->heap_at == 0)
        return; /* it is tried already, or will be once it is moved */
    run_remove(m);
    run_message(m);
}

static void release(struct asked_part *part, struct message *m)
{
    const struct pn_envelope *env = envelope_of(part, m);
    if (m->under_way > 0 || (m->loading && !m->moving)) {
        end(part, 0); /* it is being tried now */
        return;
    }
    if (m->damaged != NULL && env == NULL) {
        asked_part_end(part, "its record can't be decoded");
        return;
    }
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        if (m->rcpts[i].state != RCPT_WAITING)
            continue;
        m->rcpts[i].due_ms = 0;
        m->rcpts[i].noted = false;
        if (env != NULL && env->recipients[i].via != PN_VIA_LOCAL)
            hop_reopen(m->queue, env->recipients[i].via, env->recipients[i].next_hop);
    }
    if (m->damaged != NULL) {
        message_mended(m);
        run_later(m);
    }
    part->wait.done = released;
    message_note_for(m, &part->wait);
}

static void dropped(struct message_wait *wait, struct message *m, int error)
{
    struct asked_part *part = (struct asked_part *)wait;
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        if (r->state != RCPT_DROPPED)
            continue;
        if (error == 0 && m->pool != NULL) {
            event_delivery(m, i);
        } else if (error != 0) { /* as before */
            r->state = RCPT_WAITING;
            r->noted = true;
            m->open++;
        }
    }
    if (error != 0 && m->damaged == NULL)
        run_later(m);
    end(part, error);
}

static void drop(struct asked_part *part, struct message *m)
{
    if (m->under_way > 0 || m->loading || m->writing == OP_MOVE) {
        asked_part_end(part, "it is being delivered at this moment");
        return;
    }
    bool loaded =
        m->pool != NULL || (part->pool != NULL && message_set_meta(m, pn_buf_str(&part->bytes)));
    if (!loaded && m->damaged == NULL) {
        asked_part_end(part, "it can't be read back");
        return;
    }
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        if (m->rcpts[i].state == RCPT_WAITING) {
            m->rcpts[i].state = RCPT_DROPPED;
            m->rcpts[i].noted = false;
            m->open--;
        }
    run_remove(m);
    part->wait.done = dropped;
    message_note_for(m, &part->wait);
}

static void act(struct asked_part *part)
{
    struct asked *asked = part->asked;
    struct message *m = find_message(asked->q, part->target->id);
    if (asked->verb == ASKED_LIST) {
        asked->stopped |= m != NULL && !asked->stopped && !list_one(part, m);
        asked->shown += m != NULL && !asked->stopped;
        asked_part_end(part, NULL);
    } else if (m == NULL) {
        asked_part_end(part, "no such message");
    } else if (asked->verb == ASKED_SHOW) {
        asked_part_end(part, show_one(part, m));
    } else if (asked->verb == ASKED_RELEASE) {
        release(part, m);
    } else {
        drop(part, m);
    }
}

const struct asked_kind asked_journal = {
    .find = find, .begin = begin, .read = read_back, .act = act};
