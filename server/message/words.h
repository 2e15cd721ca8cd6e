/*
 * What SEARCH looks into: the text of a message in the one form of fold.h, in three shelves, so
 * that a search for a subject need not read bodies.
 *
 *   SHORT  fields that people search by name: From, To, Cc, Bcc, Reply-To, Sender, Subject, Date,
 *          Message-ID, In-Reply-To, References, List-Id
 *   REST   all other fields of the message, then PN_WORDS_INSIDE and all fields of the parts and
 *          messages in it
 *   BODY   the text of each part that is text/... or message/... and no container, at any depth:
 *          decoded, in UTF-8; HTML as its source and then as a person sees it; the body of a
 *          multipart that has no parts. A PN_WORDS_MARK before each
 *
 * A field is PN_WORDS_MARK, its name in lower case, ": " and its value, unfolded, with encoded
 * words decoded. Folded text has no byte below 0x20: no match can cross a mark. TEXT is what all
 * three hold, BODY the third, HEADER a field of the first or of the second before INSIDE.
 *
 * It is one function of the content (CRLF and LF give the same), so that an index of words and a
 * scan of messages can't differ. Of one message are kept at most 256 KB, 1 MB and 8 MB; what is
 * beyond is not found, by either. Not thread-safe for one pn_words.
 */
#ifndef PN_WORDS_H
#define PN_WORDS_H

#include "buf.h"
#include "needle.h"

enum pn_words_shelf { PN_WORDS_SHORT, PN_WORDS_REST, PN_WORDS_BODY, PN_WORDS_SHELVES };

#define PN_WORDS_MARK   '\x01'
#define PN_WORDS_INSIDE '\x02'

struct pn_words; /* owned: memory for many messages, one at a time */

struct pn_words *pn_words_new(void);
void pn_words_free(struct pn_words **words);
/* Reads a message. What it held before is gone. */
void pn_words_read(struct pn_words *words, struct pn_str content);
/* Header fields alone, as they stand ("From: ...\n..."): the shelves SHORT and REST of them. */
void pn_words_read_header(struct pn_words *words, struct pn_str header);
/* Borrowed until the next read. */
struct pn_str pn_words_get(const struct pn_words *words, enum pn_words_shelf shelf);

/* What to look for; strings are folded. */
struct pn_words_key {
    enum { PN_WORDS_IN_ALL, PN_WORDS_IN_BODY, PN_WORDS_IN_FIELD } where;
    struct pn_str field; /* IN_FIELD: its name, in lower case */
    struct pn_str text;  /* empty: of a field that it is there, else everything matches */
};

/* Could what it looks for be on that shelf? */
bool pn_words_key_in(const struct pn_words_key *key, enum pn_words_shelf shelf);
/* Is it in the text of that shelf of one message? needle: made of key->text. */
bool pn_words_key_match(const struct pn_words_key *key, const struct pn_needle *needle,
                        enum pn_words_shelf shelf, struct pn_str text);
/* Is it in the message that was read? */
bool pn_words_match(const struct pn_words *words, const struct pn_words_key *key);
/* The same for many messages; needle: made of key->text. */
bool pn_words_match_with(const struct pn_words *words, const struct pn_words_key *key,
                         const struct pn_needle *needle);

/* The shelf on which fields of that name are; name in lower case. */
enum pn_words_shelf pn_words_shelf_of(struct pn_str name);

#endif
