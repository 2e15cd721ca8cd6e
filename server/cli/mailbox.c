/* postern mailbox: what a user has, how much he may have, and whether it is in order. */
#include "alabel.h"
#include "ask_show.h"
#include "cli.h"
#include "grammar.h"
#include "userfile.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern mailbox list USER [--json]\n"
    "       postern mailbox quota USER [SIZE | none | default] [--messages N] [--json]\n"
    "       postern mailbox check USER [--json]\n"
    "       postern mailbox rebuild USER [--json]\n"
    "\n"
    "  list         the user's folders: messages, unseen ones, bytes\n"
    "  quota        what is used, and may be; with a size (500M, 2G): his own from now on; none:\n"
    "               no limit; default: that of the policy again\n"
    "  check        read every message, and compare it with what the index says of it\n"
    "  rebuild      make his index anew; nothing is lost, his sessions go on\n"
    "  --messages N a limit of messages, too; 0: none\n"
    "  --json       the server's lines as they are\n"
    "  --root DIR   the root of a server that was started so\n"
    "  --socket S   its control socket\n"
    "\n"
    "  USER is user@domain, as at a login: its case does not matter. The server does it, in the\n"
    "  process that has the user's mailbox. Who has none gets one when a quota is set for him.\n"
    "  Exit status: 0 done, 1 faults were found or it can't be done, 2 usage, 3 no server.\n";

/* ---- lines ---- */

static void print_folder(const json_t *o)
{
    printf("%10lld  %8lld  %14lld  ", pn_answer_number(o, "messages"),
           pn_answer_number(o, "unseen"), pn_answer_number(o, "size"));
    pn_answer_print(stdout, pn_answer_text(o, "folder"));
    printf("%s%s\n", pn_answer_text(o, "use")[0] == '\0' ? "" : "  ", pn_answer_text(o, "use"));
}

static void print_fault(const json_t *o)
{
    const char *folder = pn_answer_text(o, "folder");
    pn_answer_print(stdout, folder);
    if (json_object_get(o, "uid") != NULL)
        printf(" UID %lld", pn_answer_number(o, "uid"));
    printf("%s%s\n", folder[0] == '\0' ? "" : ": ", pn_answer_text(o, "fault"));
}

/* For people who wait, not for a file. */
static void print_progress(const json_t *o)
{
    if (isatty(STDERR_FILENO) != 1)
        return;
    fprintf(stderr, "\r\033[K");
    pn_answer_print(stderr, pn_answer_text(o, "folder"));
    fprintf(stderr, " %lld of %lld", pn_answer_number(o, "done"), pn_answer_number(o, "of"));
    if (pn_answer_number(o, "done") == pn_answer_number(o, "of"))
        fprintf(stderr, "\r\033[K");
    (void)fflush(stderr);
}

static void print_line(const json_t *o)
{
    if (json_object_get(o, "fault") != NULL)
        print_fault(o);
    else if (json_object_get(o, "done") != NULL)
        print_progress(o);
    else
        print_folder(o);
}

/* from: the line that says so. */
static void print_limit(const char *what, long long used, long long limit, const char *from)
{
    printf("%lld %s", used, what);
    if (limit != 0)
        printf(" of %lld", limit);
    else
        printf(" without limit");
    if (strcmp(from, "own") == 0)
        printf(" (his own)");
    else if (from[0] != '\0')
        printf(" (%s)", from);
}

static void print_sum(const json_t *o)
{
    if (json_object_get(o, "bytes_limit") != NULL) {
        print_limit("bytes", pn_answer_number(o, "bytes"), pn_answer_number(o, "bytes_limit"),
                    pn_answer_text(o, "bytes_from"));
        printf(", ");
        print_limit("messages", pn_answer_number(o, "messages"),
                    pn_answer_number(o, "messages_limit"), pn_answer_text(o, "messages_from"));
        printf("%s\n", json_is_true(json_object_get(o, "made")) ? "; his mailbox was made" : "");
        return;
    }
    printf("%lld folders, %lld messages", pn_answer_number(o, "folders"),
           pn_answer_number(o, "messages"));
    if (json_object_get(o, "size") != NULL)
        printf(", %lld bytes", pn_answer_number(o, "size"));
    if (json_object_get(o, "faults") != NULL)
        printf(", %lld faults", pn_answer_number(o, "faults"));
    (void)putchar('\n');
}

/* ---- asking ---- */

/* The last line; the exit status. */
static int conclude(void *ctx, struct pn_ask *ask, const json_t *last, bool json)
{
    (void)ctx, (void)ask;
    bool ok = json_is_true(json_object_get(last, "ok"));
    if (!json && json_object_get(last, "error") != NULL) {
        fprintf(stderr, "postern mailbox: ");
        pn_answer_print(stderr, pn_answer_text(last, "error"));
        (void)fputc('\n', stderr);
    } else if (!json) {
        print_sum(last);
    }
    return ok ? PN_EXIT_DONE : PN_EXIT_NO;
}

/* ---- arguments ---- */

/* What can't be asked: the argument, or NULL, and why. */
struct wrong {
    const char *argument, *why;
};

struct asked {
    const char *words[6]; /* "mailbox", verb, USER and what follows; made into the server's */
    size_t count;
    const char *messages; /* NULL: not said */
    struct pn_buf name;   /* USER in its one form */
    char size[24];
};

static struct wrong right(void)
{
    return (struct wrong){NULL, NULL};
}

/* "500M" as bytes, in digits. NULL, or why it is no size. */
static const char *size_text(const char *s, char out[24])
{
    static const char units[] = "kmgt";
    struct pn_str text = pn_str_of(s);
    uint64_t n;
    unsigned shift = 0;
    const char *unit = text.len > 1 ? strchr(units, pn_lower(text.p[text.len - 1])) : NULL;
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++)
        if (!pn_is_digit(text.p[i]))
            text.len = 0;
    if (text.len == 0)
        return "a size is a number, and K, M, G or T behind it if need be, such as 500M; or it is "
               "none, or default";
    if (!pn_str_u64(text, (uint64_t)INT64_MAX >> shift, &n))
        return "so large a size can't be counted; none is no limit";
    if (n == 0)
        return "nobody can have a limit of 0 bytes; none is no limit";
    (void)snprintf(out, 24, "%llu", (unsigned long long)n << shift);
    return NULL;
}

static struct wrong quota_words(struct asked *a)
{
    uint64_t n;
    const char *limit = a->count == 3 ? NULL : a->words[3], *why = NULL;
    if (a->messages != NULL && !pn_str_u64(pn_str_of(a->messages), INT64_MAX, &n))
        return (struct wrong){a->messages, "--messages expects a number of messages; 0: no limit"};
    if (limit == NULL)
        return (struct wrong){a->messages == NULL ? NULL : "--messages",
                              a->messages == NULL ? NULL
                                                  : "both limits are set at once: say a size, too, "
                                                    "or none, before it"};
    if (strcmp(limit, "default") == 0)
        return (struct wrong){a->messages == NULL ? NULL : "--messages",
                              a->messages == NULL ? NULL
                                                  : "default is both limits of the policy again; "
                                                    "no other can stand beside it"};
    if (strcmp(limit, "none") == 0)
        (void)snprintf(a->size, sizeof a->size, "0");
    else if ((why = size_text(limit, a->size)) != NULL)
        return (struct wrong){limit, why};
    a->words[3] = "set";
    a->words[4] = a->size;
    a->words[5] = a->messages == NULL ? "0" : a->messages;
    a->count = 6;
    return right();
}

/* As a delivery names whose address can't log in: a local part that must be quoted, say. */
static bool fold_address(struct pn_str user, struct pn_buf *out)
{
    struct pn_smtp_mailbox box;
    struct pn_alabel room;
    struct pn_buf b;
    if (!pn_smtp_mailbox_parse(user, &box))
        return false;
    pn_buf_init(&b, SIZE_MAX);
    pn_smtp_mailbox_canonical(&b, &box);
    struct pn_str ascii = pn_alabel_address(pn_buf_str(&b), &room);
    (void)pn_buf_adds(out, ascii.p == NULL ? pn_buf_str(&b) : ascii);
    for (size_t i = 0; i < out->len; i++)
        out->p[i] = pn_lower(out->p[i]);
    pn_buf_fini(&b);
    return true;
}

/* The form in which a login and a delivery name him. */
static struct wrong fold_user(struct asked *a)
{
    struct pn_str user = pn_str_of(a->words[2]);
    if (!pn_user_name(user, &a->name) && !fold_address(user, &a->name))
        return (struct wrong){a->words[2], "a user is called user@domain"};
    a->words[2] = pn_buf_cstr(&a->name);
    return right();
}

static struct wrong refuse(struct asked *a)
{
    static const char *const verbs[] = {"list", "check", "rebuild", "quota"};
    size_t verb = 0;
    while (verb < 4 && (a->count < 2 || strcmp(a->words[1], verbs[verb]) != 0))
        verb++;
    if (verb == 4)
        return (struct wrong){a->count < 2 ? NULL : a->words[1],
                              "list, quota, check or rebuild was expected"};
    if (a->count < 3)
        return (struct wrong){a->words[1], "whose mailbox? A user@domain was expected"};
    struct wrong wrong = fold_user(a);
    if (wrong.why != NULL || verb == 3)
        return wrong.why != NULL ? wrong : quota_words(a);
    if (a->count > 3)
        return (struct wrong){a->words[3], "one user is all that was expected"};
    return (struct wrong){a->messages == NULL ? NULL : "--messages",
                          a->messages == NULL ? NULL : "it belongs to quota"};
}

/* "-5" or "-5g" is meant for a number, and no option. NULL: there is none. */
static const char *negative(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        size_t digits = strspn(argv[i] + (argv[i][0] == '-'), "0123456789");
        if (argv[i][0] == '-' && digits > 0 && strlen(argv[i]) <= digits + 2)
            return argv[i];
    }
    return NULL;
}

static int say_wrong(struct wrong wrong)
{
    fprintf(stderr, "postern mailbox: ");
    if (wrong.argument != NULL) {
        pn_answer_print(stderr, wrong.argument);
        fprintf(stderr, ": ");
    }
    fprintf(stderr, "%s\n%s", wrong.why,
            wrong.argument == NULL ? usage : "(postern mailbox --help says how to call it)\n");
    return PN_EXIT_USAGE;
}

int pn_cli_mailbox(int argc, char **argv)
{
    static const struct option options[] = {
        {"messages", required_argument, NULL, 'm'}, {"json", no_argument, NULL, 'j'},
        {"root", required_argument, NULL, 'r'},     {"socket", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    const char *root = NULL, *path = NULL, *number = negative(argc, argv);
    char text[PN_ASK_PATH_MAX];
    struct asked a = {.words = {"mailbox"}, .count = 1};
    bool json = false;
    if (number != NULL)
        return say_wrong((struct wrong){number, "a limit can't be less than nothing"});
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h' || c == '?') {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
        json |= c == 'j';
        a.messages = c == 'm' ? optarg : a.messages;
        root = c == 'r' ? optarg : root;
        path = c == 's' ? optarg : path;
    }
    if (argc - optind > 3)
        return say_wrong((struct wrong){argv[optind + 3], "this is one word too many"});
    while (optind < argc)
        a.words[a.count++] = argv[optind++];
    pn_buf_init(&a.name, SIZE_MAX);
    struct wrong wrong = refuse(&a);
    static const struct pn_ask_show show = {"mailbox", print_line, conclude, NULL};
    int status = wrong.why != NULL
                     ? say_wrong(wrong)
                     : pn_ask_show(&show, pn_ask_path(path, root, text), a.words, a.count, json);
    pn_buf_fini(&a.name);
    return status;
}
