/* A mail: its commands, its content, the replies that settle its recipients. */
#include "assert.h"
#include "client_int.h"
#include "content_scan.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* One write of content: so many pieces, so many bytes. */
enum { PARTS_MAX = 64, WRITE_MAX = 256 * 1024 };

static const struct pn_smtp_reply
    no_utf8 = PN_SMTP_REPLY_INIT(553, 5, 6, 7, "The next hop does not take SMTPUTF8"),
    no_8bit = PN_SMTP_REPLY_INIT(554, 5, 6, 3,
                                 "Conversion required but not supported: the next hop does not "
                                 "take 8-bit content (8BITMIME)"),
    too_large = PN_SMTP_REPLY_INIT(552, 5, 3, 4, "Message too large for the next hop"),
    bad_address = PN_SMTP_REPLY_INIT(553, 5, 1, 3, "Not an address that SMTP can carry"),
    odd_data = PN_SMTP_REPLY_INIT(451, 4, 5, 0, "The peer answered DATA out of turn");

static size_t step_data(const struct pn_smtp_client *c)
{
    return SMTP_STEP_RCPT + c->mail.to_count;
}

enum pn_smtp_from smtp_client_awaits(const struct pn_smtp_client *c)
{
    switch (c->state) {
    case SMTP_C_GREETING:
        return PN_SMTP_FROM_GREETING;
    case SMTP_C_EHLO:
    case SMTP_C_HELO:
        return PN_SMTP_FROM_HELLO;
    case SMTP_C_STARTTLS:
    case SMTP_C_HANDSHAKE:
        return PN_SMTP_FROM_STARTTLS;
    case SMTP_C_AUTH:
        return PN_SMTP_FROM_AUTH;
    case SMTP_C_COMMANDS:
        return c->answered <= SMTP_STEP_MAIL ? PN_SMTP_FROM_MAIL
               : c->answered < step_data(c)  ? PN_SMTP_FROM_RCPT
                                             : PN_SMTP_FROM_DATA;
    case SMTP_C_CONTENT:
        return PN_SMTP_FROM_CONTENT;
    case SMTP_C_QUIT:
        return PN_SMTP_FROM_QUIT;
    case SMTP_C_LOGIN:
    case SMTP_C_READY:
    case SMTP_C_HELD:
    case SMTP_C_ENDED:
        break;
    }
    return PN_SMTP_FROM_US;
}

/* ---- recipients */

static void settle(struct pn_smtp_client *c, size_t i, enum pn_smtp_from from,
                   const struct pn_smtp_reply *reply)
{
    pn_assert(c->rcpts[i] != SMTP_RCPT_SETTLED);
    c->taken -= c->rcpts[i] == SMTP_RCPT_TAKEN;
    c->rcpts[i] = SMTP_RCPT_SETTLED;
    c->ops->rcpt(c->ctx, i, from, reply);
}

void smtp_client_settle_all(struct pn_smtp_client *c, enum pn_smtp_from from,
                            const struct pn_smtp_reply *reply)
{
    for (size_t i = 0; i < c->mail.to_count; i++)
        if (c->rcpts[i] != SMTP_RCPT_SETTLED)
            settle(c, i, from, reply);
}

/* `done` may send the next mail, and that be done at once: a loop, not a recursion. */
static void finish(struct pn_smtp_client *c)
{
    free(c->rcpts);
    c->rcpts = NULL;
    c->state = SMTP_C_READY;
    c->again = true;
    if (c->finishing)
        return;
    c->finishing = true;
    while (c->again) {
        c->again = false;
        c->ops->done(c->ctx, true);
    }
    c->finishing = false;
}

/* ---- commands */

static uint64_t content_size(const struct pn_smtp_outgoing *mail)
{
    uint64_t size = 0;
    for (size_t i = 0; i < mail->content_count; i++)
        size += mail->content[i].len;
    return size;
}

/* SMTPUTF8 stands with MAIL. */
static bool says_utf8(const struct pn_smtp_client *c)
{
    return c->mail.smtputf8 && c->offer.smtputf8;
}

static void put_mail(struct pn_smtp_client *c)
{
    (void)pn_buf_addf(&c->out, "MAIL FROM:<%.*s>", PN_FMT(c->mail.from));
    if (c->offer.sizes && !c->mail.probe && !c->mail.held)
        (void)pn_buf_addf(&c->out, " SIZE=%" PRIu64, content_size(&c->mail));
    if (c->mail.body_8bit && c->offer.eightbit)
        (void)pn_buf_addz(&c->out, " BODY=8BITMIME");
    if (says_utf8(c))
        (void)pn_buf_addz(&c->out, " SMTPUTF8");
    if (c->offer.dsn && c->mail.dsn.ret != 0)
        (void)pn_buf_addf(&c->out, " RET=%s", pn_smtp_ret_name(c->mail.dsn.ret));
    if (c->offer.dsn && c->mail.dsn.envid.len != 0)
        (void)pn_buf_addf(&c->out, " ENVID=%.*s", PN_FMT(c->mail.dsn.envid));
    (void)pn_buf_addz(&c->out, "\r\n");
}

static void put_rcpt(struct pn_smtp_client *c, size_t i)
{
    static const struct pn_smtp_dsn_rcpt none = {0};
    const struct pn_smtp_dsn_rcpt *dsn =
        c->offer.dsn && c->mail.dsn_to != NULL ? &c->mail.dsn_to[i] : &none;
    (void)pn_buf_addf(&c->out, "RCPT TO:<%.*s>", PN_FMT(c->mail.to[i]));
    if (dsn->notify != 0) {
        (void)pn_buf_addz(&c->out, " NOTIFY=");
        pn_smtp_notify_put(&c->out, dsn->notify);
    }
    if (dsn->orcpt.len != 0) {
        (void)pn_buf_addz(&c->out, " ORCPT=");
        if (says_utf8(c))
            (void)pn_buf_adds(&c->out, dsn->orcpt);
        else
            pn_smtp_orcpt_put_ascii(&c->out, dsn->orcpt);
    }
    (void)pn_buf_addz(&c->out, "\r\n");
}

static void put_step(struct pn_smtp_client *c, size_t step)
{
    if (step == SMTP_STEP_RSET)
        (void)pn_buf_addz(&c->out, "RSET\r\n");
    else if (step == SMTP_STEP_MAIL)
        put_mail(c);
    else if (step < step_data(c))
        put_rcpt(c, step - SMTP_STEP_RCPT);
    else
        (void)pn_buf_addz(&c->out, "DATA\r\n");
    if (c->out.len > c->out.max / 2)
        smtp_client_flush(c);
}

/* Sends what may be sent: with PIPELINING all, without it one and then its reply. */
static void send_steps(struct pn_smtp_client *c)
{
    bool data = !c->chunk && !c->mail.probe && !c->mail.held;
    size_t end = step_data(c) + data;
    while (c->sent < end && (c->offer.pipelining || c->sent == c->answered))
        put_step(c, c->sent++);
    smtp_client_flush(c);
}

static void begin_content(struct pn_smtp_client *c)
{
    c->state = SMTP_C_CONTENT;
    c->segment = c->offset = c->next_rcpt = 0;
    c->line_start = true;
    c->stuffed = c->sent_all = false;
    if (c->chunk)
        (void)pn_buf_addf(&c->out, "BDAT %" PRIu64 " LAST\r\n", content_size(&c->mail));
    smtp_client_content(c);
}

static bool address_ok(struct pn_str address, bool utf8)
{
    for (size_t i = 0; i < address.len; i++) {
        unsigned char byte = (unsigned char)address.p[i];
        if (byte < ' ' || byte == 127 || (byte > 127 && !utf8))
            return false;
    }
    return address.len <= PN_SMTP_REPLY_TEXT_MAX;
}

/* Looked for only where the next hop can't take it: most can. */
static bool has_8bit(const struct pn_smtp_outgoing *mail)
{
    bool ascii = true;
    for (size_t i = 0; ascii && i < mail->content_count; i++)
        ascii = pn_str_is_ascii(mail->content[i]);
    return !ascii;
}

/* Up to the header's end, which may lie across segments. */
static bool header_has_8bit(const struct pn_smtp_outgoing *mail)
{
    bool empty = true; /* so far, the line at hand */
    for (size_t i = 0; i < mail->content_count; i++) {
        struct pn_str s = mail->content[i];
        for (size_t at = 0; at < s.len; at++) {
            if ((unsigned char)s.p[at] > 127)
                return true;
            if (s.p[at] == '\n' && empty)
                return false;
            empty = s.p[at] == '\n' || (s.p[at] == '\r' && empty);
        }
    }
    return false;
}

static bool needs_utf8(const struct pn_smtp_outgoing *mail)
{
    bool ascii = pn_str_is_ascii(mail->from);
    for (size_t i = 0; ascii && i < mail->to_count; i++)
        ascii = pn_str_is_ascii(mail->to[i]);
    return !ascii || header_has_8bit(mail);
}

/* Why this mail can't go here, or NULL. */
static const struct pn_smtp_reply *unfit(const struct pn_smtp_client *c)
{
    const struct pn_smtp_outgoing *mail = &c->mail;
    if (mail->smtputf8 && !c->offer.smtputf8 && needs_utf8(mail))
        return &no_utf8;
    if (c->offer.size != 0 && content_size(mail) > c->offer.size)
        return &too_large;
    if (!c->offer.eightbit && has_8bit(mail))
        return &no_8bit;
    bool ok = address_ok(mail->from, mail->smtputf8);
    for (size_t i = 0; ok && i < mail->to_count; i++)
        ok = address_ok(mail->to[i], mail->smtputf8);
    return ok ? NULL : &bad_address;
}

void pn_smtp_client_send(struct pn_smtp_client *c, const struct pn_smtp_outgoing *mail)
{
    pn_assert(c->state == SMTP_C_READY && mail->to_count != 0);
    c->mail = *mail;
    c->rcpts = pn_calloc(mail->to_count, sizeof *c->rcpts);
    c->taken = 0;
    c->mail_taken = c->sent_all = false;
    const struct pn_smtp_reply *no = unfit(c);
    if (no != NULL) {
        smtp_client_settle_all(c, PN_SMTP_FROM_US, no);
        finish(c);
        return;
    }
    c->state = SMTP_C_COMMANDS;
    c->chunk = c->offer.chunking && !c->config.no_chunking;
    c->sent = c->answered = c->need_rset ? SMTP_STEP_RSET : SMTP_STEP_MAIL;
    send_steps(c);
}

/* ---- replies */

/* No content will go: the mail is over. */
static bool give_up(struct pn_smtp_client *c)
{
    c->need_rset = c->mail_taken;
    finish(c);
    return true;
}

static bool data_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    unsigned class = pn_smtp_reply_class(reply);
    if (class == 2) {
        smtp_client_end(c, PN_SMTP_END_PROTOCOL, PN_SMTP_FROM_US, &odd_data);
        return false;
    }
    if (class != 3) {
        smtp_client_settle_all(c, PN_SMTP_FROM_DATA, reply);
        return give_up(c);
    }
    if (c->taken == 0)
        c->mail.content_count = 0; /* pipelined for nothing: nothing it gets */
    begin_content(c);
    return true;
}

/* All that can be known before the content is: to send it, or not. */
static bool commands_answered(struct pn_smtp_client *c)
{
    if (c->taken == 0)
        return give_up(c);
    begin_content(c);
    return true;
}

static void rcpt_taken(struct pn_smtp_client *c, size_t i, const struct pn_smtp_reply *reply)
{
    c->rcpts[i] = SMTP_RCPT_TAKEN;
    c->taken++;
    if (c->mail.held)
        c->ops->taken(c->ctx, i, reply);
}

/* A held mail goes on to its next command, or waits for its owner. */
static void hold(struct pn_smtp_client *c)
{
    if (c->answered == step_data(c))
        c->state = SMTP_C_HELD;
    else
        send_steps(c);
}

static bool command_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    size_t step = c->answered++;
    bool yes = pn_smtp_reply_class(reply) == 2;
    if (step == step_data(c))
        return data_answered(c, reply);
    if (step == SMTP_STEP_MAIL) {
        c->mail_taken = yes;
        if (!yes)
            smtp_client_settle_all(c, PN_SMTP_FROM_MAIL, reply);
    } else if (step >= SMTP_STEP_RCPT && c->mail_taken) {
        if (!yes || c->mail.probe)
            settle(c, step - SMTP_STEP_RCPT, PN_SMTP_FROM_RCPT, reply);
        else
            rcpt_taken(c, step - SMTP_STEP_RCPT, reply);
    }
    if (c->mail.held && c->mail_taken) {
        hold(c);
        return true;
    }
    /* Without PIPELINING: is there a reason to go on? */
    bool hopeless = step == SMTP_STEP_MAIL ? !yes : c->answered == step_data(c) && c->taken == 0;
    if (hopeless && c->sent == c->answered)
        return give_up(c);
    if (c->chunk && c->answered == step_data(c))
        return commands_answered(c);
    send_steps(c);
    return true;
}

static bool content_answered(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    if (!c->sent_all) {
        /* Before all was sent: what follows could only be taken for commands. */
        smtp_client_end(c, PN_SMTP_END_REFUSED, PN_SMTP_FROM_CONTENT, reply);
        return false;
    }
    c->need_rset = false;
    if (!c->config.lmtp || c->taken == 0) {
        smtp_client_settle_all(c, PN_SMTP_FROM_CONTENT, reply);
        finish(c);
        return true;
    }
    while (c->rcpts[c->next_rcpt] != SMTP_RCPT_TAKEN)
        c->next_rcpt++;
    settle(c, c->next_rcpt, PN_SMTP_FROM_CONTENT, reply);
    if (c->taken == 0)
        finish(c);
    return true;
}

bool smtp_client_mail_reply(struct pn_smtp_client *c, const struct pn_smtp_reply *reply)
{
    return c->state == SMTP_C_COMMANDS ? command_answered(c, reply) : content_answered(c, reply);
}

/* ---- a held mail */

bool pn_smtp_client_is_held(const struct pn_smtp_client *c)
{
    return c->state == SMTP_C_HELD;
}

void pn_smtp_client_hold_rcpt(struct pn_smtp_client *c)
{
    static const struct pn_smtp_reply bad =
        PN_SMTP_REPLY_INIT(553, 5, 1, 3, "Not an address that this next hop takes");
    pn_assert(c->state == SMTP_C_HELD);
    size_t i = c->mail.to_count++;
    uint8_t *rcpts = pn_calloc(c->mail.to_count, sizeof *rcpts);
    memcpy(rcpts, c->rcpts, i);
    free(c->rcpts);
    c->rcpts = rcpts;
    if (unfit(c) != NULL) {
        c->sent++;
        c->answered++;
        settle(c, i, PN_SMTP_FROM_US, &bad);
        return;
    }
    c->state = SMTP_C_COMMANDS;
    send_steps(c);
}

void pn_smtp_client_hold_content(struct pn_smtp_client *c, const struct pn_str *content,
                                 size_t count)
{
    pn_assert(c->state == SMTP_C_HELD && c->taken != 0);
    c->mail.held = false;
    c->mail.content = content;
    c->mail.content_count = count;
    const struct pn_smtp_reply *no = unfit(c);
    if (no != NULL) {
        smtp_client_settle_all(c, PN_SMTP_FROM_US, no);
        (void)give_up(c);
    } else if (c->chunk) {
        begin_content(c);
    } else {
        c->state = SMTP_C_COMMANDS;
        send_steps(c);
    }
}

void pn_smtp_client_hold_drop(struct pn_smtp_client *c)
{
    static const struct pn_smtp_reply dropped =
        PN_SMTP_REPLY_INIT(451, 4, 3, 0, "The message was not sent");
    pn_assert(c->state == SMTP_C_HELD);
    smtp_client_settle_all(c, PN_SMTP_FROM_US, &dropped);
    (void)give_up(c);
}

bool pn_smtp_client_sent(const struct pn_smtp_client *c)
{
    return c->sent_all;
}

/* ---- content */

struct pieces {
    struct pn_str parts[PARTS_MAX];
    size_t count;
    size_t bytes;
};

static void add(struct pieces *out, struct pn_str part)
{
    out->parts[out->count++] = part;
    out->bytes += part.len;
}

/* The next piece of the segment at hand: up to its end, or to a dot to be doubled. */
static void add_piece(struct pn_smtp_client *c, struct pn_str segment, struct pieces *out)
{
    struct pn_str view = pn_str_slice(segment, 0, c->offset + (WRITE_MAX - out->bytes));
    size_t dot = SIZE_MAX;
    if (!c->chunk)
        dot = pn_smtp_dot_find(view, c->stuffed ? c->offset + 1 : c->offset, c->line_start);
    c->stuffed = dot == c->offset;
    if (c->stuffed) {
        add(out, PN_STR("."));
        return;
    }
    struct pn_str piece = pn_str_slice(view, c->offset, dot);
    add(out, piece);
    c->offset += piece.len;
    c->line_start = piece.p[piece.len - 1] == '\n';
}

static void gather(struct pn_smtp_client *c, struct pieces *out)
{
    if (c->out.len != 0)
        add(out, pn_buf_str(&c->out)); /* BDAT's line */
    while (c->segment < c->mail.content_count && out->count < PARTS_MAX - 2 &&
           out->bytes < WRITE_MAX) {
        struct pn_str segment = c->mail.content[c->segment];
        if (c->offset < segment.len) {
            add_piece(c, segment, out);
        } else {
            c->segment++;
            c->offset = 0;
        }
    }
    c->sent_all = c->segment == c->mail.content_count;
    if (c->sent_all && !c->chunk && !c->line_start)
        add(out, PN_STR("\r\n"));
    if (c->sent_all && !c->chunk)
        add(out, PN_STR(".\r\n"));
}

void smtp_client_content(struct pn_smtp_client *c)
{
    bool more = true;
    while (more && !c->sent_all) {
        struct pieces out = {.count = 0};
        gather(c, &out);
        more = out.count == 0 || c->ops->write(c->ctx, out.parts, out.count);
        pn_buf_clear(&c->out);
    }
}

void pn_smtp_client_drained(struct pn_smtp_client *c)
{
    if (c->state == SMTP_C_CONTENT)
        smtp_client_content(c);
}
