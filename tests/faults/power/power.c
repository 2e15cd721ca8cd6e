/*
 * The power-cut harness: a load is recorded, then the power is cut at every moment of it, over
 * disks as disk.h describes them, and the real code starts on what is left, which is judged.
 * Then each place that syncs is taken away in turn, and the harness must find the loss.
 *
 *   power [SEED]             a short run; part of make check
 *   power SEED SECONDS       one seed after the other, thoroughly, until the time is over
 *   power SEED show LOAD     the log of a load, numbered as the reports number cuts
 */
#include "life.h"
#include "sim.h"
#include "sites.h"

#include "assert.h"
#include "str.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t clock, struct timespec *out);

enum { LOADS_MAX = 16, SHORT_SEED = 6 /* one that finds all it should in little time */ };

/* What came of one place that syncs, taken away. */
struct removal {
    char name[96];
    unsigned found, tried; /* seeds */
    uint64_t disks;
    char what[600];
};

struct result {
    struct tally loads[LOADS_MAX];
    struct removal removals[SITES_MAX];
    unsigned removal_count;
};

struct scale {
    struct thoroughness all, quick, again;
    bool no_removals;
};

static const struct scale brief = {.all = {.each = 4, .second = 40, .stride = 5},
                                   .quick = {.each = 8, .stride = 1, .first = true},
                                   .again = {.each = 12, .second = 20, .stride = 1, .first = true}};
/* For valgrind, which is after other things. */
static const struct scale least = {.all = {.each = 2, .stride = 40}, .no_removals = true};
static const struct scale full = {.all = {.each = 24, .second = 40, .stride = 1},
                                  .quick = {.each = 8, .stride = 1, .first = true},
                                  .again = {.each = 12, .second = 20, .stride = 1, .first = true}};

static uint64_t load_seed(uint64_t seed, unsigned load)
{
    enum { APART = 1000003 };
    return seed + (uint64_t)load * APART;
}

/* ---- one seed ---- */

/* The loads in which the site matters most come first. */
static unsigned next_load(const struct life *lives, unsigned site, bool *done)
{
    unsigned best = LOADS_MAX;
    double most = 0;
    for (unsigned n = 0; n < load_count(); n++) {
        double share = (double)life_syncs(&lives[n], site) / (double)(lives[n].log.count + 1);
        if (!done[n] && share > most) {
            most = share;
            best = n;
        }
    }
    if (best < LOADS_MAX)
        done[best] = true;
    return best;
}

static void try_without(const struct life *lives, unsigned site, const struct thoroughness *how,
                        uint64_t seed, struct tally *t)
{
    bool done[LOADS_MAX] = {false};
    for (unsigned n; t->lost == 0 && (n = next_load(lives, site, done)) < LOADS_MAX;)
        life_cut(&lives[n], site, how, seed, t);
}

static void run_seed(uint64_t seed, const struct scale *scale, struct result *r)
{
    static struct life lives[LOADS_MAX];
    pn_assert(load_count() <= LOADS_MAX);
    for (unsigned n = 0; n < load_count(); n++)
        life_record(&lives[n], load_get(n), load_seed(seed, n));
    r->removal_count = scale->no_removals ? 0 : site_count();
    for (unsigned n = 0; n < load_count(); n++) {
        struct tally *t = &r->loads[n];
        if (lives[n].wrong[0] != '\0') {
            t->lost = 1;
            (void)snprintf(t->wrong, sizeof t->wrong, "%s (restart without a cut)", lives[n].wrong);
        }
        life_cut(&lives[n], SITE_NONE, &scale->all, seed, t);
    }
    for (unsigned site = 0; site < r->removal_count; site++) {
        struct removal *m = &r->removals[site];
        struct tally t = {0};
        try_without(lives, site, &scale->quick, seed, &t);
        if (t.lost == 0)
            try_without(lives, site, &scale->again, seed, &t);
        *m = (struct removal){.found = t.lost > 0, .tried = 1, .disks = t.disks};
        (void)snprintf(m->name, sizeof m->name, "%s", site_name(site));
        (void)snprintf(m->what, sizeof m->what, "%s", t.wrong);
    }
    for (unsigned n = 0; n < load_count(); n++)
        life_free(&lives[n]);
}

/* ---- the report ---- */

static void add_tally(struct tally *sum, const struct tally *t)
{
    sum->cuts += t->cuts;
    sum->disks += t->disks;
    sum->second += t->second;
    sum->accepted += t->accepted;
    sum->lost += t->lost;
    sum->unheard += t->unheard;
    sum->repeated += t->repeated;
    if (sum->wrong[0] == '\0')
        memcpy(sum->wrong, t->wrong, sizeof sum->wrong);
}

static void add_removal(struct result *sum, const struct removal *m)
{
    unsigned i = 0;
    while (i < sum->removal_count && strcmp(sum->removals[i].name, m->name) != 0)
        i++;
    if (i == sum->removal_count) {
        sum->removals[sum->removal_count++] = *m;
        return;
    }
    struct removal *to = &sum->removals[i];
    if (to->what[0] == '\0')
        memcpy(to->what, m->what, sizeof to->what);
    to->found += m->found;
    to->tried += m->tried;
    to->disks += m->disks;
}

static void print_tally(const char *name, const struct tally *t)
{
    printf("%-30s %8" PRIu64 " %9" PRIu64 " %7" PRIu64 " %11" PRIu64 " %5" PRIu64 " %9" PRIu64
           " %9" PRIu64 "\n",
           name, t->cuts, t->disks, t->second, t->accepted, t->lost, t->unheard, t->repeated);
}

/* accepted: 250s that each disk was held to. unheard: found though nobody was answered;
 * repeated: what will be done twice, since its end was not confirmed. */
static unsigned print_loads(const struct result *r)
{
    struct tally sum = {0};
    unsigned failed = 0;
    printf("%-30s %8s %9s %7s %11s %5s %9s %9s\n", "load", "cuts", "disks", "lives", "accepted",
           "lost", "unheard", "repeated");
    for (unsigned n = 0; n < load_count(); n++) {
        const struct tally *t = &r->loads[n];
        print_tally(load_name(load_get(n)), t);
        if (t->lost > 0)
            printf("    LOST: %s\n", t->wrong);
        failed += t->lost > 0;
        add_tally(&sum, t);
    }
    print_tally("all", &sum);
    return failed;
}

static unsigned print_removals(const struct result *r)
{
    unsigned found = 0;
    printf("\n%-32s %8s %6s  %s\n", "sync removed", "disks", "found", "what was found");
    for (unsigned i = 0; i < r->removal_count; i++) {
        const struct removal *m = &r->removals[i];
        found += m->found > 0;
        printf("%-32s %8" PRIu64 " %2u/%-3u  %s\n", m->name, m->disks, m->found, m->tried,
               m->found > 0 ? m->what : "NOTHING: it is not needed, or the harness has a hole");
    }
    printf("%u syncs removed, %u found\n", r->removal_count, found);
    return r->removal_count - found;
}

static int report(const struct result *r)
{
    unsigned failed = print_loads(r);
    failed += print_removals(r);
    printf("power: %u passed, %u failed\n", load_count() + r->removal_count - failed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- one seed after the other ---- */

static double seconds(void)
{
    enum { NS = 1000000000 };
    struct timespec now;
    (void)__real_clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / NS;
}

static bool read_result(int fd, struct result *r)
{
    size_t got = 0;
    for (ssize_t n; got < sizeof *r && (n = read(fd, (char *)r + got, sizeof *r - got)) > 0;)
        got += (size_t)n;
    return got == sizeof *r;
}

/* In a process of its own: killed servers leave threads behind. False: it died. */
static bool run_apart(uint64_t seed, struct result *r)
{
    int ends[2], status;
    pn_assert(pipe(ends) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    pn_assert(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        run_seed(seed, &full, r);
        for (size_t done = 0; done < sizeof *r;) {
            ssize_t n = write(ends[1], (const char *)r + done, sizeof *r - done);
            if (n <= 0)
                _exit(EXIT_FAILURE);
            done += (size_t)n;
        }
        _exit(EXIT_SUCCESS);
    }
    (void)close(ends[1]);
    bool whole = read_result(ends[0], r);
    (void)close(ends[0]);
    return waitpid(pid, &status, 0) == pid && whole && status == 0;
}

static int run_long(uint64_t seed, uint64_t limit)
{
    static struct result one, sum;
    double end = seconds() + (double)limit;
    for (; seconds() < end; seed++) {
        one = (struct result){0};
        if (!run_apart(seed, &one)) {
            printf("seed %" PRIu64 ": the harness died\npower: 0 passed, 1 failed\n", seed);
            return EXIT_FAILURE;
        }
        for (unsigned n = 0; n < load_count(); n++) {
            if (one.loads[n].lost > 0)
                printf("seed %" PRIu64 ", load %u: LOST: %s\n", seed, n, one.loads[n].wrong);
            add_tally(&sum.loads[n], &one.loads[n]);
        }
        for (unsigned i = 0; i < one.removal_count; i++)
            add_removal(&sum, &one.removals[i]);
    }
    return report(&sum);
}

/* ---- what is asked for ---- */

/* One thread runs at a time: it is handed on faster on one processor. */
static void stay_here(void)
{
    cpu_set_t set;
    int cpu = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET(cpu < 0 ? 0 : (unsigned)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static int show(uint64_t seed, uint64_t load)
{
    struct life life;
    if (load >= load_count())
        return EXIT_FAILURE;
    life_record(&life, load_get((unsigned)load), load_seed(seed, (unsigned)load));
    log_print(&life.log);
    life_free(&life);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct result r;
    uint64_t seed = SHORT_SEED, n = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !pn_str_u64(pn_str_of(argv[1]), UINT64_MAX, &seed))
        return EXIT_FAILURE;
    if (argc > 2 && !pn_str_u64(pn_str_of(argv[argc - 1]), UINT32_MAX, &n))
        return EXIT_FAILURE;
    stay_here();
    life_place(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ".");
    if (argc == 4)
        return show(seed, n);
    if (argc == 3)
        return run_long(seed, n);
    run_seed(seed, getenv("POSTERN_PATIENCE") != NULL ? &least : &brief, &r);
    return report(&r);
}
