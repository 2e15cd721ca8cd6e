#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, SEPARATOR_MAX = 4096 };

bool pn_mbox_separator(struct pn_str line)
{
    if (!pn_str_starts(line, PN_STR("From ")))
        return false;
    for (size_t i = 5; i + 4 < line.len && i < SEPARATOR_MAX; i++)
        if (pn_is_digit(line.p[i]) && pn_is_digit(line.p[i + 1]) && line.p[i + 2] == ':' &&
            pn_is_digit(line.p[i + 3]) && pn_is_digit(line.p[i + 4]))
            return true;
    return false;
}

bool pn_mbox_open(struct pn_mbox *m, const char *path, size_t max)
{
    *m = (struct pn_mbox){.max = max};
    /* Beyond the message: what was read behind it, and a line that may be its end. */
    pn_buf_init(&m->held, max + 2 * READ_BYTES);
    m->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    return m->fd >= 0;
}

void pn_mbox_close(struct pn_mbox *m)
{
    if (m->fd > STDIN_FILENO)
        (void)close(m->fd);
    m->fd = -1;
    pn_buf_fini(&m->held);
}

/* Lets go of what lies before the message at hand. */
static void drop(struct pn_mbox *m)
{
    size_t from = m->from;
    if (from == 0)
        return;
    memmove(m->held.p, m->held.p + from, m->held.len - from);
    m->held.len -= from;
    m->at -= from;
    m->searched -= m->searched < from ? m->searched : from;
    m->from = 0;
}

/* More of the file. False at its end, or where it can't be read; of a single message that is
 * too large there need be no more. */
static bool read_more(struct pn_mbox *m)
{
    ssize_t n;
    char *to = NULL;
    drop(m);
    if (m->skipping && !m->mbox)
        m->end = true;
    if (!m->end && m->error == 0)
        to = pn_buf_reserve(&m->held, READ_BYTES);
    if (to == NULL)
        return false;
    do
        n = read(m->fd, to, READ_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        m->error = errno;
    m->end = n == 0;
    m->held.len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Of a message past the limit only as much is held as tells where it ends. What follows it
 * may be here already: the beginning of a separator. */
static void bound(struct pn_mbox *m)
{
    if (m->at - m->from > m->max || m->held.len - m->from > m->max + SEPARATOR_MAX)
        m->skipping = true;
    if (!m->skipping)
        return;
    m->from = m->at;
    /* A line that goes on for ever is no separator: its beginning says so. */
    if (m->held.len - m->at > SEPARATOR_MAX)
        m->held.len = m->searched = m->at + SEPARATOR_MAX;
}

/* The line at `at`, its end included: all of it, or what there is at the file's end. */
static struct pn_str line_at(struct pn_mbox *m)
{
    for (;;) {
        struct pn_str held = pn_buf_str(&m->held);
        size_t nl = pn_str_find(held, '\n', m->searched < m->at ? m->at : m->searched);
        if (nl != SIZE_MAX)
            return pn_str_slice(held, m->at, nl + 1);
        m->searched = m->held.len;
        bound(m);
        if (!read_more(m))
            return pn_str_slice(pn_buf_str(&m->held), m->at, m->held.len);
    }
}

/* Up to the next separator (true), or the file's end. */
static bool find_end(struct pn_mbox *m)
{
    bool empty_before = false;
    for (;;) {
        struct pn_str line = line_at(m);
        if (line.len == 0 || (m->mbox && empty_before && pn_mbox_separator(line)))
            return line.len != 0;
        empty_before = pn_str_trim(line).len == 0;
        m->at += line.len;
    }
}

/* Behind the separator. The first line says whether there are any. */
static void begin(struct pn_mbox *m)
{
    struct pn_str line = line_at(m);
    if (!m->begun)
        m->mbox = pn_mbox_separator(line);
    m->begun = true;
    m->at += m->mbox ? line.len : 0;
    m->from = m->at;
}

enum pn_mbox_next pn_mbox_next(struct pn_mbox *m, struct pn_str *raw, bool *more)
{
    m->from = m->at; /* the message before is done with */
    m->skipping = false;
    if (m->begun && m->error == 0 && line_at(m).len == 0)
        return PN_MBOX_END;
    begin(m);
    *more = find_end(m);
    if (m->error != 0)
        return PN_MBOX_ERROR;
    *raw = pn_str_slice(pn_buf_str(&m->held), m->from, m->at);
    return m->skipping || raw->len > m->max ? PN_MBOX_TOO_LARGE : PN_MBOX_MESSAGE;
}
