#include "unit.h"

#include "admin_int.h"
#include "log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static void test_request(void)
{
    static const struct {
        const char *line;
        bool want;
        const char *words; /* joined by | */
    } rows[] = {
        {"{\"command\":[\"queue\",\"list\"]}", true, "queue|list"},
        {" { \"command\" : [ \"a\" , \"b c\" ] } \r", true, "a|b c"},
        {"{\"command\":[\"\\\"\\\\\\/\\n\\t\\u00e9\\u20ac\"]}", true,
         "\"\\/\n\t\xc3\xa9\xe2\x82\xac"},
        {"{\"command\":[\"\"]}", true, ""},
        {"", false, NULL},
        {"{}", false, NULL},
        {"{\"command\":[]}", false, NULL},
        {"{\"command\":[\"a\",]}", false, NULL},
        {"{\"command\":\"a\"}", false, NULL},
        {"{\"other\":[\"a\"]}", false, NULL},
        {"{\"command\":[\"a\"]", false, NULL},
        {"{\"command\":[\"a\"]}x", false, NULL},
        {"{\"command\":[\"a\"],\"b\":1}", false, NULL},
        {"{\"command\":[\"a]}", false, NULL},
        {"{\"command\":[\"\\x\"]}", false, NULL},
        {"{\"command\":[\"\\u12\"]}", false, NULL},
        {"{\"command\":[\"\\ud800\"]}", false, NULL},
        {"{\"command\":[\"\\u0000\"]}", false, NULL},
        {"{\"command\":[\"a\tb\"]}", false, NULL},
        {"{\"command\":[\"\xff\"]}", false, NULL},
        {"{\"command\":[\"\\", false, NULL},
        {"[\"queue\"]", false, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_pool *pool = pn_pool_new(4 * REQUEST_MAX);
        struct pn_command command;
        struct pn_buf err, joined;
        pn_buf_init(&err, 200);
        pn_buf_init(&joined, 200);
        unit_row(rows[i].line);
        UNIT_INT(request_parse(pn_str_of(rows[i].line), pool, &command, &err), rows[i].want);
        UNIT_INT(err.len == 0, rows[i].want);
        for (uint32_t k = 0; rows[i].want && k < command.count; k++) {
            if (k != 0)
                (void)pn_buf_addc(&joined, '|');
            (void)pn_buf_adds(&joined, command.words[k]);
        }
        if (rows[i].want)
            UNIT_STR(pn_buf_str(&joined), pn_str_of(rows[i].words));
        pn_buf_fini(&err);
        pn_buf_fini(&joined);
        pn_pool_free(&pool);
    }
}

static void test_request_words(void)
{
    for (int words = PN_COMMAND_WORDS_MAX; words <= PN_COMMAND_WORDS_MAX + 1; words++) {
        struct pn_pool *pool = pn_pool_new(4 * REQUEST_MAX);
        struct pn_command command;
        struct pn_buf line, err;
        pn_buf_init(&line, 10000);
        pn_buf_init(&err, 200);
        (void)pn_buf_addz(&line, "{\"command\":[");
        for (int i = 0; i < words; i++)
            (void)pn_buf_addz(&line, i == 0 ? "\"w\"" : ",\"w\"");
        (void)pn_buf_addz(&line, "]}");
        UNIT_INT(request_parse(pn_buf_str(&line), pool, &command, &err),
                 words == PN_COMMAND_WORDS_MAX);
        for (size_t cut = 0; cut < line.len; cut++) /* cut at every byte */
            UNIT_TRUE(
                !request_parse(pn_str_slice(pn_buf_str(&line), 0, cut), pool, &command, &err));
        pn_buf_fini(&line);
        pn_buf_fini(&err);
        pn_pool_free(&pool);
    }
}

static void set_metrics(struct source *s, const struct pn_metric *rows, size_t count)
{
    pn_buf_fini(&s->metrics);
    pn_buf_init(&s->metrics, PN_RECORD_MAX);
    pn_metrics_put(&s->metrics, rows, count);
}

static void test_prometheus(void)
{
    struct pn_loop *loop = pn_loop_new();
    int fds[2];
    UNIT_INT(pn_channel_pair(fds), 0);
    static const struct pn_channel_ops ops = {0};
    struct source edge = {.name = "edge-0", .channel = pn_channel_new(loop, fds[0], &ops, NULL, 1)};
    struct admin admin = {.sources = &edge};
    const struct pn_metric up[] = {
        {"postern_serving", NULL, "All up", PN_GAUGE, 1},
        {"postern_role_up", "name=\"edge-0\"", "Up", PN_GAUGE, 1},
        {"postern_role_up", "name=\"queue\"", "Up", PN_GAUGE, 0},
    };
    const struct pn_metric counts[] = {
        {"postern_sessions", NULL, "Sessions", PN_COUNTER, 7},
        {"postern_messages_total", "outcome=\"accept\"", "Messages", PN_COUNTER, 5},
    };
    struct pn_buf out;
    pn_buf_init(&out, 10000);
    pn_buf_init(&admin.supervisor.metrics, 1);
    pn_buf_init(&edge.metrics, 1);
    UNIT_INT(supervisor_gauge(&admin, PN_STR("postern_serving")), -1);
    set_metrics(&admin.supervisor, up, 3);
    set_metrics(&edge, counts, 2);
    prometheus_print(&admin, &out);
    UNIT_STR(pn_buf_str(&out),
             PN_STR("# HELP postern_messages_total Messages\n"
                    "# TYPE postern_messages_total counter\n"
                    "postern_messages_total{role=\"edge-0\",outcome=\"accept\"} 5\n"
                    "# HELP postern_role_up Up\n"
                    "# TYPE postern_role_up gauge\n"
                    "postern_role_up{name=\"edge-0\"} 1\n"
                    "postern_role_up{name=\"queue\"} 0\n"
                    "# HELP postern_serving All up\n"
                    "# TYPE postern_serving gauge\n"
                    "postern_serving 1\n"
                    "# HELP postern_sessions Sessions\n"
                    "# TYPE postern_sessions counter\n"
                    "postern_sessions{role=\"edge-0\"} 7\n"));
    UNIT_INT(supervisor_gauge(&admin, PN_STR("postern_serving")), 1);
    pn_buf_fini(&out);
    pn_buf_fini(&edge.metrics);
    pn_buf_fini(&admin.supervisor.metrics);
    pn_channel_free(&edge.channel);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

static void test_metrics_bad(void)
{
    static const struct {
        const char *label;
        struct pn_metric metric;
        bool want;
    } rows[] = {
        {"good", {"a_b1", "x=\"y\"", "help", PN_GAUGE, -5}, true},
        {"empty name", {"", NULL, "help", PN_GAUGE, 0}, false},
        {"digit first", {"1a", NULL, "help", PN_GAUGE, 0}, false},
        {"space in name", {"a b", NULL, "help", PN_GAUGE, 0}, false},
        {"line end in help", {"a", NULL, "he\nlp", PN_GAUGE, 0}, false},
        {"line end in labels", {"a", "x=\"\n\"", "help", PN_GAUGE, 0}, false},
        {"kind", {"a", NULL, "help", (enum pn_metric_kind)2, 0}, false},
    };
    static struct pn_metric_view views[PN_METRICS_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        size_t count = 0;
        pn_buf_init(&b, 1000);
        unit_row(rows[i].label);
        pn_metrics_put(&b, &rows[i].metric, 1);
        UNIT_INT(pn_metrics_get(pn_buf_str(&b), views, &count), rows[i].want);
        if (rows[i].want)
            UNIT_TRUE(count == 1 && views[0].value == -5);
        for (size_t cut = 0; cut < b.len; cut++)
            UNIT_TRUE(!pn_metrics_get(pn_str_slice(pn_buf_str(&b), 0, cut), views, &count));
        pn_buf_fini(&b);
    }
}

static void test_http(void)
{
    static const struct {
        const char *request;
        const char *want; /* how the answer begins; NULL: not whole yet */
        const char *end;
    } rows[] = {
        {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\nalive\n"},
        {"GET /health HTTP/1.0\n\n", "HTTP/1.1 200 ", "alive\n"},
        {"HEAD /health HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "close\r\n\r\n"},
        {"GET /ready HTTP/1.1\r\n\r\n", "HTTP/1.1 503 ", "not ready\n"},
        {"GET /health?x HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "alive\n"},
        {"GET /other HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", ""},
        {"POST /health HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", ""},
        {"GET /health\r\n\r\n", "HTTP/1.1 400 ", ""},
        {"\r\n\r\n", "HTTP/1.1 400 ", ""},
        {"GET /health HTTP/1.1\r\nHost: x\r\n", NULL, NULL},
        {"", NULL, NULL},
    };
    struct admin admin = {.next_token = 0};
    pn_buf_init(&admin.supervisor.metrics, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf out;
        pn_buf_init(&out, 10000);
        unit_row(rows[i].request);
        UNIT_INT(http_answer(&admin, pn_str_of(rows[i].request), &out), rows[i].want != NULL);
        if (rows[i].want != NULL) {
            UNIT_TRUE(pn_str_starts(pn_buf_str(&out), pn_str_of(rows[i].want)));
            UNIT_TRUE(pn_str_ends(pn_buf_str(&out), pn_str_of(rows[i].end)));
        } else {
            UNIT_INT(out.len, 0);
        }
        pn_buf_fini(&out);
    }
}

/* ---- events */

static char folder[] = "/tmp/postern-events-XXXXXX";
static int folder_fd;

static void read_file(const char *name, struct pn_buf *out)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    pn_buf_clear(out);
    if (fd < 0)
        return;
    char *at = pn_buf_reserve(out, 4000);
    ssize_t n = read(fd, at, 4000);
    out->len += n > 0 ? (size_t)n : 0;
    (void)close(fd);
}

static void test_events(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct pn_buf text;
    struct events_limits limits = {.rotate = 30, .keep = 2};
    pn_buf_init(&text, 4096);
    struct events *e = events_new(loop, folder_fd, "e", limits);
    UNIT_TRUE(e != NULL);
    UNIT_TRUE(events_add(e, PN_STR("{\"n\":1}")) && events_add(e, PN_STR("{\"n\":2}")));
    read_file("e", &text);
    UNIT_INT(text.len, 0); /* in one write, at the turn's end */
    pn_loop_turn(loop, 0);
    read_file("e", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"n\":1}\n{\"n\":2}\n"));
    unit_row("moved away, then opened anew");
    UNIT_INT(renameat(folder_fd, "e", folder_fd, "moved"), 0);
    UNIT_TRUE(events_add(e, PN_STR("{\"n\":3}")));
    events_reopen(e, limits);
    UNIT_TRUE(events_add(e, PN_STR("{\"n\":4}")));
    pn_loop_turn(loop, 0);
    read_file("moved", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"));
    read_file("e", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"n\":4}\n"));
    unit_row("rotated");
    for (int round = 0; round < 4; round++) {
        char line[64];
        (void)snprintf(line, sizeof line, "{\"round\":%d,\"text\":\"0123456789012345\"}", round);
        UNIT_TRUE(events_add(e, pn_str_of(line)));
        pn_loop_turn(loop, 0);
    }
    read_file("e.1", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"round\":3,\"text\":\"0123456789012345\"}\n"));
    UNIT_INT(faccessat(folder_fd, "e.2", R_OK, 0), 0);
    UNIT_INT(faccessat(folder_fd, "e.3", R_OK, 0), -1);
    UNIT_INT(events_written(e), 8);
    UNIT_TRUE(events_add(e, PN_STR("{\"last\":1}")));
    events_free(&e); /* writes what waits */
    read_file("e", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"last\":1}\n"));
    pn_buf_fini(&text);
    pn_loop_free(&loop);
}

/* A full disk, by the limit of a file's size: no torn line stays, and none is lost. */
static void test_events_full(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct pn_buf text;
    struct rlimit before, small;
    pn_buf_init(&text, 4096);
    struct events *e = events_new(loop, folder_fd, "full", (struct events_limits){0});
    UNIT_TRUE(e != NULL && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    UNIT_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){12, before.rlim_max};
    UNIT_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    UNIT_TRUE(events_add(e, PN_STR("{\"n\":1}")) && events_add(e, PN_STR("{\"n\":2}")));
    pn_log_init("unit", PN_LOG_ERROR + 1);
    pn_loop_turn(loop, 0);
    read_file("full", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"n\":1}\n"));
    UNIT_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    UNIT_TRUE(events_add(e, PN_STR("{\"n\":3}")));
    pn_loop_turn(loop, 0);
    read_file("full", &text);
    UNIT_STR(pn_buf_str(&text), PN_STR("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"));
    events_free(&e);
    pn_buf_fini(&text);
    pn_loop_free(&loop);
}

static void test_command_records(void)
{
    struct pn_buf b;
    struct pn_command c = {.token = 7, .count = 2, .words = {PN_STR_INIT("a"), PN_STR_INIT("")}};
    struct pn_command back;
    struct pn_command_reply reply;
    pn_buf_init(&b, 1000);
    pn_command_put(&b, &c);
    UNIT_TRUE(pn_command_get(pn_buf_str(&b), &back) && back.token == 7 && back.count == 2);
    for (size_t i = 0; i < b.len; i++)
        UNIT_TRUE(!pn_command_get(pn_str_slice(pn_buf_str(&b), 0, i), &back));
    pn_buf_clear(&b);
    pn_command_reply_put(&b, &(struct pn_command_reply){9, true, PN_STR("{}")});
    UNIT_TRUE(pn_command_reply_get(pn_buf_str(&b), &reply) && reply.last && reply.token == 9);
    pn_buf_clear(&b);
    pn_command_reply_put(&b, &(struct pn_command_reply){9, true, PN_STR("a\nb")});
    UNIT_TRUE(!pn_command_reply_get(pn_buf_str(&b), &reply));
    pn_buf_fini(&b);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"request", test_request},
        {"words of a request", test_request_words},
        {"prometheus", test_prometheus},
        {"bad metrics", test_metrics_bad},
        {"HTTP", test_http},
        {"events", test_events},
        {"events on a full disk", test_events_full},
        {"command records", test_command_records},
        {NULL, NULL},
    };
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = unit_main("admin", tests, argc, argv);
    static const char *const names[] = {"e", "e.1", "e.2", "moved", "full"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlinkat(folder_fd, names[i], 0);
    (void)close(folder_fd);
    (void)rmdir(folder);
    return result;
}
