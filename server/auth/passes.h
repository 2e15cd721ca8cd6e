/*
 * What auth tells mailbox workers of logins (pass.h): a user who showed who he is may open his
 * mailbox once, soon. The worker's word is awaited, so that no client is let in whose mailbox
 * nobody could open.
 */
#ifndef AUTH_PASSES_H
#define AUTH_PASSES_H

#include "control.h"
#include "pass.h"

struct auth_passes;
struct auth_pass; /* one that is awaited */

struct auth_passes *auth_passes_new(struct pn_loop *loop);
/* Nobody waits any more. */
void auth_passes_free(struct auth_passes **passes);
/* Who is asked for a channel that ended; borrowed. */
void auth_passes_control(struct auth_passes *passes, struct pn_control *control);
/* From on_peer: takes peer->fd if it is a mailbox worker's; true then. */
bool auth_passes_peer(struct auth_passes *passes, struct pn_peer *peer);
/* done is called once, later, unless it is forgotten before; token: borrowed for the call; NULL:
 * it was not noted. workers: how many there are. NULL: nobody could be asked. */
struct auth_pass *
auth_passes_ask(struct auth_passes *passes, uint32_t workers, enum pn_sasl_service service,
                struct pn_str user,
                void (*done)(void *ctx, const unsigned char *token, uint32_t worker), void *ctx);
void auth_passes_forget(struct auth_pass **pass);

#endif
