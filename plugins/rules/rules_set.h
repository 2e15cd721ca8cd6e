/*
 * A set of rules, as read from files in SpamAssassin's syntax.
 *
 * Two states. While it is built, rules_set_read adds files; a rule that is defined twice
 * is the later one, scores may stand before or behind. rules_set_finish expands replace
 * tags, compiles what is needed (rules with a score, and what their expressions name),
 * orders it, and builds the searches for literals. From then on the set is read by many
 * threads at once.
 *
 * What is not understood is left out and kept by name and reason, never an error: a rule
 * that is left out is unknown to expressions that name it (see rules_meta.h). A rule that
 * asks the network or learns, which here is other plugins' work, counts as not hit, and so
 * does a name that nobody defines: as for SpamAssassin without a network.
 */
#ifndef RULES_SET_H
#define RULES_SET_H

#include "rules_decide.h"
#include "rules_names.h"
#include "rules_pattern.h"
#include "rules_search.h"
#include "rules_window.h"

enum {
    RULES_MAX = 20000,         /* rules */
    RULES_FILE_MAX = 16 << 20, /* bytes of a file */
    RULES_INCLUDES_MAX = 8,    /* deep */
    RULES_INCLUDED_MAX = 200,  /* files, each as often as it is included */
    RULES_LEFT_MAX = 20000,    /* lines left out that are kept by name; all are counted */
    RULES_REASONS_MAX = 100,   /* why they are */
    RULES_NAME_MAX = 128,
    RULES_SYMBOL_MAX = 64,    /* of a fact */
    RULES_HEADERS_MAX = 1000, /* kinds of header text */
    RULES_SCORES = 4,
    RULES_ARGS_MAX = 6, /* of an eval test */
    RULES_REDIRECTORS_MAX = 64,
    RULES_KNOWN_MAX = 64,  /* patterns of our own, see rules_known.h */
    RULES_HITS_MAX = 1000, /* of one rule with tflags multiple */
    RULES_NEST_MAX = 16    /* expressions that lead to others without an end in between */
};

enum rules_kind {
    RULES_NONE, /* named somewhere, but not defined, or not understood */
    RULES_HEADER,
    RULES_EXISTS,
    RULES_BODY,
    RULES_RAWBODY,
    RULES_FULL,
    RULES_URI,
    RULES_EVAL,
    RULES_META,
    RULES_KINDS
};

/* What of a field a header rule wants: "From:addr:first". */
enum {
    RULES_RAW = 1,
    RULES_ADDR = 2,
    RULES_NAME = 4,
    RULES_HOST = 8,
    RULES_DOMAIN = 16,
    RULES_IP = 32,
    RULES_REVIP = 64,
    RULES_FIRST = 128,
    RULES_LAST = 256,
    RULES_PARTS = 512 /* of the MIME parts below the message ("mimeheader") */
};

/* What a header rule looks at. */
struct rules_header {
    struct postern_str name; /* "Subject", or a pseudo header: "ToCc", "ALL", "EnvelopeFrom"… */
    const char *cstr;        /* the same */
    unsigned parts;
    struct postern_str unset; /* the text where there is no such field */
};

struct rules_eval; /* see rules_eval.h */

/* What messages need stands first, together: there are thousands of rules, and of each it is all
 * that comes into the caches. */
struct rule {
    enum rules_kind kind;
    uint32_t header; /* of HEADER and EXISTS */
    void *code;      /* pcre2_code of `sought` */
    bool jit;        /* compiled to machine code */
    bool negate;     /* !~ */
    bool multiple;
    bool no_subject;
    bool by_line;      /* tells something of what is around a line: never tried on all at once */
    bool takes_tags;   /* has "%{NAME}": compiled for each message */
    bool gives_tags;   /* has named groups */
    bool has_literals; /* one of which stands in what it matches: its mark is */
    bool has_windows;  /* else: windows, so many of which do in a line */
    bool doubtful;     /* may turn out unknown */
    uint32_t shortest; /* a mark is so far behind the beginning at least */
    uint32_t windows_least;
    uint32_t windows_lead;  /* one of them begins so far behind the beginning at most */
    uint32_t max_hits;      /* of `multiple`; 0: any */
    int32_t score;          /* of the set's column */
    struct rules_tree tree; /* of META */
    const struct rules_eval *eval;
    struct postern_str symbol; /* the name as facts want it: in capitals */

    size_t arg_count; /* of EVAL */
    struct postern_str args[RULES_ARGS_MAX];
    struct postern_str name;
    struct rules_pattern pattern;
    struct rules_pattern sought;   /* the pattern, or what stands in for one that takes tags; .p
                                      NULL: nothing does */
    struct postern_str tagged;     /* the pattern as written, where it had replace tags */
    struct postern_str expression; /* of META; of EVAL what stands behind "eval:" */
    struct postern_str describe;
    struct postern_str file; /* where it is defined */
    unsigned line;
    int32_t scores[RULES_SCORES]; /* thousandths */
    bool scored;                  /* said so, otherwise by default */
    bool nameless;                /* its name can be no fact's */
    bool nice;                    /* tflags nice: by default -1 */
    bool elsewhere;               /* a test that other plugins do, or the policy */
    bool network;                 /* tflags net or learn */
    bool replace;                 /* its pattern has replace tags */
    bool odd_parts;               /* tflags of mimeheader that are not known here */
    bool needed;
    struct rules_meta meta;
    uint32_t *keys; /* rules without which it is 0 */
    size_t key_count;
    unsigned nest;      /* so deep does it lead to others */
    double least, most; /* it can't come to less or more */
    uint32_t cost;      /* of asking for it, roughly */
    uint32_t state;     /* of the walk that orders expressions */
};

/* A line that is left out. */
struct rules_left {
    struct postern_str name; /* the rule that it would have defined; empty: none */
    struct postern_str why;
    struct postern_str file;
    unsigned line;
    struct postern_str text; /* of the line */
};

struct rules_reason {
    struct postern_str why;
    unsigned count;
    struct postern_str file; /* the first such line */
    unsigned line;
};

/* A replace tag, or what goes before, between or behind tags. */
struct rules_tag {
    char kind; /* 't', 'b', 'i', 'a' */
    struct postern_str name, text;
};

/* A rule whose header is there. */
struct rules_present {
    uint32_t rule;
    uint8_t state; /* until one of its strings is met in it */
};

struct rules_set {
    struct rules_arena arena;
    struct rule *rules;
    size_t count, room;
    uint32_t *table; /* hash table of names: index + 1 */
    size_t slots;
    struct rules_header *headers;
    size_t header_count;
    struct rules_left *left;
    size_t left_count, left_room;
    unsigned skipped;       /* lines, also those beyond RULES_LEFT_MAX */
    unsigned skipped_rules; /* of these: would have defined a rule */
    struct rules_reason reasons[RULES_REASONS_MAX];
    size_t reason_count;
    unsigned included;
    unsigned column; /* of four scores; 0: without network and learning */
    bool plain;      /* nothing is sought, all is tried: for tests of the search */
    struct rules_tag *tags;
    size_t tag_count, tag_room;
    char tag_open, tag_close;
    struct rules_names names; /* lists: top level domains, freemail… */
    struct rules_pattern redirectors[RULES_REDIRECTORS_MAX];
    void *redirector_codes[RULES_REDIRECTORS_MAX];
    size_t redirector_count;

    /* when finished */
    uint32_t *order[RULES_KINDS]; /* needed rules of a kind; expressions behind what they name */
    size_t order_count[RULES_KINDS];
    struct rules_search *search[RULES_KINDS];   /* NULL: no rule of it has literals */
    struct rules_windows *windows[RULES_KINDS]; /* NULL: no rule of it has windows */
    void *known[RULES_KNOWN_MAX];
    /* Rules of HEADER and EXISTS by what they look at: those of header h from header_from[h]
     * up to header_from[h + 1]. */
    struct rules_present *header_rules;
    size_t *header_from;
    /* What is known of each rule before a text was looked at, and without any header: open is
     * what has to be asked for even where none of its strings is met. And its state once it is
     * open. See rules_decide.h. */
    uint8_t *at_first;
    uint8_t *when_open;
    uint32_t *wakes; /* expressions that rule i is a key of: from wakes_from[i] to [i + 1] */
    uint32_t *wakes_from;
    uint32_t *stated; /* what is asked for, in the order of facts */
    size_t stated_count;
    uint32_t *early; /* expressions to be asked for before all else, so that none leads too deep */
    size_t early_count;
    bool wants_relays; /* some rule looks at where the message came from */
};

/* Reads the text of one file (changed in place, kept). `name` is for messages; `load` gets
 * included files, by a name with a NUL behind it: the text from the arena, or .p NULL. False when
 * memory ran out. */
typedef struct postern_str rules_load(void *arg, struct rules_arena *a, struct postern_str path);
bool rules_set_read(struct rules_set *set, struct postern_str name, struct postern_str text,
                    rules_load *load, void *arg);
bool rules_set_finish(struct rules_set *set);
void rules_set_free(struct rules_set *set);

/* The rule of that name, made if there is none; NULL when memory or RULES_MAX is reached. */
struct rule *rules_set_rule(struct rules_set *set, struct postern_str name);
const struct rule *rules_set_find(const struct rules_set *set, struct postern_str name);
/* The index of that text, which is made once whoever looks at it. False: there are too
 * many, or memory ran out. */
bool rules_set_header(struct rules_set *set, struct rules_header h, uint32_t *out);
/* "From:addr" in parts; NULL, or what is wrong with it. */
const char *rules_header_read(struct rules_header *h, struct postern_str spec);

/* Keeps a line that is left out. `why` is from the arena or a constant. */
void rules_set_leave(struct rules_set *set, struct rules_left left);
/* The same of a rule, which from then on is unknown. `why` is a constant. */
void rules_set_drop(struct rules_set *set, struct rule *rule, const char *why);
/* The same counted by reason, most lines first; returns how many reasons, `max` at most. */
size_t rules_set_reasons(const struct rules_set *set, struct rules_reason *out, size_t max);

/* Orders the needed rules by kind, and builds the searches. False when memory ran out. */
bool rules_seek(struct rules_set *set);
/* Works out what is asked for, in which order, and what is known before: when all else is
 * finished. False when memory ran out. */
bool rules_plan(struct rules_set *set);

/* Replace tags: kept while reading, put into the patterns of rules that want them at the
 * end. False when memory ran out. */
bool rules_tag_add(struct rules_set *set, char kind, struct postern_str name,
                   struct postern_str text);
bool rules_tags_expand(struct rules_set *set);
/* The same pattern with each tag's text once, at its end, and calls to it: for one that
 * grows too large. .p NULL when memory ran out. */
struct postern_str rules_tags_call(struct rules_set *set, const struct rule *rule);

/* Writes out what "rules_matching(GLOB)" stands for in its expression. NULL, or what is wrong. */
const char *rules_matching_expand(struct rules_set *set, struct rule *rule);

/* Does PCRE2 take its pattern? Compiled for that where the set does not need it; else *why. */
bool rules_set_compiles(struct rules_set *set, struct rule *rule, struct postern_str *why);

/* Is it reported: not "__X", and with a score? */
bool rule_is_stated(const struct rule *r);
/* A rule whose score is 0 is not run; what names it finds that it has not hit. */
bool rule_is_off(const struct rule *r);

#endif
