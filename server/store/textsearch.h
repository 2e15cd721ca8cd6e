/*
 * The words in a folder's messages, indexed, so that SEARCH need not read them all. It answers
 * exactly as a scan with words.h would: what it keeps is the text that a scan looks at, and a
 * list of where which three bytes stand together, which only says where to look.
 *
 * On disk: .../postern/words/, a few files a folder, "UIDVALIDITY.FIRST-LAST", each of the messages
 * from one UID to another. A file never changes: new messages make a new one, small ones are
 * merged. Nothing there is needed: what is damaged (every 16 KB have a sum), missing or of
 * another version is made again from the messages; what cannot be made is scanned. Never synced.
 *
 * A pn_texts is what is there at one time, for one thread. Several may be open, in several threads:
 * who makes files for a folder does so alone.
 */
#ifndef PN_TEXTSEARCH_H
#define PN_TEXTSEARCH_H

#include "view.h"
#include "words.h"

struct pn_texts;

/* A view of a folder of that user; both borrowed. NULL: there can be no index (no disk space, no
 * access). Owned. */
struct pn_texts *pn_texts_open(struct pn_user *user, struct pn_view *view);
void pn_texts_close(struct pn_texts **texts);
/* Removes what is there; who has it open keeps it. */
void pn_texts_forget(struct pn_user *user);
/* UIDs that _find knows of; some may be gone. Borrowed until the next call. */
const struct pn_uidset *pn_texts_covered(const struct pn_texts *texts);

enum pn_texts_step {
    PN_TEXTS_DONE,  /* all messages of the view are covered, but such as can't be read */
    PN_TEXTS_MORE,  /* a slice was done: call again */
    PN_TEXTS_FAILED /* no further now: what is not covered must be scanned */
};
/* Indexes for about so long. */
enum pn_texts_step pn_texts_catch_up(struct pn_texts *texts, unsigned ms);

/* Which UIDs to look for, and until when (ns): at least one file is looked through. */
struct pn_texts_span {
    uint32_t from, last; /* from: afterwards, where to go on; 0: all was looked through */
    uint64_t deadline;
};

/* Adds the UIDs of matching messages that are covered; perhaps of some outside of the span, too.
 * False: something was damaged; it is gone now, and covered no more (call again, after catching up
 * or not). */
bool pn_texts_find(struct pn_texts *texts, const struct pn_words_key *key,
                   struct pn_texts_span *span, struct pn_uidset *hits);

/* Background work: indexes what is new in a folder for about so long, and merges; now and then it
 * removes what is left of folders that are gone. Blocks nobody. True: there is more to do. */
bool pn_text_work(struct pn_user *user, struct pn_str folder, unsigned ms);

#endif
