#include "fake_folder.h"

#include "assert.h"
#include "mem.h"

#include <stdlib.h>

struct pn_view {
    size_t count;
};

struct fake_folder fake_folder;
static struct pn_view the_view;
static char the_user;

void fake_folder_clear(void)
{
    free(fake_folder.mails);
    fake_folder = (struct fake_folder){.uidvalidity = 1700000000};
}

static uint32_t size_of(struct pn_str content)
{
    size_t size = content.len;
    for (size_t i = 0; i < content.len; i++)
        size += content.p[i] == '\n' && (i == 0 || content.p[i - 1] != '\r');
    return (uint32_t)size;
}

void fake_folder_add(struct pn_str content)
{
    struct fake_folder *f = &fake_folder;
    if ((f->count & (f->count - 1)) == 0) /* doubles */
        f->mails = pn_realloc(f->mails, (f->count == 0 ? 1 : f->count * 2) * sizeof *f->mails);
    f->mails[f->count] = (struct fake_mail){
        .content = content, .uid = 10 * (uint32_t)(f->count + 1), .size = size_of(content)};
    f->count++;
}

struct pn_user *fake_user(void)
{
    return (struct pn_user *)(void *)&the_user;
}

void pn_user_close(struct pn_user **user)
{
    pn_assert((void *)*user == &the_user);
    *user = NULL;
    fake_folder.users++;
}

enum pn_store_status pn_view_open(struct pn_user *user, struct pn_str folder, bool read_only,
                                  void (*changed)(void *ctx), void *ctx, struct pn_view **out)
{
    pn_assert((void *)user == &the_user && pn_str_eq(folder, PN_STR("INBOX")) && !read_only);
    (void)changed;
    (void)ctx;
    if (fake_folder.open_status != PN_STORE_OK)
        return fake_folder.open_status;
    the_view.count = fake_folder.count;
    fake_folder.open++;
    *out = &the_view;
    return PN_STORE_OK;
}

void pn_view_close(struct pn_view **view)
{
    pn_assert(fake_folder.open != 0);
    fake_folder.open--;
    *view = NULL;
}

void pn_view_info(struct pn_view *view, struct pn_view_info *out)
{
    *out = (struct pn_view_info){.uidvalidity = fake_folder.uidvalidity,
                                 .messages = (uint32_t)view->count};
}

uint32_t pn_view_count(const struct pn_view *view)
{
    return (uint32_t)view->count;
}

static struct fake_mail *at(const struct pn_view *view, uint32_t seq)
{
    pn_assert(seq >= 1 && seq <= view->count);
    return &fake_folder.mails[seq - 1];
}

uint32_t pn_view_uid(const struct pn_view *view, uint32_t seq)
{
    return at(view, seq)->uid;
}

void pn_view_mail(struct pn_view *view, uint32_t seq, struct pn_mail *out)
{
    const struct fake_mail *m = at(view, seq);
    *out = (struct pn_mail){.uid = m->uid, .size = m->size, .gone = m->gone};
}

void pn_view_mail_sized(struct pn_view *view, uint32_t seq, uint32_t last, struct pn_mail *out)
{
    (void)last;
    pn_view_mail(view, seq, out);
}

enum pn_read pn_view_read(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    const struct fake_mail *m = at(view, seq);
    if (m->gone || m->content.p == NULL)
        return m->gone ? PN_READ_EXPUNGED : PN_READ_ERROR;
    fake_folder.reading++;
    *out = (struct pn_content){.bytes = m->content};
    return PN_READ_OK;
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

void pn_view_downgrade(struct pn_view *view, bool on)
{
    (void)view;
    fake_folder.downgrade = on;
}

enum pn_read pn_view_show(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    return pn_view_read(view, seq, out);
}

bool pn_content_is_whole(const struct pn_content *content)
{
    (void)content;
    return true;
}

void pn_content_done(struct pn_content *content)
{
    pn_assert(fake_folder.reading != 0);
    fake_folder.reading--;
    content->bytes = PN_STR("");
}

enum pn_store_status pn_view_remove(struct pn_view *view, const struct pn_uidset *uids)
{
    for (uint32_t seq = 1; seq <= view->count && fake_folder.store_status == PN_STORE_OK; seq++)
        if (pn_uidset_has(uids, at(view, seq)->uid))
            at(view, seq)->removed = true;
    return fake_folder.store_status;
}
