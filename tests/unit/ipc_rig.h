/* What tests of channels and roles share: turns of a loop, and descriptors running out. */
#ifndef IPC_RIG_H
#define IPC_RIG_H

#include "loop.h"

#include <sys/resource.h>

/* Until value is want; it fails when it takes too long. */
void turn_until(struct pn_loop *loop, const int *value, int want);
bool same_file(int a, int b);
/* Descriptors that this process has room for, from now on; what was, for setrlimit. */
struct rlimit leave_room(int n);
/* Whether the kernel keeps descriptors back then: valgrind knows that limit for itself and
 * does not tell the kernel. */
bool room_counts(void);

#endif
