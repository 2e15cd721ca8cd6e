/* Workers for one edge alone: where suspects are replayed (DESIGN.md, Filter workers). */
#include "log.h"
#include "supervisor_int.h"

enum { SOLO_MAX = 16 }; /* at once; an edge asks again when it got none in time */

static unsigned solo_count(const struct supervisor *sup)
{
    unsigned n = 0;
    for (const struct child *c = sup->children; c != NULL; c = c->next)
        n += c->solo && !c->retired;
    return n;
}

static bool has_template(const struct supervisor *sup, const struct pn_want_solo *want)
{
    for (const struct child *c = sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_TEMPLATE && c->group == want->group &&
            c->generation == want->generation && c->state == CHILD_READY)
            return true;
    return false;
}

void solo_want(struct child *edge, const struct pn_want_solo *want)
{
    struct supervisor *sup = edge->sup;
    if (sup->state == SUP_STOPPING || !has_template(sup, want)) {
        pn_warn("%s asked for a worker of group %u, generation %u, which has no template",
                edge->name, want->group, want->generation);
        return;
    }
    if (solo_count(sup) >= SOLO_MAX) {
        pn_warn("%s asked for a worker of its own; %d are running", edge->name, SOLO_MAX);
        return;
    }
    struct child *c = child_add(sup, PEER_WORKER, 0, want->group, want->generation);
    c->solo = true;
    c->solo_edge = edge->number;
    c->solo_token = want->token;
    child_start(c);
}
