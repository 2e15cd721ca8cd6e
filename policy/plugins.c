/* The plugins of a configuration: their blocks, what they may, and the plan. */
#include "model.h"

#include "buf.h"
#include "needs.h"

#include <stdlib.h>
#include <unistd.h>

/* In the order of the choices of the row `edits`; the one behind them is `none`. */
static const unsigned edits[] = {PN_EDITS_HEADERS, PN_EDITS_BODY, PN_EDITS_RECIPIENTS,
                                 PN_EDITS_SENDER};
enum { EDITS = sizeof edits / sizeof edits[0] };

static bool wanted(const struct pn_compile *c, struct pn_str name)
{
    for (size_t i = 0; i < c->only_count; i++)
        if (pn_str_eq(c->only_plugins[i], name))
            return true;
    return !c->restrict_plugins;
}

static struct model_plugin *find(struct model *m, struct pn_str name)
{
    for (size_t i = 0; i < m->plugin_count; i++)
        if (pn_str_eq(m->plugins[i].name, name))
            return &m->plugins[i];
    return NULL;
}

static size_t count_rows(const struct postern_row *rows)
{
    size_t n = 0;
    while (rows != NULL && rows[n].name != NULL)
        n++;
    return n;
}

/* The host's rows and the plugin's in one table. */
static const struct postern_row *rows_of(struct model *m, const struct postern_plugin *desc,
                                         struct pn_place at)
{
    size_t ours = count_rows(pn_plugin_host_rows), theirs = count_rows(desc->rows);
    struct postern_row *rows = pn_pool_alloc(m->p.pool, (ours + theirs + 1) * sizeof *rows);
    if (rows == NULL)
        return NULL;
    memcpy(rows, pn_plugin_host_rows, ours * sizeof *rows);
    if (theirs != 0)
        memcpy(rows + ours, desc->rows, theirs * sizeof *rows);
    for (size_t i = ours; i < ours + theirs; i++)
        if (pn_row_find(pn_plugin_host_rows, rows[i].name, strlen(rows[i].name)) != NULL)
            pn_error_at(m->p.problems, at, "plugin '%s' has a row '%s', which is the host's",
                        desc->name, rows[i].name);
    return rows;
}

/* The row `file` names the shared object, but all other rows are in that object: so it
 * is looked for in the block before the block is parsed. */
static bool peek_file(struct pn_lex lex, struct pn_str *file)
{
    struct pn_place open;
    size_t depth = 0;
    if (!pn_lex_open(&lex, &open))
        return false;
    for (struct pn_token t = pn_lex_next(&lex); t.kind != PN_TOK_END; t = pn_lex_next(&lex)) {
        if (t.kind == PN_TOK_CLOSE && depth-- == 0)
            return false;
        depth += t.kind == PN_TOK_OPEN;
        if (depth == 0 && t.kind == PN_TOK_WORD && pn_str_eq(t.text, PN_STR("file"))) {
            t = pn_lex_next(&lex);
            *file = t.text;
            return pn_token_is_value(&t);
        }
    }
    return false;
}

static struct pn_str path_of(struct model *m, struct pn_str name, const struct pn_lex *lex)
{
    struct pn_str file;
    if (peek_file(*lex, &file))
        return pn_sources_path(&m->sources, file);
    const struct pn_tree_value *folder =
        pn_tree_value(pn_tree_value(m->core, "folders")->block, "plugins");
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_buf_adds(&b, folder == NULL ? m->c->plugin_folder : folder->data.text);
    (void)pn_buf_addc(&b, '/');
    (void)pn_buf_adds(&b, name);
    (void)pn_buf_addz(&b, ".so");
    struct pn_str path = pn_sources_path(&m->sources, pn_buf_str(&b));
    pn_buf_fini(&b);
    return path;
}

static struct model_plugin *load(struct model *m, const struct pn_lex *lex, struct pn_token name)
{
    if (m->plugin_count == IMG_PLUGINS_MAX) {
        pn_error_at(m->p.problems, name.at, "too many plugins, expected %d at most",
                    IMG_PLUGINS_MAX);
        return NULL;
    }
    struct model_plugin plugin = {
        .at = name.at, .name = name.text, .order = (unsigned)m->plugin_count};
    struct pn_buf err;
    pn_buf_init(&err, 800);
    plugin.file = path_of(m, name.text, lex);
    plugin.desc = m->c->find_plugin(m->c->ctx, plugin.name, plugin.file.p, &err);
    if (plugin.desc == NULL)
        pn_error_at(m->p.problems, name.at, "%.*s%s", PN_FMT(pn_buf_str(&err)),
                    access(plugin.file.p, F_OK) == 0
                        ? ""
                        : ", expected a plugin (see 'postern plugin list')");
    else if (!pn_str_eq(pn_str_of(plugin.desc->name), plugin.name))
        pn_error_at(m->p.problems, name.at, "'%.*s' is the plugin '%s', expected '%.*s'",
                    PN_FMT(plugin.file), plugin.desc->name, PN_FMT(plugin.name));
    pn_buf_fini(&err);
    if (plugin.desc == NULL)
        return NULL;
    const struct postern_row *rows = rows_of(m, plugin.desc, name.at);
    plugin.block = rows == NULL ? NULL : pn_tree_block_new(&m->p, rows, name.at);
    if (plugin.block == NULL)
        return NULL;
    m->plugins[m->plugin_count] = plugin;
    return &m->plugins[m->plugin_count++];
}

static bool on_plugin(struct pn_parser *p, void *ctx, struct pn_lex *lex, struct pn_token name)
{
    struct model *m = ctx;
    struct model_plugin *plugin = find(m, name.text);
    struct pn_place open;
    if (plugin == NULL && wanted(m->c, name.text))
        plugin = load(m, lex, name);
    if (!pn_lex_open(lex, &open))
        return true;
    if (plugin == NULL)
        pn_lex_skip_block(lex, open);
    else
        pn_tree_body(p, lex, plugin->block, open);
    return true;
}

void model_plugins(struct model *m, struct pn_lex *lex, struct pn_place at)
{
    static const char *const names[] = {NULL};
    const struct pn_body body = {on_plugin, names, m, "plugin"};
    struct pn_place open;
    if (pn_lex_open(lex, &open))
        pn_parse_body(&m->p, lex, &body, open);
    else
        pn_error_at(m->p.problems, at, "'plugins' without a block, expected '{'");
}

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
    for (unsigned stage = 0; stage < POSTERN_STAGES; stage++)
        if (desc->on[stage] != NULL)
            plugin->stages |= 1U << stage;
    settle_needs(m, plugin);
    settle_edits(m, plugin);
}

/* One behind the last of those that it reads facts of; false while one has no rank yet. */
static bool rank_of(struct model *m, const struct model_plugin *plugin, const bool *ranked,
                    unsigned *rank)
{
    *rank = 0;
    for (const char *const *after = plugin->desc->after; after != NULL && *after != NULL; after++) {
        const struct model_plugin *other = find(m, pn_str_of(*after));
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
