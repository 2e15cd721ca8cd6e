/* A view of view.h made of memory, for tests of what reads one; linked in the place of the store's.
 */
#ifndef PN_FAKE_VIEW_H
#define PN_FAKE_VIEW_H

#include "view.h"

struct fake_mail {
    struct pn_mail mail;
    char *content;   /* owned */
    enum pn_read is; /* what pn_view_read says of it */
};

struct pn_view {
    struct fake_mail *mails; /* owned; by UID */
    uint32_t count;
    size_t cap;
    uint32_t uidvalidity;
    const char *keywords[PN_KEYWORDS_MAX];
    unsigned reads, cached, asked; /* how often they, or flags and so on, were asked for */
};

struct fake_mail *fake_view_add(struct pn_view *view, uint32_t uid, const char *content);
void fake_view_remove(struct pn_view *view, uint32_t seq);
void fake_view_fini(struct pn_view *view);

#endif
