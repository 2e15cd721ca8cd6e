/*
 * loadgen: sends mail over many SMTP sessions and measures what comes back.
 *
 *   loadgen [option...] ADDRESS:PORT
 *
 *   -c N       sessions at a time (20); with -r the most that are open at a time
 *   -m N       messages a session (1)
 *   -n N       messages in all (1000)
 *   -f FILE    tab-separated manifest with a line of names: file, client, helo, from, to;
 *              without it, messages of -z bytes are made up
 *   -d FOLDER  where the manifest's files lie (its own folder)
 *   -z BYTES   size of made-up messages (4096)
 *   -t ADDR    recipient of made-up messages (user@dest.test)
 *   -X         PROXY v1 with the manifest's client address
 *   -r RATE    open loop: RATE messages a second in all, one a session
 *   -u ID      written into an X-Load-Id line of every message, with its number
 *   -o FILE    numbers of the messages that got 250, one a line
 *   -R         reply lines: every final reply is printed to standard error
 *
 * Latency is from MAIL to the reply behind the content. Prints one JSON line.
 */
#include "buf.h"
#include "clock.h"
#include "loop.h"
#include "mem.h"
#include "net.h"
#include "stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEEP_MAX = 64 * 1024, WRITE_MAX = 64 << 20, COLUMNS = 5 };

struct message {
    char *client, *helo, *from, *to;
    struct pn_str content; /* dot-stuffed, ends with CRLF.CRLF */
};

/* What reply is waited for. */
enum wait { W_GREETING, W_EHLO, W_MAIL, W_RCPT, W_DATA, W_END, W_QUIT };

struct session {
    struct pn_stream *stream;
    enum wait wait;
    unsigned left; /* messages still to send in this session */
    size_t number; /* of the message under way */
    uint64_t began;
};

static struct {
    struct pn_loop *loop;
    struct sockaddr_storage to;
    socklen_t to_len;
    unsigned sessions, per_session;
    size_t total, next, active;
    bool proxy, print_replies;
    double rate;
    const char *run_id;
    FILE *accepted_to;
    struct message *messages;
    size_t message_count;
    uint32_t *latency_us; /* one a message that got its final reply behind MAIL */
    size_t latencies, accepted, deferred, rejected, failed;
    uint64_t began;
    struct pn_timer *pace;
} load = {.sessions = 20, .per_session = 1, .total = 1000, .run_id = "load"};

static void session_start(void);

static void finish_if_done(void)
{
    if (load.active == 0 && load.next >= load.total)
        pn_loop_stop(load.loop);
}

static void session_over(struct session *s, bool failed)
{
    if (s->stream != NULL)
        pn_stream_close(&s->stream);
    if (failed)
        load.failed++;
    free(s);
    load.active--;
    if (load.rate == 0)
        while (load.active < load.sessions && load.next < load.total)
            session_start();
    finish_if_done();
}

static void say(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct session *s, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof line)
        (void)pn_stream_write(s->stream, (struct pn_str){line, (size_t)n});
}

static const struct message *message_of(const struct session *s)
{
    return &load.messages[s->number % load.message_count];
}

static void send_mail(struct session *s)
{
    const struct message *m = message_of(s);
    s->began = pn_clock_mono_ns();
    s->wait = W_MAIL;
    say(s, "MAIL FROM:<%s>\r\n", m->from);
}

/* The next message of this session, or QUIT. */
static void go_on(struct session *s, bool have_number)
{
    if (!have_number) {
        if (s->left == 0 || load.next >= load.total) {
            s->wait = W_QUIT;
            say(s, "QUIT\r\n");
            return;
        }
        s->left--;
        s->number = load.next++;
    }
    send_mail(s);
}

static void message_over(struct session *s, struct pn_str reply)
{
    if (s->began != 0) /* else it was turned away before its MAIL */
        load.latency_us[load.latencies++] = (uint32_t)((pn_clock_mono_ns() - s->began) / 1000);
    if (reply.p[0] == '2') {
        load.accepted++;
        if (load.accepted_to != NULL)
            fprintf(load.accepted_to, "%zu\n", s->number);
    } else if (reply.p[0] == '4') {
        load.deferred++;
    } else {
        load.rejected++;
    }
    if (load.print_replies)
        fprintf(stderr, "%zu %.*s\n", s->number, PN_FMT(reply));
}

static void on_reply(struct session *s, struct pn_str reply)
{
    char code = reply.p[0];
    const struct message *m = message_of(s);
    switch (s->wait) {
    case W_GREETING:
        s->wait = W_EHLO;
        say(s, "EHLO %s\r\n", m->helo);
        break;
    case W_EHLO:
        go_on(s, true);
        break;
    case W_MAIL:
        s->wait = W_RCPT;
        if (code == '2')
            say(s, "RCPT TO:<%s>\r\n", m->to);
        break;
    case W_RCPT:
        s->wait = W_DATA;
        if (code == '2')
            say(s, "DATA\r\n");
        break;
    case W_DATA:
        s->wait = W_END;
        if (code == '3') {
            say(s, "X-Load-Id: %s.%zu\r\n", load.run_id, s->number);
            (void)pn_stream_write(s->stream, m->content);
        }
        break;
    case W_END:
        message_over(s, reply);
        go_on(s, false);
        return;
    case W_QUIT:
        session_over(s, false);
        return;
    }
    if (code != '2' && code != '3') {
        message_over(s, reply);
        s->wait = W_QUIT;
        say(s, "QUIT\r\n");
    }
}

static size_t on_read(void *ctx, struct pn_str in)
{
    struct session *s = ctx;
    size_t at = 0, nl;
    while ((nl = pn_str_find(in, '\n', at)) != SIZE_MAX) {
        struct pn_str line = pn_str_trim(pn_str_slice(in, at, nl));
        bool last = s->wait == W_QUIT;
        at = nl + 1;
        if (line.len < 4 || line.p[3] == '-')
            continue;
        on_reply(s, line);
        if (last)
            return 0; /* the session is gone */
    }
    return at;
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct session *s = ctx;
    if (s->wait != W_QUIT && load.print_replies)
        fprintf(stderr, "%zu closed (%d): %s\n", s->number, (int)how, why);
    pn_stream_free(&s->stream);
    session_over(s, s->wait != W_QUIT);
}

static void session_start(void)
{
    static const struct pn_stream_ops ops = {.on_read = on_read, .on_close = on_close};
    struct session *s = pn_calloc(1, sizeof *s);
    s->number = load.next++;
    s->left = load.per_session - 1;
    load.active++;
    s->stream = pn_stream_connect(load.loop, (struct sockaddr *)&load.to, load.to_len, NULL, 0,
                                  &ops, s, (struct pn_stream_limits){KEEP_MAX, WRITE_MAX});
    if (s->stream == NULL) {
        session_over(s, true);
        return;
    }
    if (load.proxy)
        say(s, "PROXY TCP4 %s 192.0.2.1 40000 25\r\n", message_of(s)->client);
}

/* Open loop: starts what is due by now, whatever is still under way, as far as
 * descriptors go: a session that can't be opened here says nothing of the server. */
static void on_pace(void *arg)
{
    (void)arg;
    double elapsed = (double)(pn_clock_mono_ns() - load.began) / 1e9;
    while (load.next < load.total && load.active < load.sessions &&
           (double)load.next < elapsed * load.rate)
        session_start();
    if (load.next < load.total)
        pn_timer_set(load.pace, 1);
    finish_if_done();
}

/* ---- what is sent ---- */

static struct pn_str stuffed(struct pn_str raw)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    if (pn_str_starts(raw, PN_STR("From "))) /* an mbox line */
        raw = pn_str_slice(raw, pn_str_find(raw, '\n', 0) + 1, raw.len);
    while (raw.p != NULL && raw.len > 0) {
        struct pn_str line = pn_str_split(&raw, '\n');
        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        if (line.len > 0 && line.p[0] == '.')
            (void)pn_buf_addc(&b, '.');
        (void)pn_buf_adds(&b, line);
        (void)pn_buf_addz(&b, "\r\n");
    }
    (void)pn_buf_addz(&b, ".\r\n");
    return pn_buf_str(&b);
}

static struct pn_str map_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
        perror(path);
        exit(3);
    }
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (p == MAP_FAILED) {
        perror(path);
        exit(3);
    }
    return (struct pn_str){p, (size_t)st.st_size};
}

static void add_message(struct message m)
{
    static size_t cap;
    load.messages = pn_grow(load.messages, &cap, load.message_count, sizeof *load.messages);
    load.messages[load.message_count++] = m;
}

/* Which column of the manifest is which, by the names in its first line. */
static void read_columns(struct pn_str line, int at[COLUMNS])
{
    static const char *const names[COLUMNS][2] = {{"file", "#file"},
                                                  {"client", "claimed_ip"},
                                                  {"helo", "helo"},
                                                  {"from", "mail_from"},
                                                  {"to", "rcpt"}};
    for (int k = 0; k < COLUMNS; k++)
        at[k] = -1;
    for (int i = 0; line.p != NULL; i++) {
        struct pn_str name = pn_str_split(&line, '\t');
        for (int k = 0; k < COLUMNS; k++)
            if (pn_str_eq(name, pn_str_of(names[k][0])) || pn_str_eq(name, pn_str_of(names[k][1])))
                at[k] = i;
    }
}

static void read_line(struct pn_str line, const int at[COLUMNS], const char *folder)
{
    char *col[COLUMNS] = {NULL};
    char path[8192];
    for (int i = 0; line.p != NULL; i++) {
        struct pn_str c = pn_str_split(&line, '\t');
        for (int k = 0; k < COLUMNS; k++)
            if (at[k] == i)
                col[k] = pn_strndup(c.p, c.len);
    }
    for (int k = 0; k < COLUMNS; k++) {
        if (col[k] == NULL) {
            fprintf(stderr, "loadgen: the manifest wants the columns file client helo from to\n");
            exit(2);
        }
    }
    bool absolute = col[0][0] == '/';
    (void)snprintf(path, sizeof path, "%s%s%s", absolute ? "" : folder, absolute ? "" : "/",
                   col[0]);
    struct pn_str raw = map_file(path);
    add_message((struct message){col[1], col[2], col[3], col[4], stuffed(raw)});
    (void)munmap((void *)(uintptr_t)raw.p, raw.len);
    free(col[0]);
}

static void read_manifest(const char *path, const char *folder)
{
    struct pn_str text = map_file(path);
    char *copy = pn_strdup(path);
    int at[COLUMNS];
    read_columns(pn_str_split(&text, '\n'), at);
    while (text.p != NULL && text.len > 0)
        read_line(pn_str_split(&text, '\n'), at, folder != NULL ? folder : dirname(copy));
    free(copy);
}

static void make_message(size_t size, char *to)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_buf_addf(&b,
                      "From: Load <load@sender.test>\nTo: %s\nSubject: load\n"
                      "Date: Sun, 22 Nov 2026 09:30:00 +0000\nMessage-ID: <load@sender.test>\n\n",
                      to);
    while (b.len < size)
        (void)pn_buf_addz(&b, "The quick brown fox jumps over the lazy dog and goes on its way.\n");
    static char client[] = "192.0.2.10", helo[] = "mail.sender.test", from[] = "load@sender.test";
    add_message((struct message){client, helo, from, to, stuffed(pn_buf_str(&b))});
    pn_buf_fini(&b);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(double q)
{
    if (load.latencies == 0)
        return 0;
    size_t i = (size_t)(q * (double)(load.latencies - 1) + 0.5);
    return load.latency_us[i] / 1000.0;
}

static void report(double seconds)
{
    struct rusage ru;
    (void)getrusage(RUSAGE_SELF, &ru);
    qsort(load.latency_us, load.latencies, sizeof *load.latency_us, by_value);
    double cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                 (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    printf("{\"accepted\":%zu,\"deferred\":%zu,\"rejected\":%zu,\"failed\":%zu,\"seconds\":%.3f,"
           "\"per_s\":%.1f,\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
           "\"loadgen_cpu_s\":%.3f}\n",
           load.accepted, load.deferred, load.rejected, load.failed, seconds,
           (double)load.accepted / seconds, quantile_ms(0.5), quantile_ms(0.95), quantile_ms(0.99),
           quantile_ms(1), cpu);
}

static void usage(void)
{
    fprintf(stderr, "usage: loadgen [-c N] [-m N] [-n N] [-f FILE [-d FOLDER] | -z BYTES -t ADDR] "
                    "[-X] [-r RATE]"
                    " [-u ID] [-o FILE] [-R] ADDRESS:PORT\n");
    exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t v;
    if (!pn_str_u64(pn_str_of(text), max, &v) || v == 0)
        usage();
    return v;
}

/* A session is a descriptor: as many as this process may have, but for a few. */
static void limit_sessions(void)
{
    enum { OTHERS = 50 };
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
    if (r.rlim_cur != RLIM_INFINITY && load.sessions + OTHERS > r.rlim_cur)
        load.sessions = r.rlim_cur > 2 * OTHERS ? (unsigned)r.rlim_cur - OTHERS : OTHERS;
}

int main(int argc, char **argv)
{
    const char *manifest = NULL, *folder = NULL;
    size_t size = 4096;
    static char nobody[] = "user@dest.test";
    char *to = nobody;
    int opt;
    while ((opt = getopt(argc, argv, "c:m:n:f:d:z:t:Xr:u:o:R")) != -1) {
        switch (opt) {
        case 'c':
            load.sessions = (unsigned)number(optarg, 100000);
            break;
        case 'm':
            load.per_session = (unsigned)number(optarg, 1000000);
            break;
        case 'n':
            load.total = number(optarg, 100000000);
            break;
        case 'f':
            manifest = optarg;
            break;
        case 'd':
            folder = optarg;
            break;
        case 'z':
            size = number(optarg, 1 << 30);
            break;
        case 't':
            to = optarg;
            break;
        case 'X':
            load.proxy = true;
            break;
        case 'r':
            load.rate = (double)number(optarg, 1000000);
            break;
        case 'u':
            load.run_id = optarg;
            break;
        case 'o':
            load.accepted_to = fopen(optarg, "we");
            break;
        case 'R':
            load.print_replies = true;
            break;
        default:
            usage();
        }
    }
    struct pn_ip ip;
    uint16_t port = 0;
    if (optind + 1 != argc || !pn_endpoint_parse(pn_str_of(argv[optind]), &ip, &port) ||
        !pn_ip_is_loopback(&ip))
        usage();
    load.to_len = pn_endpoint_to_sockaddr(&ip, port, &load.to);
    limit_sessions();
    if (manifest != NULL)
        read_manifest(manifest, folder);
    else
        make_message(size, to);
    load.latency_us = pn_calloc(load.total + 1, sizeof *load.latency_us);
    (void)signal(SIGPIPE, SIG_IGN);
    load.loop = pn_loop_new();
    load.began = pn_clock_mono_ns();
    if (load.rate > 0) {
        load.pace = pn_timer_new(load.loop, on_pace, NULL);
        pn_timer_set(load.pace, 1);
    } else {
        while (load.active < load.sessions && load.next < load.total)
            session_start();
    }
    pn_loop_run(load.loop);
    report((double)(pn_clock_mono_ns() - load.began) / 1e9);
    if (load.accepted_to != NULL)
        (void)fclose(load.accepted_to);
    return load.failed == 0 ? 0 : 1;
}
