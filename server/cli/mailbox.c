/* postern mailbox: what a user has, how much he may have, and whether it is in order. */
#include "ask_show.h"
#include "cli.h"

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
    "  USER is user@domain. The server does it, in the process that has the user's mailbox.\n"
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
    pn_answer_print(stdout, pn_answer_text(o, "folder"));
    if (json_object_get(o, "uid") != NULL)
        printf(" UID %lld", pn_answer_number(o, "uid"));
    printf(": %s\n", pn_answer_text(o, "fault"));
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
        (void)putchar('\n');
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

/* "500M" as bytes, in digits. False: no such size, or 0. */
static bool size_text(const char *s, char out[24])
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
    if (!pn_str_u64(text, (uint64_t)INT64_MAX >> shift, &n) || n == 0)
        return false;
    (void)snprintf(out, 24, "%llu", (unsigned long long)n << shift);
    return true;
}

/* words: "mailbox", verb, USER and what follows; made into the server's. NULL, or what is wrong. */
static const char *quota_words(const char **words, size_t *count, const char *messages,
                               char size[24])
{
    uint64_t n;
    if (messages != NULL && !pn_str_u64(pn_str_of(messages), INT64_MAX, &n))
        return "--messages expects a number";
    if (*count == 3)
        return messages == NULL ? NULL : "--messages expects a size, or none, before it";
    if (strcmp(words[3], "default") == 0)
        return messages == NULL ? NULL : "default has no limit of its own";
    if (strcmp(words[3], "none") == 0)
        (void)snprintf(size, 24, "0");
    else if (!size_text(words[3], size))
        return "a size such as 500M, none or default was expected";
    words[3] = "set";
    words[4] = size;
    words[5] = messages == NULL ? "0" : messages;
    *count = 6;
    return NULL;
}

static const char *refuse(const char **words, size_t *count, const char *messages, char size[24])
{
    static const char *const verbs[] = {"list", "check", "rebuild", "quota"};
    size_t verb = 0;
    while (verb < 4 && (*count < 2 || strcmp(words[1], verbs[verb]) != 0))
        verb++;
    if (verb == 4)
        return "list, quota, check or rebuild was expected";
    if (*count < 3 || words[2][0] == '\0')
        return "whose mailbox?";
    if (verb == 3)
        return quota_words(words, count, messages, size);
    return *count == 3 && messages == NULL ? NULL : "one user was expected";
}

int pn_cli_mailbox(int argc, char **argv)
{
    static const struct option options[] = {
        {"messages", required_argument, NULL, 'm'}, {"json", no_argument, NULL, 'j'},
        {"root", required_argument, NULL, 'r'},     {"socket", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    const char *words[6] = {"mailbox"}, *root = NULL, *path = NULL, *messages = NULL;
    char text[PN_ASK_PATH_MAX], size[24];
    size_t count = 1;
    bool json = false;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h' || c == '?') {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
        json |= c == 'j';
        messages = c == 'm' ? optarg : messages;
        root = c == 'r' ? optarg : root;
        path = c == 's' ? optarg : path;
    }
    bool many = argc - optind > 3;
    while (optind < argc && count < 4)
        words[count++] = argv[optind++];
    const char *wrong = many ? "too many words" : refuse(words, &count, messages, size);
    if (wrong != NULL) {
        fprintf(stderr, "postern mailbox: %s\n%s", wrong, usage);
        return PN_EXIT_USAGE;
    }
    static const struct pn_ask_show show = {"mailbox", print_line, conclude, NULL};
    return pn_ask_show(&show, pn_ask_path(path, root, text), words, count, json);
}
