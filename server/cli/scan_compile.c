#include "scan_compile.h"

#include "find.h"
#include "memfile.h"
#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAMES_MAX = 64 };

static bool has_files(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    bool any = false;
    while (d != NULL && (e = readdir(d)) != NULL)
        any = any || e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return any;
}

/* The configuration where none is given. clamav needs signatures, dnsbl a zone: both are
 * the site's to name. */
static void default_text(struct pn_buf *out, const char *folder)
{
    static const char *const names[] = {"client", "spf", "dkim", "dmarc", "rules", "clamav"};
    char path[PATH_MAX];
    (void)pn_buf_addz(out, "smtp { hostname \"localhost\" }\nplugins {\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s.so", folder, names[i]);
        if (access(path, R_OK) != 0 ||
            (strcmp(names[i], "clamav") == 0 && !has_files("/var/lib/clamav")))
            continue;
        (void)pn_buf_addf(out, "    %s\n", names[i]);
    }
    (void)pn_buf_addz(out, "}\ninclude \"postern:default\"\ndefaults { recipients any }\n");
}

static size_t split_names(const char *list, struct pn_str names[NAMES_MAX])
{
    size_t n = 0;
    struct pn_str rest = pn_str_of(list);
    while (rest.p != NULL && n < NAMES_MAX) {
        size_t end = 0;
        while (end < rest.len && rest.p[end] != ',' && rest.p[end] != ' ')
            end++;
        if (end != 0)
            names[n++] = pn_str_slice(rest, 0, end);
        rest = end < rest.len ? pn_str_slice(rest, end + 1, rest.len) : (struct pn_str){NULL, 0};
    }
    return n;
}

/* A name that is none of the configured must not pass as a check that found nothing. */
static bool names_found(const struct pn_str *names, size_t count, const struct pn_found *found,
                        struct pn_buf *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < found->count &&
               !pn_str_eq(names[i], pn_str_of(pn_plugin_desc(found->plugins[k])->name)))
            k++;
        if (k == found->count) {
            (void)pn_buf_addf(err, "--plugins: '%.*s' is not configured, expected one that is\n",
                              PN_FMT(names[i]));
            return false;
        }
    }
    return true;
}

int pn_scan_compile(const char *config, const char *plugins, bool *usage, struct pn_buf *err)
{
    char folder[PATH_MAX];
    struct pn_str names[NAMES_MAX];
    struct pn_found plugins_found = {.trial = true};
    struct pn_pool *pool = pn_pool_new(PN_COMPILE_POOL_MAX);
    struct pn_problems problems;
    struct pn_buf text, image;
    int fd = -1;
    pn_buf_init(&text, 1 << 20);
    pn_buf_init(&image, PN_IMAGE_MAX);
    pn_problems_init(&problems, pool);
    const char *found = pn_plugin_folder(folder, sizeof folder);
    struct pn_compile c = {.file = pn_str_of(config != NULL ? config : "default"),
                           .plugin_folder = pn_str_of(found),
                           .find_plugin = pn_find_plugin,
                           .ctx = &plugins_found};
    if (config == NULL) {
        default_text(&text, found);
        c.text = pn_buf_str(&text);
    }
    if (plugins != NULL) {
        c.restrict_plugins = true;
        c.only_plugins = names;
        c.only_count = split_names(plugins, names);
    }
    if (!pn_compile_run(&c, pool, &problems, &image)) {
        pn_problems_print(err, &problems, true);
    } else if (!names_found(names, c.only_count, &plugins_found, err)) {
        *usage = true;
    } else {
        fd = pn_memfile_of("policy", pn_buf_str(&image));
        if (fd < 0)
            (void)pn_buf_addf(err, "no memory file for the policy: %s", strerror(errno));
    }
    pn_found_fini(&plugins_found);
    pn_buf_fini(&text);
    pn_buf_fini(&image);
    pn_pool_free(&pool);
    return fd;
}
