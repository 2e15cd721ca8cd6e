/*
 * Text in any charset to UTF-8. UTF-8, US-ASCII and the Windows and ISO Latin sets are
 * converted here; the others of a fixed list by iconv. What can't be read becomes
 * U+FFFD, and an unknown charset is read as UTF-8 with U+FFFD for the rest: so the
 * output is UTF-8 whatever comes in, and nothing is an error.
 *
 * iconv loads its tables from files at the first use of a charset: a role that will
 * be jailed calls pn_charset_preload before, and the list being fixed, nothing is
 * opened after that. Without the files a charset counts as unknown.
 */
#ifndef PN_CHARSET_H
#define PN_CHARSET_H

#include "buf.h"

struct pn_charset;

/* Loads all of the list and keeps it loaded. Before threads. Returns how many are there. */
size_t pn_charset_preload(void);
/* Is it a charset, or an alias of one, that we convert? */
bool pn_charset_known(struct pn_str name);

/* A conversion in chunks of any size; owned. Never NULL. */
struct pn_charset *pn_charset_open(struct pn_str name);
/* False once out is at its limit: it then ends with the last whole character that fits. */
bool pn_charset_feed(struct pn_charset *cs, struct pn_str chunk, struct pn_buf *out);
/* The end: an unfinished character becomes U+FFFD. */
bool pn_charset_end(struct pn_charset *cs, struct pn_buf *out);
void pn_charset_close(struct pn_charset **cs);

/* All at once. */
bool pn_charset_to_utf8(struct pn_str name, struct pn_str bytes, struct pn_buf *out);
/* Bytes of no said charset, as in raw 8-bit header fields: UTF-8 if they are that, else
 * windows-1252. */
bool pn_charset_guess_utf8(struct pn_str bytes, struct pn_buf *out);

#endif
