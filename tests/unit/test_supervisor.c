/*
 * The supervisor with roles of the test's own: this program is both. An edge of the test
 * answers a connection with one line: "NUMBER PID GENERATION admin=1 resolver=1 ...".
 * Nothing sleeps but to ask again; every wait has an end.
 */
#include "unit.h"

#include "clock.h"
#include "launch.h"
#include "log.h"
#include "memfile.h"
#include "peers.h"
#include "supervisor.h"
#include "supervisor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the roles */

struct role {
    struct pn_role_env env;
    struct pn_loop *loop;
    struct pn_control *control;
    struct pn_generation *gen;
    struct pn_watch *watches[8];
    struct {
        struct pn_channel *channel;
        uint8_t role;
        uint32_t generation;
        struct role *r;
    } peers[64];
    size_t peer_count;
    int took;          /* generations */
    bool slow;         /* needs all the time that it is given to end */
    char numbers[100]; /* of mailboxes, as they came */
    struct pn_timer *drained;
};

static void role_run(int control_fd);

static bool peer_record(void *ctx, struct pn_record *record)
{
    (void)ctx;
    (void)record;
    return false;
}

static void peer_end(void *ctx, enum pn_channel_end how)
{
    (void)how;
    pn_channel_free((struct pn_channel **)ctx);
}

static void add_peer(struct role *r, struct pn_peer *p)
{
    static const struct pn_channel_ops ops = {.on_record = peer_record, .on_end = peer_end};
    if (r->peer_count == 64)
        return;
    size_t i = r->peer_count++, used = strlen(r->numbers);
    if (p->role == PN_ROLE_MAILBOX && used + 12 < sizeof r->numbers)
        (void)snprintf(r->numbers + used, 12, "%u,", p->number);
    r->peers[i].role = p->role;
    r->peers[i].generation = p->generation;
    r->peers[i].channel = pn_channel_new(r->loop, p->fd, &ops, &r->peers[i].channel, 1000);
    p->fd = -1;
}

static int count_peers(const struct role *r, enum pn_role role)
{
    int n = 0;
    for (size_t i = 0; i < r->peer_count; i++)
        n += r->peers[i].role == role && r->peers[i].channel != NULL &&
             (role != PN_ROLE_FILTER || r->peers[i].generation == r->gen->serial);
    return n;
}

static void on_accept(void *arg, unsigned events)
{
    struct role *r = arg;
    (void)events;
    for (size_t i = 0; i < r->gen->listener_count; i++) {
        int fd = accept4(r->gen->listeners[i].fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        dprintf(fd,
                "%u %d gen=%u admin=%d resolver=%d queue=%d mailbox=%d filter=%d "
                "took=%d numbers=%s\n",
                r->env.start.number, (int)getpid(), r->gen->serial, count_peers(r, PN_ROLE_ADMIN),
                count_peers(r, PN_ROLE_RESOLVER), count_peers(r, PN_ROLE_QUEUE),
                count_peers(r, PN_ROLE_MAILBOX), count_peers(r, PN_ROLE_FILTER), r->took,
                r->numbers);
        (void)close(fd);
    }
}

static void take_generation(void *ctx, struct pn_generation *gen)
{
    struct role *r = ctx;
    for (size_t i = 0; i < 8; i++)
        pn_watch_free(&r->watches[i]);
    pn_generation_free(&r->gen);
    r->gen = gen;
    r->took++;
    for (size_t i = 0; i < gen->listener_count && i < 8 && r->env.start.role == PN_ROLE_EDGE; i++)
        r->watches[i] = pn_watch_new(r->loop, gen->listeners[i].fd, PN_WATCH_READ, on_accept, r);
}

static void on_peer(void *ctx, struct pn_peer *peer)
{
    add_peer(ctx, peer);
}

/* It loses its channel to the queue, which lives. */
static void on_lose_channel(void *arg, int signo)
{
    struct role *r = arg;
    (void)signo;
    for (size_t i = 0; i < r->peer_count; i++)
        if (r->peers[i].role == PN_ROLE_QUEUE)
            pn_channel_free(&r->peers[i].channel);
    pn_control_missing(r->control, PN_ROLE_QUEUE, 0);
    pn_control_missing(r->control, PN_ROLE_QUEUE, 7);   /* there is none */
    pn_control_missing(r->control, PN_ROLE_COMPILE, 0); /* nor may it talk to that */
}

static void on_lose_generation(void *arg, int signo)
{
    struct role *r = arg;
    (void)signo;
    (void)pn_control_send(r->control, PN_REC_WANT_GENERATION, PN_STR(""), NULL, 0);
}

static void on_drained(void *arg)
{
    pn_loop_stop(((struct role *)arg)->loop);
}

static void on_drain(void *ctx, uint32_t limit_ms)
{
    struct role *r = ctx;
    if (r->drained == NULL)
        r->drained = pn_timer_new(r->loop, on_drained, r);
    pn_timer_set(r->drained, r->slow ? limit_ms : 0);
}

static void tell_worker(struct role *r, uint16_t type, const struct pn_worker *w)
{
    struct pn_buf b;
    pn_buf_init(&b, 100);
    pn_worker_put(&b, w);
    (void)pn_control_send(r->control, type, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
}

static struct pn_worker workers[64];
static size_t worker_count;

/* A template: forks workers, and tells of their ends. */
static bool on_spawn(void *ctx, struct pn_record *record)
{
    struct role *r = ctx;
    struct pn_worker w;
    if (record->type == PN_REC_METRICS || record->type == PN_REC_EVENT)
        return r->env.start.role == PN_ROLE_ADMIN;
    if (record->type != PN_REC_SPAWN_WORKER || !pn_worker_get(record->body, &w) ||
        record->nfds != 1 || worker_count == 64)
        return false;
    w.pid = fork();
    if (w.pid == 0) {
        int fd = dup(record->fds[0]);
        (void)close_range(3, (unsigned)fd - 1, 0);
        role_run(fd);
        _exit(0);
    }
    workers[worker_count++] = w;
    tell_worker(r, PN_REC_WORKER_UP, &w);
    return true;
}

static void on_worker_end(void *arg, int signo)
{
    int status;
    pid_t pid;
    (void)signo;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < worker_count; i++) {
            if (workers[i].pid != pid)
                continue;
            workers[i].status = status;
            tell_worker(arg, PN_REC_WORKER_DOWN, &workers[i]);
        }
    }
}

static bool has_word(struct pn_str text, const char *word)
{
    return memmem(text.p, text.len, word, strlen(word)) != NULL;
}

static void role_run(int control_fd)
{
    static const struct pn_control_ops ops = {take_generation, on_peer, on_drain, on_spawn};
    struct role *r = calloc(1, sizeof *r);
    if (r == NULL || !pn_role_env_read(&r->env, control_fd))
        _exit(1);
    pn_log_init(r->env.name, PN_LOG_ERROR + 1);
    r->loop = pn_loop_new();
    bool template = r->env.start.role == PN_ROLE_FILTER && r->env.name[0] == 't';
    if (template)
        pn_loop_signal(r->loop, SIGCHLD, on_worker_end, r);
    if (r->env.start.role == PN_ROLE_EDGE) {
        pn_loop_signal(r->loop, SIGUSR1, on_lose_channel, r);
        pn_loop_signal(r->loop, SIGUSR2, on_lose_generation, r);
    }
    for (struct pn_peer *p = r->env.peers; p < r->env.peers + r->env.peer_count; p++)
        add_peer(r, p);
    struct pn_generation *gen = r->env.gen;
    r->env.gen = NULL;
    take_generation(r, gen);
    struct pn_str text;
    if (gen->policy_fd >= 0 && pn_map_fd(gen->policy_fd, true, &text) == 0) {
        r->slow = has_word(text, "slow=1");
        bool fail = pn_str_find(text, '!', 0) != SIZE_MAX && template;
        pn_unmap(&text);
        if (fail) {
            pn_role_env_failed(&r->env, "the plugin does not load");
            _exit(1);
        }
    }
    r->control = pn_control_new(r->loop, &r->env, &ops, r);
    pn_control_ready(r->control);
    pn_loop_run(r->loop);
    _exit(0);
}

/* The file is the mapping; one that begins with '?' has an error. */
static void compile_run(void)
{
    struct pn_role_env env;
    char path[512], text[1000];
    if (!pn_role_env_read(&env, PN_CONTROL_FD))
        _exit(1);
    (void)snprintf(path, sizeof path, "%.*s", PN_FMT(env.start.file));
    int in = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = in < 0 ? 0 : read(in, text, sizeof text);
    if (n <= 0 || text[0] == '?') {
        (void)pn_channel_send_fd(PN_CONTROL_FD, PN_REC_COMPILE_ERROR, PN_STR("x:1:1: bad"), NULL,
                                 0);
        _exit(1);
    }
    int fd = pn_memfile_of("policy", (struct pn_str){text, (size_t)n});
    (void)pn_channel_send_fd(PN_CONTROL_FD, PN_REC_COMPILED, PN_STR(""), &fd, 1);
    _exit(0);
}

static int be_role(const char *name)
{
    if (strcmp(name, "compile") == 0)
        compile_run();
    role_run(PN_CONTROL_FD);
    return 1;
}

/* ---- the test's side */

enum { PATIENCE_S = 90 }; /* for what comes, however loaded the machine is */

static char folder[] = "/tmp/postern-sup-XXXXXX";
static char config[64], log_path[64];
static pid_t server;

/* "edges=N workers=N groups=N port=P [port=P]" */
static bool plan_of_test(struct plan *plan, int policy_fd, const char *root, struct pn_buf *err)
{
    struct pn_str text, word;
    (void)err;
    *plan = (struct plan){.mailboxes = 1, .drain_ms = 1000, .pool = pn_pool_new(100000)};
    plan->listens = pn_pool_alloc(plan->pool, 8 * sizeof plan->listens[0]);
    plan->folders[PN_FOLDER_LOG] = plan->run = root;
    if (pn_map_fd(policy_fd, true, &text) != 0)
        return false;
    struct pn_str rest = pn_str_trim(text);
    while (rest.p != NULL) {
        uint64_t v = 0;
        word = pn_str_split(&rest, ' ');
        struct pn_str name = pn_str_split(&word, '=');
        (void)pn_str_u64(word, 65535, &v);
        if (pn_str_eq(name, PN_STR("edges")))
            plan->edges = (uint32_t)v;
        if (pn_str_eq(name, PN_STR("mailboxes")))
            plan->mailboxes = (uint32_t)v;
        if (pn_str_eq(name, PN_STR("workers")))
            plan->workers = (uint32_t)v;
        if (pn_str_eq(name, PN_STR("groups")))
            plan->groups = (uint32_t)v;
        if (pn_str_eq(name, PN_STR("port")) && plan->listen_count < 8) {
            struct plan_listen *l = &plan->listens[plan->listen_count++];
            l->port = (uint16_t)v;
            (void)pn_ip_parse(PN_STR("127.0.0.1"), &l->ip);
        }
    }
    pn_unmap(&text);
    return true;
}

static void write_config(const char *text)
{
    char fresh[80];
    (void)snprintf(fresh, sizeof fresh, "%s.new", config);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    UNIT_INT(write(fd, text, strlen(text)), (long long)strlen(text));
    (void)close(fd);
    UNIT_INT(rename(fresh, config), 0);
}

static void start(void)
{
    server = fork();
    if (server != 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* its roles end with it */
    (void)close_range(3, ~0U, 0);
    int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)dup2(log, STDERR_FILENO);
    struct pn_supervisor_options options = {
        .config = config, .root = folder, .no_drop = true, .plan_read = plan_of_test};
    _exit(pn_supervisor_main(&options));
}

static int free_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_INT(bind(fd, (struct sockaddr *)&sin, len), 0);
    UNIT_INT(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    (void)close(fd);
    return ntohs(sin.sin_port);
}

/* What an edge says on that port; false: nobody is there. */
static bool ask(int port, char *line, size_t size)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {PATIENCE_S / 3, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t n = -1;
    if (connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0)
        n = recv(fd, line, size - 1, MSG_WAITALL);
    line[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    return n > 0;
}

/* Asks until the answer holds `want` (NULL: until nobody is there). */
static bool ask_until(int port, const char *want, char *line, size_t size)
{
    uint64_t end = pn_clock_mono_ns() + PATIENCE_S * (uint64_t)PN_NS_PER_S;
    do {
        bool there = ask(port, line, size);
        if (want == NULL ? !there : there && strstr(line, want) != NULL)
            return true;
        (void)poll(NULL, 0, 5);
    } while (pn_clock_mono_ns() < end);
    printf("last answer: %s\n", line);
    return false;
}

static const char *read_log(void)
{
    static char text[20000];
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
    return text;
}

static void show_log(void)
{
    printf("log:\n%s", read_log());
}

/* Waits until the server's log holds these words. */
static bool logged(const char *words)
{
    uint64_t end = pn_clock_mono_ns() + PATIENCE_S * (uint64_t)PN_NS_PER_S;
    do {
        if (strstr(read_log(), words) != NULL)
            return true;
        (void)poll(NULL, 0, 5);
    } while (pn_clock_mono_ns() < end);
    show_log();
    return false;
}

static int wait_exit(void)
{
    int status = -1;
    uint64_t end = pn_clock_mono_ns() + PATIENCE_S * (uint64_t)PN_NS_PER_S;
    pid_t got;
    while ((got = waitpid(server, &status, WNOHANG)) == 0 && pn_clock_mono_ns() < end)
        (void)poll(NULL, 0, 5);
    if (got == server)
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    show_log();
    (void)kill(server, SIGKILL);
    (void)waitpid(server, &status, 0);
    return -1;
}

static pid_t pid_in(const char *line)
{
    uint64_t pid = 0;
    struct pn_str rest = pn_str_of(line);
    (void)pn_str_split(&rest, ' ');
    (void)pn_str_u64(pn_str_split(&rest, ' '), INT32_MAX, &pid);
    return (pid_t)pid;
}

#define FULL "admin=1 resolver=1 queue=1 mailbox=1 filter=2"

static void test_life(void)
{
    char text[200], line[200];
    int port = free_port(), second = free_port();
    (void)snprintf(text, sizeof text, "edges=1 groups=1 workers=2 port=%d", port);
    write_config(text);
    start();
    UNIT_TRUE(ask_until(port, "gen=1 " FULL, line, sizeof line));
    pid_t edge = pid_in(line);
    unit_row("an edge dies");
    UNIT_INT(kill(edge, SIGKILL), 0);
    UNIT_TRUE(ask_until(port, "gen=1 " FULL, line, sizeof line));
    UNIT_TRUE(pid_in(line) != edge && pid_in(line) > 0);
    unit_row("an edge loses a channel, and part of a generation");
    UNIT_INT(kill(pid_in(line), SIGUSR1), 0);
    UNIT_TRUE(logged("lost its channel to queue; they have a new one"));
    UNIT_TRUE(ask_until(port, "gen=1 " FULL " took=1", line, sizeof line));
    UNIT_INT(kill(pid_in(line), SIGUSR2), 0);
    UNIT_TRUE(ask_until(port, "gen=1 " FULL " took=2", line, sizeof line));
    unit_row("reload: another port, more workers");
    edge = pid_in(line);
    (void)snprintf(text, sizeof text, "edges=1 groups=1 workers=3 port=%d port=%d", port, second);
    write_config(text);
    UNIT_INT(kill(server, SIGHUP), 0);
    UNIT_TRUE(ask_until(second, "gen=2 admin=1 resolver=1 queue=1 mailbox=1 filter=3", line,
                        sizeof line));
    UNIT_INT(pid_in(line), edge);
    UNIT_TRUE(ask(port, line, sizeof line));
    unit_row("reload with an error: the old state serves on");
    write_config("?");
    UNIT_INT(kill(server, SIGHUP), 0);
    UNIT_TRUE(logged("reload refused: the configuration has errors"));
    unit_row("reload whose template fails: likewise");
    (void)snprintf(text, sizeof text, "edges=1 groups=1 workers=2 port=%d !", port);
    write_config(text);
    UNIT_INT(kill(server, SIGHUP), 0);
    UNIT_TRUE(logged("can't start: the plugin does not load; the state before serves on"));
    UNIT_TRUE(ask_until(second, "gen=2 admin=1 resolver=1 queue=1 mailbox=1 filter=3", line,
                        sizeof line));
    unit_row("reload: a port less");
    (void)snprintf(text, sizeof text, "edges=1 groups=1 workers=2 port=%d", port);
    write_config(text);
    UNIT_INT(kill(server, SIGHUP), 0);
    UNIT_TRUE(ask_until(second, NULL, line, sizeof line));
    UNIT_TRUE(ask_until(port, FULL, line, sizeof line));
    UNIT_INT(pid_in(line), edge);
    unit_row("stop");
    UNIT_INT(kill(server, SIGTERM), 0);
    UNIT_INT(wait_exit(), 0);
    UNIT_TRUE(!ask(port, line, sizeof line));
}

static void test_start_fails(void)
{
    char text[200];
    int port = free_port();
    static const struct {
        const char *label, *config;
    } rows[] = {
        {"error in the configuration", "?"},
        {"a template that can't load", "edges=1 groups=1 workers=1 !"},
        {"no configuration", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        if (rows[i].config == NULL)
            (void)unlink(config);
        else
            write_config(rows[i].config);
        start();
        UNIT_INT(wait_exit(), 1);
    }
    unit_row("a port of somebody else's");
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UNIT_TRUE(bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(fd, 1) == 0);
    (void)snprintf(text, sizeof text, "edges=2 groups=0 workers=0 port=%d", port);
    write_config(text);
    start();
    (void)poll(NULL, 0, 150); /* it tries again for some time */
    (void)close(fd);
    char line[200];
    UNIT_TRUE(ask_until(port, "gen=1", line, sizeof line));
    UNIT_INT(kill(server, SIGINT), 0);
    UNIT_INT(wait_exit(), 0);
}

/* Whose child a process is, whatever it calls itself. */
static void test_process(void)
{
    int gate[2], named[2];
    char byte;
    UNIT_INT(pipe(gate), 0);
    UNIT_INT(pipe(named), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_NAME, ") R 1 (");
        (void)close(gate[1]);
        (void)!write(named[1], "x", 1);
        (void)!read(gate[0], &byte, 1); /* until the test is done */
        _exit(0);
    }
    UNIT_INT(read(named[0], &byte, 1), 1);
    UNIT_INT(process_parent(pid), getpid());
    UNIT_INT(process_parent(getpid()), getppid());
    for (int i = 0; i < 2; i++) {
        (void)close(gate[i]);
        (void)close(named[i]);
    }
    UNIT_INT(waitpid(pid, NULL, 0), pid);
    UNIT_INT(process_parent(pid), -1);
}

/* Deaths are counted over time: a role that was ready each time is no better. */
static void test_backoff(void)
{
    static const struct {
        const char *label;
        enum peer_kind kind;
        uint64_t lived_ms;
        unsigned deaths;
        uint64_t want;
    } rows[] = {
        {"the first", PEER_QUEUE, 0, 1, 0},
        {"the second at once", PEER_QUEUE, 0, 2, 100},
        {"the third", PEER_QUEUE, 0, 3, 200},
        {"on and on", PEER_QUEUE, 0, 50, 30000},
        {"on and on, some while between", PEER_QUEUE, 12000, 50, 30000},
        {"once a minute", PEER_QUEUE, 60000, 50, 0},
        {"a worker, of ten messages", PEER_WORKER, 5, 10, 0},
        {"of one more", PEER_WORKER, 5, 11, 100},
        {"on and on", PEER_WORKER, 5, 1000, 1000},
        {"a worker, twice a minute", PEER_WORKER, 30000, 1000, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct child c = {.kind = rows[i].kind};
        uint64_t wait = UINT64_MAX;
        unit_row(rows[i].label);
        for (unsigned n = 0; n < rows[i].deaths; n++)
            wait = child_backoff(&c, rows[i].lived_ms);
        UNIT_INT(wait, rows[i].want);
    }
}

/* What the configuration names is given away only if nobody can miss it. */
static void test_folders(void)
{
    static const struct folder_owner role = {"mailbox", 12345, 12345};
    const struct folder_owner self = {"mailbox", getuid(), getgid()};
    static const struct {
        const char *label, *file, *want; /* made before, with that file; NULL: not made */
    } rows[] = {{"new", NULL, NULL},
                {"empty", "", NULL},
                {"in use", "mail", "is root's and not empty"},
                {"in use, its names hidden", ".x", "is root's and not empty"}};
    struct pn_buf err;
    char path[200], file[300];
    struct stat st;
    pn_buf_init(&err, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        (void)snprintf(path, sizeof path, "%s/owned/%zu", folder, i);
        if (rows[i].file != NULL) {
            (void)snprintf(file, sizeof file, "%s/%s", path, rows[i].file);
            int fd = files_open_folder(path, NULL, &err);
            UNIT_TRUE(fd >= 0);
            (void)close(fd);
            if (rows[i].file[0] != '\0')
                (void)close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        }
        if (getuid() == 0) {
            int fd = files_open_folder(path, &role, &err);
            UNIT_TRUE((fd >= 0) == (rows[i].want == NULL));
            UNIT_INT(stat(path, &st), 0);
            UNIT_INT(st.st_uid, fd >= 0 ? role.uid : 0);
            if (fd >= 0)
                (void)close(fd);
            else
                UNIT_TRUE(strstr(pn_buf_cstr(&err), rows[i].want) != NULL);
            UNIT_INT(chown(path, 0, 0), 0);
        }
        pn_buf_clear(&err);
        int fd = files_open_folder(path, &self, &err); /* it is its own already */
        UNIT_TRUE(fd >= 0);
        (void)close(fd);
    }
    pn_buf_fini(&err);
}

/* A worker of users comes back under the number that says whose they are, once the one that
 * finishes has let go of it. */
static void test_numbers(void)
{
    char text[200], line[200];
    int port = free_port();
    (void)snprintf(text, sizeof text, "edges=1 mailboxes=2 slow=1 port=%d", port);
    write_config(text);
    start();
    UNIT_TRUE(ask_until(port, "gen=1 admin=1 resolver=1 queue=1 mailbox=2", line, sizeof line));
    for (int gen = 2; gen < 4; gen++) {
        (void)snprintf(text, sizeof text, "edges=1 mailboxes=%d slow=1 port=%d", gen - 1, port);
        write_config(text);
        UNIT_INT(kill(server, SIGHUP), 0);
        (void)snprintf(text, sizeof text, "generation %d serves", gen);
        UNIT_TRUE(logged(text));
    }
    UNIT_TRUE(ask_until(port, "took=3 numbers=0,1,1,", line, sizeof line));
    UNIT_INT(kill(server, SIGTERM), 0);
    UNIT_INT(wait_exit(), 0);
}

static void test_peers(void)
{
    UNIT_TRUE(peers_may_talk(PEER_EDGE, PEER_QUEUE) && peers_may_talk(PEER_QUEUE, PEER_EDGE));
    UNIT_TRUE(!peers_may_talk(PEER_WORKER, PEER_QUEUE));
    UNIT_TRUE(!peers_may_talk(PEER_WORKER, PEER_MAILBOX));
    UNIT_TRUE(!peers_may_talk(PEER_MAILBOX, PEER_RESOLVER));
    for (int kind = 0; kind < PEER_KIND_COUNT; kind++) {
        UNIT_TRUE(!peers_may_talk((enum peer_kind)kind, (enum peer_kind)kind));
        UNIT_TRUE(!peers_may_talk(PEER_TEMPLATE, (enum peer_kind)kind));
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"peers", test_peers},
        {"process", test_process},
        {"backoff", test_backoff},
        {"folders", test_folders},
        {"numbers", test_numbers},
        {"life", test_life},
        {"start fails", test_start_fails},
        {NULL, NULL},
    };
    if (argc == 3 && strcmp(argv[1], "--role") == 0)
        return be_role(argv[2]);
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    (void)snprintf(config, sizeof config, "%s/conf", folder);
    (void)snprintf(log_path, sizeof log_path, "%s/log", folder);
    int result = unit_main("supervisor", tests, argc, argv);
    char path[80];
    (void)snprintf(path, sizeof path, "rm -rf %s", folder);
    return system(path) == 0 ? result : EXIT_FAILURE;
}
