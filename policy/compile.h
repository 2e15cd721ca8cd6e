/*
 * From files to the compiled policy (policy.h): parse, look up plugins, resolve, emit.
 *
 * Reads files and calls back for plugins; touches nothing else. The same sources give
 * the same image, bit for bit, so that its generation names it.
 */
#ifndef PN_COMPILE_H
#define PN_COMPILE_H

#include "source.h"

#include <postern/plugin.h>

enum { PN_IMAGE_MAX = 1024 * 1024 * 1024, PN_COMPILE_POOL_MAX = 1024 * 1024 * 1024 };

struct pn_compile {
    struct pn_str file; /* the main file; problems show it as it stands here */
    struct pn_str text; /* .p set: the main file's text, which is not read then */
    struct pn_str root; /* --root DIR, or empty */
    /* Default of `folders { plugins }`. */
    struct pn_str plugin_folder;
    /* Where set, only these of the configured plugins are loaded. */
    bool restrict_plugins;
    const struct pn_str *only_plugins;
    size_t only_count;
    /* The descriptor of the plugin called name, whose file would be path (absolute,
     * NUL-terminated); its tables have been checked as filters/loader.h does. It must
     * outlive the call of pn_compile_run. NULL with a sentence in err. */
    const struct postern_plugin *(*find_plugin)(void *ctx, struct pn_str name, const char *path,
                                                struct pn_buf *err);
    void *ctx;
};

/* Appends the image. False: problems say why. pool holds what problems point to, and
 * whatever else is needed on the way. */
bool pn_compile_run(const struct pn_compile *c, struct pn_pool *pool, struct pn_problems *problems,
                    struct pn_buf *image);

#endif
