/*
 * What is said with one milter in one session: the protocol's order, who waits when.
 *
 *   open      a channel: connected and agreed upon, or one that another session left
 *   step      macros and a command are gathered; the answer is waited for where one is due
 *   abort     a message that was begun is over
 *   close     farewell: QUIT, or QUIT_NC where the channel is kept for another session
 *
 * A talk that failed has no channel any more, and says why. A channel that another session left
 * and that failed before anything came is stale: the milter may be well, and a fresh connection is
 * tried, over which it is told all of the session again.
 */
#ifndef MILTER_TALK_H
#define MILTER_TALK_H

#include "milter_line.h"
#include "milter_macro.h"
#include "milter_server.h"

enum milter_step {
    MILTER_STEP_CONNECT,
    MILTER_STEP_HELO,
    MILTER_STEP_MAIL,
    MILTER_STEP_RCPT,
    MILTER_STEP_DATA,
    MILTER_STEP_HEADER,
    MILTER_STEP_END_HEADERS,
    MILTER_STEP_BODY,
    MILTER_STEP_END,
    MILTER_STEP_UNKNOWN, /* before any of the others but the first */
    MILTER_STEPS_COUNT
};

enum milter_answer {
    MILTER_GOES_ON,
    MILTER_ACCEPTS,
    MILTER_SKIPS,
    MILTER_REJECTS,
    MILTER_DEFERS,
    MILTER_DISCARDS,
    MILTER_FAILED
};

/* How far a milter wants to hear of it no more. */
enum milter_over { MILTER_ASKED, MILTER_OVER_MAIL, MILTER_OVER_HELO, MILTER_OVER_SESSION };

/* A connection that was agreed upon. */
struct milter_channel {
    struct milter_channel *next; /* of those idle */
    struct milter_line line;
    struct milter_options agreed;
    uint64_t macros[MILTER_STAGES];
    int64_t idle_since;
};

struct milter_talk {
    struct milter_server *server;
    struct milter_channel *channel; /* NULL: none */
    enum milter_over over;
    bool begun;     /* MAIL was sent, and its message is not over for the milter */
    bool reused;    /* the channel is one that another session left, and nothing came yet */
    bool stale;     /* it failed on such a channel: what was said of the session may be said anew */
    bool alone;     /* it was not asked: the breaker */
    bool cut_short; /* it failed for want of time that others had used up */
    bool counted;   /* a failure before MAIL, which is tried again there */
    size_t rcpts;   /* that it took */
    size_t unknown; /* commands that it was told of */
    int64_t until;  /* the end of this call, monotonic ms */
    int64_t since;  /* the last wait's begin, likewise */
    int64_t limit_ms; /* and how long it may be */
    const char *at;   /* the step's name */
    const char *why;
    int error;                   /* an errno, or 0 */
    struct postern_str reply;    /* of the last answer: "550 5.7.1 Text", or empty */
    char room[MILTER_REPLY_MAX]; /* of it */
};

/* What comes before the last answer to the end of a message: edits, and a quarantine. Views
 * live for the call. False: no memory. */
struct milter_edits_to {
    bool (*take)(void *ctx, const struct milter_reply *reply);
    void *ctx;
};

/* False: it failed, or is left alone now. */
bool milter_talk_open(struct milter_talk *talk);
/* Over a connection of its own: after one that was left by another session proved dead. */
bool milter_talk_open_fresh(struct milter_talk *talk);

/* Lets go of a channel whose other end is gone: a milter that started anew. No failure. */
void milter_talk_look(struct milter_talk *talk);

/* Is this command wanted? */
bool milter_wants(const struct milter_talk *talk, enum milter_step step);
uint32_t milter_agreed(const struct milter_talk *talk, uint32_t steps);
/* Bytes of data that a packet to it may have. */
size_t milter_data_max(const struct milter_talk *talk);
/* Macros of the stage that step begins, if any. They are sent for steps not wanted, too. */
void milter_say_macros(struct milter_talk *talk, enum milter_step step,
                       const struct milter_about *about);
/* Begins the packet of a step, in *out; milter_said ends it. */
size_t milter_say(struct milter_talk *talk, enum milter_step step, struct milter_out **out);
/* False: it failed. Sends only where much has gathered. */
bool milter_said(struct milter_talk *talk, size_t at);
/* Sends what has gathered, so that the milter works while another one is asked. */
void milter_send(struct milter_talk *talk, enum milter_step step);
/* Waits for the answer where one is due; GOES_ON where not. edits: of the end; else NULL. */
enum milter_answer milter_hear(struct milter_talk *talk, enum milter_step step,
                               const struct milter_edits_to *edits);

void milter_talk_abort(struct milter_talk *talk);
void milter_talk_close(struct milter_talk *talk);
/* Says farewell to those that wait for another session. */
void milter_server_quit(struct milter_server *server);

#endif
