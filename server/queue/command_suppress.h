/* Suppressed recipients in the role: who becomes one, who is one, and an operator's words. */
#ifndef PN_QUEUE_COMMAND_SUPPRESS_H
#define PN_QUEUE_COMMAND_SUPPRESS_H

#include "command.h"
#include "queue_int.h"
#include "suppress.h"

void suppress_init(struct queue *q);
/* The next hop's reply to RCPT for that recipient. */
void suppress_note(struct queue *q, const struct pn_recipient *to,
                   const struct pn_smtp_reply *reply);
/* Mail to him is refused at once; text gets why, behind the code. */
bool suppress_holds(struct queue *q, const struct pn_recipient *to, struct pn_buf *text);
/* False: the command is about something else. */
bool suppress_command(struct queue *q, const struct pn_command *c);

#endif
