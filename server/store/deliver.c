/* One delivery: lay out, write to tmp, sync; then it arrives. */
#include "store_int.h"

#include "clock.h"
#include "lines.h"
#include "mem.h"
#include "whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The file's time is the message's: the writing may take it into the next second, and a rebuild
 * would tell another INTERNALDATE. */
static int write_file(struct folder *f, const char *name, struct pn_str bytes, int64_t date)
{
    const struct timespec times[2] = {{.tv_sec = (time_t)date}, {.tv_sec = (time_t)date}};
    int tmp = folder_open_dir(f, "tmp");
    if (tmp < 0)
        return errno;
    int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = fd < 0 ? errno : pn_write_whole(fd, bytes);
    if (error == 0 && (futimens(fd, times) != 0 || fsync(fd) != 0))
        error = errno;
    if (fd >= 0)
        (void)close(fd);
    if (fd >= 0 && error != 0)
        (void)unlinkat(tmp, name, 0);
    (void)close(tmp);
    return error;
}

/* gone: the folder's directory is not there any more. */
static enum pn_store_status put(struct folder *f, struct pn_str bytes, bool *gone,
                                struct pn_buf *why)
{
    struct arrival a = {.file_size = bytes.len, .date = pn_clock_wall_ms() / 1000};
    struct pn_buf name;
    enum pn_store_status status;
    uint32_t uid;
    uint64_t size = mail_size(bytes);
    *gone = false;
    if (size > UINT32_MAX)
        return store_failed(why, "message", EFBIG);
    pn_buf_init(&name, 256);
    store_unique(f->user->store, &name);
    a.tmp = pn_strndup(name.p, name.len);
    a.size = (uint32_t)size;
    int error = write_file(f, a.tmp, bytes, a.date);
    if (error == 0) {
        mail_describe(bytes, a.cached, &a.form);
        status = arrive(f, &a, 1, DIR_NEW, &uid, why);
    } else if (error == ENOENT) {
        *gone = true;
        status = PN_STORE_NO_FOLDER;
    } else {
        status = store_failed(why, "file", error);
    }
    arrival_fini(&a);
    pn_buf_fini(&name);
    return status;
}

static enum pn_store_status put_into(struct pn_user *user, const struct pn_delivery *d,
                                     struct pn_str bytes, struct pn_buf *why)
{
    enum { TRIES = 2 };
    bool gone = true;
    enum pn_store_status status = PN_STORE_NO_FOLDER;
    for (unsigned i = 0; i < TRIES && gone; i++) {
        struct folder *f;
        status = folder_get(user, d->folder, true, &f);
        if (f == NULL) {
            (void)pn_buf_addz(why, status == PN_STORE_BAD_NAME ? "no mailbox can have this name"
                                                               : "the folder can't be opened");
            return status;
        }
        status = put(f, bytes, &gone, why);
        if (gone) /* removed or renamed: what comes by its name has a UIDVALIDITY of its own */
            folder_forget(user, f->place);
        folder_put(&f);
    }
    if (gone)
        (void)pn_buf_addz(why, "the folder goes away again and again");
    return status;
}

enum pn_store_status pn_store_deliver(struct pn_store *store, const struct pn_delivery *d,
                                      struct pn_buf *why)
{
    struct pn_buf bytes;
    enum pn_store_status status;
    struct pn_user *user = pn_user_open(store, d->user, &status, why);
    if (user == NULL)
        return status;
    pn_buf_init(&bytes, SIZE_MAX);
    if (!lay_out(d, &bytes)) {
        status = store_failed(why, "message", EFBIG);
    } else {
        status = pn_user_room(user, mail_size(pn_buf_str(&bytes)));
        if (status == PN_STORE_OK)
            status = put_into(user, d, pn_buf_str(&bytes), why);
        else
            (void)pn_buf_addz(why, status == PN_STORE_QUOTA ? "the mailbox is full"
                                                            : "the quota can't be read");
    }
    pn_buf_fini(&bytes);
    pn_user_close(&user);
    return status;
}
