/*
 * The operator's log: one line an entry on stderr, "LEVEL role: text".
 *
 * What happened to mail is not logged here: that is an event (see the admin
 * role). This is for starts, stops, refusals of configuration, and trouble.
 */
#ifndef PN_LOG_H
#define PN_LOG_H

enum pn_log_level { PN_LOG_DEBUG, PN_LOG_INFO, PN_LOG_WARN, PN_LOG_ERROR };

/* Lines below `least` are dropped; `role` names this process. Both are kept. */
void pn_log_init(const char *role, enum pn_log_level least);
/* Control bytes in the text are printed as \xNN, so that a stranger's words
 * can't forge a line. Safe from any thread. */
void pn_log(enum pn_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define pn_debug(...) pn_log(PN_LOG_DEBUG, __VA_ARGS__)
#define pn_info(...)  pn_log(PN_LOG_INFO, __VA_ARGS__)
#define pn_warn(...)  pn_log(PN_LOG_WARN, __VA_ARGS__)
#define pn_error(...) pn_log(PN_LOG_ERROR, __VA_ARGS__)

#endif
