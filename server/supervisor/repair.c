/*
 * What a role lost though nobody died: a channel to a peer, part of a generation. It gets
 * another one, but no role may keep us busy with that: a burst at once, then one every ten
 * seconds. A role asks again for what it did not get.
 */
#include "clock.h"
#include "log.h"
#include "supervisor_int.h"

enum { REPAIR_EACH_S = 10, REPAIR_BURST = 80 };

/* The generic cell rate algorithm, as in limit_table.h. */
static bool may_repair(struct child *c)
{
    uint64_t now = pn_clock_mono_ns(), each = REPAIR_EACH_S * (uint64_t)PN_NS_PER_S;
    uint64_t due = (c->repair_due > now ? c->repair_due : now) + each;
    if (due > now + REPAIR_BURST * each)
        return false;
    c->repair_due = due;
    return true;
}

void repair_peer(struct child *c, enum pn_role role, uint32_t number)
{
    struct child *peer = child_alive(c) ? peers_find(c, role, number) : NULL;
    if (peer == NULL || !may_repair(c)) /* who is on its way brings a channel */
        return;
    peers_pair(c, peer);
    pn_warn("%s lost its channel to %s; they have a new one", c->name, peer->name);
    tell_repaired(c, peer->name);
}

void repair_generation(struct child *c)
{
    bool takes = c->kind != PEER_TEMPLATE && c->kind != PEER_WORKER;
    if (!child_alive(c) || !takes || c->sup->now.serial == 0 || !may_repair(c))
        return;
    pn_warn("%s could not take generation %u; it is sent again", c->name, c->sup->now.serial);
    give_generation(c);
    tell_repaired(c, "generation");
}
