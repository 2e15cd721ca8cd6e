/* Editing the file of users: one line changes, all other bytes stay. */
#include "userfile.h"

void pn_user_print(const struct pn_user *user, struct pn_buf *out)
{
    (void)pn_buf_adds(out, user->name);
    (void)pn_buf_addc(out, ':');
    (void)pn_buf_adds(out, user->yescrypt);
    (void)pn_buf_addc(out, ':');
    (void)pn_buf_adds(out, user->scram);
    (void)pn_buf_addc(out, ':');
    (void)pn_buf_adds(out, user->options);
}

bool pn_userfile_add(struct pn_str text, const struct pn_user *user, struct pn_buf *out)
{
    (void)pn_buf_adds(out, text);
    if (text.len != 0 && text.p[text.len - 1] != '\n')
        (void)pn_buf_addc(out, '\n');
    pn_user_print(user, out);
    return pn_buf_addc(out, '\n') && !out->overflow;
}

bool pn_userfile_replace(struct pn_str text, const struct pn_user *old, const struct pn_user *user,
                         struct pn_buf *out)
{
    size_t from = (size_t)(old->line.p - text.p);
    (void)pn_buf_adds(out, pn_str_slice(text, 0, from));
    pn_user_print(user, out);
    return pn_buf_adds(out, pn_str_slice(text, from + old->line.len, text.len)) && !out->overflow;
}

bool pn_userfile_remove(struct pn_str text, const struct pn_user *old, struct pn_buf *out)
{
    size_t from = (size_t)(old->line.p - text.p);
    (void)pn_buf_adds(out, pn_str_slice(text, 0, from)); /* its line feed goes with it */
    return pn_buf_adds(out, pn_str_slice(text, from + old->line.len + 1, text.len)) &&
           !out->overflow;
}
