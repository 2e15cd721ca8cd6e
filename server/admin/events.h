/*
 * The event file: lines gathered and written in one write; numbered away when large.
 * A line is written whole or, when the disk is full, not at all: what a failed write
 * left of one is cut off again.
 */
#ifndef PN_EVENTS_H
#define PN_EVENTS_H

#include "loop.h"
#include "str.h"

struct events;

struct events_limits {
    uint64_t rotate; /* bytes; 0: never */
    unsigned keep;   /* numbered files */
    bool sync;       /* each batch, before the next */
};

/* folder_fd is borrowed. NULL with errno. */
struct events *events_new(struct pn_loop *loop, int folder_fd, const char *name,
                          struct events_limits limits);
/* Writes what waits. */
void events_free(struct events **events);
/* Opens the file anew; goes on with the old one if that fails. */
void events_reopen(struct events *events, struct events_limits limits);
/* line: without its line end. False: too much waits, it was dropped (and counted). */
bool events_add(struct events *events, struct pn_str line);
void events_flush(struct events *events);
uint64_t events_written(const struct events *events);
uint64_t events_dropped(const struct events *events);

#endif
