/*
 * The engine: gathers a command, finds its row, runs it in slices, says what became of it. Input
 * that comes meanwhile waits with the host.
 */
#include "clock.h"
#include "imap_capability.h"
#include "imap_int.h"
#include "mem.h"

#include <stdlib.h>

enum {
    ERRORS_MAX = 50, /* commands in a row that were none: what talks here speaks no IMAP */
    REPLY_MAX = 4 * 1024 * 1024,
    TURNS = 1000,                /* commands, or pieces of them, in one run */
    TURNS_MS = 50,               /* or so long */
    PATIENCE_MS = 30 * 60 * 1000 /* RFC 9051, section 5.4 */
};

static const struct pn_imap_limits limits = {
    .text_max = IMAP_TEXT_MAX, .nonsync_max = IMAP_TEXT_MAX, .skip_max = PN_IMAP_APPEND_MAX * 2ull};

/* ---- commands ---- */

static struct imap_command *command_new(void)
{
    struct imap_command *c = pn_calloc(1, sizeof *c);
    c->args.pool = pn_pool_new(IMAP_POOL_MAX);
    pn_buf_init(&c->reply, REPLY_MAX);
    return c;
}

/* With the tag of what is gathered, which the lexer forgets behind a streamed literal. */
static void command_begin(struct imap *imap)
{
    struct pn_str tag = pn_imap_lex_tag(&imap->lex);
    imap->command = command_new();
    imap->engine.commands++;
    if (tag.len > 0)
        memcpy(imap->tag, tag.p, tag.len);
    imap->tag[tag.len] = '\0';
}

static void command_free(struct imap_command **command)
{
    struct imap_command *c = *command;
    if (c == NULL)
        return;
    if (c->work_free != NULL && c->work != NULL)
        c->work_free(c->work);
    pn_buf_fini(&c->reply);
    pn_pool_free(&c->args.pool);
    free(c);
    *command = NULL;
}

/* Tag, name, and whether it may be now. Sets the reply and returns false where not. */
static bool command_read(struct imap *imap, struct imap_command *c)
{
    struct pn_str tag, name;
    c->args.rest = pn_imap_lex_text(&imap->lex);
    if (!pn_imap_tag(&c->args, &tag) || tag.len > IMAP_TAG_MAX || !pn_imap_sp(&c->args) ||
        !pn_imap_atom(&c->args, &name)) {
        (void)imap_bad(c, "A tag and a command are wanted");
        return false;
    }
    if (pn_str_ieq(name, PN_STR("UID"))) {
        c->uid = true;
        if (!pn_imap_sp(&c->args) || !pn_imap_atom(&c->args, &name))
            name = PN_STR("");
    }
    c->row = imap_row_find(name);
    if (c->row == NULL || (c->uid && (c->row->flags & IMAP_UID) == 0)) {
        c->row = NULL;
        (void)imap_bad(c, "Unknown command");
        return false;
    }
    unsigned state = imap->view != NULL ? IMAP_SELECTED : IMAP_AUTH;
    if ((c->row->states & state) == 0) {
        (void)imap_bad(c, c->row->states == 0 ? "You are logged in" : "Select a mailbox first");
        return false;
    }
    bool none = pn_imap_end(&c->args);
    c->args.near = c->args.rest;
    bool fits = c->row->shape == IMAP_NO_ARGS ? none
                : none                        ? c->row->shape == IMAP_MAYBE_ARGS
                                              : pn_imap_sp(&c->args);
    if (!fits)
        (void)imap_syntax(c);
    return fits;
}

/* ---- their end ---- */

/* RFC 9051, 7.5.1: while message numbers are on their way, none may change. */
static bool may_expunge(const struct imap_command *c)
{
    return c->row == NULL || c->uid || (c->row->flags & IMAP_BY_NUMBER) == 0;
}

/* The tagged line. */
static void answer(struct imap *imap, struct pn_buf *out)
{
    struct imap_command *c = imap->command;
    imap->finishing = false;
    imap->errors = pn_str_starts(pn_buf_str(&c->reply), PN_STR("BAD")) ? imap->errors + 1 : 0;
    if (c->reply.len == 0)
        (void)imap_ok(c, "%s%s completed", c->uid ? "UID " : "", c->row->name);
    (void)pn_buf_addf(out, "%s ", imap->tag[0] != '\0' ? imap->tag : "*");
    (void)pn_buf_adds(out, pn_buf_str(&c->reply));
    (void)pn_buf_addz(out, "\r\n");
    command_free(&imap->command);
    pn_imap_lex_next(&imap->lex);
    imap->cut = false;
    if (imap->errors > ERRORS_MAX) {
        (void)pn_buf_addz(out, "* BYE Too many errors\r\n");
        imap->over = true;
    }
}

/* Message numbers are what was told: before the next command it is all told. */
static void finish(struct imap *imap, struct pn_buf *out)
{
    const struct imap_command *c = imap->command;
    if (!c->quiet && imap->view != NULL && imap_updates(imap, out, may_expunge(c), c->uid))
        imap_put_held_back(imap, out);
    if (imap->late.count > 0)
        imap->finishing = true;
    else
        answer(imap, out);
}

static void idle_begin(struct imap *imap)
{
    command_free(&imap->command);
    pn_imap_lex_next(&imap->lex);
    pn_imap_lex_raw(&imap->lex);
    imap->idling = true;
}

static void idle_end(struct imap *imap, struct pn_buf *out, bool done)
{
    imap->idling = false;
    imap->command = command_new();
    if (done)
        (void)imap_ok(imap->command, "IDLE completed");
    else
        (void)imap_bad(imap->command, "DONE is wanted");
    finish(imap, out);
}

/* One slice. */
static void proceed(struct imap *imap, struct pn_buf *out)
{
    struct imap_command *c = imap->command;
    c->out = out;
    imap->running = false;
    switch (c->row->run(imap, c)) {
    case IMAP_AGAIN:
        imap->running = true;
        if (out->len > 0)
            imap->cut = out->p[out->len - 1] != '\n' || fetch_within(c);
        return;
    case IMAP_WAIT:
        idle_begin(imap);
        return;
    case IMAP_SYNTAX:
        (void)imap_syntax(c);
        break;
    case IMAP_DONE:
        break;
    }
    finish(imap, out);
}

/* ---- input ---- */

/* What was gathered is a whole command, or the end of one whose literals were streamed. */
static void whole(struct imap *imap, struct pn_buf *out)
{
    struct pn_str text = pn_imap_lex_text(&imap->lex);
    if (imap->idling) {
        idle_end(imap, out, pn_str_ieq(text, PN_STR("DONE")));
        return;
    }
    if (imap->command != NULL) {
        imap->command->args.rest = imap->command->args.near = text;
        proceed(imap, out);
        return;
    }
    command_begin(imap);
    bool fits = command_read(imap, imap->command);
    if (!fits || imap->command->row->run != imap_fetch)
        fetch_forget(imap);
    if (fits)
        proceed(imap, out);
    else
        finish(imap, out);
}

/* The command is read again, with the literal in it. */
static void keep(struct imap *imap, struct pn_buf *out)
{
    command_free(&imap->command);
    imap->engine.commands--; /* it is begun again */
    if (pn_imap_lex_keep(&imap->lex) && imap->lex.literal.sync)
        (void)pn_buf_addz(out, "+ Go on\r\n");
}

static void literal(struct imap *imap, struct pn_buf *out)
{
    struct imap_command *c = imap->command;
    if (c != NULL) {
        c->args.rest = c->args.near = pn_imap_lex_text(&imap->lex);
    } else {
        command_begin(imap);
        c = imap->command;
        /* Only to see whose literal it is: what is wrong with it is said when it is whole. */
        if (!command_read(imap, c) || (c->row->flags & IMAP_STREAM) == 0) {
            keep(imap, out);
            return;
        }
    }
    c->out = out;
    if (!imap_append_literal(imap, c))
        keep(imap, out);
}

static void refused(struct imap *imap, struct pn_buf *out)
{
    if (imap->idling) {
        idle_end(imap, out, false);
        return;
    }
    if (imap->command == NULL)
        command_begin(imap);
    if (imap->command->reply.len == 0)
        (void)imap_bad(imap->command, "[TOOBIG] A command has %d bytes at most", IMAP_TEXT_MAX);
    finish(imap, out);
}

/* False: all input is taken. */
static bool take(struct imap *imap, struct pn_str *in, struct pn_buf *out)
{
    struct pn_str bytes;
    switch (pn_imap_lex_feed(&imap->lex, in, &bytes)) {
    case PN_IMAP_MORE:
        return false;
    case PN_IMAP_LITERAL:
        literal(imap, out);
        break;
    case PN_IMAP_BYTES:
        imap_append_bytes(imap, imap->command, bytes);
        break;
    case PN_IMAP_COMMAND:
        whole(imap, out);
        break;
    case PN_IMAP_REFUSED:
        refused(imap, out);
        break;
    case PN_IMAP_FLOOD:
        (void)pn_buf_addz(out, "* BYE [LIMIT] Too long a command\r\n");
        imap->over = true;
        break;
    }
    return true;
}

/* ---- the face ---- */

static void greet(struct imap *imap, struct pn_buf *out)
{
    imap->greeted = true;
    (void)pn_buf_addf(out, "%s OK [CAPABILITY ", imap->tag);
    pn_imap_capability_after(out);
    (void)pn_buf_addz(out, "] Logged in\r\n");
}

/* All input is taken: nobody knows how long the client will be silent. */
static enum pn_engine_next await(struct imap *imap)
{
    if (imap->idling && imap->untold.count > 0)
        return PN_ENGINE_MORE;
    if (imap->view != NULL)
        pn_view_rest(imap->view);
    return PN_ENGINE_INPUT;
}

static enum pn_engine_next run(struct pn_engine *engine, struct pn_str *in, struct pn_buf *out)
{
    struct imap *imap = (struct imap *)engine;
    bool deflate = imap->deflate;
    uint64_t until = pn_clock_mono_ns() + TURNS_MS * PN_NS_PER_MS;
    if (!imap->greeted)
        greet(imap, out);
    if (imap->idling && imap->view != NULL && !imap_updates(imap, out, true, false))
        imap->over = true;
    for (unsigned turns = 0; !imap->over && !out->overflow; turns++) {
        if (out->len > PN_ENGINE_OUT || turns >= TURNS ||
            (turns > 0 && pn_clock_mono_ns() >= until))
            return PN_ENGINE_MORE;
        if (imap->late.count > 0 && !imap_tell_late(imap, out))
            return PN_ENGINE_MORE;
        if (imap->finishing)
            answer(imap, out);
        else if (imap->running)
            proceed(imap, out);
        else if (!take(imap, in, out))
            return await(imap);
        if (imap->running) /* a slice of a long command: others of the pool have their turn now */
            return PN_ENGINE_MORE;
        if (imap->deflate && !deflate)
            return PN_ENGINE_DEFLATE;
    }
    return PN_ENGINE_END;
}

/* Within an answer there is no place for it: it would be taken for a part of the message. */
static void bye(struct pn_engine *engine, enum pn_engine_why why, struct pn_buf *out)
{
    struct imap *imap = (struct imap *)engine;
    static const char *const said[] = {
        [PN_ENGINE_IDLE_TOO_LONG] = "* BYE Nothing was said for too long\r\n",
        [PN_ENGINE_SHUTDOWN] =
            "* BYE [UNAVAILABLE] The server is renewed or stopped: connect again at once\r\n",
        [PN_ENGINE_TOO_LONG] = "* BYE [LIMIT] Too much at once\r\n",
    };
    imap->over = true;
    if (!imap->running || !imap->cut)
        (void)pn_buf_addz(out, said[why]);
}

static uint32_t patience(const struct pn_engine *engine)
{
    (void)engine;
    return PATIENCE_MS;
}

static void imap_free(struct pn_engine *engine)
{
    struct imap *imap = (struct imap *)engine;
    command_free(&imap->command);
    imap_unselect(imap);
    pn_imap_lex_fini(&imap->lex);
    pn_user_close(&imap->user);
    free(imap);
}

struct pn_engine *pn_imap_new(const struct pn_engine_start *start)
{
    static const struct pn_engine_kind kind = {
        .name = "imap", .run = run, .bye = bye, .patience = patience, .free = imap_free};
    struct imap *imap = pn_calloc(1, sizeof *imap);
    struct pn_str tag = pn_str_slice(start->tag, 0, IMAP_TAG_MAX);
    imap->engine.kind = &kind;
    imap->host = start->host;
    imap->ctx = start->ctx;
    imap->user = start->user;
    pn_imap_lex_init(&imap->lex, &limits);
    pn_uidset_init(&imap->saved, PN_UIDSET_MAX);
    pn_uidset_init(&imap->untold, PN_UIDSET_MAX);
    if (tag.len > 0)
        memcpy(imap->tag, tag.p, tag.len);
    return &imap->engine;
}
