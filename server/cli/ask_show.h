/*
 * An answer of the running server, shown: lines of JSON, of which the last has "ok". What `postern
 * queue` and `postern mailbox` have in common.
 */
#ifndef PN_ASK_SHOW_H
#define PN_ASK_SHOW_H

#include "ask.h"

#include <jansson.h>

/* A member of a line; "" and 0 where there is none. Borrowed from o. */
const char *pn_answer_text(const json_t *o, const char *key);
long long pn_answer_number(const json_t *o, const char *key);
/* Other people's words must not command the terminal. */
void pn_answer_print(FILE *to, const char *text);

struct pn_ask_show {
    const char *name; /* "queue": `postern queue`, for errors */
    /* Prints a line that is not the last; not called where lines are printed as they are. */
    void (*line)(const json_t *o);
    /* The last one, printed already where json is set; the exit status. */
    int (*last)(void *ctx, struct pn_ask *ask, const json_t *o, bool json);
    void *ctx;
};

/* Asks and shows; json: each line as it is. The exit status. */
int pn_ask_show(const struct pn_ask_show *show, const char *path, const char *const *words,
                size_t count, bool json);

#endif
