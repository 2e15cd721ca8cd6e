#include "rules_play.h"

#include "assert.h"
#include "fakehost.h"
#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct postern_plugin postern_plugin;

static char folder[] = "/tmp/rules_play.XXXXXX";
static char path[80];

void rules_play_file(const char *name, const char *text)
{
    char file[200];
    char *slash;
    (void)snprintf(file, sizeof file, "%s/%s", folder, name);
    slash = strrchr(file, '/');
    *slash = '\0';
    (void)mkdir(file, 0700);
    *slash = '/';
    FILE *f = fopen(file, "w");
    UNIT_TRUE(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

void rules_play(const struct rules_row *r, const char *mail, const struct rules_world *world)
{
    static const struct rules_world plain = {NULL, NULL, NULL, NULL};
    const struct rules_world *w = world == NULL ? &plain : world;
    const struct fake_row settings[] = {{"default", {"no"}},
                                        {"load", {path}},
                                        {"session", {w->session == NULL ? "yes" : w->session}},
                                        {NULL}};
    unit_row(r->label);
    rules_play_file("rules.cf", r->rules);
    struct fakehost *h = fakehost_new(&postern_plugin, settings, w->dns);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    for (int again = 0; again < 2; again++) {
        fakehost_reset(h);
        fakehost_client(h, w->ip == NULL ? "192.0.2.7" : w->ip, "helo.test");
        fakehost_envelope(h, w->from == NULL ? "env@a.test" : w->from, "ann@b.test");
        fakehost_message(h, pn_str_of(mail));
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(r->facts));
    }
    fakehost_free(&h);
}

void rules_play_slow(const struct rules_row *r, const char *mail, const char *log)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct pn_str said;

    unit_row(r->label);
    rules_play_file("rules.cf", r->rules);
    struct fakehost *h = fakehost_new(&postern_plugin, settings, "");
    fakehost_client(h, "192.0.2.7", "helo.test");
    fakehost_envelope(h, "env@a.test", "ann@b.test");
    fakehost_limits(h, 100, 1 << 20, 4000);
    fakehost_pace(h, 1);
    fakehost_message(h, pn_str_of(mail));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_PART);
    UNIT_STR(fakehost_facts(h), pn_str_of(r->facts));
    said = fakehost_log(h);
    UNIT_TRUE(memmem(said.p, said.len, log, strlen(log)) != NULL);
    fakehost_free(&h);
}

void rules_play_begin(void)
{
    pn_assert(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/rules.cf", folder);
}

static int drop(const char *name, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(name);
}

void rules_play_end(void)
{
    (void)nftw(folder, drop, 8, FTW_DEPTH | FTW_PHYS);
}
