#include "deflate.h"

#include "mem.h"

#include <stdlib.h>
#include <zlib.h>

/* Output: a window of 8 KB and a small table; a fifth of zlib's own memory, and hardly a worse
 * ratio for mail. Input: whatever the client chose. */
enum { WINDOW_OUT = -13, WINDOW_IN = -15, TABLE = 6, LEVEL = 5, STEP = 16 * 1024 };

struct deflate {
    z_stream in, out;
    bool holds, ended;
};

struct deflate *deflate_new(void)
{
    struct deflate *d = pn_calloc(1, sizeof *d);
    if (inflateInit2(&d->in, WINDOW_IN) != Z_OK) {
        free(d);
        return NULL;
    }
    if (deflateInit2(&d->out, LEVEL, Z_DEFLATED, WINDOW_OUT, TABLE, Z_DEFAULT_STRATEGY) != Z_OK) {
        (void)inflateEnd(&d->in);
        free(d);
        return NULL;
    }
    return d;
}

void deflate_free(struct deflate **deflate)
{
    struct deflate *d = *deflate;
    *deflate = NULL;
    if (d == NULL)
        return;
    (void)inflateEnd(&d->in);
    (void)deflateEnd(&d->out);
    free(d);
}

bool deflate_unpack(struct deflate *d, struct pn_str *in, struct pn_buf *out, size_t room)
{
    int result = Z_OK;
    char *to = room == 0 ? NULL : pn_buf_reserve(out, room);
    if (to == NULL)
        return room == 0;
    d->in.next_in = (unsigned char *)(uintptr_t)in->p;
    d->in.avail_in = (unsigned)in->len;
    d->in.next_out = (unsigned char *)to;
    d->in.avail_out = (unsigned)room;
    if (!d->ended)
        result = inflate(&d->in, Z_SYNC_FLUSH);
    out->len += room - d->in.avail_out;
    *in = pn_str_slice(*in, in->len - d->in.avail_in, in->len);
    d->holds = d->in.avail_out == 0 && result == Z_OK;
    d->ended = d->ended || result == Z_STREAM_END;
    /* Behind its end nothing may follow. Z_BUF_ERROR: there was nothing to do. */
    return result == Z_OK || result == Z_BUF_ERROR || (d->ended && in->len == 0);
}

bool deflate_holds(const struct deflate *d)
{
    return d->holds;
}

bool deflate_pack(struct deflate *d, struct pn_str in, struct pn_buf *out)
{
    if (in.len == 0)
        return true;
    d->out.next_in = (unsigned char *)(uintptr_t)in.p;
    d->out.avail_in = (unsigned)in.len;
    do {
        char *to = pn_buf_reserve(out, STEP);
        if (to == NULL)
            return false;
        d->out.next_out = (unsigned char *)to;
        d->out.avail_out = STEP;
        (void)deflate(&d->out, Z_SYNC_FLUSH);
        out->len += STEP - d->out.avail_out;
    } while (d->out.avail_out == 0);
    return true;
}
