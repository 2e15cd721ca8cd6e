/*
 * Patterns without a fixed string in them, "[vu][i1!][a4@]gr[a4@]": each is known by
 * windows of eight bytes, one of which is in whatever it matches, given as the sets of bytes
 * that each of the eight may be. One pass over a text looks at all windows of all patterns at
 * once: a bit for each few windows, in tables of what two bytes beside one another may be.
 */
#ifndef RULES_WINDOW_H
#define RULES_WINDOW_H

#include "rules_shape.h"

enum { RULES_WINDOW = 8, RULES_WINDOWS_MAX = 200 };

struct rules_window {
    struct rules_bytes byte[RULES_WINDOW];
};

/* What windows say of a pattern: so many are known (0: none that would be worth it), one of
 * which stands in every match, and so often in all. The first one begins so far behind the
 * beginning of the match at most (RULES_LEAD_ANY: anywhere; 0: there). */
struct rules_windowing {
    size_t count;
    uint32_t least;
    size_t lead;
};
struct rules_windowing rules_windows_of(const struct rules_pattern *p,
                                        struct rules_window out[RULES_WINDOWS_MAX]);

struct rules_windows;
/* NULL when memory ran out. */
struct rules_windows *rules_windows_new(void);
void rules_windows_free(struct rules_windows *w);
/* All of them, or none: false when there are too many, or memory ran out. */
bool rules_windows_add(struct rules_windows *w, const struct rules_window *window, size_t count,
                       uint32_t id);
/* When all are added; false when memory ran out. */
bool rules_windows_finish(struct rules_windows *w);
/* Calls fn for each id of which a window begins at that place, in the order of places. */
typedef void rules_window_hit(void *arg, uint32_t id, size_t at);
void rules_windows_run(const struct rules_windows *w, struct postern_str text, rules_window_hit *fn,
                       void *arg);

#endif
