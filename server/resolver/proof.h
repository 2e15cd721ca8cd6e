/*
 * The proof that DNSSEC is done here at all, before an answer is believed to be secure (and
 * mail goes by DANE): libunbound is given zones of our own, in which each name is right or
 * wrong in one way, and has to tell them apart. Nothing is asked of the network, and it does
 * not matter what the clock says.
 */
#ifndef RESOLVER_PROOF_H
#define RESOLVER_PROOF_H

#include "buf.h"

/* Takes a few milliseconds. Opens a memory file by its name below /proc, so not from within a
 * jail. False with a sentence in err: nothing that libunbound calls secure may be believed. */
bool proof_run(struct pn_buf *err);

/* What one question of it must be answered with. */
enum proof_answer { PROOF_SECURE, PROOF_INSECURE, PROOF_REFUSED };
struct proof_case {
    const char *what, *name;
    uint16_t type;
    enum proof_answer want;
};
/* The same with other cases, for tests; ends with a NULL name. */
bool proof_run_cases(const struct proof_case *cases, struct pn_buf *err);

#endif
