#include "milter_server.h"

bool milter_server_asks(struct milter_server *server, int64_t now)
{
    int64_t until = atomic_load(&server->away_until);

    if (until == 0)
        return true;
    return now >= until &&
           atomic_compare_exchange_strong(&server->away_until, &until, now + server->pause_ms);
}

/* The failures are kept: one more, and it is left alone again. */
void milter_server_open(struct milter_server *server)
{
    atomic_store(&server->away_until, 0);
}

void milter_server_good(struct milter_server *server)
{
    atomic_store(&server->failures, 0);
    atomic_store(&server->away_until, 0);
}

bool milter_server_bad(struct milter_server *server, int64_t now)
{
    unsigned failures = atomic_fetch_add(&server->failures, 1) + 1;

    if (server->failures_max == 0 || failures < server->failures_max)
        return false;
    atomic_store(&server->away_until, now + server->pause_ms);
    return true;
}
