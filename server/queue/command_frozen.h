/* Frozen domains in the role: the list, and an operator's words about it. */
#ifndef PN_QUEUE_COMMAND_FROZEN_H
#define PN_QUEUE_COMMAND_FROZEN_H

#include "command.h"
#include "frozen.h"
#include "queue_int.h"

/* Reads the list. False with a sentence in err. */
bool frozen_init(struct queue *q, struct pn_buf *err);
/* False: the command is about something else. */
bool frozen_command(struct queue *q, const struct pn_command *c);

#endif
