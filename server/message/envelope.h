/*
 * IMAP's ENVELOPE of a header (RFC 3501 and 9051, section 7.5.2), without the word:
 * (date subject from sender reply-to to cc bcc in-reply-to message-id).
 *
 * What is there is told as it stands: folds are undone, encoded words stay. Absent is NIL; an
 * empty Date, Subject, In-Reply-To or Message-ID is "", an empty address field NIL; Sender and
 * Reply-To are From's where they name nobody. Of a field that comes more than once the first
 * counts; address fields are read one behind the other, so that no sender is hidden.
 *
 * An address is (name route mailbox host). Quotes, escapes and comments are gone; a comment
 * behind a bare address is its name. A NIL host means a group begins or ends, so what lacks an
 * "@" has the host "": one word is the mailbox, several are a name with the mailbox "".
 *
 * Bytes beyond ASCII are sent as they are, in literals (imap_quote.h), to every client: the
 * grammar of RFC 3501 allows them there, and UTF8=ACCEPT and IMAP4rev2 do so too.
 *
 * Bounded: a string is cut at PN_ENVELOPE_STRING bytes, a list ends before it passes
 * PN_ENVELOPE_LIST; the whole never passes PN_ENVELOPE_MAX. Time is linear in the header.
 */
#ifndef PN_ENVELOPE_H
#define PN_ENVELOPE_H

#include "message.h"

enum {
    PN_ENVELOPE_STRING = 32 * 1024,
    PN_ENVELOPE_LIST = 512 * 1024,
    PN_ENVELOPE_MAX = 4 * 1024 * 1024,
};

/* Appends it. part: whose header; NULL is the message itself, of a message inside it is the
 * child of the message/rfc822 part. False at out's limit: nothing is appended. */
bool pn_envelope(const struct pn_message *m, const struct pn_part *part, struct pn_buf *out);

#endif
