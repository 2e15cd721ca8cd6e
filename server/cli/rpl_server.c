#include "rpl_server.h"

#include "clock.h"
#include "mem.h"
#include "net.h"
#include "resolver_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    START_MS = 30 * 1000,
    STOP_MS = 20 * 1000,
    NAP_MS = 10,
    WRAP_WORDS = 60,
    PATH = PATH_MAX / 2
};

int rpl_patience_ms(int ms)
{
    const char *env = getenv("POSTERN_PATIENCE");
    uint64_t times = 1;
    if (env == NULL || !pn_str_u64(pn_str_of(env), 1000, &times) || times == 0)
        times = 1;
    return ms * (int)times;
}

bool rpl_wait(struct pollfd *p, int ms)
{
    enum { LOOK_MS = 100 };
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(ms));
    int n;
    do
        n = poll(p, 1, LOOK_MS);
    while (n == 0 && !pn_patience_over(&patience));
    return n == 1;
}

void rpl_nap(void)
{
    struct timespec ts = {0, NAP_MS * 1000000L};
    (void)nanosleep(&ts, NULL);
}

static bool failed(struct pn_buf *err, const char *what)
{
    (void)pn_buf_addf(err, "%s: %s\n", what, strerror(errno));
    return false;
}

static const char *path_in(const struct rpl_server *s, const char *name, char out[PATH])
{
    (void)snprintf(out, PATH, "%s/%s", s->root, name);
    return out;
}

static bool add_to(const char *path, struct pn_str text, struct pn_buf *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && (text.len == 0 || write(fd, text.p, text.len) == (ssize_t)text.len);
    if (!ok)
        (void)failed(err, path);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static bool is_free(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* A port that was free a moment ago, and is not `other`: below those that the kernel gives to
 * outgoing connections, and by chance, so that those who play at the same time choose apart. */
static uint16_t free_port(uint16_t other)
{
    enum { FIRST = 10000, COUNT = 22000, TRIES = 1000 };
    for (int i = 0; i < TRIES; i++) {
        uint32_t random;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
            return 0;
        uint16_t port = (uint16_t)(FIRST + random % COUNT);
        if (port != other && is_free(port))
            return port;
    }
    return 0;
}

/* {root}, {smtp}, {admin} */
static void fill_in(const struct rpl_server *s, struct pn_str conf, struct pn_buf *out)
{
    for (size_t i = 0; i < conf.len;) {
        struct pn_str rest = pn_str_slice(conf, i, conf.len);
        if (pn_str_starts(rest, PN_STR("{root}"))) {
            (void)pn_buf_addz(out, s->root);
            i += 6;
        } else if (pn_str_starts(rest, PN_STR("{smtp}"))) {
            (void)pn_buf_addf(out, "%u", s->smtp);
            i += 6;
        } else if (pn_str_starts(rest, PN_STR("{admin}"))) {
            (void)pn_buf_addf(out, "%u", s->admin);
            i += 7;
        } else {
            (void)pn_buf_addc(out, conf.p[i++]);
        }
    }
}

static bool write_conf(const struct rpl_server *s, struct pn_str conf, struct pn_buf *err)
{
    char path[PATH];
    struct pn_buf text;
    pn_buf_init(&text, SIZE_MAX);
    (void)pn_buf_addf(&text,
                      "listen smtp 127.0.0.1:%u { proxy from 127.0.0.0/8 }\n"
                      "listen admin 127.0.0.1:%u\nresolver { dns-file \"%s/dns.zone\" }\n",
                      s->smtp, s->admin, s->root);
    fill_in(s, conf, &text);
    bool ok = add_to(path_in(s, "postern.conf", path), pn_buf_str(&text), err);
    pn_buf_fini(&text);
    return ok;
}

bool rpl_server_init(struct rpl_server *s, struct pn_str conf, struct pn_str dns,
                     struct pn_buf *err)
{
    char path[PATH];
    const char *tmp = getenv("TMPDIR");
    *s = (struct rpl_server){.smtp = free_port(0)};
    s->admin = free_port(s->smtp);
    (void)snprintf(s->root, sizeof s->root, "%s/postern-replay-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (s->smtp == 0 || s->admin == 0)
        return failed(err, "no free port");
    if (mkdtemp(s->root) == NULL) {
        bool never = failed(err, s->root);
        s->root[0] = '\0';
        return never;
    }
    if (chmod(s->root, 0755) != 0)
        return failed(err, s->root);
    return add_to(path_in(s, "dns.zone", path), dns, err) && write_conf(s, conf, err);
}

bool rpl_server_file(const struct rpl_server *s, struct pn_str name, struct pn_str line,
                     struct pn_buf *err)
{
    char file[PATH / 2], path[PATH];
    (void)snprintf(file, sizeof file, "%.*s", PN_FMT(name));
    return add_to(path_in(s, file, path), line, err) && add_to(path, PN_STR("\n"), err);
}

bool rpl_server_clock(struct rpl_server *s, int64_t ms, struct pn_buf *err)
{
    char path[PATH];
    if (s->clock == NULL) {
        int fd = open(path_in(s, "clock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        void *map = MAP_FAILED;
        if (fd >= 0 && ftruncate(fd, sizeof *s->clock) == 0)
            map = mmap(NULL, sizeof *s->clock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
            (void)close(fd);
        if (map == MAP_FAILED)
            return failed(err, path);
        s->clock = map;
    }
    *s->clock = ms;
    return true;
}

/* ---- the process */

/* In the child. */
static _Noreturn void become(const struct rpl_server *s, const char *program, const char *wrap)
{
    char conf[PATH], log[PATH], clock[PATH], words[4096];
    const char *argv[WRAP_WORDS + 16];
    int argc = 0;
    (void)snprintf(words, sizeof words, "%s", wrap == NULL ? "" : wrap);
    for (char *w = words, *end; *w != '\0' && argc < WRAP_WORDS; w = end) {
        w += strspn(w, " ");
        end = w + strcspn(w, " ");
        if (*end != '\0')
            *end++ = '\0';
        if (*w != '\0')
            argv[argc++] = w;
    }
    const char *const own[] = {program,        "-c",    path_in(s, "postern.conf", conf),
                               "--root",       s->root, "--no-drop",
                               "--first-ticks"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        argv[argc++] = own[i];
    if (s->clock != NULL) {
        argv[argc++] = "--clock";
        argv[argc++] = path_in(s, "clock", clock);
    }
    argv[argc] = NULL;
    int null = open("/dev/null", O_RDONLY);
    int out = open(path_in(s, "log.txt", log), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(127);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int rpl_server_connect(const struct rpl_server *s, struct pn_str client)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(s->smtp),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char line[256];
    struct pn_str ip = client;
    bool six = pn_str_find(ip, ':', 0) < ip.len;
    int n = snprintf(line, sizeof line, "PROXY %s %.*s %s 40000 25\r\n", six ? "TCP6" : "TCP4",
                     PN_FMT(ip), six ? "2001:db8::1" : "192.0.2.254");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
        send(fd, line, (size_t)n, MSG_NOSIGNAL) == n)
        return fd;
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

static bool greets(const struct rpl_server *s)
{
    char byte;
    int fd = rpl_server_connect(s, PN_STR("192.0.2.1"));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (fd < 0)
        return false;
    bool ok = rpl_wait(&p, START_MS) && recv(fd, &byte, 1, 0) == 1;
    (void)close(fd);
    return ok;
}

bool rpl_server_start(struct rpl_server *s, struct pn_buf *err)
{
    char program[PATH_MAX];
    const char *wrap = getenv("POSTERN_WRAP");
    (void)pn_daemon_path(program, sizeof program);
    s->pid = fork();
    if (s->pid == 0)
        become(s, program, wrap);
    if (s->pid < 0) {
        s->pid = 0;
        return failed(err, "no process");
    }
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(START_MS));
    while (!pn_patience_over(&patience)) {
        int status;
        if (greets(s))
            return true;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = 0;
            (void)pn_buf_addz(err, "the server did not start\n");
            return false;
        }
        rpl_nap();
    }
    (void)pn_buf_addz(err, "the server was not ready in time\n");
    return false;
}

int rpl_server_stop(struct rpl_server *s)
{
    int status = 0;
    if (s->pid == 0)
        return 0;
    struct pn_patience patience;
    pn_patience_init(&patience, (uint64_t)rpl_patience_ms(STOP_MS));
    (void)kill(s->pid, SIGTERM);
    while (waitpid(s->pid, &status, WNOHANG) == 0) {
        if (pn_patience_over(&patience))
            (void)kill(s->pid, SIGKILL); /* its roles end with it */
        rpl_nap();
    }
    s->pid = 0;
    return status;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rpl_server_fini(struct rpl_server *s)
{
    (void)rpl_server_stop(s);
    if (s->clock != NULL)
        (void)munmap((void *)s->clock, sizeof *s->clock);
    s->clock = NULL;
    if (s->root[0] != '\0')
        (void)nftw(s->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void rpl_server_log(const struct rpl_server *s, struct pn_buf *out, size_t most)
{
    char path[PATH], bytes[4096];
    int fd = open(path_in(s, "log.txt", path), O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (fd < 0)
        return;
    (void)lseek(fd, size > (off_t)most ? size - (off_t)most : 0, SEEK_SET);
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;)
        (void)pn_buf_add(out, bytes, (size_t)n);
    (void)close(fd);
}
