/* The commands: a row is the dispatch. */
#include "mem.h"
#include "pop3_capability.h"
#include "pop3_int.h"

#include <inttypes.h>
#include <stdlib.h>

enum { WORD_BITS = 64, SLICE = 1000 /* messages that are removed in one run */ };

static void no_such(struct pn_buf *out)
{
    (void)pn_buf_addz(out, "-ERR No such message\r\n");
}

static void bad_args(struct pop3 *p, struct pn_buf *out)
{
    p->errors++;
    (void)pn_buf_addz(out, "-ERR Bad arguments\r\n");
}

/* ---- marks ---- */

bool pop3_is_marked(const struct pop3 *p, uint32_t number)
{
    return p->marked != NULL && (p->marked[number / WORD_BITS] >> (number % WORD_BITS) & 1) != 0;
}

static void mark(struct pop3 *p, uint32_t number)
{
    struct pn_mail mail;
    if (p->marked == NULL)
        p->marked = pn_calloc(p->all.messages / WORD_BITS + 1, sizeof *p->marked);
    p->marked[number / WORD_BITS] |= (uint64_t)1 << (number % WORD_BITS);
    pn_view_mail(p->view, number, &mail);
    p->left.messages--;
    p->left.octets -= mail.size;
}

/* The message that an argument names and that is not marked; 0, and it is said, if there is none.
 */
static uint32_t message(struct pop3 *p, struct pn_str arg, struct pn_buf *out)
{
    uint64_t number;
    if (!pn_str_u64(arg, UINT64_MAX, &number)) {
        bad_args(p, out);
        return 0;
    }
    if (number != 0 && number <= p->all.messages && !pop3_is_marked(p, (uint32_t)number))
        return (uint32_t)number;
    no_such(out);
    return 0;
}

/* ---- commands ---- */

static void stat_all(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    (void)args;
    (void)pn_buf_addf(out, "+OK %" PRIu32 " %" PRIu64 "\r\n", p->left.messages, p->left.octets);
}

static void list_or_uidl(struct pop3 *p, struct pn_str args, bool uids, struct pn_buf *out)
{
    uint32_t number;
    if (args.len == 0) {
        (void)pn_buf_addf(out, "+OK %" PRIu32 " messages\r\n", p->left.messages);
        pop3_list_begin(p, uids);
    } else if ((number = message(p, args, out)) != 0) {
        (void)pn_buf_addz(out, "+OK ");
        pop3_list_row(p, number, uids, out);
    }
}

static void list(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    list_or_uidl(p, args, false, out);
}

static void uidl(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    list_or_uidl(p, args, true, out);
}

static void send_mail(struct pop3 *p, uint32_t number, uint64_t lines, struct pn_buf *out)
{
    struct pn_content content;
    struct pn_mail mail;
    switch (pn_view_show(p->view, number, &content)) {
    case PN_READ_OK:
        pn_view_mail(p->view, number, &mail);
        if (lines == UINT64_MAX)
            (void)pn_buf_addf(out, "+OK %" PRIu32 " octets\r\n", mail.size);
        else
            (void)pn_buf_addz(out, "+OK\r\n");
        pop3_send_begin(p, content, lines);
        break;
    case PN_READ_EXPUNGED:
        (void)pn_buf_addz(out, "-ERR Another session deleted this message\r\n");
        break;
    default:
        (void)pn_buf_addz(out, "-ERR [SYS/TEMP] This message can't be read now\r\n");
        break;
    }
}

static void retr(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    uint32_t number = message(p, args, out);
    if (number != 0)
        send_mail(p, number, UINT64_MAX, out);
}

static void top(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    struct pn_str first = pn_str_split(&args, ' ');
    uint64_t lines;
    if (args.p == NULL || !pn_str_u64(pn_str_trim(args), UINT64_MAX - 1, &lines)) {
        bad_args(p, out);
        return;
    }
    uint32_t number = message(p, first, out);
    if (number != 0)
        send_mail(p, number, lines, out);
}

static void dele(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    uint32_t number = message(p, args, out);
    if (number == 0)
        return;
    mark(p, number);
    (void)pn_buf_addz(out, "+OK Marked\r\n");
}

static void rset(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    (void)args;
    free(p->marked);
    p->marked = NULL;
    p->left = p->all;
    (void)pn_buf_addz(out, "+OK Nothing is marked\r\n");
}

static void noop(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    (void)p;
    (void)args;
    (void)pn_buf_addz(out, "+OK\r\n");
}

static void capa(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    (void)p;
    (void)args;
    pn_pop3_capabilities(out, &(struct pn_pop3_offer){.stls = false});
}

/* ---- UPDATE ---- */

/* The next of them. What another session removed meanwhile is no failure. */
static enum pn_store_status remove_some(struct pop3 *p)
{
    struct pn_uidset uids;
    enum pn_store_status status = PN_STORE_OK;
    uint32_t n = p->removed;
    pn_uidset_init(&uids, SLICE);
    for (unsigned some = 0; some < SLICE && n < p->all.messages; some += pop3_is_marked(p, n)) {
        uint32_t uid = pn_view_uid(p->view, ++n);
        if (pop3_is_marked(p, n) && !pn_uidset_add(&uids, uid, uid))
            status = PN_STORE_LIMIT;
    }
    p->removed = n;
    if (status == PN_STORE_OK && uids.count != 0)
        status = pn_view_remove(p->view, &uids);
    pn_uidset_fini(&uids);
    return status;
}

enum pn_engine_next pop3_update(struct pop3 *p, struct pn_buf *out)
{
    if (!p->heard) { /* a message that the line swallowed is not to be gone here */
        p->heard = true;
        return PN_ENGINE_HEARD;
    }
    enum pn_store_status status = remove_some(p);
    if (status == PN_STORE_OK && p->removed < p->all.messages)
        return PN_ENGINE_MORE; /* others have their turn */
    p->ended = true;
    (void)pn_buf_addz(out, status == PN_STORE_OK
                               ? "+OK Bye\r\n"
                               : "-ERR [SYS/TEMP] Some marked messages are not deleted\r\n");
    return PN_ENGINE_END;
}

static void quit(struct pop3 *p, struct pn_str args, struct pn_buf *out)
{
    (void)args;
    p->quitting = p->marked != NULL;
    p->ended = !p->quitting;
    if (p->ended)
        (void)pn_buf_addz(out, "+OK Bye\r\n");
}

/* ---- the table ---- */

static const struct row {
    const char *name;
    void (*fn)(struct pop3 *p, struct pn_str args, struct pn_buf *out);
    enum { NONE, MAYBE, NEEDED } args;
} rows[] = {
    {"CAPA", capa, NONE}, {"DELE", dele, NEEDED}, {"LIST", list, MAYBE}, {"NOOP", noop, NONE},
    {"QUIT", quit, NONE}, {"RETR", retr, NEEDED}, {"RSET", rset, NONE},  {"STAT", stat_all, NONE},
    {"TOP", top, NEEDED}, {"UIDL", uidl, MAYBE},
};

/* These there were, before login. */
static const char *const before[] = {"APOP", "AUTH", "PASS", "STLS", "USER", "UTF8"};

static void unknown(struct pop3 *p, struct pn_str name, struct pn_buf *out)
{
    p->errors++;
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        if (pn_str_ieq(pn_str_of(before[i]), name)) {
            (void)pn_buf_addz(out, "-ERR Not after login\r\n");
            return;
        }
    }
    (void)pn_buf_addz(out, "-ERR Unknown command\r\n");
}

static void dispatch(struct pop3 *p, struct pn_str name, struct pn_str args, struct pn_buf *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!pn_str_ieq(pn_str_of(rows[i].name), name))
            continue;
        bool wrong = rows[i].args == NONE ? args.len != 0 : rows[i].args == NEEDED && args.len == 0;
        if (wrong)
            bad_args(p, out);
        else
            rows[i].fn(p, args, out);
        return;
    }
    unknown(p, name, out);
}

void pop3_command(struct pop3 *p, struct pn_str line, struct pn_buf *out)
{
    size_t end = pn_str_find(line, ' ', 0);
    p->engine.commands++;
    dispatch(p, pn_str_slice(line, 0, end), pn_str_trim(pn_str_slice(line, end, line.len)), out);
    if (p->errors <= POP3_ERRORS_MAX || p->ended)
        return;
    (void)pn_buf_addz(out, "-ERR [SYS/PERM] Too many bad commands; closing\r\n");
    p->ended = true;
}
