#include "role.h"

#include <stdlib.h>

enum { SENTENCE_MAX = 4000 };

static bool step(struct pn_role_life *life, bool (*fn)(struct pn_role_life *, struct pn_buf *))
{
    struct pn_buf err;
    if (fn == NULL)
        return true;
    pn_buf_init(&err, SENTENCE_MAX);
    bool ok = fn(life, &err);
    if (!ok)
        pn_role_env_failed(life->env, "%s", pn_buf_cstr(&err));
    pn_buf_fini(&err);
    return ok;
}

static bool enter_jail(struct pn_role_life *life)
{
    bool ok = pn_jail_enter(life->env, &life->jail);
    if (!ok)
        pn_role_env_failed(life->env, "the jail could not be entered");
    return ok;
}

int pn_role_run(struct pn_role_env *env, const struct pn_role_steps *steps, void *ctx)
{
    struct pn_role_life life = {
        .env = env, .loop = pn_loop_new(), .jail = {.kind = steps->jail}, .ctx = ctx};
    bool ok = step(&life, steps->begin) && enter_jail(&life) && step(&life, steps->open);
    if (ok) {
        life.control = pn_control_new(life.loop, env, &steps->control, ctx);
        for (size_t i = 0; i < env->peer_count && steps->control.on_peer != NULL; i++)
            steps->control.on_peer(ctx, &env->peers[i]);
        if (steps->join != NULL)
            steps->join(&life);
        if (!steps->says_ready)
            pn_control_ready(life.control);
        pn_loop_run(life.loop);
    }
    steps->end(&life);
    pn_control_free(&life.control);
    pn_loop_free(&life.loop);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
