/*
 * sink: an SMTP next hop that takes everything, for benches and end-to-end tests.
 *
 *   sink [-d FOLDER] [-s FILE] [-n] ADDRESS:PORT
 *
 *   -d FOLDER  keeps each message as FOLDER/N.eml (content as it came, dots unstuffed)
 *   -s FILE    appends to FILE and fdatasyncs before each 250, one sync for all that wait
 *   -n         does not offer PIPELINING
 *   -r CODE    answers every RCPT with "CODE 4.0.0 as asked" (or 5.0.0)
 *
 * Prints a JSON line of its counts at SIGUSR1 and at its end (SIGTERM).
 */
#include "buf.h"
#include "clock.h"
#include "loop.h"
#include "mem.h"
#include "net.h"
#include "stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COMMAND_MAX = 4096, KEEP_MAX = 1 << 20 };

struct session {
    struct pn_stream *stream;
    struct session *next_waiting; /* for the sync */
    bool in_data, waiting, bol;   /* bol: at the beginning of a line */
    struct pn_buf content;        /* kept only with -d or -s */
};

static struct {
    struct pn_loop *loop;
    const char *folder, *sync_path, *rcpt_code;
    int sync_fd;
    bool pipelining, sync_due;
    struct session *waiting;
    uint64_t messages, bytes, sessions, syncs;
} sink = {.sync_fd = -1, .pipelining = true};

static void print_counts(void)
{
    struct rusage ru;
    (void)getrusage(RUSAGE_SELF, &ru);
    double cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                 (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    printf("{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"sessions\":%" PRIu64
           ",\"syncs\":%" PRIu64 ",\"cpu_s\":%.3f}\n",
           sink.messages, sink.bytes, sink.sessions, sink.syncs, cpu);
    (void)fflush(stdout);
}

static void say(struct session *s, const char *text)
{
    (void)pn_stream_write(s->stream, pn_str_of(text));
}

static void keep(const struct session *s)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%06" PRIu64 ".eml", sink.folder, sink.messages);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, s->content.p, s->content.len) != (ssize_t)s->content.len)
        perror(path);
    if (fd >= 0)
        (void)close(fd);
}

/* At the end of a loop turn: one sync for every message that came in with it. */
static void sync_all(void *arg)
{
    (void)arg;
    sink.sync_due = false;
    if (fdatasync(sink.sync_fd) != 0)
        perror("fdatasync");
    sink.syncs++;
    while (sink.waiting != NULL) {
        struct session *s = sink.waiting;
        sink.waiting = s->next_waiting;
        s->waiting = false;
        say(s, "250 2.0.0 taken\r\n");
        pn_stream_resume(s->stream);
    }
}

static void message_end(struct session *s)
{
    sink.messages++;
    s->in_data = false;
    if (sink.folder != NULL)
        keep(s);
    if (sink.sync_fd < 0) {
        say(s, "250 2.0.0 taken\r\n");
    } else {
        if (write(sink.sync_fd, s->content.p, s->content.len) != (ssize_t)s->content.len)
            perror("write");
        s->waiting = true;
        s->next_waiting = sink.waiting;
        sink.waiting = s;
        pn_stream_pause(s->stream);
        if (!sink.sync_due)
            pn_loop_defer(sink.loop, sync_all, NULL);
        sink.sync_due = true;
    }
    pn_buf_fini(&s->content);
}

/* Content up to the line with the single dot; returns what was consumed. */
static size_t take_data(struct session *s, struct pn_str in)
{
    bool store = sink.folder != NULL || sink.sync_fd >= 0;
    size_t at = 0;
    while (at < in.len) {
        size_t nl = pn_str_find(in, '\n', at);
        size_t end = nl == SIZE_MAX ? in.len : nl + 1;
        struct pn_str line = pn_str_slice(in, at, end);
        if (s->bol && line.p[0] == '.') {
            if (nl == SIZE_MAX && line.len < 3)
                return at; /* wait: it may be the end */
            if (pn_str_eq(line, PN_STR(".\r\n"))) {
                message_end(s);
                return end;
            }
            line = pn_str_slice(line, 1, line.len);
        }
        if (store)
            (void)pn_buf_adds(&s->content, line);
        sink.bytes += line.len;
        s->bol = nl != SIZE_MAX;
        at = end;
    }
    return at;
}

static void command(struct session *s, struct pn_str line)
{
    char text[64];
    if (pn_str_istarts(line, PN_STR("EHLO"))) {
        say(s, sink.pipelining ? "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
                                 "250-ENHANCEDSTATUSCODES\r\n250 SIZE\r\n"
                               : "250-sink\r\n250-8BITMIME\r\n250 SIZE\r\n");
    } else if (pn_str_istarts(line, PN_STR("RCPT")) && sink.rcpt_code != NULL) {
        (void)snprintf(text, sizeof text, "%s %c.0.0 as asked\r\n", sink.rcpt_code,
                       sink.rcpt_code[0]);
        say(s, text);
    } else if (pn_str_istarts(line, PN_STR("DATA"))) {
        s->in_data = s->bol = true;
        pn_buf_init(&s->content, SIZE_MAX);
        say(s, "354 go on\r\n");
    } else if (pn_str_istarts(line, PN_STR("QUIT"))) {
        say(s, "221 2.0.0 bye\r\n");
    } else {
        say(s, "250 2.0.0 ok\r\n");
    }
}

static void session_free(struct session *s)
{
    struct session **at = &sink.waiting;
    while (*at != NULL && *at != s)
        at = &(*at)->next_waiting;
    if (*at != NULL)
        *at = s->next_waiting;
    if (s->stream != NULL)
        pn_stream_close(&s->stream);
    pn_buf_fini(&s->content);
    free(s);
}

static size_t on_read(void *ctx, struct pn_str in)
{
    struct session *s = ctx;
    size_t at = 0;
    while (at < in.len && !s->waiting) {
        struct pn_str rest = pn_str_slice(in, at, in.len);
        if (s->in_data) {
            size_t n = take_data(s, rest);
            at += n;
            if (n == 0 || s->in_data)
                return at;
            continue;
        }
        size_t nl = pn_str_find(rest, '\n', 0);
        if (nl == SIZE_MAX)
            return at;
        struct pn_str line = pn_str_trim(pn_str_slice(rest, 0, nl));
        at += nl + 1;
        command(s, line);
        if (pn_str_istarts(line, PN_STR("QUIT"))) {
            session_free(s);
            return 0;
        }
    }
    return at;
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct session *s = ctx;
    (void)how;
    (void)why;
    pn_stream_free(&s->stream);
    session_free(s);
}

static void on_accept(void *arg, unsigned events)
{
    static const struct pn_stream_ops ops = {.on_read = on_read, .on_close = on_close};
    int fd, lfd = *(int *)arg;
    (void)events;
    while ((fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct session *s = pn_calloc(1, sizeof *s);
        sink.sessions++;
        s->stream =
            pn_stream_new(sink.loop, fd, &ops, s, (struct pn_stream_limits){COMMAND_MAX, KEEP_MAX});
        say(s, "220 sink ESMTP\r\n");
    }
}

static void on_signal(void *arg, int signo)
{
    (void)arg;
    print_counts();
    if (signo != SIGUSR1)
        pn_loop_stop(sink.loop);
}

static int listen_at(const char *where)
{
    struct pn_ip ip;
    uint16_t port = 0;
    struct sockaddr_storage ss;
    int on = 1;
    if (!pn_endpoint_parse(pn_str_of(where), &ip, &port) || !pn_ip_is_loopback(&ip)) {
        fprintf(stderr, "sink: %s: a loopback ADDRESS:PORT was expected\n", where);
        exit(2);
    }
    socklen_t len = pn_endpoint_to_sockaddr(&ip, port, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&ss, len) != 0 || listen(fd, 4096) != 0) {
        perror(where);
        exit(3);
    }
    return fd;
}

int main(int argc, char **argv)
{
    int opt;
    while ((opt = getopt(argc, argv, "d:s:nr:")) != -1) {
        if (opt == 'd')
            sink.folder = optarg;
        else if (opt == 's')
            sink.sync_path = optarg;
        else if (opt == 'n')
            sink.pipelining = false;
        else if (opt == 'r' && strlen(optarg) == 3 && strchr("45", optarg[0]) != NULL)
            sink.rcpt_code = optarg;
        else
            return 2;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: sink [-d FOLDER] [-s FILE] [-n] [-r CODE] ADDRESS:PORT\n");
        return 2;
    }
    if (sink.sync_path != NULL) {
        sink.sync_fd = open(sink.sync_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (sink.sync_fd < 0) {
            perror(sink.sync_path);
            return 3;
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int lfd = listen_at(argv[optind]);
    sink.loop = pn_loop_new();
    struct pn_watch *watch = pn_watch_new(sink.loop, lfd, PN_WATCH_READ, on_accept, &lfd);
    pn_loop_signal(sink.loop, SIGTERM, on_signal, NULL);
    pn_loop_signal(sink.loop, SIGINT, on_signal, NULL);
    pn_loop_signal(sink.loop, SIGUSR1, on_signal, NULL);
    pn_loop_run(sink.loop);
    pn_watch_free(&watch);
    return 0;
}
