/* postern plugin test: a plugin under replay scripts, faults and hostile messages. */
#include "prove.h"

#include "cli.h"
#include "find.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "prove_blame.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern plugin test [options] [FILE.so] [SCRIPT.rpl...]\n"
    "\n"
    "Plays replay scripts, each on a server of its own with a DNS and a clock of its own, and\n"
    "compares every answer. With FILE.so that is the plugin they run; then it is proved, in\n"
    "workers like the server's, on the sessions of the scripts and on hostile ones: with a worker\n"
    "replaced behind each stage (the facts must be the same), the connection ended at each, slow\n"
    "and broken DNS, each of its allocations failing; and whether a session leaves memory,\n"
    "descriptors or threads behind.\n"
    "\n"
    "      --scripts       only the scripts\n"
    "      --only TRIAL    only trials whose names begin so, as a finding prints them\n"
    "      --points N      allocations to fail, a session (default 200; 0: none)\n"
    "      --fuzz SECONDS  then mutated messages and envelopes, for so long\n"
    "      --seed N        of --fuzz, as it was printed\n"
    "      --save DIR      a script for each finding that repeats it (--fuzz: here, if not said)\n"
    "      --json          one JSON object\n"
    "  -v, --verbose       names what passed too\n"
    "\n"
    "How scripts are written: man 5 postern-replay. Calls of the host that are refused whatever\n"
    "a message says, and writing to what it lent, are findings of the kind misuse.\n"
    "Where FILE+0x1234 stands in a finding, addr2line -e FILE 0x1234 says the line.\n"
    "\n"
    "Exit status: 0 nothing was found, 1 something was, 2 usage, 3 a file can't be read.\n";

enum { SCRIPTS_MAX = 1000, POINTS = 200, SHOWN = 3 /* findings that say the same */ };
/* Plugins see this time where a script says none, so that a trial is the same every day. */
static const int64_t noon_ms = INT64_C(1795348800) * 1000; /* 2026-11-22 */

struct test {
    char file[PATH_MAX], name[64], version[64];
    bool has_file, json, verbose, only_scripts, unreachable, seeded;
    struct rpl *scripts[SCRIPTS_MAX];
    size_t count;
    unsigned needs, fuzz_seconds;
    uint64_t seed;
    struct prove_report report;
    struct prove_plan plan;
    struct heap_counts *heap;
    struct prove_calls *calls;
};

static void say(const struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct test *t, const char *fmt, ...)
{
    va_list ap;
    if (t->json)
        return;
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)fflush(stdout);
}

/* ---- scripts */

static void play_all(struct test *t)
{
    struct rpl_options o = {t->has_file ? t->name : NULL, t->file};
    for (size_t i = 0; i < t->count && t->plan.only == NULL; i++) {
        struct pn_buf err;
        pn_buf_init(&err, 1 << 20);
        t->report.trials++;
        if (rpl_play(t->scripts[i], &o, &err)) {
            t->report.passed++;
            if (t->verbose)
                say(t, "ok   %s\n", t->scripts[i]->path);
        } else {
            prove_find(&t->plan, PROVE_SCRIPT, t->scripts[i]->path, NULL, pn_buf_cstr(&err), NULL,
                       NULL);
        }
        pn_buf_fini(&err);
    }
}

/* ---- proof */

static void name_case(const struct rpl *script, const struct rpl_case *c, char out[PROVE_NAME_MAX])
{
    const char *slash = strrchr(script->path, '/');
    (void)snprintf(out, PROVE_NAME_MAX, "%s:%u", slash == NULL ? script->path : slash + 1, c->line);
}

/* seeds: those of the script and, behind them, the hostile ones. */
static void fuzz(struct test *t, struct prove *p, const struct rpl *script,
                 const struct rpl_case *cases, size_t count, const struct prove_case *hostile,
                 size_t hostile_count)
{
    struct prove_case *seeds = pn_calloc(count + hostile_count, sizeof *seeds);
    size_t n = 0, before = t->report.trials;
    for (size_t i = 0; i < count; i++)
        seeds[n++] = (struct prove_case){"seed", &cases[i]};
    for (size_t i = 0; i < hostile_count; i++)
        if (hostile[i].session->content.len < 64 * 1024)
            seeds[n++] = hostile[i];
    unsigned share = t->fuzz_seconds / (unsigned)(t->count == 0 ? 1 : t->count);
    say(t, "fuzz: seed %" PRIu64 ", %u s\n", t->seed, share == 0 ? 1 : share);
    prove_fuzz(p, seeds, n, script, share == 0 ? 1 : share, t->seed, &t->plan);
    say(t, "fuzz: %zu trials\n", t->report.trials - before);
    free(seeds);
}

static void prove_script_of(struct test *t, const struct rpl *script, bool first)
{
    struct prove_options o = {t->file, t->name, script, t->heap, t->calls, t->needs};
    struct pn_pool *pool = pn_pool_new(256 * 1024 * 1024);
    struct pn_buf err;
    struct rpl_case *cases = NULL;
    struct prove_case *hostile = NULL;
    char name[PROVE_NAME_MAX];
    size_t count = script == NULL ? 0 : rpl_cases(script, noon_ms, &cases);
    size_t hostile_count = prove_hostile(pool, noon_ms, &hostile);
    pn_buf_init(&err, 1 << 20);
    struct prove *p = prove_new(&o, &err);
    if (p == NULL) {
        if (strstr(pn_buf_cstr(&err), "expected a plugin") != NULL)
            (void)pn_buf_addf(&err, "(%s is the plugin '%s')\n", t->file, t->name);
        prove_find(&t->plan, PROVE_START, script == NULL ? "default" : script->path,
                   "configuration", pn_buf_cstr(&err), NULL, script);
        t->report.trials++;
    } else {
        size_t found = t->report.count;
        prove_starts(p, script, &t->plan);
        bool starts = t->report.count == found;
        if (starts)
            prove_ticks(p, script, &t->plan);
        for (size_t i = 0; starts && i < count; i++) {
            name_case(script, &cases[i], name);
            prove_faults(p, &(struct prove_case){name, &cases[i]}, script, &t->plan);
            if (t->verbose)
                say(t, "done %s: %zu trials by now\n", name, t->report.trials);
        }
        for (size_t i = 0; starts && first && i < hostile_count; i++)
            (void)prove_once(p, &hostile[i], script, &t->plan);
        if (starts && first && count == 0)
            prove_faults(p, &hostile[0], script, &t->plan);
        if (starts && t->fuzz_seconds != 0)
            fuzz(t, p, script, cases, count, hostile, hostile_count);
    }
    prove_free(&p);
    pn_buf_fini(&err);
    pn_pool_free(&pool);
}

static void prove_all(struct test *t)
{
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    /* Stays loaded throughout: what is led is led once. */
    struct pn_plugin *plugin = pn_plugin_load(t->file, &err);
    if (plugin == NULL || !heap_lead(&err)) {
        prove_find(&t->plan, PROVE_START, t->file, "load", pn_buf_cstr(&err), NULL, NULL);
    } else {
        blame_plugin(pn_plugin_desc(plugin)->name);
        if (t->count == 0)
            prove_script_of(t, NULL, true);
        for (size_t i = 0; i < t->count; i++)
            prove_script_of(t, t->scripts[i], i == 0);
    }
    if (plugin != NULL)
        pn_plugin_unload(&plugin);
    pn_buf_fini(&err);
}

/* ---- report */

static const char *without(const char *text, const char *head)
{
    size_t n = strlen(head);
    return strncmp(text, head, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* "headers: ", "misuse: ": not where the text says so itself. */
static void show_where(const struct prove_finding *f)
{
    const char *kind = prove_kind_name(f->kind);
    if (f->stage != NULL && strcmp(f->stage, "load") != 0)
        printf("%s: ", f->stage);
    if (f->kind != PROVE_START && strncmp(f->text, kind, strlen(kind)) != 0)
        printf("%s: ", kind);
}

/* As it is found: the rest may take its time. */
static void show_finding(void *ctx, const struct prove_finding *f)
{
    const struct test *t = ctx;
    size_t len = strlen(f->text);
    if (t->json || (f->like >= SHOWN && !t->verbose))
        return;
    if (f->kind == PROVE_SCRIPT) {
        printf("FAIL %s", f->text);
    } else {
        printf("FAIL %s: ", f->trial);
        show_where(f);
        printf("%s", without(f->text, f->trial));
    }
    if (len == 0 || f->text[len - 1] != '\n')
        (void)putchar('\n');
    if (f->kind != PROVE_SCRIPT && f->trial[0] != '/' && strchr(f->trial, '/') != NULL &&
        !pn_str_starts(pn_str_of(f->trial), PN_STR("fuzz:")))
        printf("     repeat: postern plugin test --only '%s' %s ...\n", f->trial, t->file);
    if (f->saved != NULL)
        printf("     saved: %s\n", f->saved);
    (void)fflush(stdout);
}

/* What was not shown, since it says the same of other trials. */
static void count_more(const struct test *t)
{
    const struct prove_report *r = &t->report;
    size_t more = r->more;
    for (size_t i = 0; i < r->count && !t->verbose; i++)
        more += r->findings[i].like >= SHOWN;
    if (more != 0)
        printf("and %zu more%s\n", more,
               t->verbose ? "" : " that say the same (--verbose names them)");
}

static void report_text(const struct test *t)
{
    const struct prove_report *r = &t->report;
    count_more(t);
    if (prove_given_up(&t->plan))
        printf("note: it hung in %zu trials, and each takes its deadline: those to come were left "
               "out\n",
               r->hangs);
    for (size_t i = 0; i < r->library_count; i++)
        printf("note: %s crashes in %zu trial%s where an allocation of its own fails, which no "
               "plugin can\n      help: workers die of it, mail does not (first: %s)\n",
               r->libraries[i].name, r->libraries[i].count, r->libraries[i].count == 1 ? "" : "s",
               r->libraries[i].first);
    if (t->version[0] != '\0' && !t->only_scripts)
        printf("%s %s: %zu allocation%s made to fail\n", t->name, t->version, r->points,
               r->points == 1 ? " was" : "s were");
    printf("plugin test: %zu passed, %zu failed\n", r->passed, r->trials - r->passed);
}

static void put_finding(struct pn_json *j, const struct prove_finding *f)
{
    pn_json_object(j, NULL);
    pn_json_str(j, "kind", pn_str_of(prove_kind_name(f->kind)));
    pn_json_str(j, "trial", pn_str_of(f->trial));
    if (f->stage != NULL)
        pn_json_str(j, "stage", pn_str_of(f->stage));
    pn_json_str(j, "text", pn_str_of(f->text));
    if (f->saved != NULL)
        pn_json_str(j, "saved", pn_str_of(f->saved));
    pn_json_object_end(j);
}

static void report_json(const struct test *t)
{
    const struct prove_report *r = &t->report;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    struct pn_json j = pn_json_to(&out);
    pn_json_object(&j, NULL);
    if (t->has_file) {
        pn_json_str(&j, "plugin", pn_str_of(t->name));
        pn_json_str(&j, "version", pn_str_of(t->version));
        pn_json_str(&j, "file", pn_str_of(t->file));
    }
    pn_json_i64(&j, "passed", (int64_t)r->passed);
    pn_json_i64(&j, "failed", (int64_t)(r->trials - r->passed));
    pn_json_i64(&j, "allocations_failed", (int64_t)r->points);
    if (t->fuzz_seconds != 0) {
        char seed[32];
        (void)snprintf(seed, sizeof seed, "%" PRIu64, t->seed);
        pn_json_str(&j, "seed", pn_str_of(seed));
    }
    pn_json_array(&j, "libraries");
    for (size_t i = 0; i < r->library_count; i++) {
        pn_json_object(&j, NULL);
        pn_json_str(&j, "name", pn_str_of(r->libraries[i].name));
        pn_json_i64(&j, "trials", (int64_t)r->libraries[i].count);
        pn_json_str(&j, "first", pn_str_of(r->libraries[i].first));
        pn_json_object_end(&j);
    }
    pn_json_array_end(&j);
    pn_json_array(&j, "findings");
    for (size_t i = 0; i < r->count; i++)
        put_finding(&j, &r->findings[i]);
    pn_json_array_end(&j);
    pn_json_i64(&j, "not_shown", (int64_t)r->more);
    pn_json_object_end(&j);
    (void)pn_buf_addc(&out, '\n');
    (void)fwrite(out.p, 1, out.len, stdout);
    pn_buf_fini(&out);
}

/* ---- arguments */

static bool number(const char *what, uint64_t max, uint64_t *out)
{
    if (pn_str_u64(pn_str_of(optarg), max, out))
        return true;
    fprintf(stderr, "postern plugin test: %s: a number was expected, not '%s'\n", what, optarg);
    return false;
}

static bool take_option(struct test *t, int option)
{
    uint64_t n = 0;
    switch (option) {
    case 'o':
        t->plan.only = optarg;
        return true;
    case 'p':
        return number("--points", 1000 * 1000, &t->plan.points_max);
    case 'z':
        if (!number("--fuzz", 86400, &n) || n == 0)
            return false;
        t->fuzz_seconds = (unsigned)n;
        return true;
    case 'e':
        t->seeded = true;
        return number("--seed", UINT64_MAX, &t->seed);
    case 'd':
        t->plan.save = optarg;
        return true;
    case 'c':
        t->only_scripts = true;
        return true;
    case 'j':
        t->json = true;
        return true;
    case 'v':
        t->verbose = true;
        return true;
    default:
        fputs(usage, stderr);
        return false;
    }
}

static bool take_plugin(struct test *t, const char *path)
{
    struct pn_buf err;
    pn_buf_init(&err, 4096);
    if (realpath(path, t->file) == NULL) {
        fprintf(stderr, "postern plugin test: %s: %s\n", path, strerror(errno));
        t->unreachable = true;
        pn_buf_fini(&err);
        return false;
    }
    t->has_file = true;
    struct pn_plugin *p = pn_plugin_try(t->file, &err) ? pn_plugin_load(t->file, &err) : NULL;
    if (p == NULL) {
        if (strstr(pn_buf_cstr(&err), "expected a plugin") != NULL)
            (void)pn_buf_addf(&err, "(%s is the plugin '%s')\n", t->file, t->name);
        prove_find(&t->plan, PROVE_START, t->file, "load", pn_buf_cstr(&err), NULL, NULL);
        t->report.trials++;
    } else {
        (void)snprintf(t->name, sizeof t->name, "%s", pn_plugin_desc(p)->name);
        (void)snprintf(t->version, sizeof t->version, "%.60s", pn_plugin_desc(p)->version);
        t->needs = pn_plugin_desc(p)->needs;
        pn_plugin_unload(&p);
    }
    pn_buf_fini(&err);
    return p != NULL || t->name[0] != '\0';
}

static bool take_scripts(struct test *t, int argc, char **argv)
{
    struct pn_buf err;
    bool ok = true;
    pn_buf_init(&err, 64 * 1024);
    for (int i = 0; i < argc && t->count < SCRIPTS_MAX; i++) {
        struct rpl *s = rpl_read(argv[i], &err);
        if (s == NULL) {
            ok = false;
            t->unreachable = t->unreachable || access(argv[i], R_OK) != 0;
        } else {
            t->scripts[t->count++] = s;
        }
    }
    if (!ok)
        fprintf(stderr, "postern plugin test: %s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    return ok;
}

static int finish(struct test *t)
{
    bool good = t->report.passed == t->report.trials && t->report.count == 0;
    if (t->json)
        report_json(t);
    else
        report_text(t);
    return good ? PN_EXIT_DONE : PN_EXIT_NO;
}

static int run(struct test *t, int argc, char **argv)
{
    bool plugin = argc > 0 && pn_str_ends(pn_str_of(argv[0]), PN_STR(".so"));
    if (plugin && !take_plugin(t, argv[0]))
        return t->unreachable ? PN_EXIT_UNREACHABLE : finish(t);
    if (!take_scripts(t, argc - plugin, argv + plugin))
        return t->unreachable ? PN_EXIT_UNREACHABLE : PN_EXIT_USAGE;
    if (!t->seeded && t->fuzz_seconds != 0 &&
        getrandom(&t->seed, sizeof t->seed, 0) != (ssize_t)sizeof t->seed)
        return PN_EXIT_UNREACHABLE;
    t->plan.file = t->file;
    t->plan.name = t->name;
    if (t->fuzz_seconds != 0 && t->plan.save == NULL)
        t->plan.save = ".";
    play_all(t);
    if (plugin && !t->only_scripts)
        prove_all(t);
    if (t->plan.only != NULL && t->plan.matched == 0 && t->report.count == 0) {
        fprintf(stderr, "postern plugin test: --only: no trial's name begins with '%s'\n",
                t->plan.only);
        return PN_EXIT_USAGE;
    }
    return finish(t);
}

static void test_free(struct test *t)
{
    for (size_t i = 0; i < t->count; i++)
        rpl_free(&t->scripts[i]);
    for (size_t i = 0; i < t->report.count; i++) {
        free(t->report.findings[i].trial);
        free(t->report.findings[i].stage);
        free(t->report.findings[i].text);
        free(t->report.findings[i].saved);
    }
    free(t);
}

int pn_cli_plugin_test(int argc, char **argv)
{
    static const struct option options[] = {
        {"scripts", no_argument, NULL, 'c'},      {"only", required_argument, NULL, 'o'},
        {"points", required_argument, NULL, 'p'}, {"fuzz", required_argument, NULL, 'z'},
        {"seed", required_argument, NULL, 'e'},   {"save", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},         {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct test *t = pn_calloc(1, sizeof *t);
    int option, status = -1;
    t->plan = (struct prove_plan){
        .report = &t->report, .points_max = POINTS, .on_find = show_finding, .ctx = t};
    optind = 1;
    while (status < 0 && (option = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            status = PN_EXIT_DONE;
        } else if (!take_option(t, option)) {
            status = PN_EXIT_USAGE;
        }
    }
    if (status < 0 && optind == argc) {
        fputs(usage, stderr);
        status = PN_EXIT_USAGE;
    }
    if (status < 0) {
        pn_log_init("postern", PN_LOG_ERROR); /* what the runner warns of is in the report */
        blame_init();
        misuse_init();
        t->heap = heap_init();
        t->calls = prove_calls_init();
        status = run(t, argc - optind, argv + optind);
    }
    test_free(t);
    return status;
}
