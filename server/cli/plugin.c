/* postern plugin: which plugins there are, and all that one declares. */
#include "cli.h"
#include "find.h"
#include "mem.h"
#include "needs.h"
#include "plugin_info.h"
#include "print.h"
#include "wrap.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern plugin list [--folder DIR] [--json]\n"
    "       postern plugin show [--folder DIR] [--config FILE] [--json] NAME|FILE\n"
    "       postern plugin new [--folder DIR] NAME\n"
    "       postern plugin test [options] [FILE.so] [SCRIPT.rpl...]\n"
    "\n"
    "list prints the plugins of a folder, show all that one declares: stages, needs, symbols\n"
    "with their weights, settings; and, of a plugin that tells, what it made of its settings:\n"
    "those of the configuration, or the defaults. new writes a plugin that builds with plain "
    "make.\n"
    "test plays replay scripts and proves a plugin. For these two: postern plugin new --help,\n"
    "postern plugin test --help.\n"
    "\n"
    "      --folder DIR   default: where plugins are installed\n"
    "  -c, --config FILE  a configuration that loads it\n"
    "      --json         one JSON object\n"
    "\n"
    "Exit status: 0 done, 1 a plugin is refused, 2 usage, 3 the folder can't be read.\n";

struct word {
    unsigned bit;
    const char *name;
};

static const struct word others[] = {{1, "prefetch"}, {2, "changed"}, {4, "tick"}, {0, NULL}};

static const struct word stages[] = {
    {1U << POSTERN_CONNECT, "connect"}, {1U << POSTERN_HELO, "helo"},
    {1U << POSTERN_MAIL, "mail"},       {1U << POSTERN_RCPT, "rcpt"},
    {1U << POSTERN_HEADERS, "headers"}, {1U << POSTERN_MESSAGE, "message"},
    {1U << POSTERN_AFTER, "after"},     {0, NULL},
};

static void print_needs(struct pn_buf *out, const char *label, unsigned bits)
{
    (void)pn_buf_addf(out, "%-12s", label);
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((bits & n->bit) != 0)
            (void)pn_buf_addf(out, " %s", n->name);
    (void)pn_buf_addz(out, bits == 0 ? " nothing\n" : "\n");
}

/* By whatever settings. */
static unsigned needs_of(const struct postern_plugin *d)
{
    unsigned bits = d->needs;
    for (const struct postern_need_if *n = d->needs_if; n != NULL && n->row != NULL; n++)
        bits |= n->needs;
    return bits;
}

/* What the sandbox leaves open for all that it may need, a line each. */
static void print_sandbox(const struct postern_plugin *d, struct pn_buf *out)
{
    unsigned bits = needs_of(d);
    const char *label = "sandbox";
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++) {
        if ((bits & n->bit) == 0)
            continue;
        (void)pn_buf_addf(out, "%-12s %s: %s\n", label, n->name, n->opens);
        label = "";
    }
    if (bits == 0)
        (void)pn_buf_addf(out, "%-12s opens nothing: no file, no socket, no process\n", label);
}

static void json_needs(struct pn_json *json, const char *key, unsigned bits)
{
    pn_json_array(json, key);
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((bits & n->bit) != 0)
            pn_json_str(json, NULL, pn_str_of(n->name));
    pn_json_array_end(json);
}

static void json_sandbox(struct pn_json *json, unsigned bits)
{
    pn_json_array(json, "sandbox");
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((bits & n->bit) != 0)
            pn_json_str(json, NULL, pn_str_of(n->opens));
    pn_json_array_end(json);
}

static unsigned stages_of(const struct postern_plugin *d)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < POSTERN_STAGES; i++)
        bits |= d->on[i] != NULL ? 1U << i : 0;
    return bits;
}

/* What it is called for beside the stages. */
static unsigned others_of(const struct postern_plugin *d)
{
    unsigned bits = (d->changed != NULL ? 2U : 0) | (d->tick != NULL ? 4U : 0);
    for (unsigned i = 0; i < POSTERN_STAGES; i++)
        bits |= d->prefetch[i] != NULL ? 1U : 0;
    return bits;
}

/* label: NULL where it stands already. */
static void print_words(struct pn_buf *out, const char *label, const struct word *words,
                        unsigned bits)
{
    if (label != NULL)
        (void)pn_buf_addf(out, "%-12s", label);
    for (const struct word *w = words; w->name != NULL; w++)
        if ((bits & w->bit) != 0)
            (void)pn_buf_addf(out, " %s", w->name);
    (void)pn_buf_addz(out, bits == 0 ? " nothing\n" : "\n");
}

static void json_words(struct pn_json *json, const char *key, const struct word *words,
                       unsigned bits)
{
    pn_json_array(json, key);
    for (const struct word *w = words; w->name != NULL; w++)
        if ((bits & w->bit) != 0)
            pn_json_str(json, NULL, pn_str_of(w->name));
    pn_json_array_end(json);
}

static const char *on_failure(const struct postern_plugin *d)
{
    return d->on_failure == POSTERN_FAIL_SKIP         ? "skip"
           : d->on_failure == POSTERN_FAIL_QUARANTINE ? "quarantine"
                                                      : "defer";
}

static uint32_t deadline(const struct postern_plugin *d)
{
    return d->deadline_ms == 0 ? PN_PLUGIN_DEADLINE_MS : d->deadline_ms;
}

static struct pn_plugin *load(const char *path, struct pn_buf *err)
{
    return pn_plugin_try(path, err) ? pn_plugin_load(path, err) : NULL;
}

/* ---- show ---- */

/* What is shown: from where, and what the plugin itself says. */
struct shown {
    const char *folder, *name, *config;
    bool json;
    bool said;
    struct pn_buf info;
};

/* "limit { key client }": a place among the settings, and what stands there. */
static void print_place(const struct postern_stage_if *s, struct pn_buf *out)
{
    struct pn_buf place;
    pn_buf_init(&place, 256);
    if (s->block != NULL)
        (void)pn_buf_addf(&place, "%s { ", s->block);
    if (s->row != NULL)
        (void)pn_buf_addf(&place, "%s %s ", s->row, s->value);
    if (s->block != NULL)
        (void)pn_buf_addc(&place, '}');
    (void)pn_buf_addf(out, "  %-32s ", pn_buf_cstr(&place));
    pn_buf_fini(&place);
}

static void print_names(struct pn_buf *out, const char *label, const char *const *names)
{
    (void)pn_buf_addf(out, "%-12s", label);
    for (const char *const *name = names; name != NULL && *name != NULL; name++)
        (void)pn_buf_addf(out, " %s", *name);
    (void)pn_buf_addz(out, names == NULL ? " nothing\n" : "\n");
}

static void json_names(struct pn_json *json, const char *key, const char *const *names)
{
    pn_json_array(json, key);
    for (const char *const *name = names; name != NULL && *name != NULL; name++)
        pn_json_str(json, NULL, pn_str_of(*name));
    pn_json_array_end(json);
}

static void show_text(const struct postern_plugin *d, const struct shown *shown, struct pn_buf *out)
{
    (void)pn_buf_addf(out, "%s %s: %s\n", d->name, d->version, d->summary);
    (void)pn_buf_addf(out, "%-12s %u.%u\n", "ABI", d->major, d->minor);
    print_words(out, "stages", stages, stages_of(d));
    for (const struct postern_stage_if *s = d->stages_if; s != NULL && s->stages != 0; s++) {
        print_place(s, out);
        print_words(out, NULL, stages, s->stages);
    }
    if (others_of(d) != 0)
        print_words(out, "beside them", others, others_of(d));
    print_needs(out, "needs", d->needs);
    for (const struct postern_need_if *n = d->needs_if; n != NULL && n->row != NULL; n++) {
        struct pn_buf label;
        pn_buf_init(&label, 256);
        (void)pn_buf_addf(&label, "  %s %s", n->row, n->value);
        print_needs(out, pn_buf_cstr(&label), n->needs);
        pn_buf_fini(&label);
    }
    print_sandbox(d, out);
    (void)pn_buf_addf(out, "%-12s %s; deadline %u ms\n", "on_failure", on_failure(d),
                      (unsigned)deadline(d));
    print_names(out, "after", d->after);
    if (d->methods != NULL)
        print_names(out, "results", d->methods);
    (void)pn_buf_addz(out, "\nsymbols\n");
    for (const struct postern_symbol *s = d->symbols; s != NULL && s->name != NULL; s++) {
        struct pn_buf weight;
        pn_buf_init(&weight, 32);
        (void)pn_buf_add_milli(&weight, s->weight);
        (void)pn_buf_addf(out, "  %-28s %6s  %s\n", s->name, pn_buf_cstr(&weight),
                          s->help == NULL ? "" : s->help);
        pn_buf_fini(&weight);
    }
    (void)pn_buf_addz(out, "\nsettings\n");
    pn_rows_print(d->rows, "", out);
    if (!shown->said)
        return;
    (void)pn_buf_addf(out, "\nmade of %s\n",
                      shown->config != NULL ? shown->config : "default settings");
    pn_info_print(pn_buf_str(&shown->info), out);
}

static void json_symbols(const struct postern_plugin *d, struct pn_json *json)
{
    pn_json_array(json, "symbols");
    for (const struct postern_symbol *s = d->symbols; s != NULL && s->name != NULL; s++) {
        pn_json_object(json, NULL);
        pn_json_str(json, "name", pn_str_of(s->name));
        pn_json_milli(json, "weight", s->weight);
        pn_json_str(json, "help", pn_str_of(s->help));
        pn_json_object_end(json);
    }
    pn_json_array_end(json);
}

static void json_head(const struct postern_plugin *d, struct pn_json *json)
{
    pn_json_str(json, "name", pn_str_of(d->name));
    pn_json_str(json, "version", pn_str_of(d->version));
    pn_json_str(json, "summary", pn_str_of(d->summary));
    char abi[16];
    (void)snprintf(abi, sizeof abi, "%u.%u", d->major, d->minor);
    pn_json_str(json, "abi", pn_str_of(abi));
    json_words(json, "stages", stages, stages_of(d));
    pn_json_array(json, "stages_if");
    for (const struct postern_stage_if *s = d->stages_if; s != NULL && s->stages != 0; s++) {
        pn_json_object(json, NULL);
        pn_json_str(json, "block", pn_str_of(s->block == NULL ? "" : s->block));
        pn_json_str(json, "row", pn_str_of(s->row == NULL ? "" : s->row));
        pn_json_str(json, "value", pn_str_of(s->value == NULL ? "" : s->value));
        json_words(json, "stages", stages, s->stages);
        pn_json_object_end(json);
    }
    pn_json_array_end(json);
    json_words(json, "beside_stages", others, others_of(d));
    json_needs(json, "needs", d->needs);
    json_sandbox(json, needs_of(d));
    pn_json_array(json, "needs_if");
    for (const struct postern_need_if *n = d->needs_if; n != NULL && n->row != NULL; n++) {
        pn_json_object(json, NULL);
        pn_json_str(json, "row", pn_str_of(n->row));
        pn_json_str(json, "value", pn_str_of(n->value));
        json_needs(json, "needs", n->needs);
        pn_json_object_end(json);
    }
    pn_json_array_end(json);
    pn_json_str(json, "on_failure", pn_str_of(on_failure(d)));
    pn_json_i64(json, "deadline_ms", deadline(d));
}

static void show_json(const struct postern_plugin *d, const struct shown *shown, struct pn_buf *out)
{
    struct pn_json json = pn_json_to(out);
    pn_json_object(&json, NULL);
    json_head(d, &json);
    json_names(&json, "after", d->after);
    json_names(&json, "results", d->methods);
    json_symbols(d, &json);
    pn_json_array(&json, "settings");
    pn_rows_json(d->rows, "", &json);
    pn_json_array_end(&json);
    if (shown->said)
        pn_info_json(pn_buf_str(&shown->info), "info", &json);
    pn_json_object_end(&json);
    (void)pn_buf_addc(out, '\n');
}

/* False: it was asked, and failed. */
static bool ask(const struct postern_plugin *d, const char *path, struct shown *s)
{
    struct pn_buf err;
    const struct pn_info_how how = {
        .name = d->name, .file = path, .config = s->config, .folder = s->folder};
    if (d->info == NULL)
        return true;
    pn_buf_init(&err, 256 * 1024);
    enum pn_info_result r = pn_plugin_info(&how, &s->info, &err);
    s->said = r == PN_INFO_SAID;
    if (r == PN_INFO_NOT_ASKED)
        fprintf(stderr, "postern plugin: %s needs settings: give a --config\n", d->name);
    else if (r == PN_INFO_FAILED)
        fprintf(stderr, "postern plugin: %s\n", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    return r != PN_INFO_FAILED;
}

static int show_plugin(const char *path, struct shown *s, struct pn_buf *out)
{
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    struct pn_plugin *plugin = load(path, &err);
    if (plugin == NULL)
        fprintf(stderr, "postern plugin: %s\n", pn_buf_cstr(&err));
    bool good = plugin != NULL && ask(pn_plugin_desc(plugin), path, s);
    if (plugin != NULL && s->json)
        show_json(pn_plugin_desc(plugin), s, out);
    else if (plugin != NULL)
        show_text(pn_plugin_desc(plugin), s, out);
    if (plugin != NULL)
        pn_plugin_unload(&plugin);
    pn_buf_fini(&err);
    return good ? PN_EXIT_DONE : PN_EXIT_NO;
}

static int show(struct shown *s, struct pn_buf *out)
{
    char path[PATH_MAX];
    if (strpbrk(s->name, "/.") == NULL) /* no file of a plugin is without these */
        (void)snprintf(path, sizeof path, "%s/%s.so", s->folder, s->name);
    else
        (void)snprintf(path, sizeof path, "%s%s", strchr(s->name, '/') == NULL ? "./" : "",
                       s->name);
    if (access(path, R_OK) != 0) { /* not refused: not there */
        fprintf(stderr, "postern plugin: %s: %s\n", path, strerror(errno));
        return PN_EXIT_UNREACHABLE;
    }
    if (s->config != NULL && access(s->config, R_OK) != 0) {
        fprintf(stderr, "postern plugin: %s: %s\n", s->config, strerror(errno));
        return PN_EXIT_UNREACHABLE;
    }
    pn_buf_init(&s->info, SIZE_MAX);
    int status = show_plugin(path, s, out);
    pn_buf_fini(&s->info);
    return status;
}

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Shared objects of a folder, sorted; owned. False: errno. */
static bool read_folder(const char *folder, char ***names, size_t *count)
{
    size_t cap = 0;
    DIR *dir = opendir(folder);
    *names = NULL;
    *count = 0;
    if (dir == NULL)
        return false;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (!pn_str_ends(pn_str_of(e->d_name), PN_STR(".so")))
            continue;
        *names = pn_grow(*names, &cap, *count, sizeof **names);
        (*names)[(*count)++] = pn_strdup(e->d_name);
    }
    (void)closedir(dir);
    if (*count != 0)
        qsort(*names, *count, sizeof **names, by_name);
    return true;
}

static bool list_one(const char *folder, const char *file, struct pn_json *json, struct pn_buf *out)
{
    char path[PATH_MAX];
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    struct pn_plugin *plugin = load(path, &err);
    bool good = plugin != NULL;
    if (json != NULL)
        pn_json_object(json, NULL);
    if (good && json != NULL)
        json_head(pn_plugin_desc(plugin), json);
    else if (json != NULL)
        pn_json_str(json, "refused", pn_buf_str(&err));
    else if (good)
        (void)pn_buf_addf(out, "%-12s %-8s %s\n", pn_plugin_desc(plugin)->name,
                          pn_plugin_desc(plugin)->version, pn_plugin_desc(plugin)->summary);
    else
        fprintf(stderr, "postern plugin: %s\n", pn_buf_cstr(&err));
    if (json != NULL)
        pn_json_object_end(json);
    if (good)
        pn_plugin_unload(&plugin);
    pn_buf_fini(&err);
    return good;
}

static int list(const char *folder, bool as_json, struct pn_buf *out)
{
    char **names;
    size_t count;
    bool good = true;
    struct pn_json json = pn_json_to(out);
    if (!read_folder(folder, &names, &count)) {
        fprintf(stderr, "postern plugin: %s: %s\n", folder, strerror(errno));
        return PN_EXIT_UNREACHABLE;
    }
    if (as_json) {
        pn_json_object(&json, NULL);
        pn_json_str(&json, "folder", pn_str_of(folder));
        pn_json_array(&json, "plugins");
    }
    for (size_t i = 0; i < count; i++) {
        good = list_one(folder, names[i], as_json ? &json : NULL, out) && good;
        free(names[i]);
    }
    free(names);
    if (as_json) {
        pn_json_array_end(&json);
        pn_json_object_end(&json);
        (void)pn_buf_addc(out, '\n');
    }
    return good ? PN_EXIT_DONE : PN_EXIT_NO;
}

int pn_cli_plugin(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "new") == 0)
        return pn_cli_plugin_new(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "test") == 0)
        return pn_cli_plugin_test(argc - 1, argv + 1);
    static const struct option options[] = {
        {"folder", required_argument, NULL, 'f'},
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char beside[PATH_MAX];
    struct shown s = {.folder = pn_plugin_folder(beside, sizeof beside)};
    int option, status = PN_EXIT_USAGE;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'f') {
            s.folder = optarg;
        } else if (option == 'c') {
            s.config = optarg;
        } else if (option == 'j') {
            s.json = true;
        } else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
    }
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    s.name = optind + 2 == argc ? argv[optind + 1] : NULL;
    if (optind + 1 == argc && strcmp(argv[optind], "list") == 0)
        status = list(s.folder, s.json, &out);
    else if (s.name != NULL && strcmp(argv[optind], "show") == 0)
        status = show(&s, &out);
    else
        fputs(usage, stderr);
    if (s.json)
        (void)fwrite(out.p == NULL ? "" : out.p, 1, out.len, stdout);
    else
        pn_wrap_print(pn_buf_str(&out));
    pn_buf_fini(&out);
    return status;
}
