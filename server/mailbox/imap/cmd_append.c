/*
 * APPEND (RFC 9051, 6.3.12; several messages: RFC 3502; literal8: RFC 3516; UTF8: RFC 6855). The
 * engine shows each literal before its bytes come: a name's is kept with the text, a message's
 * goes to the store as it comes. The command's function runs when all of it is there.
 */
#include "imap_capability.h"
#include "imap_int.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>

struct append {
    struct pn_append *to; /* owned; NULL: nothing could be appended there */
    struct pn_str folder; /* pooled */
    bool utf8;            /* the message at hand is within "UTF8 (...)" */
    bool nul;             /* a literal8 had one: we store none */
    bool failed;          /* commit says why */
};

static void append_free(void *work)
{
    struct append *a = work;
    pn_append_free(&a->to);
    free(a);
}

/* ---- what stands in front of a message ---- */

struct front {
    struct imap_flag_words flags;
    int64_t date;
};

/* " (flags) "date" {n}": all but the literal may be missing. */
static bool read_front(struct imap *imap, struct imap_command *command, struct append *a,
                       struct front *front)
{
    struct pn_imap_args *args = &command->args;
    *front = (struct front){.date = INT64_MIN};
    if (!pn_imap_sp(args))
        return false;
    if (args->rest.len > 0 && args->rest.p[0] == '(' &&
        (!imap_flag_list(command, &front->flags) || !pn_imap_sp(args)))
        return false;
    if (imap_date_time(args, &front->date) && !pn_imap_sp(args))
        return false;
    a->utf8 = imap->utf8 && pn_imap_word(args, "UTF8");
    if (a->utf8 && (!pn_imap_sp(args) || !pn_imap_char(args, '(') || !imap->lex.literal.binary))
        return false;
    return pn_imap_literal_mark(args);
}

/* Is there room for what is announced? */
static bool may_append(struct imap *imap, struct imap_command *command, struct append *a)
{
    enum pn_store_status status = PN_STORE_OK;
    if (imap->lex.literal.size > PN_IMAP_APPEND_MAX) {
        (void)imap_no(command, "[TOOBIG] A message has %d bytes at most", (int)PN_IMAP_APPEND_MAX);
        return false;
    }
    if (imap->lex.literal.size == 0) {
        (void)imap_no(command, "[CANNOT] A message has a header at least");
        return false;
    }
    if (a->to == NULL)
        a->to = pn_append_new(imap->user, a->folder, &status);
    if (status == PN_STORE_OK)
        status = pn_user_room(imap->user, imap->lex.literal.size);
    if (status != PN_STORE_OK)
        (void)imap_said(command, status, true);
    return status == PN_STORE_OK;
}

static bool begin(struct imap *imap, struct imap_command *command, struct append *a)
{
    struct front front;
    if (a->utf8 && !pn_imap_char(&command->args, ')')) {
        (void)imap_syntax(command);
        return false;
    }
    if (!read_front(imap, command, a, &front)) {
        (void)imap_syntax(command);
        return false;
    }
    if (!may_append(imap, command, a))
        return false;
    enum pn_store_status status = pn_append_begin(a->to, front.flags.system, front.flags.keywords,
                                                  front.flags.count, front.date);
    if (status != PN_STORE_OK)
        (void)imap_said(command, status, true);
    return status == PN_STORE_OK;
}

bool imap_append_literal(struct imap *imap, struct imap_command *command)
{
    struct append *a = command->work;
    if (a == NULL) {
        struct pn_imap_args at = command->args;
        struct pn_str name;
        if (pn_imap_literal_mark(&at))
            return false; /* the mailbox's name */
        a = command->work = pn_calloc(1, sizeof *a);
        command->work_free = append_free;
        if (imap_mailbox(imap, command, &name))
            a->folder = pn_pool_dup(command->args.pool, name);
        else
            command->args.rest = PN_STR("");
    }
    if (!begin(imap, command, a)) {
        pn_imap_lex_refuse(&imap->lex);
        return true;
    }
    pn_imap_lex_stream(&imap->lex);
    if (imap->lex.literal.sync)
        (void)pn_buf_addz(command->out, "+ Go on\r\n");
    return true;
}

void imap_append_bytes(struct imap *imap, struct imap_command *command, struct pn_str bytes)
{
    struct append *a = command->work;
    if (imap->lex.literal.binary && bytes.len > 0 && memchr(bytes.p, '\0', bytes.len) != NULL)
        a->nul = true;
    if (!a->failed)
        a->failed = !pn_append_feed(a->to, bytes);
}

/* All of it is there. */
enum imap_result imap_append(struct imap *imap, struct imap_command *command)
{
    struct append *a = command->work;
    struct pn_uidset uids;
    struct pn_buf why;
    uint32_t uidvalidity;
    if (a == NULL || (a->utf8 && !pn_imap_char(&command->args, ')')) ||
        !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    if (a->nul)
        return imap_no(command, "[UNKNOWN-CTE] No message with a NUL can be stored");
    pn_uidset_init(&uids, PN_UIDSET_MAX);
    pn_buf_init(&why, 1024);
    enum pn_store_status status = pn_append_commit(a->to, &uidvalidity, &uids, &why);
    if (status == PN_STORE_OK) {
        imap_grew(imap, a->folder);
        if (pn_append_use(a->to) == PN_USE_JUNK)
            imap_junk_appended(imap, a->folder, &uids);
        (void)imap_ok(command, "[APPENDUID %" PRIu32 " ", uidvalidity);
        (void)pn_uidset_print(&uids, &command->reply);
        (void)pn_buf_addz(&command->reply, "] APPEND completed");
    } else if (status == PN_STORE_REFUSED) {
        (void)imap_no(command, "[CANNOT] No message with a NUL can be stored");
    } else {
        (void)imap_said(command, status, true);
    }
    pn_uidset_fini(&uids);
    pn_buf_fini(&why);
    return IMAP_DONE;
}
