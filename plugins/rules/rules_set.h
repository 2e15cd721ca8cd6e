/*
 * A set of rules, as read from files in SpamAssassin's syntax.
 *
 * Two states. While it is built, rules_set_read adds files; a rule that is defined twice
 * is the later one, scores may stand before or behind. rules_set_finish compiles what is
 * needed (rules with a score, and what their expressions name), orders it, and builds the
 * searches for literals. From then on the set is read by many threads at once.
 *
 * What is not understood is left out and counted by reason, never an error: a rule that
 * is missing is unknown to expressions that name it (see rules_meta.h).
 */
#ifndef RULES_SET_H
#define RULES_SET_H

#include "rules_meta.h"
#include "rules_pattern.h"
#include "rules_search.h"

enum {
    RULES_MAX = 20000,         /* rules */
    RULES_FILE_MAX = 16 << 20, /* bytes of a file */
    RULES_INCLUDES_MAX = 8,    /* deep */
    RULES_REASONS_MAX = 64,
    RULES_NAME_MAX = 100,
    RULES_HEADERS_MAX = 1000 /* kinds of header text */
};

enum rules_kind {
    RULES_NONE, /* named somewhere, but not defined, or not understood */
    RULES_HEADER,
    RULES_EXISTS,
    RULES_BODY,
    RULES_RAWBODY,
    RULES_FULL,
    RULES_URI,
    RULES_META,
    RULES_KINDS
};

/* RULES_PARTS: of the MIME parts below the message ("mimeheader"). */
enum rules_part { RULES_VALUE, RULES_RAW, RULES_ADDR, RULES_NAME, RULES_PARTS };

/* What a header rule looks at. */
struct rules_header {
    struct postern_str name; /* "Subject", "ToCc", "ALL", "EnvelopeFrom", "MESSAGEID" */
    const char *cstr;        /* the same */
    enum rules_part part;
    struct postern_str unset; /* the text where there is no such field */
};

struct rule {
    struct postern_str name;
    enum rules_kind kind;
    uint32_t header; /* of HEADER and EXISTS */
    bool negate;     /* !~ */
    struct rules_pattern pattern;
    struct postern_str expression;
    struct postern_str describe;
    struct postern_str file; /* where it is defined */
    unsigned line;
    int32_t score; /* thousandths */
    bool scored;   /* said so, otherwise by default */
    bool nice;     /* tflags nice: by default -1 */
    bool multiple;
    bool no_subject;
    uint32_t max_hits; /* of `multiple`; 0: any */

    bool needed;
    struct postern_str symbol; /* the name as facts want it: in capitals */
    void *code;                /* pcre2_code */
    struct rules_meta meta;
    bool has_literals; /* one of which stands in what it matches: its mark is */
    size_t reach;      /* at most so far behind the beginning (RULES_LEAD_ANY: anywhere) */
    size_t shortest;   /* and at least so far */
    uint32_t state;    /* of the walk that orders expressions */
};

struct rules_reason {
    const char *why;
    unsigned count;
    struct postern_str file; /* the first such line */
    unsigned line;
};

struct rules_set {
    struct rules_arena arena;
    struct rule *rules;
    size_t count, room;
    uint32_t *table; /* hash table of names: index + 1 */
    size_t slots;
    struct rules_header *headers;
    size_t header_count;
    struct rules_reason reasons[RULES_REASONS_MAX];
    size_t reason_count;
    unsigned skipped; /* lines */

    /* when finished */
    uint32_t *order[RULES_KINDS]; /* needed rules of a kind; expressions behind what they name */
    size_t order_count[RULES_KINDS];
    struct rules_search *search[RULES_KINDS]; /* NULL: no rule of it has literals */
};

/* Reads the text of one file (changed in place, kept). `name` is for messages; `load` gets
 * included files: the text from the arena, or .p NULL. False when memory ran out. */
typedef struct postern_str rules_load(void *arg, struct rules_arena *a, struct postern_str path);
bool rules_set_read(struct rules_set *set, struct postern_str name, struct postern_str text,
                    rules_load *load, void *arg);
bool rules_set_finish(struct rules_set *set);
void rules_set_free(struct rules_set *set);

/* The rule of that name, made if there is none; NULL when memory or RULES_MAX is reached. */
struct rule *rules_set_rule(struct rules_set *set, struct postern_str name);
const struct rule *rules_set_find(const struct rules_set *set, struct postern_str name);
/* Counts a line that is left out. `why` is a constant. */
void rules_set_skip(struct rules_set *set, const char *why, struct postern_str file, unsigned line);

/* Is it reported: not "__X", and with a score? */
bool rule_is_stated(const struct rule *r);

#endif
