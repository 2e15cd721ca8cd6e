/*
 * For tests of the queue role towards next hops: the role with its peers, and a server on
 * loopback that answers by the test's script, one connection at a time. Whoever waits in vain
 * fails within QUEUE_RIG_PATIENCE_MS.
 */
#ifndef HOP_RIG_H
#define HOP_RIG_H

#include "dns.h"
#include "queue_rig.h"

enum { EDGE, MAILBOX, RESOLVER, ADMIN }; /* peers */

struct hop_server {
    int listener;
    char name[32]; /* "127.0.0.1:port" */
    int fd;        /* the connection at hand, or -1 */
    struct pn_buf in;
};

void hop_server_init(struct hop_server *s);
void hop_server_fini(struct hop_server *s);
bool hop_readable(int fd, int ms);
void hop_say(struct hop_server *s, const char *line);
/* Takes the next connection and says 220. */
void hop_greet(struct hop_server *s);
/* The next line; with `dot` all up to the line with a dot. Borrowed until the next call. */
struct pn_str hop_hear(struct hop_server *s, bool dot);
/* The next line must be this one; it is answered so. */
void hop_expect(struct hop_server *s, const char *line, const char *answer);
void hop_expect_ehlo(struct hop_server *s);
/* The peer closes the connection. */
void hop_closed(struct hop_server *s);

/* conf NULL: none. */
void hop_rig_up(struct role_rig *rig, const char *conf);
/* Takes the next question, which must be this one, and answers it. data NULL: no record. */
void hop_rig_resolve(struct role_rig *rig, const char *name, uint16_t type, uint16_t rcode,
                     struct pn_str data);
/* By way of SMTP to that server. */
struct pn_recipient hop_rig_to(const struct hop_server *s, const char *address);
/* The queue takes a message with this content, or the usual one; two groups of edits. */
extern const struct pn_str hop_rig_usual;
void hop_rig_take_content(struct role_rig *rig, uint64_t id, const char *from, uint32_t flags,
                          struct pn_recipient *to, uint32_t count, struct pn_str content);
void hop_rig_take(struct role_rig *rig, uint64_t id, const char *from, uint32_t flags,
                  struct pn_recipient *to, uint32_t count);

#endif
