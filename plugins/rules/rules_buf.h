/* Bytes that grow up to a limit; what finds no room is dropped. Kept from message to message. */
#ifndef RULES_BUF_H
#define RULES_BUF_H

#include "rules_str.h"

struct rules_buf {
    char *p;
    size_t len, room, max;
};

/* Room for as much of n more bytes as the limit leaves; how many. */
size_t rules_buf_room(struct rules_buf *b, size_t n);
void rules_buf_add(struct rules_buf *b, struct postern_str s);
void rules_buf_char(struct rules_buf *b, char c);
/* Empties it; memory beyond what most messages need is given back. */
void rules_buf_reset(struct rules_buf *b);
struct postern_str rules_buf_str(const struct rules_buf *b);

#endif
