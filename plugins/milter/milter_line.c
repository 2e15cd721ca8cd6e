#include "milter_line.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { FULL_QUEUE_MS = 5 };

int64_t milter_now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void milter_line_init(struct milter_line *line)
{
    *line = (struct milter_line){.fd = -1, .max = MILTER_DATA};
}

bool milter_line_fail(struct milter_line *line, const char *why, int error)
{
    line->why = why;
    line->error = error;
    return false;
}

static bool too_slow(struct milter_line *line, const char *why)
{
    line->slow = true;
    return milter_line_fail(line, why, 0);
}

/* 1: ready, 0: the time is up, -1: poll failed. */
static int wait_for(const struct milter_line *line, short events, int64_t end)
{
    struct pollfd p = {.fd = line->fd, .events = events};

    for (;;) {
        int64_t left = end - milter_now_ms();
        int n = left <= 0 ? 0 : poll(&p, 1, left > 60000 ? 60000 : (int)left);

        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return -1;
        if (left <= 0)
            return 0;
    }
}

/* A milter writes its edits and its last word apart, and its kernel holds the second back until
 * ours has acknowledged the first, which ours would do after 40 ms. Not kept by the socket: it is
 * said before each wait. */
static void acknowledge_now(const struct milter_line *line)
{
    const int on = 1;

    if (line->tcp)
        (void)setsockopt(line->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* What is sent is gathered by us. */
static void send_now(struct milter_line *line, const struct milter_address *address)
{
    const int on = 1;

    line->tcp = address->at.any.sa_family != AF_UNIX;
    if (line->tcp)
        (void)setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* A UNIX socket whose queue is full refuses with EAGAIN, and poll says nothing of when there is
 * room: a busy milter, not one that is away. False: errno says why. */
static bool begin_connection(const struct milter_line *line, const struct milter_address *address,
                             int64_t end)
{
    while (connect(line->fd, &address->at.any, address->len) != 0) {
        if (errno != EAGAIN || milter_now_ms() >= end)
            return false;
        (void)poll(NULL, 0, FULL_QUEUE_MS);
    }
    return true;
}

bool milter_line_connect(struct milter_line *line, const struct milter_address *address,
                         int64_t end)
{
    int error = 0;
    socklen_t len = sizeof(error);

    line->fd = socket(address->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line->fd < 0)
        return milter_line_fail(line, "no socket", errno);
    send_now(line, address);
    if (begin_connection(line, address, end))
        return true;
    if (errno == EAGAIN)
        return too_slow(line, "took no connection in time");
    if (errno != EINPROGRESS && errno != EINTR)
        return milter_line_fail(line, "can't be reached", errno);
    if (wait_for(line, POLLOUT, end) <= 0)
        return too_slow(line, "took no connection in time");
    if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    return error == 0 || milter_line_fail(line, "can't be reached", error);
}

static bool flush(struct milter_line *line, int64_t end, bool patient)
{
    struct milter_out *out = &line->out;
    size_t sent = 0;

    if (out->failed)
        return milter_line_fail(line, "no memory", 0);
    while (sent < out->len) {
        ssize_t n = send(line->fd, out->p + sent, out->len - sent, MSG_NOSIGNAL);

        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN && patient) {
            if (wait_for(line, POLLOUT, end) <= 0)
                return too_slow(line, "took nothing in time");
        } else if (errno != EINTR)
            return milter_line_fail(line, "let go", errno == EAGAIN ? 0 : errno);
    }
    out->len = 0;
    return true;
}

bool milter_line_flush(struct milter_line *line, int64_t end)
{
    return flush(line, end, true);
}

bool milter_line_flush_now(struct milter_line *line)
{
    return flush(line, 0, false);
}

static bool read_more(struct milter_line *line, int64_t end)
{
    size_t room;
    char *p = milter_in_room(&line->in, &room);
    ssize_t n;

    if (p == NULL)
        return milter_line_fail(line, "no memory", 0);
    acknowledge_now(line);
    for (;;) {
        n = recv(line->fd, p, room, 0);
        if (n > 0)
            break;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return milter_line_fail(line, "let go before it answered", n == 0 ? 0 : errno);
        if (errno == EAGAIN && wait_for(line, POLLIN, end) <= 0)
            return too_slow(line, "did not answer in time");
    }
    line->in.len += (size_t)n;
    return true;
}

bool milter_line_take(struct milter_line *line, int64_t end, struct milter_packet *packet)
{
    if (!milter_line_flush(line, end))
        return false;
    for (;;) {
        switch (milter_take(&line->in, line->max, packet)) {
        case MILTER_TOOK:
            return true;
        case MILTER_TOOK_BAD:
            return milter_line_fail(line, "sent a packet of no possible length", 0);
        default:
            if (!read_more(line, end))
                return false;
        }
    }
}

bool milter_line_quiet(const struct milter_line *line)
{
    char byte;

    return line->in.len == line->in.taken && recv(line->fd, &byte, 1, MSG_PEEK) < 0 &&
           errno == EAGAIN;
}

void milter_line_close(struct milter_line *line)
{
    if (line->fd >= 0)
        (void)close(line->fd);
    line->fd = -1;
    milter_out_free(&line->out);
    milter_in_free(&line->in);
}
