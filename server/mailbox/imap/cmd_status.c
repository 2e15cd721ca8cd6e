#include "imap_status.h"

#include "imap_capability.h"

#include <inttypes.h>

/* A bit is the place of its name here. */
enum {
    MESSAGES,
    UIDNEXT,
    UIDVALIDITY,
    UNSEEN,
    DELETED,
    SIZE,
    HIGHESTMODSEQ,
    APPENDLIMIT,
    DELETED_STORAGE,
    RECENT, /* RFC 3501 alone; no message is ever recent here */
    ITEMS
};

static const char *const names[ITEMS] = {
    [MESSAGES] = "MESSAGES",       [UIDNEXT] = "UIDNEXT",
    [UIDVALIDITY] = "UIDVALIDITY", [UNSEEN] = "UNSEEN",
    [DELETED] = "DELETED",         [SIZE] = "SIZE",
    [RECENT] = "RECENT",           [HIGHESTMODSEQ] = "HIGHESTMODSEQ",
    [APPENDLIMIT] = "APPENDLIMIT", [DELETED_STORAGE] = "DELETED-STORAGE",
};

static bool item(struct pn_imap_args *args, unsigned *items)
{
    struct pn_str word;
    if (!pn_imap_atom(args, &word))
        return false;
    for (unsigned i = 0; i < ITEMS; i++)
        if (pn_str_ieq(word, pn_str_of(names[i]))) {
            *items |= 1U << i;
            return true;
        }
    return false;
}

bool imap_status_items(struct pn_imap_args *args, unsigned *items)
{
    *items = 0;
    if (!pn_imap_char(args, '('))
        return false;
    do
        if (!item(args, items))
            return false;
    while (pn_imap_sp(args));
    return pn_imap_char(args, ')');
}

/* Bytes of messages that an EXPUNGE would remove (RFC 9208, section 4.1.4). */
static uint64_t deleted_storage(const struct imap *imap, struct pn_str name)
{
    struct pn_view *view;
    struct pn_mail mail;
    uint64_t sum = 0;
    if (pn_view_open(imap->user, name, true, NULL, NULL, &view) != PN_STORE_OK)
        return 0;
    for (uint32_t seq = 1, count = pn_view_count(view); seq <= count; seq++) {
        pn_view_mail(view, seq, &mail);
        if ((mail.flags.system & PN_DELETED) == 0)
            continue;
        pn_view_mail_sized(view, seq, seq, &mail);
        sum += mail.size;
    }
    pn_view_close(&view);
    return sum;
}

bool imap_status_wants_modseq(unsigned items)
{
    return (items & 1U << HIGHESTMODSEQ) != 0;
}

void imap_put_status(const struct imap *imap, struct pn_buf *out, struct pn_str name,
                     unsigned items, const struct pn_folder_status *status)
{
    const uint64_t values[ITEMS] = {
        [MESSAGES] = status->messages,
        [UIDNEXT] = status->uidnext,
        [UIDVALIDITY] = status->uidvalidity,
        [UNSEEN] = status->unseen,
        [DELETED] = status->deleted,
        [SIZE] = status->size,
        [RECENT] = 0,
        [HIGHESTMODSEQ] = status->highestmodseq,
        [APPENDLIMIT] = PN_IMAP_APPEND_MAX,
        [DELETED_STORAGE] = (items & 1U << DELETED_STORAGE) != 0 && status->deleted > 0
                                ? deleted_storage(imap, name)
                                : 0,
    };
    (void)pn_buf_addz(out, "* STATUS ");
    imap_put_mailbox(imap, out, name);
    const char *before = " (";
    for (unsigned i = 0; i < ITEMS; i++)
        if ((items & 1U << i) != 0) {
            (void)pn_buf_addf(out, "%s%s %" PRIu64, before, names[i], values[i]);
            before = " ";
        }
    (void)pn_buf_addz(out, ")\r\n");
}

enum imap_result imap_status(struct imap *imap, struct imap_command *command)
{
    struct pn_str name;
    struct pn_folder_status status;
    unsigned items;
    if (!imap_mailbox(imap, command, &name) || !pn_imap_sp(&command->args) ||
        !imap_status_items(&command->args, &items) || !pn_imap_end(&command->args))
        return IMAP_SYNTAX;
    if (imap_status_wants_modseq(items))
        imap_condstore_on(imap, command->out);
    enum pn_store_status got = pn_folder_status(imap->user, name, &status);
    if (got != PN_STORE_OK)
        return imap_said(command, got, false);
    imap_put_status(imap, command->out, name, items, &status);
    return IMAP_DONE;
}
