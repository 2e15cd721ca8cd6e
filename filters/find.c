#include "find.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct postern_plugin *pn_find_plugin(void *ctx, struct pn_str name, const char *path,
                                            struct pn_buf *err)
{
    struct pn_found *found = ctx;
    (void)name;
    if (found->count == PN_FOUND_MAX) {
        (void)pn_buf_addz(err, "too many plugins");
        return NULL;
    }
    if (found->trial && !pn_plugin_try(path, err))
        return NULL;
    struct pn_plugin *plugin = pn_plugin_load(path, err);
    if (plugin == NULL)
        return NULL;
    found->plugins[found->count++] = plugin;
    return pn_plugin_desc(plugin);
}

void pn_found_fini(struct pn_found *found)
{
    while (found->count > 0)
        pn_plugin_unload(&found->plugins[--found->count]);
}

const char *pn_plugin_folder(char *out, size_t size)
{
    const char *env = getenv("POSTERN_PLUGINS");
    char self[PATH_MAX];
    if (env != NULL)
        return env;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash = NULL;
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
    }
    if (slash != NULL) {
        *slash = '\0';
        (void)snprintf(out, size, "%s/plugins", self);
        if (access(out, X_OK) == 0)
            return out;
    }
    return PN_PLUGIN_DIR;
}
