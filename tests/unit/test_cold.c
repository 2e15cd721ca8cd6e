/* A Maildir that others filled, met for the first time. */
#include "unit.h"

#include "assert.h"
#include "maildir.h"
#include "store_int.h"
#include "team.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANY = 600 }; /* messages: more than one chunk */

static const char user_name[] = "u@here.test", cur[] = "here.test/u/cur";

struct rig {
    char path[32];
    int fd;
    struct pn_store *store;
    struct pn_user *user;
    struct pn_view *view;
};

static void open_store(struct rig *r)
{
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    r->store = pn_store_new(r->fd, PN_STR("here.test"));
    r->user = pn_user_open(r->store, pn_str_of(user_name), &status, &why);
    pn_assert(r->user != NULL);
    pn_buf_fini(&why);
}

static void open_view(struct rig *r)
{
    UNIT_INT(pn_view_open(r->user, PN_STR(""), false, NULL, NULL, &r->view), PN_STORE_OK);
}

static void close_store(struct rig *r)
{
    if (r->view != NULL)
        pn_view_close(&r->view);
    pn_user_close(&r->user);
    pn_store_free(&r->store);
}

static void put_file(const struct rig *r, const char *name, const char *bytes)
{
    int dir = maildir_open_dir(r->fd, cur);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    pn_assert(dir >= 0 && fd >= 0);
    pn_assert(write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    (void)close(fd);
    (void)close(dir);
}

/* n messages "Subject: sN" in names by time. */
static void fill(const struct rig *r, unsigned from, unsigned n)
{
    for (unsigned i = from; i < from + n; i++) {
        char name[100], bytes[100];
        (void)snprintf(name, sizeof name, "%u.M%uP1.other:2,%s", 1700000000 + i, i,
                       i % 3 == 0 ? "S" : "");
        (void)snprintf(bytes, sizeof bytes, "Subject: s%u\nDate: x\n\nbody\n", i);
        put_file(r, name, bytes);
    }
}

static void rig_init(struct rig *r)
{
    *r = (struct rig){.path = "storecold.XXXXXX"};
    pn_assert(mkdtemp(r->path) != NULL);
    r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_store(r);
}

static int remove_it(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static void rig_fini(struct rig *r)
{
    close_store(r);
    (void)close(r->fd);
    UNIT_INT(nftw(r->path, remove_it, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- the team ---- */

static void count_one(void *ctx, size_t i)
{
    atomic_uint *counts = ctx;
    (void)atomic_fetch_add(&counts[i], 1);
}

static void *run_team(void *ctx)
{
    enum { THINGS = 1000 };
    static const size_t rows[] = {0, 1, 7, 8, 9, THINGS};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        atomic_uint counts[THINGS] = {0};
        unsigned wrong = 0;
        team_run(ctx, rows[k], count_one, counts);
        for (size_t i = 0; i < THINGS; i++)
            wrong += counts[i] != (i < rows[k]);
        UNIT_INT(wrong, 0);
    }
    return NULL;
}

static void test_team(void)
{
    enum { CALLERS = 6 };
    pthread_t ids[CALLERS];
    struct team *team = team_new();
    for (unsigned i = 0; i < CALLERS; i++)
        pn_assert(pthread_create(&ids[i], NULL, run_team, team) == 0);
    for (unsigned i = 0; i < CALLERS; i++)
        (void)pthread_join(ids[i], NULL);
    team_free(&team);
    UNIT_TRUE(team == NULL);
    (void)run_team(NULL); /* without one all is done the same */
}

/* ---- envelopes ---- */

struct walk {
    uint32_t next, stop; /* numbers: the next that must come; where to stop, 0: nowhere */
    uint32_t gone, wrong;
};

static bool on_cached(void *ctx, const struct pn_cached *c)
{
    struct walk *w = ctx;
    char want[32];
    int n = snprintf(want, sizeof want, "\"s%u\"", c->seq - 1);
    w->wrong += c->seq != w->next++;
    if (!c->whole)
        w->gone++;
    else if (pn_str_find(c->envelope, '"', 0) == SIZE_MAX ||
             memmem(c->envelope.p, c->envelope.len, want, (size_t)n) == NULL)
        w->wrong++;
    return w->stop == 0 || c->seq < w->stop;
}

static void walk(struct rig *r, uint32_t stop, uint32_t want_gone)
{
    struct walk w = {.next = 1, .stop = stop};
    uint32_t at = pn_view_cached(r->view, 1, UINT32_MAX, PN_CACHED_ENVELOPE, on_cached, &w);
    UNIT_INT(at, stop != 0 ? stop : MANY + 1);
    UNIT_INT(w.wrong, 0);
    UNIT_INT(w.gone, want_gone);
}

static void test_envelopes(void)
{
    struct rig r;
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    UNIT_INT(pn_view_count(r.view), MANY);
    walk(&r, 300, 0);
    walk(&r, 0, 0);
    walk(&r, 0, 0);
    close_store(&r);
    open_store(&r);
    open_view(&r);
    walk(&r, 0, 0);
    rig_fini(&r);
}

/* What others do to files between our look and our reading. */
static void test_meanwhile(void)
{
    struct rig r;
    char from[300], to[300];
    rig_init(&r);
    fill(&r, 0, MANY);
    open_view(&r);
    struct folder *f = r.view->folder;
    int dir = maildir_open_dir(r.fd, cur);
    UNIT_INT(unlinkat(dir, folder_msg_name(f, &f->msgs[10]), 0), 0);
    (void)snprintf(from, sizeof from, "%s", folder_msg_name(f, &f->msgs[20]));
    (void)snprintf(to, sizeof to, "%.*s:2,FS", (int)strcspn(from, ":"), from);
    UNIT_INT(renameat(dir, from, dir, to), 0);
    walk(&r, 0, 1);
    (void)close(dir);
    rig_fini(&r);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"team", test_team},
                                             {"envelopes", test_envelopes},
                                             {"meanwhile", test_meanwhile},
                                             {NULL, NULL}};
    return unit_main("cold", tests, argc, argv);
}
