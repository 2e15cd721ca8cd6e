#include "state_engine.h"

#include <stdio.h>
#include <string.h>

void state_engine_away(struct state_engine *e, const char *why)
{
    bool away = why != NULL;
    if (away)
        (void)snprintf(e->why, sizeof e->why, "%s", why);
    if (e->away == away)
        return;
    e->away = away;
    if (e->on_away != NULL)
        e->on_away(e->ctx);
}
