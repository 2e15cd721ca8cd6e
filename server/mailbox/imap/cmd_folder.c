/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE: RFC 9051, sections 6.3.4 to 6.3.10;
 * RFC 6154, section 3. */
#include "imap_int.h"

/* A '/' at the end says that levels below are to come, which needs nothing here. */
static struct pn_str without_end(struct pn_str name)
{
    return name.len > 1 && name.p[name.len - 1] == '/' ? pn_str_slice(name, 0, name.len - 1) : name;
}

/* The session itself deletes or renames what it has selected: it has no other use of it. */
static void let_go(struct imap *imap, struct imap_command *command, struct pn_str name)
{
    if (imap->view == NULL)
        return;
    struct pn_str selected = pn_view_folder(imap->view);
    if (!pn_str_eq(selected, name) && !folder_name_below(selected, name))
        return;
    imap_unselect(imap);
    (void)pn_buf_addz(command->out, "* OK [CLOSED] The selected mailbox is no more\r\n");
}

/* " (USE (\\Sent))", or nothing. False: malformed. PN_USES: more than one, or none of ours. */
static bool use_of(struct pn_imap_args *args, enum pn_special_use *use)
{
    struct pn_str flag;
    unsigned count = 0;
    *use = PN_USE_NONE;
    if (pn_imap_end(args))
        return true;
    if (!pn_imap_sp(args) || !pn_imap_char(args, '(') || !pn_imap_word(args, "USE") ||
        !pn_imap_sp(args) || !pn_imap_char(args, '('))
        return false;
    if (!pn_imap_char(args, ')')) {
        do {
            if (!pn_imap_flag(args, &flag))
                return false;
            *use = ++count > 1 ? PN_USES : pn_special_use_find(flag);
        } while (pn_imap_sp(args));
        if (!pn_imap_char(args, ')'))
            return false;
    }
    return pn_imap_char(args, ')') && pn_imap_end(args);
}

enum imap_result imap_create(struct imap *imap, struct imap_command *command)
{
    struct pn_str name;
    enum pn_special_use use;
    if (!imap_mailbox(imap, command, &name) || !use_of(&command->args, &use))
        return IMAP_SYNTAX;
    if (use == PN_USES)
        return imap_no(command, "[USEATTR] No mailbox can be made for that use");
    enum pn_store_status status = pn_folder_create(imap->user, without_end(name), use);
    if (status == PN_STORE_REFUSED)
        return imap_no(command, "[USEATTR] A mailbox for that use is there, or can't be");
    name = without_end(name);
    if (status == PN_STORE_OK && imap->rev2 && !pn_str_eq(without_end(command->spelled), name))
        imap_put_list(imap, command, name);
    return status == PN_STORE_OK ? IMAP_DONE : imap_said(command, status, false);
}

enum imap_result imap_delete(struct imap *imap, struct imap_command *command)
{
    struct pn_str name;
    if (!imap_mailbox(imap, command, &name) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    enum pn_store_status status = pn_folder_delete(imap->user, name);
    if (status == PN_STORE_REFUSED)
        return imap_no(command, "[CANNOT] The INBOX stays");
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    if (imap->view != NULL && pn_str_eq(pn_view_folder(imap->view), name))
        let_go(imap, command, name);
    return IMAP_DONE;
}

enum imap_result imap_rename(struct imap *imap, struct imap_command *command)
{
    struct pn_str from, to;
    if (!imap_mailbox(imap, command, &from) || !pn_imap_sp(&command->args) ||
        !imap_mailbox(imap, command, &to) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    enum pn_store_status status = pn_folder_rename(imap->user, from, without_end(to));
    if (status == PN_STORE_REFUSED)
        return imap_no(command, "[CANNOT] A mailbox can't go below itself");
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    if (!folder_is_inbox(from))
        let_go(imap, command, from);
    return IMAP_DONE;
}

static enum imap_result subscribe(struct imap *imap, struct imap_command *command, bool subscribed)
{
    struct pn_str name;
    if (!imap_mailbox(imap, command, &name) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    enum pn_store_status status = pn_folder_subscribe(imap->user, without_end(name), subscribed);
    return status == PN_STORE_OK ? IMAP_DONE : imap_said(command, status, false);
}

enum imap_result imap_subscribe(struct imap *imap, struct imap_command *command)
{
    return subscribe(imap, command, true);
}

enum imap_result imap_unsubscribe(struct imap *imap, struct imap_command *command)
{
    return subscribe(imap, command, false);
}

enum imap_result imap_namespace(struct imap *imap, struct imap_command *command)
{
    (void)imap;
    (void)pn_buf_addz(command->out, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return IMAP_DONE;
}
