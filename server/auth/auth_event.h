/* What auth tells of a login, and of the users' file: a line of JSON each, without secrets. */
#ifndef AUTH_EVENT_H
#define AUTH_EVENT_H

#include "login.h"

/* "ok", "refused", "malformed", "shut", "busy"; of a label and an event's result. */
const char *auth_result_name(enum pn_sasl_status status);
void auth_event_login(struct pn_buf *out, int64_t wall_ms, const struct auth_outcome *outcome);
/* why: NULL, count users were read; else they stay as they were. */
void auth_event_users(struct pn_buf *out, int64_t wall_ms, size_t count, const char *why);

#endif
