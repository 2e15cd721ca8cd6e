/* postern report abuse: who sent what was not accepted, from the event log. */
#include "abuse.h"
#include "cli.h"
#include "clock.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern report abuse [--since TIME] [--top N] [--json] [--root DIR | EVENTS...]\n"
    "\n"
    "  --since TIME  24h, 7d, 2026-11-22 or 2026-11-22T08:00:00 (UTC)\n"
    "  --top N       rows a table (10)\n"
    "  --json        one JSON object\n"
    "  --root DIR    the server's root: reads DIR/log/events.jsonl\n"
    "  EVENTS        event logs, oldest first; - is standard input\n"
    "\n"
    "Without EVENTS the server's log is read, and those that were rotated (events.jsonl.1 and\n"
    "so on) as far back as --since asks for.\n";

static int read_log(struct pn_abuse *abuse, const char *path)
{
    FILE *in = path[0] == '-' && path[1] == '\0' ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    if (in == NULL) {
        fprintf(stderr, "postern report: %s: %s\n", path, strerror(errno));
        return PN_EXIT_UNREACHABLE;
    }
    while ((n = getline(&line, &cap, in)) > 0)
        pn_abuse_line(abuse, pn_str_trim((struct pn_str){line, (size_t)n}));
    free(line);
    bool bad = ferror(in) != 0;
    if (in != stdin)
        (void)fclose(in);
    if (bad)
        fprintf(stderr, "postern report: %s: reading failed\n", path);
    return bad ? PN_EXIT_UNREACHABLE : PN_EXIT_DONE;
}

struct options {
    uint64_t top;
    bool json;
    struct pn_buf since, path;
};

/* Whether something in this log may be of the time asked for. */
static bool is_recent(const char *path, struct pn_str since)
{
    struct stat st;
    struct pn_buf last;
    if (since.len == 0 || stat(path, &st) != 0)
        return true;
    pn_buf_init(&last, 64);
    pn_clock_rfc3339(&last, ((int64_t)st.st_mtim.tv_sec + 1) * 1000);
    bool recent = pn_str_cmp(pn_buf_str(&last), since) >= 0;
    pn_buf_fini(&last);
    return recent;
}

/* The server's log, behind those that it was rotated to. */
static int read_server(struct pn_abuse *abuse, const struct options *o)
{
    struct pn_str log = pn_buf_str(&o->path);
    struct pn_buf path;
    unsigned oldest = 0;
    int status = PN_EXIT_DONE;
    pn_buf_init(&path, 8300);
    for (bool more = true; more; oldest += more) {
        pn_buf_clear(&path);
        (void)pn_buf_addf(&path, "%.*s.%u", PN_FMT(log), oldest + 1);
        const char *name = pn_buf_cstr(&path);
        more = name != NULL && access(name, F_OK) == 0 && is_recent(name, pn_buf_str(&o->since));
    }
    for (; oldest > 0 && status == PN_EXIT_DONE; oldest--) {
        pn_buf_clear(&path);
        (void)pn_buf_addf(&path, "%.*s.%u", PN_FMT(log), oldest);
        status = read_log(abuse, pn_buf_cstr(&path));
    }
    pn_buf_clear(&path);
    (void)pn_buf_adds(&path, log);
    if (status == PN_EXIT_DONE)
        status = read_log(abuse, pn_buf_cstr(&path));
    pn_buf_fini(&path);
    return status;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'}, {"top", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},        {"root", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 's' && pn_abuse_since(pn_str_of(optarg), pn_clock_wall_ms(), &o->since))
            continue;
        if (c == 's') {
            fprintf(stderr,
                    "postern report: --since %s: 24h, 7d, a date or a date and time was "
                    "expected\n",
                    optarg);
            return PN_EXIT_USAGE;
        }
        if (c == 't' && pn_str_u64(pn_str_of(optarg), 1000000, &o->top) && o->top != 0)
            continue;
        if (c == 'j') {
            o->json = true;
        } else if (c == 'r') {
            pn_buf_clear(&o->path);
            (void)pn_buf_addf(&o->path, "%s/log/events.jsonl", optarg);
        } else {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? -1 : PN_EXIT_USAGE;
        }
    }
    return PN_EXIT_DONE;
}

int pn_cli_report(int argc, char **argv)
{
    struct options o = {.top = 10};
    if (argc < 2 || strcmp(argv[1], "abuse") != 0) {
        bool help = argc >= 2 && strcmp(argv[1], "--help") == 0;
        fputs(usage, help ? stdout : stderr);
        return help ? PN_EXIT_DONE : PN_EXIT_USAGE;
    }
    pn_buf_init(&o.since, 64);
    pn_buf_init(&o.path, 8192);
    (void)pn_buf_addz(&o.path, "/var/log/postern/events.jsonl");
    optind = 1;
    int status = parse(argc - 1, argv + 1, &o);
    if (status == PN_EXIT_DONE) {
        struct pn_abuse *abuse = pn_abuse_new(pn_buf_str(&o.since));
        int first = optind + 1;
        if (first >= argc)
            status = read_server(abuse, &o);
        for (int i = first; i < argc && status == PN_EXIT_DONE; i++)
            status = read_log(abuse, argv[i]);
        if (status == PN_EXIT_DONE)
            (o.json ? pn_abuse_print_json : pn_abuse_print)(abuse, o.top, stdout);
        pn_abuse_free(&abuse);
    }
    pn_buf_fini(&o.since);
    pn_buf_fini(&o.path);
    return status == -1 ? PN_EXIT_DONE : status;
}
