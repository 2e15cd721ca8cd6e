/* The capabilities of POP3 (RFC 2449), for CAPA before and after login. */
#ifndef PN_POP3_CAPABILITY_H
#define PN_POP3_CAPABILITY_H

#include "buf.h"

struct pn_pop3_offer {
    bool stls;          /* RFC 2595 */
    bool user;          /* USER and PASS are taken here */
    struct pn_str sasl; /* mechanisms, parted by spaces; empty: none */
};

/* CAPA's lines and the dot at their end. */
void pn_pop3_capabilities(struct pn_buf *out, const struct pn_pop3_offer *offer);
/* The i-th word that is ever announced, NULL at the end: for the test that each is tested. */
const char *pn_pop3_capability_word(size_t i);

#endif
