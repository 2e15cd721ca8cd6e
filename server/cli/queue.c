/* postern queue: what waits, what is held, and what is to become of it. */
#include "ask.h"
#include "cli.h"
#include "utf8.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

static const char usage[] =
    "usage: postern queue list [FILTER...] [--held] [--json]\n"
    "       postern queue show ID [--held] [--json]\n"
    "       postern queue retry ID... | FILTER... | --all [--dry-run] [--json]\n"
    "       postern queue hold | bounce, the same\n"
    "       postern queue release | drop, the same, [--held]\n"
    "       postern queue freeze | thaw DOMAIN... [--json]\n"
    "       postern queue frozen [--json]\n"
    "       postern queue suppress list | remove ADDRESS... [--json]\n"
    "\n"
    "  list         messages that wait; --held: those in quarantine or held back\n"
    "  show         one of them, its recipients and its content\n"
    "  retry        try it now\n"
    "  hold         take it out of the queue, to those held back\n"
    "  release      --held: deliver it after all; else as retry\n"
    "  bounce       give it up, telling its sender, or hold it where that is not safe\n"
    "  drop         give it up, telling nobody\n"
    "  freeze       try no mail to that domain, or to any that a glob means, and give none of\n"
    "               it up; what is on its way to a server goes on\n"
    "  thaw         try it again, now\n"
    "  frozen       which domains are\n"
    "  suppress     list recipients elsewhere that are not asked for, because their server said\n"
    "               that there is nobody of that name; remove: ask for them again\n"
    "\n"
    "  --from GLOB --to GLOB --domain GLOB    sender (<>: null), recipient, its domain\n"
    "  --older AGE --newer AGE                such as 90s, 10m, 2h, 3d\n"
    "  --reason GLOB                          the last reply, or why it is held\n"
    "  --user GLOB                            the user of ours who submitted it\n"
    "               of mail that waits, only recipients for which all of it holds\n"
    "  --all        all there is\n"
    "  --dry-run    only say what would be done\n"
    "  --json       the server's lines as they are (show: without content)\n"
    "  --root DIR   the root of a server that was started so\n"
    "  --socket S   its control socket\n";

/* Together no more than a command may have (PN_COMMAND_WORDS_MAX). */
enum { WORDS_MAX = 60 - 20, OPTION_WORDS_MAX = 20 };

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

/* What a line of a change is about. */
static const char *name_of(const json_t *o)
{
    static const char *const keys[] = {"id", "domain", "recipient"};
    size_t i = 0;
    while (i < 2 && text_of(o, keys[i])[0] == '\0')
        i++;
    return text_of(o, keys[i]);
}

/* "label value", where there is one. */
static void print_named(const char *label, const json_t *o, const char *key)
{
    if (text_of(o, key)[0] == '\0')
        return;
    printf("%s", label);
    print_text(text_of(o, key));
}

/* What was asked of reports, if anything. */
static void print_dsn(const json_t *to)
{
    if (text_of(to, "notify")[0] == '\0' && text_of(to, "orcpt")[0] == '\0' &&
        !json_is_true(json_object_get(to, "warned")))
        return;
    printf("\n        reports:");
    print_named(" NOTIFY=", to, "notify");
    print_named(" ORCPT=", to, "orcpt");
    if (json_is_true(json_object_get(to, "warned")))
        printf(" (its sender knows that it waits)");
}

static void print_recipient(const json_t *to)
{
    printf("    ");
    print_text(text_of(to, "address"));
    printf("  -> ");
    print_text(text_of(to, "next_hop"));
    if (text_of(to, "state")[0] != '\0')
        printf("  %s, %lld tries", text_of(to, "state"), number_of(to, "tries"));
    if (json_is_true(json_object_get(to, "frozen")))
        printf(", its domain is frozen");
    if (text_of(to, "next")[0] != '\0')
        printf(", next %s", text_of(to, "next"));
    if (text_of(to, "by")[0] != '\0') {
        printf("\n        for ");
        print_text(text_of(to, "by"));
    }
    if (text_of(to, "mail_from")[0] != '\0') {
        printf("\n        from ");
        print_text(text_of(to, "mail_from"));
    }
    if (text_of(to, "reply")[0] != '\0') {
        printf("\n        ");
        print_text(text_of(to, "reply"));
    }
    print_dsn(to);
    (void)putchar('\n');
}

static void print_message(const json_t *o)
{
    size_t i;
    json_t *to;
    printf("%s  %.19s  %8lld  <", text_of(o, "id"), text_of(o, "arrived"), number_of(o, "size"));
    print_text(text_of(o, "from"));
    printf(">");
    print_named("  of user ", o, "user");
    print_named("  RET=", o, "ret");
    print_named("  ENVID=", o, "envid");
    (void)putchar('\n');
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
static void print_suppressed(const json_t *o)
{
    print_text(text_of(o, "recipient"));
    printf("  until %s  ", text_of(o, "until"));
    print_text(text_of(o, "reply"));
    (void)putchar('\n');
}

static void print_line(const json_t *o)
{
    if (json_object_get(o, "address") != NULL)
        print_recipient(o);
    else if (json_object_get(o, "from") != NULL)
        print_message(o);
    else if (json_object_get(o, "until") != NULL)
        print_suppressed(o);
    else if (json_object_get(o, "since") != NULL && json_object_get(o, "domain") != NULL)
        printf("%s  since %s\n", text_of(o, "domain"), text_of(o, "since"));
    else if (json_object_get(o, "did") != NULL)
        printf("%s %s\n", name_of(o), text_of(o, "did"));
    else if (json_object_get(o, "would") != NULL)
        printf("%s would be %s\n", text_of(o, "id"), text_of(o, "would"));
    else if (json_object_get(o, "damaged") != NULL) /* not even its envelope is known */
        printf("%s  damaged: %s\n", text_of(o, "id"), text_of(o, "damaged"));
    else
        fprintf(stderr, "postern queue: %s: %s\n", name_of(o), text_of(o, "error"));
}

static void print_done(const json_t *last, const char *noun)
{
    bool dry = json_object_get(last, "would") != NULL;
    long long done = number_of(last, "done");
    printf("%lld %s%s %s%s", done, noun, done == 1 ? "" : "s", dry ? "would be " : "",
           text_of(last, dry ? "would" : "did"));
    if (number_of(last, "failed") > 0)
        printf(", %lld not", number_of(last, "failed"));
    (void)putchar('\n');
}

static bool is_of_domains(const char *verb)
{
    return strcmp(verb, "freeze") == 0 || strcmp(verb, "thaw") == 0 || strcmp(verb, "frozen") == 0;
}

/* The last line; the exit status. */
static int conclude(struct pn_ask *ask, const json_t *last, const char *noun, bool json)
{
    bool ok = json_is_true(json_object_get(last, "ok"));
    long long size = number_of(last, "size");
    if (!json && json_object_get(last, "done") != NULL)
        print_done(last, noun);
    if (!ok && !json)
        fprintf(stderr, "postern queue: %s\n", text_of(last, "error"));
    if (ok && !json && json_object_get(last, "count") != NULL) {
        printf("%lld %s%s", number_of(last, "count"), noun,
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
    const char *noun = is_of_domains(words[1])             ? "domain"
                       : strcmp(words[1], "suppress") == 0 ? "recipient"
                                                           : "message";
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
            status = conclude(&ask, o, noun, json);
        json_decref(o);
    }
    pn_ask_end(&ask);
    if (status < 0) {
        fprintf(stderr, "postern queue: the server ended its answer early\n");
        return PN_EXIT_UNREACHABLE;
    }
    return status;
}

/* NULL, or why the queue can't be asked so. words[0] is "queue", ids from words[2]. */
static const char *refuse(const char *const *words, size_t count, bool picks)
{
    static const char *const verbs[] = {"list", "show",   "retry", "release",
                                        "hold", "bounce", "drop",  NULL};
    size_t verb = 0, ids = count - 2;
    while (verbs[verb] != NULL && strcmp(words[1], verbs[verb]) != 0)
        verb++;
    for (size_t i = 2; i < count; i++)
        if (words[i][0] == '\0')
            return "an id is empty";
    if (is_of_domains(words[1]))
        return picks                                            ? "a domain is said without options"
               : (ids > 0) == (strcmp(words[1], "frozen") != 0) ? NULL
               : ids == 0                                       ? "which domains?"
                          : "frozen expects nothing behind it";
    if (strcmp(words[1], "suppress") == 0)
        return picks || ids == 0 || (strcmp(words[2], "list") == 0) != (ids == 1)
                   ? "suppress expects list, or remove and addresses"
                   : NULL;
    if (verbs[verb] == NULL)
        return "list, show, retry, release, hold, bounce, drop, freeze, thaw, frozen or suppress "
               "was expected";
    if (verb == 0)
        return ids == 0 ? NULL : "list expects filters; show expects an id";
    if (verb == 1)
        return ids == 1 && !picks ? NULL : "show expects one id, and no filter";
    if (ids > 0 && picks)
        return "ids, filters or --all: only one of them";
    return ids > 0 || picks ? NULL : "ids are expected, or filters, or --all";
}

int pn_cli_queue(int argc, char **argv)
{
    /* 'F': a filter, which the server reads; 'O': a word for the server */
    static const struct option options[] = {{"from", required_argument, NULL, 'F'},
                                            {"to", required_argument, NULL, 'F'},
                                            {"domain", required_argument, NULL, 'F'},
                                            {"older", required_argument, NULL, 'F'},
                                            {"newer", required_argument, NULL, 'F'},
                                            {"reason", required_argument, NULL, 'F'},
                                            {"user", required_argument, NULL, 'F'},
                                            {"all", no_argument, NULL, 'A'},
                                            {"dry-run", no_argument, NULL, 'O'},
                                            {"held", no_argument, NULL, 'O'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"root", required_argument, NULL, 'r'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static char said[sizeof options / sizeof options[0]][16];
    const char *words[WORDS_MAX + 2 + OPTION_WORDS_MAX] = {"queue"}, *root = NULL, *path = NULL;
    const char *extra[OPTION_WORDS_MAX];
    char text[PN_ASK_PATH_MAX];
    size_t count = 1, extras = 0;
    int at = 0;
    bool json = false, picks = false;
    for (int c; (c = getopt_long(argc, argv, "h", options, &at)) != -1;) {
        if (c == 'h') {
            fputs(usage, stdout);
            return PN_EXIT_DONE;
        }
        if ((c == 'F' || c == 'A' || c == 'O') && extras + 2 <= OPTION_WORDS_MAX) {
            (void)snprintf(said[at], sizeof said[at], "--%s", options[at].name);
            extra[extras++] = said[at];
            if (c == 'F')
                extra[extras++] = optarg;
        }
        picks |= c == 'F' || c == 'A';
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
    const char *why = refuse(words, count, picks);
    if (why != NULL) {
        fprintf(stderr, "postern queue: %s\n\n%s", why, usage);
        return PN_EXIT_USAGE;
    }
    for (size_t i = 0; i < extras; i++)
        words[count++] = extra[i];
    return run(pn_ask_path(path, root, text), words, count, json);
}
