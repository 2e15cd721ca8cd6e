#include "compile_role.h"

#include "find.h"
#include "jail.h"
#include "log.h"
#include "memfile.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_MAX = 8 * 1024 };

/* Warnings are for the log; errors are the supervisor's, which refuses by them. */
static bool send_problem(int fd, const struct pn_problem *p)
{
    struct pn_buf b;
    pn_buf_init(&b, TEXT_MAX);
    (void)pn_buf_addf(&b, "%.*s%s%.*s", PN_FMT(p->where), p->where.len == 0 ? "" : ": ",
                      PN_FMT(p->text));
    bool ok = true;
    if (p->warning)
        pn_warn("%s", pn_buf_cstr(&b));
    else
        ok = pn_channel_send_fd(fd, PN_REC_COMPILE_ERROR, pn_buf_str(&b), NULL, 0) == 0;
    pn_buf_fini(&b);
    return ok;
}

static bool send_problems(int fd, const struct pn_problems *problems)
{
    bool ok = true;
    for (size_t i = 0; ok && i < problems->count; i++)
        ok = send_problem(fd, &problems->list[i]);
    if (problems->unseen != 0)
        pn_error("%zu more problems", problems->unseen);
    return ok;
}

static bool send_image(int fd, struct pn_str image)
{
    int memory = pn_memfile_of("policy", image);
    if (memory < 0)
        return false;
    bool ok = pn_channel_send_fd(fd, PN_REC_COMPILED, PN_STR(""), &memory, 1) == 0;
    (void)close(memory);
    return ok;
}

struct finder {
    struct pn_found found;
    int fd;
};

/* The supervisor is told which plugin is loaded: should that end this process, nobody else
 * could name it. */
static const struct postern_plugin *find_plugin(void *ctx, struct pn_str name, const char *path,
                                                struct pn_buf *err)
{
    struct finder *f = ctx;
    (void)pn_channel_send_fd(f->fd, PN_REC_COMPILE_LOADS, pn_str_of(path), NULL, 0);
    const struct postern_plugin *desc = pn_find_plugin(&f->found, name, path, err);
    (void)pn_channel_send_fd(f->fd, PN_REC_COMPILE_LOADS, PN_STR(""), NULL, 0);
    return desc;
}

static int compile(const struct pn_role_env *env)
{
    char folder[PATH_MAX];
    struct finder plugins = {.fd = env->control_fd};
    struct pn_pool *pool = pn_pool_new(PN_COMPILE_POOL_MAX);
    struct pn_problems problems;
    struct pn_buf image;
    const struct pn_compile c = {
        .file = env->start.file,
        .root = env->start.root,
        .plugin_folder = pn_str_of(pn_plugin_folder(folder, sizeof folder)),
        .find_plugin = find_plugin,
        .ctx = &plugins,
    };
    pn_problems_init(&problems, pool);
    pn_buf_init(&image, PN_IMAGE_MAX);
    bool good = pn_compile_run(&c, pool, &problems, &image);
    bool sent = send_problems(env->control_fd, &problems) &&
                (!good || send_image(env->control_fd, pn_buf_str(&image)));
    if (!sent)
        pn_error("the result can't be sent: %s", strerror(errno));
    pn_found_fini(&plugins.found);
    pn_buf_fini(&image);
    pn_pool_free(&pool);
    return good && sent ? EXIT_SUCCESS : EXIT_FAILURE;
}

int pn_compile_main(struct pn_role_env *env)
{
    static const struct pn_jail_path everything = {"/", false};
    static const struct pn_jail jail = {
        .kind = PN_JAIL_COMPILE, .paths = &everything, .path_count = 1};
    if (!pn_jail_enter(env, &jail)) {
        pn_role_env_failed(env, "it can't be jailed");
        return EXIT_FAILURE;
    }
    return compile(env);
}
