/* What stands around each callback of the plugin that is proved. */
#include "prove.h"

#include "assert.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

enum { CALLS_APART = 4096 };

static struct prove_calls *calls;
static struct postern_plugin real, watched; /* of this worker */
static struct postern_host *host;
static bool counting; /* a worker for a replay does not: it ends with what it holds */

struct prove_calls *prove_calls_init(void)
{
    void *map =
        mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pn_assert(map != MAP_FAILED);
    calls = map;
    return calls;
}

static void count(_Atomic int32_t *what, int by)
{
    if (counting)
        atomic_fetch_add(what, by);
}

void prove_calls_reset(void)
{
    atomic_store(&calls->sessions, 0);
    atomic_store(&calls->transactions, 0);
    atomic_store(&calls->inside, 0);
    atomic_store(&calls->ticks, 0);
}

/* Threads of a worker take no signals; but one that is refused a system call here must be able to
 * say which. */
static void take_refusals(void)
{
    static _Thread_local bool takes;
    sigset_t set;
    if (takes)
        return;
    takes = true;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGSYS);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* A call of its own for each callback, at another place than the last ones: who keeps it is known
 * by that. NULL for what is given none. */
static struct postern_call *begin(struct postern_call *c)
{
    static struct postern_call calls_made[CALLS_APART];
    static _Atomic uint32_t next;
    struct postern_call *own = NULL;
    take_refusals();
    if (c != NULL) {
        own = &calls_made[atomic_fetch_add(&next, 1) % CALLS_APART];
        *own = *c;
        own->host = host;
        misuse_begin(own);
    }
    count(&calls->inside, 1);
    heap_enter();
    return own;
}

static int done(const struct postern_call *c, int rc)
{
    heap_leave();
    if (c != NULL)
        misuse_end(rc);
    count(&calls->inside, -1);
    return rc;
}

static int on_stage(struct postern_call *c)
{
    c = begin(c);
    return done(c, real.on[c->stage](c));
}

static void on_prefetch(struct postern_call *c)
{
    c = begin(c);
    real.prefetch[c->stage](c);
    (void)done(c, POSTERN_OK);
}

/* Not counted: what an instance keeps is no session's. */
static int on_instance_new(struct postern_setup *setup, void **instance)
{
    setup->host = misuse_setting_up(true);
    int rc = real.instance_new(setup, instance);
    (void)misuse_setting_up(false);
    return rc;
}

static int on_session_new(struct postern_call *c, void **session)
{
    c = begin(c);
    int rc = done(c, real.session_new(c, session));
    if (rc == POSTERN_OK)
        count(&calls->sessions, 1);
    return rc;
}

static void on_session_free(void *instance, void *session)
{
    (void)begin(NULL);
    real.session_free(instance, session);
    (void)done(NULL, POSTERN_OK);
    count(&calls->sessions, -1);
}

static int on_transaction_new(struct postern_call *c, void **transaction)
{
    c = begin(c);
    int rc = done(c, real.transaction_new(c, transaction));
    if (rc == POSTERN_OK)
        count(&calls->transactions, 1);
    return rc;
}

static void on_transaction_free(void *instance, void *transaction)
{
    (void)begin(NULL);
    real.transaction_free(instance, transaction);
    (void)done(NULL, POSTERN_OK);
    count(&calls->transactions, -1);
}

/* Once is enough. */
static int on_tick(struct postern_call *c, uint32_t *next_ms)
{
    c = begin(c);
    int rc = done(c, real.tick(c, next_ms));
    *next_ms = UINT32_MAX;
    count(&calls->ticks, 1);
    return rc < 0 ? POSTERN_OK : rc;
}

static void *alloc(struct postern_call *c, size_t n)
{
    return heap_may() ? host_table.alloc(c, n) : NULL;
}

void prove_calls_watch(struct host_plugin *p, bool keeps)
{
    real = watched = *p->desc;
    host = misuse_table();
    host->alloc = alloc;
    if (real.instance_new != NULL)
        watched.instance_new = on_instance_new;
    for (unsigned i = 0; i < POSTERN_STAGES; i++) {
        if (real.on[i] != NULL)
            watched.on[i] = on_stage;
        if (real.prefetch[i] != NULL)
            watched.prefetch[i] = on_prefetch;
    }
    if (real.tick != NULL)
        watched.tick = on_tick;
    if (real.session_new != NULL) {
        watched.session_new = on_session_new;
        watched.session_free = on_session_free;
    }
    if (real.transaction_new != NULL) {
        watched.transaction_new = on_transaction_new;
        watched.transaction_free = on_transaction_free;
    }
    p->desc = &watched;
    counting = keeps;
}
