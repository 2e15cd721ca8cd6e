/*
 * What the dump tools of this folder share: a message's file read, its line ends turned if that is
 * asked for, and bytes that need not be UTF-8 in their JSON, as base64.
 */
#ifndef CONFORMANCE_DUMP_H
#define CONFORMANCE_DUMP_H

#include "json.h"
#include "lines.h"

enum { DUMP_FILE_MAX = 64 << 20 };

/* Replaces what out holds. lines NULL: as it is. False: it can't be read. */
bool dump_read(const char *path, struct pn_lines *lines, struct pn_buf *out);
void dump_bytes(struct pn_json *j, const char *key, struct pn_str bytes);

#endif
