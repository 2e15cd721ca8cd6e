#include "filter.h"

#include "block.h"
#include "jail.h"
#include "mem.h"
#include "needs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct pn_group {
    struct pn_plan *plan; /* a reference */
    unsigned count;
    struct host_plugin plugins[PN_PLAN_PLUGINS_MAX];
};

static uint64_t after_of(const struct pn_plan *plan, const struct postern_plugin *d)
{
    uint64_t after = 0;
    for (const char *const *name = d->after; name != NULL && *name != NULL; name++) {
        int i = pn_plan_find(plan, pn_str_of(*name));
        if (i >= 0)
            after |= UINT64_C(1) << i;
    }
    return after;
}

static bool load(struct pn_group *g, unsigned index, struct pn_str tmp, struct pn_buf *err)
{
    const struct pn_plan_plugin *row = &g->plan->plugins[index];
    struct host_plugin *p = &g->plugins[g->count];
    char *path = pn_strndup(row->file.p, row->file.len);
    *p = (struct host_plugin){.loaded = pn_plugin_load(path, err),
                              .index = index,
                              .needs = row->needs,
                              .settings = row->settings};
    free(path);
    if (p->loaded == NULL)
        return false;
    g->count++;
    p->desc = pn_plugin_desc(p->loaded);
    p->symbols = pn_plugin_symbols(p->loaded);
    p->after = after_of(g->plan, p->desc);
    if ((row->needs & POSTERN_NEED_TMP) != 0)
        p->tmp_folder = tmp;
    if (pn_str_eq(pn_str_of(p->desc->name), row->name))
        return true;
    (void)pn_buf_addf(err, "%.*s: is plugin \"%s\", not \"%.*s\"", PN_FMT(row->file), p->desc->name,
                      PN_FMT(row->name));
    return false;
}

static bool prepare(struct host_plugin *p, struct pn_buf *err)
{
    struct host_setup setup;
    if (p->desc->prepare == NULL)
        return true;
    struct pn_buf why;
    pn_buf_init(&why, 4000);
    host_setup_init(&setup, p, &why);
    bool ok = p->desc->prepare(&setup.setup, &p->prepared) == POSTERN_OK;
    if (!ok)
        (void)pn_buf_addf(err, "plugin %s: %s", p->desc->name,
                          why.len != 0 ? pn_buf_cstr(&why)
                                       : "prepare failed, and did not say why (setup_error)");
    pn_buf_fini(&why);
    return ok;
}

/* ---- the jail in which plugins are loaded: nothing but what they ask for is open there */

struct paths {
    struct pn_jail_path *list; /* owned, and each path */
    size_t count, cap;
};

static void add_path(void *ctx, struct postern_str path)
{
    struct paths *p = ctx;
    if (path.len == 0 || path.p[0] != '/')
        return;
    p->list = pn_grow(p->list, &p->cap, p->count, sizeof *p->list);
    p->list[p->count++] = (struct pn_jail_path){pn_strndup(path.p, path.len), false};
}

static void paths_fini(struct paths *p)
{
    for (size_t i = 0; i < p->count; i++)
        free((char *)(uintptr_t)p->list[i].path);
    free(p->list);
}

/* Libraries, and what they look at when they are loaded. */
static void add_system(struct paths *p)
{
    static const char *const system[] = {"/usr",
                                         "/lib",
                                         "/lib64",
                                         "/etc/ld.so.cache",
                                         "/etc/ssl",
                                         "/etc/localtime",
                                         "/dev/null",
                                         "/dev/urandom",
                                         "/proc/cpuinfo",
                                         "/proc/meminfo",
                                         "/sys/devices/system/cpu"};
    for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
        add_path(p, (struct postern_str){system[i], strlen(system[i])});
}

static bool has_files(const struct pn_plan_plugin *p)
{
    return (p->needs & POSTERN_NEED_FILES) != 0;
}

/* files: those of settings too, of the plugins that need them. */
static bool enter_jail(const struct pn_plan *plan, unsigned group, bool files,
                       const struct pn_role_env *env, struct pn_buf *err)
{
    struct paths paths = {0};
    struct pn_jail jail = {.kind = PN_JAIL_LOAD, .grants = pn_group_grants(plan, group)};
    add_system(&paths);
    for (unsigned i = 0; i < plan->count; i++) {
        const struct pn_plan_plugin *row = &plan->plugins[i];
        if (row->group != group)
            continue;
        add_path(&paths, (struct postern_str){row->file.p, row->file.len});
        if (files && has_files(row) && row->settings != NULL)
            pn_block_paths(row->settings, add_path, &paths);
    }
    jail.paths = paths.list;
    jail.path_count = paths.count;
    bool ok = pn_jail_enter(env, &jail);
    if (!ok)
        (void)pn_buf_addz(err, "the jail for loading plugins could not be entered");
    paths_fini(&paths);
    return ok;
}

/* The template forks, and so what it loads may: but a process of its own it may not keep. */
static bool left_child(const struct pn_group *g, struct pn_buf *err)
{
    siginfo_t info;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return false;
    (void)pn_buf_addf(err, "plugin %s: it left a process behind when it prepared",
                      g->plugins[g->count - 1].desc->name);
    return true;
}

static bool load_those(struct pn_group *g, unsigned group, bool files, struct pn_str tmp_folder,
                       const struct pn_role_env *env, struct pn_buf *err)
{
    const struct pn_plan *plan = g->plan;
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->plugins[i].group == group && has_files(&plan->plugins[i]) == files &&
            (!load(g, i, tmp_folder, err) || !prepare(&g->plugins[g->count - 1], err) ||
             (env != NULL && left_child(g, err))))
            return false;
    return true;
}

static int by_index(const void *a, const void *b)
{
    const struct host_plugin *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* A jail only narrows, so those that read files come first. Processes whose parent ends become
 * ours, so that left_child sees them too. */
static bool load_all(struct pn_group *g, unsigned group, struct pn_str tmp_folder,
                     const struct pn_role_env *env, struct pn_buf *err)
{
    bool files = false;
    if (env != NULL)
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (unsigned i = 0; i < g->plan->count; i++)
        files |= g->plan->plugins[i].group == group && has_files(&g->plan->plugins[i]);
    if (files && ((env != NULL && !enter_jail(g->plan, group, true, env, err)) ||
                  !load_those(g, group, true, tmp_folder, env, err)))
        return false;
    if (env != NULL && !enter_jail(g->plan, group, false, env, err))
        return false;
    return load_those(g, group, false, tmp_folder, env, err);
}

struct pn_group *pn_group_load(struct pn_plan *plan, unsigned group, struct pn_str tmp_folder,
                               const struct pn_role_env *env, struct pn_buf *err)
{
    struct pn_group *g = pn_calloc(1, sizeof *g);
    g->plan = pn_plan_ref(plan);
    if (!load_all(g, group, tmp_folder, env, err)) {
        pn_group_free(&g);
        return NULL;
    }
    if (g->count > 1)
        qsort(g->plugins, g->count, sizeof g->plugins[0], by_index);
    return g;
}

void pn_group_free(struct pn_group **group)
{
    struct pn_group *g = *group;
    if (g == NULL)
        return;
    *group = NULL;
    for (unsigned i = 0; i < g->count; i++) {
        struct host_plugin *p = &g->plugins[i];
        if (p->desc != NULL && p->desc->prepare_free != NULL && p->prepared != NULL)
            p->desc->prepare_free(p->prepared);
        pn_plugin_unload(&p->loaded);
    }
    pn_plan_unref(&g->plan);
    free(g);
}

struct host_plugin *pn_group_plugins(struct pn_group *g, unsigned *count)
{
    *count = g->count;
    return g->plugins;
}

unsigned pn_group_grants(const struct pn_plan *plan, unsigned group)
{
    unsigned needs = 0, grants = 0;
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->plugins[i].group == group)
            needs |= plan->plugins[i].needs;
    if ((needs & POSTERN_NEED_NETWORK) != 0)
        grants |= PN_GRANT_CONNECT | PN_GRANT_FILES; /* what libraries try is refused well */
    if ((needs & PN_NEED_LOCAL) != 0)
        grants |= PN_GRANT_LOCAL;
    if ((needs & POSTERN_NEED_TMP) != 0)
        grants |= PN_GRANT_FILES | PN_GRANT_WRITE;
    return grants;
}
