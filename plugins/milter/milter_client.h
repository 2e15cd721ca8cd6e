/* The client's name, as milters are told of it: by its PTR record, confirmed by the addresses of
 * that name (RFC 1912, section 2.1). */
#ifndef MILTER_CLIENT_H
#define MILTER_CLIENT_H

#include <postern/plugin.h>

#include <stdbool.h>

enum { MILTER_HOST_MAX = 256, MILTER_REVERSE_MAX = 80 };

struct milter_client {
    char name[MILTER_HOST_MAX]; /* confirmed, or the address in brackets */
    char ptr[MILTER_HOST_MAX];  /* what PTR says, confirmed or not; or empty */
    char both[MILTER_HOST_MAX + 80];
    char port[8];
    const char *resolve; /* sendmail's word: OK, FORGED, TEMP, FAIL; "": was not looked up */
};

/* "7.2.0.192.in-addr.arpa" into room, of MILTER_REVERSE_MAX bytes; its length. */
size_t milter_reverse(const struct postern_client *client, char *room);
void milter_client_fill(struct milter_client *out, struct postern_call *c, bool look_up);

#endif
