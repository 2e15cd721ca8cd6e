/* The rows of the `auth` block: who logs in, and how brute force is met. */
#include "rows.h"

#include <stddef.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)

const struct postern_row pn_auth_rows[] = {
    {.name = "users",
     .type = (enum postern_type)PN_T_PATH,
     .flags = PN_ROW_UNDER_ROOT | PN_ROW_SOON,
     .def = "/etc/postern/users",
     .help = "The file that `postern user` edits; only the supervisor opens it, and looks once a "
             "second whether it changed. With --root DIR: DIR/auth-users."},
    {.name = "slow-after",
     .type = POSTERN_T_INT,
     .def = "3",
     .min = 1,
     .max = 1000,
     .help = "Failures of an address or at an account; from then on each answer is later, by 10 s "
             "at most."},
    {.name = "address-failures",
     .type = POSTERN_T_INT,
     .def = "20",
     .min = 1,
     .max = 10000,
     .help = "Failures that shut out an address (IPv6: its /64), but for accounts that logged in "
             "from there before."},
    {.name = "account-failures",
     .type = POSTERN_T_INT,
     .def = "100",
     .min = 1,
     .max = 10000,
     .help = "Failures that shut an account, but from where it logged in before."},
    {.name = "forget",
     .type = POSTERN_T_DURATION,
     .def = "10m",
     .min = SECOND,
     .max = 7 * DAY,
     .help = "In this time one failure is forgotten, and who is shut out may try once."},
    {.name = "shared",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Where many users come from one address (a webmail): failures count for accounts "
             "only."},
    {.name = "threads",
     .type = POSTERN_T_INT,
     .def = "0",
     .max = 64,
     .help = "That check passwords, with 16 MB and some 20 ms each; 0: one for every two CPUs."},
    {.name = "waiting",
     .type = POSTERN_T_INT,
     .def = "64",
     .min = 1,
     .max = 10000,
     .help = "Passwords that may wait for a thread; beyond them a client is told to try again. A "
             "quarter is kept for accounts that logged in from there before."},
    {.name = NULL},
};
