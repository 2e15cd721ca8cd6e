/*
 * Who may open a mailbox now: the passes that auth gave (pass.h), each for one session, of one
 * user and service, until its time is over. No clock of its own: the caller gives the time, in ms
 * of any monotonic clock.
 */
#ifndef MAILBOX_ADMISSION_H
#define MAILBOX_ADMISSION_H

#include "pass.h"

struct admission;

struct admission *admission_new(void);
void admission_free(struct admission **admission);
/* False: too many are open, or it is there already. */
bool admission_note(struct admission *admission, const struct pn_pass *pass, uint64_t now_ms);
/* Uses the token up, whatever comes of it. False: there is none, or it is too old, or of another
 * user or service. */
bool admission_use(struct admission *admission, const unsigned char token[PN_PASS_TOKEN],
                   uint8_t service, struct pn_str user, uint64_t now_ms);
/* Passes that wait to be used. */
size_t admission_count(struct admission *admission, uint64_t now_ms);

#endif
