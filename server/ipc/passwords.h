/*
 * Passwords that we show to others: those of `destination "x" { auth ... }`. The supervisor reads
 * their files and gives them to the queue alone, by PN_REC_PASSWORD on the control channel,
 * before GO and before each POLICY.
 */
#ifndef PN_PASSWORDS_H
#define PN_PASSWORDS_H

#include "buf.h"

enum { PN_PASSWORD_BYTES_MAX = 1024 };

struct pn_hop_password {
    struct pn_str destination; /* its name as the policy has it */
    struct pn_str password;    /* 1 to PN_PASSWORD_BYTES_MAX bytes, no NUL, CR or LF */
};

void pn_hop_password_put(struct pn_buf *out, const struct pn_hop_password *password);
bool pn_hop_password_get(struct pn_str body, struct pn_hop_password *password);

#endif
