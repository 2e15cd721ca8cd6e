/*
 * One value of a settings row: from the operator's text to what its type says, and
 * back for print. Pure, but for what type FILE asks of the file system elsewhere.
 *
 * Units: sizes are bytes, durations milliseconds, weights thousandths.
 */
#ifndef PN_VALUE_H
#define PN_VALUE_H

#include "net.h"
#include "rows.h"

struct pn_value_data {
    int64_t number;     /* bool, int, size, duration, weight; a choice's index */
    struct pn_net net;  /* address, network, the address of an endpoint */
    struct pn_str text; /* as given; borrowed */
};

/* type and limits come from row; a title is parsed as a row of its type. False: err got
 * what was expected, "a duration such as 500ms, 3s, 2h". */
bool pn_value_parse(const struct postern_row *row, struct pn_str text, struct pn_value_data *out,
                    struct pn_buf *err);

bool pn_size_parse(struct pn_str text, int64_t *bytes);
bool pn_duration_parse(struct pn_str text, int64_t *ms);
bool pn_weight_parse(struct pn_str text, int32_t *thousandths);
void pn_size_print(struct pn_buf *out, int64_t bytes);
void pn_duration_print(struct pn_buf *out, int64_t ms);

/*
 * A reply: code, optional enhanced code (RFC 3463) of the same class, text of printable
 * UTF-8; one line of at most PN_REPLY_TEXT_MAX bytes. class is 2, 4 or 5.
 */
enum { PN_REPLY_TEXT_MAX = 400 };
bool pn_reply_check(struct pn_str text, int reply_class, struct pn_buf *err);

#endif
