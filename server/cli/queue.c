/* postern queue: what waits, what is held, and what is to become of it. */
#include "ask.h"
#include "cli.h"
#include "utf8.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

static const char usage[] =
    "usage: postern queue list [--held] [--json]\n"
    "       postern queue show ID [--held] [--json]\n"
    "       postern queue release ID... [--held] [--json]\n"
    "       postern queue drop ID... [--held] [--json]\n"
    "\n"
    "  list         messages that wait; --held: those in quarantine or held back\n"
    "  show         one of them, its recipients and its content\n"
    "  release      try it now; --held: deliver it after all\n"
    "  drop         give it up, telling nobody\n"
    "  --json       the server's lines as they are (show: without content)\n"
    "  --root DIR   the root of a server that was started so\n"
    "  --socket S   its control socket\n";

enum { WORDS_MAX = 60 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s == NULL ? "" : s;
}

static long long number_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

/* Control bytes in a stranger's words must not reach the terminal. */
static void print_text(const char *s)
{
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_utf8_add_shown(&b, pn_str_of(s));
    (void)fwrite(b.p == NULL ? "" : b.p, 1, b.len, stdout);
    pn_buf_fini(&b);
}

static void print_recipient(const json_t *to)
{
    printf("    ");
    print_text(text_of(to, "address"));
    printf("  -> ");
    print_text(text_of(to, "next_hop"));
    if (text_of(to, "state")[0] != '\0')
        printf("  %s, %lld tries", text_of(to, "state"), number_of(to, "tries"));
    if (text_of(to, "next")[0] != '\0')
        printf(", next %s", text_of(to, "next"));
    if (text_of(to, "reply")[0] != '\0') {
        printf("\n        ");
        print_text(text_of(to, "reply"));
    }
    (void)putchar('\n');
}

static void print_message(const json_t *o)
{
    size_t i;
    json_t *to;
    printf("%s  %.19s  %8lld  <", text_of(o, "id"), text_of(o, "arrived"), number_of(o, "size"));
    print_text(text_of(o, "from"));
    printf(">\n");
    if (text_of(o, "damaged")[0] != '\0')
        printf("    damaged: %s\n", text_of(o, "damaged"));
    if (text_of(o, "kind")[0] != '\0') {
        printf("    %s: ", text_of(o, "kind"));
        print_text(text_of(o, "reason"));
        (void)putchar('\n');
    }
    json_array_foreach(json_object_get(o, "to"), i, to)
    {
        print_recipient(to);
    }
}

/* One line of the answer that is not the last. */
static void print_line(const json_t *o)
{
    if (json_object_get(o, "address") != NULL)
        print_recipient(o);
    else if (json_object_get(o, "from") != NULL)
        print_message(o);
    else if (json_object_get(o, "did") != NULL)
        printf("%s %s\n", text_of(o, "id"), text_of(o, "did"));
    else if (json_object_get(o, "damaged") != NULL) /* not even its envelope is known */
        printf("%s  damaged: %s\n", text_of(o, "id"), text_of(o, "damaged"));
    else
        fprintf(stderr, "postern queue: %s: %s\n", text_of(o, "id"), text_of(o, "error"));
}

/* The last line; the exit status. */
static int conclude(struct pn_ask *ask, const json_t *last, bool json)
{
    bool ok = json_is_true(json_object_get(last, "ok"));
    long long size = number_of(last, "size");
    if (!ok && !json)
        fprintf(stderr, "postern queue: %s\n", text_of(last, "error"));
    if (ok && !json && json_object_get(last, "count") != NULL) {
        printf("%lld message%s", number_of(last, "count"),
               number_of(last, "count") == 1 ? "" : "s");
        printf(number_of(last, "shown") < number_of(last, "count") ? ", %lld of them shown\n"
                                                                   : "\n",
               number_of(last, "shown"));
    }
    if (ok && !json && json_object_get(last, "damaged") != NULL)
        fprintf(stderr, "postern queue: %s\n", text_of(last, "damaged"));
    if (ok && !json && json_object_get(last, "size") != NULL) {
        (void)putchar('\n');
        if (!pn_ask_content(ask, (uint64_t)size, stdout)) {
            fprintf(stderr, "postern queue: the content was cut short\n");
            return PN_EXIT_UNREACHABLE;
        }
    }
    return ok ? PN_EXIT_DONE : PN_EXIT_NO;
}

static int run(const char *path, const char *const *words, size_t count, bool json)
{
    struct pn_ask ask;
    struct pn_str line;
    int status = -1;
    if (!pn_ask_start(&ask, path, words, count)) {
        pn_ask_end(&ask);
        return PN_EXIT_UNREACHABLE;
    }
    while (status < 0 && (line = pn_ask_line(&ask)).p != NULL) {
        json_t *o = json_loadb(line.p, line.len, 0, NULL);
        bool last = json_object_get(o, "ok") != NULL;
        if (json)
            printf("%.*s\n", PN_FMT(line));
        else if (!last)
            print_line(o);
        if (last)
            status = conclude(&ask, o, json);
        json_decref(o);
    }
    pn_ask_end(&ask);
    if (status < 0) {
        fprintf(stderr, "postern queue: the server ended its answer early\n");
        return PN_EXIT_UNREACHABLE;
    }
    return status;
}

/* Is it something that the queue can be asked? words[0] is "queue". */
static bool words_ok(const char *const *words, size_t count)
{
    static const struct {
        const char *verb;
        size_t min, max; /* ids */
    } rows[] = {{"list", 0, 0}, {"show", 1, 1}, {"release", 1, WORDS_MAX}, {"drop", 1, WORDS_MAX}};
    for (size_t i = 2; i < count; i++)
        if (words[i][0] == '\0')
            return false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(words[1], rows[i].verb) == 0)
            return count - 2 >= rows[i].min && count - 2 <= rows[i].max;
    return false;
}

int pn_cli_queue(int argc, char **argv)
{
    static const struct option options[] = {
        {"held", no_argument, NULL, 'H'},       {"json", no_argument, NULL, 'j'},
        {"root", required_argument, NULL, 'r'}, {"socket", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    const char *words[WORDS_MAX + 2] = {"queue"}, *root = NULL, *path = NULL;
    char text[PN_ASK_PATH_MAX];
    size_t count = 1;
    bool json = false, held = false;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(usage, stdout);
            return PN_EXIT_DONE;
        }
        held |= c == 'H';
        json |= c == 'j';
        root = c == 'r' ? optarg : root;
        path = c == 's' ? optarg : path;
        if (c == '?') {
            fputs(usage, stderr);
            return PN_EXIT_USAGE;
        }
    }
    if (optind == argc || argc - optind > WORDS_MAX - 1) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE;
    }
    while (optind < argc)
        words[count++] = argv[optind++];
    if (!words_ok(words, count)) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE;
    }
    if (held)
        words[count++] = "--held";
    return run(pn_ask_path(path, root, text), words, count, json);
}
