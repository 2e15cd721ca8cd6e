/*
 * SELECT and EXAMINE (RFC 9051, 6.3.2; CONDSTORE and QRESYNC: RFC 7162, 3.1.8 and 3.2.5), CLOSE
 * and UNSELECT.
 */
#include "imap_int.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>

struct resync {
    bool is;
    uint32_t uidvalidity;
    uint64_t modseq;
    bool narrow; /* to those known: */
    struct pn_uidset known;
};

/* "(uidvalidity modseq [known-uids] [(numbers uids)])". The last is a hint for servers that
 * forget which messages vanished: ours answers with UIDs that are not there, so that it needs
 * none. */
static bool read_resync(struct pn_imap_args *args, struct resync *r)
{
    struct pn_str ignored;
    uint64_t validity;
    r->is = true;
    if (!pn_imap_sp(args) || !pn_imap_char(args, '(') || !pn_imap_number64(args, &validity) ||
        validity == 0 || validity > UINT32_MAX || !pn_imap_sp(args) ||
        !pn_imap_number64(args, &r->modseq) || r->modseq == 0)
        return false;
    r->uidvalidity = (uint32_t)validity;
    struct pn_imap_args at = *args;
    struct pn_str known;
    if (pn_imap_sp(&at) && pn_imap_set(&at, &known)) {
        *args = at;
        /* `*` would be a message that the client may not know. */
        if (pn_str_find(known, '*', 0) != SIZE_MAX ||
            !pn_uidset_parse(&r->known, known, UINT32_MAX))
            return false;
        r->narrow = true;
    }
    at = *args;
    if (pn_imap_sp(&at)) {
        if (!pn_imap_char(&at, '(') || !pn_imap_set(&at, &ignored) || !pn_imap_sp(&at) ||
            !pn_imap_set(&at, &ignored) || !pn_imap_char(&at, ')'))
            return false;
        *args = at;
    }
    return pn_imap_char(args, ')');
}

static bool read_params(struct pn_imap_args *args, bool *condstore, struct resync *r)
{
    if (pn_imap_end(args))
        return true;
    if (!pn_imap_sp(args) || !pn_imap_char(args, '('))
        return false;
    do {
        if (pn_imap_word(args, "CONDSTORE"))
            *condstore = true;
        else if (!pn_imap_word(args, "QRESYNC") || r->is || !read_resync(args, r))
            return false;
    } while (pn_imap_sp(args));
    return pn_imap_char(args, ')') && pn_imap_end(args);
}

/* ---- what is told of a mailbox ---- */

static uint32_t first_unseen(struct pn_view *view)
{
    struct pn_mail mail;
    for (uint32_t seq = 1; seq <= pn_view_count(view); seq++) {
        pn_view_mail(view, seq, &mail);
        if ((mail.flags.system & PN_SEEN) == 0)
            return seq;
    }
    return 0;
}

static void tell(struct imap *imap, const struct imap_command *command)
{
    struct pn_buf *out = command->out;
    struct pn_view_info info;
    pn_view_info(imap->view, &info);
    imap_put_known_flags(imap, out);
    (void)pn_buf_addf(out, "* %" PRIu32 " EXISTS\r\n", info.messages);
    if (imap->rev2) {
        imap_put_list(imap, command, pn_view_folder(imap->view));
    } else {
        uint32_t unseen = first_unseen(imap->view);
        (void)pn_buf_addz(out, "* 0 RECENT\r\n");
        if (unseen != 0)
            (void)pn_buf_addf(out, "* OK [UNSEEN %" PRIu32 "] First unseen\r\n", unseen);
    }
    (void)pn_buf_addf(out,
                      "* OK [UIDVALIDITY %" PRIu32 "] UIDs are valid\r\n"
                      "* OK [UIDNEXT %" PRIu32 "] Predicted next UID\r\n"
                      "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest\r\n",
                      info.uidvalidity, info.uidnext, info.highestmodseq);
}

/* ---- what happened since (QRESYNC) ---- */

/* Between slices: whose flags changed, and where in the view telling it stands. */
struct since {
    struct pn_uidset changed;
    uint32_t next;
};

static void since_free(void *work)
{
    struct since *since = work;
    pn_uidset_fini(&since->changed);
    free(since);
}

/* Those that vanished are told at once, those whose flags changed are for slices. */
static void resync(struct imap *imap, struct imap_command *command, const struct resync *r)
{
    const struct pn_uidset *which = r->narrow ? &r->known : NULL;
    struct pn_uidset gone;
    struct pn_view_info info;
    pn_view_info(imap->view, &info);
    if (r->uidvalidity != info.uidvalidity)
        return;
    struct since *since = pn_calloc(1, sizeof *since);
    command->work = since;
    command->work_free = since_free;
    pn_uidset_init(&since->changed, PN_UIDSET_MAX);
    pn_uidset_init(&gone, PN_UIDSET_MAX);
    pn_view_vanished_since(imap->view, r->modseq, which, &gone);
    imap_put_vanished(command->out, &gone);
    pn_uidset_fini(&gone);
    pn_view_changed_since(imap->view, r->modseq, &since->changed);
    if (which != NULL)
        (void)pn_uidset_intersect(&since->changed, which);
}

static enum imap_result opened(struct imap *imap, struct imap_command *command)
{
    struct since *since = command->work;
    struct pn_view_info info;
    if (since != NULL && !imap_put_changed(imap, command->out, &since->changed,
                                           imap_told_of_flags(imap, true), &since->next))
        return IMAP_AGAIN;
    pn_view_info(imap->view, &info);
    return imap_ok(command, "[READ-%s] %s completed", info.read_only ? "ONLY" : "WRITE",
                   command->row->name);
}

/* ---- the commands ---- */

/* From any thread. */
static void changed(void *ctx)
{
    struct imap *imap = ctx;
    if (atomic_load(&imap->idling))
        imap->host->wake(imap->ctx);
}

/* The newest is a stranger's that was only listed so far, as when others filled the folder. */
static bool is_unread_by_us(struct pn_view *view)
{
    struct pn_mail mail = {.guessed = false};
    if (pn_view_count(view) > 0)
        pn_view_mail(view, pn_view_count(view), &mail);
    return mail.guessed;
}

static enum imap_result open_as(struct imap *imap, struct imap_command *command, bool read_only,
                                struct resync *r)
{
    struct pn_str name;
    bool condstore = false;
    if (!imap_mailbox(imap, command, &name) || !read_params(&command->args, &condstore, r))
        return IMAP_SYNTAX;
    if (r->is && !imap->qresync)
        return imap_bad(command, "ENABLE QRESYNC first");
    command->quiet = true; /* the old one's updates are of no use, the new one's are all told */
    if (imap->view != NULL) {
        imap_unselect(imap);
        /* RFC 7162, 3.2.11: of who offers QRESYNC, whether it is on or not. */
        (void)pn_buf_addz(command->out, "* OK [CLOSED] Previous mailbox closed\r\n");
    }
    enum pn_store_status status =
        pn_view_open(imap->user, name, read_only, changed, imap, &imap->view);
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    if (is_unread_by_us(imap->view))
        imap_grew(imap, pn_view_folder(imap->view));
    pn_view_downgrade(imap->view, !imap_speaks_utf8(imap));
    imap->condstore = imap->condstore || condstore;
    tell(imap, command);
    if (r->is)
        resync(imap, command, r);
    return opened(imap, command);
}

static enum imap_result open_mailbox(struct imap *imap, struct imap_command *command,
                                     bool read_only)
{
    struct resync r = {.is = false};
    if (command->work != NULL)
        return opened(imap, command);
    pn_uidset_init(&r.known, PN_UIDSET_MAX);
    enum imap_result result = open_as(imap, command, read_only, &r);
    pn_uidset_fini(&r.known);
    return result;
}

enum imap_result imap_select(struct imap *imap, struct imap_command *command)
{
    return open_mailbox(imap, command, false);
}

enum imap_result imap_examine(struct imap *imap, struct imap_command *command)
{
    return open_mailbox(imap, command, true);
}

/* ---- leaving it ---- */

enum imap_result imap_unselect_command(struct imap *imap, struct imap_command *command)
{
    imap_unselect(imap);
    command->quiet = true;
    return IMAP_DONE;
}

/* What is \Deleted goes, untold. */
enum imap_result imap_close(struct imap *imap, struct imap_command *command)
{
    struct pn_view_info info;
    enum pn_store_status status = PN_STORE_OK;
    pn_view_info(imap->view, &info);
    if (!info.read_only)
        status = pn_view_expunge(imap->view, NULL);
    pn_view_info(imap->view, &info);
    imap_unselect(imap);
    command->quiet = true;
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    if (imap->qresync)
        return imap_ok(command, "[HIGHESTMODSEQ %" PRIu64 "] CLOSE completed", info.highestmodseq);
    return IMAP_DONE;
}
