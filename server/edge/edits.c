/*
 * What plugins proposed, as far as the operator granted it: recipients more and less, another
 * reverse-path, another body. Done before anything is decided, so that each recipient that the
 * message then has gets its decision. Lines of the header come last (trace.c), since they
 * depend on what was decided.
 */
#include "edge.h"

#include "message.h"

#include <unistd.h>

static struct pn_verdict_edit *edit_at(struct transaction *t, size_t i)
{
    return &t->verdict.edits[i];
}

static bool is_made(struct transaction *t, size_t i, enum pn_fact_edit_op op)
{
    const struct pn_verdict_edit *e = edit_at(t, i);
    return e->refused.len == 0 && e->edit->op == op;
}

static bool counts(struct transaction *t, size_t i, const struct txn_rcpt *r)
{
    if (pn_verdict_edit_counts(&t->verdict, i, r->domain))
        return true;
    edit_at(t, i)->refused = PN_STR("the plugin does not count for this recipient");
    return false;
}

/* An address of a plugin's, looked at as one of a client's is. NULL, or why it is none. */
static const char *parse(const struct transaction *t, struct pn_str text,
                         struct pn_smtp_mailbox *out)
{
    if (text.len + 2 > PN_SMTP_PATH_MAX || !pn_smtp_mailbox_parse(text, out))
        return "501 5.1.3 This is no address";
    if (out->utf8 && !t->smtputf8)
        return "553 5.6.7 The address needs SMTPUTF8, which the client did not ask for";
    return NULL;
}

/* ---- recipients ---- */

static void go_on(struct transaction *t);

/* It has the edit's recipient, or will not have it: why. */
static void refuse_last(struct transaction *t, const char *why)
{
    edit_at(t, t->next_edit)->refused = pn_str_of(why);
    t->rcpt_count--;
}

static void on_verified(void *ctx, const struct pn_reply *reply)
{
    struct transaction *t = ctx;
    const char *refusal = rcpt_verified(t, reply);
    t->token = 0;
    if (refusal != NULL)
        refuse_last(t, refusal);
    else
        rcpt_remember(t, t->rcpt_count - 1);
    t->next_edit++;
    go_on(t);
}

/* Why the client could not have named it now; NULL: it could. */
static const char *refusal_of(struct transaction *t, struct pn_str text, struct txn_rcpt *r)
{
    struct session *s = t->s;
    struct pn_smtp_mailbox to;
    const char *why = parse(t, text, &to);
    if (why != NULL)
        return why;
    if (session_limited(s, PN_RATE_RCPT))
        return "451 4.7.1 Too many recipients from this client";
    rcpt_canonical(t, &to, r);
    return rcpt_refusal(t, r, &to);
}

/* True: the next hop is asked. */
static bool add(struct transaction *t, size_t i)
{
    struct txn_rcpt r = {.added = true, .edit = (uint32_t)i};
    const char *why = refusal_of(t, edit_at(t, i)->edit->value, &r);
    struct txn_rcpt *there = why == NULL ? rcpt_taken(t, r.address) : NULL;
    if (why == NULL && !counts(t, i, &r))
        return false;
    if (there != NULL) { /* once is enough */
        there->removed = false;
        return false;
    }
    if (why == NULL && t->rcpt_count - t->refused_count >= t->s->gen->smtp[0].rcpt_max)
        why = "452 4.5.3 Too many recipients";
    if (why != NULL) {
        edit_at(t, i)->refused = pn_str_of(why);
        return false;
    }
    struct txn_rcpt *added = txn_add_rcpt(t, &r);
    if (!rcpt_must_verify(added)) {
        rcpt_remember(t, t->rcpt_count - 1);
        return false;
    }
    rcpt_verify(t, added, on_verified);
    return true;
}

static void take_away(struct transaction *t, size_t i)
{
    struct pn_smtp_mailbox to;
    struct txn_rcpt r = {.refused = false};
    const char *why = parse(t, edit_at(t, i)->edit->value, &to);
    if (why == NULL)
        rcpt_canonical(t, &to, &r);
    struct txn_rcpt *there = r.address.p == NULL ? NULL : rcpt_taken(t, r.address);
    if (there == NULL || there->removed) {
        edit_at(t, i)->refused = PN_STR("the message has no such recipient");
    } else if (counts(t, i, there)) {
        there->removed = true;
        there->edit = (uint32_t)i;
    }
}

/* ---- sender and body ---- */

/* The last one counts. */
static void change_sender(struct transaction *t)
{
    struct pn_verdict_edit *last = NULL;
    t->onward = t->from;
    for (size_t i = 0; i < t->verdict.edit_count; i++) {
        struct pn_smtp_mailbox from;
        struct pn_verdict_edit *e = edit_at(t, i);
        struct pn_buf b;
        if (!is_made(t, i, PN_FACT_CHANGE_FROM))
            continue;
        const char *why = e->edit->value.len == 0 ? NULL : parse(t, e->edit->value, &from);
        if (why != NULL) {
            e->refused = pn_str_of(why);
            continue;
        }
        if (last != NULL)
            last->refused = PN_STR("another one came later");
        last = e;
        pn_buf_init(&b, PN_SMTP_PATH_MAX + 2);
        if (e->edit->value.len != 0)
            pn_smtp_mailbox_canonical(&b, &from);
        t->onward = b.len == 0 ? PN_STR("") : pn_pool_dup(t->pool, pn_buf_str(&b));
        pn_buf_fini(&b);
    }
}

static void look_at_body(struct transaction *t)
{
    struct pn_new_body *body = &t->body;
    size_t edit = 0;
    int fd = t->s->check == NULL ? -1 : pn_check_body(t->s->check, &edit);
    t->body_end = pn_verdict_body(&t->verdict, fd, edit, t->pool, body);
}

/* ---- all of it ---- */

static void go_on(struct transaction *t)
{
    for (; t->next_edit < t->verdict.edit_count; t->next_edit++) {
        if (is_made(t, t->next_edit, PN_FACT_REMOVE_RCPT))
            take_away(t, t->next_edit);
        else if (is_made(t, t->next_edit, PN_FACT_ADD_RCPT) && add(t, t->next_edit))
            return;
    }
    t->edits_done(t);
}

bool edits_begin(struct transaction *t, void (*done)(struct transaction *t))
{
    if (!pn_verdict_edits(&t->verdict, t->pool))
        return false;
    change_sender(t);
    look_at_body(t);
    t->next_edit = 0;
    t->edits_done = done;
    go_on(t);
    return true;
}

/* ---- the body, once it is known that somebody gets it ---- */

/* Where the body begins, and whether an empty line stands before it. */
static bool header_of(struct transaction *t, size_t *len, bool *ended)
{
    struct pn_str content, map;
    *len = 0;
    *ended = false;
    if (!content_header(t, &content, &map))
        return false;
    struct pn_message *m = pn_message_new(content, NULL);
    if (m != NULL) {
        *len = pn_message_part(m, 0)->body;
        struct pn_str header = pn_str_slice(content, 0, *len);
        *ended = pn_str_eq(header, PN_STR("\r\n")) || pn_str_ends(header, PN_STR("\r\n\r\n"));
    }
    bool read = m != NULL;
    pn_message_free(&m);
    pn_unmap(&map);
    return read;
}

void edits_content(struct transaction *t, void (*done)(struct transaction *t, bool kept))
{
    size_t len;
    bool ended;
    if (t->body_end == PN_BODY_STAYS) {
        done(t, true);
    } else if (t->body_end == PN_BODY_BROKEN || !header_of(t, &len, &ended)) {
        done(t, false);
    } else {
        t->eight = t->body.eight;
        content_replace(t, len, ended ? PN_STR("") : PN_STR("\r\n"), t->body.bytes, done);
    }
}

void edits_end(struct transaction *t)
{
    pn_unmap(&t->body.bytes);
}
