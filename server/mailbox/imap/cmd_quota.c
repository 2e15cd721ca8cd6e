/* GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208. All folders of a user have one root, named "". */
#include "imap_int.h"

#include <inttypes.h>

static bool limited(const struct pn_quota *q)
{
    return q->bytes_limit != 0 || q->messages_limit != 0;
}

/* STORAGE counts units of 1024 bytes. */
static uint64_t units(uint64_t bytes)
{
    return bytes / 1024 + (bytes % 1024 != 0);
}

static void put_quota(struct pn_buf *out, const struct pn_quota *q)
{
    (void)pn_buf_addz(out, "* QUOTA \"\" (");
    if (q->bytes_limit != 0)
        (void)pn_buf_addf(out, "STORAGE %" PRIu64 " %" PRIu64, units(q->bytes),
                          units(q->bytes_limit));
    if (q->messages_limit != 0)
        (void)pn_buf_addf(out, "%sMESSAGE %" PRIu64 " %" PRIu64, q->bytes_limit != 0 ? " " : "",
                          q->messages, q->messages_limit);
    (void)pn_buf_addz(out, ")\r\n");
}

enum imap_result imap_getquota(struct imap *imap, struct imap_command *command)
{
    struct pn_str root;
    struct pn_quota quota;
    if (!pn_imap_astring(&command->args, &root) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    enum pn_store_status status = pn_user_quota(imap->user, &quota);
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    if (root.len != 0 || !limited(&quota))
        return imap_no(command, "[NONEXISTENT] There is no such quota root");
    put_quota(command->out, &quota);
    return IMAP_DONE;
}

enum imap_result imap_getquotaroot(struct imap *imap, struct imap_command *command)
{
    struct pn_str name;
    struct pn_quota quota;
    if (!imap_mailbox(imap, command, &name) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    enum pn_store_status status = pn_user_quota(imap->user, &quota);
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    (void)pn_buf_addz(command->out, "* QUOTAROOT ");
    imap_put_mailbox(imap, command->out, command->spelled);
    (void)pn_buf_addz(command->out, limited(&quota) ? " \"\"\r\n" : "\r\n");
    if (limited(&quota))
        put_quota(command->out, &quota);
    return IMAP_DONE;
}

/* "root (STORAGE 512 MESSAGE 10)": understood, and never done. */
enum imap_result imap_setquota(struct imap *imap, struct imap_command *command)
{
    struct pn_imap_args *args = &command->args;
    struct pn_str text;
    uint64_t limit;
    (void)imap;
    if (!pn_imap_astring(args, &text) || !pn_imap_sp(args) || !pn_imap_char(args, '('))
        return IMAP_SYNTAX;
    if (!pn_imap_char(args, ')')) {
        do
            if (!pn_imap_atom_to(args, ")", &text) || !pn_imap_sp(args) ||
                !pn_imap_number64(args, &limit))
                return IMAP_SYNTAX;
        while (pn_imap_sp(args));
        if (!pn_imap_char(args, ')'))
            return IMAP_SYNTAX;
    }
    return pn_imap_end(args) ? imap_no(command, "[NOPERM] Only the operator sets quotas")
                             : IMAP_SYNTAX;
}
