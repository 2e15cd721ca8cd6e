/*
 * Writing JSON (RFC 8259), straight into a buffer: events and `--json` output.
 * Commas and nesting are kept by the writer. Bytes that are not valid UTF-8 are
 * written as U+FFFD, so that a line is always valid JSON whatever a client sent.
 * (Reading JSON is libjansson's, in the command line only.)
 */
#ifndef PN_JSON_H
#define PN_JSON_H

#include "buf.h"

struct pn_json {
    struct pn_buf *out; /* borrowed */
    bool comma;         /* a value precedes at this level */
};

struct pn_json pn_json_to(struct pn_buf *out);
/* key is NULL inside an array and at the top. */
void pn_json_object(struct pn_json *j, const char *key);
void pn_json_object_end(struct pn_json *j);
void pn_json_array(struct pn_json *j, const char *key);
void pn_json_array_end(struct pn_json *j);
void pn_json_str(struct pn_json *j, const char *key, struct pn_str value);
void pn_json_i64(struct pn_json *j, const char *key, int64_t value);
/* Thousandths as a decimal number: 7400 is 7.4. */
void pn_json_milli(struct pn_json *j, const char *key, int64_t thousandths);
void pn_json_bool(struct pn_json *j, const char *key, bool value);
void pn_json_null(struct pn_json *j, const char *key);

#endif
