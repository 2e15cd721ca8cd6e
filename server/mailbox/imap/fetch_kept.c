/*
 * A message that is read in partials, a FETCH after another, stays open between them: what its
 * reader knows (the tree, counts of line ends, where a decoding stands) makes the next partial
 * cheap. One a session, until any other command, or a FETCH of something else.
 */
#include "fetch.h"
#include "mem.h"

#include <stdlib.h>

enum { WORTH_KEEPING = 256 * 1024 /* bytes of content; smaller ones are read anew as fast */ };

struct fetch_kept {
    uint32_t uid;
    struct pn_reader *reader; /* owned, as is the next */
    struct pn_content content;
};

void fetch_forget(struct imap *imap)
{
    if (imap->kept == NULL)
        return;
    pn_reader_free(&imap->kept->reader);
    pn_content_done(&imap->kept->content);
    free(imap->kept);
    imap->kept = NULL;
}

static bool has_partial(const struct fetch_wants *wants)
{
    for (const struct fetch_section *s = wants->sections; s != NULL; s = s->next)
        if (s->partial)
            return true;
    return false;
}

bool fetch_keep(struct imap *imap, const struct fetch_wants *wants, uint32_t uid,
                struct pn_reader **reader, struct pn_content *content)
{
    if (content->bytes.len < WORTH_KEEPING || !has_partial(wants))
        return false;
    fetch_forget(imap);
    imap->kept = pn_calloc(1, sizeof *imap->kept);
    *imap->kept = (struct fetch_kept){uid, *reader, *content};
    *reader = NULL;
    return true;
}

bool fetch_kept(struct imap *imap, uint32_t uid, struct pn_reader **reader,
                struct pn_content *content)
{
    if (imap->kept == NULL || imap->kept->uid != uid) {
        fetch_forget(imap);
        return false;
    }
    *reader = imap->kept->reader;
    *content = imap->kept->content;
    free(imap->kept);
    imap->kept = NULL;
    return true;
}
