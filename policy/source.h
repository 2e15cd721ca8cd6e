/*
 * Where configuration comes from, and where in it something stands.
 *
 * A source is one file, read whole. All of a compilation live in one pn_sources and
 * in its pool (pooled). Relative paths, in `include` and in values alike, are taken
 * from the folder of the main file. The hash over all that was read names the
 * generation.
 *
 * Problems are gathered, so that one run tells of all: "file:line:column: what, what
 * was expected". Past PN_PROBLEMS_MAX they are counted only.
 */
#ifndef PN_SOURCE_H
#define PN_SOURCE_H

#include "pool.h"

struct pn_buf;

enum {
    PN_SOURCES_MAX = 20000,
    PN_SOURCE_SIZE_MAX = 64 * 1024 * 1024,   /* of one file */
    PN_SOURCES_SIZE_MAX = 256 * 1024 * 1024, /* of all */
    PN_INCLUDE_DEPTH_MAX = 16,
    PN_PROBLEMS_MAX = 100
};

struct pn_source {
    struct pn_str name;  /* as problems show it: reachable from where we run */
    struct pn_str shown; /* as explanations show it: from the configuration's folder */
    struct pn_str text;
    uint64_t device, inode;         /* 0 for text that is no file */
    const struct pn_source *parent; /* that includes it */
    unsigned depth;
};

/* line and column count from 1; columns are characters. source NULL: nowhere. */
struct pn_place {
    const struct pn_source *source;
    uint32_t line, column;
};

struct pn_problem {
    bool warning;
    struct pn_str where; /* "file:line:column", or the file alone */
    struct pn_str text;  /* one sentence without its full stop */
    struct pn_str line;  /* the line it stands in; empty where there is none */
    uint32_t column;     /* in that line, from 1 */
};

struct pn_problems {
    struct pn_pool *pool; /* borrowed */
    struct pn_problem list[PN_PROBLEMS_MAX];
    size_t count;
    size_t errors; /* all, those past the limit too */
    size_t unseen; /* past the limit */
};

struct pn_sources {
    struct pn_pool *pool; /* borrowed */
    struct pn_problems *problems;
    struct pn_str folder;      /* as given, "" or with its last slash */
    struct pn_str folder_full; /* absolute, without the last slash */
    size_t count, bytes;
    uint64_t hash[2];
};

void pn_problems_init(struct pn_problems *p, struct pn_pool *pool);
/* The same sentence at the same place is kept once. */
void pn_error_at(struct pn_problems *p, struct pn_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void pn_warning_at(struct pn_problems *p, struct pn_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* About a file as a whole. */
void pn_error_in(struct pn_problems *p, struct pn_str file, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* One line a problem; with `lines` the text it stands in and a mark below. */
void pn_problems_print(struct pn_buf *out, const struct pn_problems *p, bool lines);

/* file is the main file's path; its folder becomes the base of relative paths. */
void pn_sources_init(struct pn_sources *s, struct pn_pool *pool, struct pn_problems *problems,
                     struct pn_str file);
/* Reads a file that `at` (nowhere for the main file) names; "postern:default" and
 * "postern:strict" are the shipped policies. NULL: a problem was noted. */
const struct pn_source *pn_source_read(struct pn_sources *s, struct pn_str path,
                                       struct pn_place at);
/* Text that is no file: the shipped default, a command line's. */
const struct pn_source *pn_source_of(struct pn_sources *s, struct pn_str name, struct pn_str text);
/* Adds to the generation's hash what is no file's text. */
void pn_sources_mix(struct pn_sources *s, struct pn_str bytes);
/* Names of files that a pattern with * in its last part stands for, sorted; a path
 * without * stands for itself. False: a problem was noted. */
bool pn_sources_glob(struct pn_sources *s, struct pn_str pattern, struct pn_place at,
                     struct pn_str **paths, size_t *count);
/* Absolute; pooled and NUL-terminated. */
struct pn_str pn_sources_path(const struct pn_sources *s, struct pn_str path);
/* "shown:line:column", pooled; empty for nowhere. */
struct pn_str pn_place_text(struct pn_pool *pool, struct pn_place at);

/* The name out of `names` (ended by NULL) that was most likely meant, or NULL. */
const char *pn_suggest(struct pn_str word, const char *const *names);
/* Letters to change, swap, add or drop to make one of the other; more than max: max + 1. */
size_t pn_edit_distance(struct pn_str a, struct pn_str b, size_t max);

#endif
