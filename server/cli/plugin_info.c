#include "plugin_info.h"

#include "filter.h"
#include "find.h"
#include "host.h"
#include "log.h"
#include "memfile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the settings */

/* A configuration of this plugin alone. False: its path can't stand in one. */
static bool default_text(const struct pn_info_how *how, struct pn_buf *out)
{
    char path[PATH_MAX];
    if (realpath(how->file, path) == NULL || strpbrk(path, "\"\\\n") != NULL)
        return false;
    (void)pn_buf_addf(out,
                      "smtp { hostname \"localhost\" }\nplugins { %s { file \"%s\" } }\n"
                      "defaults { recipients any }\n",
                      how->name, path);
    return true;
}

/* The policy with this plugin alone of all that the configuration loads; NULL: err. */
static struct pn_policy *compile(const struct pn_info_how *how, struct pn_buf *err)
{
    struct pn_str name = pn_str_of(how->name);
    struct pn_found found = {.trial = true};
    struct pn_pool *pool = pn_pool_new(PN_COMPILE_POOL_MAX);
    struct pn_policy *policy = NULL;
    struct pn_problems problems;
    struct pn_buf text, image;
    pn_buf_init(&text, 2 * PATH_MAX);
    pn_buf_init(&image, PN_IMAGE_MAX);
    pn_problems_init(&problems, pool);
    struct pn_compile c = {.file =
                               pn_str_of(how->config != NULL ? how->config : "default settings"),
                           .plugin_folder = pn_str_of(how->folder),
                           .restrict_plugins = true,
                           .only_plugins = &name,
                           .only_count = 1,
                           .find_plugin = pn_find_plugin,
                           .ctx = &found};
    bool good = how->config != NULL || default_text(how, &text);
    if (how->config == NULL)
        c.text = pn_buf_str(&text);
    if (!good)
        (void)pn_buf_addf(err, "%s: a path that can't stand in a configuration", how->file);
    else if (!pn_compile_run(&c, pool, &problems, &image))
        pn_problems_print(err, &problems, true);
    else if (found.count == 0)
        (void)pn_buf_addf(err, "%s: plugin %s is not configured there\n", how->config, how->name);
    else
        policy = pn_policy_open(pn_memfile_of("policy", pn_buf_str(&image)), err);
    pn_found_fini(&found);
    pn_buf_fini(&text);
    pn_buf_fini(&image);
    pn_pool_free(&pool);
    return policy;
}

/* ---- the child */

static bool write_all(int fd, struct pn_str s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.p, s.len);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            s = pn_str_slice(s, (size_t)n, s.len);
    }
    return true;
}

/* Its last byte says how it went: '+', or '-' and what stands before is why. */
static void ask_in_child(struct pn_policy *policy, int fd)
{
    struct pn_buf out, err;
    struct pn_plan *plan = pn_plan_new(policy, 1);
    bool good = false;
    unsigned count = 0;
    pn_buf_init(&out, SIZE_MAX);
    pn_buf_init(&err, 64 * 1024);
    pn_log_init("postern", PN_LOG_ERROR); /* what prepare warns of is said at start */
    struct pn_group *group = pn_group_load(plan, plan->plugins[0].group, PN_STR(""), NULL, &err);
    if (group != NULL) {
        struct host_plugin *p = pn_group_plugins(group, &count);
        struct host_setup setup;
        host_setup_init(&setup, p, &err);
        setup.info = &out;
        good = p->desc->info(&setup.setup) == POSTERN_OK;
        if (!good && err.len == 0)
            (void)pn_buf_addz(&err, "it could not say");
    }
    bool told = write_all(fd, pn_buf_str(good ? &out : &err)) &&
                write_all(fd, good ? PN_STR("+") : PN_STR("-"));
    _exit(told ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool read_all(int fd, struct pn_buf *out)
{
    char bytes[64 * 1024];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) != 0)
        if (n < 0 ? errno != EINTR : !pn_buf_add(out, bytes, (size_t)n))
            return false;
    return true;
}

static bool take_answer(struct pn_buf *said, int status, struct pn_buf *out, struct pn_buf *err)
{
    char how = said->len > 0 ? said->p[said->len - 1] : '\0';
    struct pn_str text = pn_str_slice(pn_buf_str(said), 0, said->len - (said->len > 0));
    if (how == '+')
        return pn_buf_adds(out, text);
    if (how == '-')
        (void)pn_buf_adds(err, text);
    else if (WIFSIGNALED(status))
        (void)pn_buf_addf(err, "died of signal %d (SIG%s) while it was asked", WTERMSIG(status),
                          sigabbrev_np(WTERMSIG(status)));
    else
        (void)pn_buf_addz(err, "ended its process while it was asked");
    return false;
}

static bool ask(struct pn_policy *policy, struct pn_buf *out, struct pn_buf *err)
{
    int fds[2], status = 0;
    struct pn_buf said;
    pid_t pid = -1;
    if (pipe(fds) != 0 || (pid = fork()) < 0) {
        (void)pn_buf_addf(err, "no process to ask it in: %s", strerror(errno));
        return false;
    }
    if (pid == 0) {
        (void)close(fds[0]);
        ask_in_child(policy, fds[1]);
    }
    pn_buf_init(&said, HOST_INFO_MAX + 64 * 1024);
    (void)close(fds[1]);
    bool whole = read_all(fds[0], &said);
    (void)close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    bool good = whole && take_answer(&said, status, out, err);
    pn_buf_fini(&said);
    return good;
}

enum pn_info_result pn_plugin_info(const struct pn_info_how *how, struct pn_buf *out,
                                   struct pn_buf *err)
{
    struct pn_policy *policy = compile(how, err);
    if (policy == NULL)
        return how->config == NULL ? PN_INFO_NOT_ASKED : PN_INFO_FAILED;
    bool good = ask(policy, out, err);
    pn_policy_unref(&policy);
    return good ? PN_INFO_SAID : PN_INFO_FAILED;
}

/* ---- printing */

/* Takes the next line off *lines. */
static bool next(struct pn_str *lines, struct pn_str *key, struct pn_str *value)
{
    size_t tab = pn_str_find(*lines, '\t', 0), lf = pn_str_find(*lines, '\n', tab);
    if (lf >= lines->len)
        return false;
    *key = pn_str_slice(*lines, 0, tab);
    *value = pn_str_slice(*lines, tab + 1, lf);
    *lines = pn_str_slice(*lines, lf + 1, lines->len);
    return true;
}

void pn_info_print(struct pn_str lines, struct pn_buf *out)
{
    struct pn_str key, value;
    while (next(&lines, &key, &value))
        (void)pn_buf_addf(out, "  %-20.*s %.*s\n", PN_FMT(key), PN_FMT(value));
}

void pn_info_json(struct pn_str lines, const char *name, struct pn_json *json)
{
    struct pn_str key, value;
    pn_json_array(json, name);
    while (next(&lines, &key, &value)) {
        pn_json_object(json, NULL);
        pn_json_str(json, "key", key);
        pn_json_str(json, "value", value);
        pn_json_object_end(json);
    }
    pn_json_array_end(json);
}
