/*
 * Sockets for the state role: its jail knows none, so that it reaches the one server that the
 * configuration names and nothing else. It gets one that is on its way there, and the file of
 * the password, read-only; what is spoken over it is its own affair.
 */
#include "clock.h"
#include "supervisor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EACH_MS = 50, BURST_MS = 1000, ALIVE_S = 30 };

/* A role gone wild must not keep us busy: it asks again when it got none. */
static bool may_ask(struct child *c)
{
    uint64_t now = pn_clock_mono_ns();
    uint64_t due = (c->socket_due > now ? c->socket_due : now) + EACH_MS * PN_NS_PER_MS;
    if (due > now + BURST_MS * (uint64_t)PN_NS_PER_MS)
        return false;
    c->socket_due = due;
    return true;
}

static int connecting(const struct plan_server *to)
{
    struct sockaddr_storage addr;
    socklen_t len = pn_endpoint_to_sockaddr(&to->ip, to->port, &addr);
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* An idle connection that a firewall forgot is found out. */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ALIVE_S}, sizeof(int));
    if (connect(fd, (const struct sockaddr *)&addr, len) == 0 || errno == EINPROGRESS)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static int open_password(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return fd;
    (void)close(fd);
    errno = EINVAL;
    return -1;
}

void state_socket_want(struct child *c)
{
    const struct supervisor *sup = c->sup;
    const struct plan *plan = sup->now.serial != 0 ? &sup->now.plan : &sup->next.plan;
    const struct plan_server *to = &plan->state_server;
    struct pn_str why = PN_STR("");
    char text[5000];
    int fds[2] = {-1, -1};
    unsigned count = 0;
    if (!may_ask(c))
        return;
    text[0] = '\0';
    if (to->password_file != NULL) {
        fds[1] = open_password(to->password_file);
        if (fds[1] < 0)
            (void)snprintf(text, sizeof text, "%s: %s", to->password_file, strerror(errno));
    }
    if (!to->wanted)
        (void)snprintf(text, sizeof text, "no server is configured");
    else if (text[0] == '\0' && (fds[0] = connecting(to)) < 0)
        (void)snprintf(text, sizeof text, "%s", strerror(errno));
    if (text[0] != '\0')
        why = pn_str_of(text);
    else
        count = fds[1] >= 0 ? 2 : 1;
    if (c->control != NULL)
        (void)pn_channel_send(c->control, PN_REC_STATE_SOCKET, why, fds, count);
    for (size_t i = 0; i < 2; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}
