/* The command line: a subcommand a file, and what they share. */
#ifndef PN_CLI_H
#define PN_CLI_H

/* Exit codes that scripts rely on. */
enum {
    PN_EXIT_DONE = 0,
    PN_EXIT_NO = 1, /* the answer is no */
    PN_EXIT_USAGE = 2,
    PN_EXIT_UNREACHABLE = 3 /* the server, a file or a process was out of reach */
};

/* argv[0] is the subcommand's name. */
typedef int pn_cli_main(int argc, char **argv);

pn_cli_main pn_cli_check;
pn_cli_main pn_cli_config;
pn_cli_main pn_cli_dkim;
pn_cli_main pn_cli_doctor;
pn_cli_main pn_cli_plugin;
pn_cli_main pn_cli_plugin_new;
pn_cli_main pn_cli_plugin_test;
pn_cli_main pn_cli_mailbox;
pn_cli_main pn_cli_queue;
pn_cli_main pn_cli_report;
pn_cli_main pn_cli_scan;
pn_cli_main pn_cli_user;

#endif
