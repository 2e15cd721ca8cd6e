/* The plugins of a configuration: their descriptors and their blocks. */
#include "model.h"

#include "buf.h"

#include <unistd.h>

static bool wanted(const struct pn_compile *c, struct pn_str name)
{
    for (size_t i = 0; i < c->only_count; i++)
        if (pn_str_eq(c->only_plugins[i], name))
            return true;
    return !c->restrict_plugins;
}

struct model_plugin *model_plugin_find(struct model *m, struct pn_str name)
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
    struct model_plugin *plugin = model_plugin_find(m, name.text);
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
