/* The engine's loop: lines to rows, rows to the owner, answers back. */
#include "server.h"

#include "assert.h"
#include "mem.h"
#include "server_int.h"

#include <stdlib.h>

/* Replies gather up to the first; what one reply adds fits the rest. */
enum { OUT_ENOUGH = 16 * 1024, OUT_MAX = 2 * OUT_ENOUGH };

static const struct pn_smtp_reply
    line_long = PN_SMTP_REPLY_INIT(500, 5, 5, 2, "Line too long"),
    line_bare_lf = PN_SMTP_REPLY_INIT(500, 5, 5, 2, "Lines end with CR LF, not with a bare LF"),
    line_control = PN_SMTP_REPLY_INIT(500, 5, 5, 2, "Control characters are not allowed here"),
    unknown_command = PN_SMTP_REPLY_INIT(500, 5, 5, 1, "Unknown command"),
    foreign = PN_SMTP_REPLY_INIT(502, 5, 5, 1, "This is a mail server"),
    need_helo = PN_SMTP_REPLY_INIT(503, 5, 5, 1, "Say EHLO first"),
    need_lhlo = PN_SMTP_REPLY_INIT(503, 5, 5, 1, "Say LHLO first"),
    need_mail = PN_SMTP_REPLY_INIT(503, 5, 5, 1, "Give MAIL first"),
    no_mail = PN_SMTP_REPLY_INIT(503, 5, 5, 1, "Not inside a mail transaction"),
    no_args = PN_SMTP_REPLY_INIT(501, 5, 5, 4, "This command takes no argument"),
    only_quit = PN_SMTP_REPLY_INIT(503, 5, 7, 0, "No service for you here; say QUIT"),
    too_many_errors = PN_SMTP_REPLY_INIT(421, 4, 7, 0, "Too many errors; closing"),
    too_many_unknown = PN_SMTP_REPLY_INIT(421, 4, 7, 0, "Too many unknown commands; closing"),
    too_idle = PN_SMTP_REPLY_INIT(421, 4, 7, 0, "Too many commands that move nothing; closing");

struct pn_smtp_server *pn_smtp_server_new(const struct pn_smtp_server_config *config,
                                          const struct pn_smtp_server_ops *ops, void *ctx)
{
    struct pn_smtp_server *s = pn_calloc(1, sizeof *s);
    s->config = config;
    s->ops = ops;
    s->ctx = ctx;
    pn_buf_init(&s->out, OUT_MAX);
    return s;
}

void pn_smtp_server_free(struct pn_smtp_server **server)
{
    if (*server == NULL)
        return;
    pn_buf_fini(&(*server)->out);
    free(*server);
    *server = NULL;
}

const struct pn_smtp_server_info *pn_smtp_server_info(const struct pn_smtp_server *s)
{
    return &s->info;
}

void pn_smtp_server_configure(struct pn_smtp_server *s, const struct pn_smtp_server_config *config)
{
    s->config = config;
}

/* Writes what gathered. Nothing of the engine may be touched after it: `close` may
 * have freed it. */
static void flush(struct pn_smtp_server *s)
{
    if (s->closed)
        return;
    if (s->out.len != 0)
        (void)s->ops->write(s->ctx, pn_buf_str(&s->out));
    /* An idle session keeps no buffer. */
    pn_buf_fini(&s->out);
    if (s->closing) {
        s->closed = true;
        s->ops->close(s->ctx);
    } else if (s->tls_next) {
        s->tls_next = false;
        s->ops->tls(s->ctx);
    }
}

void smtp_reply(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    pn_smtp_reply_put(&s->out, reply, s->info.greeted);
    s->closing = s->closing || reply->code == 421;
    if (s->out.len < OUT_ENOUGH || s->closed)
        return;
    s->full = !s->ops->write(s->ctx, pn_buf_str(&s->out));
    pn_buf_clear(&s->out);
}

/* A 5yz was answered; true: that was one too many and 421 stands in its place. */
static bool counts_out(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    if (pn_smtp_reply_class(reply) != 5 || ++s->info.errors <= s->config->error_max)
        return false;
    smtp_reply(s, &too_many_errors);
    return true;
}

void smtp_answered(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    if (!counts_out(s, reply))
        smtp_reply(s, reply);
}

void smtp_refuse(struct pn_smtp_server *s, struct pn_str command, const struct pn_smtp_reply *reply)
{
    if (s->ops->refused != NULL)
        s->ops->refused(s->ctx, command, reply);
    smtp_answered(s, reply);
}

void smtp_refuse_each(struct pn_smtp_server *s, struct pn_str command,
                      const struct pn_smtp_reply *reply, uint32_t n)
{
    if (n != 0 && s->ops->refused != NULL)
        s->ops->refused(s->ctx, command, reply);
    for (; n != 0; n--)
        smtp_reply(s, reply);
}

void smtp_transaction_end(struct pn_smtp_server *s)
{
    bool had = s->info.mail;
    s->info.mail = s->info.content = false;
    s->info.rcpts = s->info.rcpts_refused = 0;
    s->info.size = s->info.octets = 0;
    s->info.content_begun = false;
    s->bdat = s->bdat_failed = s->smtputf8 = false;
    if (had)
        s->ops->done(s->ctx);
}

void smtp_ask(struct pn_smtp_server *s, const struct smtp_command *row,
              const struct smtp_args *args)
{
    if (row->stage == NULL) {
        row->proceed(s, NULL);
        return;
    }
    s->waiting = row;
    s->info.waiting = true;
    row->stage(s, args);
}

/* What the row's flags say about the state, before its own check. */
static const struct pn_smtp_reply *check_flags(const struct pn_smtp_server *s,
                                               const struct smtp_command *row,
                                               const struct smtp_args *args)
{
    if ((row->flags & SMTP_NEEDS_HELO) && !s->info.helo)
        return s->config->lmtp ? &need_lhlo : &need_helo;
    if ((row->flags & SMTP_NEEDS_AUTH) && smtp_auth_needed(s) != NULL)
        return smtp_auth_needed(s);
    if ((row->flags & SMTP_NEEDS_MAIL) && !s->info.mail)
        return &need_mail;
    if ((row->flags & SMTP_NO_MAIL) && s->info.mail)
        return &no_mail;
    if ((row->flags & SMTP_NO_ARGS) && args->line.len != 0)
        return &no_args;
    return NULL;
}

/* The last chunk has a reply a recipient taken, be that none (RFC 2033, section 4.3). */
static bool replies_each(const struct pn_smtp_server *s, const struct smtp_command *row)
{
    return (row->flags & SMTP_CHUNK) && s->chunk_last && s->config->lmtp && s->info.mail &&
           !s->closing;
}

/* What a refusal of a row leaves behind it. */
static void row_refused(struct pn_smtp_server *s, const struct smtp_command *row)
{
    if (row->flags & SMTP_RECIPIENT)
        s->info.rcpts_refused++;
    if (row->flags & SMTP_CHUNK) {
        s->bdat_failed = s->info.mail;
        s->chunk_skip = true;
        smtp_chunk_begin(s);
    }
}

static void run_row(struct pn_smtp_server *s, const struct smtp_command *row,
                    struct smtp_args *args)
{
    /* A chunk's length must be known even where its command is out of place. */
    const struct pn_smtp_reply *no = NULL, *out_of_place = check_flags(s, row, args);
    if (row->check != NULL && ((row->flags & SMTP_CHUNK) || out_of_place == NULL))
        no = row->check(s, args);
    no = out_of_place != NULL ? out_of_place : no;
    if (no == NULL) {
        smtp_ask(s, row, args);
        return;
    }
    if (replies_each(s, row))
        smtp_refuse_each(s, row->name, no, s->info.rcpts);
    else
        smtp_refuse(s, row->name, no);
    row_refused(s, row);
}

static bool offered(const struct pn_smtp_server *s, const struct smtp_command *row)
{
    return row != NULL && !((row->flags & SMTP_ONLY_SMTP) && s->config->lmtp) &&
           !((row->flags & SMTP_ONLY_LMTP) && !s->config->lmtp) &&
           !((row->flags & SMTP_LOGIN) && s->config->auth.len == 0);
}

static void unknown(struct pn_smtp_server *s, struct pn_str line, struct pn_str name)
{
    bool login = pn_str_ieq(name, PN_STR("AUTH"));
    s->refused_login |= login;
    /* A client that did not wait for the refusal sends a password now: nobody is told. */
    if (s->refused_login && !login)
        name = PN_STR("");
    else if (s->ops->unknown != NULL)
        s->ops->unknown(s->ctx, smtp_auth_public(line));
    if (++s->unknown > s->config->unknown_max)
        smtp_refuse(s, name, &too_many_unknown);
    else
        smtp_refuse(s, name, &unknown_command);
}

/* Input stands behind a command whose answer says what may come next. */
static void note_early(struct pn_smtp_server *s, const struct smtp_command *row)
{
    if (row->flags & SMTP_HELLO)
        s->info.early_helo = true;
    else if ((row->flags & SMTP_SYNC) || (s->info.helo && !s->info.esmtp))
        s->info.early = true;
}

static void command(struct pn_smtp_server *s, struct pn_str line, bool more)
{
    size_t end = pn_str_find(line, ' ', 0);
    struct pn_str name = pn_str_slice(line, 0, end);
    struct smtp_args args = {.line = pn_str_trim(pn_str_slice(line, end, line.len)), .more = more};
    const struct smtp_command *row = smtp_command_find(name);
    if (!offered(s, row)) {
        unknown(s, line, name);
        return;
    }
    s->refused_login = (row->flags & SMTP_LOGIN) != 0;
    if (more)
        note_early(s, row);
    if (row->flags & SMTP_FOREIGN) {
        s->closing = true;
        smtp_refuse(s, row->name, &foreign);
    } else if (s->refusing && !pn_str_eq(row->name, PN_STR("QUIT"))) {
        smtp_refuse(s, row->name, &only_quit);
    } else if ((row->flags & SMTP_IDLE) && ++s->idle > s->config->idle_max) {
        smtp_refuse(s, row->name, &too_idle);
    } else {
        run_row(s, row, &args);
    }
}

static const struct pn_smtp_reply *const bad_lines[] = {[SMTP_LINE_LONG] = &line_long,
                                                        [SMTP_LINE_BARE_LF] = &line_bare_lf,
                                                        [SMTP_LINE_CONTROL] = &line_control};

static bool has_control(struct pn_str line)
{
    for (size_t i = 0; i < line.len; i++)
        if ((unsigned char)line.p[i] < ' ' || line.p[i] == 127)
            return true;
    return false;
}

/* One command line from the front of bytes; what was consumed, 0: it is not all there. */
static size_t line_input(struct pn_smtp_server *s, struct pn_str bytes)
{
    size_t max = s->config->line_max == 0 ? PN_SMTP_LINE_MAX : s->config->line_max;
    size_t lf = pn_str_find(bytes, '\n', 0);
    max = smtp_auth_line_max(s, bytes, max);
    if (lf == SIZE_MAX ? bytes.len > max : lf >= max)
        s->skipping = true;
    if (lf == SIZE_MAX)
        return s->skipping ? bytes.len : 0;
    s->info.lines++;
    bool crlf = lf != 0 && bytes.p[lf - 1] == '\r';
    struct pn_str line = pn_str_slice(bytes, 0, crlf ? lf - 1 : lf);
    enum smtp_line how = s->skipping                      ? SMTP_LINE_LONG
                         : !crlf && !s->config->normalize ? SMTP_LINE_BARE_LF
                         : has_control(line)              ? SMTP_LINE_CONTROL
                                                          : SMTP_LINE_GOOD;
    s->skipping = false;
    if (s->exchange)
        smtp_auth_line(s, line, how);
    else if (how != SMTP_LINE_GOOD)
        smtp_refuse(s, PN_STR(""), bad_lines[how]);
    else
        command(s, line, lf + 1 < bytes.len);
    return lf + 1;
}

size_t pn_smtp_server_input(struct pn_smtp_server *s, struct pn_str bytes)
{
    size_t used = 0;
    pn_assert(!s->running);
    if (s->closed)
        return bytes.len;
    s->running = true;
    s->full = false;
    while (used < bytes.len && !s->info.waiting && !s->closing && !s->full) {
        struct pn_str rest = pn_str_slice(bytes, used, bytes.len);
        size_t n = s->info.content ? smtp_content_input(s, rest) : line_input(s, rest);
        used += n;
        if (n == 0)
            break;
    }
    s->running = false;
    if (s->closing)
        used = bytes.len;
    /* While the owner decides, replies gather: the client waits for the last one of its
     * group anyway. With a whole command behind it this one isn't the last. */
    s->held = s->waiting != NULL && pn_str_find(bytes, '\n', used) != SIZE_MAX;
    if (s->waiting == NULL)
        flush(s);
    return used;
}

void pn_smtp_server_start(struct pn_smtp_server *s)
{
    smtp_ask(s, &smtp_greeting, NULL);
}

static void answered_each(struct pn_smtp_server *s, const struct smtp_command *row,
                          const struct pn_smtp_reply *reply)
{
    if (!replies_each(s, row))
        smtp_answered(s, reply);
    else
        for (uint32_t n = s->info.rcpts; n != 0; n--)
            smtp_reply(s, reply);
}

static void end_wait(struct pn_smtp_server *s)
{
    s->waiting = NULL;
    s->info.waiting = false;
}

/* The owner answered. */
static void go_on(struct pn_smtp_server *s)
{
    if (s->running || s->waiting != NULL)
        return;
    bool closing = s->closing || s->handshake;
    void (*resume)(void *ctx) = s->ops->resume;
    void *ctx = s->ctx;
    if (!s->held || closing)
        flush(s);
    if (!closing)
        resume(ctx);
}

void smtp_answer_end(struct pn_smtp_server *s)
{
    end_wait(s);
    go_on(s);
}

static void answer(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    const struct smtp_command *row = s->waiting;
    pn_assert(row != NULL);
    end_wait(s);
    if (row == &smtp_content || reply == NULL || pn_smtp_reply_class(reply) == 2) {
        row->proceed(s, reply);
    } else {
        answered_each(s, row, reply);
        s->logins_failed += (row->flags & SMTP_LOGIN) && pn_smtp_reply_class(reply) == 5;
        row_refused(s, row);
        s->refusing = s->refusing || row == &smtp_greeting;
        s->info.greeted = true;
    }
    go_on(s);
}

void pn_smtp_server_accept(struct pn_smtp_server *s)
{
    answer(s, NULL);
}

void pn_smtp_server_answer(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    answer(s, reply);
}

void pn_smtp_server_answer_rest(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    /* The last one may free it. */
    for (uint32_t n = s->waiting == &smtp_content ? s->answers : 1; n != 0; n--)
        answer(s, reply);
}

void pn_smtp_server_drop(struct pn_smtp_server *s, const struct pn_smtp_reply *reply)
{
    if (s->closed)
        return;
    s->waiting = NULL;
    s->info.waiting = false;
    smtp_reply(s, reply);
    smtp_transaction_end(s);
    s->closing = true;
    if (!s->running)
        flush(s);
}

void pn_smtp_server_tls(struct pn_smtp_server *s)
{
    smtp_transaction_end(s);
    s->info.tls = true;
    s->handshake = s->info.waiting = false;
    s->info.helo = s->info.esmtp = s->info.auth = false;
    s->exchange = false;
    s->info.early = s->info.early_helo = false;
}
