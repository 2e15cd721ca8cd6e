/* postern check: configuration, policy and plugins, as the server would read them. */
#include "cli.h"
#include "compiled.h"
#include "json.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] =
    "usage: postern check [-c FILE] [--root DIR] [--json]\n"
    "\n"
    "Reads configuration, policy, plugins and lists as the server would at start or reload,\n"
    "and says what it would refuse: file:line:column, the text, and what was expected.\n"
    "\n"
    "  -c, --config FILE  default " PN_CONFIG_FILE "\n"
    "      --root DIR     as given to the server\n"
    "      --json         one JSON object\n"
    "\n"
    "Exit status: 0 the server would take it, 1 it would not, 2 usage, 3 FILE can't be read.\n";

static void say_whole(const struct pn_compiled *c, const char *file)
{
    const struct pn_policy *p = c->policy;
    struct pn_str generation = pn_policy_generation(p);
    printf("%s: good; listeners %zu, domains %zu, generation %.*s\n", file,
           pn_policy_listen_count(p), pn_policy_domain_count(p), PN_FMT(generation));
    printf("plugins:");
    for (size_t i = 0; i < pn_policy_plugin_count(p); i++) {
        struct pn_str name = pn_plugin_name(pn_policy_plugin(p, i));
        printf(" %.*s", PN_FMT(name));
    }
    printf("%s\n", pn_policy_plugin_count(p) == 0 ? " none" : "");
}

static void say_json(const struct pn_compiled *c, const char *file)
{
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    struct pn_json json = pn_json_to(&out);
    pn_json_object(&json, NULL);
    pn_json_str(&json, "file", pn_str_of(file));
    pn_json_bool(&json, "good", c->policy != NULL);
    if (c->policy != NULL)
        pn_json_str(&json, "generation", pn_policy_generation(c->policy));
    pn_json_array(&json, "problems");
    for (size_t i = 0; i < c->problems.count; i++) {
        const struct pn_problem *p = &c->problems.list[i];
        pn_json_object(&json, NULL);
        pn_json_str(&json, "where", p->where);
        pn_json_str(&json, "text", p->text);
        pn_json_bool(&json, "warning", p->warning);
        pn_json_object_end(&json);
    }
    pn_json_array_end(&json);
    pn_json_i64(&json, "not_shown", (int64_t)c->problems.unseen);
    pn_json_object_end(&json);
    (void)pn_buf_addc(&out, '\n');
    (void)fwrite(out.p, 1, out.len, stdout);
    pn_buf_fini(&out);
}

int pn_cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"root", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *file = PN_CONFIG_FILE, *root = NULL;
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'c') {
            file = optarg;
        } else if (option == 'r') {
            root = optarg;
        } else if (option == 'j') {
            json = true;
        } else {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? PN_EXIT_DONE : PN_EXIT_USAGE;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return PN_EXIT_USAGE;
    }
    struct pn_compiled c;
    pn_compiled_init(&c, file, root);
    int status = pn_compiled_tell(&c);
    if (json)
        say_json(&c, file);
    else if (c.policy != NULL)
        say_whole(&c, file);
    pn_compiled_fini(&c);
    return status;
}
