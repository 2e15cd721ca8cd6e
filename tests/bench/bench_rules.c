/*
 * bench_rules [-n TIMES] [-r RULES] FOLDER FILE...
 *
 * A folder of rules over messages, all of them so many times (10), one behind the other as mail
 * comes, so that each finds the caches as others have left them: what one takes at its quickest,
 * which others on the machine don't change, and which rules are the dearest.
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

struct message {
    struct pn_buf file;
    struct pn_str text;
    int64_t least; /* nanoseconds */
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

static bool read_message(struct message *m, const char *path)
{
    m->text = rules_folder_file(&m->file, path);
    if (pn_str_starts(m->text, PN_STR("From ")))
        m->text = pn_str_slice(m->text, pn_str_find(m->text, '\n', 0) + 1, m->text.len);
    m->least = INT64_MAX;
    return m->text.len > 0;
}

static void run(struct fakehost *h, struct message *m)
{
    int64_t start;
    int64_t took;

    fakehost_reset(h);
    fakehost_client(h, "192.0.2.1", "client.test");
    fakehost_envelope(h, "from@client.test", "to@dest.test");
    fakehost_message(h, m->text);
    start = now_ns();
    (void)fakehost_run(h, POSTERN_MESSAGE);
    took = now_ns() - start;
    if (!metering && took < m->least)
        m->least = took;
}

/* Nanoseconds of all messages at their quickest. */
static int64_t run_all(struct fakehost *h, struct message *m, size_t count, long times)
{
    int64_t sum = 0;

    for (long i = 0; i < times; i++)
        for (size_t k = 0; k < count; k++)
            run(h, &m[k]);
    for (size_t k = 0; k < count; k++)
        sum += m[k].least;
    return sum;
}

/* Each message as often again, for what its rules take. */
static void meter_all(struct fakehost *h, struct message *m, size_t count, long times)
{
    metering = true;
    for (size_t k = 0; k < count; k++) {
        for (long i = 0; i < times; i++)
            run(h, &m[k]);
        add_costs();
    }
}

static int by_cost(const void *a, const void *b)
{
    const struct cost *x = a;
    const struct cost *y = b;

    return (x->ns < y->ns) - (x->ns > y->ns);
}

static void print_rules(long rules, size_t messages)
{
    qsort(costs, set.count, sizeof(*costs), by_cost);
    for (long i = 0; i < rules && (size_t)i < set.count && costs[i].rule != NULL; i++)
        printf("  %7.2f us a message, asked in %ld: %.*s\n",
               (double)costs[i].ns / 1000 / (double)messages, costs[i].asked,
               (int)costs[i].rule->name.len, costs[i].rule->name.p);
}

int main(int argc, char **argv)
{
    struct message *messages;
    struct fakehost *h;
    size_t count;
    int64_t sum;
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
    count = (size_t)(argc - optind - 1);
    costs = calloc(set.count + 1, sizeof(*costs));
    messages = calloc(count, sizeof(*messages));
    h = fakehost_new(&plugin, NULL, "");
    if (costs == NULL || messages == NULL || fakehost_setup_error(h).len > 0)
        return 3;
    for (size_t i = 0; i < count; i++)
        if (!read_message(&messages[i], argv[optind + 1 + (int)i]))
            return 3;
    sum = run_all(h, messages, count, times);
    if (rules > 0)
        meter_all(h, messages, count, times);
    printf("%zu messages, %.1f us each at their quickest; the dearest rules:\n", count,
           (double)sum / 1000 / (double)count);
    print_rules(rules, count);
    fakehost_free(&h);
    for (size_t i = 0; i < count; i++)
        pn_buf_fini(&messages[i].file);
    rules_set_free(&set);
    free(messages);
    free(costs);
    return 0;
}
