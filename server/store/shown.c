/* What a view shows of messages: downgraded ones (downgrade.h) to a session that can't read
 * UTF-8. Which they are is known in memory, and read once where it is not. */
#include "store_int.h"

void pn_view_downgrade(struct pn_view *v, bool on)
{
    v->plain = on;
}

struct form folder_form(struct folder *f, uint32_t uid)
{
    struct form form = {.kind = FORM_UNKNOWN};
    bool found;
    (void)pthread_mutex_lock(&f->lock);
    size_t at = folder_find(f, uid, &found);
    if (found)
        form = f->msgs[at].form;
    (void)pthread_mutex_unlock(&f->lock);
    return form;
}

void folder_set_form(struct folder *f, struct msg *m, struct form form)
{
    if (m->form.kind != FORM_UNKNOWN)
        return;
    folder_count_msg(f, m, -1);
    m->form = form;
    folder_count_msg(f, m, 1);
    f->row_old = true;
    if (!m->guessed) /* else when its size is set */
        folder_put_msg(f, m);
}

/* Of content that was read. */
static struct form know_form(struct folder *f, uint32_t uid, struct pn_str bytes)
{
    bool found;
    struct form form = folder_form(f, uid);
    if (form.kind != FORM_UNKNOWN)
        return form;
    form = mail_form(bytes);
    (void)pthread_mutex_lock(&f->lock);
    size_t at = folder_find(f, uid, &found);
    if (found)
        folder_set_form(f, &f->msgs[at], form);
    (void)pthread_mutex_unlock(&f->lock);
    return form;
}

enum pn_read pn_view_show(struct pn_view *v, uint32_t seq, struct pn_content *out)
{
    enum pn_read read = pn_view_read(v, seq, out);
    if (read == PN_READ_OK && v->plain &&
        know_form(v->folder, pn_view_uid(v, seq), out->bytes).kind == FORM_INTERNATIONAL)
        mail_downgrade(out);
    return read;
}
