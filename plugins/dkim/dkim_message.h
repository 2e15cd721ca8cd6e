/*
 * A message as DKIM sees it: header fields as they came, and the body.
 *
 * The header is split again here, from raw bytes, since the simple form signs even the
 * blanks before a colon. Lines end at LF, a CR before it belongs to the line end.
 * A line that is no header field (no colon, or a blank in the name: an mbox "From "
 * line, a stray sentence) is left out with its folds, as if it were not there.
 *
 * Everything is borrowed from the content but the arrays, which dkim_message_fini frees.
 */
#ifndef DKIM_MESSAGE_H
#define DKIM_MESSAGE_H

#include <postern/plugin.h>

#include <stdbool.h>

enum {
    DKIM_FIELDS_MAX = 4000, /* a header of more makes every signature a permerror */
    DKIM_NO_FIELD = -1
};

struct dkim_field {
    struct postern_str raw; /* name, colon, value, folds; not the last line end */
    uint32_t name_len;      /* without blanks before the colon */
    uint32_t colon;         /* offset in raw */
    int32_t above;          /* the next field of this name further up, or DKIM_NO_FIELD */
};

struct dkim_message {
    struct postern_str body;
    struct dkim_field *fields; /* owned */
    size_t count;
    size_t froms;      /* From fields */
    size_t signatures; /* DKIM-Signature fields */
    bool truncated;    /* more than DKIM_FIELDS_MAX */
    size_t names;      /* different ones */
    int32_t *lowest;   /* owned: the last field of each name, sorted; then DKIM_NO_FIELD */
};

/* header: everything before the body, with or without the empty line. 0, or -1 when
 * memory ran out. */
int dkim_message_read(struct dkim_message *m, struct postern_str header, struct postern_str body);
void dkim_message_fini(struct dkim_message *m);
struct postern_str dkim_field_name(const struct dkim_field *f);
/* Behind the colon. */
struct postern_str dkim_field_value(const struct dkim_field *f);
/* Where in `lowest` that name stands; `names`, which is DKIM_NO_FIELD, if there is no such field.
 */
size_t dkim_message_name(const struct dkim_message *m, struct postern_str name);

#endif
