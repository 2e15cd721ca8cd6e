/*
 * One table a behaviour: a test program lists its tests and calls unit_main, which
 * runs them under CUnit and closes with "N passed, N failed" (tests, not asserts).
 */
#ifndef PN_UNIT_H
#define PN_UNIT_H

#include <CUnit/CUnit.h>

#include "str.h"

struct unit_test {
    const char *name;
    void (*fn)(void);
};

/* The label of the row at hand, printed with a failure. Set it in each row. */
void unit_row(const char *label);
/* Asserts that names the row and both values. */
#define UNIT_STR(got, want) unit_str((got), (want), __FILE__, __LINE__)
#define UNIT_INT(got, want) unit_int((long long)(got), (long long)(want), __FILE__, __LINE__)
#define UNIT_TRUE(cond)     unit_true((cond), #cond, __FILE__, __LINE__)

void unit_str(struct pn_str got, struct pn_str want, const char *file, int line);
void unit_int(long long got, long long want, const char *file, int line);
void unit_true(bool cond, const char *text, const char *file, int line);

/* How many times longer than usual things may take: 1, or under valgrind what
 * POSTERN_PATIENCE says. For what must end in some time, never for a verdict. */
unsigned unit_patience(void);

/* tests ends with a NULL name. With arguments only the tests so named are run. */
int unit_main(const char *suite, const struct unit_test *tests, int argc, char **argv);

#endif
