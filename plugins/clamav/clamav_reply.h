/*
 * What clamd answers to INSTREAM (clamd(8)): one line, ended by NUL,
 *
 *   stream: OK
 *   stream: NAME FOUND
 *   TEXT ERROR        "INSTREAM size limit exceeded.", or what went wrong in it
 *
 * It comes from another program, over a socket: it is read as any foreign bytes are.
 */
#ifndef CLAMAV_REPLY_H
#define CLAMAV_REPLY_H

#include <postern/plugin.h>

enum clamav_reply {
    CLAMAV_REPLY_OK,
    CLAMAV_REPLY_FOUND,     /* text: the name */
    CLAMAV_REPLY_TOO_LARGE, /* clamd's StreamMaxLength */
    CLAMAV_REPLY_ERROR,     /* text: clamd's words */
    CLAMAV_REPLY_STRANGE    /* no reply that we know */
};

enum { CLAMAV_REPLY_MAX = 1024 };

/* line: without its NUL. text is a view into it, printable, never empty for FOUND. */
enum clamav_reply clamav_reply_read(struct postern_str line, struct postern_str *text);

#endif
