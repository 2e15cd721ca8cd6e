/* The rows of `mailbox`, as the role goes by them. */
#include "mailbox_int.h"

static uint32_t number(const struct pn_policy *p, const char *row)
{
    return (uint32_t)pn_policy_int(p, row);
}

struct pn_policy *mailbox_settings_of(struct pn_generation *gen, struct mailbox_settings *out,
                                      struct pn_buf *err)
{
    struct pn_policy *p = pn_policy_open(gen->policy_fd, err);
    gen->policy_fd = -1;
    if (p == NULL)
        return NULL;
    *out = (struct mailbox_settings){.mailboxes = number(p, "mailboxes"),
                                     .sessions = number(p, "mailbox.sessions"),
                                     .user_sessions = number(p, "mailbox.sessions-per-user"),
                                     .threads = number(p, "mailbox.threads")};
    struct pn_str delimiter = pn_policy_str(p, "smtp.delimiter");
    out->delimiter = delimiter.len == 1 ? delimiter.p[0] : '\0';
    return p;
}
