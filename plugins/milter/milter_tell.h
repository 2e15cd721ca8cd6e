/*
 * Telling a milter of a session: the steps before the message, and all of them again over a
 * fresh connection.
 *
 * A status below zero in *rc ends the callback; the answers then don't matter.
 */
#ifndef MILTER_TELL_H
#define MILTER_TELL_H

#include "milter_session.h"

/* Says a step from CONNECT to RCPT (about->rcpt), and sends it where an answer is due. */
void milter_tell(struct postern_call *c, struct milter_talk *talk, enum milter_step step,
                 const struct milter_about *about);
/* The answer to that step. Where the connection was one that another session left, and nothing
 * came over it yet, a failure is no word of the milter's: it is asked once more over a fresh one,
 * and told of the session before that. */
enum milter_answer milter_ask(struct postern_call *c, struct milter_talk *talk,
                              enum milter_step step, const struct milter_about *about, int *rc);
/* The same for the steps of the message, which the caller then says again if it goes on. answer:
 * what it heard; FAILED where there is no such connection to blame, or no fresh one. */
enum milter_answer milter_renew(struct postern_call *c, struct milter_talk *talk,
                                const struct milter_about *about, enum milter_answer answer,
                                int *rc);
/* Over a connection that was opened just now: what came before this stage. */
enum milter_answer milter_tell_again(struct postern_call *c, struct milter_talk *talk,
                                     const struct milter_about *about, int *rc);
/* Commands that this server did not know and the milter did not hear of. The client has its answer;
 * what the milter would have answered becomes a fact. */
int milter_tell_unknown(struct postern_call *c, struct milter_talk *talk,
                        const struct milter_about *about);

#endif
