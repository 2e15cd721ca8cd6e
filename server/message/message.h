/*
 * A message as offsets into the bytes it came in: RFC 5322 header fields and the
 * MIME tree of RFC 2045, 2046 and 6532. Nothing is copied, unfolded or decoded
 * here; see header.h, param.h, decode.h, encword.h and text.h for that.
 *
 * Content is one contiguous read-only view, borrowed: it must outlive the
 * pn_message, and every view handed out points into it (or to a constant). Lines
 * end at LF; one CR before it belongs to the line end. So CRLF content, LF-only
 * files and a mix of both are read alike, and a bare CR is content like any byte.
 *
 * Two states. After pn_message_new or _reset the header of the message is read,
 * nothing behind it is touched: part 0 has its header, and `body`, but no type.
 * pn_message_mime reads the rest, once; it is what fills in types, children and
 * lines. The first is cheap enough for every message, the second costs one pass.
 * Neither call may race with another on the same message; between them all
 * readers are free, so a host with threads calls pn_message_mime first, or locks.
 *
 * Any bytes are a message; what is odd is flagged, never refused. Time is linear in
 * the length of content whatever is in it; memory is bounded by the limits:
 * 16 bytes a field, 80 a part, and the boundaries that are open.
 *
 * What stands for a header line but has no field name (a "From " line of an mbox
 * file, a stray sentence) is kept as a field with PN_FIELD_MALFORMED and an empty
 * name if a right field follows before the empty line; else the body begins there. A
 * line of two dashes and no field's form begins the body at once.
 */
#ifndef PN_MESSAGE_H
#define PN_MESSAGE_H

#include "buf.h"

enum {
    PN_MESSAGE_DEPTH_MAX = 250, /* what limits.depth may ask for at most */
    PN_NO_PART = -1,
    PN_NO_FIELD = -1,
};

struct pn_message;

struct pn_message_limits {
    uint32_t fields; /* kept, of all headers together; the first header gets half of them */
    uint32_t parts;  /* the message itself included */
    uint32_t depth;  /* the message itself is at 0; deeper things stay leaves */
};

/* 20,000 fields, 10,000 parts, 100 levels: more than mail has, 1.1 MB at most. */
extern const struct pn_message_limits pn_message_limits_default;

enum pn_field_flag {
    PN_FIELD_MALFORMED = 1, /* no name: see above */
};

/* Offsets into the content. */
struct pn_field {
    uint32_t at;       /* of the line */
    uint32_t value;    /* first byte behind the colon */
    uint32_t end;      /* of the value, before its line end; folds lie inside */
    uint16_t name_len; /* the name is at `at`, without the blanks that may precede the colon */
    uint8_t eol;       /* bytes of the last line end: 2, 1, or 0 at the end of content */
    uint8_t flags;     /* enum pn_field_flag */
};

enum pn_encoding {
    PN_ENCODING_7BIT, /* also where the field is missing */
    PN_ENCODING_8BIT,
    PN_ENCODING_BINARY,
    PN_ENCODING_QUOTED_PRINTABLE,
    PN_ENCODING_BASE64,
    PN_ENCODING_UUENCODE, /* x-uuencode, x-uue, uuencode */
    PN_ENCODING_UNKNOWN,  /* RFC 2045, section 6.4: to be treated as application/octet-stream */
};

enum pn_part_kind {
    PN_PART_LEAF,
    PN_PART_MULTIPART,
    PN_PART_MESSAGE, /* message/rfc822, message/global: one child, the message inside */
};

enum pn_part_flag {
    PN_PART_NO_BOUNDARY = 1 << 0,   /* says multipart, names no boundary: a leaf */
    PN_PART_NO_DELIMITER = 1 << 1,  /* a multipart in which its boundary never comes */
    PN_PART_NO_END = 1 << 2,        /* a multipart without its closing delimiter */
    PN_PART_NEAR_BOUNDARY = 1 << 3, /* a delimiter line went on behind the boundary */
    PN_PART_HEADER_CUT = 1 << 4,    /* no empty line behind the header */
    PN_PART_TOO_DEEP = 1 << 5,      /* a container at limits.depth: a leaf */
    PN_PART_BAD_TYPE = 1 << 6,      /* Content-Type can't be read: taken as text/plain */
    PN_PART_BAD_ENCODING = 1 << 7,  /* unknown, or one that its type must not have */
    PN_PART_REPEATED = 1 << 8,      /* a Content- field came twice; the first one counts */
    PN_PART_FIELDS_CUT = 1 << 9,    /* limits.fields was reached in its header */
    PN_PART_TOO_MANY = 1 << 10,     /* limits.parts was reached: this one lacks children */
};

/* Offsets into the content; indices are into the parts, in document order, so that a
 * part's first child is the one behind it. */
struct pn_part {
    int32_t parent;        /* PN_NO_PART: the message itself */
    int32_t next;          /* sibling behind it, or PN_NO_PART */
    uint32_t children;     /* count */
    uint32_t first_field;  /* in the array of all fields */
    uint32_t fields;       /* count */
    uint32_t header;       /* where its header begins */
    uint32_t body;         /* behind the empty line */
    uint32_t end;          /* behind the body; the line end before a delimiter is not of it */
    uint32_t lines;        /* of the body, an unfinished last one counts */
    uint32_t preamble_end; /* multipart: where the first delimiter line begins */
    uint32_t epilogue;     /* multipart: behind the closing delimiter line, or `end` */
    uint32_t type_at, subtype_at;
    int32_t content_type; /* index of the field, or PN_NO_FIELD */
    int32_t disposition;
    uint8_t type_len, subtype_len; /* 0: as RFC 2045, section 5.2 and RFC 2046, 5.1.5 default */
    uint8_t kind;                  /* enum pn_part_kind */
    uint8_t encoding;              /* enum pn_encoding */
    uint8_t depth;
    uint16_t flags; /* enum pn_part_flag */
};

/* Owned by the caller. limits NULL: the default. NULL if content is 4 GiB or more. */
struct pn_message *pn_message_new(struct pn_str content, const struct pn_message_limits *limits);
/* Begins anew with other content, keeping memory; false as above. */
bool pn_message_reset(struct pn_message *m, struct pn_str content);
void pn_message_free(struct pn_message **m);
/* Reads the MIME tree; does nothing the second time. */
void pn_message_mime(struct pn_message *m);

struct pn_str pn_message_content(const struct pn_message *m);
/* The body as DKIM and the SMTP client see it: all behind the header. */
struct pn_str pn_message_body(const struct pn_message *m);
/* The line end of its first line: "\r\n", or "\n". CRLF where it has none. */
struct pn_str pn_message_eol(const struct pn_message *m);

/* 1 until pn_message_mime has run. */
size_t pn_message_parts(const struct pn_message *m);
/* index below pn_message_parts; 0 is the message itself. */
const struct pn_part *pn_message_part(const struct pn_message *m, size_t index);
size_t pn_part_index(const struct pn_message *m, const struct pn_part *part);
/* Parent, first child and next sibling; NULL where there is none. */
const struct pn_part *pn_part_parent(const struct pn_message *m, const struct pn_part *part);
const struct pn_part *pn_part_child(const struct pn_message *m, const struct pn_part *part);
const struct pn_part *pn_part_next(const struct pn_message *m, const struct pn_part *part);

/* As written, or the default: text/plain, in a multipart/digest message/rfc822. */
struct pn_str pn_part_type(const struct pn_message *m, const struct pn_part *part);
struct pn_str pn_part_subtype(const struct pn_message *m, const struct pn_part *part);
/* Without case; subtype "" is any. */
bool pn_part_is(const struct pn_message *m, const struct pn_part *part, struct pn_str type,
                struct pn_str subtype);
/* Header with its empty line, and body: as they stand, still encoded. */
struct pn_str pn_part_header(const struct pn_message *m, const struct pn_part *part);
struct pn_str pn_part_body(const struct pn_message *m, const struct pn_part *part);

/* The fields of one part's header, in order; part NULL: of the message. */
const struct pn_field *pn_part_fields(const struct pn_message *m, const struct pn_part *part,
                                      size_t *count);
/* By name, without case: nth 1 is the first from the top, -1 the last. NULL: none. */
const struct pn_field *pn_field_find(const struct pn_message *m, const struct pn_part *part,
                                     struct pn_str name, int nth);
/* The next of that name behind prev (NULL: the first). A walk over all is linear. */
const struct pn_field *pn_field_next(const struct pn_message *m, const struct pn_part *part,
                                     struct pn_str name, const struct pn_field *prev);
size_t pn_field_count(const struct pn_message *m, const struct pn_part *part, struct pn_str name);
/* Name; value as it stands (leading blank and folds in it, without the last line end);
 * and the whole, name to line end. */
struct pn_str pn_field_name(const struct pn_message *m, const struct pn_field *field);
struct pn_str pn_field_value(const struct pn_message *m, const struct pn_field *field);
struct pn_str pn_field_line(const struct pn_message *m, const struct pn_field *field);

#endif
