#include "channel.h"

#include "assert.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    HEAD = 8,   /* u16 version, u16 type, u32 length of the body */
    BATCH = 64, /* records read in one turn, so that no channel starves another */
    SOCKET_BYTES = 1 << 20
};

struct waiting {
    struct waiting *next;
    uint16_t type;
    unsigned nfds;
    int fds[PN_RECORD_FDS]; /* owned */
    size_t len;
    char body[];
};

struct pn_channel {
    struct pn_watch *watch;
    struct pn_loop *loop;
    const struct pn_channel_ops *ops;
    void *ctx;
    int fd;
    struct waiting *first, **last;
    size_t queued, queue_max;
    bool refused; /* on_room is due */
    bool unsendable;
    bool ended;
    bool *gone; /* while its callback runs: where to tell that it was freed */
};

/* ---- one record out, one in */

struct head {
    unsigned char b[HEAD];
};

static struct head head_of(uint16_t type, size_t len)
{
    return (struct head){{PN_RECORD_VERSION, 0, (unsigned char)type, (unsigned char)(type >> 8),
                          (unsigned char)len, (unsigned char)(len >> 8), (unsigned char)(len >> 16),
                          0}};
}

/* Aligned for its header. */
union control {
    char space[CMSG_SPACE(PN_RECORD_FDS * sizeof(int))];
    struct cmsghdr align;
};

/* 0, or -1 with errno. */
static int put(int fd, uint16_t type, struct pn_str body, const int *fds, unsigned nfds)
{
    struct head head = head_of(type, body.len);
    struct iovec iov[2] = {{head.b, HEAD}, {(void *)body.p, body.len}};
    union control control;
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body.len == 0 ? 1 : 2};
    if (nfds != 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.space;
        msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -1 : 0;
}

static void take_fds(struct msghdr *msg, struct pn_record *record)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        pn_assert(count <= PN_RECORD_FDS - record->nfds); /* the kernel had no more room */
        memcpy(record->fds + record->nfds, CMSG_DATA(c), count * sizeof(int));
        record->nfds += (unsigned)count;
    }
}

/* The kernel found no room for a descriptor: not in our buffer, if that is full, else in
 * our table. */
static bool cut_short(const struct msghdr *msg, const struct pn_record *record)
{
    return (msg->msg_flags & MSG_CTRUNC) != 0 && record->nfds < PN_RECORD_FDS;
}

enum { CUT = 2 };

/* 1: a record, its body in at[]; CUT: the same, but for descriptors; 0: the other end
 * closed; -1: errno (EAGAIN, EPROTO). */
static int get(int fd, char *at, struct pn_record *record)
{
    union control control;
    struct iovec iov = {at, PN_RECORD_MAX};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    ssize_t n;
    record->nfds = 0;
    /* An end that closed with our records unread gives ECONNRESET once; what it sent
     * before is still there. */
    do
        n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return -1;
    take_fds(&msg, record);
    if (n == 0 && record->nfds == 0)
        return 0;
    struct pn_rd r = pn_rd_of((struct pn_str){at, (size_t)n});
    uint16_t version = pn_rd_u16(&r);
    record->type = pn_rd_u16(&r);
    uint32_t len = pn_rd_u32(&r);
    bool cut = cut_short(&msg, record);
    int broken = cut ? MSG_TRUNC : MSG_TRUNC | MSG_CTRUNC;
    if ((msg.msg_flags & broken) != 0 || !pn_rd_ok(&r) || version != PN_RECORD_VERSION ||
        len != (size_t)n - HEAD) {
        pn_record_close_fds(record);
        errno = EPROTO;
        return -1;
    }
    record->body = (struct pn_str){at + HEAD, len};
    return cut ? CUT : 1;
}

void pn_record_close_fds(struct pn_record *record)
{
    for (unsigned i = 0; i < record->nfds; i++)
        if (record->fds[i] >= 0)
            (void)close(record->fds[i]);
    record->nfds = 0;
}

int pn_channel_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return -1;
    for (int i = 0; i < 2; i++) /* what the system allows of it is fine */
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BYTES}, sizeof(int));
    return 0;
}

/* ---- the queue */

static void waiting_free(struct waiting *w)
{
    for (unsigned i = 0; i < w->nfds; i++)
        (void)close(w->fds[i]);
    free(w);
}

static size_t weight(size_t len)
{
    return sizeof(struct waiting) + len;
}

static void drop_queue(struct pn_channel *c)
{
    while (c->first != NULL) {
        struct waiting *w = c->first;
        c->first = w->next;
        waiting_free(w);
    }
    c->last = &c->first;
    c->queued = 0;
}

static bool enqueue(struct pn_channel *c, uint16_t type, struct pn_str body, const int *fds,
                    unsigned nfds)
{
    struct waiting *w = pn_alloc(sizeof *w + body.len);
    *w = (struct waiting){.type = type, .len = body.len};
    for (; w->nfds < nfds; w->nfds++) {
        w->fds[w->nfds] = fcntl(fds[w->nfds], F_DUPFD_CLOEXEC, 0);
        if (w->fds[w->nfds] < 0) {
            waiting_free(w);
            return false;
        }
    }
    if (body.len != 0)
        memcpy(w->body, body.p, body.len);
    *c->last = w;
    c->last = &w->next;
    c->queued += weight(body.len);
    return true;
}

static bool would_block(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == ETOOMANYREFS;
}

static void listen_for(struct pn_channel *c)
{
    bool write = (c->first != NULL || c->refused) && !c->unsendable;
    pn_watch_set(c->watch, PN_WATCH_READ | (write ? (unsigned)PN_WATCH_WRITE : 0));
}

bool pn_channel_send(struct pn_channel *c, uint16_t type, struct pn_str body, const int *fds,
                     unsigned nfds)
{
    pn_assert(body.len <= PN_RECORD_MAX - HEAD && nfds <= PN_RECORD_FDS);
    if (c->ended || c->unsendable)
        return false;
    if (c->first == NULL) {
        if (put(c->fd, type, body, fds, nfds) == 0)
            return true;
        if (!would_block(errno)) { /* the end is told when reading meets it */
            c->unsendable = true;
            return false;
        }
    }
    bool room = weight(body.len) <= c->queue_max - c->queued;
    bool ok = room && enqueue(c, type, body, fds, nfds);
    c->refused = c->refused || !ok;
    if (c->gone == NULL)
        listen_for(c);
    return ok;
}

size_t pn_channel_queued(const struct pn_channel *c)
{
    return c->queued;
}

/* False: the channel was freed by on_room. */
static bool flush(struct pn_channel *c, const bool *gone)
{
    while (c->first != NULL && !c->unsendable) {
        struct waiting *w = c->first;
        if (put(c->fd, w->type, (struct pn_str){w->body, w->len}, w->fds, w->nfds) != 0) {
            if (would_block(errno))
                break;
            c->unsendable = true;
            drop_queue(c);
            break;
        }
        c->first = w->next;
        if (c->first == NULL)
            c->last = &c->first;
        c->queued -= weight(w->len);
        waiting_free(w);
    }
    /* Half empty, so that a sender is not called for each record. */
    if (c->refused && !c->unsendable && c->queued <= c->queue_max / 2) {
        c->refused = false;
        if (c->ops->on_room != NULL)
            c->ops->on_room(c->ctx);
    }
    return !*gone;
}

/* ---- the loop's side */

static void end(struct pn_channel *c, enum pn_channel_end how)
{
    c->ended = true;
    pn_watch_set(c->watch, 0);
    drop_queue(c);
    c->ops->on_end(c->ctx, how);
}

static bool take(struct pn_channel *c, struct pn_record *record, bool cut)
{
    if (!cut)
        return c->ops->on_record(c->ctx, record);
    pn_warn("a record 0x%04x is lost: no descriptor is left for what came with it", record->type);
    return c->ops->on_cut == NULL || c->ops->on_cut(c->ctx, record);
}

static void read_records(struct pn_channel *c, const bool *gone)
{
    char *scratch = pn_loop_scratch(c->loop);
    for (int i = 0; i < BATCH; i++) {
        struct pn_record record;
        int got = get(c->fd, scratch, &record);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN)
                end(c, got < 0 && errno == EPROTO ? PN_CHANNEL_PROTOCOL : PN_CHANNEL_CLOSED);
            return;
        }
        bool ok = take(c, &record, got == CUT);
        pn_record_close_fds(&record);
        if (*gone)
            return;
        if (!ok) {
            end(c, PN_CHANNEL_PROTOCOL);
            return;
        }
    }
}

static void on_watch(void *arg, unsigned events)
{
    struct pn_channel *c = arg;
    bool gone = false;
    c->gone = &gone;
    if ((events & PN_WATCH_WRITE) == 0 || flush(c, &gone)) {
        if ((events & PN_WATCH_READ) != 0)
            read_records(c, &gone);
    }
    if (gone)
        return;
    c->gone = NULL;
    if (!c->ended)
        listen_for(c);
}

struct pn_channel *pn_channel_new(struct pn_loop *loop, int fd, const struct pn_channel_ops *ops,
                                  void *ctx, size_t queue_max)
{
    struct pn_channel *c = pn_calloc(1, sizeof *c);
    *c =
        (struct pn_channel){.loop = loop, .ops = ops, .ctx = ctx, .fd = fd, .queue_max = queue_max};
    c->last = &c->first;
    c->watch = pn_watch_new(loop, fd, PN_WATCH_READ, on_watch, c);
    return c;
}

void pn_channel_free(struct pn_channel **channel)
{
    struct pn_channel *c = *channel;
    if (c == NULL)
        return;
    *channel = NULL;
    if (c->gone != NULL)
        *c->gone = true;
    pn_watch_free(&c->watch);
    drop_queue(c);
    (void)close(c->fd);
    free(c);
}

/* ---- the blocking side */

/* 1 ready, 0 timed out, -1 errno. */
static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n;
}

int pn_channel_try_fd(int fd, uint16_t type, struct pn_str body, const int *fds, unsigned nfds)
{
    pn_assert(body.len <= PN_RECORD_MAX - HEAD && nfds <= PN_RECORD_FDS);
    return put(fd, type, body, fds, nfds);
}

int pn_channel_send_fd(int fd, uint16_t type, struct pn_str body, const int *fds, unsigned nfds)
{
    pn_assert(body.len <= PN_RECORD_MAX - HEAD && nfds <= PN_RECORD_FDS);
    while (put(fd, type, body, fds, nfds) != 0) {
        if (errno != EAGAIN)
            return -1;
        if (wait_for(fd, POLLOUT, -1) < 0)
            return -1;
    }
    return 0;
}

int pn_channel_recv_fd(int fd, struct pn_record *record, struct pn_buf *buf, int timeout_ms)
{
    pn_buf_clear(buf);
    char *at = pn_buf_reserve(buf, PN_RECORD_MAX);
    pn_assert(at != NULL);
    for (;;) {
        int got = get(fd, at, record);
        if (got == CUT) {
            pn_record_close_fds(record);
            errno = EMFILE;
            return -1;
        }
        if (got >= 0 || errno != EAGAIN || timeout_ms == 0)
            return got;
        int ready = wait_for(fd, POLLIN, timeout_ms);
        if (ready <= 0) {
            errno = ready == 0 ? EAGAIN : errno;
            return -1;
        }
    }
}
