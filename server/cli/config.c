/* postern config: what a configuration comes to, and what can be configured. */
#include "cli.h"
#include "compiled.h"
#include "print.h"
#include "wrap.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] =
    "usage: postern config show [--all] [-c FILE] [--root DIR] [--json]\n"
    "       postern config rows [--json]\n"
    "\n"
    "show prints every setting and policy line, each with the place that it came from; what\n"
    "it prints with --all is a configuration that comes to the same.\n"
    "rows prints what can be set: name, type, default, limits, and what it is for.\n"
    "\n"
    "      --all          the defaults too\n"
    "  -c, --config FILE  default " PN_CONFIG_FILE "\n"
    "      --root DIR     as given to the server\n"
    "      --json         one JSON object\n"
    "\n"
    "Exit status: 0 done, 1 the configuration is refused, 2 usage, 3 FILE can't be read.\n";

struct options {
    const char *file, *root;
    bool all, json;
};

static void put(struct pn_buf *out)
{
    (void)fwrite(out->p == NULL ? "" : out->p, 1, out->len, stdout);
    pn_buf_fini(out);
}

static int show(const struct options *o)
{
    struct pn_compiled c;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    pn_compiled_init(&c, o->file, o->root);
    int status = pn_compiled_tell(&c);
    if (c.policy != NULL && o->json)
        pn_policy_print_json(c.policy, o->all, &out);
    else if (c.policy != NULL)
        pn_policy_print(c.policy, o->all, &out);
    pn_compiled_fini(&c);
    put(&out);
    return status;
}

static int rows(const struct options *o)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    if (o->json) {
        struct pn_json json = pn_json_to(&out);
        pn_json_object(&json, NULL);
        pn_json_array(&json, "settings");
        pn_rows_json(pn_core_rows, "", &json);
        pn_rows_json(pn_plugin_host_rows, "plugins.NAME.", &json);
        pn_json_array_end(&json);
        pn_json_array(&json, "statements");
        pn_statements_json(&json);
        pn_json_array_end(&json);
        pn_json_object_end(&json);
        (void)pn_buf_addc(&out, '\n');
    } else {
        pn_rows_print(pn_core_rows, "", &out);
        (void)pn_buf_addz(&out, "\nEvery plugin, beside its own (postern plugin show NAME):\n\n");
        pn_rows_print(pn_plugin_host_rows, "plugins.NAME.", &out);
        (void)pn_buf_addz(&out, "\nIn `defaults { }` and `domain \"NAME\" { }`:\n\n");
        pn_statements_print(&out);
        pn_wrap_print(pn_buf_str(&out));
        pn_buf_clear(&out);
    }
    put(&out);
    return PN_EXIT_DONE;
}

int pn_cli_config(int argc, char **argv)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},        {"config", required_argument, NULL, 'c'},
        {"root", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    struct options o = {.file = PN_CONFIG_FILE};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'a') {
            o.all = true;
        } else if (option == 'c') {
            o.file = optarg;
        } else if (option == 'r') {
            o.root = optarg;
        } else if (option == 'j') {
            o.json = true;
        } else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
    }
    struct pn_str what = pn_str_of(optind + 1 == argc ? argv[optind] : "");
    if (pn_str_eq(what, PN_STR("show")))
        return show(&o);
    if (pn_str_eq(what, PN_STR("rows")))
        return rows(&o);
    fputs(usage, stderr);
    return PN_EXIT_USAGE;
}
