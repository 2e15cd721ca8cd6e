/* Commands about messages in the journal. */
#include "asked.h"
#include "frozen.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Kept, and not at its end. */
static bool is_there(const struct message *m)
{
    bool taken = m->work == NULL || m->work->taking == NULL;
    return taken && (m->open > 0 || message_damaged(m) != NULL);
}

static struct message *find_message(struct queue *q, uint64_t id)
{
    struct message *m = message_find(q, id);
    return m != NULL && is_there(m) ? m : NULL;
}

/* ---- which ---- */

/* Slots of the table that are looked through at a time. */
enum { SCAN_SLOTS = 256 };

static size_t reversed(size_t n)
{
    size_t out = 0;
    for (unsigned i = 0; i < sizeof n * 8; i++, n >>= 1)
        out = out << 1 | (n & 1);
    return out;
}

/* Slots are counted from their highest bit down, so that what was looked through stays so when
 * the table grows meanwhile: all that was there from the beginning is seen, once. */
static bool scan(struct asked *asked)
{
    struct queue *q = asked->q;
    size_t mask = q->table_size - 1;
    if (q->table_size == 0)
        return false;
    for (size_t n = 0; n < SCAN_SLOTS; n++) {
        for (const struct message *m = q->table[asked->cursor & mask]; m != NULL; m = m->next_same)
            if (is_there(m)) {
                asked->ids =
                    pn_grow(asked->ids, &asked->id_cap, asked->id_count, sizeof *asked->ids);
                asked->ids[asked->id_count++] = m->id;
            }
        asked->cursor = reversed(reversed(asked->cursor | ~mask) + 1);
        if (asked->cursor == 0)
            return false;
    }
    return true;
}

static void find(struct asked *asked)
{
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
        part->passed_over = asked_for_all(part->asked);
        part->error = part->passed_over ? NULL : "no such message";
    } else if (!message_loaded(m) || part->asked->verb == ASKED_SHOW) {
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
    const struct pn_envelope *env = message_loaded(m)    ? &m->work->env
                                    : part->pool != NULL ? &part->env
                                                         : NULL;
    return env != NULL && env->recipient_count == m->rcpt_count ? env : NULL;
}

/* Not at its end, and the filter means it. */
static bool is_meant(const struct asked_part *part, const struct message *m,
                     const struct pn_envelope *env, uint32_t i)
{
    const struct filter *f = &part->asked->filter;
    return rcpt_is_open(&m->rcpts[i]) &&
           (!f->any ||
            filter_recipient(f, env->recipients[i].address, pn_str_of(m->rcpts[i].reply)));
}

/* What a change can be about. */
static bool is_free(const struct asked_part *part, const struct message *m,
                    const struct pn_envelope *env, uint32_t i)
{
    return m->rcpts[i].state == RCPT_WAITING && is_meant(part, m, env, i);
}

/* Does the filter mean any of it? Without one all is meant. */
static bool picks(const struct asked_part *part, const struct message *m,
                  const struct pn_envelope *env)
{
    const struct filter *f = &part->asked->filter;
    bool any = !f->any;
    if (any || env == NULL || !filter_message(f, env, part->asked->now_ms))
        return any;
    for (uint32_t i = 0; i < m->rcpt_count && !any; i++)
        any = is_meant(part, m, env, i);
    return any;
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
    if (message_damaged(m) != NULL)
        pn_json_str(&a->j, "damaged", pn_str_of(message_damaged(m)));
}

static bool list_one(struct asked_part *part, struct message *m)
{
    struct answer *a = &part->asked->a;
    const struct pn_envelope *env = envelope_of(part, m);
    put_message(a, part, m, env);
    pn_json_array(&a->j, "to");
    for (uint32_t i = 0, shown = 0; env != NULL && i < m->rcpt_count && shown < ANSWER_RECIPIENTS;
         i++) {
        bool filtered = part->asked->filter.any;
        if (filtered ? !is_meant(part, m, env, i) : m->rcpts[i].state == RCPT_DELIVERED)
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

/* ---- retry, release and drop ---- */

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

/* Then a try would not be one. */
static bool all_frozen(const struct asked_part *part, const struct message *m,
                       const struct pn_envelope *env)
{
    uint32_t frozen = 0, free_ones = 0;
    for (uint32_t i = 0; env != NULL && i < m->rcpt_count; i++)
        if (is_free(part, m, env, i)) {
            free_ones++;
            frozen += frozen_holds(m->queue->frozen, env->recipients[i].address);
        }
    return frozen > 0 && frozen == free_ones;
}

static void release(struct asked_part *part, struct message *m)
{
    const struct pn_envelope *env = envelope_of(part, m);
    if (m->under_way > 0 || (m->loading && !m->moving)) {
        end(part, 0); /* it is being tried now */
        return;
    }
    if (message_damaged(m) != NULL && env == NULL) {
        asked_part_end(part, "its record can't be decoded");
        return;
    }
    if (all_frozen(part, m, env)) {
        asked_part_end(part, "its domain is frozen: thaw that first");
        return;
    }
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        if (!is_free(part, m, env, i))
            continue;
        m->rcpts[i].due_ms = 0;
        m->rcpts[i].noted = false;
        if (env != NULL && env->recipients[i].via != PN_VIA_LOCAL)
            hop_reopen(m->queue, &env->recipients[i]);
    }
    if (message_damaged(m) != NULL) {
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
        if (r->order != ORDER_DROP)
            continue;
        r->order = ORDER_NONE;
        if (error == 0 && message_loaded(m)) {
            event_delivery(m, i);
        } else if (error != 0) { /* as before */
            r->state = RCPT_WAITING;
            r->noted = true;
            m->open++;
        }
    }
    if (m->open > 0 && message_damaged(m) == NULL)
        run_later(m);
    end(part, error);
}

static void drop(struct asked_part *part, struct message *m)
{
    if (m->under_way > 0 || m->loading || m->writing == OP_MOVE) {
        asked_part_end(part, "it is being delivered at this moment");
        return;
    }
    const struct pn_envelope *env = envelope_of(part, m);
    bool loaded =
        message_loaded(m) || (part->pool != NULL && message_set_meta(m, pn_buf_str(&part->bytes)));
    if (!loaded && message_damaged(m) == NULL) {
        asked_part_end(part, "it can't be read back");
        return;
    }
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        if (is_free(part, m, env, i)) {
            m->rcpts[i].order = ORDER_DROP;
            m->rcpts[i].state = RCPT_DROPPED;
            m->rcpts[i].noted = false;
            m->open--;
        }
    run_remove(m);
    part->wait.done = dropped;
    message_note_for(m, &part->wait);
}

/* ---- hold and bounce ---- */

/* It came to rest: what was ordered is done and on disk, or could not be done. */
static void obeyed(struct message_wait *wait, struct message *m, int error)
{
    struct asked_part *part = (struct asked_part *)wait;
    const char *why = NULL;
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct rcpt *r = &m->rcpts[i];
        if (r->order == ORDER_NONE)
            continue;
        if (r->order == ORDER_BOUNCE && r->state == RCPT_HELD)
            part->instead = "held"; /* no report can go to its sender */
        if (rcpt_is_open(r))
            why = "it could not be done now; the log says why";
        r->order = ORDER_NONE;
    }
    part->failed = error;
    asked_part_end(part, why);
}

/* Held or given up by the same ways as by policy or a refusal (bounce.c). */
static void order(struct asked_part *part, struct message *m, uint8_t what)
{
    const struct pn_envelope *env = envelope_of(part, m);
    bool any = false;
    if (message_damaged(m) != NULL || env == NULL) {
        asked_part_end(part, "it can't be read back; it can be shown or dropped");
        return;
    }
    if (m->heap_at == 0 || m->loading || m->writing == OP_MOVE) {
        asked_part_end(part, "it is being delivered at this moment");
        return;
    }
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        if (is_free(part, m, env, i)) {
            m->rcpts[i].order = what;
            m->rcpts[i].due_ms = 0;
            any = true;
        }
    if (!any) {
        asked_part_end(part, "nobody waits for it any more");
        return;
    }
    part->wait.done = obeyed;
    message_busy(m)->ordered = &part->wait;
    run_remove(m);
    run_message(m);
}

/* ---- all of them ---- */

static void list(struct asked_part *part, struct message *m)
{
    struct asked *asked = part->asked;
    asked->total += asked->filter.any;
    if (asked->stopped || asked->shown >= ANSWER_LIST_MAX)
        return;
    asked->stopped = !list_one(part, m);
    asked->shown += !asked->stopped;
}

static void change(struct asked_part *part, struct message *m)
{
    switch (part->asked->verb) {
    case ASKED_DROP:
        drop(part, m);
        break;
    case ASKED_HOLD:
        order(part, m, ORDER_HOLD);
        break;
    case ASKED_BOUNCE:
        order(part, m, ORDER_BOUNCE);
        break;
    default:
        release(part, m);
    }
}

static void act(struct asked_part *part)
{
    struct asked *asked = part->asked;
    struct message *m = find_message(asked->q, part->target->id);
    part->passed_over = m == NULL ? asked_for_all(asked) : !picks(part, m, envelope_of(part, m));
    if (part->passed_over || (m != NULL && asked->dry)) {
        asked_part_end(part, NULL);
    } else if (m == NULL) {
        asked_part_end(part, "no such message");
    } else if (asked->verb == ASKED_LIST) {
        list(part, m);
        asked_part_end(part, NULL);
    } else if (asked->verb == ASKED_SHOW) {
        asked_part_end(part, show_one(part, m));
    } else {
        change(part, m);
    }
}

const struct asked_kind asked_journal = {
    .find = find, .scan = scan, .begin = begin, .read = read_back, .act = act};
