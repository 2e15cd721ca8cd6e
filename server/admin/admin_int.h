/* What admin's files share. */
#ifndef PN_ADMIN_INT_H
#define PN_ADMIN_INT_H

#include "admin.h"
#include "command.h"
#include "events.h"
#include "metrics.h"
#include "policy.h"
#include "stream.h"

struct client;

/* Whom a command goes to. */
struct asked_role {
    uint8_t role;
    uint32_t number; /* of a mailbox; else 0 */
};

/* Another role, by its channel; the supervisor has none here but its control channel. */
struct source {
    struct source *next;
    struct admin *admin;
    struct pn_channel *channel; /* NULL: the supervisor */
    uint8_t role;
    struct asked_role asked;
    char name[PN_ROLE_NAME_MAX];
    struct pn_buf metrics; /* the last record's body, whole */
};

struct admin {
    struct pn_loop *loop;
    struct pn_control *control;
    struct events *events;
    int state_fd;           /* of the state folder; -1: none */
    struct pn_timer *prune; /* what is kept too long there goes */
    struct source *sources;
    struct source supervisor;
    struct pn_watch *watches[64];
    int listeners[64]; /* owned */
    bool is_control[64];
    size_t listener_count;
    struct client *clients;
    uint64_t next_token;
    struct pn_policy *policy;
    bool draining;
};

/* ---- ask.c: commands to roles */
/* False: no such role is there. The reply comes to client_reply, from *out. */
bool ask_role(struct admin *admin, struct pn_str role, const struct pn_command *command,
              struct asked_role *out);
/* False: malformed, or of a role that nobody asks anything. */
bool ask_reply(struct source *s, struct pn_record *record);

/* ---- client.c: connections of either kind */
void client_accept(struct admin *admin, int fd, bool control);
void client_free_all(struct admin *admin);
/* A reply for the client that waits for this role and token. */
void client_reply(struct admin *admin, struct asked_role from, const struct pn_command_reply *reply,
                  int fd);
/* The role died: whoever waits for it is told. */
void client_lost(struct admin *admin, struct asked_role who);

/* ---- http.c */
/* Reads a request if it is whole; false: not yet. The answer is in out, whole. */
bool http_answer(struct admin *admin, struct pn_str request, struct pn_buf *out);

/* ---- prometheus.c */
void prometheus_print(const struct admin *admin, struct pn_buf *out);
/* The value of the supervisor's gauge of that name, or -1. */
int64_t supervisor_gauge(const struct admin *admin, struct pn_str name);

/* ---- request.c: {"command":["queue","list"]} */
enum { REQUEST_MAX = 16 * 1024 };
/* Words are decoded into pool. False with a sentence in err. */
bool request_parse(struct pn_str line, struct pn_pool *pool, struct pn_command *out,
                   struct pn_buf *err);

#endif
