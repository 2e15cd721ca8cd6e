/*
 * Loading a plugin: from a file to a descriptor that the rest may rely on.
 *
 * The file is looked at before any of its code runs: a regular file, owned by root or
 * by us, which nobody else may write; what dlopen then maps must be that same file.
 * It is opened with RTLD_LOCAL | RTLD_NOW and exports the const object
 * `postern_plugin` (<postern/plugin.h>). A foreign major, or a minor newer than ours,
 * is refused in words that name both versions. Names, rows and symbols are checked
 * here once, so that no later code checks them again.
 *
 * A loaded plugin keeps a copy of the descriptor, filled up with zeros where the
 * plugin was built for an older minor. Its tables stay those of the object: borrowed,
 * valid until pn_plugin_unload. Not thread-safe; load before threads start.
 */
#ifndef PN_LOADER_H
#define PN_LOADER_H

#include "buf.h"

#include <postern/plugin.h>

enum {
    PN_PLUGIN_NAME_MAX = 32,
    PN_PLUGIN_TEXT_MAX = 200, /* version, summary, help */
    PN_PLUGIN_ROWS_MAX = 256, /* of one block */
    PN_PLUGIN_ROW_DEPTH = 4,  /* blocks in blocks */
    PN_PLUGIN_SYMBOLS_MAX = 1024,
    PN_PLUGIN_AFTER_MAX = 32,
    PN_PLUGIN_NEEDS_MAX = 32,  /* by setting */
    PN_PLUGIN_STAGES_MAX = 64, /* the same */
    PN_PLUGIN_METHODS_MAX = 16,
    PN_PLUGIN_DEADLINE_MAX_MS = 600 * 1000,
    PN_PLUGIN_DEADLINE_MS = 5000, /* where a plugin says 0 */
    PN_PLUGIN_WEIGHT_MAX = 1000 * 1000,
    PN_SYMBOL_NAME_MAX = 64
};

/* The fact that stands for a plugin that failed; no plugin may declare it. */

struct pn_plugin;

/* Owned. NULL with a sentence in err: "PATH: why not". */
struct pn_plugin *pn_plugin_load(const char *path, struct pn_buf *err);
void pn_plugin_unload(struct pn_plugin **plugin);
/* Borrowed; every pointer that the contract allows to be NULL may be. */
const struct postern_plugin *pn_plugin_desc(const struct pn_plugin *plugin);
/* How many symbols it declares. */
size_t pn_plugin_symbols(const struct pn_plugin *plugin);

/* The checks of the tables alone; err gets the sentence without the path. */
bool pn_plugin_check(const struct postern_plugin *desc, struct pn_buf *err);
/* "A-Z, 0-9, _", a letter first, PN_SYMBOL_NAME_MAX at most. */
bool pn_symbol_name_ok(struct pn_str name);

#endif
