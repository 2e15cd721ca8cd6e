/*
 * Mail that users submit (RFC 6409): who may send as whom, what its header lacks, and accounts
 * that send so much that somebody else may have their password.
 */
#include "edge.h"

#include "address.h"
#include "alabel.h"
#include "message.h"
#include "sasl.h"

#include <inttypes.h>
#include <stdlib.h>

enum { HOUR_MS = 3600 * 1000, ADDRESS_MAX = 1100 };

bool session_submits(const struct session *s)
{
    return s->kind == PN_LISTEN_SUBMISSION || s->kind == PN_LISTEN_SUBMISSIONS;
}

struct pn_str session_user(const struct session *s)
{
    return pn_str_of(s->user == NULL ? "" : s->user);
}

/* ---- who may send as whom ---- */

static bool is_his(const struct session *s, struct pn_str address)
{
    struct pn_alabel room;
    struct pn_str ascii = pn_alabel_address(address, &room);
    return ascii.p != NULL &&
           pn_sasl_may_send(session_user(s), pn_str_of(s->senders == NULL ? "" : s->senders),
                            ascii);
}

/* user+tag@domain is user@domain's, too, unless somebody is called so. */
static bool may_send(const struct session *s, struct pn_str address)
{
    size_t at = address.len;
    struct pn_buf plain;
    if (is_his(s, address))
        return true;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    if (at == 0)
        return false;
    const struct pn_domain *home = pn_policy_domain(s->gen->policy, rcpt_domain(address));
    struct pn_str local = pn_domain_user(s->gen->policy, home, pn_str_slice(address, 0, at - 1));
    pn_buf_init(&plain, ADDRESS_MAX);
    bool his = pn_buf_adds(&plain, local) &&
               pn_buf_adds(&plain, pn_str_slice(address, at - 1, address.len)) &&
               is_his(s, pn_buf_str(&plain));
    pn_buf_fini(&plain);
    return his;
}

const char *submit_sender(const struct session *s, const struct pn_smtp_mailbox *from)
{
    struct pn_buf b;
    /* The null path is everybody's: receipts go out with it (RFC 8098, section 3). */
    if (s->user == NULL || from->address.len == 0)
        return NULL;
    pn_buf_init(&b, ADDRESS_MAX);
    pn_smtp_mailbox_canonical(&b, from);
    bool his = may_send(s, pn_buf_str(&b));
    pn_buf_fini(&b);
    return his ? NULL : "553 5.7.1 You may not send as this address: it is not yours";
}

/* ---- the header ---- */

/* A field with addresses: each mailbox in it must be his. */
struct names {
    struct pn_str field;
    const char *broken, *foreign;
};

static const struct names author = {PN_STR_INIT("From"),
                                    "550 5.6.0 From holds what is no address (RFC 5322, 3.6.2)",
                                    "550 5.7.1 From names an address that is not yours"};

/* Programs show these beside the author, or in his place. */
static const struct names agents[] = {
    {PN_STR_INIT("Sender"), "550 5.6.0 Sender holds what is no address (RFC 5322, 3.6.2)",
     "550 5.7.1 Sender names an address that is not yours"},
    {PN_STR_INIT("Resent-From"), "550 5.6.0 Resent-From holds what is no address (RFC 5322, 3.6.6)",
     "550 5.7.1 Resent-From names an address that is not yours"},
    {PN_STR_INIT("Resent-Sender"),
     "550 5.6.0 Resent-Sender holds what is no address (RFC 5322, 3.6.6)",
     "550 5.7.1 Resent-Sender names an address that is not yours"},
};

/* *count: how many mailboxes are in it. */
static const char *look_at_names(const struct session *s, const struct names *names,
                                 struct pn_str value, size_t *count)
{
    struct pn_address_walk walk;
    struct pn_address a;
    struct pn_buf spec;
    const char *refusal = NULL;
    *count = 0;
    pn_buf_init(&spec, ADDRESS_MAX);
    pn_address_start(&walk, value);
    while (refusal == NULL && pn_address_next(&walk, &a)) {
        if (a.kind != PN_ADDRESS_MAILBOX)
            continue;
        ++*count;
        pn_buf_clear(&spec);
        if (!pn_address_spec(&a, &spec))
            refusal = names->broken;
        else if (!may_send(s, pn_buf_str(&spec)))
            refusal = names->foreign;
    }
    pn_buf_fini(&spec);
    return refusal;
}

static const char *look_at_from(const struct session *s, const struct pn_message *m)
{
    const struct pn_field *from = pn_field_find(m, NULL, author.field, 1);
    size_t count;
    if (from == NULL)
        return NULL; /* it is added */
    if (pn_field_next(m, NULL, author.field, from) != NULL)
        return "550 5.6.0 There is more than one From (RFC 5322, 3.6)";
    const char *refusal = look_at_names(s, &author, pn_field_value(m, from), &count);
    return refusal == NULL && count == 0 ? "550 5.6.0 From names nobody (RFC 5322, 3.6.2)"
                                         : refusal;
}

/* Of those who resent it the topmost is the last: he submits it. */
static const char *look_at_agents(const struct session *s, const struct pn_message *m)
{
    const char *refusal = NULL;
    size_t count;
    if (pn_field_count(m, NULL, agents[0].field) > 1)
        return "550 5.6.0 There is more than one Sender (RFC 5322, 3.6)";
    for (size_t i = 0; refusal == NULL && i < sizeof agents / sizeof agents[0]; i++) {
        const struct pn_field *f = pn_field_find(m, NULL, agents[i].field, 1);
        if (f != NULL)
            refusal = look_at_names(s, &agents[i], pn_field_value(m, f), &count);
    }
    return refusal;
}

static bool has_field(const struct pn_message *m, const char *name)
{
    return pn_field_find(m, NULL, pn_str_of(name), 1) != NULL;
}

/* RFC 6409, section 8; and who it is from, which some programs leave to us. */
static void note_missing(struct transaction *t, const struct pn_message *m)
{
    t->lacks_date = m == NULL || !has_field(m, "Date");
    t->lacks_from = m == NULL || !has_field(m, "From");
    if (m != NULL && has_field(m, "Message-ID"))
        return;
    struct pn_buf id;
    t->lacks_id = true;
    pn_buf_init(&id, 512);
    (void)pn_buf_addf(&id, "<%s@%.*s>", t->id_text, PN_FMT(t->s->gen->hostname));
    t->message_id = pn_pool_dup(t->pool, pn_buf_str(&id));
    pn_buf_fini(&id);
}

const char *submit_look(struct transaction *t, const struct pn_message *m)
{
    note_missing(t, m);
    if (m == NULL || !t->s->gen->submission.own_from)
        return NULL;
    /* Another From may stand behind the last that is looked at. */
    if ((pn_message_part(m, 0)->flags & PN_PART_FIELDS_CUT) != 0)
        return "550 5.6.0 More header fields than are looked at";
    const char *refusal = look_at_from(t->s, m);
    return refusal == NULL ? look_at_agents(t->s, m) : refusal;
}

/* ---- accounts that send too much ---- */

static bool is_trusted(const struct session *s)
{
    struct pn_str user;
    for (size_t i = 0; pn_policy_str_at(s->gen->policy, "submission.trust", i, &user); i++)
        if (pn_str_glob(user, session_user(s)))
            return true;
    return false;
}

static void say_noticed(struct session *s)
{
    const struct edge_submission *set = &s->gen->submission;
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    (void)pn_buf_addf(&b,
                      "more than %" PRIu32 " recipients in an hour: what %.*s sends is held for "
                      "%" PRIu64 " h; see: postern queue list --user %.*s",
                      set->per_hour, PN_FMT(session_user(s)),
                      (set->hold_ms + HOUR_MS - 1) / HOUR_MS, PN_FMT(session_user(s)));
    event_session(s, "account-held", pn_buf_str(&b));
    pn_buf_fini(&b);
}

void submit_count(struct transaction *t)
{
    struct session *s = t->s;
    const struct edge_submission *set = &s->gen->submission;
    size_t recipients = t->rcpt_count - t->refused_count;
    if (s->user == NULL || s->edge->limits == NULL || set->per_hour == 0 || is_trusted(s))
        return;
    enum pn_user_rate rate = pn_limits_user(s->edge->limits, session_user(s), set->per_hour,
                                            set->hold_ms * UINT64_C(1000000), (uint32_t)recipients,
                                            pn_loop_now(s->edge->loop));
    if (rate == PN_USER_FREE)
        return;
    if (rate == PN_USER_NOTICED)
        say_noticed(s);
    t->hold = PN_STR("the account sent to too many recipients (submission.recipients-per-hour)");
}
