/* What is told of messages that go into or out of the folder for junk, so that somebody can learn:
 * by MOVE, by COPY (most clients delete the message then), or by APPEND, which is how programs that
 * keep two mailboxes the same move a message. */
#include "imap_int.h"
#include "view.h"

enum { IDS_MAX = 100, IDS_BYTES = 256 * 1024 };

static enum pn_special_use use_of(const struct pn_folder_list *list, struct pn_str name)
{
    for (size_t i = 0; i < list->count; i++)
        if (pn_str_eq(list->v[i].name, name))
            return list->v[i].use;
    return PN_USE_NONE;
}

static bool add_id(void *ctx, const struct pn_cached *cached)
{
    struct imap_junk *junk = ctx;
    for (struct pn_str rest = cached->header; rest.p != NULL;) {
        struct pn_str line = pn_str_split(&rest, '\n');
        if (!pn_str_istarts(line, PN_STR("Message-ID:")))
            continue;
        pn_json_str(&junk->json, NULL, pn_str_trim(pn_str_slice(line, 11, line.len)));
        break;
    }
    return true;
}

static void begin(struct imap_junk *junk)
{
    *junk = (struct imap_junk){.from = false};
    pn_buf_init(&junk->ids, IDS_BYTES);
}

/* Of the first of these messages. */
static void add_ids(struct imap_junk *junk, struct pn_view *view, const struct pn_uidset *uids)
{
    unsigned seen = 0;
    junk->json = pn_json_to(&junk->ids);
    pn_json_array(&junk->json, NULL);
    for (size_t i = 0; i < uids->count; i++)
        for (uint32_t seq = pn_view_floor(view, uids->v[i].first);
             seen < IDS_MAX && seq <= pn_view_count(view) &&
             pn_view_uid(view, seq) <= uids->v[i].last;
             seq++, seen++)
            (void)pn_view_cached(view, seq, seq, PN_CACHED_HEADER, add_id, junk);
    pn_json_array_end(&junk->json);
}

void imap_junk_look(struct imap_junk *junk, struct imap *imap, struct pn_pool *pool,
                    struct pn_str to, const struct pn_uidset *uids)
{
    struct pn_folder_list list;
    begin(junk);
    if (pn_folders_list(imap->user, pool, &list) != PN_STORE_OK)
        return;
    junk->from = use_of(&list, pn_view_folder(imap->view)) == PN_USE_JUNK;
    junk->to = use_of(&list, to) == PN_USE_JUNK;
    if (junk->from != junk->to)
        add_ids(junk, imap->view, uids);
}

void imap_junk_tell(const struct imap_junk *junk, struct imap *imap, struct pn_str to,
                    uint64_t messages)
{
    if (junk->from != junk->to && messages > 0 && imap->host->moved != NULL)
        imap->host->moved(imap->ctx, pn_view_folder(imap->view), to, junk->to, messages,
                          pn_buf_str(&junk->ids));
}

void imap_junk_fini(struct imap_junk *junk)
{
    pn_buf_fini(&junk->ids);
}

void imap_junk_appended(struct imap *imap, struct pn_str to, const struct pn_uidset *uids)
{
    struct imap_junk junk;
    struct pn_view *view;
    if (imap->host->moved == NULL ||
        pn_view_open(imap->user, to, true, NULL, NULL, &view) != PN_STORE_OK)
        return;
    begin(&junk);
    add_ids(&junk, view, uids);
    imap->host->moved(imap->ctx, PN_STR(""), to, true, pn_uidset_size(uids), pn_buf_str(&junk.ids));
    imap_junk_fini(&junk);
    pn_view_close(&view);
}
