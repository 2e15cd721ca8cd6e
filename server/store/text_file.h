/*
 * One file of the index of words (textsearch.h), for the files text_*.c. In the byte order of the
 * machine that made it; another one makes it anew.
 *
 *   header     the struct below
 *   docs       struct text_doc each, by UID
 *   for each shelf of words.h:
 *     text       the messages' texts, each ended by a NUL, which no text has
 *     dict       of 2^bits slots and one more: where in postings a slot's list begins
 *     postings   of each slot the blocks of text that have a trigram of that slot: differences
 *                of block numbers counted from one, seven bits a byte, the lowest first; or, where
 *                that would be as long, a bit for each block, the lowest first
 *   sums       one of each page (16 KB) of all between header and sums
 *
 * A trigram is three bytes of folded UTF-8; its slot is a hash of them (slots enough that a rare
 * one seldom shares with a common one): the lists only say where a match could begin, the text
 * decides. A block's trigrams are those that begin in it or within TEXT_OVER bytes behind it, so
 * that of a match that begins in it the first ones are in its lists. Short texts have no lists
 * (bits is 0): they are read whole.
 */
#ifndef PN_TEXT_FILE_H
#define PN_TEXT_FILE_H

#include "uidset.h"
#include "words.h"

enum {
    TEXT_PAGE = 16 * 1024,
    TEXT_BLOCK = 8 * 1024,
    TEXT_OVER = 64,
    TEXT_BITS_MIN = 12, /* of slots */
    TEXT_BITS_MAX = 18,
    TEXT_FILE_MAX = 16 * 1024 * 1024,   /* bytes of text: no more messages go into a file then */
    TEXT_SHELF_MAX = 2 * TEXT_FILE_MAX, /* of one shelf: the last message may be long */
    TEXT_DOCS_MAX = 64 * 1024,
    TEXT_NAME_MAX = 48 /* of a file's name, with its NUL */
};

struct text_shelf {
    uint64_t text_at, text_len, dict_at, postings_at, postings_len;
    uint64_t bits;
};

struct text_header {
    char magic[16];
    uint32_t version, uidvalidity, first, last, docs, spare;
    uint64_t docs_at, sums_at, size; /* size: of the file */
    struct text_shelf shelves[PN_WORDS_SHELVES];
    uint64_t sums_sum, sum; /* of the sums, and of all of this before it */
};

struct text_doc {
    uint32_t uid;
    uint32_t end[PN_WORDS_SHELVES]; /* of its text, behind the NUL */
};

/* Mapped: a search looks at a few bytes of most messages. A disk that fails, or somebody who cuts
 * the file, would end the process then: all reading is within text_guard. */
struct text_file {
    struct text_header h;
    const char *map;
    struct text_state *state;    /* which pages were found right */
    const struct text_doc *docs; /* in the map; NULL until they were looked at */
    bool looked;                 /* for messages that it lacks (text_dir.c) */
};

uint64_t text_sum(const void *p, size_t n);
/* Bytes of text in it. */
uint64_t text_size(const struct text_file *file);

/* Opens and looks at what says what is where. NULL with errno; EBADMSG: it is damaged. Owned. */
struct text_file *text_open(int dir, const char *name);
void text_close(struct text_file **file);
/* Calls fn, in which the file may be read. False: it says so, or the file could not be read. fn may
 * be left at any place where it reads: what it owns then must be known outside of it. */
bool text_guard(const struct text_file *file, bool (*fn)(void *arg), void *arg);
/* The docs, looked through once. NULL: damaged. */
const struct text_doc *text_docs(struct text_file *file);
/* Bytes of the file, in pages that are right. Borrowed from it. False: damaged. */
bool text_read(struct text_file *file, uint64_t at, size_t len, struct pn_str *out);
/* Adds the UIDs that match. False: damaged. Guards itself, as does text_build_copy. */
bool text_find(struct text_file *file, const struct pn_words_key *key, struct pn_uidset *hits);

/* ---- making one (text_build.c) */

struct text_build {
    struct pn_buf shelves[PN_WORDS_SHELVES];
    struct text_doc *docs; /* owned */
    size_t count, cap;
};

void text_build_init(struct text_build *build);
void text_build_fini(struct text_build *build);
bool text_build_full(const struct text_build *build);
/* UIDs come upwards. */
void text_build_add(struct text_build *build, uint32_t uid, const struct pn_words *words);
/* All docs of a file for which alive says so. False: damaged. */
bool text_build_copy(struct text_build *build, struct text_file *from,
                     bool (*alive)(void *ctx, uint32_t uid), void *ctx);
/* Writes it as a file of these UIDs, in place when whole. 0 or errno. */
int text_build_write(const struct text_build *build, int dir, uint32_t uidvalidity, uint32_t first,
                     uint32_t last);

/* "UIDVALIDITY.FIRST-LAST". */
void text_name(char name[TEXT_NAME_MAX], uint32_t uidvalidity, uint32_t first, uint32_t last);
bool text_name_parse(const char *name, uint32_t *uidvalidity, uint32_t *first, uint32_t *last);

/* ---- which pages were found right (text_state.c): known for as long as the process lives, for a
 * few hundred files; a file that was touched is another one */

struct text_state {
    uint64_t device, inode, size;
    int64_t changed; /* ns */
    uint64_t used;   /* for the least recently used */
    unsigned refs;
    size_t pages;
    unsigned char *right; /* owned: a page each, set by any thread; 1: its sum was right */
};
/* The state of an open file; NULL: it could not be looked at. */
struct text_state *text_state_get(int fd, size_t pages);
void text_state_put(struct text_state **state);

/* Trigrams: shared by who writes and who looks up. bits is not 0. */
static inline uint32_t text_slot(uint32_t trigram, unsigned bits)
{
    return trigram * UINT32_C(2654435761) >> (32 - bits);
}
/* The trigram that ends with c, behind the one before. */
static inline uint32_t text_trigram(uint32_t before, char c)
{
    return before >> 8 | (uint32_t)(unsigned char)c << 16;
}

static inline size_t text_blocks(uint64_t text_len)
{
    return (size_t)((text_len + TEXT_BLOCK - 1) / TEXT_BLOCK);
}
/* Bytes of a list that has a bit for each block: no other is as long. */
static inline size_t text_map_len(size_t blocks)
{
    return (blocks + 7) / 8;
}

/* Changes with the layout, and with what fold.c or words.c make of a message. */
enum { TEXT_VERSION = 3 };
#define TEXT_MAGIC "postern words\n"
#define TEXT_TMP   "tmp." /* a file that is being made begins so */

#endif
