/* STORE (RFC 9051, 6.4.6; UNCHANGEDSINCE: RFC 7162, 3.1.3) and EXPUNGE (6.4.3, UID: 6.4.9). */
#include "imap_int.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>

struct store {
    struct pn_uidset uids, modified;
    enum pn_flag_op op;
    bool silent;
    uint64_t unchanged_since;
    struct imap_flag_words words;
    bool stored;
    enum pn_store_status status;
    uint32_t next; /* of those that are told */
};

static void store_free(void *work)
{
    struct store *s = work;
    pn_uidset_fini(&s->uids);
    pn_uidset_fini(&s->modified);
    free(s);
}

/* "FLAGS", "+FLAGS.SILENT" ... */
static bool read_item(struct pn_str item, struct store *s)
{
    s->op = PN_FLAGS_SET;
    if (item.len > 0 && (item.p[0] == '+' || item.p[0] == '-')) {
        s->op = item.p[0] == '+' ? PN_FLAGS_ADD : PN_FLAGS_REMOVE;
        item = pn_str_slice(item, 1, item.len);
    }
    s->silent = pn_str_ieq(item, PN_STR("FLAGS.SILENT"));
    return s->silent || pn_str_ieq(item, PN_STR("FLAGS"));
}

static bool read_args(struct imap *imap, struct imap_command *command, struct store *s)
{
    struct pn_imap_args *args = &command->args;
    struct pn_str set, item;
    s->unchanged_since = UINT64_MAX;
    if (!pn_imap_set(args, &set) || !imap_set(imap, set, command->uid, &s->uids) ||
        !pn_imap_sp(args))
        return false;
    if (pn_imap_char(args, '(') && (!pn_imap_word(args, "UNCHANGEDSINCE") || !pn_imap_sp(args) ||
                                    !pn_imap_number64(args, &s->unchanged_since) ||
                                    !pn_imap_char(args, ')') || !pn_imap_sp(args)))
        return false;
    return pn_imap_atom(args, &item) && read_item(item, s) && pn_imap_sp(args) &&
           imap_flag_list_or_words(command, &s->words) && pn_imap_end(args);
}

/* [MODIFIED]: by number where the command was. */
static enum imap_result say_modified(struct imap *imap, struct imap_command *command,
                                     const struct pn_uidset *modified)
{
    struct pn_uidset numbers;
    pn_uidset_init(&numbers, PN_UIDSET_MAX);
    for (size_t i = 0; !command->uid && i < modified->count; i++)
        for (uint32_t seq = pn_view_floor(imap->view, modified->v[i].first);
             seq <= pn_view_count(imap->view) &&
             pn_view_uid(imap->view, seq) <= modified->v[i].last;
             seq++)
            (void)pn_uidset_add(&numbers, seq, seq);
    (void)imap_ok(command, "[MODIFIED ");
    (void)pn_uidset_print(command->uid ? modified : &numbers, &command->reply);
    (void)pn_buf_addz(&command->reply, "] Some were changed by others");
    pn_uidset_fini(&numbers);
    return IMAP_DONE;
}

static void store_flags(struct imap *imap, struct store *s)
{
    struct pn_flags bits;
    s->status = imap_flag_bits(imap, &s->words, s->op != PN_FLAGS_REMOVE, &bits);
    s->stored = true;
    if (s->status != PN_STORE_OK)
        return;
    s->status = pn_view_store(imap->view, &s->uids, s->op, bits, s->unchanged_since, &s->modified);
    for (size_t i = 0; i < s->modified.count; i++)
        pn_uidset_remove(&s->uids, s->modified.v[i].first, s->modified.v[i].last);
    if (s->status != PN_STORE_OK) /* of some, and who asked does not know of which */
        s->silent = false;
}

/* The new flags of each, changed by this or not (RFC 9051, 6.4.6: "as if a FETCH of those flags was
 * done"). Who knows modseqs hears of them though it wants no flags (RFC 7162, 3.1.3). */
static bool tell_stored(struct imap *imap, struct imap_command *command, struct store *s)
{
    unsigned what = imap_told_of_flags(imap, command->uid);
    if (s->silent)
        what = imap->condstore ? IMAP_TELL_UID | IMAP_TELL_MODSEQ : 0;
    return what == 0 || imap_put_changed(imap, command->out, &s->uids, what, &s->next);
}

enum imap_result imap_store(struct imap *imap, struct imap_command *command)
{
    struct pn_view_info info;
    struct store *s = command->work;
    if (s == NULL) {
        s = command->work = pn_calloc(1, sizeof *s);
        command->work_free = store_free;
        pn_uidset_init(&s->modified, PN_UIDSET_MAX);
        if (!read_args(imap, command, s))
            return IMAP_SYNTAX;
    }
    pn_view_info(imap->view, &info);
    if (info.read_only)
        return imap_no(command, "[READ-ONLY] The mailbox was opened with EXAMINE");
    if (s->unchanged_since != UINT64_MAX)
        imap_condstore_on(imap, command->out);
    if (!s->stored) {
        /* What others did comes first, lest it is taken for a part of what is silent; and again,
         * for those who were as fast. */
        if (s->silent && !imap_updates(imap, command->out, false, command->uid))
            return IMAP_DONE;
        store_flags(imap, s);
        if (s->silent && !imap_updates(imap, command->out, false, command->uid))
            return IMAP_DONE;
    }
    if (!tell_stored(imap, command, s))
        return IMAP_AGAIN;
    if (s->status != PN_STORE_OK)
        return imap_said(command, s->status, false);
    return s->modified.count > 0 ? say_modified(imap, command, &s->modified) : IMAP_DONE;
}

/* ---- EXPUNGE ---- */

enum imap_result imap_expunge(struct imap *imap, struct imap_command *command)
{
    struct pn_view_info info;
    struct pn_uidset uids;
    struct pn_str set;
    bool read = true;
    pn_uidset_init(&uids, 1);
    if (command->uid)
        read = pn_imap_set(&command->args, &set) && imap_set(imap, set, true, &uids);
    if (!read || !pn_imap_end(&command->args)) {
        pn_uidset_fini(&uids);
        return IMAP_SYNTAX;
    }
    pn_view_info(imap->view, &info);
    enum pn_store_status status = PN_STORE_REFUSED;
    if (!info.read_only)
        status = pn_view_expunge(imap->view, command->uid ? &uids : NULL);
    pn_uidset_fini(&uids);
    if (info.read_only)
        return imap_no(command, "[READ-ONLY] The mailbox was opened with EXAMINE");
    if (status != PN_STORE_OK)
        return imap_said(command, status, false);
    if (!imap->condstore)
        return IMAP_DONE;
    /* The number belongs to what was told, so this is told now (RFC 7162, 3.2.7). */
    command->quiet = true;
    if (!imap_updates(imap, command->out, true, command->uid))
        return IMAP_DONE;
    pn_view_info(imap->view, &info);
    return imap_ok(command, "[HIGHESTMODSEQ %" PRIu64 "] EXPUNGE completed", info.highestmodseq);
}
