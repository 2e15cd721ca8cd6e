/*
 * A role's way to the signer: which keys there are, and signatures by them. It outlives the
 * signer's restarts: what was asked is asked again of the next one, until its time is over.
 *
 * Who has something to sign first waits until the domain's keys are known (pn_signer_wait),
 * which is at once but in the moments behind a start or a reload. Each question is answered
 * once, on the loop, never from within the call that asked, unless it is forgotten first.
 */
#ifndef PN_SIGNER_LINK_H
#define PN_SIGNER_LINK_H

#include "control.h"
#include "signing.h"

struct pn_signer_link;

/* signature empty: none came in time, or there is no such key any more. */
typedef void pn_signed_fn(void *ctx, struct pn_str signature);
/* keys: of that domain, at least one, borrowed for the call; NULL: none became known in
 * time. */
typedef void pn_sign_keys_fn(void *ctx, const struct pn_sign_key *keys, size_t count);

struct pn_signer_link *pn_signer_link_new(struct pn_loop *loop);
void pn_signer_link_free(struct pn_signer_link **link);
/* Who is asked for the signer's channel when it ended though that lives; borrowed. */
void pn_signer_link_control(struct pn_signer_link *link, struct pn_control *control);
/* From on_peer: takes peer->fd if it is the signer's; true then. */
bool pn_signer_link_peer(struct pn_signer_link *link, struct pn_peer *peer);

/* Tokens, never 0. domain is copied. */
uint64_t pn_signer_wait(struct pn_signer_link *link, struct pn_str domain, uint64_t limit_ms,
                        pn_sign_keys_fn *fn, void *ctx);
uint64_t pn_signer_ask(struct pn_signer_link *link, uint64_t key,
                       const unsigned char digest[PN_SIGN_DIGEST], uint64_t limit_ms,
                       pn_signed_fn *fn, void *ctx);
/* Who asked is gone. Unknown tokens, and 0, are passed over. */
void pn_signer_forget(struct pn_signer_link *link, uint64_t token);

#endif
