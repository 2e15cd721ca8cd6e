/* The rows of a `mailbox` block: users who read their mail here. */
#include "rows.h"

#define MB     INT64_C(1048576)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)

const struct postern_row pn_mailbox_rows[] = {
    {.name = "plain-login",
     .type = POSTERN_T_CHOICE,
     .def = "never",
     .choices = "never|loopback",
     .help = "Who may log in without TLS: nobody, or clients of this machine (a webmail)."},
    {.name = "login-time",
     .type = POSTERN_T_DURATION,
     .def = "1m",
     .min = SECOND,
     .max = 30 * MINUTE,
     .help = "From connecting to a login; then a client is told to go."},
    {.name = "sessions",
     .type = POSTERN_T_INT,
     .def = "20000",
     .min = 1,
     .max = 1000000,
     .help = "Sessions of one of the processes that keep mailboxes, at once."},
    {.name = "sessions-per-user",
     .type = POSTERN_T_INT,
     .def = "50",
     .min = 1,
     .max = 100000,
     .help = "Sessions of one user at once; mail programs open some each."},
    {.name = "threads",
     .type = POSTERN_T_INT,
     .def = "16",
     .min = 4,
     .max = 256,
     .help = "Commands that are worked on at once by each of these processes; one user has a "
             "quarter of them at most, and a quarter is for commands that begin. Those that take "
             "long may have as many again."},
    {.name = "quota",
     .type = POSTERN_T_SIZE,
     .def = "0",
     .max = INT64_C(1) << 50,
     .help = "What a user without a quota of his own may keep; 0: no limit."},
    {.name = "tag-folders",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "Mail to user+folder goes into that user's folder of that name, if there is one."},
    {.name = "quota-messages",
     .type = POSTERN_T_INT,
     .def = "0",
     .max = INT64_C(1000000000),
     .help = "The same, counted in messages; 0: no limit."},
    {.name = NULL},
};
