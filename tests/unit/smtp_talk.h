/* A client of a test's, with blocking calls: what is sent is what the test wrote. */
#ifndef UNIT_SMTP_TALK_H
#define UNIT_SMTP_TALK_H

#include "buf.h"

#include <openssl/ssl.h>
#include <sys/types.h>

struct client {
    int fd;
    SSL_CTX *context;
    SSL *tls;
    struct pn_buf in;
};

/* To 127.0.0.1. */
void dial_port(struct client *c, uint16_t port);
void hang_up(struct client *c);
void say(struct client *c, struct pn_str bytes);
/* As recv(); what came is in c->in. */
ssize_t hear_bytes(struct client *c);
/* "250 2.1.0" of the next reply; "" where the server closed, "?" when nothing comes. */
struct pn_str hear(struct client *c);
void expect(struct client *c, const char *want);
/* A line and the reply to it. */
void ask(struct client *c, const char *line, const char *want);
void start_tls(struct client *c);

#endif
