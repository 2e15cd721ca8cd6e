#include "fake_view.h"

#include "mem.h"
#include "message.h"

#include <stdlib.h>

struct fake_mail *fake_view_add(struct pn_view *view, uint32_t uid, const char *content)
{
    view->mails = pn_grow(view->mails, &view->cap, view->count, sizeof *view->mails);
    struct fake_mail *mail = &view->mails[view->count++];
    *mail = (struct fake_mail){.content = pn_strdup(content), .is = PN_READ_OK};
    mail->mail.uid = uid;
    mail->mail.size = (uint32_t)strlen(content);
    mail->mail.modseq = 1;
    return mail;
}

void fake_view_remove(struct pn_view *view, uint32_t seq)
{
    free(view->mails[seq - 1].content);
    memmove(view->mails + seq - 1, view->mails + seq, (view->count - seq) * sizeof *view->mails);
    view->count--;
}

void fake_view_fini(struct pn_view *view)
{
    while (view->count > 0)
        fake_view_remove(view, view->count);
    free(view->mails);
    view->mails = NULL;
}

void pn_view_info(struct pn_view *view, struct pn_view_info *out)
{
    *out = (struct pn_view_info){.uidvalidity = view->uidvalidity, .messages = view->count};
}

unsigned pn_view_keywords(struct pn_view *view)
{
    unsigned n = 0;
    while (n < PN_KEYWORDS_MAX && view->keywords[n] != NULL)
        n++;
    return n;
}

struct pn_str pn_view_keyword(struct pn_view *view, unsigned n)
{
    return pn_str_of(n < PN_KEYWORDS_MAX && view->keywords[n] != NULL ? view->keywords[n] : "");
}

uint32_t pn_view_count(const struct pn_view *view)
{
    return view->count;
}

uint32_t pn_view_uid(const struct pn_view *view, uint32_t seq)
{
    return view->mails[seq - 1].mail.uid;
}

uint32_t pn_view_floor(const struct pn_view *view, uint32_t uid)
{
    uint32_t low = 0, high = view->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (view->mails[middle].mail.uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low + 1;
}

uint32_t pn_view_seq(const struct pn_view *view, uint32_t uid)
{
    uint32_t seq = pn_view_floor(view, uid);
    return seq <= view->count && pn_view_uid(view, seq) == uid ? seq : 0;
}

void pn_view_mail(struct pn_view *view, uint32_t seq, struct pn_mail *out)
{
    view->asked++;
    *out = view->mails[seq - 1].mail;
}

void pn_view_mail_sized(struct pn_view *view, uint32_t seq, uint32_t last, struct pn_mail *out)
{
    (void)last;
    pn_view_mail(view, seq, out);
}

uint32_t pn_view_cached(struct pn_view *view, uint32_t first, uint32_t last, unsigned what,
                        bool (*fn)(void *ctx, const struct pn_cached *cached), void *ctx)
{
    (void)what;
    for (uint32_t seq = first; seq <= last; seq++) {
        const struct fake_mail *mail = &view->mails[seq - 1];
        struct pn_message *m = pn_message_new(pn_str_of(mail->content), NULL);
        struct pn_cached cached = {.seq = seq, .whole = mail->is == PN_READ_OK};
        if (cached.whole)
            cached.header = pn_part_header(m, pn_message_part(m, 0));
        view->cached++;
        bool more = fn(ctx, &cached);
        pn_message_free(&m);
        if (!more)
            return seq;
    }
    return last + 1;
}

enum pn_read pn_view_read(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    const struct fake_mail *mail = &view->mails[seq - 1];
    view->reads++;
    if (mail->is == PN_READ_OK) /* a copy, so that use behind _done is seen */
        *out = (struct pn_content){.bytes = pn_str_of(pn_strdup(mail->content))};
    return mail->is;
}

enum pn_read pn_view_read_whole(struct pn_view *view, uint32_t seq, struct pn_content *out,
                                bool *whole)
{
    enum pn_read read = pn_view_read(view, seq, out);
    *whole = read == PN_READ_OK;
    return read;
}

void pn_view_rest(struct pn_view *view)
{
    (void)view;
}

bool pn_content_is_whole(const struct pn_content *content)
{
    (void)content;
    return true;
}

void pn_content_done(struct pn_content *content)
{
    free((char *)(uintptr_t)content->bytes.p);
    content->bytes = PN_STR("");
}
