/* What a view shows of messages: downgraded ones (downgrade.h) to a session that can't read
 * UTF-8. Which they are is known in memory, and read once where it is not. */
#include "store_int.h"

#include "downgrade.h"
#include "mapped.h"
#include "message.h"
#include "whole.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

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

/* Of content that was read; kept if it is that of the whole message. */
static struct form know_form(struct folder *f, uint32_t uid, const struct pn_content *content,
                             bool whole)
{
    bool found;
    struct form form = folder_form(f, uid);
    if (form.kind != FORM_UNKNOWN)
        return form;
    form = mail_form(content->bytes);
    if (!whole || !pn_content_is_whole(content))
        return form;
    (void)pthread_mutex_lock(&f->lock);
    size_t at = folder_find(f, uid, &found);
    if (found)
        folder_set_form(f, &f->msgs[at], form);
    (void)pthread_mutex_unlock(&f->lock);
    return form;
}

/* A large one lies in a file without a name, mapped as a message is: a client that takes nothing of
 * it holds no memory. Where there can be no such file it stays where it is. */
static void keep_on_disk(const struct pn_user *user, struct pn_content *surrogate)
{
    struct pn_str bytes = surrogate->bytes;
    int dir = bytes.len > MAIL_READ_MAX ? user_open_dir(user) : -1;
    int fd = dir < 0 ? -1 : openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const char *map = fd >= 0 && pn_write_whole(fd, bytes) == 0 ? mapped_open(fd, bytes.len) : NULL;
    if (map != NULL) {
        free(surrogate->own);
        *surrogate = (struct pn_content){.bytes = {map, bytes.len}};
    }
    if (fd >= 0)
        (void)close(fd);
    if (dir >= 0)
        (void)close(dir);
}

/* An internationalized message becomes its surrogate. */
static void show_surrogate(const struct pn_user *user, struct pn_content *content)
{
    struct pn_buf surrogate;
    struct pn_message *m = pn_message_new(content->bytes, NULL);
    if (m != NULL && pn_is_international(m)) {
        pn_downgrade(m, &surrogate);
        pn_content_done(content);
        *content = (struct pn_content){pn_buf_str(&surrogate), surrogate.p};
        keep_on_disk(user, content);
    }
    pn_message_free(&m);
}

enum pn_read pn_view_show(struct pn_view *v, uint32_t seq, struct pn_content *out)
{
    bool whole;
    enum pn_read read = pn_view_read_whole(v, seq, out, &whole);
    if (read == PN_READ_OK && v->plain &&
        know_form(v->folder, pn_view_uid(v, seq), out, whole).kind == FORM_INTERNATIONAL)
        show_surrogate(v->folder->user, out);
    return read;
}
