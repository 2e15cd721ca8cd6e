/*
 * Logging in at a next hop (RFC 4954), our side of it by libgsasl: SCRAM-SHA-256 (RFC 7677)
 * where the server has it, else, if the operator lets the password itself be shown or the
 * server is proved, PLAIN and LOGIN. A step may take its time (PBKDF2): it is made on the pool.
 */
#ifndef PN_QUEUE_HOP_LOGIN_H
#define PN_QUEUE_HOP_LOGIN_H

#include "buf.h"

enum { LOGIN_WORD_MAX = 12288 }; /* RFC 4954, section 4: of base64 */

struct login;

/* plain: PLAIN and LOGIN may be used. Copies what it needs; NULL: libgsasl is not to be had. */
struct login *login_new(struct pn_str user, struct pn_str password, bool plain);
void login_free(struct login **login);
/* The server's mechanisms, parted by blanks (first), or its challenge in base64; out gets the
 * answer. *last: the mechanism is done then. NULL, or why there is no answer. */
const char *login_step(struct login *login, bool first, struct pn_str words, struct pn_buf *out,
                       bool *last);

#endif
