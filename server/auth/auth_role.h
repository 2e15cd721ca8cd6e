/* The auth role: logins, as edges ask for them (ipc/sasl.h). */
#ifndef AUTH_ROLE_H
#define AUTH_ROLE_H

#include "control.h"

pn_role_main pn_auth_main;

#endif
