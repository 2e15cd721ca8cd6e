/*
 * The key that made-up salts are made by. It is kept for as long as the server is, or whoever
 * asks before and after a restart would learn which users there are. Lost, a new one is made.
 */
#ifndef AUTH_SALT_KEY_H
#define AUTH_SALT_KEY_H

#include "exchange.h"

/* In this folder, made there if there is none. False with a sentence in err. */
bool auth_salt_key(int folder, unsigned char key[AUTH_SALT_KEY], struct pn_buf *err);

#endif
