/*
 * The content of a message while it comes in: a memory file, and beyond
 * limits.memory-size a file of the queue's, asked for when MAIL declared so much or when
 * so much is there. Until that file comes the client is not read. What was in memory
 * goes to the file's beginning.
 *
 * Others get a descriptor that nobody can write through: the memory file sealed, or the
 * read-only one that came with the file. A file that is not handed over in a TAKE is
 * given back with DROP; one of a queue that died has no name any more, but its bytes are
 * there as long as we hold it.
 */
#include "edge.h"

#include "assert.h"
#include "whole.h"

#include <errno.h>
#include <unistd.h>

enum { HEADER_FIRST = 16 * 1024 };

/* From memory to the file's beginning. */
static bool move(struct transaction *t)
{
    struct edge_content *c = &t->content;
    uint64_t at = 0;
    while (at < c->len) {
        ssize_t n = pread(c->memory.fd, t->s->edge->scratch, PN_SMTP_RESERVE_MAX, (off_t)at);
        if (n <= 0 ||
            pn_write_whole_at(c->rw, (struct pn_str){t->s->edge->scratch, (size_t)n}, at) != 0)
            return false;
        at += (uint64_t)n;
    }
    pn_memfile_fini(&c->memory);
    return true;
}

/* Memory will do where the queue has no file for us. */
static void on_replaced(struct transaction *t)
{
    struct edge_content *c = &t->content;
    void (*done)(struct transaction *, bool) = c->replaced;
    c->replaced = NULL;
    if (c->file != 0 && !move(t)) {
        c->failed = true;
        done(t, false);
    } else {
        done(t, c->file != 0 || pn_memfile_seal(&c->memory) == 0);
    }
}

/* The queue's answer; file 0: it has none for us. */
static void on_file(void *ctx, uint64_t file, int rw, int ro)
{
    struct transaction *t = ctx;
    struct session *s = t->s;
    struct edge_content *c = &t->content;
    bool data_due = c->data_due;
    c->token = 0;
    c->data_due = false;
    c->file = file;
    c->queue_serial = s->edge->queue_serial;
    c->rw = rw;
    c->ro = ro;
    if (c->replaced != NULL) {
        on_replaced(t);
        return;
    }
    c->failed = c->failed || file == 0 || !move(t);
    if (!data_due)
        turn_settle(s, false);
    else if (c->failed)
        turn_answer(s, PN_STR("452 4.3.1 No room for a message of this size, try again later"));
    else
        pn_smtp_server_accept(s->smtp);
}

/* False: there is nobody to ask. */
static bool ask_for_file(struct transaction *t)
{
    struct edge_content *c = &t->content;
    c->token = outbox_want_file(t->s->edge, t->declared, on_file, t);
    return c->token != 0;
}

void content_begin(struct transaction *t)
{
    struct session *s = t->s;
    struct edge_content *c = &t->content;
    bool large = t->declared > s->gen->memory_max;
    if (!c->open && pn_memfile_init(&c->memory, "content", (size_t)s->gen->size_max) != 0) {
        turn_answer(s, PN_STR("451 4.3.2 No room for the message, try again later"));
        return;
    }
    c->open = true;
    if (!large || c->file != 0) {
        pn_smtp_server_accept(s->smtp);
        return;
    }
    c->data_due = ask_for_file(t);
    if (!c->data_due)
        turn_answer(s, PN_STR("452 4.3.1 No room for a message of this size, try again later"));
}

char *content_reserve(struct transaction *t, size_t n)
{
    const struct session *s = t->s;
    pn_assert(n <= PN_SMTP_RESERVE_MAX);
    if (s->counted && pn_cap_sum(s->edge->limits, PN_CAP_BYTES) + n > s->gen->flight_bytes_max)
        return NULL;
    return t->content.failed ? NULL : s->edge->scratch;
}

void content_commit(struct transaction *t, size_t n)
{
    struct session *s = t->s;
    struct edge_content *c = &t->content;
    struct pn_str bytes = {s->edge->scratch, n};
    bool ok = c->file != 0 ? pn_write_whole_at(c->rw, (struct pn_str){bytes.p, n}, c->len) == 0
                           : pn_memfile_write(&c->memory, bytes);
    c->failed = c->failed || !ok;
    c->len += n;
    if (s->counted) /* reserve asked; what is there by now is counted in any case */
        (void)pn_cap_take(s->edge->limits, PN_CAP_BYTES, n, UINT64_MAX);
    if (c->len > s->gen->memory_max && c->file == 0 && c->token == 0 && !c->failed)
        c->failed = !ask_for_file(t);
}

bool content_close(struct transaction *t)
{
    struct edge_content *c = &t->content;
    /* The end came with what went over the limit: memory will do. */
    if (c->token != 0)
        outbox_forget(t->s->edge, c->token);
    c->token = 0;
    return !c->failed && (c->file != 0 || pn_memfile_seal(&c->memory) == 0);
}

int content_fd(const struct transaction *t)
{
    return t->content.file != 0 ? t->content.ro : t->content.memory.fd;
}

bool content_header(const struct transaction *t, struct pn_str *header, struct pn_str *map)
{
    char *first = t->s->edge->scratch;
    *header = *map = PN_STR("");
    if (t->content.len == 0)
        return true;
    ssize_t n = pread(content_fd(t), first, HEADER_FIRST, 0);
    if (n < 0)
        return false;
    const char *end = memmem(first, (size_t)n, "\r\n\r\n", 4);
    *header = (struct pn_str){first, end == NULL ? (size_t)n : (size_t)(end - first) + 4};
    if (end != NULL || (uint64_t)n == t->content.len)
        return true;
    if (pn_map_fd(content_fd(t), false, map) != 0)
        return false;
    *header = *map;
    return true;
}

uint64_t content_file(const struct transaction *t)
{
    const struct edge_content *c = &t->content;
    return c->queue_serial == t->s->edge->queue_serial ? c->file : 0;
}

/* The bytes are wanted no more. */
static void drop(struct transaction *t)
{
    struct session *s = t->s;
    struct edge_content *c = &t->content;
    if (s->counted)
        pn_cap_give(s->edge->limits, PN_CAP_BYTES, c->len);
    if (c->file != 0) {
        (void)close(c->rw);
        (void)close(c->ro);
        if (!c->given && content_file(t) != 0)
            outbox_drop_file(s->edge, c->file);
    }
    if (c->open)
        pn_memfile_fini(&c->memory);
    c->file = 0;
}

/* The content's first bytes, to the end of another. */
static bool copy_header(struct transaction *t, size_t len, struct pn_memfile *to)
{
    while (to->len < len) {
        size_t want = len - to->len < PN_SMTP_RESERVE_MAX ? len - to->len : PN_SMTP_RESERVE_MAX;
        ssize_t n = pread(content_fd(t), t->s->edge->scratch, want, (off_t)to->len);
        if (n <= 0 || !pn_memfile_write(to, (struct pn_str){t->s->edge->scratch, (size_t)n}))
            return false;
    }
    return true;
}

void content_replace(struct transaction *t, size_t header, struct pn_str between,
                     struct pn_str body, void (*done)(struct transaction *t, bool kept))
{
    struct session *s = t->s;
    struct edge_content *c = &t->content;
    struct pn_memfile next = {.fd = -1};
    uint64_t len = header + between.len + body.len;
    bool room = len <= s->gen->size_max &&
                (!s->counted ||
                 pn_cap_sum(s->edge->limits, PN_CAP_BYTES) + len <= s->gen->flight_bytes_max) &&
                pn_memfile_init(&next, "content", (size_t)s->gen->size_max) == 0;
    if (!room || !copy_header(t, header, &next) || !pn_memfile_write(&next, between) ||
        !pn_memfile_write(&next, body)) {
        pn_memfile_fini(&next);
        done(t, false);
        return;
    }
    drop(t);
    c->memory = next;
    c->open = true;
    c->len = len;
    if (s->counted)
        (void)pn_cap_take(s->edge->limits, PN_CAP_BYTES, len, UINT64_MAX);
    c->replaced = done;
    if (len <= s->gen->memory_max || !ask_for_file(t))
        on_replaced(t);
}

void content_end(struct transaction *t)
{
    struct edge_content *c = &t->content;
    if (c->token != 0)
        outbox_forget(t->s->edge, c->token);
    drop(t);
}
