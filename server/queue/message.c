#include "attempt.h"

#include "assert.h"
#include "content.h"
#include "last_reply.h"
#include "log.h"
#include "mem.h"
#include "memfile.h"
#include "record.h"
#include "whole.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A recipient's state in a record, and beside it: the sender was told that it waits. */
enum { STATE_WARNED = 0x80 };

enum { META_VERSION = 1, TABLE_FIRST = 1024, STATE_BYTES_MIN = 4 + 1 + 2 + 8 + 4 };

static size_t slot_of(const struct queue *q, uint64_t id)
{
    return (size_t)((id * 0x9e3779b97f4a7c15ULL) >> 32) & (q->table_size - 1);
}

static void table_grow(struct queue *q)
{
    struct message **old = q->table;
    size_t old_size = q->table_size;
    q->table_size = old_size == 0 ? TABLE_FIRST : old_size * 2;
    q->table = pn_calloc(q->table_size, sizeof(struct message *));
    for (size_t i = 0; i < old_size; i++)
        for (struct message *m = old[i], *next; m != NULL; m = next) {
            size_t slot = slot_of(q, m->id);
            next = m->next_same;
            m->next_same = q->table[slot];
            q->table[slot] = m;
        }
    free(old);
}

struct message *message_find(struct queue *q, uint64_t id)
{
    struct message *m = q->table_size == 0 ? NULL : q->table[slot_of(q, id)];
    while (m != NULL && m->id != id)
        m = m->next_same;
    return m;
}

struct message *message_new(struct queue *q, uint64_t id)
{
    if (q->message_count >= q->table_size)
        table_grow(q);
    struct message *m = pn_calloc(1, sizeof *m);
    *m = (struct message){.queue = q, .id = id};
    size_t slot = slot_of(q, id);
    m->next_same = q->table[slot];
    q->table[slot] = m;
    q->message_count++;
    return m;
}

struct message_work *message_busy(struct message *m)
{
    if (m->work != NULL)
        return m->work;
    struct message_work *w = pn_calloc(1, sizeof *w);
    *w = (struct message_work){.m = m, .content_fd = -1};
    pn_buf_init(&w->meta, RECORD_META_MAX);
    pn_buf_init(&w->note, RECORD_META_MAX);
    m->work = w;
    return w;
}

static void work_free(struct message *m)
{
    if (m->work == NULL)
        return;
    pn_buf_fini(&m->work->note);
    pn_buf_fini(&m->work->meta);
    free(m->work);
    m->work = NULL;
}

/* Lets go of its work if nothing is done or to be known. */
static void unbusy(struct message *m)
{
    const struct message_work *w = m->work;
    bool idle = m->writing == OP_NONE && !m->loading && m->under_way == 0;
    if (w != NULL && idle && w->pool == NULL && w->waits == NULL && w->ordered == NULL &&
        w->taking == NULL && w->damaged == NULL)
        work_free(m);
}

bool message_loaded(const struct message *m)
{
    return m->work != NULL && m->work->pool != NULL;
}

const char *message_damaged(const struct message *m)
{
    return m->work == NULL ? NULL : m->work->damaged;
}

static void content_drop(struct message_work *w)
{
    if (w->content_mapped)
        pn_unmap(&w->content);
    else
        free((char *)(uintptr_t)w->content.p);
    w->content = (struct pn_str){NULL, 0};
    w->content_mapped = false;
}

static void rcpts_free(struct message *m)
{
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        reply_drop(m->queue->replies, m->rcpts[i].reply);
    if (m->rcpts != &m->only)
        free(m->rcpts);
    m->rcpts = NULL;
    m->rcpt_count = m->open = 0;
}

void message_free(struct message *m)
{
    struct queue *q = m->queue;
    pn_assert(m->writing == OP_NONE && m->under_way == 0 && !m->loading);
    pn_assert(m->work == NULL || m->work->waits == NULL);
    run_remove(m);
    struct message **at = &q->table[slot_of(q, m->id)];
    while (*at != m)
        at = &(*at)->next_same;
    *at = m->next_same;
    q->message_count--;
    spool_release(q->spool, &m->ref);
    message_mended(m);
    message_unload(m);
    work_free(m);
    rcpts_free(m);
    free(m);
}

/* Reading costs less than a mapping and its end; for more bytes it is the other way round. */
enum { READ_MAX = 16 * 1024 };

bool message_content(struct message *m, struct pn_str *out)
{
    struct message_work *w = m->work;
    size_t size = (size_t)w->env.size;
    int error = 0;
    if (w->content.p == NULL && size > READ_MAX) {
        bool ours = m->ref.content_file != 0; /* which nobody writes */
        error = pn_map_fd(w->content_fd, !ours, &w->content) != 0 ? errno : 0;
        w->content_mapped = error == 0;
        if (error == 0 && w->content.len != size)
            error = EMSGSIZE;
    } else if (w->content.p == NULL) {
        char *bytes = pn_alloc(size);
        error = pn_read_whole_at(w->content_fd, bytes, size, 0, EMSGSIZE);
        w->content = (struct pn_str){bytes, size};
        w->content_mapped = false;
    }
    if (error != 0) {
        content_drop(w);
        errno = error;
        return false;
    }
    *out = w->content;
    return true;
}

void message_hold(struct message *m, int content_fd)
{
    pn_assert(message_loaded(m) && m->work->content_fd < 0);
    m->work->content_fd = content_fd;
    m->queue->bytes_held += m->work->env.size;
    m->queue->fds_held++;
}

void message_unload(struct message *m)
{
    struct message_work *w = m->work;
    if (w == NULL)
        return;
    content_drop(w);
    attempts_forget(w, m->rcpt_count);
    if (w->content_fd >= 0) {
        (void)close(w->content_fd);
        m->queue->bytes_held -= w->env.size;
        m->queue->fds_held--;
    }
    w->content_fd = -1;
    pn_pool_free(&w->pool);
    pn_buf_fini(&w->meta);
    w->env = (struct pn_envelope){0};
    unbusy(m);
}

static void rcpts_new(struct message *m)
{
    if (m->rcpts != NULL)
        return;
    m->rcpt_count = m->open = m->work->env.recipient_count;
    m->rcpts = m->rcpt_count == 1 ? &m->only : pn_calloc(m->rcpt_count, sizeof *m->rcpts);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        m->rcpts[i].noted = true; /* what it begins with is in the message's record */
}

/* Passing states are not kept: after a crash they are waiting ones. */
static bool passing(uint8_t state)
{
    return state == RCPT_UNDER_WAY || state == RCPT_FAILING || state == RCPT_KEPT_BACK;
}

static bool is_told(uint8_t state)
{
    return state == RCPT_REPORTING || state == RCPT_RELAYING;
}

static bool is_open(uint8_t state)
{
    return state == RCPT_WAITING || passing(state) || is_told(state);
}

bool rcpt_is_told(const struct rcpt *r)
{
    return is_told(r->state);
}

bool rcpt_is_open(const struct rcpt *r)
{
    return is_open(r->state);
}

static void states_put(struct pn_buf *out, const struct message *m, bool all)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        count += all || (!m->rcpts[i].noted && !passing(m->rcpts[i].state));
    pn_wr_u32(out, count);
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        const struct rcpt *r = &m->rcpts[i];
        if (!all && (r->noted || passing(r->state)))
            continue;
        pn_wr_u32(out, i);
        uint8_t state = passing(r->state) ? RCPT_WAITING : r->state;
        pn_wr_u8(out, state | (r->warned ? STATE_WARNED : 0));
        pn_wr_u16(out, r->tries);
        pn_wr_i64(out, r->due_ms);
        pn_wr_str(out, pn_str_of(r->reply));
    }
}

static bool states_get(struct pn_rd *rd, struct message *m)
{
    uint32_t count = pn_rd_count(rd, STATE_BYTES_MIN);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = pn_rd_u32(rd);
        struct rcpt got = {.state = pn_rd_u8(rd), .noted = true};
        got.warned = (got.state & STATE_WARNED) != 0;
        got.state &= (uint8_t)~STATE_WARNED;
        got.tries = pn_rd_u16(rd);
        got.due_ms = pn_rd_i64(rd);
        struct pn_str reply = pn_rd_str(rd);
        if (!pn_rd_ok(rd) || i >= m->rcpt_count || got.state >= RCPT_STATE_COUNT ||
            passing(got.state))
            return false;
        struct rcpt *r = &m->rcpts[i];
        m->open += (uint32_t)is_open(got.state) - (uint32_t)is_open(r->state);
        got.reply = reply_keep(m->queue->replies, reply);
        reply_drop(m->queue->replies, r->reply);
        *r = got;
    }
    return pn_rd_done(rd);
}

/* The envelope within m->work->meta, decoded. */
static bool decode(struct message *m)
{
    struct message_work *w = m->work;
    struct pn_rd rd = pn_rd_of(pn_buf_str(&w->meta));
    if (pn_rd_u8(&rd) != META_VERSION)
        return false;
    struct pn_str envelope = pn_rd_str(&rd);
    if (!pn_rd_ok(&rd))
        return false;
    w->pool = pn_pool_new(QUEUE_POOL_MAX);
    if (!pn_envelope_get(envelope, w->pool, &w->env))
        return false;
    bool first = m->rcpts == NULL;
    if (!first && m->rcpt_count != w->env.recipient_count)
        return false;
    rcpts_new(m);
    return !first || states_get(&rd, m); /* states at hand are newer than the record's */
}

struct pn_str message_envelope_in(struct pn_str meta)
{
    struct pn_rd rd = pn_rd_of(meta);
    return pn_rd_u8(&rd) == META_VERSION ? pn_rd_str(&rd) : PN_STR("");
}

struct pn_str message_envelope(const struct message *m)
{
    return message_envelope_in(pn_buf_str(&m->work->meta));
}

void message_damage(struct message *m, const char *why)
{
    char id[PN_QUEUE_ID_TEXT_MAX];
    if (message_damaged(m) != NULL)
        return;
    message_busy(m)->damaged = pn_strdup(why);
    m->queue->damaged++;
    pn_error("message %s is damaged: %s; it waits for an operator", pn_queue_id_text(m->id, id),
             why);
    event_damaged(m);
}

void message_mended(struct message *m)
{
    if (message_damaged(m) == NULL)
        return;
    free(m->work->damaged);
    m->work->damaged = NULL;
    m->load_fails = 0;
    m->queue->damaged--;
    unbusy(m);
}

bool message_set_envelope(struct message *m, struct pn_str envelope)
{
    struct pn_buf *meta = &message_busy(m)->meta;
    pn_wr_u8(meta, META_VERSION);
    pn_wr_str(meta, envelope);
    pn_wr_u32(meta, 0); /* no states */
    return !meta->overflow && decode(m);
}

bool message_set_meta(struct message *m, struct pn_str meta)
{
    struct pn_buf *to = &message_busy(m)->meta;
    pn_buf_clear(to);
    return pn_buf_adds(to, meta) && decode(m);
}

bool message_add_note(struct message *m, struct pn_str meta)
{
    struct pn_rd rd = pn_rd_of(meta);
    return pn_rd_u8(&rd) == META_VERSION && states_get(&rd, m);
}

/* Those who wait hear of it. */
static void tell(struct message_wait *list, struct message *m, int error)
{
    while (list != NULL) {
        struct message_wait *wait = list;
        list = wait->next;
        wait->done(wait, m, error);
    }
}

static void write_op(struct message *m, uint8_t what, uint8_t type)
{
    struct message_work *w = m->work;
    m->writing = what;
    w->told = w->waits;
    w->waits = NULL;
    w->op = (struct spool_op){
        .type = type, .lazy = w->told == NULL, .id = m->id, .meta = pn_buf_str(&w->note)};
    m->queue->ops++;
    spool_submit(m->queue->spool, &w->op);
}

/* Nothing is to be written, so who waits needs not. */
static void nothing_new(struct message *m)
{
    struct message_wait *waits = m->work == NULL ? NULL : m->work->waits;
    if (m->work != NULL)
        m->work->waits = NULL;
    unbusy(m);
    tell(waits, m, 0);
}

void message_note(struct message *m)
{
    if (m->writing != OP_NONE || m->queue->closed)
        return; /* message_written looks again; or the spool knows enough */
    bool end = m->open == 0 && m->under_way == 0, news = end;
    for (uint32_t i = 0; i < m->rcpt_count && !news; i++)
        news = !m->rcpts[i].noted && !passing(m->rcpts[i].state);
    if (!news) {
        nothing_new(m);
        return;
    }
    struct pn_buf *note = &message_busy(m)->note;
    pn_buf_clear(note);
    if (end) {
        write_op(m, OP_END, SPOOL_END);
        return;
    }
    pn_wr_u8(note, META_VERSION);
    states_put(note, m, false);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        m->rcpts[i].noted |= !passing(m->rcpts[i].state);
    write_op(m, OP_NOTE, SPOOL_PROGRESS);
}

void message_note_for(struct message *m, struct message_wait *wait)
{
    struct message_wait **end = &message_busy(m)->waits;
    while (*end != NULL)
        end = &(*end)->next;
    wait->next = NULL;
    *end = wait;
    if (m->writing != OP_NONE)
        spool_hurry(m->queue->spool, &m->work->op); /* its own record comes behind that one */
    else if (!m->loading) /* else whoever reads it notes what is new behind that */
        message_note(m);
}

bool message_write_again(struct message *m)
{
    struct message_work *w = m->work;
    struct pn_str content = PN_STR("");
    if (m->ref.content_file == 0 && !message_content(m, &content))
        return false;
    pn_buf_clear(&w->note);
    pn_wr_u8(&w->note, META_VERSION);
    pn_wr_str(&w->note, message_envelope(m));
    states_put(&w->note, m, true);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        m->rcpts[i].noted = true;
    if (w->note.overflow)
        return false;
    m->writing = OP_MOVE;
    w->op = (struct spool_op){.type = SPOOL_MESSAGE,
                              .id = m->id,
                              .meta = pn_buf_str(&w->note),
                              .content = content,
                              .paged = w->content_mapped,
                              .content_file = m->ref.content_file,
                              .content_size = m->ref.content_size,
                              .content_crc = m->ref.content_crc};
    m->queue->ops++;
    spool_submit(m->queue->spool, &w->op);
    return true;
}

/* Its end is written, or never will be. */
static void ended(struct message *m)
{
    struct message_work *w = m->work;
    struct message_wait *waits = w->waits;
    int error = w->op.error;
    w->waits = NULL;
    tell(waits, m, error); /* who came since has nothing more to wait for */
    if (m->ref.content_file != 0 && error == 0)
        (void)content_remove(spool_content_folder(m->queue->spool), m->ref.content_file);
    message_free(m);
}

void message_written(struct message *m)
{
    struct queue *q = m->queue;
    struct message_work *w = m->work;
    struct message_wait *told = w->told;
    uint8_t what = m->writing;
    int error = w->op.error;
    m->writing = OP_NONE;
    w->told = NULL;
    q->ops--;
    if (what == OP_MESSAGE) {
        m->ref = w->op.ref;
        take_written(m);
        return;
    }
    bool again = error != 0 && (told != NULL || w->waits != NULL); /* it was not lazy */
    if (error != 0 && !again)
        pn_warn("a note in the spool failed (%s): a delivery may be done twice", strerror(error));
    for (uint32_t i = 0; again && i < m->rcpt_count; i++)
        m->rcpts[i].noted &= passing(m->rcpts[i].state);
    tell(told, m, error);
    if (what == OP_MOVE)
        move_written(m);
    else if (what == OP_END && !again)
        ended(m);
    else
        message_note(m);
}
