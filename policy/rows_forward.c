/* The rows of the `forward` block: what holds for all aliases, and senders of forwarded mail. */
#include "rows.h"

#define DAY (INT64_C(24) * 60 * 60 * 1000)

const struct postern_row pn_forward_rows[] = {
    {.name = "depth",
     .type = POSTERN_T_INT,
     .def = "10",
     .min = 1,
     .max = 30,
     .help = "Aliases that may lead from one to the next."},
    {.name = "recipients",
     .type = POSTERN_T_INT,
     .def = "200",
     .min = 1,
     .max = 3000,
     .help = "Addresses that one alias may stand for in the end, and all of a message together."},
    {.name = NULL},
};
