/*
 * A plugin that tries, wherever its code runs, what only a need opens, and says what it got.
 * PROBE_TRIED names each place once it was there, PROBE_REACHED "WHAT at PLACE":
 *
 *   secret    a file that no setting of type FILE names    setting   the file of its row
 *   make      a new file                                   socket    an internet socket
 *   connect   a TCP connection on loopback                 unix      a UNIX socket by path
 *
 * `fatal fork` or `fatal exec` at one place is tried there alone: where it works, it leaves
 * the file `make` behind. Places that state nothing themselves (prepare, prefetch, changed,
 * after) leave what they found in memory that all its processes share: each message tells of
 * them all. With `wait` it waits for `changed` to have been there, and the second message for
 * the first one's `after`.
 *
 * PROBER_NEEDS is what it asks for, when it is compiled.
 */
#include <postern/plugin.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PROBER_NEEDS
#define PROBER_NEEDS 0
#endif

/* Stages first, by their numbers. */
enum place {
    PREFETCH = POSTERN_STAGES,
    PREPARE,
    CHANGED,
    INSTANCE_NEW,
    SESSION_NEW,
    TRANSACTION_NEW,
    PLACES
};
static const char *const places[PLACES] = {[POSTERN_CONNECT] = "connect",
                                           [POSTERN_HELO] = "helo",
                                           [POSTERN_MAIL] = "mail",
                                           [POSTERN_RCPT] = "rcpt",
                                           [POSTERN_HEADERS] = "headers",
                                           [POSTERN_MESSAGE] = "message",
                                           [POSTERN_AFTER] = "after",
                                           [PREFETCH] = "prefetch",
                                           [PREPARE] = "prepare",
                                           [CHANGED] = "changed",
                                           [INSTANCE_NEW] = "instance",
                                           [SESSION_NEW] = "session",
                                           [TRANSACTION_NEW] = "transaction"};

static const struct postern_row rows[] = {
    {.name = "setting", .type = POSTERN_T_FILE, .help = "A file of its own."},
    {.name = "secret", .type = POSTERN_T_STRING, .help = "One that is not."},
    {.name = "make", .type = POSTERN_T_STRING, .help = "One that is not there."},
    {.name = "port", .type = POSTERN_T_INT, .def = "9", .help = "Where somebody listens."},
    {.name = "unix", .type = POSTERN_T_STRING, .help = "And where on this machine."},
    {.name = "hidden", .type = POSTERN_T_STRING, .help = "The same, without its first /."},
    {.name = "fatal",
     .type = POSTERN_T_CHOICE,
     .choices = "nothing|fork|exec|orphan",
     .def = "nothing",
     .help = "What else."},
    {.name = "at", .type = POSTERN_T_STRING, .help = "The place for that."},
    {.name = "wait", .type = POSTERN_T_BOOL, .def = "no", .help = "For changed."},
    {.name = NULL},
};

enum { REACHED, TRIED, AFTERWARDS };
static const struct postern_symbol symbols[] = {
    [REACHED] = {"PROBE_REACHED", 0, "what it reached", NULL},
    [TRIED] = {"PROBE_TRIED", 0, "where it tried", NULL},
    [AFTERWARDS] = {"PROBE_AFTER", 0, "the stage after was there", NULL},
    {NULL, 0, NULL, NULL}};

static const char *const things[] = {"secret", "setting", "make", "socket", "connect", "unix"};
enum { SECRET, SETTING, MAKE, SOCKET, CONNECT, UNIX, THINGS };

struct shared {
    char setting[256], secret[256], make[256], local[256], at[32];
    char fatal; /* 'n', 'f', 'e', 'o' */
    int wait;
    int64_t port;
    _Atomic unsigned tried[PLACES], got[PLACES], messages;
};
/* Found again by the callbacks that are given nothing of ours. */
static struct shared *shared;

static void text_of(const struct postern_setup *s, const char *row, char *out, size_t size)
{
    struct postern_str v;
    out[0] = '\0';
    if (s->host->set_str(s->settings, row, 0, &v) == POSTERN_OK)
        (void)snprintf(out, size, "%.*s", (int)v.len, v.p);
}

static void settings_of(const struct postern_setup *s)
{
    char fatal[16];
    text_of(s, "setting", shared->setting, sizeof shared->setting);
    text_of(s, "secret", shared->secret + 1, sizeof shared->secret - 1);
    text_of(s, "make", shared->make + 1, sizeof shared->make - 1);
    text_of(s, "unix", shared->local, sizeof shared->local);
    if (shared->local[0] == '\0')
        text_of(s, "hidden", shared->local + 1, sizeof shared->local - 1);
    shared->secret[0] = shared->make[0] = shared->local[0] = '/';
    text_of(s, "at", shared->at, sizeof shared->at);
    text_of(s, "fatal", fatal, sizeof fatal);
    shared->fatal = fatal[0];
    (void)s->host->set_int(s->settings, "port", 0, &shared->port);
    (void)s->host->set_bool(s->settings, "wait", &shared->wait);
}

static unsigned opens(const char *path, int flags, unsigned thing)
{
    int fd = path[0] == '\0' || path[1] == '\0' ? -1 : open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)close(fd);
    if (fd >= 0 && (flags & O_CREAT) != 0)
        (void)unlink(path);
    return fd >= 0 ? 1U << thing : 0;
}

static unsigned sockets(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)shared->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    unsigned got = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        got |= 1U << SOCKET;
        if (connect(fd, (const struct sockaddr *)&in, sizeof in) == 0)
            got |= 1U << CONNECT;
        (void)close(fd);
    }
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%.100s", shared->local);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof un) == 0)
        got |= 1U << UNIX;
    if (fd >= 0)
        (void)close(fd);
    return got;
}

/* A process whose parent is gone, as daemons are made. */
static void leave_orphan(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() != 0)
            _exit(0);
        for (int fd = 0; fd < 3; fd++)
            (void)close(fd);
        (void)sleep(20);
        _exit(0);
    }
    if (pid > 0)
        (void)waitpid(pid, &status, 0);
}

/* What ends the process where it is not open. */
static void be_fatal(void)
{
    if (shared->fatal == 'o') {
        leave_orphan();
        return;
    }
    if (shared->fatal == 'e') {
        (void)execl("/bin/sh", "sh", "-c", ": >\"$0\"", shared->make, (char *)NULL);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(open(shared->make, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ? 0 : 1);
    } else if (pid > 0) {
        int status;
        (void)waitpid(pid, &status, 0);
    }
}

static void try_all(enum place place)
{
    unsigned got = opens(shared->setting, O_RDONLY, SETTING) |
                   opens(shared->secret, O_RDONLY, SECRET) |
                   opens(shared->make, O_WRONLY | O_CREAT, MAKE) | sockets();
    (void)atomic_fetch_or(&shared->got[place], got);
    atomic_store(&shared->tried[place], 1);
    if (shared->fatal != 'n' && strcmp(shared->at, places[place]) == 0)
        be_fatal();
}

static int prepare(struct postern_setup *s, void **prepared)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return POSTERN_ERROR;
    settings_of(s);
    try_all(PREPARE);
    *prepared = shared;
    return POSTERN_OK;
}

static int changed(void *prepared)
{
    (void)prepared;
    try_all(CHANGED);
    return 0;
}

static int instance_new(struct postern_setup *s, void **instance)
{
    try_all(INSTANCE_NEW);
    *instance = s->prepared;
    return POSTERN_OK;
}

static int session_new(struct postern_call *c, void **session)
{
    try_all(SESSION_NEW);
    *session = c->instance;
    return POSTERN_OK;
}

static int transaction_new(struct postern_call *c, void **transaction)
{
    try_all(TRANSACTION_NEW);
    *transaction = c->instance;
    return POSTERN_OK;
}

static void forget(void *instance, void *object)
{
    (void)instance;
    (void)object;
}

static void prefetch(struct postern_call *c)
{
    (void)c;
    try_all(PREFETCH);
}

static int tell(struct postern_call *c)
{
    char text[64];
    if (atomic_load(&shared->tried[POSTERN_AFTER]) != 0 &&
        c->host->fact(c, AFTERWARDS, POSTERN_STR("")) != POSTERN_OK)
        return POSTERN_ERROR;
    for (unsigned p = 0; p < PLACES; p++) {
        if (atomic_load(&shared->tried[p]) == 0)
            continue;
        int rc = c->host->fact(c, TRIED, (struct postern_str){places[p], strlen(places[p])});
        for (unsigned k = 0; rc == POSTERN_OK && k < THINGS; k++) {
            int n = snprintf(text, sizeof text, "%s at %s", things[k], places[p]);
            if ((atomic_load(&shared->got[p]) >> k & 1) != 0)
                rc = c->host->fact(c, REACHED, (struct postern_str){text, (size_t)n});
        }
        if (rc != POSTERN_OK)
            return rc;
    }
    return POSTERN_OK;
}

static int wait_for(struct postern_call *c, unsigned place)
{
    const struct timespec nap = {0, 10 * 1000000L};
    while (atomic_load(&shared->tried[place]) == 0) {
        if (c->host->left_ms(c) == 0)
            return 0;
        (void)nanosleep(&nap, NULL);
    }
    return 1;
}

static int on_stage(struct postern_call *c)
{
    try_all((enum place)c->stage);
    if (c->stage != POSTERN_MESSAGE)
        return POSTERN_OK;
    int first = atomic_fetch_add(&shared->messages, 1) == 0;
    if (shared->wait && (!wait_for(c, CHANGED) || (!first && !wait_for(c, POSTERN_AFTER))))
        return POSTERN_DEADLINE;
    return tell(c);
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "prober",
    .version = "1.0",
    .summary = "tries what it may not",
    .rows = rows,
    .symbols = symbols,
    .needs = PROBER_NEEDS,
    .deadline_ms = 30000,
    .prepare = prepare,
    .changed = changed,
    .instance_new = instance_new,
    .session_new = session_new,
    .session_free = forget,
    .transaction_new = transaction_new,
    .transaction_free = forget,
    .prefetch = {[POSTERN_MESSAGE] = prefetch},
    .on = {[POSTERN_CONNECT] = on_stage,
           [POSTERN_HELO] = on_stage,
           [POSTERN_MAIL] = on_stage,
           [POSTERN_RCPT] = on_stage,
           [POSTERN_HEADERS] = on_stage,
           [POSTERN_MESSAGE] = on_stage,
           [POSTERN_AFTER] = on_stage},
};
