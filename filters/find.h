/*
 * Finding plugins for the compiler (policy/compile.h): where their shared objects lie, and
 * the descriptors of those that a configuration names. For the compile role and for
 * command-line tools, which compile alike.
 */
#ifndef PN_FIND_H
#define PN_FIND_H

#include "compile.h"
#include "loader.h"

enum { PN_FOUND_MAX = 64 };

struct pn_found {
    struct pn_plugin *plugins[PN_FOUND_MAX];
    size_t count;
    bool trial; /* each is loaded by pn_plugin_try first */
};

/* For pn_compile.find_plugin; ctx is a struct pn_found, zeroed. Its descriptors are there
 * until pn_found_fini. */
const struct postern_plugin *pn_find_plugin(void *ctx, struct pn_str name, const char *path,
                                            struct pn_buf *err);
void pn_found_fini(struct pn_found *found);

/* Loads and unloads the plugin in a child process, so that one that crashes, hangs or ends
 * its process while it is loaded takes nobody with it. False: err names the file and what
 * became of the child. A plugin that is refused passes: the caller's own load says why. For
 * programs that may fork; the compile role is such a child itself. */
bool pn_plugin_try(const char *path, struct pn_buf *err);

/* $POSTERN_PLUGINS; else `plugins` beside this program (the build tree); else where they
 * are installed. out is for the second. */
const char *pn_plugin_folder(char *out, size_t size);

#endif
