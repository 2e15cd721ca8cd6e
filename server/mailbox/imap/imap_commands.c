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
    {"ENABLE", IMAP_ANY, IMAP_ARGS, 0, imap_enable},
    {"EXAMINE", IMAP_ANY, IMAP_ARGS, 0, imap_examine},
    {"EXPUNGE", IMAP_SELECTED, IMAP_MAYBE_ARGS, IMAP_UID, imap_expunge},
    {"FETCH", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_fetch},
    {"ID", IMAP_ANY, IMAP_ARGS, 0, imap_id},
    {"IDLE", IMAP_ANY, IMAP_NO_ARGS, 0, imap_idle},
    {"LOGIN", 0, IMAP_ARGS, 0, imap_login},
    {"LOGOUT", IMAP_ANY, IMAP_NO_ARGS, 0, imap_logout},
    {"MOVE", IMAP_SELECTED, IMAP_ARGS, IMAP_UID, imap_move},
    {"NOOP", IMAP_ANY, IMAP_NO_ARGS, 0, imap_noop},
    {"SEARCH", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_search},
    {"SELECT", IMAP_ANY, IMAP_ARGS, 0, imap_select},
    {"SORT", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_sort},
    {"STARTTLS", 0, IMAP_NO_ARGS, 0, imap_login},
    {"STORE", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_store},
    {"THREAD", IMAP_SELECTED, IMAP_ARGS, IMAP_UID | IMAP_BY_NUMBER, imap_thread},
    {"UNSELECT", IMAP_SELECTED, IMAP_NO_ARGS, 0, imap_unselect_command},
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
