#include "hop_login_job.h"

#include "mem.h"

#include <stdlib.h>

struct login_job {
    struct pn_job job; /* first */
    struct pn_threads *threads;
    struct login *login;
    login_said *said;
    void *ctx; /* NULL: nobody waits any more */
    bool busy;

    bool first, last;
    char *words; /* owned */
    struct pn_buf out;
    const char *why;
};

struct login_job *login_job_new(struct pn_threads *threads, struct login *login, login_said *said,
                                void *ctx)
{
    struct login_job *j = pn_calloc(1, sizeof *j);
    *j = (struct login_job){.threads = threads, .login = login, .said = said, .ctx = ctx};
    pn_buf_init(&j->out, LOGIN_WORD_MAX);
    return j;
}

static void wipe(struct login_job *j)
{
    if (j->out.len > 0)
        explicit_bzero(j->out.p, j->out.len);
    pn_buf_clear(&j->out);
    free(j->words);
    j->words = NULL;
}

static void end(struct login_job *j)
{
    wipe(j);
    pn_buf_fini(&j->out);
    login_free(&j->login);
    free(j);
}

void login_job_free(struct login_job **job)
{
    struct login_job *j = *job;
    *job = NULL;
    if (j == NULL)
        return;
    j->ctx = NULL;
    if (!j->busy)
        end(j);
}

static void run(struct pn_job *job)
{
    struct login_job *j = (struct login_job *)job;
    j->why = j->login == NULL
                 ? "AUTH is required, and libgsasl is not to be had"
                 : login_step(j->login, j->first, pn_str_of(j->words), &j->out, &j->last);
}

static void done(struct pn_job *job)
{
    struct login_job *j = (struct login_job *)job;
    j->busy = false;
    if (j->ctx == NULL) {
        end(j);
        return;
    }
    struct pn_buf said = j->out; /* j may go meanwhile */
    pn_buf_init(&j->out, LOGIN_WORD_MAX);
    j->said(j->ctx, j->why, pn_buf_str(&said), j->last);
    if (said.len > 0)
        explicit_bzero(said.p, said.len);
    pn_buf_fini(&said);
}

void login_job_step(struct login_job *j, bool first, struct pn_str words)
{
    wipe(j);
    j->job = (struct pn_job){.run = run, .done = done};
    j->first = first;
    j->words = pn_strndup(words.p, words.len);
    j->busy = true;
    pn_threads_submit(j->threads, &j->job);
}
