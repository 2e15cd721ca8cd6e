/* postern check: configuration, policy and plugins, as the server would read them. */
#include "cli.h"
#include "compiled.h"
#include "json.h"
#include "memfile.h"
#include "needs.h"
#include "plan.h"
#include "scan_host.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern check [-c FILE] [--root DIR] [--quick] [--json]\n"
    "\n"
    "Reads configuration, policy, plugins and lists as the server would at start or reload,\n"
    "and says what it would refuse: file:line:column, the text, and what was expected.\n"
    "Plugins are started as the server starts them, so that they can look at their settings\n"
    "and files too.\n"
    "\n"
    "  -c, --config FILE  default " PN_CONFIG_FILE "\n"
    "      --root DIR     as given to the server\n"
    "      --quick        starts no plugins: virus signatures take long to load\n"
    "      --json         one JSON object\n"
    "\n"
    "Exit status: 0 the server would take it, 1 it would not, 2 usage, 3 FILE can't be read.\n";

static const char *version_of(const struct pn_compiled *c, struct pn_str name)
{
    for (size_t i = 0; i < c->plugins.count; i++)
        if (pn_str_eq(name, pn_str_of(pn_plugin_desc(c->plugins.plugins[i])->name)))
            return pn_plugin_desc(c->plugins.plugins[i])->version;
    return "";
}

/* What it was granted, with whom it shares processes, and when it is asked. */
static void say_plugin(const struct pn_compiled *c, const struct pn_plugin_row *row)
{
    unsigned needs = pn_plugin_needs(row);
    printf("    %.*s %s: group %u; granted", PN_FMT(pn_plugin_name(row)),
           version_of(c, pn_plugin_name(row)), pn_plugin_group(row));
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((needs & n->bit) != 0)
            printf(" %s", n->name);
    printf("%s%s; stages", (needs & PN_NEED_LOCAL) != 0 ? " (UNIX sockets too)" : "",
           needs == 0 ? " nothing" : "");
    for (unsigned s = 0; s < POSTERN_STAGES; s++)
        if ((pn_plugin_stages(row) >> s & 1) != 0)
            printf(" %s", pn_stage_name(s));
    printf("%s\n", pn_plugin_stages(row) == 0 ? " none" : "");
}

static void json_plugin(struct pn_json *json, const struct pn_compiled *c,
                        const struct pn_plugin_row *row)
{
    pn_json_object(json, NULL);
    pn_json_str(json, "name", pn_plugin_name(row));
    pn_json_str(json, "version", pn_str_of(version_of(c, pn_plugin_name(row))));
    pn_json_i64(json, "group", pn_plugin_group(row));
    pn_json_array(json, "granted");
    for (const struct pn_need *n = pn_needs; n->name != NULL; n++)
        if ((pn_plugin_needs(row) & n->bit) != 0)
            pn_json_str(json, NULL, pn_str_of(n->name));
    pn_json_array_end(json);
    pn_json_array(json, "stages");
    for (unsigned s = 0; s < POSTERN_STAGES; s++)
        if ((pn_plugin_stages(row) >> s & 1) != 0)
            pn_json_str(json, NULL, pn_str_of(pn_stage_name(s)));
    pn_json_array_end(json);
    pn_json_bool(json, "unix_sockets", (pn_plugin_needs(row) & PN_NEED_LOCAL) != 0);
    pn_json_object_end(json);
}

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
    for (size_t i = 0; i < pn_policy_plugin_count(p); i++)
        say_plugin(c, pn_policy_plugin(p, i));
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
    pn_json_array(&json, "plugins");
    for (size_t i = 0; c->policy != NULL && i < pn_policy_plugin_count(c->policy); i++)
        json_plugin(&json, c, pn_policy_plugin(c->policy, i));
    pn_json_array_end(&json);
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

/* What a plugin says of its settings it says in the processes that will run it. */
static void start_plugins(struct pn_compiled *c)
{
    struct pn_buf err;
    pn_buf_init(&err, 64 * 1024);
    int fd = pn_memfile_of("policy", pn_buf_str(&c->image));
    struct pn_loop *loop = pn_loop_new();
    struct pn_plan *plan = pn_plan_new(c->policy, 1);
    struct pn_scan_host *host = fd < 0 ? NULL : pn_scan_host_new(loop, plan, fd, false, 1, &err);
    if (host == NULL) {
        const char *why = pn_buf_cstr(&err);
        pn_error_in(&c->problems, PN_STR(""), "%s",
                    fd < 0        ? "no memory file for the policy"
                    : why == NULL ? "no memory"
                                  : why);
        pn_policy_unref(&c->policy);
    }
    pn_scan_host_free(&host);
    pn_plan_unref(&plan);
    pn_loop_free(&loop);
    if (fd >= 0)
        (void)close(fd);
    pn_buf_fini(&err);
}

int pn_cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"root", required_argument, NULL, 'r'},
        {"quick", no_argument, NULL, 'q'},        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    const char *file = PN_CONFIG_FILE, *root = NULL;
    bool json = false, quick = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'c') {
            file = optarg;
        } else if (option == 'r') {
            root = optarg;
        } else if (option == 'q') {
            quick = true;
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
    if (c.policy != NULL && !quick && pn_policy_plugin_count(c.policy) != 0)
        start_plugins(&c);
    int status = pn_compiled_tell(&c);
    if (json)
        say_json(&c, file);
    else if (c.policy != NULL)
        say_whole(&c, file);
    pn_compiled_fini(&c);
    return status;
}
