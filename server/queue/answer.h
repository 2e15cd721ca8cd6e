/*
 * An answer to an operator's command, line by line.
 */
#ifndef PN_QUEUE_ANSWER_H
#define PN_QUEUE_ANSWER_H

#include "json.h"
#include "queue_int.h"

enum { ANSWER_LIST_MAX = 5000, ANSWER_RECIPIENTS = 20, ANSWER_LINE_MAX = 48 * 1024 };

/* Reply lines to one command; a line is begun, filled through j, and sent. */
struct answer {
    struct queue *q;
    uint64_t token;
    struct pn_buf line;
    struct pn_json j;
};

void answer_begin(struct answer *a);
/* False: the channel is full or gone. fd goes with it unless -1. */
bool answer_send(struct answer *a, bool last, int fd);
/* The last line: ok, or why not. */
void answer_finish(struct answer *a, const char *error);
void answer_list_end(struct answer *a, size_t count, size_t shown);
/* One of several messages that were named: its line; error NULL: it was
 * done, and key says what. */
void answer_outcome(struct answer *a, struct pn_str id, const char *key, const char *did,
                    const char *error);
/* Members of the line at hand. */
void answer_time(struct answer *a, const char *key, int64_t ms);
void answer_message(struct answer *a, struct pn_str id, const struct pn_envelope *env);
void answer_recipient(struct answer *a, const struct pn_recipient *to, const struct rcpt *r);

#endif
