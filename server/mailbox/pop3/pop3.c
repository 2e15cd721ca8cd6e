/* The engine's face and its loop. */
#include "pop3_int.h"

#include "mem.h"

#include <stdlib.h>

enum {
    PATIENCE_MS = 10 * 60 * 1000, /* RFC 1939, section 3: at least so long */
};

static struct pop3 *of(struct pn_engine *engine)
{
    return (struct pop3 *)engine;
}

/* ---- opening ---- */

static void count(struct pop3 *p)
{
    struct pn_mail mail;
    p->all = (struct pop3_totals){.messages = pn_view_count(p->view)};
    for (uint32_t n = 1; n <= p->all.messages; n++) {
        pn_view_mail_sized(p->view, n, p->all.messages, &mail);
        p->all.octets += mail.size;
    }
    p->left = p->all;
}

static void start(struct pop3 *p, struct pn_buf *out)
{
    struct pn_view_info info;
    enum pn_store_status status =
        pn_view_open(p->user, PN_STR("INBOX"), false, NULL, NULL, &p->view);
    if (status != PN_STORE_OK) {
        (void)pn_buf_addz(out, "-ERR [SYS/TEMP] The mailbox can't be opened now\r\n");
        p->view = NULL;
        p->ended = true;
        return;
    }
    pn_view_downgrade(p->view, !p->utf8);
    pn_view_info(p->view, &info);
    p->uidvalidity = info.uidvalidity;
    count(p);
    (void)pn_buf_addz(out, "+OK Logged in\r\n");
}

/* ---- the loop ---- */

/* A line from the front, without its end; p NULL: there is none yet. */
static struct pn_str next_line(struct pop3 *p, struct pn_str *in, struct pn_buf *out)
{
    for (;;) {
        size_t lf = pn_str_find(*in, '\n', 0);
        if (lf == SIZE_MAX ? in->len >= POP3_LINE_MAX : lf >= POP3_LINE_MAX)
            p->skipping = true;
        if (lf == SIZE_MAX) {
            if (p->skipping)
                *in = pn_str_slice(*in, in->len, in->len);
            return (struct pn_str){NULL, 0};
        }
        struct pn_str line = pn_str_slice(*in, 0, lf != 0 && in->p[lf - 1] == '\r' ? lf - 1 : lf);
        *in = pn_str_slice(*in, lf + 1, in->len);
        if (!p->skipping)
            return line;
        p->skipping = false;
        p->ended = ++p->errors > POP3_ERRORS_MAX;
        (void)pn_buf_addz(out, "-ERR Line too long\r\n");
        if (p->ended)
            return (struct pn_str){NULL, 0};
    }
}

static enum pn_engine_next run(struct pn_engine *engine, struct pn_str *in, struct pn_buf *out)
{
    struct pop3 *p = of(engine);
    if (p->view == NULL && !p->ended)
        start(p, out);
    while (!p->ended) {
        if (p->quitting)
            return pop3_update(p, out);
        if (pop3_send_more(p, out) || out->len > PN_ENGINE_OUT)
            return PN_ENGINE_MORE;
        struct pn_str line = next_line(p, in, out);
        if (line.p == NULL)
            break;
        pop3_command(p, line, out);
    }
    if (p->ended)
        return PN_ENGINE_END;
    pn_view_rest(p->view);
    return PN_ENGINE_INPUT;
}

/* Who was silent for too long is told nothing (RFC 1939, section 3), and within an answer there
 * is no place for one. */
static void bye(struct pn_engine *engine, enum pn_engine_why why, struct pn_buf *out)
{
    struct pop3 *p = of(engine);
    bool within = p->sending || p->listing != 0;
    p->ended = true;
    if (within || why == PN_ENGINE_IDLE_TOO_LONG)
        return;
    (void)pn_buf_addz(out, why == PN_ENGINE_SHUTDOWN
                               ? "-ERR [SYS/TEMP] Shutting down, try again in a moment\r\n"
                               : "-ERR Line too long; closing\r\n");
}

static uint32_t patience(const struct pn_engine *engine)
{
    (void)engine;
    return PATIENCE_MS;
}

static void free_engine(struct pn_engine *engine)
{
    struct pop3 *p = of(engine);
    pop3_send_end(p);
    if (p->view != NULL)
        pn_view_close(&p->view);
    pn_user_close(&p->user);
    free(p->marked);
    free(p);
}

struct pn_engine *pn_pop3_new(const struct pn_engine_start *start_with)
{
    static const struct pn_engine_kind kind = {
        .name = "pop3", .run = run, .bye = bye, .patience = patience, .free = free_engine};
    struct pop3 *p = pn_calloc(1, sizeof *p);
    p->engine.kind = &kind;
    p->user = start_with->user;
    p->utf8 = pn_str_eq(start_with->tag, PN_STR("UTF8"));
    return &p->engine;
}
