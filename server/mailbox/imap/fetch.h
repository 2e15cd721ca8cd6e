/*
 * FETCH in two halves: what is wanted (fetch_items.c), and how it is brought (cmd_fetch.c), a
 * message at a time, from memory, the index, or content.
 */
#ifndef PN_FETCH_H
#define PN_FETCH_H

#include "imap_int.h"
#include "section.h"

enum fetch_item { /* bits */
                  FETCH_UID = 1,
                  FETCH_FLAGS = 2,
                  FETCH_DATE = 4,
                  FETCH_SIZE = 8,
                  FETCH_MODSEQ = 16,
                  FETCH_ENVELOPE = 32,
                  FETCH_BODY = 64,
                  FETCH_STRUCTURE = 128
};

enum { FETCH_SECTIONS_MAX = 100 };

enum fetch_kind { FETCH_OCTETS, FETCH_BINARY, FETCH_BINARY_SIZE };

struct fetch_section {
    struct fetch_section *next;
    enum fetch_kind kind;
    const char *name; /* RFC822.TEXT...; NULL: BODY[...] or BINARY[...] from the section */
    struct pn_section section;
    bool partial;
    uint64_t offset, count;
};

struct fetch_wants {
    unsigned items;                                 /* enum fetch_item */
    struct fetch_section *sections, **sections_end; /* pooled, in order */
    size_t section_count;
    bool sees;   /* \Seen is set: something of the content is read without PEEK */
    bool header; /* nothing but such fields as the index keeps: BODY[HEADER.FIELDS (...)] */
    uint64_t changed_since;
    bool has_changed_since, vanished;
};

/* "FLAGS", "(UID BODY[])", "ALL"..., then modifiers (RFC 7162, 3.1.4). */
bool fetch_read(struct imap_command *command, struct fetch_wants *wants);
/* What is open of a message of which partials were read, and is worth it, stays with the session:
 * true then, and *reader is NULL. The next FETCH of that message takes it back. */
bool fetch_keep(struct imap *imap, const struct fetch_wants *wants, uint32_t uid,
                struct pn_reader **reader, struct pn_content *content);
bool fetch_kept(struct imap *imap, uint32_t uid, struct pn_reader **reader,
                struct pn_content *content);
/* "BODY[TEXT]<0>": as it stands in the answer. */
void fetch_put_name(const struct fetch_section *section, struct pn_buf *out);

#endif
