/* What policy says of users' mailboxes. The generation of today is read by many threads, and
 * changed by the loop. */
#include "folders.h"
#include "mailbox_int.h"

void mailbox_rules(struct mailbox *mb, struct pn_str user,
                   void (*read)(void *ctx, const struct pn_mailbox_policy *said), void *ctx)
{
    struct pn_mailbox_policy said;
    (void)pthread_mutex_lock(&mb->policy_lock);
    struct pn_policy *p = pn_policy_ref(mb->policy);
    (void)pthread_mutex_unlock(&mb->policy_lock);
    pn_policy_mailbox_of(p, user, &said);
    read(ctx, &said);
    pn_policy_unref(&p);
}

/* ---- for the store ---- */

struct quota {
    uint64_t bytes, messages;
};

static void read_quota(void *ctx, const struct pn_mailbox_policy *said)
{
    *(struct quota *)ctx = (struct quota){said->bytes.value, said->messages.value};
}

static void quota(void *ctx, struct pn_str user, uint64_t *bytes, uint64_t *messages)
{
    struct quota q;
    mailbox_rules(ctx, user, read_quota, &q);
    *bytes = q.bytes;
    *messages = q.messages;
}

static void read_rejects(void *ctx, const struct pn_mailbox_policy *said)
{
    *(bool *)ctx = said->full_rejects;
}

bool mailbox_full_rejects(struct mailbox *mb, struct pn_str user)
{
    bool rejects;
    mailbox_rules(mb, user, read_rejects, &rejects);
    return rejects;
}

struct folder_name {
    enum pn_policy_folder which;
    struct pn_buf *out;
};

static void read_folder(void *ctx, const struct pn_mailbox_policy *said)
{
    const struct folder_name *f = ctx;
    (void)pn_buf_adds(f->out, said->folders[f->which]);
}

static void folder(void *ctx, struct pn_str user, unsigned use, struct pn_buf *name)
{
    static const enum pn_policy_folder of[PN_USES] = {
        [PN_USE_NONE] = PN_POLICY_FOLDERS,     [PN_USE_ARCHIVE] = PN_FOLDER_OF_ARCHIVE,
        [PN_USE_DRAFTS] = PN_FOLDER_OF_DRAFTS, [PN_USE_FLAGGED] = PN_POLICY_FOLDERS,
        [PN_USE_JUNK] = PN_FOLDER_OF_JUNK,     [PN_USE_SENT] = PN_FOLDER_OF_SENT,
        [PN_USE_TRASH] = PN_FOLDER_OF_TRASH,
    };
    struct folder_name f = {use < PN_USES ? of[use] : PN_POLICY_FOLDERS, name};
    if (f.which < PN_POLICY_FOLDERS)
        mailbox_rules(ctx, user, read_folder, &f);
}

const struct pn_store_rules mailbox_store_rules = {quota, folder};
