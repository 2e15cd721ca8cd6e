/*
 * A plugin that must never get in: the way it is broken is chosen when it is compiled.
 *
 *   BROKEN_ABI       of a foreign ABI          BROKEN_LOAD      aborts while it is loaded
 *   BROKEN_SEGV      crashes while it is loaded
 *   BROKEN_EXIT      ends the process while it is loaded
 *   BROKEN_SYMBOL    without the symbol        BROKEN_PREPARE   aborts in prepare
 *   BROKEN_REFUSES   prepare says no           BROKEN_INSTANCE  aborts in instance_new
 */
#include <postern/plugin.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef BROKEN_LOAD
__attribute__((constructor)) static void on_load(void)
{
    abort();
}
#endif

#ifdef BROKEN_SEGV
__attribute__((constructor)) static void on_load(void)
{
    (void)raise(SIGSEGV);
}
#endif

#ifdef BROKEN_EXIT
__attribute__((constructor)) static void on_load(void)
{
    _exit(0);
}
#endif

#ifdef BROKEN_SYMBOL
#define NAME some_plugin
#else
#define NAME postern_plugin
#endif

#ifdef BROKEN_ABI
enum { MAJOR = POSTERN_ABI_MAJOR + 7 };
#else
enum { MAJOR = POSTERN_ABI_MAJOR };
#endif

#if defined BROKEN_PREPARE || defined BROKEN_REFUSES
static int prepare(struct postern_setup *setup, void **prepared)
{
    (void)setup;
    *prepared = NULL;
#ifdef BROKEN_PREPARE
    abort();
#endif
    return POSTERN_ERROR;
}
#endif

#ifdef BROKEN_INSTANCE
static int instance_new(struct postern_setup *setup, void **instance)
{
    (void)setup;
    (void)instance;
    abort();
}
#endif

static int on_headers(struct postern_call *c)
{
    (void)c;
    return POSTERN_OK;
}

POSTERN_EXPORT const struct postern_plugin NAME = {
    .size = sizeof(struct postern_plugin),
    .major = MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "broken",
    .version = "1.0",
    .summary = "must not get in",
#if defined BROKEN_PREPARE || defined BROKEN_REFUSES
    .prepare = prepare,
#endif
#ifdef BROKEN_INSTANCE
    .instance_new = instance_new,
#endif
    .on = {[POSTERN_HEADERS] = on_headers},
};
