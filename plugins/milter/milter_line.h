/*
 * A connection to a milter: connecting, sending and reading, each with an end in time.
 *
 * Functions return false where the line is of no use any more, with `why` (a constant
 * sentence) and `error` (an errno, or 0). It is closed by milter_line_close alone.
 */
#ifndef MILTER_LINE_H
#define MILTER_LINE_H

#include "milter_address.h"
#include "milter_packet.h"

struct milter_line {
    int fd; /* -1: closed */
    bool tcp;
    struct milter_out out;
    struct milter_in in;
    size_t max; /* bytes of data in a packet, of either side */
    const char *why;
    int error;
    bool slow; /* it failed for want of time */
};

/* Monotonic milliseconds; all ends are given in them. */
int64_t milter_now_ms(void);

void milter_line_init(struct milter_line *line);
bool milter_line_connect(struct milter_line *line, const struct milter_address *address,
                         int64_t end);
/* Sends what `out` holds. */
bool milter_line_flush(struct milter_line *line, int64_t end);
/* The same as far as it goes without waiting; for a farewell. */
bool milter_line_flush_now(struct milter_line *line);
/* Sends what `out` holds, then takes a packet, waiting for it. */
bool milter_line_take(struct milter_line *line, int64_t end, struct milter_packet *packet);
/* Nothing came that nobody asked for, and the other side is there. */
bool milter_line_quiet(const struct milter_line *line);
bool milter_line_fail(struct milter_line *line, const char *why, int error);
/* Frees all it owns. */
void milter_line_close(struct milter_line *line);

#endif
