/* The signer role: it holds the keys that mail is signed with, sees digests, and gives
 * signatures. See signing.h. */
#ifndef PN_SIGNER_ROLE_H
#define PN_SIGNER_ROLE_H

#include "control.h"

pn_role_main pn_signer_main;

#endif
