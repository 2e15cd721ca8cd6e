/* The selected mailbox: which messages a set names, and what is told of changes. */
#include "imap_int.h"

#include <inttypes.h>

enum { UPDATES_MAX = 4 * 1024 * 1024 }; /* bytes of updates at a time; more wait */

void imap_unselect(struct imap *imap)
{
    fetch_forget(imap);
    if (imap->view != NULL)
        pn_view_close(&imap->view);
    pn_uidset_fini(&imap->saved);
    pn_uidset_fini(&imap->untold);
}

/* ---- sets ---- */

/* Numbers to UIDs; those between two numbers in a row are all there is between their UIDs. */
static bool numbers_to_uids(struct imap *imap, const struct pn_uidset *numbers,
                            struct pn_uidset *out)
{
    uint32_t count = pn_view_count(imap->view);
    for (size_t i = 0; i < numbers->count; i++) {
        const struct pn_uidrange *r = &numbers->v[i];
        if (r->last > count || !pn_uidset_add(out, pn_view_uid(imap->view, r->first),
                                              pn_view_uid(imap->view, r->last)))
            return false;
    }
    return true;
}

bool imap_set(struct imap *imap, struct pn_str text, bool uid, struct pn_uidset *out)
{
    uint32_t count = pn_view_count(imap->view);
    struct pn_uidset numbers;
    pn_uidset_init(out, PN_UIDSET_MAX);
    if (pn_str_eq(text, PN_STR("$")))
        return pn_uidset_add_set(out, &imap->saved);
    if (uid) /* `*` of an empty mailbox is a UID that nobody has */
        return pn_uidset_parse(out, text, count == 0 ? UINT32_MAX : pn_view_uid(imap->view, count));
    pn_uidset_init(&numbers, PN_UIDSET_MAX);
    bool ok = pn_uidset_parse(&numbers, text, count) && numbers_to_uids(imap, &numbers, out);
    pn_uidset_fini(&numbers);
    return ok;
}

/* ---- updates ---- */

struct telling {
    struct imap *imap;
    struct pn_buf *out;
    unsigned what; /* IMAP_TELL_... */
    struct pn_uidset vanished;
};

static void tell_vanished(struct telling *t)
{
    if (t->vanished.count == 0)
        return;
    (void)pn_buf_addz(t->out, "* VANISHED ");
    (void)pn_uidset_print(&t->vanished, t->out);
    (void)pn_buf_addz(t->out, "\r\n");
    pn_uidset_clear(&t->vanished);
}

static void expunged(void *ctx, uint32_t seq, uint32_t uid)
{
    struct telling *t = ctx;
    pn_uidset_remove(&t->imap->saved, uid, uid);
    if (t->imap->qresync)
        (void)pn_uidset_add(&t->vanished, uid, uid);
    else
        (void)pn_buf_addf(t->out, "* %" PRIu32 " EXPUNGE\r\n", seq);
}

static void exists(void *ctx, uint32_t messages)
{
    struct telling *t = ctx;
    tell_vanished(t);
    (void)pn_buf_addf(t->out, "* %" PRIu32 " EXISTS\r\n", messages);
    if (!t->imap->rev2)
        (void)pn_buf_addz(t->out, "* 0 RECENT\r\n");
}

static void put_fetch(struct telling *t, uint32_t seq, const struct pn_mail *mail, unsigned what)
{
    if (pn_view_keywords(t->imap->view) != t->imap->keywords_told)
        imap_put_known_flags(t->imap, t->out);
    (void)pn_buf_addf(t->out, "* %" PRIu32 " FETCH (", seq);
    if ((what & IMAP_TELL_UID) != 0)
        (void)pn_buf_addf(t->out, "UID %" PRIu32 " ", mail->uid);
    if ((what & IMAP_TELL_FLAGS) != 0) {
        (void)pn_buf_addz(t->out, "FLAGS ");
        imap_put_flags(t->imap, t->out, mail->flags);
        (void)pn_buf_addc(t->out, ' ');
    }
    if ((what & IMAP_TELL_MODSEQ) != 0)
        (void)pn_buf_addf(t->out, "MODSEQ (%" PRIu64 ") ", mail->modseq);
    t->out->len--; /* the blank */
    (void)pn_buf_addz(t->out, ")\r\n");
}

/* What there is no room for is told with the next updates. */
static void flags(void *ctx, uint32_t seq, const struct pn_mail *mail)
{
    struct telling *t = ctx;
    tell_vanished(t);
    if (t->out->len > UPDATES_MAX && pn_uidset_add(&t->imap->untold, mail->uid, mail->uid))
        return;
    put_fetch(t, seq, mail, t->what);
}

void imap_put_vanished(struct pn_buf *out, const struct pn_uidset *uids)
{
    if (uids->count == 0)
        return;
    (void)pn_buf_addz(out, "* VANISHED (EARLIER) ");
    (void)pn_uidset_print(uids, out);
    (void)pn_buf_addz(out, "\r\n");
}

bool imap_put_changed(struct imap *imap, struct pn_buf *out, const struct pn_uidset *uids,
                      unsigned what, uint32_t *next)
{
    struct telling t = {.imap = imap, .out = out};
    struct pn_mail mail;
    uint32_t count = pn_view_count(imap->view);
    for (size_t i = 0; i < uids->count; i++) {
        const struct pn_uidrange *r = &uids->v[i];
        if (r->last < *next)
            continue;
        uint32_t seq = pn_view_floor(imap->view, r->first > *next ? r->first : *next);
        for (; seq <= count; seq++) {
            pn_view_mail(imap->view, seq, &mail);
            if (mail.uid > r->last)
                break;
            *next = mail.uid;
            if (out->len > PN_ENGINE_OUT)
                return false;
            put_fetch(&t, seq, &mail, what | IMAP_TELL_UID);
        }
    }
    return true;
}

/* RFC 7162, 3.1: who knows CONDSTORE hears MODSEQ with each change, and 3.2.10: the UID, too. */
static unsigned told_of_flags(const struct imap *imap, bool with_uid)
{
    return IMAP_TELL_FLAGS | (with_uid || imap->qresync ? (unsigned)IMAP_TELL_UID : 0) |
           (imap->condstore ? (unsigned)IMAP_TELL_MODSEQ : 0);
}

/* False: there is more. */
static bool tell_untold(struct imap *imap, struct pn_buf *out)
{
    uint32_t next = 0;
    if (imap->untold.count == 0)
        return true;
    bool all = imap_put_changed(imap, out, &imap->untold, told_of_flags(imap, true), &next);
    if (all)
        pn_uidset_fini(&imap->untold);
    else
        pn_uidset_remove(&imap->untold, 1, next - 1);
    return all;
}

bool imap_updates(struct imap *imap, struct pn_buf *out, bool may_expunge, bool with_uid)
{
    static const struct pn_view_ops ops = {.expunged = expunged, .exists = exists, .flags = flags};
    struct telling t = {.imap = imap, .out = out, .what = told_of_flags(imap, with_uid)};
    (void)tell_untold(imap, out);
    pn_uidset_init(&t.vanished, PN_UIDSET_MAX);
    bool there = pn_view_sync(imap->view, may_expunge, &ops, &t);
    tell_vanished(&t);
    pn_uidset_fini(&t.vanished);
    if (!there) {
        imap_unselect(imap);
        (void)pn_buf_addz(out, "* BYE The selected mailbox is gone\r\n");
        imap->over = true;
    }
    return there;
}

void imap_condstore_on(struct imap *imap, struct pn_buf *out)
{
    struct pn_view_info info;
    if (imap->condstore)
        return;
    imap->condstore = true;
    if (imap->view == NULL)
        return;
    pn_view_info(imap->view, &info);
    (void)pn_buf_addf(out, "* OK [HIGHESTMODSEQ %" PRIu64 "] CONDSTORE is on\r\n",
                      info.highestmodseq);
}
