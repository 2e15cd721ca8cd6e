/* The state role: what plugins remember from one message to the next (ipc/state.h). */
#ifndef STATE_ROLE_H
#define STATE_ROLE_H

#include "control.h"

pn_role_main pn_state_main;

#endif
