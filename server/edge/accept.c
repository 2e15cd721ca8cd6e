/* From an accepted socket to a session: who may come in, and whom a balancer speaks for. */
#include "edge.h"

#include "clock.h"
#include "log.h"
#include "proxy.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the socket before it has a stream ---- */

/* One line, and the connection goes. */
static void refuse(int fd, struct pn_str line)
{
    if (line.len != 0 && write(fd, line.p, line.len) < 0)
        pn_debug("a refusal found nobody");
    (void)close(fd);
}

static bool speaks_tls_first(const struct session *s)
{
    return s->kind == PN_LISTEN_SMTPS || s->kind == PN_LISTEN_SUBMISSIONS ||
           s->kind == PN_LISTEN_IMAPS || s->kind == PN_LISTEN_POP3S;
}

static bool reads(enum pn_listen_kind kind)
{
    return kind >= PN_LISTEN_IMAP && kind <= PN_LISTEN_POP3S;
}

/* The client's address is known. */
static void come_in(struct session *s)
{
    int fd = s->fd;
    pn_timer_free(&s->timer);
    s->fd = -1;
    bool enters = session_enter(s);
    if (enters && session_reads(s)) {
        access_open(s, fd, speaks_tls_first(s));
        return;
    }
    if (enters) {
        session_open(s, fd, speaks_tls_first(s));
        return;
    }
    refuse(fd, speaks_tls_first(s) ? PN_STR("")
               : session_reads(s)
                   ? access_refusal(s->kind, false)
                   : PN_STR("421 4.7.0 Too many connections from you, try again later\r\n"));
    session_free(s);
}

/* ---- PROXY ----
 *
 * The header is read from the socket before there is a stream, and nothing but it: what
 * follows may be a TLS handshake, which OpenSSL reads for itself. So it is looked at
 * with MSG_PEEK until it is whole. */

static void proxy_bad(struct session *s, const char *why)
{
    event_session(s, "proxy-refused", pn_str_of(why));
    session_free(s);
}

static void on_proxy_late(void *arg)
{
    proxy_bad(arg, "no PROXY header came in time");
}

/* Only part of it is there: no further call before there is more. */
static void proxy_more(struct session *s, size_t seen)
{
    int want = (int)seen + 1;
    if (seen <= s->proxy_seen) /* woken without more: the peer closed */
        proxy_bad(s, "closed within the PROXY header");
    else if (setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof want) != 0)
        proxy_bad(s, "part of a PROXY header");
    else
        s->proxy_seen = seen;
}

static void on_proxy(void *arg, unsigned events)
{
    struct session *s = arg;
    char bytes[PN_PROXY_MAX];
    struct pn_proxy proxy;
    const int one = 1;
    (void)events;
    ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        session_free(s); /* a balancer's health check, or nobody any more */
        return;
    }
    enum pn_proxy_status status = pn_proxy_parse((struct pn_str){bytes, (size_t)n}, &proxy);
    if (status == PN_PROXY_MORE) {
        proxy_more(s, (size_t)n);
        return;
    }
    if (status != PN_PROXY_OK || recv(s->fd, bytes, proxy.len, MSG_DONTWAIT) < 0 ||
        setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one) != 0) {
        proxy_bad(s, "no PROXY header where one must be");
        return;
    }
    pn_watch_free(&s->proxy_watch);
    if (!proxy.local) {
        s->ip = proxy.source;
        s->port = proxy.source_port;
        s->local = proxy.dest;
        s->local_port = proxy.dest_port;
    }
    come_in(s);
}

/* Does this peer have to send a PROXY header? */
static bool proxies(const struct session *s, const struct edge_listener *listener)
{
    for (uint32_t i = 0; i < listener->listen.proxy_count; i++) {
        struct pn_net net = pn_policy_listen_proxy(s->gen->policy, listener->row, i);
        if (pn_net_has(&net, &s->ip))
            return true;
    }
    return false;
}

/* A listener of any address serves many. */
static void look_at_local(struct session *s)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    if (getsockname(s->fd, (struct sockaddr *)&at, &len) != 0 ||
        !pn_endpoint_of_sockaddr((const struct sockaddr *)&at, &s->local, &s->local_port))
        s->local_port = 0;
}

void session_accept(struct edge_listener *listener, int fd, const struct sockaddr *peer)
{
    struct edge *edge = listener->edge;
    struct pn_ip ip;
    uint16_t port;
    enum pn_listen_kind kind = listener->listen.kind;
    if (edge->draining) {
        refuse(fd, reads(kind) ? access_refusal(kind, true)
                               : PN_STR("421 4.3.2 Shutting down, try again in a moment\r\n"));
        return;
    }
    if (!pn_endpoint_of_sockaddr(peer, &ip, &port)) {
        (void)close(fd);
        return;
    }
    if (edge->limits != NULL &&
        !pn_cap_take(edge->limits, PN_CAP_SESSIONS, 1, edge->gen->sessions_max)) {
        refuse(fd, reads(kind) ? access_refusal(kind, false)
                               : PN_STR("421 4.3.2 Too many connections, try again later\r\n"));
        return;
    }
    struct session *s = session_new(edge, kind);
    s->counted = edge->limits != NULL;
    s->ip = ip;
    s->port = port;
    s->fd = fd;
    look_at_local(s);
    if (!proxies(s, listener)) {
        come_in(s);
        return;
    }
    s->proxied = true;
    s->proxy_watch = pn_watch_new(edge->loop, fd, PN_WATCH_READ, on_proxy, s);
    s->timer = pn_timer_new(edge->loop, on_proxy_late, s);
    pn_timer_set(s->timer, s->gen->proxy_ms);
}
