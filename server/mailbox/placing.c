/*
 * Into which of a user's folders a delivery goes. Policy says INBOX or Junk; what that means for
 * this user is known here: his folder for junk may have another name, and a tag in his address may
 * name a folder of his, where that is allowed.
 */
#include "folders.h"
#include "mailbox_int.h"

enum { LIST_POOL = 32 * 1024 * 1024 };

struct pn_str placing_tag(struct pn_str recipient, char delimiter)
{
    size_t at = recipient.len;
    while (at > 0 && recipient.p[at - 1] != '@')
        at--;
    struct pn_str local = pn_str_slice(recipient, 0, at == 0 ? recipient.len : at - 1);
    struct pn_str tag;
    (void)pn_str_untagged(local, delimiter, &tag);
    return tag;
}

/* The user's own name for it; of two that differ in case the one that is spelled so. Folders that
 * have a use of their own are nobody else's to write to. */
static struct pn_str tagged(const struct pn_folder_list *list, struct pn_str tag)
{
    struct pn_str found = PN_STR("");
    for (size_t i = 0; i < list->count; i++) {
        const struct pn_folder_entry *e = &list->v[i];
        if (!e->exists || e->use != PN_USE_NONE || folder_is_inbox(e->name) ||
            !pn_str_ieq(e->name, tag))
            continue;
        if (found.len == 0 || pn_str_eq(e->name, tag))
            found = e->name;
    }
    return found;
}

static void read_tags(void *ctx, const struct pn_mailbox_policy *said)
{
    *(bool *)ctx = said->tag_folders;
}

static bool tags_count(struct mailbox *mb, struct pn_str user)
{
    bool tags;
    mailbox_rules(mb, user, read_tags, &tags);
    return tags;
}

struct placement {
    struct mailbox *mailbox;
    struct pn_user *user;
    struct pn_pool *pool;
};

/* The folder with that use, whatever its name is by now; else the one of policy's name, which gets
 * the use if it is made here. Empty: the pool's limit. */
static struct pn_str junk(const struct placement *p, const struct pn_folder_list *list)
{
    struct pn_buf name;
    for (size_t i = 0; i < list->count; i++)
        if (list->v[i].use == PN_USE_JUNK)
            return list->v[i].name;
    pn_buf_init(&name, 4 * PN_FOLDER_NAME_MAX);
    mailbox_store_rules.folder(p->mailbox, pn_user_address(p->user), PN_USE_JUNK, &name);
    struct pn_str kept = pn_pool_dup(p->pool, pn_buf_str(&name));
    pn_buf_fini(&name);
    if (kept.p != NULL && pn_folder_create(p->user, kept, PN_USE_JUNK) == PN_STORE_OK)
        (void)pn_folder_subscribe(p->user, kept, true);
    return kept.p == NULL ? PN_STR("") : kept;
}

struct pn_str placing(struct mailbox *mb, const struct pn_deliver *d, struct pn_pool **pool)
{
    bool may = d->folder.len == 0 && !pn_str_ieq(d->recipient, d->user); /* who is called so */
    struct pn_str tag = may ? placing_tag(d->recipient, mb->settings.delimiter) : PN_STR("");
    struct pn_folder_list list;
    struct pn_buf why;
    enum pn_store_status status;
    *pool = NULL;
    if (tag.len != 0 && !tags_count(mb, d->user))
        return d->folder;
    if (tag.len == 0 && !pn_str_eq(d->folder, PN_STR("Junk")))
        return d->folder;
    pn_buf_init(&why, 500);
    struct pn_user *user = pn_user_open(mb->store, d->user, &status, &why);
    pn_buf_fini(&why);
    if (user == NULL)
        return d->folder; /* the delivery says why */
    *pool = pn_pool_new(LIST_POOL);
    struct pn_str folder = d->folder;
    const struct placement p = {mb, user, *pool};
    if (pn_folders_list(user, *pool, &list) == PN_STORE_OK)
        folder = tag.len != 0 ? tagged(&list, tag) : junk(&p, &list);
    pn_user_close(&user);
    return folder;
}
