/*
 * bench_rules [-n TIMES] [-r RULES] FOLDER FILE...
 *
 * A folder of rules over messages, each read so many times (10): what one takes at its
 * quickest, which others on the machine don't change, and which rules are the dearest.
 */
#include "fakehost.h"
#include "rules_folder.h"
#include "rules_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TEXT = 50000, MATCH_LIMIT = 100000 };

struct cost {
    const struct rule *rule;
    int64_t ns;    /* of all messages before this one */
    int64_t least; /* of this message, read several times */
    long asked;    /* messages */
};

static struct rules_set set;
static struct cost *costs; /* of each rule */
static bool metering;

static void meter(void *arg, const struct rule *rule, int64_t ns)
{
    struct cost *c = &costs[rule - set.rules];

    (void)arg;
    c->rule = rule;
    if (c->least == 0 || ns < c->least)
        c->least = ns;
}

static int instance_new(struct postern_setup *s, void **instance)
{
    (void)s;
    *instance = rules_run_new(&set, MAX_TEXT, MATCH_LIMIT, false);
    return *instance == NULL ? POSTERN_ERROR : POSTERN_OK;
}

static void instance_free(void *instance)
{
    rules_run_free(instance);
}

static int on_message(struct postern_call *c)
{
    rules_run_meter(c->instance, metering ? meter : NULL, NULL);
    return rules_run_message(c->instance, c);
}

static const struct postern_plugin plugin = {.size = sizeof(struct postern_plugin),
                                             .major = POSTERN_ABI_MAJOR,
                                             .minor = POSTERN_ABI_MINOR,
                                             .name = "rules",
                                             .version = "1",
                                             .summary = "rules, measured",
                                             .instance_new = instance_new,
                                             .instance_free = instance_free,
                                             .on = {[POSTERN_MESSAGE] = on_message}};

static struct postern_str no_file(void *arg, struct rules_arena *a, struct postern_str path)
{
    (void)arg;
    (void)a;
    (void)path;
    return (struct postern_str){NULL, 0};
}

static bool read_rules(void *arg, struct pn_str text)
{
    (void)arg;
    return rules_set_read(&set, POSTERN_STR("file"),
                          rules_dup(&set.arena, (struct postern_str){text.p, text.len}), no_file,
                          NULL);
}

static int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void add_costs(void)
{
    for (size_t i = 0; i < set.count; i++) {
        costs[i].ns += costs[i].least;
        costs[i].asked += costs[i].least != 0;
        costs[i].least = 0;
    }
}

/* Nanoseconds of the message at its quickest; then as often again for the dearest rules. */
static int64_t run(struct fakehost *h, const char *path, long times)
{
    struct pn_buf file;
    struct pn_str text = rules_folder_file(&file, path);
    int64_t least = INT64_MAX;

    if (pn_str_starts(text, PN_STR("From ")))
        text = pn_str_slice(text, pn_str_find(text, '\n', 0) + 1, text.len);
    for (long i = 0; i < 2 * times; i++) {
        int64_t start;

        fakehost_reset(h);
        fakehost_client(h, "192.0.2.1", "client.test");
        fakehost_envelope(h, "from@client.test", "to@dest.test");
        fakehost_message(h, text);
        metering = i >= times;
        start = now_ns();
        (void)fakehost_run(h, POSTERN_MESSAGE);
        if (!metering && now_ns() - start < least)
            least = now_ns() - start;
    }
    pn_buf_fini(&file);
    add_costs();
    return least;
}

static int by_cost(const void *a, const void *b)
{
    const struct cost *x = a;
    const struct cost *y = b;

    return (x->ns < y->ns) - (x->ns > y->ns);
}

static void print_rules(long rules, int messages)
{
    qsort(costs, set.count, sizeof(*costs), by_cost);
    for (long i = 0; i < rules && (size_t)i < set.count && costs[i].rule != NULL; i++)
        printf("  %7.2f us a message, asked in %ld: %.*s\n", (double)costs[i].ns / 1000 / messages,
               costs[i].asked, (int)costs[i].rule->name.len, costs[i].rule->name.p);
}

int main(int argc, char **argv)
{
    struct fakehost *h;
    int64_t sum = 0;
    long times = 10;
    long rules = 20;
    int c;

    while ((c = getopt(argc, argv, "n:r:")) != -1)
        *(c == 'n' ? &times : &rules) = strtol(optarg, NULL, 10);
    if (argc - optind < 2 || !rules_folder_each(argv[optind], read_rules, NULL) ||
        !rules_set_finish(&set)) {
        fputs("usage: bench_rules [-n TIMES] [-r RULES] FOLDER FILE...\n", stderr);
        return 2;
    }
    costs = calloc(set.count + 1, sizeof(*costs));
    h = fakehost_new(&plugin, NULL, "");
    if (costs == NULL || fakehost_setup_error(h).len > 0)
        return 3;
    for (int i = optind + 1; i < argc; i++)
        sum += run(h, argv[i], times);
    printf("%d messages, %.1f us each at their quickest; the dearest rules:\n", argc - optind - 1,
           (double)sum / 1000 / (argc - optind - 1));
    print_rules(rules, argc - optind - 1);
    fakehost_free(&h);
    rules_set_free(&set);
    free(costs);
    return 0;
}
