/*
 * Edits to a header that lie beside the content (which stays as received) and are
 * applied by whoever writes it out.
 *
 * A pn_edits is a list of operations; pn_edits_render turns it and a message into
 * segments: ranges of the content and bytes of ours, in order, which a writer sends
 * with writev or sendfile. Line ends of added lines are those of the content (CRLF but
 * for stored files); pn_lines (lines.h) turns them on the way to a Maildir.
 *
 * Names and values are a stranger's: pn_edits_add checks them. Positions count in the
 * content as received, so the order of operations matters only between lines added at
 * the same place: the first of them comes first.
 *
 * Removal sees the whole header, also what lies beyond the fields that pn_message keeps.
 */
#ifndef PN_EDIT_H
#define PN_EDIT_H

#include "message.h"

enum pn_edit_op {
    PN_EDIT_ADD_TOP,         /* before everything */
    PN_EDIT_ADD_AFTER_TRACE, /* behind the Return-Path and Received lines that begin the header */
    PN_EDIT_ADD_END,         /* before the empty line */
    PN_EDIT_REMOVE,          /* the nth of that name; 0: all of them; -1: the last */
    PN_EDIT_REMOVE_RESULTS,  /* each Authentication-Results whose authserv-id is `value`, or that
                                claims so malformed (RFC 8601, section 5); name is not used */
    PN_EDIT_ADD_AT,          /* before the nth field of all, from 0; behind the last if there are
                                no more */
};

enum pn_edit_status {
    PN_EDIT_OK,
    PN_EDIT_BAD_NAME,  /* not 1 to 76 printable ASCII bytes without colon */
    PN_EDIT_BAD_VALUE, /* CR, LF or NUL; or a fold that is none */
    PN_EDIT_TOO_LONG,  /* a word that can't be folded into 998 bytes a line */
    PN_EDIT_FULL,      /* the list's limit */
};

struct pn_edit {
    enum pn_edit_op op;
    struct pn_str name;  /* borrowed from the list */
    struct pn_str value; /* as given */
    int32_t nth;
};

struct pn_edits;

/* Owned. limit: bytes of all names and values together. At most 1,000 operations. */
struct pn_edits *pn_edits_new(size_t limit);
void pn_edits_free(struct pn_edits **edits);
/* Copies name and value. A value without line ends is folded at 78 when it is written;
 * one with folds already (CRLF and a blank) is taken only if `folded`, and kept as it
 * is: signatures need that. */
enum pn_edit_status pn_edits_add(struct pn_edits *edits, enum pn_edit_op op, struct pn_str name,
                                 struct pn_str value, bool folded);
/* PN_EDIT_ADD_AT; nth is not negative. */
enum pn_edit_status pn_edits_add_at(struct pn_edits *edits, int nth, struct pn_str name,
                                    struct pn_str value, bool folded);
enum pn_edit_status pn_edits_remove(struct pn_edits *edits, struct pn_str name, int nth);
enum pn_edit_status pn_edits_remove_results(struct pn_edits *edits, struct pn_str authserv_id);
/* Any operation as a struct has it, folds taken: what another role or a file brings. */
enum pn_edit_status pn_edits_put(struct pn_edits *edits, const struct pn_edit *edit);
size_t pn_edits_count(const struct pn_edits *edits);
const struct pn_edit *pn_edits_at(const struct pn_edits *edits, size_t index);
/* "add-top", "add-after-trace", "add-end", "remove", "remove-results", "add-at"; and back. */
const char *pn_edit_op_name(enum pn_edit_op op);
bool pn_edit_op_find(struct pn_str name, enum pn_edit_op *out);
const char *pn_edit_status_text(enum pn_edit_status status);

/* The checks of pn_edits_add alone. */
enum pn_edit_status pn_edit_check(struct pn_str name, struct pn_str value, bool folded);
/* Appends "Name: value" folded at 78 where blanks allow (998 at the very most), with
 * eol behind each line. value is checked already. */
void pn_field_write(struct pn_buf *out, struct pn_str name, struct pn_str value, struct pn_str eol);

/*
 * What is wished for a header one after another: a position counts in the header as the wishes
 * before left it. pn_edits_resolve says the same in operations whose order does not matter.
 */
enum pn_wish_op {
    PN_WISH_ADD,    /* behind the trace lines at the top */
    PN_WISH_REMOVE, /* the index-th field of that name, from 0, as received */
    PN_WISH_INSERT, /* index: the position; 0 is above what is added at the top, which counts as
                       one field */
    PN_WISH_CHANGE  /* the index-th field of that name, as received, gets the value, or goes if that
                       is empty; one that is not there is added. The last change counts. */
};

struct pn_wish {
    enum pn_wish_op op;
    uint32_t index;
    struct pn_str name, value; /* borrowed; checked */
};

/* Adds operations to edits: those with PN_EDIT_ADD_TOP are to stand above all other lines that are
 * added at the top. */
enum pn_edit_status pn_edits_resolve(struct pn_edits *edits, const struct pn_message *m,
                                     const struct pn_wish *wishes, size_t count);

struct pn_segment {
    const char *p; /* bytes of ours, owned by the pn_segments; NULL: a range of the content */
    uint64_t at;   /* of the range */
    uint64_t len;
};

struct pn_segments {
    struct pn_segment *v; /* owned */
    size_t count, cap;
    uint64_t size; /* of all */
    struct pn_buf text;
};

void pn_segments_init(struct pn_segments *s);
void pn_segments_fini(struct pn_segments *s);
/* Replaces what s holds. edits may be NULL. Adjoining ranges are one segment, so without
 * edits there is one: the content. */
void pn_edits_render(const struct pn_edits *edits, const struct pn_message *m,
                     struct pn_segments *s);
/* The bytes of one segment, of a message at hand. */
struct pn_str pn_segment_bytes(const struct pn_segment *segment, const struct pn_message *m);

#endif
