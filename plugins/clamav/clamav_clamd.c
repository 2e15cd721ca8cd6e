#include "clamav_clamd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, AGAIN_MS = 100 };

/* ---- the address */

static const char *read_unix(struct clamav_address *a, struct postern_str path)
{
    struct sockaddr_un *un = &a->at.local;

    if (path.len == 0 || path.p[0] != '/' || path.len >= sizeof(un->sun_path))
        return "expected \"unix:\" and an absolute path of at most 107 bytes";
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.len);
    un->sun_path[path.len] = '\0';
    a->len = sizeof(*un);
    return NULL;
}

static int read_port(const char *text, in_port_t *port)
{
    unsigned long n = 0;

    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || p - text > 4)
            return 0;
        n = n * 10 + (unsigned long)(*p - '0');
    }
    *port = htons((uint16_t)n);
    return n > 0 && n <= UINT16_MAX;
}

static int read_host(struct clamav_address *a, const char *host, in_port_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};

    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&a->at, &in, sizeof(in));
        a->len = sizeof(in);
        return 1;
    }
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
        return 0;
    memcpy(&a->at, &in6, sizeof(in6));
    a->len = sizeof(in6);
    return 1;
}

static const char *read_inet(struct clamav_address *a, struct postern_str text)
{
    static const char expected[] =
        "expected \"inet:\", an address and a port: inet:127.0.0.1:3310, inet:[::1]:3310";
    char room[80], *host = room, *colon;
    in_port_t port;

    if (text.len >= sizeof(room) || memchr(text.p, '\0', text.len) != NULL)
        return expected;
    memcpy(room, text.p, text.len);
    room[text.len] = '\0';
    colon = strrchr(room, ':');
    if (colon == NULL || !read_port(colon + 1, &port))
        return expected;
    *colon = '\0';
    if (host[0] == '[' && colon > room + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    } else if (strchr(host, ':') != NULL) {
        return expected;
    }
    return read_host(a, host, port) ? NULL : expected;
}

const char *clamav_address_read(struct clamav_address *a, struct postern_str text)
{
    memset(a, 0, sizeof(*a));
    if (text.len > 5 && memcmp(text.p, "unix:", 5) == 0)
        return read_unix(a, (struct postern_str){text.p + 5, text.len - 5});
    if (text.len > 5 && memcmp(text.p, "inet:", 5) == 0)
        return read_inet(a, (struct postern_str){text.p + 5, text.len - 5});
    return "expected \"unix:PATH\" or \"inet:ADDRESS:PORT\"";
}

/* ---- one connection */

struct talk {
    int fd;
    uint64_t end_ms;
    const char *why;
    int again; /* nothing was answered: another try may do */
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int left_ms(const struct talk *t)
{
    uint64_t now = now_ms();

    return now >= t->end_ms ? 0 : (int)(t->end_ms - now);
}

static int fail(struct talk *t, const char *why, int again)
{
    t->why = why;
    t->again = again;
    return 0;
}

/* False: the time is up. */
static int wait_for(struct talk *t, short events)
{
    struct pollfd p = {.fd = t->fd, .events = events};

    for (;;) {
        int left = left_ms(t);
        int n = left == 0 ? 0 : poll(&p, 1, left);

        if (n > 0)
            return 1;
        if (n < 0 && errno == EINTR)
            continue;
        errno = 0;
        return fail(t, "clamd did not answer in time", 0);
    }
}

static int connect_to(struct talk *t, const struct clamav_address *a)
{
    int error = 0;
    socklen_t len = sizeof(error);

    t->fd = socket(a->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0)
        return fail(t, "clamd can't be asked: no socket", 0);
    if (connect(t->fd, &a->at.any, a->len) == 0)
        return 1;
    /* A UNIX socket whose queue is full says EAGAIN, and there is nothing to wait for. */
    if (errno != EINPROGRESS && errno != EINTR)
        return fail(t, "clamd can't be reached",
                    errno == ECONNREFUSED || errno == ENOENT || errno == EAGAIN);
    if (!wait_for(t, POLLOUT))
        return 0;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    errno = error;
    return error == 0 || fail(t, "clamd can't be reached", error == ECONNREFUSED);
}

/* 1: written. 0: failed. -1: clamd wants no more; it may have said why. */
static int write_all(struct talk *t, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t did = send(t->fd, p, n, MSG_NOSIGNAL);

        if (did >= 0) {
            p += did;
            n -= (size_t)did;
        } else if (errno == EAGAIN) {
            if (!wait_for(t, POLLOUT))
                return 0;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 1;
}

static int write_chunks(struct talk *t, struct postern_str s)
{
    int result = 1;

    while (s.len > 0 && result == 1) {
        uint32_t n = s.len < CHUNK ? (uint32_t)s.len : CHUNK;
        uint32_t head = htonl(n);

        result = write_all(t, (const char *)&head, sizeof(head));
        if (result == 1)
            result = write_all(t, s.p, n);
        s = (struct postern_str){s.p + n, s.len - n};
    }
    return result;
}

static int write_message(struct talk *t, struct postern_str first, struct postern_str content)
{
    static const char command[] = "zINSTREAM", end[4] = {0};
    int result = write_all(t, command, sizeof(command));

    if (result == 1)
        result = write_chunks(t, first);
    if (result == 1)
        result = write_chunks(t, content);
    return result == 1 ? write_all(t, end, sizeof(end)) : result;
}

static int read_answer(struct talk *t, struct clamav_answer *answer)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(t->fd, answer->room + len, sizeof(answer->room) - len, 0);
        char *nul = n <= 0 ? NULL : memchr(answer->room + len, '\0', (size_t)n);

        if (nul != NULL) {
            struct postern_str line = {answer->room, (size_t)(nul - answer->room)};

            answer->reply = clamav_reply_read(line, &answer->text);
            return 1;
        }
        if (n > 0 && (len += (size_t)n) == sizeof(answer->room)) {
            errno = 0;
            return fail(t, "clamd answers without end", 0);
        }
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            errno = n == 0 ? 0 : errno;
            return fail(t, "clamd let go before it answered", 1);
        }
        if (n < 0 && errno == EAGAIN && !wait_for(t, POLLIN))
            return 0;
    }
}

static int talk(struct talk *t, const struct clamav_address *a, struct postern_str first,
                struct postern_str content, struct clamav_answer *answer)
{
    int good = connect_to(t, a) && write_message(t, first, content) != 0 && read_answer(t, answer);
    int saved = errno;

    if (t->fd >= 0)
        (void)close(t->fd);
    errno = saved;
    return good;
}

const char *clamav_clamd_scan(const struct clamav_address *a, struct postern_str first,
                              struct postern_str content, unsigned limit_ms,
                              struct clamav_answer *answer)
{
    struct talk t = {.end_ms = now_ms() + limit_ms};
    const struct timespec pause = {0, (long)AGAIN_MS * 1000000};

    for (;;) {
        if (talk(&t, a, first, content, answer))
            return NULL;
        if (!t.again || left_ms(&t) <= AGAIN_MS)
            return t.why;
        (void)nanosleep(&pause, NULL);
    }
}
