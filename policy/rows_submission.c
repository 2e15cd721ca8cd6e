/* The rows of a `submission` block: mail that users submit. */
#include "rows.h"

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

const struct postern_row pn_submission_rows[] = {
    {.name = "from",
     .type = POSTERN_T_CHOICE,
     .def = "own",
     .choices = "own|any",
     .help = "Who may stand in From, Sender, Resent-From and Resent-Sender: addresses of the "
             "user's own, "
             "or anybody. MAIL FROM is always an address of his own, or empty."},
    {.name = "hide-client",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "Leave the name and address of a user's computer out of Received; events have them."},
    {.name = "recipients-per-hour",
     .type = POSTERN_T_INT,
     .def = "500",
     .max = 1000000,
     .help = "Recipients in an hour of one user; who sends to more is taken for stolen: what he "
             "sends is held. 0: no limit."},
    {.name = "hold-for",
     .type = POSTERN_T_DURATION,
     .def = "1d",
     .min = 1000,
     .max = 30 * DAY,
     .help =
         "How long all that such an account sends is held, or until the server is started anew; "
         "`postern queue list --held --user` shows it."},
    {.name = "trust",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Users that recipients-per-hour is not for, as newsletters' senders; patterns with "
             "* and ?. Ends the hold of an account, too."},
    {.name = NULL},
};
