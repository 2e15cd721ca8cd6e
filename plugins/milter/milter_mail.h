/*
 * A message as the next milter sees it: as it was received, with what milters before it
 * changed. And their edits, gathered until a milter has said its last word, and handed to the
 * host when all had their say: the host knows the fields as they were received alone, so one that
 * a milter added and a later one changed is added as changed.
 *
 * All memory is the transaction's (host->alloc), but for a new body.
 */
#ifndef MILTER_MAIL_H
#define MILTER_MAIL_H

#include "milter_talk.h"

struct milter_field {
    struct postern_str name, value; /* value as it stands: folds kept, the blank in front too */
    unsigned by, gone_by;           /* the milter that added, removed it; 0: none */
    size_t change;                  /* of a field that was added: which of the changes */
};

/* An edit as the host is told of it. */
struct milter_change {
    const struct milter_server *server; /* whose; NULL: taken back by a later one */
    char kind;                          /* MILTER_ADD_HEADER and so on, but no new body */
    size_t index;             /* insertion: the position; change: which one, as received */
    struct postern_str name;  /* of a field; an address as the milter wrote it */
    struct postern_str value; /* of a field; an address */
};

struct milter_mail {
    struct postern_call *call;
    struct milter_field *fields;
    size_t count, cap;
    struct milter_change *changes;
    size_t change_count, change_cap;
    bool lost;                            /* they are more than the host takes: none counts */
    struct postern_str body;              /* as received, or into new_body */
    char *new_body;                       /* owned; NULL: none, or an empty one */
    const struct milter_server *replaced; /* by whom; NULL: nobody */

    unsigned serial; /* of the milter that speaks now, from 1; the rest is that one's */
    uint32_t may;    /* what it was granted: MILTER_MAY_ */
    struct milter_reply *edits;
    size_t edit_count, edit_cap;
    char *next_body;
    size_t next_len, next_cap;
    bool next_replaced;
    bool last_cr;
    struct postern_str quarantine; /* its reason; p NULL: none */
};

/* False: no memory. */
bool milter_mail_init(struct milter_mail *mail, struct postern_call *call);
void milter_mail_fini(struct milter_mail *mail);
/* The next milter has its turn; what the one before said and was not applied is forgotten. */
void milter_mail_next(struct milter_mail *mail, uint32_t may);
/* The i-th field that this milter is shown, from *i on; false at the end. */
bool milter_mail_field(const struct milter_mail *mail, size_t *i,
                       const struct milter_field **field);
/* A field that the host will not refuse; value without the blank in front. (milter_field.c) */
bool milter_field_ok(struct postern_str name, struct postern_str value);
/* For milter_hear; ctx is the milter_mail. */
bool milter_mail_take(void *ctx, const struct milter_reply *reply);
/* Told of a change that the operator did not grant, or the host refuses. */
typedef int milter_refused(struct postern_call *c, const struct milter_server *server,
                           const char *what, struct postern_str about);
/* Hands on what it said: to the host, and into the message for those behind it. A negative
 * status, or POSTERN_OK. */
int milter_mail_apply(struct milter_mail *mail, const struct milter_talk *talk,
                      milter_refused *refused);
/* The body that stands in the end, to the host; nothing if none was replaced. */
int milter_mail_finish(struct milter_mail *mail, milter_refused *refused);

#endif
