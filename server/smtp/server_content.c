/* DATA and BDAT: content from the input through the scanner into the owner's room. */
#include "server_int.h"

/* What is scanned at once; normalizing may double it. */
enum { PIECE = (PN_SMTP_RESERVE_MAX - 2) / 2 };

static const struct pn_smtp_reply taken = PN_SMTP_REPLY_INIT(250, 2, 0, 0, "Ok, message accepted"),
                                  chunk_taken =
                                      PN_SMTP_REPLY_INIT(250, 2, 0, 0, "Ok, chunk accepted"),
                                  too_large = PN_SMTP_REPLY_INIT(552, 5, 3, 4, "Message too large"),
                                  no_room = {
                                      452, {4, 3, 1}, PN_STR_INIT("No room for this message now")};

/* By enum pn_smtp_fault. */
static const struct pn_smtp_reply faults[] = {
    [PN_SMTP_FAULT_BARE_CR] =
        PN_SMTP_REPLY_INIT(550, 5, 6, 0, "Message refused: it holds a bare CR (RFC 5321, 2.3.8)"),
    [PN_SMTP_FAULT_BARE_LF] =
        PN_SMTP_REPLY_INIT(550, 5, 6, 0, "Message refused: it holds a bare LF (RFC 5321, 2.3.8)"),
    [PN_SMTP_FAULT_NUL] =
        PN_SMTP_REPLY_INIT(550, 5, 6, 0, "Message refused: it holds a NUL (RFC 5322, 3.5)"),
};

static void begin(struct pn_smtp_server *s, bool dots)
{
    s->scan = pn_smtp_scan_begin(dots, s->config->normalize);
    s->trouble = NULL;
    s->wasted = 0;
    s->info.size = 0;
    s->info.eight = false;
}

static void stage_content(struct pn_smtp_server *s, const struct smtp_args *args)
{
    (void)args;
    s->ops->content(s->ctx);
}

/* The owner's answer, whichever it is; in LMTP one of several: none may get another's place,
 * as that of one error too many would take. */
static void proceed_content(struct pn_smtp_server *s, const struct pn_smtp_reply *answer)
{
    if (answer == NULL)
        answer = &taken;
    if (pn_smtp_reply_class(answer) == 2)
        s->info.errors = s->idle = 0;
    if (s->config->lmtp)
        smtp_reply(s, answer);
    else
        smtp_answered(s, answer);
    if (--s->answers != 0) {
        s->waiting = &smtp_content;
        s->info.waiting = true;
        return;
    }
    smtp_transaction_end(s);
}

const struct smtp_command smtp_content = {
    .name = PN_STR_INIT("content"), .stage = stage_content, .proceed = proceed_content};

/* All of it was read: ask the owner, or say what is wrong, once a recipient in LMTP. */
static void finish(struct pn_smtp_server *s)
{
    s->answers = s->config->lmtp ? s->info.rcpts : 1;
    if (s->trouble == NULL) {
        smtp_ask(s, &smtp_content, NULL);
        return;
    }
    if (s->config->lmtp)
        smtp_refuse_each(s, smtp_content.name, s->trouble, s->answers);
    else
        smtp_refuse(s, smtp_content.name, s->trouble);
    smtp_transaction_end(s);
}

static void chunk_end(struct pn_smtp_server *s)
{
    s->info.content = false;
    if (s->chunk_skip) {
        /* Its refusal is written already. */
        if (s->chunk_last || !s->info.mail)
            smtp_transaction_end(s);
        return;
    }
    if (s->chunk_last)
        pn_smtp_scan_last(&s->scan);
    if (s->scan.fault != PN_SMTP_FAULT_NONE && s->trouble == NULL)
        s->trouble = &faults[s->scan.fault];
    if (s->chunk_last) {
        finish(s);
    } else if (s->trouble != NULL) {
        s->bdat_failed = true;
        smtp_refuse(s, PN_STR("BDAT"), s->trouble);
    } else {
        smtp_reply(s, &chunk_taken);
    }
}

void smtp_data_begin(struct pn_smtp_server *s)
{
    begin(s, true);
    s->info.content = s->info.content_begun = true;
    s->chunk = false;
}

void smtp_chunk_begin(struct pn_smtp_server *s)
{
    s->info.content = s->info.content_begun = s->chunk = true;
    if (!s->chunk_skip && !s->bdat) {
        begin(s, false);
        s->bdat = true;
    }
    if (s->chunk_skip)
        s->wasted = 0;
    if (s->chunk_left == 0)
        chunk_end(s);
}

/* Who sends four times what we take, after it was clear that we don't, is cut off. */
static void waste(struct pn_smtp_server *s, size_t n)
{
    s->wasted += n;
    if (s->wasted / 4 <= s->config->size_max)
        return;
    if (s->trouble != NULL)
        smtp_refuse(s, smtp_content.name, s->trouble);
    s->closing = true;
}

/* How many bytes of in were read: all, or up to the end of DATA. */
static size_t store(struct pn_smtp_server *s, struct pn_str in)
{
    char *out = NULL;
    if (s->trouble == NULL) {
        out = s->ops->reserve(s->ctx, pn_smtp_scan_room(&s->scan, in.len));
        s->trouble = out == NULL ? &no_room : NULL;
    }
    struct pn_smtp_scanned done = pn_smtp_scan(&s->scan, in, out);
    s->info.eight = s->scan.eight;
    if (done.written > s->config->size_max - s->info.size) {
        s->trouble = &too_large;
    } else if (done.written != 0) {
        s->ops->commit(s->ctx, done.written);
        s->info.size += done.written;
    }
    if (s->trouble == NULL && s->scan.fault != PN_SMTP_FAULT_NONE)
        s->trouble = &faults[s->scan.fault];
    if (s->trouble != NULL)
        waste(s, done.read);
    return done.read;
}

static size_t data_input(struct pn_smtp_server *s, struct pn_str bytes)
{
    size_t n = store(s, pn_str_slice(bytes, 0, PIECE));
    s->info.octets += n;
    if (s->scan.state == PN_SMTP_SCAN_END && !s->closing) {
        s->info.content = false;
        finish(s);
    }
    return n;
}

static size_t chunk_input(struct pn_smtp_server *s, struct pn_str bytes)
{
    size_t n = bytes.len < PIECE ? bytes.len : PIECE;
    if (n > s->chunk_left)
        n = (size_t)s->chunk_left;
    if (s->chunk_skip)
        waste(s, n);
    else
        (void)store(s, pn_str_slice(bytes, 0, n));
    s->chunk_left -= n;
    s->info.octets += n;
    if (s->chunk_left == 0 && !s->closing)
        chunk_end(s);
    return n;
}

size_t smtp_content_input(struct pn_smtp_server *s, struct pn_str bytes)
{
    return s->chunk ? chunk_input(s, bytes) : data_input(s, bytes);
}
