/* What the supervisor has to say to admin: events, and whether the server is ready. */
#include "clock.h"
#include "jail.h"
#include "json.h"
#include "metrics.h"
#include "supervisor_int.h"

#include <stdio.h>

enum { EVENTS_MAX = 256 * 1024 };

static struct child *admin_of(struct supervisor *sup)
{
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_ADMIN && c->state == CHILD_READY)
            return c;
    return NULL;
}

/* Each line waits, with its length in front, while admin is not there; the oldest
 * are kept, because they say how it began. */
static void tell(struct supervisor *sup, const struct pn_buf *line)
{
    if (sup->events.max == 0)
        pn_buf_init(&sup->events, EVENTS_MAX);
    if (sup->events.len + line->len + 4 <= EVENTS_MAX)
        pn_wr_str(&sup->events, pn_buf_str(line));
    tell_flush(sup);
}

void tell_flush(struct supervisor *sup)
{
    struct child *admin = admin_of(sup);
    struct pn_rd r = pn_rd_of(pn_buf_str(&sup->events));
    if (admin == NULL || sup->events.len == 0)
        return;
    while (!pn_rd_done(&r) && pn_rd_ok(&r)) {
        struct pn_str line = pn_rd_str(&r);
        (void)pn_channel_send(admin->control, PN_REC_EVENT, line, NULL, 0);
    }
    pn_buf_fini(&sup->events);
}

static struct pn_json begin(struct pn_buf *b, const char *event)
{
    struct pn_buf ts;
    pn_buf_init(b, 8192);
    pn_buf_init(&ts, 64);
    pn_clock_rfc3339(&ts, pn_clock_wall_ms());
    struct pn_json j = pn_json_to(b);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "ts", pn_buf_str(&ts));
    pn_json_str(&j, "event", pn_str_of(event));
    pn_json_i64(&j, "schema", 1);
    pn_buf_fini(&ts);
    return j;
}

static void finish(struct supervisor *sup, struct pn_buf *b, struct pn_json *j)
{
    pn_json_object_end(j);
    tell(sup, b);
    pn_buf_fini(b);
}

static void generation_event(struct supervisor *sup, const char *event)
{
    struct pn_buf b;
    struct pn_json j = begin(&b, event);
    pn_json_i64(&j, "generation", sup->now.serial);
    finish(sup, &b, &j);
}

void tell_started(struct supervisor *sup)
{
    generation_event(sup, "started");
}

void tell_jail(struct supervisor *sup)
{
    const struct pn_jail_kernel has = pn_jail_kernel();
    if (has.landlock && has.seccomp)
        return;
    struct pn_buf b;
    struct pn_json j = begin(&b, "jail_incomplete");
    pn_json_bool(&j, "landlock", has.landlock);
    pn_json_bool(&j, "seccomp", has.seccomp);
    pn_json_str(&j, "reason", pn_str_of(pn_jail_support()));
    finish(sup, &b, &j);
}

void tell_reloaded(struct supervisor *sup)
{
    generation_event(sup, "reloaded");
}

void tell_refused(struct supervisor *sup, const char *why)
{
    struct pn_buf b;
    struct pn_json j = begin(&b, "reload_refused");
    pn_json_str(&j, "reason", pn_str_of(why));
    finish(sup, &b, &j);
}

void tell_plugin_changed(struct supervisor *sup, struct pn_str plugin)
{
    struct pn_buf b;
    struct pn_json j = begin(&b, "plugin_changed");
    pn_json_str(&j, "plugin", plugin);
    finish(sup, &b, &j);
}

void tell_certificates(struct supervisor *sup, const char *why_not)
{
    struct pn_buf b;
    struct pn_json j = begin(&b, why_not == NULL ? "certificates" : "certificates_refused");
    if (why_not != NULL)
        pn_json_str(&j, "reason", pn_str_of(why_not));
    finish(sup, &b, &j);
}

void tell_died(struct child *c, const char *how, uint64_t restart_ms)
{
    struct pn_buf b;
    struct pn_json j = begin(&b, "role_died");
    pn_json_str(&j, "role", pn_str_of(pn_role_name(child_role(c))));
    pn_json_str(&j, "name", pn_str_of(c->name));
    pn_json_str(&j, "reason", pn_str_of(how));
    pn_json_i64(&j, "deaths", c->fails);
    pn_json_i64(&j, "restart_ms", (int64_t)restart_ms);
    finish(c->sup, &b, &j);
}

void tell_repaired(struct child *c, const char *what)
{
    struct pn_buf b;
    struct pn_json j = begin(&b, "role_repaired");
    pn_json_str(&j, "role", pn_str_of(pn_role_name(child_role(c))));
    pn_json_str(&j, "name", pn_str_of(c->name));
    pn_json_str(&j, "lost", pn_str_of(what));
    finish(c->sup, &b, &j);
}

/* There is such a role, and none of it is up: whoever needs it is told to come again. */
static bool lacks(const struct supervisor *sup, enum peer_kind kind)
{
    bool wanted = false;
    for (const struct child *c = sup->children; c != NULL; c = c->next) {
        if (c->kind != kind || c->retired || c->solo)
            continue;
        if (c->state == CHILD_READY)
            return false;
        wanted = true;
    }
    return wanted;
}

static bool serves(const struct supervisor *sup)
{
    bool all = sup->state == SUP_SERVING || sup->state == SUP_RELOADING;
    for (int kind = 0; kind < PEER_KIND_COUNT; kind++)
        all = all && !lacks(sup, (enum peer_kind)kind);
    return all;
}

/* As gauges, so that admin needs no second way: who is up, and whether all serve. */
void tell_state(struct supervisor *sup)
{
    enum { LABEL_MAX = PN_ROLE_NAME_MAX + 16 };
    struct child *admin = admin_of(sup);
    struct pn_metric rows[PN_METRICS_MAX];
    static char labels[PN_METRICS_MAX][LABEL_MAX];
    size_t n = 0;
    if (admin == NULL)
        return;
    rows[n++] = (struct pn_metric){"postern_serving", NULL,
                                   "All roles were brought up, and none is "
                                   "away",
                                   PN_GAUGE, serves(sup)};
    rows[n++] = (struct pn_metric){"postern_generation", NULL, "Serial number of the policy",
                                   PN_GAUGE, sup->now.serial};
    const struct pn_jail_kernel has = pn_jail_kernel();
    rows[n++] = (struct pn_metric){"postern_jail", "part=\"landlock\"",
                                   "Roles are jailed with what the kernel has of this", PN_GAUGE,
                                   has.landlock};
    rows[n++] = (struct pn_metric){"postern_jail", "part=\"seccomp\"",
                                   "Roles are jailed with what the kernel has of this", PN_GAUGE,
                                   has.seccomp};
    for (const struct child *c = sup->children; c != NULL && n < PN_METRICS_MAX; c = c->next) {
        if (c->retired || c->solo)
            continue;
        (void)snprintf(labels[n], LABEL_MAX, "name=\"%s\"", c->name);
        rows[n] = (struct pn_metric){"postern_role_up", labels[n], "The role is ready", PN_GAUGE,
                                     c->state == CHILD_READY};
        n++;
    }
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX - 64);
    pn_metrics_put(&b, rows, n);
    (void)child_send(admin, PN_REC_METRICS, &b, -1);
    pn_buf_fini(&b);
}
