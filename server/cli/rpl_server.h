/*
 * A server for one replay script: posternd with a configuration, below a temporary folder
 * of its own, on loopback ports that are free, its DNS from a file and its wall clock from
 * another. It is started and ended here, with all it wrote.
 *
 * $POSTERN_WRAP (words parted by blanks) is what it is run under, valgrind say;
 * $POSTERN_PATIENCE multiplies every time waited for.
 */
#ifndef PN_RPL_SERVER_H
#define PN_RPL_SERVER_H

#include "buf.h"

#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

/* Lines of its configuration that stand before the caller's. */
enum { RPL_SERVER_OWN_LINES = 3 };

struct rpl_server {
    char root[PATH_MAX / 4];
    uint16_t smtp, admin;
    pid_t pid;              /* 0: not started */
    _Atomic int64_t *clock; /* of the server, in milliseconds; NULL: the real one */
};

/* Makes the folder; conf's {root} {smtp} {admin} are filled in. False with err. */
bool rpl_server_init(struct rpl_server *s, struct pn_str conf, struct pn_str dns,
                     struct pn_buf *err);
/* Appends a line to a file in the root. */
bool rpl_server_file(const struct rpl_server *s, struct pn_str name, struct pn_str line,
                     struct pn_buf *err);
/* From now on (before the start) the clock stands there. */
bool rpl_server_clock(struct rpl_server *s, int64_t ms, struct pn_buf *err);
/* Until it greets. */
bool rpl_server_start(struct rpl_server *s, struct pn_buf *err);
/* The wait status; it is killed if it does not end in time. */
int rpl_server_stop(struct rpl_server *s);
/* Ends it and removes the folder. */
void rpl_server_fini(struct rpl_server *s);
/* The last bytes of its log. */
void rpl_server_log(const struct rpl_server *s, struct pn_buf *out, size_t most);

/* A connection with its PROXY line sent; -1 with errno. */
int rpl_server_connect(const struct rpl_server *s, struct pn_str client);
/* Milliseconds to wait for what has to come. */
int rpl_patience_ms(int ms);
/* What p waits for came in that time, or in as much of the CPU as we took (pn_patience). */
bool rpl_wait(struct pollfd *p, int ms);
void rpl_nap(void);

#endif
