#include "loader.h"

#include "mem.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much of the descriptor a plugin of each minor has at least: up to what came next. */
static const size_t size_of_minor[] = {
    [0] = offsetof(struct postern_plugin, prefetch),
    [1] = sizeof(struct postern_plugin),
};
_Static_assert(sizeof size_of_minor / sizeof size_of_minor[0] == POSTERN_ABI_MINOR + 1,
               "each minor has a row, for ever");

struct pn_plugin {
    void *handle;
    struct postern_plugin desc;
    size_t symbols;
};

static bool refuse(struct pn_buf *err, const char *path, const char *why)
{
    (void)pn_buf_addf(err, "%s: %s", path, why);
    return false;
}

/* dlopen's sentence, without the path, which refuse says. */
static const char *why_not_opened(const char *path)
{
    const char *why = dlerror();
    size_t n = strlen(path);
    if (why == NULL)
        return "can't be loaded";
    return strncmp(why, path, n) == 0 && why[n] == ':' && why[n + 1] == ' ' ? why + n + 2 : why;
}

static bool file_ok(const char *path, struct stat *st, struct pn_buf *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) != 0) {
        const char *why = strerror(errno);
        if (fd >= 0)
            (void)close(fd);
        return refuse(err, path, why);
    }
    (void)close(fd);
    if (!S_ISREG(st->st_mode))
        return refuse(err, path, "a plugin must be a regular file");
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return refuse(err, path, "a plugin must be owned by root or by the user that loads it");
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return refuse(err, path, "others may write this plugin; take group and world write away");
    return true;
}

/* The path may name another file by now: what was mapped must be what was looked at. */
static bool same_file(void *handle, const struct stat *want)
{
    struct link_map *map = NULL;
    struct stat st;
    return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && stat(map->l_name, &st) == 0 &&
           st.st_dev == want->st_dev && st.st_ino == want->st_ino &&
           st.st_ctim.tv_sec == want->st_ctim.tv_sec && st.st_ctim.tv_nsec == want->st_ctim.tv_nsec;
}

/* Bytes that the object file gives the symbol, 0 if unknown. */
static size_t symbol_size(const void *symbol)
{
    Dl_info info;
    void *entry = NULL;
    if (dladdr1(symbol, &info, &entry, RTLD_DL_SYMENT) == 0 || entry == NULL)
        return 0;
    return ((const ElfW(Sym) *)entry)->st_size;
}

static bool abi_ok(const struct postern_plugin *d, size_t room, const char *path,
                   struct pn_buf *err)
{
    const size_t head = offsetof(struct postern_plugin, name);
    if (room < head || d->size < head || d->size > room)
        return refuse(err, path, "its `postern_plugin` is not a plugin's descriptor");
    if (d->major != POSTERN_ABI_MAJOR || d->minor > POSTERN_ABI_MINOR) {
        (void)pn_buf_addf(err,
                          "%s: built for plugin ABI %u.%u, this Postern has %d.%d (it takes %d.0 "
                          "to %d.%d)",
                          path, d->major, d->minor, POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR,
                          POSTERN_ABI_MAJOR, POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR);
        return false;
    }
    if (d->size < size_of_minor[d->minor]) {
        (void)pn_buf_addf(err,
                          "%s: says plugin ABI %u.%u, but its descriptor has %u bytes, not %zu",
                          path, d->major, d->minor, d->size, size_of_minor[d->minor]);
        return false;
    }
    /* Made with a later header, for this host too: if it does not use what is new there. */
    for (size_t i = sizeof *d; i < d->size; i++)
        if (((const char *)d)[i] != 0) {
            (void)pn_buf_addf(err,
                              "%s: says plugin ABI %u.%u, but uses what came later than %d.%d, "
                              "this Postern's",
                              path, d->major, d->minor, POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR);
            return false;
        }
    return true;
}

static bool take_descriptor(struct pn_plugin *plugin, const char *path, struct pn_buf *err)
{
    const struct postern_plugin *d = dlsym(plugin->handle, "postern_plugin");
    if (d == NULL)
        return refuse(err, path, "exports no `postern_plugin`: not a plugin");
    if (!abi_ok(d, symbol_size(d), path, err))
        return false;
    /* Of an older minor the rest stays zero. */
    memcpy(&plugin->desc, d, d->size < sizeof *d ? d->size : sizeof *d);
    plugin->desc.size = sizeof plugin->desc;
    struct pn_buf why;
    pn_buf_init(&why, 1024);
    bool ok = pn_plugin_check(&plugin->desc, &why);
    if (!ok)
        (void)refuse(err, path, pn_buf_cstr(&why));
    pn_buf_fini(&why);
    return ok;
}

struct pn_plugin *pn_plugin_load(const char *path, struct pn_buf *err)
{
    struct stat st;
    if (!file_ok(path, &st, err))
        return NULL;
    struct pn_plugin *plugin = pn_calloc(1, sizeof *plugin);
    plugin->handle = dlopen(path, RTLD_LOCAL | RTLD_NOW);
    if (plugin->handle == NULL) {
        (void)refuse(err, path, why_not_opened(path));
        goto fail;
    }
    if (!same_file(plugin->handle, &st)) {
        (void)refuse(err, path, "was replaced while it was loaded");
        goto fail;
    }
    if (!take_descriptor(plugin, path, err))
        goto fail;
    while (plugin->desc.symbols != NULL && plugin->desc.symbols[plugin->symbols].name != NULL)
        plugin->symbols++;
    return plugin;
fail:
    pn_plugin_unload(&plugin);
    return NULL;
}

void pn_plugin_unload(struct pn_plugin **pluginp)
{
    struct pn_plugin *plugin = *pluginp;
    if (plugin == NULL)
        return;
    *pluginp = NULL;
    if (plugin->handle != NULL)
        (void)dlclose(plugin->handle);
    free(plugin);
}

const struct postern_plugin *pn_plugin_desc(const struct pn_plugin *plugin)
{
    return &plugin->desc;
}

size_t pn_plugin_symbols(const struct pn_plugin *plugin)
{
    return plugin->symbols;
}
