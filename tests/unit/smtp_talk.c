#include "smtp_talk.h"

#include "reply.h"
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

void dial_port(struct client *c, uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = 60};
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    pn_buf_init(&c->in, 1 << 20);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    UNIT_INT(connect(c->fd, (struct sockaddr *)&sin, sizeof sin), 0);
}

void hang_up(struct client *c)
{
    SSL_free(c->tls);
    SSL_CTX_free(c->context);
    (void)close(c->fd);
    pn_buf_fini(&c->in);
}

void say(struct client *c, struct pn_str bytes)
{
    if (c->tls != NULL) {
        UNIT_INT(SSL_write(c->tls, bytes.p, (int)bytes.len), (int)bytes.len);
        return;
    }
    while (bytes.len != 0) {
        ssize_t n = send(c->fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        UNIT_TRUE(n > 0);
        if (n <= 0)
            return;
        bytes = pn_str_slice(bytes, (size_t)n, bytes.len);
    }
}

ssize_t hear_bytes(struct client *c)
{
    char part[4096];
    ssize_t n =
        c->tls != NULL ? SSL_read(c->tls, part, sizeof part) : recv(c->fd, part, sizeof part, 0);
    if (n > 0)
        (void)pn_buf_add(&c->in, part, (size_t)n);
    return n;
}

/* "250 2.1.0" of the next reply; "" where the server closed, "?" when nothing comes. */
struct pn_str hear(struct client *c)
{
    static char text[600];
    struct pn_smtp_reply_reader reader;
    struct pn_smtp_reply reply = {0};
    int got = 0;
    pn_smtp_reply_reader_init(&reader);
    while (got == 0) {
        struct pn_str bytes = pn_buf_str(&c->in);
        got = pn_smtp_reply_next(&reader, &bytes, &reply);
        pn_buf_consume(&c->in, c->in.len - bytes.len);
        if (got == 0) {
            errno = 0;
            ssize_t n = hear_bytes(c);
            if (n <= 0) {
                pn_smtp_reply_reader_fini(&reader);
                return n == 0 || errno == ECONNRESET || errno == 0 ? PN_STR("") : PN_STR("?");
            }
        }
    }
    int n = snprintf(text, sizeof text, "%u", reply.code);
    if (reply.status.x != 0)
        n += snprintf(text + n, sizeof text - (size_t)n, " %u.%u.%u", reply.status.x,
                      reply.status.y, reply.status.z);
    pn_smtp_reply_reader_fini(&reader);
    return (struct pn_str){text, (size_t)n};
}

void expect(struct client *c, const char *want)
{
    UNIT_STR(hear(c), pn_str_of(want));
}

void ask(struct client *c, const char *line, const char *want)
{
    say(c, pn_str_of(line));
    say(c, PN_STR("\r\n"));
    expect(c, want);
}

void start_tls(struct client *c)
{
    c->context = SSL_CTX_new(TLS_client_method());
    c->tls = SSL_new(c->context);
    (void)SSL_set_fd(c->tls, c->fd);
    UNIT_INT(SSL_connect(c->tls), 1);
}
