/* The rows of a `destination` block, and what has to hold between them. */
#include "model.h"

#include "alabel.h"
#include "destination.h"
#include "rows.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define DAY    (24 * 60 * MINUTE)

static const struct postern_row route_rows[] = {
    {.name = "next-hop",
     .type = POSTERN_T_STRING,
     .flags = PN_ROW_BARE,
     .help = "Of smtp and lmtp: \"HOST:PORT\"; a host's name or an address, without a port 25."},
    {.name = NULL},
};

static const struct postern_row auth_rows[] = {
    {.name = "user",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_REQUIRED,
     .help = "Whom to log in there as."},
    {.name = "password-file",
     .type = POSTERN_T_FILE,
     .flags = POSTERN_ROW_REQUIRED,
     .help = "Its first line is the password; only the supervisor opens it."},
    {.name = "plain",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "Where SCRAM-SHA-256 is not offered, the password itself is shown (PLAIN, LOGIN), "
             "though neither DANE nor one of queue.tls-authorities proves who the server is; where "
             "one does, this is not needed."},
    {.name = NULL},
};

static const struct postern_row rate_rows[] = {
    {.name = "per",
     .type = POSTERN_T_DURATION,
     .flags = POSTERN_ROW_REQUIRED,
     .min = 100,
     .max = 7 * DAY,
     .help = "In so long a time."},
    {.name = NULL},
};

const struct postern_row pn_destination_rows[] = {
    {.name = "route",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_TITLED,
     .title_type = POSTERN_T_CHOICE,
     .choices = "mx|smtp|lmtp",
     .rows = route_rows,
     .help = "Where its mail goes: the hosts that DNS names (without this row), or one next hop. "
             "A domain that a `domain` block names goes where that one says."},
    {.name = "tls",
     .type = POSTERN_T_CHOICE,
     .choices = "off|may|must|dane",
     .help = "TLS: never; where it is offered, or DANE asks for it; always; always and proved by "
             "DANE; else queue.tls."},
    {.name = "auth",
     .type = POSTERN_T_BLOCK,
     .rows = auth_rows,
     .help = "We log in at its next hop, over TLS only."},
    {.name = "connections",
     .type = POSTERN_T_INT,
     .min = 1,
     .max = 100000,
     .help = "Connections at once to each next hop; else queue.connections-per-hop."},
    {.name = "messages-per-connection",
     .type = POSTERN_T_INT,
     .min = 1,
     .max = 1000000,
     .help = "Then it is closed and another one made; else queue.messages-per-connection."},
    {.name = "rate",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_TITLED,
     .title_type = POSTERN_T_INT,
     .min = 1,
     .max = 1000000000,
     .rows = rate_rows,
     .help = "Recipients that each next hop is given, `rate 100 per 1m`; more wait."},
    {.name = "retry",
     .type = POSTERN_T_DURATION,
     .flags = POSTERN_ROW_LIST,
     .min = 100,
     .max = 7 * DAY,
     .help = "Waits between tries, at most 32; else queue.retry."},
    {.name = "expire",
     .type = POSTERN_T_DURATION,
     .min = SECOND,
     .max = 60 * DAY,
     .help = "Then the sender is told; else queue.expire."},
    {.name = NULL},
};

/* ---- the title ---- */

static void settle_title(struct model *m, struct pn_tree_block *block)
{
    struct pn_alabel room;
    if (pn_str_eq(block->title, PN_STR("*")))
        return;
    struct pn_str name = pn_alabel_domain(block->title, &room);
    if (name.p == NULL || !model_domain_name_ok(name))
        pn_error_at(m->p.problems, block->title_at,
                    "'%.*s' is no destination, expected a domain such as \"example.org\", "
                    "\".example.org\" for all below it, or \"*\" for all others",
                    PN_FMT(block->title));
    else
        block->title = model_lower(m->p.pool, name);
}

/* Written otherwise and the same in the end. */
static void check_twice(struct model *m, struct pn_intern *seen, const struct pn_tree_block *block)
{
    bool is_new;
    (void)pn_intern_add(seen, block->title, &is_new);
    if (!is_new)
        pn_error_at(m->p.problems, block->title_at, "destination '%.*s' is there twice",
                    PN_FMT(block->title));
}

/* ---- the next hop ---- */

static void check_route(struct model *m, const struct pn_tree_value *route)
{
    const struct pn_tree_value *hop = pn_tree_value(route->block, "next-hop");
    struct pn_hop_name name;
    if (route->data.number == PN_DEST_MX && hop != NULL)
        pn_error_at(m->p.problems, hop->at, "'route mx' takes no next hop");
    if (route->data.number == PN_DEST_MX)
        return;
    if (hop == NULL)
        pn_error_at(m->p.problems, route->at,
                    "'route %.*s' without a next hop, expected \"HOST:PORT\"",
                    PN_FMT(route->block->title));
    else if (!pn_hop_name(hop->data.text, &name))
        pn_error_at(m->p.problems, hop->at,
                    "'%.*s' is no next hop, expected \"HOST:PORT\" such as "
                    "\"relay.example.net:587\", \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
                    PN_FMT(hop->data.text));
}

/* A password goes to who was meant, and nobody reads it on the way. */
static void check_auth(struct model *m, const struct pn_tree_block *block)
{
    const struct pn_tree_value *auth = pn_tree_value(block, "auth");
    const struct pn_tree_value *route = pn_tree_value(block, "route");
    const struct pn_tree_value *tls = pn_tree_value(block, "tls");
    if (auth == NULL)
        return;
    if (route == NULL || route->data.number == PN_DEST_MX)
        pn_error_at(m->p.problems, auth->at,
                    "'auth' without a next hop of its own, expected 'route smtp \"HOST:PORT\"'");
    if (tls != NULL && tls->data.number < PN_DEST_TLS_MUST)
        pn_error_at(m->p.problems, tls->at,
                    "'auth' goes over TLS only, expected 'tls must' or 'tls dane'");
}

static void check_retry(struct model *m, const struct pn_tree_block *block)
{
    const struct pn_tree_entry *retry = pn_tree_entry(block, "retry");
    if (retry->count > PN_DEST_RETRIES_MAX)
        pn_error_at(m->p.problems, retry->first->at, "%u waits, expected at most %d",
                    (unsigned)retry->count, PN_DEST_RETRIES_MAX);
}

void model_destinations(struct model *m)
{
    struct pn_intern seen;
    pn_intern_init(&seen);
    for (const struct pn_tree_value *v = pn_tree_value(m->core, "destination"); v != NULL;
         v = v->next) {
        const struct pn_tree_value *route = pn_tree_value(v->block, "route");
        settle_title(m, v->block);
        check_twice(m, &seen, v->block);
        if (route != NULL)
            check_route(m, route);
        check_auth(m, v->block);
        check_retry(m, v->block);
    }
    pn_intern_fini(&seen);
}
