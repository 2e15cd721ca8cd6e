#include "state_settings.h"

#include "config.h"

#include <string.h>

static bool copy(char *to, size_t size, const struct pn_policy *p, const char *name,
                 struct pn_buf *err)
{
    struct pn_str s = pn_policy_str(p, name);
    if (s.len >= size) {
        (void)pn_buf_addf(err, "%s: longer than %zu bytes", name, size - 1);
        return false;
    }
    memcpy(to, s.len == 0 ? "" : s.p, s.len);
    return true;
}

bool state_settings_of(struct pn_generation *gen, struct state_settings *out, struct pn_buf *err)
{
    struct pn_policy *p = pn_policy_open(gen->policy_fd, err);
    gen->policy_fd = -1;
    if (p == NULL)
        return false;
    *out = (struct state_settings){
        .size = (uint64_t)pn_policy_int(p, "state.size"),
        .shared = pn_policy_str(p, "state.redis").len != 0,
        .local = pn_str_eq(pn_policy_str(p, "state.on-away"), PN_STR("local")),
        .redis = {.database = pn_policy_int(p, "state.database"),
                  .timeout_ms = (uint32_t)pn_policy_int(p, "state.timeout")}};
#ifndef HAVE_REDIS
    if (out->shared) {
        (void)pn_buf_addz(err, "state.redis: this one was built without Redis");
        pn_policy_unref(&p);
        return false;
    }
#endif
    bool ok = copy(out->server, sizeof out->server, p, "state.redis", err) &&
              copy(out->redis.prefix, sizeof out->redis.prefix, p, "state.prefix", err) &&
              copy(out->redis.user, sizeof out->redis.user, p, "state.user", err);
    pn_policy_unref(&p);
    return ok;
}

bool state_settings_same(const struct state_settings *a, const struct state_settings *b)
{
    return a->size == b->size && a->shared == b->shared && a->local == b->local &&
           strcmp(a->server, b->server) == 0 && strcmp(a->redis.prefix, b->redis.prefix) == 0 &&
           strcmp(a->redis.user, b->redis.user) == 0 && a->redis.database == b->redis.database &&
           a->redis.timeout_ms == b->redis.timeout_ms;
}

bool state_engines_open(struct state_engines *out, struct pn_loop *loop,
                        const struct state_settings *set, void (*want)(void *ctx), void *ctx,
                        struct pn_buf *err)
{
    struct state_engine *own = NULL;
    *out = (struct state_engines){NULL, NULL};
    if (!set->shared || set->local) {
        own = state_lmdb_new(loop, set->size, err);
        if (own == NULL)
            return false;
    }
#ifdef HAVE_REDIS
    if (set->shared)
        out->redis = state_redis_new(loop, &set->redis, want, ctx);
#else
    (void)want;
    (void)ctx;
#endif
    out->engine = out->redis == NULL ? own
                  : own == NULL      ? out->redis
                                     : state_both_new(out->redis, own);
    return true;
}
