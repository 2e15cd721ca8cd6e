/*
 * Which messages and recipients an operator means: by sender, recipient, domain, age,
 * reason and the user who submitted it. All that is said must hold; what is not said holds for
 * everything. Globs know * and ?, letters without case (str.h); "<>" is the null sender.
 *
 * A filter owns its words; it is zeroed before it is filled. Pure: any thread.
 */
#ifndef PN_QUEUE_ASKED_FILTER_H
#define PN_QUEUE_ASKED_FILTER_H

#include "handover.h"

enum filter_glob {
    FILTER_FROM,
    FILTER_TO,
    FILTER_DOMAIN,
    FILTER_REASON,
    FILTER_USER,
    FILTER_GLOBS
};
enum { FILTER_TEXT_MAX = 512 };

struct filter {
    char text[FILTER_GLOBS][FILTER_TEXT_MAX];
    bool said[FILTER_GLOBS];
    int64_t older_ms, newer_ms; /* 0: any */
    bool any;                   /* something was said */
};

/* Whether that option is a filter's, and takes a word. */
bool filter_knows(struct pn_str option);
/* NULL, or what was expected instead of word; static. */
const char *filter_add(struct filter *f, struct pn_str option, struct pn_str word);
/* Sender, user and age. */
bool filter_message(const struct filter *f, const struct pn_envelope *env, int64_t now_ms);
/* Address, its domain, and why it waits or is held. */
bool filter_recipient(const struct filter *f, struct pn_str address, struct pn_str reason);

#endif
