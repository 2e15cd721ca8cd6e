/* COPY and MOVE (RFC 9051, 6.4.7 and 6.4.8; COPYUID: RFC 4315), and what is told of Junk. */
#include "imap_int.h"
#include "json.h"

#include <inttypes.h>

enum { IDS_MAX = 100, IDS_BYTES = 256 * 1024 };

/* ---- Junk ---- */

struct junk {
    bool from, to;
    struct pn_buf ids; /* a JSON array */
    struct pn_json json;
};

static enum pn_special_use use_of(const struct pn_folder_list *list, struct pn_str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (pn_str_eq(list->v[i].name, name))
            return list->v[i].use;
    return PN_USE_NONE;
}

static bool add_id(void *ctx, const struct pn_cached *cached)
{
    struct junk *junk = ctx;
    for (struct pn_str rest = cached->header; rest.p != NULL;) {
        struct pn_str line = pn_str_split(&rest, '\n');
        if (!pn_str_istarts(line, PN_STR("Message-ID:")))
            continue;
        pn_json_str(&junk->json, NULL, pn_str_trim(pn_str_slice(line, 11, line.len)));
        break;
    }
    return true;
}

/* Before the messages go: which they are. */
static void junk_look(struct imap *imap, struct pn_pool *pool, struct pn_str to,
                      const struct pn_uidset *uids, struct junk *junk)
{
    struct pn_folder_list list;
    if (pn_folders_list(imap->user, pool, &list) != PN_STORE_OK)
        return;
    junk->from = use_of(&list, pn_view_folder(imap->view)) == PN_USE_JUNK;
    junk->to = use_of(&list, to) == PN_USE_JUNK;
    if (junk->from == junk->to)
        return;
    junk->json = pn_json_to(&junk->ids);
    pn_json_array(&junk->json, NULL);
    unsigned seen = 0;
    for (size_t i = 0; i < uids->count; i++)
        for (uint32_t seq = pn_view_floor(imap->view, uids->v[i].first);
             seen < IDS_MAX && seq <= pn_view_count(imap->view) &&
             pn_view_uid(imap->view, seq) <= uids->v[i].last;
             seq++, seen++)
            (void)pn_view_cached(imap->view, seq, seq, PN_CACHED_HEADER, add_id, junk);
    pn_json_array_end(&junk->json);
}

static void junk_tell(struct imap *imap, struct pn_str from, struct pn_str to,
                      const struct junk *junk, uint64_t messages)
{
    if (junk->from != junk->to && messages > 0 && imap->host->moved != NULL)
        imap->host->moved(imap->ctx, from, to, junk->to, messages, pn_buf_str(&junk->ids));
}

/* ---- the commands ---- */

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
    struct junk junk = {0};
    pn_buf_init(&junk.ids, IDS_BYTES);
    junk_look(imap, command->args.pool, name, uids, &junk);
    enum pn_store_status status = pn_view_copy(imap->view, uids, name, move, &copied);
    if (status == PN_STORE_OK) {
        junk_tell(imap, pn_view_folder(imap->view), name, &junk, pn_uidset_size(&copied.from));
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
    pn_buf_fini(&junk.ids);
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
