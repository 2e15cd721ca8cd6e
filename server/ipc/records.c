#include "records.h"

#include "assert.h"

#include <stddef.h>

const char *pn_role_name(enum pn_role role)
{
    static const char *const names[PN_ROLE_COUNT] = {
        [PN_ROLE_SUPERVISOR] = "supervisor", [PN_ROLE_COMPILE] = "compile",
        [PN_ROLE_RESOLVER] = "resolver",     [PN_ROLE_EDGE] = "edge",
        [PN_ROLE_FILTER] = "filter",         [PN_ROLE_QUEUE] = "queue",
        [PN_ROLE_MAILBOX] = "mailbox",       [PN_ROLE_AUTH] = "auth",
        [PN_ROLE_ADMIN] = "admin",           [PN_ROLE_STATE] = "state",
        [PN_ROLE_SIGNER] = "signer",
    };
    pn_assert((size_t)role < PN_ROLE_COUNT);
    return names[role];
}
