/* Bodies of any size: within the record, or as a sealed memory file in front of the content. */
#include "handover.h"

#include "memfile.h"

#include <unistd.h>

/* Beside the body a record holds its header; this leaves it ample room. */
enum { INLINE_MAX = PN_RECORD_MAX - 256 };

bool pn_handover_send(struct pn_channel *channel, uint16_t type, struct pn_str body, int content_fd)
{
    int fds[2] = {-1, -1};
    unsigned count = 0;
    int spill = -1;
    if (body.len > INLINE_MAX) {
        spill = pn_memfile_of("handover", body);
        if (spill < 0)
            return false;
        fds[count++] = spill;
        body = PN_STR("");
    }
    if (content_fd >= 0)
        fds[count++] = content_fd;
    bool sent = pn_channel_send(channel, type, body, fds, count);
    if (spill >= 0)
        (void)close(spill);
    return sent;
}

static int take_fd(struct pn_record *record, unsigned slot)
{
    int fd = record->fds[slot];
    record->fds[slot] = -1;
    return fd;
}

bool pn_handover_open(struct pn_record *record, struct pn_handover *handover)
{
    unsigned spilled = record->body.len == 0 ? 1 : 0;
    *handover = (struct pn_handover){.body = record->body, .content_fd = -1};
    if (record->nfds < spilled || record->nfds > spilled + 1)
        return false;
    if (spilled == 1) {
        /* The mapping outlives the descriptor, which the channel closes. */
        if (pn_map_fd(record->fds[0], true, &handover->mapped) != 0)
            return false;
        handover->body = handover->mapped;
    }
    if (record->nfds == spilled + 1)
        handover->content_fd = take_fd(record, spilled);
    return true;
}

void pn_handover_close(struct pn_handover *handover)
{
    if (handover->mapped.len > 0)
        pn_unmap(&handover->mapped);
    handover->body = PN_STR("");
}
