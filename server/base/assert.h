/*
 * Assertions for our own bugs. Always compiled in: a wrong state that goes on
 * costs more than a role that dies and is restarted. Never for input, the peer,
 * the environment or configuration: those are returned codes and sentences.
 */
#ifndef PN_ASSERT_H
#define PN_ASSERT_H

#define pn_assert(cond) ((cond) ? (void)0 : pn_assert_failed(#cond, __FILE__, __LINE__, __func__))

_Noreturn void pn_assert_failed(const char *cond, const char *file, int line, const char *func);

#endif
