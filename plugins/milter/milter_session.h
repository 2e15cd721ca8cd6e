/*
 * A session as the plugin sees it, and what its stages share: what is known of it, and what is
 * stated of a milter's answers.
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include "milter_client.h"
#include "milter_settings.h"
#include "milter_talk.h"

#include <string.h>

enum milter_symbol {
    MILTER_SYM_REJECT,
    MILTER_SYM_TEMPFAIL,
    MILTER_SYM_DISCARD,
    MILTER_SYM_QUARANTINE,
    MILTER_SYM_ACCEPT,
    MILTER_SYM_AWAY,
    MILTER_SYM_UNKNOWN,
    MILTER_SYM_EDIT_REFUSED
};

struct milter_session {
    struct milter_settings *settings;
    struct milter_client client; /* from CONNECT on */
    struct milter_talk talks[MILTER_SERVERS_MAX];
};

static inline struct postern_str milter_text(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

/* ---- milter_facts.c: each gives a negative status, or POSTERN_OK */

/* detail: the server's name, and the text where there is one. */
int milter_state(struct postern_call *c, enum milter_symbol symbol,
                 const struct milter_server *server, struct postern_str text);
/* For one recipient, with the words of the last answer. */
int milter_state_for(struct postern_call *c, size_t rcpt, enum milter_symbol symbol,
                     const struct milter_talk *talk);
/* It failed: that, and what stands for its answer as if it had answered so. */
int milter_state_away(struct postern_call *c, const struct milter_talk *talk);
int milter_state_refused(struct postern_call *c, const struct milter_server *server,
                         const char *what, struct postern_str about);
/* It failed: the breaker counts that, once where it is tried again for the same session, and the
 * log says so once. Not counted: it was left alone, or others had used up its time. */
void milter_note_failure(struct postern_call *c, struct milter_talk *talk);
/* An answer that ends the milter's part, if it does. over: of what. */
int milter_heed(struct postern_call *c, struct milter_talk *talk, enum milter_answer answer,
                enum milter_over over);

/* What is known at this stage. */
void milter_about_fill(struct postern_call *c, struct milter_about *about);
/* Is this server asked at this stage? Its talk gets the call's end in time. */
bool milter_is_asked(struct postern_call *c, struct milter_talk *talk);

/* ---- milter_message.c */

int milter_on_message(struct postern_call *c);

#endif
