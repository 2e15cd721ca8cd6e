/* Inside the reader: the state of one file, and its lines by what they are about. */
#ifndef RULES_READ_H
#define RULES_READ_H

#include "rules_set.h"

struct reader {
    struct rules_set *set;
    struct postern_str file;
    unsigned line;
    struct postern_str text; /* of the line at hand */
    rules_load *load;
    void *arg;
    unsigned depth;              /* of includes */
    const struct reader *within; /* the file that includes this one; NULL: none */

    unsigned ifs;                /* open "if" lines */
    unsigned skipping;           /* the outermost of them that skips; 0: none */
    struct postern_str skip_why; /* of a plugin that is missing; empty: the condition is false */
    bool no_memory;
};

/* Leaves the line at hand out; the rule's name may be empty. */
void reader_leave(struct reader *r, struct postern_str name, struct postern_str why);
void reader_skip(struct reader *r, const char *why);
/* The rule that a line is about; NULL: the line was left out. */
struct rule *reader_rule(struct reader *r, struct postern_str name);

/* Each is true where the line was of its kind: word and rest are the line. */
bool reader_condition(struct reader *r, struct postern_str word, struct postern_str rest);
bool reader_define(struct reader *r, struct postern_str word, struct postern_str rest);
bool reader_about(struct reader *r, struct postern_str word, struct postern_str rest);
bool reader_setting(struct reader *r, struct postern_str word, struct postern_str rest);
/* A line that is none of these: left out, with who does here what it says. */
void reader_foreign(struct reader *r, struct postern_str word);

#endif
