/*
 * A plugin with one mistake, chosen by its row `does`: what `postern plugin test` must find.
 *
 *   alloc     writes to memory that it did not get     prepare   the same, in prepare
 *   leak      forgets a block a message                error     forgets one where a later
 *   pool      writes to what host->alloc refused                 allocation fails
 *   fd        leaves a descriptor open                 thread    leaves a thread behind
 *   counts    keeps state between messages             forgets   keeps state between stages, of
 *                                                                which it has no object
 *   halfway   crashes where a message ends early       servfail  crashes where DNS is broken
 *   slow      sleeps where DNS is slow                 network   opens a socket
 *   deep      recurses with the depth of a message     tick      crashes in its tick
 *   tick-leak forgets a block a tick                   hands     NULL of a library to the library
 *   library   none, but its library does               nothing   no mistake
 *
 * With CARELESS_PLAIN it has no transaction of its own, and forgets all the better.
 */
#include <postern/plugin.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum does {
    ALLOC,
    PREPARE,
    LEAK,
    FAILING,
    POOL,
    FD,
    THREAD,
    COUNTS,
    FORGETS,
    HALFWAY,
    SERVFAIL,
    SLOW,
    NETWORK,
    DEEP,
    TICK,
    TICK_LEAK,
    HANDS,
    LIBRARY,
    NOTHING
};

static const char *const words[] = {"alloc",     "prepare", "leak",    "error",   "pool",
                                    "fd",        "thread",  "counts",  "forgets", "halfway",
                                    "servfail",  "slow",    "network", "deep",    "tick",
                                    "tick-leak", "hands",   "library", "nothing"};

static const struct postern_row rows[] = {
    {.name = "does",
     .type = POSTERN_T_CHOICE,
     .choices = "alloc|prepare|leak|error|pool|fd|thread|counts|forgets|halfway|servfail|slow|"
                "network|deep|tick|tick-leak|hands|library|nothing",
     .def = "nothing",
     .help = "The mistake."},
    {.name = NULL},
};

enum { SEEN };
static const struct postern_symbol symbols[] = {[SEEN] = {"CARELESS", 0, "it was called", NULL},
                                                {NULL, 0, NULL, NULL}};

struct instance {
    enum does does;
};

static struct transaction {
    int stages;
    char *owned;
} no_transaction;

static unsigned messages; /* a mistake by itself */
static void *volatile forgotten;

static enum does does(const struct postern_call *c)
{
    return ((const struct instance *)c->instance)->does;
}

static enum does setting(const struct postern_setup *s)
{
    struct postern_str word;
    unsigned i = 0;
    if (s->host->set_str(s->settings, "does", 0, &word) != POSTERN_OK)
        return NOTHING;
    while (i < NOTHING && (strlen(words[i]) != word.len || memcmp(words[i], word.p, word.len) != 0))
        i++;
    return (enum does)i;
}

/* fragile.so beside this one; it is not there in a server, whose jail does not know of it. */
static char *(*fragile_get)(void), *(*fragile_make)(void);
static void (*fragile_use)(char *p);

static void open_library(void)
{
    static char path[4096];
    Dl_info self;
    void *library = NULL, *get, *make, *use;
    if (dladdr(rows, &self) != 0 && strlen(self.dli_fname) + 16 < sizeof path) {
        const char *slash = strrchr(self.dli_fname, '/');
        (void)snprintf(path, sizeof path, "%.*s/fragile.so", (int)(slash - self.dli_fname),
                       self.dli_fname);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL)
        return;
    get = dlsym(library, "fragile_get");
    make = dlsym(library, "fragile_make");
    use = dlsym(library, "fragile_use");
    memcpy(&fragile_get, &get, sizeof get);
    memcpy(&fragile_make, &make, sizeof make);
    memcpy(&fragile_use, &use, sizeof use);
}

static void *sleeps(void *arg)
{
    for (;;)
        (void)sleep(1000);
    return arg;
}

static int prepare(struct postern_setup *s, void **prepared)
{
    char *p = malloc(32);
    if (setting(s) == PREPARE)
        *(volatile char *)p = 'x';
    free(p);
    if (setting(s) == HANDS || setting(s) == LIBRARY)
        open_library();
    *prepared = NULL;
    return POSTERN_OK;
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *i = calloc(1, sizeof *i);
    if (i == NULL)
        return POSTERN_ERROR;
    i->does = setting(s);
    *instance = i;
    return POSTERN_OK;
}

#ifndef CARELESS_PLAIN
static int transaction_new(struct postern_call *c, void **transaction)
{
    struct transaction *t = calloc(1, sizeof *t);
    (void)c;
    *transaction = t;
    return t == NULL ? POSTERN_LIMIT : POSTERN_OK;
}

static void transaction_free(void *instance, void *transaction)
{
    struct transaction *t = transaction;
    if (((const struct instance *)instance)->does == HALFWAY && t->stages < 2)
        abort();
    free(t->owned);
    free(t);
}
#endif

static struct transaction *transaction_of(const struct postern_call *c)
{
    return c->transaction == NULL ? &no_transaction : c->transaction;
}

static int on_mail(struct postern_call *c)
{
    transaction_of(c)->stages++;
    if (does(c) == FORGETS)
        messages = 1;
    return POSTERN_OK;
}

static int with_dns(struct postern_call *c)
{
    const struct postern_dns_answer *a;
    int rc = c->host->dns_lookup(c, POSTERN_STR("a.sender.test"), POSTERN_DNS_A, &a);
    if (does(c) == SLOW && rc == POSTERN_DEADLINE)
        (void)sleep(3600);
    if (rc != POSTERN_OK)
        return rc;
    if (does(c) == SERVFAIL && a->rcode == POSTERN_DNS_SERVFAIL)
        abort();
    return POSTERN_OK;
}

static int with_memory(struct postern_call *c)
{
    struct transaction *t = transaction_of(c);
    switch (does(c)) {
    case ALLOC:
        t->owned = malloc(100);
        memset(t->owned, 'x', 100);
        return POSTERN_OK;
    case LEAK:
        return malloc(64) == NULL ? POSTERN_LIMIT : POSTERN_OK;
    case POOL:
        memset(c->host->alloc(c, 100), 'x', 100);
        return POSTERN_OK;
    case HANDS:
        if (fragile_make != NULL)
            fragile_use(t->owned = fragile_make());
        return POSTERN_OK;
    case LIBRARY:
        if (fragile_get != NULL)
            t->owned = fragile_get();
        return POSTERN_OK;
    case FAILING:
        t->owned = malloc(10);
        if (t->owned == NULL)
            return POSTERN_LIMIT;
        char *more = malloc(1000);
        if (more == NULL)
            t->owned = NULL; /* and forgotten */
        free(more);
        return POSTERN_OK;
    default:
        return POSTERN_OK;
    }
}

static int with_process(struct postern_call *c)
{
    pthread_t thread;
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/tmp/.careless"};
    int fd;
    switch (does(c)) {
    case FD:
        return dup(c->host->content_fd(c)) < 0 ? POSTERN_ERROR : POSTERN_OK;
    case THREAD:
        return pthread_create(&thread, NULL, sleeps, NULL) == 0 ? POSTERN_OK : POSTERN_ERROR;
    case NETWORK:
        fd = socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0, 0});
        return connect(fd, (const struct sockaddr *)&a, sizeof a) == 0 ? POSTERN_ERROR : POSTERN_OK;
    default:
        return POSTERN_OK;
    }
}

static unsigned depth_of(const char *p, size_t n)
{
    volatile char frame[200];
    frame[0] = n == 0 ? 0 : p[0];
    return n == 0 ? (unsigned)frame[0] : 1 + depth_of(p + 1, n - 1) + (unsigned)frame[0];
}

static int on_message(struct postern_call *c)
{
    struct postern_str content = c->host->content(c);
    transaction_of(c)->stages++;
    if (does(c) == COUNTS)
        messages++;
    if (does(c) == DEEP && depth_of(content.p, content.len) == 1)
        return POSTERN_ERROR;
    int rc = with_memory(c);
    if (rc == POSTERN_OK)
        rc = with_process(c);
    if (rc == POSTERN_OK && (does(c) == SERVFAIL || does(c) == SLOW))
        rc = with_dns(c);
    if (rc != POSTERN_OK)
        return rc;
    static const char digits[] = "0123456789";
    unsigned said = messages;
    if (does(c) == FORGETS)
        messages = 0;
    return c->host->fact(c, SEEN, (struct postern_str){digits + said % 10, 1});
}

static int on_tick(struct postern_call *c, uint32_t *next_ms)
{
    (void)next_ms;
    if (does(c) == TICK)
        abort();
    if (does(c) == TICK_LEAK)
        forgotten = malloc(100);
    return POSTERN_OK;
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "careless",
    .version = "1.0",
    .summary = "one mistake",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS,
    .prepare = prepare,
    .instance_new = instance_new,
    .instance_free = free,
#ifndef CARELESS_PLAIN
    .transaction_new = transaction_new,
    .transaction_free = transaction_free,
#endif
    .on = {[POSTERN_MAIL] = on_mail, [POSTERN_MESSAGE] = on_message},
    .tick = on_tick,
};
