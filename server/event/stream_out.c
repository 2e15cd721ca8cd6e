/* Output: at once what the socket takes, the rest kept. */
#include "assert.h"
#include "stream_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

static size_t pending(const struct pn_stream *s)
{
    return s->out.len - s->out_off;
}

/* Pieces that one call of the kernel gets. */
enum { IOV_MAX_USED = 32 };

/* From parts[0] on, whose first `off` bytes are gone. TLS takes one piece a call. */
static ssize_t io_writev(struct pn_stream *s, const struct pn_str *parts, size_t count, size_t off)
{
    struct iovec iov[IOV_MAX_USED];
    struct msghdr msg = {.msg_iov = iov};
    ssize_t n;
    if (s->tls != NULL) {
        n = stream_tls_write(s, parts[0].p + off, parts[0].len - off);
    } else if (s->deaf) {
        n = (ssize_t)(parts[0].len - off);
    } else {
        for (; msg.msg_iovlen < count && msg.msg_iovlen < IOV_MAX_USED; msg.msg_iovlen++)
            iov[msg.msg_iovlen] =
                (struct iovec){(void *)parts[msg.msg_iovlen].p, parts[msg.msg_iovlen].len};
        iov[0] = (struct iovec){(void *)(parts[0].p + off), parts[0].len - off};
        do
            n = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            n = IO_AGAIN;
        } else if (n < 0 && s->heard_out && (errno == EPIPE || errno == ECONNRESET)) {
            s->deaf = true;
            n = (ssize_t)(parts[0].len - off);
        } else if (n < 0) {
            stream_fail(s, PN_CLOSE_ERROR, strerror(errno));
            n = IO_FAILED;
        }
    }
    if (n > 0)
        s->last = pn_loop_now(s->loop);
    return n;
}

static ssize_t io_write(struct pn_stream *s, const char *from, size_t len)
{
    struct pn_str part = {from, len};
    return io_writev(s, &part, 1, 0);
}

void stream_flush(struct pn_stream *s)
{
    while (pending(s) != 0) {
        ssize_t n = io_write(s, s->out.p + s->out_off, pending(s));
        if (n < 0)
            return;
        s->out_off += (size_t)n;
    }
    pn_buf_fini(&s->out);
    s->out_off = 0;
}

static bool keep_output(struct pn_stream *s, struct pn_str rest)
{
    if (rest.len > s->limits.write_max - pending(s)) {
        stream_fail(s, PN_CLOSE_FULL, "the peer does not read what it is sent");
        return false;
    }
    if (s->out_off > s->out.len / 2) { /* moves each byte once at most, in the mean */
        pn_buf_consume(&s->out, s->out_off);
        s->out_off = 0;
    }
    pn_assert(pn_buf_adds(&s->out, rest));
    s->drain_due = true;
    if (s->gone == NULL)
        stream_arm(s);
    return true;
}

bool pn_stream_writev(struct pn_stream *s, const struct pn_str *parts, size_t count)
{
    size_t off = 0; /* of parts[0]: sent */
    pn_assert(!s->closing);
    if (!s->failed && s->tls_next != NULL)
        stream_fail(s, PN_CLOSE_TLS, "output between STARTTLS and TLS");
    bool now = pending(s) == 0 && !s->connecting && (s->tls == NULL || stream_tls_ready(s));
    while (count != 0 && !s->failed) {
        if (off == parts->len) {
            parts++;
            count--;
            off = 0;
            continue;
        }
        ssize_t n = now ? io_writev(s, parts, count, off) : IO_AGAIN;
        now = n > 0;
        if (n == IO_AGAIN && !keep_output(s, pn_str_slice(*parts, off, parts->len)))
            return false;
        size_t moved = n > 0 ? (size_t)n : n == IO_AGAIN ? parts->len - off : 0;
        for (; moved > parts->len - off; off = 0, parts++, count--)
            moved -= parts->len - off;
        off += moved;
    }
    return !s->failed;
}

bool pn_stream_write(struct pn_stream *s, struct pn_str bytes)
{
    return pn_stream_writev(s, &bytes, 1);
}

size_t pn_stream_pending(const struct pn_stream *s)
{
    return pending(s);
}
