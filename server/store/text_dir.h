/* For the files text_*.c: the index of one folder, in a directory that is given. */
#ifndef PN_TEXT_DIR_H
#define PN_TEXT_DIR_H

#include "text_file.h"
#include "textsearch.h"

/* dir: owned from now on, whatever it returns; -1 is NULL. */
struct pn_texts *texts_open_dir(struct pn_view *view, int dir);
/* Files merged that are small, or mostly of messages that are gone; for about so long. True: there
 * may be more. */
bool texts_tidy(struct pn_texts *texts, unsigned ms);
/* Removes what is of none of these UIDVALIDITYs, and what a crash left. */
void texts_sweep(int dir, const uint32_t *uidvalidities, size_t count);

#endif
