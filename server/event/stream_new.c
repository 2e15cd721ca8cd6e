/* How streams begin: over a socket that is there, or one that is to be connected. */
#include "assert.h"
#include "mem.h"
#include "stream_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static struct pn_stream *stream_new(struct pn_loop *loop, int fd, const struct pn_stream_ops *ops,
                                    void *ctx, struct pn_stream_limits limits)
{
    pn_assert(limits.keep_max <= PN_STREAM_KEEP_MAX);
    struct pn_stream *s = pn_calloc(1, sizeof *s);
    s->loop = loop;
    s->ops = ops;
    s->ctx = ctx;
    s->limits = limits;
    s->fd = fd;
    s->last = pn_loop_now(loop);
    pn_buf_init(&s->out, limits.write_max);
    pn_assert(event_assign(&s->io, loop_base(loop), fd, EV_PERSIST, stream_on_io, s) == 0);
    return s;
}

/* Our writes are whole replies already: waiting for more only costs the peer time. */
static void send_at_once(int fd, int family)
{
    if (family == AF_INET || family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

struct pn_stream *pn_stream_new(struct pn_loop *loop, int fd, const struct pn_stream_ops *ops,
                                void *ctx, struct pn_stream_limits limits)
{
    int family = AF_UNSPEC;
    socklen_t len = sizeof family;
    pn_assert(evutil_make_socket_nonblocking(fd) == 0);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == 0)
        send_at_once(fd, family);
    struct pn_stream *s = stream_new(loop, fd, ops, ctx, limits);
    stream_arm(s);
    return s;
}

static int start_connect(const struct sockaddr *to, socklen_t to_len, const struct sockaddr *from,
                         socklen_t from_len, int *error)
{
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *error = fd < 0 ? errno : 0;
    if (fd < 0)
        return -1;
    send_at_once(fd, to->sa_family);
    if (from != NULL) {
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
        if (bind(fd, from, from_len) != 0) {
            *error = errno;
            return fd;
        }
    }
    if (connect(fd, to, to_len) != 0 && errno != EINPROGRESS)
        *error = errno;
    return fd;
}

struct pn_stream *pn_stream_connect(struct pn_loop *loop, const struct sockaddr *to,
                                    socklen_t to_len, const struct sockaddr *from,
                                    socklen_t from_len, const struct pn_stream_ops *ops, void *ctx,
                                    struct pn_stream_limits limits)
{
    int error;
    int fd = start_connect(to, to_len, from, from_len, &error);
    struct pn_stream *s = stream_new(loop, fd, ops, ctx, limits);
    s->connecting = true;
    s->drain_due = true;
    if (error != 0)
        stream_fail(s, PN_CLOSE_ERROR, strerror(error));
    else
        stream_arm(s);
    return s;
}
