/* The plugin: files into a set, in the template; scratch memory for the threads of a worker. */
#include "rules_client.h"
#include "rules_match.h"
#include "rules_run.h"
#include "rules_say.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct postern_row rows[] = {
    {.name = "default",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Use the rules that come with the plugin (default.cf)."},
    {.name = "load",
     .type = POSTERN_T_FILE,
     .flags = POSTERN_ROW_LIST,
     .help = "Files of rules in SpamAssassin's syntax, read in this order."},
    {.name = "folder",
     .type = POSTERN_T_FOLDER,
     .flags = POSTERN_ROW_LIST,
     .help = "Folders whose files *.cf are read, in the order of their names."},
    {.name = "score-set",
     .type = POSTERN_T_INT,
     .def = "1",
     .min = 0,
     .max = 3,
     .help = "Which of a rule's four scores counts: 0 is without network tests, 1 with them."},
    {.name = "session",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Take client and reverse-path from the session; no: from header lines alone."},
    {.name = "unused",
     .type = POSTERN_T_CHOICE,
     .def = "count",
     .choices = "count|name",
     .help = "What is said of lines that are not understood: how many for each reason, or each."},
    {.name = "max-text",
     .type = POSTERN_T_SIZE,
     .def = "50000",
     .min = 1024,
     .max = 4 << 20,
     .help = "Bytes of a text part that body rules look at."},
    {.name = "match-limit",
     .type = POSTERN_T_INT,
     .def = "100000",
     .min = 1000,
     .max = 10000000,
     .help = "Steps of one match; beyond them the rule gives up and is named in the log."},
    {.name = NULL}};

/* Rules state symbols of their own names as well; see host->fact_named. */
static const struct postern_symbol symbols[] = {
    [RULES_GAVE_UP] = {"RULES_GAVE_UP", 0, "A pattern reached its limit: is its rule true?", NULL},
    {NULL, 0, NULL, NULL}};

/* The text of default.cf, in the object itself: a plugin has no folder of its own. */
__asm__(".pushsection .rodata\n"
        "rules_default_begin: .incbin \"" RULES_DEFAULT "\"\n"
        "rules_default_end: .byte 0\n"
        ".popsection\n");
extern const char rules_default_begin[] __attribute__((visibility("hidden")));
extern const char rules_default_end[] __attribute__((visibility("hidden")));

struct instance {
    const struct rules_set *set;
    size_t max_text;
    uint32_t match_limit;
    bool session;
    pthread_mutex_t lock;
    struct idle *idle; /* runs that no thread uses */
};

struct idle {
    struct idle *next;
    struct rules_run *run;
};

/* ---- in the template ---- */

/* A file of at most RULES_FILE_MAX bytes, in the arena. */
static struct postern_str read_file(struct rules_arena *a, const char *path)
{
    struct postern_str text = {NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *p;
    ssize_t n;

    if (fd < 0)
        return text;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > RULES_FILE_MAX) {
        (void)close(fd);
        return text;
    }
    p = rules_alloc(a, (size_t)st.st_size + 1);
    n = p == NULL ? -1 : read(fd, p, (size_t)st.st_size);
    (void)close(fd);
    if (n >= 0)
        text = (struct postern_str){p, (size_t)n};
    return text;
}

static struct postern_str load(void *arg, struct rules_arena *a, struct postern_str path)
{
    (void)arg;
    return read_file(a, path.p);
}

static int say_error(struct postern_setup *s, struct postern_str path, const char *why)
{
    char text[600];
    int n = snprintf(text, sizeof(text), "rules in %.*s: %s",
                     (int)(path.len < 400 ? path.len : 400), path.p, why);

    if (n > 0)
        s->host->setup_error(s, (struct postern_str){text, (size_t)n});
    return POSTERN_ERROR;
}

static int add_file(struct postern_setup *s, struct rules_set *set, struct postern_str path)
{
    struct postern_str copy = rules_dup(&set->arena, path);
    struct postern_str text;

    if (copy.p == NULL)
        return POSTERN_ERROR;
    text = read_file(&set->arena, copy.p);
    if (text.p == NULL)
        return say_error(s, path, "the file can't be read");
    return rules_set_read(set, path, text, load, NULL) ? POSTERN_OK
                                                       : say_error(s, path, "out of memory");
}

static int is_rules(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return n > 3 && strcmp(e->d_name + n - 3, ".cf") == 0 && e->d_name[0] != '.';
}

static int add_folder(struct postern_setup *s, struct rules_set *set, struct postern_str path)
{
    struct postern_str copy = rules_dup(&set->arena, path);
    struct dirent **entries = NULL;
    int n = copy.p == NULL ? -1 : scandir(copy.p, &entries, is_rules, alphasort);
    int status = POSTERN_OK;

    if (n < 0)
        return say_error(s, path, "the folder can't be read");
    for (int i = 0; i < n; i++) {
        char full[4096];
        int len = snprintf(full, sizeof(full), "%s/%s", copy.p, entries[i]->d_name);

        if (status == POSTERN_OK && len > 0 && (size_t)len < sizeof(full))
            status = add_file(s, set, (struct postern_str){full, (size_t)len});
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int add_default(struct postern_setup *s, struct rules_set *set)
{
    struct postern_str text = {rules_default_begin,
                               (size_t)(rules_default_end - rules_default_begin)};
    int on = 1;

    (void)s->host->set_bool(s->settings, "default", &on);
    if (!on)
        return POSTERN_OK;
    text = rules_dup(&set->arena, text); /* reading changes it */
    if (text.p == NULL || !rules_set_read(set, POSTERN_STR("default.cf"), text, NULL, NULL))
        return say_error(s, POSTERN_STR("default.cf"), "out of memory");
    return POSTERN_OK;
}

static int add_all(struct postern_setup *s, struct rules_set *set)
{
    struct postern_str path;
    int status = add_default(s, set);

    for (size_t i = 0;
         status == POSTERN_OK && s->host->set_str(s->settings, "folder", i, &path) == POSTERN_OK;
         i++)
        status = add_folder(s, set, path);
    for (size_t i = 0;
         status == POSTERN_OK && s->host->set_str(s->settings, "load", i, &path) == POSTERN_OK; i++)
        status = add_file(s, set, path);
    return status;
}

static void prepare_free(void *arg)
{
    rules_set_free(arg);
    free(arg);
}

static int prepare(struct postern_setup *s, void **prepared)
{
    struct rules_set *set = calloc(1, sizeof(*set));

    int64_t column = 1;

    if (set == NULL)
        return POSTERN_ERROR;
    (void)s->host->set_int(s->settings, "score-set", 0, &column);
    set->column = (unsigned)column;
    if (add_all(s, set) != POSTERN_OK) {
        prepare_free(set);
        return POSTERN_ERROR;
    }
    if (!rules_set_finish(set)) {
        s->host->setup_error(s, POSTERN_STR("rules: out of memory"));
        prepare_free(set);
        return POSTERN_ERROR;
    }
    rules_say_left(s, set);
    *prepared = set;
    return POSTERN_OK;
}

static int info(struct postern_setup *s)
{
    return rules_say_info(s, s->prepared);
}

/* ---- in the worker ---- */

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *in = calloc(1, sizeof(*in));
    int64_t max = 0;
    int64_t limit = 0;
    int session = 1;

    if (in == NULL || s->host->set_int(s->settings, "max-text", 0, &max) != POSTERN_OK ||
        s->host->set_int(s->settings, "match-limit", 0, &limit) != POSTERN_OK ||
        pthread_mutex_init(&in->lock, NULL) != 0) {
        free(in);
        return POSTERN_ERROR;
    }
    (void)s->host->set_bool(s->settings, "session", &session);
    in->set = s->prepared;
    in->session = session != 0;
    in->max_text = (size_t)max;
    in->match_limit = (uint32_t)limit;
    *instance = in;
    return POSTERN_OK;
}

static void instance_free(void *arg)
{
    struct instance *in = arg;

    while (in->idle != NULL) {
        struct idle *i = in->idle;

        in->idle = i->next;
        rules_run_free(i->run);
        free(i);
    }
    (void)pthread_mutex_destroy(&in->lock);
    free(in);
}

/* A run for this thread, as many in all as there are threads at once. */
static struct idle *take(struct instance *in)
{
    struct idle *i;

    (void)pthread_mutex_lock(&in->lock);
    i = in->idle;
    if (i != NULL)
        in->idle = i->next;
    (void)pthread_mutex_unlock(&in->lock);
    if (i != NULL)
        return i;
    i = calloc(1, sizeof(*i));
    if (i == NULL)
        return NULL;
    i->run = rules_run_new(in->set, in->max_text, in->match_limit, in->session);
    if (i->run != NULL)
        return i;
    free(i);
    return NULL;
}

static void give_back(struct instance *in, struct idle *i)
{
    (void)pthread_mutex_lock(&in->lock);
    i->next = in->idle;
    in->idle = i;
    (void)pthread_mutex_unlock(&in->lock);
}

static int on_message(struct postern_call *c)
{
    struct idle *i = take(c->instance);
    int status;

    if (i == NULL)
        return POSTERN_ERROR;
    status = rules_run_message(i->run, c);
    give_back(c->instance, i);
    return status;
}

/* Only where a rule looks at the relays does the client's name matter. */
static void prefetch(struct postern_call *c)
{
    const struct instance *in = c->instance;

    if (in->session && in->set->wants_relays)
        rules_client_prefetch(c);
}

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "rules",
    .version = "2.0",
    .summary = "rules on header, body and URLs, in SpamAssassin's syntax",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_FILES | POSTERN_NEED_DNS,
    .on_failure = POSTERN_FAIL_SKIP,
    .prepare = prepare,
    .prepare_free = prepare_free,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on = {[POSTERN_MESSAGE] = on_message},
    .prefetch = {[POSTERN_MESSAGE] = prefetch},
    .info = info};
