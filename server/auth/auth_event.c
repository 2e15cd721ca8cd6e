#include "auth_event.h"

#include "assert.h"
#include "clock.h"
#include "json.h"

const char *auth_result_name(enum pn_sasl_status status)
{
    static const char *const names[PN_SASL_STATUSES] = {
        [PN_SASL_CHALLENGE] = "",          [PN_SASL_OK] = "ok",     [PN_SASL_REFUSED] = "refused",
        [PN_SASL_MALFORMED] = "malformed", [PN_SASL_SHUT] = "shut", [PN_SASL_BUSY] = "busy",
    };
    pn_assert((size_t)status < PN_SASL_STATUSES);
    return names[status];
}

static struct pn_json begin(struct pn_buf *out, int64_t wall_ms, const char *event)
{
    struct pn_json j = pn_json_to(out);
    struct pn_buf ts;
    pn_buf_init(&ts, 64);
    pn_clock_rfc3339(&ts, wall_ms);
    pn_json_object(&j, NULL);
    pn_json_str(&j, "ts", pn_buf_str(&ts));
    pn_json_str(&j, "event", pn_str_of(event));
    pn_json_i64(&j, "schema", 1);
    pn_buf_fini(&ts);
    return j;
}

/* A name that is no user's in form is left out: people type passwords there. */
void auth_event_login(struct pn_buf *out, int64_t wall_ms, const struct auth_outcome *o)
{
    const struct pn_sasl_begin *b = o->begin;
    char ip[PN_IP_TEXT_MAX];
    struct pn_json j = begin(out, wall_ms, "login");
    if (b->session.len != 0)
        pn_json_str(&j, "session", b->session);
    pn_json_str(&j, "service", pn_str_of(pn_sasl_service_name((enum pn_sasl_service)b->service)));
    pn_json_str(&j, "mechanism",
                pn_str_of(pn_sasl_mechanism_name((enum pn_sasl_mechanism)b->mechanism)));
    pn_json_str(&j, "ip", pn_str_of(pn_ip_text(&b->ip, ip)));
    pn_json_bool(&j, "tls", b->tls);
    if (o->name.len != 0)
        pn_json_str(&j, "user", o->name);
    pn_json_str(&j, "result", pn_str_of(auth_result_name(o->status)));
    if (o->why[0] != '\0')
        pn_json_str(&j, "why", pn_str_of(o->why));
    pn_json_object_end(&j);
}

void auth_event_users(struct pn_buf *out, int64_t wall_ms, size_t count, const char *why)
{
    struct pn_json j = begin(out, wall_ms, why == NULL ? "users" : "users-refused");
    if (why == NULL)
        pn_json_i64(&j, "count", (int64_t)count);
    else
        pn_json_str(&j, "detail", pn_str_of(why));
    pn_json_object_end(&j);
}
