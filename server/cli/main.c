/* postern: the command line. Each subcommand is a row and a file. */
#include "cli.h"

#include "log.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    pn_cli_main *main;
    const char *help;
} commands[] = {
    {"check", pn_cli_check, "reads configuration, policy and plugins, and says what is wrong"},
    {"config", pn_cli_config, "what is configured, and what can be: postern config show|rows"},
    {"dkim", pn_cli_dkim, "keys to sign mail with, and their DNS records: new, show"},
    {"doctor", pn_cli_doctor, "what makes our mail acceptable to others, and what is in its way"},
    {"plugin", pn_cli_plugin, "which plugins there are: postern plugin list|show|new|test"},
    {"mailbox", pn_cli_mailbox, "what users have, their quotas, whether all is in order"},
    {"queue", pn_cli_queue, "what waits or is held: list, show, retry, release, drop, freeze"},
    {"report", pn_cli_report, "reports from the event log: postern report abuse"},
    {"scan", pn_cli_scan, "judges messages as the server would, and says why"},
    {"user", pn_cli_user, "who may log in: add, passwd, del, list, show, verify"},
};

static void usage(FILE *to)
{
    fputs("usage: postern COMMAND [option...]\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\npostern COMMAND --help says more. Exit status: 0 done, 1 the answer is no, 2 usage,\n"
          "3 the server or a file was out of reach.\n",
          to);
}

/* An answer that nobody could read is no answer. */
static int concluded(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    if (status == PN_EXIT_DONE || status == PN_EXIT_NO)
        fputs("postern: standard output could not be written\n", stderr);
    return status == PN_EXIT_USAGE ? status : PN_EXIT_UNREACHABLE;
}

int main(int argc, char **argv)
{
    pn_log_init("postern", PN_LOG_WARN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? PN_EXIT_USAGE : PN_EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("postern %s\n", PN_VERSION);
        return PN_EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return concluded(commands[i].main(argc - 1, argv + 1));
    fprintf(stderr, "postern: no command is called %s\n", argv[1]);
    usage(stderr);
    return PN_EXIT_USAGE;
}
