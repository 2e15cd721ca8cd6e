/* COPY and MOVE (RFC 9051, 6.4.7 and 6.4.8; COPYUID: RFC 4315). */
#include "imap_int.h"

#include <inttypes.h>

static void put_copyuid(struct pn_buf *out, const struct pn_copied *copied)
{
    (void)pn_buf_addf(out, "OK [COPYUID %" PRIu32 " ", copied->uidvalidity);
    (void)pn_uidset_print(&copied->from, out);
    (void)pn_buf_addc(out, ' ');
    (void)pn_uidset_print(&copied->to, out);
    (void)pn_buf_addz(out, "] Done");
}

static enum imap_result copied_to(struct imap *imap, struct imap_command *command, bool move,
                                  struct pn_str name, const struct pn_uidset *uids)
{
    struct pn_copied copied = {0};
    struct imap_junk junk;
    imap_junk_look(&junk, imap, command->args.pool, name, uids);
    enum pn_store_status status = pn_view_copy(imap->view, uids, name, move, &copied);
    if (status == PN_STORE_OK) {
        imap_grew(imap, name);
        imap_junk_tell(&junk, imap, name, pn_uidset_size(&copied.from));
        if (copied.from.count > 0 && !move) {
            put_copyuid(&command->reply, &copied);
        } else if (copied.from.count > 0) {
            (void)pn_buf_addz(command->out, "* ");
            put_copyuid(command->out, &copied);
            (void)pn_buf_addz(command->out, "\r\n");
        }
    }
    bool none = status == PN_STORE_OK && copied.from.count == 0 && uids->count > 0;
    pn_copied_fini(&copied);
    imap_junk_fini(&junk);
    /* By number they were there; by UID it is no error that they are not. */
    if (none && !command->uid)
        return imap_no(command, "[EXPUNGEISSUED] The messages are gone");
    return imap_said(command, status, true);
}

static enum imap_result copy(struct imap *imap, struct imap_command *command, bool move)
{
    struct pn_view_info info;
    struct pn_uidset uids;
    struct pn_str set, name;
    enum imap_result result = IMAP_SYNTAX;
    pn_uidset_init(&uids, 1);
    pn_view_info(imap->view, &info);
    if (!pn_imap_set(&command->args, &set) || !imap_set(imap, set, command->uid, &uids) ||
        !pn_imap_sp(&command->args) || !imap_mailbox(imap, command, &name) ||
        !pn_imap_end(&command->args))
        result = IMAP_SYNTAX;
    else if (move && info.read_only)
        result = imap_no(command, "[READ-ONLY] The mailbox was opened with EXAMINE");
    else
        result = copied_to(imap, command, move, name, &uids);
    pn_uidset_fini(&uids);
    return result;
}

enum imap_result imap_copy(struct imap *imap, struct imap_command *command)
{
    return copy(imap, command, false);
}

/* The EXPUNGEs are among the updates in front of the tagged line. */
enum imap_result imap_move(struct imap *imap, struct imap_command *command)
{
    return copy(imap, command, true);
}
