/*
 * What the tests of the plugin milter share: a host with one server "one", a client, a message.
 */
#ifndef MILTER_RIG_H
#define MILTER_RIG_H

#include "fakehost.h"
#include "fakemilter.h"
#include "unit.h"

extern const struct postern_plugin postern_plugin;

#define ROWS(...)   ((const struct fake_row[]){__VA_ARGS__, {NULL}})
#define BLOCKS(...) ((const struct fake_block[]){__VA_ARGS__, {NULL}})

#define CONTENT                                                                                    \
    "Received: from x\nSubject: one\n two\nTo: u@here.test\nTo: v@here.test\nX-Empty:\n\nhello\n"

/* Steps left out in hex, and no macros. */
#define NAMED  "O(6|1ff|"
#define NONE   "|0 |1 |2 |3 |4 |5 |6 )"
#define CLIENT " C([192.0.2.1]|4|50025|192.0.2.1)"
/* Wants nothing but MAIL and the end, and no macros: a transcript that can be read. */
#define SHORT "O(6|1ff|27b|0 |1 |2 |3 |4 |5 |6 ) "

/* A folder for sockets. */
extern char milter_tmp[];

/* The server listens at path; more: further rows of its. */
struct fakehost *host_of(const char *path, const struct fake_row *more);
/* Up to HELO. */
void connect_client(struct fakehost *h);
/* From MAIL to its end; facts: what is found by then. */
void message(struct fakehost *h, const char *facts);
int milter_main(const char *name, const struct unit_test *tests, int argc, char **argv);

#endif
