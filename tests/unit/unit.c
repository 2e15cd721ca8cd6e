#include "unit.h"

#include <CUnit/TestRun.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char *row = "";

void unit_row(const char *label)
{
    row = label;
}

void unit_str(struct pn_str got, struct pn_str want, const char *file, int line)
{
    bool ok = pn_str_eq(got, want);
    if (!ok)
        printf("%s:%d: [%s] got \"%.*s\" (%zu bytes), want \"%.*s\" (%zu bytes)\n", file, line, row,
               PN_FMT(got), got.len, PN_FMT(want), want.len);
    (void)CU_assertImplementation(ok, (unsigned)line, row, file, "", CU_FALSE);
}

void unit_int(long long got, long long want, const char *file, int line)
{
    if (got != want)
        printf("%s:%d: [%s] got %lld, want %lld\n", file, line, row, got, want);
    (void)CU_assertImplementation(got == want, (unsigned)line, row, file, "", CU_FALSE);
}

void unit_true(bool cond, const char *text, const char *file, int line)
{
    if (!cond)
        printf("%s:%d: [%s] not true: %s\n", file, line, row, text);
    (void)CU_assertImplementation(cond, (unsigned)line, text, file, "", CU_FALSE);
}

unsigned unit_patience(void)
{
    const char *text = getenv("POSTERN_PATIENCE");
    uint64_t n = 1;
    return text != NULL && pn_str_u64(pn_str_of(text), 1000, &n) && n != 0 ? (unsigned)n : 1;
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc <= 1;
}

int unit_main(const char *suite_name, const struct unit_test *tests, int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    unsigned passed = 0, failed = 0;
    for (const struct unit_test *t = tests; suite != NULL && t->name != NULL; t++) {
        if (!wanted(t->name, argc, argv))
            continue;
        CU_pTest test = CU_add_test(suite, t->name, t->fn);
        row = "";
        if (test != NULL && CU_run_test(suite, test) == CUE_SUCCESS &&
            CU_get_number_of_failures() == 0) {
            passed++;
        } else {
            printf("FAIL %s: %s\n", suite_name, t->name);
            failed++;
        }
    }
    CU_cleanup_registry();
    printf("%s: %u passed, %u failed\n", suite_name, passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
