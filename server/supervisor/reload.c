/* From a compiled mapping to a generation that serves, or back to the old state. */
#include "jail.h"
#include "limit_table.h"
#include "log.h"
#include "supervisor_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { MAILBOX_DRAIN_MS = 10 * 1000 };

void reload_begin(struct supervisor *sup)
{
    if (sup->state == SUP_STOPPING)
        return;
    if (sup->state != SUP_SERVING) { /* one after the other */
        sup->again = true;
        return;
    }
    pn_info("reloading %s", sup->options->config);
    sup->state = SUP_RELOADING;
    compile_begin(sup);
}

/* The generation that serves once more, its plugins loaded anew. The configuration is not
 * read: what an operator is writing into it meanwhile is no concern of a virus database. */
static void refresh_begin(struct supervisor *sup)
{
    int fd = fcntl(sup->now.policy_fd, F_DUPFD_CLOEXEC, 0);
    sup->refresh = false;
    if (fd < 0) {
        pn_error("plugins are not loaded anew: %s", strerror(errno));
        return;
    }
    sup->state = SUP_RELOADING;
    reload_compiled(sup, fd);
}

void reload_plugins(const struct child *template, struct pn_str plugin)
{
    struct supervisor *sup = template->sup;
    if (sup->state == SUP_STOPPING || template->generation != sup->now.serial)
        return;
    pn_info("the files of plugin %.*s have changed; it is loaded anew", PN_FMT(plugin));
    tell_plugin_changed(sup, plugin);
    sup->refresh = true;
    if (sup->state == SUP_SERVING)
        refresh_begin(sup);
}

static void settle(struct supervisor *sup)
{
    sup->state = SUP_SERVING;
    tell_state(sup);
    if (sup->again) {
        sup->again = false;
        reload_begin(sup);
    } else if (sup->refresh) {
        refresh_begin(sup);
    }
}

void reload_refuse(struct supervisor *sup, const char *why)
{
    if (sup->state == SUP_STARTING) {
        pn_error("%s", why);
        stop_begin(sup, 1);
        return;
    }
    pn_error("reload refused: %s; the state before serves on", why);
    tell_refused(sup, why);
    uint32_t serial = sup->next.serial;
    sockets_back(sup);
    coming_fini(&sup->next);
    for (struct child *c = sup->children; c != NULL; c = c->next) {
        if (serial != 0 && c->generation == serial) {
            child_retire(c, 0);
            child_kill(c);
        }
    }
    settle(sup);
}

/* Said here and once, not by each role in its turn. */
static bool kernel_ok(const struct coming *next, struct pn_buf *err)
{
    const char *lacks = next->plan.jail_must ? pn_jail_support() : NULL;
    if (lacks != NULL)
        (void)pn_buf_addf(err, "jail: %s, and the configuration says `jail must`", lacks);
    return lacks == NULL;
}

void reload_compiled(struct supervisor *sup, int policy_fd)
{
    struct coming *next = &sup->next;
    struct pn_buf err;
    if (policy_fd < 0) {
        reload_refuse(sup, "the configuration has errors");
        return;
    }
    pn_buf_init(&err, 1000);
    *next = (struct coming){.serial = ++sup->last_serial,
                            .policy_fd = policy_fd,
                            .dns_file_fd = -1,
                            .secret_fd = -1,
                            .users_fd = -1,
                            .authorities_fd = -1};
    bool ok = sup->options->plan_read(&next->plan, policy_fd, sup->options->root, &err) &&
              kernel_ok(next, &err) && files_keys(next, &err) && files_for_roles(next, &err) &&
              users_open(next, &err);
    if (ok && sup->options->check) {
        pn_info("the configuration is good");
        pn_buf_fini(&err);
        pn_loop_stop(sup->loop);
        return;
    }
    if (ok && sup->state == SUP_STARTING)
        ok = files_folders(sup, &next->plan, &err) && files_control_socket(sup, &next->plan, &err);
    ok = ok && sockets_bind(sup, &next->plan, &err);
    if (ok)
        bringup_begin(sup);
    else
        reload_refuse(sup, pn_buf_cstr(&err));
    pn_buf_fini(&err);
}

/* Somebody has it, if only to finish. */
static bool is_used(const struct supervisor *sup, enum peer_kind kind, uint32_t number)
{
    const struct child *c = sup->children;
    while (c != NULL && (c->kind != kind || c->number != number))
        c = c->next;
    return c != NULL;
}

static void start_one(struct supervisor *sup, enum peer_kind kind, uint32_t number)
{
    child_start(child_add(sup, kind, number, 0, 0));
}

/* The last ones go first. An edge's number is its column in the table of limits: where all
 * are used by edges that drain, the next one starts when one of those is gone. */
static void adjust_edges(struct supervisor *sup)
{
    uint32_t have = 0, number = 0;
    for (const struct child *c = sup->children; c != NULL; c = c->next)
        have += c->kind == PEER_EDGE && !c->retired;
    for (; have > sup->now.plan.edges; have--) {
        struct child *last = NULL;
        for (struct child *c = sup->children; c != NULL; c = c->next)
            last = c->kind == PEER_EDGE && !c->retired ? c : last;
        child_retire(last, sup->now.plan.drain_ms);
    }
    for (; have < sup->now.plan.edges; have++) {
        while (number < PN_LIMITS_EDGES_MAX && is_used(sup, PEER_EDGE, number))
            number++;
        if (number == PN_LIMITS_EDGES_MAX) {
            pn_info("%u more edges start as others are done", sup->now.plan.edges - have);
            return;
        }
        start_one(sup, PEER_EDGE, number);
    }
}

/* Which users a mailbox worker has follows from its number, so they are 0 to n - 1; one that
 * finishes keeps its number until it is gone. */
static void adjust_mailboxes(struct supervisor *sup)
{
    for (struct child *c = sup->children; c != NULL; c = c->next)
        if (c->kind == PEER_MAILBOX && !c->retired && c->number >= sup->now.plan.mailboxes)
            child_retire(c, MAILBOX_DRAIN_MS); /* nobody else serves its users before */
    for (uint32_t number = 0; number < sup->now.plan.mailboxes; number++)
        if (!is_used(sup, PEER_MAILBOX, number))
            start_one(sup, PEER_MAILBOX, number);
}

void reload_adjust(struct supervisor *sup)
{
    if (sup->now.serial == 0 || sup->state == SUP_STARTING || sup->state == SUP_STOPPING)
        return;
    adjust_edges(sup);
    adjust_mailboxes(sup);
}

/* Sessions that began with the old plugins end with them: workers go when the last
 * edge lets go of them, and templates behind their last worker. */
static void retire_old_plugins(struct supervisor *sup)
{
    for (struct child *c = sup->children; c != NULL; c = c->next) {
        if (c->generation == 0 || c->generation == sup->now.serial)
            continue;
        if (c->kind == PEER_TEMPLATE)
            c->retired = true;
        else
            child_retire(c, CHILD_OLD_PLUGINS_MS);
    }
    child_sweep_soon(sup);
}

void reload_take(struct supervisor *sup)
{
    bool first = sup->state == SUP_STARTING;
    sup->refresh = false; /* what it asked for was loaded just now */
    coming_fini(&sup->now);
    sup->now = sup->next;
    sup->next = (struct coming){
        .policy_fd = -1, .dns_file_fd = -1, .secret_fd = -1, .users_fd = -1, .authorities_fd = -1};
    sockets_take(sup, &sup->now.plan);
    if (first) {
        pn_info("serving");
        tell_started(sup);
        tell_jail(sup);
    } else {
        for (struct child *c = sup->children; c != NULL; c = c->next)
            if (child_alive(c) && c->kind != PEER_TEMPLATE && c->kind != PEER_WORKER)
                give_generation(c);
        reload_adjust(sup);
        retire_old_plugins(sup);
        pn_info("generation %u serves", sup->now.serial);
        tell_reloaded(sup);
    }
    settle(sup);
}
