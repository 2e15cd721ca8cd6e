/* What a configuration makes of its plugins: needs, stages, edits, ranks and groups. */
#include "model.h"

#include "buf.h"
#include "needs.h"

#include <stdlib.h>

/* In the order of the choices of the row `edits`; the one behind them is `none`. */
static const unsigned edits[] = {PN_EDITS_HEADERS, PN_EDITS_BODY, PN_EDITS_RECIPIENTS,
                                 PN_EDITS_SENDER};
enum { EDITS = sizeof edits / sizeof edits[0] };

static unsigned needs_of(const struct model_plugin *plugin)
{
    unsigned needs = plugin->desc->needs;
    for (const struct postern_need_if *n = plugin->desc->needs_if; n != NULL && n->row != NULL;
         n++) {
        const struct pn_tree_value *v = pn_tree_value(plugin->block, n->row);
        if (v != NULL && pn_str_eq(v->data.text, pn_str_of(n->value)))
            needs |= n->needs;
    }
    return needs;
}

static bool is_path(struct pn_str s)
{
    return pn_str_starts(s, PN_STR("/")) || pn_str_starts(s, PN_STR("unix:")) ||
           pn_str_starts(s, PN_STR("local:"));
}

/* Whether the operator wrote down where a daemon of this machine listens: UNIX sockets are
 * closed where nobody did. A block lies in blocks no deeper than rows do. */
static bool names_socket(const struct pn_tree_block *block)
{
    for (size_t i = 0; block->rows[i].name != NULL; i++)
        for (const struct pn_tree_value *v = block->entries[i].first; v != NULL; v = v->next)
            if ((block->rows[i].type == POSTERN_T_STRING && is_path(v->data.text)) ||
                (v->block != NULL && (is_path(v->block->title) || names_socket(v->block))))
                return true;
    return false;
}

static unsigned granted_by(const struct pn_tree_entry *grant)
{
    unsigned granted = 0;
    if (grant->count == 0)
        return ~(unsigned)POSTERN_NEED_NETWORK;
    for (const struct pn_tree_value *v = grant->first; v != NULL; v = v->next)
        for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
            if (pn_str_eq(v->data.text, pn_str_of(n->name)))
                granted |= n->bit;
    return granted | POSTERN_NEED_ALONE;
}

/* With commas, since a word of the list may be the name of one of its rows. */
static void add_names(struct pn_buf *b, unsigned bits)
{
    const char *before = " ";
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((bits & n->bit) != 0) {
            (void)pn_buf_addf(b, "%s%s", before, n->name);
            before = ", ";
        }
}

/* What the operator did not grant is refused, with the line that grants it. */
static void settle_needs(struct model *m, struct model_plugin *plugin)
{
    unsigned needs = needs_of(plugin);
    const struct pn_tree_entry *entry = pn_tree_entry(plugin->block, "grant");
    struct pn_place at = entry->count == 0 ? plugin->at : entry->first->at;
    unsigned missing = needs & ~granted_by(entry);
    if (missing != 0) {
        struct pn_buf what, line;
        pn_buf_init(&what, 200);
        pn_buf_init(&line, 200);
        add_names(&what, missing);
        add_names(&line, needs & ~(unsigned)POSTERN_NEED_ALONE);
        pn_error_at(m->p.problems, at,
                    "plugin '%.*s' %s asks for%s, which is not granted, expected 'grant%s'",
                    PN_FMT(plugin->name), plugin->desc->version, pn_buf_cstr(&what),
                    pn_buf_cstr(&line));
        pn_buf_fini(&line);
        pn_buf_fini(&what);
    }
    if ((needs & POSTERN_NEED_NETWORK) != 0 && names_socket(plugin->block))
        needs |= PN_NEED_LOCAL;
    plugin->needs = needs;
}

static void settle_edits(struct model *m, struct model_plugin *plugin)
{
    const struct pn_tree_entry *entry = pn_tree_entry(plugin->block, "edits");
    bool none = false;
    plugin->edits = 0;
    for (const struct pn_tree_value *v = entry->first; v != NULL; v = v->next) {
        none = none || v->data.number == EDITS;
        plugin->edits |= v->data.number == EDITS ? 0 : edits[v->data.number];
    }
    if (none && plugin->edits != 0)
        pn_error_at(m->p.problems, entry->first->at,
                    "'none' beside other edits, expected one "
                    "or the other");
}

static bool stage_row_holds(const struct postern_stage_if *s, const struct pn_tree_block *block)
{
    bool holds = s->row == NULL;
    for (const struct pn_tree_value *v = holds ? NULL : pn_tree_value(block, s->row);
         v != NULL && !holds; v = v->next)
        holds = pn_str_eq(v->data.text, pn_str_of(s->value));
    return holds;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Of the rows about blocks of this name: what the first that holds says, with its neighbours. */
static unsigned stages_in(const struct postern_stage_if *rows, const char *name,
                          const struct pn_tree_block *block)
{
    const struct postern_stage_if *first = NULL;
    unsigned stages = 0;
    for (const struct postern_stage_if *s = rows; s->stages != 0; s++) {
        if (!same(s->block, name))
            continue;
        if (first != NULL && !same(s->row, first->row))
            break;
        if (stage_row_holds(s, block)) {
            first = first == NULL ? s : first;
            stages |= s->stages;
        }
    }
    return stages;
}

/* Those it has a callback for, less those for which its settings have no use. */
static unsigned stages_of(const struct model_plugin *plugin)
{
    static const struct postern_stage_if none = {.stages = 0};
    const struct postern_plugin *desc = plugin->desc;
    const struct postern_stage_if *rows = desc->stages_if != NULL ? desc->stages_if : &none;
    unsigned has = 0, named = 0, wanted = stages_in(rows, NULL, plugin->block);
    for (unsigned stage = 0; stage < POSTERN_STAGES; stage++)
        has |= desc->on[stage] != NULL ? 1U << stage : 0;
    for (const struct postern_stage_if *s = rows; s->stages != 0; s++) {
        named |= s->stages;
        for (const struct pn_tree_value *v =
                 s->block == NULL ? NULL : pn_tree_value(plugin->block, s->block);
             v != NULL && v->block != NULL; v = v->next)
            wanted |= stages_in(rows, s->block, v->block);
    }
    return has & (~named | wanted);
}

static void settle(struct model *m, struct model_plugin *plugin)
{
    const struct postern_plugin *desc = plugin->desc;
    pn_tree_finish(&m->p, plugin->block, desc->name);
    const struct pn_tree_value *on_failure = pn_tree_value(plugin->block, "on_failure");
    const struct pn_tree_value *deadline = pn_tree_value(plugin->block, "deadline");
    const struct pn_tree_value *workers = pn_tree_value(plugin->block, "workers");
    const struct pn_tree_value *alone = pn_tree_value(workers->block, "alone");
    const struct pn_tree_value *general = pn_tree_value(m->core, "deadline");
    plugin->on_failure =
        on_failure == NULL ? (unsigned)desc->on_failure : (unsigned)on_failure->data.number;
    plugin->deadline_ms = deadline != NULL         ? (uint32_t)deadline->data.number
                          : desc->deadline_ms != 0 ? desc->deadline_ms
                                                   : (uint32_t)general->data.number;
    plugin->alone = alone != NULL && alone->data.number != 0;
    plugin->stages = stages_of(plugin);
    for (const char *const *method = desc->methods; method != NULL && *method != NULL; method++)
        plugin->methods |= strcmp(*method, "iprev") == 0 ? PN_METHOD_IPREV : 0;
    settle_needs(m, plugin);
    settle_edits(m, plugin);
}

/* One behind the last of those that it reads facts of; false while one has no rank yet. */
static bool rank_of(struct model *m, const struct model_plugin *plugin, const bool *ranked,
                    unsigned *rank)
{
    *rank = 0;
    for (const char *const *after = plugin->desc->after; after != NULL && *after != NULL; after++) {
        const struct model_plugin *other = model_plugin_find(m, pn_str_of(*after));
        if (other == NULL)
            continue;
        if (!ranked[other - m->plugins])
            return false;
        if (other->rank + 1 > *rank)
            *rank = other->rank + 1;
    }
    return true;
}

static void set_ranks(struct model *m)
{
    bool ranked[IMG_PLUGINS_MAX] = {false};
    size_t done = 0, before;
    do {
        before = done;
        for (size_t i = 0; i < m->plugin_count; i++) {
            if (!ranked[i] && rank_of(m, &m->plugins[i], ranked, &m->plugins[i].rank)) {
                ranked[i] = true;
                done++;
            }
        }
    } while (done != before);
    for (size_t i = 0; i < m->plugin_count; i++)
        if (!ranked[i])
            pn_error_at(m->p.problems, m->plugins[i].at,
                        "plugin '%.*s' runs after one that runs after it, expected no circle",
                        PN_FMT(m->plugins[i].name));
}

static int by_rank(const void *a, const void *b)
{
    const struct model_plugin *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Plugins share a worker where the same things must stay open for them. What the host
 * does for them (DNS, state) and what is open in prepare alone makes no group of its own. */
static void set_groups(struct model *m)
{
    const unsigned apart =
        POSTERN_NEED_TMP | POSTERN_NEED_NETWORK | POSTERN_NEED_THREADS | PN_NEED_LOCAL;
    for (size_t i = 0; i < m->plugin_count; i++) {
        struct model_plugin *plugin = &m->plugins[i];
        bool own = plugin->alone || (plugin->needs & POSTERN_NEED_ALONE) != 0;
        plugin->group = m->groups;
        for (size_t k = 0; k < i && !own; k++) {
            const struct model_plugin *other = &m->plugins[k];
            if (!other->alone && (other->needs & POSTERN_NEED_ALONE) == 0 &&
                (other->needs & apart) == (plugin->needs & apart)) {
                plugin->group = other->group;
                break;
            }
        }
        m->groups += plugin->group == m->groups;
    }
}

static void set_after(struct model *m, struct model_plugin *plugin)
{
    plugin->after = 0;
    for (const char *const *name = plugin->desc->after; name != NULL && *name != NULL; name++)
        for (size_t i = 0; i < m->plugin_count; i++)
            if (pn_str_eq(m->plugins[i].name, pn_str_of(*name)))
                plugin->after |= UINT64_C(1) << i;
}

void model_plan(struct model *m)
{
    for (size_t i = 0; i < m->plugin_count; i++)
        settle(m, &m->plugins[i]);
    set_ranks(m);
    qsort(m->plugins, m->plugin_count, sizeof m->plugins[0], by_rank);
    for (size_t i = 0; i < m->plugin_count; i++)
        set_after(m, &m->plugins[i]);
    set_groups(m);
}
