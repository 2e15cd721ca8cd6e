/*
 * Where a milter listens, in the words that milters and MTAs use:
 *
 *   inet:8891@127.0.0.1  inet6:8891@::1  inet:127.0.0.1:8891  inet:[::1]:8891
 *   unix:/run/opendkim/opendkim.sock     local:/run/opendkim/opendkim.sock
 *
 * Numbers alone: a worker has no resolver for sockets. `localhost` is 127.0.0.1 (with inet6
 * ::1).
 */
#ifndef MILTER_ADDRESS_H
#define MILTER_ADDRESS_H

#include <postern/plugin.h>

#include <sys/socket.h>
#include <sys/un.h>

struct milter_address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
        struct sockaddr_un local;
    } at;
};

/* NULL, or what was expected: a constant sentence. */
const char *milter_address_read(struct milter_address *a, struct postern_str text);

#endif
