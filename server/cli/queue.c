/* postern queue: what waits, what is held, and what is to become of it. */
#include "ask_show.h"
#include "cli.h"

#include <getopt.h>
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

/* What a line of a change is about. */
static const char *name_of(const json_t *o)
{
    static const char *const keys[] = {"id", "domain", "recipient"};
    size_t i = 0;
    while (i < 2 && pn_answer_text(o, keys[i])[0] == '\0')
        i++;
    return pn_answer_text(o, keys[i]);
}

/* "label value", where there is one. */
static void print_named(const char *label, const json_t *o, const char *key)
{
    if (pn_answer_text(o, key)[0] == '\0')
        return;
    printf("%s", label);
    pn_answer_print(stdout, pn_answer_text(o, key));
}

/* What was asked of reports, if anything. */
static void print_dsn(const json_t *to)
{
    if (pn_answer_text(to, "notify")[0] == '\0' && pn_answer_text(to, "orcpt")[0] == '\0' &&
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
    pn_answer_print(stdout, pn_answer_text(to, "address"));
    printf("  -> ");
    pn_answer_print(stdout, pn_answer_text(to, "next_hop"));
    if (pn_answer_text(to, "state")[0] != '\0')
        printf("  %s, %lld tries", pn_answer_text(to, "state"), pn_answer_number(to, "tries"));
    if (json_is_true(json_object_get(to, "frozen")))
        printf(", its domain is frozen");
    if (pn_answer_text(to, "next")[0] != '\0')
        printf(", next %s", pn_answer_text(to, "next"));
    if (pn_answer_text(to, "by")[0] != '\0') {
        printf("\n        for ");
        pn_answer_print(stdout, pn_answer_text(to, "by"));
    }
    if (pn_answer_text(to, "mail_from")[0] != '\0') {
        printf("\n        from ");
        pn_answer_print(stdout, pn_answer_text(to, "mail_from"));
    }
    if (pn_answer_text(to, "reply")[0] != '\0') {
        printf("\n        ");
        pn_answer_print(stdout, pn_answer_text(to, "reply"));
    }
    print_dsn(to);
    (void)putchar('\n');
}

static void print_message(const json_t *o)
{
    size_t i;
    json_t *to;
    printf("%s  %.19s  %8lld  <", pn_answer_text(o, "id"), pn_answer_text(o, "arrived"),
           pn_answer_number(o, "size"));
    pn_answer_print(stdout, pn_answer_text(o, "from"));
    printf(">");
    print_named("  of user ", o, "user");
    print_named("  RET=", o, "ret");
    print_named("  ENVID=", o, "envid");
    (void)putchar('\n');
    if (pn_answer_text(o, "damaged")[0] != '\0')
        printf("    damaged: %s\n", pn_answer_text(o, "damaged"));
    if (pn_answer_text(o, "kind")[0] != '\0') {
        printf("    %s: ", pn_answer_text(o, "kind"));
        pn_answer_print(stdout, pn_answer_text(o, "reason"));
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
    pn_answer_print(stdout, pn_answer_text(o, "recipient"));
    printf("  until %s  ", pn_answer_text(o, "until"));
    pn_answer_print(stdout, pn_answer_text(o, "reply"));
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
        printf("%s  since %s\n", pn_answer_text(o, "domain"), pn_answer_text(o, "since"));
    else if (json_object_get(o, "did") != NULL)
        printf("%s %s\n", name_of(o), pn_answer_text(o, "did"));
    else if (json_object_get(o, "would") != NULL)
        printf("%s would be %s\n", pn_answer_text(o, "id"), pn_answer_text(o, "would"));
    else if (json_object_get(o, "damaged") != NULL) /* not even its envelope is known */
        printf("%s  damaged: %s\n", pn_answer_text(o, "id"), pn_answer_text(o, "damaged"));
    else
        fprintf(stderr, "postern queue: %s: %s\n", name_of(o), pn_answer_text(o, "error"));
}

static void print_done(const json_t *last, const char *noun)
{
    bool dry = json_object_get(last, "would") != NULL;
    long long done = pn_answer_number(last, "done");
    printf("%lld %s%s %s%s", done, noun, done == 1 ? "" : "s", dry ? "would be " : "",
           pn_answer_text(last, dry ? "would" : "did"));
    if (pn_answer_number(last, "failed") > 0)
        printf(", %lld not", pn_answer_number(last, "failed"));
    (void)putchar('\n');
}

static bool is_of_domains(const char *verb)
{
    return strcmp(verb, "freeze") == 0 || strcmp(verb, "thaw") == 0 || strcmp(verb, "frozen") == 0;
}

/* The last line; the exit status. */
static int conclude(void *ctx, struct pn_ask *ask, const json_t *last, bool json)
{
    const char *noun = ctx;
    bool ok = json_is_true(json_object_get(last, "ok"));
    long long size = pn_answer_number(last, "size");
    if (!json && json_object_get(last, "done") != NULL)
        print_done(last, noun);
    if (!ok && !json)
        fprintf(stderr, "postern queue: %s\n", pn_answer_text(last, "error"));
    if (ok && !json && json_object_get(last, "count") != NULL) {
        printf("%lld %s%s", pn_answer_number(last, "count"), noun,
               pn_answer_number(last, "count") == 1 ? "" : "s");
        printf(pn_answer_number(last, "shown") < pn_answer_number(last, "count")
                   ? ", %lld of them shown\n"
                   : "\n",
               pn_answer_number(last, "shown"));
    }
    if (ok && !json && json_object_get(last, "damaged") != NULL)
        fprintf(stderr, "postern queue: %s\n", pn_answer_text(last, "damaged"));
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
    static char domain[] = "domain", recipient[] = "recipient", message[] = "message";
    const struct pn_ask_show show = {.name = "queue",
                                     .line = print_line,
                                     .last = conclude,
                                     .ctx = is_of_domains(words[1])             ? domain
                                            : strcmp(words[1], "suppress") == 0 ? recipient
                                                                                : message};
    return pn_ask_show(&show, path, words, count, json);
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
