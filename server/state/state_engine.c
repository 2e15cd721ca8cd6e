#include "state_engine.h"

#include <stdio.h>
#include <string.h>

void state_engine_away(struct state_engine *e, const char *why)
{
    bool away = why != NULL, told = e->away && !e->starting;
    if (away)
        (void)snprintf(e->why, sizeof e->why, "%s", why);
    e->away = away;
    e->starting = false;
    if (away != told && e->on_away != NULL)
        e->on_away(e->ctx, e);
}

void state_answer_plain(state_answer_fn *fn, void *ctx, enum pn_state_status status, uint32_t left)
{
    const struct pn_state_answer answer = {
        .status = (uint8_t)status, .left = left, .value = PN_STR("")};
    fn(ctx, &answer);
}
