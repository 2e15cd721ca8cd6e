/* One delivery: lay out, write to tmp, sync, rename into new, sync the folder. */
#include "store.h"

#include "lines.h"
#include "maildir.h"
#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 255, PATH_LEN_MAX = 3 * (MAILDIR_COMPONENT_MAX + 1) };

struct pn_store {
    int root;
    char *host;
    atomic_uint count;
};

struct pn_store *pn_store_new(int root, struct pn_str host)
{
    struct pn_store *store = pn_calloc(1, sizeof *store);
    struct pn_buf name;
    pn_buf_init(&name, 100);
    /* As the Maildir description asks: no slash, no colon in a name. */
    for (size_t i = 0; i < host.len; i++)
        if (host.p[i] == '/' || host.p[i] == ':')
            (void)pn_buf_addf(&name, "\\%03o", (unsigned)host.p[i]);
        else if ((unsigned char)host.p[i] > ' ' && host.p[i] != 127 && host.p[i] != ',')
            (void)pn_buf_addc(&name, host.p[i]);
    store->root = root;
    store->host = pn_strndup(name.len > 0 ? name.p : "localhost", name.len > 0 ? name.len : 9);
    pn_buf_fini(&name);
    return store;
}

void pn_store_free(struct pn_store **store)
{
    if (*store == NULL)
        return;
    free((*store)->host);
    free(*store);
    *store = NULL;
}

static enum pn_store_status failed(struct pn_buf *why, const char *what, int error)
{
    (void)pn_buf_addf(why, "%s: %s", what, strerror(error));
    if (error == ENOSPC || error == EDQUOT)
        return PN_STORE_FULL;
    return error == ENAMETOOLONG ? PN_STORE_BAD_NAME : PN_STORE_TEMPORARY;
}

/* The file's bytes: Return-Path, the edited content, LF ends. */
static bool lay_out(const struct pn_delivery *d, struct pn_buf *out)
{
    struct pn_message *m = pn_message_new(d->content, NULL);
    if (m == NULL)
        return false;
    struct pn_segments segments;
    struct pn_lines lines;
    pn_segments_init(&segments);
    pn_edits_render(d->edits, m, &segments);
    pn_lines_init(&lines, PN_LINES_TO_LF);
    bool ok = pn_buf_reserve(out, (size_t)segments.size + d->reverse_path.len + 32) != NULL &&
              pn_buf_addz(out, "Return-Path: <") && pn_buf_adds(out, d->reverse_path) &&
              pn_buf_addz(out, ">\n");
    for (size_t i = 0; i < segments.count && ok; i++)
        ok = pn_lines_feed(&lines, pn_segment_bytes(&segments.v[i], m), out);
    ok = ok && pn_lines_end(&lines, out);
    pn_segments_fini(&segments);
    pn_message_free(&m);
    return ok;
}

static size_t count_lf(struct pn_str s)
{
    size_t n = 0;
    for (const char *p = s.p, *end = s.p + s.len; (p = memchr(p, '\n', (size_t)(end - p))) != NULL;
         p++)
        n++;
    return n;
}

/* The three descriptors a delivery works with. */
struct place {
    int maildir, tmp, new;
};

static void place_close(struct place *p)
{
    const int fds[] = {p->maildir, p->tmp, p->new};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static int place_try(int root, const char *path, struct place *p)
{
    *p = (struct place){-1, -1, -1};
    p->maildir = maildir_open_dir(root, path);
    if (p->maildir >= 0)
        p->tmp = maildir_open_dir(p->maildir, "tmp");
    if (p->tmp >= 0)
        p->new = maildir_open_dir(p->maildir, "new");
    if (p->new >= 0)
        return 0;
    int error = errno;
    place_close(p);
    return error;
}

static int place_open(int root, const char *user, const char *path, struct place *p)
{
    int error = place_try(root, path, p);
    if (error != ENOENT)
        return error;
    error = maildir_make(root, user);
    if (error == 0 && strcmp(user, path) != 0)
        error = maildir_make(root, path);
    return error == 0 ? place_try(root, path, p) : error;
}

static int write_file(struct pn_store *store, const struct place *p, struct pn_str bytes)
{
    char tmp[NAME_MAX_LEN + 1], new[NAME_MAX_LEN + 1];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int n = snprintf(tmp, sizeof tmp, "%lld.M%06ldP%ldQ%u.%s", (long long)now.tv_sec,
                     now.tv_nsec / 1000, (long)getpid(), atomic_fetch_add(&store->count, 1),
                     store->host);
    int n2 =
        snprintf(new, sizeof new, "%s,S=%zu,W=%zu", tmp, bytes.len, bytes.len + count_lf(bytes));
    if (n < 0 || n2 < 0 || (size_t)n2 >= sizeof new)
        return ENAMETOOLONG;
    int fd = openat(p->tmp, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    int error = pn_write_whole(fd, bytes);
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    (void)close(fd);
    if (error == 0 && renameat(p->tmp, tmp, p->new, new) != 0)
        error = errno;
    if (error != 0)
        (void)unlinkat(p->tmp, tmp, 0);
    else if (fsync(p->new) != 0)
        error = errno; /* it is there, yet may go: the sender tries again */
    return error;
}

enum pn_store_status pn_store_deliver(struct pn_store *store, const struct pn_delivery *d,
                                      struct pn_buf *why)
{
    struct pn_buf user, path, bytes;
    enum pn_store_status status = PN_STORE_OK;
    pn_buf_init(&user, PATH_LEN_MAX);
    pn_buf_init(&path, PATH_LEN_MAX);
    pn_buf_init(&bytes, SIZE_MAX);
    struct place place = {-1, -1, -1};
    if (!maildir_user_path(&user, d->user) || !pn_buf_adds(&path, pn_buf_str(&user)) ||
        (d->folder.len > 0 && !pn_buf_addc(&path, '/')) || !maildir_folder_name(&path, d->folder)) {
        (void)pn_buf_addz(why, "no mailbox can have this name");
        status = PN_STORE_BAD_NAME;
        goto done;
    }
    int error = place_open(store->root, pn_buf_cstr(&user), pn_buf_cstr(&path), &place);
    if (error != 0) {
        status = failed(why, "mailbox", error);
        goto done;
    }
    if (!lay_out(d, &bytes)) {
        status = failed(why, "message", EFBIG);
        goto done;
    }
    error = write_file(store, &place, pn_buf_str(&bytes));
    if (error != 0)
        status = failed(why, "file", error);
done:
    place_close(&place);
    pn_buf_fini(&user);
    pn_buf_fini(&path);
    pn_buf_fini(&bytes);
    return status;
}
