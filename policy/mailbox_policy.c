#include "mailbox_policy.h"

#include "assert.h"
#include "image.h"

/* By enum pn_policy_folder, as the rows of `folders` are called. */
static const char *const folder_rows[PN_POLICY_FOLDERS] = {
    [PN_FOLDER_OF_DRAFTS] = "drafts",   [PN_FOLDER_OF_SENT] = "sent",
    [PN_FOLDER_OF_JUNK] = "junk",       [PN_FOLDER_OF_TRASH] = "trash",
    [PN_FOLDER_OF_ARCHIVE] = "archive",
};

/* Where a setting may stand: the domain's block first; NULL: it has none. */
struct places {
    const char *base;
    const struct postern_block *blocks[2];
};

static const struct img_value *first_value(const char *base, const struct postern_block *b,
                                           const char *name)
{
    const struct img_row *row = b == NULL ? NULL : img_row_find(b, pn_str_of(name));
    return row == NULL || row->values.count == 0 ? NULL : img_at(base, row->values.off);
}

static const struct postern_block *inner(const char *base, const struct postern_block *b,
                                         const char *name)
{
    const struct img_value *v = first_value(base, b, name);
    return v == NULL ? NULL : img_at(base, v->block);
}

static struct places places_of(const struct pn_policy *p, const struct pn_domain *domain)
{
    const char *base = img_policy_base(p);
    struct places at = {base, {NULL, inner(base, img_at(base, img_header(base)->core), "mailbox")}};
    if (domain != NULL && domain->mailbox != 0)
        at.blocks[0] = img_at(base, domain->mailbox);
    return at;
}

static const struct img_value *said(const struct places *at, const char *name)
{
    const struct img_value *v = first_value(at->base, at->blocks[0], name);
    v = v != NULL ? v : first_value(at->base, at->blocks[1], name);
    pn_assert(v != NULL); /* at the top each has a default */
    return v;
}

static struct pn_mailbox_limit limit(const struct places *at, const char *name)
{
    const struct img_value *v = said(at, name);
    return (struct pn_mailbox_limit){v->number > 0 ? (uint64_t)v->number : 0,
                                     img_text(at->base, v->where)};
}

void pn_policy_mailbox(const struct pn_policy *p, const struct pn_domain *domain,
                       struct pn_mailbox_policy *out)
{
    struct places at = places_of(p, domain);
    out->bytes = limit(&at, "quota");
    out->messages = limit(&at, "quota-messages");
    out->full_rejects = said(&at, "over-quota")->number != 0;
    out->tag_folders = said(&at, "tag-folders")->number != 0;
    for (unsigned i = 0; i < 2; i++)
        at.blocks[i] = inner(at.base, at.blocks[i], "folders");
    for (unsigned i = 0; i < PN_POLICY_FOLDERS; i++)
        out->folders[i] = img_text(at.base, said(&at, folder_rows[i])->text);
}

void pn_policy_mailbox_of(const struct pn_policy *p, struct pn_str user,
                          struct pn_mailbox_policy *out)
{
    size_t at = user.len;
    while (at > 0 && user.p[at - 1] != '@')
        at--;
    pn_policy_mailbox(p, at == 0 ? NULL : pn_policy_domain(p, pn_str_slice(user, at, user.len)),
                      out);
}

bool pn_domain_has_quota(const struct pn_policy *p, const struct pn_domain *domain)
{
    struct places at = places_of(p, domain);
    return said(&at, "quota")->number > 0 || said(&at, "quota-messages")->number > 0;
}
