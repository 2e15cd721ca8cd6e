/* The selected mailbox: which messages a set names, and what is told of changes. */
#include "imap_int.h"
#include "mem.h"

#include <inttypes.h>
#include <stdlib.h>

enum { UPDATES_MAX = 4 * 1024 * 1024 }; /* bytes of updates at a time; more wait */

void imap_grew(const struct imap *imap, struct pn_str folder)
{
    if (imap->host->grew != NULL)
        imap->host->grew(imap->ctx, folder);
}

void imap_unselect(struct imap *imap)
{
    fetch_forget(imap);
    if (imap->view != NULL)
        pn_view_close(&imap->view);
    pn_uidset_fini(&imap->saved);
    pn_uidset_fini(&imap->untold);
    free(imap->late.numbers);
    imap->late = (struct imap_late){.numbers = NULL};
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
    /* `*` of none should be an error, too, but "1:*" is what clients ask without looking. */
    return ok && (count > 0 || pn_str_find(text, '*', 0) != SIZE_MAX);
}

/* ---- updates ---- */

struct telling {
    struct imap *imap;
    struct pn_buf *out;
    unsigned what;  /* IMAP_TELL_... */
    uint32_t *gone; /* owned: UIDs that were expunged */
    size_t gone_count, gone_cap;
};

static int by_uid(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* What SEARCH saved loses them (RFC 5182, section 2.1): by what is between, in one pass. */
static void forget_saved(struct telling *t)
{
    struct pn_uidset others;
    uint32_t from = 1;
    if (t->imap->saved.count == 0)
        return;
    pn_uidset_init(&others, PN_UIDSET_MAX);
    for (size_t i = 0; i < t->gone_count; i++) {
        if (t->gone[i] > from)
            (void)pn_uidset_add(&others, from, t->gone[i] - 1);
        from = t->gone[i] + 1;
    }
    if (from != 0)
        (void)pn_uidset_add(&others, from, UINT32_MAX);
    (void)pn_uidset_intersect(&t->imap->saved, &others);
    pn_uidset_fini(&others);
}

static void tell_vanished(struct telling *t)
{
    struct pn_uidset uids;
    if (t->gone_count == 0)
        return;
    qsort(t->gone, t->gone_count, sizeof *t->gone, by_uid); /* a set likes it upwards */
    forget_saved(t);
    if (t->imap->qresync) {
        pn_uidset_init(&uids, PN_UIDSET_MAX);
        for (size_t i = 0; i < t->gone_count; i++)
            (void)pn_uidset_add(&uids, t->gone[i], t->gone[i]);
        (void)pn_buf_addz(t->out, "* VANISHED ");
        (void)pn_uidset_print(&uids, t->out);
        (void)pn_buf_addz(t->out, "\r\n");
        pn_uidset_fini(&uids);
    }
    t->gone_count = 0;
}

static void put_expunge(struct pn_buf *out, uint32_t seq)
{
    (void)pn_buf_addz(out, "* ");
    imap_put_number(out, seq);
    (void)pn_buf_addz(out, " EXPUNGE\r\n");
}

static void expunged(void *ctx, uint32_t seq, uint32_t uid)
{
    struct telling *t = ctx;
    t->gone = pn_grow(t->gone, &t->gone_cap, t->gone_count, sizeof *t->gone);
    t->gone[t->gone_count++] = uid;
    if (t->imap->qresync)
        return;
    struct imap_late *late = &t->imap->late;
    if (late->count == 0 && t->out->len <= PN_ENGINE_OUT) {
        put_expunge(t->out, seq);
        return;
    }
    late->numbers = pn_grow(late->numbers, &late->cap, late->count, sizeof *late->numbers);
    late->numbers[late->count++] = seq;
}

static void put_exists(const struct imap *imap, struct pn_buf *out, uint32_t messages)
{
    (void)pn_buf_addf(out, "* %" PRIu32 " EXISTS\r\n", messages);
    if (!imap->rev2)
        (void)pn_buf_addz(out, "* 0 RECENT\r\n");
}

static void exists(void *ctx, uint32_t messages)
{
    struct telling *t = ctx;
    tell_vanished(t);
    if (t->imap->late.count > 0)
        t->imap->late.exists = messages;
    else
        put_exists(t->imap, t->out, messages);
}

bool imap_tell_late(struct imap *imap, struct pn_buf *out)
{
    struct imap_late *late = &imap->late;
    while (late->told < late->count && out->len <= PN_ENGINE_OUT)
        put_expunge(out, late->numbers[late->told++]);
    if (late->told < late->count)
        return false;
    if (late->exists != 0)
        put_exists(imap, out, late->exists);
    free(late->numbers);
    *late = (struct imap_late){.numbers = NULL};
    return true;
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
    if ((t->imap->late.count > 0 || t->out->len > UPDATES_MAX) &&
        pn_uidset_add(&t->imap->untold, mail->uid, mail->uid))
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
            put_fetch(&t, seq, &mail, what);
        }
    }
    return true;
}

unsigned imap_told_of_flags(const struct imap *imap, bool with_uid)
{
    bool uid = with_uid || imap->qresync || imap->rev2;
    return IMAP_TELL_FLAGS | (uid ? (unsigned)IMAP_TELL_UID : 0) |
           (imap->condstore ? (unsigned)IMAP_TELL_MODSEQ : 0);
}

/* False: there is more. */
static bool tell_untold(struct imap *imap, struct pn_buf *out)
{
    uint32_t next = 0;
    if (imap->untold.count == 0)
        return true;
    bool all = imap_put_changed(imap, out, &imap->untold, imap_told_of_flags(imap, true), &next);
    if (all)
        pn_uidset_fini(&imap->untold);
    else
        pn_uidset_remove(&imap->untold, 1, next - 1);
    return all;
}

bool imap_updates(struct imap *imap, struct pn_buf *out, bool may_expunge, bool with_uid)
{
    static const struct pn_view_ops ops = {.expunged = expunged, .exists = exists, .flags = flags};
    struct telling t = {.imap = imap, .out = out, .what = imap_told_of_flags(imap, with_uid)};
    if (imap->late.count > 0) /* those first */
        return true;
    (void)tell_untold(imap, out);
    bool there = pn_view_sync(imap->view, may_expunge, &ops, &t);
    tell_vanished(&t);
    free(t.gone);
    if (!there) {
        imap_unselect(imap);
        (void)pn_buf_addz(out, "* BYE The selected mailbox is gone\r\n");
        imap->over = true;
    }
    return there;
}

void imap_put_held_back(struct imap *imap, struct pn_buf *out)
{
    struct pn_view_info info;
    pn_view_info(imap->view, &info);
    if (imap->qresync && info.holds_back)
        (void)pn_buf_addf(out, "* OK [HIGHESTMODSEQ %" PRIu64 "] Expunges behind it wait\r\n",
                          info.highestmodseq);
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
