/* Listening sockets: kept over reloads by address, so that none is ever bound twice. */
#include "log.h"
#include "mem.h"
#include "supervisor_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, BUSY_TRIES = 50, BUSY_WAIT_MS = 100 };

static struct socket_slot *find(const struct supervisor *sup, const struct plan_listen *l)
{
    for (size_t i = 0; i < sup->socket_count; i++) {
        struct socket_slot *s = &sup->sockets[i];
        if (pn_ip_eq(&s->ip, &l->ip) && s->port == l->port)
            return s;
    }
    return NULL;
}

int sockets_find(const struct supervisor *sup, const struct plan_listen *want)
{
    const struct socket_slot *s = find(sup, want);
    return s == NULL ? -1 : s->fd;
}

static int open_listener(const struct plan_listen *l)
{
    struct sockaddr_storage addr;
    socklen_t len = pn_endpoint_to_sockaddr(&l->ip, l->port, &addr);
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (addr.ss_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
        bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* Edges of a server that was killed hold its sockets for a moment yet. */
static int open_patiently(const struct plan_listen *l, bool starting)
{
    int fd = open_listener(l);
    for (int i = 0; fd < 0 && starting && errno == EADDRINUSE && i < BUSY_TRIES; i++) {
        (void)poll(NULL, 0, BUSY_WAIT_MS);
        fd = open_listener(l);
    }
    return fd;
}

bool sockets_bind(struct supervisor *sup, const struct plan *plan, struct pn_buf *err)
{
    for (size_t i = 0; i < plan->listen_count; i++) {
        const struct plan_listen *l = &plan->listens[i];
        if (find(sup, l) != NULL)
            continue;
        int fd = open_patiently(l, sup->state == SUP_STARTING);
        if (fd < 0) {
            (void)pn_buf_addz(err, "cannot listen on ");
            int saved = errno;
            pn_endpoint_print(err, &l->ip, l->port);
            (void)pn_buf_addf(err, ": %s%s", strerror(saved),
                              saved == EADDRINUSE ? "; `ss -ltnp` says which program has it" : "");
            return false;
        }
        sup->sockets =
            pn_grow(sup->sockets, &sup->socket_cap, sup->socket_count, sizeof sup->sockets[0]);
        sup->sockets[sup->socket_count++] =
            (struct socket_slot){.ip = l->ip, .port = l->port, .fd = fd, .fresh = true};
    }
    return true;
}

static bool in_plan(const struct plan *plan, const struct socket_slot *s)
{
    for (size_t i = 0; i < plan->listen_count; i++)
        if (pn_ip_eq(&plan->listens[i].ip, &s->ip) && plan->listens[i].port == s->port)
            return true;
    return false;
}

/* Keeps the sockets of this plan; NULL: all but fresh ones. */
static void close_others(struct supervisor *sup, const struct plan *plan)
{
    size_t kept = 0;
    for (size_t i = 0; i < sup->socket_count; i++) {
        struct socket_slot *s = &sup->sockets[i];
        if (plan == NULL ? s->fresh : !in_plan(plan, s))
            (void)close(s->fd);
        else
            sup->sockets[kept++] = *s;
    }
    sup->socket_count = kept;
}

void sockets_take(struct supervisor *sup, const struct plan *plan)
{
    for (size_t i = 0; i < sup->socket_count; i++)
        sup->sockets[i].fresh = false;
    close_others(sup, plan);
}

void sockets_back(struct supervisor *sup)
{
    close_others(sup, NULL);
}

void sockets_close(struct supervisor *sup)
{
    for (size_t i = 0; i < sup->socket_count; i++)
        (void)close(sup->sockets[i].fd);
    free(sup->sockets);
    sup->sockets = NULL;
    sup->socket_count = sup->socket_cap = 0;
}
