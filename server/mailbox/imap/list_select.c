#include "list_select.h"

#include "folder_name.h"

/* What is known of each folder of the list. */
struct known {
    bool matches;      /* a pattern */
    bool selected;     /* by the options */
    bool below;        /* one below it is selected */
    bool below_hidden; /* one below it is, and matches no pattern: it speaks for that one */
};

static bool matches(const struct list_ask *ask, struct pn_str name)
{
    for (size_t i = 0; i < ask->pattern_count; i++)
        if (list_pattern_matches(ask->patterns[i], name))
            return true;
    return false;
}

static bool selected(const struct list_ask *ask, const struct pn_folder_entry *e)
{
    if (ask->lsub)
        return e->subscribed;
    if ((ask->select & (LIST_SUBSCRIBED | LIST_SPECIAL_USE)) == 0)
        return e->exists || e->children;
    return ((ask->select & LIST_SUBSCRIBED) == 0 || e->subscribed) &&
           ((ask->select & LIST_SPECIAL_USE) == 0 || e->use != PN_USE_NONE);
}

/* From the last to the first: those below one follow it, so they are known before it. above[d] is
 * what those met so far below a folder of d levels, and not above it, come to. */
static void look_below(const struct pn_folder_list *folders, struct known *known)
{
    struct known above[PN_FOLDER_LEVELS_MAX + 1] = {{false}};
    for (size_t i = folders->count; i-- > 0;) {
        unsigned depth = 0;
        struct pn_str name = folders->v[i].name;
        for (size_t at = 0; (at = pn_str_find(name, '/', at)) != SIZE_MAX; at++)
            depth++;
        if (depth >= PN_FOLDER_LEVELS_MAX)
            continue;
        struct known *k = &known[i], *under = &above[depth + 1], *over = &above[depth];
        k->below = under->below;
        k->below_hidden = under->below_hidden;
        over->below |= k->below || k->selected;
        over->below_hidden |= k->below_hidden || (k->selected && !k->matches);
        *under = (struct known){false};
    }
}

static bool shown(const struct list_ask *ask, const struct known *k)
{
    if (!k->matches)
        return false;
    return k->selected || ((ask->lsub || (ask->select & LIST_RECURSIVE) != 0) && k->below_hidden);
}

bool list_select(const struct pn_folder_list *folders, const struct list_ask *ask,
                 struct pn_pool *pool, struct list_rows *out)
{
    *out = (struct list_rows){NULL, 0};
    if (folders->count == 0)
        return true;
    struct known *known = pn_pool_alloc(pool, folders->count * sizeof *known);
    out->v = pn_pool_alloc(pool, folders->count * sizeof *out->v);
    if (known == NULL || out->v == NULL)
        return false;
    for (size_t i = 0; i < folders->count; i++) {
        known[i].matches = matches(ask, folders->v[i].name);
        known[i].selected = selected(ask, &folders->v[i]);
    }
    look_below(folders, known);
    for (size_t i = 0; i < folders->count; i++)
        if (shown(ask, &known[i]))
            out->v[out->count++] = (struct list_row){
                &folders->v[i], ask->lsub ? !known[i].selected
                                          : (ask->select & LIST_RECURSIVE) != 0 && known[i].below};
    return true;
}
