/*
 * IMAP's body sections: BODY[...], BINARY[...], BINARY.SIZE[...] and their partials (RFC 3501 and
 * 9051, section 6.4.5; RFC 3516), from the spec to the octets.
 *
 *   pn_section_parse   the text in the brackets, to a pn_section
 *   pn_reader          one message to read from; keeps what makes the next read cheap
 *   pn_octets          what a section is there: its size is known before its first octet, it may
 *                      be narrowed to a partial, and comes in slices of any size
 *
 * Octets are counted and sent with CRLF, whatever content has (crlf.h); NUL goes out as 0x80, but
 * not in BINARY. Parts are numbered as structure.h shows them. Memory of a reader: a thousandth of
 * the content as far as it was read; a 50 MB body passes through the caller's buffer only.
 */
#ifndef PN_SECTION_H
#define PN_SECTION_H

#include "crlf.h"
#include "decode.h"
#include "message.h"

/* ---- the spec ---- */

enum {
    PN_SECTION_DEPTH = 128,      /* numbers in a path */
    PN_SECTION_NAMES_MAX = 8192, /* bytes of a list of field names, and */
    PN_SECTION_NAMES = 256,      /* names in it: each field of a header is looked up there */
};

enum pn_section_what {
    PN_SECTION_ALL, /* "", or of a part its body */
    PN_SECTION_HEADER,
    PN_SECTION_FIELDS,
    PN_SECTION_FIELDS_NOT,
    PN_SECTION_TEXT,
    PN_SECTION_MIME,
};

struct pn_section {
    enum pn_section_what what;
    unsigned depth;
    uint32_t path[PN_SECTION_DEPTH]; /* each 1 at least */
    struct pn_str names;             /* borrowed: between the parentheses, as written */
    uint64_t mask;                   /* of the names; see section.c */
};

/* Reads the spec that text begins with, up to "]", which must be there; returns its length without
 * it, SIZE_MAX for what is none. Field names are atoms, quoted strings or literals (with their
 * bytes in text). text is borrowed by *out. */
size_t pn_section_parse(struct pn_str text, struct pn_section *out);
/* Appends it in one form, as it stands between the brackets of the answer. */
bool pn_section_write(const struct pn_section *section, struct pn_buf *out);
/* Is a field of that name in its list? Without case. */
bool pn_section_has_name(const struct pn_section *section, struct pn_str name);

/* ---- reading ---- */

struct pn_reader; /* owned */

/* Content is borrowed for its life. NULL if it is 4 GiB or more. */
struct pn_reader *pn_reader_new(struct pn_str content);
void pn_reader_free(struct pn_reader **reader);
/* Its message, read as far as it is wanted: not at all for BODY[], the header, the tree once a
 * section or pn_structure wanted it. */
struct pn_message *pn_reader_message(struct pn_reader *reader);
/* RFC822.SIZE. */
uint64_t pn_reader_size(struct pn_reader *reader);

enum pn_octets_status {
    PN_OCTETS_OK,
    PN_OCTETS_NONE,        /* the message has no such part: NIL */
    PN_OCTETS_UNKNOWN_CTE, /* BINARY: [UNKNOWN-CTE] */
};

enum pn_octets_kind { PN_OCTETS_RANGE, PN_OCTETS_LINES, PN_OCTETS_DECODED };

/* Where reading stands. Several of one reader may be open; none outlives it. */
struct pn_octets {
    struct pn_reader *reader;
    const struct pn_section *section; /* borrowed, for FIELDS and FIELDS_NOT */
    const struct pn_part *part;
    enum pn_octets_kind kind;
    uint64_t size;   /* of the section */
    uint64_t at;     /* of the next octet, and */
    uint64_t end;    /* behind the last, in it */
    size_t from, to; /* RANGE, LINES: of content */
    struct pn_crlf_place place;
    char nul; /* what stands for NUL */
    /* LINES */
    size_t field;    /* the next to be looked at */
    size_t line_end; /* of the lines at hand */
    unsigned tail;   /* what was sent of what ends them */
    bool in_tail, line_ended;
};

/* Finds a section. section must outlive *out. */
enum pn_octets_status pn_octets_open(struct pn_reader *reader, const struct pn_section *section,
                                     struct pn_octets *out);
/* BINARY: the transfer encoding undone; section has a path only. The size costs one pass of
 * decoding the part, and is kept by the reader for the next time. */
enum pn_octets_status pn_octets_open_binary(struct pn_reader *reader,
                                            const struct pn_section *section,
                                            struct pn_octets *out);
/* Before the first read: only `count` octets from `offset` on, as far as there are. That costs a
 * block at most once the reader has seen the content before it; of header fields, a pass over the
 * header; of BINARY, decoding from where that part's last read ended, or from its beginning. */
void pn_octets_partial(struct pn_octets *octets, uint64_t offset, uint64_t count);
/* How many are still to come: before the first read, the literal's length. */
static inline uint64_t pn_octets_left(const struct pn_octets *octets)
{
    return octets->end - octets->at;
}
/* Appends the next ones: max, or all that are left. False: out has no room, nothing is read. */
bool pn_octets_read(struct pn_octets *octets, size_t max, struct pn_buf *out);

#endif
