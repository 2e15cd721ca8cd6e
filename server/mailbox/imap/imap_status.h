/* What STATUS tells of a folder (RFC 9051, section 6.3.11; RFC 7162, 7889, 8438, 9208), for the
 * command itself and for LIST ... RETURN (STATUS ...). */
#ifndef IMAP_STATUS_H
#define IMAP_STATUS_H

#include "folders.h"
#include "imap_int.h"

/* "(MESSAGES UNSEEN ...)", as bits of *items. False: no such list. */
bool imap_status_items(struct pn_imap_args *args, unsigned *items);
/* HIGHESTMODSEQ is among them: the client knows CONDSTORE (RFC 7162, section 3.1). */
bool imap_status_wants_modseq(unsigned items);
/* "* STATUS name (MESSAGES 3 UNSEEN 1)" and CRLF. */
void imap_put_status(const struct imap *imap, struct pn_buf *out, struct pn_str name,
                     unsigned items, const struct pn_folder_status *status);

#endif
