/*
 * The keeper of mail under test: the spool, held mail and the store below one folder, used
 * in the order in which the roles use them (take.c, run.c, bounce.c, move.c, mailbox.c),
 * with one record of a message under way at a time. Everything it is told goes into the log
 * as events.
 *
 *   ROOT/spool   the spool's folder      ROOT/mail   the store's
 */
#ifndef POWER_SERVER_H
#define POWER_SERVER_H

#include "frozen.h"
#include "mail.h"
#include "spool.h"
#include "store.h"

#include <pthread.h>

enum { SERVER_SEGMENT = 8 * 4096, SERVER_BATCH_MAX = 8 };

/* A message as the server knows it. */
struct at_hand {
    bool live;
    bool found_twice; /* two records without an end between them: it was moved */
    bool malformed;
    uint32_t states[RCPTS];
    struct spool_ref ref;
};

struct server {
    int root, folder, mail; /* owned */
    int held;               /* owned; -1: closed */
    struct spool *spool;
    struct pn_store *store;
    struct frozen *frozen;
    struct at_hand mails[MAILS_MAX];
    bool kept_aside[MAILS_MAX]; /* there is a held file, as far as the server knows */
    uint32_t uids[MAILS_MAX];   /* of what was appended, in its folder; 0: none */
    bool copied[MAILS_MAX];     /* it is elsewhere too */
    uint64_t next_file;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned finished, alarms;
    char alarm[256]; /* the first */
    char error[256]; /* why it did not start */
};

/* Makes the folders below the empty folder root. */
void server_layout(int root);
/* root: borrowed. False: it refused to start; it is closed all the same. */
bool server_open(struct server *s, int root);
void server_close(struct server *s);
/* As a kill -9: no thread goes on, its descriptors are closed. */
void server_kill(struct server *s);

/* One thing to be written; part of a batch. */
enum job_type { JOB_MAIL, JOB_NOTE, JOB_END, JOB_MOVE };
struct job {
    enum job_type type;
    uint32_t id;
    bool lazy;
};
/* Submits all in one go. With wait, until they are answered and their consequences drawn;
 * without, only a kill may follow. */
void server_batch(struct server *s, const struct job *jobs, unsigned n, bool wait);

bool server_hold(struct server *s, uint32_t id);
bool server_drop(struct server *s, uint32_t id);
bool server_deliver(struct server *s, uint32_t id);
/* By APPEND, where the folder is there. */
bool server_append(struct server *s, uint32_t id);
/* Of one that was appended since the server was opened: server.uids has it. */
enum change { CHANGE_FLAG, CHANGE_COPY, CHANGE_MOVE, CHANGE_EXPUNGE, CHANGES };
void server_change(struct server *s, uint32_t id, enum change what);
/* Its domain is frozen, or thawed if it was. */
void server_freeze(struct server *s, uint32_t id);
/* The message whose domain that is; MAILS_MAX: none. */
uint32_t server_frozen_id(const char *glob);

#endif
