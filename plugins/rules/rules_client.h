/* The client's name, asked for ahead of time where rules want to know it. */
#ifndef RULES_CLIENT_H
#define RULES_CLIENT_H

#include <postern/plugin.h>

void rules_client_prefetch(struct postern_call *c);

#endif
