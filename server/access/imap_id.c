#include "imap_id.h"

enum { FIELDS_MAX = 30 }; /* RFC 2971, section 3.3 */

static bool field(struct pn_imap_args *args)
{
    struct pn_str name, value;
    return pn_imap_string(args, &name) && pn_imap_sp(args) && pn_imap_nstring(args, &value);
}

bool pn_imap_id_args(struct pn_imap_args *args)
{
    if (pn_imap_word(args, "NIL"))
        return pn_imap_end(args);
    if (!pn_imap_char(args, '('))
        return false;
    for (int fields = 0; !pn_imap_char(args, ')'); fields++)
        if (fields == FIELDS_MAX || (fields != 0 && !pn_imap_sp(args)) || !field(args))
            return false;
    return pn_imap_end(args);
}

void pn_imap_id_put(struct pn_buf *out)
{
    (void)pn_buf_addz(out, "* ID (\"name\" \"Postern\")\r\n");
}
