#include "rules_both.h"

#include "assert.h"
#include "buf.h"
#include "mem.h"
#include "rules_run.h"

#include <stdlib.h>

enum { MAX_TEXT = 50000, MATCH_LIMIT = 1000000, WAYS = 2 };

struct rules_both {
    struct rules_set set[WAYS];
    struct fakehost *host[WAYS];
};

/* The one that a host is being made for. */
static const struct rules_set *making;

static int instance_new(struct postern_setup *s, void **instance)
{
    (void)s;
    *instance = rules_run_new(making, MAX_TEXT, MATCH_LIMIT, true);
    return *instance == NULL ? POSTERN_ERROR : POSTERN_OK;
}

static void instance_free(void *instance)
{
    rules_run_free(instance);
}

static int on_message(struct postern_call *c)
{
    return rules_run_message(c->instance, c);
}

static const struct postern_plugin plugin = {.size = sizeof(struct postern_plugin),
                                             .major = POSTERN_ABI_MAJOR,
                                             .minor = POSTERN_ABI_MINOR,
                                             .name = "both",
                                             .version = "1",
                                             .summary = "rules, one way or the other",
                                             .needs = POSTERN_NEED_DNS,
                                             .instance_new = instance_new,
                                             .instance_free = instance_free,
                                             .on = {[POSTERN_MESSAGE] = on_message}};

struct rules_both *rules_both_new(void)
{
    struct rules_both *b = pn_calloc(1, sizeof(*b));

    b->set[1].plain = true;
    return b;
}

void rules_both_free(struct rules_both **both)
{
    for (int i = 0; *both != NULL && i < WAYS; i++) {
        if ((*both)->host[i] != NULL)
            fakehost_free(&(*both)->host[i]);
        rules_set_free(&(*both)->set[i]);
    }
    free(*both);
    *both = NULL;
}

static struct postern_str no_file(void *arg, struct rules_arena *a, struct postern_str path)
{
    (void)arg;
    (void)a;
    (void)path;
    return (struct postern_str){NULL, 0};
}

void rules_both_read(struct rules_both *b, const char *name, struct pn_str text)
{
    for (int i = 0; i < WAYS; i++) {
        struct postern_str copy =
            rules_dup(&b->set[i].arena, (struct postern_str){text.p, text.len});

        pn_assert(copy.p != NULL &&
                  rules_set_read(&b->set[i], (struct postern_str){name, strlen(name)}, copy,
                                 no_file, NULL));
    }
}

void rules_both_state_all(struct rules_both *b)
{
    struct pn_buf text;

    pn_buf_init(&text, 4 << 20);
    for (size_t i = 0; i < b->set[0].count; i++) {
        struct postern_str name = b->set[0].rules[i].name;

        if (rules_starts(name, POSTERN_STR("__")))
            (void)pn_buf_addf(&text, "meta S%.*s %.*s\n", (int)name.len, name.p, (int)name.len,
                              name.p);
    }
    rules_both_read(b, "all.cf", pn_buf_str(&text));
    pn_buf_fini(&text);
}

bool rules_both_finish(struct rules_both *b)
{
    for (int i = 0; i < WAYS; i++) {
        if (!rules_set_finish(&b->set[i]))
            return false;
        making = &b->set[i];
        b->host[i] = fakehost_new(&plugin, NULL, "");
        if (fakehost_setup_error(b->host[i]).len > 0)
            return false;
    }
    return true;
}

void rules_both_run(struct rules_both *b, struct pn_str message, struct pn_str *searched,
                    struct pn_str *plain)
{
    for (int i = 0; i < WAYS; i++) {
        fakehost_reset(b->host[i]);
        fakehost_client(b->host[i], "192.0.2.1", "client.test");
        fakehost_envelope(b->host[i], "from@client.test", "to@dest.test");
        fakehost_message(b->host[i], message);
        pn_assert(fakehost_run(b->host[i], POSTERN_MESSAGE) == POSTERN_OK);
        *(i == 0 ? searched : plain) = fakehost_facts(b->host[i]);
    }
}
