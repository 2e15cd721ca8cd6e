#include "tls_plan.h"

static struct tls_plan refuse(const char *why)
{
    return (struct tls_plan){.refusal = why, .use = PN_SMTP_TLS_MUST};
}

struct tls_plan tls_plan(enum tls_level level, const struct tls_host *host, bool authorities,
                         bool broke)
{
    if (level == TLS_OFF)
        return (struct tls_plan){.use = PN_SMTP_TLS_NEVER};
    if (host->found == TLS_UNSURE)
        return refuse("4.7.5 Whether the server has TLSA records can't be known now");
    if (host->found == TLS_USABLE)
        return (struct tls_plan){.use = PN_SMTP_TLS_MUST, .verify = PN_TLS_BY_DANE};
    if (level == TLS_DANE && host->found == TLS_UNUSABLE)
        return refuse("4.7.5 DANE is required, and the server's TLSA records are of no use");
    if (level == TLS_DANE)
        return refuse("4.7.5 DANE is required, and DNSSEC proves no TLSA records of the server");
    if (level == TLS_MUST && host->trusted && authorities)
        return (struct tls_plan){.use = PN_SMTP_TLS_MUST, .verify = PN_TLS_BY_AUTHORITY};
    if (level == TLS_MUST || host->found == TLS_UNUSABLE)
        return (struct tls_plan){.use = PN_SMTP_TLS_MUST};
    return (struct tls_plan){.use = broke ? PN_SMTP_TLS_NEVER : PN_SMTP_TLS_MAY,
                             .clear_after = !broke};
}

bool tls_plan_serves(const struct tls_plan *asked, bool encrypted, enum pn_tls_verified verified)
{
    if (asked->refusal != NULL || verified < asked->verify)
        return false;
    return encrypted || asked->use != PN_SMTP_TLS_MUST;
}

bool tls_is_proved(const struct tls_host *host, enum pn_tls_verified verified)
{
    return verified == PN_TLS_BY_DANE || (verified == PN_TLS_BY_AUTHORITY && host->trusted);
}
