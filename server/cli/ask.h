/*
 * Asking a running server over its control socket: one command in, JSON lines back, then
 * perhaps content (the last line's "size" says how much).
 */
#ifndef PN_ASK_H
#define PN_ASK_H

#include "buf.h"

#include <stdio.h>

struct pn_ask {
    FILE *from; /* owned */
    struct pn_buf line;
};

enum { PN_ASK_PATH_MAX = 256, PN_ASK_LINE_MAX = 1024 * 1024 };

/* The socket of a server: path if given, below root if given, or the installed one. */
const char *pn_ask_path(const char *path, const char *root, char out[PN_ASK_PATH_MAX]);
/* Connects and sends the words. False: out of reach; said so on stderr. */
bool pn_ask_start(struct pn_ask *ask, const char *path, const char *const *words, size_t count);
/* The next line without its end, borrowed until the next call; .p is NULL at the end. */
struct pn_str pn_ask_line(struct pn_ask *ask);
/* Copies n bytes of content to a stream, without control characters where that is a
 * terminal; false: they did not all come. */
bool pn_ask_content(struct pn_ask *ask, uint64_t n, FILE *to);
void pn_ask_end(struct pn_ask *ask);

#endif
