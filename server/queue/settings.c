#include "queue_int.h"

#include "mem.h"

#include <stdlib.h>

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

void settings_default(struct queue_settings *s)
{
    static const uint64_t retries[] = {MINUTE_MS,      5 * MINUTE_MS,  10 * MINUTE_MS,
                                       20 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS,
                                       2 * HOUR_MS,    4 * HOUR_MS};
    *s = (struct queue_settings){.hostname = pn_strdup("localhost"),
                                 .expire_ms = 120ULL * HOUR_MS,
                                 .disk_reserve = 256ULL * 1024 * 1024,
                                 .messages_max = 1000000};
    s->retry_count = sizeof retries / sizeof retries[0];
    memcpy(s->retry_ms, retries, sizeof retries);
}

void settings_fini(struct queue_settings *s)
{
    free(s->hostname);
    s->hostname = NULL;
}

uint64_t settings_retry_ms(const struct queue_settings *s, unsigned n)
{
    size_t i = n == 0 ? 0 : n - 1;
    return s->retry_ms[i < s->retry_count ? i : s->retry_count - 1];
}
