/* Files of messages: their sizes, what the index keeps of them, and how they are read. */
#include "store_int.h"

#include "downgrade.h"
#include "envelope.h"
#include "mapped.h"
#include "mem.h"
#include "message.h"
#include "structure.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DESCRIBED_MAX = 16 * 1024 * 1024 };

uint64_t mail_size(struct pn_str bytes)
{
    uint64_t size = bytes.len;
    const char *p = bytes.p, *end = bytes.p + bytes.len;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        size += p == bytes.p || p[-1] != '\r';
        p++;
    }
    return size;
}

uint64_t mail_size_of(int dir, const char *name, struct form *form)
{
    *form = (struct form){FORM_UNKNOWN, 0};
    struct pn_content content;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || mail_read(fd, NULL, &content) != 0)
        return UINT64_MAX;
    uint64_t size = mail_size(content.bytes);
    if (pn_str_is_ascii(content.bytes))
        form->kind = FORM_PLAIN;
    pn_content_done(&content);
    return size;
}

/* ---- what the index keeps ---- */

static const struct pn_str kept[] = {
    PN_STR_INIT("From"),         PN_STR_INIT("Sender"),       PN_STR_INIT("Reply-To"),
    PN_STR_INIT("To"),           PN_STR_INIT("Cc"),           PN_STR_INIT("Bcc"),
    PN_STR_INIT("Subject"),      PN_STR_INIT("Date"),         PN_STR_INIT("Message-ID"),
    PN_STR_INIT("In-Reply-To"),  PN_STR_INIT("References"),   PN_STR_INIT("List-Id"),
    PN_STR_INIT("Content-Type"), PN_STR_INIT("MIME-Version"), PN_STR_INIT("X-Priority"),
    PN_STR_INIT("Importance"),   PN_STR_INIT("Newsgroups"),   PN_STR_INIT("List-Post"),
    PN_STR_INIT("Delivered-To"), PN_STR_INIT("Priority"),
};

bool pn_cached_has_field(struct pn_str name)
{
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (pn_str_ieq(name, kept[i]))
            return true;
    return false;
}

/* A field with CRLF behind each of its lines. */
static void add_field(struct pn_buf *out, struct pn_str line)
{
    for (struct pn_str rest = line; rest.len > 0;) {
        size_t at = pn_str_find(rest, '\n', 0);
        size_t end = at == SIZE_MAX ? rest.len : at;
        struct pn_str one = pn_str_slice(rest, 0, end);
        if (one.len > 0 && one.p[one.len - 1] == '\r')
            one.len--;
        (void)pn_buf_adds(out, one);
        (void)pn_buf_addz(out, "\r\n");
        rest = pn_str_slice(rest, at == SIZE_MAX ? rest.len : at + 1, rest.len);
    }
}

static void add_header(const struct pn_message *m, struct pn_buf *out)
{
    size_t count;
    const struct pn_field *fields = pn_part_fields(m, NULL, &count);
    for (size_t i = 0; i < count; i++)
        if (pn_cached_has_field(pn_field_name(m, &fields[i])))
            add_field(out, pn_field_line(m, &fields[i]));
}

static struct form form_of(struct pn_message *m)
{
    struct pn_buf surrogate;
    if (!pn_is_international(m))
        return (struct form){FORM_PLAIN, 0};
    pn_downgrade(m, &surrogate);
    uint64_t size = mail_size(pn_buf_str(&surrogate));
    pn_buf_fini(&surrogate);
    if (size > FORM_SIZE_MAX)
        return (struct form){FORM_PLAIN, 0};
    return (struct form){.kind = FORM_INTERNATIONAL, .size = (uint32_t)size & FORM_SIZE_MAX};
}

struct form mail_form(struct pn_str bytes)
{
    struct pn_message *m = pn_message_new(bytes, NULL);
    struct form form = m == NULL ? (struct form){FORM_PLAIN, 0} : form_of(m);
    pn_message_free(&m);
    return form;
}

void mail_describe(struct pn_str bytes, struct pn_buf parts[3], struct form *form)
{
    struct pn_message *m = pn_message_new(bytes, NULL);
    pn_buf_init(&parts[0], PN_ENVELOPE_MAX);
    pn_buf_init(&parts[1], DESCRIBED_MAX);
    pn_buf_init(&parts[2], SIZE_MAX); /* as long as the header is, at most twice */
    *form = (struct form){FORM_PLAIN, 0};
    if (m == NULL)
        return;
    (void)pn_envelope(m, NULL, &parts[0]);
    (void)pn_structure(m, true, &parts[1]);
    add_header(m, &parts[2]);
    *form = form_of(m);
    pn_message_free(&m);
}

/* ---- reading ---- */

/* Fills `to` as far as the file goes; *n: so many bytes. A read that is short may have met a bad
 * block: only where it ends as the file's name says is there no second one. */
static int read_to_end(int fd, char *to, size_t room, uint64_t file_size, size_t *n)
{
    *n = 0;
    do {
        ssize_t got = pread(fd, to + *n, room - *n, (off_t)*n);
        if (got < 0 && errno != EINTR)
            return errno;
        if (got == 0)
            return 0;
        *n += got < 0 ? 0 : (size_t)got;
    } while (*n < room && *n != file_size);
    return 0;
}

/* A small one, without asking for its size. EFBIG: it is longer than it was known to be. */
static int read_known(int fd, const struct mail_known *known, struct pn_content *out)
{
    size_t room = (size_t)known->size + 1, n;
    out->own = pn_alloc(room);
    int error = read_to_end(fd, out->own, room, known->file_size, &n);
    if (error == 0 && n == room)
        error = EFBIG;
    if (error == 0)
        out->bytes = (struct pn_str){out->own, n};
    return error;
}

static int read_unknown(int fd, struct pn_content *out)
{
    struct stat st;
    int error = fstat(fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;
    if (error == 0 && (uint64_t)st.st_size > UINT32_MAX) /* no message, but holes without end */
        error = EFBIG;
    size_t size = error == 0 ? (size_t)st.st_size : 0;
    const char *map = size > MAIL_READ_MAX ? mapped_open(fd, size) : NULL;
    if (map != NULL) {
        out->bytes = (struct pn_str){map, size};
    } else if (size > 0) {
        out->own = pn_alloc(size);
        error = pn_read_whole_at(fd, out->own, size, 0, EIO);
        out->bytes = (struct pn_str){out->own, size};
    }
    return error;
}

static void drop(struct pn_content *content)
{
    free(content->own);
    *content = (struct pn_content){.bytes = PN_STR("")};
}

int mail_read(int fd, const struct mail_known *known, struct pn_content *out)
{
    int error = EFBIG;
    *out = (struct pn_content){.bytes = PN_STR("")};
    if (known != NULL && known->size != 0 && known->size < MAIL_READ_MAX)
        error = read_known(fd, known, out);
    if (error == EFBIG) {
        drop(out);
        error = read_unknown(fd, out);
    }
    (void)close(fd);
    if (error != 0)
        drop(out);
    return error;
}

bool pn_content_is_whole(const struct pn_content *content)
{
    return content->own != NULL || content->bytes.len == 0 || mapped_is_whole(content->bytes.p);
}

void pn_content_done(struct pn_content *content)
{
    if (content->own == NULL && content->bytes.len > 0)
        mapped_close(content->bytes.p, content->bytes.len);
    free(content->own);
    *content = (struct pn_content){.bytes = PN_STR("")};
}

/* ---- opening ---- */

void reading_rest(struct reading *r)
{
    for (unsigned i = 0; i < 2; i++)
        if (r->fd[i] >= 0)
            (void)close(r->fd[i]);
    *r = READING_NONE;
}

/* By its whole path: one call of the kernel in place of three. */
static int open_by_path(const struct folder *f, const struct msg *m)
{
    struct pn_buf path;
    pn_buf_init(&path, PLACE_MAX + 512);
    (void)(user_path(f->user, f->place, &path) &&
           pn_buf_addz(&path, m->in_new ? "/new/" : "/cur/") &&
           pn_buf_addz(&path, folder_msg_name(f, m)));
    int fd = maildir_open_file(f->user->store->root, pn_buf_cstr(&path)), error = errno;
    pn_buf_fini(&path);
    errno = error;
    return fd;
}

/* Who reads one message after another walks no path from the second one on. */
static int open_msg(const struct folder *f, const struct msg *m, struct reading *r)
{
    int dir = m->in_new ? DIR_NEW : DIR_CUR;
    if (r == NULL || f->gone || !r->begun) {
        if (r != NULL)
            r->begun = true;
        return open_by_path(f, m);
    }
    if (r->fd[dir] < 0)
        r->fd[dir] = folder_open_dir(f, dir == DIR_NEW ? "new" : "cur");
    const char *name = folder_msg_name(f, m);
    if (r->fd[dir] < 0 || strchr(name, '/') != NULL)
        return open_by_path(f, m);
    return openat(r->fd[dir], name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* A size that is guessed is that of the file. */
void mail_know(const struct folder *f, const struct msg *m, struct mail_known *known)
{
    struct mail_name name;
    mail_name_parse(pn_str_of(folder_msg_name(f, m)), &name);
    *known = (struct mail_known){m->size, m->guessed ? m->size : name.file_size};
}

bool mail_is_whole(struct pn_str bytes, const struct mail_known *known)
{
    return known->file_size != 0 ? bytes.len == known->file_size
                                 : known->size == 0 || mail_size(bytes) == known->size;
}

static int open_mail(struct folder *f, uint32_t uid, struct reading *r, struct mail_known *known)
{
    enum { TRIES = 4 };
    int fd = -1, error = ENOENT;
    (void)pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < TRIES && fd < 0 && error == ENOENT; i++) {
        bool found;
        if (i > 0 && r != NULL)
            reading_rest(r);
        enum pn_store_status look = i == 0 ? PN_STORE_OK : folder_look(f, true);
        if (look != PN_STORE_OK) { /* who knows whether it is gone, or has another name */
            error = look == PN_STORE_NO_FOLDER ? ENOENT : EAGAIN;
            break;
        }
        size_t at = folder_find(f, uid, &found);
        if (!found)
            break;
        fd = open_msg(f, &f->msgs[at], r);
        error = fd < 0 ? errno : 0;
        if (known != NULL)
            mail_know(f, &f->msgs[at], known);
    }
    (void)pthread_mutex_unlock(&f->lock);
    errno = error;
    return fd;
}

int mail_open(struct folder *f, uint32_t uid)
{
    return open_mail(f, uid, NULL, NULL);
}

static enum pn_read read_mail(struct pn_view *view, uint32_t seq, struct pn_content *out,
                              struct mail_known *known)
{
    *out = (struct pn_content){.bytes = PN_STR("")};
    int fd = open_mail(view->folder, pn_view_uid(view, seq), &view->reading, known);
    if (fd < 0)
        return errno == ENOENT ? PN_READ_EXPUNGED : PN_READ_ERROR;
    return mail_read(fd, known, out) == 0 ? PN_READ_OK : PN_READ_ERROR;
}

enum pn_read pn_view_read(struct pn_view *view, uint32_t seq, struct pn_content *out)
{
    struct mail_known known;
    return read_mail(view, seq, out, &known);
}

enum pn_read pn_view_read_whole(struct pn_view *view, uint32_t seq, struct pn_content *out,
                                bool *whole)
{
    struct mail_known known;
    enum pn_read read = read_mail(view, seq, out, &known);
    *whole = read == PN_READ_OK && mail_is_whole(out->bytes, &known);
    return read;
}

void pn_view_rest(struct pn_view *view)
{
    reading_rest(&view->reading);
}
