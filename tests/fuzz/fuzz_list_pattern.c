/* A pattern of LIST and a name, with a NUL between them: matched as a plain table does it. */
#include "assert.h"
#include "folder_name.h"
#include "list_pattern.h"
#include "mem.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Does the pattern match, by the textbook: one row of answers a byte of the pattern. */
static bool plainly(struct pn_str pattern, struct pn_str name, size_t folded)
{
    bool *row = pn_calloc(name.len + 1, sizeof *row), *next = pn_calloc(name.len + 1, sizeof *row);
    row[0] = true;
    for (size_t p = 0; p < pattern.len; p++) {
        char c = pattern.p[p];
        bool wild = c == '*' || c == '%';
        next[0] = wild && row[0];
        for (size_t n = 0; n < name.len; n++)
            next[n + 1] = wild ? row[n + 1] || (next[n] && (c == '*' || name.p[n] != '/'))
                               : row[n] && (c == name.p[n] ||
                                            (n < folded && pn_lower(c) == pn_lower(name.p[n])));
        bool *other = row;
        row = next;
        next = other;
    }
    bool matched = row[name.len];
    free(row);
    free(next);
    return matched;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str in = {(const char *)data, size};
    struct pn_str name = in, pattern = pn_str_split(&name, '\0');
    static const struct pn_str inbox = PN_STR_INIT("INBOX");
    if (name.p == NULL || name.len > PN_FOLDER_NAME_MAX || pattern.len > 4096)
        return 0;
    size_t folded = pn_str_eq(name, inbox) || folder_name_below(name, inbox) ? inbox.len : 0;
    struct pn_pool *pool = pn_pool_new(100000);
    struct list_pattern *p = list_pattern_new(pool, PN_STR(""), pattern);
    pn_assert(p != NULL);
    pn_assert(list_pattern_matches(p, name) == plainly(pattern, name, folded));
    pn_pool_free(&pool);
    return 0;
}
