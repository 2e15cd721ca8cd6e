/*
 * What is said to a Redis server and what it answers (RESP2), without the socket. hiredis
 * writes the one and reads the other; its reader makes no objects for us, and arrays, of
 * which we ask none, are refused, so that a reply needs no more memory than a value.
 */
#ifndef STATE_RESP_H
#define STATE_RESP_H

#include "buf.h"

enum { RESP_TEXT_MAX = 2048, RESP_OPEN_MAX = 64 * 1024 };

enum resp_type { RESP_STATUS, RESP_ERROR, RESP_TEXT, RESP_NUMBER, RESP_NONE };

/* text: borrowed until the next call. A longer one is cut, and `cut` says so. */
struct resp_reply {
    enum resp_type type;
    int64_t number;
    struct pn_str text;
    bool cut;
};

struct resp;

struct resp *resp_new(void);
void resp_free(struct resp **resp);
/* False: out of memory. */
bool resp_feed(struct resp *resp, struct pn_str bytes);
/* 1: a reply; 0: not whole yet; -1: what came is no reply that we asked for, for good. */
int resp_next(struct resp *resp, struct resp_reply *reply);

/* Appends a command of these words. False: no room. */
bool resp_command(struct pn_buf *out, const struct pn_str *words, size_t count);

#endif
