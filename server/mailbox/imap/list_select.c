#include "list_select.h"

#include "clock.h"
#include "folder_name.h"

/* What is known of each folder of the list. */
struct list_known {
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
static void look_below(const struct pn_folder_list *folders, struct list_known *known)
{
    struct list_known above[PN_FOLDER_LEVELS_MAX + 1] = {{false}};
    for (size_t i = folders->count; i-- > 0;) {
        unsigned depth = 0;
        struct pn_str name = folders->v[i].name;
        for (size_t at = 0; (at = pn_str_find(name, '/', at)) != SIZE_MAX; at++)
            depth++;
        if (depth >= PN_FOLDER_LEVELS_MAX)
            continue;
        struct list_known *k = &known[i], *under = &above[depth + 1], *over = &above[depth];
        k->below = under->below;
        k->below_hidden = under->below_hidden;
        over->below |= k->below || k->selected;
        over->below_hidden |= k->below_hidden || (k->selected && !k->matches);
        *under = (struct list_known){false};
    }
}

static bool shown(const struct list_ask *ask, const struct list_known *k)
{
    if (!k->matches)
        return false;
    return k->selected || ((ask->lsub || (ask->select & LIST_RECURSIVE) != 0) && k->below_hidden);
}

bool list_choice_init(struct list_choice *choice, const struct pn_folder_list *folders,
                      const struct list_ask *ask, struct pn_pool *pool)
{
    *choice = (struct list_choice){.folders = folders, .ask = ask};
    if (folders->count == 0)
        return true;
    choice->known = pn_pool_alloc(pool, folders->count * sizeof *choice->known);
    choice->rows.v = pn_pool_alloc(pool, folders->count * sizeof *choice->rows.v);
    return choice->known != NULL && choice->rows.v != NULL;
}

/* Some folders more are known. True: all are. */
static bool look_at_some(struct list_choice *choice, uint64_t deadline)
{
    enum { PIECE = 64 };
    const struct pn_folder_list *folders = choice->folders;
    while (choice->next < folders->count) {
        const struct pn_folder_entry *e = &folders->v[choice->next];
        struct list_known *k = &choice->known[choice->next++];
        k->matches = matches(choice->ask, e->name);
        k->selected = selected(choice->ask, e);
        if (choice->next % PIECE == 0 && pn_clock_mono_ns() >= deadline)
            break;
    }
    return choice->next == folders->count;
}

bool list_choose(struct list_choice *choice, uint64_t deadline)
{
    const struct list_ask *ask = choice->ask;
    struct list_rows *out = &choice->rows;
    if (!look_at_some(choice, deadline))
        return false;
    look_below(choice->folders, choice->known);
    for (size_t i = 0; i < choice->folders->count; i++) {
        const struct list_known *k = &choice->known[i];
        bool below = ask->lsub ? !k->selected : (ask->select & LIST_RECURSIVE) != 0 && k->below;
        if (shown(ask, k))
            out->v[out->count++] = (struct list_row){&choice->folders->v[i], below};
    }
    return true;
}
