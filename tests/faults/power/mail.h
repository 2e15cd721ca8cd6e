/* What the messages of the load look like: all of it follows from their id. */
#ifndef POWER_MAIL_H
#define POWER_MAIL_H

#include "buf.h"
#include "oracle.h"

enum { PAGED_BYTES = 5000 };

/* Its content lies in a file of its own. */
bool mail_has_file(uint32_t id);
/* It is written from where it lies, see spool_op.paged. */
bool mail_is_paged(uint32_t id);
/* Appends its content, CRLF lines. */
void mail_content(uint32_t id, struct pn_buf *out);
/* Appends the file that the store makes of it. */
void mail_delivered(uint32_t id, struct pn_buf *out);
/* Whose mailbox it goes to, and which folder there. */
const char *mail_user(uint32_t id, char text[32]);
const char *mail_folder(uint32_t id);

/* The meta of its record, and of a note: what the queue role would write, in short. */
void mail_meta(uint32_t id, const uint32_t states[RCPTS], struct pn_buf *out);
bool mail_meta_get(uint32_t id, struct pn_str meta, uint32_t states[RCPTS]);
void mail_note(uint32_t who, uint32_t value, struct pn_buf *out);
bool mail_note_get(struct pn_str meta, uint32_t states[RCPTS]);

#endif
