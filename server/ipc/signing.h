/*
 * Signing between roles: who holds the keys (signer) and who has something signed (edge, queue).
 *
 *   supervisor -> signer   SIGN_KEY     struct pn_sign_pem, in START..GO and before POLICY
 *   signer -> edge, queue  SIGN_KEYS    struct pn_sign_keys: all that it has, first thing
 *                                       and whenever that changes; maybe in several records
 *   edge, queue -> signer  SIGN_ASK     struct pn_sign_ask
 *   signer -> edge, queue  SIGN_ANSWER  struct pn_sign_answer, one for each ask, in any order
 *
 * The signer sees what SHA-256 made of a header, no mail, and gives no key away. A key has
 * an id that follows from it, its domain and its selector, so that it is the same
 * after the signer was started anew, and an ask may be sent again. Keys that a reload took
 * away sign until the next one: a message that was begun with them goes on.
 *
 * Views borrow from the record.
 */
#ifndef PN_SIGNING_H
#define PN_SIGNING_H

#include "wire.h"

enum {
    PN_SIGN_DIGEST = 32,       /* bytes that are signed */
    PN_SIGN_ANSWER_MAX = 1024, /* of a signature */
    PN_SIGN_KEYS_MAX = 4096,   /* of all domains */
    PN_SIGN_PEM_MAX = 28 * 1024
};

/* One key; the domain by its A-labels, lower case. */
struct pn_sign_pem {
    struct pn_str domain, selector, pem;
};

struct pn_sign_key {
    uint64_t id;
    struct pn_str domain, selector;
    struct pn_str algorithm; /* as a= has it */
};

struct pn_sign_keys {
    bool first, last; /* of the records that make up the table */
    uint32_t count;   /* keys that follow */
};

struct pn_sign_ask {
    uint64_t token; /* the asker's, given back */
    uint64_t key;
    unsigned char digest[PN_SIGN_DIGEST];
};

struct pn_sign_answer {
    uint64_t token;
    struct pn_str signature; /* empty: it has no such key, or can't sign now */
};

void pn_sign_pem_put(struct pn_buf *out, const struct pn_sign_pem *pem);
bool pn_sign_pem_get(struct pn_str body, struct pn_sign_pem *pem);
void pn_sign_keys_put(struct pn_buf *out, const struct pn_sign_keys *keys);
void pn_sign_key_put(struct pn_buf *out, const struct pn_sign_key *key);
/* First the head, then pn_sign_key_next as often as its count says, then pn_rd_done. */
bool pn_sign_keys_get(struct pn_rd *r, struct pn_sign_keys *keys);
bool pn_sign_key_next(struct pn_rd *r, struct pn_sign_key *key);
void pn_sign_ask_put(struct pn_buf *out, const struct pn_sign_ask *ask);
bool pn_sign_ask_get(struct pn_str body, struct pn_sign_ask *ask);
void pn_sign_answer_put(struct pn_buf *out, const struct pn_sign_answer *answer);
bool pn_sign_answer_get(struct pn_str body, struct pn_sign_answer *answer);

#endif
