#include "compile_role.h"

#include "find.h"
#include "jail.h"
#include "log.h"
#include "memfile.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

static void tell(const struct pn_role_env *env, enum pn_record_type type, struct pn_str body,
                 const int *fd)
{
    if (pn_channel_send_fd(env->control_fd, type, pn_str_slice(body, 0, PN_RECORD_MAX / 2), fd,
                           fd != NULL) != 0)
        pn_error("the supervisor takes no result");
}

/* One record an error; warnings go to the log at once. */
static void tell_problems(const struct pn_role_env *env, const struct pn_problems *problems)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    for (size_t i = 0; i < problems->count; i++) {
        const struct pn_problem *p = &problems->list[i];
        if (p->warning) {
            pn_warn("%.*s: %.*s", PN_FMT(p->where), PN_FMT(p->text));
            continue;
        }
        pn_buf_clear(&b);
        (void)pn_buf_addf(&b, "%.*s: %.*s", PN_FMT(p->where), PN_FMT(p->text));
        tell(env, PN_REC_COMPILE_ERROR, pn_buf_str(&b), NULL);
    }
    pn_buf_fini(&b);
}

static void run(struct pn_role_env *env, const char *plugins, struct pn_pool *pool)
{
    struct pn_found found = {.count = 0};
    struct pn_problems problems;
    struct pn_buf image;
    pn_problems_init(&problems, pool);
    pn_buf_init(&image, PN_IMAGE_MAX);
    struct pn_compile c = {.file = env->start.file,
                           .root = env->start.root,
                           .plugin_folder = pn_str_of(plugins),
                           .find_plugin = pn_find_plugin,
                           .ctx = &found};
    bool ok = pn_compile_run(&c, pool, &problems, &image);
    tell_problems(env, &problems);
    if (ok) {
        int fd = pn_memfile_of("policy", pn_buf_str(&image));
        if (fd < 0)
            tell(env, PN_REC_COMPILE_ERROR, PN_STR("no memory file for the policy"), NULL);
        else
            tell(env, PN_REC_COMPILED, PN_STR(""), &fd);
        if (fd >= 0)
            (void)close(fd);
    }
    pn_found_fini(&found);
    pn_buf_fini(&image);
}

int pn_compile_main(struct pn_role_env *env)
{
    static const struct pn_jail_path paths[] = {{"/", false}};
    static const struct pn_jail jail = {.kind = PN_JAIL_COMPILE, .paths = paths, .path_count = 1};
    char folder[PATH_MAX];
    const char *plugins = pn_plugin_folder(folder, sizeof folder);
    if (!pn_jail_enter(env, &jail)) {
        pn_role_env_failed(env, "the jail could not be entered");
        return 1;
    }
    struct pn_pool *pool = pn_pool_new(PN_COMPILE_POOL_MAX);
    run(env, plugins, pool);
    pn_pool_free(&pool);
    return 0;
}
