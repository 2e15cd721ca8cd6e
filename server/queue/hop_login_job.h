/*
 * A login's steps on the pool, for a connection that may be gone when one is done.
 */
#ifndef PN_QUEUE_HOP_LOGIN_JOB_H
#define PN_QUEUE_HOP_LOGIN_JOB_H

#include "hop_login.h"
#include "threads.h"

struct login_job;

/* On the loop: what is to be said (pn_smtp_client_login), or why nothing is. */
typedef void login_said(void *ctx, const char *why, struct pn_str text, bool last);

/* Takes the login. */
struct login_job *login_job_new(struct pn_threads *threads, struct login *login, login_said *said,
                                void *ctx);
/* The next step; `said` is called behind it, never before this returns. One at a time. */
void login_job_step(struct login_job *job, bool first, struct pn_str words);
/* `said` is called no more. */
void login_job_free(struct login_job **job);

#endif
