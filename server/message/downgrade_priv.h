/* Inside the message folder only: values of single fields in ASCII. */
#ifndef PN_DOWNGRADE_PRIV_H
#define PN_DOWNGRADE_PRIV_H

#include "buf.h"

/* Each appends what stands behind the colon of a field, without its last line end; eol stands in
 * its folds. `name` is that of the field: the first line has room for less where it is long. False
 * at out's limit, or where there is no ASCII for it; what was appended is then to be dropped. */
bool downgrade_addresses(struct pn_str value, struct pn_str name, struct pn_str eol,
                         struct pn_buf *out);
bool downgrade_text(struct pn_str value, struct pn_str name, struct pn_str eol, struct pn_buf *out);
/* token: what is to stand before the parameters; params: it and they. */
bool downgrade_params(struct pn_str token, struct pn_str params, struct pn_str eol,
                      struct pn_buf *out);

#endif
