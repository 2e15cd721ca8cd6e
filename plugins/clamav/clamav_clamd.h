/*
 * A scan by clamd over its socket: INSTREAM, one connection a message.
 *
 * A daemon that is not there (it is being restarted, it reads its signatures) or lets go of
 * us before it answered is asked again, every tenth of a second, until the time is up.
 * Nothing is kept between messages, so there is nothing to lose with a connection.
 */
#ifndef CLAMAV_CLAMD_H
#define CLAMAV_CLAMD_H

#include "clamav_reply.h"

#include <sys/socket.h>
#include <sys/un.h>

struct clamav_address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
        struct sockaddr_un local;
    } at;
};

struct clamav_answer {
    enum clamav_reply reply;
    struct postern_str text; /* into room */
    char room[CLAMAV_REPLY_MAX + 1];
};

/* "unix:/run/clamav/clamd.ctl", "inet:127.0.0.1:3310", "inet:[::1]:3310": numbers, no names.
 * NULL, or what is wrong with it. */
const char *clamav_address_read(struct clamav_address *a, struct postern_str text);
/* Has first and then content scanned within limit_ms. NULL and an answer, or why there is
 * none: a constant sentence, errno with it or 0. */
const char *clamav_clamd_scan(const struct clamav_address *a, struct postern_str first,
                              struct postern_str content, unsigned limit_ms,
                              struct clamav_answer *answer);

#endif
