/* Lists of recipients: one a line, a local part, or an address for one domain only. */
#include "model.h"

#include "alabel.h"
#include "buf.h"
#include "mem.h"

#include <stdlib.h>

enum { LOCAL_PART_MAX = 256 };

static struct pn_str lower(struct pn_pool *pool, struct pn_str s)
{
    char *copy = pn_pool_strdup(pool, s);
    for (size_t i = 0; copy != NULL && i < s.len; i++)
        copy[i] = pn_lower(copy[i]);
    return (struct pn_str){copy == NULL ? "" : copy, copy == NULL ? 0 : s.len};
}

static bool printable(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool parse_user(struct model *m, struct pn_place at, struct pn_str line,
                       struct model_user *out)
{
    size_t sign = line.len;
    while (sign > 0 && line.p[sign - 1] != '@')
        sign--;
    struct pn_str local = sign == 0 ? line : pn_str_slice(line, 0, sign - 1);
    struct pn_alabel room;
    struct pn_str domain = pn_alabel_domain(pn_str_slice(line, sign, line.len), &room);
    /* Behind a colon is a password: that is the other file. None is shown, or goes any further. */
    if (line.p[0] != '"' && pn_str_find(line, ':', 0) != SIZE_MAX) {
        pn_error_at(m->p.problems, at,
                    "':' is in no such name, expected one a line: user or user@domain; the file of "
                    "`postern user` belongs to auth");
        return false;
    }
    if (!printable(line) || local.len == 0 || local.len > LOCAL_PART_MAX || domain.p == NULL) {
        struct pn_str shown = pn_str_slice(line, 0, 80);
        pn_error_at(m->p.problems, at,
                    "'%.*s' is no user, expected one a line: user or user@domain", PN_FMT(shown));
        return false;
    }
    out->local = lower(m->p.pool, local);
    out->domain = sign == 0 ? PN_STR("") : lower(m->p.pool, domain);
    return true;
}

static int by_domain(const void *a, const void *b)
{
    const struct model_user *x = a, *y = b;
    int c = pn_str_cmp(x->domain, y->domain);
    return c != 0 ? c : pn_str_cmp(x->local, y->local);
}

static struct model_list read_list(struct model *m, const struct pn_source *source)
{
    struct model_list list = {.users = NULL};
    struct pn_place at = {source, 0, 1};
    for (struct pn_str rest = source->text; rest.p != NULL;) {
        struct pn_str line = pn_str_trim(pn_str_split(&rest, '\n'));
        struct model_user user;
        at.line++;
        if (line.len == 0 || line.p[0] == '#' || !parse_user(m, at, line, &user))
            continue;
        list.users = pn_grow(list.users, &list.cap, list.count, sizeof *list.users);
        list.users[list.count++] = user;
    }
    if (list.count != 0)
        qsort(list.users, list.count, sizeof *list.users, by_domain);
    return list;
}

static struct model_list *list_of(struct model *m, struct pn_str path, struct pn_place at)
{
    bool is_new;
    uint32_t number = pn_intern_add(&m->list_paths, path, &is_new);
    if (is_new) {
        const struct pn_source *source = pn_source_read(&m->sources, path, at);
        struct model_list none = {.users = NULL};
        m->lists = pn_grow(m->lists, &m->list_cap, number, sizeof *m->lists);
        m->lists[number] = source == NULL ? none : read_list(m, source);
    }
    return &m->lists[number];
}

/* The first user whose domain is not below this one. */
static size_t lower_bound(const struct model_list *list, struct pn_str domain)
{
    size_t from = 0, to = list->count;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (pn_str_cmp(list->users[mid].domain, domain) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static int by_text(const void *a, const void *b)
{
    return pn_str_cmp(*(const struct pn_str *)a, *(const struct pn_str *)b);
}

struct pn_str *model_users(struct model *m, struct pn_str path, struct pn_place at,
                           struct pn_str domain, uint32_t *count, bool *shared)
{
    const struct model_list *list = list_of(m, path, at);
    struct pn_str *out = pn_calloc(list->count + 1, sizeof *out);
    size_t n = 0, kept = 0;
    while (n < list->count && list->users[n].domain.len == 0) {
        out[n] = list->users[n].local;
        n++;
    }
    size_t from = domain.len == 0 ? list->count : lower_bound(list, domain);
    *shared = from == list->count || !pn_str_eq(list->users[from].domain, domain);
    for (; from < list->count && pn_str_eq(list->users[from].domain, domain); from++)
        out[n++] = list->users[from].local;
    qsort(out, n, sizeof *out, by_text);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !pn_str_eq(out[kept - 1], out[i]))
            out[kept++] = out[i];
    *count = (uint32_t)kept;
    return out;
}
