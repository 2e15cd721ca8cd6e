/* Every command of a session after login; by name, for the search. */
#include "imap_int.h"

#include <stdlib.h>

static const struct imap_row rows[] = {
    {"APPEND", IMAP_ANY, IMAP_ARGS, IMAP_STREAM, imap_append},
    {"AUTHENTICATE", 0, IMAP_ARGS, 0, imap_login},
    {"CAPABILITY", IMAP_ANY, IMAP_NO_ARGS, IMAP_BY_NUMBER, imap_capability},
    {"CHECK", IMAP_SELECTED, IMAP_NO_ARGS, 0, imap_check},
    {"CLOSE", IMAP_SELECTED, IMAP_NO_ARGS, 0, imap_close},
    {"COMPRESS", IMAP_ANY, IMAP_ARGS, 0, imap_compress},
    {"COPY", IMAP_SELECTED, IMAP_ARGS, IMAP_UID, imap_copy},
    {"CREATE", IMAP_ANY, IMAP_ARGS, 0, imap_create},
    {"DELETE", IMAP_ANY, IMAP_ARGS, 0, imap_delete},
    {"ENABLE", IMAP_ANY, IMAP_ARGS, 0, imap_enable},
    {"EXAMINE", IMAP_ANY, IMAP_ARGS, 0, imap_examine},
    {"EXPUNGE", IMAP_SELECTED, IMAP_MAYBE_ARGS, IMAP_UID, imap_expunge},
    {"FETCH", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_fetch},
    {"GETQUOTA", IMAP_ANY, IMAP_ARGS, 0, imap_getquota},
    {"GETQUOTAROOT", IMAP_ANY, IMAP_ARGS, 0, imap_getquotaroot},
    {"ID", IMAP_ANY, IMAP_ARGS, 0, imap_id},
    {"IDLE", IMAP_ANY, IMAP_NO_ARGS, 0, imap_idle},
    {"LIST", IMAP_ANY, IMAP_ARGS, 0, imap_list},
    {"LOGIN", 0, IMAP_ARGS, 0, imap_login},
    {"LOGOUT", IMAP_ANY, IMAP_NO_ARGS, 0, imap_logout},
    {"LSUB", IMAP_ANY, IMAP_ARGS, 0, imap_lsub},
    {"MOVE", IMAP_SELECTED, IMAP_ARGS, IMAP_UID, imap_move},
    {"NAMESPACE", IMAP_ANY, IMAP_NO_ARGS, 0, imap_namespace},
    {"NOOP", IMAP_ANY, IMAP_NO_ARGS, 0, imap_noop},
    {"RENAME", IMAP_ANY, IMAP_ARGS, 0, imap_rename},
    {"SEARCH", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_search},
    {"SELECT", IMAP_ANY, IMAP_ARGS, 0, imap_select},
    {"SETQUOTA", IMAP_ANY, IMAP_ARGS, 0, imap_setquota},
    {"SORT", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_sort},
    {"STARTTLS", 0, IMAP_NO_ARGS, 0, imap_login},
    {"STATUS", IMAP_ANY, IMAP_ARGS, 0, imap_status},
    {"STORE", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_store},
    {"SUBSCRIBE", IMAP_ANY, IMAP_ARGS, 0, imap_subscribe},
    {"THREAD", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_thread},
    {"UNSELECT", IMAP_SELECTED, IMAP_NO_ARGS, 0, imap_unselect_command},
    {"UNSUBSCRIBE", IMAP_ANY, IMAP_ARGS, 0, imap_unsubscribe},
};

/* Letters without case, as in the rows' order. */
static int by_name(const void *key, const void *row)
{
    const struct pn_str *a = key;
    struct pn_str b = pn_str_of(((const struct imap_row *)row)->name);
    for (size_t i = 0; i < a->len && i < b.len; i++)
        if (pn_lower(a->p[i]) != pn_lower(b.p[i]))
            return pn_lower(a->p[i]) < pn_lower(b.p[i]) ? -1 : 1;
    return a->len == b.len ? 0 : a->len < b.len ? -1 : 1;
}

const struct imap_row *imap_row_find(struct pn_str name)
{
    return bsearch(&name, rows, sizeof rows / sizeof rows[0], sizeof rows[0], by_name);
}
