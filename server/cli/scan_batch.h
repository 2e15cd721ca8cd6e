/* Inside scan's input: a batch of JSON lines, and what it shares with files. */
#ifndef PN_SCAN_BATCH_H
#define PN_SCAN_BATCH_H

#include "scan_input.h"

#include <jansson.h>

/* A line is an object: ip, helo, from, rcpt (a string or a list), file or message, and
 * optionally port, tls, tls_version, tls_cipher, tls_bits, local_ip, local_port, mail_args,
 * auth_id, held (why all of that user's is), dns, zone, time (seconds, with a fraction), auth,
 * state, standing, unknown (lists of an event). What is absent comes from base. A reproducer
 * (filters/case.c) also has id, session_id, hostname, session_time, seed and session_seed
 * (hexadecimal), and exact: content is taken as it is. */
bool pn_scan_batch(const struct pn_scan_case *base, const char *path,
                   bool (*fn)(void *ctx, const struct pn_scan_case *c), void *ctx,
                   struct pn_buf *err);

/* What such a line says but for its content. what: its name in err. rcpts: room for
 * PN_SCAN_RCPTS_MAX. *state: free it behind the case. Borrows from object. */
bool pn_scan_batch_object(json_t *object, const char *what, struct pn_scan_case *c,
                          struct pn_str *rcpts, char **state, struct pn_buf *err);

/* The whole of a file ("-": standard input) into out, which it initialises. */
bool pn_scan_read_file(const char *path, struct pn_buf *out, struct pn_buf *err);
/* One message's bytes with CRLF ends, an mbox line in front dropped. Replaces out. */
void pn_scan_canonical(struct pn_str raw, struct pn_buf *out);

#endif
