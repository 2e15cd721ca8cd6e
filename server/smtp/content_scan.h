/*
 * Scanning mail content as it arrives: DATA (RFC 5321, section 4.1.1.4) and BDAT
 * (RFC 3030).
 *
 * Only CR LF ends a line and only CR LF . CR LF ends DATA, whatever the bytes around
 * it; a CR or LF that stands alone, and a NUL, is a fault of the whole message, found
 * wherever the input is split. So no next hop can see an end of data where we saw
 * none. With `normalize` a lone LF is written as CR LF (it still begins no line for
 * dots: neither is a dot behind it taken away, nor can it end the data).
 *
 * Blocks of 64 bytes with nothing in them that needs a decision are copied as they
 * are; the others go through a table of states, which alone says what is right.
 */
#ifndef PN_SMTP_CONTENT_SCAN_H
#define PN_SMTP_CONTENT_SCAN_H

#include "str.h"

enum pn_smtp_fault {
    PN_SMTP_FAULT_NONE,
    PN_SMTP_FAULT_BARE_CR,
    PN_SMTP_FAULT_BARE_LF,
    PN_SMTP_FAULT_NUL
};

enum pn_smtp_scan_state {
    PN_SMTP_SCAN_START,  /* at the start of a line */
    PN_SMTP_SCAN_TEXT,   /* within a line */
    PN_SMTP_SCAN_CR,     /* behind a CR, which is written already */
    PN_SMTP_SCAN_DOT,    /* behind a dot that starts a line, which is not written */
    PN_SMTP_SCAN_DOT_CR, /* behind such a dot and a CR, neither is written */
    PN_SMTP_SCAN_END     /* DATA: behind CR LF . CR LF */
};

struct pn_smtp_scan {
    enum pn_smtp_scan_state state;
    enum pn_smtp_fault fault; /* the first one found */
    bool dots;                /* DATA: dots are taken away and the end is looked for */
    bool normalize;
    bool eight; /* a byte beyond ASCII was read (RFC 6152) */
};

struct pn_smtp_scanned {
    size_t read;    /* less than was given only at the end of DATA */
    size_t written; /* at most pn_smtp_scan_room() */
};

struct pn_smtp_scan pn_smtp_scan_begin(bool dots, bool normalize);
/* Bytes that out must have room for to scan n bytes. */
size_t pn_smtp_scan_room(const struct pn_smtp_scan *scan, size_t n);
/* out NULL: nothing is written (and written counts nothing), the rest is the same. */
struct pn_smtp_scanned pn_smtp_scan(struct pn_smtp_scan *scan, struct pn_str in, char *out);
/* BDAT: the last byte was read. A CR that waits for its LF is then bare. */
void pn_smtp_scan_last(struct pn_smtp_scan *scan);

/* The same, byte for byte through the table of states only; for tests. */
struct pn_smtp_scanned pn_smtp_scan_slow(struct pn_smtp_scan *scan, struct pn_str in, char *out);

/* Sending side: the offset of the first dot at or after `from` that starts a line, or
 * SIZE_MAX. A line starts behind LF, and at offset 0 if at_start. */
size_t pn_smtp_dot_find(struct pn_str bytes, size_t from, bool at_start);

#endif
