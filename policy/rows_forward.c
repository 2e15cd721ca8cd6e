/* The rows of the `forward` block: what holds for all aliases, and senders of forwarded mail. */
#include "model.h"

#include "alabel.h"
#include "rows.h"

#define DAY (INT64_C(24) * 60 * 60 * 1000)

const struct postern_row pn_forward_rows[] = {
    {.name = "depth",
     .type = POSTERN_T_INT,
     .def = "10",
     .min = 1,
     .max = 30,
     .help = "Aliases that may lead from one to the next."},
    {.name = "recipients",
     .type = POSTERN_T_INT,
     .def = "200",
     .min = 1,
     .max = 3000,
     .help = "Addresses that one alias may stand for in the end, and all of a message together."},
    {.name = "sender-domain",
     .type = POSTERN_T_STRING,
     .help = "A domain whose mail comes here: senders of what goes on to others' servers become "
             "addresses of it (SRS), since their own SPF does not name us."},
    {.name = "secret-file",
     .type = POSTERN_T_FILE,
     .help = "What only we can make such addresses by: a secret a line, the first signs, all open; "
             "only the supervisor opens it."},
    {.name = "valid",
     .type = POSTERN_T_DURATION,
     .def = "21d",
     .min = DAY,
     .max = 1000 * DAY,
     .help = "How long reports that come back to such an address are sent on."},
    {.name = NULL},
};

/* What has to hold between them. */
void model_forward(struct model *m)
{
    const struct pn_tree_value *forward = pn_tree_value(m->core, "forward");
    struct pn_tree_value *domain = pn_tree_value(forward->block, "sender-domain");
    const struct pn_tree_value *secret = pn_tree_value(forward->block, "secret-file");
    struct pn_alabel room;
    if (domain == NULL && secret != NULL)
        pn_error_at(m->p.problems, secret->at,
                    "'secret-file' without a domain to make addresses of, expected "
                    "'sender-domain NAME'");
    if (domain == NULL)
        return;
    if (secret == NULL)
        pn_error_at(m->p.problems, domain->at,
                    "'sender-domain' without a secret, expected 'secret-file FILE'");
    struct pn_str name = pn_alabel_domain(domain->data.text, &room);
    if (name.p == NULL || name.len == 0 || name.p[0] == '.' || !model_domain_name_ok(name))
        pn_error_at(m->p.problems, domain->at,
                    "'%.*s' does not fit 'sender-domain', expected a domain such as example.net",
                    PN_FMT(domain->data.text));
    else
        domain->data.text = model_lower(m->p.pool, name);
}
