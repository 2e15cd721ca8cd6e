/*
 * libclamav: signatures loaded once in the template, and a scan that can't fail open.
 *
 * The library by itself reports what it gave up on as clean. So its alerts for limits are
 * on; one limit serves for a file and for the whole; and an archive out of which it read
 * nothing, of which it says nothing either, is found by watching what it unpacks: one that
 * is opened and followed by nothing from inside it is damaged (or empty).
 *
 * Its cache of what was clean is off: it would leave out, the second time, what is known of
 * an attachment, and so the same message would have two verdicts.
 */
#ifndef CLAMAV_ENGINE_H
#define CLAMAV_ENGINE_H

#include "clamav_names.h"
#include "clamav_watch.h"

#include <postern/plugin.h>

#include <stdbool.h>

/* Where freshclam of Debian puts what it fetches. */
#define CLAMAV_SITE_FOLDER "/var/lib/clamav"

struct clamav_engine;

enum { CLAMAV_NAME_MAX = 200, CLAMAV_BROKEN_MAX = 8, CLAMAV_TYPE_MAX = 24 };

/* What a scan found: a name of the scanner's (empty: none) and what it is worth; and which
 * kinds of archives gave nothing, in lower case. */
struct clamav_findings {
    enum clamav_kind kind;
    char name[CLAMAV_NAME_MAX];
    unsigned broken;
    char types[CLAMAV_BROKEN_MAX][CLAMAV_TYPE_MAX];
};

/* In `prepare`: limits and signatures by the settings, their paths into watch. NULL after
 * setup_error. Owned. */
struct clamav_engine *clamav_engine_new(struct postern_setup *s, struct clamav_watch *watch);
void clamav_engine_free(struct clamav_engine *engine);
/* False: there are no signatures. */
bool clamav_engine_ready(const struct clamav_engine *engine);
/* In the worker: where it unpacks (borrowed), and what it looks for. */
bool clamav_engine_begin(struct postern_setup *s, struct clamav_engine *engine, const char *tmp);
/* NULL, or why it failed: the machine's fault, not the message's. */
const char *clamav_engine_scan(const struct clamav_engine *engine, const char *p, size_t len,
                               struct clamav_findings *out);

#endif
