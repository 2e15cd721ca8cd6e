/* What holds of every parsed message, whatever the bytes: for unit tests and the fuzzer. */
#ifndef PN_MESSAGE_INVARIANTS_H
#define PN_MESSAGE_INVARIANTS_H

#include "message.h"

/* NULL, or what does not hold. */
const char *message_invariants(const struct pn_message *m, const struct pn_message_limits *limits);

#endif
