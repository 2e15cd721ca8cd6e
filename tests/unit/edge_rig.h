/*
 * The edge role over real sockets and its channels: the test is supervisor, clients,
 * queue, mailbox, admin, resolver and auth. No plugins: what they find is tested where they run.
 */
#ifndef EDGE_RIG_H
#define EDGE_RIG_H

#include "role_rig.h"
#include "unit.h"

#include "kit_policy.h"
#include "smtp_talk.h"

enum { QUEUE, MAILBOX, ADMIN, RESOLVER, AUTH };
/* Listeners, as the configuration has them. */
enum { PLAIN, PROXIED, TLS_PROXIED, LMTP, SUBMISSION, SUBMISSIONS, IMAPS, POP3, LISTENERS };

struct edge_rig {
    struct role_rig rig;
    struct kit kit;
    int listen[LISTENERS];
    uint16_t port[LISTENERS];
    int limits;
    struct pn_buf cert, key;
};

extern struct edge_rig fx;

/* Starts the edge. more: behind "smtp { hostname ..." up to and with its closing brace,
 * and what else. */
void up(const char *more);
void down(void);
/* A new policy, which takes the old one's place for send_generation. */
void compile(const char *more);
/* What the supervisor sends: a record, emptied; what stands before POLICY. */
void send_body(uint16_t type, struct pn_buf *b, int fd);
void send_generation(struct pn_buf *b);

/* ---- clients ---- */

void dial(struct client *c, unsigned listener);
/* By PROXY. */
void from_client(struct client *c, const char *ip);
void greet(struct client *c);
/* A session of LMTP, greeted. */
void dial_lmtp(struct client *c);
/* Up to the content, which is then to be sent. */
void begin_mail(struct client *c, const char *from, const char *to);

/* ---- the other roles ---- */

bool has(struct pn_str text, const char *part);
/* The next event; metrics pass by. Borrowed from buf. */
struct pn_str event(struct pn_buf *buf);
/* The next event has all these parts. */
void expect_event(const char *const *parts);
#define EXPECT_EVENT(...) expect_event((const char *const[]){__VA_ARGS__, NULL})

struct handed {
    struct pn_pool *pool;
    struct pn_buf buf;
    struct pn_handover handover;
    struct pn_str content;
    struct pn_envelope env;    /* from the queue's channel */
    struct pn_deliver deliver; /* from the mailbox's */
};

/* The next message handed to this peer; let_go frees it. */
void take_over(struct handed *h, unsigned peer);
void let_go(struct handed *h);
void answer_take(const struct handed *h, uint16_t code, const char *text);
void answer_delivery(const struct handed *h, uint16_t code, const char *text);

#endif
