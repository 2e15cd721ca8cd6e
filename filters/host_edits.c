/* What a plugin proposes to change. Checked here so that it is told at once; who applies it
 * checks it again. */
#include "host.h"

#include "handover.h"

enum { ADDRESS_MAX = 512, EDIT_VALUE_MAX = 16 * 1024 };

static bool header_name_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == ':')
            return false;
    return s.len > 0 && s.len <= 76;
}

/* Lines of it are lines of text, and each but the first is a fold. */
static bool header_value_ok(struct pn_str value)
{
    if (value.len > EDIT_VALUE_MAX || !pn_header_value_ok(value))
        return false;
    for (struct pn_str rest = value; rest.p != NULL;) {
        struct pn_str line = pn_str_split(&rest, '\n');
        if (rest.p != NULL)
            line.len--; /* its CR */
        if (!host_line_ok(line))
            return false;
    }
    return true;
}

/* All edits of a call are made, or none: a part of them may be worse than nothing. */
static int drop_edits(struct host_call *h)
{
    h->edits_dropped = true;
    h->facts->edit_count = h->facts->edit_bytes = 0;
    return POSTERN_LIMIT;
}

static int propose(struct postern_call *c, enum pn_fact_edit_op op, struct postern_str name,
                   struct postern_str value, size_t index)
{
    struct host_call *h = host_of(c);
    struct pn_fact_edit edit = {.op = op,
                                .plugin = pn_str_of(h->plugin->desc->name),
                                .name = host_view(name),
                                .value = host_view(value),
                                .index = (uint32_t)index};
    if (index > UINT32_MAX)
        return POSTERN_INVALID;
    if (h->edits_dropped || !pn_facts_add_edit(h->facts, &edit))
        return drop_edits(h);
    return POSTERN_OK;
}

static int propose_field(struct postern_call *c, enum pn_fact_edit_op op, struct postern_str name,
                         struct postern_str value, size_t index)
{
    if (!header_name_ok(host_view(name)) || !header_value_ok(host_view(value)))
        return POSTERN_INVALID;
    return propose(c, op, name, value, index);
}

/* The message is there, and it is not too late. */
static bool may_edit(struct postern_call *c)
{
    unsigned stage = host_of(c)->step->stage;
    return stage == POSTERN_HEADERS || stage == POSTERN_MESSAGE;
}

int host_add_header(struct postern_call *c, struct postern_str name, struct postern_str value)
{
    return propose_field(c, PN_FACT_ADD_HEADER, name, value, 0);
}

int host_remove_header(struct postern_call *c, struct postern_str name, size_t n)
{
    return propose_field(c, PN_FACT_REMOVE_HEADER, name, POSTERN_STR(""), n);
}

int host_insert_header(struct postern_call *c, size_t position, struct postern_str name,
                       struct postern_str value)
{
    if (!may_edit(c))
        return POSTERN_INVALID;
    return propose_field(c, PN_FACT_INSERT_HEADER, name, value, position);
}

int host_change_header(struct postern_call *c, struct postern_str name, size_t n,
                       struct postern_str value)
{
    if (!may_edit(c))
        return POSTERN_INVALID;
    return propose_field(c, PN_FACT_CHANGE_HEADER, name, value, n);
}

/* ---- the body */

/* CR and LF together, NUL nowhere; a CR at the end waits for the next chunk. */
static bool chunk_ok(struct pn_str chunk, bool after_cr)
{
    if (memchr(chunk.p, '\0', chunk.len) != NULL)
        return false;
    for (size_t i = 0; i < chunk.len; i++) {
        bool cr = i == 0 ? after_cr : chunk.p[i - 1] == '\r';
        if (cr != (chunk.p[i] == '\n'))
            return false;
    }
    return true;
}

/* The edit that stands for the new body in this call's facts; NULL: none yet. */
static struct pn_fact_edit *body_edit(struct pn_facts *f)
{
    for (size_t i = f->edit_count; i-- > 0;)
        if (f->edits[i].op == PN_FACT_REPLACE_BODY)
            return &f->edits[i];
    return NULL;
}

static bool write_body(struct host_call *h, struct pn_str chunk)
{
    if (h->body == NULL)
        return true;
    return (h->body->fd >= 0 || pn_memfile_init(h->body, "body", h->body_max) == 0) &&
           pn_memfile_write(h->body, chunk);
}

int host_replace_body(struct postern_call *c, struct postern_str piece)
{
    struct host_call *h = host_of(c);
    struct pn_str chunk = host_view(piece);
    if (!may_edit(c) || !chunk_ok(chunk, h->body_cr))
        return POSTERN_INVALID;
    struct pn_fact_edit *edit = body_edit(h->facts);
    if (edit == NULL) {
        int rc = propose(c, PN_FACT_REPLACE_BODY, POSTERN_STR(""), POSTERN_STR(""), 0);
        if (rc != POSTERN_OK)
            return rc;
        edit = body_edit(h->facts);
    }
    if (chunk.len > h->body_max || edit->index > h->body_max - chunk.len || !write_body(h, chunk)) {
        edit->index = PN_FACT_BODY_BROKEN; /* a plugin that goes on must not cut a body short */
        return POSTERN_LIMIT;
    }
    edit->index += (uint32_t)chunk.len;
    if (chunk.len != 0)
        h->body_cr = chunk.p[chunk.len - 1] == '\r';
    return POSTERN_OK;
}

/* ---- the envelope */

/* A line with an @; what the parts are is the core's to see. */
static bool address_ok(struct pn_str s)
{
    return s.len <= ADDRESS_MAX && host_line_ok(s) && memchr(s.p, '\t', s.len) == NULL &&
           memchr(s.p, '@', s.len) != NULL;
}

int host_change_from(struct postern_call *c, struct postern_str address)
{
    if (!may_edit(c) || (address.len != 0 && !address_ok(host_view(address))))
        return POSTERN_INVALID;
    return propose(c, PN_FACT_CHANGE_FROM, POSTERN_STR(""), address, 0);
}

static int recipient(struct postern_call *c, enum pn_fact_edit_op op, struct postern_str address)
{
    if (!may_edit(c) || !address_ok(host_view(address)))
        return POSTERN_INVALID;
    return propose(c, op, POSTERN_STR(""), address, 0);
}

int host_add_rcpt(struct postern_call *c, struct postern_str address)
{
    return recipient(c, PN_FACT_ADD_RCPT, address);
}

int host_remove_rcpt(struct postern_call *c, struct postern_str address)
{
    return recipient(c, PN_FACT_REMOVE_RCPT, address);
}
